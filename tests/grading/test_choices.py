"""Multiple choice: a letter is found and judged in every dress, and votes for one choice are votes for one choice."""

from __future__ import annotations

from itertools import permutations

import pytest

from prm_eval.grading import classify, grade

# how people's policies name choice X; all are the letter alone or the letter with the choice's text
DRESSES = [
    "So \\boxed{X}", "So \\boxed{(X)}", "\\boxed{\\text{X}}", "\\boxed{\\text{(X)}}", "\\boxed{\\textbf{(X)}}",
    "\\boxed{(X) 12}", "\\boxed{X. 12}", "\\boxed{\\textbf{(X)}~5}", "\\boxed{X: 0.5}", "\\boxed{\\text{X. newton}}",
    "The answer is (X).", "Answer: X", "The correct answer is option X", "**Answer: X) the newton**",
    "Therefore, the answer is X) 0.01 C.", "the correct choice is **(X) 12 m/s**", "The final answer is $\\boxed{X}$.",
]  # fmt: skip


@pytest.mark.parametrize("dress", DRESSES)
def test_a_letter_is_judged_in_every_dress(dress) -> None:
    """Right is the right letter and no other, for each letter as gold."""
    for gold, said in permutations("ABCD", 2):
        assert grade(gold, dress.replace("X", gold)).verdict == "correct"
        assert grade(gold, dress.replace("X", said)).verdict == "incorrect"


@pytest.mark.parametrize(
    "text", ["\\boxed{12}", "\\boxed{b}", "\\boxed{(A) or (B)}", "\\boxed{A, B}", "\\boxed{not B}"]
)
def test_what_names_no_single_choice_is_wrong(text) -> None:
    """The text of the right choice alone, a small letter, or two letters are no answer to a question with choices."""
    assert grade("B", text).verdict == "incorrect"


def test_votes_for_a_wrong_choice_are_not_scattered() -> None:
    """Right letters are one class in every dress; were wrong ones many, a vote would find the right one too often."""
    dresses = ["X", "(X)", "X) foo bar", "(X) 12", "\\text{X}", "X. 12", "\\textbf{(X)}", "X: newton", "option X"]
    answers = [dress.replace("X", letter) for letter in "BCD" for dress in dresses]
    for gold in ("B", "(B)", "\\text{B}"):
        classes = classify(answers, gold).of_answer
        assert classes == tuple(k for k in range(3) for _ in dresses)
    assert classify(["(C) 12", "(C) 13"], "7").of_answer == (0, 1), "where gold is no choice, values count"
    assert classify(["(C) or (D)", "C", "12"], "B").of_answer == (0, 1, 2)
