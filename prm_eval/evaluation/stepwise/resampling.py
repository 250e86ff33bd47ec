"""Limits over problems for statistics that are no plain means: ratios of sums, and areas under curves.

Solutions of one problem are not independent, so problems are resampled, and left out, as wholes. Every row of one table
sees the same resamples, so that differences are paired.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from prm_eval.evaluation.stats import ClusterBootstrap

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

DEFAULT_DRAWS = 1_000
# bytes / 8 of the weights that are held at once
_AT_ONCE = 4_000_000


@dataclass(frozen=True)
class Estimate:
    """A statistic with its limits over problems.

    Attributes:
        value: The statistic; None where it is not defined.
        low: The lower limit; None where there is none.
        high: The upper limit.
        se_jackknife: The standard error by leaving out one problem after the other.
        se_bootstrap: The standard deviation over the resamples.
        reason: Why there is no value.
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    se_jackknife: float | None = None
    se_bootstrap: float | None = None
    reason: str = ""


@dataclass(frozen=True)
class Resampled:
    """A statistic on the set, without each problem in turn, and on each resample; NaN where it is not defined."""

    value: float
    without: Floats
    drawn: Floats

    def minus(self, other: Resampled) -> Resampled:
        """Return the paired difference; without resamples where one of the two has none."""
        both = len(self.drawn) == len(other.drawn)
        drawn = self.drawn - other.drawn if both else np.empty(0)
        return Resampled(self.value - other.value, self.without - other.without, drawn)


def estimate(found: Resampled, bootstrap: ClusterBootstrap, reason: str = "", *, bounded: bool = True) -> Estimate:
    """Return the value and limits of a statistic.

    Args:
        found: The statistic.
        bootstrap: What it was resampled with.
        reason: Why it may not be defined.
        bounded: Whether it lies in [0, 1], so that limits are cut there; a difference lies in [-1, 1].
    """
    if not np.isfinite(found.value):
        return Estimate(None, reason=reason or "not defined")
    drawn = found.drawn[np.isfinite(found.drawn)]
    if bootstrap.n < 2:
        return Estimate(found.value, reason="one problem: no limits")
    if len(drawn) < 2:
        return Estimate(found.value, se_jackknife=jackknife_error(found.without), reason="not resampled")
    low, high = (float(each[0]) for each in bootstrap.limits(drawn.reshape(-1, 1)))
    least = 0.0 if bounded else -1.0
    return Estimate(
        found.value, max(least, low), min(1.0, high), jackknife_error(found.without), float(drawn.std(ddof=1))
    )


def jackknife_error(without: Floats) -> float | None:
    """Return the jackknife's standard error of values that each leave out one problem (Efron and Tibshirani 1993)."""
    if len(without) < 2 or not np.isfinite(without).all():
        return None
    n = len(without)
    return float(np.sqrt((n - 1) / n * ((without - without.mean()) ** 2).sum()))


def of_sums(
    columns: Floats, problem: Ints, bootstrap: ClusterBootstrap, statistic: Callable[[Floats], Floats]
) -> Resampled:
    """Return a statistic of sums over solutions, such as a ratio.

    Args:
        columns: (S, K) values of each solution.
        problem: (S,) the problem of each.
        bootstrap: The resamples of the problems.
        statistic: The statistic of (..., K) sums, NaN where it is not defined.
    """
    sums = np.zeros((bootstrap.n, columns.shape[1]))
    np.add.at(sums, problem, columns)
    total = sums.sum(axis=0)
    drawn = bootstrap.means(sums) * bootstrap.n
    # sums of whole numbers come out whole
    whole = np.round(drawn)
    drawn = np.where(np.abs(drawn - whole) < 1e-6, whole, drawn)
    with np.errstate(invalid="ignore", divide="ignore"):
        return Resampled(float(statistic(total)), statistic(total - sums), statistic(drawn))


def mean_of(parts: list[Resampled]) -> Resampled:
    """Return the plain mean of statistics of separate strata, which are resampled apart.

    Leaving out a problem changes one stratum only, and the errors of strata add up in squares.
    """
    k = len(parts)
    value = sum(each.value for each in parts) / k
    without = [value + (each.without - each.value) / k for each in parts]
    return Resampled(value, _strata(without), np.mean([each.drawn for each in parts], axis=0))


def _strata(parts: list[Floats]) -> Floats:
    """Return one list of leave-one-out values whose jackknife error is the root of the sum of the parts' squares."""
    n = sum(map(len, parts))
    if not n or any(len(each) < 2 for each in parts):
        return np.full(n, np.nan)
    scaled = []
    for each in parts:
        own = np.sqrt((len(each) - 1) / len(each)) / np.sqrt((n - 1) / n)
        scaled.append((each - each.mean()) * own)
    return np.concatenate(scaled)


def area(scores: Floats, good: Floats, problem: Ints, bootstrap: ClusterBootstrap, *, drawn: bool = True) -> Resampled:
    """Return the area under the ROC curve: how often a good one has a higher score than a bad one, ties 1/2.

    Args:
        scores: (K,) finite scores.
        good: (K,) 1 for good, 0 for bad.
        problem: (K,) the problem of each.
        bootstrap: The resamples of the problems.
        drawn: Whether it is computed on the resamples, which takes most of the time.
    """
    is_good = good > 0.5
    goods, bads = scores[is_good], scores[~is_good]
    of_good, of_bad = problem[is_good], problem[~is_good]
    n = bootstrap.n
    if not len(goods) or not len(bads):
        nothing = np.full(n, np.nan)
        return Resampled(float("nan"), nothing, np.full(bootstrap.resamples, np.nan))
    order = np.argsort(goods, kind="stable")
    goods, of_good = goods[order], of_good[order]
    below = np.searchsorted(goods, bads, "left"), np.searchsorted(goods, bads, "right")
    above = len(goods) - (below[0] + below[1]) / 2
    sorted_bads = np.sort(bads)
    beaten = (np.searchsorted(sorted_bads, goods, "left") + np.searchsorted(sorted_bads, goods, "right")) / 2
    total = float(above.sum())
    n_good = np.bincount(of_good, minlength=n).astype(np.float64)
    n_bad = np.bincount(of_bad, minlength=n).astype(np.float64)
    without = total - np.bincount(of_bad, above, n) - np.bincount(of_good, beaten, n)
    without += _within(goods, of_good, bads, of_bad, n)
    pairs = (len(goods) - n_good) * (len(bads) - n_bad)
    with np.errstate(invalid="ignore", divide="ignore"):
        left = np.where(pairs > 0, without / pairs, np.nan)
    resampled = _areas(bootstrap, of_good, of_bad, below) if drawn else np.empty(0)
    return Resampled(total / (len(goods) * len(bads)), left, resampled)


def _within(goods: Floats, of_good: Ints, bads: Floats, of_bad: Ints, n: int) -> Floats:
    """Return, for each problem, the pairs within it that the good one wins, ties 1/2."""
    result = np.zeros(n)
    by_good, by_bad = np.argsort(of_good, kind="stable"), np.argsort(of_bad, kind="stable")
    edges_good = np.searchsorted(of_good[by_good], np.arange(n + 1))
    edges_bad = np.searchsorted(of_bad[by_bad], np.arange(n + 1))
    for row in np.flatnonzero((np.diff(edges_good) > 0) & (np.diff(edges_bad) > 0)):
        # a stable sort keeps the scores of a problem sorted
        own = goods[by_good[edges_good[row] : edges_good[row + 1]]]
        theirs = bads[by_bad[edges_bad[row] : edges_bad[row + 1]]]
        ties = np.searchsorted(own, theirs, "left") + np.searchsorted(own, theirs, "right")
        result[row] = len(own) * len(theirs) - ties.sum() / 2
    return result


def _areas(bootstrap: ClusterBootstrap, of_good: Ints, of_bad: Ints, below: tuple[Ints, Ints]) -> Floats:
    """Return the area on every resample; ``of_good`` is in the order of the scores."""
    found: list[Floats] = []
    rows = max(1, _AT_ONCE // (len(of_good) + len(of_bad)))
    for block in bootstrap.count_blocks():
        for start in range(0, len(block), rows):
            # whole numbers and halves below 2^23 are exact in single precision
            counts = block[start : start + rows].astype(np.float32)
            sums = np.zeros((len(counts), len(of_good) + 1), dtype=np.float32)
            np.cumsum(np.take(counts, of_good, axis=1), axis=1, out=sums[:, 1:])
            weights = np.take(counts, of_bad, axis=1)
            lost = (np.take(sums, below[0], axis=1) + np.take(sums, below[1], axis=1)) / 2
            total = sums[:, -1].astype(np.float64)
            drawn = weights.sum(axis=1, dtype=np.float64)
            wins = drawn * total - (weights * lost).sum(axis=1, dtype=np.float64)
            with np.errstate(invalid="ignore", divide="ignore"):
                found.append(np.where(drawn * total > 0, wins / (drawn * total), np.nan))
    return np.concatenate(found)


def average_precision(scores: Floats, good: Floats, *, of: float) -> float:
    """Return the average precision of a class, by rising score for the bad (0) and falling score for the good (1).

    Equal scores are one block: precision is taken at its end. NaN where the class is absent.
    """
    found = good == of
    if not found.any():
        return float("nan")
    values, inverse = np.unique(scores if of == 0 else -scores, return_inverse=True)
    hits = np.bincount(inverse, found, len(values))
    seen = np.cumsum(np.bincount(inverse, minlength=len(values)))
    return float((hits / hits.sum() * np.cumsum(hits) / seen).sum())
