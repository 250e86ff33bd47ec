"""The importers of the sets that ReasonEval (Xia et al. 2024) was measured on, with the step scores beside them.

* MR-MATH: ``question, model_output_step_format: [[line]], model_output_solution_first_error_step`` (from 1, "N/A"), or
  ``steps: [[line]], first_error_step`` (from 1, null). **Labels count groups, scores are a line each**: a step is a
  group joined by line breaks, and its score the lowest of its lines.
* Neutral steps of PRM800K: ``model_output_step_format, rating: [0 or 1]``.
* Perturbed solutions of PRM800K: ``problem, reference_steps, perturbed: [{error_type, tags, steps, scores}]``. Each
  perturbed text has its reference as a twin. A changed number or operation is wrong in step ``tags``, and nothing is
  known of what follows; a repeated step is neutral. Where steps are exchanged or removed, or the whole solution is one
  of another problem, the source says nothing of single steps: no label.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from prm_eval.importers.steps.found import Found, Item, StepFormat, Wanted
from prm_eval.importers.steps.reading import (
    RIGHT_WRONG,
    fault,
    grouped_steps,
    id_of,
    labelled,
    numbered_error,
    ratings_of,
    require_verdict,
    squashed,
    statement_of,
    steps_of,
    verdict,
    whole,
)
from prm_eval.importers.steps.scores import PROBABILITY, step_scores
from prm_eval.records import Solution, StepLabel
from prm_eval.stepsets.labels import by_first_error, by_ratings, unlabelled
from prm_eval.store.jsonl import Row

_GROUPS = "model_output_step_format"
_FIRST = "model_output_solution_first_error_step"


def is_mrmath(row: dict[str, Any]) -> bool:
    """Say whether a first row is of MR-MATH."""
    return {_GROUPS, _FIRST} <= row.keys() or _is_evaluators(row)


def _is_evaluators(row: dict[str, Any]) -> bool:
    steps = row.get("steps")
    return "first_error_step" in row and isinstance(steps, list) and bool(steps) and isinstance(steps[0], list)


def is_neutral(row: dict[str, Any]) -> bool:
    """Say whether a first row is of rated groups of lines."""
    return {_GROUPS, "rating"} <= row.keys() and _FIRST not in row


def is_perturbed(row: dict[str, Any]) -> bool:
    """Say whether a first row is of perturbed solutions."""
    return {"reference_steps", "perturbed"} <= row.keys()


def mrmath_items(row: Row, wanted: Wanted) -> Iterator[Item]:
    """Yield the one solution of a row."""
    yield partial(_mrmath, row, wanted)


def _mrmath(row: Row, wanted: Wanted) -> Found:
    own = _GROUPS in row.fields
    steps_name, first_name = (_GROUPS, _FIRST) if own else ("steps", "first_error_step")
    said_name = "model_output_solution_correctness" if own else "solution_correct"
    solution_id = id_of(row, "id")
    statement = statement_of(row, "question", "problem")
    steps, lines = grouped_steps(row, row.fields[steps_name], steps_name, wanted)
    first = numbered_error(row, row.fields[first_name], f"solution {solution_id!r}: {first_name}", len(steps))
    said = verdict(row, row.fields.get(said_name), said_name, RIGHT_WRONG)
    require_verdict(row, solution_id, said, first, right=True, label=said_name)
    name = "model_output_answer_correctness"
    right = verdict(row, row.fields.get(name), name, RIGHT_WRONG)
    spelt = str(row.fields[first_name])
    make = partial(by_first_error, first, len(steps), final_correct=right, source_label=spelt)
    solution = Solution(solution_id, statement, steps, squashed(statement), generator=row.text("generator"))
    unread = tuple(
        f"{each} are not read: they are of whole solutions"
        for each in ("solution_scores", "critics")
        if each in row.fields
    )
    return Found(
        row.path,
        row.number,
        solution,
        labelled(row, solution_id, make),
        step_scores(row, solution_id, row.fields.get("prm_scores"), "prm_scores", lines, wanted, PROBABILITY),
        remarks=unread,
    )


def neutral_items(row: Row, wanted: Wanted) -> Iterator[Item]:
    """Yield the one solution of a row."""
    yield partial(_neutral, row, wanted)


def _neutral(row: Row, wanted: Wanted) -> Found:
    solution_id = id_of(row, "id")
    statement = statement_of(row, "question", "problem")
    steps, lines = grouped_steps(row, row.fields[_GROUPS], _GROUPS, wanted)
    ratings = ratings_of(row, row.fields["rating"], "rating")
    return Found(
        row.path,
        row.number,
        Solution(solution_id, statement, steps, squashed(statement), generator=row.text("generator")),
        labelled(row, solution_id, partial(by_ratings, ratings, len(steps))),
        step_scores(row, solution_id, row.fields.get("prm_scores"), "prm_scores", lines, wanted, PROBABILITY),
    )


def perturbed_items(row: Row, wanted: Wanted) -> Iterator[Item]:
    """Yield the reference of a row and its perturbations."""
    rid = id_of(row, "rid", "id")
    yield partial(_reference, row, wanted, rid)
    perturbed = row.fields["perturbed"]
    if not isinstance(perturbed, list):
        raise row.fault(f"perturbed of type {type(perturbed).__name__}", "a list of solutions")
    for i, each in enumerate(perturbed):
        yield partial(_perturbed, row, wanted, rid, i, each)


def _reference(row: Row, wanted: Wanted, rid: str) -> Found:
    statement = statement_of(row, "problem", "question")
    steps = steps_of(row, row.fields["reference_steps"], "reference_steps", wanted)
    solution_id = f"{rid}/reference"
    ones = (1,) * len(steps)
    return Found(
        row.path,
        row.number,
        Solution(solution_id, statement, steps, squashed(statement), "reference"),
        by_ratings(ones, len(steps), source_label="reference"),
        step_scores(
            row, solution_id, row.fields.get("reference_scores"), "reference_scores", ones, wanted, PROBABILITY
        ),
    )


def _perturbed(row: Row, wanted: Wanted, rid: str, i: int, given: Any) -> Found:
    if not isinstance(given, dict):
        raise row.fault(f"perturbed[{i}] of type {type(given).__name__}", "an object")
    place = f"perturbed[{i}]"
    kind = row.required_text("error_type", where=given, label=f"{place}.error_type")
    solution_id = f"{rid}/{kind.replace(' ', '_')}"
    statement = statement_of(row, "problem", "question")
    steps = steps_of(row, given.get("steps"), f"{place}.steps", wanted)
    return Found(
        row.path,
        row.number,
        Solution(solution_id, statement, steps, squashed(statement), kind, twin_id=f"{rid}/reference"),
        _rule(row, solution_id, kind, given.get("tags"), len(steps), place),
        step_scores(row, solution_id, given.get("scores"), f"{place}.scores", (1,) * len(steps), wanted, PROBABILITY),
    )


def _rule(row: Row, solution_id: str, kind: str, tags: Any, n: int, place: str) -> StepLabel:
    spelt = f"{kind}: {tags}"
    if kind not in ("random number", "random operation", "repeat step"):
        return unlabelled(source_label=spelt)
    at = whole(row, tags, f"{place}.tags") + (kind == "repeat step")
    if not 0 <= at < n:
        raise fault(row, solution_id, f"tags = {tags} of {n} steps", f"at most {n - 1 - (kind == 'repeat step')}")
    ratings: list[int | None] = [1] * n
    ratings[at] = 0 if kind == "repeat step" else -1
    if kind != "repeat step":
        ratings[at + 1 :] = [None] * (n - at - 1)
    return by_ratings(ratings, n, source_label=spelt)


MRMATH = StepFormat(
    "mrmath",
    "MR-MATH (ReasonEval), with step scores",
    is_mrmath,
    mrmath_items,
    label_source="people",
    set_name="mrmath",
)
NEUTRAL = StepFormat(
    "prm800k_neutral",
    "right solutions of PRM800K with neutral steps, with step scores",
    is_neutral,
    neutral_items,
    kind="rated",
    label_source="people",
)
PERTURBED = StepFormat(
    "prm800k_perturbed",
    "right solutions of PRM800K and their perturbations, with step scores",
    is_perturbed,
    perturbed_items,
    kind="rated",
    label_source="rules",
)
