"""PRMBench's measures: F1 of the good steps, F1 of the bad ones, and PRMScore, their mean, by class and dimension.

Song et al. 2025, mr_eval/tasks/prmtest_classified/task.py and mr_visualize/eval_res_view/form_latex_strs.ipynb: a step
is called good only if its score is *above* the threshold. Items of the class "correct" (the unchanged twins) count
nowhere but in the similarity. An item of which a score is missing is left out as a whole ("validity"). PRMScore over
all items is of their pooled steps; that of a dimension is the plain mean of its classes; ``multi_solutions`` has no
wrong step, so that F1 alone is its score.

Two faults of the published script are not repeated: where a precision or recall is 0/0 it goes on with -1, and the
similarity leaves out twins of which no step is called good.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from prm_eval.evaluation.stats import ClusterBootstrap
from prm_eval.evaluation.stepwise.arrays import SetArrays
from prm_eval.evaluation.stepwise.resampling import Estimate, Resampled, estimate, of_sums
from prm_eval.evaluation.stepwise.scores import StepScores

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

CORRECT = "correct"
"""The class of the unchanged twins."""
MULTI = "multi_solutions"
SHORT: Mapping[str, str] = MappingProxyType(
    {
        "redundency": "NR",
        "circular": "NCL",
        "counterfactual": "ES",
        "step_contradiction": "SC",
        "domain_inconsistency": "DC",
        "confidence": "CI",
        "missing_condition": "PS",
        "deception": "DR",
        MULTI: "MS",
    }
)
"""PRMBench's classes, as its files and as its tables call them."""
DIMENSIONS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "simplicity": ("redundency", "circular"),
        "soundness": ("counterfactual", "step_contradiction", "domain_inconsistency", "confidence"),
        "sensitivity": ("missing_condition", "deception", MULTI),
    }
)


@dataclass(frozen=True)
class ClassScore:
    """One class of errors: the number of its items, and the score of those that have all their scores."""

    n: int
    f1: float | None
    negative_f1: float | None
    prm_score: float | None
    first_error_accuracy: float | None


@dataclass(frozen=True)
class PRMBench:
    """PRMBench's figures of one row.

    Attributes:
        n_items: Items, without the unchanged twins.
        n_valid: Those with all their scores.
        matrix: TP, FP, TN, FN: good kept, bad accepted, bad flagged, good flagged.
        f1: Of the good steps.
        negative_f1: Of the bad steps.
        prm_score: The mean of the two.
        correct_step_accuracy: The share of good steps that are called good.
        wrong_step_accuracy: The share of bad steps that are called bad.
        step_accuracy: The share of steps that are called rightly.
        first_error_accuracy: The share of items with a wrong step whose first one is called bad.
        similarity: The mean distance of the share of steps called good between an item and its unchanged twin.
        classes: By class.
        dimensions: The plain mean of the scores of their classes.
    """

    n_items: int
    n_valid: int
    matrix: tuple[int, int, int, int]
    f1: float | None
    negative_f1: float | None
    prm_score: Estimate
    correct_step_accuracy: float | None
    wrong_step_accuracy: float | None
    step_accuracy: float | None
    first_error_accuracy: float | None
    similarity: float | None
    classes: dict[str, ClassScore]
    dimensions: dict[str, float | None]


def is_prmbench(arrays: SetArrays) -> bool:
    """Say whether a set has PRMBench's classes, each step labelled."""
    named = set(arrays.groups) - {CORRECT}
    return arrays.kind == "every_step" and bool(named) and named <= set(SHORT)


def resampled_score(
    scores: StepScores, arrays: SetArrays, threshold: float, bootstrap: ClusterBootstrap, *, strict: bool = True
) -> Resampled:
    """Return PRMScore with its resamples."""
    columns = _columns(scores, arrays, threshold, strict)
    return of_sums(columns, arrays.problem, bootstrap, _score)


def score_by(scores: StepScores, arrays: SetArrays, thresholds: Floats) -> Floats:
    """Return PRMScore at each of these thresholds, a step being good above it."""
    good = arrays.good()
    used = np.repeat(_items(arrays) & scores.scored(arrays), arrays.counts) & np.isfinite(good)
    right, wrong = (np.sort(scores.values[used & (good == of)]) for of in (1.0, 0.0))
    tp = len(right) - np.searchsorted(right, thresholds, "right")
    fp = len(wrong) - np.searchsorted(wrong, thresholds, "right")
    sums = np.stack([tp, fp, len(wrong) - fp, len(right) - tp], axis=1).astype(np.float64)
    return _score(sums)


def prmbench(
    scores: StepScores,
    arrays: SetArrays,
    threshold: float,
    score: Resampled,
    bootstrap: ClusterBootstrap,
    *,
    strict: bool = True,
) -> PRMBench:
    """Return PRMBench's figures.

    Args:
        scores: One score a step.
        arrays: A set of PRMBench's classes.
        threshold: A step is called good if its score is above it.
        score: What :func:`resampled_score` gives.
        bootstrap: The resamples of the problems.
        strict: Whether it must be above it, as in the published script; otherwise at least it.
    """
    columns = _columns(scores, arrays, threshold, strict)
    tp, fp, tn, fn = map(int, columns.sum(axis=0))
    items = _items(arrays)
    valid = items & scores.scored(arrays)
    first = _first_flagged(scores, arrays, threshold, strict)
    classes: dict[str, ClassScore] = {}
    for row, name in enumerate(arrays.groups):
        if name == CORRECT:
            continue
        here = arrays.group == row
        own = valid & here
        sums = columns[own].sum(axis=0)
        good, bad = _f1(sums), _negative_f1(sums)
        both = good if name == MULTI else (good + bad) / 2
        classes[name] = ClassScore(
            int(here.sum()), _defined(good), _defined(bad), _defined(both), _mean(first[own & arrays.wrong])
        )
    all_sums = np.array([tp, fp, tn, fn], dtype=np.float64)
    return PRMBench(
        int(items.sum()),
        int(valid.sum()),
        (tp, fp, tn, fn),
        _defined(_f1(all_sums)),
        _defined(_negative_f1(all_sums)),
        estimate(score, bootstrap, "no labelled step"),
        _ratio(tp, tp + fn),
        _ratio(tn, tn + fp),
        _ratio(tp + tn, tp + fp + tn + fn),
        _mean(first[valid & arrays.wrong]),
        _similarity(scores, arrays, threshold, strict),
        classes,
        {name: _plain_mean([classes.get(each) for each in of]) for name, of in DIMENSIONS.items()},
    )


def _items(arrays: SetArrays) -> Bools:
    """Return (S,) whether a solution is an item, not an unchanged twin."""
    if CORRECT not in arrays.groups:
        return np.ones(arrays.n, dtype=bool)
    result: Bools = arrays.group != arrays.groups.index(CORRECT)
    return result


def _called_good(scores: StepScores, threshold: float, strict: bool) -> Bools:
    result: Bools = scores.values > threshold if strict else scores.values >= threshold
    return result


def _columns(scores: StepScores, arrays: SetArrays, threshold: float, strict: bool) -> Floats:
    """Return (S, 4) counts of the steps of each item: TP, FP, TN, FN."""
    good, called = arrays.good(), _called_good(scores, threshold, strict)
    used = np.repeat(_items(arrays) & scores.scored(arrays), arrays.counts) & np.isfinite(good)
    right = good > 0.5
    flags = (called & right, called & ~right, ~called & ~right, ~called & right)
    return np.stack([np.bincount(arrays.owner, used & each, arrays.n) for each in flags], axis=1)


def _f1(sums: Floats) -> Floats:
    """Return 2TP / (2TP + FP + FN) of (..., 4) sums, NaN where nothing is good and nothing is called so."""
    return _twice(sums[..., 0], sums[..., 1] + sums[..., 3])


def _negative_f1(sums: Floats) -> Floats:
    return _twice(sums[..., 2], sums[..., 1] + sums[..., 3])


def _score(sums: Floats) -> Floats:
    return (_f1(sums) + _negative_f1(sums)) / 2


def _twice(hits: Floats, misses: Floats) -> Floats:
    below = 2 * hits + misses
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(below == 0, np.nan, 2 * hits / below)


def _first_flagged(scores: StepScores, arrays: SetArrays, threshold: float, strict: bool) -> Floats:
    """Return (S,) 1 where the first wrong step is called bad."""
    at = arrays.starts + np.clip(arrays.first_error, 0, None)
    return (~_called_good(scores, threshold, strict)[at]).astype(np.float64)


def _similarity(scores: StepScores, arrays: SetArrays, threshold: float, strict: bool) -> float | None:
    called = _called_good(scores, threshold, strict)
    share = np.bincount(arrays.owner, called, arrays.n) / arrays.counts
    whole = scores.scored(arrays)
    paired = _items(arrays) & whole & (arrays.twin >= 0)
    paired &= whole[arrays.twin]
    return _mean(np.abs(share[paired] - share[arrays.twin[paired]]))


def _plain_mean(classes: list[ClassScore | None]) -> float | None:
    values = [each.prm_score for each in classes if each is not None and each.prm_score is not None]
    return sum(values) / len(values) if len(values) == len(classes) else None


def _ratio(hits: int, of: int) -> float | None:
    return hits / of if of else None


def _mean(values: Floats) -> float | None:
    return float(values.mean()) if len(values) else None


def _defined(value: Floats | float) -> float | None:
    return float(value) if np.isfinite(value) else None
