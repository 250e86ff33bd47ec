"""The accuracies of selectors: their choices held against the grades.

All are expectations over random n-subsets of the M slots of each problem, then means over problems
(names of docs/design.md section 1: mean@1, pass@n, maj@n, bon@n, wmaj@n).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from prm_eval.selection.selectors import Choice
from prm_eval.selection.subsets import best_of_n_mean, rank_probabilities

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Accuracy:
    """The expected accuracy of one problem for every n, and its Monte-Carlo variance (0 where exact)."""

    values: Floats
    variances: Floats


def accuracy(choice: Choice, correct: Bools) -> Accuracy:
    """Return a selector's expected accuracy on one problem.

    Args:
        choice: The (len(ns), M) probabilities of choosing each slot.
        correct: M flags, one for each slot.

    The Monte-Carlo variance is p(1-p)/draws, that of a 0/1 outcome: an upper bound, since shared ties vary less.
    """
    values = np.clip(choice.probabilities @ correct.astype(np.float64), 0.0, 1.0)
    return Accuracy(values, monte_carlo_variance(values, choice.draws))


def monte_carlo_variance(values: Floats, draws: npt.NDArray[np.int64]) -> Floats:
    """Return the variance of each share that was estimated from draws; 0 where it is exact, without draws."""
    at_least_one = np.maximum(draws, 1)
    # one success and one failure are added: an estimate of exactly 0 or 1 is still an estimate
    smoothed = (values * at_least_one + 1) / (at_least_one + 2)
    return np.where(draws > 0, smoothed * (1 - smoothed) / at_least_one, 0.0)


def pass_at_n(correct: int, m: int, ns: Sequence[int]) -> Floats:
    """Return 1 - C(m - correct, n) / C(m, n) for every n: the chance that some drawn candidate is correct."""
    probabilities = rank_probabilities(m, tuple(ns))
    result: Floats = probabilities[:, :correct].sum(axis=1)
    return np.minimum(result, 1.0)


def best_of_n_table(rewards: Floats, correct: Bools, ns: Sequence[int]) -> Floats:
    """Return (problems, len(ns)) expected best-of-n accuracies of a whole pool at once.

    Args:
        rewards: (problems, M); NaN for missing slots, refused candidates and candidates without an answer.
        correct: (problems, M) flags.
        ns: Subset sizes.

    This is the closed form of docs/design.md section 5: sort once, share correctness within ties, then one matrix
    product with the probabilities of each rank. It costs O(P M log M) for any number of n, while drawing costs
    O(P M draws) for each n.
    """
    return best_of_n_mean(rewards, correct.astype(np.float64), ns)


def subsampling_sd(values: Floats) -> float:
    """Return the SD over draws that the paper's evaluation prints, in closed form: sqrt(sum e(1-e)) / P.

    It measures the noise of drawing subsets, not the uncertainty of a model: without ties it is 0 at n = M. It must
    never be used as an error bar.
    """
    return float(np.sqrt((values * (1 - values)).sum()) / len(values))
