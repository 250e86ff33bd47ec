"""What the differences between two runs can be worth on a step set, in points of the measure that its board ranks by.

Every figure of a step set hangs on calls: which steps have a score below the threshold. A solution of which all calls
are the same in both runs is judged the same. Of a sample we see in how many solutions a call is another one, and bound
how many that are in the whole set (:func:`prm_eval.submissions.leeway.upper_limit`); the **leeway** is the most that so
many solutions can be worth, wherever they are. Nothing is assumed of the differences, and no tolerance has a part in
it: whoever moves scores across the threshold within the tolerance is seen. An area under a curve hangs on more than
calls, and no sample bounds it here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from prm_eval.errors import PrmEvalError
from prm_eval.evaluation.stepwise.arrays import SetArrays, load_set
from prm_eval.evaluation.stepwise.locating import harmonic, hit_columns, predictions
from prm_eval.evaluation.stepwise.measuring import Bench, Settings
from prm_eval.evaluation.stepwise.prmbench import CORRECT
from prm_eval.evaluation.stepwise.scores import StepScores
from prm_eval.evaluation.stepwise.submitted import headline_of, scores_of
from prm_eval.records import StepRewards
from prm_eval.rewards.files.reward_file import RewardFile
from prm_eval.rewards.files.step_arrays import StepArrays
from prm_eval.stepsets.step_set import StepSet
from prm_eval.store.json_files import read_typed
from prm_eval.submissions.compare import Scored
from prm_eval.submissions.formats import Headline, SubmissionFile
from prm_eval.submissions.leeway import MOST_LEEWAY, follows_grade, upper_limit
from prm_eval.submissions.thresholds import threshold_in

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

# more changed solutions than these are never worth less than the tier allows
MOST_CHANGED = 400
# Fewer say too little of the model, even where its figure is so low that it can have gained nothing.
LEAST_SAMPLE = 200
# a sample that leaves less than this share of what the tier allows has room for rounding
ROOM = 0.95


@dataclass(frozen=True)
class StepFigures:
    """What the differences can be worth on a step set.

    Attributes:
        measure: The measure that the points are of.
        threshold: Below which a step is called wrong.
        leeway: The most points, with 95 % confidence; 0 where everything was scored again, 100 where nothing bounds it.
        follows_grade: How far the signs of differences follow the labels, in standard errors.
        gained: The points that the submitted scores have more than the model's own; None for a sample.
        calls_changed: Solutions among those compared of which a step is called otherwise.
    """

    measure: Headline
    threshold: float
    leeway: float
    follows_grade: float
    gained: float | None
    calls_changed: int


class SubmittedScores:
    """The submitted scores of a step set with their calls.

    Args:
        folder: The folder of a submission without faults.
        path: The step set.

    Raises:
        PrmEvalError: A file has a fault, or raw numbers have no threshold.
    """

    def __init__(self, folder: Path, path: Path) -> None:
        step_set = StepSet(path).require_sound()
        rewards = RewardFile(folder)
        at = threshold_in(read_typed(folder / "submission.json", SubmissionFile))
        if at is None:
            raise PrmEvalError(f"{folder}: raw numbers without a threshold: prm-eval submit-form --threshold")
        self.arrays = load_set(step_set)
        self.bench = Bench(self.arrays, Settings(resamples=2))
        self.threshold, self.score_type = at.value, rewards.info.score_type
        self.scores = self._scores([row for _, _, row in rewards.rows()])

    @property
    def measure(self) -> Headline:
        """The measure that the board ranks by."""
        found: dict[str, Headline] = {each: each for each in ("mean_f1", "f1", "prm_score", "step_auc")}
        return found[self.bench.headline]

    def _scores(self, rows: Sequence[StepRewards]) -> StepScores:
        values = np.array([value for row in rows for value in row.values], dtype=np.float64)
        counts = np.array([len(row.values) for row in rows], dtype=np.int64)
        return scores_of("", StepArrays(values, counts, {}, 0, 0), self.score_type, self.threshold, self.arrays)

    def again(self, scored: Sequence[Scored]) -> StepScores:
        """Return the scores with those of some solutions as the model gave them again."""
        native = self.scores.native.copy()
        arrays, starts = self.arrays, self.arrays.starts
        for one in scored:
            at, n = one.row - 1, int(arrays.counts[one.row - 1])
            fits = len(one.again.values) == n
            native[starts[at] : starts[at] + n] = one.again.values if fits else np.nan
        counts = np.where(np.bincount(arrays.owner, np.isnan(native), arrays.n) == 0, arrays.counts, 0)
        values = native[np.repeat(counts > 0, arrays.counts)]
        return scores_of("", StepArrays(values, counts, {}, 0, 0), self.score_type, self.threshold, arrays)

    def calls(self, scores: StepScores) -> npt.NDArray[np.int8]:
        """Return (T,) 1 for a step called good, 0 for one called bad, -1 for one that is not scored."""
        good = scores.values > self.threshold if self.bench.is_prmbench else scores.values >= self.threshold
        return np.where(np.isnan(scores.values), -1, good).astype(np.int8)


def step_figures_of(folder: Path, path: Path, scored: Sequence[Scored], *, everything: bool) -> StepFigures:
    """Return what the differences between submitted scores and those given again can be worth.

    Args:
        folder: The submission's folder.
        path: The step set.
        scored: The solutions that were scored again.
        everything: Whether these are all solutions.
    """
    own = SubmittedScores(folder, path)
    arrays, rows = own.arrays, np.array([one.row - 1 for one in scored], dtype=np.int64)
    again = own.again(scored)
    other = own.calls(own.scores) != own.calls(again)
    changed = np.bincount(arrays.owner, other, arrays.n)[rows] > 0
    here = np.zeros(arrays.n, dtype=bool)
    here[rows] = True
    labelled = here[arrays.owner] & np.isfinite(arrays.good())
    before, after = (np.where(np.isnan(each.values), -np.inf, each.values)[labelled] for each in (own.scores, again))
    followed = follows_grade(before, after, arrays.good()[labelled] > 0.5, arrays.problem[arrays.owner[labelled]])
    figures = StepFigures(own.measure, own.threshold, 0.0, followed, None, int(changed.sum()))
    if not everything:
        return replace(figures, leeway=_leeway(own, changed.astype(np.float64)))
    theirs, ours = (headline_of(each, own.threshold, arrays) for each in (own.scores, again))
    return replace(figures, gained=100 * ((theirs or 0.0) - (ours or 0.0)))


def step_sample(folder: Path, path: Path) -> int | None:
    """Return how many solutions a spot check needs for its tier where no call changes; None: only all will do."""
    own = SubmittedScores(folder, path)
    n = own.arrays.n
    if n <= LEAST_SAMPLE or _leeway(own, np.zeros(n - 1)) > ROOM * MOST_LEEWAY:
        return None
    low, high = LEAST_SAMPLE - 1, n - 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _leeway(own, np.zeros(middle)) <= ROOM * MOST_LEEWAY else (middle, high)
    return high


def _leeway(own: SubmittedScores, changed: Floats) -> float:
    """Return the most points that changed calls can be worth in the whole set, of which a sample is known."""
    n = own.arrays.n
    most = int(np.floor(n * upper_limit(changed) + 1e-9))
    if own.measure == "step_auc" or most > MOST_CHANGED:
        return 100.0
    if own.measure == "prm_score":
        return 100 * _of_steps(own, most)
    parts = [(own.bench.of(own.scores, name), part.arrays) for name, part in own.bench.groups.items()]
    if own.measure == "f1":
        parts = [(own.scores, own.arrays)]
    losses = [_of_solutions(scores, arrays, own, most) for scores, arrays in parts]
    return 100 * _shared(losses, most) / len(losses)


def _of_solutions(scores: StepScores, arrays: SetArrays, own: SubmittedScores, most: int) -> Floats:
    """Return the most that F1 may be too high by if 0, 1, ... solutions are no match by the model's own scores."""
    predicted = predictions(scores, arrays, own.threshold, strict=own.bench.is_prmbench)
    hit, of, right, clean = hit_columns(predicted, arrays).sum(axis=0)
    found = np.zeros(most + 1)
    f1 = float(harmonic(np.array(hit / of), np.array(right / clean)))
    for k in range(most + 1):
        lost = np.arange(k + 1)
        left = harmonic(np.maximum(hit - lost, 0) / of, np.maximum(right - (k - lost), 0) / clean)
        found[k] = f1 - float(left.min())
    return found


def _shared(losses: Sequence[Floats], most: int) -> float:
    """Return the largest sum of losses of groups among which so many solutions are shared out."""
    best = np.zeros(most + 1)
    for each in losses:
        best = np.array([float((best[: k + 1] + each[k::-1]).max()) for k in range(most + 1)])
    return float(best[-1])


def _of_steps(own: SubmittedScores, most: int) -> float:
    """Return more than PRMScore may be too high by if so many items are called otherwise in the worst way.

    The items with the most right calls are taken for good and for bad steps separately, so that the bound is a little
    too large; every call that turns is a mistake of the model's own run. Items that are not scored count nowhere: they
    may be worth as much as any other, so they are taken as right throughout.
    """
    arrays, calls = own.arrays, own.calls(own.scores)
    good = arrays.good()
    items = np.ones(arrays.n, dtype=bool)
    if CORRECT in arrays.groups:
        items = arrays.group != arrays.groups.index(CORRECT)
    used = items[arrays.owner] & np.isfinite(good)
    right, unscored = good > 0.5, calls < 0
    tp = _per_item(used & right & ((calls == 1) | unscored), arrays)
    tn = _per_item(used & ~right & ((calls == 0) | unscored), arrays)
    wrong = float((used & ~unscored & (right != (calls == 1))).sum())
    kept_tp, kept_tn = float((used & right & (calls == 1)).sum()), float((used & ~right & (calls == 0)).sum())
    lost_tp, lost_tn = (float(np.sort(each)[::-1][:most].sum()) for each in (tp, tn))

    def score(a: float, b: float, errors: float) -> float:
        return (_twice(a, errors) + _twice(b, errors)) / 2

    worst = score(max(0.0, kept_tp - lost_tp), max(0.0, kept_tn - lost_tn), wrong + lost_tp + lost_tn)
    return score(kept_tp, kept_tn, wrong) - worst


def _per_item(flags: npt.NDArray[np.bool_], arrays: SetArrays) -> Floats:
    return np.bincount(arrays.owner, flags, arrays.n).astype(np.float64)


def _twice(hits: float, misses: float) -> float:
    return 2 * hits / (2 * hits + misses) if hits or misses else 0.0
