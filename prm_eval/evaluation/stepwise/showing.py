"""What the board's page shows of a row on a step set: its headline at other thresholds, and the worst misses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from prm_eval.evaluation.stats import ClusterBootstrap
from prm_eval.evaluation.stepwise.arrays import NO_ERROR
from prm_eval.evaluation.stepwise.locating import predictions
from prm_eval.evaluation.stepwise.measuring import Bench, Row
from prm_eval.evaluation.stepwise.misses import Miss, worst_misses
from prm_eval.evaluation.stepwise.prmbench import CORRECT, resampled_score
from prm_eval.evaluation.stepwise.scores import NOT_SCORED, StepScores
from prm_eval.evaluation.stepwise.thresholds import GRID, curve
from prm_eval.records import Solution

Floats = npt.NDArray[np.float64]

# misses that are looked at for each that is shown: several may be of one problem
LOOKED_AT = 20
# thresholds at which PRMScore is drawn: it is computed anew at each
COARSE = 41


@dataclass(frozen=True)
class Line:
    """A measure at rising thresholds; NaN where it is not defined."""

    name: str
    thresholds: Floats
    values: Floats


def lines(row: Row, bench: Bench) -> list[Line]:
    """Return the headline against the threshold, and under a mean over groups the groups; empty for step AUC."""
    scores, arrays = row.scores, bench.whole.arrays
    if bench.headline == "step_auc":
        return []
    if bench.headline == "prm_score":
        tried = _thresholds(scores, COARSE)
        bootstrap = ClusterBootstrap(bench.whole.bootstrap.n, seed=0, resamples=1)
        values = [resampled_score(scores, arrays, float(t), bootstrap).value for t in tried]
        return [Line("PRMScore", tried, np.array(values))]
    tried = _thresholds(scores, len(GRID))
    if bench.headline == "f1":
        return [Line("F1", tried, curve(scores, arrays, tried).f1)]
    groups = [
        Line(name, tried, curve(bench.of(scores, name), part.arrays, tried).f1) for name, part in bench.groups.items()
    ]
    mean: Floats = np.mean([each.values for each in groups], axis=0)
    return [Line("mean F1", tried, mean), *groups]


def _thresholds(scores: StepScores, n: int) -> Floats:
    """Return thresholds from 0 to 1 for probabilities, else over the middle of the scores."""
    if scores.probabilities:
        return np.linspace(0.0, 1.0, n)
    there = scores.values[np.isfinite(scores.values)]
    low, high = np.quantile(there, [0.005, 0.995]) if len(there) else (0.0, 1.0)
    margin = 0.05 * (high - low) or 1.0
    return np.linspace(low - margin, high + margin, n)


def of_clean(row: Row, bench: Bench) -> tuple[int, int, int]:
    """Return how many solutions without a wrong step are called right, called wrong, and not scored."""
    arrays, strict = bench.whole.arrays, bench.strict(row.threshold)
    said = predictions(row.scores, arrays, row.threshold.value, strict=strict)[arrays.clean]
    return int((said == NO_ERROR).sum()), int((said >= 0).sum()), int((said == NOT_SCORED).sum())


def misses(row: Row, bench: Bench, solutions: Sequence[Solution], most: int = 3) -> list[Miss]:
    """Return the solutions that are judged most wrongly, one a problem at most, the worst first.

    The unchanged twins of PRMBench count nowhere, and are no misses.
    """
    arrays = bench.whole.arrays
    found = worst_misses(
        row.scores, arrays, row.threshold, solutions, LOOKED_AT * most, strict=bench.strict(row.threshold)
    )
    twins = arrays.groups.index(CORRECT) if bench.is_prmbench and CORRECT in arrays.groups else -1
    first: dict[int, Miss] = {}
    for each in found:
        if int(arrays.group[each.row]) != twins:
            first.setdefault(int(arrays.problem[each.row]), each)
    return list(first.values())[:most]
