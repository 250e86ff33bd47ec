"""Exact normal forms: two trees with equal keys are equal; two *complete* keys that differ are different.

A number or expression becomes a polynomial with rational coefficients over atoms: letters, pi, e, i, square roots of primes,
and, for whatever has no exact form here (functions, other roots, sums in denominators), opaque atoms named by their own key.
A form without opaque atoms is complete: its atoms are independent, so different polynomials are different values.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

from prm_eval.grading.polynomials import (
    MAX_BITS,
    MAX_FACTORIAL,
    MAX_POWER,
    Key,
    NoFormError,
    Poly,
    add,
    as_constant,
    constant,
    integer_root,
    multiply,
    poly_key,
    reduce,
    scale,
    square_root,
    symbol,
)
from prm_eval.grading.tree import Apply, Bracket, Matrix, Node, Number, Quantity, Relation, Symbol, Words

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
    if isinstance(node, Words):
        return Normal(("words", node.text), True, (("", unit),))
    if isinstance(node, Bracket):
        return _bracket(node)
    if isinstance(node, Matrix):
        return _matrix(node)
    if isinstance(node, Relation):
        return _relation(node)
    if isinstance(node, Apply) and node.name in ("cup", "cap", "setminus"):
        return _union(node)
    if isinstance(node, Apply) and _has_plus_minus(node):
        return _collection([normal(_choose_sign(node, sign)) for sign in (1, -1)], unit)
    form = _Former()
    poly = form.poly(node)
    return Normal(("poly", poly_key(poly)), not form.opaque, (("", unit),))


ALL_REALS = ("all real numbers", "all reals", "real numbers", "all real values")


def _bracket(node: Bracket) -> Normal:
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
    if len(parts) == 1:
        return parts[0]
    parts = sorted(parts, key=lambda part: repr((part.key, part.tags)))
    tags = tuple((name, own or unit) for name, own in _tags(parts))
    return Normal(("collection", tuple(part.key for part in parts)), all(part.complete for part in parts), tags)


def _singles(part: Normal) -> list[Normal]:
    """Return the items of a collection of single values, anything else as it is."""
    if part.key[0] != "collection" or len(part.tags) != len(part.key[1]):
        return [part]
    return [Normal(key, part.complete, (tag,)) for key, tag in zip(part.key[1], part.tags, strict=True)]


def _inequalities(parts: list[Normal], word: str) -> Normal:
    """Return the form of several inequalities: "or" makes a union of them, "and" an intersection, a comma neither."""
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
    left, right = (normal(arg) for arg in node.args)
    if node.name == "setminus":  # neither commutative nor associative
        return Normal(("sets", node.name, (left.key, right.key)), False, _tags((left, right)))
    parts = [
        part for side in (left, right) for part in (side.key[2] if side.key[:2] == ("sets", node.name) else (side.key,))
    ]
    return Normal(("sets", node.name, tuple(sorted(parts, key=repr))), False, _tags((left, right)))


def _relation(node: Relation) -> Normal:
    operators, sides = node.operators, node.sides
    if operators == ("in",) and isinstance(sides[0], Symbol):
        return normal(sides[1])
    if operators == ("=",):
        if _is_name(sides[0]):
            return _named(sides[0], normal(sides[1]))  # x = 5 is 5, f(x) = x + 1 is x + 1
        if isinstance(sides[1], Symbol) and _is_name(sides[1]) and not isinstance(sides[0], Apply):
            return _named(sides[1], normal(sides[0]))  # 5 = x
    if set(operators) == {"="}:
        values = [normal(side) for side in sides if not _is_name(side)]
        if values and all(value.key == values[0].key and value.complete for value in values):
            return values[0]  # 30 - 16 = 14 and x = y = 2 name one value; a false chain names none
    if operators == ("=",):
        return _equation(sides[0], sides[1])
    interval = _as_interval(operators, sides)
    if interval is not None:
        return interval
    parts = [normal(side) for side in sides]
    return Normal(("relation", operators, tuple(part.key for part in parts)), False, _tags(parts))


def _named(name: Node, value: Normal) -> Normal:
    """Keep with a value the letter that it is said to be; with a tuple, one letter an item."""
    if isinstance(name, Symbol):
        return Normal(value.key, value.complete, tuple((name.name, unit) for _, unit in value.tags))
    if isinstance(name, Bracket) and len(name.items) == len(value.tags):
        names = [item.name if isinstance(item, Symbol) else "" for item in name.items]
        return Normal(
            value.key, value.complete, tuple((each, tag[1]) for each, tag in zip(names, value.tags, strict=True))
        )
    return value


_INFINITE = tuple(("poly", poly_key({(("infinity", 1),): Fraction(sign)})) for sign in (-1, 1))


def _is_name(node: Node) -> bool:
    """Say whether a left side only names what is on the right: a letter, f(x), or a tuple of letters."""
    if isinstance(node, Symbol):
        return node.name not in ("pi", "e", "infinity")
    if isinstance(node, Bracket):
        return bool(node.items) and all(isinstance(item, Symbol) for item in node.items)
    if isinstance(node, Apply) and node.name == "*" and len(node.args) == 2:
        function, argument = node.args
        return (
            isinstance(function, Symbol)
            and function.name in tuple("fghpqFGPQ")
            and isinstance(argument, (Symbol, Number))
        )
    return False


def _equation(left: Node, right: Node) -> Normal:
    """Return an equation as left - right, up to a non-zero rational factor."""
    form = _Former()
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
    return isinstance(node, Apply) and (node.name == "pm" or any(_has_plus_minus(arg) for arg in node.args))


def _is_infinite(node: Node) -> bool:
    if isinstance(node, Apply) and node.name == "neg":
        return _is_infinite(node.args[0])
    return isinstance(node, Symbol) and node.name == "infinity"


def _is_structure(node: Node) -> bool:
    if isinstance(node, Apply) and node.name in ("neg", "*", "+"):
        return any(_is_structure(arg) for arg in node.args)
    return isinstance(node, (Bracket, Matrix, Relation)) or (
        isinstance(node, Apply) and node.name in ("cup", "cap", "setminus")
    )


def _choose_sign(node: Node, sign: int) -> Node:
    if not isinstance(node, Apply):
        return node
    args = tuple(_choose_sign(arg, sign) for arg in node.args)
    if node.name != "pm":
        return Apply(node.name, args)
    return Apply("+", (args[0], args[1] if sign > 0 else Apply("neg", (args[1],))))


class _Former:
    """Builds polynomials; remembers whether an opaque atom was needed."""

    def __init__(self) -> None:
        self.opaque = False

    def poly(self, node: Node) -> Poly:
        if isinstance(node, Number):
            return constant(node.value)
        if isinstance(node, Symbol):
            return symbol(node.name)
        if isinstance(node, Quantity):
            return self._atom(("quantity", poly_key(self.poly(node.value)), node.unit))
        if not isinstance(node, Apply):
            part = normal(node)
            return self._atom(part.key)
        return self._apply(node)

    def _apply(self, node: Apply) -> Poly:
        name = node.name
        structures = sum(_is_structure(arg) for arg in node.args)
        if name != "neg" and any(_is_infinite(arg) for arg in node.args):
            raise NoFormError("arithmetic with infinity")
        if structures > (name != "^") and name in ("+", "*", "/", "^"):  # their laws are not those of numbers
            raise NoFormError("arithmetic with tuples, sets or matrices")
        if name == "+":
            total: Poly = {}
            for arg in node.args:
                total = add(total, self.poly(arg))
            return total
        if name == "neg":
            return scale(self.poly(node.args[0]), Fraction(-1))
        if name == "*":
            product = multiply(self.poly(node.args[0]), self.poly(node.args[1]))
            if structures and not product:
                raise NoFormError("zero times a tuple, set or matrix")
            return product
        if name == "/":
            return self._divide(self.poly(node.args[0]), self.poly(node.args[1]))
        if name == "^":
            return self._power(node)
        if name == "sqrt":
            return self._root(self.poly(node.args[0]), 2)
        if name == "root":
            index = as_constant(self.poly(node.args[1]))
            if index is not None and index.denominator == 1 and 2 <= index <= MAX_POWER:
                return self._root(self.poly(node.args[0]), int(index))
        if name in ("!", "binom"):
            exact = self._combinatorial(name, [as_constant(self.poly(arg)) for arg in node.args])
            if exact is not None:
                return exact
        return self._atom((name, *(poly_key(self.poly(arg)) for arg in node.args)))

    def _combinatorial(self, name: str, args: list[Fraction | None]) -> Poly | None:
        import math

        numbers = [int(arg) for arg in args if arg is not None and arg.denominator == 1 and 0 <= arg <= MAX_FACTORIAL]
        if len(numbers) != len(args):
            return None
        return constant(Fraction(math.factorial(numbers[0]) if name == "!" else math.comb(numbers[0], numbers[1])))

    def _atom(self, key: Key) -> Poly:
        self.opaque = True
        # a digest: the name of an atom within atoms would otherwise double in length at every level
        return {(("#" + hashlib.sha256(repr(key).encode()).hexdigest()[:40], 1),): Fraction(1)}

    def _divide(self, top: Poly, bottom: Poly) -> Poly:
        if not bottom:
            raise NoFormError("a division by zero")
        if len(bottom) == 1:
            ((monomial, value),) = bottom.items()
            return multiply(top, reduce({tuple((atom, -power) for atom, power in monomial): 1 / value}))
        lead = bottom[min(bottom)]
        return multiply(top, scale(self._atom(("inverse", poly_key(scale(bottom, 1 / lead)))), 1 / lead))

    def _power(self, node: Apply) -> Poly:
        base, power = self.poly(node.args[0]), as_constant(self.poly(node.args[1]))
        if power is None or abs(power) > MAX_BITS:
            return self._atom(("^", poly_key(base), poly_key(self.poly(node.args[1]))))
        if power.denominator != 1:
            return self._integer_power(self._root(base, power.denominator), power.numerator)
        return self._integer_power(base, int(power))

    def _integer_power(self, base: Poly, power: int) -> Poly:
        if not base and power <= 0:
            raise NoFormError("zero to a power that is not positive")
        if power < 0:
            return self._divide(constant(Fraction(1)), self._integer_power(base, -power))
        if len(base) == 1:
            ((monomial, value),) = base.items()
            bits = max(value.numerator.bit_length(), value.denominator.bit_length())
            if bits > 1 and power * bits > MAX_BITS:
                return self._atom(("^", poly_key(base), power))
            return reduce({tuple((atom, each * power) for atom, each in monomial): value**power})
        if power > MAX_POWER:
            return self._atom(("^", poly_key(base), power))
        result = constant(Fraction(1))
        for _ in range(power):
            result = multiply(result, base)
        return result

    def _root(self, radicand: Poly, index: int) -> Poly:
        """Take a root: exact for rationals (square roots become products of square roots of primes), else opaque."""
        if not radicand:
            return {}
        value = as_constant(radicand)
        if value is not None and index == 2:
            exact = square_root(value)
            if exact is not None:
                return exact
        if value is not None and index % 2 == 1:
            top, bottom = integer_root(abs(value.numerator), index), integer_root(value.denominator, index)
            if top is not None and bottom is not None:
                return constant(Fraction(top if value > 0 else -top, bottom))
        return self._atom(("root", poly_key(radicand), index))
