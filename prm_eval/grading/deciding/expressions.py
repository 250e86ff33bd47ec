"""Comparison of expressions whose normal forms do not decide.

Brackets are compared part by part, numbers at rising precision, and what is left by sympy in the worker.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from itertools import pairwise

from prm_eval.grading.children.symbolic import BUILT, WORKER
from prm_eval.grading.forms.as_polynomial import Former
from prm_eval.grading.forms.normal_form import normal
from prm_eval.grading.forms.numeric import NoValueError, surely_different, value_at
from prm_eval.grading.forms.polynomials import NoFormError, as_constant
from prm_eval.grading.forms.precise import Verdict, agree
from prm_eval.grading.reading.tree import Apply, Bracket, Matrix, Node, Number, Quantity, Relation, Symbol

_NO_VALUE = frozenset(["sum", "prod"])  # left over where their bounds are no numbers: nothing to evaluate
MAX_EXPONENT = 1_000_000
PAIR_SECONDS = 1.5  # after which sympy is not asked again for the same pair of answers
_BUDGET = threading.local()
MAX_MATCH = 40  # items of a list that are matched one by one


def start_budget() -> None:
    """Start the time budget of one pair of answers in the symbolic tier, on this thread."""
    _BUDGET.until = spent_seconds() + PAIR_SECONDS


def spent_seconds() -> float:
    """Return the processor time of this thread and its questions to the worker; a busy machine does not change it."""
    return time.thread_time() + WORKER.used


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether two answers are equal (None: undecided), and the rule that decided."""

    equal: bool | None
    rule: str
    reason: str = ""


def decide_parts(gold: Node, answer: Node) -> Decision:
    """Compare trees with incomplete normal forms: structures item by item, expressions numerically and by sympy."""
    gold, answer = _bare(gold), _bare(answer)
    ours, theirs = _items(gold), _items(answer)
    if ours is not None or theirs is not None:
        if ours is None or theirs is None or ours[0] != theirs[0] or len(ours[1]) != len(theirs[1]):
            return Decision(False, "different_form")
        return _in_order(ours[1], theirs[1]) if ours[0] != ("", "") else _any_order(ours[1], theirs[1])
    if not (_is_expression(gold) and _is_expression(answer)):
        return Decision(False, "different_form")
    return decide_expressions(gold, answer)


def _items(node: Node) -> tuple[tuple[str, str], tuple[Node, ...]] | None:
    """Return the kind of a structure and its items; None for an expression."""
    if isinstance(node, Bracket):
        if node.left in ("", "{"):
            return ("", ""), node.items
        return (node.left, node.right), node.items
    if isinstance(node, Matrix):
        cells = tuple(cell for row in node.rows for cell in row)
        return ("(", ")") if len(node.rows[0]) == 1 else ("matrix", str(len(node.rows))), cells
    if isinstance(node, Apply) and node.name == "union":
        return ("union", ""), node.args
    if isinstance(node, Apply) and node.name in ("pm", "mp"):
        both = tuple(Apply("+", (node.args[0], term)) for term in (node.args[1], Apply("neg", (node.args[1],))))
        return ("", ""), both
    return None


def _in_order(gold: tuple[Node, ...], answer: tuple[Node, ...]) -> Decision:
    for one, other in zip(gold, answer, strict=True):
        part = decide_parts(one, other)
        if part.equal is not True:
            return part
    return Decision(True, "part_by_part")


def _any_order(gold: tuple[Node, ...], answer: tuple[Node, ...]) -> Decision:
    """Match each item of gold's list with another of the answer's.

    The first match is enough, because equality is transitive here.
    """
    ours, theirs = _by_size(gold), _by_size(answer)
    if ours is not None and theirs is not None:
        return _in_order(ours, theirs)
    if len(gold) > MAX_MATCH:
        return Decision(None, "undecided", f"lists of more than {MAX_MATCH} items without exact forms")
    left = list(answer)
    for one in gold:
        match, unsure = None, False
        for i, other in enumerate(left):
            part = decide_parts(one, other)
            if part.equal:
                match = i
                break
            unsure = unsure or part.equal is None
        if match is None:
            return Decision(None if unsure else False, "undecided" if unsure else "different_form")
        del left[match]
    return Decision(True, "part_by_part")


def _by_size(items: tuple[Node, ...]) -> tuple[Node, ...] | None:
    """Return real numbers in ascending order; None where an item is not real, or two are too near to be ordered."""
    sized: list[tuple[float, Node]] = []
    for item in items:
        try:
            value = value_at(_bare(item), {}, real=True)
        except NoValueError:
            return None
        sized.append((value.real, item))
        if value.imag:
            return None
    sized.sort(key=lambda pair: pair[0])
    if any(b[0] - a[0] <= 1e-9 * max(1.0, abs(a[0])) for a, b in pairwise(sized)):
        return None
    return tuple(item for _, item in sized)


def decide_expressions(gold: Node, answer: Node) -> Decision:
    """Compare two expressions: exact forms, then digits, then sympy."""
    try:
        one, other = normal(gold), normal(answer)
    except NoFormError as error:
        return Decision(None, "no_form", str(error))
    if one.key == other.key:
        return Decision(True, "normal_form")
    if one.complete and other.complete:
        return Decision(False, "different_form")
    foreign = (_operations(gold) | _operations(answer)) - BUILT
    if foreign.isdisjoint(_NO_VALUE):
        agreed = agree(gold, answer)
        if agreed != "unknown":
            return _by_value(agreed)
        if surely_different(gold, answer):
            return Decision(False, "numeric_difference")
    if foreign:
        return Decision(None, "undecided", f"no rule for {', '.join(sorted(foreign))}")
    if _is_steep(gold) or _is_steep(answer):
        return Decision(None, "undecided", f"a power or root beyond {MAX_EXPONENT:,}")
    if spent_seconds() > getattr(_BUDGET, "until", float("inf")):
        return Decision(None, "undecided", "the time for one pair is used up")
    try:
        zero, reason = WORKER.is_zero(Apply("+", (gold, Apply("neg", (answer,)))))
    except TypeError as error:
        return Decision(False, "different_form", str(error))
    if zero is None:
        return Decision(None, "undecided", reason)
    return Decision(zero, "symbolic", reason)


def _is_steep(node: Node) -> bool:
    """Say whether a tree has a power or root on which sympy would not end: the exponent or its inverse is too large."""
    if not isinstance(node, Apply):
        return False
    if node.name in ("^", "root") and _too_large(node.args[1]):
        return True
    return any(map(_is_steep, node.args))


def _too_large(exponent: Node) -> bool:
    try:
        value = as_constant(Former(lambda other: normal(other).key).poly(exponent))
    except NoFormError:
        return True
    return value is not None and max(abs(value.numerator), value.denominator) > MAX_EXPONENT


def decide_by_value(gold: Node, answer: Node) -> Decision | None:
    """Compare two expressions of which one has no exact form within the limits, by their digits alone."""
    gold, answer = _bare(gold), _bare(answer)
    if not (_is_expression(gold) and _is_expression(answer)):
        return None
    agreed = agree(gold, answer)
    if agreed == "unknown":
        return Decision(False, "numeric_difference") if surely_different(gold, answer) else None
    return _by_value(agreed)


def _by_value(verdict: Verdict) -> Decision:
    if verdict == "narrower":
        return Decision(None, "undecided", "equal only on a part of where gold is defined")
    return Decision(verdict == "equal", "numeric_identity" if verdict == "equal" else "numeric_difference")


def _operations(node: Node) -> frozenset[str]:
    if not isinstance(node, Apply):
        return frozenset()
    return frozenset((node.name,)).union(*(_operations(arg) for arg in node.args))


def _bare(node: Node) -> Node:
    """Return a tree without its unit and name: ``x = 5 cm`` is 5."""
    if isinstance(node, Quantity):
        return _bare(node.value)
    if isinstance(node, Relation) and node.operators in (("=",), ("in",)) and isinstance(node.sides[0], Symbol):
        return _bare(node.sides[1])
    return node


def _is_expression(node: Node) -> bool:
    if isinstance(node, Apply):
        return node.name not in (
            "cup",
            "cap",
            "setminus",
            "pm",
            "mp",
            "builder",
            "ratio",
            "time",
            "clock",
            "cases",
        ) and all(_is_expression(arg) for arg in node.args)
    return isinstance(node, (Number, Symbol))
