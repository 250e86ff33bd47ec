"""The seven subjects, each a function that draws a problem of a given number of operations and words it in LaTeX."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import TypeAlias

from prm_eval.miniature.build import Builder, Reject
from prm_eval.miniature.plan import Operand, Operator, Plan, Ref

Drawn: TypeAlias = tuple[str, Plan]
OPERATIONS_OF_LEVEL = {1: (2,), 2: (3,), 3: (4,), 4: (5,), 5: (6, 7)}


class Term:
    """An operand with its LaTeX; ``is_sum`` says that it needs parentheses in a product or behind a minus."""

    def __init__(self, operand: Operand, latex: str, *, is_sum: bool = False) -> None:
        self.operand, self.latex, self.is_sum = operand, latex, is_sum

    @property
    def closed(self) -> str:
        """The LaTeX, in parentheses where it is a sum."""
        return f"({self.latex})" if self.is_sum else self.latex


def _number(value: int) -> Term:
    return Term(value, str(value))


def _combine(build: Builder, operator: Operator, left: Term, right: Term) -> Term:
    ref = build.apply(operator, left.operand, right.operand)
    if operator == "*":
        return Term(ref, f"{left.closed} \\cdot {right.closed}")
    return Term(ref, f"{left.latex} {operator} {right.closed if operator == '-' else right.latex}", is_sum=True)


def _sum_or_difference(rng: random.Random) -> Operator:
    return rng.choice(("+", "-"))


def _expression(rng: random.Random, build: Builder, n: int) -> Term:
    """Return a drawn expression of n operations."""
    if n == 0:
        return _number(rng.randint(2, 9))
    shape = rng.random()
    if n == 1:
        if shape < 0.6:
            return _combine(build, "*", _number(rng.randint(2, 9)), _number(rng.randint(2, 9)))
        return _combine(build, _sum_or_difference(rng), _number(rng.randint(2, 30)), _number(rng.randint(2, 9)))
    if shape < 0.4:
        return _combine(build, _sum_or_difference(rng), _expression(rng, build, n - 1), _number(rng.randint(2, 9)))
    if shape < 0.65:
        return _combine(build, "*", _expression(rng, build, n - 1), _number(rng.randint(2, 9)))
    if n >= 3:
        first = rng.randint(1, n - 2)
        left = _expression(rng, build, first)
        return _combine(build, _sum_or_difference(rng), left, _expression(rng, build, n - 1 - first))
    raise Reject


def prealgebra(rng: random.Random, n: int) -> Drawn:
    """Return a drawn nested expression."""
    build = Builder()
    term = _expression(rng, build, n)
    return f"{rng.choice(('Evaluate', 'Compute', 'Simplify'))} ${term.latex}$.", build.plan()


def algebra(rng: random.Random, n: int) -> Drawn:
    """Return a drawn linear equation with nested parentheses, which the solution undoes from the outside in."""
    value = rng.choice([*range(-6, 0), *range(1, 13)])
    latex, is_sum = "x", False
    undo: list[tuple[Operator, int]] = []
    add = rng.random() < 0.5
    for _ in range(n):
        if add:
            by = rng.randint(1, 9)
            sign = rng.choice((1, -1))
            value += sign * by
            latex, is_sum = f"{latex} {'+' if sign > 0 else '-'} {by}", True
            undo.append(("-" if sign > 0 else "+", by))
        elif rng.random() < 0.3:
            by = rng.choice([d for d in range(2, 10) if value % d == 0] or [0])
            if not by or not value:
                raise Reject
            value //= by
            latex, is_sum = f"\\frac{{{latex}}}{{{by}}}", False
            undo.append(("*", by))
        else:
            by = rng.randint(2, 9 if n < 4 else 5)
            value *= by
            latex, is_sum = (
                f"{by}({latex})" if is_sum else f"{by}{latex}" if latex == "x" else f"{by} \\cdot {latex}",
                False,
            )
            undo.append(("/", by))
        add = not add
    build = Builder()
    found: Operand = value
    for operator, by in reversed(undo):
        found = build.apply(operator, found, by)
    return f"Solve ${latex} = {value}$ for $x$.", build.plan()


def number_theory(rng: random.Random, n: int) -> Drawn:
    """Return a drawn remainder of an expression, which may begin with a power."""
    build = Builder()
    if rng.random() < 0.4:
        base, exponent = rng.randint(2, 9), rng.choice((2, 2, 3))
        term = Term(build.apply("^", base, exponent), f"{base}^{exponent}")
        for _ in range(n - 2):
            operator: Operator = rng.choice(("+", "-", "*"))
            term = _combine(build, operator, term, _number(rng.randint(2, 9)))
    else:
        term = _expression(rng, build, n - 1)
    modulus = rng.choice((3, 3, 4, 5, 5, 6, 7, 8, 9))  # a small modulus hides a mistake more often
    build.apply("%", term.operand, modulus)
    words = rng.choice(
        (
            f"What is the remainder when ${term.latex}$ is divided by ${modulus}$?",
            f"Find the residue of ${term.latex}$ modulo ${modulus}$.",
        )
    )
    return words, build.plan()


def _binomial(rng: random.Random, build: Builder) -> Term:
    n = rng.randint(3, 7)
    k = rng.randint(1, n - 1)
    return Term(build.apply("C", n, k), f"\\binom{{{n}}}{{{k}}}")


def counting(rng: random.Random, n: int) -> Drawn:
    """Return a drawn sum of binomials, a committee, or (with four operations) the probability of one colour."""
    build = Builder()
    if n == 4 and rng.random() < 0.5:
        return _probability(rng, build)
    if n == 3 and rng.random() < 0.4:
        return _committee(rng, build)
    terms = (n + 1) // 2
    total = _binomial(rng, build)
    for _ in range(terms - 1):
        total = _combine(build, _sum_or_difference(rng), total, _binomial(rng, build))
    if n % 2 == 0:
        total = _combine(build, rng.choice(("+", "-", "*")), total, _number(rng.randint(2, 9)))
    return f"Evaluate ${total.latex}$.", build.plan()


def _committee(rng: random.Random, build: Builder) -> Drawn:
    first, second = rng.randint(3, 7), rng.randint(3, 7)
    some, others = rng.randint(1, first - 1), rng.randint(1, second - 1)
    left = build.apply("C", first, some)
    build.apply("*", left, build.apply("C", second, others))
    words = (
        f"In how many ways can ${some}$ of ${first}$ girls and ${others}$ of ${second}$ boys be chosen for a committee?"
    )
    return words, build.plan()


def _probability(rng: random.Random, build: Builder) -> Drawn:
    red, blue, drawn = rng.randint(2, 5), rng.randint(1, 5), rng.randint(2, 3)
    if drawn >= red or not 3 <= red + blue <= 7:
        raise Reject
    good = build.apply("C", red, drawn)
    total = build.apply("+", red, blue)
    build.apply("/", good, build.apply("C", total, drawn))
    words = (
        f"A bag holds ${red}$ red and ${blue}$ blue balls, and ${drawn}$ are drawn at random. "
        "What is the probability that all of them are red?"
    )
    return words, build.plan()


def geometry(rng: random.Random, n: int) -> Drawn:
    """Return a drawn perimeter (two operations only), or the area of a figure of rectangles and squares."""
    build = Builder()
    a, b = rng.randint(2, 9), rng.randint(2, 9)
    if n == 2:
        if rng.random() < 0.5:
            half = build.apply("+", a + 10 * rng.randint(0, 2), b)
            long = build.operations[0].left
            if build.value(half) > 9:
                build.apply("+", half, rng.randint(2, 9))
                third = build.operations[1].right
                return f"What is the perimeter of a triangle with sides ${long}$, ${b}$ and ${third}$?", build.plan()
            build.apply("*", 2, half)
            return f"What is the perimeter of a rectangle with sides ${long}$ and ${b}$?", build.plan()
        area = build.apply("*", a, b)
        c = rng.randint(2, 9)
        build.apply("+", area, c)
        return (
            f"A ${a} \\times {b}$ rectangle is joined to a figure of area ${c}$. What is the whole area?",
            build.plan(),
        )
    area = build.apply("*", a, b)
    words = [f"a ${a} \\times {b}$ rectangle"]
    changes: list[str] = []
    pieces, strip = divmod(n - 1, 2)
    for _ in range(pieces):
        cut = rng.random() < 0.5
        if rng.random() < 0.5:
            side = rng.randint(2, 5)
            piece, name = build.apply("^", side, 2), f"a square of side ${side}$"
        else:
            c, d = rng.randint(2, 5), rng.randint(2, 7)
            piece, name = build.apply("*", c, d), f"a ${c} \\times {d}$ rectangle"
        area = build.apply("-" if cut else "+", area, piece)
        changes.append(f"{name} is {'cut away' if cut else 'attached'}")
    if strip:
        c = rng.randint(2, 9)
        build.apply("+", area, c)
        changes.append(f"a strip of area ${c}$ is attached")
    if any(value <= 0 for value in build.values):
        raise Reject
    return f"We start with {words[0]}; {', then '.join(changes)}. What is the area?", build.plan()


def intermediate_algebra(rng: random.Random, n: int) -> Drawn:
    """Return a drawn recurrence, or a polynomial at a point."""
    build = Builder()
    if n <= 4 and rng.random() < 0.5:
        return _polynomial(rng, build, n)
    start, factor = rng.randint(-5, 6), rng.choice((2, 2, 3, 3, 4, -2))
    constant = rng.choice([*range(-9, 0), *range(1, 10)])
    steps, extra = divmod(n, 2)
    term: Operand = start
    operator: Operator = "+" if constant > 0 else "-"
    for _ in range(steps):
        term = build.apply(operator, build.apply("*", factor, term), abs(constant))
    rule = f"a_1 = {start}$ and $a_{{n + 1}} = {factor} a_n {operator} {abs(constant)}"
    asked = f"a_{steps + 1}"
    if extra:
        last = rng.randint(2, 9)
        sign = _sum_or_difference(rng)
        build.apply(sign, term, last)
        asked += f" {sign} {last}"
    return f"Let ${rule}$. Find ${asked}$.", build.plan()


def _polynomial(rng: random.Random, build: Builder, n: int) -> Drawn:
    x = rng.choice([*range(-5, -1), *range(2, 10)])
    square = build.apply("^", x, 2)
    if n == 2:
        c = rng.randint(1, 9)
        sign = _sum_or_difference(rng)
        build.apply(sign, square, c)
        return f"Let $f(x) = x^2 {sign} {c}$. Find $f({x})$.", build.plan()
    b = rng.randint(2, 7)
    sign = _sum_or_difference(rng)
    total = build.apply(sign, square, build.apply("*", b, x))
    latex = f"x^2 {sign} {b}x"
    if n == 4:
        c, last = rng.randint(1, 9), _sum_or_difference(rng)
        build.apply(last, total, c)
        latex += f" {last} {c}"
    return f"Let $f(x) = {latex}$. Find $f({x})$.", build.plan()


def precalculus(rng: random.Random, n: int) -> Drawn:
    """Return a drawn determinant, dot product, or combination of vectors, whose answer is a tuple."""
    build = Builder()
    entry = [rng.choice((-5, -4, -3, -2, 2, 3, 4, 5)) for _ in range(8)]
    if n == 2:
        a, b, c, d = (rng.choice([*range(-9, 0), *range(1, 10)]) for _ in range(4))
        sign = _sum_or_difference(rng)
        x, y = build.apply(sign, a, c), build.apply(sign, b, d)
        return f"Find $({a}, {b}) {sign} ({c}, {d})$.", build.plan(x, y)
    if n in (4, 6):
        return _vectors(rng, build, n)
    a, b, c, d = entry[:4]
    if n == 5:
        e, f = entry[4:6]
        total = build.apply("*", a, d)
        for left, right in ((b, e), (c, f)):
            total = build.apply("+", total, build.apply("*", left, right))
        return f"Find the dot product of $({a}, {b}, {c})$ and $({d}, {e}, {f})$.", build.plan()
    if n == 3 and rng.random() < 0.5:
        first = build.apply("*", a, c)
        build.apply("+", first, build.apply("*", b, d))
        return f"Find the dot product of $({a}, {b})$ and $({c}, {d})$.", build.plan()
    total = _determinant(build, a, b, c, d)
    latex = _matrix(a, b, c, d)
    if n == 7:
        e, f, g, h = entry[4:]
        build.apply("+", total, _determinant(build, e, f, g, h))
        latex += " + " + _matrix(e, f, g, h)
    return f"Compute ${latex}$.", build.plan()


def _determinant(build: Builder, a: int, b: int, c: int, d: int) -> Ref:
    first = build.apply("*", a, d)
    return build.apply("-", first, build.apply("*", b, c))


def _matrix(a: int, b: int, c: int, d: int) -> str:
    return f"\\begin{{vmatrix}} {a} & {b} \\\\ {c} & {d} \\end{{vmatrix}}"


def _vectors(rng: random.Random, build: Builder, n: int) -> Drawn:
    a, b, c, d = (rng.choice((-6, -5, -4, -3, -2, 2, 3, 4, 5, 6)) for _ in range(4))
    k, m = rng.randint(2, 5), rng.randint(2, 5)
    sign = _sum_or_difference(rng)
    found: list[Ref] = []
    for first, second in ((a, c), (b, d)):
        left = build.apply("*", k, first)
        found.append(build.apply(sign, left, second if n == 4 else build.apply("*", m, second)))
    return f"Find ${k}({a}, {b}) {sign} {'' if n == 4 else m}({c}, {d})$.", build.plan(*found)


SUBJECTS: dict[str, Callable[[random.Random, int], Drawn]] = {
    "Prealgebra": prealgebra,
    "Algebra": algebra,
    "Number Theory": number_theory,
    "Counting & Probability": counting,
    "Geometry": geometry,
    "Intermediate Algebra": intermediate_algebra,
    "Precalculus": precalculus,
}
