"""Intervals that do not cover what they claim would make the leaderboard a lie."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from prm_eval.evaluation.stats import ClusterBootstrap, rank_ranges, sign_flip_p

# by number of problems: how a set of them is drawn, and its true mean
SIMULATED = {
    60: {
        "beta": (lambda g, n: g.beta(0.6, 0.4, n), 0.6),  # e_p(n) of a pool: many problems near 0 or 1
        "binary": (lambda g, n: (g.random(n) < 0.8).astype(float), 0.8),  # n = M: every e_p is 0 or 1
    },
    200: {
        "beta": (lambda g, n: g.beta(0.3, 0.3, n), 0.5),
        "binary": (lambda g, n: (g.random(n) < 0.9).astype(float), 0.9),
    },
}


@cache
def coverage(n_problems: int, runs: int = 600) -> dict[str, float]:
    """Return how often the limits hold the truth, by how problems are drawn: the resamples of a run serve them all."""
    hits = dict.fromkeys(SIMULATED[n_problems], 0)
    for run in range(runs):
        bootstrap = ClusterBootstrap(n_problems, seed=run, resamples=800)
        for name, (draw, truth) in SIMULATED[n_problems].items():
            values = draw(np.random.default_rng([17, run]), n_problems)
            found = bootstrap.intervals(values)[0]
            hits[name] += found.low <= truth <= found.high
    return {name: count / runs for name, count in hits.items()}


@pytest.mark.parametrize("n_problems", SIMULATED)
@pytest.mark.parametrize("name", ["beta", "binary"])
def test_95_percent_limits_cover_95_percent(name, n_problems) -> None:
    """600 simulated sets of problems: a true rate of 95 % stays within 92.5 .. 97.5 % with probability above 0.99."""
    assert 0.925 <= coverage(n_problems)[name] <= 0.98


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
