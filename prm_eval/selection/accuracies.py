"""Accuracies: what a selector's choices are worth against the grades.

All are expectations over random n-subsets of the M slots of each problem, then means over problems
(names of DESIGN.md section 1: mean@1, pass@n, maj@n, bon@n, wmaj@n).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from prm_eval.selection.selectors import Choice, rank_probabilities

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

_BLOCK = 64  # problems ranked at a time by best_of_n_table


@dataclass(frozen=True)
class Accuracy:
    """The expected accuracy of one problem for every n, and its Monte-Carlo variance (0 where exact)."""

    values: Floats
    variances: Floats


def accuracy(choice: Choice, correct: Bools) -> Accuracy:
    """Return a selector's expected accuracy on one problem.

    Args:
        choice: (len(ns), M) probabilities of choosing each slot.
        correct: M flags.

    The Monte-Carlo variance is p(1-p)/draws, that of a 0/1 outcome: an upper bound, since shared ties vary less.
    """
    values = np.clip(choice.probabilities @ correct.astype(np.float64), 0.0, 1.0)
    draws = np.maximum(choice.draws, 1)
    # one success and one failure added: an estimate of exactly 0 or 1 is still an estimate
    smoothed = (values * draws + 1) / (draws + 2)
    return Accuracy(values, np.where(choice.draws > 0, smoothed * (1 - smoothed) / draws, 0.0))


def pass_at_n(correct: int, m: int, ns: Sequence[int]) -> Floats:
    """Return 1 - C(m - correct, n) / C(m, n) for every n: the chance that some drawn candidate is correct."""
    probabilities = rank_probabilities(m, tuple(ns))
    result: Floats = probabilities[:, :correct].sum(axis=1)
    return np.minimum(result, 1.0)


def best_of_n_table(rewards: Floats, correct: Bools, ns: Sequence[int]) -> Floats:
    """Return (problems, len(ns)) expected best-of-n accuracies of a whole pool at once.

    Args:
        rewards: (problems, M); NaN for missing slots, refused candidates and candidates without an answer.
        correct: (problems, M).
        ns: Subset sizes.

    The closed form of DESIGN.md section 5: sort once, share correctness within ties, then one matrix product with the
    probabilities of each rank. O(P M log M) for any number of n, where drawing costs O(P M draws) for each n.
    """
    return best_of_n_mean(rewards, correct.astype(np.float64), ns)


def best_of_n_mean(rewards: Floats, values: Floats, ns: Sequence[int]) -> Floats:
    """Return (problems, len(ns)): the expected value of the candidate that best-of-n chooses, 0 where it can choose none.

    Args:
        rewards: (problems, M); NaN for what cannot be chosen.
        values: (problems, M), of any meaning; those of candidates that cannot be chosen are not looked at.
        ns: Subset sizes.
    """
    n_problems, m = rewards.shape
    by_rank = rank_probabilities(m, tuple(ns)).T
    result = np.empty((n_problems, len(ns)))
    for first in range(0, n_problems, _BLOCK):  # a block of problems stays in the processor's cache
        block = slice(first, first + _BLOCK)
        result[block] = _value_by_rank(rewards[block], values[block]) @ by_rank
    return result


def _value_by_rank(rewards: Floats, values: Floats) -> Floats:
    """Return (problems, M): the value of each rank, best first; tied ones have their mean, missing ones 0."""
    n_problems, m = rewards.shape
    missing = np.isnan(rewards)
    keys = -rewards
    if not (keys == np.inf).any():
        keys[missing] = np.inf  # NaN sorts last as it is, but numpy sorts arrays that have it several times slower
    order = np.argsort(keys, axis=1)
    order += np.arange(0, n_problems * m, m)[:, None]  # positions in the flat arrays
    ranked = np.take(rewards, order)
    right = np.take(np.where(missing, 0.0, values), order)
    tied = np.zeros((n_problems, m + 1), dtype=bool)  # is the candidate of this rank tied with the one before?
    tied[:, 1:-1] = ranked[:, 1:] == ranked[:, :-1]
    members = np.flatnonzero(tied[:, :-1] | tied[:, 1:])
    if len(members):
        starts = np.flatnonzero(~tied[:, :-1].ravel()[members])
        sizes = np.diff(starts, append=len(members))
        shared = np.add.reduceat(right.ravel()[members], starts) / sizes
        np.put(right, members, np.repeat(shared, sizes))
    return right


def subsampling_sd(values: Floats) -> float:
    """Return the SD over draws that the paper's evaluation prints, in closed form: sqrt(sum e(1-e)) / P.

    It measures the noise of drawing subsets, not the uncertainty of a model: without ties it is 0 at n = M. Never an
    error bar.
    """
    return float(np.sqrt((values * (1 - values)).sum()) / len(values))
