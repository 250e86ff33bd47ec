"""Step rewards that were read already, as the scores of a step set; and the headline of a row without its limits."""

from __future__ import annotations

import numpy as np

from prm_eval.evaluation.stepwise.arrays import SetArrays
from prm_eval.evaluation.stepwise.measuring import Bench, Settings, measure
from prm_eval.evaluation.stepwise.report import headline_value
from prm_eval.evaluation.stepwise.scores import StepScores
from prm_eval.evaluation.stepwise.thresholds import Threshold
from prm_eval.records import ScoreType
from prm_eval.rewards.aggregate import as_probabilities
from prm_eval.rewards.files.step_arrays import StepArrays

# the fewest resamples: a headline alone has no limits
_FEWEST = 2


def scores_of(
    name: str, found: StepArrays, score_type: ScoreType, threshold: float | None, arrays: SetArrays
) -> StepScores:
    """Return step rewards, in the set's order, as scores; a solution without rewards is not scored.

    Args:
        name: The name of the row.
        found: The step rewards of all solutions.
        score_type: What the numbers are.
        threshold: Below which a step is wrong, on the scale of ``StepScores.values``; None where nobody said.
        arrays: The set.
    """
    native = np.full(len(arrays.lengths), np.nan)
    native[np.repeat(found.counts > 0, arrays.counts)] = found.values
    values = as_probabilities(native, score_type)
    return StepScores(name, "prm", values, native, score_type, None, threshold, dict(found.refusals))


def headline_of(scores: StepScores, threshold: float, arrays: SetArrays) -> float | None:
    """Return the figure that a set's board ranks by, without limits; None where it is not defined."""
    bench = Bench(arrays, Settings(resamples=_FEWEST))
    return headline_value(measure(scores, Threshold(threshold, "fixed"), bench), bench.headline).value


def headline_name(arrays: SetArrays) -> str:
    """Return the measure that a set's board ranks by, which follows from its labels."""
    return Bench(arrays, Settings()).headline


def stated_counts(arrays: SetArrays) -> dict[str, dict[str, int]]:
    """Return how many solutions an accuracy is of: by group ("" is the whole set), by measure."""
    named = {"": np.ones(arrays.n, dtype=bool)}
    named |= {name: arrays.group == row for row, name in enumerate(arrays.groups) if name}
    return {
        name: {
            "error_acc": int((mask & arrays.wrong).sum()),
            "correct_acc": int((mask & arrays.clean).sum()),
        }
        for name, mask in named.items()
    }
