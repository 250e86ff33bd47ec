"""Decide whether two answers are equivalent, by named rules, cheapest first, closed on doubt.

1. ``same_text``: equal after typography.
2. ``unit_conflict``: both have units and these differ; the gold may leave a unit out, and so may the answer.
3. ``normal_form``: equal exact normal forms; ``different_form`` when both are complete and differ.
4. ``numeric_difference``: expressions that differ at a random point are different. Closeness alone never makes two equal.
5. ``symbolic``: sympy, in the worker, shows the difference to be zero, or cannot (``undecided``).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from prm_eval.grading.latex import parse
from prm_eval.grading.normal import Normal, TooLargeError, normal
from prm_eval.grading.numeric import surely_different
from prm_eval.grading.tokens import LatexError, typography
from prm_eval.grading.tree import Apply, Bracket, Node, Number, Quantity, Relation, Symbol, Words
from prm_eval.grading.worker import WORKER

CACHE = 50_000


@dataclass(frozen=True)
class Form:
    """One answer, read: its typographic text, its tree and normal form, or why it has none."""

    text: str
    node: Node | None
    normal: Normal | None
    error: str = ""


@dataclass(frozen=True)
class Decision:
    """Whether two answers are equal (None: undecided), and the rule that decided."""

    equal: bool | None
    rule: str
    reason: str = ""


@lru_cache(maxsize=CACHE)
def read(answer: str) -> Form:
    """Read one answer. Never raises."""
    # a space between two letters or digits means something ("1 2" is not 12), any other is typography
    text = re.sub(r"\s+", " ", re.sub(r"(?<![\w.])\s+|\s+(?![\w.])", "", typography(answer[:10_000])))
    try:
        node = parse(answer)
    except LatexError as error:
        return Form(text, None, None, str(error))
    except RecursionError:
        return Form(text, None, None, "nested too deeply")
    try:
        return Form(text, node, normal(node))
    except (TooLargeError, RecursionError, OverflowError, ValueError) as error:
        return Form(text, node, None, str(error))


@lru_cache(maxsize=CACHE)
def decide(gold: str, answer: str) -> Decision:
    """Say whether an answer is equivalent to gold. Never raises."""
    one, other = read(gold), read(answer)
    if one.text and one.text == other.text:
        return Decision(True, "same_text")
    if one.node is None or other.node is None:
        which, error = ("gold", one.error) if one.node is None else ("answer", other.error)
        return Decision(False, "unreadable", f"{which}: {error}")
    if one.normal is None or other.normal is None:
        return Decision(None, "too_large", one.error or other.error)
    if _units_conflict(one.normal.unit, other.normal.unit):
        return Decision(False, "unit_conflict", f"{one.normal.unit} and {other.normal.unit}")
    if one.normal.key == other.normal.key:
        return Decision(True, "normal_form")
    choice = _same_choice(one.node, other.node)
    if choice is not None:
        return Decision(choice, "choice_letter")
    if one.normal.complete and other.normal.complete:
        return Decision(False, "different_form")
    return _decide_parts(one.node, other.node)


def _units_conflict(one: str, other: str) -> bool:
    return bool(one and other and one != other)


def _same_choice(gold: Node, answer: Node) -> bool | None:
    r"""Compare a choice letter in words with one that stands alone, ``\text{(C)}`` and ``C``; None where this is not one."""
    for one, other in ((gold, answer), (answer, gold)):
        if isinstance(one, Words) and len(one.text) == 1 and one.text.isalpha() and isinstance(other, Symbol):
            return other.name.casefold() == one.text
    return None


def _decide_parts(gold: Node, answer: Node) -> Decision:
    """Compare trees whose normal forms are not complete: brackets item by item, expressions numerically and by sympy."""
    gold, answer = _bare(gold), _bare(answer)
    if isinstance(gold, Bracket) and isinstance(answer, Bracket):
        if gold.left in ("", "{") or (gold.left, gold.right, len(gold.items)) != (
            answer.left,
            answer.right,
            len(answer.items),
        ):
            return Decision(False, "different_form")
        parts = [_decide_parts(one, other) for one, other in zip(gold.items, answer.items, strict=True)]
        for part in parts:
            if part.equal is not True:
                return part
        return Decision(True, "symbolic")
    if not (_is_expression(gold) and _is_expression(answer)):
        return Decision(False, "different_form")
    return _decide_expressions(gold, answer)


def _decide_expressions(gold: Node, answer: Node) -> Decision:
    try:
        one, other = normal(gold), normal(answer)
    except TooLargeError as error:
        return Decision(None, "too_large", str(error))
    if one.key == other.key:
        return Decision(True, "normal_form")
    if one.complete and other.complete:
        return Decision(False, "different_form")
    different = surely_different(gold, answer)
    if different:
        return Decision(False, "numeric_difference")
    try:
        zero, reason = WORKER.is_zero(Apply("+", (gold, Apply("neg", (answer,)))))
    except TypeError as error:
        return Decision(False, "different_form", str(error))
    if zero is None:
        return Decision(None, "undecided", reason)
    return Decision(zero, "symbolic", reason)


def _bare(node: Node) -> Node:
    """Leave out a unit and a name: ``x = 5 cm`` is 5."""
    if isinstance(node, Quantity):
        return _bare(node.value)
    if isinstance(node, Relation) and node.operators == ("=",) and isinstance(node.sides[0], Symbol):
        return _bare(node.sides[1])
    return node


def _is_expression(node: Node) -> bool:
    if isinstance(node, Apply):
        return node.name not in ("cup", "cap", "setminus", "pm") and all(_is_expression(arg) for arg in node.args)
    return isinstance(node, (Number, Symbol))
