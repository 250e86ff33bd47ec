"""What a page shows of a row on a step set: its headline at other thresholds, scores by position, the worst misses."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from prm_eval.evaluation.stats import ClusterBootstrap
from prm_eval.evaluation.stepwise.arrays import NO_ERROR, SetArrays
from prm_eval.evaluation.stepwise.locating import predictions
from prm_eval.evaluation.stepwise.measuring import Bench, Row
from prm_eval.evaluation.stepwise.prmbench import CORRECT, resampled_score
from prm_eval.evaluation.stepwise.scores import NOT_SCORED, StepScores
from prm_eval.evaluation.stepwise.thresholds import GRID, curve

Floats = npt.NDArray[np.float64]

# parts of a solution by which positions are told apart
TENTHS = 10
# thresholds at which PRMScore is drawn: it is computed anew at each
COARSE = 41


@dataclass(frozen=True)
class Line:
    """A measure at rising thresholds; NaN where it is not defined."""

    name: str
    thresholds: Floats
    values: Floats


@dataclass(frozen=True)
class Place:
    """The mean score of good and bad steps in a tenth of the solutions' steps, with their numbers."""

    good: float | None
    bad: float | None
    n_good: int
    n_bad: int


@dataclass(frozen=True)
class Miss:
    """A solution that is judged wrongly.

    Attributes:
        solution: Its place in the set.
        said: The step that is put as the first wrong one, -1 for none.
        truth: The first wrong step, -1 for none.
        far: How far the score that is to blame lies on the wrong side of the threshold.
    """

    solution: int
    said: int
    truth: int
    far: float


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


def of_clean(row: Row, arrays: SetArrays, *, strict: bool) -> tuple[int, int, int]:
    """Return how many solutions without a wrong step are called right, called wrong, and not scored."""
    said = predictions(row.scores, arrays, row.threshold.value, strict=strict)[arrays.clean]
    return int((said == NO_ERROR).sum()), int((said >= 0).sum()), int((said == NOT_SCORED).sum())


def by_position(scores: StepScores, arrays: SetArrays) -> list[Place]:
    """Return the mean scores of labelled steps by where in their solution they stand, from the first tenth on."""
    tenth = np.minimum(TENTHS - 1, TENTHS * arrays.index // np.repeat(arrays.counts, arrays.counts))
    good, there = arrays.good(), np.isfinite(scores.values)
    found = []
    for place in range(TENTHS):
        here = there & (tenth == place)
        right, wrong = scores.values[here & (good == 1)], scores.values[here & (good == 0)]
        found.append(Place(_mean(right), _mean(wrong), len(right), len(wrong)))
    return found


def worst_misses(row: Row, bench: Bench, most: int = 3) -> list[Miss]:
    """Return the solutions that are judged most wrongly, one a problem at most, the worst first.

    To blame is the score of the step that is named too early, else that of the first wrong step, which is not named.
    """
    scores, arrays, threshold = row.scores, bench.whole.arrays, row.threshold.value
    said = predictions(scores, arrays, threshold, strict=bench.strict)
    missed = (said != arrays.first_error) & (said != NOT_SCORED) & (arrays.wrong | arrays.clean)
    if bench.is_prmbench and CORRECT in arrays.groups:
        # the unchanged twins count nowhere
        missed &= arrays.group != arrays.groups.index(CORRECT)
    early = missed & (said >= 0) & (arrays.clean | (said < arrays.first_error))
    blamed = np.where(early, said, np.clip(arrays.first_error, 0, None))
    far = np.abs(scores.values[arrays.starts + np.clip(blamed, 0, arrays.counts - 1)] - threshold)
    found: list[Miss] = []
    seen: set[int] = set()
    order = sorted(np.flatnonzero(missed).tolist(), key=lambda at: (-round(float(far[at]), 9), at))
    for at in order:
        if len(found) == most:
            break
        if (problem := int(arrays.problem[at])) not in seen:
            seen.add(problem)
            found.append(Miss(at, int(said[at]), int(arrays.first_error[at]), float(far[at])))
    return found


def _mean(values: Floats) -> float | None:
    return float(values.mean()) if len(values) else None
