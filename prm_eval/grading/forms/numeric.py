"""Numeric evaluation of trees, only to *disprove* equality and to choose the pairs that are worth sympy's time."""

from __future__ import annotations

import cmath
import math
import random
from collections.abc import Callable, Iterator, Mapping

from prm_eval.grading.reading.tree import Apply, Node, Number, Quantity, Symbol

CONSTANTS = {"pi": math.pi, "e": math.e, "i": 1j}
SEED = 7_919
POINTS = 6
BRANCHING_POINTS = 34  # every range twice: both signs, near and far, both parities
TRIES = 68
MAX_ODD_ROOT = 40  # a negative number has a real root of every odd index; up to this one they are taken
DIFFERENT = 1e-7  # relative; double precision leaves correct expressions of this size within 1e-9
TINY = 1e-6  # two values below this may be one zero and its rounding
RANGES = (
    (0.3, 2.7, ""), (-2.7, -0.3, ""), (0.05, 0.95, ""), (2, 9, "even"), (3, 9, "odd"), (3, 30, ""), (-30, -3, ""),
    (0.05, 0.95, ""),
    (-9, -3, "odd"), (-9, -2, "even"), (30, 300, ""), (0.05, 0.95, ""), (-300, -30, ""), (-2.7, 2.7, ""), (10, 40,
    "even"),
    (10, 40, "odd"), (-0.95, -0.05, ""),
)  # fmt: skip
SUSPECT = 1e-2  # a difference smaller than this may be cancellation: it is looked at with more digits


def _real(value: complex) -> float:
    if value.imag:
        raise ValueError("not real")
    return value.real


_FUNCTIONS: dict[str, Callable[[complex], complex]] = {
    "sin": cmath.sin, "cos": cmath.cos, "tan": cmath.tan, "sinh": cmath.sinh, "cosh": cmath.cosh, "tanh": cmath.tanh,
    "asin": cmath.asin, "acos": cmath.acos, "atan": cmath.atan, "exp": cmath.exp, "ln": cmath.log, "sqrt": cmath.sqrt,
    "asinh": cmath.asinh, "acosh": cmath.acosh, "atanh": cmath.atanh, "coth": lambda x: 1 / cmath.tanh(x),
    "sech": lambda x: 1 / cmath.cosh(x), "csch": lambda x: 1 / cmath.sinh(x),
    "acot": lambda x: math.pi / 2 - cmath.atan(x),
    "asec": lambda x: cmath.acos(1 / x), "acsc": lambda x: cmath.asin(1 / x),
    "sec": lambda x: 1 / cmath.cos(x), "csc": lambda x: 1 / cmath.sin(x), "cot": lambda x: cmath.cos(x) / cmath.sin(x),
    "neg": lambda x: -x, "abs": lambda x: complex(abs(x)),
    "floor": lambda x: complex(math.floor(_real(x))), "ceil": lambda x: complex(math.ceil(_real(x))),
}  # fmt: skip


class NoValueError(ValueError):
    """The tree has no number here: a domain error, an overflow, or a node that is not an expression."""


def letters(node: Node) -> set[str]:
    """Return the names that stand for unknowns."""
    if isinstance(node, Symbol):
        return set() if node.name in CONSTANTS else {node.name}
    if isinstance(node, Apply):
        return set().union(*(letters(arg) for arg in node.args))
    return letters(node.value) if isinstance(node, Quantity) else set()


def value_at(node: Node, at: Mapping[str, complex], real: bool = False) -> complex:
    """Return the value of an expression; with ``real``, every operation on real numbers must give a real one.

    Raises:
        NoValueError: There is no value.
    """
    try:
        value = _value_at(node, at, real)
    except (ArithmeticError, ValueError) as error:
        raise NoValueError(str(error)) from None
    if cmath.isnan(value) or cmath.isinf(value):
        raise NoValueError("not finite")
    return value


def branches(node: Node) -> bool:
    """Say whether a tree is made of pieces, so that points on all sides of every corner are needed."""
    if not isinstance(node, Apply):
        return False
    if node.name in ("abs", "max", "min", "floor", "ceil", "sqrt", "root"):
        return bool(letters(node))
    if node.name == "^" and (letters(node.args[1]) or isinstance(node.args[1], Apply) or _is_fraction(node.args[1])):
        return bool(letters(node))
    return any(branches(arg) for arg in node.args)


def _is_fraction(node: Node) -> bool:
    return isinstance(node, Number) and node.value.denominator != 1


def points_needed(one: Node, other: Node) -> int:
    """Return the number of points at which two expressions have to agree."""
    if not letters(one) | letters(other):
        return 1
    return BRANCHING_POINTS if branches(one) or branches(other) else POINTS


def points(one: Node, other: Node) -> Iterator[tuple[bool, dict[str, float]]]:
    """Yield the points to try, as (real, values of the letters); points for complex values come last.

    The values are of both signs, small, large, and whole of both parities, so |x| is not x, and (-1)^n is not -1.
    They have few digits, so that they are the same at every precision.
    """
    names = sorted(letters(one) | letters(other))
    generator = random.Random(SEED)  # noqa: S311  (no secret: the same points in every process)
    for real in (True, False):
        for attempt in range(TRIES if names else 1):
            # each letter goes through the ranges from a place of its own, so that signs are mixed
            yield (
                real,
                {
                    name: _draw(generator, *(RANGES[(attempt + 5 * i) % len(RANGES)] if real else RANGES[0]))
                    for i, name in enumerate(names)
                },
            )


def _draw(generator: random.Random, low: float, high: float, kind: str) -> float:
    value = generator.uniform(low, high)
    if not kind:
        return round(value, 6)
    whole = 2 * round(value / 2) if kind == "even" else 2 * round((value - 1) / 2) + 1
    return float(whole) if abs(whole) > 1 else (3.0 if kind == "odd" else 2.0)  # at 0 and 1 too much is equal


def surely_different(one: Node, other: Node) -> bool | None:
    """Return True if the two differ at a point, False if they agree at all points, None if it cannot be said.

    It cannot be said where they cannot be evaluated, or nearly agree. Points count where both are defined over the
    reals; points with complex values count only where there is no such point.
    """
    needed = points_needed(one, other)
    agreed = {True: 0, False: 0}
    for real, at in points(one, other):
        if agreed[True] >= needed or (not real and agreed[True]):
            break
        values = {name: complex(value) for name, value in at.items()}
        try:
            a, b = value_at(one, values, real), value_at(other, values, real)
        except NoValueError:
            continue
        gap = abs(a - b) / max(1e-300, abs(a), abs(b))
        if gap > DIFFERENT:
            return True if gap > SUSPECT and max(abs(a), abs(b)) > TINY else None
        agreed[real] += 1
        if agreed[real] >= needed:
            return False
    return False if agreed[True] else None


def _value_at(node: Node, at: Mapping[str, complex], real: bool) -> complex:
    if isinstance(node, Number):
        return complex(node.value.numerator / node.value.denominator)
    if isinstance(node, Symbol):
        if node.name in CONSTANTS:
            return CONSTANTS[node.name]
        if node.name not in at:
            raise ValueError(f"no value for {node.name}")
        return at[node.name]
    if not isinstance(node, Apply):
        raise ValueError("not an expression")
    args = [_value_at(arg, at, real) for arg in node.args]
    value = _apply(node.name, args)
    if real and value.imag and not any(arg.imag for arg in args) and abs(value.imag) > 1e-12 * abs(value):
        raise ValueError("not real")
    return value


def _apply(name: str, args: list[complex]) -> complex:
    if name in _FUNCTIONS and len(args) == 1:
        return _FUNCTIONS[name](args[0])
    if name == "+":
        return sum(args, 0j)
    if name == "*":
        return args[0] * args[1]
    if name == "/":
        return args[0] / args[1]
    if name == "^":
        return _power(*args)
    if name == "root":
        return _power(args[0], 1 / args[1])
    if name == "log":
        return cmath.log(args[0]) / (cmath.log(args[1]) if len(args) > 1 else math.log(10))
    if name == "!" and args[0].imag == 0 and 0 <= args[0].real <= 150:
        return complex(math.gamma(args[0].real + 1))
    if name in ("max", "min"):
        return complex((max if name == "max" else min)(_real(arg) for arg in args))
    raise ValueError(f"no numeric value for {name}")


def _power(base: complex, power: complex) -> complex:
    """Raise to a power; an odd root of a negative real number is real, as in school."""
    if base.imag == 0 and base.real < 0 and power.imag == 0 and power.real and round(power.real) != power.real:
        for index in range(3, MAX_ODD_ROOT, 2):
            top = power.real * index
            if abs(top - round(top)) < 1e-12 * index:
                size = (-base.real) ** power.real
                return complex(-size if round(top) % 2 else size)
    return complex(base**power)
