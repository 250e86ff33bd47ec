"""Majority votes over random n-subsets: exact by polynomials, or by permutations with prefix counts."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

TIE = 1e-9  # sums of weights that agree to this relative difference are tied: float sums depend on their order
MAX_SLOTS_EXACT = 1_000  # C(1000, 500) still fits a float64


def elect(cast: Floats) -> Floats:
    """Return, for each row of class sums, the share of the win each class has: tied classes share, no votes elect nobody."""
    best = cast.max(axis=1, keepdims=True)
    winners = (cast >= best * (1 - TIE)) & (best > 0)
    result: Floats = winners / np.maximum(winners.sum(axis=1, keepdims=True), 1)
    return result


def exact_vote_cost(sizes: Ints, m: int, n_max: int) -> float:
    """Return about how many array operations :func:`exact_vote` takes for all n up to ``n_max``; infinite beyond its range."""
    if m > MAX_SLOTS_EXACT:
        return float("inf")
    counts = np.arange(1, min(int(sizes.max()), n_max) + 1)
    able = (sizes[None, :] >= counts[:, None]).sum(axis=1)  # classes that can reach each winning count
    distinct = (np.unique(sizes)[None, :] >= counts[:, None]).sum(axis=1)
    nodes = np.minimum(able, n_max // counts) // 2 + 1
    size_of_operation = 1 + nodes * n_max / 2_000
    return float((distinct * able * np.minimum(counts, nodes) * size_of_operation).sum())


def exact_vote(sizes: Ints, m: int, ns: Sequence[int]) -> Floats:
    """Return (len(ns), classes): the probability that each class wins a majority vote of a random n-subset, ties shared.

    Args:
        sizes: How many of the m slots each class holds; slots beyond their sum abstain.
        m: Slots, at most :data:`MAX_SLOTS_EXACT`.
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
    """Count, for 0..most slots drawn from the rest, the draws in which no other class exceeds c; ties count 1/(t+1)."""
    free = abstaining + int(others[others < c].sum())  # these cannot reach c: draw from them as you like
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
    """Multiply by sum_{i<c} a_i x^i + z a_c x^c, keeping the degree."""
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


def vote_by_permutations(
    member: Ints, weights: Floats, ns: Sequence[int], n_classes: int, seed: int, draws: int
) -> Floats:
    """Estimate (len(ns), n_classes) winning probabilities from random permutations of the slots.

    One permutation serves every n (its first n slots are the draw), and a problem's permutations are the same for every
    selector and reward model: differences between them are then much less noisy than the values.
    """
    m = len(member)
    wins = np.zeros((len(ns), n_classes))
    grid = sorted(set(ns))
    generator = np.random.default_rng(seed)
    batch = max(1, min(draws, 4_000_000 // m))
    done = 0
    while done < draws:
        count = min(batch, draws - done)
        order = generator.permuted(np.broadcast_to(np.arange(m), (count, m)), axis=1)[:, : grid[-1]]
        cast = np.zeros(count * n_classes)
        start = 0
        for n in grid:
            drawn = order[:, start:n]
            rows = np.broadcast_to(np.arange(count)[:, None], drawn.shape)
            classes = member[drawn]
            votes = classes >= 0
            index = rows[votes] * n_classes + classes[votes]
            cast += np.bincount(index, weights=weights[drawn][votes], minlength=count * n_classes)
            share = elect(cast.reshape(count, n_classes)).sum(axis=0)
            for row in [i for i, wanted in enumerate(ns) if wanted == n]:
                wins[row] += share
            start = n
        done += count
    result: Floats = wins / draws
    return result


def drawn_slots(m: int, n: int, seed: int, draws: int, subsets: Ints | None = None) -> Floats:
    """Return (draws, m) of 0 and 1: the slots in each draw of n, the very draws of :func:`vote_by_permutations`.

    ``subsets`` are the draws instead, where all of them are enumerated.
    """
    if subsets is None:
        subsets = _orders(m, seed, draws)[:, :n].astype(np.int64)
    result = np.zeros((len(subsets), m))
    np.put_along_axis(result, subsets, 1.0, axis=1)
    return result


@lru_cache(maxsize=2)
def _orders(m: int, seed: int, draws: int) -> npt.NDArray[np.int16]:
    """Return the permutations of one problem's slots, in the blocks in which :func:`vote_by_permutations` makes them."""
    generator = np.random.default_rng(seed)
    batch = max(1, min(draws, 4_000_000 // m))
    blocks = [
        generator.permuted(np.broadcast_to(np.arange(m), (min(batch, draws - done), m)), axis=1)
        for done in range(0, draws, batch)
    ]
    return np.concatenate(blocks).astype(np.int16)


def right_elected(drawn: Floats, member: Ints, right: npt.NDArray[np.bool_], weights: Floats) -> Floats:
    """Return, for each of many weightings of one problem's slots, how often the elected class is a right one.

    Args:
        drawn: (draws, m) of 0 and 1, from :func:`drawn_slots`.
        member: m classes; -1 for a slot that has no vote.
        right: m flags, the same for all slots of a class.
        weights: (m, weightings), positive; 0 abstains.

    What :func:`vote_by_permutations` and :func:`elect` do for one weighting, as one matrix product a class for all of
    them.
    """
    result = np.zeros(weights.shape[1])
    classes = [np.flatnonzero(member == label) for label in np.unique(member[member >= 0])]
    good = [slots for slots in classes if right[slots[0]]]
    bad = [slots for slots in classes if not right[slots[0]]]
    if not good:
        return result
    block = max(1, 20_000 // max(1, weights.shape[1]))  # draws at a time: the tables stay in the processor's cache
    for start in range(0, len(drawn), block):
        part = drawn[start : start + block]
        good_sums, best_good = _sums_and_best(part, good, weights)
        bad_sums, best_bad = _sums_and_best(part, bad, weights)
        near = np.abs(best_good - best_bad) <= TIE * np.maximum(best_good, best_bad)
        result += ((best_good > best_bad) & ~near).sum(axis=0)
        ties = np.nonzero(near & (best_good > 0))
        if len(ties[0]):
            least = np.maximum(best_good, best_bad)[ties] * (1 - TIE)
            good_winners = np.sum([sums[ties] >= least for sums in good_sums], axis=0)
            bad_winners = np.sum([sums[ties] >= least for sums in bad_sums], axis=0)
            shares = good_winners / (good_winners + bad_winners)
            result += np.bincount(ties[1], weights=shares, minlength=len(result))
    return result / len(drawn)


def _sums_and_best(drawn: Floats, classes: list[Ints], weights: Floats) -> tuple[list[Floats], Floats]:
    """Return each class's sum of weights in each draw, and the largest of them."""
    best = np.zeros((len(drawn), weights.shape[1]))
    sums = []
    for slots in classes:
        # a matrix product of inner dimension 1 is slower than the product it stands for
        sums.append(drawn[:, slots] * weights[slots] if len(slots) == 1 else drawn[:, slots] @ weights[slots])
        np.maximum(best, sums[-1], out=best)
    return sums, best
