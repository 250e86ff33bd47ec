"""The candidates without an answer, and who is in the running: do they lose every comparison, or compete?

Which rule holds can decide between reward models. Where it moves an accuracy, an evaluation therefore has both figures.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from prm_eval.errors import PrmEvalError
from prm_eval.evaluation.summary import CurveKey
from prm_eval.selection.selectors import COMPETE, LOSE, NO_ANSWER, ByVote, Selector

Floats = npt.NDArray[np.float64]

AUTO = "auto"
PUBLISHED = "published"
# The two figures of a curve are both shown where they differ by more than half a point.
SHOWN_FROM = 0.005


@dataclass(frozen=True)
class BothFigures:
    """One accuracy under both rules."""

    selector: str
    reward_model: str | None
    n: int
    lose: float
    compete: float


@dataclass(frozen=True)
class NoAnswer:
    """The rule for candidates without an answer, and what it does.

    Attributes:
        rule: One of :data:`prm_eval.selection.selectors.NO_ANSWER`.
        candidates: The number of candidates without an answer.
        share: Their share of all candidates that are there.
        figures: The accuracies that may depend on the rule, under both; none where every candidate has an answer.
    """

    rule: str
    candidates: int
    share: float
    figures: tuple[BothFigures, ...]

    @property
    def other_rule(self) -> str:
        """The rule that was not used."""
        return other_rule(self.rule)

    @property
    def shown(self) -> tuple[BothFigures, ...]:
        """The figures of the curves that the rule moves by more than half a point at some n."""
        moved = {
            (each.selector, each.reward_model) for each in self.figures if abs(each.lose - each.compete) > SHOWN_FROM
        }
        return tuple(each for each in self.figures if (each.selector, each.reward_model) in moved)

    def to_json(self) -> dict[str, Any]:
        """Return the record as JSON."""
        return asdict(self)


def meant_rule(rule: str, grades: str) -> str:
    """Return the rule to use: "auto" lets candidates without an answer lose, but compete under published grades.

    Published grades say of every candidate whether it is right, so that none lacks an answer that a judge would need;
    whether *we* find one in it is no business of theirs.

    Raises:
        PrmEvalError: There is no such rule.
    """
    if rule == AUTO:
        return COMPETE if grades == PUBLISHED else LOSE
    if rule not in NO_ANSWER:
        raise PrmEvalError(f"no-answer = {rule!r}; expected {', '.join((AUTO, *NO_ANSWER))}")
    return rule


def other_rule(rule: str) -> str:
    """Return the other one of the two rules."""
    return LOSE if rule == COMPETE else COMPETE


def ruled(selectors: Mapping[str, Selector | None]) -> dict[str, Selector | None]:
    """Return the selectors that the rule may concern: not the oracle, no vote (no answer, no vote), not the first."""
    return {
        name: selector
        for name, selector in selectors.items()
        if selector is not None and not isinstance(selector, ByVote) and name != "first"
    }


def both_figures(
    rule: str, curves: Mapping[CurveKey, Floats], others: Mapping[CurveKey, Floats], ns: tuple[int, ...]
) -> tuple[BothFigures, ...]:
    """Return the accuracies of curves under both rules; ``others`` are those under the other rule."""
    found = []
    for (selector, model), other in others.items():
        used, unused = curves[selector, model].mean(axis=0), other.mean(axis=0)
        lose, compete = (used, unused) if rule == LOSE else (unused, used)
        pairs = zip(ns, lose, compete, strict=True)
        found += [BothFigures(selector, model, n, float(one), float(two)) for n, one, two in pairs]
    return tuple(found)
