"""The importers of BIG-Bench-Mistake and Hard2Verify.

* BIG-Bench-Mistake: ``input, steps, target, answer, mistake_index`` (from 0, null for none). Whether the answer is the
  target is kept apart: a chain without a mistake may end wrong.
* Hard2Verify: ``model_response_by_step: [text], human_labels: [1 or 0, or true or false, or "yes" or "no"]``, a label
  of every step, and ``human_labels_first_error_idx`` where it stands, which must agree. Written after its description;
  no row of it was at hand.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from prm_eval.importers.steps.found import Found, Item, StepFormat, Wanted
from prm_eval.importers.steps.reading import id_of, labelled, squashed, statement_of, steps_of, whole
from prm_eval.records import Solution
from prm_eval.stepsets.labels import NO_ERROR, by_first_error, by_ratings
from prm_eval.store.jsonl import Row

_STEPS, _LABELS, _FIRST = "model_response_by_step", "human_labels", "human_labels_first_error_idx"


def is_bigbench(row: dict[str, Any]) -> bool:
    """Say whether a first row is of BIG-Bench-Mistake."""
    return {"input", "steps", "mistake_index"} <= row.keys()


def bigbench_items(row: Row, wanted: Wanted) -> Iterator[Item]:
    """Yield the one solution of a row."""
    yield partial(_bigbench, row, wanted)


def _bigbench(row: Row, wanted: Wanted) -> Found:
    solution_id = id_of(row, "id")
    statement = statement_of(row, "input")
    steps = steps_of(row, row.fields["steps"], "steps", wanted)
    index = row.fields["mistake_index"]
    first = NO_ERROR if index is None else whole(row, index, "mistake_index")
    answer, target = row.text("answer"), row.text("target")
    right = None if answer is None or target is None else answer.strip() == target.strip()
    spelt = "null" if index is None else str(first)
    make = partial(by_first_error, first, len(steps), final_correct=right, source_label=spelt)
    solution = Solution(solution_id, statement, steps, squashed(statement), final_answer=answer)
    return Found(row.path, row.number, solution, labelled(row, solution_id, make, "This format counts from 0."))


def is_hard2verify(row: dict[str, Any]) -> bool:
    """Say whether a first row is of Hard2Verify."""
    return {_STEPS, _LABELS} <= row.keys()


def hard2verify_items(row: Row, wanted: Wanted) -> Iterator[Item]:
    """Yield the one solution of a row."""
    yield partial(_hard2verify, row, wanted)


def _hard2verify(row: Row, wanted: Wanted) -> Found:
    solution_id = id_of(row, "unique_id", "id", "uuid")
    statement = statement_of(row, "question", "problem", "prompt")
    steps = steps_of(row, row.fields[_STEPS], _STEPS, wanted)
    given = row.fields[_LABELS]
    if not isinstance(given, list):
        raise row.fault(f"{_LABELS} of type {type(given).__name__}", "a label of every step")
    ratings = [1 if _good(row, each, f"{_LABELS}[{i}]") else -1 for i, each in enumerate(given)]
    first = row.fields.get(_FIRST)
    index = None if first is None else whole(row, first, _FIRST)
    make = partial(by_ratings, ratings, len(steps), first_error=index)
    solution = Solution(
        solution_id,
        statement,
        steps,
        squashed(statement),
        row.text("dataset", "source"),
        row.text("model", "generator"),
    )
    return Found(row.path, row.number, solution, labelled(row, solution_id, make))


def _good(row: Row, value: Any, label: str) -> bool:
    word = value.strip().lower() if isinstance(value, str) else value
    if word in (1, True, "yes", "correct"):
        return True
    if word in (0, False, "no", "incorrect"):
        return False
    raise row.fault(f"{label} = {value!r}"[:200], "1 or 0, true or false, yes or no")


BIGBENCH = StepFormat(
    "bigbench_mistake",
    "BIG-Bench-Mistake (Tyen et al. 2024)",
    is_bigbench,
    bigbench_items,
    label_source="people",
)
HARD2VERIFY = StepFormat(
    "hard2verify",
    "Hard2Verify: a human label of every step",
    is_hard2verify,
    hard2verify_items,
    kind="every_step",
    label_source="people",
    set_name="hard2verify",
)
