"""How well scores separate good steps from bad ones, and solutions without a wrong step from those with one.

None of these needs a threshold, but for the accuracies at one. Only labelled steps count: with "first error" labels
those up to the first wrong one, for nothing is known of what comes after it.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from prm_eval.errors import PrmEvalError
from prm_eval.evaluation.diagnostics import Reliability, reliability
from prm_eval.evaluation.stats import ClusterBootstrap
from prm_eval.evaluation.stepwise.arrays import Neutral, SetArrays
from prm_eval.evaluation.stepwise.locating import harmonic
from prm_eval.evaluation.stepwise.resampling import Estimate, Resampled, area, average_precision, estimate
from prm_eval.evaluation.stepwise.scores import StepScores
from prm_eval.rewards.aggregate import aggregate_all
from prm_eval.rewards.aggregations import AGGREGATIONS

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

ONE_CLASS = "only good steps, or only bad ones"
OUTSIDE = "a score outside [0, 1]"


@dataclass(frozen=True)
class Separated:
    """How good and bad steps are told apart.

    Attributes:
        n: Labelled steps with a score.
        n_good: The good ones among them.
        auc: How often a good step has a higher score than a bad one, over all solutions.
        ap_bad: Average precision of finding the bad steps.
        ap_good: Average precision of finding the good ones.
        accuracy: The share of steps that are called rightly at the threshold.
        good_kept: The share of good steps that are called good.
        bad_flagged: The share of bad steps that are called bad.
        balanced_accuracy: The mean of the two.
        balanced_f1: Their harmonic mean (Hard2Verify's Balanced F1).
        calibration: Of scores as probabilities; None where a score lies outside [0, 1].
        lowest_is_first_error: Over solutions with a wrong step: the share whose lowest score is at the first one; ties
            share, and one that is not scored adds nothing.
    """

    n: int
    n_good: int
    auc: Estimate
    ap_bad: float | None
    ap_good: float | None
    accuracy: float | None
    good_kept: float | None
    bad_flagged: float | None
    balanced_accuracy: float | None
    balanced_f1: float | None
    calibration: Reliability | None
    lowest_is_first_error: float | None


def resampled_auc(
    scores: StepScores,
    arrays: SetArrays,
    bootstrap: ClusterBootstrap,
    neutral: Neutral = "good",
    *,
    drawn: bool = True,
) -> Resampled:
    """Return the area under the curve of steps with its resamples."""
    good = arrays.good(neutral)
    used = np.isfinite(good) & np.isfinite(scores.values)
    return area(scores.values[used], good[used], arrays.problem[arrays.owner[used]], bootstrap, drawn=drawn)


def separated(
    scores: StepScores,
    arrays: SetArrays,
    threshold: float,
    auc: Resampled,
    bootstrap: ClusterBootstrap,
    *,
    neutral: Neutral = "good",
    strict: bool = False,
) -> Separated:
    """Return how good and bad steps are told apart.

    Args:
        scores: One score a step.
        arrays: The set.
        threshold: As for :func:`prm_eval.evaluation.stepwise.locating.predictions`.
        auc: What :func:`resampled_auc` gives.
        bootstrap: The resamples of the problems.
        neutral: What a neutral step counts as.
        strict: Whether a step is called good only above the threshold.
    """
    good = arrays.good(neutral)
    used = np.isfinite(good) & np.isfinite(scores.values)
    values, truth = scores.values[used], good[used]
    called = values > threshold if strict else values >= threshold
    right = truth > 0.5
    kept, flagged = _share(called[right]), _share(~called[~right])
    both = kept is not None and flagged is not None
    balanced = harmonic(np.array(kept), np.array(flagged)) if both else None
    return Separated(
        len(values),
        int(right.sum()),
        estimate(auc, bootstrap, ONE_CLASS),
        _defined(average_precision(values, truth, of=0.0)),
        _defined(average_precision(values, truth, of=1.0)),
        _share(called == right),
        kept,
        flagged,
        (kept + flagged) / 2 if kept is not None and flagged is not None else None,
        None if balanced is None else float(balanced),
        reliability(values, right) if scores.probabilities and len(values) else None,
        lowest_is_first_error(scores, arrays),
    )


def lowest_is_first_error(scores: StepScores, arrays: SetArrays) -> float | None:
    """Return the probability that a random lowest step of a solution with a wrong step is the first wrong one."""
    if not arrays.wrong.any():
        return None
    whole = scores.scored(arrays) & arrays.wrong
    values = np.where(np.isfinite(scores.values), scores.values, np.inf)
    lowest = np.minimum.reduceat(values, arrays.starts)
    ties = np.bincount(arrays.owner, values == np.repeat(lowest, arrays.counts), arrays.n)
    at = arrays.starts + np.clip(arrays.first_error, 0, None)
    hit = whole & (values[at] == lowest)
    return float((hit / np.maximum(ties, 1)).sum() / arrays.wrong.sum())


def resampled_solution_areas(
    scores: StepScores, arrays: SetArrays, bootstrap: ClusterBootstrap, drawn: Collection[str] = ()
) -> dict[str, Resampled | None]:
    """Return, for each step aggregation, how often a solution without a wrong step has the higher reward.

    The truth is "no wrong step", not the final answer: that would measure an outcome reward model. None where an
    aggregation is not defined for the scores. Those named in ``drawn`` are computed on the resamples too.
    """
    used = scores.scored(arrays) & (arrays.wrong | arrays.clean)
    values = scores.native[np.repeat(used, arrays.counts)]
    found: dict[str, Resampled | None] = {}
    for name in AGGREGATIONS:
        try:
            rewards, _ = aggregate_all(values, arrays.counts[used], name, scores.score_type)
        except PrmEvalError:  # no aggregation of numbers on this scale
            found[name] = None
            continue
        truth, problem = arrays.clean[used].astype(np.float64), arrays.problem[used]
        found[name] = area(rewards, truth, problem, bootstrap, drawn=name in drawn)
    return found


def solution_areas(found: dict[str, Resampled | None], bootstrap: ClusterBootstrap) -> dict[str, Estimate]:
    """Return the values and limits of :func:`resampled_solution_areas`."""
    undefined = Estimate(None, reason="not defined for scores on this scale")
    return {
        name: undefined if each is None else estimate(each, bootstrap, "one class only") for name, each in found.items()
    }


def _share(flags: Bools) -> float | None:
    return float(flags.mean()) if len(flags) else None


def _defined(value: float) -> float | None:
    return value if np.isfinite(value) else None
