"""What people and models really write: classes of texts and answers, each with its contrast rows.

The tables ``cases/real_text*.jsonl`` hold rows of our own for every class: what says the same, and beside it what only
looks as if it did. A row that fails is a right candidate called wrong, or, worse, a wrong one called right.
"""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from prm_eval.grading import decide, extract, extract_answer, grade, parse_options
from prm_eval.grading.finding.found import lowered

CASES = Path(__file__).parent / "cases"


def rows(name: str) -> list[dict]:
    return [json.loads(line) for line in (CASES / name).read_text(encoding="utf-8").splitlines()]


RESPONSES, ANSWERS = rows("real_text_responses.jsonl"), rows("real_text_answers.jsonl")


@pytest.mark.parametrize("kind", sorted({row["kind"] for row in RESPONSES}))
def test_whole_responses(kind: str) -> None:
    """The final answer of a response is found, whatever stands around it, and nothing else is taken for it."""
    wrong = []
    for row in RESPONSES:
        if row["kind"] == kind and (grade(row["gold"], row["response"]).verdict == "correct") is not row["equal"]:
            found = extract(row["response"])
            wrong.append((row["gold"], row["response"], row["equal"], found and (found.rule, found.answer)))
    assert not wrong


@pytest.mark.parametrize("kind", sorted({row["kind"] for row in ANSWERS}))
def test_answers(kind: str) -> None:
    """An answer in another dress is the same answer, and one that only looks like it is not."""
    wrong = []
    for row in ANSWERS:
        decision = decide(row["gold"], row["answer"])
        if row["kind"] == kind and (decision.equal is True) is not row["equal"]:
            wrong.append((row["gold"], row["answer"], row["equal"], decision))
    assert not wrong


def test_every_answer_of_the_tables_equals_itself() -> None:
    """However odd its dress: a class would otherwise fall apart into single votes."""
    for row in ANSWERS:
        for text in (row["gold"], row["answer"]):
            assert decide(text, text).equal is True, text


@pytest.mark.parametrize("row", RESPONSES, ids=lambda row: row["response"][:40])
def test_spans_stand_where_the_answer_is(row: dict) -> None:
    """The span of an answer lies in the text, and the answer's first sign stands in it."""
    found = extract(row["response"])
    if found is None:
        return
    assert 0 <= found.start < found.end <= len(row["response"])
    first = found.answer.strip("\\$ ")[:1]
    assert first in row["response"][max(0, found.start - 40) : found.end + 1]


CONCLUSIONS = [
    ("So, there are 30 chairs in the hall.\n\nThis is beca", "30", "a sentence that was cut off is ignored"),
    ("Therefore, Ana pays **\\$18** at the shop on Monday.", "\\$18", "bold, not at the end"),
    ("Thus, 14 of the children did not get a seat.", "14", "a denial of something else"),
    ("Therefore, Ben finished in 4th place.", "4th", "an ordinal"),
    ("So the total is (2 each) 3 + 4 = 7 trees in the garden.", "7", "what a calculation comes to"),
    ("Hence, the domain is:\n\\[ x > 3 \\]", "x > 3", "a display that the sentence leads in to"),
    ("Therefore, 5 kg of rice last for 3 weeks.", None, "two quantities: nobody knows which is meant"),
    ("Therefore, it is not 12.", None, "a denial of the value"),
    ("Therefore, it is 12 or 13 of them.", None, "a hedge"),
    ("We still have to look at 12 cases in all.", None, "a sentence that concludes nothing"),
    ("So, is it 12?", None, "a question"),
    ("So, at least 12 people came.", None, "a bound is no value"),
    ("So there are 12 rows. Next, count the seats in each of them.", None, "a conclusion on the way"),
]


@pytest.mark.parametrize(("text", "answer", "why"), CONCLUSIONS, ids=[why for *_, why in CONCLUSIONS])
def test_the_conclusion_policy(text: str, answer: str | None, why: str) -> None:
    """Solutions that nobody prompted for a box: the last complete sentence counts if it concludes with one quantity."""
    assert extract_answer(text, parse_options("extraction=conclusion")) == answer, why


def test_the_conclusion_policy_is_off_unless_named() -> None:
    """It must never be on silently: the grades of other people's pools would change under them."""
    text = "So, there are 30 chairs in the hall where we sat yesterday at the table.\n\nThis is beca"
    assert extract_answer(text) is None
    assert grade("30", text).verdict == "no_answer"
    assert grade("30", text, parse_options("extraction=conclusion")).verdict == "correct"


def test_the_conclusion_policy_only_adds_answers() -> None:
    """Where an answer is announced, both policies take the same."""
    wide = parse_options("extraction=conclusion")
    for row in RESPONSES:
        announced = extract_answer(row["response"])
        if announced is not None:
            assert extract_answer(row["response"], wide) == announced


@pytest.mark.unmeasured
@pytest.mark.parametrize(
    "piece",
    ["<answer> ", "<answer>" + " " * 80, '"answer": ', "answer is ", "答", "答案是", "final ", "\\boxed{5} or ", "$1$ ",
    "1 2 ", "**",
     "A: ", "#### ", "So 5 is. ", "\\[ x ", "= ", "\n- \\boxed{1}", "答えは", "ans. 5 ", "```\n",
     "The answer in the box, ", "¡", "İ"],
)  # fmt: skip
def test_a_megabyte_of_anything_is_soon_read(piece: str) -> None:
    """One second for a megabyte: time is bounded generously here, since the machine may be busy."""
    text = piece * (1_000_000 // len(piece))
    started = time.process_time()
    extract(text)
    extract(text, widely=True)
    assert time.process_time() - started < 6


def test_small_letters_keep_every_place() -> None:
    """A text in small letters is searched for words, and what is found is cut from the text itself."""
    longer = [sign for sign in map(chr, range(0x110000)) if len(lowered(f"a{sign}b")) != 3]
    assert not longer
    assert extract("\u0130\u0130 The answer is 42.").answer == "42"


def test_equal_boxes_are_one_answer() -> None:
    """The same value boxed twice is no list."""
    assert extract_answer("\\boxed{4}, that is \\boxed{4}") == "4"
    assert decide("4", "4").equal is True
