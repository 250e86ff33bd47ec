"""Exact normal forms: two trees with equal keys are equal; two *complete* keys that differ are different.

A number or expression becomes a polynomial with rational coefficients over atoms: letters, pi, e, i, square roots of
primes, and, for whatever has no exact form here (functions, other roots, sums in denominators), opaque atoms named by
their own key. A form without opaque atoms is complete: its atoms are independent, so different polynomials are
different values.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fractions import Fraction

from prm_eval.grading.forms.as_polynomial import Former
from prm_eval.grading.forms.numeric import letters
from prm_eval.grading.forms.polynomials import Key, NoFormError, add, as_constant, poly_key, scale, symbol
from prm_eval.grading.forms.precise import agree
from prm_eval.grading.forms.sets import ALL_REALS
from prm_eval.grading.reading.tree import Apply, Bracket, Matrix, Node, Number, Quantity, Relation, Symbol, Words
from prm_eval.grading.reading.units import NO_UNIT

Tag = tuple[str, str]


@dataclass(frozen=True)
class Normal:
    """The key of a tree, and whether a different key proves a different value.

    ``tags`` has the name and the unit of each value in the key: the x and cm of ``x = 5 cm``; either may be empty.
    """

    key: Key
    complete: bool
    tags: tuple[Tag, ...] = (("", ""),)

    @property
    def unit(self) -> str:
        """The units, where there are any."""
        return ", ".join(unit for _, unit in self.tags).strip(", ")

    @property
    def names(self) -> frozenset[str]:
        """The names, where there are any."""
        return frozenset(name for name, _ in self.tags if name)


def normal(node: Node) -> Normal:
    """Return the normal form of a tree.

    Raises:
        NoFormError: It has none, or one that is too large.
    """
    unit = ""
    if isinstance(node, Quantity):
        unit, node = node.unit, node.value
    if node == Symbol("R") or (isinstance(node, Words) and node.text in ALL_REALS):
        return Normal(("tuple", "(", ")", (_INFINITE[0], _INFINITE[1])), True)
    if isinstance(node, Words) and node.text == "no solution":
        return Normal(("collection", ()), True, ())
    if isinstance(node, Words):
        return Normal(("words", node.text), True, (("", unit),))
    if isinstance(node, Bracket):
        return _bracket(node)
    if isinstance(node, Matrix):
        return _matrix(node)
    if isinstance(node, Relation):
        return _relation(node)
    if isinstance(node, Apply) and node.name in _SETS:
        return _SETS[node.name](node)
    if isinstance(node, Apply) and _has_plus_minus(node):
        return _collection([normal(each) for each in _all_signs(node)], unit)
    form = Former(_key)
    poly = form.poly(node)
    return Normal(("poly", poly_key(poly)), not form.opaque, (("", unit),))


def _key(node: Node) -> Key:
    return normal(node).key


def _bracket(node: Bracket) -> Normal:
    if node.left == "(" and any(map(_has_plus_minus, node.items)):  # (2 + or - 1, 5) are two points
        chosen = [each for each in _all_signs(Apply("tuple", node.items)) if isinstance(each, Apply)]
        return _collection([normal(Bracket(node.left, node.right, each.args)) for each in chosen])
    parts = [normal(item) for item in node.items]
    if not node.left and any(
        isinstance(item, Relation) and not {"=", "in"}.issuperset(item.operators) for item in node.items
    ):
        return _inequalities(parts, node.right)
    if node.left in ("", "{"):
        # what plus-minus or a list stands for is spread out in the list around it; a set in a set stays one item
        spread = [not isinstance(item, Bracket) for item in node.items]
        return _collection(
            [
                single
                for part, each in zip(parts, spread, strict=True)
                for single in (_singles(part) if each else [part])
            ]
        )
    tag = "tuple" if (node.left, node.right) == ("(", ")") else "interval"
    left = ("open" if node.left == "(" else "closed") if tag == "interval" else "("
    right = ("open" if node.right == ")" else "closed") if tag == "interval" else ")"
    key = (tag, left, right, tuple(part.key for part in parts))
    return Normal(key, all(part.complete for part in parts), _tags(parts))


def _tags(parts: Iterable[Normal]) -> tuple[Tag, ...]:
    return tuple(tag for part in parts for tag in part.tags)


def _collection(parts: list[Normal], unit: str = "") -> Normal:
    """Return the form of an unordered collection."""
    if len(parts) == 1 and parts[0].key != ("collection", ()):  # the set of the empty set is not empty
        return parts[0]
    parts = sorted(_once(parts), key=lambda part: repr((part.key, part.tags)))
    tags = tuple((name, own or unit) for name, own in _tags(parts))
    return Normal(("collection", tuple(part.key for part in parts)), all(part.complete for part in parts), tags)


def _once(parts: list[Normal]) -> list[Normal]:
    """Drop points that are named twice; a number named twice stays, because it may be a double root."""
    points = {part.key: part for part in reversed(parts)}
    return [part for part in parts if part.key[0] in ("poly", "words") or points[part.key] is part]


def _singles(part: Normal) -> list[Normal]:
    """Return the items of a collection of single values, anything else as it is."""
    if part.key[0] != "collection" or len(part.tags) != len(part.key[1]):
        return [part]
    return [Normal(key, part.complete, (tag,)) for key, tag in zip(part.key[1], part.tags, strict=True)]


def _inequalities(parts: list[Normal], word: str) -> Normal:
    """Return the form of several inequalities: a union for "or", an intersection for "and", neither for a comma."""
    parts = sorted(parts, key=lambda part: repr((part.key, part.tags)))
    name = {"or": "cup", "and": "cap"}.get(word, "inequalities")
    return Normal(("sets", name, tuple(part.key for part in parts)), False, _tags(parts))


def _matrix(node: Matrix) -> Normal:
    parts = [[normal(item) for item in row] for row in node.rows]
    complete = all(part.complete for row in parts for part in row)
    tags = _tags(part for row in parts for part in row)
    if len(parts[0]) == 1:  # a column vector is a tuple
        return Normal(("tuple", "(", ")", tuple(part.key for row in parts for part in row)), complete, tags)
    return Normal(("matrix", tuple(tuple(part.key for part in row) for row in parts)), complete, tags)


def _union(node: Apply) -> Normal:
    parts = [normal(arg) for arg in node.args]
    if node.name == "union":  # pieces in ascending order, of :mod:`prm_eval.grading.forms.sets`
        key = ("union", tuple(part.key for part in parts))
        return Normal(key, all(part.complete for part in parts), _tags(parts))
    if node.name in ("setminus", "builder"):  # neither commutative nor associative
        return Normal(("sets", node.name, tuple(part.key for part in parts)), False, _tags(parts))
    keys = [key for part in parts for key in (part.key[2] if part.key[:2] == ("sets", node.name) else (part.key,))]
    return Normal(("sets", node.name, tuple(sorted(keys, key=repr))), False, _tags(parts))


def _ratio(node: Apply) -> Normal:
    """Return a ratio scaled to a first term of 1; one with a zero in it, or a time of day, stays as it is."""
    parts = [normal(arg) for arg in node.args]
    values = [
        as_constant(Former(_key).poly(arg)) if not isinstance(arg, (Words, Bracket)) else None for arg in node.args
    ]
    if node.name == "ratio" and None not in values and 0 not in values and values[0]:
        scaled = tuple(("poly", poly_key({(): value / values[0]})) for value in values if value)
        return Normal(("ratio", scaled), True)
    return Normal((node.name, tuple(part.key for part in parts)), all(part.complete for part in parts))


def _clock(node: Apply) -> Normal:
    return Normal(("clock", *(normal(arg).key for arg in node.args)), True)


def _cases(node: Apply) -> Normal:
    """Return the form of a function in pieces, whatever their order."""
    parts = [normal(arg) for arg in node.args]
    return Normal(("cases", tuple(sorted((part.key for part in parts), key=repr))), all(p.complete for p in parts))


_SETS: dict[str, Callable[[Apply], Normal]] = {
    **dict.fromkeys(("cup", "cap", "setminus", "union", "builder"), _union),
    **dict.fromkeys(("ratio", "time"), _ratio),
    "clock": _clock,
    "cases": _cases,
}


def _relation(node: Relation) -> Normal:
    operators, sides = node.operators, node.sides
    if any(isinstance(side, Relation) for side in sides):
        raise NoFormError("a relation inside a relation")
    if operators == ("in",) and isinstance(sides[0], Symbol):
        return _named(sides[0], normal(sides[1]))
    if operators == ("in",) and isinstance(sides[0], Bracket) and _is_name(sides[0]):
        return normal(sides[1])  # (x, y) in {(1, 2), (3, 4)}
    if set(operators) <= {">", ">="} and len(operators) > 1:  # a > b > c is c < b < a
        operators, sides = tuple(_FLIP[each] for each in reversed(operators)), tuple(reversed(sides))
    if operators == ("=",) and not (isinstance(sides[0], Symbol) and isinstance(sides[1], Symbol)):
        if _is_name(sides[0]):
            return _named(sides[0], normal(sides[1]))  # x = 5 is 5, f(x) = x + 1 is x + 1, AB = 5 is 5
        if isinstance(sides[1], Symbol) and _is_name(sides[1]) and not isinstance(sides[0], Apply):
            return _named(sides[1], normal(sides[0]))  # 5 = x
    if set(operators) == {"="}:
        values = [normal(side) for side in sides if not _is_name(side)]
        if values and all(value.key == values[0].key and value.complete for value in values):
            return values[0]  # 30 - 16 = 14 and x = y = 2 name one value; a false chain names none
        if not any(letters(side) for side in sides) and all(agree(sides[0], side) == "equal" for side in sides[1:]):
            return values[-1]  # so does log_2 16 = 4
    if operators == ("=",):
        return _equation(sides[0], sides[1])
    interval = _as_interval(operators, sides)
    if interval is not None:
        return interval
    parts = [normal(side) for side in sides]
    return Normal(("relation", operators, tuple(part.key for part in parts)), False, _tags(parts))


def _named(name: Node, value: Normal) -> Normal:
    """Keep the name of a value with its form; for a tuple, one letter an item."""
    if isinstance(name, Symbol):
        return Normal(value.key, value.complete, tuple((name.name, unit) for _, unit in value.tags))
    if isinstance(name, Apply):  # what is said of xy is not said of x, nor what is said of P(A) of P(B)
        called = name.name == "*" and _is_function(name.args[0])
        spelt = f"@{_spelt(name)}" if called else f"~{''.join(sorted(letters(name)))}|{_spelt(name)}"
        return Normal(value.key, value.complete, tuple((spelt, unit) for _, unit in value.tags))
    if isinstance(name, Matrix):
        name = Bracket("(", ")", tuple(cell for row in name.rows for cell in row))
    if isinstance(name, Bracket) and len(name.items) == len(value.tags):
        names = [item.name if isinstance(item, Symbol) else "" for item in name.items]
        return Normal(
            value.key, value.complete, tuple((each, tag[1]) for each, tag in zip(names, value.tags, strict=True))
        )
    return value


_INFINITE = tuple(("poly", poly_key({(("infinity", 1),): Fraction(sign)})) for sign in (-1, 1))


def _is_name(node: Node) -> bool:
    r"""Say whether a left side only names what is on the right: a letter, f(x), AB, \angle A, A:B, a tuple of letters.

    A side that could be solved for is not a name: a name holds no number and no sum.
    """
    if isinstance(node, Symbol):
        return node.name not in ("pi", "e", "infinity", "...")
    if isinstance(node, Words):  # "area = 5"
        return NO_UNIT.isdisjoint(node.text.split())
    if isinstance(node, Bracket):
        return bool(node.items) and all(isinstance(item, Symbol) for item in node.items)
    if isinstance(node, Matrix):
        return all(isinstance(cell, Symbol) for row in node.rows for cell in row)
    if not isinstance(node, Apply):
        return False
    if node.name == "*" and _is_function(node.args[0]):
        argument = node.args[1]
        return isinstance(argument, (Symbol, Number)) or (
            isinstance(argument, Bracket) and all(isinstance(item, (Symbol, Number)) for item in argument.items)
        )
    if node.name == "*" and isinstance(node.args[0], Symbol) and len(node.args[0].name) == 1:  # E(x, 0, z)
        point = node.args[1]
        if (
            isinstance(point, Bracket)
            and len(point.items) > 1
            and any(isinstance(item, Symbol) for item in point.items)
        ):
            return all(isinstance(item, (Symbol, Number)) for item in point.items)
    if (
        node.name == "abs"
        and isinstance(node.args[0], Symbol)
        and node.args[0].name.islower()
        and node.args[0].name != "z"
    ):
        return False  # |x| = 3 is to be solved
    return node.name in _NAMING and all(_is_name(arg) for arg in node.args)


_NAMING = frozenset("* / ratio abs det arg Re Im overline overrightarrow vec hat sin cos tan cot sec csc".split())


_DRESSES = frozenset("overline overrightarrow vec hat abs".split())


def _spelt(name: Node) -> str:
    """Return a name in one spelling: AB and BA are one segment, with a bar or without; a/b and b/a are two ratios."""
    if isinstance(name, Symbol):
        return name.name
    if isinstance(name, Number):
        return str(name.value)
    if isinstance(name, Bracket):
        return ",".join(map(_spelt, name.items))
    if not isinstance(name, Apply):
        return repr(name)
    if name.name in _DRESSES:
        return _spelt(name.args[0])
    if name.name in ("/", "ratio"):
        return "/".join(map(_spelt, name.args))
    if name.name == "*" and isinstance(name.args[1], Bracket):
        return f"{_spelt(name.args[0])}({_spelt(name.args[1])})"
    if name.name == "*":  # PA and AP are one segment; and P(A) and P(B) still differ
        return "".join(sorted("".join(map(_spelt, name.args))))
    return f"{name.name}({','.join(map(_spelt, name.args))})"


def _is_function(node: Node) -> bool:
    """Say whether a factor is the name of a function, or of an inverse function."""
    if isinstance(node, Apply) and node.name == "^":
        return _is_function(node.args[0]) and node.args[1] == Number(Fraction(-1))
    return isinstance(node, Symbol) and node.name.rstrip("'") in tuple("fghpqABCDEFGHLMNPQRSTVW")


def _equation(left: Node, right: Node) -> Normal:
    """Return an equation as left - right, up to a non-zero rational factor."""
    form = Former(_key)
    poly = add(form.poly(left), scale(form.poly(right), Fraction(-1)))
    if not poly or set(poly) == {()}:  # it says nothing, or nothing that is true
        return Normal(("relation", ("=",), (normal(left).key, normal(right).key)), False)
    first = min(poly)
    return Normal(("equation", poly_key(scale(poly, 1 / poly[first]))), not form.opaque)


_FLIP = {"<": ">", ">": "<", "<=": ">=", ">=": "<="}


def _as_interval(operators: tuple[str, ...], sides: tuple[Node, ...]) -> Normal | None:
    r"""Return ``x < 2``, ``3 < x \le 4`` and the like as the interval they describe."""
    names = [isinstance(side, Symbol) and side.name not in ("pi", "e", "i", "infinity") for side in sides]
    if names.count(True) != 1 or any(op not in _FLIP for op in operators):
        return None
    at = names.index(True)
    low: tuple[Key, bool, bool] = (("poly", poly_key(scale(symbol("infinity"), Fraction(-1)))), False, True)
    high: tuple[Key, bool, bool] = (("poly", poly_key(symbol("infinity"))), False, True)
    if at > 1 or len(sides) - at > 2 or len({op[0] for op in operators}) > 1:
        return None
    units = ["", ""]
    if at == 1:
        bound = normal(sides[0])
        units[operators[0][0] == ">"] = bound.tags[0][1]
        if operators[0] in ("<", "<="):
            low = (bound.key, operators[0] == "<=", bound.complete)
        else:
            high = (bound.key, operators[0] == ">=", bound.complete)
    if at + 1 < len(sides):
        bound = normal(sides[at + 1])
        units[operators[at][0] == "<"] = bound.tags[0][1]
        if operators[at] in ("<", "<="):
            high = (bound.key, operators[at] == "<=", bound.complete)
        else:
            low = (bound.key, operators[at] == ">=", bound.complete)
    tags = tuple((getattr(sides[at], "name", ""), unit) for unit in units)
    if not low[1] and not high[1]:
        return Normal(("tuple", "(", ")", (low[0], high[0])), low[2] and high[2], tags)
    ends = ("closed" if low[1] else "open", "closed" if high[1] else "open")
    return Normal(("interval", *ends, (low[0], high[0])), low[2] and high[2], tags)


def _has_plus_minus(node: Node) -> bool:
    return isinstance(node, Apply) and (node.name in ("pm", "mp") or any(_has_plus_minus(arg) for arg in node.args))


def _all_signs(node: Apply) -> list[Node]:
    """Return the values of an expression with plus-minus signs: two, or four where two signs are independent.

    A minus-plus is the opposite of the plus-minus beside it, and so ties all of them together.
    """
    independent = _count(node, "pm") if not _count(node, "mp") else 1
    if independent != 2:
        return [_choose_sign(node, sign) for sign in (1, -1)]
    return [_choose_each(node, list(signs)) for signs in ((1, 1), (1, -1), (-1, 1), (-1, -1))]


def _count(node: Node, name: str) -> int:
    return (node.name == name) + sum(_count(arg, name) for arg in node.args) if isinstance(node, Apply) else 0


def _choose_each(node: Node, signs: list[int]) -> Node:
    """Replace each plus-minus by the next of the signs, from left to right."""
    if not isinstance(node, Apply):
        return node
    args = [_choose_each(arg, signs) for arg in node.args]
    if node.name != "pm":
        return Apply(node.name, tuple(args))
    return Apply("+", (args[0], args[1] if signs.pop(0) > 0 else Apply("neg", (args[1],))))


def _choose_sign(node: Node, sign: int) -> Node:
    if not isinstance(node, Apply):
        return node
    args = tuple(_choose_sign(arg, sign) for arg in node.args)
    if node.name not in ("pm", "mp"):
        return Apply(node.name, args)
    return Apply("+", (args[0], args[1] if (sign > 0) == (node.name == "pm") else Apply("neg", (args[1],))))
