"""Statistics against slow versions of themselves, number by number: coverage alone would let small errors pass."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy.stats import norm, t

from prm_eval.evaluation.stats import (
    DEFAULT_LEVEL,
    DEFAULT_RESAMPLES,
    ClusterBootstrap,
    holm,
    rank_ranges,
    sign_flip_p,
    sign_flip_ps,
    told_apart,
)


def resampled_means(values: np.ndarray, seed: int, resamples: int) -> np.ndarray:
    """The documented draws, one resample at a time: problems by multinomial counts of the generator of (seed, P)."""
    problems = len(values)
    generator = np.random.default_rng([seed, problems])
    counts = generator.multinomial(problems, [1 / problems] * problems, size=resamples)
    return np.array([(count[:, None] * values).sum(axis=0) / problems for count in counts])


def expanded(sample: np.ndarray, problems: int, level: float) -> tuple[float, float]:
    """Hesterberg's expanded percentiles."""
    tail = norm.cdf(math.sqrt(problems / (problems - 1)) * t.ppf((1 - level) / 2, problems - 1))
    return float(np.quantile(sample, tail)), float(np.quantile(sample, 1 - tail))


@pytest.mark.parametrize("level", [0.95, 0.5])
@pytest.mark.parametrize("problems", [2, 3, 40])
def test_limits_are_the_expanded_percentiles(problems, level) -> None:
    values = np.random.default_rng(5).beta(0.5, 0.5, (problems, 3))
    bootstrap = ClusterBootstrap(problems, seed=9, level=level, resamples=300)
    assert (bootstrap.n, bootstrap.level, bootstrap.resamples, bootstrap.seed) == (problems, level, 300, 9)
    wanted = resampled_means(values, 9, 300)
    assert bootstrap.means(values) == pytest.approx(wanted, abs=1e-12)
    assert bootstrap.means(values) == pytest.approx(wanted, abs=1e-12), "the counts that are kept are the same"
    for found, column, sample in zip(bootstrap.intervals(values), values.T, wanted.T, strict=True):
        low, high = expanded(sample, problems, level)
        assert (found.value, found.low, found.high) == pytest.approx((column.mean(), low, high), abs=1e-12)
    again = bootstrap.intervals(values, wanted * 0 + 0.25)
    assert {(each.low, each.high) for each in again} == {(0.25, 0.25)}, "the resampled means that are at hand are used"


def test_the_defaults_are_those_that_are_documented() -> None:
    bootstrap = ClusterBootstrap(5, seed=0)
    assert (bootstrap.level, bootstrap.resamples) == (DEFAULT_LEVEL, DEFAULT_RESAMPLES) == (0.95, 10_000)


def test_resamples_in_blocks_are_resamples() -> None:
    """With more problems than 64 MB of counts hold, they come block by block: as many resamples, and no two alike."""
    values = np.zeros(2_500_000)
    values[::2] = 1.0
    found = ClusterBootstrap(2_500_000, seed=1, resamples=4).means(values)  # three rows at a time
    assert found.shape == (4, 1) and len(np.unique(found)) == 4
    assert found == pytest.approx(np.full((4, 1), 0.5), abs=2e-3)


@pytest.mark.parametrize(("problems", "level"), [(1, 0.95), (2, 0.95), (60, 0.95), (60, 0.8)])
def test_where_nothing_varies_the_limit_is_binomial(problems, level) -> None:
    bootstrap = ClusterBootstrap(problems, seed=0, level=level, resamples=50)
    margin = 1 - ((1 - level) / 2) ** (1 / problems)
    one, none, some = bootstrap.intervals(np.array([[1.0, 0.0, 0.5]] * problems))
    if problems == 1:
        assert (one.low, one.high) == (1 - margin, 1.0) and (none.low, none.high) == (0.0, margin)
        assert (some.value, some.low, some.high) == (0.5, 0.0, 1.0)
        (almost,) = bootstrap.intervals(np.array([0.99]))
        assert (almost.low, almost.high) == (0.0, 1.0), "one problem that is neither right nor wrong says nothing"
        return
    assert (one.value, one.low, one.high) == pytest.approx((1.0, 1 - margin, 1.0), abs=1e-12)
    assert (none.value, none.low, none.high) == pytest.approx((0.0, 0.0, margin), abs=1e-12)
    wanted = (max(0.0, 0.5 - margin), min(1.0, 0.5 + margin))
    assert (some.low, some.high) == pytest.approx(wanted, abs=1e-12), "no resample varies, and yet it is not certain"
    assert bootstrap.margin == pytest.approx(margin)


def test_limits_of_one_problem_are_infinite() -> None:
    low, high = ClusterBootstrap(1, seed=0, resamples=5).limits(np.zeros((5, 3)))
    assert low.tolist() == [-math.inf] * 3 and high.tolist() == [math.inf] * 3


def test_a_paired_difference_by_hand() -> None:
    generator = np.random.default_rng(2)
    one, other = generator.random(30), generator.random(30)
    bootstrap = ClusterBootstrap(30, seed=4, resamples=200)
    low, high = expanded(resampled_means((one - other)[:, None], 4, 200)[:, 0], 30, 0.95)
    found = bootstrap.difference(one, other)
    assert (found.value, found.low, found.high) == pytest.approx(((one - other).mean(), low, high), abs=1e-12)
    given = bootstrap.difference(one, other, np.linspace(-0.5, 0.5, 101))
    assert (given.low, given.high) == pytest.approx(expanded(np.linspace(-0.5, 0.5, 101), 30, 0.95))


@pytest.mark.parametrize("gap", [0.25, -0.25, 0.98, -0.98, 0.0])
def test_a_difference_that_is_the_same_everywhere(gap) -> None:
    """No resample varies: the limits are twice the binomial margin away, once where the two agree, never beyond 1."""
    margin = (2 if gap else 1) * (1 - 0.025 ** (1 / 50))
    found = ClusterBootstrap(50, seed=0, resamples=30).difference(
        np.full(50, max(gap, 0.0)), np.full(50, max(-gap, 0.0))
    )
    low, high = max(-1.0, gap - margin), min(1.0, gap + margin)
    assert (found.value, found.low, found.high) == pytest.approx((gap, low, high), abs=1e-12)


def test_a_difference_on_one_problem_may_be_anything() -> None:
    found = ClusterBootstrap(1, seed=0, resamples=3).difference(np.array([0.75]), np.array([0.25]))
    assert (found.value, found.low, found.high) == (0.5, -1.0, 1.0)


def test_sign_flips_are_counted_right() -> None:
    """Against all 2^8 signs: within four standard errors; against the documented draws: to the last digit."""
    difference = np.array([0.0, 0.3, -0.1, 0.2, 0.25, 0.0, -0.05, 0.4, 0.1, 0.1])
    moving = difference[difference != 0]
    sums = [
        abs(sum(s * v for s, v in zip(signs, moving, strict=True))) for signs in itertools.product((1, -1), repeat=8)
    ]
    exact = np.mean([each >= difference.sum() - 1e-12 for each in sums])
    found = sign_flip_p(difference, seed=3, resamples=4_000)
    assert abs(found - exact) < 4 * math.sqrt(exact * (1 - exact) / 4_000)
    signs = np.random.default_rng(3).integers(0, 2, size=(4_000, 8), dtype=np.int8) * 2 - 1
    count = sum(abs(float(row @ moving)) >= difference.sum() - 1e-12 for row in signs)
    assert found == (1 + count) / 4_001
    assert sign_flip_p(-difference, seed=3, resamples=4_000) == found


def test_sign_flips_of_one_problem_and_of_none() -> None:
    assert sign_flip_p(np.array([0.0, 0.5]), seed=0, resamples=9) == 1.0  # both signs are as large as the observed
    assert sign_flip_p(np.zeros(3), seed=0, resamples=9) == 1.0
    assert sign_flip_p(np.ones(40), seed=0) == 1 / 10_001


def test_sign_flips_of_many_columns() -> None:
    """All columns with the same documented signs, zeros among them; a column of zeros has p = 1."""
    differences = np.random.default_rng(7).normal(0.1, 1, (25, 3))
    differences[:5, 0], differences[:, 2] = 0.0, 0.0
    found = sign_flip_ps(differences, seed=6, resamples=500)
    signs = np.random.default_rng(6).integers(0, 2, size=(500, 25), dtype=np.int8) * 2.0 - 1.0
    sums, observed = np.abs(signs @ differences), np.abs(differences.sum(axis=0))
    wanted = [(1 + sum(each >= observed[k] - 1e-12 for each in sums[:, k])) / 501 for k in (0, 1)]
    assert found.tolist() == [*wanted, 1.0]
    assert sign_flip_ps(np.ones((40, 1)), seed=0).tolist() == [1 / 10_001]


def test_sign_flips_in_blocks() -> None:
    """More problems than a block of resamples has room for: every resample is counted, none twice."""
    many = np.full((900_000, 1), 1.0)
    assert sign_flip_ps(many, seed=0, resamples=9).tolist() == [0.1]
    assert sign_flip_p(np.full(900_000, 1.0), seed=0, resamples=17) == 1 / 18
    alternating = np.ones(900_000)
    alternating[::2] = -1.0  # the sum is 0: every flip is as large
    assert sign_flip_p(alternating, seed=0, resamples=17) == 1.0
    assert sign_flip_ps(alternating[:, None], seed=0, resamples=9).tolist() == [1.0]


def test_holm_by_hand() -> None:
    """Sorted p times what is left, never falling, never above 1; in the order they came."""
    assert holm(np.array([0.04, 0.01, 0.03])).tolist() == pytest.approx([0.06, 0.03, 0.06])
    assert holm(np.array([0.9, 0.02, 0.6])).tolist() == pytest.approx([1.0, 0.06, 1.0])
    assert holm(np.array([0.2])).tolist() == [0.2]
    assert holm(np.zeros(0)).tolist() == []


def slow_told_apart(values, resampled, level) -> np.ndarray:
    """Romano and Wolf's step-down procedure, pair by pair."""
    problems, entries = values.shape
    pairs = [(i, j) for i in range(entries) for j in range(entries) if i != j]
    means = values.mean(axis=0)
    spread = {(i, j): (values[:, i] - values[:, j]).var(ddof=1) for i, j in pairs}
    spread = {pair: 0.0 if each < 1e-14 else each for pair, each in spread.items()}
    statistic = {}
    for i, j in pairs:
        gap = means[i] - means[j]
        statistic[i, j] = gap / math.sqrt((spread[i, j] + gap**2) / problems) if abs(gap) > 1e-12 else 0.0
    better = np.zeros((entries, entries), dtype=bool)
    while True:
        left = [pair for pair in pairs if not better[pair] and spread[pair] > 0]
        largest = [
            max(
                [
                    0.0,
                    *(
                        ((row[i] - means[i]) - (row[j] - means[j])) / math.sqrt(spread[i, j] / problems)
                        for i, j in left
                    ),
                ]
            )
            for row in resampled
        ]
        critical = max(t.ppf(level, problems - 1), np.quantile(largest, level))
        found = {pair for pair in pairs if statistic[pair] > critical}
        if all(better[pair] for pair in found):
            return better
        for pair in found:
            better[pair] = True


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("level", [0.95, 0.6])
def test_who_is_told_apart_is_what_the_procedure_says(seed, level) -> None:
    """Close entries, a copy, a constant distance, few problems: pair by pair the same verdicts, and ranges from
    them."""
    generator = np.random.default_rng(seed)
    problems, entries = int(generator.integers(2, 40)), int(generator.integers(2, 7))
    base = generator.random((problems, 1))
    values = base * 0.5 + generator.normal(0, 0.15, (problems, entries)) + np.linspace(0, 0.25, entries)
    if entries > 3:
        values[:, 1], values[:, 2] = values[:, 0], values[:, 0] + 0.1
    bootstrap = ClusterBootstrap(problems, seed=seed, level=level, resamples=120)
    resampled = bootstrap.means(values)
    wanted = slow_told_apart(values, resampled, level)
    found = told_apart(values, resampled, level)
    assert found.tolist() == wanted.tolist()
    ranges = [(1 + int(wanted[:, k].sum()), entries - int(wanted[k].sum())) for k in range(entries)]
    assert rank_ranges(values, resampled, bootstrap) == ranges


def test_one_entry_or_one_problem_tell_nothing_apart() -> None:
    assert told_apart(np.random.default_rng(0).random((9, 1)), np.zeros((5, 1))).tolist() == [[False]]
    assert told_apart(np.array([[0.0, 1.0]]), np.zeros((5, 2))).tolist() == [[False, False]] * 2
    found = told_apart(np.array([[0.0, 1.0]] * 2), np.array([[0.0, 1.0]] * 5))
    assert found.dtype == bool and found.tolist() == [[False, False]] * 2
    assert told_apart(np.array([[0.0, 1.0]] * 9), np.array([[0.0, 1.0]] * 5)).tolist() == [
        [False, False],
        [True, False],
    ]


def test_the_usual_level_is_95_percent() -> None:
    """A pair that the 96 % level would not tell apart, and the 94 % level would."""
    generator = np.random.default_rng(11)
    for _ in range(60):
        values = generator.normal(0, 1, (12, 2)) + np.array([0.0, 0.55])
        resampled = ClusterBootstrap(12, seed=0, resamples=200).means(values)
        if told_apart(values, resampled, 0.93).any() and not told_apart(values, resampled, 0.97).any():
            assert told_apart(values, resampled).tolist() == told_apart(values, resampled, 0.95).tolist()
