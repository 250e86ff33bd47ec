"""Rewriting of trees before their normal form: dots, matrices, named points and sets of reals are worked out."""

from __future__ import annotations

from fractions import Fraction

from prm_eval.grading.forms.matrices import work_out
from prm_eval.grading.forms.numeric import letters
from prm_eval.grading.forms.series import DOTS, spell_out
from prm_eval.grading.forms.sets import canonical, is_composite
from prm_eval.grading.reading.tree import Apply, Bracket, Matrix, Node, Number, Relation, Symbol, Words


def rewrite(node: Node) -> Node:
    """Return a tree in which everything that this module knows is worked out; nothing is evaluated."""
    if isinstance(node, Apply):
        if node.name == "*" and _is_point(node):
            return rewrite(node.args[1])  # P(2, -3)
        if node.name == "+":
            node = _difference(node)
        if node.name == "cases":
            return Apply("cases", tuple(_piece(each) for each in node.args))
        node = work_out(spell_out(node) if _has_dots(node) else node)
        if isinstance(node, Apply) and len(node.args) < 4:
            node = _unit_vectors(node)
    elif isinstance(node, Bracket) and node.left == "[" and node.right == "]" and len(node.items) > 1:
        return _square(node)
    elif isinstance(node, Bracket):
        node = Bracket(node.left, node.right, tuple(map(rewrite, node.items)) if _is_list(node) else node.items)
        node = spell_out(node) if DOTS in node.items else node
    elif isinstance(node, Relation) and "approx" in node.operators:
        node = _exact(node)
    elif isinstance(node, Relation) and set(node.operators) == {"="}:
        node = Relation(node.operators, tuple(_side(side, i, node) for i, side in enumerate(node.sides)))
    return canonical(node) if is_composite(node) else node


def _exact(node: Relation) -> Node:
    r"""Leave out the decimal behind an exact value, ``2\sqrt{3} \approx 3.46``; other approximations stay."""
    at = node.operators.index("approx")
    head = node.sides[: at + 1]
    if set(node.operators[:at]) - {"="} or (
        isinstance(head[-1], (Symbol, Words)) and head[-1] not in (Symbol("pi"), Symbol("e"))
    ):
        return node
    return rewrite(Relation(node.operators[:at], head) if at else head[0])


def _side(side: Node, place: int, node: Relation) -> Node:
    r"""Work out one side of an equation; a left side that only names a value, as ``E(x, 0)``, stays a name."""
    if place == 0 and isinstance(side, Apply):
        if side.name in ("sum", "prod") and _has_terms(side):
            return Symbol(f"@({side.name})")
        if side.name == "*" and _is_point(side) and not isinstance(node.sides[-1], Bracket):
            return side
    return rewrite(side)


def _has_terms(series: Apply) -> bool:
    """Say whether the terms of a series are named by its index, as a_k: then it cannot be worked out."""
    index = series.args[0]
    return isinstance(index, Symbol) and any(name.endswith(f"_{index.name}") for name in letters(series.args[-1]))


def _is_list(node: Bracket) -> bool:
    return not is_composite(node) and node.left in ("", "{")


def _is_point(node: Apply) -> bool:
    """Say whether a product is a named point: a capital letter before a tuple."""
    name, point = node.args
    return (
        isinstance(name, Symbol)
        and name.name[0].isupper()
        and isinstance(point, Bracket)
        and (point.left, point.right) == ("(", ")")
    )


def _difference(node: Apply) -> Apply:
    r"""Read ``\mathbb{R} - \{1\}`` as a difference of sets."""
    first, *rest = node.args
    minus = [term.args[0] for term in rest if isinstance(term, Apply) and term.name == "neg"]
    if first == Symbol("R") and len(minus) == len(rest) and all(isinstance(term, Bracket) for term in minus):
        for term in minus:
            first = Apply("setminus", (first, term))
        return first if isinstance(first, Apply) else node
    return node


def _has_dots(node: Node) -> bool:
    return node == DOTS or (
        isinstance(node, Apply) and (node.name in ("sum", "prod") or any(_has_dots(arg) for arg in node.args))
    )


def _square(node: Bracket) -> Node:
    """Read ``[[1,2],[3,4]]`` as a matrix, and three or more items in square brackets as a tuple."""
    rows = [item for item in node.items if isinstance(item, Bracket) and (item.left, item.right) == ("[", "]")]
    if len(rows) == len(node.items) and len({len(row.items) for row in rows}) == 1:
        return Matrix(tuple(row.items for row in rows))
    return Bracket("(", ")", node.items) if len(node.items) > 2 else node


def _unit_vectors(node: Apply) -> Node:
    r"""Read ``2\mathbf{i} - 3\mathbf{j}`` as the vector (2, -3)."""
    terms = node.args if node.name == "+" else (node,)
    parts: dict[str, Node] = {}
    for term in terms:
        found = _component(term)
        if found is None or found[0] in parts:
            return node
        parts[found[0]] = found[1]
    names = "ijk" if "k" in parts else "ij"
    return Bracket("(", ")", tuple(parts.get(name, Number(Fraction(0))) for name in names))


def _component(term: Node) -> tuple[str, Node] | None:
    if isinstance(term, Symbol) and term.name.startswith("unit "):
        return term.name[-1], Number(Fraction(1))
    if isinstance(term, Apply) and term.name == "neg":
        inner = _component(term.args[0])
        return (inner[0], Apply("neg", (inner[1],))) if inner else None
    if isinstance(term, Apply) and term.name == "*":
        inner = _component(term.args[1])
        return (inner[0], term.args[0]) if inner and inner[1] == Number(Fraction(1)) else None
    return None


def _piece(node: Node) -> Node:
    """Bring the condition of one piece of a function to its form."""
    if isinstance(node, Bracket) and len(node.items) == 2:
        value, condition = node.items
        return Bracket("(", ")", (rewrite(value), canonical(condition)))
    return node
