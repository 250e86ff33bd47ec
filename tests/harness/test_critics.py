"""What critics answer, read and counted: trap 17 of step-level evaluation."""

from __future__ import annotations

import json

import pytest

from prm_eval.harness.critics import Answer, Reading, boxed_text, judge, unread_line, write_judged

PLAIN, WORDS = Reading(), Reading(words=True)
ONE_BASED = Reading(words=True, base=1)
NO, NOTHING = (), None
"""What is read of an answer: that no step is wrong; nothing."""


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("The sum in paragraph 2 is off. \\boxed{2}", (2,)),
        ("\\boxed{0}", (0,)),
        ("Every paragraph holds.\n\n\\boxed{-1}", NO),
        ("Is it \\boxed{1}? No, that was right. \\boxed{3}", (3,)),  # the last box
        ("\\boxed{1}, and with that I would end \\boxed{", (1,)),  # cut off: the last one that was closed
        ("\\boxed{ 4 }", (4,)),
        ("\\boxed{\n4\n}", (4,)),
        ("\\boxed{03}", (3,)),  # int("03") is 3 in the published script too
        ("\\boxed{+3}", (3,)),
        ("\\boxed{\\text{3}}", (3,)),  # cut at the first closing brace it would be "\text{3"
        ("\\boxed{\\textbf{ 3 }}", (3,)),
        ("\\boxed{{3}}", (3,)),
        ("\\boxed{\\boxed{3}}", (3,)),
        ("\\boxed{12}", (12,)),  # beyond the end: it was read, and is wrong
        ("<think>\\boxed{1}</think> so \\boxed{2}", (2,)),
        ("\\boxed{-2}", NOTHING),
        ("\\boxed{--1}", NOTHING),
        ("\\boxed{}", NOTHING),
        ("\\boxed{2.0}", NOTHING),
        ("\\boxed{2, 3}", NOTHING),
        ("\\boxed{1_0}", NOTHING),  # 10 for Python
        ("\\boxed{\N{SUPERSCRIPT TWO}}", NOTHING),
        ("\\boxed{" + "9" * 5_000 + "}", NOTHING),
        ("The answer is 2.", NOTHING),  # without a box a number is no answer
        ("\x08oxed{2}", NOTHING),  # trap 18 as the model sees it
        ("", NOTHING),
        ("\\boxed{Step 3}", NOTHING),
        ("\\boxed{paragraph_3}", NOTHING),
        ("\\boxed{$3$}", NOTHING),
        ("\\boxed{\N{MINUS SIGN}1}", NOTHING),
        ("\\boxed{none}", NOTHING),
    ],
)
def test_answers_are_read_as_published_but_for_nested_braces(text, wrong) -> None:
    """A reader that guesses more makes a critic better than the published figures, one that guesses less worse."""
    found = PLAIN.read(text)
    assert (found.wrong if found else None) == wrong


@pytest.mark.parametrize(
    ("text", "zero_based", "one_based"),
    [
        ("\\boxed{Step 3}", (3,), (2,)),
        ("\\boxed{step_3}", (3,), (2,)),
        ("\\boxed{\\text{Step } 3}", NOTHING, NOTHING),
        ("\\boxed{paragraph_3}", (3,), (3,)),  # the tag is a name that the prompt shows, and counts from 0
        ("\\boxed{paragraph\\_3}", (3,), (3,)),
        ("\\boxed{<paragraph_3>}", (3,), (3,)),
        ("\\boxed{\\text{Paragraph 3}}", (3,), (3,)),
        ("\\boxed{$3$}", (3,), (2,)),
        ("\\boxed{\\(3\\)}", (3,), (2,)),
        ("\\boxed{3.}", (3,), (2,)),
        ("\\boxed{**3**}", (3,), (2,)),
        ("\\boxed{3}", (3,), (2,)),
        ("\\boxed{\N{MINUS SIGN}1}", NO, NO),
        ("\\boxed{-1}", NO, NO),
        ("\\boxed{0}", (0,), NOTHING),  # there is no step 0 if steps count from 1
        ("\\boxed{no error}", NOTHING, NOTHING),
        ("\\boxed{steps 2 and 3}", NOTHING, NOTHING),
    ],
)
def test_words_and_another_base_are_read_only_if_they_are_asked_for(text, zero_based, one_based) -> None:
    """ "Step 3" of a critic that counts from 1 is the third step: reading it as the fourth makes every hit a miss."""
    for reading, wrong in ((WORDS, zero_based), (ONE_BASED, one_based)):
        found = reading.read(text)
        assert (found.wrong if found else None) == wrong


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("\\boxed{2}", (2,)),
        ("\\boxed{5, 2}", (2, 5)),
        ("\\boxed{2,5,2}", (2, 5)),
        ("\\boxed{2; 5}", (2, 5)),
        ("\\boxed{2 and 5}", (2, 5)),
        ("\\boxed{[2, 5]}", (2, 5)),
        ("\\boxed{\\{2, 5\\}}", (2, 5)),
        ("\\boxed{\\text{2, 5}}", (2, 5)),
        ("\\boxed{-1}", NO),
        ("\\boxed{[]}", NO),
        ("\\boxed{\\{\\}}", NO),
        ("\\boxed{}", NOTHING),
        ("\\boxed{2, -1}", NOTHING),
        ("\\boxed{2, x}", NOTHING),
        ("\\boxed{2 5}", NOTHING),
        ("2, 5", NOTHING),
    ],
)
def test_a_list_of_all_wrong_steps(text, wrong) -> None:
    """PRMBench labels every step: a reader that takes the first number only calls the other wrong steps right."""
    found = Reading(every_step=True).read(text)
    assert (found.wrong if found else None) == wrong


@pytest.mark.parametrize(
    ("texts", "wrong"),
    [
        (["\\boxed{3}", "\\boxed{2}", "\\boxed{ 3 }"], (3,)),  # white space does not split a vote
        (["\\boxed{2}", "\\boxed{3}", "\\boxed{03}"], (2,)),  # texts vote, not numbers: three ties, the first seen
        (["\\boxed{5}", "\\boxed{4}", "\\boxed{4}", "\\boxed{5}"], (5,)),
        (["hm", "hm", "\\boxed{1}"], (1,)),  # what cannot be read has no vote
        (["\\boxed{?}", "\\boxed{?}", "\\boxed{1}"], (1,)),
        (["\\boxed{-1}", "\\boxed{0}", "\\boxed{-1}"], NO),
        (["hm", "\\boxed{x}"], NOTHING),
        ([], NOTHING),
    ],
)
def test_votes_are_counted_as_published(texts, wrong) -> None:
    """Ties that went to the smallest index, or unreadable answers that voted, would move every published figure."""
    found = judge("a", 9, texts, PLAIN).verdict
    assert (found.wrong if found else None) == wrong


def test_lists_vote_as_sets() -> None:
    """ "2, 5" and "5,2" are one answer."""
    reading = Reading(every_step=True)
    found = judge("a", 6, ["\\boxed{1}", "\\boxed{2, 5}", "\\boxed{5,2}"], reading)
    assert found.verdict == Answer("2, 5", (2, 5))
    assert found.row(reading) == {"id": "a", "scores": [1.0, 1.0, 0.0, 1.0, 1.0, 0.0]}


def test_what_cannot_be_read_is_written_as_missing_and_its_text_is_kept(tmp_path) -> None:
    """Dropped, it would make the critic better: a solution that is not in the figures cannot be missed."""
    judged = [judge("a", 3, ["\\boxed{1}"], PLAIN), judge("b", 2, ["no \ud83d box"], PLAIN)]
    path = write_judged(tmp_path / "critic", "judge", judged, PLAIN)
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert rows == [{"id": "a", "prediction": 1, "name": "judge"}, {"id": "b", "prediction": None}]
    texts = [json.loads(line) for line in (tmp_path / "critic" / "texts.jsonl").read_text().splitlines()]
    assert texts[1] == {"id": "b", "texts": ["no \ud83d box"], "read": [None]}
    reading = Reading(every_step=True)
    assert judge("b", 2, ["?"], reading).row(reading) == {"id": "b", "scores": [None, None]}


def test_a_run_says_what_it_could_not_read_and_what_would_help() -> None:
    """A critic that writes "Step 3" every time has F1 0, and its user has to learn why."""
    judged = [judge("a", 5, ["\\boxed{Step 3}", "\\boxed{1}"], PLAIN), judge("b", 5, ["\\boxed{Step 3}", "?"], PLAIN)]
    assert unread_line(judged, PLAIN) == (
        "3 of 4 answers cannot be read; 1 of 2 solutions are not scored. 2 of them can with --metadata answers=words"
    )
    again = [judge("a", 5, ["\\boxed{Step 3}"], WORDS)]
    assert unread_line(again, WORDS) is None
    assert unread_line([judge("a", 5, ["?"], WORDS)], WORDS) == (
        "1 of 1 answers cannot be read; 1 of 1 solutions are not scored"
    )
    assert unread_line([judge("a", 5, ["?"], PLAIN)], PLAIN) == (
        "1 of 1 answers cannot be read; 1 of 1 solutions are not scored"
    )


def test_many_braces_take_no_time() -> None:
    """A loop of a small model, ten thousand boxes in each other, must not stop a run of 27,200 answers."""
    assert boxed_text("\\boxed{" * 5 + "3" + "}" * 5) == "3"
    assert PLAIN.read("\\boxed{" * 10_000 + "3" + "}" * 10_000) is None
    assert boxed_text("\\boxed{" * 10_000) is None
