"""Comparison of answers of different types: times with and without a.m. or p.m., equations, assignments, tuples."""

from __future__ import annotations

from prm_eval.grading.deciding.expressions import Decision, decide_parts
from prm_eval.grading.forms.as_polynomial import Former
from prm_eval.grading.forms.normal_form import normal
from prm_eval.grading.forms.numeric import letters
from prm_eval.grading.forms.polynomials import NoFormError, poly_key, scale
from prm_eval.grading.forms.precise import constant_ratio
from prm_eval.grading.reading.tree import Apply, Bracket, Node, Number, Relation, Symbol


def compare_across(gold: Node, answer: Node) -> Decision | None:
    """Return the verdict of the rule that fits the two types; None where no rule fits."""
    asked = _asked(gold, answer)
    if asked is not None:
        return asked
    for rule in (_clock, _ratio, _equation, _constant_of_integration):
        for one, other in ((gold, answer), (answer, gold)):
            decision = rule(one, other)
            if decision is not None:
                return decision
    return None


def _asked(gold: Node, answer: Node) -> Decision | None:
    """Accept ``a + b = 12`` for 12: the left side repeats the question.

    With a number on the left side it would be an equation to solve.
    """
    if (
        isinstance(gold, Relation)
        or not isinstance(answer, Relation)
        or set(answer.operators) != {"="}
        or letters(gold)
    ):
        return None
    asked, value = answer.sides[0], answer.sides[-1]
    if not isinstance(asked, Apply) or len(letters(asked)) < 2 or letters(value) or _has_number(asked):
        return None
    if not all(_same(value, side) for side in answer.sides[1:]):
        return None
    return Decision(True, "asked") if _same(gold, value) else None


def _has_number(node: Node) -> bool:
    """Say whether a number other than an exponent stands in an expression."""
    if isinstance(node, Apply):
        return any(_has_number(arg) for arg in (node.args[:1] if node.name == "^" else node.args))
    return isinstance(node, Number)


def compare_assignments(gold: Node, answer: Node) -> Decision | None:
    """Compare ``x = 3, y = 4`` with the pair (3, 4); None where the two are not of these types."""
    return _assignment(gold, answer) or _assignment(answer, gold) or _several(gold, answer) or _several(answer, gold)


def _several(one: Node, other: Node) -> Decision | None:
    """Compare ``x = 1, y = 2 or x = 3, y = 4`` with the pairs (1, 2), (3, 4); None where it is not of these types."""
    if not (isinstance(one, Bracket) and not one.left and "or" in one.right.split() and isinstance(other, Bracket)):
        return None
    named = [
        (item.sides[0].name, item.sides[1])
        for item in one.items
        if isinstance(item, Relation) and item.operators == ("=",) and isinstance(item.sides[0], Symbol)
    ]
    width = len({name for name, _ in named})
    if len(named) != len(one.items) or width < 2 or len(named) % width or len(named) == width:
        return None
    groups = [named[i : i + width] for i in range(0, len(named), width)]
    if any(len({name for name, _ in group}) != width for group in groups):
        return None
    pairs = [
        Bracket("(", ")", tuple(value for _, value in sorted(group, key=lambda pair: pair[0]))) for group in groups
    ]
    return Decision(_same(Bracket("", "", tuple(pairs)), other), "assignment")


def _clock(gold: Node, answer: Node) -> Decision | None:
    """Compare ``4:30 p.m.`` with ``4:30`` and ``16:30``; a.m. or p.m. may be left out."""
    if not (isinstance(gold, Apply) and gold.name == "clock" and isinstance(answer, Apply)):
        return None
    if answer.name not in ("time", "ratio") or not all(isinstance(arg, Number) for arg in answer.args):
        return None
    if len(answer.args) != 2:
        return None
    hour, minute = (arg.value for arg in answer.args if isinstance(arg, Number))
    minutes, half = gold.args
    if not isinstance(minutes, Number) or not isinstance(half, Symbol):
        return None
    exact = minutes.value + (720 if half.name == "pm" else 0)
    same = hour * 60 + minute == exact or (1 <= hour <= 12 and hour % 12 * 60 + minute == minutes.value)
    return Decision(same, "clock")


def _ratio(gold: Node, answer: Node) -> Decision | None:
    """Compare ``3:2`` with the fraction 3/2; a whole number does not stand for a ratio (2 is not 2:1)."""
    if not (isinstance(gold, Apply) and gold.name in ("ratio", "time") and len(gold.args) == 2):
        return None
    one, other = gold.args
    if not (isinstance(answer, Apply) and answer.name == "/") or (isinstance(other, Number) and not other.value):
        return None
    return Decision(normal(Apply("/", (one, other))).key == normal(answer).key, "ratio")


def _assignment(gold: Node, answer: Node) -> Decision | None:
    """Compare ``x = 3, y = 4`` with ``(3, 4)`` and ``(x, y) = (3, 4)``; without names, the letters' order counts."""
    values = _assigned(gold)
    if values is None:
        return None
    names = sorted(values)
    if isinstance(answer, Relation) and answer.operators == ("=",) and isinstance(answer.sides[0], Bracket):
        named, answer = answer.sides
        names = [item.name for item in named.items if isinstance(item, Symbol)] if isinstance(named, Bracket) else []
    if not (isinstance(answer, Bracket) and (answer.left, answer.right) == ("(", ")")):
        return None
    if sorted(names) != sorted(values) or len(answer.items) != len(names):
        return None
    ordered = Bracket("(", ")", tuple(values[name] for name in names))
    return Decision(True, "assignment") if _same(ordered, answer) else Decision(False, "assignment")


def _same(one: Node, other: Node) -> bool:
    first, second = normal(one), normal(other)
    if first.key == second.key:
        return True
    return not (first.complete and second.complete) and decide_parts(one, other).equal is True


def _assigned(node: Node) -> dict[str, Node] | None:
    if not (isinstance(node, Bracket) and node.left == "" and len(node.items) > 1):
        return None
    values: dict[str, Node] = {}
    for item in node.items:
        if not (isinstance(item, Relation) and item.operators == ("=",) and isinstance(item.sides[0], Symbol)):
            return None
        values[item.sides[0].name] = item.sides[1]
    return values if len(values) == len(node.items) else None


def _equation(gold: Node, answer: Node) -> Decision | None:
    """Compare equations in two letters or more: the same up to a constant factor, with all terms on one side."""
    one, other = _difference(gold), _difference(answer)
    if one is None or other is None or letters(one) != letters(other) or len(letters(one)) < 2:
        return None
    keys = []
    for side in (one, other):
        form = Former(lambda node: normal(node).key)
        poly = form.poly(side)
        if not poly:
            return None
        keys.append((poly_key(scale(poly, 1 / poly[min(poly)])), form.opaque))
    if keys[0][0] == keys[1][0]:
        return Decision(True, "equation")
    if not (keys[0][1] or keys[1][1]):
        return Decision(False, "equation")
    return Decision(bool(constant_ratio(one, other)), "equation")


def _difference(node: Node) -> Node | None:
    if not (isinstance(node, Relation) and node.operators == ("=",)):
        return None
    left, right = node.sides
    if any(isinstance(side, Bracket) for side in node.sides):
        return None
    return Apply("+", (left, Apply("neg", (right,))))


def _constant_of_integration(gold: Node, answer: Node) -> Decision | None:
    """Compare ``x^2 + C`` with ``x^2 + c``: an added constant may be a small letter."""
    if not all(isinstance(node, Apply) and node.name == "+" for node in (gold, answer)):
        return None
    if Symbol("C") not in getattr(gold, "args", ()) or Symbol("c") not in getattr(answer, "args", ()):
        return None
    swapped = Apply("+", tuple(Symbol("C") if arg == Symbol("c") else arg for arg in getattr(answer, "args", ())))
    try:
        return Decision(True, "normal_form") if normal(swapped).key == normal(gold).key else None
    except NoFormError:
        return None
