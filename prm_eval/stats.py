"""Uncertainty: problems are the clusters; differences on one pool are paired; ranks are ranges."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

DEFAULT_RESAMPLES = 10_000
DEFAULT_LEVEL = 0.95


@dataclass(frozen=True)
class Interval:
    """A mean over problems with its confidence limits."""

    value: float
    low: float
    high: float


class ClusterBootstrap:
    """Resample whole problems, once for all statistics, so that every difference is paired.

    The limits are percentiles of the resampled means, widened for small numbers of problems as Hesterberg (2015, "What
    teachers should know about the bootstrap", section 4.3.1, expanded percentile interval) says: plain percentiles are too
    narrow by sqrt((P-1)/P) and by the normal in place of the t quantile. Where all problems have the value 0 (or 1) no
    resample can vary; the other limit is then the exact binomial one, 1 - (alpha/2)^(1/P) (or its mirror).

    Args:
        n_problems: Clusters P, at least 1; with one problem the limits are 0 and 1.
        seed: Of the resampling.
        level: Confidence level.
        resamples: Number of resamples.
    """

    def __init__(self, n_problems: int, *, seed: int, level: float = DEFAULT_LEVEL, resamples: int = DEFAULT_RESAMPLES) -> None:
        self.n, self.level, self.resamples, self.seed = n_problems, level, resamples, seed
        alpha = (1 - level) / 2
        if n_problems > 1:
            from scipy.stats import norm, t

            self._tail = float(norm.cdf(np.sqrt(n_problems / (n_problems - 1)) * t.ppf(alpha, n_problems - 1)))
        self._alpha = alpha

    def means(self, values: Floats) -> Floats:
        """Return (resamples, columns): resampled means of the columns of (problems, columns)."""
        columns = values.reshape(self.n, -1)
        generator = np.random.default_rng([self.seed, self.n])
        result = np.empty((self.resamples, columns.shape[1]))
        rows = max(1, 8_000_000 // self.n)  # 64 MB of counts at once
        for start in range(0, self.resamples, rows):
            count = min(rows, self.resamples - start)
            weights = generator.multinomial(self.n, np.full(self.n, 1 / self.n), size=count)
            result[start : start + count] = weights @ columns / self.n
        return result

    def intervals(self, values: Floats) -> list[Interval]:
        """Return the mean of every column of (problems, columns), values in [0, 1], with limits."""
        columns = values.reshape(self.n, -1)
        centres = columns.mean(axis=0)
        if self.n == 1:
            return [Interval(float(centre), 0.0, 1.0) for centre in centres]
        low, high = np.quantile(self.means(columns), [self._tail, 1 - self._tail], axis=0)
        margin = 1 - self._alpha ** (1 / self.n)
        low = np.where((columns == 1).all(axis=0), 1 - margin, low)
        high = np.where((columns == 0).all(axis=0), margin, high)
        return [Interval(float(c), float(a), float(b)) for c, a, b in zip(centres, low, high, strict=True)]

    def differences(self, one: Floats, other: Floats) -> list[Interval]:
        """Return the paired difference of the means of two (problems, columns) tables, column by column, with limits.

        Where the two agree on every problem the difference is 0 with limits 0: on these problems they are the same.
        """
        paired = (one - other).reshape(self.n, -1)
        centres = paired.mean(axis=0)
        if self.n == 1:
            return [Interval(float(centre), -1.0, 1.0) for centre in centres]
        low, high = np.quantile(self.means(paired), [self._tail, 1 - self._tail], axis=0)
        return [Interval(float(c), float(a), float(b)) for c, a, b in zip(centres, low, high, strict=True)]


def sign_flip_p(difference: Floats, *, seed: int, resamples: int = DEFAULT_RESAMPLES) -> float:
    """Return the two-sided p-value of a paired difference by random sign flips over problems (never 0: the observed counts)."""
    observed = abs(float(difference.sum()))
    moving = difference[difference != 0]
    if not len(moving):
        return 1.0
    generator = np.random.default_rng(seed)
    at_least = 1
    rows = max(1, 8_000_000 // len(moving))
    for start in range(0, resamples, rows):
        count = min(rows, resamples - start)
        signs = generator.integers(0, 2, size=(count, len(moving)), dtype=np.int8) * 2 - 1
        at_least += int((np.abs(signs @ moving) >= observed - 1e-12).sum())
    return at_least / (resamples + 1)


def rank_ranges(values: Sequence[Floats], bootstrap: ClusterBootstrap) -> list[tuple[int, int]]:
    """Return (best, worst) rank of each entry: one below it for every entry that is told apart from it by paired limits.

    Args:
        values: For each entry its P values, of the same problems.
        bootstrap: Resamples the problems.
    """
    best, worst = [1] * len(values), [len(values)] * len(values)
    for i, mine in enumerate(values):
        for j in range(i):
            limits = bootstrap.differences(mine, values[j])[0]
            if limits.low > 0:  # i is better
                best[j] += 1
                worst[i] -= 1
            elif limits.high < 0:
                best[i] += 1
                worst[j] -= 1
    return list(zip(best, worst, strict=True))
