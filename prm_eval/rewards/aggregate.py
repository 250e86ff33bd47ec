"""Apply a step aggregation to the step rewards of many candidates at once, or of one.

The aggregations and their formulas are in :mod:`prm_eval.rewards.aggregations`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from prm_eval.errors import PrmEvalError
from prm_eval.records import LOG_ODDS, ScoreType
from prm_eval.rewards.aggregations import AGGREGATIONS, Aggregation, Rule, Steps, Transform

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

LEAST_WEIGHT = 1e-300
# log-odds are taken of step probabilities of at least this and at most 1 minus this: rounding makes 0 and 1 of some
LEAST_PROBABILITY = 1e-12
# a probability that was added up or kept in single precision may be outside [0, 1] by so much
ROUNDING = 1e-6
NEAR = (-0.5, 1.5)


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
        score_type: See :data:`prm_eval.records.ScoreType`. Weights are probabilities: of log-odds by the sigmoid, of
            probabilities and percentages as they are, of "value" the reward clipped to [0, 1], and of "raw" the sigmoid
            of the reward, for want of better. Percentages are divided by 100 first.

    Raises:
        PrmEvalError: The aggregation is unknown or not defined for these numbers, a number is not what its score type
            says, or a value or an aggregate is not finite.
    """
    rule = rule_of(aggregation)
    scored = counts > 0
    rewards, weights = np.full(len(counts), np.nan), np.full(len(counts), np.nan)
    if not scored.any():
        return rewards, weights
    if not np.isfinite(values).all():
        raise PrmEvalError("a step reward that is not finite")
    if score_type not in rule.takes:
        raise PrmEvalError(f"{aggregation} is of probabilities; these rewards are {score_type} numbers")
    if score_type == "percent":
        values = values / 100
    if score_type not in LOG_ODDS:
        values = _within(rule, aggregation, values, score_type)
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


def _within(rule: Rule, aggregation: str, values: Floats, score_type: ScoreType) -> Floats:
    """Return numbers, rounded into [0, 1] where they are said to be probabilities or are multiplied as such.

    Raises:
        PrmEvalError: One of them is outside [0, 1] by more than rounding.
    """
    said = score_type in ("probability", "percent")
    if not (said or rule.within):
        return values
    outside = values[(values < -ROUNDING) | (values > 1 + ROUNDING)]
    if not len(outside):
        return np.clip(values, 0.0, 1.0)
    if said:
        shown, word = (100 * outside, "percent") if score_type == "percent" else (outside, "a probability")
        raise PrmEvalError(f"found the step reward {shown[0]:g}, declared as {word}; {_declare(shown)}, or raw")
    ways = [_declare(outside), "take an aggregation that does not multiply, such as min or last"]
    if NEAR[0] <= outside.min() and outside.max() <= NEAR[1]:
        # a head that was trained on 0 and 1 leaves [0, 1] by a little: no other scale
        ways.reverse()
    raise PrmEvalError(
        f"{aggregation} is of probabilities; found the step reward {outside[0]:g}, outside [0, 1]; {', or '.join(ways)}"
    )


def _declare(outside: Floats) -> str:
    """Return what numbers outside [0, 1] may be, as the option that says so, the likeliest first."""
    if (outside < 0).any() or (outside > 100).any():
        return "say what these numbers are: --score-type logit (log-odds)"
    return "say what these numbers are: --score-type percent, or logit (log-odds)"


def _apply(rule: Rule, steps: Steps, score_type: ScoreType) -> tuple[Floats, Floats]:
    """Return the reward and the probability of each candidate that was scored."""
    way = rule.logodds if score_type in LOG_ODDS else rule.numbers
    combined = way.combine(Steps(_TRANSFORMS[way.before](steps.values), steps.counts))
    after = _TRANSFORMS[way.after](combined)
    if score_type in LOG_ODDS:
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


def as_probability(reward: float, score_type: ScoreType) -> float:
    """Return one step reward as the probability that its score type says it is; a raw number as it is."""
    return float(as_probabilities(np.array([reward], dtype=np.float64), score_type)[0])


def as_probabilities(rewards: Floats, score_type: ScoreType) -> Floats:
    """Return step rewards as :func:`as_probability` does, all at once."""
    if score_type in LOG_ODDS:
        return _sigmoid(rewards)
    return rewards / 100 if score_type == "percent" else rewards


def sigmoid(x: float) -> float:
    """Return 1 / (1 + exp(-x)) without overflow."""
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))


def logit(p: float) -> float:
    """Return log(p / (1 - p)) for 0 < p < 1."""
    return math.log(p) - math.log1p(-p)
