"""Limits over a few training seeds. Each test says what would be wrong if it failed."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import t

from prm_eval.evaluation.stats import seed_weights


def limits(means: np.ndarray, count: int = 20_000) -> tuple[float, float]:
    low, high = np.quantile(seed_weights(len(means), count) @ means, [0.025, 0.975])
    return float(low), float(high)


@pytest.mark.parametrize("seeds", [2, 3, 5])
def test_limits_are_those_of_student(seeds) -> None:
    """Three seeds drawn with replacement give their least and greatest, which miss the mean a quarter of the time."""
    means = np.random.default_rng(seeds).standard_normal(seeds)
    margin = t.ppf(0.975, seeds - 1) * means.std(ddof=1) / np.sqrt(seeds)
    low, high = limits(means, 200_000)
    assert (low, high) == pytest.approx((means.mean() - margin, means.mean() + margin), abs=0.06 * margin)


def test_the_limits_hold_the_mean_as_often_as_they_say() -> None:
    """95 % limits that hold it three times in four would make a result of noise."""
    draws = np.random.default_rng(0).standard_normal((1_000, 3))
    weights = seed_weights(3, 4_000)
    low, high = np.quantile(draws @ weights.T, [0.025, 0.975], axis=1)
    assert 0.93 < np.mean((low < 0) & (high > 0)) < 0.97


def test_several_statistics_vary_together() -> None:
    """A difference would vary although it is the same in every seed."""
    one = np.array([0.1, 0.5, 0.3])
    weights = seed_weights(3, 500)
    assert (weights @ (one + 0.2)) - (weights @ one) == pytest.approx(np.full(500, 0.2))
    assert weights.sum(axis=1) == pytest.approx(np.ones(500))


def test_one_seed_says_nothing_of_others() -> None:
    """Its limits are those over problems alone."""
    assert (seed_weights(1, 7) == 1).all()
