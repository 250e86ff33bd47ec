"""The job of a step evaluation: the files that are named become rows beside the rules, with their differences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from prm_eval.errors import PrmEvalError
from prm_eval.evaluation.stepwise.arrays import SetArrays, load_set
from prm_eval.evaluation.stepwise.comparing import Difference, differences
from prm_eval.evaluation.stepwise.measuring import Bench, Row, Settings, measure
from prm_eval.evaluation.stepwise.misses import Miss, worst_misses
from prm_eval.evaluation.stepwise.resampling import Resampled
from prm_eval.evaluation.stepwise.rules import RULES, rule_rows
from prm_eval.evaluation.stepwise.scores import StepScores, read_scores, require_scored
from prm_eval.evaluation.stepwise.thresholds import Ask, parse_ask, settle
from prm_eval.progress import EVALUATING, Bars, no_bars
from prm_eval.rewards.files.reward_file import RewardFile
from prm_eval.stepsets.format import StepSetInfo
from prm_eval.stepsets.step_set import StepSet
from prm_eval.texts.names import short_names

Missing = Literal["refuse", "wrong"]
"""What happens where a score is missing: nothing is computed, or such a solution is never a match."""
MISSING: tuple[Missing, ...] = get_args(Missing)


@dataclass(frozen=True)
class StepEvaluation:
    """Reward models, critics and rules on one step set.

    Attributes:
        info: What ``stepset.json`` says.
        arrays: The labels.
        settings: The settings.
        headline: The measure that rows are ordered by (:attr:`.measuring.Bench.headline`).
        rows: The reward models and critics, in the order they were named.
        rules: The rows without a model.
        best_rule: The rule with the largest headline.
        to_best_rule: Every row's difference from it.
        pairs: The differences between reward models.
    """

    info: StepSetInfo
    arrays: SetArrays
    settings: Settings
    headline: str
    rows: tuple[Row, ...]
    rules: tuple[Row, ...]
    best_rule: str
    to_best_rule: tuple[Difference, ...]
    pairs: tuple[Difference, ...]


def run_step_evaluation(
    folder: str | Path,
    rewards: Sequence[Path] = (),
    *,
    threshold: str = "recipe",
    missing: Missing = "refuse",
    settings: Settings | None = None,
    bars: Bars = no_bars,
) -> StepEvaluation:
    """Measure how well reward models find the mistakes of a step set.

    Args:
        folder: The step set.
        rewards: Reward folders, or JSON-lines files of scores or predictions; the rewards in the set by default.
        threshold: ``recipe`` (the model's own, 0.5 on probabilities), a number, or ``chosen:GROUP[:exact]``.
        missing: What happens where a score is missing.
        settings: Of the evaluation.
        bars: The bar of the progress.

    Raises:
        PrmEvalError: A file has a fault, scores are missing, or a threshold cannot be settled.
    """
    step_set = StepSet(folder).require_sound()
    ask = parse_ask(threshold)
    arrays = load_set(step_set)
    files = list(rewards) or placing_rewards(step_set)
    scores = named_apart([read_scores(path, step_set, arrays) for path in files])
    if missing == "refuse":
        for each in scores:
            require_scored(each, arrays)
    return evaluate_steps(step_set.info, arrays, scores, ask, settings or Settings(), bars=bars)


def evaluate_steps(
    info: StepSetInfo,
    arrays: SetArrays,
    scores: Sequence[StepScores],
    ask: Ask,
    settings: Settings,
    *,
    bars: Bars = no_bars,
) -> StepEvaluation:
    """Measure rows of scores on a step set, as :func:`run_step_evaluation` does with files."""
    bench = Bench(arrays, settings)
    rules = rule_rows(arrays)
    asked = [settle(ask, each, arrays) for each in scores]
    # a threshold that is chosen for models is chosen for rules too: the choice alone is worth many points
    own = [settle(ask if ask.on else Ask(), each, arrays) for each in rules]
    found: list[Row] = []
    with bars(EVALUATING, len(scores) + len(rules), "row") as progress:
        for done, (each, at) in enumerate(zip([*scores, *rules], [*asked, *own], strict=True), 1):
            found.append(measure(each, at, bench))
            progress(done, 0)
    measures = {row.scores.name: row.compared for row in found}
    headline = bench.headline
    of_rules = {rule.name: measures[rule.name] for rule in rules}
    best = max(of_rules, key=lambda name: _number(of_rules[name].get(headline)))
    bootstrap = bench.whole.bootstrap
    by_headline = sorted(scores, key=lambda each: -(_number(measures[each.name].get(headline))))
    models = {each.name: measures[each.name] for each in by_headline}
    with_rule = {
        name: {headline: own[headline]} for name, own in {**models, best: of_rules[best]}.items() if headline in own
    }
    return StepEvaluation(
        info,
        arrays,
        settings,
        headline,
        tuple(found[: len(scores)]),
        tuple(found[len(scores) :]),
        best,
        tuple(differences(with_rule, bootstrap, best)) if best in with_rule else (),
        tuple(differences(models, bootstrap)),
    )


def misses_of(evaluation: StepEvaluation, folder: str | Path) -> list[tuple[str, list[Miss]]]:
    """Return, for every reward model, the solutions of the set in a folder that it gets most wrong."""
    solutions = StepSet(folder).solutions
    bench = Bench(evaluation.arrays, evaluation.settings)
    return [
        (
            row.scores.name,
            worst_misses(row.scores, evaluation.arrays, row.threshold, solutions, strict=bench.strict(row.threshold)),
        )
        for row in evaluation.rows
    ]


def _number(found: Resampled | None) -> float:
    return -1.0 if found is None or not np.isfinite(found.value) else found.value


def placing_rewards(step_set: StepSet) -> list[Path]:
    """Return the reward folders in a set whose rewards are of steps.

    Raises:
        PrmEvalError: There are none.
    """
    found = [each for each in step_set.pool.reward_folders() if RewardFile(each).info.kind == "prm"]
    if not found:
        raise PrmEvalError(
            f"{step_set.path} has no step rewards: prm-eval score {step_set.path} --reward-model RM -o "
            f"{step_set.path}/rewards/NAME, or name folders or files of scores"
        )
    return found


def named_apart(scores: Sequence[StepScores]) -> list[StepScores]:
    """Return rows under short names that differ, and differ from those of the rules."""
    short = short_names(each.name for each in scores)
    taken = {name.lower() for name in RULES}
    found: list[StepScores] = []
    for each in scores:
        name, n = short.get(each.name, each.name), 2
        while name.lower() in taken:
            name, n = f"{short.get(each.name, each.name)} ({n})", n + 1
        taken.add(name.lower())
        found.append(replace(each, name=name))
    return found
