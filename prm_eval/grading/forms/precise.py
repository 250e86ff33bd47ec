"""Equality by evaluation at rising precision.

Two values that agree to 20 digits at 30, 50 at 60 and 240 at 250, are one value. This is not a tolerance: every digit
of working precision has to bring one more digit of agreement, relative to the value, at several seeded points. Two
different closed forms of a few hundred signs do not do that. Whether a value is zero is never decided here.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Literal

from prm_eval.grading.forms.numeric import (
    CONSTANTS,
    MAX_ODD_ROOT,
    POINTS,
    NoValueError,
    letters,
    points,
    points_needed,
    value_at,
)
from prm_eval.grading.reading.tree import Apply, Node, Number, Symbol

DIGITS = (30, 60, 250)  # the last only where the first two agree, and more where a tree has larger numbers
MAX_DIGITS = 1_500
GUARD = 10  # digits that rounding on the way may cost
MAX_LOG = 500.0  # powers and exponentials beyond e^this are not evaluated
MAX_ARGUMENT = 1e12  # of a trigonometric function
MAX_FACTORIAL = 2_000
NARROWER = 0.2  # share of the points where only the first expression is defined


Verdict = Literal["equal", "different", "narrower", "unknown", "zero"]


def agree(one: Node, other: Node) -> Verdict:
    """Compare two expressions by evaluation at rising precision. Never raises.

    The verdict ``narrower`` means that they are equal where both are defined, but that the second is often undefined
    where the first is defined: ``ln x`` does not stand for ``ln |x|``. The work is bounded by the size of the trees.
    """
    needed = points_needed(one, other)
    found = missed = 0
    for real, at in points(one, other):
        if found >= needed or (not real and found):
            break
        try:
            _value(one, at, real, DIGITS[0])
        except NoValueError:
            continue
        try:
            verdict = _agree_at_all(one, other, at, real)
        except NoValueError:
            missed += real
            continue
        if verdict == "zero":
            continue  # two zeros, as of floors, say little
        if verdict != "equal":
            return verdict
        found += 1
    if found < min(needed, POINTS):
        return "unknown"
    # more with several letters, whose signs are mixed: sqrt(ab) for sqrt(a) sqrt(b)
    often = NARROWER if len(letters(one) | letters(other)) == 1 else 0.3
    return "narrower" if missed > often * (found + missed) else "equal"


def constant_ratio(one: Node, other: Node) -> bool | None:
    """Say whether one expression is a non-zero constant times the other, as for two forms of one equation."""
    ratios: list[Any] = []
    needed = points_needed(one, other) + 1
    for real, at in points(one, other):
        if not real or len(ratios) >= needed:
            break
        try:
            a, b = (_value(node, at, real, DIGITS[0]) for node in (one, other))
        except NoValueError:
            continue
        if abs(b) < 1e-12 or abs(a) < 1e-12:
            continue
        ratios.append(a / b)
    if len(ratios) < POINTS:
        return None
    return all(abs(ratio - ratios[0]) <= abs(ratios[0]) * 10.0 ** (GUARD - DIGITS[0]) for ratio in ratios)


def _agree_at_all(one: Node, other: Node, at: dict[str, float], real: bool) -> Verdict:
    wanted = GUARD + 50 + _size(one) + _size(other)
    if wanted > MAX_DIGITS:
        return "unknown"
    for digits in (*DIGITS[:-1], max(DIGITS[-1], int(wanted))):
        verdict = _agree_at(one, other, at, real, digits)
        if verdict != "equal":
            return verdict
    return "equal"


def _size(node: Node) -> float:
    """Return roughly the digits of the numbers in a tree: two values may begin to differ that far behind the point."""
    if isinstance(node, Number):
        return 0.302 * max(node.value.numerator.bit_length(), node.value.denominator.bit_length())
    if not isinstance(node, Apply):
        return 0
    sizes = sum(_size(arg) for arg in node.args)
    last = node.args[-1]
    if node.name in _FLAT:  # tanh 1000 differs from 1 in its 869th digit, and cos of 10^-130 in its 260th
        return 2 * sizes + 2 * _LOG_E * _magnitude(node.args[0])
    if node.name == "^" and node.args[0] == Symbol("e"):
        return sizes + _LOG_E * _magnitude(last)
    if node.name == "^" and isinstance(last, Number):
        return sizes + min(float(abs(last.value)), 1e6) * max(1.0, _size(node.args[0]))
    if node.name == "!" and isinstance(last, Number) and last.value > 1:
        return sizes + min(float(last.value), 1e6) * 3
    return sizes


_LOG_E = 0.4343
_FLAT = frozenset(
    "sin cos tan cot sec csc asin acos atan acot asec acsc sinh cosh tanh coth sech csch asinh acosh atanh".split()
)


def _magnitude(node: Node) -> float:
    """Return the rough size of a number without letters, at most a million; 0 where it has no value."""
    try:
        return min(abs(value_at(node, {}, real=True)), 1e6)
    except NoValueError:
        return 0.0


def _agree_at(one: Node, other: Node, at: dict[str, float], real: bool, digits: int) -> Verdict:
    a, b = _value(one, at, real, digits), _value(other, at, real, digits)
    size = max(abs(a), abs(b))
    if not size:
        return "zero"
    if size < 10.0 ** max(GUARD - digits, -50):
        return "unknown"  # as good as zero at this precision
    if abs(a - b) <= size * mp_power(GUARD - digits):
        return "equal"
    return "different" if abs(a - b) > size * mp_power(2 * GUARD - digits) else "unknown"


_LOCAL = threading.local()


def _context() -> Any:
    """Return this thread's own context, because other threads could change the precision of mpmath's global one."""
    if not hasattr(_LOCAL, "context"):
        import mpmath

        _LOCAL.context = mpmath.MPContext()
    return _LOCAL.context


def mp_power(exponent: int) -> Any:
    """Return a power of ten that a double could not hold."""
    return _context().mpf(10) ** exponent


def _value(node: Node, at: dict[str, float], real: bool, digits: int) -> Any:
    import mpmath

    context = _context()
    with context.workdps(digits + GUARD):
        try:
            value = _Evaluator(context, at, real)(node)
        except (ArithmeticError, ValueError, TypeError, NotImplementedError, mpmath.libmp.NoConvergence) as error:
            raise NoValueError(str(error)) from None
        if not context.isfinite(value):
            raise NoValueError("not finite")
        return value


class _Evaluator:
    """An evaluator of trees in one context; with ``real``, every operation on real numbers must give a real one."""

    def __init__(self, context: Any, at: dict[str, float], real: bool) -> None:
        self.mp, self.at, self.real = context, at, real

    def __call__(self, node: Node) -> Any:
        if isinstance(node, Number):
            return self.mp.mpf(node.value.numerator) / node.value.denominator
        if isinstance(node, Symbol):
            if node.name in CONSTANTS:
                return {"pi": +self.mp.pi, "e": +self.mp.e, "i": self.mp.mpc(0, 1)}[node.name]
            if node.name not in self.at:
                raise ValueError(f"no value for {node.name}")
            return self.mp.mpf(str(self.at[node.name]))
        if not isinstance(node, Apply):
            raise TypeError("not an expression")
        args = [self(arg) for arg in node.args]
        value = self._apply(node.name, args)
        imaginary = abs(self.mp.im(value))
        if self.real and imaginary and not any(self.mp.im(arg) for arg in args):
            if imaginary > abs(value) * self.mp.mpf(10) ** (GUARD - self.mp.dps):
                raise ValueError("not real")
            value = self.mp.re(value)
        return value

    def _apply(self, name: str, args: list[Any]) -> Any:
        mp, x = self.mp, args[0]
        if name == "+":
            return mp.fsum(args)
        if name == "neg":
            return -x
        if name == "*":
            return x * args[1]
        if name == "/":
            return x / args[1]
        if name in ("^", "root"):
            return self._power(x, args[1] if name == "^" else 1 / args[1])
        if name == "log":
            return mp.log(x) / mp.log(args[1] if len(args) > 1 else 10)
        if name == "!" and not mp.im(x) and 0 <= x <= MAX_FACTORIAL:
            return mp.gamma(x + 1)
        if name == "binom" and not any(mp.im(arg) for arg in args) and all(0 <= arg <= MAX_FACTORIAL for arg in args):
            return mp.binomial(*args)
        if name in ("max", "min") and not any(mp.im(arg) for arg in args):
            return (max if name == "max" else min)(mp.re(arg) for arg in args)
        if name in _FUNCTIONS and len(args) == 1:
            if abs(x) > MAX_ARGUMENT and name not in ("ln", "sqrt", "abs"):
                raise ValueError("an argument that is too large")
            return _FUNCTIONS[name](mp)(x)
        raise ValueError(f"no value for {name}")

    def _power(self, base: Any, power: Any) -> Any:
        """Raise to a power; an odd root of a negative real number is real, as in school."""
        mp = self.mp
        if base and abs(mp.re(power * mp.log(base))) > MAX_LOG:
            raise ValueError("a power that is too large")
        if not mp.im(base) and mp.re(base) < 0 and not mp.im(power) and not mp.isint(power):
            for index in range(3, MAX_ODD_ROOT, 2):
                top = mp.re(power) * index
                if abs(top - mp.nint(top)) < mp.mpf(10) ** (GUARD - mp.dps):
                    size = (-mp.re(base)) ** mp.re(power)
                    return -size if int(mp.nint(top)) % 2 else size
        return base**power


_FUNCTIONS: dict[str, Callable[[Any], Callable[[Any], Any]]] = {
    "sin": lambda mp: mp.sin, "cos": lambda mp: mp.cos, "tan": lambda mp: mp.tan, "cot": lambda mp: mp.cot,
    "sec": lambda mp: mp.sec, "csc": lambda mp: mp.csc, "asin": lambda mp: mp.asin, "acos": lambda mp: mp.acos,
    "atan": lambda mp: mp.atan, "acot": lambda mp: lambda x: mp.pi / 2 - mp.atan(x), "asec": lambda mp: mp.asec,
    "acsc": lambda mp: mp.acsc, "sinh": lambda mp: mp.sinh, "cosh": lambda mp: mp.cosh, "tanh": lambda mp: mp.tanh,
    "coth": lambda mp: mp.coth, "sech": lambda mp: mp.sech, "csch": lambda mp: mp.csch, "asinh": lambda mp: mp.asinh,
    "acosh": lambda mp: mp.acosh, "atanh": lambda mp: mp.atanh, "ln": lambda mp: mp.log, "sqrt": lambda mp: mp.sqrt,
    "abs": lambda mp: abs, "floor": lambda mp: mp.floor, "ceil": lambda mp: mp.ceil,
}  # fmt: skip
