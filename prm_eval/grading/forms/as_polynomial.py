"""Expressions as polynomials over atoms; an expression without an exact form here becomes an opaque atom."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from fractions import Fraction

from prm_eval.grading.forms.polynomials import (
    MAX_BITS,
    MAX_FACTORIAL,
    MAX_POWER,
    Key,
    NoFormError,
    Poly,
    TooLargeError,
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
from prm_eval.grading.reading.tree import Apply, Bracket, Matrix, Node, Number, Quantity, Relation, Symbol

MAX_WORK = 30_000  # products of terms
MAX_FALLING = 8  # binom(n, k) of a letter n is spelt out up to this k


def _is_infinite(node: Node) -> bool:
    if isinstance(node, Apply) and node.name == "neg":
        return _is_infinite(node.args[0])
    return isinstance(node, Symbol) and node.name == "infinity"


def _is_structure(node: Node) -> bool:
    if isinstance(node, Apply) and node.name in ("neg", "*", "+"):
        return any(_is_structure(arg) for arg in node.args)
    return isinstance(node, (Bracket, Matrix, Relation)) or (
        isinstance(node, Apply) and node.name in ("cup", "cap", "setminus", "union", "builder")
    )


class Former:
    """A builder of polynomials that remembers whether an opaque atom was needed.

    Args:
        other: Returns the key of a tree that is not an expression: a tuple, a matrix, words.
    """

    def __init__(self, other: Callable[[Node], Key]) -> None:
        self.opaque = False
        self._other = other
        self._work = 0

    def poly(self, node: Node) -> Poly:
        """Return an expression as a polynomial.

        Raises:
            NoFormError: It has no form, or one that is too large.
        """
        if isinstance(node, Number):
            return constant(node.value)
        if isinstance(node, Symbol):
            return symbol(node.name)
        if isinstance(node, Quantity):
            return self._atom(("quantity", poly_key(self.poly(node.value)), node.unit))
        if not isinstance(node, Apply):
            return self._atom(self._other(node))
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
            product = self._multiply(self.poly(node.args[0]), self.poly(node.args[1]))
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
        args = [self.poly(arg) for arg in node.args]  # once: nested functions would double the work at every level
        exact: Poly | None = None
        if name in ("gcd", "lcm", "max", "min", "floor", "ceil", "abs"):
            exact = self._of_numbers(name, [as_constant(arg) for arg in args])
        elif name in ("!", "binom"):
            exact = self._combinatorial(name, args)
        if exact is not None:
            return exact
        keys = [poly_key(arg) for arg in args]
        return self._atom((name, *(sorted(keys, key=repr) if name in ("max", "min", "gcd", "lcm") else keys)))

    @staticmethod
    def _of_numbers(name: str, values: list[Fraction | None]) -> Poly | None:
        """Return the values of these functions at rational numbers."""
        numbers = [value for value in values if value is not None]
        if len(numbers) != len(values) or not numbers:
            return None
        if name in ("floor", "ceil", "abs"):
            one = numbers[0]
            return constant(
                {"floor": Fraction(math.floor(one)), "ceil": Fraction(math.ceil(one)), "abs": abs(one)}[name]
            )
        if name in ("max", "min"):
            return constant(max(numbers) if name == "max" else min(numbers))
        if any(number.denominator != 1 for number in numbers):
            return None
        return constant(Fraction((math.gcd if name == "gcd" else math.lcm)(*(int(number) for number in numbers))))

    def _combinatorial(self, name: str, args: list[Poly]) -> Poly | None:
        """Work out a factorial or binomial of whole numbers, and binom(n, k) of a letter n and a small whole k."""
        values = [as_constant(arg) for arg in args]
        numbers = [int(arg) for arg in values if arg is not None and arg.denominator == 1 and 0 <= arg <= MAX_FACTORIAL]
        if len(numbers) == len(args):
            return constant(Fraction(math.factorial(numbers[0]) if name == "!" else math.comb(numbers[0], numbers[1])))
        if name == "!" or len(numbers) != 1 or values[1] is None or numbers[0] > MAX_FALLING:
            return None
        product = constant(Fraction(1, math.factorial(numbers[0])))
        for i in range(numbers[0]):
            product = self._multiply(product, add(args[0], constant(Fraction(-i))))
        return product

    def _multiply(self, one: Poly, other: Poly) -> Poly:
        """Return the product, within the work that one normal form may take.

        Raises:
            TooLargeError: The work is used up.
        """
        self._work += len(one) * len(other)
        if self._work > MAX_WORK:
            raise TooLargeError("too many products of terms")
        return multiply(one, other)

    def _atom(self, key: Key) -> Poly:
        self.opaque = True
        # a digest: the name of an atom within atoms would otherwise double in length at every level
        return {(("#" + hashlib.sha256(repr(key).encode()).hexdigest()[:40], 1),): Fraction(1)}

    def _divide(self, top: Poly, bottom: Poly) -> Poly:
        if not bottom:
            raise NoFormError("a division by zero")
        if len(bottom) == 1:
            ((monomial, value),) = bottom.items()
            return self._multiply(top, reduce({tuple((atom, -power) for atom, power in monomial): 1 / value}))
        lead = bottom[min(bottom)]
        return self._multiply(top, scale(self._atom(("inverse", poly_key(scale(bottom, 1 / lead)))), 1 / lead))

    def _power(self, node: Apply) -> Poly:
        base, exponent = self.poly(node.args[0]), self.poly(node.args[1])
        power = as_constant(exponent)
        if power is None or abs(power) > MAX_BITS:
            return self._atom(("^", poly_key(base), poly_key(exponent)))
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
            result = self._multiply(result, base)
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
