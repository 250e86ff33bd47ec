"""The report on steps: whether a PRM has anything to judge."""

from __future__ import annotations

from prm_eval.texts.step_report import StepReport, step_report


def test_counts_of_each_kind() -> None:
    """Each number, counted by hand; a heading that ends in a colon is a heading."""
    candidates = [("## Step 1:", "so:", "x = 1", "$$"), ("all of it",), (), ("**Title**\n\ntext", "7", "、")]
    assert step_report(candidates) == StepReport(
        candidates=4, steps=8, fewest=0, most=4, without_step=1, of_one_step=1, without_word=2, headings=1, lead_ins=1
    )


def test_the_lines_say_what_one_step_means() -> None:
    """The reader of a log must see that a PRM is an ORM here, and must not be told so where it is not."""
    many, few = step_report([("a",), ("a", "b")]), step_report([("a", "b")] * 20 + [("c",)])
    assert many.lines() == [
        "steps      1.5 a candidate (1 to 2); 50.0 % of candidates have one step, 0.0 % none",
        "           of 3 steps 0.0 % have no letter or digit, 0.0 % are bare headings, 0.0 % end in a colon",
        "note       50.0 % of candidates have one step: there a PRM is an ORM. Try another --splitter",
    ]
    assert len(few.lines()) == 2
    assert step_report([]).lines() == []
    assert len(step_report([()]).lines()) == 1
