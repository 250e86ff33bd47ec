"""The corpus that the policy learns from: solutions with designed mistakes.

A policy that saw only right solutions would make random slips, which a majority vote removes. Texts on the web repeat
the same mistakes, and so does this corpus. A fact, such as ``7 - 12``, has a misconception (``5``, without the sign)
and a strength, both from a hash of its family (sums with the same last digits and signs, ...), so every solution has
the same one. Where the strength is above one half, the wrong value is the more frequent one, and no number of votes
repairs it. Now and then the writer states a wrong value and continues with the right one, which gives a right answer by
wrong reasoning. In addition there are random slips, wrong operands and operators, and boxes around another number.

The errors of the miniature are designed; which of them a verifier finds is not.
"""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache

from prm_eval.miniature.plan import Operation, Plan, evaluate, known, render_box, render_step

OPERATORS = ("+", "-", "*", "%")


@dataclass(frozen=True)
class Noise:
    """The rates at which lines go wrong.

    Attributes:
        share: The share of families of facts that have a misconception.
        weakest: Probability of the misconceived value for the fact with the weakest misconception.
        strongest: The same for the strongest.
        slip: Probability of a value near the right one.
        anything: Probability of a value that may be far from it.
        operand: Probability of a wrong operand.
        operator: Probability of a wrong operator.
        box: Probability of boxing another number.
        recover: Probability that after a wrong value the writer continues with the true one, as if that had been
            written, which gives a right answer by wrong reasoning.
    """

    share: float = 0.5
    weakest: float = 0.40
    strongest: float = 0.80
    slip: float = 0.003
    anything: float = 0.0
    operand: float = 0.0015
    operator: float = 0.0015
    box: float = 0.0006
    recover: float = 0.11

    def for_lines(self, operations: int) -> Noise:
        """Return the noise at which solutions of every length are right about equally often."""
        k = 3 / (operations + 1)
        rates = {name: getattr(self, name) * k for name in OF_A_LINE}
        return replace(self, **rates)


OF_A_LINE = ("weakest", "strongest", "slip", "anything", "operand", "operator")
# Few misconceptions, but strong ones, and hardly any rare mistake. Sampling at a temperature of 0.7 sharpens the
# strongest from 0.8 to about 0.88.
CORPUS = Noise()
# For verifiers: misconceptions less likely, and every rare mistake often enough to be learnt.
RARE = Noise(weakest=0.2, strongest=0.2, slip=0.02, anything=0.05, operand=0.04, operator=0.015, box=0.03)


def misconception(operator: str, left: Fraction, right: Fraction) -> tuple[Fraction, float, float] | None:
    """Return the wrong value of a fact and two numbers in [0, 1): whether it is believed, and how strongly."""
    digest = hashlib.sha256(" ".join(map(str, _family(operator, left, right))).encode()).digest()
    choices = _wrong_values(operator, left, right)
    if not choices:
        return None
    chosen = choices[digest[0] % len(choices)]
    return chosen, int.from_bytes(digest[1:5], "big") / 2**32, int.from_bytes(digest[5:9], "big") / 2**32


def _family(operator: str, left: Fraction, right: Fraction) -> tuple[object, ...]:
    """Return the family of a fact, whose facts share one misconception; the 6,000 facts have about 1,000 families.

    A policy of this size learns a family in minutes, and a rare fact then goes wrong like the others of its family.
    """
    if operator in ("+", "-"):
        return operator, left % 10, left < 0, right % 10, right < 0
    if operator == "*":
        return (operator, *sorted((abs(left), abs(right))), left * right < 0)
    if operator == "/":
        value = left / right if right else right
        return (operator, abs(value), right) if value.denominator == 1 else (operator, left % 10, right % 10)
    if operator == "%":
        return operator, left % 10, right
    return operator, left, right


def _wrong_values(operator: str, left: Fraction, right: Fraction) -> list[Fraction]:
    value = evaluate(operator, left, right)
    if value is None:
        return []
    one = Fraction(1)
    if operator == "+":
        found = (
            [left - right] if right < 0 else [value - 10] if left % 10 + right % 10 >= 10 else [value + 1, value - 1]
        )
    elif operator == "-":
        found = [-value] if value < 0 <= left else [left + right] if right < 0 else [value + 10, value - 1]
    elif operator == "*":
        found = [-value] if value < 0 else [value + left, value - left, value + right, value - right]
    elif operator == "/":
        found = [-value] if value < 0 else [value + 1, value - 1] if value.denominator == 1 else [left / (right - one)]
    elif operator == "%":
        found = [(value + 1) % right, (value - 1) % right, right - value]
    elif operator == "^":
        found = [left * right, abs(left) ** 2 + abs(left)]
    else:
        found = [left * right, Fraction(left * (left - 1)), value + left]
    return [each for each in found if each != value]


@lru_cache(maxsize=200_000)
def outcomes(
    noise: Noise, operator: str, left: Fraction, right: Fraction
) -> tuple[tuple[Fraction, ...], tuple[float, ...]]:
    """Return the values that the corpus gives to a fact, the true one first, and their probabilities."""
    value = evaluate(operator, left, right)
    if value is None:
        return (Fraction(0),), (1.0,)
    whole = value.denominator == 1
    slips = [value + step for step in (-10, -2, -1, 1, 2, 10)] if whole else []
    weights = {value: 1.0, **dict.fromkeys(slips, noise.slip / 6)}
    found = misconception(operator, left, right)
    if found is not None and found[1] < noise.share:
        strength = noise.weakest + (noise.strongest - noise.weakest) * found[2]
        weights[found[0]] = weights.get(found[0], 0.0) + strength
    weights[value] -= sum(weights.values()) - 1.0
    return tuple(weights), tuple(weights.values())


def write_solution(plan: Plan, rng: random.Random, noise: Noise) -> list[str]:
    """Return the lines of a solution, each operation on the values before it, with the box as the last line."""
    lines: list[str] = []
    # the values that later lines build on: those written, or the true ones where the writer recovers
    said: list[Fraction] = []
    for operation in plan.operations:
        operator, left, right = _mistaken(operation, plan, said, rng, noise)
        values, weights = outcomes(noise, operator, left, right)
        value = values[0] if rng.random() < weights[0] else rng.choices(values, weights)[0]
        if noise.anything and rng.random() < noise.anything:
            value = any_value(rng, operator, left, right)
        if operator == "/" and value.denominator != 1 and not _is_fraction(plan, operation):
            # the remainder is dropped, which is a misconception of its own
            value = Fraction(value.numerator // value.denominator)
        said.append(values[0] if value != values[0] and rng.random() < noise.recover else value)
        lines.append(render_step(operator, left, right, value))
    boxed = [said[index] for index in plan.answer]
    if rng.random() < noise.box:
        boxed[rng.randrange(len(boxed))] = rng.choice([*said, boxed[0] + 1, -boxed[0]])
    lines.append(render_box(boxed))
    return lines


def _mistaken(
    operation: Operation, plan: Plan, said: list[Fraction], rng: random.Random, noise: Noise
) -> tuple[str, Fraction, Fraction]:
    """Return an operation on the values as they were written, now and then with a wrong operand or operator."""
    operator: str = operation.operator
    sides = [known(operation.left, said), known(operation.right, said)]
    if rng.random() < noise.operand:
        numbers = [
            *said,
            *(Fraction(x) for step in plan.operations for x in (step.left, step.right) if isinstance(x, int)),
        ]
        changed = rng.randrange(2) if operator in OPERATORS[:3] else 0
        new = _other_operand(rng, sides[changed], numbers)
        if evaluate(operator, *(new if at == changed else side for at, side in enumerate(sides))) is not None:
            sides[changed] = new
    if rng.random() < noise.operator:
        other = rng.choice(OPERATORS[:3])
        if evaluate(other, *sides) is not None:
            operator = other
    return operator, sides[0], sides[1]


def _other_operand(rng: random.Random, side: Fraction, numbers: list[Fraction]) -> Fraction:
    """Return another number of the problem or text, or the operand one off, negated, ten off, or a little off."""
    kind = rng.randrange(5)
    if kind == 0:
        return rng.choice(numbers)
    if kind == 1:
        return -side
    return side + rng.choice((-1, 1)) * (1, 10, rng.randint(2, 12))[kind - 2]


def any_value(rng: random.Random, operator: str, left: Fraction, right: Fraction) -> Fraction:
    """Return a wrong value of an operation, near or far, as a writer may come to it."""
    value = evaluate(operator, left, right)
    if value is None:
        # a wrong operand can make an operation that has none
        return Fraction(rng.randint(-20, 60))
    found = value
    while found == value:
        found = _some_value(rng, operator, left, right, value)
    return found


def _some_value(rng: random.Random, operator: str, left: Fraction, right: Fraction, value: Fraction) -> Fraction:
    if operator == "%":
        return Fraction(rng.randrange(int(right))) if right > 1 else value + 1
    sign = rng.choice((-1, 1))
    kind = rng.random()
    if kind < 0.30:
        return value + sign * rng.randint(1, 12)
    if kind < 0.45:
        return value + sign * rng.choice((10, 20))
    if kind < 0.55:
        return -value
    if kind < 0.80:
        other = evaluate(rng.choice(OPERATORS[:3]), left, right)
    elif kind < 0.95:
        moved = (left + sign, right) if rng.random() < 0.5 else (left, right + sign)
        other = evaluate(operator, *moved)
    else:
        other = Fraction(rng.randint(-20, 60))
    return value if other is None else other


def _is_fraction(plan: Plan, operation: Operation) -> bool:
    """Say whether a division is meant to give a fraction, as only a division of two worked-out numbers is."""
    return not isinstance(operation.left, int) and not isinstance(operation.right, int)
