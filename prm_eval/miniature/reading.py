r"""The reader of one line of a miniature solution: ``operation = value`` or ``\boxed{answer}``, and nothing else.

::

    line      = operation "=" value | "\boxed{" answer "}"
    operation = operand ("+" | "-" | "\cdot" | "\bmod") operand | operand "^" (digit | "{" operand "}")
              | "\frac{" operand "}{" operand "}" | "\binom{" operand "}{" operand "}"
    operand   = value | "(" value ")"
    value     = ["-"] digits | ["-"] "\frac{" digits "}{" digits "}"
    answer    = value | "(" value {"," value} ")"

Spaces are free except inside a number or a command. A value after ``=`` is in its final form: no leading zero, no
``-0``, a fraction in lowest terms with a denominator above 1. Numbers have at most :data:`MAX_DIGITS` digits.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

from prm_eval.miniature.plan import render_value
from prm_eval.texts.boxed import last_boxed

MAX_DIGITS = 9
SHORT = 80

_INTEGER = rf"-?[0-9]{{1,{MAX_DIGITS}}}"
_FRACTION = rf"-?\\frac\{{[0-9]{{1,{MAX_DIGITS}}}\}}\{{[0-9]{{1,{MAX_DIGITS}}}\}}"
_VALUE = rf"(?:{_FRACTION}|{_INTEGER})"
_OPERAND = rf"(?:{_VALUE}|\({_VALUE}\))"
_SHAPES = (
    ("/", re.compile(rf"\\frac\{{({_OPERAND})\}}\{{({_OPERAND})\}}")),
    ("C", re.compile(rf"\\binom\{{({_OPERAND})\}}\{{({_OPERAND})\}}")),
    ("+", re.compile(rf"({_OPERAND})\+({_OPERAND})")),
    ("-", re.compile(rf"({_OPERAND})-({_OPERAND})")),
    ("*", re.compile(rf"({_OPERAND})\\cdot({_OPERAND})")),
    ("%", re.compile(rf"({_OPERAND})\\bmod({_OPERAND})")),
    ("^", re.compile(rf"({_OPERAND})\^(?:([0-9])|\{{({_OPERAND})\}})")),
)
_BOX = re.compile(r"\\boxed\{(.*)\}")
# a space that must not be removed, because that would join two numbers, or a command and a letter
_LOOSE_SPACE = re.compile(r"(?<=[0-9a-zA-Z])\s+(?=[0-9a-zA-Z])")
_AFTER_COMMAND = re.compile(r"(\\(?:cdot|bmod))\s+(?=[0-9])")


@dataclass(frozen=True)
class Stated:
    """A line that states an operation and a value."""

    operator: str
    left: Fraction
    right: Fraction
    value: Fraction


@dataclass(frozen=True)
class Boxed:
    """A line that boxes an answer."""

    values: tuple[Fraction, ...]


def read_line(line: str) -> Stated | Boxed | None:
    """Return the statement of a line, or None where the line is outside the grammar."""
    # texts of a problem repeat lines; only short ones are kept
    return _read_short(line) if len(line) <= SHORT else _read(line)


@lru_cache(maxsize=20_000)
def _read_short(line: str) -> Stated | Boxed | None:
    return _read(line)


def _read(line: str) -> Stated | Boxed | None:
    text = _AFTER_COMMAND.sub(r"\1", line.strip())
    if not text.isascii() or _LOOSE_SPACE.search(text):
        return None
    text = re.sub(r"\s+", "", text)
    if boxed := _BOX.fullmatch(text):
        values = _answer(boxed[1], exact=True)
        return Boxed(values) if values else None
    work, equals, result = text.partition("=")
    value = _value(result, exact=True) if equals else None
    if value is None:
        return None
    for operator, shape in _SHAPES:
        if found := shape.fullmatch(work):
            left, right = (_value(part.strip("()")) for part in found.groups() if part is not None)
            return None if left is None or right is None else Stated(operator, left, right, value)
    return None


def final_answer(text: str) -> tuple[Fraction, ...] | None:
    r"""Return the answer of the last ``\boxed{}`` of a text, in any form of its numbers, or None."""
    found = last_boxed(text)
    return None if found is None else _answer(re.sub(r"\s+", "", found), exact=False)


def _answer(text: str, *, exact: bool) -> tuple[Fraction, ...] | None:
    inner = text[1:-1] if text.startswith("(") and text.endswith(")") and "," in text else text
    if inner is text and "," in text:
        return None
    values = [_value(part, exact=exact) for part in inner.split(",")]
    return None if None in values else tuple(value for value in values if value is not None)


def _value(text: str, *, exact: bool = False) -> Fraction | None:
    """Return the number that a text states; with ``exact``, None unless it is written in its final form."""
    if not re.fullmatch(_VALUE, text):
        return None
    numbers = [int(digits) for digits in re.findall(r"[0-9]+", text)]
    if len(numbers) == 2 and numbers[1] == 0:
        return None
    value = Fraction(*numbers) * (-1 if text.startswith("-") else 1)
    return value if not exact or render_value(value) == text else None
