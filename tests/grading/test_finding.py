"""Where the final answer stands. Taking another number of the text grades somebody who was right as wrong, or the
reverse."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prm_eval.grading import extract_answer
from prm_eval.grading.finding.announcements import LONGEST, sentence
from prm_eval.grading.finding.extract import MAX_ANSWER, MAX_TEXT, Extraction, extract

MANY = settings(max_examples=120, deadline=None, derandomize=True)

# (rule, text, answer): each way in which a final answer is announced, and what must not be taken along
FOUND = [
    ("boxed", r"so \boxed{5}", "5"),
    ("boxed", r"\boxed{1} and \boxed{2}", "1, 2"),
    ("boxed", r"\boxed{1} and then \boxed{2}", "2"),
    ("boxed", r"First \boxed{1}. Then we see that it is \boxed{2}", "2"),
    ("boxed", r"x = \boxed{3} or \boxed{4}", "3 or 4"),
    ("boxed", r"$\boxed{14}$ cm", r"14 \text{cm}"),
    ("boxed", r"\boxed{14}\text{ cm}", r"14 \text{cm}"),
    ("boxed", r"\boxed{50}\%", r"50\%"),
    ("boxed", r"\boxed{10}_2", "10_2"),
    ("boxed", r"so x = -\boxed{5}", "-5"),
    ("boxed", r"\boxed{\text{no}}", r"\text{no}"),
    ("boxed", "<think>\\boxed{1}</think> \\boxed{2}", "2"),
    ("boxed", "\\boxed{2}\n\nQuestion: what is 4+5?\nAnswer: \\boxed{9}", "2"),
    ("boxed", "\\boxed{2}<|im_end|>\\boxed{9}", "2"),
    ("announcement", r"\boxed{1}. The final answer is $2$.", "$2$"),
    ("whole", "**12**", "12"),
    ("whole", "5", "5"),
    ("heading", "work\n\n# Answer\n\n5", "5"),
    ("heading", "work\n#### 72", "72"),
    ("heading", "## Final Answer\n\n$x=2$", "$x=2$"),
    ("heading", "**Final Answer**\n\n7", "7"),
    ("tag", "<answer>7</answer>", "7"),
    ("tag", "<answer>1</answer> no: <answer> 2 </answer>", "2"),
    ("field", '{"reasoning": "x", "answer": "12"}', "12"),
    ("field", '{"answer": 12}', "12"),
    ("field", '{"final_answer": "\\\\frac{1}{2}"}', "\\frac{1}{2}"),
    ("phrase", "The answer is 5.", "5"),
    ("phrase", "The answer is 3.5.", "3.5"),
    ("phrase", "The answer is 5 because 2 + 3 = 5.", "5"),
    ("phrase", "The answer is $12,345$.", "$12,345$"),
    ("phrase", "The answer is (A).", "(A)"),
    ("phrase", "**Answer:** 5", "5"),
    ("phrase", "A: 5", "5"),
    ("phrase", "The answer is 4. No, the answer is 5.", "5"),
    ("phrase", "The answer is\n$$\n7\n$$", "7"),
    ("phrase", "Respuesta: 5", "5"),
    ("phrase", "答案是5", "5"),
    ("phrase", "Ответ: 7", "7"),
    ("conclusion", "Therefore, x = 5.", "5"),
    ("conclusion", "Thus, the total is 12 apples.", "12"),
    ("unclosed_box", "so $\\boxed{5$", "5"),
]
NOT_FOUND = [
    "",
    "We get $12$. But maybe 13.",
    r"\boxed{}",
    r"\boxed{ }",
    r"it is not \boxed{5}",
    "I do not know.",
    "The answers were good.",
    "<answer></answer>",
    "Therefore x is not 5.",
    "Thus, 5 or 6. I cannot say.",
]


@pytest.mark.parametrize("rule, text, answer", FOUND, ids=[f"{rule}: {text[:30]}" for rule, text, _ in FOUND])
def test_what_is_found_and_by_which_rule(rule: str, text: str, answer: str) -> None:
    """The rule is part of the grade file: a reader sees why this was taken for the answer."""
    found = extract(text)
    assert found is not None
    assert (found.answer, found.rule) == (answer, rule)


@pytest.mark.parametrize("text", NOT_FOUND, ids=lambda text: repr(text[:30]))
def test_what_is_no_answer(text: str) -> None:
    """The last number of a text is never taken for its answer; a denied or an empty box is none."""
    assert extract(text) is None


@pytest.mark.parametrize("value", [None, 5, b"\\boxed{5}", ["\\boxed{5}"], 5.0])
def test_what_is_no_text(value: object) -> None:
    """A caller's mistake is no answer, and no exception in the middle of a pool."""
    assert extract(value) is None  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "text, conflict",
    [
        (r"\boxed{5}", False),
        (r"\boxed{1}. The final answer is $2$.", True),
        (r"\boxed{2}. The final answer is $2$.", False),
        ("#### 5\nThe answer is 5.", False),
        ("#### 5\nThe answer is 6.", True),
        (r"# Answer" + "\n\n" + r"\frac{1}{2}" + "\n" + r"The answer is $\dfrac{1}{2}$.", False),
    ],
)
def test_whether_the_text_contradicts_itself(text: str, conflict: bool) -> None:
    """Two final answers are reported; the same one in two spellings of type is not two."""
    found = extract(text)
    assert found is not None
    assert found.conflict is conflict


PIECES = st.sampled_from(
    [
        "The answer is ", "5", "$", "\\boxed{", "}", ".", "\n", "# Answer\n", "####", " ", "<answer>", "</answer>",
        '{"answer": "', '"}', "Therefore", "**", "\\frac{1}{2}", "not ", "</think>", "Question: ", "x = ", "-", "cm",
        "\\text{", ",", "or", "\\(", "\\)", "$$", "答案是", "é",
    ]
)  # fmt: skip


@MANY
@given(st.lists(PIECES, max_size=16).map("".join))
def test_any_text_has_an_answer_within_it_or_none(text: str) -> None:
    """No text raises; the span lies in the text; the answer is trimmed, not empty, not longer than an answer may be."""
    found = extract(text)
    if found is None:
        return
    assert isinstance(found, Extraction)
    assert 0 <= found.start <= found.end <= len(text)
    assert found.answer == found.answer.strip() != ""
    assert len(found.answer) <= MAX_ANSWER + 200


@pytest.mark.unmeasured
@MANY
@given(st.text(max_size=80), st.sampled_from(["5", "\\frac{1}{2}", "x^2+1", "(1,2)"]))
def test_a_last_box_is_found_after_anything(before: str, answer: str) -> None:
    """Whatever a model wrote before, a box at the end of a paragraph of its own is its answer."""
    found = extract(f"{before}\n\nTherefore we have found this: \\boxed{{{answer}}}")
    assert found is not None
    assert answer in found.answer


@pytest.mark.parametrize("padding", ["x" * 1_000, "a b. " * 20_000, "\n" * 5_000])
def test_what_stands_before_does_not_move_the_answer(padding: str) -> None:
    """The span is that of the whole text, however long: a report marks the answer there."""
    text = f"{padding}\n\nSo it is \\boxed{{42}}."
    found = extract(text)
    assert found is not None
    assert text[found.start : found.end] == "42"


def test_only_the_end_of_an_endless_text_is_read() -> None:
    """An answer a million characters before the end is none; one at the end keeps its place."""
    text = "\\boxed{1}" + " " * MAX_TEXT + "\\boxed{2}"
    found = extract(text)
    assert found is not None
    assert text[found.start : found.end] == found.answer == "2"
    assert extract("\\boxed{1}" + " " * (MAX_TEXT + 1)) is None


def test_an_answer_that_is_no_answer() -> None:
    """A box around a whole solution is longer than any answer."""
    assert extract("\\boxed{" + "1+" * MAX_ANSWER + "1}") is None
    assert extract("\\boxed{" + "1" * MAX_ANSWER + "}") is not None


@pytest.mark.parametrize(
    "piece",
    ["The answer is ", "#### ", "<answer>", '"answer": "', "Therefore ", "Question: ", "$", "\\boxed{", "**", "="],
)
def test_hostile_repetition_takes_linear_time(piece: str) -> None:
    """Every pattern is bounded: a text of one phrase a hundred thousand times ends within seconds."""
    started = time.monotonic()
    extract(piece * (200_000 // len(piece)))
    assert time.monotonic() - started < 30


@pytest.mark.parametrize(
    "body, value",
    [
        ("5. Then more.", "5"),
        ("3.5 apples", "3.5 apples"),
        ("$x = 1. 5$ and more. No.", "$x = 1. 5$ and more"),
        ("5, since 2+3", "5"),
        ("5 which is odd", "5"),
        ("\\(a, b\\) where a", "\\(a, b\\)"),
        ("$$ 7. 5 $$ rest", " 7. 5 "),
        ("  **5** ", "5"),
        ("5\nnext line", "5"),
        ("6 p.m. at night", "6 p.m. at night"),
        ("7。然后", "7"),
        ("", ""),
    ],
)
def test_where_a_statement_ends(body: str, value: str) -> None:
    """At the end of the sentence or of its clause, never inside a number or inside mathematics."""
    start, end = sentence(body, 0)
    assert body[start:end] == value


def test_a_sentence_without_end_is_cut() -> None:
    """The work grows with the square of a sentence's length, which is therefore bounded."""
    body = "$a$ " * 10_000
    start, end = sentence(body, 0)
    assert end - start <= LONGEST


@pytest.mark.parametrize(
    "text",
    [
        r"\boxed{\,}", r"\boxed{\ }", r"\boxed{{}}", r"\boxed{\quad}", r"\boxed{\text{}}", r"\boxed{\phantom{5}}",
        r"\boxed{\ldots}", r"\boxed{\square}", r"\boxed{~}", r"The answer is $\boxed{", r"The answer is $\boxed{}$.",
    ],
)  # fmt: skip
def test_a_box_of_nothing_is_no_answer(text: str) -> None:
    """Spacing and placeholders voted together as one answer, and were graded incorrect instead of no answer."""
    assert extract_answer(text) is None


@pytest.mark.parametrize(
    ("text", "answer"), [(r"\boxed{\{\}}", r"\{\}"), (r"\boxed{\emptyset}", r"\emptyset"), (r"\boxed{{5}}", "{5}")]
)
def test_a_box_of_little_is_one(text: str, answer: str) -> None:
    """The empty set is an answer, and so is what stands in one pair of braces too many."""
    assert extract_answer(text) == answer


@pytest.mark.parametrize(
    "verb",
    "calculated computed derived represented reported denoted defined listed displayed presented specified taken left "
    "verified described provided evaluated approximated converted given written stated".split(),
)
def test_the_word_before_as_is_no_answer(verb: str) -> None:
    """ "calculated as 80" and "calculated as 81" were one answer, "calculated", with a vote of two."""
    assert extract_answer(f"The answer is {verb} as 80.") == "80"
    assert extract_answer(f"The answer is {verb} to be 80.") == "80"
