"""Properties of the grader over generated answers."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from prm_eval.grading import answer_classes, extract_answer, is_equivalent

steady = settings(max_examples=200, deadline=None, derandomize=True)
LATEX = st.lists(
    st.sampled_from(["\\frac", "{", "}", "(", ")", "[", "]", "\\{", "\\}", "1", "23", "x", "y", "+", "-", "^", "_",
    "\\sqrt", ",", "=", "<", "\\le", "\\pi", "\\text{a b}",
                     "\\cup", "\\pm", "|", "!", "%", "\\circ", ".", " ", "\\\\", "&", "\\begin{pmatrix}",
                     "\\end{pmatrix}", "$", "\\left", "\\right", "or", "\\boxed"]),
    max_size=25,
).map("".join)  # fmt: skip
FRACTIONS = st.fractions(min_value=-1000, max_value=1000, max_denominator=500)


@steady
@given(LATEX, LATEX)
def test_latex_like_noise_gets_a_verdict(one, other) -> None:
    """Whatever is made of the grammar's pieces: no exception, and everything readable equals itself."""
    assert isinstance(is_equivalent(one, other), bool)
    if one.strip("$ .*"):
        answer_classes([one, other, one])


@steady
@given(st.text(max_size=60), st.text(max_size=60))
def test_any_text_gets_a_verdict(one, other) -> None:
    """Unicode of any kind included."""
    assert isinstance(is_equivalent(one, other), bool)
    extract_answer(one)


@steady
@given(FRACTIONS)
def test_spellings_of_a_fraction(value: Fraction) -> None:
    r"""a/b, \frac{a}{b}, a common factor, a sign in front: one number."""
    top, bottom = value.numerator, value.denominator
    spellings = [
        f"{top}/{bottom}",
        f"\\frac{{{top}}}{{{bottom}}}",
        f"\\dfrac{{{3 * top}}}{{{3 * bottom}}}",
        f"${'-' if top < 0 else ''}\\frac{{{abs(top)}}}{{{bottom}}}$",
    ]
    for one in spellings:
        for other in spellings:
            assert is_equivalent(one, other), (one, other)
    assert not is_equivalent(spellings[0], f"{top + bottom}/{bottom}")


@steady
@given(st.integers(-(10**12), 10**12))
def test_an_integer_is_not_its_successor(value: int) -> None:
    """No tolerance, at any size; thousands separators change nothing."""
    assert not is_equivalent(str(value), str(value + 1))
    assert not is_equivalent(str(value), str(value) + ".0001")
    assert is_equivalent(str(value), f"{value:,}")
    assert is_equivalent(str(value), f"{value:,}".replace(",", "{,}"))


@steady
@given(st.lists(st.integers(-99, 99), min_size=2, max_size=5), st.randoms(use_true_random=False))
def test_order_matters_in_tuples_only(items, generator) -> None:
    """A set is any order of its elements; a tuple is its own only."""
    shuffled = items[:]
    generator.shuffle(shuffled)
    spell = lambda left, right, parts: left + ", ".join(map(str, parts)) + right  # noqa: E731
    assert is_equivalent(spell("\\{", "\\}", items), spell("\\{", "\\}", shuffled))
    assert is_equivalent(spell("(", ")", items), spell("(", ")", shuffled)) is (items == shuffled)
    assert not is_equivalent(spell("(", ")", items), spell("(", ")", items[:-1]))


@steady
@given(
    st.sampled_from(["\\frac{3}{4}", "x^2+1", "(1,2)", "2\\sqrt{3}", "\\{1,2\\}", "90^\\circ", "\\text{east}"]),
    st.sampled_from(["${}$", "\\({}\\)", " {} ", "{}.", "\\left. {} \\right.", "\\displaystyle {}", "**{}**"]),
)
def test_typography_never_matters(answer, dress) -> None:
    """Dollar signs, spaces, sizes, a final period, bold."""
    assert is_equivalent(answer, dress.replace("{}", answer))
