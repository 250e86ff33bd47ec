"""All measures of one row on a step set: on the whole of it, on each of its groups, and their mean."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from prm_eval.errors import PrmEvalError
from prm_eval.evaluation.stats import DEFAULT_LEVEL, ClusterBootstrap
from prm_eval.evaluation.stepwise.arrays import Neutral, SetArrays, by_group
from prm_eval.evaluation.stepwise.locating import (
    Located,
    f1_of_hits,
    harmonic,
    hit_columns,
    located,
    predictions,
    resampled_f1,
)
from prm_eval.evaluation.stepwise.pairs import Pairs, pairs
from prm_eval.evaluation.stepwise.prmbench import PRMBench, is_prmbench, prmbench, resampled_score
from prm_eval.evaluation.stepwise.resampling import DEFAULT_DRAWS, Estimate, Resampled, estimate, mean_of
from prm_eval.evaluation.stepwise.scores import StepScores
from prm_eval.evaluation.stepwise.separating import (
    Separated,
    resampled_auc,
    resampled_solution_areas,
    separated,
    solution_areas,
)
from prm_eval.evaluation.stepwise.thresholds import GRID, Curve, Threshold, choose, curve
from prm_eval.rewards.aggregate import aggregate_all
from prm_eval.rewards.aggregations import Aggregation
from prm_eval.selection.selectors import DEFAULT_SEED

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Settings:
    """The settings of a step evaluation."""

    resamples: int = DEFAULT_DRAWS
    seed: int = DEFAULT_SEED
    level: float = DEFAULT_LEVEL
    neutral: Neutral = "good"


@dataclass(frozen=True)
class Part:
    """A set, or one of its groups, with the resamples that all rows share."""

    arrays: SetArrays
    bootstrap: ClusterBootstrap


class Bench:
    """A step set, ready to measure rows on: as a whole, and its groups.

    Args:
        arrays: The set.
        settings: The settings.
    """

    def __init__(self, arrays: SetArrays, settings: Settings) -> None:
        self.settings = settings
        self.whole = self._part(arrays, settings.seed)
        parts = by_group(arrays)
        self.groups = {name: self._part(part, settings.seed + row) for row, (name, part) in enumerate(parts.items())}
        self.is_prmbench = is_prmbench(arrays)

    def _part(self, arrays: SetArrays, seed: int) -> Part:
        settings = self.settings
        bootstrap = ClusterBootstrap(
            max(1, arrays.n_problems), seed=seed, level=settings.level, resamples=settings.resamples
        )
        return Part(arrays, bootstrap)

    @property
    def headline(self) -> str:
        """The measure that rows are ordered by: the set's published one where it is defined, else F1, else step AUC."""
        if self.is_prmbench:
            return "prm_score"
        if self.groups and all(_two_classes(part.arrays) for part in self.groups.values()):
            return "mean_f1"
        return "f1" if _two_classes(self.whole.arrays) else "step_auc"

    def strict(self, threshold: Threshold) -> bool:
        """Say whether a step is good only above the threshold: as the user asks, or else as PRMBench has it."""
        return self.is_prmbench if threshold.strict is None else threshold.strict

    def of(self, scores: StepScores, name: str) -> StepScores:
        """Return the scores of a group."""
        arrays = self.whole.arrays
        return scores.take(arrays.group == arrays.groups.index(name), arrays)


@dataclass(frozen=True)
class Measured:
    """One row on a set or a group.

    Attributes:
        n_solutions: Of the set.
        n_problems: Of the set.
        n_steps: Of the set.
        n_not_scored: Solutions of which a score is missing, or a judgement could not be read.
        located: Where the first wrong step is put.
        separated: How good steps are told from bad ones; None for a critic.
        solution_auc: By aggregation; empty for a critic.
    """

    n_solutions: int
    n_problems: int
    n_steps: int
    n_not_scored: int
    located: Located
    separated: Separated | None
    solution_auc: dict[str, Estimate]


@dataclass(frozen=True)
class Averages:
    """F1 over groups. The first is the published figure; the others are what it is confused with.

    Attributes:
        mean_f1: The plain mean of the groups' F1 (ProcessBench's average of four).
        size_weighted_f1: The mean weighted by solutions.
        f1_of_mean_accuracies: F1 of the mean accuracies.
        pooled_f1: F1 of all solutions together.
        upper_bound: The mean if every group had the threshold that is best on itself: no estimate of anything.
    """

    mean_f1: Estimate
    size_weighted_f1: float | None
    f1_of_mean_accuracies: float | None
    pooled_f1: float | None
    upper_bound: float | None


@dataclass(frozen=True)
class Chosen:
    """What best of n chooses among the solutions of each problem, where final answers and steps are both labelled.

    Attributes:
        n_problems: Problems with at least two such solutions.
        right_answer: The share of chosen solutions with a right final answer.
        wrong_step_of_these: Among those, the share with a wrong step: right answer by wrong process.
        by_chance: The same share for a solution chosen at random.
    """

    n_problems: int
    right_answer: float
    wrong_step_of_these: float | None
    by_chance: float | None


@dataclass(frozen=True)
class Row:
    """One reward model, critic or rule on a step set.

    Attributes:
        scores: What it said.
        threshold: Below which a step is wrong.
        whole: On the whole set.
        groups: On each group.
        averages: Over the groups; None for a set without groups, and for PRMBench.
        prmbench: PRMBench's figures; None for other sets and for a critic.
        curves: F1 at each threshold of the grid, by group; "" is the whole set. Empty for a critic.
        own_best: For the whole set ("") and each group the threshold that is best on it, with its F1: an upper bound.
        chosen: What best of n would choose among the solutions of each problem.
        pairs: Whether originals are preferred to what was made from them; None for a set without such.
        compared: The measures by which rows are compared, with their resamples.
    """

    scores: StepScores
    threshold: Threshold
    whole: Measured
    groups: dict[str, Measured]
    averages: Averages | None
    prmbench: PRMBench | None
    curves: dict[str, Curve]
    own_best: dict[str, tuple[float, float]]
    chosen: Chosen | None
    pairs: Pairs | None
    compared: dict[str, Resampled]


def measure(scores: StepScores, threshold: Threshold, bench: Bench, aggregation: Aggregation = "min") -> Row:
    """Return all measures of one row.

    Args:
        scores: What was said of the steps of the whole set.
        threshold: Below which a step is wrong.
        bench: The set.
        aggregation: By which best of n chooses (:class:`Chosen`).
    """
    of_steps = scores.predictions is None
    parts = {name: bench.of(scores, name) for name in bench.groups}
    whole, compared = _measured(scores, threshold, bench.whole, bench)
    on_groups = {name: _measured(parts[name], threshold, bench.groups[name], bench) for name in bench.groups}
    groups = {name: each for name, (each, _) in on_groups.items()}
    best = {name: _best(parts[name], bench.groups[name].arrays) for name in bench.groups} if of_steps else {}
    own_best = {"": _best(scores, bench.whole.arrays), **best} if of_steps else {}
    averages = None
    if groups and not bench.is_prmbench:
        compared["mean_f1"] = mean_of([each["f1"] for _, each in on_groups.values()])
        averages = _averages(scores, threshold, bench, groups, best, compared["mean_f1"])
    found = None
    if bench.is_prmbench and of_steps:
        arrays, bootstrap = bench.whole.arrays, bench.whole.bootstrap
        strict, at = bench.strict(threshold), threshold.value
        compared["prm_score"] = resampled_score(scores, arrays, at, bootstrap, strict=strict)
        found = prmbench(scores, arrays, at, compared["prm_score"], bootstrap, strict=strict)
    return Row(
        scores,
        threshold,
        whole,
        groups,
        averages,
        found,
        _curves(scores, parts, bench) if of_steps else {},
        {name: each for name, each in own_best.items() if each is not None},
        _chosen(scores, bench.whole.arrays, aggregation) if of_steps else None,
        pairs(scores, bench.whole.arrays),
        compared,
    )


def _curves(scores: StepScores, parts: dict[str, StepScores], bench: Bench) -> dict[str, Curve]:
    on_groups = {name: curve(parts[name], part.arrays, GRID) for name, part in bench.groups.items()}
    return {"": curve(scores, bench.whole.arrays, GRID), **on_groups}


def _measured(
    scores: StepScores, threshold: Threshold, part: Part, bench: Bench
) -> tuple[Measured, dict[str, Resampled]]:
    """Return the measures on a set or group, and the resamples of those by which rows are compared."""
    arrays, bootstrap, strict = part.arrays, part.bootstrap, bench.strict(threshold)
    predicted = predictions(scores, arrays, threshold.value, strict=strict)
    compared = {"f1": resampled_f1(predicted, arrays, bootstrap)}
    told_apart, areas = None, {}
    if scores.predictions is None:
        neutral = bench.settings.neutral
        # a rule's areas have no limits: what a model is compared with is the rule's headline
        drawn = scores.kind != "rule" or bench.headline == "step_auc"
        compared["step_auc"] = resampled_auc(scores, arrays, bootstrap, neutral, drawn=drawn)
        told_apart = separated(
            scores, arrays, threshold.value, compared["step_auc"], bootstrap, neutral=neutral, strict=strict
        )
        resampled = resampled_solution_areas(scores, arrays, bootstrap, ("min",) if drawn else ())
        areas = solution_areas(resampled, bootstrap)
        if (lowest := resampled.get("min")) is not None:
            compared["solution_auc_min"] = lowest
    found = Measured(
        arrays.n,
        arrays.n_problems,
        len(arrays.lengths),
        int((~scores.scored(arrays)).sum()),
        located(predicted, arrays, compared["f1"], bootstrap),
        told_apart,
        areas,
    )
    return found, compared


def _averages(
    scores: StepScores,
    threshold: Threshold,
    bench: Bench,
    groups: dict[str, Measured],
    best: dict[str, tuple[float, float] | None],
    mean_f1: Resampled,
) -> Averages:
    empty = [name for name, each in groups.items() if each.located.f1.value is None]
    # every group is a stratum with the number of its problems
    problems = sum(each.n_problems for each in groups.values())
    bootstrap = ClusterBootstrap(problems, seed=0, level=bench.settings.level, resamples=bench.settings.resamples)
    reason = f"{', '.join(empty)}: one class only" if empty else ""
    mean = estimate(mean_f1, bootstrap, reason)
    predicted = predictions(scores, bench.whole.arrays, threshold.value, strict=bench.strict(threshold))
    pooled = f1_of_hits(hit_columns(predicted, bench.whole.arrays).sum(axis=0)[None, :])[0]
    if empty:
        return Averages(mean, None, None, None, None)
    located_in = [each.located for each in groups.values()]
    f1s = np.array([each.f1.value for each in located_in], dtype=np.float64)
    sizes = np.array([each.n_error + each.n_clean for each in located_in])
    parts = [np.mean([each.error_acc for each in located_in]), np.mean([each.correct_acc for each in located_in])]
    bests = [each[1] for each in best.values() if each is not None]
    return Averages(
        mean,
        float((f1s * sizes).sum() / sizes.sum()),
        float(harmonic(np.array(parts[0]), np.array(parts[1]))),
        float(pooled),
        float(np.mean(bests)) if len(bests) == len(groups) else None,
    )


def _two_classes(arrays: SetArrays) -> bool:
    return bool(arrays.wrong.any() and arrays.clean.any())


def _best(scores: StepScores, arrays: SetArrays) -> tuple[float, float] | None:
    """Return the threshold that is best on a set itself, and its F1; None where F1 is not defined."""
    if not _two_classes(arrays):
        return None
    value = choose(scores, arrays, "exact")
    return value, float(curve(scores, arrays, np.array([value])).f1[0])


def _chosen(scores: StepScores, arrays: SetArrays, aggregation: Aggregation) -> Chosen | None:
    """Return what best of n chooses among the solutions of each problem; None where too little is labelled."""
    known = np.isfinite(arrays.final_correct) & (arrays.wrong | arrays.clean) & scores.scored(arrays)
    per_problem = np.bincount(arrays.problem[known], minlength=arrays.n_problems)
    used = known & (per_problem[arrays.problem] >= 2)
    if not used.any():
        return None
    values = scores.native[np.repeat(used, arrays.counts)]
    try:
        rewards, _ = aggregate_all(values, arrays.counts[used], aggregation, scores.score_type)
    except PrmEvalError:  # no aggregation of numbers on this scale
        return None
    problem, right, wrong = arrays.problem[used], arrays.final_correct[used] > 0.5, arrays.wrong[used]
    best = np.full(arrays.n_problems, -np.inf)
    np.maximum.at(best, problem, rewards)
    top = rewards == best[problem]
    weight = top / np.bincount(problem, top, arrays.n_problems)[problem]
    even = 1 / per_problem[problem]
    n = len(np.unique(problem))
    hits = float((weight * right).sum())
    return Chosen(
        n,
        hits / n,
        float((weight * (right & wrong)).sum()) / hits if hits else None,
        float((even * (right & wrong)).sum() / (even * right).sum()) if right.any() else None,
    )
