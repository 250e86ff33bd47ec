"""The records of accuracy against cost, as ``prm-eval cost --json`` prints them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from prm_eval.evaluation.stats import Interval
from prm_eval.evaluation.tables import plain_json

SCHEMA = "prm_eval.cost/1"


@dataclass(frozen=True)
class Paid:
    """What is paid for a problem, on average over problems and draws; NaN where it is unknown.

    Attributes:
        candidates: Slots that are drawn.
        written: Tokens that the policy writes.
        read: Tokens that the reward model reads; 0 without one.
        cost: The three by their prices.
    """

    candidates: float
    written: float
    read: float
    cost: float


@dataclass(frozen=True)
class CostRow:
    """One accuracy, with its limits over problems, and what is paid for it."""

    selector: str
    reward_model: str | None
    metric: str
    n: int
    value: float
    low: float
    high: float
    paid: Paid


@dataclass(frozen=True)
class Reached:
    """The cheapest n at which a curve is at least as high as an accuracy; None where it never is."""

    target: float
    selector: str
    reward_model: str | None
    n: int | None
    paid: Paid | None


@dataclass(frozen=True)
class Worth:
    """What a reward model is worth against majority, at one n.

    Attributes:
        selector: The selector that uses the reward model.
        reward_model: The reward model.
        n: How many candidates it is shown.
        value: Its accuracy.
        paid: What is paid for that.
        majority_n: The smallest n at which majority is as accurate; None where it never is.
        majority_paid: What is paid for that.
        cheaper: The share of the resamples of problems in which the reward model is the cheaper way to its accuracy
            (there majority needs more, or never gets there); None where a cost is unknown, and of one problem.
        even_n: The largest n at which majority costs no more than the reward model does; None where a cost is unknown.
        even_value: The accuracy of majority there.
        difference: The accuracy of the reward model less that one, paired over problems.
    """

    selector: str
    reward_model: str
    n: int
    value: float
    paid: Paid
    majority_n: int | None
    majority_paid: Paid | None
    cheaper: float | None
    even_n: int | None
    even_value: float | None
    difference: Interval | None


@dataclass(frozen=True)
class Stop:
    """A rule that stops drawing before the budget of n is spent.

    Attributes:
        rule: "decided" (majority, until the vote is known) or "threshold" (best of n, until a reward passes).
        reward_model: The reward model of a threshold.
        n: The budget.
        value: The accuracy.
        full: The accuracy without the rule, at n.
        difference: The one less the other, paired over problems; 0 by definition for "decided".
        paid: What is paid for a problem.
        full_paid: What is paid without the rule.
        saved: The share of the cost that the rule saves, with limits over problems; None where a cost is unknown.
        thresholds: The thresholds that the folds learnt, rising; none for "decided". Infinity is written as null.
        mc_se: The standard error of ``paid.cost`` from random orders (of ``paid.candidates`` where the cost is
            unknown); 0 where all problems are exact.
    """

    rule: str
    reward_model: str | None
    n: int
    value: float
    full: float
    difference: Interval
    paid: Paid
    full_paid: Paid
    saved: Interval | None
    thresholds: tuple[float, ...] = ()
    mc_se: float = 0.0


@dataclass(frozen=True)
class CostReport:
    """Accuracy against cost on one pool.

    Attributes:
        pool: What the pool is.
        settings: Everything that decides the numbers.
        unit: What tokens are counted in.
        ns: The grid of n.
        shown: The n that tables show.
        rows: Accuracy and cost of every curve at every n.
        reached: The cheapest n for the accuracies that were asked for.
        worth: Each reward model against majority.
        stops: The rules that stop early.
        notes: What a reader must know.
        warnings: Notes that no reader of the numbers may miss.
    """

    pool: Mapping[str, Any]
    settings: Mapping[str, Any]
    unit: str
    ns: tuple[int, ...]
    shown: tuple[int, ...]
    rows: tuple[CostRow, ...]
    reached: tuple[Reached, ...]
    worth: tuple[Worth, ...]
    stops: tuple[Stop, ...]
    notes: tuple[str, ...] = field(default=())
    warnings: tuple[str, ...] = field(default=())

    def to_json(self) -> dict[str, Any]:
        """Return the report as ``prm-eval cost --json`` prints it; unknown numbers are null."""
        return {"schema": SCHEMA, **{name: plain_json(value) for name, value in asdict(self).items()}}
