"""Majority votes over random n-subsets: exact by polynomials or enumeration, else from random permutations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import comb

import numpy as np
import numpy.typing as npt

from prm_eval.selection.subsets import ENUMERATION_LIMIT, all_subsets, best_of_n_mean, check_ns

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

# sums of weights within this relative difference are tied: float sums depend on their order
TIE = 1e-9
# array operations a drawn slot: the exact vote is used where it costs about as much as permutations
EXACT_VOTE_SHARE = 0.02
# C(1000, 500) still fits a float64
MAX_SLOTS_EXACT = 1_000


def exact_vote_cost(sizes: Ints, m: int, n_max: int) -> float:
    """Return the approximate number of array operations of :func:`exact_vote` for all n up to ``n_max``.

    It is infinite where there are more slots than :data:`MAX_SLOTS_EXACT`.
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

    For class j to win with c votes, every other class k has fewer than c (coefficient of x^i: C(m_k, i), i < c) or
    exactly c (a tie, marked z). A tie of t others gives class j 1/(t+1) of the win, which is the integral of z^t over
    [0, 1]; the integrand is a polynomial in z, so Gauss-Legendre quadrature with enough nodes is exact. All terms are
    positive, hence no cancellation. One product serves every n (it is the coefficient of x^(n-c)); classes of equal
    size are computed once.
    """
    log_choose = _log_binomials(m)
    n_max = max(ns)
    result = np.zeros((len(ns), len(sizes)))
    for size in np.unique(sizes):
        others = np.delete(sizes, int(np.flatnonzero(sizes == size)[0]))
        value = np.zeros(len(ns))
        for c in range(1, min(int(size), n_max) + 1):
            rest = _others_below(others, m - int(sizes.sum()), c, n_max - c, log_choose)
            for row, n in enumerate(ns):
                if n >= c:
                    value[row] += np.exp(log_choose[int(size)][c] - log_choose[m][n]) * rest[n - c]
        result[:, sizes == size] = value[:, None]
    return result


def _others_below(others: Ints, abstaining: int, c: int, most: int, log_choose: list[Floats]) -> Floats:
    """Count the draws of 0..most slots from the rest in which no other class exceeds c; t ties count 1/(t+1)."""
    # these cannot reach c: any number of them may be drawn
    free = abstaining + int(others[others < c].sum())
    rivals = others[others >= c]
    most_ties = min(len(rivals), most // c)
    nodes, node_weights = _quadrature(most_ties // 2 + 1)
    polynomial = np.zeros((len(nodes), most + 1))
    reach = min(free, most)
    polynomial[:, : reach + 1] = np.exp(log_choose[free][: reach + 1])
    for rival in rivals:
        polynomial = _times(polynomial, np.exp(log_choose[int(rival)][: c + 1]), nodes)
    result: Floats = node_weights @ polynomial
    return result


@lru_cache(maxsize=256)
def _quadrature(count: int) -> tuple[Floats, Floats]:
    """Return Gauss-Legendre nodes and weights on [0, 1]."""
    nodes, weights = np.polynomial.legendre.leggauss(count)
    return (nodes + 1) / 2, weights / 2


def _times(polynomial: Floats, coefficients: Floats, z: Floats) -> Floats:
    """Return the product with sum_{i<c} a_i x^i + z a_c x^c, cut to the same degree."""
    width = polynomial.shape[1]
    c = len(coefficients) - 1
    if len(z) < c:
        result = np.stack([np.convolve(row, coefficients[:c])[:width] for row in polynomial])
    else:
        result = polynomial * coefficients[0]
        for i in range(1, min(c, width)):
            result[:, i:] += polynomial[:, : width - i] * coefficients[i]
    if c < width:
        result[:, c:] += polynomial[:, : width - c] * (coefficients[c] * z[:, None])
    return result


@lru_cache(maxsize=16)
def _log_binomials(m: int) -> list[Floats]:
    """Return the rows 0..m of log C(a, i)."""
    logs = np.concatenate(([0.0], np.cumsum(np.log(np.arange(1, m + 1)))))
    return [logs[a] - logs[: a + 1] - logs[a::-1] for a in range(m + 1)]


@dataclass(frozen=True)
class Vote:
    """The outcome of votes over random n-subsets.

    Attributes:
        shares: (len(ns), parties, weightings): the share of the draws that each party wins; ties share.
        draws: (len(ns), weightings): the number of draws that each was estimated with; 0 where it is exact.
    """

    shares: Floats
    draws: Ints


def vote(member: Ints, weights: Floats, ns: Sequence[int], *, seed: int, draws: int, party: Ints | None = None) -> Vote:
    """Let the slots of random n-subsets vote: the answer class with the largest sum of weights wins.

    The outcome is exact where that is cheap enough: equal weights by :func:`exact_vote`, few subsets by enumeration,
    and two votes by the heavier one. Else it is from seeded permutations of the slots. One permutation serves every n
    (its first n slots are the draw), and a problem's permutations are the same for every selector and reward model:
    differences between them are then much less noisy than the values.

    Args:
        member: m answer classes, from 0; -1 for a slot that has no vote.
        weights: (m, weightings), at least 0; 0 abstains.
        ns: Subset sizes.
        seed: The seed of the permutations.
        draws: The number of permutations, where there are too many subsets.
        party: The party of each class, from 0, for which its wins count; by default each class is its own party. Two
            parties are enough to ask whether a right class wins, and faster than one for each class.

    Raises:
        PrmEvalError: An n is below 1 or above m.
    """
    m, kinds = weights.shape
    check_ns(ns, m)
    classes = max(int(member.max(initial=-1)) + 1, 0 if party is None else len(party))
    party = np.arange(classes) if party is None else party
    shares = np.zeros((len(ns), int(party.max(initial=-1)) + 1, kinds))
    used = np.zeros((len(ns), kinds), dtype=np.int64)
    votes = np.where((member >= 0)[:, None], weights, 0.0)
    plain = _plain_votes(member, votes, ns, draws, classes)
    for column, win in plain.items():
        shares[:, :, column] = _by_party(win, party, shares.shape[1])
    rest = np.setdiff1d(np.flatnonzero((votes > 0).any(axis=0)), list(plain))
    if not len(rest):
        return Vote(shares, used)
    apart = rest[~_nearly_tied(votes[:, rest])]
    # the slots of a class are side by side
    order = np.argsort(member, kind="stable")
    drawn = _Draws(m, seed, draws, order)
    for row in np.argsort(ns, kind="stable"):
        n, asked = ns[row], rest
        if n == 2 and len(apart):
            shares[row][:, apart] = _heavier_of_two(member, votes[:, apart], party, shares.shape[1])
            asked = np.setdiff1d(rest, apart)
        if not len(asked):
            continue
        if not drawn.enumerates(n):
            used[row, asked] = draws
        columns = np.ascontiguousarray(votes[order][:, asked])
        shares[row][:, asked] = _elected(drawn.of(n), member[order], columns, party, shares.shape[1])
    return Vote(np.clip(shares, 0.0, 1.0), used)


def _plain_votes(member: Ints, votes: Floats, ns: Sequence[int], draws: int, classes: int) -> dict[int, Floats]:
    """Return (len(ns), classes) exact winning probabilities by weighting.

    It has only weightings whose weights are all equal, and for which the exact vote is cheap enough.
    """
    m = len(member)
    positive = votes > 0
    least = np.where(positive, votes, np.inf).min(axis=0)
    found: dict[int, Floats] = {}
    for column in np.flatnonzero(positive.any(axis=0) & (least == votes.max(axis=0))):
        sizes = np.bincount(member[positive[:, column]], minlength=classes)
        there = sizes > 0
        if exact_vote_cost(sizes[there], m, max(ns)) <= max(200.0, EXACT_VOTE_SHARE * draws * m):
            found[int(column)] = np.zeros((len(ns), classes))
            found[int(column)][:, there] = exact_vote(sizes[there], m, ns)
    return found


def _by_party(win: Floats, party: Ints, parties: int) -> Floats:
    """Return the wins of parties, (len(ns), parties), from those of classes, (len(ns), classes)."""
    result = np.zeros((len(win), parties))
    for label, share in zip(party, win.T, strict=False):
        result[:, label] += share
    return result


def _heavier_of_two(member: Ints, columns: Floats, party: Ints, parties: int) -> Floats:
    """Return (parties, weightings) shares at n = 2, where the heavier slot wins; no two weights may nearly tie."""
    keys = np.where(columns > 0, columns, np.nan).T
    result = np.empty((parties, columns.shape[1]))
    for label in range(parties):
        counts_for = np.where(member >= 0, party[member] == label, False).astype(np.float64)
        result[label] = best_of_n_mean(keys, np.broadcast_to(counts_for, keys.shape), [2])[:, 0]
    return result


def _nearly_tied(columns: Floats) -> npt.NDArray[np.bool_]:
    """Return for each column whether two of its weights differ by so little that a vote may tie them (:data:`TIE`)."""
    ordered = np.sort(columns, axis=0)
    gaps = np.diff(ordered, axis=0)
    return np.asarray(((gaps > 0) & (gaps <= 2 * TIE * ordered[1:])).any(axis=0))


class _Draws:
    """The draws of one problem, for rising n, as (draws, m) of 0 and 1; the columns are slots in a given order."""

    def __init__(self, m: int, seed: int, draws: int, order: Ints) -> None:
        self._m, self._seed, self._draws, self._order = m, seed, draws, order
        self._place = np.empty(m, dtype=np.int64)
        self._place[order] = np.arange(m)
        self._drawn: Floats | None = None
        self._n = 0

    def enumerates(self, n: int) -> bool:
        """Return whether all subsets of n slots are enumerated."""
        return comb(self._m, n) <= ENUMERATION_LIMIT

    def of(self, n: int) -> Floats:
        """Return the draws of n slots; calls must be in the order of rising n."""
        if self.enumerates(n):
            return _all_draws(self._m, n)[:, self._order]
        if self._drawn is None:
            self._drawn = np.zeros((self._draws, self._m))
        added = _orders(self._m, self._seed, self._draws)[:, self._n : n]
        np.put_along_axis(self._drawn, self._place[added], 1.0, axis=1)
        self._n = n
        return self._drawn


@lru_cache(maxsize=64)
def _all_draws(m: int, n: int) -> Floats:
    """Return all n-subsets of m slots as (C(m, n), m) of 0 and 1."""
    subsets = all_subsets(m, n)
    result = np.zeros((len(subsets), m))
    np.put_along_axis(result, subsets, 1.0, axis=1)
    result.setflags(write=False)
    return result


@lru_cache(maxsize=2)
def _orders(m: int, seed: int, draws: int) -> npt.NDArray[np.int32]:
    """Return (draws, m): the permutations of one problem's slots, drawn in blocks of bounded size."""
    generator = np.random.default_rng(seed)
    batch = max(1, min(draws, 4_000_000 // m))
    blocks = [
        generator.permuted(np.broadcast_to(np.arange(m), (min(batch, draws - done), m)), axis=1).astype(np.int32)
        for done in range(0, draws, batch)
    ]
    return np.concatenate(blocks)


def _elected(drawn: Floats, member: Ints, weights: Floats, party: Ints, parties: int) -> Floats:
    """Return (parties, weightings): the share of the draws that each party wins.

    Args:
        drawn: (draws, m) of 0 and 1.
        member: m classes, rising; -1 first.
        weights: (m, weightings); 0 abstains.
        party: The party of each class.
        parties: The number of parties.

    Tied classes share a draw, whatever their parties; a draw without votes elects nobody.
    """
    wins = np.zeros((parties, weights.shape[1]))
    labels, starts = np.unique(member, return_index=True)
    bounds = [
        (int(party[label]), slice(start, stop))
        for label, start, stop in zip(labels, starts, [*starts[1:], len(member)], strict=True)
        if label >= 0
    ]
    # draws at a time: the tables stay in the processor's cache
    block = max(1, 20_000 // max(1, weights.shape[1]))
    for first in range(0, len(drawn), block):
        part = drawn[first : first + block]
        sums = [(label, _sum_of(part, slots, weights)) for label, slots in bounds]
        best = np.zeros((parties, len(part), weights.shape[1]))
        for label, cast in sums:
            np.maximum(best[label], cast, out=best[label])
        least = best.max(axis=0) * (1 - TIE)
        reach = (best >= least) & (least > 0)
        contested = reach.sum(axis=0) > 1
        wins += (reach & ~contested).sum(axis=1)
        draw, column = np.nonzero(contested)
        if len(draw):
            winners = np.zeros((parties, len(draw)))
            for label, cast in sums:
                winners[label] += cast[draw, column] >= least[draw, column]
            for label, share in enumerate(winners / winners.sum(axis=0)):
                wins[label] += np.bincount(column, weights=share, minlength=weights.shape[1])
    return wins / len(drawn)


def _sum_of(drawn: Floats, slots: slice, weights: Floats) -> Floats:
    """Return (draws, weightings): the sum of a class's weights in each draw."""
    # a matrix product of inner dimension 1 is slower than a plain product
    one = slots.stop - slots.start == 1
    cast: Floats = drawn[:, slots] * weights[slots] if one else drawn[:, slots] @ weights[slots]
    return cast
