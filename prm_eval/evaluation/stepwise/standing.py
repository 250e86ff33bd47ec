"""The rows of a board of a step set beside each other: their order, ranges of ranks, and the best rule.

:func:`prm_eval.evaluation.stepwise.jobs.evaluate_steps` asks one threshold of all rows and compares at most twenty of
them. A board has a threshold for each row, declared beforehand, and all of its rows stand against the best rule.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from prm_eval.evaluation.stats import DEFAULT_LEVEL, ClusterBootstrap, holm, told_apart
from prm_eval.evaluation.stepwise.arrays import SetArrays
from prm_eval.evaluation.stepwise.comparing import Difference, differences
from prm_eval.evaluation.stepwise.measuring import Bench, Row, Settings, measure
from prm_eval.evaluation.stepwise.resampling import Resampled
from prm_eval.evaluation.stepwise.rules import rule_rows
from prm_eval.evaluation.stepwise.scores import StepScores
from prm_eval.evaluation.stepwise.thresholds import Ask, settle

Floats = npt.NDArray[np.float64]

BOARD = Settings(resamples=2_000)
"""The settings of a board: the same for all rows and all builds."""


class StepYardstick:
    """A step set with what every row of its board is measured by: the resamples, and the rows without a model.

    Args:
        arrays: The set.
        settings: The settings.
    """

    def __init__(self, arrays: SetArrays, settings: Settings = BOARD) -> None:
        self.arrays, self.settings = arrays, settings
        self.bench = Bench(arrays, settings)
        self.headline = self.bench.headline
        self.rules: tuple[Row, ...] = tuple(
            measure(each, settle(Ask(), each, arrays), self.bench) for each in rule_rows(arrays)
        )
        self.best_rule: Row = max(self.rules, key=lambda row: _number(row.compared[self.headline].value))

    def measure(self, scores: StepScores) -> Row:
        """Return the measures of a row at its own threshold.

        Raises:
            PrmEvalError: The scores are outside [0, 1] and have no threshold.
        """
        return measure(scores, settle(Ask(), scores, self.arrays), self.bench)

    @property
    def bootstrap(self) -> ClusterBootstrap:
        """The resamples by which rows are compared."""
        return self.bench.whole.bootstrap

    def compare(self, rows: Sequence[Row]) -> list[StepStanding]:
        """Return how rows stand beside each other and against the best rule, in their order."""
        headline = self.headline
        rule = {headline: self.best_rule.compared[headline]}
        against: list[Difference] = []
        for place, row in enumerate(rows):
            pair = {f"row {place}": {headline: row.compared[headline]}, "rule": rule}
            against += differences(pair, self.bootstrap, "rule")
        known = [place for place, each in enumerate(against) if each.p is not None]
        adjusted = holm(np.array([against[place].p for place in known], dtype=np.float64))
        for place, p in zip(known, adjusted, strict=True):
            against[place] = replace(against[place], p_holm=float(p))
        ranges = _ranks([row.compared[headline] for row in rows], self.settings.level)
        return [StepStanding(*both, each) for both, each in zip(ranges, against, strict=True)]


@dataclass(frozen=True)
class StepStanding:
    """How a row stands on its board.

    Attributes:
        best: The best rank that it may have; all ranges of a board hold at once.
        worst: The worst one.
        to_rule: Its paired difference to the best rule in the headline, with limits and p-values.
    """

    best: int
    worst: int
    to_rule: Difference


def _ranks(found: Sequence[Resampled], level: float = DEFAULT_LEVEL) -> list[tuple[int, int]]:
    """Return ranges of ranks that all hold at once, as on the boards of pools (:func:`told_apart`).

    That procedure is about means over problems. A headline is none, but its pseudo-values are as good as numbers whose
    mean it is: their standard error is the jackknife's (Efron and Tibshirani 1993, chapter 11).
    """
    n = len(found)
    places = [place for place, each in enumerate(found) if _complete(each)]
    # what has no value, or none without some problem, is told apart from nothing
    best, worst = np.ones(n, dtype=np.int64), np.full(n, n, dtype=np.int64)
    if len(places) < 2:
        return [(int(a), int(b)) for a, b in zip(best, worst, strict=True)]
    values = np.stack([_pseudo(found[place]) for place in places], axis=1)
    drawn = np.stack([found[place].drawn for place in places], axis=1)
    better = told_apart(values, drawn[np.isfinite(drawn).all(axis=1)], level)
    best[places] = 1 + better.sum(axis=0)
    worst[places] = n - better.sum(axis=1)
    return [(int(a), int(b)) for a, b in zip(best, worst, strict=True)]


def _complete(found: Resampled) -> bool:
    enough = len(found.drawn) > 0 and bool(np.isfinite(found.drawn).any())
    return bool(np.isfinite(found.value) and np.isfinite(found.without).all() and enough)


def _pseudo(found: Resampled) -> Floats:
    away = found.without - found.without.mean()
    result: Floats = found.value - (len(away) - 1) * away
    return result


def _number(value: float) -> float:
    return value if np.isfinite(value) else -np.inf
