"""Adaptive stopping against its definition: every order of a few slots written out and followed draw by draw."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prm_eval.errors import PrmEvalError
from prm_eval.selection.accuracies import accuracy, best_of_n_table
from prm_eval.selection.selectors import Majority, Slots
from prm_eval.selection.stopping import passing, until_decided, until_passed

NAN = np.nan


def decided_by_hand(order, member, n) -> int:
    """How many slots of an order are drawn until no continuation of the n can change or tie the winner."""
    counts: dict[int, int] = {}
    for t, slot in enumerate(order[:n], 1):
        if member[slot] >= 0:
            counts[member[slot]] = counts.get(member[slot], 0) + 1
        first, second = [*sorted(counts.values(), reverse=True), 0, 0][:2]
        if first - second > n - t:
            return t
    return n


problems = st.integers(1, 6).flatmap(
    lambda m: st.tuples(
        st.lists(st.integers(-1, 3), min_size=m, max_size=m),
        st.lists(st.sampled_from([0.0, 1.0, 2.0, 7.0]), min_size=m, max_size=m),
        st.lists(st.sampled_from([NAN, 0.0, 0.5, 1.0]), min_size=m, max_size=m),
        st.lists(st.booleans(), min_size=m, max_size=m),
    )
)


@settings(max_examples=60, deadline=None)
@given(problems)
def test_a_decided_vote_over_all_orders(problem) -> None:
    """To 1e-12: the draws and both costs of the closed form are the means over all M! orders, followed one by one.
    A wrong lead, ties taken for decided, or tokens that forget which class is drawn would show at once."""
    member, tokens, _, _ = (np.array(each) for each in problem)
    m, orders = len(member), list(itertools.permutations(range(len(member))))
    costs = np.stack([np.ones(m), tokens])
    found = until_decided(member, costs, range(1, m + 1), seed=1, draws=10)
    assert found.draws == 0
    for column, n in enumerate(range(1, m + 1)):
        stops = [decided_by_hand(order, member, n) for order in orders]
        assert found.drawn[column] == pytest.approx(np.mean(stops), abs=1e-12)
        spent = np.mean([tokens[list(order[:t])].sum() for order, t in zip(orders, stops, strict=True)])
        assert found.spent[1, column] == pytest.approx(spent, abs=1e-12)
        assert found.spent[0, column] == pytest.approx(found.drawn[column], abs=1e-12)


@settings(max_examples=60, deadline=None)
@given(problems)
def test_a_threshold_over_all_orders(problem) -> None:
    """To 1e-12 for every threshold and budget: accuracy (ties of the best shared) and costs over all orders."""
    _, tokens, rewards, correct = (np.array(each) for each in problem)
    m, orders = len(rewards), list(itertools.permutations(range(len(rewards))))
    thresholds = np.array([-np.inf, 0.0, 0.25, 0.5, 1.0, np.inf])
    places = passing(rewards[None], thresholds)[:, 0]
    for n in range(1, m + 1):
        found = until_passed(rewards[None], correct[None], tokens[None, None], n)
        for threshold, a in zip(thresholds, places, strict=True):
            right, drawn, spent = [], [], []
            for order in orders:
                t = next((t for t, slot in enumerate(order[:n], 1) if rewards[slot] >= threshold), None)
                if t is not None:
                    right.append(float(correct[order[t - 1]]))
                else:
                    t = n
                    able = [slot for slot in order[:n] if not np.isnan(rewards[slot])]
                    best = [slot for slot in able if rewards[slot] == max(rewards[each] for each in able)]
                    right.append(float(np.mean(correct[best])) if best else 0.0)
                drawn.append(t)
                spent.append(tokens[list(order[:t])].sum())
            assert found.accuracy[0, a] == pytest.approx(np.mean(right), abs=1e-12)
            assert found.drawn[a] == pytest.approx(np.mean(drawn), abs=1e-12)
            assert found.spent[0, 0, a] == pytest.approx(np.mean(spent), abs=1e-12)


def test_permutations_agree_with_the_closed_form() -> None:
    """Where there are too many counts, permutations estimate the same numbers within four of their own errors."""
    generator = np.random.default_rng(3)
    member = generator.choice([-1, 0, 0, 0, 1, 1, 2, 3, 4, 5], size=40)
    costs = np.stack([generator.integers(50, 500, size=40).astype(float), np.ones(40)])
    ns = [1, 2, 8, 17, 40]
    exact = until_decided(member, costs, ns, seed=5, draws=4_000, most_states=10**7)
    drawn = until_decided(member, costs, ns, seed=5, draws=4_000, most_states=1)
    assert (exact.draws, drawn.draws) == (0, 4_000)
    assert (exact.variances == 0).all()
    errors = np.sqrt(drawn.variances)
    assert (np.abs(exact.drawn - drawn.drawn) <= 4 * errors[0] + 1e-12).all()
    assert (np.abs(exact.spent - drawn.spent) <= 4 * errors[1:] + 1e-12).all()
    again = until_decided(member, costs, ns, seed=5, draws=4_000, most_states=1)
    assert (again.spent == drawn.spent).all(), "the permutations are seeded"
    assert np.isinf(until_decided(member, costs, ns, seed=5, draws=1, most_states=1).variances).all()


def test_what_stops_for_certain() -> None:
    """By hand: 8 equal answers are decided after 5 of 8; an answer nobody else has never decides before the end."""
    same = until_decided(np.zeros(8, dtype=np.int64), np.ones((1, 8)), [8], seed=1, draws=1)
    assert same.drawn.tolist() == pytest.approx([5.0], abs=1e-12)
    different = until_decided(np.arange(8), np.ones((1, 8)), [8], seed=1, draws=1)
    assert different.drawn.tolist() == pytest.approx([8.0], abs=1e-12)
    nobody = until_decided(np.full(4, -1), np.ones((1, 4)), [1, 4], seed=1, draws=1)
    assert nobody.drawn.tolist() == pytest.approx([1.0, 4.0], abs=1e-12)
    with pytest.raises(PrmEvalError, match="n = 5 of 4 slots"):
        until_decided(np.full(4, -1), np.ones((1, 4)), [5], seed=1, draws=1)


def test_without_a_threshold_it_is_the_best_of_n() -> None:
    """A threshold that nobody passes changes nothing: best of n, all n drawn; one that all pass takes the first."""
    generator = np.random.default_rng(7)
    rewards = generator.normal(size=(30, 12)).round(1)
    rewards[generator.random((30, 12)) < 0.2] = NAN
    correct = generator.random((30, 12)) < 0.4
    found = until_passed(rewards, correct, np.ones((1, 30, 12)), 5)
    assert found.accuracy[:, 0] == pytest.approx(best_of_n_table(rewards, correct, [5])[:, 0], abs=1e-12)
    assert found.drawn[0] == 5
    assert found.drawn[12] == pytest.approx(1.0)
    assert (np.diff(found.drawn) < 0).all()


def test_a_decided_vote_keeps_the_winner() -> None:
    """The accuracy of the rule is that of the majority vote: in every order the winner at the stop is that of n."""
    member = np.array([0, 0, 0, 1, 1, 2, -1])
    correct = member == 0
    votes = accuracy(Majority().choose(Slots(member, *(np.full(7, NAN),) * 3), [5], seed=1, draws=1), correct).values
    right = []
    for order in itertools.permutations(range(7)):
        t = decided_by_hand(order, member, 5)
        drawn = [label for label in member[list(order[:t])] if label >= 0]
        top = [label for label in set(drawn) if drawn.count(label) == max(map(drawn.count, drawn))]
        right.append((0 in top) / len(top))
    assert np.mean(right) == pytest.approx(votes[0], abs=1e-12)
