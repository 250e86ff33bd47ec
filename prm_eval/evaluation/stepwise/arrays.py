"""A labelled step set as arrays, read once for all rows that are measured on it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from prm_eval.records import LabelKind
from prm_eval.stepsets.step_set import StepSet

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

NO_ERROR = -1
UNKNOWN = -2
"""The first error of a solution of which nobody knows it; also the rating of a step that has none."""

Neutral = Literal["good", "bad", "out"]
"""What a neutral step counts as: good (openai's choice for the score, PRM800K), bad, or left out."""
NEUTRAL: tuple[Neutral, ...] = get_args(Neutral)


@dataclass(frozen=True)
class SetArrays:
    """The labels of S solutions with T steps in all, solution after solution.

    Attributes:
        name: The name of the set, or of the group of it that these solutions are.
        kind: What the labels say.
        ids: (S,) the solutions' ids.
        counts: (S,) the number of steps of each.
        lengths: (T,) characters of each step.
        first_error: (S,) the 0-based index of the first wrong step, -1 for none, :data:`UNKNOWN`.
        ratings: (T,) 1, 0, -1 or :data:`UNKNOWN`.
        problem: (S,) the index of the solution's problem, in order of first appearance.
        groups: The names of the groups, in order of first appearance; one empty name where the set has none.
        group: (S,) the index of the solution's group.
        twin: (S,) the index of the solution that this one was made from; -1 for none.
        final_correct: (S,) 1, 0, or NaN where nobody says.
    """

    name: str
    kind: LabelKind
    ids: tuple[str, ...]
    counts: Ints
    lengths: Ints
    first_error: Ints
    ratings: Ints
    problem: Ints
    groups: tuple[str, ...]
    group: Ints
    twin: Ints
    final_correct: Floats

    @property
    def n(self) -> int:
        """The number of solutions S."""
        return len(self.counts)

    @property
    def n_problems(self) -> int:
        """The number of problems, over which limits are."""
        return int(self.problem.max(initial=-1)) + 1

    @property
    def starts(self) -> Ints:
        """(S,) the place of each solution's first step."""
        result: Ints = np.cumsum(self.counts) - self.counts
        return result

    @property
    def owner(self) -> Ints:
        """(T,) the solution of each step."""
        return np.repeat(np.arange(self.n), self.counts)

    @property
    def index(self) -> Ints:
        """(T,) the 0-based index of each step within its solution."""
        result: Ints = np.arange(len(self.lengths)) - np.repeat(self.starts, self.counts)
        return result

    @property
    def wrong(self) -> Bools:
        """(S,) whether a solution is known to have a wrong step."""
        result: Bools = self.first_error >= 0
        return result

    @property
    def clean(self) -> Bools:
        """(S,) whether a solution is known to have none."""
        result: Bools = self.first_error == NO_ERROR
        return result

    def good(self, neutral: Neutral = "good") -> Floats:
        """Return (T,) 1 for a good step, 0 for a bad one, NaN for one that has no label or is left out."""
        of_neutral = {"good": 1.0, "bad": 0.0, "out": np.nan}[neutral]
        return np.select([self.ratings == 1, self.ratings == -1, self.ratings == 0], [1.0, 0.0, of_neutral], np.nan)

    def take(self, kept: Bools, name: str) -> SetArrays:
        """Return the solutions of a mask as a set of their own; problems are numbered anew."""
        steps = np.repeat(kept, self.counts)
        place = np.full(self.n + 1, -1)
        place[:-1][kept] = np.arange(int(kept.sum()))
        return replace(
            self,
            name=name,
            ids=tuple(each for each, keep in zip(self.ids, kept, strict=True) if keep),
            counts=self.counts[kept],
            lengths=self.lengths[steps],
            first_error=self.first_error[kept],
            ratings=self.ratings[steps],
            problem=_numbered(self.problem[kept]),
            group=self.group[kept],
            twin=place[self.twin[kept]],
            final_correct=self.final_correct[kept],
        )


def load_set(step_set: StepSet) -> SetArrays:
    """Return a step set as arrays.

    Raises:
        DataError: One of its files has a fault.
    """
    solutions, labels = step_set.solutions, step_set.labels
    place = {each.solution_id: row for row, each in enumerate(solutions)}
    problems: dict[str, int] = {}
    groups: dict[str, int] = {}
    ratings = [
        [UNKNOWN if rating is None else rating for rating in label.ratings or (None,) * len(solution.steps)]
        for solution, label in zip(solutions, labels, strict=True)
    ]
    return SetArrays(
        step_set.info.name,
        step_set.info.labels,
        tuple(place),
        np.array([len(each.steps) for each in solutions], dtype=np.int64),
        np.array([len(step) for each in solutions for step in each.steps], dtype=np.int64),
        np.array([UNKNOWN if each.first_error is None else each.first_error for each in labels], dtype=np.int64),
        np.array([rating for each in ratings for rating in each], dtype=np.int64),
        np.array([problems.setdefault(each.problem_id, len(problems)) for each in solutions], dtype=np.int64),
        tuple(dict.fromkeys(each.group or "" for each in solutions)),
        np.array([groups.setdefault(each.group or "", len(groups)) for each in solutions], dtype=np.int64),
        np.array([place.get(each.twin_id or "", -1) for each in solutions], dtype=np.int64),
        np.array([np.nan if each.final_correct is None else each.final_correct for each in labels], dtype=np.float64),
    )


def by_group(arrays: SetArrays) -> dict[str, SetArrays]:
    """Return the groups of a set, each as a set of its own; empty where the set has no groups."""
    if len(arrays.groups) < 2:
        return {}
    return {name: arrays.take(arrays.group == row, name) for row, name in enumerate(arrays.groups)}


def _numbered(values: Ints) -> Ints:
    """Return values as indices in order of first appearance."""
    _, first, inverse = np.unique(values, return_index=True, return_inverse=True)
    rank = np.empty(len(first), dtype=np.int64)
    rank[np.argsort(first, kind="stable")] = np.arange(len(first))
    return rank[inverse]
