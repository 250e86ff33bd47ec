"""Ranks of a board: ranges that hold all at once, and are not idle."""

from __future__ import annotations

import math

import numpy as np
import pytest

from prm_eval.evaluation.stats import ClusterBootstrap, holm, rank_ranges, sign_flip_p, sign_flip_ps, told_apart


def simulated(run: int, truths: np.ndarray, problems: int, smooth: bool) -> np.ndarray:
    """Return (problems, models) accuracies e_p with these true means: common difficulty, own luck."""
    from scipy.stats import norm

    generator = np.random.default_rng([5, run])
    latent = generator.normal(0, 1.5, (problems, 1)) + generator.normal(0, 0.7, (problems, len(truths)))
    spread = math.sqrt(1.5**2 + 0.7**2 + (0.64 if smooth else 0.0))
    shifted = latent + norm.ppf(truths) * spread
    return norm.cdf(shifted / 0.8) if smooth else (shifted > 0).astype(float)


@pytest.mark.parametrize(
    ("problems", "truths", "smooth"),
    [
        (500, [0.70, 0.70, 0.70, 0.69, 0.68, 0.66, 0.66, 0.60, 0.60, 0.60, 0.50, 0.50], True),
        (500, [0.60] * 12, False),
        (60, [0.95, 0.90, 0.90, 0.88, 0.80, 0.80], False),
    ],
    ids=["close", "equal", "small"],
)
def test_rank_ranges_hold_all_at_once(problems, truths, smooth) -> None:
    """200 boards: in at least 95 % of them (less three standard errors, 90.4 %) no range misses a true rank.

    A true rank among equals is all the ranks they share, and the range must hold them all.
    """
    true = np.array(truths)
    best = 1 + (true[None] > true[:, None]).sum(axis=1)
    worst = len(true) - (true[None] < true[:, None]).sum(axis=1)
    hits = 0
    for run in range(200):
        values = simulated(run, true, problems, smooth)
        bootstrap = ClusterBootstrap(problems, seed=run, resamples=500)
        ranges = np.array(rank_ranges(values, bootstrap.means(values), bootstrap))
        hits += ((ranges[:, 0] <= best) & (ranges[:, 1] >= worst)).all()
    assert hits / 200 >= 0.904


def test_rank_ranges_are_not_idle() -> None:
    """What differs clearly is told apart, in 200 boards of 200; and one range may be narrow while others are wide."""
    true = np.array([0.8, 0.6, 0.6, 0.4])
    for run in range(200):
        values = simulated(run, true, 500, True)
        bootstrap = ClusterBootstrap(500, seed=run, resamples=500)
        ranges = rank_ranges(values, bootstrap.means(values), bootstrap)
        assert ranges[0] == (1, 1) and ranges[3] == (4, 4)


def test_ranks_of_the_degenerate() -> None:
    """Equal on every problem: not told apart. Better on every problem by the same: told apart if the problems are
    many."""
    base = np.random.default_rng(0).random(40) / 2
    values = np.stack([base, base, base + 0.25], axis=1)
    bootstrap = ClusterBootstrap(40, seed=0, resamples=400)
    assert rank_ranges(values, bootstrap.means(values), bootstrap) == [(2, 3), (2, 3), (1, 1)]
    few = ClusterBootstrap(3, seed=0, resamples=400)
    assert rank_ranges(values[:3], few.means(values[:3]), few) == [(1, 3)] * 3
    assert not told_apart(values[:1], values[:1]).any()


def test_holm_by_hand() -> None:
    assert holm(np.array([0.01, 0.04, 0.03, 0.005])) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm(np.array([0.9, 0.8])).tolist() == [1.0, 1.0]


def test_many_sign_flips_agree_with_one() -> None:
    generator = np.random.default_rng(2)
    differences = generator.normal(0.05, 0.4, (80, 4))
    differences[:, 3] = 0
    together = sign_flip_ps(differences, seed=1, resamples=20_000)
    alone = [sign_flip_p(column, seed=1, resamples=20_000) for column in differences.T]
    assert together == pytest.approx(alone, abs=0.02) and together[3] == 1.0
