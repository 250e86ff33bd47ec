"""Solutions beside the one they were made from: whether the reward model likes the original better.

A perturbation may leave the solution right (a step repeated), so its groups are reported one by one, and nothing is
called an accuracy.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from prm_eval.errors import PrmEvalError
from prm_eval.evaluation.stepwise.arrays import SetArrays
from prm_eval.evaluation.stepwise.scores import StepScores
from prm_eval.rewards.aggregate import aggregate_all
from prm_eval.rewards.aggregations import AGGREGATIONS

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Preferred:
    """How often an original has the larger reward, by one aggregation.

    Attributes:
        win_rate: By group: the share of its solutions whose original has the larger reward, ties 1/2.
        strictly_best: Originals with a strictly larger reward than each of their perturbations.
    """

    win_rate: dict[str, float]
    strictly_best: int


@dataclass(frozen=True)
class Pairs:
    """A row on solutions and their originals.

    Attributes:
        n_originals: Originals with a perturbation of which both are scored.
        n_pairs: Such perturbations.
        by: By aggregation; those that are not defined for the scores are left out.
    """

    n_originals: int
    n_pairs: int
    by: dict[str, Preferred]


def pairs(scores: StepScores, arrays: SetArrays) -> Pairs | None:
    """Return how often originals are preferred; None where no scored solution has a scored original."""
    if scores.predictions is not None:
        return None
    whole = scores.scored(arrays)
    paired = whole & (arrays.twin >= 0)
    paired &= whole[arrays.twin]
    if not paired.any():
        return None
    by: dict[str, Preferred] = {}
    steps = np.repeat(whole, arrays.counts)
    for name in AGGREGATIONS:
        try:
            of_whole, _ = aggregate_all(scores.native[steps], arrays.counts[whole], name, scores.score_type)
        except PrmEvalError:  # no aggregation of numbers on this scale
            continue
        rewards = np.full(arrays.n, np.nan)
        rewards[whole] = of_whole
        by[name] = _preferred(rewards[arrays.twin[paired]] - rewards[paired], paired, arrays)
    return Pairs(len(np.unique(arrays.twin[paired])), int(paired.sum()), by)


def _preferred(ahead: Floats, paired: Bools, arrays: SetArrays) -> Preferred:
    won = (ahead > 0) + 0.5 * (ahead == 0)
    group, original = arrays.group[paired], arrays.twin[paired]
    rates = {name: float(won[group == row].mean()) for row, name in enumerate(arrays.groups) if (group == row).any()}
    _, which = np.unique(original, return_inverse=True)
    lost = np.bincount(which, ahead <= 0)
    return Preferred(rates, int((lost == 0).sum()))
