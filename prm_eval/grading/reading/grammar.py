"""The shared base of the parser's parts: limits, the names of the rules, and small functions that make trees."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction

from prm_eval.grading.reading.tokens import LatexError, Token, TokenStream
from prm_eval.grading.reading.tree import Apply, Node, Number, Quantity, Symbol, Words
from prm_eval.grading.reading.words import words_node

MAX_DEPTH = 120  # each bracket or argument counts up to three times
MAX_DIGITS = 1_000
RELATIONS = {
    "=": "=", "<": "<", ">": ">", r"\le": "<=", r"\ge": ">=", r"\ne": "!=", r"\in": "in", r"\notin": "not in",
    r"\approx": "approx",
    r"\sim": "approx", r"\subset": "subset", r"\subseteq": "subset",
}  # fmt: skip
# macros that end a product
NO_FACTOR = frozenset(
    r"\} \choose \over \cup \cap \setminus \pm \mp \\ \end \circ \rangle \rfloor \rceil "
    r"\thousands \pmod \mod \bmod".split()
)
LINKS = ("and", "or", "to")


class Grammar(TokenStream):
    """The tokens, the depth of nesting, and the rules by name.

    The grammar is in :mod:`prm_eval.grading.reading.parser`.
    """

    def __init__(self, tokens: list[Token]) -> None:
        super().__init__(tokens)
        self.depth = self.brackets = self.bars = self.builders = 0

    @contextmanager
    def deeper(self) -> Iterator[None]:
        """Count one level of nesting.

        Raises:
            LatexError: There are too many levels.
        """
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise LatexError(f"nested deeper than {MAX_DEPTH}", self.here.start, self.here.end)
        yield
        self.depth -= 1

    @abstractmethod
    def answer(self) -> Node:
        """Read a list of items, or a single item."""

    @abstractmethod
    def item(self) -> Node:
        """Read one item: a chain of relations, or one side."""

    @abstractmethod
    def sum(self) -> Node:
        """Read terms with signs between."""

    @abstractmethod
    def factor(self) -> Node:
        """Read a signed value with what follows it: powers, units, factorials."""

    @abstractmethod
    def starts_factor(self) -> bool:
        """Say whether the next token begins a factor."""

    @abstractmethod
    def argument(self) -> Node:
        """Read the argument of a macro: a group in braces, or one digit, letter or macro."""

    @abstractmethod
    def power(self) -> Node:
        """Read what follows a caret or underscore."""

    @abstractmethod
    def items(self) -> Node:
        """Read what stands in brackets, where a comma separates items."""


def number(token: Token) -> Fraction:
    """Return the value of a number token.

    Raises:
        LatexError: The number has too many digits.
    """
    if len(token.text) > MAX_DIGITS:
        raise LatexError(f"a number of more than {MAX_DIGITS} digits", token.start, token.end)
    try:
        return Fraction(token.text.rstrip(".") or "0")
    except ValueError:
        raise LatexError("not a number", token.start, token.end) from None


def words(text: str, start: int, end: int) -> Node:
    """Return words as a tree.

    Raises:
        LatexError: The words hold a macro that is not known.
    """
    try:
        return words_node(text)
    except ValueError as error:
        raise LatexError(str(error), start, end) from None


def negative(node: Node) -> Node:
    """Return minus a node; the sign of a quantity is that of its value."""
    if isinstance(node, Quantity):
        return Quantity(negative(node.value), node.unit)
    return Number(-node.value) if isinstance(node, Number) else Apply("neg", (node,))


def plus(terms: list[Node]) -> Node:
    """Return the sum of terms."""
    return terms[0] if len(terms) == 1 else Apply("+", tuple(terms))


def plain_fraction(node: Node) -> Fraction | None:
    """Return the value of a fraction of two numbers."""
    if isinstance(node, Apply) and node.name == "/":
        top, bottom = node.args
        if isinstance(top, Number) and isinstance(bottom, Number) and bottom.value:
            return top.value / bottom.value
    return None


def short(node: Node) -> str:
    """Return a short name for a subscript or a unit's power."""
    if isinstance(node, Number):
        return str(node.value)
    if isinstance(node, Symbol):
        return node.name
    if isinstance(node, Apply) and node.name == "*":
        return "".join(short(arg) for arg in node.args)
    return node.text if isinstance(node, Words) else repr(node)
