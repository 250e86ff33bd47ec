"""The figures of a step evaluation under the names that lm_eval's results give them; none is computed here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from prm_eval.evaluation.stepwise.measuring import Measured
from prm_eval.evaluation.stepwise.prmbench import DIMENSIONS, SHORT, PRMBench
from prm_eval.evaluation.stepwise.resampling import Estimate

STDERR = "_stderr"
"""lm_eval puts "N/A" under the name of a metric with this ending, unless a metric of that name follows it."""
LOWER_IS_BETTER = ("not_scored", "ece")
LOCATING = ("f1", "error_acc", "correct_acc", "not_scored")
SEPARATING = ("step_auc", "ap_bad", "ece", "lowest_is_first_error", "solution_auc_min")
PRMBENCH = (
    "prm_score",
    "f1",
    "negative_f1",
    *(f"prm_score:{short}" for short in SHORT.values()),
    *(f"prm_score:{name}" for name in DIMENSIONS),
    "first_error_acc",
    "step_acc",
    "similarity",
    "step_auc",
    "not_scored",
)


@dataclass(frozen=True)
class Figures:
    """Figures by name, and why others have no value.

    Attributes:
        values: Shares of 1, counts, and standard errors under the name of their figure with :data:`STDERR`.
        not_defined: The reason, by figure. lm_eval cannot carry a figure without a value through a group's mean, so
            these are left out of its results and stand beside them.
    """

    values: dict[str, float]
    not_defined: dict[str, str]

    def without(self, name: str, reason: str) -> Figures:
        """Return the figures without one of them, and why."""
        values = {key: value for key, value in self.values.items() if key not in (name, f"{name}{STDERR}")}
        return Figures(values, {**self.not_defined, name: reason})


Found = Mapping[str, "float | Estimate | None"]


def metric_names(suite: str, judged_by: str) -> tuple[str, ...]:
    """Return the names of all metrics that a task may have."""
    if suite == "prmbench":
        return PRMBENCH
    return LOCATING if judged_by == "critic" else (*LOCATING, *SEPARATING)


def of_processbench(found: Measured) -> Figures:
    """Return ProcessBench's figures, and those of scores where there are scores."""
    place, steps = found.located, found.separated
    figures: dict[str, float | Estimate | None] = {
        "f1": place.f1,
        "error_acc": place.error_acc,
        "correct_acc": place.correct_acc,
        "not_scored": found.n_not_scored,
    }
    if steps is not None:
        figures |= {
            "step_auc": steps.auc,
            "ap_bad": steps.ap_bad,
            "ece": None if steps.calibration is None else steps.calibration.ece,
            "lowest_is_first_error": steps.lowest_is_first_error,
            "solution_auc_min": found.solution_auc.get("min"),
        }
    return _named(figures)


def of_prmbench(bench: PRMBench, found: Measured) -> Figures:
    """Return PRMBench's figures: PRMScore over all items, by class and by dimension."""
    classes = {SHORT[name]: each.prm_score for name, each in bench.classes.items()}
    return _named(
        {
            "prm_score": bench.prm_score,
            "f1": bench.f1,
            "negative_f1": bench.negative_f1,
            **{f"prm_score:{name}": value for name, value in classes.items()},
            **{f"prm_score:{name}": value for name, value in bench.dimensions.items()},
            "first_error_acc": bench.first_error_accuracy,
            "step_acc": bench.step_accuracy,
            "similarity": bench.similarity,
            "step_auc": None if found.separated is None else found.separated.auc,
            "not_scored": found.n_not_scored,
        }
    )


def _named(found: Found) -> Figures:
    values: dict[str, float] = {}
    not_defined: dict[str, str] = {}
    for name, each in found.items():
        figure = each if isinstance(each, Estimate) else Estimate(each)
        if figure.value is None:
            not_defined[name] = figure.reason or "not defined on these solutions"
            continue
        values[name] = figure.value
        if figure.se_jackknife is not None:
            values[f"{name}{STDERR}"] = figure.se_jackknife
    return Figures(values, not_defined)
