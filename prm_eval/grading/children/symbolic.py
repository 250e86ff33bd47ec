"""Costly or foreign decisions in a killable child, under a deadline and a memory cap.

Sympy says whether an expression is zero: its child gets a tree (nested JSON lists), never text, and builds sympy
objects from it; nothing is parsed or evaluated. A child is started on first use, reused, killed when it is late and
replaced by the next call. There are no signals and no threads: the deadline is a poll on its pipe and a look at its
processor time. One lock makes it usable from any thread; a forked process starts a child of its own.
"""

from __future__ import annotations

import atexit
from typing import Any

from prm_eval.children import Child
from prm_eval.grading.reading.tree import Apply, Node, Number, Quantity, Symbol

DEADLINE_SECONDS = 1.0
# the operations that the child builds sympy objects for; a question with others is not asked
BUILT = frozenset(
    "+ neg * / ^ root sqrt exp sin cos tan cot sec csc asin acos atan sinh cosh tanh floor acot asec acsc coth sech "
    "csch asinh acosh "
    "atanh ln log abs ceil max min binom !".split()
)


class Worker(Child):
    """The child process that runs sympy."""

    def __init__(self, deadline: float = DEADLINE_SECONDS) -> None:
        super().__init__("prm_eval.grading.children.symbolic_main", deadline)

    def is_zero(self, node: Node) -> tuple[bool | None, str]:
        """Return (verdict, reason); the verdict is None when sympy could not say within its limits."""
        reply, reason = self.ask(to_json(node))
        return (None if reply is None else reply.get("zero")), reason


def to_json(node: Node) -> Any:
    """Return a tree as nested lists.

    Raises:
        TypeError: The tree is not an expression.
    """
    if isinstance(node, Number):
        return ["n", str(node.value.numerator), str(node.value.denominator)]
    if isinstance(node, Symbol):
        return ["s", node.name]
    if isinstance(node, Apply):
        return ["f", node.name, *(to_json(arg) for arg in node.args)]
    if isinstance(node, Quantity):
        return to_json(node.value)
    raise TypeError(f"a {type(node).__name__} is not an expression")


WORKER = Worker()
atexit.register(WORKER.close)
