"""The type of an answer in one word: how the grader read it."""

from __future__ import annotations

from prm_eval.grading.reading.tree import Apply, Bracket, Matrix, Node, Number, Quantity, Relation, Symbol, Words

_OPERATIONS = {
    "ratio": "ratio",
    "time": "time",
    "clock": "time",
    "union": "interval union",
    "cases": "piecewise function",
}
_UNITS = {
    "%": "percent",
    "degree": "degree",
    "$": "money",
    "cent": "money",
    "EUR": "money",
    "GBP": "money",
    "JPY": "money",
}


def kind_of(node: Node | None) -> str:
    """Return the type of a tree: integer, rational, percent, tuple, interval, set, list, equation, and so on."""
    if node is None:
        return "unreadable"
    if isinstance(node, Number):
        return "integer" if node.value.denominator == 1 else "rational"
    if isinstance(node, Words):
        return "words"
    if isinstance(node, Symbol):
        return "interval union" if node.name == "R" else "letter"
    if isinstance(node, Matrix):
        return "vector" if len(node.rows[0]) == 1 or len(node.rows) == 1 else "matrix"
    if isinstance(node, Quantity):
        return "base numeral" if node.unit.startswith("base ") else _UNITS.get(node.unit, "number with unit")
    if isinstance(node, Relation):
        return _relation(node)
    if isinstance(node, Bracket):
        if node.left == "":
            return "list"
        if node.left == "{":
            return "set"
        return "tuple" if (node.left, node.right) == ("(", ")") else "interval"
    return _operation(node)


def _relation(node: Relation) -> str:
    if node.operators == ("=",) and isinstance(node.sides[0], Symbol):
        return kind_of(node.sides[1])
    if node.operators == ("in",):
        return kind_of(node.sides[1])
    return "equation" if set(node.operators) == {"="} else "inequality"


def _operation(node: Apply) -> str:
    if node.name in _OPERATIONS:
        return _OPERATIONS[node.name]
    if node.name in ("cup", "cap", "setminus", "builder"):
        return "interval union"
    if node.name == "/" and all(isinstance(arg, Number) for arg in node.args):
        return "rational"
    return "list" if node.name in ("pm", "mp") else "expression"
