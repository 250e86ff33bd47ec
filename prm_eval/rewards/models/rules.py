r"""Two verifiers without weights, for demonstrations and as baselines that any trained model should beat.

:class:`ArithmeticPRM` recomputes the plain arithmetic it finds in a step; :class:`BoxedSupportORM` asks whether the
boxed answer was derived in the text at all. Neither knows mathematics or sees the gold answer.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from prm_eval.records import Kind, ScoreType, ScoringItem, StepRewards
from prm_eval.rewards.aggregations import Aggregation
from prm_eval.texts.boxed import boxed_spans

# log-odds of a step whose equalities hold, of one without equalities, and of one with a false equality
RIGHT, UNKNOWN, WRONG = 2.0, 1.0, -4.0
MAX_STEP_CHARS = 2_000

_NUMBER = r"-?\d{1,15}(?:\.\d{1,15})?"
_OPERATOR = r"\s*(?:\\cdot|\\times|\\div|[-+*/×·÷−])\s*"
_CHAIN = re.compile(
    rf"(?<![\w.)^}}\]]){_NUMBER}(?:{_OPERATOR}{_NUMBER})+\s*=\s*{_NUMBER}"
    r"(?![\d.]*[\w^\\({/*]|\s*(?:\\cdot|\\times|[*/×·÷]))"
)
_TOKENS = re.compile(r"\\cdot|\\times|\\div|[-+*/×·÷−=]|\d+(?:\.\d+)?")


class ArithmeticPRM:
    r"""A process reward model that recomputes equalities such as ``3 \cdot 4 = 12`` in every step.

    The log-odds of a step are -4 if an equality is false, +2 if all are true, and +1 if there is none.
    """

    name = "arithmetic"
    kind: Kind = "prm"
    score_type: ScoreType = "logodds"

    def __init__(
        self, argument: str | None = None, *, aggregation: Aggregation = "prod", splitter: str | None = None
    ) -> None:
        self.aggregation: Aggregation = aggregation
        self.splitter = splitter

    def describe(self) -> dict[str, Any]:
        """Return the version of the rule."""
        return {"id": "prm_eval/arithmetic", "version": 1, "weights": "none: a rule"}

    def score(self, items: Sequence[ScoringItem]) -> list[StepRewards]:
        """Return the log-odds of each step."""
        return [StepRewards(tuple(self._step(step) for step in item.steps)) for item in items]

    @staticmethod
    def _step(step: str) -> float:
        checks = [equality_holds(found.group()) for found in _CHAIN.finditer(step[:MAX_STEP_CHARS])]
        if not checks:
            return UNKNOWN
        return RIGHT if all(checks) else WRONG


class BoxedSupportORM:
    """An outcome reward model that asks whether there is a boxed answer and whether it stands earlier in the text."""

    name = "boxed-support"
    kind: Kind = "orm"
    score_type: ScoreType = "logodds"
    aggregation: Aggregation = "last"
    splitter: str | None = None

    def __init__(self, argument: str | None = None) -> None:
        pass

    def describe(self) -> dict[str, Any]:
        """Return the version of the rule."""
        return {"id": "prm_eval/boxed-support", "version": 1, "weights": "none: a rule"}

    def score(self, items: Sequence[ScoringItem]) -> list[StepRewards]:
        """Return the log-odds of each candidate, by how often its boxed answer stands earlier (at most 4 times)."""
        return [StepRewards((self._candidate(item.text),)) for item in items]

    @staticmethod
    def _candidate(text: str) -> float:
        spans = boxed_spans(text)
        if not spans:
            return -4.0
        start, end = spans[-1]
        answer = re.sub(r"\s+", "", text[start:end])
        earlier = re.sub(r"\s+", "", text[:start])
        return -1.0 + min(4, earlier.count(answer)) if answer else -4.0


def equality_holds(chain: str) -> bool:
    """Say whether ``a op b op c = d`` is true, by exact rational arithmetic.

    The left side may differ from ``d`` by rounding to the digits of ``d``. ``chain`` has matched the pattern of this
    module: numbers, the four operations, one equality sign.
    """
    left, _, right = chain.rpartition("=")
    value = _evaluate(left)
    if value is None:
        return False
    right = right.strip()
    digits = len(right.partition(".")[2])
    claimed = Fraction(right)
    return value == claimed or (digits > 0 and abs(value - claimed) * 10**digits <= Fraction(1, 2))


def _evaluate(expression: str) -> Fraction | None:
    """Return the value of numbers and the four operations, products before sums; None on division by zero."""
    terms: list[Fraction] = []
    sign, operator = 1, "+"
    for token in _TOKENS.findall(expression):
        if token[0].isdigit():
            number = sign * Fraction(token)
            sign = 1
            if operator in ("+", "-"):
                terms.append(number if operator == "+" else -number)
            elif operator == "*":
                terms[-1] *= number
            elif number == 0:
                return None
            else:
                terms[-1] /= number
            operator = ""
        elif token in ("-", "−") and operator:
            # a sign after an operator
            sign = -sign
        else:
            operator = {"\\cdot": "*", "\\times": "*", "×": "*", "·": "*", "\\div": "/", "÷": "/", "−": "-"}.get(
                token, token
            )
    return sum(terms, Fraction(0))
