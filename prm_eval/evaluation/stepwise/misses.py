"""The solutions that a row gets most wrong, with the human mark beside each score."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from prm_eval.evaluation.stepwise.arrays import NO_ERROR, UNKNOWN, SetArrays
from prm_eval.evaluation.stepwise.locating import predictions
from prm_eval.evaluation.stepwise.scores import NOT_SCORED, StepScores
from prm_eval.evaluation.stepwise.thresholds import Threshold
from prm_eval.records import Solution

MARKS = {1: "good", 0: "neutral", -1: "bad", UNKNOWN: ""}


@dataclass(frozen=True)
class MarkedStep:
    """One step of a solution: its text, its label in a word, its score, and whether the score calls it wrong."""

    text: str
    mark: str
    score: float | None
    called_wrong: bool


@dataclass(frozen=True)
class Miss:
    """A solution that is judged wrongly.

    Attributes:
        row: Its place in the set.
        solution_id: Its id.
        statement: The problem.
        steps: The steps.
        first_error: The first wrong step by the label, -1 for none.
        predicted: The first wrong step by the row, -1 for none.
        by: How far the score that decides lies on the wrong side of the threshold.
    """

    row: int
    solution_id: str
    statement: str
    steps: tuple[MarkedStep, ...]
    first_error: int
    predicted: int
    by: float

    @property
    def words(self) -> str:
        """What is wrong, in words; steps are counted from 1."""
        truth = "no step is wrong" if self.first_error == NO_ERROR else f"step {self.first_error + 1} is wrong"
        said = "none was found" if self.predicted == NO_ERROR else f"step {self.predicted + 1} was called wrong"
        return f"{truth}, {said}"


def marked(
    solution: Solution, row: int, scores: StepScores, arrays: SetArrays, threshold: float
) -> tuple[MarkedStep, ...]:
    """Return the steps of a solution with their marks and scores."""
    start = int(arrays.starts[row])
    steps = []
    for index, text in enumerate(solution.steps):
        value = float(scores.values[start + index])
        there = np.isfinite(value)
        mark = MARKS[int(arrays.ratings[start + index])]
        steps.append(MarkedStep(text, mark, value if there else None, bool(there and value < threshold)))
    return tuple(steps)


def worst_misses(
    scores: StepScores,
    arrays: SetArrays,
    threshold: Threshold,
    solutions: Sequence[Solution],
    most: int = 3,
    *,
    strict: bool = False,
) -> list[Miss]:
    """Return the solutions that are judged wrongly by the largest margin, the worst first.

    The margin is how far the score of a wrong step that was called right lies above the threshold, or that of a right
    step that was called wrong below it. A critic has no scores, and none is shown.
    """
    if scores.predictions is not None:
        return []
    said = predictions(scores, arrays, threshold.value, strict=strict)
    known = (arrays.wrong | arrays.clean) & (said != NOT_SCORED) & (said != arrays.first_error)
    early = (said >= 0) & ((said < arrays.first_error) | arrays.clean)
    at = np.where(early, said, arrays.first_error)
    values = scores.values[arrays.starts + np.clip(at, 0, None)]
    margin = np.where(known, np.abs(values - threshold.value), -np.inf)
    found = []
    for row in np.argsort(-margin, kind="stable")[:most]:
        if not known[row]:
            break
        solution = solutions[int(row)]
        found.append(
            Miss(
                int(row),
                solution.solution_id,
                solution.statement,
                marked(solution, int(row), scores, arrays, threshold.value),
                int(arrays.first_error[row]),
                int(said[row]),
                float(margin[row]),
            )
        )
    return found
