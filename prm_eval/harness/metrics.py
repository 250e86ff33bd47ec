"""The metrics of a run, under lm_eval's names: a filter a selector, and in each a number a problem."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from prm_eval.errors import PrmEvalError
from prm_eval.evaluation.curves import Evaluation, load_selectors
from prm_eval.evaluation.stats import SAME
from prm_eval.harness.options import DEFAULT_PIPELINES, ROLES, Options
from prm_eval.pools.pool import Pool
from prm_eval.records import Problem
from prm_eval.selection.k_measures import read_k_measures

# the filter that reports the k-measures, by the name of the option that asks for them
K_PIPELINE = "k_measures"
PIPELINE_SELECTORS = {
    "orm": "best_of_n",
    "prm": "best_of_n",
    "weighted_orm": "weighted_majority",
    "weighted_prm": "weighted_majority",
}
AHEAD, BEHIND = "ahead_of_", "behind_"
"""The names of the shares of problems on which a pipeline is ahead of another, or behind it."""


def choose_pipelines(options: Options) -> dict[str, tuple[str, str | None]]:
    """Return, for each filter pipeline, its selector and the role of the reward model it uses.

    Raises:
        PrmEvalError: A selector needs a reward model that is not there, or there is no such selector.
    """
    names = options.pipelines or tuple(
        name
        for name in DEFAULT_PIPELINES
        if name.rpartition("_")[2] not in ROLES or name.rpartition("_")[2] in options.models
    )
    chosen: dict[str, tuple[str, str | None]] = {}
    for name in names:
        role = name.rpartition("_")[2] if name.rpartition("_")[2] in ROLES else None
        selector = PIPELINE_SELECTORS.get(name) or (name.rpartition("_")[0] if role else name)
        loaded = load_selectors([selector])[selector]
        if loaded is not None and loaded.needs_rewards and role is None:
            raise PrmEvalError(f"the selector {name} needs rewards: name it {name}_prm or {name}_orm")
        if role is not None and role not in options.models:
            raise PrmEvalError(f"the selector {name} needs a reward model: --metadata {role}_model=...")
        chosen[name] = (selector, role)
    if K_PIPELINE in chosen:
        raise PrmEvalError(f"{K_PIPELINE} is no selector: ask for them by --metadata {K_PIPELINE}=all")
    return chosen


@dataclass(frozen=True)
class Metrics:
    """The metrics of a run.

    Attributes:
        pipelines: Selector and role of the reward model of each filter, as :func:`choose_pipelines` returns them.
        ns: Subset sizes.
        k_measures: Names of k-measures.
        breakdown: "subject", "level", or both: accuracies of the groups of problems.
    """

    pipelines: Mapping[str, tuple[str, str | None]]
    ns: tuple[int, ...]
    k_measures: tuple[str, ...]
    breakdown: tuple[str, ...]

    @property
    def filters(self) -> list[str]:
        """The names of the filters: the pipelines, and one for the k-measures where these are asked for."""
        return [*self.pipelines, *([K_PIPELINE] if self.k_measures else [])]

    def names(self, problems: Iterable[Problem]) -> list[str]:
        """Return the names of all metrics of a run on some problems."""
        names = [f"acc@{n}" for n in self.ns]
        names += [each.at(n) for each in read_k_measures(self.k_measures) for n in self.ns]
        for name in self.pipelines:
            for other in self._rivals(name):
                names += [each for each in (f"{AHEAD}{other}", f"{BEHIND}{other}") if each not in names]
        for problem in problems:
            names += [name for name in self._group_metrics(problem) if name not in names]
        return names

    def _group_metrics(self, problem: Problem) -> list[str]:
        """Return the names of a problem's group accuracies, such as ``acc@8:Algebra`` and ``acc@8:level_3``."""
        names = []
        if "subject" in self.breakdown and problem.subject:
            names.append(f"acc@{self.ns[-1]}:{problem.subject.replace(',', '')}")
        if "level" in self.breakdown and problem.level is not None:
            names.append(f"acc@{self.ns[-1]}:level_{problem.level}")
        return names

    def _rivals(self, pipeline: str) -> list[str]:
        """Return the pipelines that one with a reward model is compared to, problem by problem, at the largest n.

        lm_eval's groups take means alone, so that what they can carry of a sign test is its counts, as shares.
        """
        selector, role = self.pipelines[pipeline]
        if role is None or self.ns[-1] == 1:
            return []
        rivals = ["majority"] if "majority" in self.pipelines else []
        if pipeline == "prm" and self.pipelines.get("orm") == (selector, "orm"):
            rivals.append("orm")
        return rivals

    def of_problems(
        self, pool: Pool, found: Evaluation, labels: Mapping[str, str], *, grouped: bool
    ) -> dict[str, dict[str, dict[str, float]]]:
        """Return the metrics of every problem under every filter.

        Args:
            pool: The pool.
            found: Its evaluation.
            labels: The name of each role's rewards in it.
            grouped: Whether a problem has those of its subject and level; with several ranks lm_eval's gathering needs
                the same metrics on each.
        """
        result: dict[str, dict[str, dict[str, float]]] = {}
        curves = {
            name: found.curves.get((selector, labels[role] if role else None))
            for name, (selector, role) in self.pipelines.items()
        }
        others = {
            name: [(each, table) for each in self._rivals(name) if (table := curves[each]) is not None]
            for name in curves
        }
        for row, problem_id in enumerate(found.problem_ids):
            named: dict[str, dict[str, float]] = {}
            for name, table in curves.items():
                # a vote that is not available (see the notes of the table) has no number
                values = [math.nan] * len(self.ns) if table is None else table[row]
                named[name] = {f"acc@{n}": float(value) for n, value in zip(self.ns, values, strict=True)}
                for other, theirs in others[name]:
                    named[name] |= _sign(other, float(values[-1]), float(theirs[row, -1]))
                if grouped:
                    named[name] |= dict.fromkeys(self._group_metrics(pool.problems[problem_id]), float(values[-1]))
            if self.k_measures:
                named[K_PIPELINE] = self._k_measures(found, row)
            result[problem_id] = named
        return result

    def _k_measures(self, found: Evaluation, row: int) -> dict[str, float]:
        """Return the k-measures of one problem; one that is not available, as a vote without answers, has no number."""
        nothing = np.full((len(found.problem_ids), len(self.ns)), np.nan)
        return {
            each.at(n): float(value)
            for each in read_k_measures(self.k_measures)
            for n, value in zip(self.ns, found.k_measures.curves.get(each.name, nothing)[row], strict=True)
        }


def _sign(other: str, own: float, theirs: float) -> dict[str, float]:
    """Return whether a pipeline is ahead of another on one problem, and whether it is behind."""
    ahead, behind = own - theirs > SAME, theirs - own > SAME
    return {f"{AHEAD}{other}": float(ahead), f"{BEHIND}{other}": float(behind)}
