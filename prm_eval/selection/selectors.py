"""Selectors: answer classes and rewards in, for every slot the probability of being chosen out (over random n-subsets).

A selector never sees a grade. Three base classes cover what a third party may want, in ten lines each:

* :class:`ByKey`: the drawn candidate with the largest key wins (best-of-n). Exact in closed form.
* :class:`ByVote`: the answer class with the largest sum of weights wins (majority). Exact where affordable, else Monte
  Carlo.
* :class:`ByDraw`: any rule at all on a draw of n candidates. Exact over all subsets where these are few, else Monte
  Carlo.

All draws are without replacement from the M slots of a problem. Missing slots, and candidates without an answer, keep
their slot: they are drawn, they abstain from votes and they lose every comparison. If nothing can be chosen, nothing is
chosen. Ties share: every tied candidate is chosen with equal probability.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from prm_eval.errors import PrmEvalError
from prm_eval.selection.subsets import ENUMERATION_LIMIT, all_subsets, best_of_n_probabilities, check_ns
from prm_eval.selection.voting import vote

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

DEFAULT_DRAWS = 1_000
DEFAULT_SEED = 20_230_531


@dataclass(frozen=True)
class Slots:
    """What a selector sees of one problem.

    Attributes:
        classes: M answer classes; -1 for a missing slot or no answer.
        rewards: M rewards to rank by; NaN where the slot is missing or the model refused, or where there is no model.
        weights: M voting weights; NaN likewise.
        lengths: M candidate lengths in characters; NaN where missing.
    """

    classes: Ints
    rewards: Floats
    weights: Floats
    lengths: Floats

    @property
    def m(self) -> int:
        """The number of slots."""
        return len(self.classes)

    @property
    def eligible(self) -> npt.NDArray[np.bool_]:
        """Slots that can be chosen at all: present, with an answer."""
        result: npt.NDArray[np.bool_] = self.classes >= 0
        return result


@dataclass(frozen=True)
class Draw:
    """A draw of n slots, in the order they were drawn; the fields are those of :class:`Slots`."""

    classes: Ints
    rewards: Floats
    weights: Floats
    lengths: Floats


@dataclass(frozen=True)
class Choice:
    """How a selector chooses: (len(ns), M) probabilities, and the number of draws each row was estimated with (0: exact)."""

    probabilities: Floats
    draws: Ints


@runtime_checkable
class Selector(Protocol):
    """What is registered under the entry-point group ``prm_eval.selectors``: a class that is made without arguments."""

    name: str
    needs_rewards: bool

    def choose(self, slots: Slots, ns: Sequence[int], *, seed: int, draws: int) -> Choice:
        """Return the probability that each slot is chosen, for every n; ``seed`` is the problem's own."""
        ...


class ByKey:
    """The drawn candidate with the largest key wins; ties share."""

    name: ClassVar[str]
    needs_rewards: ClassVar[bool] = False

    def key(self, slots: Slots) -> Floats:
        """Return M keys; NaN loses against everything and cannot be chosen."""
        raise NotImplementedError

    def choose(self, slots: Slots, ns: Sequence[int], *, seed: int, draws: int) -> Choice:
        """Exact, by the closed form of DESIGN.md section 5."""
        keys = np.where(slots.eligible, self.key(slots), np.nan)
        return Choice(best_of_n_probabilities(keys, ns), np.zeros(len(ns), dtype=np.int64))


class ByVote:
    """The answer class with the largest sum of weights wins; tied classes share; any of its members is the choice."""

    name: ClassVar[str]
    needs_rewards: ClassVar[bool] = False

    def weights(self, slots: Slots) -> Floats:
        """Return M weights, not negative; NaN abstains."""
        raise NotImplementedError

    def choose(self, slots: Slots, ns: Sequence[int], *, seed: int, draws: int) -> Choice:
        """Exact by polynomial (equal weights) or enumeration where affordable, else by seeded permutations."""
        weights = np.where(slots.eligible, self.weights(slots), np.nan)
        votes = np.isfinite(weights)
        if (weights[votes] < 0).any():
            raise PrmEvalError(f"selector {self.name}: a negative voting weight")
        labels, dense = np.unique(slots.classes[votes], return_inverse=True)
        member = np.full(slots.m, -1, dtype=np.int64)
        member[votes] = dense
        found = vote(member, np.where(votes, weights, 0.0)[:, None], ns, seed=seed, draws=draws)
        probabilities = np.zeros((len(ns), slots.m))
        # any member of the winning class may be named; they are all the same answer
        probabilities[:, votes] = (found.shares[:, :, 0] / np.bincount(dense, minlength=len(labels)))[:, dense]
        return Choice(probabilities, found.draws[:, 0])


class ByDraw:
    """Any rule on a draw."""

    name: ClassVar[str]
    needs_rewards: ClassVar[bool] = False

    def select(self, draw: Draw) -> Floats:
        """Return n probabilities of choosing each drawn slot; their sum is at most 1."""
        raise NotImplementedError

    def choose(self, slots: Slots, ns: Sequence[int], *, seed: int, draws: int) -> Choice:
        """Exact over all subsets where these are few, else by seeded draws."""

        def select(drawn: Ints) -> Floats:
            draw = Draw(slots.classes[drawn], slots.rewards[drawn], slots.weights[drawn], slots.lengths[drawn])
            return np.asarray(self.select(draw), dtype=np.float64)

        return _by_draws(slots.m, ns, seed, draws, select)


class First(ByKey):
    """The first candidate drawn: ``mean@1`` for every n."""

    name = "first"

    def choose(self, slots: Slots, ns: Sequence[int], *, seed: int, draws: int) -> Choice:
        """Every slot with probability 1/M; a slot without an answer is a wrong first draw."""
        row = slots.eligible / slots.m
        return Choice(np.tile(row, (len(ns), 1)), np.zeros(len(ns), dtype=np.int64))


class Random(ByKey):
    """A random one of those drawn that have an answer."""

    name = "random"

    def key(self, slots: Slots) -> Floats:
        """All equal: all tie."""
        return np.zeros(slots.m)


class BestOfN(ByKey):
    """The largest reward: ``bon@n`` (Lightman et al. 2023 section 2.6)."""

    name = "best_of_n"
    needs_rewards = True

    def key(self, slots: Slots) -> Floats:
        """The rewards."""
        return slots.rewards


class Shortest(ByKey):
    """The shortest candidate, in characters: shows what preferring short solutions alone is worth."""

    name = "shortest"

    def key(self, slots: Slots) -> Floats:
        """Minus the length."""
        return -slots.lengths


class Longest(ByKey):
    """The longest candidate, in characters: shows what preferring long solutions alone is worth."""

    name = "longest"

    def key(self, slots: Slots) -> Floats:
        """The length."""
        return slots.lengths


class Majority(ByVote):
    """The most common answer class: ``maj@n``."""

    name = "majority"

    def weights(self, slots: Slots) -> Floats:
        """One vote each."""
        return np.ones(slots.m)


class WeightedMajority(ByVote):
    """The answer class with the largest sum of weights: ``wmaj@n``. A weight is the reward as a probability."""

    name = "weighted_majority"
    needs_rewards = True

    def weights(self, slots: Slots) -> Floats:
        """The weights; a refused candidate abstains."""
        return slots.weights


def _by_draws(m: int, ns: Sequence[int], seed: int, draws: int, select: Callable[[Ints], Floats]) -> Choice:
    check_ns(ns, m)
    probabilities = np.zeros((len(ns), m))
    used = np.zeros(len(ns), dtype=np.int64)
    for row, n in enumerate(ns):
        if math.comb(m, n) <= ENUMERATION_LIMIT:
            subsets: Any = all_subsets(m, n)
        else:
            generator = np.random.default_rng([seed, n])
            subsets = (generator.permutation(m)[:n] for _ in range(draws))
            used[row] = draws
        count = 0
        for drawn in subsets:
            probabilities[row, drawn] += select(drawn)
            count += 1
        probabilities[row] /= count
    return Choice(probabilities, used)


def problem_seed(seed: int, problem_id: str) -> int:
    """Return the seed of one problem, so that its draws do not depend on which problems stand beside it."""
    return (seed * 1_000_003 + zlib.crc32(problem_id.encode())) % 2**63
