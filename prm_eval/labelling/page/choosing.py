"""Which of several people's labels of one candidate counts. They are never merged without a word.

What an adjudicator decided counts; else what all who labelled it agree on, mark by mark; else nothing does, unless the
user says which: the first, or what most of them say.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from prm_eval.labelling.page.campaign import Campaign, Role
from prm_eval.labelling.page.marking import Marking, Outcome, is_done, outcome_of

Take = Literal["first", "majority"]
TAKES: tuple[Take, ...] = ("first", "majority")


@dataclass(frozen=True)
class Opinion:
    """A finished marking and its label."""

    marking: Marking
    outcome: Outcome


@dataclass(frozen=True)
class Opinions:
    """All finished labels of one candidate.

    Attributes:
        item: The candidate's item.
        people: Those of labellers, in the order in which they were finished.
        decided: That of the adjudicator who was last; None where none decided.
    """

    item: int
    people: tuple[Opinion, ...]
    decided: Opinion | None

    @property
    def agree(self) -> bool:
        """Whether all labellers say the same of every step."""
        return len({(each.outcome.ratings, each.outcome.finish) for each in self.people}) == 1

    @property
    def conflict(self) -> bool:
        """Whether several labellers do not say the same."""
        return len(self.people) > 1 and not self.agree

    @property
    def by(self) -> str:
        """Who said it, in words."""
        if self.decided is not None:
            return f"{self.decided.marking.who} (decided)"
        return ", ".join(each.marking.who for each in self.people)

    def chosen(self, take: Take | None = None) -> Opinion | None:
        """Return the label that counts; None where that is not settled."""
        if self.decided is not None:
            return self.decided
        if self.agree or (take == "first" and self.people):
            return self.people[0]
        if take == "majority":
            votes = Counter((each.outcome.ratings, each.outcome.finish) for each in self.people).most_common(2)
            if votes and (len(votes) == 1 or votes[0][1] > votes[1][1]):
                return next(each for each in self.people if (each.outcome.ratings, each.outcome.finish) == votes[0][0])
        return None


def all_opinions(
    campaign: Campaign, markings: Mapping[tuple[str, int], Marking], roles: Mapping[str, Role] | None = None
) -> list[Opinions]:
    """Return the finished labels of every candidate that has one, in the order of the items.

    Args:
        campaign: The campaign.
        markings: What was marked, by person and item.
        roles: Everybody's role; read of the campaign by default.
    """
    roles = campaign.people() if roles is None else roles
    every = campaign.rules.all_steps
    done = [each for each in markings.values() if each.n_steps and is_done(each, all_steps=every)]
    kinds = campaign.kinds([each.item for each in done])
    found: dict[int, list[Opinion]] = {}
    for each in sorted(done, key=lambda each: each.version):
        if kinds[each.item] == "main":
            found.setdefault(each.item, []).append(Opinion(each, outcome_of(each, all_steps=every)))
    result = []
    for item in sorted(found):
        people = tuple(each for each in found[item] if roles.get(each.marking.who) != "adjudicator")
        decided = [each for each in found[item] if roles.get(each.marking.who) == "adjudicator"]
        result.append(Opinions(item, people, decided[-1] if decided else None))
    return result


def in_words(outcome: Outcome) -> str:
    """Return a label as a reader says it."""
    if outcome.finish == "give_up":
        return "gave up"
    if outcome.finish == "bad_problem":
        return "bad problem"
    if -1 not in outcome.ratings:
        return "no wrong step"
    return f"wrong at step {outcome.ratings.index(-1) + 1}"
