"""Adaptive stopping on a pool: votes until they are decided, rewards until one passes a threshold learnt elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from prm_eval.evaluation.cost.counts import Counted, Price
from prm_eval.evaluation.cost.records import Paid, Stop
from prm_eval.evaluation.stats import SAME, ClusterBootstrap, Interval
from prm_eval.progress import Progress
from prm_eval.selection.stopping import ByPassing, passing, until_decided, until_passed

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

DEFAULT_FOLDS = 10
# thresholds that are tried: quantiles of the rewards of the problems that are learnt from
TRIED = 200


@dataclass(frozen=True)
class Replay:
    """A pool as the rules see it.

    Attributes:
        classes: (problems, M) answer classes; -1 for no vote.
        correct: (problems, M) flags.
        counted: What each slot costs.
        price: The prices.
        bootstrap: The resampled problems.
        seeds: The seed of each problem's permutations.
        draws: Permutations a problem, where no closed form is affordable.
        alike: (problems,) the same number for copies of one problem, which are learnt from together or not at all; all
            are different by default.
    """

    classes: Ints
    correct: Bools
    counted: Counted
    price: Price
    bootstrap: ClusterBootstrap
    seeds: Sequence[int]
    draws: int
    alike: Ints | None = None

    def costs(self, model: str | None) -> Floats:
        """Return (2, problems, M): what each slot costs in tokens written and read."""
        written = self.counted.written
        return np.stack([written, np.zeros_like(written) if model is None else self.counted.read[model]])

    def decided(self, majority: Floats, ns: Sequence[int], progress: Progress | None = None) -> list[Stop]:
        """Return the stops of votes that are decided, for some budgets.

        Args:
            majority: (problems, len(ns)) accuracies of the majority vote at these n, which the rule keeps.
            ns: The budgets.
            progress: Called with the number of problems done.
        """
        costs, found = self.costs(None), []
        for p, classes in enumerate(self.classes):
            found.append(until_decided(classes, costs[:, p], ns, seed=self.seeds[p], draws=self.draws))
            if progress is not None:
                progress(len(found))
        # (3, problems, len(ns)): drawn, written, read
        spent = np.stack([np.concatenate([each.drawn[None], each.spent]) for each in found], axis=1)
        noise = np.stack([each.variances for each in found], axis=1)
        result = []
        for column, n in enumerate(ns):
            paid, full_paid, saved = self._paid(spent[:, :, column], None, n)
            value = float(majority[:, column].mean())
            known = not np.isnan(paid.cost) and self.price.written > 0
            variance = noise[1, :, column] * self.price.written**2 if known else noise[0, :, column]
            mc_se = float(np.sqrt(variance.sum()) / len(variance))
            nothing = Interval(0.0, 0.0, 0.0)
            result.append(Stop("decided", None, n, value, value, nothing, paid, full_paid, saved, (), mc_se))
        return result

    def threshold(self, model: str, rewards: Floats, n: int, *, folds: int, slack: float, seed: int) -> Stop:
        """Return the stop by a threshold on rewards, learnt for each problem on the problems of the other folds.

        Learnt is the cheapest threshold of which the accuracy there is at least that of the best of n, less ``slack``.

        Args:
            model: The reward model.
            rewards: (problems, M) rewards; NaN for what cannot be chosen.
            n: The budget.
            folds: The number of folds.
            slack: The accuracy that may be given up.
            seed: The seed of the division into folds.
        """
        by_passing = until_passed(rewards, self.correct, self.costs(model), n)
        rows = np.arange(len(rewards))
        places, thresholds = np.zeros(len(rewards), dtype=np.int64), []
        distinct, of = np.unique(rows if self.alike is None else self.alike, return_inverse=True)
        fold = (np.random.default_rng(seed).permutation(len(distinct)) % folds)[of]
        for each in range(min(folds, len(distinct))):
            held_out = np.flatnonzero(fold == each)
            chosen = self._learn(rewards, by_passing, np.flatnonzero(fold != each), slack)
            places[held_out] = passing(rewards[held_out], np.array([chosen]))[0]
            thresholds.append(chosen)
        accuracy, full = by_passing.accuracy[rows, places], by_passing.accuracy[:, 0]
        spent = np.concatenate([by_passing.drawn[places][None], by_passing.spent[:, rows, places]])
        paid, full_paid, saved = self._paid(spent, model, n)
        difference = self.bootstrap.difference(accuracy, full)
        means = float(accuracy.mean()), float(full.mean())
        return Stop("threshold", model, n, *means, difference, paid, full_paid, saved, tuple(sorted(thresholds)))

    def _learn(self, rewards: Floats, by_passing: ByPassing, known: Ints, slack: float) -> float:
        """Return the cheapest threshold that gives up at most ``slack`` on known problems; infinity never stops."""
        there = rewards[known][np.isfinite(rewards[known])]
        if not len(there):
            return np.inf
        tried = np.unique(np.quantile(there, np.linspace(0, 1, TRIED), method="lower"))
        tried = np.append(tried, np.inf)
        places = passing(rewards[known], tried)  # (thresholds, problems)
        accuracy = by_passing.accuracy[known, places].mean(axis=1)
        drawn = by_passing.drawn[places].mean(axis=1)
        written, read = (kind[known, places].mean(axis=1) for kind in by_passing.spent)
        cost = np.asarray(self.price.of(drawn, written, read), dtype=np.float64)
        # unknown costs: the fewest candidates
        cost = drawn if np.isnan(cost).any() else cost
        kept = accuracy >= accuracy[-1] - slack - SAME
        return float(tried[np.argmin(np.where(kept, cost, np.inf))])

    def _paid(self, spent: Floats, model: str | None, n: int) -> tuple[Paid, Paid, Interval | None]:
        """Return what is paid with a rule and without, and the share that it saves, with limits over problems.

        Args:
            spent: (3, problems): slots drawn, tokens written, tokens read.
            model: The reward model that reads.
            n: The budget.
        """
        full = np.concatenate([np.full((1, spent.shape[1]), float(n)), n * self.costs(model).mean(axis=2)])
        cost, full_cost = (np.asarray(self.price.of(*each), dtype=np.float64) for each in (spent, full))
        paid, full_paid = _as_paid(spent, cost), _as_paid(full, full_cost)
        if np.isnan(paid.cost) or not full_paid.cost:
            return paid, full_paid, None
        resampled = self.bootstrap.means(np.stack([cost, full_cost], axis=1))
        kept = np.divide(resampled[:, 0], resampled[:, 1], out=np.ones(len(resampled)), where=resampled[:, 1] > 0)
        low, high = self.bootstrap.limits(1 - kept[:, None])
        # no order costs more with a rule, and limits of one problem are infinite
        limits = np.clip([low[0], high[0]], 0.0, 1.0)
        return paid, full_paid, Interval(1 - paid.cost / full_paid.cost, float(limits[0]), float(limits[1]))


def _as_paid(spent: Floats, cost: Floats) -> Paid:
    drawn, written, read = map(float, spent.mean(axis=1))
    return Paid(drawn, written, read, float(cost.mean()))
