"""The child of :mod:`prm_eval.grading.children.symbolic`: it answers each tree with a line of JSON."""

from __future__ import annotations

import json
import resource
import sys
from collections.abc import Callable
from typing import Any

MAX_EXPONENT = 2_000


def build(tree: list[Any]) -> Any:
    """Return the sympy expression of a tree.

    Raises:
        ValueError: A node must not go to sympy (it is too large, or not known here).
    """
    import sympy

    kind = tree[0]
    if kind == "n":
        return sympy.Rational(int(tree[1]), int(tree[2]))
    if kind == "s":
        constants = {"pi": sympy.pi, "e": sympy.E, "i": sympy.I, "infinity": sympy.oo}
        return constants.get(tree[1]) or sympy.Symbol(tree[1], positive=True)
    name, args = tree[1], [build(arg) for arg in tree[2:]]
    return _apply(sympy, name, args)


def _apply(sympy: Any, name: str, args: list[Any]) -> Any:
    if name == "+":
        return sympy.Add(*args)
    if name == "neg":
        return -args[0]
    if name == "*":
        return sympy.Mul(*args)
    if name == "/":
        return sympy.Mul(args[0], sympy.Pow(args[1], -1))
    if name == "^":
        if args[1].is_number and (not args[1].is_finite or abs(args[1].evalf(5)) > MAX_EXPONENT):
            raise ValueError("an exponent that is too large")
        return sympy.real_root(args[0], 1 / args[1]) if _odd_root(args) else sympy.Pow(args[0], args[1])
    if name == "root":
        return sympy.real_root(args[0], args[1]) if args[1].is_odd else sympy.root(args[0], args[1])
    if name in (
        "sqrt",
        "exp",
        "sin",
        "cos",
        "tan",
        "cot",
        "sec",
        "csc",
        "asin",
        "acos",
        "atan",
        "sinh",
        "cosh",
        "tanh",
        "floor",
        "acot",
        "asec",
        "acsc",
        "coth",
        "sech",
        "csch",
        "asinh",
        "acosh",
        "atanh",
    ):
        return getattr(sympy, name)(args[0])
    if name == "ln":
        return sympy.log(args[0])
    if name == "log":
        return sympy.log(args[0], args[1] if len(args) > 1 else 10)
    if name == "abs":
        return sympy.Abs(args[0])
    if name == "ceil":
        return sympy.ceiling(args[0])
    if name in ("max", "min"):
        return (sympy.Max if name == "max" else sympy.Min)(*args)
    if name == "binom" and not any(arg.is_number and abs(arg.evalf(5)) > MAX_EXPONENT for arg in args):
        return sympy.binomial(*args)
    if name == "!" and not (args[0].is_number and abs(args[0].evalf(5)) > MAX_EXPONENT):
        return sympy.factorial(args[0])
    raise ValueError(f"no sympy form for {name}")


def _odd_root(args: list[Any]) -> bool:
    power = args[1]
    return bool(args[0].is_negative and power.is_Rational and power.p == 1 and power.q % 2 == 1 and power.q > 1)


def decide(tree: list[Any]) -> dict[str, Any]:
    """Say whether an expression is zero: simplification shows it, 30 digits disprove it, or it is not decided."""
    import sympy

    expression = build(tree)
    if expression == 0:
        return {"zero": True, "reason": "equal as built"}
    if expression.is_number:
        value = expression.evalf(30, maxn=200)
        if value.is_number and abs(value) > 1e-20:
            return {"zero": False, "reason": "differs numerically"}
    simplified = sympy.simplify(expression)
    if simplified == 0:
        return {"zero": True, "reason": "simplified to zero"}
    if simplified.is_number and simplified.equals(0):
        return {"zero": True, "reason": "proved equal to zero"}
    return {"zero": None, "reason": "not simplified to zero"}


def serve(answer: Callable[[Any], dict[str, Any]]) -> None:
    """Answer lines of JSON until standard input ends, under the memory limit of the first argument."""
    limit = int(sys.argv[1])
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    replies, sys.stdout = sys.stdout, sys.stderr  # what a library prints is no reply
    replies.write('{"ready": true}\n')
    replies.flush()
    for line in sys.stdin:
        try:
            reply = answer(json.loads(line))
        except Exception as error:  # whatever a library raises on strange input is a "cannot say", with its name
            reply = {"reason": f"{type(error).__name__}: {error}"[:200]}
        replies.write(json.dumps(reply) + "\n")
        replies.flush()


if __name__ == "__main__":
    import sympy  # noqa: F401  (the parent waits for the first line, sent when this is done)

    serve(decide)
