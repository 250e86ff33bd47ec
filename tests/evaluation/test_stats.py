"""Intervals that do not cover what they claim would make the leaderboard a lie."""

from __future__ import annotations

import numpy as np
import pytest

from prm_eval.evaluation.stats import ClusterBootstrap, rank_ranges, sign_flip_p


def coverage(n_problems: int, draw, truth: float, runs: int = 600) -> float:
    hits = 0
    for run in range(runs):
        values = draw(np.random.default_rng([17, run]), n_problems)
        found = ClusterBootstrap(n_problems, seed=run, resamples=800).intervals(values)[0]
        hits += found.low <= truth <= found.high
    return hits / runs


@pytest.mark.parametrize(
    ("n_problems", "draw", "truth"),
    [
        (60, lambda g, n: g.beta(0.6, 0.4, n), 0.6),  # e_p(n) of a pool: many problems near 0 or 1
        (60, lambda g, n: (g.random(n) < 0.8).astype(float), 0.8),  # n = M: every e_p is 0 or 1
        (200, lambda g, n: g.beta(0.3, 0.3, n), 0.5),
        (200, lambda g, n: (g.random(n) < 0.9).astype(float), 0.9),
    ],
    ids=["beta-60", "binary-60", "beta-200", "binary-200"],
)
def test_95_percent_limits_cover_95_percent(n_problems, draw, truth) -> None:
    """600 simulated sets of problems: a true rate of 95 % stays within 92.5 .. 97.5 % with probability above 0.99."""
    assert 0.925 <= coverage(n_problems, draw, truth) <= 0.98


def test_paired_differences_cover_and_are_narrower_than_unpaired() -> None:
    """Two models on the same problems: pairing must keep the rate and shorten the interval."""
    hits, paired, unpaired = 0, 0.0, 0.0
    for run in range(400):
        generator = np.random.default_rng([3, run])
        difficulty = generator.beta(0.5, 0.5, 100)
        one = np.clip(difficulty + generator.normal(0.05, 0.1, 100), -1, 2)
        found = ClusterBootstrap(100, seed=run, resamples=600).difference(one, difficulty)
        hits += found.low <= 0.05 <= found.high
        paired += found.high - found.low
        unpaired += 2 * 1.96 * np.sqrt(one.var() / 100 + difficulty.var() / 100)
    assert 0.92 <= hits / 400 <= 0.98
    assert paired < unpaired / 2


def test_degenerate_sets_do_not_claim_certainty() -> None:
    """60 of 60 right does not mean 100 % for sure: the lower limit is the exact binomial one."""
    found = ClusterBootstrap(60, seed=0, resamples=100).intervals(np.ones(60))[0]
    assert (found.value, found.high) == (1.0, 1.0)
    assert found.low == pytest.approx(0.025 ** (1 / 60))
    assert ClusterBootstrap(1, seed=0, resamples=10).intervals(np.array([0.5]))[0].low == 0.0


def test_rank_ranges() -> None:
    """A clear winner ranks 1; two that cannot be told apart share their range."""
    generator = np.random.default_rng(0)
    base = generator.random(300)
    values = np.stack([base * 0.5, base * 0.5 + generator.normal(0, 0.01, 300), base * 0.5 + 0.4], axis=1)
    bootstrap = ClusterBootstrap(300, seed=0, resamples=1_000)
    assert rank_ranges(values, bootstrap.means(values), bootstrap) == [(2, 3), (2, 3), (1, 1)]


def test_sign_flip_p() -> None:
    """No difference gives p = 1, a large consistent one a p near its smallest; p is never 0."""
    assert sign_flip_p(np.zeros(20), seed=0) == 1.0
    assert 0 < sign_flip_p(np.ones(30), seed=0, resamples=999) <= 0.002
    noise = np.random.default_rng(4).normal(0, 1, 200)
    assert sign_flip_p(noise - noise.mean(), seed=0, resamples=999) > 0.9
