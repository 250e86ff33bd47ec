"""Which candidates to label next: pure rules, on what is known of candidates before anybody labels them.

None of these rules can see a label: a :class:`Row` has none. Whether an answer is wrong is a grade, which the gold
answer gives for nothing.

* ``convincing`` (Lightman et al. 2023, section 4.2): of N solutions a share of 80 % are the wrong answers that the
  present reward model likes best, and the rest are the most convincing of all that remain, right or wrong. A fraction
  of a candidate cannot be taken: of the share s of k picks a problem, the i-th problem (from 1) gets
  floor(i s k) - floor((i - 1) s k), so that the shares of all problems add up. A problem with fewer wrong answers
  gives those that it has, and its other picks are of the rest.
* ``uniform``: a random order of the candidates, by a hash of the seed and their ids; of equal texts the first counts.
  More picks contain the fewer ones.
* ``uncertain`` (uncertainty sampling: Lewis and Gale 1994): the least distance from 1/2 of the chance
  that every step is right, as the reward model's aggregation gives it.
* ``disagreement`` (ActPRM: sail-sg/ActivePRM, active_sft_trainer.py): several reward models score the steps. With mean
  p and standard deviation d (with M - 1 in the denominator, as theirs) of each step up to the first one whose p is
  below 1/2, a candidate is **trusted**, and not chosen, if every such step has d <= ``spread`` and p >= ``sure`` or
  p <= 1 - ``sure``. The others are chosen by their largest d. (Theirs chooses all of them, in a stream.)

Ties go to the earlier problem and then to the lower slot. A candidate that was refused a reward is chosen by no rule
that reads rewards. Equal texts of one problem are one row here: they would get the same label.
"""

from __future__ import annotations

import hashlib
import math
import statistics
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, get_args

from prm_eval.errors import PrmEvalError

RuleName = Literal["convincing", "uniform", "uncertain", "disagreement"]
RULES: tuple[RuleName, ...] = get_args(RuleName)
SHARE = 0.8
"""Of wrong answers (Lightman et al. 2023, section 4.2)."""
SPREAD, SURE = 0.01, 0.9
"""ActPRM's defaults (active_sft_config.py)."""


@dataclass(frozen=True, slots=True)
class Row:
    """What is known of a candidate before it is labelled.

    Attributes:
        problem: The place of its problem in the pool.
        slot: Its slot.
        candidate_id: Its id.
        wrong: Whether its final answer is wrong; no answer, or one that nobody could decide on, is not.
        reward: The first reward model's reward; None where it was refused, or where there is no model.
        probability: The chance that every step is right, by that model.
        steps: The chance of each step to be right, one row a reward model; empty where one of them refused it.
        lot: Its place in the random order.
    """

    problem: int
    slot: int
    candidate_id: str
    wrong: bool = False
    reward: float | None = None
    probability: float | None = None
    steps: tuple[tuple[float, ...], ...] = ()
    lot: str = ""

    @property
    def place(self) -> tuple[int, int]:
        """Its place in the pool, by which ties are broken."""
        return self.problem, self.slot


@dataclass(frozen=True, slots=True)
class Pick:
    """A candidate that is chosen, and why."""

    row: Row
    why: str


@dataclass(frozen=True)
class Ask:
    """What is asked for.

    Attributes:
        rule: The rule.
        per_problem: The picks of every problem, 1 by default; with ``count`` the most of one, by default all.
        count: The picks of the whole pool.
        share: Of wrong answers, for ``convincing``.
        spread: The largest standard deviation of a trusted step, for ``disagreement``.
        sure: The least certainty of a trusted step, for ``disagreement``.

    Raises:
        PrmEvalError: There is no such rule, or a number is out of its range.
    """

    rule: RuleName
    per_problem: int | None = None
    count: int | None = None
    share: float = SHARE
    spread: float = SPREAD
    sure: float = SURE

    def __post_init__(self) -> None:
        if self.rule not in RULES:
            raise PrmEvalError(f"unknown rule {self.rule!r}; expected one of {', '.join(RULES)}")
        for given in (self.per_problem, self.count):
            if given is not None and given < 1:
                raise PrmEvalError(f"{given} picks; expected at least 1")
        for name, value, low in (("share", self.share, 0.0), ("spread", self.spread, 0.0), ("sure", self.sure, 0.5)):
            if not low <= value <= 1:
                raise PrmEvalError(f"{name} = {value}; expected a number from {low:g} to 1")

    @property
    def of_each(self) -> int:
        """The picks of every problem, where they are not counted over the pool."""
        return 1 if self.per_problem is None else self.per_problem

    def has_room(self, taken: int) -> bool:
        """Say whether a problem of which so many are taken may give another one."""
        if self.per_problem is None and self.count is not None:
            return True
        return taken < self.of_each


Order = list[tuple[Row, str]]
"""Candidates in the order in which a rule takes them, each with its reason."""


def choose(problems: Sequence[Sequence[Row]], ask: Ask) -> list[Pick]:
    """Return the candidates to label, problem after problem, in each in the order of the rule.

    Args:
        problems: The rows of each problem, one a different text.
        ask: What is asked for.
    """
    order = _ORDERS[ask.rule]
    if ask.count is not None:
        wrong = math.floor(_exact(ask.share) * ask.count)
        taken = _take(order([row for rows in problems for row in rows], ask), ask, ask.count, wrong)
        return sorted(taken, key=lambda pick: pick.row.problem)
    found: list[Pick] = []
    for number, rows in enumerate(problems, 1):
        found += _take(order(rows, ask), ask, ask.of_each, quota(number, ask))
    return found


def quota(number: int, ask: Ask) -> int:
    """Return how many wrong answers the ``number``-th problem (from 1) should give."""
    each = _exact(ask.share) * ask.of_each
    return math.floor(number * each) - math.floor((number - 1) * each)


def lot_of(seed: int, problem_id: str, candidate_id: str) -> str:
    """Return a candidate's place in the random order of a seed, which no other candidate of the pool changes."""
    return hashlib.sha256(f"{seed}\n{problem_id}\n{candidate_id}".encode()).hexdigest()


def until_first_error(steps: Sequence[Sequence[float]]) -> list[tuple[float, float]]:
    """Return (mean, standard deviation) over models of each step up to the first whose mean is below 1/2."""
    found: list[tuple[float, float]] = []
    for values in zip(*steps, strict=True):
        found.append((statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else 0.0))
        if found[-1][0] < 0.5:
            break
    return found


def is_trusted(steps: Sequence[Sequence[float]], spread: float, sure: float) -> bool:
    """Say whether the models agree, and are sure, of every step up to the first that they call wrong."""
    return all(d <= spread and (p >= sure or p <= 1 - sure) for p, d in until_first_error(steps))


def _exact(share: float) -> Fraction:
    """Return a share as it was written: 0.8 of 5 is 4, which no binary fraction is."""
    return Fraction(str(share))


def _take(order: Order, ask: Ask, size: int, wrong: int) -> list[Pick]:
    """Return the first ``size`` of an order; under ``convincing`` the first ``wrong`` wrong answers come before."""
    taken: list[Pick] = []
    of_problem: Counter[int] = Counter()
    there: set[Row] = set()

    def add(rows: Iterable[tuple[Row, str]], most: int, mark: str) -> None:
        for row, why in rows:
            if len(taken) >= most:
                return
            if row not in there and ask.has_room(of_problem[row.problem]):
                there.add(row)
                of_problem[row.problem] += 1
                taken.append(Pick(row, mark + why))

    if ask.rule == "convincing":
        add(((row, why) for row, why in order if row.wrong), min(wrong, size), "a wrong answer, ")
    add(order, size, "")
    return taken


def _by_reward(rows: Iterable[Row], ask: Ask) -> Order:
    scored = [(each.reward, each) for each in rows if each.reward is not None]
    scored.sort(key=lambda pair: (-pair[0], pair[1].place))
    return [(row, f"convincing: reward {reward:.6g}") for reward, row in scored]


def _by_lot(rows: Iterable[Row], ask: Ask) -> Order:
    return [(row, "uniform") for row in sorted(rows, key=lambda each: (each.lot, each.place))]


def _by_doubt(rows: Iterable[Row], ask: Ask) -> Order:
    scored = [(each.probability, each) for each in rows if each.probability is not None]
    scored.sort(key=lambda pair: (abs(pair[0] - 0.5), pair[1].place))
    return [(row, f"uncertain: {p:.6g} that every step is right") for p, row in scored]


def _by_spread(rows: Iterable[Row], ask: Ask) -> Order:
    found: list[tuple[float, int, Row]] = []
    for row in rows:
        if row.steps and not is_trusted(row.steps, ask.spread, ask.sure):
            spreads = [d for _, d in until_first_error(row.steps)]
            found.append((max(spreads), spreads.index(max(spreads)), row))
    found.sort(key=lambda each: (-each[0], each[2].place))
    return [(row, f"disagreement: {d:.6g} about step {at}") for d, at, row in found]


_ORDERS: dict[RuleName, Callable[[Iterable[Row], Ask], Order]] = {
    "convincing": _by_reward,
    "uniform": _by_lot,
    "uncertain": _by_doubt,
    "disagreement": _by_spread,
}
