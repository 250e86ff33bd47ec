"""Closed forms against brute force over all subsets: if these differ, every number we print is wrong."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prm_eval.errors import PrmEvalError
from prm_eval.selection.accuracies import accuracy, best_of_n_table, pass_at_n, subsampling_sd
from prm_eval.selection.selectors import (
    BestOfN,
    ByDraw,
    First,
    Longest,
    Majority,
    Shortest,
    Slots,
    WeightedMajority,
)
from prm_eval.selection.subsets import rank_probabilities
from prm_eval.selection.voting import exact_vote

REWARDS = st.sampled_from([math.nan, -1.0, 0.0, 0.5, 2.0])  # few values: many ties
WEIGHTS = st.sampled_from([0.0, 0.25, 0.5, 1.0])


@st.composite
def problems(draw) -> tuple[Slots, np.ndarray]:
    m = draw(st.integers(1, 8))
    classes = np.array(draw(st.lists(st.integers(-1, 3), min_size=m, max_size=m)))
    rewards = np.array(draw(st.lists(REWARDS, min_size=m, max_size=m)))
    weights = np.where(np.isnan(rewards), np.nan, np.array(draw(st.lists(WEIGHTS, min_size=m, max_size=m))))
    right = draw(st.integers(0, 3))
    lengths = np.array(draw(st.lists(st.integers(1, 4), min_size=m, max_size=m)), dtype=float)
    return Slots(classes, rewards, weights, lengths), classes == right


def brute_key(keys: np.ndarray, slots: Slots, correct: np.ndarray, n: int) -> float:
    total = 0.0
    subsets = list(itertools.combinations(range(slots.m), n))
    for drawn in subsets:
        able = [i for i in drawn if slots.classes[i] >= 0 and not math.isnan(keys[i])]
        if able:
            best = max(keys[i] for i in able)
            winners = [i for i in able if keys[i] == best]
            total += sum(correct[i] for i in winners) / len(winners)
    return total / len(subsets)


def brute_vote(weights: np.ndarray, slots: Slots, correct: np.ndarray, n: int) -> float:
    total = 0.0
    subsets = list(itertools.combinations(range(slots.m), n))
    for drawn in subsets:
        votes: dict[int, float] = {}
        for i in drawn:
            if slots.classes[i] >= 0 and not math.isnan(weights[i]):
                votes[slots.classes[i]] = votes.get(slots.classes[i], 0.0) + weights[i]
        best = max(votes.values(), default=0.0)
        if best > 0:
            winners = [c for c, v in votes.items() if v >= best * (1 - 1e-9)]
            truth = {slots.classes[i]: correct[i] for i in range(slots.m)}
            total += sum(truth[c] for c in winners) / len(winners)
    return total / len(subsets)


def expected(selector, slots: Slots, correct: np.ndarray) -> np.ndarray:
    ns = range(1, slots.m + 1)
    return accuracy(selector.choose(slots, list(ns), seed=1, draws=10), correct).values


@settings(max_examples=150, deadline=None, derandomize=True)
@given(problems())
def test_best_of_n_equals_brute_force(case) -> None:
    """Best-of-n, length baselines: ties shared evenly, missing answers keep their slot and lose."""
    slots, correct = case
    for selector, keys in ((BestOfN(), slots.rewards), (Shortest(), -slots.lengths), (Longest(), slots.lengths)):
        found = expected(selector, slots, correct)
        for n in range(1, slots.m + 1):
            assert found[n - 1] == pytest.approx(brute_key(keys, slots, correct, n), abs=1e-12)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(problems())
def test_votes_equal_brute_force(case) -> None:
    """Majority and weighted majority: abstentions, ties, all-missing draws."""
    slots, correct = case
    for selector, weights in ((Majority(), np.ones(slots.m)), (WeightedMajority(), slots.weights)):
        found = expected(selector, slots, correct)
        for n in range(1, slots.m + 1):
            assert found[n - 1] == pytest.approx(brute_vote(weights, slots, correct, n), abs=1e-12)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(problems())
def test_table_pass_and_first_agree_with_selectors(case) -> None:
    """The vectorised table, pass@n and mean@1 are other roads to the same numbers."""
    slots, correct = case
    ns = list(range(1, slots.m + 1))
    keys = np.where(slots.classes >= 0, slots.rewards, np.nan)
    table = best_of_n_table(keys[None, :], correct[None, :], ns)[0]
    assert table == pytest.approx(expected(BestOfN(), slots, correct), abs=1e-12)
    c, m = int(correct.sum()), slots.m
    assert pass_at_n(c, m, ns) == pytest.approx([1 - math.comb(m - c, n) / math.comb(m, n) for n in ns], abs=1e-12)
    assert expected(First(), slots, correct) == pytest.approx([correct.mean()] * m, abs=1e-12)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.lists(st.integers(1, 4), min_size=1, max_size=4), st.integers(0, 3))
def test_exact_vote_polynomial_equals_brute_force(sizes, abstaining) -> None:
    """The polynomial form of the majority vote (used where enumeration is too large) is exact."""
    classes = np.array([k for k, size in enumerate(sizes) for _ in range(size)] + [-1] * abstaining)
    m = len(classes)
    ns = list(range(1, m + 1))
    found = exact_vote(np.array(sizes), m, ns)
    slots = Slots(classes, np.full(m, np.nan), np.full(m, np.nan), np.ones(m))
    for k in range(len(sizes)):
        for n in ns if m <= 10 else (1, 2, m):
            assert found[n - 1, k] == pytest.approx(brute_vote(np.ones(m), slots, classes == k, n), abs=1e-12)


def test_monte_carlo_is_within_its_own_error() -> None:
    """Weighted majority has no closed form: its estimate must agree with enumeration within the error it reports."""
    generator = np.random.default_rng(5)
    m = 16
    classes = generator.integers(0, 3, m)
    weights = generator.random(m)
    slots = Slots(classes, weights, weights, np.ones(m))
    correct = classes == 0
    n = 8  # C(16, 8) = 12,870 subsets: more than are enumerated
    found = accuracy(WeightedMajority().choose(slots, [n], seed=2, draws=4_000), correct)
    assert found.variances[0] > 0
    assert abs(found.values[0] - brute_vote(weights, slots, correct, n)) < 4 * math.sqrt(found.variances[0])


def test_permutations_are_common_to_all_models() -> None:
    """The same permutations serve every reward model: two models that agree differ by exactly 0."""
    generator = np.random.default_rng(1)
    classes = generator.integers(0, 3, 40)
    weights = generator.random(40)
    one = Slots(classes, weights, weights, np.ones(40))
    other = Slots(classes, weights + 1, weights.copy(), np.ones(40))
    first = WeightedMajority().choose(one, [8], seed=9, draws=100).probabilities
    assert (first == WeightedMajority().choose(other, [8], seed=9, draws=100).probabilities).all()


def test_any_rule_on_a_draw() -> None:
    """A third party's rule (ByDraw) that restates best-of-n gives best-of-n."""

    class Restated(ByDraw):
        name = "restated"
        needs_rewards = True

        def select(self, draw):
            best = draw.rewards == draw.rewards.max()
            return best / best.sum()

    slots = Slots(np.array([0, 1, 1, 0, 2]), np.array([1.0, 2.0, 2.0, 0.0, 3.0]), np.ones(5), np.ones(5))
    correct = slots.classes == 1
    assert expected(Restated(), slots, correct) == pytest.approx(expected(BestOfN(), slots, correct), abs=1e-12)


def test_n_beyond_m_is_refused() -> None:
    """n > M would need subsets that do not exist; peers print a number there."""
    for n in (0, 9):
        with pytest.raises(PrmEvalError, match="must be from 1 to 8"):
            rank_probabilities(8, (n,))


def test_subsampling_sd_is_zero_at_m_and_matches_draws() -> None:
    """The SD that the paper's evaluation prints: 0 at n = M, and the spread of simulated draws elsewhere."""
    generator = np.random.default_rng(0)
    rewards, correct = generator.random((40, 30)), generator.random((40, 30)) < 0.4
    values = best_of_n_table(rewards, correct, [5, 30])
    assert subsampling_sd(values[:, 1]) == 0
    means = []
    for _ in range(600):
        drawn = np.argsort(generator.random((40, 30)), axis=1)[:, :5]
        pick = np.take_along_axis(rewards, drawn, 1).argmax(axis=1)
        means.append(np.take_along_axis(correct, drawn, 1)[np.arange(40), pick].mean())
    assert subsampling_sd(values[:, 0]) == pytest.approx(np.std(means), rel=0.1)
