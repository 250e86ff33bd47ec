"""What events come to. If this were wrong, a label would not be what somebody's keys said."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prm_eval.labelling.page.events import Event
from prm_eval.labelling.page.marking import CHANGES, fold, is_done, marks_of, outcome_of, spelt_marks
from prm_eval.stepsets.labels import fault_of

N = 4


def of(*changes: tuple[Any, ...], n: int = N) -> Any:
    """The marking of an item of four steps after some events."""
    events = [Event("ann", 1, "opened", value=str(n), number=1, at="t0")]
    for k, (what, *rest) in enumerate(changes, 2):
        step, value = [*rest, None, None][:2]
        events.append(Event("ann", 1, what, step, None if value is None else str(value), 500, number=k, at=f"t{k}"))
    return fold(events)


def marked(*marks: int) -> list[tuple[Any, ...]]:
    return [("mark", step, mark) for step, mark in enumerate(marks)]


@pytest.mark.parametrize(
    ("changes", "ratings", "finish"),
    [
        (marked(1, 0, 1, 1), (1, 0, 1, 1), "solution"),
        (marked(1, 0, -1), (1, 0, -1, None), "found_error"),
        (marked(1, -1, 1, 1), (1, -1, None, None), "found_error"),
        ([("mark", 2, -1)], (None, None, -1, None), None),
        ([("mark", 3, 1), ("mark", 0, -1)], (-1, None, None, None), "found_error"),
        (marked(1, 1), (1, 1, None, None), None),
        ([*marked(1, 1), ("verdict", None, "give_up")], (1, 1, None, None), "give_up"),
        ([*marked(1, -1), ("verdict", None, "give_up")], (1, None, None, None), "give_up"),
        # all marks are good, and yet somebody gave up: that is no label "no wrong step"
        ([*marked(1, 1, 0, 1), ("verdict", None, "give_up")], (1, 1, 0, None), "give_up"),
        ([*marked(1, 1), ("verdict", None, "bad_problem")], (None,) * 4, "bad_problem"),
        ([("verdict", None, "bad_problem"), *marked(1, -1)], (1, -1, None, None), "found_error"),
        ([*marked(1, -1), ("undo",), *[("mark", k, 1) for k in (1, 2, 3)]], (1, 1, 1, 1), "solution"),
        ([*marked(-1), ("undo",), ("undo",)], (None,) * 4, None),
        ([("verdict", None, "give_up"), ("verdict", None, "")], (None,) * 4, None),
        ([("marks", None, '{"marks": [1, -1, null, null], "verdict": null}')], (1, -1, None, None), "found_error"),
    ],
)
def test_outcomes(changes, ratings, finish) -> None:
    """PRM800K's rules: labelling ends at the first bad step; a label that lacks a mark before it is none yet."""
    outcome = outcome_of(of(*changes))
    assert (outcome.ratings, outcome.finish) == (ratings, finish)
    assert fault_of(outcome.label, N, "rated") is None


def test_all_steps() -> None:
    """With --all-steps nothing is cut behind the first bad step, and it ends only with the last mark."""
    assert outcome_of(of(*marked(1, -1)), all_steps=True).finish is None
    outcome = outcome_of(of(*marked(1, -1, 1, -1)), all_steps=True)
    assert (outcome.ratings, outcome.finish) == ((1, -1, 1, -1), "found_error")
    assert outcome.label.first_error == 1


def test_handing_in_needs_a_whole_label() -> None:
    """Else a solution that was handed in half, in a second tab perhaps, would count as done."""
    assert not is_done(of(*marked(1, 1), ("submit",)))
    assert is_done(of(*marked(1, -1), ("submit",)))
    assert not is_done(of(*marked(1, -1)))
    changed = of(*marked(1, -1), ("submit",), ("mark", 1, 1))
    assert changed.submitted and not is_done(changed)


def test_time_flags_and_when() -> None:
    """Seconds are the sum over all events, flags can be taken off, and the end is the last change, not the opening."""
    marking = of(("flag", 2, 1), ("flag", 1, 1), ("flag", 2, 0), *marked(1))
    assert (marking.flags, marking.seconds, marking.begun, marking.ended) == ((1,), 2.0, "t0", "t5")


EVENTS = st.lists(
    st.one_of(
        st.tuples(st.just("mark"), st.integers(0, N - 1), st.sampled_from([-1, 0, 1])),
        st.tuples(st.just("flag"), st.integers(0, N - 1), st.sampled_from([0, 1])),
        st.tuples(st.just("verdict"), st.none(), st.sampled_from(["give_up", "bad_problem", ""])),
        st.tuples(st.just("submit")),
    ),
    max_size=12,
)


@settings(max_examples=60, deadline=None)
@given(EVENTS, st.integers(0, 12))
def test_undo_takes_back_exactly_the_last_changes(changes, n) -> None:
    """Whatever was done, so many undos later everything is as it was so many changes before (but for the time)."""
    n = min(n, len(changes))
    after, before = of(*changes, *[("undo",)] * n), of(*changes[: len(changes) - n])
    for name in ("marks", "flags", "verdict", "submitted", "changes"):
        assert getattr(after, name) == getattr(before, name)
    assert after.seconds == 0.5 * (len(changes) + n)
    assert all(what in CHANGES for what, *_ in changes)


@settings(max_examples=60, deadline=None)
@given(EVENTS, st.booleans())
def test_every_outcome_is_a_sound_label_and_can_be_taken_over(changes, every) -> None:
    """An adjudicator who takes somebody's marks has that label; no sequence of keys makes a label that is refused."""
    outcome = outcome_of(of(*changes), all_steps=every)
    assert fault_of(outcome.label, N, "rated") is None
    marks, verdict = marks_of(spelt_marks(outcome), N)
    assert marks == outcome.ratings
    assert verdict == (outcome.finish if outcome.finish in ("give_up", "bad_problem") else None)
    again = outcome_of(of(("marks", None, spelt_marks(outcome))), all_steps=every)
    assert again == outcome


@pytest.mark.parametrize("text", ["", "[1]", '{"marks": [1, 1]}', '{"marks": [2, 1, 1, 1]}', '{"marks": "1111"}'])
def test_marks_that_are_none_are_refused(text) -> None:
    """A request that was made by hand must not put a rating into the file that no importer takes."""
    with pytest.raises(ValueError, match=r"marks|mark"):
        marks_of(text, N)
