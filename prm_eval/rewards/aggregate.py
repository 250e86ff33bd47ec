"""Step aggregation: step rewards to one reward (Lightman et al. 2023 section 2.6 and appendix F.2: product, minimum)."""

from __future__ import annotations

import math
from collections.abc import Sequence

from prm_eval.errors import PrmEvalError
from prm_eval.records import AGGREGATIONS, Aggregation, ScoreType

LEAST_WEIGHT = 1e-300
SOFT_MIN_TEMPERATURE = 0.1  # PURE (jinachris/PURE): sum of softmax(-r/T) r over r in [-1, 1]


def aggregate(values: Sequence[float], aggregation: Aggregation, score_type: ScoreType) -> tuple[float, float]:
    """Return (reward, weight): the number candidates are ranked by, and their weight in a weighted majority vote.

    Args:
        values: One number a step, at least one, finite.
        aggregation: How steps become one number. Log-odds are turned into probabilities first, except where only the
            order matters; a product of log-odds is ranked by its logarithm, so that long solutions do not underflow
            into ties.
        score_type: See :data:`prm_eval.records.ScoreType`. Weights are probabilities for "logodds", the number clipped
            to [0, 1] for "value", and its sigmoid for "raw".

    Raises:
        PrmEvalError: No values, a value that is not finite, or an unknown aggregation.
    """
    if not values:
        raise PrmEvalError("no step rewards to aggregate")
    if not all(map(math.isfinite, values)):
        raise PrmEvalError("a step reward that is not finite")
    if aggregation not in AGGREGATIONS:
        raise PrmEvalError(f"unknown aggregation {aggregation!r}; expected one of {', '.join(AGGREGATIONS)}")
    try:
        reward, weight = _aggregate(values, aggregation, score_type)
    except OverflowError:
        reward = weight = math.inf
    if not (math.isfinite(reward) and math.isfinite(weight)):
        raise PrmEvalError(f"the {aggregation} of step rewards as large as {max(map(abs, values)):g} is not finite")
    return reward, weight


def _aggregate(values: Sequence[float], aggregation: Aggregation, score_type: ScoreType) -> tuple[float, float]:
    if score_type == "logodds":
        return _of_logodds(values, aggregation)
    reward = _of_numbers(values, aggregation)
    return reward, _weight(sigmoid(reward) if score_type == "raw" else reward)


def _of_logodds(values: Sequence[float], aggregation: Aggregation) -> tuple[float, float]:
    if aggregation == "prod":
        log_product = math.fsum(log_sigmoid(value) for value in values)
        return log_product, _weight(math.exp(log_product))
    if aggregation in ("min", "last"):
        chosen = min(values) if aggregation == "min" else values[-1]
        return chosen, _weight(sigmoid(chosen))
    probability = _of_numbers([sigmoid(value) for value in values], aggregation)
    return probability, _weight(probability)


def _weight(probability: float) -> float:
    """Return a voting weight: never quite 0, or a candidate drawn alone would not be chosen and wmaj@1 not be the mean."""
    return min(1.0, max(LEAST_WEIGHT, probability))


def _of_numbers(values: Sequence[float], aggregation: Aggregation) -> float:
    if aggregation == "prod":
        return math.prod(values)
    if aggregation == "min":
        return min(values)
    if aggregation == "mean":
        return math.fsum(values) / len(values)
    if aggregation == "last":
        return values[-1]
    signed = [2 * value - 1 for value in values]
    least = min(signed)
    weights = [math.exp((least - value) / SOFT_MIN_TEMPERATURE) for value in signed]
    soft = math.fsum(w * v for w, v in zip(weights, signed, strict=True)) / math.fsum(weights)
    return (soft + 1) / 2


def sigmoid(x: float) -> float:
    """Return 1 / (1 + exp(-x)) without overflow."""
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))


def log_sigmoid(x: float) -> float:
    """Return log(sigmoid(x)) without underflow."""
    return -math.log1p(math.exp(-x)) if x >= 0 else x - math.log1p(math.exp(x))


def logit(p: float) -> float:
    """Return log(p / (1 - p)) for 0 < p < 1."""
    return math.log(p) - math.log1p(-p)
