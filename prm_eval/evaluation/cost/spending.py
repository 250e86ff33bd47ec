"""Accuracy against cost at fixed n: the curves, the cheapest n, and what a reward model is worth against majority."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from prm_eval.evaluation.cost.counts import Counted, Price
from prm_eval.evaluation.cost.records import CostRow, Paid, Reached, Worth
from prm_eval.evaluation.stats import ClusterBootstrap, Interval
from prm_eval.evaluation.summary import MAJORITY, CurveKey, metric_name

Floats = npt.NDArray[np.float64]

SAME = 1e-12


@dataclass(frozen=True)
class Spending:
    """The curves of a pool with what they cost.

    A draw of n slots costs n times what a slot costs on average, so that the expected cost is exact.

    Attributes:
        curves: (problems, len(ns)) accuracies, by selector and reward model.
        ns: The grid of n.
        counted: What each slot costs.
        price: The prices.
        bootstrap: The resampled problems.
        resampled: (resamples, len(ns)) resampled accuracies of each curve.
    """

    curves: Mapping[CurveKey, Floats]
    ns: tuple[int, ...]
    counted: Counted
    price: Price
    bootstrap: ClusterBootstrap
    resampled: Mapping[CurveKey, Floats]

    @classmethod
    def of(
        cls,
        curves: Mapping[CurveKey, Floats],
        ns: Sequence[int],
        counted: Counted,
        price: Price,
        boot: ClusterBootstrap,
    ) -> Spending:
        """Return the spending of some curves; their problems are resampled together."""
        together = boot.means(np.concatenate(list(curves.values()), axis=1))
        width = len(ns)
        resampled = {key: together[:, i * width : (i + 1) * width] for i, key in enumerate(curves)}
        return cls(curves, tuple(ns), counted, price, boot, resampled)

    def slot_costs(self, model: str | None) -> Floats:
        """Return (problems,): what a slot of each problem costs on average, with the reading of a reward model."""
        written = self.counted.written.mean(axis=1)
        read = np.zeros_like(written) if model is None else self.counted.read[model].mean(axis=1)
        return np.asarray(self.price.of(np.ones_like(written), written, read))

    def candidates(self, key: CurveKey, n: int) -> int:
        """Return how many candidates a curve pays for at n: the first one of n is all that is looked at."""
        return 1 if key[0] == "first" else n

    def paid(self, key: CurveKey, n: int) -> Paid:
        """Return what is paid for a problem at n."""
        drawn = self.candidates(key, n)
        written = drawn * float(self.counted.written.mean())
        read = 0.0 if key[1] is None else drawn * float(self.counted.read[key[1]].mean())
        return Paid(drawn, written, read, float(self.price.of(drawn, written, read)))

    def rows(self) -> tuple[CostRow, ...]:
        """Return every curve at every n."""
        found = []
        for key, table in self.curves.items():
            limits = self.bootstrap.intervals(table, self.resampled[key])
            for n, cell in zip(self.ns, limits, strict=True):
                metric = metric_name(key[0], n)
                found.append(CostRow(*key, metric, n, cell.value, cell.low, cell.high, self.paid(key, n)))
        return tuple(found)

    def reached(self, targets: Sequence[float]) -> tuple[Reached, ...]:
        """Return the smallest n, which is the cheapest, at which each curve is at least as high as each target."""
        found = []
        for target in targets:
            for key, table in self.curves.items():
                n = self._first_at(table.mean(axis=0), target)
                found.append(Reached(target, *key, n, None if n is None else self.paid(key, n)))
        return tuple(found)

    def _first_at(self, means: Floats, target: float) -> int | None:
        there = np.flatnonzero(means >= target - SAME)
        return self.ns[int(there[0])] if len(there) else None

    def worth(self, shown: Sequence[int]) -> tuple[Worth, ...]:
        """Return what every reward model is worth against majority at some n; nothing without majority."""
        if MAJORITY not in self.curves:
            return ()
        with_models = [(selector, model) for selector, model in self.curves if model is not None]
        return tuple(self._worth(selector, model, n) for selector, model in with_models for n in shown)

    def _worth(self, selector: str, model: str, n: int) -> Worth:
        key, column = (selector, model), self.ns.index(n)
        own, majority = self.curves[key][:, column], self.curves[MAJORITY]
        paid = self.paid(key, n)
        same = self._first_at(majority.mean(axis=0), float(own.mean()))
        at_same = None if same is None else self.paid(MAJORITY, same)
        if np.isnan(paid.cost):
            return Worth(selector, model, n, float(own.mean()), paid, same, at_same, None, None, None, None)
        even = max((each for each in self.ns if self.paid(MAJORITY, each).cost <= paid.cost * (1 + 1e-9)), default=None)
        difference: Interval | None = None
        even_value = None
        if even is not None:
            at = self.ns.index(even)
            even_value = float(majority[:, at].mean())
            paired = self.resampled[key][:, column] - self.resampled[MAJORITY][:, at]
            difference = self.bootstrap.difference(own, majority[:, at], paired, same=n == even == 1)
        cheaper = self._cheaper(key, n) if self.bootstrap.n > 1 else None
        return Worth(selector, model, n, float(own.mean()), paid, same, at_same, cheaper, even, even_value, difference)

    def _cheaper(self, key: CurveKey, n: int) -> float:
        """Return the share of resamples in which majority needs more for the same accuracy, or never gets there."""
        slots = np.stack([self.slot_costs(key[1]), self.slot_costs(None)], axis=1)
        own_slot, majority_slot = self.bootstrap.means(slots).T
        own = self.resampled[key][:, self.ns.index(n)]
        there = self.resampled[MAJORITY] >= own[:, None] - SAME
        needed = np.where(there.any(axis=1), np.array(self.ns, dtype=np.float64)[there.argmax(axis=1)], np.inf)
        # a majority that never gets there is no way, also where its candidates cost nothing
        there_for = np.where(np.isinf(needed), 0.0, needed) * majority_slot
        return float((np.isinf(needed) | (n * own_slot < there_for)).mean())
