"""Several problem sets as strata: limits of a mean over all their problems, and the sign test.

Each set is drawn from by itself, as it was when the sets were put together: a resample that happened to have more
problems of the easy set would say nothing of the policy or the reward model.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from prm_eval.evaluation.stats import DEFAULT_LEVEL, DEFAULT_RESAMPLES, SAME, ClusterBootstrap, Interval

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class SignTest:
    """The two-sided sign test of a paired difference over problems.

    Attributes:
        ahead: The number of problems on which the first one's expected accuracy is higher.
        behind: The number on which it is lower.
        same: The number on which the two are equal; these say nothing, and are left out.
        p: The probability, if each problem that tells the two apart were as likely to favour either, that the smaller
            of the two counts is as small as it is or smaller, times two: exact, binomial, at most 1.
    """

    ahead: int
    behind: int
    same: int
    p: float


def sign_test(difference: Floats) -> SignTest:
    """Return the sign test of (P,) differences, one a problem.

    It asks how often one is ahead, and not by how much; the sets may differ in difficulty and in how far apart the two
    are, as every problem is its own pair (Dixon and Mood 1946, "The statistical sign test").
    """
    from scipy.special import bdtr

    ahead, behind = int((difference > SAME).sum()), int((difference < -SAME).sum())
    telling = ahead + behind
    p = min(1.0, 2.0 * float(bdtr(min(ahead, behind), telling, 0.5))) if telling else 1.0
    return SignTest(ahead, behind, len(difference) - telling, p)


class StratifiedBootstrap:
    """The bootstrap over whole problems within each of several sets, for means over the problems of all sets.

    With one set it is :class:`.stats.ClusterBootstrap`, to the last digit. With more, percentiles of the resampled
    means are widened for small sets as there: by the ratio of the unbiased standard error, whose square is the sum over
    sets of w^2 s^2 / P, to that of the bootstrap, in which P is P^2 / (P - 1), and by the t quantile with the degrees
    of freedom of Welch (1947) and Satterthwaite (1946).

    A set on whose problems all values are the same cannot vary. Such sets count as one of their problems together, for
    which :attr:`.stats.ClusterBootstrap.margin` is added: of all shares of other problems that the sets may have, equal
    ones make the mean over all problems the most uncertain (by Jensen's inequality, as the logarithm is concave).

    Args:
        sizes: The number of problems of each set, in the order of the rows of all arrays.
        seed: The seed of the resampling.
        level: Confidence level.
        resamples: Number of resamples.
    """

    def __init__(
        self, sizes: Sequence[int], *, seed: int, level: float = DEFAULT_LEVEL, resamples: int = DEFAULT_RESAMPLES
    ) -> None:
        self.sizes, self.n = tuple(sizes), sum(sizes)
        self._alpha = (1 - level) / 2
        self._parts = [
            ClusterBootstrap(size, seed=seed + place, level=level, resamples=resamples)
            for place, size in enumerate(sizes)
        ]

    def means(self, values: Floats) -> Floats:
        """Return (resamples, columns): resampled means over all problems of the columns of (problems, columns)."""
        columns = values.reshape(self.n, -1)
        total: Floats = np.zeros((1, columns.shape[1]))
        for part, each in zip(self._parts, self._split(columns), strict=True):
            total = total + part.means(each) * (part.n / self.n)
        return total

    def intervals(self, values: Floats) -> list[Interval]:
        """Return the mean of every column of (problems, columns), values in [0, 1], with limits."""
        return self._intervals(values.reshape(self.n, -1), 0.0, 1.0, spread=1.0)

    def differences(self, values: Floats) -> list[Interval]:
        """Return the mean of every column of paired differences in [-1, 1], (problems, columns), with limits.

        A set in which the two agree everywhere adds its margin once, one with another constant difference twice, as
        :meth:`.stats.ClusterBootstrap.difference` has it.
        """
        columns = values.reshape(self.n, -1)
        if self.n == 1:
            return [Interval(float(value), -1.0, 1.0) for value in columns[0]]
        return self._intervals(columns, -1.0, 1.0, spread=2.0)

    def _split(self, columns: Floats) -> Iterator[Floats]:
        start = 0
        for size in self.sizes:
            yield columns[start : start + size]
            start += size

    def _intervals(self, columns: Floats, least: float, most: float, spread: float) -> list[Interval]:
        resampled, centres = self.means(columns), columns.mean(axis=0)
        result = []
        for column, centre in enumerate(centres):
            parts = [each[:, column] for each in self._split(columns)]
            margin = self._margin(parts, spread)
            low = high = float(centre)
            if any(np.ptp(part) >= SAME for part in parts):
                tail = self._tail(parts)
                low, high = (float(each) for each in np.quantile(resampled[:, column], [tail, 1 - tail]))
            result.append(Interval(float(centre), max(least, low - margin), min(most, high + margin)))
        return result

    def _margin(self, parts: Sequence[Floats], spread: float) -> float:
        """Return what the sets without any variation add on both sides of the mean over all problems."""
        still = [part for part in parts if np.ptp(part) < SAME]
        if self.n == 1 and SAME < float(parts[0][0]) < 1 - SAME:
            return 1.0  # one problem that is neither right nor wrong says nothing at all
        count = sum(map(len, still))
        if not count:
            return 0.0
        agree = all(abs(float(part[0])) < SAME for part in still)
        share = float(1 - self._alpha ** (1 / count))
        return (1.0 if agree else spread) * share * count / self.n

    def _tail(self, parts: Sequence[Floats]) -> float:
        """Return the quantile of the resampled means that is the lower limit: alpha / 2, less for small sets."""
        from scipy.special import ndtr, stdtrit

        moving = [part for part in parts if np.ptp(part) >= SAME]
        unbiased = [(len(part) / self.n) ** 2 * float(part.var(ddof=1)) / len(part) for part in moving]
        drawn = [(len(part) / self.n) ** 2 * float(part.var()) / len(part) for part in moving]
        freedom = sum(unbiased) ** 2 / sum(
            each**2 / (len(part) - 1) for each, part in zip(unbiased, moving, strict=True)
        )
        return float(ndtr(np.sqrt(sum(unbiased) / sum(drawn)) * stdtrit(freedom, self._alpha)))
