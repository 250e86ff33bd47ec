"""The comparison of two runs of one reward model: step by step, in units that do not depend on the submission."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from prm_eval.records import LOG_ODDS, ScoreType, StepRewards
from prm_eval.rewards.aggregate import as_probability, sigmoid

# Near 0 and 1 probabilities hide differences that a product of steps shows: so log-odds count too, with less weight.
LOGODDS_SHARE = 0.02
# beyond this a probability is 0 or 1 to double precision, and further differences of log-odds mean nothing
LOOSE_LOGODDS = 30.0
# standard deviations between the quartiles of a normal distribution
NORMAL_QUARTERS = 1.349
# candidates that are listed as differing most
WORST = 20


@dataclass(frozen=True)
class Scored:
    """One candidate, as submitted and as scored again.

    Attributes:
        row: 1-based row of ``rewards.parquet``.
        problem: The 0-based number of its problem.
        slot: Its slot.
        problem_id: The candidate's problem.
        candidate_id: The candidate's id.
        submitted: The result that was submitted.
        again: The result of the verifier's run.
    """

    row: int
    problem: int
    slot: int
    problem_id: str
    candidate_id: str
    submitted: StepRewards
    again: StepRewards


@dataclass(frozen=True)
class Compared:
    """The difference of one candidate between two runs.

    Attributes:
        row: 1-based row of ``rewards.parquet``.
        problem_id: The candidate's problem.
        candidate_id: The candidate's id.
        difference: The largest difference of a step; infinity where only one of the two is a refusal, or the numbers of
            steps differ.
        mean: The mean difference over its steps; None where the largest is infinite or there are no steps.
        same_input: Whether the rendered inputs are the same; None where one of the two results has none.
    """

    row: int
    problem_id: str
    candidate_id: str
    difference: float
    mean: float | None
    same_input: bool | None


def compare(scored: Iterable[Scored], score_type: ScoreType, spread: float) -> Iterator[Compared]:
    """Yield the difference of each candidate; ``spread`` is the unit of raw numbers (:func:`spread_of`)."""
    for each in scored:
        hashes = (each.submitted.input_hash, each.again.input_hash)
        same = None if None in hashes else hashes[0] == hashes[1]
        found = differences(each.submitted, each.again, score_type, spread)
        largest = max(found, default=0.0)
        mean = math.fsum(found) / len(found) if found and math.isfinite(largest) else None
        yield Compared(each.row, each.problem_id, each.candidate_id, largest, mean, same)


def differences(one: StepRewards, other: StepRewards, score_type: ScoreType, spread: float = 1.0) -> list[float]:
    """Return the differences of two results for one candidate, step by step, on the scale of the tolerances.

    The only one is infinity where just one of the results is a refusal, or the numbers of steps differ; there is none
    where both are refusals.
    """
    if one.refusal is not None or other.refusal is not None:
        return [] if one.refusal is not None and other.refusal is not None else [math.inf]
    if len(one.values) != len(other.values):
        return [math.inf]
    return [_step_difference(a, b, score_type, spread) for a, b in zip(one.values, other.values, strict=True)]


def _step_difference(a: float, b: float, score_type: ScoreType, spread: float) -> float:
    if score_type not in LOG_ODDS:
        return abs(as_probability(a, score_type) - as_probability(b, score_type)) / spread
    # -12 and -1000 still differ
    a, b = (max(-LOOSE_LOGODDS, min(LOOSE_LOGODDS, each)) for each in (a, b))
    return max(abs(sigmoid(a) - sigmoid(b)), LOGODDS_SHARE * abs(a - b))


def spread_of(values: Sequence[float]) -> float:
    """Return the unit in which raw numbers are compared: their standard deviation, or less if there are outliers.

    Args:
        values: The rewards that the verifier got. With submitted rewards, their author would choose the unit.
    """
    if not values:
        return 1.0
    quarters = np.percentile(values, [25, 75])
    units = (float(np.std(values)), float(quarters[1] - quarters[0]) / NORMAL_QUARTERS)
    return min((each for each in units if each > 0 and math.isfinite(each)), default=1.0)


def mean_of(compared: Sequence[Compared]) -> float | None:
    """Return the mean over candidates of the mean difference of their steps; None where none has one."""
    means = [each.mean for each in compared if each.mean is not None]
    return math.fsum(means) / len(means) if means else None


def worst_of(compared: Sequence[Compared]) -> list[dict[str, Any]]:
    """Return the candidates that differ most, in the form of ``verification.json``."""
    worst = sorted(compared, key=lambda each: (-each.difference, each.row))[:WORST]
    return [
        {
            "row": each.row,
            "problem_id": each.problem_id,
            "candidate_id": each.candidate_id,
            "difference": each.difference if math.isfinite(each.difference) else None,
        }
        for each in worst
        if each.difference > 0
    ]
