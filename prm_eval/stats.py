"""Uncertainty: problems are the clusters; differences on one pool are paired; ranks are ranges."""

from __future__ import annotations

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

    def __init__(
        self, n_problems: int, *, seed: int, level: float = DEFAULT_LEVEL, resamples: int = DEFAULT_RESAMPLES
    ) -> None:
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

    def limits(self, resampled: Floats) -> tuple[Floats, Floats]:
        """Return (low, high) of every column of resampled means, or of differences of them."""
        if self.n == 1:
            return np.full(resampled.shape[1], -np.inf), np.full(resampled.shape[1], np.inf)
        low, high = np.quantile(resampled, [self._tail, 1 - self._tail], axis=0)
        return low, high

    def intervals(self, values: Floats, resampled: Floats | None = None) -> list[Interval]:
        """Return the mean of every column of (problems, columns), values in [0, 1], with limits.

        ``resampled`` is what :meth:`means` gave for these columns, if it is at hand.
        """
        columns = values.reshape(self.n, -1)
        low, high = self.limits(self.means(columns) if resampled is None else resampled)
        margin = 1 - self._alpha ** (1 / self.n)
        low = np.where((columns > 1 - 1e-12).all(axis=0), 1 - margin, low)
        high = np.where((columns < 1e-12).all(axis=0), margin, high)
        centres = columns.mean(axis=0)
        limits = zip(centres, np.clip(low, 0, 1), np.clip(high, 0, 1), strict=True)
        return [Interval(float(centre), float(a), float(b)) for centre, a, b in limits]

    def difference(self, one: Floats, other: Floats, resampled: Floats | None = None) -> Interval:
        """Return the paired difference of the means of two vectors over problems, with limits.

        ``resampled`` is the difference of their resampled means, if these are at hand. Where the two agree on every problem
        the difference is 0 with limits 0: on these problems they are the same.
        """
        paired = one - other
        low, high = self.limits((self.means(paired) if resampled is None else resampled).reshape(-1, 1))
        centre, least, most = float(paired.mean()), float(low[0]), float(high[0])
        if (
            self.n > 1 and abs(centre) > 1e-12 and np.ptp(paired) < 1e-12
        ):  # no resample can vary: the exact binomial margin, towards 0
            margin = (1 - self._alpha ** (1 / self.n)) * 2
            least, most = (centre - margin, most) if centre > 0 else (least, centre + margin)
        return Interval(centre, max(-1.0, least), min(1.0, most))


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


def rank_ranges(values: Floats, resampled: Floats, bootstrap: ClusterBootstrap) -> list[tuple[int, int]]:
    """Return (best, worst) rank of each entry: what paired limits cannot tell apart shares ranks.

    Args:
        values: (problems, entries).
        resampled: (resamples, entries), the resampled means of the entries.
        bootstrap: What made them.
    """
    entries = values.shape[1]
    best, worst = [1] * entries, [entries] * entries
    for i in range(entries):
        for j in range(i):
            limits = bootstrap.difference(values[:, i], values[:, j], resampled[:, i] - resampled[:, j])
            if limits.low > 0:  # i is better
                best[j] += 1
                worst[i] -= 1
            elif limits.high < 0:
                best[i] += 1
                worst[j] -= 1
    return list(zip(best, worst, strict=True))
