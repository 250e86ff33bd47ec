"""The reward files that an import writes beside a pool."""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from prm_eval.errors import DataError
from prm_eval.importers.common import ImportedProblem, RewardColumn, sound
from prm_eval.importers.score_types import spoken
from prm_eval.records import StepRewards
from prm_eval.rewards.files.reward_file import RewardWriter
from prm_eval.rewards.files.reward_info import RewardInfo


@dataclass
class _File:
    """One reward file in the making, with the range of its numbers."""

    writer: RewardWriter
    column: RewardColumn
    models: dict[str, None]  # in order of appearance
    low: float = float("inf")
    high: float = float("-inf")


class RewardColumns:
    """The reward files of a pool, with refusals for problems that lack a file's rewards.

    Args:
        folder: The folder of the reward folders.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: dict[str, _File] = {}
        self._started = False

    def add(self, imported: ImportedProblem, ids: Sequence[str]) -> None:
        """Write the rewards of one problem's candidates, whose ids these are.

        Raises:
            DataError: A field that earlier rows lack, or another meaning of its numbers than in earlier rows.
        """
        for name, column in imported.rewards.items():
            if name not in self._files:
                if self._started:
                    raise DataError(
                        imported.path,
                        imported.row,
                        f"the field {name!r}, which earlier rows lack",
                        "the same reward fields in every row",
                    )
                self._files[name] = self._new(name, column)
            self._require_same(imported, name, column)
            self._files[name].models[column.model or name] = None
        self._started = self._started or bool(imported.candidates)
        for name, file in self._files.items():
            values = imported.rewards[name].values if name in imported.rewards else (None,) * len(ids)
            for candidate_id, value in zip(ids, values, strict=True):
                given = value or StepRewards((), refusal="not in the source")
                file.writer.add_row(imported.problem.problem_id, candidate_id, given)
                if given.values:
                    file.low, file.high = min(file.low, *given.values), max(file.high, *given.values)

    def _new(self, name: str, column: RewardColumn) -> _File:
        folder = self._folder / folder_name(name, [each.writer.folder.name for each in self._files.values()])
        return _File(RewardWriter(folder, single=column.score_type == "logodds"), column, {})

    def _require_same(self, imported: ImportedProblem, name: str, column: RewardColumn) -> None:
        first = self._files[name].column
        if not any(column.values):
            return  # nothing but missing scores: they say nothing of their kind
        for found, known in ((column.kind, first.kind), (column.meaning.declared, first.meaning.declared)):
            if found != known:
                raise DataError(
                    imported.path,
                    imported.row,
                    f"{name} as {found or 'undeclared'}",
                    f"{known or 'undeclared'}, as before",
                )

    def close(self, pool_hash: str) -> None:
        """Finish the reward files, now that the pool's hash is known."""
        for name, file in self._files.items():
            file.writer.__exit__(None, None, None)
            model = sound(" + ".join(file.models))
            column = file.column
            about = {"id": model, "field": sound(name), "origin": "published"}
            if column.meaning.declared is not None:
                about |= {"declared": column.meaning.declared, "declared_by": column.meaning.by}
            file.writer.describe(
                RewardInfo(
                    name=model,
                    kind=column.kind,
                    score_type=column.score_type,
                    aggregation=column.aggregation,
                    splitter=None,
                    pool_hash=pool_hash,
                    model=about,
                )
            )
        if not self._files:
            shutil.rmtree(self._folder, ignore_errors=True)

    def notes(self) -> list[str]:
        """Return what the numbers of the files were read as, in words."""
        said: dict[str, list[str]] = {}
        for name, file in self._files.items():
            if file.low <= file.high:
                what = file.column.meaning
                said.setdefault(spoken(what.declared, what.by, file.column.kind, file.low, file.high), []).append(name)
        return [f"{', '.join(names)}: {text}" for text, names in said.items()]


def folder_name(name: str, taken: list[str]) -> str:
    """Return a folder's name for a reward model: no separators, no hidden folder, none that is taken."""
    plain = re.sub(r"[^\w.=+-]", "_", name).lstrip(".")[:100] or "rewards"
    found, n = plain, 2
    while found.lower() in (each.lower() for each in taken):
        found, n = f"{plain}-{n}", n + 1
    return found
