"""Apply a step aggregation to the step rewards of many candidates at once, or of one.

The aggregations and their formulas are in :mod:`prm_eval.rewards.aggregations`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from prm_eval.errors import PrmEvalError
from prm_eval.records import ScoreType
from prm_eval.rewards.aggregations import AGGREGATIONS, Aggregation, Rule, Steps, Transform

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

LEAST_WEIGHT = 1e-300
# log-odds are taken of step probabilities of at least this and at most 1 minus this: rounding makes 0 and 1 of some
LEAST_PROBABILITY = 1e-12


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
