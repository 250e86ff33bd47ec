"""The diagnostics that a single accuracy hides: calibration, length bias, the worst step, and costly mistakes.

These are pure functions of (problems, M) tables, where NaN is a missing reward. Nothing here reads a file or calls a
model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from prm_eval.selection.accuracies import best_of_n_table
from prm_eval.selection.subsets import best_of_n_mean, best_of_n_probabilities, rank_probabilities

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Histogram:
    """The number of candidates with a reward in each bin; the outermost bins also count what lies beyond them."""

    edges: tuple[float, ...]
    correct: tuple[int, ...]
    incorrect: tuple[int, ...]


@dataclass(frozen=True)
class Reliability:
    """Predicted against observed shares of correct candidates.

    Attributes:
        predicted: Mean probability in each of ten equal bins; NaN where a bin is empty.
        observed: Share of correct candidates in each bin.
        counts: Number of candidates in each bin.
        brier: Mean squared difference of probability and correctness; 0.25 is what always saying 0.5 gives.
        ece: Expected calibration error: mean distance of observed from predicted, weighted by counts.
    """

    predicted: tuple[float, ...]
    observed: tuple[float, ...]
    counts: tuple[int, ...]
    brier: float
    ece: float


@dataclass(frozen=True)
class LastStep:
    """The share of candidates whose worst step is the last one.

    Attributes:
        correct: Share of correct candidates (of two steps or more) whose smallest step reward is the last one's; ties
            share.
        incorrect: The same share of incorrect candidates.
        by_chance: The share for a step picked at random: the mean of 1 / steps.
        candidates: The number of candidates of two steps or more.
    """

    correct: float
    incorrect: float
    by_chance: float
    candidates: int


@dataclass(frozen=True)
class Mistake:
    """A problem on which best-of-n loses accuracy although the pool has correct candidates.

    Attributes:
        row: The row of the problem.
        lost: pass@n - bon@n on this problem.
        chosen: Slot of the wrong candidate with the highest reward.
        better: Slot of the correct candidate with the highest reward (any correct one where none has a reward).
        shares: How often each of the two is chosen among n random candidates.
    """

    row: int
    lost: float
    chosen: int
    better: int
    shares: tuple[float, float]


def histogram(values: Floats, correct: Bools, *, low: float, high: float, bins: int = 20) -> Histogram:
    """Count rewards of correct and incorrect candidates in equal bins from ``low`` to ``high``.

    Args:
        values: Rewards, in any shape; NaN is not counted.
        correct: Flags in the same shape.
        low: The start of the first bin.
        high: The end of the last bin.
        bins: The number of bins.
    """
    there = np.isfinite(values)
    place = _bin(values[there], low, high, bins)
    counts = [np.bincount(place[correct[there] == flag], minlength=bins) for flag in (True, False)]
    edges = tuple(float(edge) for edge in np.linspace(low, high, bins + 1))
    return Histogram(edges, *(tuple(int(count) for count in each) for each in counts))


def _bin(values: Floats, low: float, high: float, bins: int) -> Ints:
    width = (high - low) or 1.0
    result: Ints = np.clip(np.floor((values - low) / width * bins), 0, bins - 1).astype(np.int64)
    return result


def reliability(probabilities: Floats, correct: Bools, bins: int = 10) -> Reliability:
    """Return the reliability diagram, Brier score and calibration error of probabilities; NaN is left out."""
    there = np.isfinite(probabilities)
    p, right = probabilities[there], correct[there].astype(np.float64)
    if not len(p):
        nothing = (float("nan"),) * bins
        return Reliability(nothing, nothing, (0,) * bins, float("nan"), float("nan"))
    place = _bin(p, 0.0, 1.0, bins)
    counts = np.bincount(place, minlength=bins)
    with np.errstate(invalid="ignore"):
        predicted = np.bincount(place, weights=p, minlength=bins) / counts
        observed = np.bincount(place, weights=right, minlength=bins) / counts
    gaps = np.abs(np.nan_to_num(predicted - observed))
    return Reliability(
        tuple(map(float, predicted)),
        tuple(map(float, observed)),
        tuple(map(int, counts)),
        float(((p - right) ** 2).mean()),
        float((gaps * counts).sum() / counts.sum()),
    )


def row_ranks(values: Floats) -> Floats:
    """Return the rank of each value within its row, from 1, smallest first; ties share the mean; NaN stays NaN."""
    n_rows, width = values.shape
    order = np.argsort(values, axis=1, kind="stable")  # NaN last
    ranked = np.take_along_axis(values, order, axis=1)
    fresh = np.ones((n_rows, width), dtype=bool)
    fresh[:, 1:] = ranked[:, 1:] != ranked[:, :-1]
    starts = np.flatnonzero(fresh)
    sizes = np.diff(starts, append=n_rows * width)
    means = starts % width + (sizes - 1) / 2 + 1
    result = np.empty_like(values)
    np.put_along_axis(result, order, np.repeat(means, sizes).reshape(values.shape), axis=1)
    result[np.isnan(values)] = np.nan
    return result


def within_problem_auroc(rewards: Floats, correct: Bools) -> tuple[float, int]:
    """Return (mean AUROC within a problem, number of problems).

    The AUROC is the chance that a correct candidate has a higher reward than an incorrect one of the same problem; ties
    count half. Problems without one of each are left out; the mean is NaN where none is left.
    """
    there = np.isfinite(rewards)
    good, bad = (correct & there).sum(axis=1), (~correct & there).sum(axis=1)
    both = (good > 0) & (bad > 0)
    if not both.any():
        return float("nan"), 0
    of_good = np.where(correct & there, row_ranks(rewards), 0.0).sum(axis=1)[both]
    good, bad = good[both], bad[both]
    areas = (of_good - good * (good + 1) / 2) / (good * bad)
    return float(areas.mean()), int(both.sum())


def within_problem_correlation(one: Floats, other: Floats) -> tuple[float, int]:
    """Return (mean, problems) of Spearman's rank correlation of two tables, problem by problem.

    Problems in which either is constant (or fewer than three candidates have both) are left out; the mean is NaN where
    none is left.
    """
    there = np.isfinite(one) & np.isfinite(other)
    ranks = [row_ranks(np.where(there, each, np.nan)) for each in (one, other)]
    count = there.sum(axis=1)
    a, b = (np.where(there, each - (count[:, None] + 1) / 2, 0.0) for each in ranks)
    scale = np.sqrt((a**2).sum(axis=1) * (b**2).sum(axis=1))
    usable = (count >= 3) & (scale > 1e-9)
    if not usable.any():
        return float("nan"), 0
    return float(((a * b).sum(axis=1)[usable] / scale[usable]).mean()), int(usable.sum())


def chosen_length(rewards: Floats, lengths: Floats, n: int) -> float:
    """Return the length of the candidate that best-of-n chooses, relative to the mean; 1 is no preference.

    It is the mean over problems of E[length of the chosen one] / mean length of those that can be chosen; NaN where
    nothing can be chosen on any problem.
    """
    there = np.isfinite(rewards) & np.isfinite(lengths)
    keys = np.where(there, rewards, np.nan)
    chance = best_of_n_mean(keys, there.astype(np.float64), [n])[:, 0]
    usable = chance > 0
    if not usable.any():
        return float("nan")
    chosen = best_of_n_mean(keys, np.where(there, lengths, 0.0), [n])[usable, 0] / chance[usable]
    mean = np.where(there, lengths, 0.0).sum(axis=1)[usable] / there.sum(axis=1)[usable]
    return float((chosen / np.maximum(mean, 1e-9)).mean())


def last_step(values: Floats, counts: Ints, correct: Bools) -> LastStep:
    """Return how often the last step is the worst one.

    Args:
        values: The step rewards of all candidates, one after the other.
        counts: The number of steps of each candidate.
        correct: A flag for each candidate.
    """
    several = counts >= 2
    scored = counts[counts > 0]
    starts = np.cumsum(scored) - scored
    if not several.any():
        return LastStep(float("nan"), float("nan"), float("nan"), 0)
    least = np.minimum.reduceat(values, starts)
    tied = np.add.reduceat((values == np.repeat(least, scored)).astype(np.float64), starts)
    share = np.where(values[starts + scored - 1] == least, 1 / tied, 0.0)[scored >= 2]
    right = correct[several]
    means = [float(share[right == flag].mean()) if (right == flag).any() else float("nan") for flag in (True, False)]
    return LastStep(means[0], means[1], float((1 / scored[scored >= 2]).mean()), int(several.sum()))


def quintiles(correct: Bools) -> list[Ints]:
    """Return the rows of the problems in five equal parts by the share of correct candidates, easiest first.

    Ties keep the pool's order. With fewer than five problems there are as many parts as problems.
    """
    order = np.argsort(-correct.mean(axis=1), kind="stable")
    return [np.sort(part) for part in np.array_split(order, min(5, len(order)))]


def expensive_mistakes(rewards: Floats, correct: Bools, n: int, most: int = 20) -> list[Mistake]:
    """Return the problems that cost best-of-n the most accuracy, most expensive first; ties keep the pool's order.

    Args:
        rewards: (problems, M); NaN for what cannot be chosen.
        correct: (problems, M) flags.
        n: The n of best-of-n.
        most: The largest number of problems to return.
    """
    right = correct.sum(axis=1)
    oracle = rank_probabilities(correct.shape[1], (n,))[0].cumsum()[right - 1] * (right > 0)
    lost = np.round(oracle - best_of_n_table(rewards, correct, [n])[:, 0], 12)
    found: list[Mistake] = []
    for row in np.argsort(-lost, kind="stable"):
        wrong = np.where(correct[row], np.nan, rewards[row])
        if lost[row] <= 1e-9 or len(found) == most:
            break
        if np.isnan(wrong).all():
            # lost to missing slots or refusals, not to a choice
            continue
        slots = np.flatnonzero(correct[row])
        liked = np.where(np.isnan(rewards[row, slots]), -np.inf, rewards[row, slots])
        chosen, better = int(np.nanargmax(wrong)), int(slots[np.argmax(liked)])
        chances = best_of_n_probabilities(rewards[row], [n])[0]
        found.append(
            Mistake(int(row), float(lost[row]), chosen, better, (float(chances[chosen]), float(chances[better])))
        )
    return found


def groups_of(labels: Sequence[object]) -> list[tuple[str, Ints]]:
    """Return (label, rows) of every label that occurs, sorted; an empty list where there are fewer than two."""
    known = sorted({label for label in labels if label is not None}, key=lambda label: (str(type(label)), label))
    if len(known) < 2:
        return []
    return [(str(label), np.flatnonzero([each == label for each in labels])) for label in known]
