"""The summary of accuracy curves: means with limits, groups, paired differences, rank ranges."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from prm_eval.evaluation.stats import GROUP_RESAMPLES, SAME, SIGN_FLIPS, ClusterBootstrap, rank_ranges, sign_flip_p
from prm_eval.records import Problem

Floats = npt.NDArray[np.float64]
# (selector, reward model)
CurveKey = tuple[str, str | None]

ORACLE = "oracle"
# What every reward model is compared to: the first candidate drawn, which is what picking at random gives; the vote.
CHANCE: CurveKey = ("first", None)
MAJORITY: CurveKey = ("majority", None)
METRIC_NAMES = {"majority": "maj", "best_of_n": "bon", "weighted_majority": "wmaj", ORACLE: "pass"}


@dataclass(frozen=True)
class Row:
    """One accuracy: a selector, a reward model where it needs one, n, and the mean over problems with its limits."""

    selector: str
    reward_model: str | None
    metric: str
    n: int
    value: float
    low: float
    high: float
    method: str
    mc_se: float
    n_problems: int


@dataclass(frozen=True)
class GroupRow:
    """An accuracy within a subject or level, at the largest n."""

    by: str
    group: str
    selector: str
    reward_model: str | None
    n: int
    value: float
    low: float
    high: float
    n_problems: int


@dataclass(frozen=True)
class Difference:
    """A paired difference of two accuracies at one n, with its limits and sign-flip p-value.

    Attributes:
        differing: The number of problems on which the two differ at all.
    """

    selector: str
    reward_model: str | None
    minus_selector: str
    minus_reward_model: str | None
    n: int
    value: float
    low: float
    high: float
    p: float
    differing: int


@dataclass(frozen=True)
class Rank:
    """The range of ranks of a reward model among those evaluated, by one selector at one n."""

    selector: str
    reward_model: str
    n: int
    best: int
    worst: int


class Summary:
    """Means, limits, differences and ranks of all curves from one set of resampled problems."""

    def __init__(
        self,
        curves: dict[CurveKey, Floats],
        variances: dict[CurveKey, Floats],
        ns: tuple[int, ...],
        problems: list[Problem],
        seed: int,
        level: float,
        resamples: int,
    ) -> None:
        self.curves, self.variances, self.ns, self.problems = curves, variances, ns, problems
        self.seed, self.level, self.resample_count = seed, level, resamples
        self.bootstrap = ClusterBootstrap(len(problems), seed=seed, level=level, resamples=resamples)
        together = self.bootstrap.means(np.concatenate(list(curves.values()), axis=1))
        width = len(ns)
        self.resampled = {key: together[:, i * width : (i + 1) * width] for i, key in enumerate(curves)}

    def rows(self) -> list[Row]:
        """Return every accuracy with its limits."""
        rows: list[Row] = []
        for (selector, model), table in self.curves.items():
            limits = self.bootstrap.intervals(table, self.resampled[selector, model])
            noise = np.sqrt(self.variances[selector, model].sum(axis=0)) / len(table)
            for column, n in enumerate(self.ns):
                method = "monte_carlo" if noise[column] > 0 else "exact"
                cell = limits[column]
                rows.append(
                    Row(
                        selector,
                        model,
                        metric_name(selector, n),
                        n,
                        cell.value,
                        cell.low,
                        cell.high,
                        method,
                        float(noise[column]),
                        len(table),
                    )
                )
        return rows

    def groups(self) -> list[GroupRow]:
        """Return the accuracies of subjects and levels at the largest n."""
        rows: list[GroupRow] = []
        n, last = self.ns[-1], len(self.ns) - 1
        for by in ("subject", "level"):
            labels = [getattr(problem, by) for problem in self.problems]
            known = sorted({label for label in labels if label is not None})
            for label in known if len(known) > 1 else []:
                members = np.array([each == label for each in labels])
                stack = np.stack([table[members, last] for table in self.curves.values()], axis=1)
                bootstrap = ClusterBootstrap(
                    int(members.sum()),
                    seed=self.seed,
                    level=self.level,
                    resamples=min(GROUP_RESAMPLES, self.resample_count),
                )
                for (selector, model), cell in zip(self.curves, bootstrap.intervals(stack), strict=True):
                    rows.append(
                        GroupRow(
                            by, str(label), selector, model, n, cell.value, cell.low, cell.high, int(members.sum())
                        )
                    )
        return rows

    def differences(self) -> list[Difference]:
        """Compare every curve with rewards to chance and to majority, and reward models by pairs under one selector."""
        with_rewards = [key for key in self.curves if key[1] is not None]
        fixed: list[CurveKey] = [key for key in (CHANCE, MAJORITY) if key in self.curves]
        pairs: list[tuple[CurveKey, CurveKey]] = [(key, other) for key in with_rewards for other in fixed]
        pairs += [
            (one, other) for i, one in enumerate(with_rewards) for other in with_rewards[:i] if one[0] == other[0]
        ]
        rows: list[Difference] = []
        for one, other in pairs:
            for column, n in enumerate(self.ns):
                a, b = self.curves[one][:, column], self.curves[other][:, column]
                cell = self.bootstrap.difference(
                    a, b, self.resampled[one][:, column] - self.resampled[other][:, column], same=n == 1
                )
                p = sign_flip_p(a - b, seed=self.seed, resamples=min(SIGN_FLIPS, self.resample_count))
                differing = int((np.abs(a - b) > SAME).sum())
                rows.append(Difference(*one, *other, n, cell.value, cell.low, cell.high, p, differing))
        return rows

    def ranks(self) -> list[Rank]:
        """Return rank ranges of the reward models, for every selector and n that has two or more."""
        rows: list[Rank] = []
        for selector in dict.fromkeys(selector for selector, model in self.curves if model is not None):
            models = [model for each, model in self.curves if each == selector and model is not None]
            if len(models) < 2:
                continue
            for column, n in enumerate(self.ns):
                values = np.stack([self.curves[selector, model][:, column] for model in models], axis=1)
                resampled = np.stack([self.resampled[selector, model][:, column] for model in models], axis=1)
                for model, (best, worst) in zip(models, rank_ranges(values, resampled, self.bootstrap), strict=True):
                    rows.append(Rank(selector, model, n, best, worst))
        return rows


def metric_name(selector: str, n: int) -> str:
    """Return the common name of an accuracy in the field: mean@1, pass@n, maj@n, bon@n, wmaj@n."""
    return "mean@1" if selector == "first" else f"{METRIC_NAMES.get(selector, selector)}@{n}"
