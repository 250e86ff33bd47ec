"""Votes in their four forms. Each is a short cut past another: if two of them disagree, the board and `evaluate` print two numbers."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prm_eval.selection import selectors, voting
from prm_eval.selection.selectors import Majority, Slots, WeightedMajority, all_subsets
from prm_eval.selection.voting import (
    TIE,
    drawn_slots,
    elect,
    exact_vote,
    exact_vote_cost,
    right_elected,
    vote_by_permutations,
)

MANY = settings(max_examples=80, deadline=None, derandomize=True)
SIZES = st.lists(st.integers(1, 5), min_size=1, max_size=5)


@pytest.mark.parametrize(
    "cast, shares",
    [
        ([3.0, 1.0], [1.0, 0.0]),
        ([2.0, 2.0], [0.5, 0.5]),
        ([1.0, 1.0, 1.0, 0.5], [1 / 3, 1 / 3, 1 / 3, 0.0]),
        ([0.0, 0.0], [0.0, 0.0]),
        ([0.0, 1e-30], [0.0, 1.0]),
        # sums of the same votes in another order differ in the last bits: a tie
        ([0.1 + 0.2 + 0.3, 0.3 + 0.2 + 0.1], [0.5, 0.5]),
        ([1.0, 1.0 - TIE / 2], [0.5, 0.5]),
        ([1.0, 1.0 - TIE * 3], [1.0, 0.0]),
        # the tolerance is relative: small weights are not all tied
        ([1e-12, 2e-12], [0.0, 1.0]),
    ],
)
def test_who_is_elected(cast: list[float], shares: list[float]) -> None:
    """Ties share, no vote elects nobody, and a tie is relative to the size of the sums."""
    assert elect(np.array([cast]))[0] == pytest.approx(shares)


@MANY
@given(st.lists(st.lists(st.sampled_from([0.0, 0.5, 1.0, 2.0]), min_size=3, max_size=3), min_size=1, max_size=6))
def test_each_row_is_elected_by_itself(cast: list[list[float]]) -> None:
    """Rows are draws: what one elects does not depend on those beside it."""
    together = elect(np.array(cast))
    assert together == pytest.approx(np.concatenate([elect(np.array([row])) for row in cast]))
    assert together.sum(axis=1) == pytest.approx([float(max(row) > 0) for row in cast])


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
    assert exact_vote_cost(np.array([600, 401]), voting.MAX_SLOTS_EXACT + 1, 2) == math.inf
    assert exact_vote_cost(np.array([600, 400]), voting.MAX_SLOTS_EXACT, 2) < math.inf


@pytest.mark.parametrize("draws", [1, 7, 50])
def test_permutations_are_drawn_and_counted_one_by_one(draws: int) -> None:
    """Against a loop over the same stream: each prefix of each permutation is one draw, and counts once."""
    m, ns = 6, [1, 3, 6]
    member = np.array([0, 0, 1, 1, 1, -1])
    weights = np.array([0.9, 0.8, 0.3, 0.3, 0.2, 0.0])
    found = vote_by_permutations(member, weights, ns, 2, seed=11, draws=draws)
    order = np.random.default_rng(11).permuted(np.broadcast_to(np.arange(m), (draws, m)), axis=1)
    for row, n in enumerate(ns):
        shares = np.zeros(2)
        for drawn in order[:, :n]:
            sums = [sum(weights[slot] for slot in drawn if member[slot] == label) for label in (0, 1)]
            best = max(sums)
            winners = [label for label in (0, 1) if best > 0 and sums[label] >= best * (1 - TIE)]
            for label in winners:
                shares[label] += 1 / len(winners)
        assert found[row] == pytest.approx(shares / draws, abs=1e-12)


def test_repeated_and_unordered_sizes_of_subsets() -> None:
    """The grid may come in any order and twice; every row is the row of its own n."""
    member, weights = np.array([0, 1, 1, 2, 2, 2]), np.array([3.0, 1, 1, 1, 1, 0.5])
    rising = vote_by_permutations(member, weights, [1, 3, 5], 3, seed=1, draws=200)
    mixed = vote_by_permutations(member, weights, [5, 1, 3, 5], 3, seed=1, draws=200)
    assert (mixed == rising[[2, 0, 1, 2]]).all()


@pytest.mark.parametrize("n", [1, 2, 5])
def test_the_slots_drawn_are_those_of_the_permutations(n: int) -> None:
    """`drawn_slots` and `vote_by_permutations` must see the same draws: a difference of two models is paired by them."""
    m, draws, seed = 5, 300, 8
    member, weights = np.array([0, 1, 1, 0, 2]), np.array([0.9, 0.4, 0.3, 0.1, 0.8])
    drawn = drawn_slots(m, n, seed, draws)
    assert drawn.shape == (draws, m)
    assert (drawn.sum(axis=1) == n).all()
    cast = np.stack([drawn[:, member == label] @ weights[member == label] for label in range(3)], axis=1)
    voted = vote_by_permutations(member, weights, [n], 3, seed, draws)[0]
    assert elect(cast).mean(axis=0) == pytest.approx(voted, abs=1e-12)


def test_given_subsets_are_the_draws() -> None:
    """Where all subsets are enumerated they are the draws, each once."""
    drawn = drawn_slots(4, 2, seed=0, draws=0, subsets=all_subsets(4, 2))
    assert {tuple(np.flatnonzero(row)) for row in drawn} == set(itertools.combinations(range(4), 2))


@st.composite
def weightings(draw):
    """Classes of 2 to 6 slots, which of them are right, and the weights of three models with many ties."""
    m = draw(st.integers(2, 6))
    member = np.array(draw(st.lists(st.integers(-1, 2), min_size=m, max_size=m)))
    right_classes = draw(st.sets(st.integers(0, 2)))
    column = st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0]), min_size=m, max_size=m)
    weights = np.array([draw(column) for _ in range(3)]).T
    weights[member < 0] = 0.0
    return member, np.isin(member, sorted(right_classes)) & (member >= 0), weights


@MANY
@given(case=weightings(), n=st.integers(1, 6))
def test_many_models_at_once_vote_as_each_alone(case, n: int) -> None:
    """The board's matrix product against electing draw by draw: right classes that tie with wrong ones share."""
    member, right, weights = case
    n = min(n, len(member))
    drawn = drawn_slots(len(member), n, 0, 0, all_subsets(len(member), n))
    found = right_elected(drawn, member, right, weights)
    labels = [label for label in range(3) if (member == label).any()]
    for model in range(weights.shape[1]):
        expected = 0.0
        for row in drawn:
            sums = np.array([row[member == label] @ weights[member == label, model] for label in labels])
            if len(labels):
                shares = elect(sums[None, :])[0]
                expected += sum(share for share, label in zip(shares, labels, strict=True) if right[member == label][0])
        assert found[model] == pytest.approx(expected / len(drawn), abs=1e-12)


def test_no_right_class_elects_nothing_right() -> None:
    """Where no class is right the answer is 0 without a single product; where all are, it is the chance of any vote."""
    member, weights = np.array([0, 1, -1]), np.array([[0.5], [1.0], [0.0]])
    drawn = drawn_slots(3, 1, 0, 0, all_subsets(3, 1))
    assert right_elected(drawn, member, np.zeros(3, dtype=bool), weights).tolist() == [0.0]
    assert right_elected(drawn, member, member >= 0, weights) == pytest.approx([2 / 3])


def test_the_affordable_method_is_taken_and_both_agree(monkeypatch) -> None:
    """Majority of 40 slots: exact by polynomial, and by permutations where the exact form is made too dear."""
    generator = np.random.default_rng(2)
    classes = generator.integers(-1, 5, 40)
    problem = Slots(classes, np.zeros(40), np.ones(40), np.ones(40))
    exact = Majority().choose(problem, [2, 8, 32], seed=4, draws=4_000)
    assert exact.draws.tolist() == [0, 0, 0]
    monkeypatch.setattr(selectors, "exact_vote_cost", lambda *_: math.inf)
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
