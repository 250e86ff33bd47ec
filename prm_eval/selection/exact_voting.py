"""The exact majority vote of a random n-subset: in closed form, for equal weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Complex = npt.NDArray[np.complex128]
Ints = npt.NDArray[np.int64]

# C(1000, 500) still fits a float64
MAX_SLOTS_EXACT = 1_000
# e^-42 is below the rounding of a probability, 2^-53, by a factor of more than 100
_NEGLIGIBLE = 42.0


def exact_vote_cost(sizes: Ints, m: int, n_max: int) -> float:
    """Return the measure by which a vote is exact or from permutations, for all n up to ``n_max``.

    It is infinite where there are more slots than :data:`MAX_SLOTS_EXACT`. It counts the array operations of products
    of polynomials, which is how :func:`exact_vote` was computed once. That is faster now, but this rule stays: another
    one would replace permutations of some problems, and so move figures.
    """
    if m > MAX_SLOTS_EXACT:
        return float("inf")
    counts = np.arange(1, min(int(sizes.max()), n_max) + 1)
    able = (sizes[None, :] >= counts[:, None]).sum(axis=1)  # classes that can reach each winning count
    distinct = (np.unique(sizes)[None, :] >= counts[:, None]).sum(axis=1)
    nodes = np.minimum(able, n_max // counts) // 2 + 1
    size_of_operation = 1 + nodes * n_max / 2_000
    return float((distinct * able * np.minimum(counts, nodes) * size_of_operation).sum())


def exact_vote(sizes: Ints, m: int, ns: Sequence[int]) -> Floats:
    """Return (len(ns), classes): the probability that each class wins the majority vote of a random n-subset.

    Tied classes share.

    Args:
        sizes: The number of slots of each class; all other slots abstain.
        m: The number of slots, at most :data:`MAX_SLOTS_EXACT`.
        ns: Subset sizes.

    Let every slot be drawn by itself with probability p = n/m. Given that n are drawn, they are a random n-subset, and
    without that condition the votes of the classes are independent binomials. So the probability that class j wins with
    c votes, together with n drawn slots, is

        P(X_j = c) * [x^(n-c)] integral over z in [0, 1] of (q + p x)^abstaining * product over k != j of F_k(x, z),
        F_k = sum over i < c of P(X_k = i) x^i  +  z P(X_k = c) x^c,    q = 1 - p,

    and it is divided by P(n drawn). The integral gives the 1/(t+1) of a tie with t others, as that of z^t; the
    integrand is a polynomial in z, so Gauss-Legendre quadrature with enough nodes is exact. The coefficient is read by
    a discrete Fourier transform of few points x on the unit circle: n is the mode of the number of drawn slots, so
    that nothing cancels, and what lies further away than :func:`_points` is below rounding. A sum up to c is that up to
    c - 1 with one more term, so all winning counts c share one running sum. With more than n/2 votes a class has won
    whatever the others have (a hypergeometric probability). Classes of equal size are computed once.
    """
    distinct, of = np.unique(sizes, return_inverse=True)
    counts = np.bincount(of)
    result = np.zeros((len(ns), len(sizes)))
    for row, n in enumerate(ns):
        won = _won_whole(distinct, counts) if n == m else _won(distinct, counts, m, n)
        result[row] = won[of]
    # what is impossible may come out as -1e-17
    return np.clip(result, 0.0, 1.0)


def _won_whole(distinct: Ints, counts: Ints) -> Floats:
    """Return the probability that a class of each size wins where all slots are drawn: the largest share."""
    result = np.zeros(len(distinct))
    result[-1] = 1 / counts[-1]
    return result


def _won(distinct: Ints, counts: Ints, m: int, n: int) -> Floats:
    """Return the probability that a class of each size wins a draw of n < m slots.

    Args:
        distinct: The sizes of classes, rising, without repetition.
        counts: The number of classes of each size.
        m: The number of slots.
        n: The number of drawn slots.
    """
    log_choose = _log_binomials(m)
    result = np.zeros(len(distinct))
    for at, size in enumerate(distinct.tolist()):
        most = np.arange(n // 2 + 1, min(size, n) + 1)
        most = most[n - most <= m - size]
        if len(most):
            logs = log_choose[size][most] + log_choose[m - size][n - most] - log_choose[m][n]
            result[at] = np.exp(logs).sum()
    highest = min(int(distinct[-1]), n // 2)
    if not highest:
        return result
    circle = _circle(m, n, highest)
    # each factor F_k, for every pair of a winning count c and a node z
    chances = np.stack([_binomial(m, size, n)[: highest + 1] for size in distinct.tolist()])
    terms = chances[:, :, None] * circle.powers
    votes, z, weights = _counts_and_nodes(distinct, counts, n, highest)
    factors = np.cumsum(terms, axis=1)[:, votes - 1] + z[:, None] * terms[:, votes]
    others = _without_one(factors, counts)
    others *= circle.outside(m - int(distinct @ counts))
    # [x^(n-c)]: the transform at -(n-c), of which the half with a negative imaginary part is the conjugate
    read = np.einsum("kpx,px->kp", others, circle.reading[votes]).real
    result += (read * chances[:, votes] * weights).sum(axis=1) / _binomial(m, m, n)[n]
    return result


def _without_one(factors: Complex, counts: Ints) -> Complex:
    """Return for each size the product of the factors of all classes but one of that size.

    Args:
        factors: (sizes, ...): the factor of a class of each size.
        counts: The number of classes of each size.

    There is no division: a factor may be 0 at some point.
    """
    result = np.empty_like(factors)
    before = np.ones_like(factors[0])
    for at, (factor, count) in enumerate(zip(factors, counts.tolist(), strict=True)):
        power = _power(factor, count - 1)
        result[at] = before if power is None else before * power
        if at + 1 < len(factors):
            before = result[at] * factor
    after: Complex | None = None
    for at in range(len(factors) - 1, 0, -1):
        whole = _power(factors[at], int(counts[at]))
        after = whole if after is None or whole is None else after * whole
        if after is not None:
            result[at - 1] *= after
    return result


def _power(base: Complex, exponent: int) -> Complex | None:
    """Return a power by repeated squaring; None for 1, the power 0."""
    result: Complex | None = None
    while exponent:
        if exponent & 1:
            result = base if result is None else result * base
        exponent >>= 1
        if exponent:
            base = base * base
    return result


def _counts_and_nodes(distinct: Ints, counts: Ints, n: int, highest: int) -> tuple[Ints, Floats, Floats]:
    """Return each winning count c up to the highest with each node of its quadrature: c, the node, its weight."""
    c = np.arange(1, highest + 1)
    rivals = counts @ (distinct[:, None] >= c) - 1
    ties = np.minimum(rivals, (n - c) // c)
    return _nodes_of(tuple((ties // 2 + 1).tolist()))


@lru_cache(maxsize=1_024)
def _nodes_of(numbers: tuple[int, ...]) -> tuple[Ints, Floats, Floats]:
    """Return the nodes and weights of so many nodes for each winning count from 1 on, with the count."""
    found = [_quadrature(number) for number in numbers]
    votes = np.repeat(np.arange(1, len(numbers) + 1), numbers)
    return votes, np.concatenate([nodes for nodes, _ in found]), np.concatenate([weights for _, weights in found])


@dataclass(frozen=True)
class _Circle:
    """The points x on the unit circle at which generating functions are evaluated, and what is needed of them.

    Attributes:
        powers: (highest + 1, points): x^c.
        reading: (highest + 1, points): what reads the coefficient of x^(n-c).
        one: (points,): q + p x, the factor of a slot that has no vote.
    """

    powers: Complex
    reading: Complex
    one: Complex

    def outside(self, slots: int) -> Complex:
        """Return the factor of so many slots without a vote."""
        power = _power(self.one, slots)
        return np.ones_like(self.one) if power is None else power


def _points(m: int, n: int) -> int:
    """Return the number N of points: coefficients that are N apart cannot be told from each other.

    There are none so far apart where N > m - n and N >= n. Else they are negligible: that the number of drawn slots,
    each drawn with probability n/m, is N or more from n has a probability of 2 exp(-2 N^2 / m) at most (Hoeffding
    1963).
    """
    return min(max(n, m - n + 1), int(np.ceil(np.sqrt(_NEGLIGIBLE * m / 2))))


@lru_cache(maxsize=64)
def _circle(m: int, n: int, highest: int) -> _Circle:
    points = _points(m, n)
    half = np.arange(points // 2 + 1)
    votes = np.arange(highest + 1)
    # the conjugate half counts by the real part of this one; 1 and -1 are their own conjugates
    twice = np.where((half == 0) | (2 * half == points), 1.0, 2.0) / points
    roots = np.exp(2j * np.pi * np.arange(points) / points)
    return _Circle(
        roots[np.outer(votes, half) % points],
        roots[-np.outer(n - votes, half) % points] * twice,
        (1 - n / m) + n / m * roots[half],
    )


@lru_cache(maxsize=4_096)
def _binomial(m: int, size: int, n: int) -> Floats:
    """Return P(i of ``size`` slots are drawn), i from 0 to m, where each is with probability n/m, 0 < n < m."""
    drawn = np.arange(size + 1)
    result = np.zeros(m + 1)
    result[: size + 1] = np.exp(_log_binomials(m)[size] + drawn * np.log(n / m) + (size - drawn) * np.log1p(-n / m))
    return result


@lru_cache(maxsize=256)
def _quadrature(count: int) -> tuple[Floats, Floats]:
    """Return Gauss-Legendre nodes and weights on [0, 1]."""
    nodes, weights = np.polynomial.legendre.leggauss(count)
    return (nodes + 1) / 2, weights / 2


@lru_cache(maxsize=16)
def _log_binomials(m: int) -> list[Floats]:
    """Return the rows 0..m of log C(a, i)."""
    logs = np.concatenate(([0.0], np.cumsum(np.log(np.arange(1, m + 1)))))
    return [logs[a] - logs[: a + 1] - logs[a::-1] for a in range(m + 1)]
