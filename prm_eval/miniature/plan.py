r"""The plan of a miniature problem: a tree of small operations, its normal form, and the solution that follows it.

A plan is a list of operations in the order in which a solution states them, one a line::

    3 \cdot 3 = 9
    6 \cdot 4 = 24
    9 - 24 = -15
    \boxed{-15}

An operand is a number that the problem gives, or the value of an earlier operation. Every operation but those of the
answer is used exactly once, so a plan is a tree (or, where the answer is a tuple, one tree a component). It is in
post-order: the operations that an operation needs come just before it, those of the left operand first.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, TypeAlias

Operator: TypeAlias = Literal["+", "-", "*", "/", "^", "C", "%"]
COMMUTATIVE: frozenset[str] = frozenset({"+", "*"})
# No problem has a larger exponent than this; a line that states one has no value.
MAX_EXPONENT = 6
MAX_BINOMIAL = 100


@dataclass(frozen=True)
class Ref:
    """The value of the operation at ``index`` of the plan."""

    index: int


Operand: TypeAlias = "int | Ref"


@dataclass(frozen=True)
class Operation:
    """One line of work: an operator and its two operands."""

    operator: Operator
    left: Operand
    right: Operand


@dataclass(frozen=True)
class Plan:
    """The operations in order, and the indices of those whose values are the answer (several make a tuple)."""

    operations: tuple[Operation, ...]
    answer: tuple[int, ...]

    def values(self) -> tuple[Fraction, ...]:
        """Return the true value of every operation.

        Raises:
            ValueError: An operation has no value; this never happens in a generated plan.
        """
        found: list[Fraction] = []
        for operation in self.operations:
            value = evaluate(operation.operator, known(operation.left, found), known(operation.right, found))
            if value is None:
                raise ValueError(f"operation {len(found)} of the plan, {operation}, has no value")
            found.append(value)
        return tuple(found)

    @property
    def gold(self) -> str:
        """The answer, as LaTeX."""
        values = self.values()
        return render_answer([values[index] for index in self.answer])


def known(operand: Operand, values: Sequence[Fraction]) -> Fraction:
    """Return the value of an operand, given the values of the operations before it."""
    return values[operand.index] if isinstance(operand, Ref) else Fraction(operand)


def evaluate(operator: str, left: Fraction, right: Fraction) -> Fraction | None:
    """Return the value of an operation, or None where it has none (division by zero, a binomial of a fraction, ...)."""
    if operator == "+":
        return left + right
    if operator == "-":
        return left - right
    if operator == "*":
        return left * right
    if operator == "/":
        return left / right if right else None
    if left.denominator != 1 or right.denominator != 1:
        return None
    a, b = left.numerator, right.numerator
    if operator == "^":
        return Fraction(a**b) if 0 <= b <= MAX_EXPONENT else None
    if operator == "C":
        return Fraction(math.comb(a, b)) if 0 <= b <= a <= MAX_BINOMIAL else None
    if operator == "%":
        return Fraction(a % b) if b > 0 else None
    raise ValueError(f"operator {operator!r}; expected one of + - * / ^ C %")


def render_value(value: Fraction) -> str:
    r"""Return a number as LaTeX: ``-3``, ``\frac{2}{7}``, ``-\frac{2}{7}``."""
    if value.denominator == 1:
        return str(value.numerator)
    sign = "-" if value < 0 else ""
    return f"{sign}\\frac{{{abs(value.numerator)}}}{{{value.denominator}}}"


def render_answer(values: Sequence[Fraction]) -> str:
    """Return one value, or several as a tuple, as LaTeX."""
    parts = ", ".join(render_value(value) for value in values)
    return parts if len(values) == 1 else f"({parts})"


def render_expression(operator: str, left: Fraction, right: Fraction) -> str:
    """Return an operation on two numbers as LaTeX.

    A negative number behind an operator or under a power is in parentheses.
    """
    a, b = render_value(left), render_value(right)
    if operator == "/":
        return f"\\frac{{{a}}}{{{b}}}"
    if operator == "C":
        return f"\\binom{{{a}}}{{{b}}}"
    if operator == "^":
        return f"{f'({a})' if left < 0 else a}^{b if len(b) == 1 else f'{{{b}}}'}"
    sign = {"+": "+", "-": "-", "*": "\\cdot", "%": "\\bmod"}[operator]
    return f"{a} {sign} {f'({b})' if right < 0 else b}"


def render_step(operator: str, left: Fraction, right: Fraction, value: Fraction) -> str:
    """Return the line that states an operation and its value."""
    return f"{render_expression(operator, left, right)} = {render_value(value)}"


def render_box(values: Sequence[Fraction]) -> str:
    """Return the last line of a solution."""
    return f"\\boxed{{{render_answer(values)}}}"


def solve(plan: Plan) -> tuple[str, ...]:
    """Return the solution's lines: every operation in order, then the boxed answer."""
    values = plan.values()
    lines = [
        render_step(each.operator, known(each.left, values), known(each.right, values), value)
        for each, value in zip(plan.operations, values, strict=True)
    ]
    return (*lines, render_box([values[index] for index in plan.answer]))


def normal_form(plan: Plan) -> str:
    """Return a text that is the same for all plans that differ only in order and grouping of sums and products.

    Subject and wording are not part of it: a dot product and the same sum of products as an expression are one problem,
    because one solution answers both.
    """
    return "; ".join(_form(plan, Ref(index)) for index in plan.answer)


def _form(plan: Plan, operand: Operand) -> str:
    if not isinstance(operand, Ref):
        return str(operand)
    operation = plan.operations[operand.index]
    if operation.operator in ("+", "-"):
        return "(" + " ".join(sorted(_terms(plan, operand, 1))) + ")"
    if operation.operator == "*":
        return "[" + " ".join(sorted(_factors(plan, operand))) + "]"
    return f"{operation.operator}<{_form(plan, operation.left)} {_form(plan, operation.right)}>"


def _terms(plan: Plan, operand: Operand, sign: int) -> list[str]:
    """Return the signed terms of a sum, however it is grouped; the sign of a number is part of the number."""
    if not isinstance(operand, Ref):
        return [f"{sign * operand:+d}"]
    operation = plan.operations[operand.index]
    if operation.operator not in ("+", "-"):
        return [("+" if sign > 0 else "-") + _form(plan, operand)]
    right = sign if operation.operator == "+" else -sign
    return _terms(plan, operation.left, sign) + _terms(plan, operation.right, right)


def _factors(plan: Plan, operand: Operand) -> list[str]:
    if isinstance(operand, Ref) and plan.operations[operand.index].operator == "*":
        operation = plan.operations[operand.index]
        return _factors(plan, operation.left) + _factors(plan, operation.right)
    return [_form(plan, operand)]
