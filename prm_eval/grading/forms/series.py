r"""Sums and lists with dots in them, ``x^8 + x^7 + \cdots + 1``, written in full where their rule is clear."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from prm_eval.grading.forms.closed_sums import closed_form
from prm_eval.grading.reading.tree import Apply, Bracket, Node, Number, Symbol

DOTS = Symbol("...")
MAX_BITS = 2_000
MAX_TERMS = 120  # a product nests as deep as it has factors


@dataclass(frozen=True, slots=True)
class Term:
    """A term that a rule can continue: factor * base^power."""

    factor: Fraction
    base: Node | None
    power: Fraction


def spell_out(node: Node) -> Node:
    """Return a sum or list with its dots, or its sum sign, replaced by their terms; any other tree stays as it is."""
    if isinstance(node, Apply) and node.name in ("sum", "prod"):
        return _summed(node)
    if isinstance(node, Apply):
        args = tuple(spell_out(arg) for arg in node.args)
        terms = _filled(args) if node.name == "+" and DOTS in args else None
        return Apply(node.name, terms or args)
    if isinstance(node, Bracket) and DOTS in node.items:
        return Bracket(node.left, node.right, _filled(node.items) or node.items)
    return node


def _summed(node: Apply) -> Node:
    r"""Return ``\sum_{k=1}^{5} k`` as the sum of its terms, if its bounds are whole numbers and not far apart."""
    index, low, high, body = node.args
    if isinstance(index, Symbol) and isinstance(low, Number) and not isinstance(high, Number) and node.name == "sum":
        return closed_form(index, low, high, body) or node
    if not (isinstance(index, Symbol) and isinstance(low, Number) and isinstance(high, Number)):
        return node
    count = high.value - low.value + 1
    if low.value.denominator != 1 or count.denominator != 1 or not 1 <= count <= MAX_TERMS:
        return node
    terms = [_put(body, index, Number(low.value + i)) for i in range(int(count))]
    if node.name == "sum":
        return Apply("+", tuple(terms)) if len(terms) > 1 else terms[0]
    product = terms[0]
    for term in terms[1:]:
        product = Apply("*", (product, term))
    return product


def _put(node: Node, letter: Symbol, value: Number) -> Node:
    if node == letter:
        return value
    return Apply(node.name, tuple(_put(arg, letter, value) for arg in node.args)) if isinstance(node, Apply) else node


def _filled(nodes: tuple[Node, ...]) -> tuple[Node, ...] | None:
    """Return all terms; None unless two before the dots and one after them follow one rule."""
    at = nodes.index(DOTS)
    before, after = nodes[:at], nodes[at + 1 :]
    if len(before) < 2 or not after or DOTS in after:
        return None
    known = [_term(node) for node in (*before, *after)]
    terms = [term for term in known if term is not None]
    bases = {term.base for term in terms if term.base is not None}
    if len(terms) != len(known) or len(bases) > 1:
        return None
    base = bases.pop() if bases else None
    for rule in (_arithmetic, _geometric):
        filled = rule(terms, at)
        if filled is not None:
            return tuple(_node(term, base) for term in filled)
    return None


def _arithmetic(known: list[Term], at: int) -> list[Term] | None:
    """Continue a series by equal differences of factors and of powers."""
    step, climb = known[1].factor - known[0].factor, known[1].power - known[0].power
    terms = [known[0]]
    while len(terms) < MAX_TERMS and terms[-1] != _like(known[-1], terms[-1]):
        last = terms[-1]
        terms.append(Term(last.factor + step, last.base, last.power + climb))
    return _matching(terms, known, at)


def _geometric(known: list[Term], at: int) -> list[Term] | None:
    """Continue a series by equal ratios of factors and equal differences of powers."""
    if not known[0].factor:
        return None
    ratio, climb = known[1].factor / known[0].factor, known[1].power - known[0].power
    terms = [known[0]]
    while len(terms) < MAX_TERMS and terms[-1] != _like(known[-1], terms[-1]):
        last = terms[-1]
        factor = last.factor * ratio
        if max(factor.numerator.bit_length(), factor.denominator.bit_length()) > 10_000:
            return None
        terms.append(Term(factor, last.base, last.power + climb))
    return _matching(terms, known, at)


def _like(one: Term, other: Term) -> Term:
    return Term(one.factor, other.base, one.power)


def _matching(terms: list[Term], known: list[Term], at: int) -> list[Term] | None:
    """Return the terms if the known ones stand at both of their ends without an overlap."""
    tail = known[at:]
    if len(terms) >= MAX_TERMS or len(terms) < len(known):
        return None
    given = [*terms[:at], *terms[len(terms) - len(tail) :]]
    same = all((a.factor, a.power) == (b.factor, b.power) for a, b in zip(given, known, strict=True))
    return terms if same else None


def _term(node: Node) -> Term | None:
    if isinstance(node, Number):
        return Term(node.value, None, Fraction(0))
    if isinstance(node, Symbol):
        return Term(Fraction(1), node, Fraction(1)) if node != DOTS else None
    if not isinstance(node, Apply):
        return None
    if node.name == "neg":
        inner = _term(node.args[0])
        return Term(-inner.factor, inner.base, inner.power) if inner else None
    if node.name == "^" and isinstance(node.args[1], Number):
        base, power = node.args[0], node.args[1].value
        if isinstance(base, Number):
            bits = max(base.value.numerator.bit_length(), base.value.denominator.bit_length())
            small = power.denominator == 1 and abs(power) * bits <= MAX_BITS
            return Term(Fraction(base.value ** int(power)), None, Fraction(0)) if small and base.value else None
        return Term(Fraction(1), base, power)
    if node.name == "*" and isinstance(node.args[0], Number):
        inner = _term(node.args[1])
        return Term(inner.factor * node.args[0].value, inner.base, inner.power) if inner else None
    if node.name == "/" and isinstance(node.args[0], Number) and isinstance(node.args[1], (Number, Apply, Symbol)):
        inner = _term(node.args[1])
        if inner is None or not inner.factor:
            return None
        return Term(node.args[0].value / inner.factor, inner.base, -inner.power)
    return None


def _node(term: Term, base: Node | None) -> Node:
    if base is None or not term.power:
        return Number(term.factor)
    power = Apply("^", (base, Number(term.power)))
    return Apply("*", (Number(term.factor), power))
