"""The oracle against a second judge that shares no code with it (tests/miniature/second_judge.py), and against any text
at all."""

from __future__ import annotations

import random
from itertools import islice

from hypothesis import given, settings
from hypothesis import strategies as st

from prm_eval.miniature.oracle import judge
from prm_eval.miniature.plan import render_box, render_step, solve
from prm_eval.miniature.problems import iter_problems, miniature_problems
from tests.miniature import second_judge
from tests.miniature.texts import GARBAGE, corrupt


def both(plan, text):
    found = judge(plan, text)
    return [label.right for label in found.labels], found.answer_right


def test_two_judges_on_thousands_of_texts() -> None:
    """6,000 texts, right and corrupted by digits, operators, operands, values, dropped, swapped, doubled and foreign
    lines."""
    rng = random.Random(20_230_531)
    sound = false_positives = wrong = 0
    for number, each in enumerate(islice(iter_problems("train", 11), 6_000)):
        text = corrupt(list(solve(each.plan)), rng, number % 4)
        found = judge(each.plan, text)
        labels, answer = second_judge.judge(each.plan, text)
        assert [label.right for label in found.labels] == labels, (each.problem.statement, text, found, labels)
        assert found.answer_right == answer, (each.problem, text)
        sound += found.sound
        false_positives += found.false_positive
        wrong += not found.answer_right
    assert sound > 1500 and false_positives > 300 and wrong > 1000, "the texts do not try every case"


PROBLEMS = miniature_problems("train", 1, 350)
LINES = st.sampled_from([line for each in PROBLEMS[::5] for line in solve(each.plan)] + list(GARBAGE))


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(PROBLEMS), st.data())
def test_two_judges_on_mixed_lines(each, data) -> None:
    """The problem's own lines with those of other problems, in any order and number."""
    lines = data.draw(st.lists(st.one_of(st.sampled_from(solve(each.plan)), LINES), max_size=12))
    text = "\n".join(lines)
    assert both(each.plan, text) == second_judge.judge(each.plan, text)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(PROBLEMS), st.randoms(use_true_random=False))
def test_work_in_any_order_and_grouping_is_sound(each, rng) -> None:
    """Else a right solution that regroups a sum is counted as wrong reasoning."""
    term = second_judge.term_of(each.plan)
    lines = []
    while ways := list(second_judge.ways(term)):
        one, other, how = rng.choice(ways)
        a, b = second_judge.at(term, one), second_judge.at(term, other)
        sign, left, right = how[0], how[1] * a, b
        if sign == "+":
            sign, right = ("+", how[2] * b) if rng.random() < 0.3 else ("+-"[how[2] < 0], b)
        value = second_judge.compute(sign, left, right)
        lines.append(render_step(sign, left, right, value))
        fitting = [(way, second_judge.fits((sign, left, right), term, *way)) for way in ways]
        way, said = rng.choice([each for each in fitting if each[1]])  # equal work in two places: any may be meant
        second_judge.put(term, *way, said * value)
    text = "\n".join([*lines, render_box(term[1:])])
    assert judge(each.plan, text).sound, text


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(PROBLEMS), st.text(alphabet="0123456789+-=^(){}\\ \n.,$xfracbinomdtCbxe", max_size=80))
def test_any_text_gets_one_label_a_step(each, text) -> None:
    """No text makes the oracle fail; there is a label for each line that is not empty, unless $$ or \\[ protect it."""
    found = judge(each.plan, text)
    if "$$" not in text and "\\[" not in text and "\\begin" not in text:
        assert len(found.labels) == sum(1 for line in text.split("\n") if line.strip())
    assert not found.sound or all(label.right for label in found.labels)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(PROBLEMS), st.randoms(use_true_random=False))
def test_later_lines_change_no_earlier_label(each, rng) -> None:
    """A label depends on what was said before, not on what comes after."""
    lines = [line for line in corrupt(list(solve(each.plan)), rng, 3).split("\n") if line.strip()]
    whole = both(each.plan, "\n".join(lines))[0]
    for end in range(len(lines)):
        assert both(each.plan, "\n".join(lines[:end]))[0] == whole[:end]
