"""What somebody's events on one item come to: marks, flags, a verdict, seconds, and whether that is a whole label.

Everything is derived from the events and nothing else is kept, so that a killed server, a closed tab or a second one
can change nothing but what the next event says.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from prm_eval.labelling.page.events import Event
from prm_eval.records import Rating, StepLabel
from prm_eval.stepsets.labels import by_ratings, unlabelled

Verdict = Literal["give_up", "bad_problem"]
Finish = Literal["solution", "found_error", "give_up", "bad_problem"]
"""How labelling ended, in PRM800K's words: all steps are marked, a wrong one was found, the labeller gave up, or the
problem is none."""
VERDICTS: dict[str, Verdict] = {"give_up": "give_up", "bad_problem": "bad_problem"}
_RATINGS: dict[str, Rating] = {"-1": -1, "0": 0, "1": 1}
CHANGES = ("mark", "marks", "flag", "verdict", "submit")
"""What undo takes back."""


@dataclass(frozen=True)
class Marking:
    """One person's marks on one item.

    Attributes:
        who: The person.
        item: The item.
        n_steps: Its steps.
        marks: The mark of each step, None where there is none.
        flags: The flagged steps.
        verdict: "give_up" or "bad_problem"; None for neither.
        submitted: Whether it was handed in.
        seconds: The attention that it took.
        begun: When the item was opened.
        ended: When the last change was made.
        version: The number of the last event.
        changes: How many changes undo can take back.
    """

    who: str
    item: int
    n_steps: int
    marks: tuple[Rating | None, ...]
    flags: tuple[int, ...] = ()
    verdict: Verdict | None = None
    submitted: bool = False
    seconds: float = 0.0
    begun: str = ""
    ended: str = ""
    version: int = 0
    changes: int = 0


@dataclass(frozen=True)
class Outcome:
    """The label that a marking comes to.

    Attributes:
        ratings: A rating a step; None where nothing is said of it.
        finish: How labelling ended; None where it has not yet.
    """

    ratings: tuple[Rating | None, ...]
    finish: Finish | None

    @property
    def label(self) -> StepLabel:
        """The label as step sets keep it."""
        if all(each is None for each in self.ratings):
            return unlabelled(source_label=self.finish or "")
        return by_ratings(self.ratings, len(self.ratings), source_label=self._spelt())

    def _spelt(self) -> str:
        words = " ".join("?" if each is None else f"{each:+d}" if each else "0" for each in self.ratings)
        return words if self.finish in ("solution", "found_error") else f"{words} {self.finish}"


def mark_of(text: str | None) -> Rating:
    """Return a mark that an event has as text.

    Raises:
        ValueError: It is none.
    """
    if text not in _RATINGS:
        raise ValueError(f"the mark {text!r}; expected -1, 0 or 1")
    return _RATINGS[text]


def marks_of(text: str | None, n_steps: int) -> tuple[tuple[Rating | None, ...], Verdict | None]:
    """Return the marks of all steps, and the verdict, that an event has as text.

    Raises:
        ValueError: They are no ``{"marks": [one a step], "verdict": ...}``.
    """
    given = json.loads(text or "null")
    marks = given.get("marks") if isinstance(given, dict) else None
    if not isinstance(marks, list) or len(marks) != n_steps:
        raise ValueError(f"marks {str(text)[:80]!r}; expected one for each of {n_steps} steps")
    verdict = VERDICTS.get(str(given.get("verdict")))
    return tuple(None if each is None else mark_of(str(each)) for each in marks), verdict


def spelt_marks(outcome: Outcome) -> str:
    """Return an outcome as :func:`marks_of` reads it."""
    verdict = outcome.finish if outcome.finish in VERDICTS else None
    return json.dumps({"marks": outcome.ratings, "verdict": verdict})


def fold(events: Sequence[Event]) -> Marking:
    """Return what the events of one person on one item come to.

    Args:
        events: In order; the first says that the item was opened, and how many steps it has.
    """
    first = events[0]
    n = int(first.value or 0)
    kept: list[Event] = []
    for event in events:
        if event.what == "undo" and kept:
            kept.pop()
        elif event.what in CHANGES:
            kept.append(event)
    marks: list[Rating | None] = [None] * n
    flags: set[int] = set()
    verdict: Verdict | None = None
    submitted = False
    for event in kept:
        if event.what == "mark" and event.step is not None:
            marks[event.step], verdict = mark_of(event.value), None
        elif event.what == "marks":
            taken, verdict = marks_of(event.value, n)
            marks = list(taken)
        elif event.what == "flag" and event.step is not None:
            flags = flags | {event.step} if event.value == "1" else flags - {event.step}
        elif event.what == "verdict":
            verdict = VERDICTS.get(event.value or "")
        elif event.what == "submit":
            submitted = True
    return Marking(
        first.who,
        first.item,
        n,
        tuple(marks),
        tuple(sorted(flags)),
        verdict,
        submitted,
        sum(each.ms for each in events) / 1000,
        first.at,
        next((each.at for each in reversed(events) if each.what != "opened"), first.at),
        events[-1].number,
        len(kept),
    )


def outcome_of(marking: Marking, *, all_steps: bool = False) -> Outcome:
    """Return the label that a marking comes to.

    Args:
        marking: The marking.
        all_steps: Whether the steps after the first wrong one are labelled too.
    """
    marks, n = marking.marks, marking.n_steps
    nothing: tuple[Rating | None, ...] = (None,) * n
    if marking.verdict == "bad_problem":
        return Outcome(nothing, "bad_problem")
    first_bad = marks.index(-1) if -1 in marks else None
    gap = marks.index(None) if None in marks else None
    if marking.verdict == "give_up":
        # a step is left that could not be judged: the last one where all are marked, or else they say "no wrong step"
        sure = min((each for each in (first_bad, gap) if each is not None), default=max(0, n - 1))
        return Outcome((*marks[:sure], *nothing[sure:]), "give_up")
    finish: Finish = "solution" if first_bad is None else "found_error"
    if all_steps:
        return Outcome(marks, None if gap is not None else finish)
    if first_bad is None:
        return Outcome(marks, None if gap is not None else finish)
    whole = gap is None or gap > first_bad
    return Outcome((*marks[: first_bad + 1], *nothing[first_bad + 1 :]), finish if whole else None)


def is_done(marking: Marking, *, all_steps: bool = False) -> bool:
    """Say whether a marking is whole and was handed in."""
    return marking.submitted and outcome_of(marking, all_steps=all_steps).finish is not None


def by_pair(events: Iterable[Event]) -> dict[tuple[str, int], list[Event]]:
    """Return events by person and item, both in order of appearance."""
    found: dict[tuple[str, int], list[Event]] = {}
    for event in events:
        found.setdefault((event.who, event.item), []).append(event)
    return found
