"""The step rewards of many candidates as arrays, what a file says of its rows, and what is wrong with a row."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from prm_eval.errors import DataError
from prm_eval.records import Kind, ScoreType
from prm_eval.rewards.aggregate import aggregate_all
from prm_eval.rewards.aggregations import Aggregation

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class StepArrays:
    """The step rewards of candidates by one reward model, candidate after candidate.

    Attributes:
        values: All step rewards.
        counts: The number of steps of each candidate; 0 where the model refused it.
        refusals: How often each reason to refuse was given (the part before a colon).
        tokens: The number of tokens that the model read, over all candidates that have that number.
        told_tokens: How many candidates have that number.
    """

    values: Floats
    counts: Ints
    refusals: dict[str, int]
    tokens: int
    told_tokens: int

    @property
    def starts(self) -> Ints:
        """The index at which the values of each candidate begin."""
        result: Ints = np.cumsum(self.counts) - self.counts
        return result

    def aggregated(self, aggregation: Aggregation, score_type: ScoreType) -> tuple[Floats, Floats]:
        """Return the (rewards, weights) of all candidates, NaN where refused.

        Raises:
            PrmEvalError: The aggregation is not defined for these numbers, or its result is not finite.
        """
        return aggregate_all(self.values, self.counts, aggregation, score_type)


@dataclass(frozen=True)
class Form:
    """The form of the rows, as ``submission.json`` declares it.

    Attributes:
        kind: "prm" for one number a step, "orm" for one number a candidate.
        score_type: The meaning of the numbers.
        aggregation: The declared aggregation.
        splitter: The way in which candidates are cut into steps.
        hashed: Whether every row that was scored needs the hash of its token ids.
    """

    kind: Kind
    score_type: ScoreType
    aggregation: Aggregation
    splitter: str
    hashed: bool = False


@dataclass(frozen=True)
class RowFault:
    """A fault of a row.

    Attributes:
        kind: A kind of :data:`prm_eval.submissions.KINDS`.
        row: The 1-based number of the row; None for the file as a whole.
        found: What was found.
        expected: What was expected.
    """

    kind: str
    row: int | None
    found: str
    expected: str


Sink = Callable[[RowFault], None]
"""The function that takes each fault, and raises it or keeps it."""


def raising(path: Path) -> Sink:
    """Return a sink that raises the first fault as a :class:`~prm_eval.errors.DataError` of the file."""

    def sink(fault: RowFault) -> None:
        raise DataError(path, fault.row, fault.found, fault.expected)

    return sink


def refusal_reason(refusal: str) -> str:
    """Return the reason by which a refusal is counted: its part before a colon, without details."""
    return refusal.partition(":")[0][:200]
