"""The uncertainty of accuracies: problems are the clusters, differences are paired, and ranks are ranges."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

# How often is drawn again: every count of resamples and sign flips of the evaluation stands here.
DEFAULT_RESAMPLES = 10_000
GROUP_RESAMPLES = 2_000  # of a subject, a level or a fifth
SIGN_FLIPS = 2_000  # of a single difference, as prm-eval evaluate prints it
ADJUSTED_SIGN_FLIPS = 50_000  # of a board's differences: a p-value that is adjusted for many rows needs more digits
DEFAULT_LEVEL = 0.95
# Accuracies of one problem that differ by less are the same up to rounding.
SAME = 1e-12


@dataclass(frozen=True)
class Interval:
    """A mean over problems with its confidence limits."""

    value: float
    low: float
    high: float


def seed_weights(seeds: int, count: int, seed: int = 0) -> Floats:
    """Return weights of a few training seeds for resampled means over them, (count, seeds); each row sums to 1.

    Drawing S seeds with replacement is too narrow for few: with three, the limits would be the least and the greatest
    of them. These weights give a mean over seeds the distribution of Student's t instead: its error has the unbiased
    variance s^2 / S and S - 1 degrees of freedom, and several statistics vary together as they do between seeds. One
    seed says nothing of others; its weight is 1.
    """
    if seeds == 1:
        return np.ones((count, 1))
    generator = np.random.default_rng([seed, seeds])
    normal = generator.standard_normal((count, seeds))
    normal -= normal.mean(axis=1, keepdims=True)
    spread = np.sqrt((seeds - 1) / generator.chisquare(seeds - 1, (count, 1)))
    result: Floats = 1 / seeds + normal * spread / np.sqrt(seeds * (seeds - 1))
    return result


class ClusterBootstrap:
    """The bootstrap over whole problems, resampled once for all statistics, so that every difference is paired.

    The limits are percentiles of the resampled means, widened for small numbers of problems as Hesterberg (2015, "What
    teachers should know about the bootstrap", section 4.3.1, expanded percentile interval) says: plain percentiles are
    too narrow by sqrt((P-1)/P) and by the normal in place of the t quantile. Where all P problems have the same value,
    no resample can vary, and yet P problems are not all there are: that P draws out of P had this value leaves room for
    others in a share of 1 - (alpha/2)^(1/P) of the problems. This exact binomial margin is then added on both sides.

    Args:
        n_problems: Clusters P, at least 1; with one problem the limits are 0 and 1.
        seed: The seed of the resampling.
        level: Confidence level.
        resamples: Number of resamples.
    """

    def __init__(
        self, n_problems: int, *, seed: int, level: float = DEFAULT_LEVEL, resamples: int = DEFAULT_RESAMPLES
    ) -> None:
        self.n, self.level, self.resamples, self.seed = n_problems, level, resamples, seed
        alpha = (1 - level) / 2
        if n_problems > 1:
            # the distribution functions alone: scipy.stats, which has the same ones, takes half a second to import
            from scipy.special import ndtr, stdtrit

            self._tail = float(ndtr(np.sqrt(n_problems / (n_problems - 1)) * stdtrit(n_problems - 1, alpha)))
        self._alpha = alpha
        self._counts: Floats | None = None

    def means(self, values: Floats) -> Floats:
        """Return (resamples, columns): resampled means of the columns of (problems, columns)."""
        columns = values.reshape(self.n, -1)
        return np.concatenate([block @ columns / self.n for block in self.count_blocks()])

    def count_blocks(self) -> Iterator[Floats]:
        """Yield the number of times that each problem is drawn in each resample, in blocks of resamples."""
        # 64 MB of counts at once
        rows = max(1, 8_000_000 // self.n)
        if rows < self.resamples:
            yield from self._drawn(rows)
            return
        # a single block is kept for the next columns
        if self._counts is None:
            self._counts = next(self._drawn(rows))
        yield self._counts

    def _drawn(self, rows: int) -> Iterator[Floats]:
        generator = np.random.default_rng([self.seed, self.n])
        for start in range(0, self.resamples, rows):
            count = min(rows, self.resamples - start)
            yield generator.multinomial(self.n, np.full(self.n, 1 / self.n), size=count).astype(np.float64)

    def limits(self, resampled: Floats) -> tuple[Floats, Floats]:
        """Return (low, high) of every column of resampled means, or of differences of them."""
        if self.n == 1:
            return np.full(resampled.shape[1], -np.inf), np.full(resampled.shape[1], np.inf)
        low, high = np.quantile(resampled, [self._tail, 1 - self._tail], axis=0)
        return low, high

    @property
    def margin(self) -> float:
        """The exact binomial margin of P problems that are all alike: 1 - (alpha/2)^(1/P)."""
        return float(1 - self._alpha ** (1 / self.n))

    def intervals(self, values: Floats, resampled: Floats | None = None) -> list[Interval]:
        """Return the mean of every column of (problems, columns), values in [0, 1], with limits.

        ``resampled`` is the result of :meth:`means` for these columns, if it is at hand.
        """
        columns = values.reshape(self.n, -1)
        low, high = self.limits(self.means(columns) if resampled is None else resampled)
        centres = columns.mean(axis=0)
        constant = np.ptp(columns, axis=0) < SAME
        if self.n == 1:
            # one problem that is neither right nor wrong says nothing at all
            constant &= (centres < SAME) | (centres > 1 - SAME)
        low = np.where(constant, centres - self.margin, low)
        high = np.where(constant, centres + self.margin, high)
        limits = zip(centres, np.clip(low, 0, 1), np.clip(high, 0, 1), strict=True)
        return [Interval(float(centre), float(a), float(b)) for centre, a, b in limits]

    def difference(
        self, one: Floats, other: Floats, resampled: Floats | None = None, *, same: bool = False
    ) -> Interval:
        """Return the paired difference of the means of two vectors over problems, with limits.

        ``resampled`` is the difference of their resampled means, if these are at hand. Where the difference is the same
        on all problems, the limits are the binomial margin away from it: once where the two agree everywhere (a problem
        on which they do not adds 1 at most), twice otherwise (from one end of [-1, 1] to the other).

        ``same`` says that two which agree everywhere are the same by definition, as all selectors are at n = 1: their
        difference is 0 without a doubt.
        """
        paired = one - other
        low, high = self.limits((self.means(paired) if resampled is None else resampled).reshape(-1, 1))
        centre, least, most = float(paired.mean()), float(low[0]), float(high[0])
        agree = bool((np.abs(paired) < SAME).all())
        if agree and same:
            return Interval(0.0, 0.0, 0.0)
        if self.n > 1 and np.ptp(paired) < SAME:
            margin = self.margin if agree else 2 * self.margin
            least, most = centre - margin, centre + margin
        return Interval(centre, max(-1.0, least), min(1.0, most))


def sign_flip_p(difference: Floats, *, seed: int, resamples: int = DEFAULT_RESAMPLES) -> float:
    """Return the two-sided p-value of a paired difference by random sign flips over problems.

    It asks: if on every problem either of the two were as likely to be ahead by as much, how often would the sum be as
    far from 0 as it is? It is never 0, as the observed signs count as one of the flips, and with k problems on which
    the two differ it is at least about 2^(1 - k): limits that leave out 0 may come with a p above 1 - level.
    """
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


def sign_flip_ps(differences: Floats, *, seed: int, resamples: int = DEFAULT_RESAMPLES) -> Floats:
    """Return :func:`sign_flip_p` of every column of (problems, columns), all with the same random signs.

    One matrix product serves all columns, so that many resamples are affordable. Holm's adjustment of m p-values needs
    p-values as small as level / m, and these need many resamples.
    """
    observed = np.abs(differences.sum(axis=0))
    generator = np.random.default_rng(seed)
    at_least = np.ones(differences.shape[1])
    rows = max(1, min(resamples, 4_000_000 // max(differences.shape)))
    for start in range(0, resamples, rows):
        count = min(rows, resamples - start)
        signs = generator.integers(0, 2, size=(count, len(differences)), dtype=np.int8) * 2.0 - 1.0
        at_least += (np.abs(signs @ differences) >= observed - 1e-12).sum(axis=0)
    result: Floats = np.where((differences == 0).all(axis=0), 1.0, at_least / (resamples + 1))
    return result


def holm(ps: Floats) -> Floats:
    """Return m p-values, adjusted so that all rejections hold at once (Holm 1979, step-down Bonferroni)."""
    order = np.argsort(ps, kind="stable")
    result = np.empty(len(ps))
    result[order] = np.minimum(np.maximum.accumulate(ps[order] * np.arange(len(ps), 0, -1)), 1.0)
    return result


def rank_ranges(values: Floats, resampled: Floats, bootstrap: ClusterBootstrap) -> list[tuple[int, int]]:
    """Return the (best, worst) rank of each entry; entries that cannot be told apart share ranks.

    All ranges hold at once: with the bootstrap's confidence level none of them misses its entry's true rank. (Ranges
    from pairwise limits, each at that level, would miss some rank of a board of 20 in most draws.)

    Args:
        values: (problems, entries) accuracies.
        resampled: (resamples, entries), the resampled means of the entries.
        bootstrap: The bootstrap that made them.
    """
    better = told_apart(values, resampled, bootstrap.level)
    entries = values.shape[1]
    best, worst = 1 + better.sum(axis=0), entries - better.sum(axis=1)
    return [(int(a), int(b)) for a, b in zip(best, worst, strict=True)]


def told_apart(values: Floats, resampled: Floats, level: float = DEFAULT_LEVEL) -> npt.NDArray[np.bool_]:
    """Return (entries, entries) flags: whether the row's mean is larger than the column's, all with this level at once.

    The step-down procedure of Romano and Wolf (2005) on all one-sided paired differences, as Mogstad, Romano, Shaikh
    and Wilhelm (2024, "Inference for ranks") use it for simultaneous confidence sets of ranks: the critical value is a
    quantile of the largest studentised difference over resamples. After some pairs are told apart, it is computed again
    from the others.

    A difference is divided by the root of its mean square (not of its variance). Where it is the same on all P
    problems, its statistic is then sqrt(P) and not infinite: that is the evidence of P equal signs.
    """
    n_problems, entries = values.shape
    if n_problems < 2 or entries < 2:
        return np.zeros((entries, entries), dtype=bool)
    means = values.mean(axis=0)
    centred = values - means
    products = centred.T @ centred / (n_problems - 1)
    own = np.diag(products)
    variance = own[:, None] + own[None, :] - 2 * products
    # the difference is the same on every problem, up to rounding
    variance[variance < 1e-14] = 0.0
    gap = means[:, None] - means[None, :]
    statistic = np.zeros_like(gap)
    np.divide(gap, np.sqrt((variance + gap**2) / n_problems), out=statistic, where=np.abs(gap) > 1e-12)
    scale = np.zeros_like(variance)
    np.divide(1.0, np.sqrt(variance / n_problems), out=scale, where=variance > 0)
    # a board of hundreds has so many pairs that fewer resamples are enough
    noise = (resampled - means)[: max(1_000, 200_000_000 // entries**2)]
    better = np.zeros((entries, entries), dtype=bool)
    from scipy.special import stdtrit

    # the critical value of a single pair; where nothing varies, resamples would give 0
    least = float(stdtrit(n_problems - 1, level))
    for _ in range(entries):
        critical = max(least, float(np.quantile(_largest(noise, scale, ~better), level)))
        found = statistic > critical
        if (found <= better).all():
            break
        better |= found
    return better


def _largest(noise: Floats, scale: Floats, considered: npt.NDArray[np.bool_]) -> Floats:
    """Return the largest studentised difference of noise over the considered pairs, for every resample."""
    result = np.zeros(len(noise))
    columns = np.ascontiguousarray(noise.T)
    for i in range(len(scale)):
        others = np.flatnonzero(considered[i] & (scale[i] > 0))
        if len(others):
            np.maximum(result, ((columns[i] - columns[others]) * scale[i, others, None]).max(axis=0), out=result)
    return result
