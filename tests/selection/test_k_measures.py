"""The k-measures against their definitions: every k-subset written out, missing slots and ties of votes included."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prm_eval.errors import PrmEvalError
from prm_eval.selection.accuracies import accuracy
from prm_eval.selection.k_measures import EVERY, EXPANDED, SHARE, VOTE, KMeasure, read_k_measures
from prm_eval.selection.selectors import Majority, Slots
from tests.selection.brute import NAN, slots

TAUS = ("0.01", ".25", "0.5", "0.7", "0.75", "1", "1.0")
CLOSED = ("avg@k", "pass@k", "pass^k", *(f"g-pass@k:{tau}" for tau in TAUS))


def by_hand(name: str, drawn: list[tuple[int, bool]]) -> Fraction:
    """What one draw of (answer class, correct) is worth by a measure; class -1 has no answer or is missing."""
    k, right = len(drawn), sum(correct for _, correct in drawn)
    if name == "avg@k":
        return Fraction(right, k)
    if name == "maj@k":
        sizes = {label: sum(each == label for each, _ in drawn) for label, _ in drawn if label >= 0}
        winners = [label for label, size in sizes.items() if size == max(sizes.values())]
        return Fraction(sum((label, True) in drawn for label in winners), len(winners)) if winners else Fraction(0)
    least = {"pass@k": Fraction(1), "pass^k": Fraction(k)}.get(name) or Fraction(name.partition(":")[2]) * k
    return Fraction(right >= least)


def over_all_subsets(name: str, problem: list[tuple[int, bool]], k: int) -> float:
    draws = list(itertools.combinations(problem, k))
    return float(sum(by_hand(name, list(drawn)) for drawn in draws) / len(draws))


@settings(max_examples=150, deadline=None)
@given(slots(most=8), st.sets(st.integers(0, 3)))
def test_every_measure_is_the_mean_over_all_subsets(problem: Slots, right: set[int]) -> None:
    """To 1e-12 for every k up to M: a closed form with another rounding of tau k, or one that forgets missing slots or
    ties, would be off by far more."""
    correct = np.isin(problem.classes, list(right)) & (problem.classes >= 0)
    flat = list(zip(problem.classes.tolist(), correct.tolist(), strict=True))
    ks = range(1, problem.m + 1)
    found = {each.name: each.values(int(correct.sum()), problem.m, ks) for each in read_k_measures(CLOSED)}
    found[VOTE] = accuracy(Majority().choose(problem, ks, seed=1, draws=10), correct).values
    for name, values in found.items():
        for k, value in zip(ks, values, strict=True):
            assert math.isclose(value, over_all_subsets(name, flat, k), rel_tol=0, abs_tol=1e-12), (name, k)


@pytest.mark.parametrize(("m", "correct"), [(32, 20), (200, 3), (1860, 0), (1860, 921), (1860, 1860)])
def test_large_pools_against_whole_numbers(m: int, correct: int) -> None:
    """At the paper's size binomials have 560 digits: the ratios give what Python's whole numbers give, to 1e-12."""
    ks = [1, 2, 7, 10, m // 2, m]
    for measure in read_k_measures(["pass^k", "g-pass@k:0.7", "g-pass@k:0.5"]):
        for k, value in zip(ks, measure.values(correct, m, ks), strict=True):
            least = k if measure.kind == EVERY else math.ceil(Fraction(measure.tau) * k)
            ways = sum(math.comb(correct, j) * math.comb(m - correct, k - j) for j in range(least, k + 1))
            assert math.isclose(value, Fraction(ways, math.comb(m, k)), rel_tol=0, abs_tol=1e-12), (measure, k)


def test_thresholds_are_exact() -> None:
    """0.7 x 10 is 7 and not 7.000000000000001, of which the ceiling is 8; the names keep the threshold as written."""
    measure = KMeasure(SHARE, "0.7")
    assert measure.least(10) == 7
    assert (measure.name, measure.at(10)) == ("g-pass@k:0.7", "g-pass@10:0.7")
    assert [each.at(8) for each in read_k_measures(["all"])] == [
        "avg@8", "pass@8", "maj@8", "g-pass@8:0.5", "g-pass@8:0.75", "pass^8",
    ]  # fmt: skip


def test_names_are_read_once_each() -> None:
    """ "all" and one of its members are no duplicates, which lm_eval would report twice."""
    assert [each.name for each in read_k_measures(["pass^k", "all"])] == ["pass^k", *EXPANDED[:-1]]
    assert read_k_measures("all") == read_k_measures(["all"]), "one text is one name, not its letters"


@pytest.mark.parametrize(
    "name", ["pass", "pass@8", "pass^k:0.5", "g-pass@k", "g-pass@k:0", "g-pass@k:1.5", "g-pass@k:x"]
)
def test_unknown_measures_are_refused(name: str) -> None:
    """A misspelt measure is named, with those that there are; a threshold of 0 would be met by anything. A number in
    place of the k is what most write first."""
    with pytest.raises(PrmEvalError, match=r"unknown k-measure .*pass\^k.*g-pass@k:0\.75.*the k are the n"):
        read_k_measures([name])


def test_the_vote_and_k_beyond_m() -> None:
    """maj@k needs answers, and a k above M has no subsets: neither may give a number."""
    with pytest.raises(PrmEvalError, match="ask the majority vote"):
        KMeasure(VOTE).values(1, 4, [1])
    with pytest.raises(PrmEvalError, match="n = 5 of 4 slots"):
        KMeasure(EVERY).values(1, 4, [5])


def test_a_missing_slot_counts_as_wrong() -> None:
    """Two of four slots are missing: pass^2 of two right ones is 1 of 6 pairs, not 1 of 1."""
    problem = Slots(np.array([0, 0, -1, -1]), *(np.array([NAN] * 4) for _ in range(3)))
    values = KMeasure(EVERY).values(int((problem.classes == 0).sum()), problem.m, [2])
    assert values.tolist() == pytest.approx([1 / 6], abs=1e-15)
