"""Polynomials with rational coefficients over named atoms: the arithmetic of normal forms, exact and bounded."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

MAX_TERMS = 400
MAX_POWER = 64
MAX_BITS = 14_000  # about 4,200 digits: Python prints no integer of more than 4,300
MAX_FACTORIAL = 200
MAX_RADICAND = 10**10

Monomial = tuple[tuple[str, int], ...]
Poly = dict[Monomial, Fraction]
Key = tuple[Any, ...]


class NoFormError(ValueError):
    """The tree has no exact form: a division by zero, arithmetic with infinity."""


class TooLargeError(NoFormError):
    """The exact form would exceed the limits above."""


def poly_key(poly: Poly) -> Key:
    """Return a polynomial as a sorted tuple."""
    return tuple(sorted((monomial, (value.numerator, value.denominator)) for monomial, value in poly.items()))


def square_root(value: Fraction) -> Poly | None:
    """Return the square root of a rational as a rational times roots of primes; None where it is too large."""
    product = abs(value.numerator) * value.denominator  # sqrt(a/b) = sqrt(ab)/b
    if product > MAX_RADICAND:
        return None
    outside, primes = 1, []
    for prime, power in factors(product):
        outside *= prime ** (power // 2)
        if power % 2:
            primes.append(prime)
    atoms = sorted([(f"sqrt {prime}", 1) for prime in primes] + ([("i", 1)] if value < 0 else []))
    return {tuple(atoms): Fraction(outside, value.denominator)}


def factors(number: int) -> Iterator[tuple[int, int]]:
    """Yield the prime factors of a number with their powers."""
    divisor = 2
    while divisor * divisor <= number:
        power = 0
        while number % divisor == 0:
            number //= divisor
            power += 1
        if power:
            yield divisor, power
        divisor += 1 if divisor == 2 else 2
    if number > 1:
        yield number, 1


def integer_root(number: int, index: int) -> int | None:
    """Return the exact root of a number that is not negative, or None."""
    if number < 2:
        return number
    if number.bit_length() > 1_000 or index >= number.bit_length():  # 2^index is more than the number
        return None
    guess = round(number ** (1 / index))
    return next((root for root in (guess - 1, guess, guess + 1) if root >= 0 and root**index == number), None)


def constant(value: Fraction) -> Poly:
    """Return a number as a polynomial."""
    return {(): value} if value else {}


def symbol(name: str) -> Poly:
    """Return a letter as a polynomial."""
    return {((name, 1),): Fraction(1)}


def as_constant(poly: Poly) -> Fraction | None:
    """Return the number that a polynomial is, or None."""
    if not poly:
        return Fraction(0)
    return poly.get(()) if len(poly) == 1 else None


def add(one: Poly, other: Poly) -> Poly:
    """Return the sum.

    Raises:
        TooLargeError: It has too many terms.
    """
    result = dict(one)
    accumulate(result, other)
    return result


def accumulate(result: Poly, other: Poly) -> None:
    """Add the second polynomial to the first, in place.

    Raises:
        TooLargeError: The sum has too many terms.
    """
    for monomial, value in other.items():
        total = result.get(monomial, Fraction(0)) + value
        if max(total.numerator.bit_length(), total.denominator.bit_length()) > MAX_BITS:
            raise TooLargeError(f"a number of more than {MAX_BITS} bits")
        if total:
            result[monomial] = total
        else:
            result.pop(monomial, None)
    if len(result) > MAX_TERMS:
        raise TooLargeError(f"more than {MAX_TERMS} terms")


def scale(poly: Poly, factor: Fraction) -> Poly:
    """Return a polynomial times a number."""
    return {monomial: value * factor for monomial, value in poly.items()} if factor else {}


def multiply(one: Poly, other: Poly) -> Poly:
    """Return the product.

    Raises:
        TooLargeError: It has too many terms.
    """
    if len(one) * len(other) > MAX_TERMS * 10:
        raise TooLargeError("a product of too many terms")
    result: Poly = {}
    for left, a in one.items():
        for right, b in other.items():
            powers = dict(left)
            for atom, power in right:
                powers[atom] = powers.get(atom, 0) + power
            accumulate(result, reduce({tuple(sorted(powers.items())): a * b}))
    return result


def reduce(poly: Poly) -> Poly:
    """Apply sqrt(p)^2 = p and i^2 = -1 to a single term, so that every atom left is independent of the others."""
    ((monomial, value),) = poly.items()
    atoms: list[tuple[str, int]] = []
    for atom, power in monomial:
        if atom.startswith("sqrt "):
            half, odd = divmod(power, 2)
            value *= Fraction(int(atom[5:])) ** half
            power = odd
        elif atom == "i":
            value *= (1, 1, -1, -1)[power % 4]
            power %= 2
        if power:
            atoms.append((atom, power))
    return {tuple(sorted(atoms)): value} if value else {}
