"""The one weighted vote, against counting by hand: if it errs, majority and weighted majority are wrong in every
door."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prm_eval.errors import PrmEvalError
from prm_eval.selection.accuracies import accuracy
from prm_eval.selection.selectors import Majority, Slots, WeightedMajority
from prm_eval.selection.voting import TIE, exact_vote, vote


def winners(member, weights, drawn) -> dict[int, float]:
    """The share of the win of each class in one draw."""
    cast: dict[int, float] = {}
    for slot in drawn:
        if member[slot] >= 0 and weights[slot] > 0:
            cast[int(member[slot])] = cast.get(int(member[slot]), 0.0) + weights[slot]
    if not cast:
        return {}
    most = max(cast.values())
    tied = [label for label, total in cast.items() if total >= most * (1 - TIE)]
    return {label: 1 / len(tied) for label in tied}


def by_hand(member, weights, draws, classes: int) -> np.ndarray:
    shares = np.zeros(classes)
    for drawn in draws:
        for label, share in winners(member, weights, drawn).items():
            shares[label] += share / len(draws)
    return shares


@st.composite
def ballots(draw):
    m, kinds = draw(st.integers(1, 8)), draw(st.integers(1, 4))
    member = np.array(draw(st.lists(st.integers(-1, 3), min_size=m, max_size=m)))
    table = draw(st.lists(st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0]), min_size=m, max_size=m), min_size=kinds,
                          max_size=kinds))  # fmt: skip
    return member, np.array(table).T


@settings(max_examples=150, deadline=None)
@given(ballots())
def test_votes_over_all_subsets_are_counted_right(case) -> None:
    """Every n, every class, several weightings at once; ties share, zero abstains, empty draws elect nobody."""
    member, weights = case
    m, classes = len(member), int(member.max(initial=-1)) + 1
    found = vote(member, weights, range(1, m + 1), seed=1, draws=10)
    assert (found.draws == 0).all()
    for n in range(1, m + 1):
        draws = list(itertools.combinations(range(m), n))
        for kind in range(weights.shape[1]):
            assert found.shares[n - 1, :, kind] == pytest.approx(by_hand(member, weights[:, kind], draws, classes))


@settings(max_examples=100, deadline=None)
@given(ballots(), st.lists(st.integers(0, 1), min_size=4, max_size=4))
def test_parties_add_their_classes(case, party) -> None:
    """Two parties (right, wrong) get what their classes get one by one: the board asks so, the selectors otherwise."""
    member, weights = case
    ns = range(1, len(member) + 1)
    classes = int(member.max(initial=-1)) + 1
    apart = vote(member, weights, ns, seed=1, draws=10).shares
    together = vote(member, weights, ns, seed=1, draws=10, party=np.array(party)).shares
    for label in range(together.shape[1]):
        mine = [number for number in range(classes) if party[number] == label]
        assert together[:, label] == pytest.approx(apart[:, mine].sum(axis=1), abs=1e-12)


@pytest.mark.parametrize("n", [1, 3, 5, 12, 20, 40])
def test_permutations_are_the_documented_ones(n) -> None:
    """Monte Carlo by hand over the permutations of the seed: today's shares are next year's, and every model's
    draws."""
    generator = np.random.default_rng(3)
    member, weights = generator.integers(-1, 6, 40), generator.random((40, 3))
    found = vote(member, weights, [1, 3, 5, 12, 20, 40], seed=77, draws=400)
    row = [1, 3, 5, 12, 20, 40].index(n)
    if math.comb(40, n) <= 3_000:
        draws = list(itertools.combinations(range(40), n))
        assert (found.draws[row] == 0).all()
    else:
        orders = np.random.default_rng(77).permuted(np.broadcast_to(np.arange(40), (400, 40)), axis=1)
        draws = orders[:, :n]
        assert (found.draws[row] == 400).all()
    for kind in range(3):
        assert found.shares[row, :, kind] == pytest.approx(by_hand(member, weights[:, kind], draws, 6), abs=1e-12)


def test_one_at_a_time_or_together() -> None:
    """A model's figure does not depend on which others stand on the board."""
    generator = np.random.default_rng(4)
    member, weights = generator.integers(-1, 9, 64), generator.random((64, 70))
    weights[:, 5] = 0.5  # a plain vote, which has a form of its own
    together = vote(member, weights, [2, 8, 32], seed=5, draws=200)
    for kind in (0, 5, 33, 69):
        alone = vote(member, weights[:, kind : kind + 1], [2, 8, 32], seed=5, draws=200)
        assert alone.shares[:, :, 0] == pytest.approx(together.shares[:, :, kind], abs=1e-12)
        assert np.array_equal(alone.draws[:, 0], together.draws[:, kind])


def test_the_grid_does_not_matter() -> None:
    """The share at one n is the same whichever others are asked for, in any order."""
    generator = np.random.default_rng(6)
    member, weights = generator.integers(0, 5, 50), generator.random((50, 2))
    whole = vote(member, weights, [40, 4, 16], seed=9, draws=300)
    for row, n in enumerate([40, 4, 16]):
        assert np.array_equal(vote(member, weights, [n], seed=9, draws=300).shares[0], whole.shares[row])


def test_two_votes_are_exact_however_many_slots_there_are() -> None:
    """Of two votes the heavier wins: no draws, and the same number in both doors, at M = 300 too."""
    generator = np.random.default_rng(8)
    member, weights = generator.integers(-1, 7, 300), generator.random((300, 2))
    found = vote(member, weights, [2], seed=1, draws=10)
    assert (found.draws == 0).all()
    pairs = itertools.combinations(range(300), 2)
    wins = np.zeros(7)
    for one, other in pairs:
        able = [slot for slot in (one, other) if member[slot] >= 0]
        if able:
            wins[member[max(able, key=lambda slot: weights[slot, 0])]] += 1
    assert found.shares[0, :, 0] == pytest.approx(wins / math.comb(300, 2))


def test_exact_vote_agrees_with_permutations_at_size() -> None:
    """At M = 256 the polynomial neither overflows nor loses precision: it agrees with 20,000 permutations."""
    sizes = np.array([90, 80, 40, 20, 10, 3, 2, 1])
    ns = [1, 2, 4, 16, 64, 256]
    exact = exact_vote(sizes, 256, ns)
    member = np.concatenate([np.repeat(np.arange(8), sizes), np.full(256 - sizes.sum(), -1)])
    nearly = 1 + 1e-12 * np.arange(256)[:, None]  # no two weights equal, and all of them tied
    drawn = vote(member, nearly, ns, seed=3, draws=20_000)
    assert drawn.draws[:, 0].tolist() == [0, 20_000, 20_000, 20_000, 20_000, 0]
    assert np.abs(exact - drawn.shares[:, :, 0]).max() < 0.02
    assert exact[-1].tolist() == pytest.approx([1, 0, 0, 0, 0, 0, 0, 0], abs=1e-9)
    assert exact[0] == pytest.approx(sizes / 256, abs=1e-12)


def test_sums_in_another_order_still_tie() -> None:
    """0.1 + 0.2 and 0.3 are one sum of weights: a vote must not be decided by rounding."""
    member = np.array([0, 0, 1])
    found = vote(member, np.array([[0.1], [0.2], [0.3]]), [3], seed=1, draws=10)
    assert found.shares[0, :, 0].tolist() == [0.5, 0.5]


@pytest.mark.parametrize("n", [0, 4])
def test_subset_sizes_that_are_none(n) -> None:
    with pytest.raises(PrmEvalError, match="n must be from 1 to 3"):
        vote(np.zeros(3, dtype=int), np.ones((3, 1)), [n], seed=1, draws=10)


def test_nobody_votes() -> None:
    """All refused, or all without an answer: nothing is elected, and nothing divides by zero."""
    assert not vote(np.full(4, -1), np.ones((4, 2)), [1, 4], seed=1, draws=10).shares.any()
    assert not vote(np.zeros(4, dtype=int), np.zeros((4, 2)), [1, 4], seed=1, draws=10).shares.any()


@settings(max_examples=100, deadline=None)
@given(ballots())
def test_a_choice_names_members_of_the_winning_class(case) -> None:
    """Probabilities of slots sum to the share of their class, over its voting members; a weight of 0 can be named."""
    member, weights = case
    m = len(member)
    slots = Slots(member, weights[:, 0], weights[:, 0], np.ones(m))
    choice = WeightedMajority().choose(slots, range(1, m + 1), seed=1, draws=10)
    shares = vote(member, weights[:, :1], range(1, m + 1), seed=1, draws=10).shares[:, :, 0]
    for label in range(shares.shape[1]):
        assert choice.probabilities[:, member == label].sum(axis=1) == pytest.approx(shares[:, label], abs=1e-12)
    assert not choice.probabilities[:, member < 0].any()


def test_equal_weights_are_a_plain_vote() -> None:
    """With the same weight everywhere the weighted majority is the majority, to the last digit."""
    generator = np.random.default_rng(2)
    classes, correct = generator.integers(-1, 5, 64), generator.random(64) < 0.5
    ns = [1, 2, 4, 16, 64]
    nothing = np.full(64, np.nan)
    plain = accuracy(Majority().choose(Slots(classes, nothing, nothing, np.ones(64)), ns, seed=1, draws=50), correct)
    same = np.full(64, 0.37)
    weighted = WeightedMajority().choose(Slots(classes, same, same, np.ones(64)), ns, seed=1, draws=50)
    assert np.array_equal(accuracy(weighted, correct).values, plain.values)
