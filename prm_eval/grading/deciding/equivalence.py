"""Decide whether two answers are equivalent, by named rules, cheapest first, closed on doubt.

1. ``same_text``: the texts are equal after typography.
2. ``choice``, ``words``, ``sentence``: a multiple-choice letter however it is written; words without case; the one
   number of a sentence.
3. ``unit_conflict``, ``name_conflict``: both have units and these differ, as ``5 cm`` and ``5 m``, or names and these
   matter, as ``x = 3`` and ``y = 3`` or ``P(A) = 1/2`` and ``P(B) = 1/2``; the gold may leave them out, and so may the
   answer. ``unit_conversion``: the units differ and the quantities do not. ``no_form``: there is no normal form, as of
   ``1/0``.
4. ``normal_form``: equal exact normal forms; ``different_form`` when both are complete and differ.
5. ``clock``, ``ratio``, ``equation``, ``assignment``: forms that are compared across types.
6. ``numeric_difference``: expressions that differ at a point are different; ``numeric_identity``: they agree to more
   and more digits as precision rises, at several points. There is no tolerance anywhere.
7. ``alternatives``: spellings joined by "or", each of which equals a gold that is one value.
8. ``symbolic``: sympy, in the worker, shows the difference to be zero, or cannot (``undecided``).

Equality is not symmetric where gold says more than the answer, so it is not an equivalence relation
(:mod:`prm_eval.grading.classes` says which pairs differ by order, and how a vote treats them).

Options (:mod:`.options`) may refuse what these rules accept, or accept what they refuse; the rule then has the option's
name.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

from prm_eval.grading.deciding import apply_options
from prm_eval.grading.deciding.across_types import compare_across, compare_assignments
from prm_eval.grading.deciding.answer_types import kind_of
from prm_eval.grading.deciding.expressions import Decision, decide_by_value, decide_parts, start_budget
from prm_eval.grading.deciding.options import STRICT, GradingOptions
from prm_eval.grading.forms.normal_form import Normal, Tag, normal
from prm_eval.grading.forms.polynomials import TooLargeError
from prm_eval.grading.forms.rewrite import rewrite
from prm_eval.grading.reading import units
from prm_eval.grading.reading.parser import parse
from prm_eval.grading.reading.tokens import LatexError
from prm_eval.grading.reading.tree import Apply, Bracket, Node, Number, Quantity, Words
from prm_eval.grading.reading.typography import typography
from prm_eval.grading.reading.words import (
    choice_and_value,
    choice_letter,
    dressed_letter,
    number_in_sentence,
    words_node,
)

CACHE = 50_000
CHOICES = "ABCDEFGHIJ"
MAX_TEXT = 10_000  # a longer answer is compared as it stands

__all__ = ["Decision", "Form", "decide", "kind_of", "read"]


@dataclass(frozen=True, slots=True)
class Form:
    """One answer as it was read: its typographic text, its tree and normal form, or why it has none."""

    text: str
    node: Node | None
    normal: Normal | None
    error: str = ""
    too_large: bool = False  # it has a value, but no normal form within the limits


def read(answer: str) -> Form:
    """Read one answer. Never raises."""
    try:
        return _read(answer)
    except RecursionError:  # not cached: from a shallower stack it may be read
        return Form(answer, None, None, "nested too deeply")


@lru_cache(maxsize=CACHE)
def _read(answer: str) -> Form:
    # a space between two letters or digits means something ("1 2" is not 12), any other is typography
    spelt = typography(answer) if len(answer) <= MAX_TEXT else answer
    text = re.sub(r"\s+", " ", re.sub(r"(?<![\w.,])\s+|\s+(?![\w.])|(?<=\D,)\s+|(?<=,)\s+(?=\D)", "", spelt))
    try:
        node = parse(answer, spelt)
    except LatexError as error:
        return Form(text, None, None, str(error))
    except (ArithmeticError, ValueError) as error:
        return Form(text, None, None, str(error))
    try:
        node = rewrite(node)
        return Form(text, node, normal(node))
    except TooLargeError as error:
        return Form(text, node, None, str(error), True)
    except (ArithmeticError, ValueError) as error:
        return Form(text, node, None, str(error) or type(error).__name__)


def decide(gold: str, answer: str, options: GradingOptions = STRICT) -> Decision:
    """Say whether an answer is equivalent to gold. Never raises."""
    try:
        return _cached(gold, answer, options)
    except RecursionError as error:  # not cached, as above
        return Decision(None, "no_form", str(error))


@lru_cache(maxsize=CACHE)
def _cached(gold: str, answer: str, options: GradingOptions) -> Decision:
    try:
        start_budget()
        one, other = _read(gold), _read(answer)
        if options.text_only:
            return apply_options.same_string(gold, answer)
        decision = _decide(gold, answer, one, other)
        return decision if options == STRICT else apply_options.apply(options, decision, one, other)
    except RecursionError:
        raise
    except (ArithmeticError, ValueError) as error:
        return Decision(None, "no_form", str(error))
    except Exception as error:  # a fault of ours must not stop a run of millions; the rule's name makes it visible
        return Decision(None, "internal_error", f"{type(error).__name__}: {error}"[:200])


def _decide(gold: str, answer: str, one: Form, other: Form) -> Decision:
    decision = _decide_once(gold, answer, one, other)
    if (
        decision.equal is True
        or not isinstance(other.node, Bracket)
        or (other.node.left, other.node.right) != ("", "or")
    ):
        return decision
    if one.normal is None or _is_collection(one) or not all(_same_value(one, item) for item in other.node.items):
        return decision
    return Decision(True, "alternatives", "each of the spellings joined by or is equal")


def _is_collection(form: Form) -> bool:
    return form.normal is not None and form.normal.key[0] in ("collection", "union", "sets")


def _same_value(gold: Form, item: Node) -> bool:
    """Say whether one of several spellings is gold's value; a percentage may be the fraction it is."""
    if gold.node is None or gold.normal is None:
        return False
    if not isinstance(gold.node, Quantity) and isinstance(item, Quantity) and item.unit == "%":
        item = Apply("/", (item.value, Number(Fraction(100))))
    elif isinstance(gold.node, Quantity) and gold.node.unit == "%" and not isinstance(item, Quantity):
        item = Apply("*", (item, Number(Fraction(100))))  # a fraction, beside a percentage that is gold itself
    form = normal(item)
    if _conflict(gold.normal, form):
        return False
    return gold.normal.key == form.key or (
        not (gold.normal.complete and form.complete) and decide_parts(gold.node, item).equal is True
    )


def _decide_once(gold: str, answer: str, one: Form, other: Form) -> Decision:
    if one.text and one.text == other.text:
        return Decision(True, "same_text")
    early = _decide_words(gold, answer, one, other)
    if early is not None:
        return early
    if one.node is None or other.node is None:
        which, error = ("gold", one.error) if one.node is None else ("answer", other.error)
        return Decision(False, "unreadable", f"{which}: {error}")
    if one.normal is None or other.normal is None:
        bounded = (one.normal is not None or one.too_large) and (other.normal is not None or other.too_large)
        return (decide_by_value(one.node, other.node) if bounded else None) or Decision(
            None, "no_form", one.error or other.error
        )
    assigned = compare_assignments(one.node, other.node)
    if assigned is not None:
        return assigned
    one = _as_quantity_too(one, other)
    if one.node is None or one.normal is None:
        return Decision(None, "no_form", one.error)
    node, form = _with_unit_letters(one.node, other.node, other.normal)
    conflict = _conflict(one.normal, form)
    if conflict == "unit_conflict" and isinstance(one.node, Quantity) and isinstance(node, Quantity):
        measures = units.same_measure(one.node, node)
        if measures and normal(measures[0]).key == normal(measures[1]).key:
            return Decision(True, "unit_conversion", f"{one.node.unit} and {node.unit}")
    if conflict:
        return Decision(False, conflict, f"{_spell(one.normal.tags)} and {_spell(form.tags)}")
    if one.normal.key == form.key:
        if _out_of_order(one, other):
            return Decision(False, "name_conflict", "values without names, in another order than the names")
        return Decision(True, "normal_form")
    across = compare_across(one.node, node)
    if across is not None:
        return across
    letters = _same_letters(one, other)
    if letters is not None:
        return Decision(letters, "letters")
    if one.normal.complete and form.complete:
        return Decision(False, "different_form")
    return decide_parts(one.node, node)


def _decide_words(gold: str, answer: str, one: Form, other: Form) -> Decision | None:
    """Compare where words matter: choices, words that cannot be parsed as mathematics, a sentence around a number."""
    if len(answer) > MAX_TEXT or len(gold) > MAX_TEXT:
        return None
    if (choices := _choices(gold, answer, one)) is not None:
        wanted, chosen = choices
        return Decision(wanted == chosen, "choice", f"{wanted} and {chosen}")
    said = choice_and_value(answer)
    option = choice_and_value(gold)
    if option is not None:
        return _decide_option(option, answer, said, other)
    if isinstance(one.node, Words) and (other.node is None or re.search(r"\d", one.node.text)):
        try:
            plain = words_node(other.text)
        except ValueError:
            return None
        return Decision(plain == one.node, "words")
    if said is not None and one.node is not None:
        decision = _decide(gold, said[1], one, read(said[1]))
        return Decision(True, "choice", decision.rule) if decision.equal else None
    if one.normal is not None and one.normal.key[0] == "poly" and (other.node is None or isinstance(other.node, Words)):
        number = number_in_sentence(typography(answer))
        if number is not None:
            decision = _decide(gold, number, one, read(number))
            return Decision(decision.equal, "sentence", decision.rule) if decision.equal else None
    return None


def _choices(gold: str, answer: str, one: Form) -> tuple[str, str] | None:
    """Return the letters of the right choice and of the one that an answer names; None where either is no choice."""
    wanted = choice_letter(gold, gold=True) if len(gold) < 40 else None
    said = choice_and_value(answer)
    if (
        len(one.text) == 1
        and one.text in CHOICES
        and (said is not None or re.search(r"option|choice|answer", answer.casefold()) or dressed_letter(answer))
    ):
        wanted = one.text  # a bare letter may be a variable, but "option C", "C)" and "C. 60" are no variable
    chosen = (choice_letter(answer) or (said[0] if said is not None else None)) if wanted else None
    return (wanted, chosen) if wanted and chosen else None


def named_choice(gold: str, answer: str) -> str | None:
    """Return the letter of the choice that an answer names, where gold is one; None where either is no choice."""
    if len(answer) > MAX_TEXT or len(gold) > MAX_TEXT:
        return None
    one, other = read(gold), read(answer)
    if (choices := _choices(gold, answer, one)) is not None:
        return choices[1]
    # two bare letters, which may be variables as well: apart in either case unless they are the same
    return other.text if {one.text, other.text} <= set(CHOICES) else None


def _decide_option(option: tuple[str, str], answer: str, said: tuple[str, str] | None, other: Form) -> Decision | None:
    """Compare with a gold that has an option's letter and text: what the answer has of the two must be right."""
    letter, value = option
    if said is not None:
        same = said[0] == letter and _decide(value, said[1], read(value), read(said[1])).equal is True
        return Decision(same, "choice", f"{letter} and {said[0]}")
    chosen = choice_letter(answer)
    if chosen and (dressed_letter(answer) or other.text.strip("()") == chosen):
        return Decision(chosen == letter, "choice", f"{letter} and {chosen}")
    decision = _decide(value, answer, read(value), other)
    return Decision(True, "choice", decision.rule) if decision.equal else None


def _as_quantity_too(gold: Form, answer: Form) -> Form:
    """Read gold's letter as the unit that the answer has in a text macro: gold 7m, and an answer of 7 metres."""
    if gold.node is None or not isinstance(answer.node, Quantity) or isinstance(gold.node, Quantity):
        return gold
    quantity = units.as_quantity(gold.node)
    if quantity is None or quantity.unit != answer.node.unit:
        return gold
    return Form(gold.text, quantity, normal(quantity))


def _with_unit_letters(gold: Node, answer: Node, form: Normal) -> tuple[Node, Normal]:
    """Read letters after a number as a unit, ``17m``, where gold has no letters, so that they can only be a unit."""
    quantity = units.as_quantity(answer) if not units.has_letters(gold) else None
    return (answer, form) if quantity is None else (quantity, normal(quantity))


def _conflict(gold: Normal, answer: Normal) -> str | None:
    """Return the rule by which names or units forbid equality; a name or unit that one side leaves out forbids nothing.

    Three exceptions: a numeral of another base than ten does not equal a decimal gold; x = 3 and y = 3 are different
    lines; and where several names tell values apart, ``x = 3, y = 4``, the names have to be the same.
    """
    if len(gold.tags) != len(answer.tags):
        return None
    pairs = list(zip(gold.tags, answer.tags, strict=True))
    for (_, one), (_, other) in pairs:
        if (one and other and units.conflict(one, other)) or (
            not one and other.startswith("base ") and other != "base 10"
        ):
            return "unit_conflict"
    several = max(len(gold.names), len(answer.names)) > 1
    for (one, _), (other, _) in pairs:
        if ("_" in one) != ("_" in other) and not {"~", "@"}.intersection(
            one + other
        ):  # x_1 and x_2 may number what the other side calls x
            one, other = one.partition("_")[0], other.partition("_")[0]
        if one and other and one != other and (several or _names_differ(one, other)):
            return "name_conflict"
    return None


_AXES = frozenset("xyz")
_BOTH, _EITHER = re.compile(r"\\cap|and|∩"), re.compile(r"\\cup|or|∪")


def _is_called(name: str) -> bool:
    return name[0] == "@" or ("(" in name and name[0] != "~")


def _vertex(name: str) -> str:
    """Return the letter at which an angle stands: that of A, and the middle one of BAC."""
    letters = name.removeprefix("angle ")
    return letters[1] if len(letters) == 3 else letters


def _called(name: str) -> str:
    """Return the name of a function or event with its argument in one spelling."""
    return _EITHER.sub("u", _BOTH.sub("n", name.lstrip("@").replace(" ", ""))).strip("{}")


def _names_differ(one: str, other: str) -> bool:
    """Say whether two names cannot be of one thing: two axes, two subscripts, a letter and an expression of it."""
    if one[0] == other[0] == "~":
        return one.partition("|")[2] != other.partition("|")[2]
    if _is_called(one) and _is_called(other):  # P(A) and P(B), f(2) and f(3)
        return _called(one) != _called(other)
    if one.startswith("angle ") and other.startswith("angle "):
        return _vertex(one) != _vertex(other)
    if "~" in (one[0], other[0]):
        letter, expression = (other, one) if one[0] == "~" else (one, other)
        return letter in expression.partition("|")[0]
    return _AXES.issuperset(one + other) or ("_" in one and "_" in other)


def _out_of_order(gold: Form, answer: Form) -> bool:
    """Say whether only one side has several names, ``x = 3, y = 4``, and the values come in another order."""
    if gold.normal is None or answer.normal is None:
        return False
    counts = sorted(len({name.partition("_")[0] for name in form.names}) for form in (gold.normal, answer.normal))
    if counts[0] or counts[1] < 2 or not (isinstance(gold.node, Bracket) and isinstance(answer.node, Bracket)):
        return False
    one, other = [normal(item) for item in gold.node.items], [normal(item) for item in answer.node.items]
    if any(len(item.tags) != 1 for item in (*one, *other)):  # tuples keep their own order
        return False
    return [item.key for item in one] != [item.key for item in other]


def _spell(tags: tuple[Tag, ...]) -> str:
    return ", ".join(" ".join(part for part in tag if part) or "none" for tag in tags)


def _same_letters(one: Form, other: Form) -> bool | None:
    r"""Compare words with bare letters, ``\text{(C)}`` and ``C``, ``\text{VW}`` and ``VW``; None for other answers."""
    for words, letters in ((one, other), (other, one)):
        bare = letters.text.strip("()")
        if isinstance(words.node, Words) and not isinstance(letters.node, Words) and bare.isalpha():
            return bare.casefold() == words.node.text
    return None
