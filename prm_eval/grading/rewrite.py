"""What is worked out on trees before they are brought to their normal form: dots, matrices, named points, sets of reals."""

from __future__ import annotations

from prm_eval.grading.matrices import work_out
from prm_eval.grading.series import DOTS, spell_out
from prm_eval.grading.sets import canonical, is_composite
from prm_eval.grading.tree import Apply, Bracket, Node, Relation, Symbol


def rewrite(node: Node) -> Node:
    """Return the tree with what can be worked out worked out. Trees in, trees out; nothing is evaluated."""
    if isinstance(node, Apply):
        if node.name == "*" and _is_point(node):
            return rewrite(node.args[1])  # P(2, -3)
        if node.name == "+":
            node = _difference(node)
        if node.name == "cases":
            return Apply("cases", tuple(_piece(each) for each in node.args))
        node = work_out(spell_out(node) if _has_dots(node) else node)
    elif isinstance(node, Bracket):
        node = Bracket(node.left, node.right, tuple(map(rewrite, node.items)) if _is_list(node) else node.items)
        node = spell_out(node) if DOTS in node.items else node
    elif isinstance(node, Relation) and set(node.operators) == {"="}:
        node = Relation(node.operators, tuple(map(rewrite, node.sides)))
    return canonical(node) if is_composite(node) else node


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
    r"""Read ``\mathbb{R} - \{1\}`` as the difference of sets that it is."""
    first, *rest = node.args
    minus = [term.args[0] for term in rest if isinstance(term, Apply) and term.name == "neg"]
    if first == Symbol("R") and len(minus) == len(rest) and all(isinstance(term, Bracket) for term in minus):
        for term in minus:
            first = Apply("setminus", (first, term))
        return first if isinstance(first, Apply) else node
    return node


def _has_dots(node: Node) -> bool:
    return node == DOTS or (isinstance(node, Apply) and any(_has_dots(arg) for arg in node.args))


def _piece(node: Node) -> Node:
    """Bring the condition of one piece of a function to its form."""
    if isinstance(node, Bracket) and len(node.items) == 2:
        value, condition = node.items
        return Bracket("(", ")", (rewrite(value), canonical(condition)))
    return node
