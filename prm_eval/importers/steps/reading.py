"""The reading of what many formats share: steps, ids, first wrong steps in both bases, labels with their faults."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from typing import Any, get_args

from prm_eval.errors import DataError
from prm_eval.importers.common import text_list
from prm_eval.importers.steps.found import Wanted
from prm_eval.records import StepLabel
from prm_eval.stepsets.format import LabelSource
from prm_eval.stepsets.labels import NO_ERROR, LabelError, by_ratings
from prm_eval.store.jsonl import Row

_NUMBER = re.compile(r"^(Step\s*\d+\.\s*|\d+\.\s*)")  # as PRMBench's own script strips it
SOURCES: tuple[LabelSource, ...] = get_args(LabelSource)
_NONE = ("n/a", "na", "none", "")

BASE_1 = 'Did you mean base 1? Say "base": 1 in the row.'
BASE_0 = 'Did you mean base 0? Say "base": 0 in the row.'


def squashed(text: str) -> str:
    """Return a text with its white space squashed: what two statements of one problem share."""
    return " ".join(text.split())


def place_of(row: Row) -> str:
    """Return the id of a row that has none: its file and its number."""
    return f"{row.path.stem}/{row.number}"


def id_of(row: Row, *names: str) -> str:
    """Return the id that a row gives, or its place."""
    found = row.text(*names)
    return found if found is not None and found.strip() else place_of(row)


def label_source_of(row: Row) -> LabelSource | None:
    """Return who made the labels, where a row says; what we write in other formats does.

    Raises:
        DataError: It says what is none.
    """
    said = row.fields.get("label_source")
    if said is None:
        return None
    found = next((each for each in SOURCES if each == said), None)
    if found is None:
        raise row.fault(f"label_source = {said!r}"[:200], " or ".join(SOURCES))
    return found


def statement_of(row: Row, *names: str) -> str:
    """Return the problem statement.

    Raises:
        DataError: There is none, or it is empty.
    """
    found = row.required_text(*names)
    if not found.strip():
        raise row.fault("an empty problem statement", "text")
    return found


def steps_of(row: Row, value: Any, label: str, wanted: Wanted) -> tuple[str, ...]:
    """Return a list of steps.

    Raises:
        DataError: It is no list of texts, or an empty one.
    """
    return prepared(_some(row, text_list(row, value, label), label), wanted)


def grouped_steps(row: Row, value: Any, label: str, wanted: Wanted) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Return the steps of a list of lists, a group of lines a step, and how many lines each has.

    Raises:
        DataError: It is no list of lists of texts, or one of them is empty.
    """
    if not isinstance(value, list):
        raise row.fault(f"{label} of type {type(value).__name__}", "a list of lists of texts")
    groups = [
        _some(row, text_list(row, each, f"{label}[{i}]"), f"{label}[{i}]")
        for i, each in enumerate(_some(row, value, label))
    ]
    return prepared(["\n".join(group) for group in groups], wanted), tuple(map(len, groups))


def _some(row: Row, value: list[Any], label: str) -> list[Any]:
    if not value:
        raise row.fault(f"{label} that is an empty list", "at least one step")
    return value


def prepared(steps: Sequence[str], wanted: Wanted) -> tuple[str, ...]:
    """Return steps as the user wants them: as stored, or without their numbers."""
    if not wanted.strip_numbers:
        return tuple(steps)
    # a step that is nothing but its number stays: no step may vanish
    return tuple(_NUMBER.sub("", step) or step for step in steps)


def whole(row: Row, value: Any, label: str) -> int:
    """Return a value as a whole number; tables write 3 as 3.0 where other rows have none.

    Raises:
        DataError: It is none.
    """
    if isinstance(value, float) and math.isfinite(value) and value == int(value):
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise row.fault(f"{label} = {value!r}"[:200], "a whole number")
    return value


def numbered_error(row: Row, value: Any, label: str, n_steps: int | None = None) -> int:
    """Return a first wrong step that counts from 1, "N/A" for none, as a 0-based index or -1.

    Args:
        row: The row.
        value: The number, or a text of it.
        label: The name of the field.
        n_steps: The number of steps, where the number is a place among them.

    Raises:
        DataError: It is neither, or there is no such step.
    """
    if value is None or (isinstance(value, str) and value.strip().lower() in _NONE):
        return NO_ERROR
    last = "" if n_steps is None else f" to {n_steps}"
    expected = f'a number from 1{last}, or "N/A"'
    if isinstance(value, str):
        text = value.strip()
        if not (text.isascii() and text.isdigit() and len(text) < 10):
            raise row.fault(f"{label} = {value!r}"[:200], expected)
        value = int(text)
    number = whole(row, value, label)
    if number < 1:
        raise row.fault(f"{label} = {number}", expected, "Did you mean base 0? This format counts from 1.")
    if n_steps is not None and number > n_steps:
        steps = f"{n_steps} step{'' if n_steps == 1 else 's'}"
        raise row.fault(f"{label} = {number} of {steps}", expected)
    return number - 1


def require_verdict(row: Row, solution_id: str, correct: Any, first_error: int, *, right: Any, label: str) -> None:
    """Insist that what a source says of a whole solution is what it says of its steps.

    Args:
        row: The row.
        solution_id: The solution.
        correct: What the source says of it; None says nothing.
        first_error: Its first wrong step, -1 for none.
        right: The value that says that it is right.
        label: The name of the field.

    Raises:
        DataError: They contradict each other.
    """
    if correct is not None and (correct == right) != (first_error == NO_ERROR):
        step = "no wrong step" if first_error == NO_ERROR else f"the first wrong step {first_error + 1}"
        raise row.fault(
            f"solution {solution_id!r}: {label} = {correct!r}, but {step}", "one that agrees with the other"
        )


def labelled(row: Row, solution_id: str, make: Callable[[], StepLabel], hint: str = "") -> StepLabel:
    """Return the label that a function makes; what is wrong with it is a fault of the row.

    Raises:
        DataError: The label does not fit the steps.
    """
    try:
        return make()
    except LabelError as error:
        raise fault(row, solution_id, error.found, error.expected, hint) from None


def fault(row: Row, solution_id: str, found: str, expected: str, hint: str = "") -> DataError:
    """Make the error for a fault of one solution of a row."""
    return row.fault(f"solution {solution_id!r}: {found}", expected, hint)


def ratings_of(row: Row, value: Any, label: str) -> list[Any]:
    """Return a list of ratings, each a number or null; which numbers, :func:`by_ratings` says.

    Raises:
        DataError: It is no list, or an entry is no number.
    """
    if not isinstance(value, list):
        raise row.fault(f"{label} of type {type(value).__name__}", "a list of -1, 0, 1 or null")
    for i, each in enumerate(value):
        if each is not None and not isinstance(each, (int, float)):
            raise row.fault(f"{label}[{i}] of type {type(each).__name__}", "-1, 0, 1 or null")
    return value


def wrong_steps(row: Row, solution_id: str, value: Any, label: str, base: int) -> list[int]:
    """Return a list of wrong steps as 0-based indices, those beyond the end among them.

    Raises:
        DataError: It is no list of whole numbers, one comes twice, or one lies before the first step.
    """
    if not isinstance(value, list):
        raise row.fault(f"{label} of type {type(value).__name__}", "a list of whole numbers")
    found = [whole(row, each, f"{label}[{i}]") for i, each in enumerate(value)]
    twice = next((each for i, each in enumerate(found) if each in found[:i]), None)
    if twice is not None:
        raise fault(row, solution_id, f"{label} with {twice} twice", "each step once")
    if found and min(found) < base:
        hint = BASE_0 if base == 1 and min(found) == 0 else ""
        raise fault(row, solution_id, f"{label} with {min(found)}", f"numbers from {base}", hint)
    return [each - base for each in found]


def every_step(wrong: Sequence[int], n_steps: int, **about: Any) -> StepLabel:
    """Return the label of a solution of which all wrong steps are known, by their 0-based indices."""
    there = set(wrong)
    return by_ratings([-1 if step in there else 1 for step in range(n_steps)], n_steps, **about)


def verdict(row: Row, value: Any, label: str, words: dict[str, bool]) -> bool | None:
    """Return a verdict that a source writes as a word; None where it says nothing.

    Raises:
        DataError: Another word.
    """
    if value is None or isinstance(value, bool):
        return value
    found = words.get(value.strip().lower()) if isinstance(value, str) else None
    if found is None:
        raise row.fault(f"{label} = {value!r}"[:200], " or ".join(map(repr, words)))
    return found


RIGHT_WRONG = {"correct": True, "wrong": False, "incorrect": False}
