"""The last figures of a training: of the checkpoint as it was loaded again, with limits, beside rules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from prm_eval.evaluation.stats import ClusterBootstrap
from prm_eval.evaluation.stepwise.jobs import evaluate_steps
from prm_eval.evaluation.stepwise.measuring import Row, Settings
from prm_eval.evaluation.stepwise.resampling import Estimate, estimate
from prm_eval.evaluation.stepwise.scores import StepScores
from prm_eval.evaluation.stepwise.separating import resampled_auc
from prm_eval.evaluation.stepwise.thresholds import Ask
from prm_eval.records import ScoringItem
from prm_eval.rewards.protocol import RewardModel
from prm_eval.training.held_out import RESAMPLES, HeldOut, HeldOutAnswers, HeldOutSteps
from prm_eval.training.sources import TrainingData

TRAINED = "this model"
LENGTH = "length"
AT_ONCE = 256


@dataclass(frozen=True)
class Figures:
    """Figures on held-out problems.

    Attributes:
        record: For ``training.json``.
        table: Rows of texts after a header, for the card; empty where nothing is held out.
        lines: The same in words, for the terminal.
    """

    record: dict[str, Any]
    table: list[list[str]]
    lines: list[str]


def final_figures(held_out: HeldOut, model: RewardModel, items: Sequence[ScoringItem], data: TrainingData) -> Figures:
    """Return the figures of a checkpoint that was loaded again.

    Args:
        held_out: What is measured.
        model: The checkpoint by its recipe.
        items: The held-out solutions.
        data: What was trained on.
    """
    found = Figures({}, [], [])
    if isinstance(held_out.data, HeldOutSteps):
        found = _of_steps(held_out.data, _scored(model, items), data)
    elif isinstance(held_out.data, HeldOutAnswers):
        found = _of_answers(held_out.data, _scored(model, items))
    if held_out.pool is None:
        return found
    # the pool's inputs are rendered already
    values = [each.values for each in model.score_rendered(held_out.pool.rendered)]  # type: ignore[attr-defined]
    curve = held_out.pool.curve(values)
    record = {**found.record, "best_of_n": {str(n): value for n, value in curve.items()}}
    n = held_out.pool.ns[-1]
    said = f"best of {n} on {held_out.pool.n_problems:,} problems of the pool: {100 * curve[n]:.1f}"
    said += f" (mean {100 * curve[1]:.1f})"
    return Figures(record, found.table, [*found.lines, said])


def _scored(model: RewardModel, items: Sequence[ScoringItem]) -> list[tuple[float, ...]]:
    found: list[tuple[float, ...]] = []
    for start in range(0, len(items), AT_ONCE):
        found += [each.values for each in model.score(list(items[start : start + AT_ONCE]))]
    return found


def _of_steps(held: HeldOutSteps, values: Sequence[tuple[float, ...]], data: TrainingData) -> Figures:
    if data.step_set is None:
        raise AssertionError("a PRM is trained on a step set")
    scores = held.scores(values, TRAINED)
    evaluation = evaluate_steps(data.step_set.info, held.arrays, [scores], Ask(), Settings())
    rows = [evaluation.rows[0], *evaluation.rules]
    table = [["held-out problems", "step AUC", "ProcessBench F1", "right steps kept", "wrong steps found"]]
    table += [_cells(row) for row in rows]
    record = {row.scores.name: _row_record(row) for row in rows}
    lines = [f"held out   {held.arrays.n:,} solutions of {held.arrays.n_problems:,} problems"]
    ours, length = _auc(evaluation.rows[0]), next(row for row in evaluation.rules if row.scores.name == LENGTH)
    gain = _gain(held, scores, length.scores)
    record["step_auc_minus_length"] = asdict(gain)
    rule = f"the rule of length {_limits(_auc(length))}, difference {_limits(gain, signed=True)}"
    lines.append(f"step AUC   {_limits(ours)}; {rule}")
    return Figures(record, table, lines)


def _gain(held: HeldOutSteps, scores: StepScores, rule: StepScores) -> Estimate:
    """Return by how much the model's step AUC is above a rule's, with paired limits over problems."""
    bootstrap = ClusterBootstrap(max(1, held.arrays.n_problems), seed=0, resamples=RESAMPLES)
    ours, theirs = (resampled_auc(each, held.arrays, bootstrap) for each in (scores, rule))
    return estimate(ours.minus(theirs), bootstrap, "one class only", bounded=False)


def _auc(row: Row) -> Estimate:
    return row.whole.separated.auc if row.whole.separated is not None else Estimate(None)


def _cells(row: Row) -> list[str]:
    steps = row.whole.separated
    kept, found = (None, None) if steps is None else (steps.good_kept, steps.bad_flagged)
    name = row.scores.name if row.scores.kind != "rule" else f"rule: {row.scores.name}"
    return [name, _limits(_auc(row)), _limits(row.whole.located.f1), _cent(kept), _cent(found)]


def _row_record(row: Row) -> dict[str, Any]:
    return {
        "step_auc": asdict(_auc(row)),
        "processbench_f1": asdict(row.whole.located.f1),
        "n_solutions": row.whole.n_solutions,
        "n_problems": row.whole.n_problems,
        "n_not_scored": row.whole.n_not_scored,
    }


def _of_answers(held: HeldOutAnswers, values: Sequence[tuple[float, ...]]) -> Figures:
    auc = held.auc(values, limits=True)
    shorter = HeldOutAnswers(held.rendered, held.items, held.right, held.problem)
    length = shorter.auc([(-float(len(each.text)),) for each in held.items], limits=True)
    table = [["held-out problems", "solution AUC"], [TRAINED, _limits(auc)], ["rule: length", _limits(length)]]
    record = {TRAINED: {"solution_auc": asdict(auc)}, "length": {"solution_auc": asdict(length)}}
    share = 100 * float(np.mean(held.right))
    lines = [
        f"held out   {len(held.items):,} solutions of {max(held.problem) + 1:,} problems, {share:.1f} % right",
        f"AUC        {_limits(auc)}; the rule of length {_limits(length)}",
    ]
    return Figures(record, table, lines)


def _limits(found: Estimate, *, signed: bool = False) -> str:
    if found.value is None:
        return "–" + (f" ({found.reason})" if found.reason else "")
    numbers = [100 * each for each in (found.value, found.low, found.high) if each is not None]
    value, *limits = [f"{number:+.1f}" if signed else f"{number:.1f}" for number in numbers]
    return f"{value} [{', '.join(limits)}]" if limits else value


def _cent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f}"
