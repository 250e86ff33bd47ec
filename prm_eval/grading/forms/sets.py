r"""Sets of real numbers, however they are written, as one form: ascending pieces that neither touch nor overlap.

``x \ne 1``, ``\mathbb{R} \setminus \{1\}``, ``\{x : x < 1 \text{ or } x > 1\}`` and ``(-\infty,1) \cup (1,\infty)`` all
become the last. Trees go in and trees come out; a tree that is not a set of reals, or has ends that cannot be ordered,
is not changed.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import reduce

from prm_eval.grading.forms.numeric import NoValueError, value_at
from prm_eval.grading.reading.tree import Apply, Bracket, Node, Number, Relation, Symbol, Words

ALL_REALS = frozenset({
    "all real numbers", "all reals", "real numbers", "all real values", "any real number", "every real number",
    "all real number", "reals", "all of the real numbers", "all the real numbers", "any real value",
})  # fmt: skip
MAX_PIECES = 100
NEAR = 1e-9  # ends nearer than this, relatively, that are not the same tree, are not ordered
INFINITY = Symbol("infinity")
MINUS_INFINITY = Apply("neg", (INFINITY,))
_FLIP = {"<": ">", ">": "<", "<=": ">=", ">=": "<=", "!=": "!="}


class NotASetError(ValueError):
    """The tree is no set of real numbers that can be put in order."""


@dataclass(frozen=True, slots=True)
class End:
    """An end of a piece: its tree, its value for ordering, and whether it belongs to the piece."""

    node: Node
    value: float
    closed: bool


@dataclass(frozen=True, slots=True)
class Piece:
    """An interval, or a point where both ends are the same."""

    low: End
    high: End


def canonical(node: Node) -> Node:
    r"""Return a set of reals in its one form, with its letter (``x \in``); any other tree stays as it is."""
    try:
        pieces, name = _pieces(node)
    except NotASetError:
        return node
    whole = _tree(pieces)
    return Relation(("in",), (Symbol(name), whole)) if name else whole


def is_composite(node: Node) -> bool:
    """Say whether a tree is a set written with more than one sign: a union, a condition, a list of inequalities."""
    if isinstance(node, Relation):
        return (
            "!=" in node.operators
            or node.operators == ("in",)
            or (
                not {"="}.issuperset(node.operators)
                and any(isinstance(side, Apply) and side.name == "abs" for side in node.sides)
            )
        )
    if isinstance(node, Apply):
        return node.name in ("cup", "cap", "setminus", "builder")
    if isinstance(node, Bracket) and not node.left:
        return any(_is_condition(item) for item in node.items) or (node.right == "or" and _intervals(node.items))
    return False


def _is_condition(node: Node) -> bool:
    return isinstance(node, Relation) and not {"=", "in"}.issuperset(node.operators)


def _intervals(items: tuple[Node, ...]) -> bool:
    """Say whether bracketed items can only be intervals: one of them has an infinite end, or a square bracket."""
    pairs = [item for item in items if isinstance(item, Bracket) and len(item.items) == 2]
    return len(pairs) == len(items) and any(
        (item.left, item.right) != ("(", ")") or _infinite(item.items[0]) or _infinite(item.items[1]) for item in pairs
    )


def _infinite(node: Node) -> int:
    if node == INFINITY:
        return 1
    return -_infinite(node.args[0]) if isinstance(node, Apply) and node.name == "neg" else 0


def _pieces(node: Node) -> tuple[list[Piece], str]:
    """Return the ascending pieces of a set, and its letter, if it has one."""
    if node == Symbol("R") or (isinstance(node, Words) and node.text in ALL_REALS):
        return [_whole()], ""
    if isinstance(node, Relation):
        return _relation(node)
    if isinstance(node, Bracket):
        return _bracket(node)
    if isinstance(node, Apply) and node.name in ("cup", "cap", "setminus"):
        return _combine(node.name, [_pieces(arg) for arg in node.args])
    if isinstance(node, Apply) and node.name == "builder":
        return _builder(*node.args)
    raise NotASetError


def _builder(member: Node, condition: Node) -> tuple[list[Piece], str]:
    r"""Read ``\{x \in A : condition\}``."""
    pieces, name = _pieces(condition)
    domain = [_whole()]
    if isinstance(member, Relation) and member.operators == ("in",):
        domain, _ = _pieces(member.sides[1])
        member = member.sides[0]
    if not isinstance(member, Symbol) or name not in ("", member.name):
        raise NotASetError
    return _meet(domain, pieces), ""


def _combine(operation: str, sets: list[tuple[list[Piece], str]]) -> tuple[list[Piece], str]:
    names = {name for _, name in sets if name}
    if len(names) > 1:
        raise NotASetError
    parts = [pieces for pieces, _ in sets]
    act: Callable[[list[Piece], list[Piece]], list[Piece]] = {
        "cup": lambda one, other: _join([*one, *other]),
        "cap": _meet,
        "setminus": lambda one, other: _meet(one, _complement(other)),
    }[operation]
    return reduce(act, parts), names.pop() if names else ""


def _bracket(node: Bracket) -> tuple[list[Piece], str]:
    if node.left == "{":
        return _join([Piece(_end(item, True), _end(item, True)) for item in node.items]), ""
    if node.left and len(node.items) == 2:
        if (node.left == "[" and _infinite(node.items[0])) or (node.right == "]" and _infinite(node.items[1])):
            raise NotASetError  # infinity belongs to no set of reals
        low, high = _end(node.items[0], node.left == "["), _end(node.items[1], node.right == "]")
        if not low.value < high.value:
            raise NotASetError
        return [Piece(low, high)], ""
    if node.left or not (any(_is_condition(item) for item in node.items) or _intervals(node.items)):
        raise NotASetError
    sets = [_pieces(item) for item in _carried(node.items)]
    if node.right == "or":
        return _combine("cup", sets)
    both = _combine("cap", sets)
    if not both[0] and node.right == "":
        raise NotASetError  # a comma between rays that do not meet: "and" makes no sense, and "or" is not said
    return both


def _carried(items: tuple[Node, ...]) -> list[Node]:
    r"""Read ``x \ne 1, 2`` as two conditions."""
    first = items[0]
    if isinstance(first, Relation) and first.operators == ("!=",) and is_unknown(first.sides[0]):
        return [
            first, *(item if isinstance(item, Relation) else Relation(("!=",), (first.sides[0],
            item)) for item in items[1:])
        ]  # fmt: skip
    return list(items)


def _relation(node: Relation) -> tuple[list[Piece], str]:
    operators, sides = node.operators, node.sides
    if operators == ("in",):
        if not isinstance(sides[0], Symbol):
            raise NotASetError
        pieces, name = _pieces(sides[1])
        if name not in ("", sides[0].name):
            raise NotASetError
        return pieces, sides[0].name
    if any(isinstance(side, Apply) and side.name == "abs" for side in sides):
        return _absolute(node)
    names = [is_unknown(side) for side in sides]
    if names.count(True) != 1:
        raise NotASetError
    at = names.index(True)
    name = getattr(sides[at], "name", "")
    pieces = [_whole()]
    for i, operator in enumerate(operators):
        if at not in (i, i + 1):
            raise NotASetError
        bound = _end(sides[i + 1] if i == at else sides[i], False)
        pieces = _meet(pieces, _ray(operator if i == at else _flip(operator), bound))
    return pieces, name


def _absolute(node: Relation) -> tuple[list[Piece], str]:
    """Read ``|x| < 3`` as the values nearer to zero than 3, and ``|x| > 3`` as the others."""
    if len(node.operators) != 1:
        raise NotASetError
    (operator,), (left, right) = node.operators, node.sides
    if not (isinstance(left, Apply) and left.name == "abs"):
        left, right, operator = right, left, _flip(operator)
    inner, middle = _shifted(left.args[0] if isinstance(left, Apply) else left)
    if not is_unknown(inner) or operator not in ("<", "<=", ">", ">="):
        raise NotASetError
    if _end(right, False).value <= 0:
        raise NotASetError
    minus: Node = Number(-right.value) if isinstance(right, Number) else Apply("neg", (right,))
    far, near = _end(_moved(right, middle), False), _end(_moved(minus, middle), False)
    name = getattr(inner, "name", "")
    between = _meet(_ray(operator.replace(">", "<"), far), _ray(operator.replace(">", "<").replace("<", ">"), near))
    if operator[0] == "<":
        return between, name
    return _join([*_ray(operator, far), *_ray(operator.replace(">", "<"), near)]), name


def _shifted(node: Node) -> tuple[Node, Fraction]:
    """Read x - 2 as x and 2, the place where its absolute value is zero."""
    if isinstance(node, Apply) and node.name == "+" and len(node.args) == 2 and isinstance(node.args[1], Number):
        return node.args[0], -node.args[1].value
    return node, Fraction(0)


def _moved(node: Node, by: Fraction) -> Node:
    if not by:
        return node
    return Number(node.value + by) if isinstance(node, Number) else Apply("+", (node, Number(by)))


def is_unknown(node: Node) -> bool:
    """Say whether a tree is a bare letter that can stand for a real number."""
    return isinstance(node, Symbol) and node.name not in ("pi", "e", "i", "infinity", "R")


def _flip(operator: str) -> str:
    return _FLIP.get(operator, operator)


def _ray(operator: str, bound: End) -> list[Piece]:
    whole, closed = _whole(), End(bound.node, bound.value, True)
    if operator == "=":
        return [Piece(closed, closed)]
    if operator in ("<", "<="):
        return [Piece(whole.low, closed if operator == "<=" else bound)]
    if operator in (">", ">="):
        return [Piece(closed if operator == ">=" else bound, whole.high)]
    if operator == "!=":
        return [Piece(whole.low, bound), Piece(bound, whole.high)]
    raise NotASetError


def _whole() -> Piece:
    return Piece(End(MINUS_INFINITY, float("-inf"), False), End(INFINITY, float("inf"), False))


def _end(node: Node, closed: bool) -> End:
    infinite = _infinite(node)
    if infinite:
        return End(node, infinite * float("inf"), False)
    if isinstance(node, Number):  # exact, however large: floats order what fits
        try:
            return End(node, float(node.value), closed)
        except OverflowError:
            raise NotASetError from None
    try:
        value = value_at(node, {}, real=True)
    except NoValueError:
        raise NotASetError from None
    if value.imag:
        raise NotASetError
    return End(node, value.real, closed)


def _same(one: End, other: End) -> bool:
    """Say whether two ends are the same point.

    Raises:
        NotASetError: They are too near to be told apart by their values, and written differently.
    """
    if isinstance(one.node, Number) and isinstance(other.node, Number):
        return one.node.value == other.node.value
    if one.value == other.value and (one.node == other.node or one.value in (float("inf"), float("-inf"))):
        return True
    if math.isinf(one.value) or math.isinf(other.value):
        return False
    if abs(one.value - other.value) <= NEAR * max(1.0, abs(one.value), abs(other.value)):
        raise NotASetError
    return False


def _less(one: End, other: End) -> bool:
    return not _same(one, other) and _order(one) < _order(other)


def _order(end: End) -> Fraction | float:
    return end.node.value if isinstance(end.node, Number) else end.value


def _join(pieces: list[Piece]) -> list[Piece]:
    """Return the union as ascending pieces; pieces that touch or overlap become one."""
    if len(pieces) > MAX_PIECES:
        raise NotASetError
    result: list[Piece] = []
    for piece in sorted(pieces, key=lambda each: (each.low.value, not each.low.closed, each.high.value)):
        last = result[-1] if result else None
        if (
            last is None
            or _less(last.high, piece.low)
            or (_same(last.high, piece.low) and not (last.high.closed or piece.low.closed))
        ):
            result.append(piece)
        else:
            result[-1] = Piece(last.low, _further(last.high, piece.high))
    return result


def _further(one: End, other: End) -> End:
    if _same(one, other):
        return one if one.closed else other
    return other if _less(one, other) else one


def _meet(one: list[Piece], other: list[Piece]) -> list[Piece]:
    """Return the intersection."""
    if len(one) * len(other) > MAX_PIECES**2:
        raise NotASetError
    result = []
    for a in one:
        for b in other:
            low = _tighter(a.low, b.low, _less(a.low, b.low))
            high = _tighter(a.high, b.high, _less(b.high, a.high))
            if _less(low, high) or (_same(low, high) and low.closed and high.closed):
                result.append(Piece(low, high))
    return _join(result)


def _tighter(one: End, other: End, take_other: bool) -> End:
    if _same(one, other):
        return other if one.closed else one
    return other if take_other else one


def _complement(pieces: list[Piece]) -> list[Piece]:
    result = [_whole()]
    for piece in pieces:
        outside = [
            Piece(_whole().low, End(piece.low.node, piece.low.value, not piece.low.closed)),
            Piece(End(piece.high.node, piece.high.value, not piece.high.closed), _whole().high),
        ]
        result = _meet(result, [each for each in outside if each.low.value < each.high.value])
    return result


def _tree(pieces: list[Piece]) -> Node:
    if all(piece.low.value == piece.high.value for piece in pieces):
        return Bracket("{", "}", tuple(piece.low.node for piece in pieces))
    intervals = [
        Bracket("[" if piece.low.closed else "(", "]" if piece.high.closed else ")", (piece.low.node, piece.high.node))
        if piece.low.value < piece.high.value
        else Bracket("{", "}", (piece.low.node,))
        for piece in pieces
    ]
    return intervals[0] if len(intervals) == 1 else Apply("union", tuple(intervals))
