"""What is the same statement, and what is another problem."""

from __future__ import annotations

import json
import re
from collections import defaultdict

import pytest

from prm_eval.evaluation.golds import statement_key
from prm_eval.pools.problem_sets import load_problems
from prm_eval.store.jsonl import open_binary
from prm_eval.training.statement_keys import squeezed

COPIES = [
    ("What is 1+1?", "what is  $1 + 1$", "Problem: What is $1+1$.", "**Problem 3:** What is\n1+1 ?"),
    (r"Find $\dfrac{1}{2}+x$.", r"Find \(\frac12 + x\)", r"Find \[\tfrac{1}{2}\,+\,x\]"),
    (r"Find $\left(a+b\right)^2$", r"Find $(a+b)^{2}$?", r"Find $\bigl(a+b\bigr)^2$."),
    (r"Let $f(x)=\sqrt2$", r"Let \[f(x) = \sqrt{2}.\]"),
    (r"$\frac{x}{y}z$", r"$\dfrac xy z$"),
    (r"$\frac{\pi}{2}$", r"$\frac\pi2$"),
    (r"costs \$1,000 now", "costs $1000 now", r"costs $1{,}000$ now"),
    (r"angle $90^\circ$", r"angle $90^{\circ}$", "angle 90\u00b0"),
    (r"$x\leq y$", r"$x \le y$", "x \u2264 y"),
    (r"$a\cdot b$", r"$a\times b$", "a \u00d7 b"),
    (r"is $5\text{ cm}$ long", "is 5 cm long", r"is $5~\mathrm{cm}$ long"),
    (r"$\left\{1,2\right\}$", r"$\{1,2\}$", r"$\lbrace 1, 2 \rbrace$"),
    ("x - 1", "x \u2212 1"),
    ("x, y, and z.", "x, y and z"),
    (r"$1, 2, \ldots, 9$", "1,2,...,9"),
]
OTHERS = [
    ("1+1", "1-1"), ("-x", "x"), ("1--1", "1-1"), ("x=1", "x=10"), ("1 2", "12"), ("3.5", "35"), ("50%", "50"),
    ("(1,2)", "(12)"), ("f(x,y)", "f(xy)"), ("(1,000)", "(1000)"), ("3:4", "34"), ("3,4,5", "34,5"), ("5!", "5"),
    ("f'(x)", "f(x)"), ("|x|", "x"), ("a<b", "a>b"), ("[0,1)", "[0,1]"), ("x_1", "x"), ("1/2", "12"),
    (r"$\frac{11}{2}$", r"$\frac{1}{12}$"), (r"$\frac{a}{b+c}$", r"$\frac{a}{b}+c$"), (r"\sqrt{2x}", r"\sqrt{2}x"),
    ("x^{2y}", "x^2y"), ("x^{10}", "x^10"), ("2^{3}4", "2^{34}"), ("$x^{-1}$", "$x^1$"), ("$x\u00b2$", "$x2$"),
    (r"\begin{pmatrix}1&2\\3&4", r"\begin{pmatrix}1&2&3\\4"), (r"\{1,2\}", "(1,2)"), (r"\sin x", r"\cos x"),
    (r"x\ge1", "x>1"), (r"\lfloor x\rfloor", r"\lceil x\rceil"), (r"x \ne 1", "x = 1"), (r"\overline{ab}", "ab"),
]  # fmt: skip


@pytest.mark.parametrize("copies", COPIES, ids=lambda each: each[0])
def test_copies_in_other_latex_are_one_problem(copies) -> None:
    """Otherwise a problem of MATH-500 in another spelling is trained on, or stands on both sides of the split."""
    assert len({squeezed(each) for each in copies}) == 1, [squeezed(each) for each in copies]


@pytest.mark.parametrize(("one", "other"), OTHERS)
def test_another_sign_or_number_is_another_problem(one, other) -> None:
    """Otherwise problems are called contaminated, and left out, that no set has."""
    assert squeezed(f"What is {one}?") != squeezed(f"What is {other}?")


NAMES = ("statement", "problem", "question", "prompt", "input", "Question", "Problem")
STATEMENTS, PAIRS = 7_775, 12


def statements(data) -> list[str]:
    """Every statement in the real files and in the miniature, but for white space once."""
    found: dict[str, None] = {" ".join(each.statement.split()): None for each in load_problems("miniature").problems}

    def walk(value) -> None:
        for name, each in value.items():
            if name in NAMES and isinstance(each, str):
                found.setdefault(" ".join(each.split()))
            elif isinstance(each, dict):
                walk(each)

    for path in sorted(data.rglob("*.jsonl*")):
        with open_binary(path) as stream:
            for line in stream:
                row = json.loads(line)
                walk(row if isinstance(row, dict) else {})
    return list(found)


def test_no_two_real_problems_fall_together(data) -> None:
    """Otherwise the key takes different real problems for one; the pairs counted here were read, and are copies."""
    groups: dict[str, dict[str, str]] = defaultdict(dict)
    found = statements(data)
    for each in found:
        plain = "".join(statement_key(each).casefold().replace("$", "").split())
        groups[squeezed(each)].setdefault(plain, each)
    pairs = [list(each.values()) for each in groups.values() if len(each) > 1]
    for one, *others in pairs:
        for other in others:
            # by a rule of its own: the same digits and signs in the same order
            assert re.findall(r"\d|[-+=<>|]", one) == re.findall(r"\d|[-+=<>|]", other)
    assert (len(found), len(pairs)) == (STATEMENTS, PAIRS)


def test_any_other_digit_or_sign_of_a_real_problem_counts(data) -> None:
    """Otherwise a problem with another number, which has another answer, counts as the one that is known."""
    rows = (data / "problems" / "math500.jsonl").read_text().splitlines()[::5]
    for statement in (json.loads(row)["problem"] for row in rows):
        key = squeezed(statement)
        for at, sign in enumerate(statement):
            if sign in "0123456789+-=<>":
                put = {"+": "-", "-": "+", "=": "<", "<": ">", ">": "="}.get(sign) or str((int(sign) + 1) % 10)
                assert squeezed(statement[:at] + put + statement[at + 1 :]) != key, (statement, at)


def test_hostile_statements_cost_little() -> None:
    """Otherwise, by a rule that tries again from every sign, the check of a stranger's file does not end."""
    for part in ("\\text{", "{", "\\frac", "\\frac ", "1,", "!", "problem ", "1,000", "* ", "^{", "\\\\[", "1", "^ "):
        found = squeezed(part * (200_000 // len(part)))
        assert len(found) <= 2 * 200_000, part
