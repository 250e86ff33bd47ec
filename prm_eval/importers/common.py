"""The parts that all importers share: the records they return, and checks of foreign numbers."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from prm_eval.grading import classify, extract_answer
from prm_eval.records import Candidate, GradeRow, Kind, Problem, ScoreType, StepRewards
from prm_eval.rewards.aggregations import Aggregation
from prm_eval.store.jsonl import Row


@dataclass(frozen=True)
class RewardColumn:
    """A field of a file that holds rewards, with one entry a candidate; an entry is None where the source has none."""

    kind: Kind
    score_type: ScoreType
    aggregation: Aggregation
    values: tuple[StepRewards | None, ...]
    model: str | None = None


@dataclass(frozen=True)
class ImportedProblem:
    """One problem as a file gives it, with the number of its row."""

    path: Path
    row: int
    problem: Problem
    candidates: tuple[Candidate, ...]
    grades: tuple[GradeRow, ...] | None = None
    rewards: dict[str, RewardColumn] = field(default_factory=dict)
    ignored: tuple[str, ...] = ()

    def first(self, m: int) -> ImportedProblem:
        """Return the problem with its first m slots only."""
        n = sum(candidate.slot < m for candidate in self.candidates)
        if n == len(self.candidates):
            return self
        return replace(
            self,
            candidates=self.candidates[:n],
            grades=None if self.grades is None else self.grades[:n],
            rewards={name: replace(column, values=column.values[:n]) for name, column in self.rewards.items()},
        )


class Reader(Protocol):
    """A reader of one file, whose ``problems`` yields one function a problem that raises the problem's fault."""

    path: Path

    def problems(self, splitter: str) -> Iterator[Callable[[], ImportedProblem]]:
        """Yield a loader for every problem, in the file's order."""
        ...

    def policy(self) -> str | None:
        """Return the model that wrote the candidates, where the file says."""
        ...

    def sampling(self) -> dict[str, Any]:
        """Return sampling parameters, where the file says."""
        ...


def finite(row: Row, value: Any, label: str) -> float:
    """Return a value as a number.

    Raises:
        DataError: It is no number, or is NaN or infinite.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise row.fault(f"{label} = {value!r}", "a number")
    if not math.isfinite(value):
        raise row.fault(f"{label} = {value!r}", "a finite number")
    return float(value)


def published_grades(answers: list[str | None], correct: list[bool], slots: list[int]) -> tuple[GradeRow, ...]:
    """Return grades as the source published them.

    The source took every answer that it calls correct as equivalent to gold, so these answers are one class. The others
    are divided into classes by our equivalence.
    """
    wrong = classify(
        [None if right else answer for answer, right in zip(answers, correct, strict=True)], None
    ).of_answer
    rows: list[GradeRow] = []
    for slot, answer, right, index in zip(slots, answers, correct, wrong, strict=True):
        if right:
            rows.append(GradeRow(slot, answer, 0, "correct", "published"))
        elif answer is None:
            rows.append(GradeRow(slot, None, None, "no_answer", "published"))
        else:
            rows.append(GradeRow(slot, answer, index + 1, "incorrect", "published"))
    return tuple(rows)


def given_or_extracted(given: str | None, text: str) -> str | None:
    """Return the answer that a source gives, or else ours; "[invalid]" (GSM8K's convention) is no answer."""
    answer = given if given is not None else extract_answer(text)
    return None if answer is None or not answer.strip() or answer.strip() == "[invalid]" else answer
