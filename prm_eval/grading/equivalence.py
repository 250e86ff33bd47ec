"""Decide whether two answers are equivalent, by named rules, cheapest first, closed on doubt.

1. ``same_text``: equal after typography.
2. ``unit_conflict``, ``name_conflict``: both have units and these differ, as ``5 cm`` and ``5 m``, or names and these matter,
   as ``x = 3`` and ``y = 3``; the gold may leave them out, and so may the answer. What has no form (``1/0``) is ``no_form``.
3. ``normal_form``: equal exact normal forms; ``different_form`` when both are complete and differ.
4. ``numeric_difference``: expressions that differ at a random point are different. Closeness alone never makes two equal.
5. ``symbolic``: sympy, in the worker, shows the difference to be zero, or cannot (``undecided``).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from prm_eval.grading.latex import parse
from prm_eval.grading.normal import Normal, Tag, normal
from prm_eval.grading.numeric import surely_different
from prm_eval.grading.polynomials import NoFormError
from prm_eval.grading.tokens import LatexError, typography
from prm_eval.grading.tree import Apply, Bracket, Node, Number, Quantity, Relation, Symbol, Words
from prm_eval.grading.worker import WORKER

CACHE = 50_000
AXES = frozenset({"x", "y", "z"})
MAX_TEXT = 10_000  # a longer answer is compared as it stands


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
    spelt = typography(answer) if len(answer) <= MAX_TEXT else answer
    text = re.sub(r"\s+", " ", re.sub(r"(?<![\w.])\s+|\s+(?![\w.])", "", spelt))
    try:
        node = parse(answer)
    except LatexError as error:
        return Form(text, None, None, str(error))
    except RecursionError:
        return Form(text, None, None, "nested too deeply")
    try:
        return Form(text, node, normal(node))
    except (RecursionError, ArithmeticError, ValueError) as error:
        return Form(text, node, None, str(error))


@lru_cache(maxsize=CACHE)
def decide(gold: str, answer: str) -> Decision:
    """Say whether an answer is equivalent to gold. Never raises."""
    try:
        return _decide(gold, answer)
    except (RecursionError, ArithmeticError, ValueError) as error:
        return Decision(None, "no_form", str(error))


def _decide(gold: str, answer: str) -> Decision:
    one, other = read(gold), read(answer)
    if one.text and one.text == other.text:
        return Decision(True, "same_text")
    if one.node is None or other.node is None:
        which, error = ("gold", one.error) if one.node is None else ("answer", other.error)
        return Decision(False, "unreadable", f"{which}: {error}")
    if one.normal is None or other.normal is None:
        return Decision(None, "no_form", one.error or other.error)
    conflict = _conflict(one.normal, other.normal)
    if conflict:
        return Decision(False, conflict, f"{_spell(one.normal.tags)} and {_spell(other.normal.tags)}")
    if one.normal.key == other.normal.key:
        if _out_of_order(one, other):
            return Decision(False, "name_conflict", "values without names, in another order than the names")
        return Decision(True, "normal_form")
    letters = _same_letters(one, other)
    if letters is not None:
        return Decision(letters, "letters")
    if one.normal.complete and other.normal.complete:
        return Decision(False, "different_form")
    return _decide_parts(one.node, other.node)


def _conflict(gold: Normal, answer: Normal) -> str | None:
    """Return the rule by which names or units forbid equality: what one side leaves out, it leaves open.

    But a numeral of another base than ten is no decimal, where gold is one; x = 3 and y = 3 are different lines; and where
    several names tell values apart, ``x = 3, y = 4``, they have to be the same.
    """
    if len(gold.tags) != len(answer.tags):
        return None
    pairs = list(zip(gold.tags, answer.tags, strict=True))
    for (_, one), (_, other) in pairs:
        if (one and other and one != other) or (not one and other.startswith("base ") and other != "base 10"):
            return "unit_conflict"
    several = max(len(gold.names), len(answer.names)) > 1
    for (one, _), (other, _) in pairs:
        if one and other and one != other and (several or AXES.issuperset((one, other))):
            return "name_conflict"
    return None


def _out_of_order(gold: Form, answer: Form) -> bool:
    """Say whether one side has several names, ``x = 3, y = 4``, the other none, and the values come in another order."""
    if gold.normal is None or answer.normal is None:
        return False
    counts = sorted((len(gold.normal.names), len(answer.normal.names)))
    if counts[0] or counts[1] < 2 or not (isinstance(gold.node, Bracket) and isinstance(answer.node, Bracket)):
        return False
    return [normal(item).key for item in gold.node.items] != [normal(item).key for item in answer.node.items]


def _spell(tags: tuple[Tag, ...]) -> str:
    return ", ".join(" ".join(part for part in tag if part) or "none" for tag in tags)


def _same_letters(one: Form, other: Form) -> bool | None:
    r"""Compare words with bare letters, ``\text{(C)}`` and ``C``, ``\text{VW}`` and ``VW``; None where this is not the case."""
    for words, letters in ((one, other), (other, one)):
        bare = letters.text.strip("()")
        if isinstance(words.node, Words) and not isinstance(letters.node, Words) and bare.isalpha():
            return bare.casefold() == words.node.text
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
    except NoFormError as error:
        return Decision(None, "no_form", str(error))
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
