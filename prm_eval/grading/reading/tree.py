"""The tree of an answer: small frozen nodes, and nothing that computes."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True, slots=True)
class Number:
    """An exact rational number."""

    value: Fraction


@dataclass(frozen=True, slots=True)
class Symbol:
    """A letter, a Greek letter, or one of the constants pi, e, i, infinity, R."""

    name: str


@dataclass(frozen=True, slots=True)
class Apply:
    """An operation or function on arguments: + * / ^ neg pm sqrt root abs ! union ... sin log ..."""

    name: str
    args: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Bracket:
    """Items between delimiters: tuple, interval, set, or (with empty delimiters) an unordered list."""

    left: str
    right: str
    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Relation:
    """A chain a R b R c."""

    operators: tuple[str, ...]
    sides: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Matrix:
    """Rows of a matrix."""

    rows: tuple[tuple[Node, ...], ...]


@dataclass(frozen=True, slots=True)
class Words:
    """Words, normalised: lower case, single spaces, no final period."""

    text: str


@dataclass(frozen=True, slots=True)
class Quantity:
    """A value with a unit: "cm^2", "$", "%", "degree", "base 8"."""

    value: Node
    unit: str


Node = Number | Symbol | Apply | Bracket | Relation | Matrix | Words | Quantity
