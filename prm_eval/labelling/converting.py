"""Labels of a pool in others' formats: Math-Shepherd's rows, and openr's (MATH-APS) beginnings with their shares.

What these formats cannot say is not made up. Both want something of every step, so a solution ends, for them, with its
last step that is known: after a first wrong step nothing may be. Math-Shepherd knows right and wrong, so a neutral step
is right (as in the paper); it numbers steps ("Step 1: ..."), in place of numbers of the step's own. openr has shares of
completions, so labels that are no shares are refused. ``prm-eval steps import`` reads both back.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prm_eval.errors import DataError, PrmEvalError
from prm_eval.importers.steps.rollouts import TAG
from prm_eval.pools.pool import Pool
from prm_eval.rewards.inputs.renderer import numbered
from prm_eval.stepsets.label_file import ROWS, LabelFile, Labelled
from prm_eval.store.writing import replacing

# where the first step begins, for whoever reads such rows
_OPENING = re.compile(r"\bStep 1:")
BETWEEN = "\n\n"


@dataclass(frozen=True)
class Converted:
    """What was written.

    Attributes:
        path: The file.
        rows: Solutions in it.
        shortened: Those of them that end with their last known step, before their own end.
        unknown: Solutions that were left out because nothing is known of their first step.
    """

    path: Path
    rows: int
    shortened: int
    unknown: int


def convert_labels(pool: Pool, labels: LabelFile, form: str, path: Path) -> Converted:
    """Write labels as JSON lines of another format.

    Args:
        pool: The pool.
        labels: Labels of it.
        form: One of :data:`FORMS`.
        path: The file to write.

    Raises:
        DataError: A text holds what the format uses as a mark, or the labels are of another pool.
        PrmEvalError: The format cannot hold these labels, or the file exists.
    """
    if form not in FORMS:
        raise PrmEvalError(f"unknown format {form!r}; expected one of {', '.join(FORMS)}")
    if path.exists():
        raise PrmEvalError(f"{path} exists. Give another name, or remove it first.")
    if form == "openr" and labels.info.labels != "soft":
        raise PrmEvalError(
            f"openr's rows hold the share of right completions of each step; {labels.folder} has labels of the kind "
            f"{labels.info.labels!r}. Convert them to math-shepherd, or label by rollouts"
        )
    rows = shortened = unknown = 0
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as stream:
        for number, each in enumerate(labels.labelled(pool), 1):
            known = _known(each)
            if not known:
                unknown += 1
                continue
            shortened += known < len(each.steps)
            fields = FORMS[form](each, known, _Place(labels.folder / ROWS, number), pool)
            # these formats are those of rollouts: whoever reads labels by others as such would take them for measured
            fields["label_source"] = labels.info.source
            stream.write(json.dumps(fields, ensure_ascii=False).encode() + b"\n")
            rows += 1
        if not rows:
            raise PrmEvalError(f"{labels.folder}: nothing is known of any step; there is no row to write")
    return Converted(path, rows, shortened, unknown)


@dataclass(frozen=True)
class _Place:
    """A row of a file of labels, for faults."""

    path: Path
    number: int

    def fault(self, found: str, expected: str) -> DataError:
        return DataError(self.path, self.number, found, expected, "Convert to a step set instead: --to stepset")


def _known(each: Labelled) -> int:
    """Return how many steps come before the first one without a rating."""
    ratings = each.label.ratings or ()
    return next((at for at, rating in enumerate(ratings) if rating is None), len(ratings))


def _math_shepherd(each: Labelled, known: int, place: _Place, pool: Pool) -> dict[str, Any]:
    statement = each.problem.statement.strip()
    steps = [numbered(step, k) for k, step in enumerate(each.steps[:known], 1)]
    if not statement or _OPENING.search(statement):
        raise place.fault('an empty statement, or one with "Step 1:" in it', "one that ends before the first step")
    for k, step in enumerate(steps, 1):
        if TAG in step or TAG in statement:
            raise place.fault(f"{TAG!r}, Math-Shepherd's tag, in step {k} or the statement", "texts without it")
    ratings = (each.label.ratings or ())[:known]
    signs = ["-" if rating == -1 else "+" for rating in ratings]
    return {
        "id": f"{each.candidate.problem_id}#{each.candidate.slot}",
        "input": f"{statement} " + "\n".join(f"{step} {TAG}" for step in steps),
        "label": f"{statement} " + "\n".join(f"{step} {sign}" for step, sign in zip(steps, signs, strict=True)),
        "task": str(pool.info.problem_set.get("name") or pool.path.name),
    }


def _openr(each: Labelled, known: int, place: _Place, pool: Pool) -> dict[str, Any]:
    statement = each.problem.statement
    if not statement.strip():
        raise place.fault("an empty statement", "a text")
    text, nodes = statement, []
    for step, share in zip(each.steps[:known], (each.label.soft or ())[:known], strict=True):
        if not step.strip():
            raise place.fault("an empty step", "a text")
        text += BETWEEN + step
        nodes.append({"solution_prefix": text, "mc_value": share})
    gold = {} if each.problem.gold is None else {"final_answer": each.problem.gold}
    return {"question": statement, **gold, "reasoning_steps": nodes}


FORMS: dict[str, Callable[[Labelled, int, _Place, Pool], dict[str, Any]]] = {
    "math-shepherd": _math_shepherd,
    "openr": _openr,
}
"""How a labelled solution is written, by format."""
