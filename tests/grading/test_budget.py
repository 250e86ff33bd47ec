"""What one problem may cost, classes against verdicts, and values that differ far behind the point."""

from __future__ import annotations

import time

import pytest

from prm_eval.grading import answer_classes, classify, decide, grade_answers
from prm_eval.grading import classes as classes_module

NEARLY = [
    ("1", "\\tanh 1000"),
    ("1", "\\cos(10^{-130})"),
    ("1", "1+e^{-900}"),
    ("1", "1+10^{-1000}"),
    ("\\frac{\\pi}{2}", "\\arctan(10^{300})"),
    ("0", "\\sin(10^{-300})"),
    ("1", "\\tanh(10^{9})"),
    ("1", "\\tanh(\\tanh(500)+400)"),
]


@pytest.mark.parametrize(("gold", "answer"), NEARLY, ids=[answer for _, answer in NEARLY])
def test_values_that_differ_behind_hundreds_of_digits_are_not_equal(gold: str, answer: str) -> None:
    """Agreement to 250 digits proved equality, and these agree to more than that."""
    assert decide(gold, answer).equal is not True
    assert decide(answer, gold).equal is not True


@pytest.mark.parametrize(
    ("gold", "answer"),
    [
        ("\\tanh 2", "\\frac{e^4-1}{e^4+1}"),
        ("\\frac12", "\\cos 60^\\circ"),
        ("\\cosh 100", "\\frac{e^{100}+e^{-100}}{2}"),
    ],
)
def test_identities_of_the_same_functions_are_still_seen(gold: str, answer: str) -> None:
    """More digits are asked for, not fewer answers accepted."""
    assert decide(gold, answer).equal is True


def test_roots_and_powers_beyond_the_limit_are_not_asked_for() -> None:
    """Eight of them took 169 seconds, most of it for starting the worker again."""
    started = time.process_time()
    found = classify([f"2^{{1/10^{{{400 + i}}}}}" for i in range(20)], "1")
    assert time.process_time() - started < 10
    assert {verdict for verdict, _ in found.verdicts} == {None}


def test_a_problem_that_used_up_its_time_is_undecided(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two thousand costly answers would take an hour: what is left is undecided, which counts as wrong and is
    counted."""
    monkeypatch.setattr(classes_module, "PROBLEM_SECONDS", -1.0)
    rows = grade_answers(["1", "2", None], "1", [0, 1, 2])
    assert [row.grade for row in rows] == ["undecided", "undecided", "no_answer"]
    monkeypatch.undo()
    rows = grade_answers(["1", "2", None], "1", [0, 1, 2])  # and nothing of it was kept
    assert [row.grade for row in rows] == ["correct", "incorrect", "no_answer"]


SYMMETRIC = [
    ("0.5", "\\sin 30^\\circ"),
    ("\\frac12", "1:2"),
    ("(1,2)", "x=1,y=2"),
    ("(1,2)", "(x,y)=(1,2)"),
    ("5\\text{ cm}", "0.05\\text{ m}"),
    ("\\$5", "500\\text{ cents}"),
    ("\\cot x", "\\frac{\\cos x}{\\sin x}"),
]


@pytest.mark.parametrize(("one", "other"), SYMMETRIC, ids=[f"{one}|{other}" for one, other in SYMMETRIC])
def test_answers_that_equal_each_other_are_one_class(one: str, other: str) -> None:
    """Votes for one value would be split otherwise."""
    assert decide(one, other).equal is True
    assert decide(other, one).equal is True
    assert answer_classes([one, other, "77"]) == (0, 0, 1)
    assert answer_classes([other, "77", one], "78") == (0, 1, 0)


def test_units_that_contradict_each_other_are_no_class() -> None:
    """5 cm, 5 metres, 5 per cent, 5 dollars and 5 degrees were one class, though no two of them are equal."""
    answers = ["5\\text{ cm}", "5\\text{ meters}", "5\\%", "\\$5", "5^\\circ"]
    assert len(set(answer_classes(answers))) == len(answers)
    assert answer_classes(["5\\text{ cm}", "5", "5.0"]) == (0, 0, 0)  # a unit that is left out is left open
    assert len(set(answer_classes(["5\\text{ cm}", "5", "5\\text{ m}"]))) == 3  # but here nobody knows which
