"""A report on the steps that a splitter made: whether there is anything in them for a PRM to judge."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields

from prm_eval.texts.marks import bare_heading, is_lead_in

MANY_OF_ONE_STEP = 0.1
"""The share of candidates with one step from which the report says what that means."""
MOST_OF_ONE_STEP = 0.5
"""The share of candidates with one step above which every door warns."""


@dataclass(frozen=True)
class StepReport:
    """Counts over candidates and their steps.

    Attributes:
        candidates: The number of candidates.
        steps: The number of steps of all candidates.
        fewest: The least steps of a candidate, 0 where there are no candidates.
        most: The most steps of a candidate.
        without_step: Candidates without any step.
        of_one_step: Candidates with exactly one.
        without_word: Steps without a letter or digit.
        headings: Steps that are nothing but headings.
        lead_ins: Steps that end in a colon, headings not counted.
    """

    candidates: int = 0
    steps: int = 0
    fewest: int = 0
    most: int = 0
    without_step: int = 0
    of_one_step: int = 0
    without_word: int = 0
    headings: int = 0
    lead_ins: int = 0

    def __add__(self, other: StepReport) -> StepReport:
        """Return the counts over the candidates of both."""
        if not self.candidates or not other.candidates:
            return self if self.candidates else other
        counted = {each.name: getattr(self, each.name) + getattr(other, each.name) for each in fields(self)}
        return StepReport(**{**counted, "fewest": min(self.fewest, other.fewest), "most": max(self.most, other.most)})

    def times(self, copies: int) -> StepReport:
        """Return the counts over so many copies of these candidates."""
        counted = {each.name: getattr(self, each.name) * copies for each in fields(self)}
        return StepReport(**{**counted, "fewest": self.fewest, "most": self.most})

    def lines(self) -> list[str]:
        """Return the report for a terminal, a line a fact; empty where there are no candidates."""
        if not self.candidates:
            return []
        one = _percent(self.of_one_step, self.candidates)
        lines = [
            f"steps      {self.steps / self.candidates:,.1f} a candidate ({self.fewest:,} to {self.most:,}); "
            f"{one} of candidates have one step, {_percent(self.without_step, self.candidates)} none"
        ]
        if self.steps:
            lines.append(
                f"           of {self.steps:,} steps {_percent(self.without_word, self.steps)} "
                "have no letter or digit, "
                f"{_percent(self.headings, self.steps)} are bare headings, "
                f"{_percent(self.lead_ins, self.steps)} end in a colon"
            )
        many = self.of_one_step >= MANY_OF_ONE_STEP * self.candidates
        if many and not mostly_one_step(self.of_one_step, self.candidates):  # above half, the doors warn
            lines.append(f"note       {one} of candidates have one step: there a PRM is an ORM. Try another --splitter")
        return lines


def step_report(candidates: Iterable[Sequence[str]]) -> StepReport:
    """Return the report on the steps of candidates, given as lists of steps; each list is read once."""
    counted = steps_of_all = fewest = most = without_step = of_one_step = without_word = headings = lead_ins = 0
    for steps in candidates:
        n = len(steps)
        fewest = n if counted == 0 else min(fewest, n)
        most = max(most, n)
        counted += 1
        steps_of_all += n
        without_step += n == 0
        of_one_step += n == 1
        for step in steps:
            if not any(map(str.isalnum, step)):
                without_word += 1
            elif bare_heading(step) is not None:
                headings += 1
            elif is_lead_in(step):
                lead_ins += 1
    return StepReport(counted, steps_of_all, fewest, most, without_step, of_one_step, without_word, headings, lead_ins)


def mostly_one_step(of_one_step: int, candidates: int) -> bool:
    """Say whether so many of the candidates have one step that every door warns: more than half."""
    return of_one_step > MOST_OF_ONE_STEP * candidates


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %"
