"""Statistics against cases that can be counted: all resamples of three problems, all sign flips of ten, ranks by
definition."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from prm_eval.evaluation.stats import (
    ClusterBootstrap,
    Interval,
    holm,
    rank_ranges,
    sign_flip_p,
    sign_flip_ps,
    told_apart,
)

MANY = settings(max_examples=60, deadline=None, derandomize=True)
UNIT = st.floats(0, 1, allow_subnormal=False)


def test_resampled_means_have_the_distribution_of_all_resamples() -> None:
    """Three problems have 27 equally likely resamples: the means that are drawn are these, with these shares."""
    values = np.array([0.0, 0.25, 1.0])
    exact: dict[float, float] = {}
    for drawn in itertools.product(values, repeat=3):
        mean = round(sum(drawn) / 3, 9)
        exact[mean] = exact.get(mean, 0.0) + 1 / 27
    found = np.round(ClusterBootstrap(3, seed=1, resamples=20_000).means(values)[:, 0], 9)
    labels, counts = np.unique(found, return_counts=True)
    assert set(labels) == set(exact)
    for label, count in zip(labels, counts, strict=True):
        assert count / 20_000 == pytest.approx(exact[float(label)], abs=4 * math.sqrt(0.25 / 20_000))


def test_the_spread_of_resampled_means_is_the_plug_in_variance() -> None:
    """Var of a resampled mean is sum (v - mean)^2 / P^2, in closed form."""
    values = np.random.default_rng(0).random(50)
    found = ClusterBootstrap(50, seed=2, resamples=20_000).means(values)[:, 0]
    assert found.mean() == pytest.approx(values.mean(), abs=0.002)
    assert found.var() == pytest.approx(values.var() / 50, rel=0.05)


@pytest.mark.parametrize("n_problems", [5, 30, 400])
def test_limits_are_those_of_the_t_interval_where_that_is_right(n_problems: int) -> None:
    """For a mean of normal values the expanded percentiles are close to mean +- t SD / sqrt(P), small P included."""
    values = np.clip(np.random.default_rng(n_problems).normal(0.5, 0.1, n_problems), 0, 1)
    found = ClusterBootstrap(n_problems, seed=0, resamples=20_000).intervals(values)[0]
    half = scipy_stats.t.ppf(0.975, n_problems - 1) * values.std(ddof=1) / math.sqrt(n_problems)
    # five values are not normal enough for their resampled means to be
    assert (found.high - found.low) / 2 == pytest.approx(half, rel=0.15 if n_problems == 5 else 0.05)


@pytest.mark.parametrize("n_problems", [2, 60, 500])
@pytest.mark.parametrize("level", [0.8, 0.95, 0.99])
def test_all_or_nothing_has_the_exact_binomial_limit(n_problems: int, level: float) -> None:
    """P of P right: the lower limit solves p^P = alpha / 2 (Clopper and Pearson); none right is its mirror."""
    bootstrap = ClusterBootstrap(n_problems, seed=0, level=level, resamples=50)
    everything, nothing = bootstrap.intervals(np.stack([np.ones(n_problems), np.zeros(n_problems)], axis=1))
    assert everything.low**n_problems == pytest.approx((1 - level) / 2)
    assert (everything.value, everything.high) == (1.0, 1.0)
    assert (nothing.low, nothing.value) == (0.0, 0.0)
    assert nothing.high == pytest.approx(1 - everything.low)


@MANY
@given(st.lists(UNIT, min_size=2, max_size=12), st.integers(0, 5))
def test_intervals_hold_their_value_and_stay_in_the_unit_interval(values: list[float], seed: int) -> None:
    """low <= value <= high within [0, 1], and the mirror of the values has the mirrored limits."""
    column = np.array(values)
    bootstrap = ClusterBootstrap(len(values), seed=seed, resamples=300)
    found, mirrored = bootstrap.intervals(np.stack([column, 1 - column], axis=1))
    assert 0 <= found.low <= found.value + 1e-12
    assert found.value - 1e-12 <= found.high <= 1
    if column.max() > 1e-9 and column.min() < 1 - 1e-9:
        assert mirrored.low == pytest.approx(1 - found.high, abs=1e-9)


def test_a_higher_level_is_wider() -> None:
    """Limits that shrink with confidence would be none."""
    values = np.random.default_rng(1).random(40)
    widths = [
        (each.high - each.low)
        for level in (0.5, 0.9, 0.95, 0.99)
        for each in ClusterBootstrap(40, seed=0, level=level, resamples=4_000).intervals(values)
    ]
    assert widths == sorted(widths)


def test_columns_are_resampled_together() -> None:
    """The same problems are drawn for every column and every call: else no difference would be paired."""
    values = np.random.default_rng(3).random((30, 4))
    bootstrap = ClusterBootstrap(30, seed=9, resamples=200)
    together = bootstrap.means(values)
    for column in range(4):
        alone = ClusterBootstrap(30, seed=9, resamples=200).means(values[:, column])[:, 0]
        assert together[:, column] == pytest.approx(alone, abs=1e-12)
    assert bootstrap.means(values[:, ::-1]) == pytest.approx(together[:, ::-1], abs=1e-12)
    assert np.abs(ClusterBootstrap(30, seed=10, resamples=200).means(values) - together).max() > 0.01


def test_pools_too_large_for_one_block_are_resampled_alike() -> None:
    """Counts are made in blocks of bounded memory: 80,000 problems in blocks of 100 resamples, one stream of
    resamples."""
    n, resamples = 80_000, 101
    values = np.random.default_rng(0).random((n, 2))
    found = ClusterBootstrap(n, seed=4, resamples=resamples).means(values)
    assert 8_000_000 // n < resamples, "one block would do: the test tests nothing"
    stream = np.random.default_rng([4, n])
    first = stream.multinomial(n, np.full(n, 1 / n), size=5)
    assert found.shape == (resamples, 2)
    assert found[:5] == pytest.approx(first @ values / n)
    assert not (found[-1] == found[:-1]).all(axis=1).any(), "the second block repeats the first"


def test_paired_differences() -> None:
    """The difference of two columns has the limits of their paired difference; its mirror has the mirrored ones."""
    generator = np.random.default_rng(5)
    one, other = generator.random(80), generator.random(80)
    bootstrap = ClusterBootstrap(80, seed=0, resamples=2_000)
    found, back = bootstrap.difference(one, other), bootstrap.difference(other, one)
    assert found.value == pytest.approx((one - other).mean())
    assert (back.value, back.low, back.high) == pytest.approx((-found.value, -found.high, -found.low))
    at_hand = bootstrap.means(one)[:, 0] - bootstrap.means(other)[:, 0]
    again = bootstrap.difference(one, other, at_hand)
    assert (again.value, again.low, again.high) == pytest.approx((found.value, found.low, found.high))


@pytest.mark.parametrize(
    "one, other, value, low, high",
    [
        # equal on all of 20 problems: on others they may differ, by 1 at most
        (0.5, 0.5, 0.0, -(1 - 0.025 ** (1 / 20)), 1 - 0.025 ** (1 / 20)),
        # the same gap on every problem: no resample varies, and yet 20 problems are not all
        (1.0, 0.0, 1.0, 1 - 2 * (1 - 0.025 ** (1 / 20)), 1.0),
        (0.0, 1.0, -1.0, -1.0, -1 + 2 * (1 - 0.025 ** (1 / 20))),
        (0.75, 0.5, 0.25, 0.25 - 2 * (1 - 0.025 ** (1 / 20)), 0.25 + 2 * (1 - 0.025 ** (1 / 20))),
    ],
)
def test_constant_differences_do_not_claim_certainty(one, other, value, low, high) -> None:
    """A gap without spread has the exact binomial margin on both sides, and never leaves [-1, 1]."""
    found = ClusterBootstrap(20, seed=0, resamples=100).difference(np.full(20, one), np.full(20, other))
    assert (found.value, found.low, found.high) == pytest.approx((value, low, high))


def test_what_is_the_same_by_definition_has_no_margin() -> None:
    """At n = 1 every selector takes the one candidate: their difference is 0 on any problem, not only on these."""
    bootstrap = ClusterBootstrap(20, seed=0, resamples=100)
    same, other = np.linspace(0, 1, 20), np.linspace(1, 0, 20)
    assert bootstrap.difference(same, same, same=True) == Interval(0.0, 0.0, 0.0)
    assert bootstrap.difference(same, other, same=True) == bootstrap.difference(same, other), "these two are not"


@MANY
@given(st.floats(0, 1), st.integers(2, 40), st.sampled_from([0.8, 0.95, 0.99]))
def test_no_limit_of_width_0_for_problems_that_are_alike(value: float, n_problems: int, level: float) -> None:
    """P equal values are P draws, not the truth: each limit is at least the binomial margin away, within [0, 1]."""
    bootstrap = ClusterBootstrap(n_problems, seed=0, level=level, resamples=20)
    (found,) = bootstrap.intervals(np.full(n_problems, value))
    margin = 1 - ((1 - level) / 2) ** (1 / n_problems)
    assert found.low <= max(0.0, value - margin) + 1e-9 and found.high >= min(1.0, value + margin) - 1e-9
    assert found.low < found.high


@pytest.mark.parametrize("odd", [0.0, 1.0])
@pytest.mark.parametrize("share", [0.02, 0.08, 0.2])
def test_the_margin_covers_the_mean_it_is_for(odd: float, share: float) -> None:
    """Most problems have 0.5 and a share has another value: of draws that are all alike, few may miss the mean.

    Over all draws of 15 problems, limits that are too narrow because no problem differs miss in at most 2.5 %."""
    generator = np.random.default_rng(11)
    mean, misses, runs = 0.5 * (1 - share) + odd * share, 0, 600
    bootstrap = ClusterBootstrap(15, seed=0, resamples=20)
    for _ in range(runs):
        values = np.where(generator.random(15) < share, odd, 0.5)
        if np.ptp(values) == 0:
            (found,) = bootstrap.intervals(values)
            misses += not found.low <= mean <= found.high
    assert misses / runs <= 0.025


def test_one_problem_says_nothing() -> None:
    """One cluster has no spread to resample: the limits are the whole range, for means and for differences."""
    bootstrap = ClusterBootstrap(1, seed=0, resamples=10)
    assert bootstrap.intervals(np.array([0.5])) == [Interval(0.5, 0.0, 1.0)]
    assert bootstrap.difference(np.array([0.75]), np.array([0.5])) == Interval(0.25, -1.0, 1.0)
    values = np.array([[0.1, 0.9]])
    assert rank_ranges(values, bootstrap.means(values), bootstrap) == [(1, 2), (1, 2)]


# -- sign flips


def all_flips(difference: np.ndarray) -> float:
    """The exact two-sided p-value: the share of all sign patterns with a sum at least as far from 0."""
    observed = abs(difference.sum())
    sums = [abs(np.dot(signs, difference)) for signs in itertools.product((-1, 1), repeat=len(difference))]
    return float(np.mean([each >= observed - 1e-12 for each in sums]))


@pytest.mark.parametrize("seed", range(4))
def test_sign_flips_estimate_the_share_of_all_patterns(seed: int) -> None:
    """Ten problems have 1,024 patterns: the estimate is within its error of their share, ties at the observed sum
    included."""
    difference = np.round(np.random.default_rng(seed).normal(0.2, 0.5, 10), 1)
    exact = all_flips(difference)
    found = sign_flip_p(difference, seed=1, resamples=20_000)
    assert found == pytest.approx(exact, abs=4 * math.sqrt(exact * (1 - exact) / 20_000) + 1e-4)
    assert sign_flip_p(-difference, seed=1, resamples=20_000) == found
    assert sign_flip_p(difference * 3, seed=1, resamples=20_000) == pytest.approx(found, abs=1e-3)


def test_problems_without_a_difference_do_not_count() -> None:
    """Adding problems on which both agree changes no p-value: they have no sign."""
    difference = np.array([0.5, -0.25, 0.75, 0.5])
    padded = np.concatenate([np.zeros(50), difference, np.zeros(50)])
    assert sign_flip_p(padded, seed=3, resamples=999) == sign_flip_p(difference, seed=3, resamples=999)


def test_columns_of_sign_flips() -> None:
    """Many columns at once: each is an estimate of its own exact share, and a column of zeros has p = 1."""
    generator = np.random.default_rng(8)
    table = np.round(generator.normal([0.0, 0.3, 1.0], 0.5, (9, 3)), 1)
    table = np.column_stack([table, np.zeros(9)])
    found = sign_flip_ps(table, seed=2, resamples=20_000)
    for column in range(3):
        exact = all_flips(table[:, column])
        assert found[column] == pytest.approx(exact, abs=4 * math.sqrt(exact * (1 - exact) / 20_000) + 1e-4)
    assert found[3] == 1.0


@pytest.mark.parametrize("call", [sign_flip_p, lambda d, **o: float(sign_flip_ps(d[:, None], **o)[0])])
def test_no_p_value_is_zero(call) -> None:
    """The observed pattern counts as one of the resamples: p is at least 1 / (resamples + 1)."""
    found = call(np.ones(200), seed=0, resamples=99)
    assert found == pytest.approx(1 / 100)


# -- Holm


@MANY
@given(st.lists(st.floats(0.0001, 1), min_size=1, max_size=8))
def test_holm_is_its_definition(ps: list[float]) -> None:
    """Reject while p_(k) <= level / (m - k + 1): the adjusted p-values reject exactly these, at every level."""
    adjusted = holm(np.array(ps))
    for level in (0.01, 0.05, 0.2, 0.5):
        rejected = set()
        for rank, index in enumerate(np.argsort(ps, kind="stable")):
            if ps[index] * (len(ps) - rank) > level:
                break
            rejected.add(int(index))
        assert {i for i, p in enumerate(adjusted) if p <= level} == rejected


@MANY
@given(st.lists(st.floats(0.0001, 1), min_size=1, max_size=8), st.randoms(use_true_random=False))
def test_holm_follows_the_order_of_its_tests(ps: list[float], random) -> None:
    """Adjusted values keep the order, are never below the plain ones or above 1, and go with their tests when
    shuffled."""
    adjusted = holm(np.array(ps))
    assert (adjusted >= np.array(ps) - 1e-15).all()
    assert (adjusted <= 1).all()
    order = list(range(len(ps)))
    random.shuffle(order)
    assert holm(np.array(ps)[order]) == pytest.approx(adjusted[order])
    ranked = np.argsort(ps, kind="stable")
    assert (np.diff(adjusted[ranked]) >= 0).all()


def test_a_single_test_is_not_adjusted() -> None:
    """One row on a board has nobody to be compared with."""
    assert holm(np.array([0.03])).tolist() == [0.03]
    assert holm(np.array([0.01, 0.04, 0.03])) == pytest.approx([0.03, 0.06, 0.06])


# -- ranks


@st.composite
def boards(draw):
    entries, problems = draw(st.integers(2, 5)), draw(st.integers(5, 30))
    generator = np.random.default_rng(draw(st.integers(0, 1_000)))
    shift = generator.choice([0.0, 0.1, 0.5], entries)
    return np.clip(generator.random((problems, 1)) * 0.5 + shift + generator.normal(0, 0.1, (problems, entries)), 0, 1)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(boards())
def test_who_is_better_is_an_order(values: np.ndarray) -> None:
    """No entry is better than itself, no two better than each other, better ones have the larger mean, ranges
    follow."""
    bootstrap = ClusterBootstrap(len(values), seed=0, resamples=500)
    resampled = bootstrap.means(values)
    better = told_apart(values, resampled)
    assert not np.diag(better).any()
    assert not (better & better.T).any()
    means = values.mean(axis=0)
    assert all(means[i] > means[j] for i, j in zip(*np.nonzero(better), strict=True))
    ranges = rank_ranges(values, resampled, bootstrap)
    for entry, (best, worst) in enumerate(ranges):
        assert 1 <= best <= worst <= values.shape[1]
        assert best == 1 + better[:, entry].sum()
        assert worst == values.shape[1] - better[entry].sum()
        # its place among the observed means lies within its range
        assert best <= 1 + (means > means[entry]).sum() <= worst


@settings(max_examples=30, deadline=None, derandomize=True)
@given(boards(), st.integers(0, 99))
def test_the_order_of_entries_does_not_count(values: np.ndarray, seed: int) -> None:
    """Shuffling the rows of a board shuffles its ranges."""
    order = np.random.default_rng(seed).permutation(values.shape[1])
    bootstrap = ClusterBootstrap(len(values), seed=0, resamples=500)
    plain = rank_ranges(values, bootstrap.means(values), bootstrap)
    assert rank_ranges(values[:, order], bootstrap.means(values[:, order]), bootstrap) == [plain[i] for i in order]


def test_an_entry_alone_ranks_first() -> None:
    """One entry: rank 1, nothing to be told apart from."""
    values = np.random.default_rng(0).random((20, 1))
    bootstrap = ClusterBootstrap(20, seed=0, resamples=100)
    assert rank_ranges(values, bootstrap.means(values), bootstrap) == [(1, 1)]


def test_identical_entries_share_all_ranks() -> None:
    """The same rewards under two names: no resample can tell them apart."""
    column = np.random.default_rng(0).random(50)
    values = np.stack([column, column, column], axis=1)
    bootstrap = ClusterBootstrap(50, seed=0, resamples=200)
    assert rank_ranges(values, bootstrap.means(values), bootstrap) == [(1, 3)] * 3


@pytest.mark.parametrize("n_problems, apart", [(3, False), (40, True)])
def test_a_constant_gap_is_worth_as_many_signs_as_there_are_problems(n_problems: int, apart: bool) -> None:
    """The same gap on all problems has no variance: on 3 problems that is chance, on 40 it is not."""
    base = np.linspace(0.1, 0.6, n_problems)
    values = np.stack([base, base + 0.25], axis=1)
    bootstrap = ClusterBootstrap(n_problems, seed=0, resamples=1_000)
    found = told_apart(values, bootstrap.means(values))
    assert bool(found[1, 0]) is apart
    assert not found[0, 1]


def test_ranges_hold_for_entries_that_are_truly_equal() -> None:
    """Eight equal entries: in about 5 % of boards any two are told apart; of 100 boards, at most 12 may be."""
    wrong = 0
    for run in range(100):
        generator = np.random.default_rng([11, run])
        values = np.clip(generator.random((60, 1)) * 0.6 + generator.random((60, 8)) * 0.4, 0, 1)
        bootstrap = ClusterBootstrap(60, seed=run, resamples=400)
        wrong += bool(told_apart(values, bootstrap.means(values)).any())
    assert wrong <= 12
