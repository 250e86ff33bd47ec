"""Solutions whose labels are known, to try labellers on: of a step set, or of a file that can be imported as one."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from prm_eval.errors import PrmEvalError
from prm_eval.records import Rating
from prm_eval.stepsets.format import LabelSource
from prm_eval.stepsets.step_set import StepSet, is_step_set


@dataclass(frozen=True)
class Known:
    """A solution with its known label.

    Attributes:
        solution_id: Its id.
        statement: Its problem.
        steps: Its steps.
        first_error: The first wrong step, -1 for none.
        ratings: Of the steps, where there are any.
        made_by: Who made the label, as the set says; "unknown" where nobody says.
    """

    solution_id: str
    statement: str
    steps: tuple[str, ...]
    first_error: int
    ratings: tuple[Rating | None, ...] | None
    made_by: LabelSource = "unknown"


def read_known(path: Path) -> list[Known]:
    """Return the solutions of a step set, or of a file of labelled steps, whose first wrong step is known.

    Raises:
        PrmEvalError: There is none, or a model made the labels: people would be measured by its errors.
    """
    if is_step_set(path):
        return _of_set(StepSet(path), path)
    from prm_eval.importers.steps import import_step_set

    with tempfile.TemporaryDirectory() as folder:
        return _of_set(import_step_set(path, Path(folder) / "set").step_set, path)


def _of_set(step_set: StepSet, path: Path) -> list[Known]:
    if step_set.info.made_by_a_model:
        raise PrmEvalError(f"{path}: labels by {step_set.info.label_source}; people are tried on labels that are known")
    source = step_set.info.label_source
    kept = [
        Known(solution.solution_id, solution.statement, solution.steps, label.first_error, label.ratings, source)
        for solution, label in zip(step_set.solutions, step_set.labels, strict=True)
        if label.first_error is not None
    ]
    if not kept:
        raise PrmEvalError(f"{path}: no solution of which the first wrong step is known")
    return kept
