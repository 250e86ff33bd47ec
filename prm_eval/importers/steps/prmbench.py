"""The importer of PRMBench, and of step scores on it.

Shape: a row an item: ``idx, original_question, original_process: [text], modified_question, modified_process,
error_steps: [number from 1], classification``. Read: the modified solution with every wrong step, under its
classification; of a ``redundency`` row the original as a twin named "correct", as PRMBench's own script makes it; of an
id that comes again, the first row. Numbers beyond the last step are left out and counted: the script never reads them.
``validity: false`` is a remark, and its scores are a refusal; ``scores.step_level_validity_scores`` become rewards.

A second shape, ``idx, occurrence, n_steps, error_steps, scores``, has no texts: stand-ins, for these rewards alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from prm_eval.importers.common import flag
from prm_eval.importers.steps.found import BEYOND, REPEATED, Found, Item, LeftOut, StepFormat, Wanted
from prm_eval.importers.steps.reading import every_step, fault, squashed, statement_of, steps_of, whole, wrong_steps
from prm_eval.importers.steps.scores import PROBABILITY, step_scores
from prm_eval.records import Solution, StepLabel
from prm_eval.store.jsonl import Row

CORRECT = "correct"
_VALIDITY = "step_level_validity_scores"


def is_prmbench(row: dict[str, Any]) -> bool:
    """Say whether a first row is of PRMBench."""
    return {"modified_process", "original_process", "error_steps"} <= row.keys()


def is_scores(row: dict[str, Any]) -> bool:
    """Say whether a first row is of scores on PRMBench, without texts."""
    return {"idx", "occurrence", "n_steps", "error_steps", "scores"} <= row.keys()


def items(row: Row, wanted: Wanted) -> Iterator[Item]:
    """Yield the item of a row, and the correct twin that a redundant one has."""
    yield partial(_modified, row, wanted)
    if row.fields.get("classification") == "redundency":
        yield partial(_original, row, wanted)


def _ids(row: Row) -> tuple[str, str]:
    idx, kind = row.required_text("idx"), row.required_text("classification")
    return (idx if idx.startswith(f"{kind}_") else f"{kind}_{idx}"), f"{CORRECT}_{idx.removeprefix(f'{kind}_')}"


def _modified(row: Row, wanted: Wanted) -> Found:
    solution_id, twin = _ids(row)
    statement = statement_of(row, "modified_question")
    steps = steps_of(row, row.fields["modified_process"], "modified_process", wanted)
    label, left, remarks = _label(row, solution_id, len(steps))
    valid = flag(row, row.fields.get("validity"), "validity") is not False
    given = row.fields.get("scores")
    scores = {_VALIDITY: given.get(_VALIDITY) if valid else None} if isinstance(given, dict) else None
    return Found(
        row.path,
        row.number,
        Solution(
            solution_id,
            statement,
            steps,
            problem_id=squashed(statement_of(row, "original_question")),
            group=row.required_text("classification"),
            twin_id=twin,
            remarks=(*remarks, *(() if valid else ("validity=false",))),
        ),
        label,
        step_scores(row, solution_id, scores, "scores", (1,) * len(steps), wanted, PROBABILITY),
        left=left,
    )


def _original(row: Row, wanted: Wanted) -> Found:
    statement = statement_of(row, "original_question")
    steps = steps_of(row, row.fields["original_process"], "original_process", wanted)
    solution = Solution(_ids(row)[1], statement, steps, problem_id=squashed(statement), group=CORRECT)
    return Found(row.path, row.number, solution, every_step([], len(steps), source_label=CORRECT))


def _label(row: Row, solution_id: str, n: int) -> tuple[StepLabel, dict[str, int], Sequence[str]]:
    value = row.fields["error_steps"]
    wrong = wrong_steps(row, solution_id, value, "error_steps", 1)
    beyond = [each + 1 for each in wrong if each >= n]
    label = every_step(wrong, n, source_label=" ".join(map(str, value)) or "none")
    if not beyond:
        return label, {}, ()
    return label, {BEYOND: len(beyond)}, (f"beyond_the_end={' '.join(map(str, beyond))}",)


def score_items(row: Row, wanted: Wanted) -> Iterator[Item]:
    """Yield the stand-in of a row of scores."""
    yield partial(_stand_in, row, wanted)


def _stand_in(row: Row, wanted: Wanted) -> Found | LeftOut:
    if whole(row, row.fields["occurrence"], "occurrence") > 0:
        return LeftOut(REPEATED)
    solution_id, _ = _ids(row)
    n = whole(row, row.fields["n_steps"], "n_steps")
    given = row.fields["scores"]
    if n < 1 or not isinstance(given, list) or len(given) != n:
        shown = f"{len(given)} scores" if isinstance(given, list) else f"scores of type {type(given).__name__}"
        raise fault(row, solution_id, f"{shown} for n_steps = {n}", "one a step, and at least one step")
    problem = row.text("problem_sha256") or solution_id
    label, left, remarks = _label(row, solution_id, n)
    model = row.path.stem
    return Found(
        row.path,
        row.number,
        Solution(
            solution_id,
            f"[problem {problem[:12]}: no text in the source]",
            tuple(f"[step {k + 1} of {solution_id}: no text in the source]" for k in range(n)),
            problem_id=problem,
            group=row.required_text("classification"),
            remarks=tuple(remarks),
        ),
        label,
        step_scores(row, solution_id, {model: given}, "scores", (1,) * n, wanted, PROBABILITY),
        left=left,
        remarks=("the file has no texts: solutions are stand-ins, for these labels and rewards alone",),
    )


PRMBENCH = StepFormat(
    "prmbench",
    "PRMBench (Song et al. 2025), with a correct twin of each redundant item",
    is_prmbench,
    items,
    kind="every_step",
    label_source="rules",
    set_name="prmbench",
    first_of_an_id=True,
    notes=("wrong steps were put in by a language model after rules, and checked by people",),
)
PRMBENCH_SCORES = StepFormat(
    "prmbench_scores",
    "step scores on PRMBench without its texts",
    is_scores,
    score_items,
    kind="every_step",
    label_source="rules",
    first_of_an_id=True,
)
