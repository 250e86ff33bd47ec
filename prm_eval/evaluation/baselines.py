"""The selectors that need no reward model: one table of what they are called, in a report and on a board alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from prm_eval.evaluation.summary import ORACLE


@dataclass(frozen=True)
class BaselineName:
    """How one baseline is called.

    Attributes:
        short: On a board and in its charts.
        long: In the tables and legends of an evaluation.
        about: What it chooses, for readers of a board.
    """

    short: str
    long: str
    about: str


BASELINES: Mapping[str, BaselineName] = MappingProxyType(
    {
        "first": BaselineName(
            "mean", "mean (first of n)", "the first candidate drawn: what the policy does without a selector"
        ),
        "random": BaselineName("random", "random", "a random one of those that have an answer"),
        "shortest": BaselineName("shortest", "shortest", "the shortest candidate"),
        "longest": BaselineName("longest", "longest", "the longest candidate"),
        "majority": BaselineName("majority", "majority", "the most common answer; needs no reward model"),
        ORACLE: BaselineName(
            "oracle",
            "oracle (pass@n)",
            "a correct candidate whenever one was drawn (pass@n); no selector can do better",
        ),
    }
)
