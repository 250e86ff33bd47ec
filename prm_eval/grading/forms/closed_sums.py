r"""Sums up to a letter in closed form: of polynomials in the index (Faulhaber), and of powers with it (geometric).

``\\sum_{k=1}^{n} k`` is ``n(n+1)/2``. Trees in, trees out; nothing else is attempted.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

from prm_eval.grading.reading.tree import Apply, Node, Number, Symbol

MAX_DEGREE = 6
Coefficients = dict[int, Node]


def closed_form(index: Symbol, low: Number, high: Node, body: Node) -> Node | None:
    """Return the sum of a body over an index from a whole number to an expression; None where no rule fits."""
    if low.value.denominator != 1 or _holds(high, index):
        return None
    powers = _geometric(body, index)
    if powers is not None:
        factor, ratio = powers
        one = Number(Fraction(1))
        top = Apply("+", (Apply("^", (ratio, Apply("+", (high, one)))), Apply("neg", (Apply("^", (ratio, low)),))))
        return Apply("*", (factor, Apply("/", (top, Apply("+", (ratio, Number(Fraction(-1))))))))
    coefficients = _polynomial(body, index)
    if coefficients is None:
        return None
    terms: list[Node] = []
    for degree, coefficient in coefficients.items():
        upper = _power_sum(degree, high)
        lower = _value(degree, low.value - 1)
        terms.append(Apply("*", (coefficient, Apply("+", (upper, Number(-lower))))))
    return Apply("+", tuple(terms)) if len(terms) > 1 else terms[0]


def _holds(node: Node, letter: Symbol) -> bool:
    return node == letter or (isinstance(node, Apply) and any(_holds(arg, letter) for arg in node.args))


def _geometric(body: Node, index: Symbol) -> tuple[Node, Node] | None:
    """Return c and r of ``c r^k``, where neither holds the index and r is not 1."""
    if isinstance(body, Apply) and body.name == "*":
        for one, other in (body.args, body.args[::-1]):
            inner = None if _holds(one, index) else _geometric(other, index)
            if inner is not None:
                return Apply("*", (one, inner[0])), inner[1]
        return None
    if isinstance(body, Apply) and body.name == "^" and body.args[1] == index and not _holds(body.args[0], index):
        return None if body.args[0] == Number(Fraction(1)) else (Number(Fraction(1)), body.args[0])
    return None


def _polynomial(body: Node, index: Symbol) -> Coefficients | None:
    """Return the coefficients of a polynomial in the index, by degree; None where it is none of a small degree."""
    if not _holds(body, index):
        return {0: body}
    if body == index:
        return {1: Number(Fraction(1))}
    if not isinstance(body, Apply):
        return None
    parts = [_polynomial(arg, index) for arg in body.args]
    if any(part is None for part in parts):
        return None
    known = [part for part in parts if part is not None]
    if body.name == "neg":
        return {degree: Apply("neg", (value,)) for degree, value in known[0].items()}
    if body.name == "+":
        total: Coefficients = {}
        for part in known:
            for degree, value in part.items():
                total[degree] = Apply("+", (total[degree], value)) if degree in total else value
        return total
    if body.name == "*":
        return _product(known)
    if body.name == "/" and set(known[1]) == {0}:
        return {degree: Apply("/", (value, known[1][0])) for degree, value in known[0].items()}
    if body.name == "^":
        power = body.args[1]
        if isinstance(power, Number) and power.value.denominator == 1 and 1 <= power.value <= MAX_DEGREE:
            return _product(known[:1] * int(power.value))
    return None


def _product(factors: Sequence[Coefficients]) -> Coefficients | None:
    result: Coefficients | None = factors[0]
    for factor in factors[1:]:
        result = None if result is None else _times(result, factor)
    return result


def _times(one: Coefficients, other: Coefficients) -> Coefficients | None:
    product: Coefficients = {}
    for a, left in one.items():
        for b, right in other.items():
            if a + b > MAX_DEGREE:
                return None
            term = Apply("*", (left, right))
            product[a + b] = Apply("+", (product[a + b], term)) if a + b in product else term
    return product


def _bernoulli(count: int) -> list[Fraction]:
    """Return the first Bernoulli numbers, with B_1 = 1/2."""
    numbers = [Fraction(1)]
    for m in range(1, count):
        numbers.append(-sum((math.comb(m + 1, k) * numbers[k] for k in range(m)), Fraction(0)) / (m + 1))
    return [-value if i == 1 else value for i, value in enumerate(numbers)]


def _faulhaber(degree: int) -> list[tuple[int, Fraction]]:
    """Return the polynomial of ``1^d + 2^d + ... + n^d`` as (power of n, coefficient)."""
    numbers = _bernoulli(degree + 1)
    return [(degree + 1 - j, Fraction(math.comb(degree + 1, j), degree + 1) * numbers[j]) for j in range(degree + 1)]


def _power_sum(degree: int, high: Node) -> Node:
    terms: list[Node] = [
        Apply("*", (Number(value), Apply("^", (high, Number(Fraction(power))))))
        for power, value in _faulhaber(degree)
        if value
    ]
    return Apply("+", tuple(terms)) if len(terms) > 1 else terms[0]


def _value(degree: int, at: Fraction) -> Fraction:
    return sum((value * at**power for power, value in _faulhaber(degree)), Fraction(0))
