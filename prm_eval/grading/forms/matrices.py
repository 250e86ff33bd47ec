"""Sums, products, powers and transposes of matrices, worked out cell by cell: trees in, trees out."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

from prm_eval.grading.reading.tree import Apply, Matrix, Node, Number, Symbol

MAX_CELLS = 144
MAX_SIZE = 300  # nodes of a cell: those of a product of symbolic matrices double with every factor
MAX_BITS = 4_000
MAX_POWER = 6  # cells of a power grow as trees: a symbolic one doubles at every step


def work_out(node: Node) -> Node:
    """Return an expression of matrices as one matrix, where it has one; any other tree as it is."""
    if not isinstance(node, Apply) or not _has_matrix(node):
        return node
    args = tuple(work_out(arg) for arg in node.args)
    return _apply(node.name, args) or Apply(node.name, args)


def _has_matrix(node: Node) -> bool:
    return isinstance(node, Matrix) or (isinstance(node, Apply) and any(_has_matrix(arg) for arg in node.args))


def _apply(name: str, args: tuple[Node, ...]) -> Node | None:
    first, last = args[0], args[-1]
    if name == "neg" and isinstance(first, Matrix):
        return _each(first, lambda cell: _negative(cell))
    if name == "+" and all(isinstance(arg, Matrix) for arg in args):
        return _sum([arg for arg in args if isinstance(arg, Matrix)])
    if name == "/" and isinstance(first, Matrix) and not _has_matrix(last):
        return _each(first, lambda cell: Apply("/", (cell, last)))
    if name == "*" and len(args) == 2:
        if isinstance(first, Matrix) and isinstance(last, Matrix):
            return _product(first, last)
        if isinstance(last, Matrix) and not _has_matrix(first):
            return _each(last, lambda cell: _times(first, cell))
        if isinstance(first, Matrix) and not _has_matrix(last):
            return _each(first, lambda cell: _times(cell, last))
    if name == "^" and isinstance(first, Matrix):
        return _power(first, last)
    return None


def _each(matrix: Matrix, change: Callable[[Node], Node]) -> Matrix:
    return Matrix(tuple(tuple(change(cell) for cell in row) for row in matrix.rows))


def _negative(node: Node) -> Node:
    return Number(-node.value) if isinstance(node, Number) else Apply("neg", (node,))


def _times(one: Node, other: Node) -> Node:
    if isinstance(one, Number) and isinstance(other, Number):
        return Number(one.value * other.value)
    return Apply("*", (one, other))


def _plus(terms: list[Node]) -> Node:
    if all(isinstance(term, Number) for term in terms):
        return Number(sum((term.value for term in terms if isinstance(term, Number)), Fraction(0)))
    return terms[0] if len(terms) == 1 else Apply("+", tuple(terms))


def _sum(matrices: list[Matrix]) -> Matrix | None:
    if len({(len(each.rows), len(each.rows[0])) for each in matrices}) != 1:
        return None
    rows = zip(*(each.rows for each in matrices), strict=True)
    return Matrix(tuple(tuple(_plus(list(cells)) for cells in zip(*row, strict=True)) for row in rows))


def _product(one: Matrix, other: Matrix) -> Matrix | None:
    if len(one.rows[0]) != len(other.rows) or len(one.rows) * len(other.rows[0]) * len(other.rows) > MAX_CELLS:
        return None
    columns = list(zip(*other.rows, strict=True))
    product = Matrix(
        tuple(
            tuple(_plus([_times(a, b) for a, b in zip(row, column, strict=True)]) for column in columns)
            for row in one.rows
        )
    )
    return product if all(_size(cell, MAX_SIZE) > 0 for row in product.rows for cell in row) else None


def _size(node: Node, left: int) -> int:
    """Return the rest of a budget of nodes and bits after a tree; zero or less where the tree is too large."""
    if isinstance(node, Number):
        return left - 1 if max(node.value.numerator.bit_length(), node.value.denominator.bit_length()) < MAX_BITS else 0
    for arg in node.args if isinstance(node, Apply) else ():
        left = _size(arg, left - 1)
        if left <= 0:
            return 0
    return left - 1


def _power(matrix: Matrix, power: Node) -> Matrix | None:
    if power == Symbol("T"):
        return Matrix(tuple(zip(*matrix.rows, strict=True)))
    if not isinstance(power, Number) or power.value.denominator != 1 or not 1 <= power.value <= MAX_POWER:
        return None
    if any(not isinstance(cell, Number) for row in matrix.rows for cell in row) and power.value > 2:
        return None
    result: Matrix | None = matrix
    for _ in range(int(power.value) - 1):
        result = _product(result, matrix) if result is not None else None
    return result
