"""The parts that all importers share: the records they return, and checks of foreign numbers."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from prm_eval.grading import classify, extract_answer
from prm_eval.importers.score_types import UNKNOWN, Asked, Meaning
from prm_eval.importers.sources import Source
from prm_eval.records import Candidate, GradeRow, Kind, Problem, ScoreType, StepRewards
from prm_eval.rewards.aggregations import Aggregation
from prm_eval.store.jsonl import Row

LARGEST_COUNT = 2**31 - 1  # the widest number of tokens that a pool's table holds


@dataclass(frozen=True)
class RewardColumn:
    """A field of a file that holds rewards, with one entry a candidate; an entry is None where the source has none.

    Attributes:
        kind: Whether the entries are of steps.
        score_type: How a reward file calls the numbers.
        aggregation: The aggregation that is declared for them.
        values: The entries.
        model: The reward model, where the source names it.
        meaning: What somebody says the numbers are.
    """

    kind: Kind
    score_type: ScoreType
    aggregation: Aggregation
    values: tuple[StepRewards | None, ...]
    model: str | None = None
    meaning: Meaning = UNKNOWN


@dataclass(frozen=True)
class ImportedProblem:
    """One problem as a file gives it, with the number of its row.

    ``ignored`` names fields that nothing reads; ``remarks`` say in words what was done with the problem that a reader
    of the pool should know.
    """

    path: Path
    row: int
    problem: Problem
    candidates: tuple[Candidate, ...]
    grades: tuple[GradeRow, ...] | None = None
    rewards: dict[str, RewardColumn] = field(default_factory=dict)
    ignored: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()

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


@dataclass(frozen=True)
class Wanted:
    """What the user asks of an import that a reader has to know.

    Attributes:
        splitter: How candidates are cut into steps.
        scores: What ``--score-type`` says.
    """

    splitter: str
    scores: Asked = field(default_factory=Asked)


@dataclass(frozen=True)
class About:
    """What a source says of its candidates as a whole.

    Attributes:
        policy: The model that wrote them.
        revision: Its revision.
        sampling: Temperature and the like.
        source: What else belongs into the pool's description: the prompt, the versions of the tool.
        notes: What a reader of the pool should know, in words.
    """

    policy: str | None = None
    revision: str | None = None
    sampling: dict[str, Any] = field(default_factory=dict)
    source: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


class Reader(Protocol):
    """A reader of one source, whose ``problems`` yields one function a problem that raises the problem's fault."""

    def problems(self, wanted: Wanted) -> Iterator[Callable[[], ImportedProblem]]:
        """Yield a loader for every problem, in the source's order."""
        ...

    def about(self) -> About:
        """Return what the source says of its candidates as a whole."""
        ...


@dataclass(frozen=True)
class Format:
    """An importable format.

    Attributes:
        name: The value of ``--format``.
        describe: What it is, in one line.
        recognise: Whether a first row is of this format. The row of a JSON document is the document; that of a zip
            archive is its ``header.json``.
        reader: A function that makes a reader of a source.
        splitter: The way of cutting candidates into steps, or a function that chooses it by the first row.
        slots: M where it is fixed; None means the largest number of candidates.
    """

    name: str
    describe: str
    recognise: Callable[[dict[str, Any]], bool]
    reader: Callable[[Source], Reader]
    splitter: str | Callable[[dict[str, Any]], str] = "line"
    slots: int | None = None

    def splitter_for(self, first_row: dict[str, Any]) -> str:
        """Return the way of cutting candidates into steps."""
        return self.splitter if isinstance(self.splitter, str) else self.splitter(first_row)


def finite(row: Row, value: Any, label: str) -> float:
    """Return a value as a number.

    Raises:
        DataError: It is no number, or is NaN or infinite, or no float is as large.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise row.fault(f"{label} = {_short(value)}", "a number")
    try:
        number = float(value)
    except OverflowError:
        raise row.fault(f"{label} = {_short(value)}", "a finite number, as large as a float can be") from None
    if not math.isfinite(number):
        raise row.fault(f"{label} = {value!r}", "a finite number")
    return number


def numbers(row: Row, value: Any, label: str) -> list[float]:
    """Return a value as a list of at least one number.

    Raises:
        DataError: It is no list, or an empty one, or an entry is no finite number.
    """
    if not isinstance(value, list):
        raise row.fault(f"{label} of type {type(value).__name__}", "a list of numbers")
    if not value:
        raise row.fault(f"{label} that is an empty list", "a list of numbers: at least one, or null for no scores")
    return [finite(row, each, f"{label}[{i}]") for i, each in enumerate(value)]


def count(row: Row, value: Any, label: str) -> int | None:
    """Return a value as a whole number of at least 0 that a table can hold, or None for None.

    Raises:
        DataError: It is none.
    """
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= LARGEST_COUNT:
        raise row.fault(f"{label} = {_short(value)}", f"a whole number from 0 to {LARGEST_COUNT:,}")
    return value


def count_or_none(value: Any) -> int | None:
    """Return a value as a whole number that a table can hold; None for anything else.

    It is for tools that write -1, or a total, where they did not count.
    """
    whole = isinstance(value, int) and not isinstance(value, bool)
    return value if whole and 0 <= value <= LARGEST_COUNT else None


def sound(value: Any) -> Any:
    """Return what a stranger's file says of itself as values that can be written as JSON in UTF-8."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, dict):
        return {sound(str(name)): sound(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [sound(each) for each in value]
    if isinstance(value, float) and not math.isfinite(value):
        return repr(value)
    return value if value is None or isinstance(value, (bool, int, float)) else sound(str(value))


def flag(row: Row, value: Any, label: str, expected: str = "true or false") -> bool | None:
    """Return a value as a label, None for None.

    Raises:
        DataError: It is neither true nor false.
    """
    if value is not None and not isinstance(value, bool):
        raise row.fault(f"{label} = {_short(value)}", expected)
    return value


def text_list(row: Row, value: Any, label: str) -> list[str]:
    """Return a value as a list of texts of valid Unicode.

    Raises:
        DataError: It is none.
    """
    if not isinstance(value, list):
        raise row.fault(f"{label} of type {type(value).__name__}", "a list of texts")
    for i, each in enumerate(value):
        if not isinstance(each, str):
            raise row.fault(f"{label}[{i}] of type {type(each).__name__}", "text")
        row.text("text", where={"text": each}, label=f"{label}[{i}]")  # valid Unicode
    return value


def one_each(row: Row, name: str, n: int) -> list[Any] | None:
    """Return a field of a row that has one entry a candidate; None where it is not there.

    Raises:
        DataError: It is no list, or has another number of entries.
    """
    values = row.fields.get(name)
    if values is None:
        return None
    if not isinstance(values, list) or len(values) != n:
        found = f"{len(values)} entries" if isinstance(values, list) else f"type {type(values).__name__}"
        raise row.fault(f"{name} of {found} for {n} candidates", "one entry a candidate")
    return values


def has_steps(entries: Iterable[Any]) -> bool:
    """Say whether scores are of steps: one of them is a list of several numbers.

    A list of one is what an outcome reward model writes as well, so only the whole source tells.
    """
    return any(isinstance(each, list) and len(each) > 1 for each in entries)


def single(score: Any) -> Any:
    """Return the number of a list of one; anything else as it is."""
    return score[0] if isinstance(score, list) and len(score) == 1 else score


def _short(value: Any) -> str:
    """Return a value as it is shown in errors; a number of hundreds of digits is counted, not shown."""
    try:
        shown = repr(value)
    except ValueError:  # more digits than Python converts
        return "a number of thousands of digits"
    return shown if len(shown) <= 60 else f"{shown[:40]}... ({len(shown)} characters)"


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
