"""Small cases whose answer is written out: what brute force with tolerances, or at few slots, would let pass."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from prm_eval.errors import PrmEvalError
from prm_eval.selection.accuracies import accuracy, monte_carlo_variance, pass_at_n, subsampling_sd
from prm_eval.selection.selectors import (
    DEFAULT_DRAWS,
    DEFAULT_SEED,
    BestOfN,
    ByDraw,
    ByVote,
    Choice,
    First,
    Longest,
    Majority,
    Random,
    Shortest,
    Slots,
    WeightedMajority,
    problem_seed,
)
from prm_eval.selection.subsets import all_subsets, best_of_n_mean, best_of_n_probabilities, rank_probabilities
from prm_eval.selection.voting import exact_vote, exact_vote_cost, vote

NAN = math.nan


def slots_of(classes, rewards=None, weights=None, lengths=None) -> Slots:
    m = len(classes)
    given = [np.ones(m) if each is None else np.array(each, dtype=float) for each in (rewards, weights, lengths)]
    return Slots(np.array(classes), *given)


def test_the_variance_of_a_share_of_draws() -> None:
    """(1 + successes) / (2 + draws) with its binomial variance; exactly 0, as a number, where nothing was drawn."""
    found = monte_carlo_variance(np.array([0.0, 0.5, 1.0, 0.5, 1.0]), np.array([8, 8, 98, 0, 1]))
    assert found.dtype == np.float64
    wanted = [0.1 * 0.9 / 8, 0.5 * 0.5 / 8, 0.99 * 0.01 / 98, 0.0, 2 / 9]
    assert found.tolist() == pytest.approx(wanted, rel=1e-12) and found[3] == 0.0


def test_an_accuracy_is_a_probability_whatever_was_rounded() -> None:
    """Probabilities that add up to a little more than 1, or less than 0, must not show as 100.00001 %."""
    over, under = np.array([[0.6, 0.4 + 1e-9]]), np.array([[-1e-12, 0.0]])
    draws = np.zeros(1, dtype=np.int64)
    assert accuracy(Choice(over, draws), np.array([True, True])).values.tolist() == [1.0]
    assert accuracy(Choice(under, draws), np.array([True, True])).values.tolist() == [0.0]
    for m in range(1, 200):
        assert pass_at_n(m, m, range(1, m + 1)).max() <= 1.0


def test_the_spread_of_subsets_by_hand() -> None:
    assert subsampling_sd(np.array([0.5, 0.2, 1.0])) == pytest.approx(math.sqrt(0.25 + 0.16) / 3)


def test_ranks_of_the_best_of_a_draw() -> None:
    """The best of n is the k-th of all with probability C(m-1-k, n-1) / C(m, n); tables are shared, hence read-only."""
    for m, n in ((1, 1), (5, 1), (5, 2), (5, 5), (40, 7)):
        found = rank_probabilities(m, (n,))
        wanted = [math.comb(m - 1 - k, n - 1) / math.comb(m, n) for k in range(m)]
        assert found[0] == pytest.approx(wanted, rel=1e-12, abs=0)
        with pytest.raises(ValueError, match="read-only"):
            found[0, 0] = 2.0
    assert rank_probabilities(5, (2,)) is rank_probabilities(5, (2,))


def test_what_ties_share_and_what_is_missing_loses() -> None:
    found = best_of_n_probabilities(np.array([1.0, NAN, 3.0, 3.0]), [1, 2, 4])
    assert found == pytest.approx(
        np.array([[1 / 4, 0, 1 / 4, 1 / 4], [1 / 6, 0, 5 / 12, 5 / 12], [0, 0, 1 / 2, 1 / 2]])
    )


def test_means_of_many_problems_are_those_of_one() -> None:
    """More problems than a block has, missing ones, ties, infinite rewards: row by row the value of the choice."""
    generator = np.random.default_rng(3)
    rewards = generator.integers(0, 4, (150, 6)).astype(float)
    rewards[generator.random((150, 6)) < 0.2] = NAN
    rewards[70, 0], rewards[71, 1], rewards[72, 2] = np.inf, -np.inf, -np.inf
    values = generator.normal(0, 1, (150, 6))
    before = rewards.copy()
    found = best_of_n_mean(rewards, values, [1, 3, 6])
    wanted = [[(row * value).sum() for row in best_of_n_probabilities(reward, [1, 3, 6])]
              for reward, value in zip(rewards, values, strict=True)]  # fmt: skip
    assert found == pytest.approx(np.array(wanted), abs=1e-12)
    assert np.array_equal(rewards, before, equal_nan=True)


def test_all_subsets_are_all_subsets() -> None:
    assert all_subsets(4, 2).tolist() == [list(each) for each in itertools.combinations(range(4), 2)]
    assert all_subsets(3, 3).tolist() == [[0, 1, 2]]
    assert all_subsets(4, 2).dtype == np.int64


@pytest.mark.parametrize("n", [0, -1, 4])
def test_the_refusal_of_a_subset_size_says_which_there_are(n) -> None:
    words = f"n = {n} of 3 slots: n must be from 1 to 3 (subsets are drawn without replacement)"
    for call in (
        lambda: rank_probabilities(3, (n,)),
        lambda: Restless().choose(slots_of([0, 1, 2]), [1, n], seed=1, draws=5),
        lambda: vote(np.zeros(3, dtype=int), np.ones((3, 1)), [n], seed=1, draws=1),
    ):
        with pytest.raises(PrmEvalError) as raised:
            call()
        assert str(raised.value) == words


def test_each_selector_on_three_slots() -> None:
    """Two answers, one slot without: the whole table of probabilities of every selector, for n = 1, 2, 3."""
    slots = slots_of([0, -1, 1], rewards=[0.2, 9.0, 0.7], weights=[0.9, 1.0, 0.1], lengths=[5, 1, 9])
    third, two_thirds = 1 / 3, 2 / 3
    first = [[third, 0, third]] * 3
    low = [[third, 0, third], [two_thirds, 0, third], [1, 0, 0]]
    high = [[third, 0, third], [third, 0, two_thirds], [0, 0, 1]]
    even = [[third, 0, third], [1 / 2, 0, 1 / 2], [1 / 2, 0, 1 / 2]]
    wanted = {
        First: first,
        Random: even,
        BestOfN: high,
        Shortest: low,
        Longest: high,
        Majority: even,
        WeightedMajority: low,
    }
    for kind, table in wanted.items():
        choice = kind().choose(slots, [1, 2, 3], seed=1, draws=3)
        assert choice.probabilities == pytest.approx(np.array(table), abs=1e-12), kind
        assert choice.draws.dtype == np.int64 and choice.draws.tolist() == [0, 0, 0]


def test_names_and_needs_of_the_selectors() -> None:
    """Names are keys of results, and a selector that forgets to ask for rewards is run without them."""
    assert {kind.name: kind.needs_rewards for kind in
            (First, Random, BestOfN, Shortest, Longest, Majority, WeightedMajority, ByDrawn)} == {
        "first": False, "random": False, "best_of_n": True, "shortest": False, "longest": False, "majority": False,
        "weighted_majority": True, "by_drawn": False,
    }  # fmt: skip


class ByDrawn(ByDraw):
    """Takes the drawn slot whose four fields, in the order drawn, are largest together."""

    name = "by_drawn"

    def select(self, draw):
        total = draw.classes + 10 * draw.rewards + 100 * draw.weights + 1_000 * draw.lengths
        return (total == total.max()).astype(float)


class Restless(ByDraw):
    """Takes the first of the draw, so that the order of a draw shows."""

    name = "restless"

    def select(self, draw):
        return np.eye(len(draw.classes))[0]


def test_a_draw_has_the_fields_of_its_slots() -> None:
    slots = slots_of([3, 2, 1, 0], rewards=[0.1, 0.2, 0.3, 0.4], weights=[0, 0, 1, 0], lengths=[1, 1, 1, 1])
    found = ByDrawn().choose(slots, [1, 2, 4], seed=1, draws=3)
    # in thousands and hundreds all are alike but for slot 2; the others have 3 + 1, 2 + 2 and 0 + 4: they tie
    assert found.draws.tolist() == [0, 0, 0]
    assert found.probabilities[0].tolist() == [0.25] * 4
    assert found.probabilities[1, 2] == pytest.approx(3 / 6)
    assert found.probabilities[2].tolist() == [0, 0, 1, 0]


def test_draws_of_any_rule_are_the_documented_ones() -> None:
    """Beyond 3,000 subsets: the permutations of (seed, n), averaged; below, every subset in its order."""
    slots = slots_of(list(range(30)))
    found = Restless().choose(slots, [1, 2, 5], seed=11, draws=40)
    assert found.draws.tolist() == [0, 0, 40] and found.draws.dtype == np.int64
    generator = np.random.default_rng([11, 5])
    counts = np.bincount([generator.permutation(30)[0] for _ in range(40)], minlength=30)
    assert found.probabilities[2] == pytest.approx(counts / 40)
    pairs = np.bincount([one for one, _ in itertools.combinations(range(30), 2)], minlength=30)
    assert found.probabilities[1] == pytest.approx(pairs / 435)


def test_three_thousand_subsets_are_gone_through() -> None:
    """The limit itself is exact: of 3,000 slots each is drawn once, in both ways that enumerate; one more is
    sampled."""
    assert Restless().choose(slots_of(range(3_000)), [1], seed=1, draws=2).draws.tolist() == [0]
    assert Restless().choose(slots_of(range(3_001)), [1], seed=1, draws=2).draws.tolist() == [2]
    for m, draws in ((3_000, 0), (3_001, 2)):
        weights = 1 + np.arange(m)[:, None] * 1e-12  # all tied, none equal: no closed form
        assert vote(np.arange(m) % 2, weights, [1], seed=1, draws=2).draws.tolist() == [[draws]]


def test_a_negative_weight_is_refused_by_name() -> None:
    class Sour(ByVote):
        name = "sour"

        def weights(self, slots):
            return np.where(slots.classes == 0, -1e-9, NAN)

    with pytest.raises(PrmEvalError) as raised:
        Sour().choose(slots_of([0, 1]), [1], seed=1, draws=1)
    assert str(raised.value) == "selector sour: a negative voting weight"
    assert not Sour().choose(slots_of([-1, 1]), [1], seed=1, draws=1).probabilities.any()


def test_the_seed_of_a_problem() -> None:
    """Published draws hang on these numbers: another formula would be another leaderboard."""
    assert (DEFAULT_DRAWS, DEFAULT_SEED) == (1_000, 20_230_531)
    assert problem_seed(20_230_531, "algebra/1") == 20_230_531 * 1_000_003 + 342_756_677
    assert problem_seed(2**62, "ü") == 2**62 + 1_675_192_789  # of 2**62 * 1,000,003 the odd multiple stays


def test_a_majority_of_many_slots_by_hand() -> None:
    """m = 1,500, too many for the polynomial: one class holds all votes, and wins whenever one of them is drawn."""
    member = np.array([0, 0] + [-1] * 1_498)
    found = vote(member, np.ones((1_500, 1)), [1, 1_500], seed=1, draws=7)
    assert found.shares[:, 0, 0].tolist() == pytest.approx([2 / 1_500, 1.0])
    assert found.draws[:, 0].tolist() == [0, 0]
    assert exact_vote_cost(np.array([2]), 1_001, 1) == math.inf
    assert exact_vote_cost(np.array([2]), 1_000, 1) < 10


def test_the_cost_of_the_exact_vote_by_hand() -> None:
    """It decides which way is taken: sizes 3, 3, 1 up to n = 4."""
    # winning counts 1, 2, 3: able 3, 2, 2 classes; distinct 2, 1, 1; nodes min(3, 4)//2+1 = 2, min(2, 2)//2+1 = 2, 1
    wanted = 2 * 3 * 1 * (1 + 8 / 2_000) + 1 * 2 * 2 * (1 + 8 / 2_000) + 1 * 2 * 1 * (1 + 4 / 2_000)
    assert exact_vote_cost(np.array([3, 3, 1]), 7, 4) == pytest.approx(wanted, rel=1e-12)
    assert exact_vote_cost(np.array([3, 3, 1]), 7, 1) == pytest.approx(2 * 3 * 1 * (1 + 1 / 2_000), rel=1e-12)


def test_the_exact_vote_is_taken_where_it_costs_what_draws_do() -> None:
    """A fiftieth of an operation a drawn slot, or 200 at least: one draw less than that, and permutations are taken."""
    member = np.arange(64) % 5
    cost = exact_vote_cost(np.bincount(member), 64, 32)
    enough = math.ceil(cost / (0.02 * 64))
    assert cost > 300
    for draws, used in ((enough, 0), (enough - 1, enough - 1)):
        assert vote(member, np.ones((64, 1)), [32], seed=1, draws=draws).draws.tolist() == [[used]]
    small = np.arange(20) % 2
    assert 20 < exact_vote_cost(np.bincount(small), 20, 10) <= 200
    assert vote(small, np.ones((20, 1)), [10], seed=1, draws=3).draws.tolist() == [[0]]


@pytest.mark.parametrize("m", [1_000, 998])
def test_the_polynomial_at_its_limit(m) -> None:
    """Of two classes of a half each, both win half of all draws, of any size."""
    found = exact_vote(np.array([m // 2, m // 2]), m, [1, 2, 499, m])
    assert found == pytest.approx(np.full((4, 2), 0.5), rel=1e-6)


def test_three_equal_classes_and_one_that_is_drawn_with_them() -> None:
    """Ties of many: each of 9 classes of one vote wins a ninth of every draw; with two abstaining, of those with a
    vote."""
    assert exact_vote(np.ones(9, dtype=int), 9, [1, 5, 9]) == pytest.approx(np.full((3, 9), 1 / 9), rel=1e-12)
    found = exact_vote(np.ones(9, dtype=int), 11, [1, 2])
    assert found[:, 0] == pytest.approx([9 / 11 / 9, (1 - 1 / math.comb(11, 2)) / 9], rel=1e-12)


def test_parties_without_members_and_draws_in_blocks() -> None:
    """A party nobody belongs to wins nothing; 300 weightings are counted in blocks of draws, and add up all the
    same."""
    generator = np.random.default_rng(12)
    member, weights = generator.integers(-1, 4, 24), generator.random((24, 300))
    party = np.array([1, 0, 1, 3])
    found = vote(member, weights, [6], seed=4, draws=500, party=party)
    assert found.shares.shape == (1, 4, 300) and not found.shares[0, 2].any()
    orders = np.random.default_rng(4).permuted(np.broadcast_to(np.arange(24), (500, 24)), axis=1)[:, :6]
    for kind in (0, 299):
        wanted = np.zeros(4)
        for drawn in orders:
            cast = np.zeros(4)
            for slot in drawn:
                if member[slot] >= 0:
                    cast[member[slot]] += weights[slot, kind]
            if cast.max() > 0:
                wanted[party[cast.argmax()]] += 1 / 500
        assert found.shares[0, :, kind] == pytest.approx(wanted, abs=1e-12)


def test_shares_are_numbers_of_their_kind() -> None:
    """An answer class that no slot has is a class all the same; shares stay within [0, 1]."""
    found = vote(np.array([2, 2, 0]), np.array([[1.0, 0.3], [1.0, 0.2], [1.0, 0.4]]), [1, 2, 3], seed=1, draws=5)
    assert found.shares.shape == (3, 3, 2) and found.draws.shape == (3, 2) and found.draws.dtype == np.int64
    assert found.shares[:, 1].tolist() == [[0.0, 0.0]] * 3
    assert found.shares[:, 2, 0] == pytest.approx([2 / 3, 2 / 3, 1.0])
    assert found.shares[:, 2, 1] == pytest.approx([2 / 3, 1 / 3, 1.0])
    assert found.shares.min() >= 0.0 and found.shares.max() <= 1.0
