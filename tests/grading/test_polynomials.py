"""The arithmetic under every exact form. A wrong sum here calls two answers equal that are not, with the word "exact" beside it."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prm_eval.grading.forms.polynomials import (
    MAX_BITS,
    MAX_RADICAND,
    MAX_TERMS,
    NoFormError,
    Poly,
    TooLargeError,
    accumulate,
    add,
    as_constant,
    constant,
    factors,
    integer_root,
    multiply,
    poly_key,
    reduce,
    scale,
    square_root,
    symbol,
)

MANY = settings(max_examples=60, deadline=None, derandomize=True)
SMALL = st.fractions(min_value=-5, max_value=5, max_denominator=4)
ATOMS = ("x", "y", "i", "sqrt 2", "sqrt 3")
VALUES = {"x": 0.7, "y": -1.3, "i": 1j, "sqrt 2": math.sqrt(2), "sqrt 3": math.sqrt(3)}


@st.composite
def polys(draw) -> Poly:
    """Sums of a few terms, made by the operations themselves: every polynomial that they can return."""
    result: Poly = {}
    for _ in range(draw(st.integers(0, 4))):
        term = constant(draw(SMALL))
        for atom in draw(st.lists(st.sampled_from(ATOMS), max_size=3)):
            term = multiply(term, symbol(atom))
        result = add(result, term)
    return result


def value(poly: Poly) -> complex:
    """What a polynomial is worth where its letters have values: the meaning that no operation may change."""
    return sum(
        (float(factor) * math.prod((VALUES[atom] ** power for atom, power in monomial), start=1 + 0j))
        for monomial, factor in poly.items()
    )


@MANY
@given(polys(), polys(), polys())
def test_polynomials_are_a_ring(one: Poly, other: Poly, third: Poly) -> None:
    """Order and grouping do not count: else x + y would have two normal forms."""
    assert add(one, other) == add(other, one)
    assert add(add(one, other), third) == add(one, add(other, third))
    assert multiply(one, other) == multiply(other, one)
    assert multiply(multiply(one, other), third) == multiply(one, multiply(other, third))
    assert multiply(one, add(other, third)) == add(multiply(one, other), multiply(one, third))
    assert add(one, scale(one, Fraction(-1))) == {}
    assert multiply(one, constant(Fraction(1))) == one
    assert multiply(one, {}) == {}


@MANY
@given(polys(), polys(), SMALL)
def test_operations_keep_their_meaning(one: Poly, other: Poly, factor: Fraction) -> None:
    """Against complex numbers: sums are sums, products are products, i and the roots included."""
    assert value(add(one, other)) == pytest.approx(value(one) + value(other), abs=1e-9)
    assert value(multiply(one, other)) == pytest.approx(value(one) * value(other), abs=1e-7)
    assert value(scale(one, factor)) == pytest.approx(value(one) * float(factor), abs=1e-9)


@MANY
@given(polys(), polys())
def test_one_polynomial_has_one_key(one: Poly, other: Poly) -> None:
    """Equal keys are equal polynomials, whatever the order in which their terms came."""
    assert poly_key(dict(reversed(one.items()))) == poly_key(one)
    assert (poly_key(one) == poly_key(other)) is (one == other)
    assert all(factor for factor in add(one, other).values()), "a term of 0 would make two forms of one polynomial"


def test_operations_leave_their_arguments() -> None:
    """Forms are cached and shared: a sum that changed its first term would change other answers."""
    one, other = {(("x", 1),): Fraction(1)}, {(("x", 1),): Fraction(-1), (): Fraction(2)}
    add(one, other), multiply(one, other), scale(one, Fraction(3))
    assert one == {(("x", 1),): Fraction(1)}
    assert other == {(("x", 1),): Fraction(-1), (): Fraction(2)}
    accumulate(one, other)
    assert one == {(): Fraction(2)}


@pytest.mark.parametrize(
    "monomial, factor, reduced",
    [
        ((("i", 2),), 1, {(): -1}),
        ((("i", 3),), 1, {(("i", 1),): -1}),
        ((("i", 4),), 5, {(): 5}),
        ((("sqrt 2", 2),), 3, {(): 6}),
        ((("sqrt 2", 3),), 1, {(("sqrt 2", 1),): 2}),
        ((("sqrt 2", 1), ("sqrt 3", 1)), 1, {(("sqrt 2", 1), ("sqrt 3", 1)): 1}),
        ((("x", 2), ("sqrt 5", 4)), 1, {(("x", 2),): 25}),
        ((("x", 0),), 7, {(): 7}),
        ((("x", 1),), 0, {}),
    ],
)
def test_what_becomes_of_a_term(monomial, factor: int, reduced) -> None:
    """i^2 = -1 and sqrt(p)^2 = p, so that the atoms left are independent of each other."""
    assert reduce({monomial: Fraction(factor)}) == {each: Fraction(value) for each, value in reduced.items()}


@MANY
@given(st.fractions(min_value=-2_000, max_value=2_000, max_denominator=60).filter(bool))
def test_square_roots_are_square_roots(number: Fraction) -> None:
    """Of any number but 0: the root times itself is the number, exactly; its rational part is not negative, and what is under roots is prime."""
    root = square_root(number)
    assert root is not None
    assert multiply(root, root) == constant(number)
    if number > 0:
        assert value_of_roots(root) == pytest.approx(math.sqrt(number))


def value_of_roots(poly: Poly) -> float:
    ((atoms, factor),) = poly.items()
    return float(factor) * math.prod(math.sqrt(int(atom.removeprefix("sqrt "))) for atom, _ in atoms)


def test_roots_that_are_too_large_to_factor_are_left() -> None:
    """Factoring is trial division: it must not be asked for more than it can do at once."""
    assert square_root(Fraction(MAX_RADICAND)) is not None
    assert square_root(Fraction(MAX_RADICAND + 1)) is None
    assert square_root(Fraction(1, MAX_RADICAND + 1)) is None


@MANY
@given(st.integers(1, 10**7))
def test_factors_are_prime_and_multiply_to_the_number(number: int) -> None:
    """Each prime once, rising, with its power."""
    found = list(factors(number))
    assert math.prod(prime**power for prime, power in found) == number
    assert [prime for prime, _ in found] == sorted({prime for prime, _ in found})
    assert all(prime % divisor for prime, _ in found for divisor in range(2, math.isqrt(prime) + 1))


@MANY
@given(st.integers(0, 10**30), st.integers(2, 12))
def test_integer_roots_are_exact_or_none(number: int, index: int) -> None:
    """The root of a perfect power is found, that of its neighbours is not: no float decides."""
    found = integer_root(number, index)
    assert found is None or found**index == number
    base = number % 10**6
    assert integer_root(base**index, index) in (base, None if (base**index).bit_length() > 1_000 else base)
    if base > 1:
        assert integer_root(base**index + 1, index) is None


@pytest.mark.parametrize(
    "number, index, root", [(0, 2, 0), (1, 9, 1), (8, 3, 2), (7, 3, None), (2**1_100, 2, None), (4, 3, None)]
)
def test_integer_roots_at_the_edges(number: int, index: int, root: int | None) -> None:
    """0 and 1, and numbers beyond what is looked at."""
    assert integer_root(number, index) == root


@pytest.mark.parametrize(
    "poly, number",
    [({}, 0), ({(): Fraction(3, 2)}, Fraction(3, 2)), ({(("x", 1),): Fraction(1)}, None),
     ({(): Fraction(1), (("x", 1),): Fraction(1)}, None)],
)  # fmt: skip
def test_which_polynomials_are_numbers(poly: Poly, number) -> None:
    """The empty sum is 0; a number beside a letter is none."""
    assert as_constant(poly) == number


def test_sums_and_products_are_bounded() -> None:
    """(x+y+z)^60 written by a model must end in an error of its own, not in the machine's memory."""
    wide = {((f"x{k}", 1),): Fraction(1) for k in range(MAX_TERMS)}
    assert len(add(wide, {})) == MAX_TERMS
    with pytest.raises(TooLargeError, match="more than 400 terms"):
        add(wide, symbol("y"))
    with pytest.raises(TooLargeError, match="product of too many terms"):
        multiply(wide, {((f"y{k}", 1),): Fraction(1) for k in range(11)})
    huge = constant(Fraction(2 ** (MAX_BITS - 1)))
    with pytest.raises(TooLargeError, match="bits"):
        multiply(huge, huge)
    assert issubclass(TooLargeError, NoFormError)
