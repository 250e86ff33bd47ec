"""Each selector slot by slot against all subsets: an accuracy can be right by luck where the chosen slots are wrong."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prm_eval.errors import PrmEvalError
from prm_eval.selection.selectors import (
    BestOfN,
    ByDraw,
    ByKey,
    ByVote,
    Draw,
    First,
    Longest,
    Majority,
    Random,
    Selector,
    Shortest,
    Slots,
    WeightedMajority,
    all_subsets,
    best_of_n_probabilities,
    problem_seed,
)
from prm_eval.selection.subsets import rank_probabilities
from tests.selection.brute import NAN, best_by, elected_by, over_all_subsets, slots

MANY = settings(max_examples=80, deadline=None, derandomize=True)
BY_KEY = {
    "best_of_n": (BestOfN, lambda problem: problem.rewards),
    "shortest": (Shortest, lambda problem: -problem.lengths),
    "longest": (Longest, lambda problem: problem.lengths),
    "random": (Random, lambda problem: np.zeros(problem.m)),
}
BY_VOTE = {
    "majority": (Majority, lambda problem: np.ones(problem.m)),
    "weighted_majority": (WeightedMajority, lambda problem: problem.weights),
}
EVERY = [First, Random, BestOfN, Shortest, Longest, Majority, WeightedMajority]


def chosen(selector: Selector, problem: Slots, ns: list[int] | None = None) -> np.ndarray:
    """The probabilities for every n; few slots, so that every method is exact."""
    ns = ns or list(range(1, problem.m + 1))
    choice = selector.choose(problem, ns, seed=3, draws=20)
    assert not choice.draws.any(), "an exact method was expected"
    return choice.probabilities


def reordered(problem: Slots, order: np.ndarray) -> Slots:
    return Slots(problem.classes[order], problem.rewards[order], problem.weights[order], problem.lengths[order])


@pytest.mark.parametrize("name", BY_KEY)
@MANY
@given(problem=slots())
def test_the_largest_key_is_chosen(name: str, problem: Slots) -> None:
    """Best-of-n and its baselines: tied slots share, what cannot be chosen is drawn and never chosen."""
    made, keys = BY_KEY[name]
    found = chosen(made(), problem)
    for n in range(1, problem.m + 1):
        assert found[n - 1] == pytest.approx(over_all_subsets(problem.m, n, best_by(keys(problem), problem)), abs=1e-12)


@pytest.mark.parametrize("name", BY_VOTE)
@MANY
@given(problem=slots())
def test_the_heaviest_class_is_elected(name: str, problem: Slots) -> None:
    """Votes: tied classes share, a refused candidate abstains, a weight of 0 elects nobody."""
    made, weights = BY_VOTE[name]
    found = chosen(made(), problem)
    for n in range(1, problem.m + 1):
        assert found[n - 1] == pytest.approx(
            over_all_subsets(problem.m, n, elected_by(weights(problem), problem)), abs=1e-12
        )


@MANY
@given(problem=slots())
def test_the_first_of_any_draw_is_any_slot(problem: Slots) -> None:
    """mean@1 does not depend on n; a slot without an answer takes its share of the draws and is chosen in none."""
    found = chosen(First(), problem)
    assert found == pytest.approx(np.tile((problem.classes >= 0) / problem.m, (problem.m, 1)))


@pytest.mark.parametrize("made", EVERY)
@MANY
@given(problem=slots(), seed=st.integers(0, 100))
def test_the_order_of_slots_has_no_say(made, problem: Slots, seed: int) -> None:
    """Shuffling a pool's slots shuffles the probabilities and nothing else: no tie is broken by position."""
    order = np.random.default_rng(seed).permutation(problem.m)
    assert chosen(made(), reordered(problem, order)) == pytest.approx(chosen(made(), problem)[:, order], abs=1e-12)


@pytest.mark.parametrize("made", EVERY)
@MANY
@given(problem=slots())
def test_probabilities_are_probabilities(made, problem: Slots) -> None:
    """Not negative, at most 1 in sum, and 0 for every slot without an answer."""
    found = chosen(made(), problem)
    assert (found >= 0).all()
    assert (found.sum(axis=1) <= 1 + 1e-12).all()
    assert not found[:, problem.classes < 0].any()


@pytest.mark.parametrize("made", [Random, Majority, BestOfN, Shortest])
@MANY
@given(problem=slots())
def test_something_is_chosen_whenever_something_can_be(made, problem: Slots) -> None:
    """At n = M every slot is drawn: the sum is 1 if any slot has an answer (and what the rule looks at), else 0."""
    able = problem.classes >= 0
    if made is BestOfN:
        able &= ~np.isnan(problem.rewards)
    elif made is Shortest:
        able &= ~np.isnan(problem.lengths)
    assert chosen(made(), problem)[-1].sum() == pytest.approx(float(able.any()))


@MANY
@given(problem=slots())
def test_only_the_order_of_rewards_counts_for_best_of_n(problem: Slots) -> None:
    """Log-odds, probabilities or ranks: any rising function of the rewards chooses the same."""
    risen = Slots(problem.classes, np.exp(problem.rewards) * 3 + 1, problem.weights, problem.lengths)
    assert chosen(BestOfN(), risen) == pytest.approx(chosen(BestOfN(), problem), abs=1e-12)


@MANY
@given(problem=slots(), factor=st.sampled_from([0.125, 0.5, 4.0, 1024.0]))
def test_the_scale_of_weights_does_not_count(problem: Slots, factor: float) -> None:
    """A vote with all weights doubled elects the same class (powers of two: exact in floating point)."""
    scaled = Slots(problem.classes, problem.rewards, problem.weights * factor, problem.lengths)
    assert chosen(WeightedMajority(), scaled) == pytest.approx(chosen(WeightedMajority(), problem), abs=1e-12)


@MANY
@given(problem=slots())
def test_equal_weights_are_a_plain_vote(problem: Slots) -> None:
    """Weighted majority with one weight for everybody is majority: two methods, one number."""
    same = Slots(problem.classes, problem.rewards, np.full(problem.m, 0.25), problem.lengths)
    assert chosen(WeightedMajority(), same) == pytest.approx(chosen(Majority(), problem), abs=1e-12)


@MANY
@given(problem=slots(), names=st.permutations(range(4)))
def test_the_names_of_classes_do_not_count(problem: Slots, names: list[int]) -> None:
    """Classes are labels: renumbering them changes no vote."""
    renamed = np.array([-1 if label < 0 else names[label] * 7 for label in problem.classes])
    again = Slots(renamed, problem.rewards, problem.weights, problem.lengths)
    for made in (Majority, WeightedMajority):
        assert chosen(made(), again) == pytest.approx(chosen(made(), problem), abs=1e-12)


@MANY
@given(problem=slots(least=2))
def test_a_refusal_is_a_slot_that_loses(problem: Slots) -> None:
    """Refusing a candidate never makes it chosen, and never makes another one less likely to be."""
    refused = problem.rewards.copy()
    refused[0] = NAN
    before = chosen(BestOfN(), problem)
    after = chosen(BestOfN(), Slots(problem.classes, refused, problem.weights, problem.lengths))
    assert not after[:, 0].any()
    assert (after[:, 1:] >= before[:, 1:] - 1e-12).all()


@MANY
@given(problem=slots(most=6))
def test_rules_on_draws_restate_every_selector(problem: Slots) -> None:
    """ByDraw is the general form: what ByKey and ByVote do in closed form, it does draw by draw."""

    class Keyed(ByDraw):
        name = "keyed"

        def select(self, draw: Draw) -> np.ndarray:
            keys = np.where(draw.classes >= 0, draw.rewards, NAN)
            if np.isnan(keys).all():
                return np.zeros(len(keys))
            best = keys == np.nanmax(keys)
            return best / best.sum()

    assert chosen(Keyed(), problem) == pytest.approx(chosen(BestOfN(), problem), abs=1e-12)


def test_a_draw_is_in_the_order_of_the_slots_it_names() -> None:
    """A rule sees all four fields of the same slots: a mixed-up field would give rewards to other candidates."""
    problem = Slots(np.arange(5), np.arange(5.0) + 10, np.arange(5.0) + 20, np.arange(5.0) + 30)
    seen: list[tuple[int, ...]] = []

    class Look(ByDraw):
        name = "look"

        def select(self, draw: Draw) -> np.ndarray:
            assert (draw.rewards - 10 == draw.classes).all()
            assert (draw.weights - 20 == draw.classes).all()
            assert (draw.lengths - 30 == draw.classes).all()
            seen.append(tuple(draw.classes))
            return np.zeros(len(draw.classes))

    assert not chosen(Look(), problem, [3]).any()
    assert len(seen) == len(set(seen)) == math.comb(5, 3)


def test_many_subsets_are_drawn_with_the_seed_of_the_problem() -> None:
    """Beyond enumeration a rule is estimated from seeded draws without replacement, and says how many."""
    m, draws = 24, 400
    problem = Slots(np.zeros(m, dtype=np.int64), np.arange(float(m)), np.ones(m), np.ones(m))

    class Highest(ByDraw):
        name = "highest"

        def select(self, draw: Draw) -> np.ndarray:
            assert len(set(draw.rewards)) == len(draw.rewards), "a slot was drawn twice"
            return (draw.rewards == draw.rewards.max()).astype(float)

    first, again, other = (Highest().choose(problem, [1, 12], seed=seed, draws=draws) for seed in (5, 5, 6))
    assert first.draws.tolist() == [0, draws]
    assert (first.probabilities == again.probabilities).all()
    assert (first.probabilities != other.probabilities).any()
    exact = best_of_n_probabilities(problem.rewards, [12])[0]
    assert np.abs(first.probabilities[1] - exact).max() < 4 * math.sqrt(0.25 / draws)


def test_a_negative_weight_is_refused() -> None:
    """A class could be voted down by its own members; the error names the selector."""

    class Against(ByVote):
        name = "against"

        def weights(self, slots: Slots) -> np.ndarray:
            return np.array([1.0, -0.5])

    problem = Slots(np.array([0, 1]), np.zeros(2), np.zeros(2), np.ones(2))
    with pytest.raises(PrmEvalError, match="selector against: a negative voting weight"):
        Against().choose(problem, [1], seed=0, draws=1)
    # of a slot that has no answer it is not looked at
    mute = Slots(np.array([0, -1]), np.zeros(2), np.zeros(2), np.ones(2))
    assert Against().choose(mute, [2], seed=0, draws=1).probabilities.tolist() == [[1.0, 0.0]]


@pytest.mark.parametrize("base, method", [(ByKey, "key"), (ByVote, "weights"), (ByDraw, "select")])
def test_a_base_class_without_its_rule_says_so(base, method: str) -> None:
    """A third party that forgets the one method must not get a selector that chooses nothing."""
    problem = Slots(np.array([0]), np.zeros(1), np.zeros(1), np.ones(1))
    with pytest.raises(NotImplementedError):
        type("Unfinished", (base,), {"name": "unfinished"})().choose(problem, [1], seed=0, draws=1)


@pytest.mark.parametrize("made", EVERY)
def test_every_selector_of_ours_is_one(made) -> None:
    """What is registered satisfies the protocol and has a name of its own."""
    assert isinstance(made(), Selector)
    assert len({each.name for each in EVERY}) == len(EVERY)


@pytest.mark.parametrize("made", [each for each in EVERY if each is not First])
@pytest.mark.parametrize("n", [0, -1, 4])
def test_subsets_that_do_not_exist_are_refused(made, n: int) -> None:
    """n = 0 chooses nothing and n > M would draw a slot twice: an error from every selector, not a number."""
    problem = Slots(np.array([0, 1, 1]), np.zeros(3), np.ones(3), np.ones(3))
    with pytest.raises(PrmEvalError, match="must be from 1 to 3"):
        made().choose(problem, [1, n], seed=0, draws=5)


@pytest.mark.parametrize("m", [1, 2, 5, 9])
def test_rank_probabilities_by_counting(m: int) -> None:
    """The chance that the best of n is the k-th best of all: C(m-k-1, n-1) / C(m, n), and it sums to 1."""
    ns = tuple(range(1, m + 1))
    found = rank_probabilities(m, ns)
    counted = [[math.comb(m - k - 1, n - 1) / math.comb(m, n) for k in range(m)] for n in ns]
    assert found == pytest.approx(np.array(counted), abs=1e-14)
    assert found.sum(axis=1) == pytest.approx(np.ones(m))


def test_rank_probabilities_keep_precision_where_binomials_overflow() -> None:
    """At M = 5,000 and n = 2,500 C(M, n) has 1,503 digits; the recurrence still gives sums of 1 and the first ranks."""
    found = rank_probabilities(5_000, (1, 2_500, 5_000))
    assert found.sum(axis=1) == pytest.approx(np.ones(3), abs=1e-12)
    assert found[1, 0] == pytest.approx(0.5, rel=1e-12)
    # exactly: n (m-n) / (m (m-1))
    assert found[1, 1] == pytest.approx(2_500 * 2_500 / (5_000 * 4_999), rel=1e-12)
    assert found[2].tolist() == [1.0, *[0.0] * 4_999]


def test_cached_tables_cannot_be_written_to() -> None:
    """The table is shared by all callers; one that wrote into it would change everybody's numbers."""
    with pytest.raises(ValueError, match="read-only"):
        rank_probabilities(4, (2,))[0, 0] = 1.0


@pytest.mark.parametrize("m, n", [(1, 1), (4, 2), (5, 5), (6, 1)])
def test_all_subsets_once_each(m: int, n: int) -> None:
    """Every subset, no subset twice, no slot twice in one."""
    found = [tuple(row) for row in all_subsets(m, n)]
    assert len(found) == len(set(found)) == math.comb(m, n)
    assert all(len(set(row)) == n for row in found)


def test_seeds_of_problems() -> None:
    """A problem's draws depend on the seed and its id alone; ids that look alike have different draws."""
    assert problem_seed(7, "a") == problem_seed(7, "a")
    seeds = {problem_seed(seed, name) for seed in (0, 1, 20_230_531) for name in ("a", "b", "algebra/1", "algebra/10")}
    assert len(seeds) == 12
    assert all(0 <= each < 2**63 for each in seeds)
