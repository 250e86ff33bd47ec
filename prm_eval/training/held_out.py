"""The figures of a verifier on problems that it is not trained on, by the measures of ``prm-eval evaluate``.

For a PRM: how often a good step is put above a bad one (step AUC), and ProcessBench's F1 at a probability of 1/2. For
an ORM: how often a right solution is put above a wrong one. On a graded pool: best of n.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from prm_eval.evaluation.curves import default_ns
from prm_eval.evaluation.pool_arrays import PoolArrays, load_arrays
from prm_eval.evaluation.stats import ClusterBootstrap
from prm_eval.evaluation.stepwise.arrays import SetArrays
from prm_eval.evaluation.stepwise.locating import predictions, resampled_f1
from prm_eval.evaluation.stepwise.resampling import Estimate, area, estimate
from prm_eval.evaluation.stepwise.scores import HALF, StepScores
from prm_eval.evaluation.stepwise.separating import resampled_auc
from prm_eval.pools.pool import Pool
from prm_eval.records import ScoringItem
from prm_eval.rewards.aggregate import aggregate_all, as_probabilities
from prm_eval.rewards.inputs.rendered import Rendered
from prm_eval.rewards.recipes.recipe import Recipe
from prm_eval.selection.accuracies import best_of_n_table
from prm_eval.texts.steps import split_steps

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Read = Callable[[Sequence[Rendered]], list[tuple[float, ...]]]
"""A function that reads the network at the positions of rendered solutions."""
RESAMPLES = 1_000
MOST_N = 64


@dataclass
class HeldOutSteps:
    """Labelled solutions that are held out, for a PRM.

    Attributes:
        arrays: Their labels.
        rendered: Their inputs, refused ones among them.
        items: What a reward model is given of them.
    """

    arrays: SetArrays
    rendered: list[Rendered]
    items: list[ScoringItem]

    def scores(self, values: Sequence[tuple[float, ...]], name: str) -> StepScores:
        """Return the numbers of the steps, in order, as scores; NaN for a solution that was refused."""
        native = np.full(len(self.arrays.lengths), np.nan)
        for start, count, own in zip(self.arrays.starts, self.arrays.counts, values, strict=True):
            if own:
                native[start : start + count] = own
        return StepScores(name, "prm", as_probabilities(native, "logodds"), native, "logodds", None, HALF)

    def figures(self, values: Sequence[tuple[float, ...]]) -> dict[str, float]:
        """Return the figures of one evaluation."""
        scores = self.scores(values, "trained")
        bootstrap = ClusterBootstrap(max(1, self.arrays.n_problems), seed=0, resamples=1)
        auc = resampled_auc(scores, self.arrays, bootstrap, drawn=False).value
        f1 = resampled_f1(predictions(scores, self.arrays, HALF), self.arrays, bootstrap).value
        return _finite({"step_auc": auc, "processbench_f1": f1})


@dataclass
class HeldOutAnswers:
    """Graded solutions that are held out, for an ORM.

    Attributes:
        rendered: Their inputs.
        items: What a reward model is given of them.
        right: Whether each is right.
        problem: The problem of each, numbered.
    """

    rendered: list[Rendered] = field(default_factory=list)
    items: list[ScoringItem] = field(default_factory=list)
    right: list[float] = field(default_factory=list)
    problem: list[int] = field(default_factory=list)

    def auc(self, values: Sequence[tuple[float, ...]], *, limits: bool) -> Estimate:
        """Return how often a right solution is put above a wrong one."""
        used = [at for at, own in enumerate(values) if own]
        numbers = np.array([values[at][0] for at in used])
        right = np.array([self.right[at] for at in used])
        problem = np.array([self.problem[at] for at in used], dtype=np.int64)
        draws = RESAMPLES if limits else 1
        bootstrap = ClusterBootstrap(max(self.problem, default=0) + 1, seed=0, resamples=draws)
        return estimate(area(numbers, right, problem, bootstrap, drawn=limits), bootstrap, "one class only")

    def figures(self, values: Sequence[tuple[float, ...]]) -> dict[str, float]:
        """Return the figures of one evaluation."""
        found = self.auc(values, limits=False).value
        return {} if found is None else {"solution_auc": found}


class BestOfN:
    """A graded pool on which best of n is measured.

    Args:
        pool: The pool.
        grades: Whose grades.
        recipe: How the model is fed.
        render: Renders a solution.
        most: How many problems, the first ones.
    """

    def __init__(
        self, pool: Pool, grades: str, recipe: Recipe, render: Callable[[ScoringItem], Rendered], most: int
    ) -> None:
        self._recipe = recipe
        arrays: PoolArrays = load_arrays(pool, grades)
        self.n_problems = min(most, len(arrays.problems))
        kept = arrays.at < self.n_problems * arrays.info.m
        self._at = arrays.at[kept]
        self.shape = (self.n_problems, arrays.info.m)
        self._correct = arrays.correct[: self.n_problems]
        self._eligible = arrays.eligible[: self.n_problems]
        self.ns = tuple(n for n in default_ns(arrays.info.m) if n <= MOST_N)
        self.rendered: list[Rendered] = []
        splitter = recipe.splitter or pool.info.splitter
        for number, (problem, candidates) in enumerate(pool):
            if number == self.n_problems:
                break
            for each in candidates:
                steps = split_steps(each.text, splitter, each.steps) if recipe.kind == "prm" else (each.text,)
                self.rendered.append(render(ScoringItem(problem.statement, each.text, steps)))

    def figures(self, values: Sequence[tuple[float, ...]]) -> dict[str, float]:
        """Return best of n for the smallest n above 1 and the largest."""
        curve = self.curve(values)
        chosen = {self.ns[min(1, len(self.ns) - 1)], self.ns[-1]}
        return {f"bon@{n}": curve[n] for n in sorted(chosen)}

    def curve(self, values: Sequence[tuple[float, ...]]) -> dict[int, float]:
        """Return best of n at every n."""
        counts = np.array([max(1, len(own)) for own in values], dtype=np.int64)
        flat = np.array([number for own in values for number in (own or (np.nan,))])
        rewards = np.full(self.shape, np.nan).reshape(-1)
        aggregation = self._recipe.aggregation if self._recipe.kind == "prm" else "last"
        scored = np.array([bool(own) for own in values])
        if scored.any():
            kept = np.repeat(scored, counts)
            rewards[self._at[scored]] = aggregate_all(flat[kept], counts[scored], aggregation, "logodds")[0]
        table = np.where(self._eligible, rewards.reshape(self.shape), np.nan)
        means = best_of_n_table(table, self._correct, self.ns).mean(axis=0)
        return {n: float(mean) for n, mean in zip(self.ns, means, strict=True)}


@dataclass
class HeldOut:
    """All that is measured while a training runs.

    Attributes:
        data: Held-out solutions; None where nothing is held out.
        pool: A graded pool; None where none is given.
        most: The most held-out solutions that are read while it runs.
    """

    data: HeldOutSteps | HeldOutAnswers | None
    pool: BestOfN | None
    most: int

    @property
    def watched(self) -> str:
        """The figure by which the best weights are known."""
        if isinstance(self.data, HeldOutSteps):
            return "step_auc"
        return "solution_auc" if self.data is not None else f"bon@{self.pool.ns[-1]}" if self.pool else ""

    def figures(self, read: Read) -> dict[str, float]:
        """Return the figures of the network as it is."""
        found: dict[str, float] = {}
        if self.data is not None:
            found |= self.data.figures(_read_some(read, self.data.rendered, self.most))
        if self.pool is not None:
            found |= self.pool.figures(_read_some(read, self.pool.rendered, len(self.pool.rendered)))
        return found


def _read_some(read: Read, rendered: Sequence[Rendered], most: int) -> list[tuple[float, ...]]:
    """Return what is read of rendered solutions; nothing of refused ones, and of those beyond ``most``."""
    # evenly over all of them, so that every problem has its part
    step = max(1, -(-len(rendered) // most))
    asked = [at for at, one in enumerate(rendered) if one.refusal is None and at % step == 0]
    found: list[tuple[float, ...]] = [()] * len(rendered)
    for at, values in zip(asked, read([rendered[at] for at in asked]), strict=True):
        found[at] = values
    return found


def _finite(values: dict[str, Any]) -> dict[str, float]:
    return {name: float(value) for name, value in values.items() if np.isfinite(value)}
