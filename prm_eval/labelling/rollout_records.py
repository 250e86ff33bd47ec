"""What rollouts find, and what label it makes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prm_eval.errors import DataError, PrmEvalError
from prm_eval.labelling.writing import Outcome
from prm_eval.records import StepLabel
from prm_eval.rewards.files.differences import difference
from prm_eval.stepsets.label_file import LabelFile
from prm_eval.stepsets.labels import by_ratings, by_soft
from prm_eval.store.jsonl import read_jsonl


@dataclass(frozen=True)
class Value:
    """What is known of a beginning: how many of how many completions are right, or why there are none."""

    right: int
    of: int
    refused: str = ""

    @property
    def share(self) -> float | None:
        """The share of right completions."""
        return self.right / self.of if self.of else None


@dataclass(frozen=True)
class Counts:
    """How much work there is, and how much of it is saved.

    Attributes:
        candidates: Candidates to label.
        texts: Different ones.
        steps: Beginnings of all candidates that a policy would be asked about one by one.
        beginnings: Different ones.
    """

    candidates: int
    texts: int
    steps: int
    beginnings: int


@dataclass(frozen=True)
class RolledOut:
    """What came of it.

    Attributes:
        outcome: The labels; None where an earlier run had finished them.
        labels: Their folder.
        counts: The work.
        asked: Beginnings that a policy has been asked about, in this run and those before.
        resumed: Those of earlier runs.
        completions: All completions.
        without_answer: Those without a final answer.
        cut: Those that ended for want of room.
        refused: Beginnings without a value, by reason.
    """

    outcome: Outcome | None
    labels: LabelFile
    counts: Counts
    asked: int = 0
    resumed: int = 0
    completions: int = 0
    without_answer: int = 0
    cut: int = 0
    refused: Mapping[str, int] | None = None


def results_of(folder: Path, key: Mapping[str, Any], name: str) -> Iterator[dict[str, Any]]:
    """Yield what a policy was asked for a finished folder of labels; refused beginnings are left out.

    Args:
        folder: The folder.
        key: The pool, policy and sampling, which must be those of the folder.
        name: The file in it.

    Raises:
        DataError: The folder is none of rollouts, or its file is damaged.
        PrmEvalError: It is of another pool, policy or sampling.
    """
    settings = LabelFile(folder).info.settings
    found = settings.get("rollouts")
    if not isinstance(found, dict):
        raise DataError(folder, None, "labels of another source", "labels by rollouts")
    if (differs := difference(found, key)) is not None:
        raise PrmEvalError(f"--results {folder} is of other rollouts: {differs}; expected the same pool and options")
    for number, fields in read_jsonl(folder / name):
        if "refused" in fields:
            continue
        right = fields.get("right")
        if not isinstance(fields.get("prompt"), str) or not isinstance(right, list) or not right:
            raise DataError(folder / name, number, "a row without prompt and right", "what label rollouts wrote")
        yield fields


def label_of_shares(
    shares: Sequence[float | None], n: int, *, hard: float | None = None, final_correct: bool | None = None
) -> StepLabel:
    """Return the label of a solution of n steps, of the first of which the share of right completions is known.

    Args:
        shares: The shares, None where there is none.
        n: The number of steps.
        hard: Ratings in place of shares: wrong if the share is at most this.
        final_correct: Whether the answer is right.
    """
    known = [*shares, *[None] * (n - len(shares))]
    if hard is None:
        return by_soft(known, n, final_correct=final_correct)
    told = " ".join("?" if share is None else f"{share:g}" for share in known)
    ratings = [None if share is None else (-1 if share <= hard else 1) for share in known]
    return by_ratings(ratings, n, final_correct=final_correct, source_label=told)
