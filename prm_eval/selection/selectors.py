"""The selectors: they give every slot the probability that it is chosen from a random n-subset.

A selector sees answer classes and rewards, and never a grade. With three base classes, a third party can write most
selectors in ten lines:

* :class:`ByKey`: the drawn candidate with the largest key wins (best-of-n). Exact in closed form.
* :class:`ByVote`: the answer class with the largest sum of weights wins (majority). Exact where that is cheap enough,
  else Monte Carlo.
* :class:`ByDraw`: any rule on a draw of n candidates. Exact over all subsets where these are few, else Monte Carlo.

All draws are without replacement from the M slots of a problem. Missing slots, and candidates without an answer, keep
their slot: they are drawn, they abstain from votes and they lose every comparison. Where no slot of a draw can be
chosen, none is. Ties share: every tied candidate is chosen with equal probability. A caller may let candidates without
an answer compete (:data:`NO_ANSWER`); they still abstain from votes.
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

# What happens to candidates without an answer: they lose every comparison, as in the data of Lightman et al. (2023), or
# they compete by their rewards, as in harnesses that rank texts without looking for an answer.
LOSE, COMPETE = "lose", "compete"
NO_ANSWER = (LOSE, COMPETE)


@dataclass(frozen=True)
class Slots:
    """The slots of one problem, as a selector sees them.

    Attributes:
        classes: M answer classes; -1 for a missing slot or no answer.
        rewards: M rewards to rank by; NaN where the slot is missing or the model refused, or where there is no model.
        weights: M voting weights; NaN as for rewards.
        lengths: M candidate lengths in characters; NaN where missing.
        competing: M flags of the slots that can be chosen; None means those with an answer.
    """

    classes: Ints
    rewards: Floats
    weights: Floats
    lengths: Floats
    competing: npt.NDArray[np.bool_] | None = None

    @property
    def m(self) -> int:
        """The number of slots."""
        return len(self.classes)

    @property
    def eligible(self) -> npt.NDArray[np.bool_]:
        """The flags of the slots that can be chosen at all: present, with an answer unless all present compete."""
        return self.voting if self.competing is None else self.competing

    @property
    def voting(self) -> npt.NDArray[np.bool_]:
        """The flags of the slots that have a vote: those with an answer."""
        result: npt.NDArray[np.bool_] = self.classes >= 0
        return result


@dataclass(frozen=True)
class Draw:
    """A draw of n slots, in the order they were drawn; the fields are those of :class:`Slots`.

    ``eligible`` flags those that can be chosen: missing candidates never, those without an answer only where they
    compete.
    """

    classes: Ints
    rewards: Floats
    weights: Floats
    lengths: Floats
    eligible: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Choice:
    """The choices of a selector for one problem.

    Attributes:
        probabilities: (len(ns), M): the probability that each slot is chosen.
        draws: For every n, the number of draws that its row was estimated with; 0 where it is exact.
    """

    probabilities: Floats
    draws: Ints


@runtime_checkable
class Selector(Protocol):
    """A selector, whose class takes no arguments and is an entry point of the group ``prm_eval.selectors``."""

    name: str
    needs_rewards: bool

    def choose(self, slots: Slots, ns: Sequence[int], *, seed: int, draws: int) -> Choice:
        """Return the probability that each slot is chosen, for every n; ``seed`` is the problem's own."""
        ...


class ByKey:
    """A selector by key: the drawn candidate with the largest key wins, and ties share."""

    name: ClassVar[str]
    needs_rewards: ClassVar[bool] = False

    def key(self, slots: Slots) -> Floats:
        """Return M keys; NaN loses against everything and cannot be chosen."""
        raise NotImplementedError

    def choose(self, slots: Slots, ns: Sequence[int], *, seed: int, draws: int) -> Choice:
        """Return exact probabilities, by the closed form of docs/design.md section 5."""
        keys = np.where(slots.eligible, self.key(slots), np.nan)
        return Choice(best_of_n_probabilities(keys, ns), np.zeros(len(ns), dtype=np.int64))


class ByVote:
    """A selector by vote: the answer class with the largest sum of weights wins, and tied classes share.

    Each of the slots that voted for the winning class is chosen with the same probability.
    """

    name: ClassVar[str]
    needs_rewards: ClassVar[bool] = False

    def weights(self, slots: Slots) -> Floats:
        """Return M weights, at least 0; NaN abstains."""
        raise NotImplementedError

    def choose(self, slots: Slots, ns: Sequence[int], *, seed: int, draws: int) -> Choice:
        """Return probabilities that are exact where that is cheap enough, else from seeded permutations.

        Exact ones are from polynomials (equal weights) or from all subsets; see :func:`prm_eval.selection.voting.vote`.
        """
        weights = np.where(slots.voting, self.weights(slots), np.nan)
        votes = np.isfinite(weights)
        if (weights[votes] < 0).any():
            raise PrmEvalError(f"selector {self.name}: a negative voting weight")
        labels, dense = np.unique(slots.classes[votes], return_inverse=True)
        member = np.full(slots.m, -1, dtype=np.int64)
        member[votes] = dense
        found = vote(member, np.where(votes, weights, 0.0)[:, None], ns, seed=seed, draws=draws)
        probabilities = np.zeros((len(ns), slots.m))
        # the members of the winning class share its probability: they are all the same answer
        probabilities[:, votes] = (found.shares[:, :, 0] / np.bincount(dense, minlength=len(labels)))[:, dense]
        return Choice(probabilities, found.draws[:, 0])


class ByDraw:
    """A selector by any rule on a draw of n slots."""

    name: ClassVar[str]
    needs_rewards: ClassVar[bool] = False

    def select(self, draw: Draw) -> Floats:
        """Return n probabilities of choosing each drawn slot; their sum is at most 1."""
        raise NotImplementedError

    def choose(self, slots: Slots, ns: Sequence[int], *, seed: int, draws: int) -> Choice:
        """Return probabilities that are exact over all subsets where these are few, else from seeded draws."""

        def select(drawn: Ints) -> Floats:
            draw = Draw(
                slots.classes[drawn],
                slots.rewards[drawn],
                slots.weights[drawn],
                slots.lengths[drawn],
                slots.eligible[drawn],
            )
            return np.asarray(self.select(draw), dtype=np.float64)

        return _by_draws(slots.m, ns, seed, draws, select)


class First(ByKey):
    """The selector of the first candidate drawn: ``mean@1`` for every n."""

    name = "first"

    def choose(self, slots: Slots, ns: Sequence[int], *, seed: int, draws: int) -> Choice:
        """Return the probability 1/M for every slot that can be chosen; any other slot is a wrong first draw."""
        row = slots.eligible / slots.m
        return Choice(np.tile(row, (len(ns), 1)), np.zeros(len(ns), dtype=np.int64))


class Random(ByKey):
    """The selector of a random one of the drawn candidates that have an answer."""

    name = "random"

    def key(self, slots: Slots) -> Floats:
        """Return equal keys: all candidates tie."""
        return np.zeros(slots.m)


class BestOfN(ByKey):
    """The selector of the largest reward: ``bon@n`` (Lightman et al. 2023 section 2.6)."""

    name = "best_of_n"
    needs_rewards = True

    def key(self, slots: Slots) -> Floats:
        """Return the rewards."""
        return slots.rewards


class Shortest(ByKey):
    """The selector of the shortest candidate, in characters: the worth of length bias alone."""

    name = "shortest"

    def key(self, slots: Slots) -> Floats:
        """Return minus the lengths."""
        return -slots.lengths


class Longest(ByKey):
    """The selector of the longest candidate, in characters: the worth of the opposite bias alone."""

    name = "longest"

    def key(self, slots: Slots) -> Floats:
        """Return the lengths."""
        return slots.lengths


class Majority(ByVote):
    """The selector of the most common answer class: ``maj@n``."""

    name = "majority"

    def weights(self, slots: Slots) -> Floats:
        """Return one vote for each slot."""
        return np.ones(slots.m)


class WeightedMajority(ByVote):
    """The selector of the answer class with the largest sum of rewards as probabilities: ``wmaj@n``."""

    name = "weighted_majority"
    needs_rewards = True

    def weights(self, slots: Slots) -> Floats:
        """Return the weights; a refused candidate abstains."""
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
    """Return the seed of one problem, which does not depend on the other problems of the pool."""
    return (seed * 1_000_003 + zlib.crc32(problem_id.encode())) % 2**63
