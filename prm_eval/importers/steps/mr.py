"""The importers of MR-GSM8K and Mr-Ben, which count the first wrong step from 1, "N/A" for none.

MR-GSM8K: ``uuid, question, model_output_steps, model_output_solution_correctness,
model_output_solution_first_error_step, model_output_answer_correctness, question_type``. A copy of its original
questions with scores (``uuid, problem, steps, label, joined, prm_scores``) counts from 0, -1 for none.

Mr-Ben, grouped (``id, problem, options, subject, samples``) or flat (``Question_UUID, Question, Options, Subject``):
``Model_Solution_Steps, Model_Solution_Correctness, Model_Solution_First_Error_Step``. Its number is the k of "Step k"
in the text, no position in the list, whose items may be lines of a step or empty. So items that open with "Step k"
start a step, other items belong to the step before them (to the first one if there is none), "Solution:" opens a step
of its own, and empty items vanish; the label is the step with that k. A number that was there ("Step 6.1" behind
"Step 6", "Step 1" of a second case) opens none.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from prm_eval.importers.common import text_list
from prm_eval.importers.steps.found import Found, Item, StepFormat, Wanted
from prm_eval.importers.steps.reading import (
    RIGHT_WRONG,
    fault,
    id_of,
    labelled,
    numbered_error,
    prepared,
    require_verdict,
    squashed,
    statement_of,
    steps_of,
    verdict,
    whole,
)
from prm_eval.importers.steps.scores import PROBABILITY, step_scores
from prm_eval.records import Solution
from prm_eval.stepsets.labels import NO_ERROR, by_first_error
from prm_eval.store.jsonl import Row

_STEP = re.compile(r"\s*Step\s*(\d+)\b")
_MRBEN = "Model_Solution_Steps"


def is_mrgsm8k(row: dict[str, Any]) -> bool:
    """Say whether a first row is of MR-GSM8K."""
    return {"model_output_steps", "model_output_solution_first_error_step"} <= row.keys()


def is_copy(row: dict[str, Any]) -> bool:
    """Say whether a first row is of MR-GSM8K's original questions with scores."""
    return {"uuid", "joined", "steps", "label", "prm_scores"} <= row.keys()


def is_mrben(row: dict[str, Any]) -> bool:
    """Say whether a first row is of Mr-Ben."""
    samples = row.get("samples")
    grouped = isinstance(samples, list) and bool(samples) and isinstance(samples[0], dict) and _MRBEN in samples[0]
    return grouped or _MRBEN in row


def mrgsm8k_items(row: Row, wanted: Wanted) -> Iterator[Item]:
    """Yield the one solution of a row."""
    yield partial(_mrgsm8k, row, wanted)


def _mrgsm8k(row: Row, wanted: Wanted) -> Found:
    solution_id = id_of(row, "uuid", "id")
    statement = statement_of(row, "question")
    steps = steps_of(row, row.fields["model_output_steps"], "model_output_steps", wanted)
    name = "model_output_solution_first_error_step"
    first = numbered_error(row, row.fields[name], f"solution {solution_id!r}: {name}", len(steps))
    said = verdict(
        row, row.fields.get("model_output_solution_correctness"), "model_output_solution_correctness", RIGHT_WRONG
    )
    require_verdict(row, solution_id, said, first, right=True, label="model_output_solution_correctness")
    answer = "model_output_answer_correctness"
    right = verdict(row, row.fields.get(answer), answer, RIGHT_WRONG)
    spelt = str(row.fields[name])
    make = partial(by_first_error, first, len(steps), final_correct=right, source_label=spelt)
    return Found(
        row.path,
        row.number,
        Solution(solution_id, statement, steps, squashed(statement), row.text("question_type")),
        labelled(row, solution_id, make),
        step_scores(
            row, solution_id, row.fields.get("prm_scores"), "prm_scores", (1,) * len(steps), wanted, PROBABILITY
        ),
    )


def copy_items(row: Row, wanted: Wanted) -> Iterator[Item]:
    """Yield the one solution of a row."""
    yield partial(_copy, row, wanted)


def _copy(row: Row, wanted: Wanted) -> Found:
    solution_id = id_of(row, "uuid")
    statement = statement_of(row, "problem")
    steps = steps_of(row, row.fields["steps"], "steps", wanted)
    first = whole(row, row.fields["label"], "label")
    remark = (f"joined={row.text('joined')}",)
    return Found(
        row.path,
        row.number,
        Solution(solution_id, statement, steps, squashed(statement), "original", remarks=remark),
        labelled(row, solution_id, partial(by_first_error, first, len(steps))),
        step_scores(row, solution_id, row.fields["prm_scores"], "prm_scores", (1,) * len(steps), wanted, PROBABILITY),
    )


def mrben_items(row: Row, wanted: Wanted) -> Iterator[Item]:
    """Yield the solutions of a question."""
    if _MRBEN in row.fields:
        yield partial(_mrben, row, wanted, row.fields, f"row{row.number}")
        return
    samples = row.fields.get("samples")
    if not isinstance(samples, list):
        raise row.fault(f"samples of type {type(samples).__name__}", "a list of solutions")
    for i, each in enumerate(samples):
        yield partial(_mrben, row, wanted, each, str(i))


def _mrben(row: Row, wanted: Wanted, given: Any, unnamed: str) -> Found:
    if not isinstance(given, dict):
        raise row.fault(f"a sample of type {type(given).__name__}", "an object")
    sample = Row(row.path, row.number, given)
    problem_id = id_of(row, "id", "Question_UUID")
    generator = sample.text("Sampled_Model")
    solution_id = f"{problem_id}/{generator or unnamed}"
    statement = statement_of(row, "problem", "Question")
    options = row.text("options", "Options")
    numbers, merged = merge_numbered(text_list(sample, given.get(_MRBEN), f"{solution_id}: {_MRBEN}"))
    if not merged:
        raise fault(row, solution_id, f"{_MRBEN} without a text", "at least one step")
    name = "Model_Solution_First_Error_Step"
    number = numbered_error(row, given.get(name), f"solution {solution_id!r}: {name}") + 1
    first = NO_ERROR if number == 0 else numbers.index(number) if number in numbers else None
    if first is None:
        shown = " ".join(str(each) for each in numbers if each is not None)
        found = f'no step that opens with "Step {number}", only {shown}'
        raise fault(row, solution_id, found, "the one that the label names")
    said = verdict(row, given.get("Model_Solution_Correctness"), "Model_Solution_Correctness", RIGHT_WRONG)
    require_verdict(row, solution_id, said, first, right=True, label="Model_Solution_Correctness")
    make = partial(by_first_error, first, len(merged), source_label=str(given.get(name)))
    return Found(
        row.path,
        row.number,
        Solution(
            solution_id,
            statement if options is None else f"{statement}\n{options}",
            prepared(merged, wanted),
            problem_id,
            row.text("subject", "Subject"),
            generator,
        ),
        labelled(row, solution_id, make),
    )


def merge_numbered(lines: Sequence[str]) -> tuple[list[int | None], list[str]]:
    """Return the steps of a list whose items are steps, lines of steps or empty, with the number each opens with."""
    numbers: list[int | None] = []
    steps: list[list[str]] = []
    waiting: list[str] = []  # lines before the first step
    for line in lines:
        if not line.strip():
            continue
        opening = _STEP.match(line)
        number = int(opening[1]) if opening else None
        if (number is not None and number not in numbers) or line.lstrip().startswith("Solution:"):
            numbers.append(number)
            steps.append([*waiting, line])
            waiting = []
        elif steps:
            steps[-1].append(line)
        else:
            waiting.append(line)
    if waiting:
        numbers.append(1)
        steps.append(waiting)
    return numbers, ["\n".join(step) for step in steps]


MRGSM8K = StepFormat(
    "mrgsm8k", "MR-GSM8K (Zeng et al. 2023)", is_mrgsm8k, mrgsm8k_items, label_source="people", set_name="mrgsm8k"
)
MRGSM8K_SCORED = StepFormat(
    "mrgsm8k_scored",
    "MR-GSM8K's original questions, counted from 0, with step scores",
    is_copy,
    copy_items,
    label_source="people",
    set_name="mrgsm8k",
)
MRBEN = StepFormat(
    "mrben",
    "Mr-Ben (Zeng et al. 2024), grouped or flat",
    is_mrben,
    mrben_items,
    label_source="people",
    set_name="mrben",
)
