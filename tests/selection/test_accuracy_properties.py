"""What must hold of every accuracy, whatever the pool: bounds, order, and that two roads to one number meet."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import prm_eval.selection
from prm_eval.selection.accuracies import (
    Accuracy,
    accuracy,
    best_of_n_mean,
    best_of_n_table,
    pass_at_n,
    subsampling_sd,
)
from prm_eval.selection.selectors import BestOfN, Choice, Majority
from prm_eval.selection.subsets import best_of_n_probabilities
from tests.selection.brute import NAN, best_by, over_all_subsets, slots

MANY = settings(max_examples=80, deadline=None, derandomize=True)
CELLS = st.sampled_from([NAN, -math.inf, -2.0, 0.0, 0.0, 1.0, math.inf])


@st.composite
def tables(draw):
    """(problems, M) rewards with infinities, ties and gaps, and correctness."""
    problems, m = draw(st.integers(1, 5)), draw(st.integers(1, 7))
    rewards = np.array(draw(st.lists(st.lists(CELLS, min_size=m, max_size=m), min_size=problems, max_size=problems)))
    flags = st.lists(st.booleans(), min_size=m, max_size=m)
    return rewards, np.array(draw(st.lists(flags, min_size=problems, max_size=problems)))


@MANY
@given(tables())
def test_the_table_is_the_closed_form_problem_by_problem(case) -> None:
    """Sorting a whole pool at once against one problem at a time, infinite rewards included."""
    rewards, correct = case
    ns = list(range(1, rewards.shape[1] + 1))
    found = best_of_n_table(rewards, correct, ns)
    for row in range(len(rewards)):
        assert found[row] == pytest.approx(best_of_n_probabilities(rewards[row], ns) @ correct[row], abs=1e-12)


@MANY
@given(tables(), st.integers(0, 50))
def test_values_of_any_meaning(case, seed: int) -> None:
    """The expected length (or anything) of what is chosen: linear in the values, blind to what cannot be chosen."""
    rewards, _ = case
    ns = list(range(1, rewards.shape[1] + 1))
    generator = np.random.default_rng(seed)
    one, other = generator.normal(size=(2, *rewards.shape))
    missing = np.isnan(rewards)
    found = best_of_n_mean(rewards, one, ns)
    assert best_of_n_mean(rewards, np.where(missing, 1e9, one), ns) == pytest.approx(found, abs=1e-9)
    both = best_of_n_mean(rewards, 2 * one - other, ns)
    assert both == pytest.approx(2 * found - best_of_n_mean(rewards, other, ns), abs=1e-9)
    # what is always 1 has the chance that anything is chosen: 1 - C(missing, n) / C(M, n)
    m = rewards.shape[1]
    chance = [[1 - math.comb(int(gone), n) / math.comb(m, n) for n in ns] for gone in missing.sum(axis=1)]
    assert best_of_n_mean(rewards, np.ones_like(rewards), ns) == pytest.approx(np.array(chance), abs=1e-12)


@pytest.mark.parametrize("problems", [1, 63, 64, 65, 130])
def test_blocks_of_problems_do_not_show(problems: int) -> None:
    """Pools are ranked 64 problems at a time: the last block, and a block of one, come out like the others."""
    generator = np.random.default_rng(problems)
    rewards = generator.integers(0, 3, (problems, 6)).astype(float)
    correct = generator.random((problems, 6)) < 0.5
    whole = best_of_n_table(rewards, correct, [1, 3, 6])
    alone = np.concatenate([best_of_n_table(rewards[[i]], correct[[i]], [1, 3, 6]) for i in range(problems)])
    assert whole == pytest.approx(alone, abs=1e-15)


@MANY
@given(slots())
def test_no_selector_beats_the_oracle(problem) -> None:
    """pass@n bounds every selector at every n; both are the share of correct candidates at n = 1."""
    correct = problem.classes == 0
    ns = list(range(1, problem.m + 1))
    oracle = pass_at_n(int(correct.sum()), problem.m, ns)
    for made in (BestOfN, Majority):
        found = accuracy(made().choose(problem, ns, seed=0, draws=10), correct).values
        assert (found <= oracle + 1e-12).all()
    assert oracle[0] == pytest.approx(correct.mean())
    assert (np.diff(oracle) >= -1e-12).all()


@pytest.mark.parametrize("m", [1, 5, 12])
def test_pass_at_n_by_counting(m: int) -> None:
    """1 - C(M - c, n) / C(M, n) for every c and n, the ends included: none right is 0, n > wrong ones is 1."""
    for correct in range(m + 1):
        found = pass_at_n(correct, m, range(1, m + 1))
        counted = [1 - math.comb(m - correct, n) / math.comb(m, n) for n in range(1, m + 1)]
        assert found == pytest.approx(counted, abs=1e-12)
        assert ((found >= 0) & (found <= 1)).all()
    assert not pass_at_n(0, m, [1, m]).any()


@MANY
@given(slots(least=2))
def test_a_better_order_never_loses(problem) -> None:
    """Raising the reward of a correct candidate above all others raises bon@n at every n, or leaves it."""
    correct = (problem.classes == 0) & ~np.isnan(problem.rewards)
    if not correct.any():
        return
    raised = problem.rewards.copy()
    raised[np.flatnonzero(correct)[0]] = 99.0
    keys = np.where(problem.classes >= 0, np.stack([problem.rewards, raised]), NAN)
    before, after = best_of_n_table(keys, np.stack([correct, correct]), list(range(1, problem.m + 1)))
    assert (after >= before - 1e-12).all()


@MANY
@given(slots())
def test_perfect_rewards_reach_the_oracle_and_reversed_ones_the_floor(problem) -> None:
    """With rewards that put every correct candidate first bon@n is pass@n; with the reverse it is 1 minus pass@n of the wrong."""
    answered = problem.classes >= 0
    correct = problem.classes == 0
    ns = list(range(1, problem.m + 1))
    keys = np.where(answered, correct.astype(float), NAN)
    best, worst = best_of_n_table(np.stack([keys, -keys]), np.stack([correct, correct]), ns)
    assert best == pytest.approx(pass_at_n(int(correct.sum()), problem.m, ns), abs=1e-12)
    # the worst choice is right only where every answered candidate drawn is right, and there is one
    rule = best_by(-keys, problem)
    for n in ns:
        assert worst[n - 1] == pytest.approx(over_all_subsets(problem.m, n, rule) @ correct, abs=1e-12)


@pytest.mark.parametrize(
    "probability, draws, variance",
    [
        (0.5, 0, 0.0),
        (0.5, 100, 0.25 / 100),
        # an estimate of exactly 0 or 1 is still an estimate: one success and one failure added
        (0.0, 98, (1 / 100) * (99 / 100) / 98),
        (1.0, 98, (1 / 100) * (99 / 100) / 98),
    ],
)
def test_the_variance_of_an_estimate(probability: float, draws: int, variance: float) -> None:
    """0 where exact; p(1-p)/draws of the smoothed p elsewhere, so that no estimate claims certainty."""
    choice = Choice(np.array([[probability, 1 - probability]]), np.array([draws]))
    found = accuracy(choice, np.array([True, False]))
    assert isinstance(found, Accuracy)
    assert found.values.tolist() == [probability]
    assert found.variances == pytest.approx([variance])


def test_rounding_never_leaves_the_unit_interval() -> None:
    """Ten tenths are 0.9999999999999999 or 1.0000000000000002; an accuracy of more than 1 would break the limits."""
    choice = Choice(np.full((1, 10), 0.1 + 1e-16), np.zeros(1, dtype=np.int64))
    assert accuracy(choice, np.ones(10, dtype=bool)).values.tolist() == [1.0]


@pytest.mark.parametrize(
    "values, sd", [([0.0, 1.0, 1.0], 0.0), ([0.5], 0.5), ([0.5] * 4, 0.25), ([0.2, 0.8], 0.08**0.5)]
)
def test_the_spread_of_draws(values: list[float], sd: float) -> None:
    """sqrt(sum e(1-e)) / P by hand: what is certain on every problem does not spread."""
    assert subsampling_sd(np.array(values)) == pytest.approx(sd)


def test_the_room_offers_what_it_says() -> None:
    """`prm_eval.selection` loads its names on first use; one that is listed and not there would fail only in a user's hands."""
    for name in prm_eval.selection.__all__:
        assert callable(getattr(prm_eval.selection, name))
    assert set(prm_eval.selection.__all__) == set(dir(prm_eval.selection))
    with pytest.raises(AttributeError, match="no attribute 'best_of_m'"):
        _ = prm_eval.selection.best_of_m
