"""Grading options applied: an option may refuse answers that are equal, and accept answers that are not."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from fractions import Fraction
from typing import Protocol

from prm_eval.grading.deciding.expressions import Decision, decide_parts
from prm_eval.grading.deciding.options import GradingOptions
from prm_eval.grading.forms.normal_form import Normal, normal
from prm_eval.grading.forms.numeric import NoValueError, letters, value_at
from prm_eval.grading.reading.tree import Apply, Bracket, Node, Number, Quantity, Relation, Symbol
from prm_eval.grading.reading.units import (
    as_quantity,
    conflict,
    has_letters,
    is_known_unit,
    same_measure,
    unit_name,
)


class ReadAnswer(Protocol):
    """An answer, read (:class:`prm_eval.grading.deciding.equivalence.Form`)."""

    @property
    def text(self) -> str:
        """The typographic text."""
        ...

    @property
    def node(self) -> Node | None:
        """The tree."""
        ...

    @property
    def normal(self) -> Normal | None:
        """The normal form."""
        ...


def apply(options: GradingOptions, decision: Decision, gold: ReadAnswer, answer: ReadAnswer) -> Decision:
    """Return the verdict under options, given the strict verdict."""
    if options.tolerance_percent and not decision.equal and _close(gold, answer, options.tolerance_percent):
        return Decision(True, "tolerance")
    if gold.node is None or answer.node is None or gold.normal is None or answer.normal is None:
        return decision
    if decision.equal:
        refused = _refused(options, gold.node, answer.node, gold.normal, answer.normal)
        return Decision(False, refused) if refused else decision
    for accepted, rule in _accepted(options, gold.node, answer.node, answer.text):
        if accepted:
            return Decision(True, rule)
    return decision


def _refused(options: GradingOptions, gold: Node, answer: Node, one: Normal, other: Normal) -> str | None:
    if not options.unreduced_fractions and any(_unreduced(each) for each in walk(answer)):
        return "unreduced_fraction"
    for (_, unit), (_, given) in zip(one.tags, other.tags, strict=False):
        if unit.startswith("base ") and not given and not options.base_may_be_dropped:
            return "base_dropped"
        if unit and not unit.startswith("base ") and not given and not options.units_may_be_dropped:
            return "unit_dropped"
    if not options.factored_equals_expanded and letters(gold) and _factored(gold) != _factored(answer):
        return "factored_or_expanded"
    return None


def walk(node: Node) -> Iterator[Node]:
    """Yield every node of a tree."""
    yield node
    children: tuple[Node, ...] = ()
    if isinstance(node, Apply):
        children = node.args
    elif isinstance(node, Bracket):
        children = node.items
    elif isinstance(node, Relation):
        children = node.sides
    elif isinstance(node, Quantity):
        children = (node.value,)
    for child in children:
        yield from walk(child)


def _unreduced(node: Node) -> bool:
    if not (isinstance(node, Apply) and node.name == "/"):
        return False
    top, bottom = (_integer(arg) for arg in node.args)
    return top is not None and bottom is not None and (math.gcd(top, bottom) != 1 or abs(bottom) == 1)


def _integer(node: Node) -> int | None:
    if isinstance(node, Apply) and node.name == "neg":
        return _integer(node.args[0])
    return int(node.value) if isinstance(node, Number) and node.value.denominator == 1 else None


def _factored(node: Node) -> bool:
    """Say whether an expression is a product or power that holds a sum with a letter."""
    if isinstance(node, Relation):
        return any(_factored(side) for side in node.sides)
    return isinstance(node, Apply) and (
        (node.name in ("*", "^") and any(a.name == "+" for a in walk(node) if isinstance(a, Apply) and letters(a)))
        or any(_factored(arg) for arg in node.args)
    )


def _accepted(options: GradingOptions, gold: Node, answer: Node, text: str) -> Iterator[tuple[bool, str]]:
    if options.percent_as_fraction:
        yield _percent(gold, answer), "percent_as_fraction"
    if options.degrees_as_radians:
        yield _degrees(gold, answer), "degrees_as_radians"
    if options.letters_as_parameters:
        yield _renamed(gold, answer), "letters_as_parameters"
    if options.rounded_decimals:
        yield _rounded(gold, answer, text, options.rounded_decimals), "rounded_decimal"


def _percent(gold: Node, answer: Node) -> bool:
    for one, other in ((gold, answer), (answer, gold)):
        if isinstance(one, Quantity) and one.unit == "%" and not isinstance(other, Quantity):
            return _equal(Apply("/", (one.value, Number(Fraction(100)))), other)
    return False


def _degrees(gold: Node, answer: Node) -> bool:
    for one, other in ((gold, answer), (answer, gold)):
        if isinstance(one, Quantity) and one.unit == "degree" and not isinstance(other, Quantity):
            radians = Apply("*", (one.value, Apply("/", (Symbol("pi"), Number(Fraction(180))))))
            return _equal(radians, other)
    return False


def _equal(one: Node, other: Node) -> bool:
    return normal(one).key == normal(other).key or decide_parts(one, other).equal is True


def _renamed(gold: Node, answer: Node) -> bool:
    mine, theirs = sorted(letters(gold) - letters(answer)), sorted(letters(answer) - letters(gold))
    if len(mine) != 1 or len(theirs) != 1:
        return False
    return _equal(gold, _rename(answer, theirs[0], mine[0]))


def _rename(node: Node, old: str, new: str) -> Node:
    if isinstance(node, Symbol):
        return Symbol(new) if node.name == old else node
    if isinstance(node, Apply):
        return Apply(node.name, tuple(_rename(arg, old, new) for arg in node.args))
    if isinstance(node, Bracket):
        return Bracket(node.left, node.right, tuple(_rename(item, old, new) for item in node.items))
    return node


def _rounded(gold: Node, answer: Node, text: str, digits: int) -> bool:
    """Say whether a decimal is gold's value, correctly rounded to the digits it shows, and shows enough of them."""
    decimal = re.fullmatch(r"-?(\d*)\.(\d+)", text)
    if decimal is None or not isinstance(answer, (Number, Apply)):
        return False
    if len((decimal.group(1) + decimal.group(2)).lstrip("0")) < digits:
        return False
    try:
        value = value_at(gold.value if isinstance(gold, Quantity) else gold, {}, real=True).real
    except NoValueError:
        return False
    half = 0.5 * 10.0 ** -len(decimal.group(2))
    return abs(value - float(text)) <= half * (1 + 1e-9)


# a number, perhaps about so much, with what stands behind it: 6.02e23, 4.5 \times 10^{-19} J, \approx 12 kJ/mol
_NUMBER = re.compile(
    r"(?:\\approx|\\simeq|\\sim|[≈~=])?\s*(?P<number>[-+]?(?:\d{1,400}(?:\.\d{0,400})?|\.\d{1,400}))"
    r"(?:[eE](?P<power>[-+]?\d{1,3})|\s*(?:\\times|\\cdot|[x×*])\s*10\^\{?(?P<raised>[-+]?\d{1,3})\}?)?"
    r"(?P<unit>.{0,80})"
)
_DRESS = re.compile(r"\\(?:mathrm|text|rm|[,;:! ])|[{}~]")


def _close(gold: ReadAnswer, answer: ReadAnswer, percent: int) -> bool:
    """Say whether two numbers, in one unit where both have a known one, differ by at most so many per cent."""
    one, other = _number_with_unit(gold), _number_with_unit(answer)
    if one is None or other is None:
        return False
    if one.unit and other.unit and one.unit != other.unit:
        measured = same_measure(one, other)
        if measured is None and conflict(one.unit, other.unit):
            return False
        values = measured or (one.value, other.value)
    else:
        values = (one.value, other.value)
    try:
        first, second = (value_at(each, {}, real=True).real for each in values)
    except NoValueError:
        return False
    return math.isclose(first, second, rel_tol=percent / 100)


def _number_with_unit(answer: ReadAnswer) -> Quantity | None:
    """Return an answer as a number with its unit, which is empty where it has none; None for any other answer."""
    node = answer.node
    if isinstance(node, Relation) and set(node.operators) == {"="}:
        node = node.sides[-1]
    if isinstance(node, Apply) and node.name == "*" and isinstance(node.args[1], Quantity):  # 1.25 \times 10^{-3} \%
        node = Quantity(Apply("*", (node.args[0], node.args[1].value)), node.args[1].unit)
    found = (as_quantity(node) if node is not None else None) or (node if isinstance(node, Quantity) else None)
    if found is not None and not has_letters(found.value):
        return found
    if isinstance(node, (Number, Apply)) and not has_letters(node):
        return Quantity(node, "")
    # letters without a macro, as in 4.8 kJ/mol, are read as unknowns
    spelt = _NUMBER.fullmatch(answer.text)
    if spelt is None:
        return None
    value = Fraction(spelt["number"]) * Fraction(10) ** int(spelt["power"] or spelt["raised"] or 0)
    unit = " ".join(_DRESS.sub(" ", spelt["unit"]).split())
    if unit and not is_known_unit(unit):
        return None
    return Quantity(Number(value), unit_name(unit) if unit else "")


_STRING_RULES: tuple[tuple[str, str], ...] = (
    (r"\n|\\!|\\left|\\right|\^\{?\\circ\}?|\\\$|\\\\%|\\%", ""), (r"\\\\", r"\\"), (r"[td]frac", "frac"),
    (r"\\text\{ [^{}]*\}$", ""), (r"(?<!\d)\.(?=\d)", "0."), (r"^[a-zA-Z]{1,2}=", ""), (r"\\sqrt([^{])", r"\\sqrt{\1}"),
    (r" ", ""),
    (r"\\frac([^{])([^{])", r"\\frac{\1}{\2}"), (r"^0\.5$", r"\\frac{1}{2}"), (r"^(-?\d+)/(-?\d+)$", r"\\frac{\1}{\2}"),
)  # fmt: skip


def same_string(gold: str, answer: str) -> Decision:
    """Compare strings after a short clean-up, as the MATH data set's own grader does.

    Source: hendrycks/math, math_equivalence.py.
    """
    one, other = gold, answer
    for pattern, new in _STRING_RULES:
        one, other = re.sub(pattern, new, one), re.sub(pattern, new, other)
    return Decision(one == other, "same_string")
