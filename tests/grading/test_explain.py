"""`prm-eval explain`: what it says must be what the grader did, else people would argue with the wrong rule."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prm_eval.grading import decide, extract_answer, parse_options
from prm_eval.grading.explain import explain, spell
from prm_eval.grading.reading.parser import parse

# (gold, answer, equal, lines that the explanation must have)
CASES = [
    ("1/2", "0.5", True, ["extraction  whole, characters 0 to 3: 0.5", "  read as   rational: /(1, 2)",
    "verdict     equivalent, by rule normal_form"]),
    ("1/2", "so \\boxed{0.5}", True, ["extraction  boxed, characters 10 to 13: 0.5"]),
    ("x", "The answer is (1,2)", False, ["extraction  phrase, characters 14 to 19: (1,2)",
    "  read as   tuple: (1, 2)"]),
    ("5 cm", "5", True, ["  read as   number with unit: quantity(5, 'cm')"]),
    ("x<3", "x\\le 3", False, ["relation(x < 3)", "relation(x <= 3)", "verdict     not equivalent, by rule "
                                                                      "different_form"]),
    ("\\sum_{k=1}^{3}k", "6", True, ["sum(k, 1, 3, k)", "  becomes   +(1, 2, 3)"]),
    ("\\begin{pmatrix}1&2\\\\3&4\\end{pmatrix}", "1", False, ["matrix(1, 2; 3, 4)"]),
    ("\\text{yes}", "yes", True, ["words('yes')"]),
    ("1,2", "2,1", True, ["list(1, 2)"]),
    ("\\boxed{1}", "\\boxed{1}. The final answer is $2$.", False, ["the text states another final answer too"]),
]  # fmt: skip


@pytest.mark.parametrize("gold, answer, equal, lines", CASES, ids=[f"{case[0]} | {case[1]}" for case in CASES])
def test_what_is_said(gold: str, answer: str, equal: bool, lines: list[str]) -> None:
    """Where the answer stood, how both sides were read, what they became, and which rule decided."""
    found = explain(gold, answer)
    assert found.equal is equal
    for line in lines:
        assert line in found.text


@pytest.mark.parametrize("text, column", [("\\frac{1", 7), ("((1", 3), ("1+", 2)])
def test_a_caret_stands_under_what_could_not_be_read(text: str, column: int) -> None:
    """In the column of the fault, on the line below the text."""
    lines = explain("1", text).text.splitlines()
    at = next(number for number, line in enumerate(lines) if line.strip("^ ") == "" and "^" in line)
    assert lines[at - 1] == f"answer      {text}"
    assert lines[at].index("^") == 12 + column
    assert lines[at + 1].startswith("  unread    ")


ANSWERS = st.sampled_from(
    ["1/2", "0.5", "\\boxed{2}", "x", "x=2", "(1,2)", "no", "\\frac{1", "", "The answer is 2.", "5 cm", "50\\%"]
)


@settings(max_examples=80, deadline=None, derandomize=True)
@given(ANSWERS, ANSWERS, st.sampled_from([None, "rounded_decimals=2"]))
def test_the_verdict_is_the_graders(gold: str, answer: str, options: str | None) -> None:
    """Explained or graded: one decision, under the same options, with the rule that made it."""
    policy = parse_options(options)
    found = explain(gold, answer, policy)
    decision = decide(gold, extract_answer(answer) or answer, policy)
    assert found.equal is (decision.equal is True)
    assert f", by rule {decision.rule}" in found.text


@pytest.mark.parametrize(
    "text, tree",
    [
        ("x^2+1", "+(^(x, 2), 1)"),
        ("-x", "neg(x)"),
        ("\\sqrt[3]{x}", "root(x, 3)"),
        ("[1,2)", "[1, 2)"),
        ("\\{1,2\\}", "{1, 2}"),
        ("1<x\\le 2", "relation(1 < x <= 2)"),
        ("\\sin x", "sin(x)"),
    ],
)
def test_trees_are_spelt_as_calls(text: str, tree: str) -> None:
    """One spelling a tree, so that two readings can be told apart by eye."""
    assert spell(parse(text)) == tree
