"""The reward files of folders, opened as a user asks for them: by which aggregations, and as which sort of number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from prm_eval.errors import PrmEvalError
from prm_eval.records import DECLARABLE, ScoreType
from prm_eval.rewards.aggregations import AGGREGATIONS, Aggregation
from prm_eval.rewards.files.reward_file import RewardFile

LEFT_OPEN: tuple[ScoreType, ...] = ("raw", "value")
"""The score types that importers give numbers of which nobody said what they are."""


def opened_rewards(
    folders: Sequence[Path], aggregations: Sequence[str] | None = None, score_type: str | None = None
) -> list[RewardFile]:
    """Return the reward files of folders, once for each requested aggregation; by default for the declared one.

    An outcome reward model has one number a candidate, and so nothing to aggregate: it is opened once.

    Args:
        folders: The folders.
        aggregations: Names of aggregations.
        score_type: What the numbers are of those files that do not say more than "raw" or "value".

    Raises:
        PrmEvalError: A folder has no rewards, there is no such aggregation or score type, or every file says what its
            numbers are.
    """
    known: dict[str, Aggregation] = {name: name for name in AGGREGATIONS}
    for name in aggregations or ():
        if name not in known:
            raise PrmEvalError(f"unknown aggregation {name!r}; expected one of {', '.join(known)}")
    opened: list[RewardFile] = []
    for declared in declared_as([RewardFile(folder) for folder in folders], score_type):
        if not aggregations or declared.info.kind == "orm":
            opened.append(declared)
        else:
            opened += [RewardFile(declared.folder, known[name], info=declared.info) for name in aggregations]
    return opened


def declared_as(files: Sequence[RewardFile], score_type: str | None) -> list[RewardFile]:
    """Return reward files whose numbers are what the user says, where the files themselves leave it open.

    Raises:
        PrmEvalError: There is no such score type, or every file says what its numbers are.
    """
    if score_type is None:
        return list(files)
    types: dict[str, ScoreType] = {name: name for name in DECLARABLE}
    if score_type not in types:
        raise PrmEvalError(f"unknown score type {score_type!r}; expected one of {', '.join(types)}")
    if not any(map(_is_left_open, files)):
        said = ", ".join(f"{file.name}: {file.info.score_type}" for file in files) or "there are no rewards"
        raise PrmEvalError(f"--score-type {score_type}: the files say what their numbers are ({said})")
    return [
        RewardFile(file.folder, file.aggregation, info=replace(file.info, score_type=types[score_type]))
        if _is_left_open(file)
        else file
        for file in files
    ]


def _is_left_open(file: RewardFile) -> bool:
    """Say whether nobody said that the numbers of a file are on a scale: not its type, and not who imported it."""
    return file.info.score_type in LEFT_OPEN and file.info.model.get("declared", "raw") == "raw"
