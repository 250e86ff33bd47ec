"""An explanation in words of how one answer is judged.

It shows the extraction, both trees, the rule that decided, and a caret under what could not be read.
"""

from __future__ import annotations

from dataclasses import dataclass

from prm_eval.grading.deciding.answer_types import kind_of
from prm_eval.grading.deciding.equivalence import decide
from prm_eval.grading.deciding.options import STRICT, GradingOptions
from prm_eval.grading.finding.extract import extract
from prm_eval.grading.forms.rewrite import rewrite
from prm_eval.grading.reading.parser import parse
from prm_eval.grading.reading.tokens import LatexError
from prm_eval.grading.reading.tree import Apply, Bracket, Matrix, Node, Number, Quantity, Relation, Symbol, Words
from prm_eval.grading.reading.typography import typography


@dataclass(frozen=True)
class Explanation:
    """A verdict, and the lines that explain it."""

    equal: bool
    text: str


def explain(gold: str, answer: str, options: GradingOptions = STRICT) -> Explanation:
    """Explain how an answer, or a whole response, is judged against gold under options."""
    found = extract(answer, widely=options.extraction == "conclusion")
    final = found.answer if found else answer
    lines = [
        f"extraction  {found.rule}, characters {found.start} to {found.end}: {final}"
        + (" (the text states another final answer too)" if found.conflict else "")
        if found
        else "extraction  none found: a candidate of this text would be no_answer; "
        "here it is taken as the answer itself"
    ]
    for name, text in (("gold", gold), ("answer", final)):
        lines += _tree_lines(name, text)
    decision = decide(gold, final, options)
    verdict = {True: "equivalent", False: "not equivalent", None: "undecided (counts as not equivalent)"}[
        decision.equal
    ]
    if options != STRICT:
        lines.append(f"options     {options}")
    lines.append(
        f"verdict     {verdict}, by rule {decision.rule}" + (f" ({decision.reason})" if decision.reason else "")
    )
    return Explanation(decision.equal is True, "\n".join(lines))


def _tree_lines(name: str, text: str) -> list[str]:
    try:
        node = parse(text)
        worked = rewrite(node)
        lines = [f"{name:<11} {text}", f"{'  read as':<11} {kind_of(node)}: {spell(node)}"]
        return lines if worked == node else [*lines, f"{'  becomes':<11} {spell(worked)}"]
    except LatexError as error:
        shown = typography(text)
        width = max(1, min(error.end, len(shown)) - error.start)
        return [
            f"{name:<11} {shown}",
            " " * (12 + min(error.start, len(shown))) + "^" * width,
            f"{'  unread':<11} {error}",
        ]


def spell(node: Node) -> str:
    """Return a tree as nested function calls."""
    if isinstance(node, Number):
        return str(node.value)
    if isinstance(node, Symbol):
        return node.name
    if isinstance(node, Words):
        return f"words({node.text!r})"
    if isinstance(node, Quantity):
        return f"quantity({spell(node.value)}, {node.unit!r})"
    if isinstance(node, Apply):
        return f"{node.name}({', '.join(spell(arg) for arg in node.args)})"
    if isinstance(node, Relation):
        parts = [spell(node.sides[0])]
        for operator, side in zip(node.operators, node.sides[1:], strict=True):
            parts += [operator, spell(side)]
        return f"relation({' '.join(parts)})"
    if isinstance(node, Matrix):
        return "matrix(" + "; ".join(", ".join(spell(cell) for cell in row) for row in node.rows) + ")"
    return _spell_bracket(node)


def _spell_bracket(node: Bracket) -> str:
    inner = ", ".join(spell(item) for item in node.items)
    return f"list({inner})" if not node.left else f"{node.left}{inner}{node.right}"
