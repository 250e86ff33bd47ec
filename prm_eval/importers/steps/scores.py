"""Step scores that stand beside labelled solutions: numbers or ReasonEval's triples, one a step or a line of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from prm_eval.importers.common import RewardColumn, finite, numbers
from prm_eval.importers.score_types import STORED, UNKNOWN, Meaning, aggregation_for, by_format, meaning, stored
from prm_eval.importers.steps.found import Wanted
from prm_eval.records import StepRewards
from prm_eval.store.jsonl import Row

PROBABILITY = by_format("probability")


def step_scores(
    row: Row,
    solution_id: str,
    models: Any,
    label: str,
    lines: Sequence[int],
    wanted: Wanted,
    default: Meaning = UNKNOWN,
) -> dict[str, RewardColumn]:
    """Return the scores that a row has for one solution, by reward model.

    Args:
        row: The row.
        solution_id: The solution.
        models: An object of lists by model; None for no scores.
        label: Its name in the row.
        lines: How many scores each step has: one, or one a line of it. Of several the lowest counts, as in ReasonEval.
        wanted: What the user asks.
        default: What the format says that the numbers are.

    Raises:
        DataError: A number is none, or there are more or fewer than there are steps.
    """
    if models is None:
        return {}
    if not isinstance(models, Mapping):
        raise row.fault(f"{label} of type {type(models).__name__}", "an object with a list of numbers a reward model")
    return {
        str(name): _column(row, solution_id, str(name), value, f"{label}[{name}]", lines, wanted, default)
        for name, value in models.items()
    }


def _column(
    row: Row,
    solution_id: str,
    name: str,
    value: Any,
    label: str,
    lines: Sequence[int],
    wanted: Wanted,
    default: Meaning,
) -> RewardColumn:
    triples = isinstance(value, list) and any(isinstance(each, list) for each in value)
    what = meaning(row, name, wanted.scores, PROBABILITY if triples else default)
    rewards = None if value is None else _rewards(row, solution_id, value, label, lines, what, triples)
    score_type = STORED[what.declared] if what.declared else "value"
    return RewardColumn("prm", score_type, aggregation_for("prm", what.declared), (rewards,), None, what)


def _rewards(
    row: Row, solution_id: str, value: Any, label: str, lines: Sequence[int], what: Meaning, triples: bool
) -> StepRewards:
    if isinstance(value, list) and len(value) != sum(lines):
        one = "one a step" if len(lines) == sum(lines) else f"one a line of its {len(lines)} steps"
        raise row.fault(
            f"solution {solution_id!r}: {len(value)} scores in {label} for {_counted(lines)}",
            one,
            "Inputs that are cut at a length lose steps: score it again, or write null for a solution without scores.",
        )
    if isinstance(value, list) and None in value:
        return StepRewards((), refusal=f"no score for {value.count(None)} of {len(value)} steps")
    found = _validities(row, value, label) if triples else numbers(row, value, label)
    # a sum of rounded shares may exceed 1 in the last digit
    kept = stored(row, label + "[{}]", found, what, "prm", not triples, found)
    return StepRewards(tuple(_lowest(kept, lines)))


def _counted(lines: Sequence[int]) -> str:
    steps = f"{len(lines)} steps" if len(lines) != 1 else "1 step"
    return steps if sum(lines) == len(lines) else f"{sum(lines)} lines of {steps}"


def _validities(row: Row, value: list[Any], label: str) -> list[float]:
    """Return ReasonEval's validity of each step: the share of neutral and of positive, without that of negative."""
    found: list[float] = []
    for i, each in enumerate(value):
        if not isinstance(each, list) or len(each) != 3:
            shown = f"{len(each)} numbers" if isinstance(each, list) else f"type {type(each).__name__}"
            raise row.fault(f"{label}[{i}] of {shown}", "three shares: negative, neutral, positive")
        shares = [finite(row, share, f"{label}[{i}][{k}]") for k, share in enumerate(each)]
        if not all(0 <= share <= 1 for share in shares) or abs(sum(shares) - 1) > 0.01:
            raise row.fault(f"{label}[{i}] = {shares}", "three shares that add up to 1")
        found.append(shares[1] + shares[2])
    return found


def _lowest(values: Sequence[float], lines: Sequence[int]) -> list[float]:
    found: list[float] = []
    at = 0
    for n in lines:
        found.append(min(values[at : at + n]))
        at += n
    return found
