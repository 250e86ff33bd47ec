"""Scores by the place of a step: whether a model reads the step, or only how far along it stands."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from prm_eval.evaluation.stepwise.arrays import Neutral, SetArrays
from prm_eval.evaluation.stepwise.scores import StepScores

Floats = npt.NDArray[np.float64]

BINS = 10


@dataclass(frozen=True)
class Profile:
    """Mean scores in ten equal parts of a solution; NaN where there is no such step.

    Attributes:
        places: The middle of each part: 0 is the first step, 1 the last one shown.
        good: The mean score of good steps.
        bad: The mean score of bad steps.
        n_good: How many good steps there are.
        n_bad: How many bad ones.
    """

    places: Floats
    good: Floats
    bad: Floats
    n_good: tuple[int, ...]
    n_bad: tuple[int, ...]


def profile(scores: StepScores, arrays: SetArrays, neutral: Neutral = "good") -> Profile:
    """Return the mean scores of labelled steps by their place; that of a solution of one step is 0."""
    last = np.maximum(np.repeat(arrays.counts, arrays.counts) - 1, 1)
    part = np.minimum((arrays.index / last * BINS).astype(np.int64), BINS - 1)
    good = arrays.good(neutral)
    used = np.isfinite(good) & np.isfinite(scores.values)
    means, counts = [], []
    for of in (1.0, 0.0):
        own = used & (good == of)
        n = np.bincount(part[own], minlength=BINS)
        with np.errstate(invalid="ignore"):
            means.append(np.bincount(part[own], scores.values[own], BINS) / n)
        counts.append(tuple(map(int, n)))
    return Profile((np.arange(BINS) + 0.5) / BINS, means[0], means[1], counts[0], counts[1])
