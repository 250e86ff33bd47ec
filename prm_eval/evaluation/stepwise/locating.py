"""Where the first wrong step is put: ProcessBench's measures, and in which way the others miss.

Zheng et al. 2024 (ProcessBench), code/run_eval.py: a match is the same index, or -1 for both; the accuracy on solutions
with a wrong step and on those without are joined by their harmonic mean F1. Where both are 0 we say 0, where one class
is absent, nothing (the script has 0/0 for both).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from prm_eval.evaluation.stats import ClusterBootstrap
from prm_eval.evaluation.stepwise.arrays import NO_ERROR, SetArrays
from prm_eval.evaluation.stepwise.resampling import Estimate, Resampled, estimate, of_sums
from prm_eval.evaluation.stepwise.scores import NOT_SCORED, StepScores

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

ONE_CLASS = "no solution {which} a wrong step"


@dataclass(frozen=True)
class Outcomes:
    """In which way solutions with a wrong step are judged: where the first error is put beside where it is."""

    too_early: int
    exact: int
    too_late: int
    none_found: int
    not_scored: int
    within_one: int


@dataclass(frozen=True)
class Located:
    """How well the first wrong step is found.

    Attributes:
        n_error: Solutions with a wrong step.
        n_clean: Solutions without.
        error_acc: The share of the former whose first wrong step is named.
        correct_acc: The share of the latter that are called right.
        f1: The harmonic mean of the two.
        outcomes: Of the solutions with a wrong step.
        mcc: Matthews' correlation of "the solution is right" (MR-Score's first part); a solution that is not scored
            counts as called wrongly.
        mr_share: (0.2 max(0, MCC) + 0.3 error_acc) / 0.5: the parts of MR-Score that need no reasons, as a share of
            what they can reach. It is not MR-Score.
    """

    n_error: int
    n_clean: int
    error_acc: float | None
    correct_acc: float | None
    f1: Estimate
    outcomes: Outcomes
    mcc: float | None
    mr_share: float | None


def predictions(scores: StepScores, arrays: SetArrays, threshold: float, *, strict: bool = False) -> Ints:
    """Return (S,) the first step with a score below the threshold, -1 for none, :data:`NOT_SCORED`.

    Args:
        scores: The scores, or a critic's predictions, which need no threshold.
        arrays: The set.
        threshold: A step is wrong if its score is below it.
        strict: Whether a step is right only if its score is above it, as PRMBench has it.
    """
    if scores.predictions is not None:
        return scores.predictions
    bad = ~(scores.values > threshold) if strict else scores.values < threshold
    far = np.iinfo(np.int64).max
    place = np.where(bad, arrays.index, far)
    first = np.minimum.reduceat(place, arrays.starts) if arrays.n else place
    found = np.where(first == far, NO_ERROR, first)
    return np.where(scores.scored(arrays), found, NOT_SCORED)


def hit_columns(predicted: Ints, arrays: SetArrays) -> Floats:
    """Return (S, 4): a match with a wrong step, one with a wrong step, a match without, one without."""
    match = (predicted == arrays.first_error) & (predicted != NOT_SCORED)
    flags = (match & arrays.wrong, arrays.wrong, match & arrays.clean, arrays.clean)
    return np.stack(flags, axis=1).astype(np.float64)


def f1_of_hits(sums: Floats) -> Floats:
    """Return F1 of (..., 4) sums of :func:`hit_columns`: 0 if both accuracies are 0, NaN if a class is absent."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return harmonic(sums[..., 0] / sums[..., 1], sums[..., 2] / sums[..., 3])


def harmonic(one: Floats, other: Floats) -> Floats:
    """Return 2ab / (a + b), 0 where both are 0; NaN stays NaN."""
    total = one + other
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(total == 0, 0.0, 2 * one * other / total)


def resampled_f1(predicted: Ints, arrays: SetArrays, bootstrap: ClusterBootstrap) -> Resampled:
    """Return ProcessBench's F1 with its resamples."""
    return of_sums(hit_columns(predicted, arrays), arrays.problem, bootstrap, f1_of_hits)


def located(predicted: Ints, arrays: SetArrays, f1: Resampled, bootstrap: ClusterBootstrap) -> Located:
    """Return how well the first wrong step is found by predictions, of which :func:`resampled_f1` is given."""
    sums = hit_columns(predicted, arrays).sum(axis=0)
    n_error, n_clean = int(sums[1]), int(sums[3])
    reason = "" if n_error and n_clean else ONE_CLASS.format(which="with" if not n_error else "without")
    found = estimate(f1, bootstrap, reason)
    error_acc, correct_acc = _share(sums[0], n_error), _share(sums[2], n_clean)
    mcc = _mcc(predicted, arrays)
    share = None if error_acc is None or mcc is None else (0.2 * max(0.0, mcc) + 0.3 * error_acc) / 0.5
    return Located(n_error, n_clean, error_acc, correct_acc, found, _outcomes(predicted, arrays), mcc, share)


def _outcomes(predicted: Ints, arrays: SetArrays) -> Outcomes:
    said, truth = predicted[arrays.wrong], arrays.first_error[arrays.wrong]
    named = said >= 0
    return Outcomes(
        int((named & (said < truth)).sum()),
        int((named & (said == truth)).sum()),
        int((named & (said > truth)).sum()),
        int((said == NO_ERROR).sum()),
        int((said == NOT_SCORED).sum()),
        int((named & (np.abs(said - truth) <= 1)).sum()),
    )


def _mcc(predicted: Ints, arrays: SetArrays) -> float | None:
    """Return the correlation; 0 where a margin is empty, as Mr-Ben has it (script/utils.py)."""
    right = predicted == NO_ERROR
    wrong = predicted >= 0
    tp, tn = float((right & arrays.clean).sum()), float((wrong & arrays.wrong).sum())
    fn, fp = float(arrays.clean.sum()) - tp, float(arrays.wrong.sum()) - tn
    if tp + tn + fn + fp == 0:
        return None
    below = (tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)
    return 0.0 if below == 0 else (tp * tn - fp * fn) / float(np.sqrt(below))


def _share(hits: float, of: int) -> float | None:
    return float(hits) / of if of else None
