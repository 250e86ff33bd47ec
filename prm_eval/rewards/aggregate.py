"""Apply a step aggregation to the step rewards of many candidates at once, or of one.

The aggregations and their formulas are in :mod:`prm_eval.rewards.aggregations`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from prm_eval.errors import PrmEvalError
from prm_eval.records import ScoreType
from prm_eval.rewards.aggregations import AGGREGATIONS, Aggregation, Rule, Transform

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

LEAST_WEIGHT = 1e-300
# log-odds are taken of step probabilities of at least this and at most 1 minus this: rounding makes 0 and 1 of some
LEAST_PROBABILITY = 1e-12


@dataclass(frozen=True)
class Steps:
    """The step rewards of candidates, one candidate after the other.

    Attributes:
        values: All step rewards.
        counts: The number of steps of each candidate, at least one.
    """

    values: Floats
    counts: Ints

    @cached_property
    def starts(self) -> Ints:
        """The index at which the values of each candidate begin."""
        result: Ints = np.cumsum(self.counts) - self.counts
        return result

    def minimum(self) -> Floats:
        """Return the lowest step of each candidate."""
        return np.minimum.reduceat(self.values, self.starts)

    def maximum(self) -> Floats:
        """Return the highest step of each candidate."""
        return np.maximum.reduceat(self.values, self.starts)

    def last(self) -> Floats:
        """Return the last step of each candidate."""
        result: Floats = self.values[self.starts + self.counts - 1]
        return result

    def total(self) -> Floats:
        """Return the sum of each candidate's steps, compensated (Knuth's two-sum).

        The sum does not depend on the order of the steps: candidates with the same step rewards in another order tie.
        """
        result = np.empty(len(self.counts))
        for rows, table in self._by_count():
            total, lost = np.zeros(len(rows)), np.zeros(len(rows))
            for column in table.T:
                following = total + column
                back = following - total
                error = (total - (following - back)) + (column - back)
                lost += np.where(np.isfinite(following), error, 0.0)  # an infinite sum has no rounding error
                total = following
            result[rows] = total + lost
        return result

    def mean(self) -> Floats:
        """Return the mean of each candidate's steps."""
        return self.total() / self.counts

    def product(self) -> Floats:
        """Return the product of each candidate's steps, in their order."""
        result = np.ones(len(self.counts))
        for rows, table in self._by_count():
            for column in table.T:
                result[rows] = result[rows] * column
        return result

    def soft_minimum(self, temperature: float) -> Floats:
        """Return the mean of p on [-1, 1], weighted by the softmin at a temperature, mapped back to [0, 1]."""
        signed = 2 * self.values - 1
        least = np.repeat(np.minimum.reduceat(signed, self.starts), self.counts)
        weights = np.exp((least - signed) / temperature)
        return (Steps(weights * signed, self.counts).total() / Steps(weights, self.counts).total() + 1) / 2

    def _by_count(self) -> Iterator[tuple[Ints, Floats]]:
        """Yield (candidates, (candidates, count) values) for each number of steps that occurs."""
        order = np.argsort(self.counts, kind="stable")
        bounds = np.flatnonzero(np.diff(self.counts[order], prepend=-1, append=-1))
        for first, last in pairwise(bounds):
            rows = order[first:last]
            yield rows, self.values[self.starts[rows][:, None] + np.arange(self.counts[rows[0]])]


def aggregate(values: Sequence[float], aggregation: Aggregation, score_type: ScoreType) -> tuple[float, float]:
    """Return the (reward, weight) of one candidate; :func:`aggregate_all` says what they are.

    Raises:
        PrmEvalError: There are no values, or :func:`aggregate_all` refuses them.
    """
    if not len(values):
        raise PrmEvalError("no step rewards to aggregate")
    numbers = np.asarray(values, dtype=np.float64)
    rewards, weights = aggregate_all(numbers, np.array([len(numbers)]), aggregation, score_type)
    return float(rewards[0]), float(weights[0])


def aggregate_lists(
    lists: Sequence[Sequence[float] | None], aggregation: Aggregation, score_type: ScoreType
) -> tuple[Floats, Floats]:
    """Return the (rewards, weights) of candidates whose step rewards are lists; NaN for None and an empty list."""
    flat = np.array([value for values in lists for value in values or ()], dtype=np.float64)
    return aggregate_all(
        flat, np.array([len(values or ()) for values in lists], dtype=np.int64), aggregation, score_type
    )


def aggregate_all(
    values: Floats, counts: Ints, aggregation: Aggregation, score_type: ScoreType
) -> tuple[Floats, Floats]:
    """Return the (rewards, weights) of candidates: what they are ranked by, and their weights in a majority vote.

    Args:
        values: The step rewards of all candidates, one candidate after the other, finite.
        counts: The number of steps of each candidate; 0 where the model refused it, which gives NaN for both numbers.
        aggregation: A name of :data:`~prm_eval.rewards.aggregations.AGGREGATIONS`.
        score_type: See :data:`prm_eval.records.ScoreType`. Weights are probabilities for "logodds", the reward clipped
            to [0, 1] for "value", and the sigmoid of the reward for "raw".

    Raises:
        PrmEvalError: The aggregation is unknown or not defined for these numbers, or a value or an aggregate is not
            finite.
    """
    rule = rule_of(aggregation)
    scored = counts > 0
    rewards, weights = np.full(len(counts), np.nan), np.full(len(counts), np.nan)
    if not scored.any():
        return rewards, weights
    if not np.isfinite(values).all():
        raise PrmEvalError("a step reward that is not finite")
    _require_defined(rule, aggregation, values, score_type)
    with np.errstate(over="ignore", invalid="ignore", under="ignore", divide="ignore"):
        found, probability = _apply(rule, Steps(values, counts[scored]), score_type)
    if not (np.isfinite(found).all() and np.isfinite(probability).all()):
        raise PrmEvalError(f"the {aggregation} of step rewards as large as {np.abs(values).max():g} is not finite")
    rewards[scored] = found
    # never quite 0: a candidate that is drawn alone must be chosen, so that wmaj@1 is the mean
    weights[scored] = np.clip(probability, LEAST_WEIGHT, 1.0)
    return rewards, weights


def rule_of(aggregation: str) -> Rule:
    """Return a step aggregation by name.

    Raises:
        PrmEvalError: There is no aggregation of that name.
    """
    for name, rule in AGGREGATIONS.items():
        if name == aggregation:
            return rule
    raise PrmEvalError(f"unknown aggregation {aggregation!r}; expected one of {', '.join(AGGREGATIONS)}")


def _require_defined(rule: Rule, aggregation: str, values: Floats, score_type: ScoreType) -> None:
    if score_type not in rule.takes:
        raise PrmEvalError(f"{aggregation} is of probabilities; these rewards are {score_type} numbers")
    if score_type == "value" and "raw" not in rule.takes:
        outside = values[(values < 0) | (values > 1)]
        if len(outside):
            raise PrmEvalError(f"{aggregation} is of probabilities; found the step reward {outside[0]:g}")


def _apply(rule: Rule, steps: Steps, score_type: ScoreType) -> tuple[Floats, Floats]:
    """Return the reward and the probability of each candidate that was scored."""
    way = rule.logodds if score_type == "logodds" else rule.numbers
    combined = way.combine(Steps(_TRANSFORMS[way.before](steps.values), steps.counts))
    after = _TRANSFORMS[way.after](combined)
    if score_type == "logodds":
        return combined, after
    return after, _sigmoid(after) if score_type == "raw" else after


def _sigmoid(x: Floats) -> Floats:
    small = np.exp(-np.abs(x))
    result: Floats = np.where(x >= 0, 1 / (1 + small), small / (1 + small))
    return result


def _log_sigmoid(x: Floats) -> Floats:
    result: Floats = np.minimum(x, 0.0) - np.log1p(np.exp(-np.abs(x)))
    return result


def _logit(p: Floats) -> Floats:
    inside = np.clip(p, LEAST_PROBABILITY, 1 - LEAST_PROBABILITY)
    result: Floats = np.log(inside) - np.log1p(-inside)
    return result


_TRANSFORMS: dict[Transform, Callable[[Floats], Floats]] = {
    "same": lambda x: x,
    "sigmoid": _sigmoid,
    "logit": _logit,
    "log": np.log,
    "exp": np.exp,
    "log_sigmoid": _log_sigmoid,
}
"""The function on arrays of each name in :data:`~prm_eval.rewards.aggregations.Transform`."""


def sigmoid(x: float) -> float:
    """Return 1 / (1 + exp(-x)) without overflow."""
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))


def logit(p: float) -> float:
    """Return log(p / (1 - p)) for 0 < p < 1."""
    return math.log(p) - math.log1p(-p)
