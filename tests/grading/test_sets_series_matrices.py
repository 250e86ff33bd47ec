"""Sets, sums with dots and matrices: forms that are spelt in many ways. Each table has its near misses beside what is
equal."""

from __future__ import annotations

import itertools
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prm_eval.grading import is_equivalent
from prm_eval.grading.forms.series import spell_out
from prm_eval.grading.reading.parser import parse
from prm_eval.grading.reading.tree import Apply, Number

MANY = settings(max_examples=80, deadline=None, derandomize=True)


@st.composite
def intervals(draw) -> tuple[int, int, bool, bool]:
    low = draw(st.integers(-3, 3))
    return low, draw(st.integers(low + 1, 4)), draw(st.booleans()), draw(st.booleans())


UNIONS = st.lists(intervals(), min_size=1, max_size=3)


def spelt(union: list[tuple[int, int, bool, bool]]) -> str:
    parts = (f"{'[' if a else '('}{low},{high}{']' if b else ')'}" for low, high, a, b in union)
    return "\\cup".join(parts)


def members(union: list[tuple[int, int, bool, bool]]) -> frozenset[Fraction]:
    """The points of a union on a grid of halves: ends are whole, so that the grid tells any two unions apart."""
    grid = [Fraction(k, 2) for k in range(-8, 11)]
    return frozenset(
        x for x in grid if any(low < x < high or (x == low and a) or (x == high and b) for low, high, a, b in union)
    )


@MANY
@given(UNIONS, UNIONS)
def test_unions_are_equal_if_they_have_the_same_points(one, other) -> None:
    """Overlaps, touching ends, holes of one point: against membership, point by point."""
    assert is_equivalent(spelt(one), spelt(other)) is (members(one) == members(other))


@MANY
@given(UNIONS, st.randoms(use_true_random=False))
def test_the_order_of_a_union_does_not_count(union, chance) -> None:
    """Nor does writing a part twice."""
    shuffled = [*union, union[0]]
    chance.shuffle(shuffled)
    assert is_equivalent(spelt(union), spelt(shuffled))


SETS = [
    ("(-\\infty,2)\\cup(3,\\infty)", "(3,\\infty)\\cup(-\\infty,2)", True),
    ("(1,2)\\cup(2,3)", "(1,3)", False),
    ("(1,2]\\cup(2,3)", "(1,3)", True),
    ("[1,2]\\cap[2,3]", "\\{2\\}", True),
    ("[1,2)\\cap[2,3]", "\\{2\\}", False),
    ("\\{1,2\\}\\cup\\{3\\}", "\\{1,2,3\\}", True),
    ("1<x<3", "(1,3)", True),
    ("1\\le x<3", "[1,3)", True),
    ("1\\le x<3", "(1,3)", False),
    ("x\\in(1,3)", "1<x<3", True),
    ("\\mathbb{R}", "(-\\infty,\\infty)", True),
    ("\\emptyset", "\\{\\}", True),
    ("\\emptyset", "\\{0\\}", False),
    ("\\mathbb{R}\\setminus\\{1\\}", "(-\\infty,1)\\cup(1,\\infty)", True),
    ("x\\ne 1", "(-\\infty,1)\\cup(1,\\infty)", True),
    ("x>1", "(1,\\infty)", True),
    ("x>1", "[1,\\infty)", False),
    ("|x|<2", "(-2,2)", True),
    ("|x|\\le 2", "(-2,2)", False),
    ("\\{1,2,\\ldots,5\\}", "\\{1,2,3,4,5\\}", True),
    ("\\{1,2,\\ldots,5\\}", "\\{1,2,5\\}", False),
]
SERIES = [
    ("\\sum_{k=1}^{4}k", "10", True),
    ("\\sum_{k=0}^{3}2^k", "15", True),
    ("\\sum_{k=1}^{1}7", "7", True),
    ("\\prod_{k=1}^{4}k", "24", True),
    ("1+2+\\cdots+10", "55", True),
    ("1+2+\\cdots+10", "54", False),
    ("2+4+\\dots+10", "30", True),
    ("1+x+x^2+\\cdots+x^5", "\\frac{x^6-1}{x-1}", True),
    ("1+x+x^2+\\cdots+x^5", "1+x+x^2+x^3+x^4+x^5", True),
    ("1+x+x^2+\\cdots+x^5", "1+x+x^2+x^3+x^4", False),
    ("x^8+x^7+\\cdots+1", "1+x+x^2+x^3+x^4+x^5+x^6+x^7+x^8", True),
    ("1-1+1-\\cdots", "1/2", False),
]
COLUMN = "\\begin{pmatrix}1\\\\2\\end{pmatrix}"
MATRICES = [
    ("\\begin{pmatrix}1&2\\\\3&4\\end{pmatrix}", "\\begin{bmatrix}1&2\\\\3&4\\end{bmatrix}", True),
    ("\\begin{pmatrix}1&2\\\\3&4\\end{pmatrix}", "\\begin{pmatrix}1&3\\\\2&4\\end{pmatrix}", False),
    ("\\begin{pmatrix}1&2\\\\3&4\\end{pmatrix}", "\\begin{pmatrix}1&2\\\\3&5\\end{pmatrix}", False),
    ("\\begin{pmatrix}\\frac12&0\\\\0&1\\end{pmatrix}", "\\begin{pmatrix}0.5&0\\\\0&1\\end{pmatrix}", True),
    (COLUMN, "(1,2)", True),
    (COLUMN, "(2,1)", False),
    (COLUMN, "\\begin{pmatrix}1&2\\end{pmatrix}", False),
    (f"2{COLUMN}", "\\begin{pmatrix}2\\\\4\\end{pmatrix}", True),
    (f"{COLUMN}+\\begin{{pmatrix}}1\\\\1\\end{{pmatrix}}", "\\begin{pmatrix}2\\\\3\\end{pmatrix}", True),
    (f"\\begin{{pmatrix}}0&1\\\\1&0\\end{{pmatrix}}{COLUMN}", "\\begin{pmatrix}2\\\\1\\end{pmatrix}", True),
    ("\\frac12\\begin{pmatrix}2&4\\end{pmatrix}", "\\begin{pmatrix}1&2\\end{pmatrix}", True),
]


@pytest.mark.parametrize(
    "one, other, equal", [*SETS, *SERIES, *MATRICES], ids=lambda value: value if isinstance(value, str) else ""
)
def test_spellings_and_near_misses(one: str, other: str, equal: bool) -> None:
    """Each pair in both orders."""
    assert is_equivalent(one, other) is equal
    assert is_equivalent(other, one) is equal


@MANY
@given(st.integers(-5, 5), st.integers(1, 4), st.integers(4, 12))
def test_arithmetic_sums_with_dots(first: int, step: int, count: int) -> None:
    """a + (a+d) + ... + z is its closed form, and not that of one term more."""
    terms = [first + k * step for k in range(count)]
    text = f"{terms[0]}+({terms[1]})+({terms[2]})+\\cdots+({terms[-1]})"
    assert is_equivalent(text, str(sum(terms)))
    longer = sum(terms) + terms[-1] + step
    assert is_equivalent(text, str(longer)) is (longer == sum(terms))


@MANY
@given(st.integers(-4, 4), st.integers(0, 8))
def test_sum_signs_are_spelt_out(low: int, more: int) -> None:
    """The tree of a sum has each of its terms once, and the value of their sum."""
    spelt_out = spell_out(parse(f"\\sum_{{k={low}}}^{{{low + more}}} k"))
    values = [Number(Fraction(low + k)) for k in range(more + 1)]
    assert spelt_out == (Apply("+", tuple(values)) if more else values[0])


@pytest.mark.parametrize(
    "text",
    [
        "\\sum_{k=1}^{n}k!",
        "\\sum_{k=1}^{n}\\sqrt{k}",
        "\\sum_{k=1}^{10000}k!",
        "\\sum_{k=3}^{1}k",
        "\\sum_{k=1/2}^{3}k",
        "x+1",
    ],
)
def test_sums_that_are_left_as_they_are(text: str) -> None:
    """Bounds that are letters, far apart, the wrong way round or no whole numbers."""
    assert spell_out(parse(text)) == parse(text)


@MANY
@given(st.lists(st.integers(-3, 3), min_size=4, max_size=4), st.lists(st.integers(-3, 3), min_size=4, max_size=4))
def test_products_of_matrices(one: list[int], other: list[int]) -> None:
    """Two by two, against the sum over rows and columns; the order counts unless the product says otherwise."""

    def matrix(cells: list[int]) -> str:
        return "\\begin{{pmatrix}}{}&{}\\\\{}&{}\\end{{pmatrix}}".format(*cells)

    def product(a: list[int], b: list[int]) -> list[int]:
        return [sum(a[2 * i + k] * b[2 * k + j] for k in range(2)) for i, j in itertools.product(range(2), repeat=2)]

    text = matrix(one) + matrix(other)
    assert is_equivalent(matrix(product(one, other)), text)
    assert is_equivalent(matrix(product(other, one)), text) is (product(one, other) == product(other, one))
