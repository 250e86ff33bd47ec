"""The builder of plans, operation by operation, from tables of facts that are small enough to be learnt completely.

Best-of-n finds the facts that a verifier has not learnt, because it prefers the rare wrong line that the verifier
cannot judge. So the generator uses no operation outside these tables (about 6,000 facts, of which a few hundred make up
most lines).
"""

from __future__ import annotations

from fractions import Fraction

from prm_eval.miniature.plan import Operand, Operation, Operator, Plan, Ref, evaluate, known

# products, squares and binomials that are added or subtracted
LARGE_TERMS = frozenset({10, 12, 15, 16, 20, 21, 25})
ADD_RANGE = range(-20, 51)  # the left operand of a sum or difference
TIMES_RANGE = range(-9, 10)
MOD_RANGE = range(3, 82)
MODULI = range(3, 10)
QUOTIENTS = range(-12, 13)
FRACTION_PARTS = range(1, 36)


class Reject(Exception):
    """A problem was drawn that needs a fact outside the tables."""


def admissible(operator: str, left: Fraction, right: Fraction) -> bool:
    """Say whether a line of a generated solution may state this operation."""
    if left.denominator != 1 or right.denominator != 1:
        return False
    a, b = left.numerator, right.numerator
    if operator in ("+", "-"):
        return a in ADD_RANGE and (1 <= abs(b) <= 9 or abs(b) in LARGE_TERMS)
    if operator == "*":
        return a in TIMES_RANGE and b in TIMES_RANGE and a != 0 and abs(b) >= 2
    if operator == "/":
        exact = b in MODULI or b == 2
        return (exact and a % b == 0 and a // b in QUOTIENTS) or (a in FRACTION_PARTS and b in FRACTION_PARTS and a < b)
    if operator == "%":
        return a in MOD_RANGE and b in MODULI and a >= b
    if operator == "^":
        return (b == 2 and (2 <= abs(a) <= 9)) or (b == 3 and 2 <= a <= 4)
    return 3 <= a <= 7 and 1 <= b < a


class Builder:
    """A builder of one plan, which refuses operations outside the tables."""

    def __init__(self) -> None:
        self.operations: list[Operation] = []
        self.values: list[Fraction] = []

    def apply(self, operator: Operator, left: Operand, right: Operand) -> Ref:
        """Add an operation and return a reference to its value.

        Raises:
            Reject: It is not :func:`admissible`.
        """
        a, b = known(left, self.values), known(right, self.values)
        if not admissible(operator, a, b):
            raise Reject
        value = evaluate(operator, a, b)
        if value is None:
            raise Reject
        self.operations.append(Operation(operator, left, right))
        self.values.append(value)
        return Ref(len(self.values) - 1)

    def value(self, operand: Operand) -> Fraction:
        """Return an operand's true value."""
        return known(operand, self.values)

    def plan(self, *answer: Ref) -> Plan:
        """Return the plan, with the given operations as its answer (by default the last)."""
        roots = tuple(ref.index for ref in answer) or (len(self.values) - 1,)
        return Plan(tuple(self.operations), roots)
