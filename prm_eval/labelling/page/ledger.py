"""The campaign while people label: every event goes to the file first and then into what is known of it in memory."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone

from prm_eval.errors import PrmEvalError
from prm_eval.labelling.page.assigning import Plan, next_item, places_left
from prm_eval.labelling.page.campaign import Campaign, Item, Person
from prm_eval.labelling.page.events import Event
from prm_eval.labelling.page.marking import CHANGES, VERDICTS, Marking, by_pair, fold, is_done, mark_of, marks_of

LAPSE = timedelta(hours=12)
"""Whoever opened an item and did nothing for so long is not waited for: somebody else may take it."""
MOST_MS = 600_000
"""Of one event: whoever was away longer was away."""
MOST_STEPS = 1_000
"""Of a solution that people label; a longer one is no page that a browser shows."""
COUNTED = 5_000
"""Candidates that are counted for the progress bar; more are "many"."""


class NotAllowed(PrmEvalError):
    """An event that has no meaning: of an item that somebody was not given, or of a step that is not there."""


@dataclass(frozen=True)
class Progress:
    """How far a labeller is: items done, and items to come."""

    done: int
    left: int


class Ledger:
    """A campaign with what its events come to.

    Args:
        campaign: The campaign.
    """

    def __init__(self, campaign: Campaign) -> None:
        self.campaign = campaign
        self._events = by_pair(campaign.store.events())
        self.markings: dict[tuple[str, int], Marking] = {pair: fold(own) for pair, own in self._events.items()}
        self._takers: dict[int, set[str]] = defaultdict(set)
        self._given: dict[str, list[int]] = defaultdict(list)
        for who, item in self._events:
            self._takers[item].add(who)
            if self.markings[who, item].n_steps:
                self._given[who].append(item)
        self.plan = Plan(
            tuple(campaign.items_of("screening")),
            tuple(campaign.items_of("quality_control")),
            tuple(pair for pair in campaign.queue() if not self._is_empty(pair[0])),
            campaign.rules.qc_rate,
            campaign.rules.seed,
        )

    def given(self, who: str) -> list[int]:
        """Return what somebody was given, in order."""
        return self._given.get(who, [])

    def done(self, who: str, item: int) -> bool:
        """Say whether somebody has labelled an item to the end."""
        marking = self.markings.get((who, item))
        return marking is not None and is_done(marking, all_steps=self.campaign.rules.all_steps)

    def progress(self, who: str) -> Progress:
        """Return how far a labeller is."""
        given = self.given(who)
        done = sum(self.done(who, item) for item in given)
        had, is_open, free = set(given), self._open_for(who), 0
        for item, n in self.plan.queue:
            free += item not in had and is_open(item, n)
            if free == COUNTED:
                break
        left = places_left(self.plan, who, given, free)
        return Progress(done, len(given) - done + left)

    def current(self, who: str) -> int | None:
        """Return the item that a labeller is at, which is given now if need be; None where nothing is left."""
        given = self.given(who)
        unfinished = next((item for item in given if not self.done(who, item)), None)
        if unfinished is not None:
            return unfinished
        while (found := next_item(self.plan, who, self.given(who), self._open_for(who))) is not None:
            if self.open(who, self.campaign.item(found)):
                return found
        return None

    def open(self, who: str, item: Item) -> bool:
        """Give an item to somebody and return True; one without a step, or with too many, is left out instead."""
        n = len(item.steps) if len(item.steps) <= MOST_STEPS else 0
        if (who, item.item) not in self._events:
            self._apply(Event(who, item.item, "opened", value=str(n)))
        if not n:
            kept = tuple(pair for pair in self.plan.queue if pair[0] != item.item)
            self.plan = replace(self.plan, queue=kept)
        return n > 0

    def add(self, person: Person, event: Event) -> Marking:
        """Keep an event and return what somebody's events on the item come to now.

        One that is there already, by its key, changes nothing.

        Raises:
            NotAllowed: It has no meaning.
        """
        marking = self.markings.get((event.who, event.item))
        if event.who != person.who or marking is None:
            raise NotAllowed("this item was not given to you")
        _require_meaning(event, marking, person)
        self._apply(event)
        return self.markings[event.who, event.item]

    def _apply(self, event: Event) -> None:
        kept = self.campaign.store.append(event)
        if kept is not None:
            self._take(kept)

    def _take(self, event: Event) -> None:
        pair = (event.who, event.item)
        if pair not in self._events:
            self._events[pair] = []
            self._takers[event.item].add(event.who)
            if event.value != "0":
                self._given[event.who].append(event.item)
        self._events[pair].append(event)
        self.markings[pair] = fold(self._events[pair])

    def _open_for(self, who: str) -> Callable[[int, int], bool]:
        """Return what says whether an item that so many people are to label needs one more."""
        roles = self.campaign.people()

        def is_open(item: int, n: int) -> bool:
            others = [each for each in self._takers.get(item, ()) if each != who and roles.get(each) != "adjudicator"]
            return sum(self._holds(each, item) for each in others) < n

        return is_open

    def _is_empty(self, item: int) -> bool:
        return any(self.markings[who, item].n_steps == 0 for who in self._takers.get(item, ()))

    def _holds(self, who: str, item: int) -> bool:
        if self.done(who, item):
            return True
        last = self._events[who, item][-1].at
        return datetime.now(timezone.utc) - datetime.fromisoformat(last) < LAPSE


def _require_meaning(event: Event, marking: Marking, person: Person) -> None:
    """Refuse an event that no page of ours sends.

    Raises:
        NotAllowed: It has no meaning.
    """
    if event.what not in (*CHANGES, "undo"):
        raise NotAllowed(f"an event {event.what!r}")
    if not 0 <= event.ms <= MOST_MS:
        raise NotAllowed(f"{event.ms} ms; expected 0 to {MOST_MS}")
    if event.what in ("mark", "flag") and (event.step is None or not 0 <= event.step < marking.n_steps):
        raise NotAllowed(f"step {event.step} of {marking.n_steps}")
    if event.what == "marks" and person.role != "adjudicator":
        raise NotAllowed("marks of all steps at once")
    try:
        if event.what == "mark":
            mark_of(event.value)
        elif event.what == "marks":
            marks_of(event.value, marking.n_steps)
    except (ValueError, RecursionError) as error:
        raise NotAllowed(str(error)) from None
    if event.what == "flag" and event.value not in ("0", "1"):
        raise NotAllowed(f"the flag {event.value!r}")
    if event.what == "verdict" and event.value not in (*VERDICTS, ""):
        raise NotAllowed(f"the verdict {event.value!r}")
