"""The records of a reward model on one pool: by itself (:class:`Measured`) and beside others (:class:`Standing`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from prm_eval.errors import PrmEvalError
from prm_eval.evaluation.curves import default_ns
from prm_eval.evaluation.diagnostics import Histogram, LastStep, Mistake, Reliability
from prm_eval.evaluation.no_answer import SHOWN_FROM
from prm_eval.evaluation.stats import DEFAULT_LEVEL, DEFAULT_RESAMPLES, Interval
from prm_eval.rewards.aggregations import Aggregation
from prm_eval.selection.selectors import DEFAULT_DRAWS, DEFAULT_SEED

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Settings:
    """The settings of a board; the defaults are those of ``prm-eval evaluate``."""

    ns: tuple[int, ...]
    headline_n: int
    seed: int = DEFAULT_SEED
    draws: int = DEFAULT_DRAWS
    resamples: int = DEFAULT_RESAMPLES
    level: float = DEFAULT_LEVEL

    @property
    def column(self) -> int:
        """The index of the headline n in ``ns``."""
        return self.ns.index(self.headline_n)


def board_settings(m: int, headline_n: int | None = None) -> Settings:
    """Return the settings of a board for a pool of M slots.

    The default headline n is the largest power of two that is at most M / 4, but at least 2. Beyond that the subsets
    overlap so much that most of the pool's own noise no longer shows in the limits.

    Raises:
        PrmEvalError: The headline n is below 1 or above M.
    """
    ns = default_ns(m)
    if headline_n is None:
        # best of 1 chooses nothing
        headline_n = max(n for n in ns if n <= max(2, m / 4))
    if not 1 <= headline_n <= m:
        raise PrmEvalError(f"headline_n = {headline_n}, but the pool has M = {m} slots")
    return Settings(tuple(sorted({*ns, headline_n})), headline_n)


@dataclass(frozen=True)
class Curve:
    """Accuracy at every n, with its limits and the standard error of its Monte-Carlo part (0 where exact)."""

    values: tuple[float, ...]
    lows: tuple[float, ...]
    highs: tuple[float, ...]
    mc_se: tuple[float, ...]


def tokens_at(ns: tuple[int, ...], written: float | None, read: float | None = 0.0) -> tuple[float, ...] | None:
    """Return the tokens of a problem at every n, or None where one of the two is unknown.

    Args:
        ns: Candidates a problem.
        written: Tokens that the policy writes a slot.
        read: Tokens that the reward model reads a slot; 0 without one.
    """
    if written is None or read is None:
        return None
    return tuple(n * (written + read) for n in ns)


@dataclass(frozen=True)
class Group:
    """A part of the problems: their number, and an accuracy on them with its limits."""

    by: str
    label: str
    n_problems: int
    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Shown:
    """The rewards of one candidate: step by step, aggregated, and as a probability (or its place on [0, 1])."""

    steps: tuple[float, ...]
    reward: float
    weight: float


@dataclass(frozen=True)
class Measured:
    """One reward model on one pool, by itself.

    Attributes:
        accuracies: (P,) accuracy of best-of-n on each problem at the headline n.
        bon: Best-of-n by the declared aggregation.
        wmaj: Weighted majority by the declared aggregation.
        aggregations: Best-of-n by every aggregation of a PRM; an ORM has only its declared one.
        refusals: The number of refused candidates, by reason.
        candidates: The number of all candidates.
        tokens: Tokens read a candidate that has a count; None where the file does not say.
        read: Tokens read a slot, none for a missing or refused one without a count; None where one that was scored has
            no count (as far as the numbers of counts and refusals tell).
        rewards: Histogram of probabilities, or of the rewards where these are not probabilities.
        reliability: The reliability diagram; None where the rewards are not probabilities.
        auroc: Within-problem AUROC of the rewards.
        length_correlation: Within-problem rank correlation of reward and length.
        chosen_length: Length of the chosen candidate at the headline n, relative to the mean.
        last_step: How often the last step is the worst; None for an ORM.
        groups: Best-of-n at the headline n by subject, level and quintile of difficulty.
        easiest: Best-of-n on the easiest fifth of the problems.
        mistakes: The most expensive mistakes.
        shown: The rewards of the candidates in these mistakes.
        remarks: The remarks of the caller of :meth:`Yardstick.measure` on the rewards.
        competing: Best-of-n by the declared aggregation if candidates without an answer competed by their rewards
            instead of losing; None where every candidate has an answer, so that it is ``bon``.
    """

    accuracies: Floats
    bon: Curve
    wmaj: Curve
    aggregations: dict[Aggregation, Curve]
    refusals: dict[str, int]
    candidates: int
    tokens: float | None
    rewards: Histogram
    reliability: Reliability | None
    auroc: tuple[float, int]
    length_correlation: tuple[float, int]
    chosen_length: float
    last_step: LastStep | None
    groups: tuple[Group, ...]
    easiest: Curve
    mistakes: tuple[Mistake, ...]
    shown: dict[tuple[int, int], Shown]
    remarks: tuple[Any, ...] = ()
    competing: Curve | None = None
    read: float | None = None

    @property
    def depends_on_the_running(self) -> bool:
        """Whether it matters by more than half a point, at some n, who is in the running."""
        pairs = zip(self.bon.values, self.competing.values, strict=True) if self.competing else ()
        return any(abs(lose - compete) > SHOWN_FROM for lose, compete in pairs)


@dataclass(frozen=True)
class Baseline:
    """The accuracies of a selector that needs no reward model, or of the oracle."""

    accuracies: Floats
    curve: Curve
    groups: tuple[Group, ...]
    easiest: Curve


@dataclass(frozen=True)
class Standing:
    """One reward model beside the others at the headline n.

    Attributes:
        best: The best rank it may have; all ranges of a board hold at once.
        worst: The worst rank it may have.
        over_majority: Paired difference of best-of-n to majority, with its (single) limits.
        p_majority: The sign-flip p-value of that difference, adjusted for all rows of the board (Holm).
        over_best: Paired difference to the row with the highest accuracy; None in that row.
        p_best: The p-value of that difference, adjusted in the same way.
        gap: (bon - mean) / (pass - mean), with limits; None where the oracle is not above the mean.
        over_mean: Paired difference of best-of-n to the mean, which is what picking at random gives; its limits.
        p_mean: The p-value of that difference, adjusted as the others.
    """

    best: int
    worst: int
    over_majority: Interval
    p_majority: float
    over_best: Interval | None
    p_best: float | None
    gap: Interval | None
    over_mean: Interval
    p_mean: float
