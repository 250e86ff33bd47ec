"""The definitions, written out: every subset of n slots, one after the other. Slow, and too plain to be wrong in the same way."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence

import numpy as np
from hypothesis import strategies as st

from prm_eval.selection.selectors import Slots

NAN = math.nan
REWARDS = st.sampled_from([NAN, -1.0, 0.0, 0.5, 2.0])
WEIGHTS = st.sampled_from([NAN, 0.0, 0.25, 0.5, 1.0])
LENGTHS = st.sampled_from([1.0, 2.0, 5.0])

Rule = Callable[[Sequence[int]], dict[int, float]]


@st.composite
def slots(draw, least: int = 1, most: int = 7) -> Slots:
    """A problem of few slots and few distinct values: ties, refusals, missing slots and answers are the rule."""
    m = draw(st.integers(least, most))
    classes = np.array(draw(st.lists(st.integers(-1, 3), min_size=m, max_size=m)))
    rewards, weights, lengths = (
        np.array(draw(st.lists(kind, min_size=m, max_size=m))) for kind in (REWARDS, WEIGHTS, LENGTHS)
    )
    missing = np.array(draw(st.lists(st.booleans(), min_size=m, max_size=m))) & (classes < 0)
    return Slots(classes, rewards, weights, np.where(missing, NAN, lengths))


def over_all_subsets(m: int, n: int, rule: Rule) -> np.ndarray:
    """The mean of what a rule gives each slot, over all subsets of n slots."""
    total = np.zeros(m)
    subsets = list(itertools.combinations(range(m), n))
    for drawn in subsets:
        for slot, chance in rule(drawn).items():
            total[slot] += chance
    return total / len(subsets)


def best_by(keys: np.ndarray, problem: Slots) -> Rule:
    """The drawn slot with the largest key; what has no answer or no key cannot be chosen."""

    def rule(drawn: Sequence[int]) -> dict[int, float]:
        able = [slot for slot in drawn if problem.classes[slot] >= 0 and not math.isnan(keys[slot])]
        best = [slot for slot in able if keys[slot] == max(keys[each] for each in able)]
        return {slot: 1 / len(best) for slot in best}

    return rule


def elected_by(weights: np.ndarray, problem: Slots) -> Rule:
    """The class with the largest sum of weights; its win is shared by all its voting members, drawn or not."""
    voting = [slot for slot in range(problem.m) if problem.classes[slot] >= 0 and not math.isnan(weights[slot])]
    members = {label: [slot for slot in voting if problem.classes[slot] == label] for label in problem.classes}

    def rule(drawn: Sequence[int]) -> dict[int, float]:
        sums: dict[int, float] = {}
        for slot in drawn:
            if slot in voting:
                sums[problem.classes[slot]] = sums.get(problem.classes[slot], 0.0) + weights[slot]
        best = max(sums.values(), default=0.0)
        winners = [label for label, value in sums.items() if value == best > 0]
        return {slot: 1 / len(winners) / len(members[label]) for label in winners for slot in members[label]}

    return rule
