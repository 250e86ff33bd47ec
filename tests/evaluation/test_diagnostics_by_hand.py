"""Edges of the diagnostics: limits of bins, ties, empty tables, and what is left out, in figures written out."""

from __future__ import annotations

import math

import numpy as np
import pytest

from prm_eval.evaluation.diagnostics import (
    chosen_length,
    expensive_mistakes,
    groups_of,
    histogram,
    last_step,
    quintiles,
    reliability,
    row_ranks,
    within_problem_auroc,
    within_problem_correlation,
)

NAN, INF = math.nan, math.inf


def test_every_bin_of_a_histogram() -> None:
    """Bins are closed below; what is outside is counted in the outermost; what is not finite, nowhere."""
    values = np.array([-9.0, -2.0, -1.5, -1.0, 0.0, 0.9, 1.0, 9.0, NAN, INF, -INF])
    correct = np.array([True, False, True, False, True, True, False, True, True, False, True])
    found = histogram(values, correct, low=-2.0, high=1.0, bins=3)
    assert found.edges == (-2.0, -1.0, 0.0, 1.0)
    assert (found.correct, found.incorrect) == ((2, 0, 3), (1, 1, 1))
    assert {type(each) for each in (*found.correct, *found.incorrect)} == {int}
    assert {type(each) for each in found.edges} == {float}
    empty = histogram(np.array([NAN]), np.array([True]), low=0.0, high=1.0)
    assert len(empty.correct) == len(empty.incorrect) == 20 and not sum(empty.correct) + sum(empty.incorrect)
    narrow = histogram(np.array([0.0, 0.6, 2.0]), np.ones(3, bool), low=0.5, high=0.5, bins=4)
    assert narrow.correct == (2, 0, 0, 1) and narrow.edges == (0.5,) * 5  # as if it were one wide


def test_every_field_of_a_reliability() -> None:
    p = np.array([[0.1, 0.12, 0.3], [1.0, 0.0, NAN]])
    found = reliability(p, np.array([[True, False, False], [True, True, True]]), bins=5)
    assert found.counts == (3, 1, 0, 0, 1)
    assert found.predicted == pytest.approx((0.22 / 3, 0.3, NAN, NAN, 1.0), nan_ok=True)
    assert found.observed == pytest.approx((2 / 3, 0.0, NAN, NAN, 1.0), nan_ok=True)
    assert found.brier == pytest.approx((0.81 + 0.0144 + 0.09 + 0 + 1) / 5)
    assert found.ece == pytest.approx((3 * (2 - 0.22) / 3 + 0.3 + 0) / 5)
    nothing = reliability(np.array([NAN, NAN]), np.array([True, False]))
    assert nothing.counts == (0,) * 10 and math.isnan(nothing.brier) and math.isnan(nothing.ece)
    assert len(nothing.predicted) == len(nothing.observed) == 10
    assert all(map(math.isnan, (*nothing.predicted, *nothing.observed)))
    assert len(reliability(np.array([0.5]), np.array([True])).counts) == 10


def test_ranks_of_rows() -> None:
    table = np.array([[3.0, 1.0, 3.0, NAN], [2.0, 2.0, 2.0, 2.0], [NAN, NAN, NAN, NAN], [-INF, 0.0, INF, -1.0]])
    wanted = np.array([[2.5, 1, 2.5, NAN], [2.5] * 4, [NAN] * 4, [1, 3, 4, 2]])
    assert np.array_equal(row_ranks(table), wanted, equal_nan=True)
    assert np.array_equal(row_ranks(np.array([[5.0], [5.0]])), [[1.0], [1.0]])


def test_auroc_of_problems_by_hand() -> None:
    """Two right and one wrong (one pair lost, one tied), one of each, and problems that have no pair."""
    rewards = np.array([[1.0, 2.0, 2.0], [0.0, 1.0, NAN], [1.0, 2.0, 3.0], [NAN, 1.0, 2.0]])
    correct = np.array([[True, True, False], [False, True, True], [True, True, True], [True, False, False]])
    assert within_problem_auroc(rewards, correct) == (pytest.approx((0.25 + 1.0) / 2), 2)
    found, problems = within_problem_auroc(rewards[2:], correct[2:])
    assert math.isnan(found) and problems == 0


def test_correlation_of_problems_by_hand() -> None:
    """Opposite, alike, constant, and too few candidates in common."""
    one = np.array([[1.0, 2.0, 3.0, NAN], [1.0, 2.0, 3.0, 9.0], [1.0, 1.0, 1.0, 1.0], [1.0, 2.0, NAN, NAN]])
    other = np.array([[9.0, 5.0, 1.0, 0.0], [1.0, 4.0, 9.0, NAN], [1.0, 2.0, 3.0, 4.0], [1.0, 2.0, 3.0, 4.0]])
    assert within_problem_correlation(one, other) == (pytest.approx(0.0), 2)
    assert within_problem_correlation(one[:1], other[:1]) == (pytest.approx(-1.0), 1)
    found, problems = within_problem_correlation(one[2:], other[2:])
    assert math.isnan(found) and problems == 0
    tied = within_problem_correlation(np.array([[1.0, 1.0, 2.0]]), np.array([[1.0, 2.0, 3.0]]))
    assert tied == (pytest.approx(math.sqrt(3) / 2), 1)


def test_chosen_lengths_by_hand() -> None:
    rewards = np.array([[1.0, 2.0], [NAN, 5.0], [NAN, NAN], [3.0, 1.0]])
    lengths = np.array([[10.0, 30.0], [NAN, 8.0], [4.0, 4.0], [NAN, 0.0]])
    assert chosen_length(rewards[:1], lengths[:1], 2) == pytest.approx(1.5)
    assert chosen_length(rewards[:1], lengths[:1], 1) == pytest.approx(1.0)
    assert chosen_length(rewards[:2], lengths[:2], 2) == pytest.approx((1.5 + 1.0) / 2)
    assert chosen_length(rewards[:2], lengths[:2], 1) == pytest.approx(1.0)
    assert chosen_length(rewards, lengths, 2) == pytest.approx((1.5 + 1.0 + 0.0) / 3)  # a text of no length has mean 0
    assert math.isnan(chosen_length(rewards[2:3], lengths[2:3], 1))


def test_where_the_worst_step_is() -> None:
    values = np.array([2.0, 1.0, 1.0, 1.0, 3.0, 1.0, 2.0, 7.0])
    found = last_step(values, np.array([2, 2, 0, 3, 1]), np.array([True, False, True, False, False]))
    assert (found.correct, found.incorrect, found.candidates) == (1.0, pytest.approx((0.5 + 0.0) / 2), 3)
    assert found.by_chance == pytest.approx((1 / 2 + 1 / 2 + 1 / 3) / 3)
    only = last_step(np.array([1.0, 2.0]), np.array([2]), np.array([True]))
    assert (only.correct, only.candidates, only.by_chance) == (0.0, 1, 0.5) and math.isnan(only.incorrect)
    none = last_step(np.array([1.0, 2.0]), np.array([1, 1]), np.array([True, False]))
    assert none.candidates == 0 and all(map(math.isnan, (none.correct, none.incorrect, none.by_chance)))


def test_quintiles_by_hand() -> None:
    """Easiest first; of equally hard ones the pool's order decides; each part in the pool's order."""
    shares = [0, 2, 1, 2, 0, 1, 2]
    correct = np.array([[at < share for at in range(2)] for share in shares])
    assert [part.tolist() for part in quintiles(correct)] == [[1, 3], [2, 6], [5], [0], [4]]
    assert [part.tolist() for part in quintiles(correct[:2])] == [[1], [0]]


def test_the_dearest_mistakes_by_hand() -> None:
    rewards = np.array(
        [
            [0.9, 0.8, 0.1, NAN],  # the best is wrong, the second right
            [0.9, 0.8, NAN, 0.2],  # wrong at the top; the right ones have no reward, or a poor one
            [NAN, NAN, NAN, NAN],  # nothing was scored: lost, but to no choice
            [0.9, 0.1, 0.2, 0.3],  # right at the top: nothing lost
            [0.9, 0.8, 0.7, 0.6],  # nothing right
            [0.9, 0.9, 0.1, 0.1],  # tied at the top, half is lost
            [0.5, NAN, NAN, NAN],  # the right ones have no reward at all
        ]
    )
    right = [[1], [2, 3], [0], [0], [], [1], [2, 3]]
    correct = np.array([[slot in each for slot in range(4)] for each in right])
    found = expensive_mistakes(rewards, correct, 4)
    assert [(each.row, each.lost, each.chosen, each.better, each.shares) for each in found] == [
        (0, 1.0, 0, 1, (1.0, 0.0)),
        (1, 1.0, 0, 3, (1.0, 0.0)),
        (6, 1.0, 0, 2, (1.0, 0.0)),
        (5, 0.5, 0, 1, (0.5, 0.5)),
    ]
    assert [each.row for each in expensive_mistakes(rewards, correct, 4, most=2)] == [0, 1]
    pairs = {each.row: each for each in expensive_mistakes(rewards, correct, 2)}
    assert pairs[0].lost == pytest.approx(3 / 6 - 2 / 6) and pairs[0].shares == pytest.approx((3 / 6, 2 / 6))
    many = expensive_mistakes(np.tile(rewards[:1], (25, 1)), np.tile(correct[:1], (25, 1)), 4)
    assert [each.row for each in many] == list(range(20))


def test_groups_by_hand() -> None:
    """Numbers in their order before words, None in no group; a single one is no grouping."""
    found = groups_of([10, "b", None, 9, "a", 10, "b"])
    assert [(label, rows.tolist()) for label, rows in found] == [("9", [3]), ("10", [0, 5]), ("a", [4]), ("b", [1, 6])]
    assert [label for label, _ in groups_of([2, 1])] == ["1", "2"]
    assert groups_of([None, 3, 3]) == [] and groups_of([]) == []
