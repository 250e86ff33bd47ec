"""Rows without a model, which stand in every table: what they reach, a reward model has to beat.

"The first 70 % of the steps are right" reaches 54.9 on PRMBench, where published reward models have 47.0 to 54.4.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from prm_eval.evaluation.stepwise.arrays import SetArrays
from prm_eval.evaluation.stepwise.scores import HALF, StepScores

Floats = npt.NDArray[np.float64]

SEED = 0


def _all_right(arrays: SetArrays) -> Floats:
    return np.ones(len(arrays.lengths))


def _all_wrong(arrays: SetArrays) -> Floats:
    return np.zeros(len(arrays.lengths))


def _length(arrays: SetArrays) -> Floats:
    return 100 / (100 + arrays.lengths)


def _position(arrays: SetArrays) -> Floats:
    return 1 - (arrays.index + 1) / (np.repeat(arrays.counts, arrays.counts) + 1)


def _first_70_percent(arrays: SetArrays) -> Floats:
    return (10 * (arrays.index + 1) <= 7 * np.repeat(arrays.counts, arrays.counts)).astype(np.float64)


def _random(arrays: SetArrays) -> Floats:
    return np.random.default_rng([SEED, len(arrays.lengths)]).random(len(arrays.lengths))


RULES: Mapping[str, tuple[Callable[[SetArrays], Floats], str]] = MappingProxyType(
    {
        "all right": (_all_right, "calls every step right"),
        "all wrong": (_all_wrong, "calls every step wrong"),
        "length": (_length, "calls long steps wrong: 100 / (100 + characters)"),
        "position": (_position, "calls late steps wrong: 1 - k / (n + 1) for step k of n"),
        "first 70 %": (_first_70_percent, "calls the first 70 % of the steps right"),
        "random": (_random, "gives each step a random number"),
    }
)
"""The rules by name: their scores of a set, and what they do."""


def rule_rows(arrays: SetArrays) -> list[StepScores]:
    """Return the scores of every rule on a set."""
    rows = []
    for name, (rule, _) in RULES.items():
        values = rule(arrays)
        rows.append(StepScores(name, "rule", values, values, "value", None, HALF))
    return rows
