"""The vote by polynomials, against counting how many votes each class may get: majority curves are made of it."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prm_eval.selection import voting
from prm_eval.selection.exact_voting import MAX_SLOTS_EXACT
from prm_eval.selection.selectors import Majority, Slots, WeightedMajority
from prm_eval.selection.voting import exact_vote, exact_vote_cost

MANY = settings(max_examples=80, deadline=None, derandomize=True)
SIZES = st.lists(st.integers(1, 5), min_size=1, max_size=5)


def counted_vote(sizes: list[int], m: int, n: int) -> list[float]:
    """The share of each class by counting how many votes each may get (hypergeometric), tie by tie."""
    total = [0.0] * len(sizes)
    for votes in itertools.product(*(range(size + 1) for size in sizes)):
        silent = n - sum(votes)
        if not 0 <= silent <= m - sum(sizes) or not any(votes):
            continue
        ways = math.comb(m - sum(sizes), silent) * math.prod(map(math.comb, sizes, votes))
        winners = [label for label, count in enumerate(votes) if count == max(votes)]
        for label in winners:
            total[label] += ways / math.comb(m, n) / len(winners)
    return total


@MANY
@given(sizes=SIZES, silent=st.integers(0, 5))
def test_the_polynomial_counts_every_way_to_win(sizes: list[int], silent: int) -> None:
    """The quadrature over z is exact whatever the number of tied classes; abstainers take places in the draw."""
    m = sum(sizes) + silent
    ns = list(range(1, m + 1))
    found = exact_vote(np.array(sizes), m, ns)
    for n in ns:
        assert found[n - 1] == pytest.approx(counted_vote(sizes, m, n), abs=1e-11)


def by_whole_numbers(sizes: list[int], m: int, n: int) -> list[Fraction]:
    """The share of each class in whole numbers: ways to draw, by the number of slots and of classes that tie."""
    total = [Fraction(0)] * len(sizes)
    for label, size in enumerate(sizes):
        others = sizes[:label] + sizes[label + 1 :]
        for c in range(1, min(size, n) + 1):
            ways: dict[tuple[int, int], int] = {(0, 0): 1}
            for other in others:
                more: dict[tuple[int, int], int] = {}
                for (drawn, ties), count in ways.items():
                    for votes in range(min(other, c, n - c - drawn) + 1):
                        key = drawn + votes, ties + (votes == c)
                        more[key] = more.get(key, 0) + count * math.comb(other, votes)
                ways = more
            for (drawn, ties), count in ways.items():
                silent = math.comb(m - sum(sizes), n - c - drawn)
                total[label] += Fraction(math.comb(size, c) * count * silent, ties + 1)
    return [each / math.comb(m, n) for each in total]


@pytest.mark.parametrize(
    ("sizes", "m"),
    [
        ([33, 17, 17, 17, 16], 100),
        ([25, 25, 25], 100),
        ([4] * 12, 64),
        ([1] * 40, 64),
        ([63], 64),
        ([30, 9, 9, 3, 3, 3, 1, 1, 1, 1], 64),
    ],
)
def test_the_exact_vote_at_size(sizes: list[int], m: int) -> None:
    """Against whole numbers, at the sizes of real pools: many ties, equal classes, one class alone, most silent.

    Its points on the circle are fewer than its coefficients; what they cannot tell apart must not show.
    """
    ns = [2, 3, 8, 21, m // 2, m - 1, m]
    found = exact_vote(np.array(sizes), m, ns)
    for row, n in enumerate(ns):
        assert found[row] == pytest.approx([float(each) for each in by_whole_numbers(sizes, m, n)], abs=1e-12)


@MANY
@given(sizes=st.lists(st.integers(1, 4), min_size=1, max_size=4), silent=st.integers(0, 3), data=st.data())
def test_the_exact_vote_is_the_mean_over_all_subsets(sizes: list[int], silent: int, data: st.DataObject) -> None:
    """Every subset, one after the other: ties share, and slots that are missing or have no answer take places."""
    m = sum(sizes) + silent
    member = [label for label, size in enumerate(sizes) for _ in range(size)] + [-1] * silent
    n = data.draw(st.integers(1, m))
    shares = np.zeros(len(sizes))
    for drawn in itertools.combinations(member, n):
        votes = [drawn.count(label) for label in range(len(sizes))]
        if max(votes):
            winners = np.array(votes) == max(votes)
            shares += winners / winners.sum() / math.comb(m, n)
    assert exact_vote(np.array(sizes), m, [n])[0] == pytest.approx(shares, abs=1e-13)


@pytest.mark.parametrize("classes", [2, 7, 12])
def test_a_tie_of_all_classes_is_shared_by_all(classes: int) -> None:
    """Classes of one member: every draw is a tie of all drawn, so that each wins with 1 / classes at every n."""
    found = exact_vote(np.ones(classes, dtype=np.int64), classes, list(range(1, classes + 1)))
    assert found == pytest.approx(np.full((classes, classes), 1 / classes), abs=1e-12)


def test_large_votes_keep_their_sum() -> None:
    """M = 1,000 in 40 classes: no overflow, no cancellation; somebody wins whenever somebody votes."""
    sizes = np.array([100, 90, *[20] * 38])
    found = exact_vote(sizes, 1_000, [1, 10, 100, 500, 1_000])
    silent = 1_000 - int(sizes.sum())
    nobody = [math.comb(silent, n) / math.comb(1_000, n) for n in (1, 10, 100, 500, 1_000)]
    assert found.sum(axis=1) == pytest.approx([1 - each for each in nobody], abs=1e-9)
    assert found[-1, 0] == pytest.approx(1.0, abs=1e-9)
    assert (np.diff(found[:, 0]) > -1e-12).all(), "the largest class must gain with every further draw"


def test_the_cost_of_the_exact_vote() -> None:
    """It decides between exact and estimated: it must grow with the problem, and forbid what does not fit a float."""
    small, large = (exact_vote_cost(np.full(k, 20), 20 * k, 20 * k) for k in (2, 20))
    assert small < large < math.inf
    assert exact_vote_cost(np.array([600, 401]), MAX_SLOTS_EXACT + 1, 2) == math.inf
    assert exact_vote_cost(np.array([600, 400]), MAX_SLOTS_EXACT, 2) < math.inf


def test_the_affordable_method_is_taken_and_both_agree(monkeypatch) -> None:
    """Majority of 40 slots: exact by polynomial, and by permutations where the exact form is made too dear."""
    generator = np.random.default_rng(2)
    classes = generator.integers(-1, 5, 40)
    problem = Slots(classes, np.zeros(40), np.ones(40), np.ones(40))
    exact = Majority().choose(problem, [2, 8, 32], seed=4, draws=4_000)
    assert exact.draws.tolist() == [0, 0, 0]
    monkeypatch.setattr(voting, "exact_vote_cost", lambda *_: math.inf)
    drawn = Majority().choose(problem, [2, 8, 32], seed=4, draws=4_000)
    # 40 choose 2 subsets are few: enumerated even then
    assert drawn.draws.tolist() == [0, 4_000, 4_000]
    assert drawn.probabilities[0] == pytest.approx(exact.probabilities[0], abs=1e-12)
    assert np.abs(drawn.probabilities - exact.probabilities).max() < 4 * math.sqrt(0.25 / 4_000)


def test_weights_that_differ_are_never_put_into_the_polynomial() -> None:
    """The polynomial counts votes; one candidate of weight 3 against two of weight 1 wins, and must not lose 1 : 2."""
    problem = Slots(np.array([0, 1, 1]), np.zeros(3), np.array([3.0, 1.0, 1.0]), np.ones(3))
    found = WeightedMajority().choose(problem, [3], seed=0, draws=10).probabilities[0]
    assert found.tolist() == [1.0, 0.0, 0.0]


@pytest.mark.parametrize("weight", [0.0, math.nan])
def test_nobody_votes(weight: float) -> None:
    """All weights 0, or everything refused: nobody is elected, and nothing divides by zero."""
    problem = Slots(np.array([0, 1, 1]), np.zeros(3), np.full(3, weight), np.ones(3))
    with np.errstate(all="raise"):
        found = WeightedMajority().choose(problem, [1, 2, 3], seed=0, draws=10)
    assert not found.probabilities.any()
    silent = Slots(np.full(3, -1), np.zeros(3), np.ones(3), np.ones(3))
    assert not Majority().choose(silent, [1, 3], seed=0, draws=10).probabilities.any()
