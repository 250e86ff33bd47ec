"""The measurements of a board on one pool: each reward model alone, then all beside each other.

The leaderboard renders these measurements and computes nothing of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from prm_eval.errors import PrmEvalError
from prm_eval.evaluation.diagnostics import (
    Mistake,
    chosen_length,
    expensive_mistakes,
    groups_of,
    histogram,
    last_step,
    quintiles,
    reliability,
    within_problem_auroc,
    within_problem_correlation,
)
from prm_eval.evaluation.measured import Baseline, Curve, Group, Measured, Settings, Shown, Standing
from prm_eval.evaluation.pool_arrays import PoolArrays, baseline_curves, weighted_votes
from prm_eval.evaluation.stats import (
    ADJUSTED_SIGN_FLIPS,
    GROUP_RESAMPLES,
    SAME,
    ClusterBootstrap,
    Interval,
    holm,
    rank_ranges,
    sign_flip_ps,
)
from prm_eval.evaluation.summary import ORACLE
from prm_eval.rewards.aggregations import AGGREGATIONS, Aggregation
from prm_eval.rewards.files.reward_file import RewardFile
from prm_eval.rewards.files.step_arrays import StepArrays
from prm_eval.selection.accuracies import best_of_n_table

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

Remark = Callable[[RewardFile, Floats], Sequence[Any]]

# reward models whose weights are in memory at once
HELD = 64


class Yardstick:
    """A pool, with everything that all reward models measured on it share."""

    def __init__(self, arrays: PoolArrays, settings: Settings) -> None:
        self.arrays, self.settings = arrays, settings
        self.bootstrap = ClusterBootstrap(
            len(arrays.problems), seed=settings.seed, level=settings.level, resamples=settings.resamples
        )
        self.parts: list[tuple[str, str, Ints]] = [
            (by, label, rows)
            for by in ("subject", "level")
            for label, rows in groups_of([getattr(problem, by) for problem in arrays.problems])
        ]
        fifths = quintiles(arrays.correct)
        self.parts += [("difficulty", str(place), rows) for place, rows in enumerate(fifths, 1)]
        self.easiest = fifths[0]
        self._bootstraps: dict[int, ClusterBootstrap] = {}
        self._baselines: dict[str, Baseline] = {}

    def prepare(self) -> Yardstick:
        """Compute what all reward models share, so that copies in other processes need not; return the yardstick."""
        if not self._baselines:
            found = baseline_curves(self.arrays, self.settings.ns, seed=self.settings.seed, draws=self.settings.draws)
            column = self.settings.column
            self._baselines = {
                name: Baseline(
                    table[:, column], self._curves([table], noise)[0], self._groups(table), self._easiest(table)
                )
                for name, (table, noise) in found.items()
            }
        return self

    @property
    def baselines(self) -> dict[str, Baseline]:
        """The baselines, by the selector's name."""
        return self.prepare()._baselines

    def measure(self, files: Sequence[RewardFile], remark: Remark | None = None) -> list[Measured | PrmEvalError]:
        """Measure reward models; where a file is faulty, its error takes the place of the result.

        Args:
            files: Reward files for this pool.
            remark: Returns remarks on a file and its (P, M) rewards, NaN where there is none.
        """
        result: list[Measured | PrmEvalError] = []
        for first in range(0, len(files), HELD):
            result += self._measure(files[first : first + HELD], remark)
        return result

    def _measure(self, files: Sequence[RewardFile], remark: Remark | None) -> list[Measured | PrmEvalError]:
        partly: list[_Partly | PrmEvalError] = []
        for file in files:
            try:
                partly.append(_Partly(self.arrays, file))
            except PrmEvalError as error:
                partly.append(error)
        good = [each for each in partly if isinstance(each, _Partly)]
        if good:
            votes, noise = weighted_votes(
                self.arrays,
                np.stack([each.weights for each in good]),
                self.settings.ns,
                seed=self.settings.seed,
                draws=self.settings.draws,
            )
        places = iter(range(len(good)))
        return [
            each if isinstance(each, PrmEvalError) else self._finish(each, votes[at := next(places)], noise[at], remark)
            for each in partly
        ]

    def _finish(self, one: _Partly, votes: Floats, noise: Floats, remark: Remark | None) -> Measured:
        arrays, settings = self.arrays, self.settings
        column = settings.column
        keys = {name: np.where(arrays.eligible, table, np.nan) for name, table in one.by_aggregation.items()}
        tables = {name: best_of_n_table(table, arrays.correct, settings.ns) for name, table in keys.items()}
        declared = one.file.aggregation
        bon, rewards = tables[declared], keys[declared]
        mistakes = expensive_mistakes(rewards, arrays.correct, settings.headline_n)
        low, high = one.scale
        # one more curve where somebody lacks an answer: what it would be if these competed
        competing = best_of_n_table(one.by_aggregation[declared], arrays.correct, settings.ns)
        all_present = [competing] * bool(arrays.no_answer)
        *by_name, wmaj = self._curves([*tables.values(), *all_present, votes], noise)
        aggregations = dict(zip(tables, by_name, strict=False))
        steps = one.steps
        said = bool(steps.told_tokens) and steps.told_tokens + sum(steps.refusals.values()) >= len(arrays.at)
        return Measured(
            accuracies=bon[:, column],
            bon=aggregations[declared],
            wmaj=wmaj,
            aggregations=aggregations,
            refusals=one.steps.refusals,
            candidates=len(arrays.at),
            tokens=steps.tokens / steps.told_tokens if steps.told_tokens else None,
            read=steps.tokens / arrays.correct.size if said else None,
            rewards=histogram(one.values, arrays.correct, low=low, high=high),
            reliability=None if one.file.info.score_type == "raw" else reliability(one.weights, arrays.correct),
            auroc=within_problem_auroc(rewards, arrays.correct),
            length_correlation=within_problem_correlation(rewards, arrays.lengths),
            chosen_length=chosen_length(rewards, arrays.lengths, settings.headline_n),
            last_step=None
            if one.file.info.kind == "orm"
            else last_step(one.steps.values, one.steps.counts, arrays.correct.ravel()[arrays.at]),
            groups=self._groups(bon),
            easiest=self._easiest(bon),
            mistakes=tuple(mistakes),
            shown=one.shown(mistakes),
            competing=by_name[-1] if all_present else None,
            remarks=() if remark is None else tuple(remark(one.file, one.by_aggregation[declared])),
        )

    def _curves(self, tables: Sequence[Floats], noise: Floats) -> list[Curve]:
        """Return the curves of some (P, len(ns)) tables; ``noise`` has the Monte-Carlo variances of the last one.

        All are resampled together, so that the table of resamples is read only once.
        """
        width = len(self.settings.ns)
        cells = self.bootstrap.intervals(np.concatenate(tables, axis=1))
        spread = np.sqrt(noise.sum(axis=0)) / len(noise)
        last = len(tables) - 1
        return [
            _as_curve(cells[at * width : (at + 1) * width], spread if at == last else np.zeros(width))
            for at in range(len(tables))
        ]

    def _groups(self, table: Floats) -> tuple[Group, ...]:
        column = self.settings.column
        return tuple(
            Group(by, label, len(rows), cell.value, cell.low, cell.high)
            for by, label, rows in self.parts
            for cell in self._of(rows).intervals(table[rows, column])
        )

    def _easiest(self, table: Floats) -> Curve:
        return _as_curve(self._of(self.easiest).intervals(table[self.easiest]), np.zeros(table.shape[1]))

    def _of(self, rows: Ints) -> ClusterBootstrap:
        if len(rows) not in self._bootstraps:
            settings = self.settings
            self._bootstraps[len(rows)] = ClusterBootstrap(
                len(rows), seed=settings.seed, level=settings.level, resamples=min(GROUP_RESAMPLES, settings.resamples)
            )
        return self._bootstraps[len(rows)]

    def compare(self, measured: Sequence[Measured]) -> list[Standing]:
        """Compare reward models with each other; return their standings in the given order."""
        if not measured:
            return []
        table = np.stack([each.accuracies for each in measured], axis=1)
        fixed = np.stack([self.baselines[name].accuracies for name in ("majority", "first", ORACLE)], axis=1)
        together = self.bootstrap.means(np.concatenate([table, fixed], axis=1))
        resampled, (majority, mean, oracle) = together[:, : len(measured)], together[:, len(measured) :].T
        ranks = rank_ranges(table, resampled, self.bootstrap)
        top = int(np.argmax(np.round(table.mean(axis=0), 12)))
        over_majority, over_mean, over_best = table - fixed[:, :1], table - fixed[:, 1:2], table - table[:, [top]]
        seed = self.settings.seed
        p_majority = holm(sign_flip_ps(over_majority, seed=seed, resamples=ADJUSTED_SIGN_FLIPS))
        p_mean = holm(sign_flip_ps(over_mean, seed=seed, resamples=ADJUSTED_SIGN_FLIPS))
        others = np.arange(len(measured)) != top
        p_best = np.ones(len(measured))
        if others.any():
            p_best[others] = holm(sign_flip_ps(over_best[:, others], seed=seed, resamples=ADJUSTED_SIGN_FLIPS))
        result = []
        for i, (best, worst) in enumerate(ranks):
            to_majority = self.bootstrap.difference(table[:, i], fixed[:, 0], resampled[:, i] - majority)
            to_best = self.bootstrap.difference(table[:, i], table[:, top], resampled[:, i] - resampled[:, top])
            to_mean = self.bootstrap.difference(table[:, i], fixed[:, 1], resampled[:, i] - mean)
            gap = self._gap(table[:, i].mean(), *fixed[:, 1:].mean(axis=0), resampled[:, i], mean, oracle)
            alone = i == top
            result.append(
                Standing(
                    best,
                    worst,
                    to_majority,
                    float(p_majority[i]),
                    None if alone else to_best,
                    None if alone else float(p_best[i]),
                    gap,
                    to_mean,
                    float(p_mean[i]),
                )
            )
        return result

    def _gap(self, bon: float, mean: float, oracle: float, *resampled: Floats) -> Interval | None:
        if oracle - mean < 1e-9:
            return None
        bons, means, oracles = resampled
        usable = oracles - means > 1e-9
        ratios = (bons - means)[usable] / (oracles - means)[usable]
        centre = float((bon - mean) / (oracle - mean))
        if self.bootstrap.n > 1 and np.ptp(ratios) < SAME:
            # the same on every problem, and yet these are not all problems: the margin, in units of the whole gap
            margin = self.bootstrap.margin / float(oracle - mean)
            return Interval(centre, centre - margin, centre + margin)
        low, high = self.bootstrap.limits(ratios[:, None])
        return Interval(centre, float(low[0]), float(high[0]))


def _as_curve(cells: Sequence[Interval], spread: Floats) -> Curve:
    return Curve(
        tuple(cell.value for cell in cells),
        tuple(cell.low for cell in cells),
        tuple(cell.high for cell in cells),
        tuple(map(float, spread)),
    )


@dataclass
class _Partly:
    """A reward file read and aggregated, before the votes of many files are counted together."""

    arrays: PoolArrays
    file: RewardFile
    steps: StepArrays = field(init=False)
    by_aggregation: dict[Aggregation, Floats] = field(init=False)
    weights: Floats = field(init=False)
    values: Floats = field(init=False)
    scale: tuple[float, float] = field(init=False)

    def __post_init__(self) -> None:
        info, declared = self.file.info, self.file.aggregation
        self.steps = self.arrays.steps(self.file)
        self.by_aggregation = {}
        for name in AGGREGATIONS if info.kind == "prm" else (declared,):
            try:
                rewards, weights = self.steps.aggregated(name, info.score_type)
            except PrmEvalError:
                if name == declared:
                    raise
                # not defined for these numbers, or not finite; but it is not the declared one
                continue
            self.by_aggregation[name] = self.arrays.table(rewards)
            if name == declared:
                self.weights = self.arrays.table(weights)
        if info.score_type == "raw":
            self.values = self.by_aggregation[declared]
            there = self.values[np.isfinite(self.values)]
            low, high = np.quantile(there, [0.01, 0.99]) if len(there) else (0.0, 1.0)
            self.scale = (float(low), float(high))
        else:
            self.values, self.scale = self.weights, (0.0, 1.0)

    def shown(self, mistakes: Sequence[Mistake]) -> dict[tuple[int, int], Shown]:
        """Return the rewards of the candidates in some mistakes, by (row of the problem, slot)."""
        m = self.arrays.info.m
        # rising
        at = self.arrays.at
        starts = self.steps.starts
        result: dict[tuple[int, int], Shown] = {}
        for mistake in mistakes:
            for slot in (mistake.chosen, mistake.better):
                place = mistake.row * m + slot
                row = int(np.searchsorted(at, place))
                if row == len(at) or at[row] != place:
                    continue
                values = self.steps.values[starts[row] : starts[row] + self.steps.counts[row]]
                result[mistake.row, slot] = Shown(
                    tuple(map(float, values)),
                    float(self.by_aggregation[self.file.aggregation][mistake.row, slot]),
                    float(self.weights[mistake.row, slot]),
                )
        return result
