"""What the child with sympy decides, called in this process: a "zero" that is none makes a wrong answer right."""

from __future__ import annotations

import io
import json
import sys

import pytest

from prm_eval.grading.children import symbolic_main
from prm_eval.grading.children.symbolic import to_json
from prm_eval.grading.reading.parser import parse
from prm_eval.grading.reading.tree import Words

# (expression in LaTeX, is it zero?): None where it may not be decided, or must not be tried
DECISIONS = [
    ("\\sin^2 x+\\cos^2 x-1", True),
    ("\\sin(2x)-2\\sin x\\cos x", True),
    ("\\tan x-\\frac{\\sin x}{\\cos x}", True),
    ("\\ln(6)-\\ln 2-\\ln 3", True),
    ("\\log_2 8-3", True),
    ("\\sqrt{3+2\\sqrt{2}}-1-\\sqrt{2}", True),
    ("\\sqrt[3]{-8}+2", True),
    ("(-8)^{1/3}+2", True),
    ("\\sqrt[4]{16}-2", True),
    ("|-3|-3", True),
    ("\\lfloor 3.7\\rfloor-3", True),
    ("\\lceil 3.2\\rceil-4", True),
    ("\\max(2,5)-5", True),
    ("\\min(2,5)-2", True),
    ("\\binom{5}{2}-10", True),
    ("5!-120", True),
    ("e^{i\\pi}+1", True),
    ("e^{\\ln x}-x", True),
    ("\\cosh^2 x-\\sinh^2 x-1", True),
    ("\\sin^2 x+\\cos^2 x-2", None),
    ("\\sqrt{2}-1.41421356", False),
    ("\\pi-3.14159", False),
    ("\\ln 2-0.693147", False),
    ("\\sin x-x", None),
]


@pytest.mark.parametrize("text, zero", DECISIONS, ids=[text for text, _ in DECISIONS])
def test_what_is_zero(text: str, zero: bool | None) -> None:
    """Identities are proved, near misses are disproved by their digits, the rest is left undecided with a reason."""
    reply = symbolic_main.decide(to_json(parse(text)))
    assert reply["zero"] is zero
    assert reply["reason"]


@pytest.mark.parametrize(
    "tree",
    [
        ["f", "^", ["n", "2", "1"], ["n", "100000", "1"]],
        ["f", "^", ["n", "2", "1"], ["s", "infinity"]],
        ["f", "!", ["n", "100000", "1"]],
        ["f", "binom", ["n", "100000", "1"], ["n", "50000", "1"]],
        ["f", "eval", ["n", "1", "1"]],
        ["f", "__import__", ["s", "os"]],
    ],
    ids=["power", "infinite power", "factorial", "binomial", "eval", "import"],
)
def test_what_sympy_is_not_given(tree: list) -> None:
    """Too large, or a name that is no function of ours: refused before sympy sees it."""
    with pytest.raises(ValueError, match=r"too large|no sympy form"):
        symbolic_main.build(tree)


@pytest.mark.parametrize(
    "name",
    ["sin", "cos", "tan", "cot", "sec", "csc", "asin", "acos", "atan", "acot", "sinh", "cosh", "tanh", "coth", "sech",
    "csch",
     "asinh", "acosh", "atanh", "asec", "acsc", "exp", "sqrt"],
)  # fmt: skip
def test_functions_are_those_of_the_numbers(name: str) -> None:
    """Each function means in sympy what it means in floating point: a name that were another function would prove
    nonsense."""
    from fractions import Fraction

    from prm_eval.grading.forms.numeric import NoValueError, value_at
    from prm_eval.grading.reading.tree import Apply, Number

    for at in (Fraction(1, 3), Fraction(7, 4)):
        node = Apply(name, (Number(at),))
        try:
            value = value_at(node, {}, real=True)
        except NoValueError:
            continue
        assert complex(symbolic_main.build(to_json(node)).evalf(20)) == pytest.approx(value, abs=1e-12)


def test_words_are_no_expression() -> None:
    """Only expressions are sent to the child."""
    with pytest.raises(TypeError, match="Words is not an expression"):
        to_json(Words("no"))


def test_the_child_answers_every_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """A line each, in order; whatever is raised on one line is its reply, and what a library prints is none."""
    limits: list[object] = []
    monkeypatch.setattr(symbolic_main.resource, "setrlimit", lambda kind, pair: limits.append(pair))
    monkeypatch.setattr(sys, "argv", ["child", "1000"])
    monkeypatch.setattr(sys, "stdin", io.StringIO("[1]\n[2]\nnot JSON\n"))
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    replies = io.StringIO()
    monkeypatch.setattr(sys, "stdout", replies)

    def answer(tree: list[int]) -> dict[str, object]:
        print("noise")
        if tree == [2]:
            raise RuntimeError("x" * 500)
        return {"zero": True}

    symbolic_main.serve(answer)
    ready, first, second, third = map(json.loads, replies.getvalue().splitlines())
    assert ready == {"ready": True}
    assert first == {"zero": True}
    assert second["reason"].startswith("RuntimeError: xxx")
    assert len(second["reason"]) == 200
    assert "JSONDecodeError" in third["reason"]
    assert limits == [(1000, 1000)]
