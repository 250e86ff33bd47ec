"""The table of step aggregations: how the rewards of a candidate's steps become one reward.

A new aggregation is added in this module alone: the type, the checks, the options, the schema, the board's charts and
the documents are made from :data:`AGGREGATIONS`, and the ways to combine steps (:class:`Steps`) are here too. They are
applied in :mod:`prm_eval.rewards.aggregate`.

Sources: "Let's Verify Step by Step" (Lightman et al. 2023) section 2.6 and appendix F.2 compare product and minimum;
RewardMATH (Kim et al. 2024) prints the others, under the names given here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from prm_eval.records import SCORE_TYPES, ScoreType

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

Aggregation = Literal["prod", "min", "max", "mean", "last", "soft_min", "geometric_mean", "mean_logodds"]
Transform = Literal["same", "sigmoid", "logit", "log", "exp", "log_sigmoid"]

SOFT_MIN_TEMPERATURE = 0.1
PROBABILITIES: tuple[ScoreType, ...] = tuple(name for name in SCORE_TYPES if name != "raw")


@dataclass(frozen=True)
class Steps:
    """The step rewards of candidates, one candidate after the other.

    Attributes:
        values: All step rewards.
        counts: The number of steps of each candidate, at least one.
    """

    values: Floats
    counts: Ints

    @cached_property
    def starts(self) -> Ints:
        """The index at which the values of each candidate begin."""
        result: Ints = np.cumsum(self.counts) - self.counts
        return result

    def minimum(self) -> Floats:
        """Return the lowest step of each candidate."""
        return np.minimum.reduceat(self.values, self.starts)

    def maximum(self) -> Floats:
        """Return the highest step of each candidate."""
        return np.maximum.reduceat(self.values, self.starts)

    def last(self) -> Floats:
        """Return the last step of each candidate."""
        result: Floats = self.values[self.starts + self.counts - 1]
        return result

    def total(self) -> Floats:
        """Return the sum of each candidate's steps, compensated (Knuth's two-sum).

        The sum does not depend on the order of the steps: candidates with the same step rewards in another order tie.
        """
        result = np.empty(len(self.counts))
        for rows, table in self._by_count():
            total, lost = np.zeros(len(rows)), np.zeros(len(rows))
            for column in table.T:
                following = total + column
                back = following - total
                error = (total - (following - back)) + (column - back)
                lost += np.where(np.isfinite(following), error, 0.0)  # an infinite sum has no rounding error
                total = following
            result[rows] = total + lost
        return result

    def mean(self) -> Floats:
        """Return the mean of each candidate's steps."""
        return self.total() / self.counts

    def product(self) -> Floats:
        """Return the product of each candidate's steps, in their order."""
        result = np.ones(len(self.counts))
        for rows, table in self._by_count():
            for column in table.T:
                result[rows] = result[rows] * column
        return result

    def soft_minimum(self, temperature: float) -> Floats:
        """Return the mean of p on [-1, 1], weighted by the softmin at a temperature, mapped back to [0, 1]."""
        signed = 2 * self.values - 1
        least = np.repeat(np.minimum.reduceat(signed, self.starts), self.counts)
        weights = np.exp((least - signed) / temperature)
        return (Steps(weights * signed, self.counts).total() / Steps(weights, self.counts).total() + 1) / 2

    def _by_count(self) -> Iterator[tuple[Ints, Floats]]:
        """Yield (candidates, (candidates, count) values) for each number of steps that occurs."""
        order = np.argsort(self.counts, kind="stable")
        bounds = np.flatnonzero(np.diff(self.counts[order], prepend=-1, append=-1))
        for first, last in pairwise(bounds):
            rows = order[first:last]
            yield rows, self.values[self.starts[rows][:, None] + np.arange(self.counts[rows[0]])]


@dataclass(frozen=True)
class Way:
    """A formula in three parts: transform each step, combine a candidate's steps, transform the result.

    Attributes:
        before: The transform of each step's number.
        combine: (steps) -> one number a candidate, in the order of the candidates.
        after: The transform of the combined number.
    """

    before: Transform
    combine: Callable[[Steps], Floats]
    after: Transform


@dataclass(frozen=True)
class Rule:
    """A step aggregation.

    Attributes:
        meaning: What it is, in one line.
        source: Who uses it.
        logodds: The formula for log-odds: the combined number is the reward, and the last transform makes it a
            probability. A product is ranked by its logarithm, so that long solutions do not underflow into ties.
        numbers: The formula for all other numbers: the result of the last transform is the reward.
        takes: The score types for which it is defined; the others are no probabilities.
        within: Whether numbers that are no log-odds must be in [0, 1]: it multiplies, and the product of two bad steps,
            -4 and -5, would beat that of two good ones.
        elsewhere: What others call it.
    """

    meaning: str
    source: str
    logodds: Way
    numbers: Way
    takes: tuple[ScoreType, ...] = SCORE_TYPES
    within: bool = False
    elsewhere: str = ""


AGGREGATIONS: dict[Aggregation, Rule] = {
    "prod": Rule(
        "the product: the probability that every step is right",
        "Lightman et al. 2023, section 2.6",
        logodds=Way("log_sigmoid", lambda steps: steps.total(), "exp"),
        numbers=Way("same", lambda steps: steps.product(), "same"),
        within=True,
    ),
    "min": Rule(
        "the lowest step",
        "Lightman et al. 2023, appendix F.2; Wang et al. 2024 (Math-Shepherd)",
        logodds=Way("same", lambda steps: steps.minimum(), "sigmoid"),
        numbers=Way("same", lambda steps: steps.minimum(), "same"),
    ),
    "max": Rule(
        "the highest step",
        "Kim et al. 2024 (RewardMATH)",
        logodds=Way("same", lambda steps: steps.maximum(), "sigmoid"),
        numbers=Way("same", lambda steps: steps.maximum(), "same"),
    ),
    "mean": Rule(
        "the arithmetic mean of the steps' probabilities",
        "Dong et al. 2024 (RLHFlow)",
        logodds=Way("sigmoid", lambda steps: steps.mean(), "same"),
        numbers=Way("same", lambda steps: steps.mean(), "same"),
    ),
    "last": Rule(
        "the last step",
        "Snell et al. 2024",
        logodds=Way("same", lambda steps: steps.last(), "sigmoid"),
        numbers=Way("same", lambda steps: steps.last(), "same"),
    ),
    "soft_min": Rule(
        "the mean of the steps, weighted by the softmin of their probabilities (on [-1, 1], temperature 0.1)",
        "Cheng et al. 2025 (PURE)",
        logodds=Way("sigmoid", lambda steps: steps.soft_minimum(SOFT_MIN_TEMPERATURE), "same"),
        numbers=Way("same", lambda steps: steps.soft_minimum(SOFT_MIN_TEMPERATURE), "same"),
    ),
    "geometric_mean": Rule(
        "the geometric mean: the product, without its preference for few steps",
        "Kim et al. 2024 (RewardMATH)",
        logodds=Way("log_sigmoid", lambda steps: steps.mean(), "exp"),
        numbers=Way("log", lambda steps: steps.mean(), "exp"),
        takes=PROBABILITIES,
        within=True,
        elsewhere="geo_mean",
    ),
    "mean_logodds": Rule(
        "the mean of the steps' log-odds, as a probability",
        "Kim et al. 2024 (RewardMATH)",
        logodds=Way("same", lambda steps: steps.mean(), "sigmoid"),
        numbers=Way("logit", lambda steps: steps.mean(), "sigmoid"),
        takes=PROBABILITIES,
        within=True,
        elsewhere="mean_logit",
    ),
}
"""Every step aggregation by name, in the order in which tables show them."""

if set(AGGREGATIONS) != set(get_args(Aggregation)):  # the type is written out for type checkers
    raise TypeError(f"the type Aggregation lists {get_args(Aggregation)}, the table {tuple(AGGREGATIONS)}")
