"""Adaptive stopping, replayed over a pool: what is drawn and spent on average over all orders of a problem's M slots.

Candidates are drawn one after the other, in a random order, up to a budget of n. Two rules stop earlier:

* *decided*: the leading answer class can no longer be caught up with by the draws that are left, so that the vote of n
  is known; its accuracy is that of the majority vote of n, in every order;
* *threshold*: a candidate with a reward of at least a threshold came, and is chosen; if none comes, the best of the n.

Missing slots and candidates without an answer are drawn, have no vote and pass no threshold.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations_with_replacement
from math import comb, lgamma, log

import numpy as np
import numpy.typing as npt

from prm_eval.selection.subsets import check_ns, rank_probabilities, value_by_rank

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

# counts of votes that are looked at, in one problem; beyond it permutations are drawn
MOST_STATES = 200_000


@dataclass(frozen=True)
class Drawn:
    """The draws until a vote is decided.

    Attributes:
        drawn: (len(ns),) expected number of slots drawn.
        spent: (kinds, len(ns)) expected costs.
        variances: (1 + kinds, len(ns)) Monte-Carlo variances of ``drawn`` and ``spent``; 0 where they are exact.
        draws: The number of permutations; 0 where the figures are exact.
    """

    drawn: Floats
    spent: Floats
    variances: Floats
    draws: int


def until_decided(
    member: Ints, costs: Floats, ns: Sequence[int], *, seed: int, draws: int, most_states: int = MOST_STATES
) -> Drawn:
    """Return what is drawn until the majority vote of n is decided, for every budget n.

    Let ``lead`` be the votes of the leading class less those of the second. The vote of n is decided after t draws if
    lead > n - t. A draw changes ``lead`` by at most 1, so that lead + t never falls: a vote that is open after t draws
    was open before, whatever the order. The probability that it is open is thus the sum, over the counts of votes with
    lead + t <= n, of the (multivariate hypergeometric) probabilities of these counts, and no path needs to be followed.
    Where there are too many counts it is estimated from random permutations.

    Args:
        member: M answer classes; -1 for a slot that has no vote.
        costs: (kinds, M) costs of drawing each slot.
        ns: Budgets.
        seed: The seed of the permutations.
        draws: The number of permutations, where they are needed.
        most_states: How many counts of votes may be looked at.

    Raises:
        PrmEvalError: An n is below 1 or above M.
    """
    check_ns(ns, len(member))
    groups = _groups(member)
    if np.prod([float(group.n_states) for group in groups]) <= most_states:
        return _decided_exactly(groups, costs, ns, len(member))
    return _decided_by_permutations(member, costs, ns, seed, draws)


@dataclass(frozen=True)
class _Group:
    """The slots of all classes of one size, which can stand for each other, or those of no class (size 0).

    Attributes:
        slots: The slots.
        size: The votes of each class.
        classes: The number of classes.
    """

    slots: Ints
    size: int
    classes: int

    @property
    def n_states(self) -> int:
        """The number of ways in which votes may lie on the classes, whichever class has how many."""
        return comb(self.size + self.classes, self.classes) if self.size else len(self.slots) + 1


def _groups(member: Ints) -> list[_Group]:
    labels, sizes = np.unique(member[member >= 0], return_counts=True)
    found = [
        _Group(np.flatnonzero(np.isin(member, labels[sizes == size])), int(size), int((sizes == size).sum()))
        for size in np.unique(sizes)
    ]
    return [*found, _Group(np.flatnonzero(member < 0), 0, 0)]


@lru_cache(maxsize=512)
def _states(size: int, classes: int) -> tuple[Ints, Floats]:
    """Return the states of some classes of one size, as (3, states) and as the logarithms of their numbers of ways.

    A state is a multiset of votes, one number a class. Its rows are the votes of all, of the leading class, and of the
    second; its ways are the orders of the multiset times the choices of the slots that vote.
    """
    rows, ways = [], []
    for votes in combinations_with_replacement(range(size + 1), classes):
        often = np.bincount(votes, minlength=size + 1)
        orders = lgamma(classes + 1) - sum(lgamma(each + 1) for each in often)
        rows.append((sum(votes), votes[-1], votes[-2] if classes > 1 else 0))
        ways.append(orders + sum(log(comb(size, each)) for each in votes))
    return np.array(rows, dtype=np.int64).T, np.array(ways)


def _decided_exactly(groups: list[_Group], costs: Floats, ns: Sequence[int], m: int) -> Drawn:
    states = [_states(group.size, group.classes) for group in groups[:-1]]
    silent = np.arange(len(groups[-1].slots) + 1)
    ways = [log(comb(len(silent) - 1, int(each))) for each in silent]
    states.append((np.stack([silent, 0 * silent, 0 * silent]), np.array(ways)))
    places = np.indices([len(each) for _, each in states]).reshape(len(states), -1)
    drawn = np.stack([rows[0][place] for (rows, _), place in zip(states, places, strict=True)])  # (groups, states)
    votes = np.concatenate([rows[1:, place] for (rows, _), place in zip(states, places, strict=True)])
    votes.partition(len(votes) - 2, axis=0)
    lead, t = votes[-1] - votes[-2], drawn.sum(axis=0)
    # draws are left while t < n, and the vote is open while lead + t <= n
    open_from = np.maximum(lead + t, t + 1)
    logs = np.concatenate(([0.0], np.cumsum(np.log(np.arange(1, m + 1)))))
    chosen = np.sum([each[place] for (_, each), place in zip(states, places, strict=True)], axis=0)
    chance = np.exp(chosen - (logs[m] - logs[t] - logs[m - t]))
    going_on = t < m
    open_from, chance, left = open_from[going_on], chance[going_on], (m - t)[going_on]

    def up_to(weights: Floats) -> Floats:
        """Return the sums over the counts that are open at each n."""
        summed: Floats = np.cumsum(np.bincount(open_from, weights=weights, minlength=m + 1)).astype(np.float64)
        return summed[list(ns)]

    by_group = np.array(
        [up_to(chance * (len(group.slots) - each[going_on]) / left) for group, each in zip(groups, drawn, strict=True)]
    )
    means = np.array([[kind[group.slots].mean() if len(group.slots) else 0.0 for group in groups] for kind in costs])
    return Drawn(up_to(chance), means.reshape(len(costs), -1) @ by_group, np.zeros((1 + len(costs), len(ns))), 0)


def _decided_by_permutations(member: Ints, costs: Floats, ns: Sequence[int], seed: int, draws: int) -> Drawn:
    generator = np.random.default_rng(seed)
    m = len(member)
    _, dense = np.unique(member, return_inverse=True)
    orders = generator.permuted(np.broadcast_to(np.arange(m), (draws, m)), axis=1)
    at_stop = _stops(np.where(member < 0, -1, dense)[orders], ns)  # (draws, len(ns))
    found = [at_stop.astype(np.float64)]
    for kind in costs:
        running = np.cumsum(kind[orders], axis=1)
        found.append(np.take_along_axis(running, at_stop - 1, axis=1))
    stacked = np.stack(found)
    variances = stacked.var(axis=1, ddof=1) / draws if draws > 1 else np.full((len(found), len(ns)), np.inf)
    means = stacked.mean(axis=1)
    return Drawn(means[0], means[1:], variances, draws)


def _stops(classes: Ints, ns: Sequence[int]) -> Ints:
    """Return (draws, len(ns)): after how many slots each vote is decided, from (draws, m) classes in drawn order."""
    draws, m = classes.shape
    counts = np.zeros((draws, int(classes.max(initial=0)) + 1), dtype=np.int64)
    leader, first, second = np.full(draws, -1), np.zeros(draws, dtype=np.int64), np.zeros(draws, dtype=np.int64)
    decided_at = np.empty((draws, m), dtype=np.int64)  # lead + t, which never falls
    rows = np.arange(draws)
    for t in range(m):
        drawn = classes[:, t]
        voting = drawn >= 0
        counts[rows[voting], drawn[voting]] += 1
        has = np.where(voting, counts[rows, np.maximum(drawn, 0)], 0)
        own = voting & (drawn == leader)
        ahead = voting & ~own & (has > first)
        second = np.where(ahead, first, np.where(own, second, np.maximum(second, has)))
        leader = np.where(ahead, drawn, leader)
        first = np.maximum(first, has)
        decided_at[:, t] = first - second + t + 1
    return np.stack([np.minimum((decided_at <= n).sum(axis=1) + 1, n) for n in ns], axis=1)


@dataclass(frozen=True)
class ByPassing:
    """What a threshold on rewards gives, for every number a of slots that pass it.

    Attributes:
        accuracy: (problems, M + 1).
        drawn: (M + 1,) expected number of slots drawn.
        spent: (kinds, problems, M + 1) expected costs.
    """

    accuracy: Floats
    drawn: Floats
    spent: Floats


def until_passed(rewards: Floats, correct: Bools, costs: Floats, n: int) -> ByPassing:
    """Return accuracy and costs of drawing until a reward passes a threshold, up to n, in closed form.

    A threshold is passed by the a slots with the largest rewards. With S(a, t) = C(M - a, t) / C(M, t), the chance that
    none of them is among t drawn, the expected number of draws is the sum of S(a, t) over t < n. Whoever stops the
    drawing is any of the a with the same chance; where nobody does, the best of n is a slot below the threshold, which
    is a sum over the ranks from a on.

    Args:
        rewards: (problems, M); NaN for what cannot be chosen.
        correct: (problems, M) flags.
        costs: (kinds, problems, M) costs of drawing each slot.
        n: The budget.

    Figures at an a that would cut through equal rewards belong to no threshold.

    Raises:
        PrmEvalError: n is below 1 or above M.
    """
    m = rewards.shape[1]
    by_rank = rank_probabilities(m, (n,))[0]
    a = np.arange(m + 1)[:, None]
    steps = np.maximum(m - a - np.arange(n), 0.0) / (m - np.arange(n))
    none_of = np.concatenate([np.ones((m + 1, 1)), np.cumprod(steps, axis=1)], axis=1)  # S(a, t), t = 0 .. n
    stopped, drawn = 1 - none_of[:, n], none_of[:, :n].sum(axis=1)
    order = np.argsort(-rewards, axis=1, kind="stable")  # NaN last
    some = np.maximum(np.arange(m + 1), 1)
    passing = _before(np.take_along_axis(correct.astype(np.float64), order, axis=1)) / some
    below = _before((value_by_rank(rewards, correct.astype(np.float64)) * by_rank)[:, ::-1])[:, ::-1]
    spent = []
    for kind in costs:
        before = _before(np.take_along_axis(kind, order, axis=1))
        rest = np.maximum(m - np.arange(m + 1), 1)
        spent.append(stopped * before / some + (drawn - stopped) * (before[:, -1:] - before) / rest)
    return ByPassing(np.clip(stopped * passing + below, 0.0, 1.0), drawn, np.array(spent))


def _before(values: Floats) -> Floats:
    """Return (problems, M + 1): the sums of the first 0, 1, ..., M values of each row."""
    return np.concatenate([np.zeros((len(values), 1)), np.cumsum(values, axis=1)], axis=1)


def passing(rewards: Floats, thresholds: Floats) -> Ints:
    """Return (thresholds, problems): how many slots have a reward of at least each threshold; NaN passes none."""
    falling = np.sort(-rewards, axis=1)  # NaN last, beyond any threshold
    return np.stack([np.searchsorted(row, -thresholds, side="right") for row in falling], axis=1)
