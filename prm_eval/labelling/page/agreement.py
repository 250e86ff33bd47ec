"""How well a campaign's labellers agree with each other and with known labels, and how long they take.

Agreement is Krippendorff's alpha (by the library of that name): ordinal over the marks of single steps, nominal over
the first wrong step of whole solutions. Limits are over problems, which are resampled as wholes: the steps of one
solution, and solutions of one problem, are no independent evidence.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from prm_eval.labelling.page.campaign import Campaign, Item
from prm_eval.labelling.page.choosing import Opinions, all_opinions
from prm_eval.labelling.page.events import Store
from prm_eval.labelling.page.marking import Marking, Outcome, by_pair, fold, is_done, outcome_of
from prm_eval.stepsets.labels import NO_ERROR, first_error_of

DRAWS = 1_000
LEVEL = 0.95
GOOD_ENOUGH = 0.75
"""PRM800K's bar: labellers who agreed less with the screening labels did not go on (Lightman et al. 2023, B)."""
Counts = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Alpha:
    """Krippendorff's alpha; no value where nothing varies or nobody labelled the same, no limits for one problem.

    Attributes:
        value: The coefficient.
        low: Its lower limit.
        high: Its upper limit.
        units: What at least two people labelled.
        problems: Of how many problems.
    """

    value: float | None
    low: float | None
    high: float | None
    units: int
    problems: int


@dataclass(frozen=True)
class Share:
    """A share of trials, with exact binomial limits."""

    right: int
    of: int

    @property
    def value(self) -> float:
        """The share."""
        return self.right / self.of

    @property
    def limits(self) -> tuple[float, float]:
        """The limits of Clopper and Pearson."""
        from scipy.stats import binomtest

        found = binomtest(self.right, self.of).proportion_ci(LEVEL, method="exact")
        return float(found.low), float(found.high)


@dataclass(frozen=True)
class LabellerReport:
    """One labeller.

    Attributes:
        who: The name.
        done: Candidates that were handed in.
        unfinished: What was opened and not handed in.
        screening: Screening solutions with the known first wrong step; None where there were none.
        quality: Quality-control solutions likewise.
        steps: Steps of both kinds, up to the known first wrong one, that were called wrong or not as is known.
        seconds: The attention that each solution took, known ones too.
        finishes: How labelling ended, how often.
    """

    who: str
    done: int
    unfinished: int
    screening: Share | None
    quality: Share | None
    steps: Share | None
    seconds: tuple[float, ...]
    finishes: dict[str, int]


@dataclass(frozen=True)
class Report:
    """A whole campaign.

    Attributes:
        name: The campaign.
        labelled: Candidates that somebody labelled.
        queued: Candidates to label.
        several: Candidates that several people labelled.
        alike: Those that they labelled alike, mark by mark.
        same_first: Those with the same first wrong step, of those where both have one (or none).
        decided: Conflicts that an adjudicator decided.
        steps: Alpha over marks of steps.
        first: Alpha over first wrong steps.
        people: The labellers.
    """

    name: str
    labelled: int
    queued: int
    several: int
    alike: int
    same_first: Share | None
    decided: int
    steps: Alpha
    first: Alpha
    people: tuple[LabellerReport, ...]


def measure(campaign: Campaign, *, seed: int = 0) -> Report:
    """Return the report of a campaign."""
    markings = markings_of(campaign.store)
    roles = campaign.people()
    opinions = all_opinions(campaign, markings, roles)
    several = [each for each in opinions if len(each.people) > 1]
    problems = {each.item: campaign.cluster_of(campaign.item(each.item)) for each in several}
    firsts = {each.item: _firsts(each) for each in several}
    both = [found for found in firsts.values() if len(found) > 1]
    step_units = [
        (problems[each.item], marks)
        for each in several
        for marks in zip(*(one.outcome.ratings for one in each.people), strict=True)
    ]
    first_units = [(problems[item], found) for item, found in firsts.items()]
    labellers = [who for who, role in roles.items() if role == "labeller"]
    return Report(
        campaign.name,
        len(opinions),
        len(campaign.queue()),
        len(several),
        sum(each.agree for each in several),
        Share(sum(len(set(found)) == 1 for found in both), len(both)) if both else None,
        sum(each.decided is not None and each.conflict for each in opinions),
        _alpha_of(step_units, "ordinal", seed),
        _alpha_of(first_units, "nominal", seed),
        tuple(_labeller(campaign, who, [each for each in markings.values() if each.who == who]) for who in labellers),
    )


def markings_of(store: Store) -> dict[tuple[str, int], Marking]:
    """Return what everybody's events come to."""
    return {pair: fold(own) for pair, own in by_pair(store.events()).items()}


def _firsts(opinions: Opinions) -> list[int]:
    found = [_first(each.outcome) for each in opinions.people]
    return [each for each in found if each is not None]


def _first(outcome: Outcome) -> int | None:
    """Return the first wrong step that somebody said, -1 for none; None for who gave up."""
    return first_error_of(outcome.ratings)


def _labeller(campaign: Campaign, who: str, markings: Sequence[Marking]) -> LabellerReport:
    every = campaign.rules.all_steps
    markings = [each for each in markings if each.n_steps]
    done = [each for each in markings if is_done(each, all_steps=every)]
    kinds = campaign.kinds([each.item for each in done])
    right: dict[str, list[bool]] = defaultdict(list)
    steps: list[bool] = []
    finishes: dict[str, int] = defaultdict(int)
    for each in done:
        outcome = outcome_of(each, all_steps=every)
        if kinds[each.item] == "main":
            finishes[str(outcome.finish)] += 1
            continue
        item = campaign.item(each.item)
        right[kinds[each.item]].append(item.known is not None and _first(outcome) == item.known[0])
        steps += _step_by_step(item, outcome)
    return LabellerReport(
        who,
        sum(finishes.values()),
        len(markings) - len(done),
        _share(right["screening"]),
        _share(right["quality_control"]),
        _share(steps),
        tuple(each.seconds for each in done),
        dict(finishes),
    )


def _step_by_step(item: Item, outcome: Outcome) -> list[bool]:
    """Return for each step up to the known first wrong one whether it was called wrong exactly if it is."""
    if item.known is None:
        return []
    first = item.known[0]
    last = len(item.steps) - 1 if first == NO_ERROR else first
    marks = outcome.ratings[: last + 1]
    return [(mark == -1) == (step == first) for step, mark in enumerate(marks) if mark is not None]


def _share(found: Sequence[bool]) -> Share | None:
    return Share(sum(found), len(found)) if found else None


# -- alpha

Unit = tuple[str, Sequence[int | None]]
Metric = Literal["ordinal", "nominal"]


def alpha(counts: Counts, metric: Metric) -> float | None:
    """Return Krippendorff's alpha of a table: units by values, how many people gave each; the values are in order.

    None where no unit has two people, or all of them gave the same value everywhere: then chance agreement is whole,
    and alpha is 0 / 0.
    """
    counts = counts[counts.sum(axis=1) > 1]
    if np.count_nonzero(counts.sum(axis=0)) < 2:
        return None
    import krippendorff

    found = krippendorff.alpha(
        value_counts=counts, value_domain=list(range(counts.shape[1])), level_of_measurement=metric
    )
    return float(found)


def _alpha_of(units: Sequence[Unit], metric: Metric, seed: int) -> Alpha:
    """Return alpha with limits over problems: percentiles over resamples in which it is defined."""
    kept = [(problem, [each for each in values if each is not None]) for problem, values in units]
    kept = [(problem, values) for problem, values in kept if len(values) > 1]
    names = sorted({problem for problem, _ in kept})
    if not kept:
        return Alpha(None, None, None, 0, 0)
    domain = sorted({value for _, values in kept for value in values})
    column = {value: i for i, value in enumerate(domain)}
    counts = np.zeros((len(kept), len(domain)), dtype=np.int64)
    rows: dict[str, list[int]] = defaultdict(list)
    for i, (problem, values) in enumerate(kept):
        rows[problem].append(i)
        for value in values:
            counts[i, column[value]] += 1
    found = alpha(counts, metric)
    if found is None or len(names) < 2:
        return Alpha(found, None, None, len(kept), len(names))
    random = np.random.default_rng(seed)
    drawn: list[float] = []
    for _ in range(DRAWS):
        chosen = np.concatenate([rows[names[i]] for i in random.integers(len(names), size=len(names))])
        if (one := alpha(counts[chosen], metric)) is not None:
            drawn.append(one)
    if not drawn:
        return Alpha(found, None, None, len(kept), len(names))
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Alpha(found, float(low), float(high), len(kept), len(names))
