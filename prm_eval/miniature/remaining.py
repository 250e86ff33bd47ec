"""The work of a problem that is left to do while a text works on it.

The problem is held as a reader sees it: a sum is a list of terms with signs and a product a list of factors, so both
may be worked out in any order and grouping. Parentheses behind a minus are a term of their own. Everything else is an
operation on two operands.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import TypeAlias

from prm_eval.miniature.plan import Operand, Plan, Ref

Part: TypeAlias = "Fraction | _Work"
# some work, and the indices of two known terms of it that may be worked out together
_Place: TypeAlias = "tuple[_Work, int, int]"
# a problem has an operation twice or three times at most, so this is never reached by a text that means it well
MOST_ALTERNATIVES = 64


class Remaining:
    """A plan whose values a text states one after the other.

    A line may fit several places, where an operation occurs twice with the same operands. Which of them was meant stays
    open until a later line fits only some of them: what is left is a list of alternatives, of which a line needs one.
    """

    def __init__(self, plan: Plan) -> None:
        self._alternatives: list[list[Part]] = [[_part(plan, Ref(index)) for index in plan.answer]]

    def has_answer(self, values: Sequence[Fraction]) -> bool:
        """Say whether nothing is left to do and the components of the answer are these values, as stated."""
        return any(tuple(map(_known, roots)) == tuple(values) for roots in self._alternatives)

    def state(self, operator: str, left: Fraction, right: Fraction, value: Fraction) -> bool:
        """Put a value in the place of the work that a line states, wherever it can stand, and return True.

        Where there is no such work this returns False and changes nothing.
        """
        found: dict[object, list[Part]] = {}
        fitting = [
            (roots, place, said)
            for roots in self._alternatives
            for place in _places(roots)
            if (said := place[0].says(operator, left, right, *place[1:]))
        ]
        if len(fitting) == 1:
            roots, (work, i, j), said = fitting[0]
            work.replace(i, j, said * value)
            self._alternatives = [roots]
            return True
        for roots, place, said in fitting:
            new = _with(roots, place, said * value)
            found.setdefault(tuple(map(_form, new)), new)
        self._alternatives = list(found.values())[:MOST_ALTERNATIVES] or self._alternatives
        return bool(found)

    def state_any(self, value: Fraction) -> None:
        """Put a value in the place of the first work that could be done, if there is any."""
        for roots in self._alternatives:
            for work, i, j in _places(roots):
                work.replace(i, j, value * work.terms[i][0])
                break


def _places(roots: Sequence[Part]) -> Iterator[_Place]:
    for root in roots:
        if isinstance(root, _Work):
            yield from root.places()


def _with(roots: Sequence[Part], place: _Place, signed: Fraction) -> list[Part]:
    """Return a copy of some work with a value in a place."""
    work, i, j = place
    copies: dict[int, _Work] = {}
    new = [_copy(root, copies) for root in roots]
    copies[id(work)].replace(i, j, signed)
    return new


def _copy(part: Part, copies: dict[int, _Work]) -> Part:
    if not isinstance(part, _Work):
        return part
    found = _Work(part.operator, [(sign, _copy(each, copies)) for sign, each in part.terms])
    found.value = part.value
    copies[id(part)] = found
    return found


def _form(part: Part) -> object:
    """Return what is equal for work that is left in the same state."""
    value = _known(part)
    if value is not None or not isinstance(part, _Work):
        return value
    return part.operator, tuple((sign, _form(each)) for sign, each in part.terms)


class _Work:
    """A sum ("+"), a product ("*"), or an operation on two operands.

    ``value`` is the value that was stated for it; it is None until no work is left.
    """

    def __init__(self, operator: str, terms: list[tuple[int, Part]]) -> None:
        self.operator, self.terms = operator, terms
        self.value: Fraction | None = None

    def places(self) -> Iterator[_Place]:
        """Yield the pairs of known terms in the order of the solution."""
        if self.value is not None:
            return
        for j, (_, part) in enumerate(self.terms):
            if isinstance(part, _Work):
                yield from part.places()
            if _known(part) is not None:
                yield from ((self, i, j) for i in range(j) if _known(self.terms[i][1]) is not None)

    def says(self, operator: str, left: Fraction, right: Fraction, i: int, j: int) -> int:
        """Return 1 where a line works out terms i and j, -1 where it works out their negative, else 0.

        The negative is worked out where both terms are subtracted and the line adds them.
        """
        (sign_i, part_i), (sign_j, part_j) = self.terms[i], self.terms[j]
        a, b = _known(part_i), _known(part_j)
        if a is None or b is None:
            return 0
        if self.operator == "+" and operator in ("+", "-"):
            signed = (left, right if operator == "+" else -right)
            if signed in ((sign_i * a, sign_j * b), (sign_j * b, sign_i * a)):
                return 1
            both_subtracted = sign_i < 0 and sign_j < 0 and operator == "+"
            return -1 if both_subtracted and (left, right) in ((a, b), (b, a)) else 0
        if operator != self.operator:
            return 0
        return int((left, right) == (a, b) or (operator == "*" and (left, right) == (b, a)))

    def replace(self, i: int, j: int, signed: Fraction) -> None:
        """Replace terms i and j by one value, which keeps the sign of term i."""
        sign = self.terms[i][0]
        self.terms[i] = (sign, sign * signed)
        del self.terms[j]
        if len(self.terms) == 1:
            # no sign is lost, because the first term of a sum is never a subtracted one
            self.value = signed


def _known(part: Part) -> Fraction | None:
    return part.value if isinstance(part, _Work) else part


def _part(plan: Plan, operand: Operand) -> Part:
    if not isinstance(operand, Ref):
        return Fraction(operand)
    operation = plan.operations[operand.index]
    if operation.operator in ("+", "-"):
        return _Work("+", _terms(plan, operand))
    if operation.operator == "*":
        return _Work("*", [(1, part) for part in _factors(plan, operand)])
    return _Work(operation.operator, [(1, _part(plan, operation.left)), (1, _part(plan, operation.right))])


def _terms(plan: Plan, operand: Operand) -> list[tuple[int, Part]]:
    operation = plan.operations[operand.index] if isinstance(operand, Ref) else None
    if operation is None or operation.operator not in ("+", "-"):
        return [(1, _part(plan, operand))]
    left = _terms(plan, operation.left)
    return left + (_terms(plan, operation.right) if operation.operator == "+" else [(-1, _part(plan, operation.right))])


def _factors(plan: Plan, operand: Operand) -> list[Part]:
    operation = plan.operations[operand.index] if isinstance(operand, Ref) else None
    if operation is None or operation.operator != "*":
        return [_part(plan, operand)]
    return _factors(plan, operation.left) + _factors(plan, operation.right)
