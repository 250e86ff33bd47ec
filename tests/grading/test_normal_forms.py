"""Normal forms: equal keys mean equal values, complete keys that differ mean different ones. Both are trusted without a
look at a number."""

from __future__ import annotations

import itertools
import random
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prm_eval.grading import answer_classes, classify, grade_answers, is_equivalent
from prm_eval.grading.deciding.equivalence import read
from prm_eval.grading.forms.normal_form import Normal, normal
from prm_eval.grading.forms.numeric import NoValueError, letters, value_at
from prm_eval.grading.forms.polynomials import NoFormError
from prm_eval.grading.reading.parser import parse
from prm_eval.grading.reading.tokens import LatexError
from prm_eval.grading.reading.tree import Node

MANY = settings(max_examples=50, deadline=None, derandomize=True)


@st.composite
def expressions(draw, depth: int = 3) -> str:
    r"""LaTeX of sums, products, powers, fractions and roots over x, y and small numbers."""
    if depth == 0 or draw(st.integers(0, 3)) == 0:
        return draw(st.sampled_from(["x", "y", "1", "2", "3", "7", "\\pi", "0.5", "\\frac{1}{3}"]))
    one, other = draw(expressions(depth - 1)), draw(expressions(depth - 1))
    shape = draw(
        st.sampled_from(
            [
                "{0}+{1}",
                "({0})-({1})",
                "({0})({1})",
                "({0}) \\cdot ({1})",
                "-({0})",
                "({0})^2",
                "({0})^3",
                "\\sqrt{{2}}({0})",
            ]
        )
    )
    return shape.format(one, other)


def form(text: str) -> Normal:
    return normal(parse(text))


def value(node: Node, seed: int) -> complex:
    chance = random.Random(seed)
    return value_at(node, {name: chance.uniform(0.3, 2) for name in sorted(letters(node) | {"x", "y"})})


@MANY
@given(expressions(), expressions())
def test_equal_forms_have_equal_values_and_complete_ones_that_differ_do_not(one: str, other: str) -> None:
    """Polynomials are settled by their form alone: against floating point at two random points."""
    a, b = parse(one), parse(other)
    first, second = normal(a), normal(b)
    gaps = [abs(value(a, seed) - value(b, seed)) / (1 + abs(value(a, seed))) for seed in (1, 2)]
    if first.key == second.key:
        assert max(gaps) < 1e-9
    elif first.complete and second.complete:
        # two different polynomials agree at no random point
        assert min(gaps) > 1e-12


@MANY
@given(expressions(2), expressions(2), expressions(2))
def test_spellings_of_one_expression_have_one_form(one: str, other: str, third: str) -> None:
    """The laws of algebra, as a student uses them."""
    for left, right in (
        (f"({one})+({other})", f"({other})+({one})"),
        (f"({one})({other})", f"({other})\\cdot({one})"),
        (f"({one})(({other})+({third}))", f"({one})({other})+({one})({third})"),
        (f"({one})-({other})", f"-(({other})-({one}))"),
        (f"({one})^2", f"({one})({one})"),
        (f"(({one})+({other}))^2", f"({one})^2+2({one})({other})+({other})^2"),
        (f"\\frac{{{one}}}{{4}}", f"0.25({one})"),
        (f"{{{one}}}", f"\\left({one}\\right)"),
    ):
        assert form(left).key == form(right).key, (left, right)


@MANY
@given(expressions(2))
def test_what_is_added_is_seen(one: str) -> None:
    """An expression is never its successor, its double (unless it is 0) or its negative (likewise)."""
    here = form(one)
    if not here.complete:
        return
    assert here.key != form(f"({one})+1").key
    if here.key != form("0").key:
        assert here.key != form(f"2({one})").key
        assert here.key != form(f"-({one})").key


@pytest.mark.parametrize(
    "texts",
    [
        ["\\frac{1}{2}", "0.5", "1/2", "\\frac{2}{4}", ".5", "2^{-1}", "\\frac12"],
        ["\\sqrt{8}", "2\\sqrt{2}", "\\sqrt2 \\cdot 2", "8^{1/2}", "\\frac{4}{\\sqrt{2}}"],
        ["\\frac{1+\\sqrt{5}}{2}", "\\frac{\\sqrt{5}+1}{2}", "0.5+\\frac{\\sqrt5}{2}"],
        ["3+4i", "4i+3", "-(-3-4i)"],
        ["x^2-1", "(x-1)(x+1)", "-1+x^2"],
        ["\\frac{\\pi}{4}", "\\pi/4", "0.25\\pi"],
        ["5!", "120", "2\\cdot 60"],
        ["\\{1,2,3\\}", "\\{3,2,1\\}", "\\{ 2, 1, 3 \\}"],
        ["(1,2)", "\\left(1,2\\right)", "(\\frac{2}{2},2)"],
        ["[0,\\infty)", "[0,+\\infty)"],
        ["\\binom{5}{2}", "10"],
        ["1{,}000", "1000", "1,000", "10^3"],
        ["x=3", "3=x"],
        ["1,2", "2,1"],
        ["x\\le 3", "3\\ge x"],
    ],
    ids=lambda texts: texts[0],
)
def test_families_of_equal_answers(texts: list[str]) -> None:
    """Every pair, in both orders: equivalence within a family is symmetric and transitive."""
    for one, other in itertools.product(texts, repeat=2):
        assert is_equivalent(one, other), (one, other)


@pytest.mark.parametrize(
    "texts",
    [
        ["1", "-1", "0", "2", "\\frac{1}{2}", "\\sqrt{2}", "i", "\\pi", "1.414", "3.14", "\\frac{22}{7}"],
        ["(1,2)", "(2,1)", "[1,2]", "(1,2]", "\\{1,2\\}", "(1,2,3)"],
        ["x", "-x", "x^2", "|x|", "2x", "x+1", "\\frac{1}{x}", "\\sqrt{x}"],
        ["x<3", "x\\le 3", "x>3", "x=3", "x\\ne 3"],
        ["\\{1\\}", "\\{1,2\\}", "\\{\\}", "\\{2,3\\}"],
    ],
    ids=lambda texts: texts[0] + " ...",
)
def test_families_of_different_answers(texts: list[str]) -> None:
    """No two of a family are equal: near misses of value, order, bracket, sign and relation."""
    for one, other in itertools.permutations(texts, 2):
        assert not is_equivalent(one, other), (one, other)


@pytest.mark.parametrize("text", ["\\frac{1}{0}", "0^{-1}", "\\frac{x}{1-1}", "\\infty-\\infty"])
def test_what_has_no_form(text: str) -> None:
    """A division by zero is no number, equal to nothing but its own text."""
    assert read(text).normal is None
    with pytest.raises((NoFormError, LatexError)):
        normal(parse(text))
    assert not is_equivalent(text, "1")
    assert is_equivalent(text, text)


@pytest.mark.parametrize(
    "text",
    ["(((((x+y+z)^9)^9)^9)^9)", "2^{10000000}", "9^{9^{9^9}}", "1000!", "(x+y)^{200}", "\\binom{100000}{50000}"],
)
def test_what_is_too_large_ends_soon(text: str) -> None:
    """No form is better than a machine without memory; the answer still equals its own text."""
    assert is_equivalent(text, text)
    assert not is_equivalent(text, "1")


@pytest.mark.parametrize("text", ["", "\\frac{1", "}", "((1", "\\sqrt", "1 +", "\\left(1", "a_{", "\\begin{pmatrix}1"])
def test_a_text_that_cannot_be_read_says_where(text: str) -> None:
    """The span of the error lies within the text, for the caret under it."""
    with pytest.raises(LatexError) as caught:
        parse(text)
    assert 0 <= caught.value.start <= caught.value.end <= len(text) + 1
    assert str(caught.value)


@pytest.mark.parametrize("text", ["1/0", "\\ln(0)", "\\frac{1}{x-x}", "1=1"])
def test_no_value_is_an_error_and_never_nan(text: str) -> None:
    """Numbers that are none would compare as different from themselves."""
    with pytest.raises(NoValueError):
        value_at(parse(text), {"x": 1.0})


# -- classes

POOL = ["1/2", "0.5", "\\frac{1}{2}", "2", "2.0", "x+1", "1+x", "no", "(1,2)", "(2,1)", "\\sqrt{4}", None]


@MANY
@given(st.lists(st.sampled_from(POOL), min_size=1, max_size=9), st.sampled_from([None, "0.5", "2", "7"]))
def test_classes_are_a_partition_by_equivalence(answers: list[str | None], gold: str | None) -> None:
    """Same class if and only if equivalent (here every pair is decided); None is in none; numbers follow first
    appearance."""
    found = answer_classes(answers, gold)
    for (a, one), (b, other) in itertools.combinations(zip(found, answers, strict=True), 2):
        if one is not None and other is not None:
            assert (a == b) is is_equivalent(one, other), (one, other)
    assert [label == -1 for label in found] == [answer is None for answer in answers]
    seen = [label for label in dict.fromkeys(found) if label >= 0]
    assert seen == list(range(len(seen)))


@MANY
@given(st.lists(st.sampled_from(POOL), min_size=2, max_size=8), st.randoms(use_true_random=False))
def test_the_order_of_candidates_makes_no_classes(answers: list[str | None], chance: random.Random) -> None:
    """Shuffled candidates are partitioned alike: else the majority would depend on who answered first."""
    order = list(range(len(answers)))
    chance.shuffle(order)
    plain, shuffled = answer_classes(answers), answer_classes([answers[at] for at in order])
    for (i, a), (j, b) in itertools.combinations(enumerate(order), 2):
        assert (plain[a] == plain[b]) is (shuffled[i] == shuffled[j])


@pytest.mark.parametrize("gold", ["1/2", "2", "no such"])
def test_grades_and_classes_agree(gold: str) -> None:
    """All of a class have one verdict, that of gold on it; only one class is correct."""
    rows = grade_answers(POOL, gold, range(len(POOL)))
    verdicts = {(row.answer_class, row.grade) for row in rows if row.answer is not None}
    assert len({label for label, _ in verdicts}) == len(verdicts)
    assert sum(grade == "correct" for _, grade in verdicts) == (gold != "no such")
    assert [row.slot for row in rows] == list(range(len(POOL)))
    assert [row.grade for row in rows if row.answer is None] == ["no_answer"]
    classes = classify(POOL, gold)
    for row in rows:
        if row.answer_class is not None:
            assert (classes.verdicts[row.answer_class][0] is True) is (row.grade == "correct")


@pytest.mark.parametrize("number", [Fraction(1, 3), Fraction(-7, 2), Fraction(10**15 + 1, 3)])
def test_a_number_is_its_own_form(number: Fraction) -> None:
    """The key holds the number itself, not a float of it: neighbours at 10^15 are told apart."""
    text = f"\\frac{{{number.numerator}}}{{{number.denominator}}}"
    near = f"\\frac{{{number.numerator + 1}}}{{{number.denominator}}}"
    assert form(text).complete
    assert form(text).key != form(near).key
