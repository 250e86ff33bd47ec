"""Majority votes over random n-subsets: exact in closed form or by enumeration, else from random permutations."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import comb

import numpy as np
import numpy.typing as npt

from prm_eval.selection.exact_voting import exact_vote, exact_vote_cost
from prm_eval.selection.subsets import ENUMERATION_LIMIT, all_subsets, best_of_n_mean, check_ns

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

# sums of weights within this relative difference are tied: float sums depend on their order
TIE = 1e-9
# array operations a drawn slot: the exact vote is used where it costs about as much as permutations
EXACT_VOTE_SHARE = 0.02
# slots drawn at a time, of all draws together
MOST_DRAWN = 4_000_000
# sums of weights counted at a time
IN_CACHE = 50_000


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
    ballot = _Ballot(member, votes[:, rest], party, shares.shape[1])
    apart = ~_nearly_tied(votes[:, rest])
    drawn: list[int] = []
    for row in np.argsort(ns, kind="stable").tolist():
        n, asked = ns[row], np.ones(len(rest), dtype=bool)
        if n == 2 and apart.any():
            shares[row][:, rest[apart]] = _heavier_of_two(member, votes[:, rest[apart]], party, shares.shape[1])
            asked = ~apart
        if comb(m, n) <= ENUMERATION_LIMIT:
            shares[row][:, rest[asked]] = ballot.elected([_all_draws(m, n)], [n])[0][:, asked]
        elif asked.any():
            drawn.append(row)
            used[row, rest[asked]] = draws
    if drawn:
        estimated = ballot.elected(_orders(m, seed, draws), [ns[row] for row in drawn])
        for row, found in zip(drawn, estimated, strict=True):
            asked = used[row, rest] > 0
            shares[row][:, rest[asked]] = found[:, asked]
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
    of = np.where(member >= 0, party[member], -1)
    counts_for = np.repeat((of == np.arange(parties)[:, None]).astype(np.float64), len(keys), axis=0)
    return best_of_n_mean(np.tile(keys, (parties, 1)), counts_for, [2])[:, 0].reshape(parties, len(keys))


def _nearly_tied(columns: Floats) -> npt.NDArray[np.bool_]:
    """Return for each column whether two of its weights differ by so little that a vote may tie them (:data:`TIE`)."""
    ordered = np.sort(columns, axis=0)
    gaps = np.diff(ordered, axis=0)
    return np.asarray(((gaps > 0) & (gaps <= 2 * TIE * ordered[1:])).any(axis=0))


@lru_cache(maxsize=64)
def _all_draws(m: int, n: int) -> Ints:
    """Return all n-subsets of m slots as (n, C(m, n))."""
    subsets = np.ascontiguousarray(all_subsets(m, n).T)
    subsets.setflags(write=False)
    return subsets


def _orders(m: int, seed: int, draws: int) -> Iterable[Ints]:
    """Return the permutations of one problem's slots in blocks of bounded size, (m, draws of the block)."""
    if draws * m <= MOST_DRAWN:
        # the next selector or reward model asks for the same
        return _kept_orders(m, seed, draws)
    return _permuted(m, seed, draws)


@lru_cache(maxsize=2)
def _kept_orders(m: int, seed: int, draws: int) -> tuple[Ints, ...]:
    return tuple(_permuted(m, seed, draws))


def _permuted(m: int, seed: int, draws: int) -> Iterator[Ints]:
    generator = np.random.default_rng(seed)
    batch = max(1, min(draws, MOST_DRAWN // m))
    for done in range(0, draws, batch):
        slots = np.broadcast_to(np.arange(m), (min(batch, draws - done), m))
        yield np.ascontiguousarray(generator.permuted(slots, axis=1).T)


class _Ballot:
    """The votes of one problem's slots, to be counted draw by draw.

    Args:
        member: m classes; -1 for a slot that has no vote.
        weights: (m, weightings); 0 abstains.
        party: The party of each class.
        parties: The number of parties.
    """

    def __init__(self, member: Ints, weights: Floats, party: Ints, parties: int) -> None:
        labels, of = np.unique(np.maximum(member, 0), return_inverse=True)
        self._party, self._parties = party[labels], parties
        # the slots of a class are side by side
        order = np.argsort(of, kind="stable")
        self._row = np.argsort(order)
        self._ends = np.cumsum(np.bincount(of)).tolist()
        self._weights = np.ascontiguousarray(weights.T[:, order])

    def elected(self, orders: Iterable[Ints], ns: Sequence[int]) -> list[Floats]:
        """Return for each n (parties, weightings): the share of the draws that each party wins.

        Tied classes share a draw, whatever their parties; a draw without votes elects nobody.

        Args:
            orders: Blocks of draws, (slots in the order of their drawing, draws).
            ns: Subset sizes, rising: the first n slots of each draw vote.
        """
        wins = np.zeros((len(ns), self._parties, len(self._weights)))
        count = 0
        for block in orders:
            draws = block.shape[1]
            count += draws
            # the tables stay in the processor's cache
            step = max(1, IN_CACHE // (draws * len(self._party)))
            drawn, before = np.zeros((len(self._row), draws)), 0
            for row, n in enumerate(ns):
                # each n adds its slots to those of the one before
                drawn[self._row.take(block[before:n]), np.arange(draws)] = 1.0
                before = n
                for first in range(0, len(self._weights), step):
                    some = slice(first, first + step)
                    shares = self._winners(self._cast(drawn, self._weights[some]))
                    wins[row, :, some] += shares.reshape(self._parties, -1, draws).sum(axis=2)
        return list(wins / count)

    def _cast(self, drawn: Floats, weights: Floats) -> Floats:
        """Return (classes, weightings x draws): the sum of each class's weights in each draw."""
        cast = np.empty((len(self._party), len(weights), drawn.shape[1]))
        for label, (start, end) in enumerate(zip([0, *self._ends], self._ends, strict=False)):
            np.matmul(weights[:, start:end], drawn[start:end], out=cast[label])
        return cast.reshape(len(cast), -1)

    def _winners(self, cast: Floats) -> Floats:
        """Return (parties, draws): each party's share of a draw, from the sums of weights of the classes."""
        best = np.zeros((self._parties, cast.shape[1]))
        for party, each in zip(self._party, cast, strict=True):
            np.maximum(best[party], each, out=best[party])
        least = best.max(axis=0) * (1 - TIE)
        reach = (best >= least) & (least > 0)
        shares: Floats = reach.astype(np.float64)
        contested = np.flatnonzero(reach.sum(axis=0) > 1)
        if len(contested):
            tied = np.zeros((self._parties, len(contested)))
            for party, each in zip(self._party, cast, strict=True):
                tied[party] += each[contested] >= least[contested]
            shares[:, contested] = tied / tied.sum(axis=0)
        return shares
