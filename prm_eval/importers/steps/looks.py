"""Looks at a step set: counts, balance, and leaks by which a label can be told without reading a step.

A leak is no fault. It says which figures of the set mean less than they seem to: where every solution stops at its
first wrong step, a scorer that knows the number of steps finds them all.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from prm_eval.importers.steps.found import BEYOND
from prm_eval.importers.steps.reading import squashed
from prm_eval.records import Solution, StepLabel
from prm_eval.stepsets.format import StepSetInfo
from prm_eval.stepsets.labels import NO_ERROR

FEW = 20
"""Fewer solutions than these show no pattern."""
MOST = 0.95
TELLING = 0.9
"""An area under the curve from which the number of steps is said to tell wrong solutions from clean ones."""
AT_FIRST = 50
MANY_AT_ZERO = 0.5


@dataclass(frozen=True)
class Balance:
    """How many solutions and steps a set, or a group of it, has of each kind.

    Attributes:
        name: The group; empty for the whole set.
        solutions: All solutions.
        problems: The problems that they are of.
        clean: Solutions without a wrong step.
        wrong: Solutions with one.
        unknown: Solutions of which this is not known.
        steps: All steps.
        good: Steps rated right.
        neutral: Steps rated neutral.
        bad: Steps rated wrong.
        unrated: Steps of which nothing is known.
    """

    name: str
    solutions: int
    problems: int
    clean: int
    wrong: int
    unknown: int
    steps: int
    good: int
    neutral: int
    bad: int
    unrated: int


@dataclass(frozen=True)
class Looks:
    """What a step set looks like: the whole of it, its groups in order of appearance, its leaks in words."""

    whole: Balance
    groups: tuple[Balance, ...]
    leaks: tuple[str, ...]


Pairs = Sequence[tuple[Solution, StepLabel]]


def look_at(solutions: Sequence[Solution], labels: Sequence[StepLabel], info: StepSetInfo) -> Looks:
    """Return what a step set looks like."""
    pairs = list(zip(solutions, labels, strict=True))
    parts: dict[str, list[tuple[Solution, StepLabel]]] = defaultdict(list)
    for solution, label in pairs:
        parts[solution.group or ""].append((solution, label))
    groups = [balance(name, part) for name, part in parts.items()] if list(parts) != [""] else []
    # only of plain rows it is not known from where they count
    looks = (*_LEAKS, *_DOUBTS) if info.source.get("format") == "plain" else _LEAKS
    leaks = [found for look in looks if (found := look(pairs)) is not None]
    if beyond := info.dropped.get(BEYOND, 0):
        leaks.append(f"{beyond:,} labels of steps beyond the end of their solutions were left out")
    return Looks(balance("", pairs), tuple(groups), tuple(leaks))


def balance(name: str, pairs: Pairs) -> Balance:
    """Return how many solutions and steps are of each kind."""
    firsts = [label.first_error for _, label in pairs]
    ratings: Counter[int | None] = Counter()
    steps = 0
    for solution, label in pairs:
        steps += len(solution.steps)
        ratings.update(label.ratings or ())
    known = ratings[1] + ratings[0] + ratings[-1]
    return Balance(
        name,
        solutions=len(pairs),
        problems=len({solution.problem_id for solution, _ in pairs}),
        clean=firsts.count(NO_ERROR),
        wrong=sum(first is not None and first >= 0 for first in firsts),
        unknown=firsts.count(None),
        steps=steps,
        good=ratings[1],
        neutral=ratings[0],
        bad=ratings[-1],
        unrated=steps - known,
    )


def _wrong(pairs: Pairs) -> list[tuple[int, int]]:
    """Return (first wrong step, number of steps) of wrong solutions of several steps."""
    return [
        (label.first_error, len(solution.steps))
        for solution, label in pairs
        if label.first_error is not None and label.first_error >= 0 and len(solution.steps) > 1
    ]


def last_is_wrong(pairs: Pairs) -> str | None:
    """Say whether solutions stop at their first wrong step (PRM800K does)."""
    wrong = _wrong(pairs)
    last = sum(first == n - 1 for first, n in wrong)
    if len(wrong) < FEW or last < MOST * len(wrong):
        return None
    return (
        f"in {last:,} of {len(wrong):,} wrong solutions of several steps the last step is the first wrong one: they "
        "stop there, so the number of steps gives the label away. Score beginnings only, never with what follows"
    )


def always_the_same(pairs: Pairs) -> str | None:
    """Say whether the first wrong step is always the same one, counted from the front."""
    places = {first for first, _ in _wrong(pairs)}
    if len(_wrong(pairs)) < FEW or len(places) > 1:
        return None
    return f"the first wrong step is step {places.pop()} in every wrong solution: its place gives the label away"


def counted_from_one(pairs: Pairs) -> str | None:
    """Say whether first wrong steps may be counted from 1 by mistake."""
    wrong = _wrong(pairs)
    if len(wrong) < AT_FIRST or any(first == 0 for first, _ in wrong):
        return None
    return f"none of {len(wrong):,} wrong solutions is wrong in its first step: did the source count from 1?"


def zero_for_none(pairs: Pairs) -> str | None:
    """Say whether 0 may stand for "no wrong step"."""
    firsts = [label.first_error for _, label in pairs if label.first_error is not None]
    if len(firsts) < FEW or NO_ERROR in firsts or firsts.count(0) < MANY_AT_ZERO * len(firsts):
        return None
    return (
        f"no solution is clean, and {firsts.count(0):,} of {len(firsts):,} are wrong in their first step: "
        "did 0 stand for no wrong step?"
    )


def number_of_steps(pairs: Pairs) -> str | None:
    """Say whether the number of steps alone tells wrong solutions from clean ones."""
    clean = Counter(len(each.steps) for each, label in pairs if label.first_error == NO_ERROR)
    wrong = Counter(len(each.steps) for each, label in pairs if (label.first_error or 0) >= 0 and _known(label))
    n_clean, n_wrong = clean.total(), wrong.total()
    if min(n_clean, n_wrong) < FEW:
        return None
    below = won = 0
    for n in sorted(clean.keys() | wrong.keys()):
        won += wrong[n] * (2 * below + clean[n])
        below += clean[n]
    area = won / (2 * n_clean * n_wrong)
    if max(area, 1 - area) < TELLING:
        return None
    more = "more" if area > 0.5 else "fewer"
    return (
        f"wrong solutions have {more} steps than clean ones in {max(area, 1 - area):.1%} of pairs: counting is enough"
    )


def _known(label: StepLabel) -> bool:
    return label.first_error is not None


def one_class(pairs: Pairs) -> str | None:
    """Say whether one of the two classes is not there, so that half of the figures have no value."""
    known = [label.first_error for _, label in pairs if label.first_error is not None]
    if not known:
        return None
    if NO_ERROR not in known:
        return "no solution is known to be clean: nothing measures false alarms on whole solutions"
    if all(first == NO_ERROR for first in known):
        return "no solution is known to be wrong: nothing measures whether errors are found"
    return None


def copies(pairs: Pairs) -> str | None:
    """Say which solutions stand several times, and whether their labels differ."""
    labels: dict[tuple[str, tuple[str, ...]], list[StepLabel]] = defaultdict(list)
    for solution, label in pairs:
        labels[squashed(solution.statement), solution.steps].append(label)
    several = [each for each in labels.values() if len(each) > 1]
    if not several:
        return None
    differ = sum(len({(label.first_error, label.ratings, label.soft) for label in each}) > 1 for each in several)
    more = sum(len(each) - 1 for each in several)
    times = "once" if more == 1 else f"{more:,} times"
    said = f"; {differ:,} of them with different labels" if differ else ""
    return f"{_texts(len(several))} {'stands' if len(several) == 1 else 'stand'} again, {times}{said}"


def _texts(n: int) -> str:
    return f"{n:,} {'solution' if n == 1 else 'solutions'}"


def final_answers(pairs: Pairs) -> str | None:
    """Say how much of the label the final answer gives away."""
    both = [(label.final_correct, label.first_error == NO_ERROR) for _, label in pairs if _told(label)]
    clean = sum(is_clean for _, is_clean in both)
    wrong = len(both) - clean
    if min(clean, wrong) < FEW or any(is_clean and not right for right, is_clean in both):
        return None
    caught = sum(not right and not is_clean for right, is_clean in both)
    if not caught:
        return None
    if caught == wrong:
        return "the final answer is right exactly where no step is wrong: checking answers is enough"
    return (
        f"every clean solution ends right, and {caught:,} of {wrong:,} wrong ones ({caught / wrong:.1%}) end wrong: "
        "checking answers finds them"
    )


def _told(label: StepLabel) -> bool:
    return label.final_correct is not None and label.first_error is not None


_LEAKS: tuple[Callable[[Pairs], str | None], ...] = (
    one_class,
    last_is_wrong,
    always_the_same,
    number_of_steps,
    final_answers,
    copies,
)
_DOUBTS: tuple[Callable[[Pairs], str | None], ...] = (counted_from_one, zero_for_none)
