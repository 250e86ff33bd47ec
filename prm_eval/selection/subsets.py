"""Closed forms for the best of a random n-subset of m slots: its rank and its expected value (design, section 5)."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from prm_eval.errors import PrmEvalError

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

# subsets of one size; with M = 8 that is all of them
ENUMERATION_LIMIT = 3_000
# problems ranked at a time
_BLOCK = 64


def check_ns(ns: Sequence[int], m: int) -> None:
    """Insist that all subset sizes are from 1 to m.

    Raises:
        PrmEvalError: An n is below 1 or above m.
    """
    for n in ns:
        if not 1 <= n <= m:
            raise PrmEvalError(f"n = {n} of {m} slots: n must be from 1 to {m} (subsets are drawn without replacement)")


@lru_cache(maxsize=64)
def rank_probabilities(m: int, ns: tuple[int, ...]) -> Floats:
    """Return (len(ns), m): the probability that the best of n drawn of m distinct slots is the k-th best of all.

    It is H(k) - H(k+1), where H(a) = C(m-a, n) / C(m, n) is the probability that none of the a best slots is drawn. H
    is built by its recurrence, H(a+1) = H(a) (m-a-n)/(m-a), which keeps full precision where binomials would overflow.

    Raises:
        PrmEvalError: An n is below 1 or above m.
    """
    check_ns(ns, m)
    a = np.arange(m, dtype=np.float64)
    result = np.empty((len(ns), m))
    for row, n in enumerate(ns):
        none_of = np.cumprod(np.maximum(m - a - n, 0.0) / (m - a))  # H(1) .. H(m)
        # H(k) - H(k+1) = H(k) n/(m-k), without the cancellation of a difference
        result[row] = np.concatenate(([1.0], none_of[:-1])) * n / (m - a)
    result.setflags(write=False)
    return result


def best_of_n_probabilities(keys: Floats, ns: Sequence[int]) -> Floats:
    """Return (len(ns), M): the probability that each slot has the largest key of a random n-subset, ties shared.

    Args:
        keys: M keys; NaN is never chosen.
        ns: Subset sizes.

    Raises:
        PrmEvalError: An n is below 1 or above M.
    """
    m = len(keys)
    by_rank = rank_probabilities(m, tuple(ns))
    order = np.argsort(-keys, kind="stable")  # NaN sorts last
    ranked = keys[order]
    group = np.concatenate(([0], np.cumsum(ranked[1:] != ranked[:-1])))
    sizes = np.bincount(group)
    shared = np.stack([np.bincount(group, weights=row)[group] / sizes[group] for row in by_rank])
    result = np.zeros_like(shared)
    result[:, order] = np.where(np.isnan(ranked), 0.0, shared)
    return result


def best_of_n_mean(rewards: Floats, values: Floats, ns: Sequence[int]) -> Floats:
    """Return (problems, len(ns)): the expected value of the candidate that best-of-n chooses; choosing none counts 0.

    Args:
        rewards: (problems, M); NaN for what cannot be chosen.
        values: (problems, M), of any meaning; the values of candidates that cannot be chosen do not count.
        ns: Subset sizes.
    """
    n_problems, m = rewards.shape
    by_rank = rank_probabilities(m, tuple(ns)).T
    result = np.empty((n_problems, len(ns)))
    # a block of problems stays in the processor's cache
    for first in range(0, n_problems, _BLOCK):
        block = slice(first, first + _BLOCK)
        result[block] = value_by_rank(rewards[block], values[block]) @ by_rank
    return result


def value_by_rank(rewards: Floats, values: Floats) -> Floats:
    """Return (problems, M): the value of each rank, best first; tied ones have their mean, missing ones 0."""
    n_problems, m = rewards.shape
    missing = np.isnan(rewards)
    keys = -rewards
    if not (keys == np.inf).any():
        # NaN sorts last too, but numpy sorts arrays with NaN several times slower
        keys[missing] = np.inf
    order = np.argsort(keys, axis=1)
    order += np.arange(0, n_problems * m, m)[:, None]  # positions in the flat arrays
    ranked = np.take(rewards, order)
    right = np.take(np.where(missing, 0.0, values), order)
    # whether the candidate of each rank is tied with the one before
    tied = np.zeros((n_problems, m + 1), dtype=bool)
    tied[:, 1:-1] = ranked[:, 1:] == ranked[:, :-1]
    members = np.flatnonzero(tied[:, :-1] | tied[:, 1:])
    if len(members):
        starts = np.flatnonzero(~tied[:, :-1].ravel()[members])
        sizes = np.diff(starts, append=len(members))
        shared = np.add.reduceat(right.ravel()[members], starts) / sizes
        np.put(right, members, np.repeat(shared, sizes))
    return right


@lru_cache(maxsize=64)
def all_subsets(m: int, n: int) -> Ints:
    """Return (C(m, n), n): all subsets of n of m slots."""
    return np.array(list(itertools.combinations(range(m), n)), dtype=np.int64).reshape(-1, n)
