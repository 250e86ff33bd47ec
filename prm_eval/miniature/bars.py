"""The figures that the miniature must show, with their bars, and their limits.

With several training seeds a figure is the mean over them. It has two pairs of limits: over problems, which are about
these models and by which the bars are judged, and over problems and trainings, which are about other seeds too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from prm_eval.evaluation.curves import Evaluation
from prm_eval.evaluation.stats import DEFAULT_RESAMPLES, ClusterBootstrap, Interval, seed_weights
from prm_eval.evaluation.summary import CurveKey
from prm_eval.miniature.problems import MiniatureProblem
from prm_eval.selection.selectors import DEFAULT_SEED

Floats = npt.NDArray[np.float64]
ORACLE: CurveKey = ("oracle", None)
MAJORITY: CurveKey = ("majority", None)
BON_PRM, BON_ORM = ("best_of_n", "prm"), ("best_of_n", "orm")
WMAJ_PRM, WMAJ_ORM = ("weighted_majority", "prm"), ("weighted_majority", "orm")
RESAMPLES, SEED = DEFAULT_RESAMPLES, DEFAULT_SEED
LEVELS = range(1, 6)


@dataclass(frozen=True)
class Figure:
    """One figure with its limits, in per cent or points, and its bar.

    Attributes:
        name: The name of the figure.
        value: Mean over problems, and over training seeds.
        low: Lower 95 % limit, over problems.
        high: Upper 95 % limit, over problems.
        least: The value must reach this, where it is given.
        most: The value must not exceed this, where it is given; the limits may.
        above: The lower limit must be above this, where it is given.
        seeds: The value of each training seed, where there are several.
        trainings: The 95 % limits over problems and trainings, where there are several seeds.
    """

    name: str
    value: float
    low: float
    high: float
    least: float | None = None
    most: float | None = None
    above: float | None = None
    seeds: tuple[float, ...] = ()
    trainings: tuple[float, float] | None = None

    @property
    def held(self) -> bool:
        """Whether the bar is met."""
        return (
            (self.least is None or self.value >= self.least)
            and (self.most is None or self.value <= self.most)
            and (self.above is None or self.low > self.above)
        )

    @property
    def held_by_trainings(self) -> bool:
        """Whether the bar is met by the limits over problems and trainings too."""
        low = self.low if self.trainings is None else self.trainings[0]
        return self.held and (self.above is None or low > self.above)

    @property
    def bar(self) -> str:
        """The bar in words."""
        if self.most is not None:
            return f"{self.least:g} to {self.most:g}"
        parts = [] if self.least is None else [f">= {self.least:g}"]
        return ", ".join(parts if self.above is None else [*parts, f"low > {self.above:g}"])


@dataclass(frozen=True)
class Run:
    """What the models of a training seed did on the problems.

    Attributes:
        evaluation: The evaluation of their pool, with reward files called "prm" and "orm".
        right: The number of candidates with the right answer, (problems,).
        false: The number of those with a wrong step, (problems,).
    """

    evaluation: Evaluation
    right: Floats
    false: Floats


class Limits:
    """The bootstrap over problems of means over training seeds, which all have the same problems.

    Where trainings vary too, what another one would change has Student's t distribution
    (:func:`prm_eval.evaluation.stats.seed_weights`): with three seeds, limits are wide where they differ much. They are
    about trainings that differ as these do: what all seeds share, such as a backbone, does not vary.

    Args:
        seeds: The number of training seeds S.
        problems: The number of problems P.
        seed: The seed of the resamples of problems; those of training seeds are the same for all.
        trainings: Whether trainings vary as well as problems.
    """

    def __init__(self, seeds: int, problems: int, seed: int = SEED, *, trainings: bool = False) -> None:
        self.problems = ClusterBootstrap(problems, seed=seed, resamples=RESAMPLES)
        fixed = np.full((RESAMPLES, seeds), 1 / seeds)
        self._weights = seed_weights(seeds, RESAMPLES, SEED) if trainings else fixed

    def means(self, values: Floats) -> Floats:
        """Return (resamples, 1): resampled means of values (seeds, problems)."""
        summed: Floats = (self.problems.means(values.T) * self._weights).sum(axis=1, keepdims=True)
        return summed

    def share(self, values: Floats) -> Interval:
        """Return the mean of values (seeds, problems) in [0, 1], with limits."""
        return self.problems.intervals(values.mean(axis=0), self.means(values))[0]

    def gap(self, one: Floats, other: Floats) -> Interval:
        """Return the paired difference of the means of two (seeds, problems), with limits."""
        resampled = self.means(one) - self.means(other)
        return self.problems.difference(one.mean(axis=0), other.mean(axis=0), resampled)

    def ends(self, resampled: Floats) -> tuple[float, float]:
        """Return the limits of resampled statistics (resamples, 1)."""
        low, high = self.problems.limits(resampled)
        return float(low[0]), float(high[0])


def _share(cell: Interval) -> Interval:
    """Return an interval whose limits stay within 0 and 1, which Student's distribution does not know."""
    return replace(cell, low=max(0.0, cell.low), high=min(1.0, cell.high))


def figures_of(runs: Sequence[Run], problems: Sequence[MiniatureProblem]) -> list[Figure]:
    """Return the figures of the miniature.

    Args:
        runs: What the models of each training seed did.
        problems: The problems of all of them, in order.
    """
    found = _figures_with_limits(runs, problems, trainings=False)
    if len(runs) == 1:
        return found
    wide = _figures_with_limits(runs, problems, trainings=True)
    return [replace(each, trainings=(other.low, other.high)) for each, other in zip(found, wide, strict=True)]


def _figures_with_limits(runs: Sequence[Run], problems: Sequence[MiniatureProblem], *, trainings: bool) -> list[Figure]:
    ns = list(runs[0].evaluation.ns)
    first, last, middle = 0, len(ns) - 1, ns.index(16) if 16 in ns else len(ns) - 1
    limits = Limits(len(runs), len(problems), trainings=trainings)

    def column(key: CurveKey, at: int) -> Floats:
        return np.stack([run.evaluation.curves[key][:, at] for run in runs])

    def share(name: str, values: Floats, least: float, most: float | None = None) -> Figure:
        return _figure(name, limits.share(values), values.mean(axis=1), least, most)

    def gap(name: str, one: Floats, other: Floats, least: float | None, above: float = 0) -> Figure:
        return _figure(name, limits.gap(one, other), (one - other).mean(axis=1), least, None, above)

    n, sixteen = ns[last], ns[middle]
    mean, vote = column(ORACLE, first), column(MAJORITY, last)
    return [
        share("mean@1", mean, 30, 50),
        *_levels(mean, problems, trainings),
        share(f"pass@{n}", column(ORACLE, last), 95),
        gap(f"maj@{n} - mean@1", vote, mean, 8),
        _false_share(limits, np.stack([run.right for run in runs]), np.stack([run.false for run in runs])),
        gap(f"bon@{n} PRM - ORM", column(BON_PRM, last), column(BON_ORM, last), 5),
        gap(f"bon@{n} ORM - maj@{n}", column(BON_ORM, last), vote, 3),
        gap(f"bon PRM @{n} - @{sixteen}", column(BON_PRM, last), column(BON_PRM, middle), None, -1),
        gap(f"bon ORM @{n} - @{sixteen}", column(BON_ORM, last), column(BON_ORM, middle), None, -1),
        gap(f"wmaj@{n} PRM - ORM", column(WMAJ_PRM, last), column(WMAJ_ORM, last), None),
        gap(f"wmaj@{n} ORM - maj@{n}", column(WMAJ_ORM, last), vote, None),
    ]


def _figure(
    name: str, cell: Interval, seeds: Floats, least: float | None, most: float | None = None, above: float | None = None
) -> Figure:
    by_seed = tuple(100 * float(each) for each in seeds) if len(seeds) > 1 else ()
    return Figure(name, 100 * cell.value, 100 * cell.low, 100 * cell.high, least, most, above, by_seed)


def _levels(mean: Floats, problems: Sequence[MiniatureProblem], trainings: bool) -> list[Figure]:
    """Return the falls of mean@1 from each level to the next, and from the lowest to the highest.

    Two levels have different problems, so these differences are not paired.
    """
    level = np.array([each.problem.level for each in problems])
    groups = {each: mean[:, level == each] for each in LEVELS if (level == each).any()}
    samplers = {k: Limits(len(mean), v.shape[1], SEED + k, trainings=trainings) for k, v in groups.items()}
    resampled = {k: samplers[k].means(v) for k, v in groups.items()}
    found = []
    for easy, hard in [*pairwise(groups), (min(groups), max(groups))]:
        low, high = samplers[easy].ends(resampled[easy] - resampled[hard])
        by_seed = groups[easy].mean(axis=1) - groups[hard].mean(axis=1)
        name = f"mean@1 level {easy} - level {hard}"
        found.append(_figure(name, Interval(float(by_seed.mean()), low, high), by_seed, None, above=0))
    return found


def _false_share(limits: Limits, right: Floats, false: Floats) -> Figure:
    """Return the share of right answers that were reached by wrong reasoning: a ratio of sums over problems and seeds.

    Its limits are linear in what varies (the delta method), because Student's weights can be negative and a ratio of
    what they give can be anything. Without a right answer there is no share, and the limits are 0 and 1.
    """
    name = "right answers by wrong reasoning"
    ratio = float(false.sum() / max(1.0, right.sum()))
    low, high = 0.0, 1.0
    if right.any():
        low, high = limits.ends(ratio + limits.means(false - ratio * right) / right.mean())
    cell = _share(Interval(ratio, low, high))
    return _figure(name, cell, false.sum(axis=1) / np.maximum(1.0, right.sum(axis=1)), 5, 15)
