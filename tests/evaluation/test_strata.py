"""Limits of a mean over several sets, and the sign test: against brute force, other programs, and simulated truth."""

from __future__ import annotations

from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from prm_eval.evaluation.stats import ClusterBootstrap
from prm_eval.evaluation.strata import StratifiedBootstrap, sign_test


@given(st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0]), min_size=1, max_size=12), st.integers(0, 3))
@settings(max_examples=60, deadline=None)
def test_one_set_has_the_limits_of_a_single_pool(values, seed) -> None:
    """The table of one pool and `prm-eval evaluate` would give two limits for one number."""
    column = np.array(values)
    plain = ClusterBootstrap(len(column), seed=seed, resamples=200)
    strata = StratifiedBootstrap([len(column)], seed=seed, resamples=200)
    mine, theirs = strata.intervals(column)[0], plain.intervals(column)[0]
    assert (mine.value, mine.low, mine.high) == pytest.approx((theirs.value, theirs.low, theirs.high), abs=1e-12)
    other = np.roll(column, 1)
    mine, theirs = strata.differences(column - other)[0], plain.difference(column, other)
    assert (mine.value, mine.low, mine.high) == pytest.approx((theirs.value, theirs.low, theirs.high), abs=1e-12)


@given(st.lists(st.sampled_from([-0.5, -1e-15, 0.0, 0.25, 1.0]), min_size=1, max_size=40))
@settings(max_examples=100, deadline=None)
def test_the_sign_test_is_the_exact_binomial_one(values) -> None:
    """Its p is that of the binomial test of the signs, ties left out, by hand and by scipy."""
    found = sign_test(np.array(values))
    ahead, behind = sum(v > 1e-12 for v in values), sum(v < -1e-12 for v in values)
    assert (found.ahead, found.behind, found.same) == (ahead, behind, len(values) - ahead - behind)
    if ahead + behind == 0:
        assert found.p == 1.0
        return
    n, least = ahead + behind, min(ahead, behind)
    by_hand = min(1.0, 2 * sum(comb(n, k) for k in range(least + 1)) / 2**n)
    assert found.p == pytest.approx(by_hand, abs=1e-12)
    assert found.p == pytest.approx(binomtest(ahead, n).pvalue, abs=1e-12)


def test_each_set_is_drawn_from_by_itself() -> None:
    """An easy and a hard set: their difference in difficulty is no uncertainty of the mean of both."""
    generator = np.random.default_rng(5)
    easy, hard = (generator.random(100) < 0.95).astype(float), (generator.random(100) < 0.05).astype(float)
    both = np.concatenate([easy, hard])
    strata = StratifiedBootstrap([100, 100], seed=0).intervals(both)[0]
    pooled = ClusterBootstrap(200, seed=0).intervals(both)[0]
    assert strata.value == pytest.approx(pooled.value) == pytest.approx(both.mean())
    assert strata.high - strata.low < 0.55 * (pooled.high - pooled.low)
    closed = 1.96 * np.sqrt(easy.var(ddof=1) / 100 + hard.var(ddof=1) / 100) / 2
    assert (strata.high - strata.low) / 2 == pytest.approx(closed, rel=0.12)


def test_sets_of_one_size_are_drawn_apart() -> None:
    """With the same draws in both sets, the errors of two alike sets would add up instead of averaging."""
    values = np.random.default_rng(1).random(40)
    resampled = StratifiedBootstrap([40, 40], seed=0, resamples=4000).means(np.concatenate([values, values]))[:, 0]
    assert resampled.std() == pytest.approx(values.std() / np.sqrt(80), rel=0.06)


# sizes of the sets and their true accuracies
TRUTHS = [((30, 60, 45), (0.8, 0.5, 0.9)), ((12, 80), (0.5, 0.7)), ((45, 60, 45, 84), (0.86, 0.8, 0.86, 0.53))]


@pytest.mark.parametrize(("sizes", "rates"), TRUTHS)
def test_95_percent_limits_cover_95_percent(sizes, rates) -> None:
    """600 simulated tables; the last has the sizes and the PRM's accuracies of table 1 of Lightman et al. (2023)."""
    truth = sum(size * rate for size, rate in zip(sizes, rates, strict=True)) / sum(sizes)
    hits = 0
    for run in range(600):
        generator = np.random.default_rng([23, run])
        drawn = [(generator.random(size) < rate).astype(float) for size, rate in zip(sizes, rates, strict=True)]
        found = StratifiedBootstrap(sizes, seed=run, resamples=600).intervals(np.concatenate(drawn))[0]
        hits += found.low <= truth <= found.high
    assert 0.925 <= hits / 600 <= 0.98


def test_sets_without_variation_claim_no_certainty() -> None:
    """All right and all wrong: no resample varies, and yet the problems that were not drawn may be otherwise."""
    values = np.array([1.0] * 30 + [0.0] * 20)
    found = StratifiedBootstrap([30, 20], seed=0).intervals(values)[0]
    margin = 1 - 0.025 ** (1 / 50)
    assert (found.value, found.low, found.high) == pytest.approx((0.6, 0.6 - margin, 0.6 + margin))
    varying = np.concatenate([values, np.tile([0.0, 1.0], 25)])
    part = StratifiedBootstrap([30, 20, 50], seed=0).intervals(varying)[0]
    alone = ClusterBootstrap(50, seed=2).intervals(np.tile([0.0, 1.0], 25))[0]
    assert part.high - part.low == pytest.approx((alone.high - alone.low) / 2 + margin, rel=0.02)
    (equal,) = StratifiedBootstrap([3, 3], seed=0).differences(np.zeros(6))
    assert (equal.low, equal.high) == pytest.approx((-(1 - 0.025 ** (1 / 6)), 1 - 0.025 ** (1 / 6)))
