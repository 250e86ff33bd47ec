"""A graded pool as arrays, read once for all the reward models that are measured on it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from prm_eval.evaluation.baselines import BASELINES
from prm_eval.evaluation.curves import GradedSlots, graded_slots, load_selectors, problem_curves
from prm_eval.grading.pool import DEFAULT, own_source, source_of
from prm_eval.pools.format import CANDIDATES, PoolInfo
from prm_eval.pools.pool import Pool
from prm_eval.records import Problem
from prm_eval.rewards.files.reward_file import RewardFile
from prm_eval.rewards.files.step_arrays import StepArrays
from prm_eval.selection.accuracies import monte_carlo_variance
from prm_eval.selection.selectors import problem_seed
from prm_eval.selection.voting import vote
from prm_eval.store.tables import read_columns
from prm_eval.texts.steps import split_steps

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class PoolArrays:
    """One pool with its grades.

    Attributes:
        pool: The pool itself.
        problems: P problems, in order.
        classes: (P, M) answer classes; -1 for a missing slot or no answer.
        correct: (P, M) flags.
        lengths: (P, M) characters; NaN where the slot is missing.
        at: The place of each candidate, in the order of the file, in a flattened (P, M) table.
        ids: The candidates' problem ids and candidate ids, in the order of the file.
        step_counts: The number of steps of each candidate, by splitter.
        written: The tokens that the policy wrote a slot, on average, none for a missing one; None where one
            candidate does not say.
        grades: The source of the grades.
    """

    pool: Pool
    problems: tuple[Problem, ...]
    classes: Ints
    correct: Bools
    lengths: Floats
    at: Ints
    ids: tuple[pa.ChunkedArray, pa.ChunkedArray]
    step_counts: dict[str, Ints] = field(default_factory=dict)
    written: float | None = None
    grades: str = "own"

    @property
    def info(self) -> PoolInfo:
        """The content of ``pool.json``."""
        return self.pool.info

    @property
    def grader(self) -> str:
        """The name of the grader with the options of the pool's task; "" where it has none."""
        return "" if self.grades == source_of(DEFAULT) else self.grades

    @property
    def shape(self) -> tuple[int, int]:
        """The shape (P, M)."""
        return len(self.problems), self.info.m

    @property
    def eligible(self) -> Bools:
        """(P, M) flags of the slots that can be chosen at all: present, with an answer."""
        result: Bools = self.classes >= 0
        return result

    @property
    def no_answer(self) -> int:
        """The number of candidates without an answer."""
        return int((~np.isnan(self.lengths) & ~self.eligible).sum())

    def table(self, values: Floats) -> Floats:
        """Return a (P, M) table of one value a candidate; NaN for missing slots."""
        result = np.full(self.classes.size, np.nan)
        result[self.at] = values
        return result.reshape(self.shape)

    def prepare(self, splitters: Iterable[str]) -> None:
        """Count the steps of all candidates by each of these splitters, once."""
        wanted = sorted(set(splitters) - set(self.step_counts))
        if not wanted:
            return
        counts: dict[str, list[int]] = {name: [] for name in wanted}
        for _, table in self.pool.blocks(["problem_id", "text", "steps"]):
            texts, given = table.column("text").to_pylist(), table.column("steps").to_pylist()
            for name in wanted:
                counts[name] += [len(split_steps(text, name, steps)) for text, steps in zip(texts, given, strict=True)]
        self.step_counts.update({name: np.array(each, dtype=np.int64) for name, each in counts.items()})

    def steps(self, rewards: RewardFile) -> StepArrays:
        """Read a reward file for this pool.

        Raises:
            DataError: The file is for another pool, or a row is malformed.
        """
        return rewards.read_whole(self.pool, self.ids, self._expected(rewards))

    def _expected(self, rewards: RewardFile) -> Ints:
        """Return the number of step rewards that a file has of each candidate that it does not refuse."""
        if rewards.info.kind != "prm":
            return np.ones(len(self.at), dtype=np.int64)
        splitter = rewards.info.splitter or self.info.splitter
        self.prepare([splitter])
        return self.step_counts[splitter]

    def scored_steps(self, rewards: RewardFile, table: Floats) -> Ints:
        """Return the number of steps of each candidate that has a reward in a (P, M) table; 0 for the others."""
        there = ~np.isnan(table.ravel()[self.at])
        return np.where(there, self._expected(rewards), 0)


def load_arrays(pool: Pool, grades: str | None = None) -> PoolArrays:
    """Read a pool and its grades; our own ones, with the options of its task, unless others are named.

    Raises:
        DataError: A file has a fault.
        PrmEvalError: There are no such grades.
    """
    grades = own_source(pool) if grades is None else grades
    walked = list(graded_slots(pool, grades, []))
    table = read_columns(pool.candidates_path, CANDIDATES, ["problem_id", "candidate_id", "slot", "n_tokens"])
    rows = {each.problem.problem_id: row for row, each in enumerate(walked)}
    own = table.column("n_tokens")
    of_problem = np.array([rows[name] for name in table.column("problem_id").to_pylist()], dtype=np.int64)
    return PoolArrays(
        pool,
        tuple(each.problem for each in walked),
        np.stack([each.classes for each in walked]),
        np.stack([each.correct for each in walked]),
        np.stack([each.lengths for each in walked]),
        of_problem * pool.info.m + table.column("slot").to_numpy().astype(np.int64),
        (table.column("problem_id"), table.column("candidate_id")),
        # as prm-eval cost has it: a draw may be of a missing slot, which costs nothing
        written=None if own.null_count or not len(own) else pc.sum(own).as_py() / (len(walked) * pool.info.m),
        grades=grades,
    )


def baseline_curves(
    arrays: PoolArrays, ns: Sequence[int], *, seed: int, draws: int
) -> dict[str, tuple[Floats, Floats]]:
    """Return (P, len(ns)) accuracies and Monte-Carlo variances of every baseline, by its selector's name."""
    selectors = load_selectors(tuple(BASELINES))
    found: dict[str, tuple[list[Floats], list[Floats]]] = {name: ([], []) for name in BASELINES}
    for row, problem in enumerate(arrays.problems):
        graded = GradedSlots(problem, arrays.classes[row], arrays.correct[row], arrays.lengths[row])
        for (name, _), each in problem_curves(graded, selectors, ns, seed=seed, draws=draws).items():
            found[name][0].append(each.values)
            found[name][1].append(each.variances)
    return {name: (np.stack(values), np.stack(variances)) for name, (values, variances) in found.items()}


def weighted_votes(
    arrays: PoolArrays, weights: Floats, ns: Sequence[int], *, seed: int, draws: int
) -> tuple[Floats, Floats]:
    """Return (models, P, len(ns)) weighted majority accuracies, and their Monte-Carlo variances.

    The vote is that of :class:`~prm_eval.selection.selectors.WeightedMajority`, held once a problem for all models.

    Args:
        arrays: The pool.
        weights: (models, P, M); NaN where refused or missing.
        ns: Subset sizes.
        seed: The seed, as for ``prm-eval evaluate``.
        draws: Permutations a problem where the subsets are too many to enumerate.
    """
    n_problems, _ = arrays.shape
    values, variances = np.zeros((2, len(weights), n_problems, len(ns)))
    for row, problem in enumerate(arrays.problems):
        member, right = arrays.classes[row], arrays.correct[row]
        is_right = np.zeros(int(member.max(initial=-1)) + 1, dtype=np.int64)
        is_right[member[right & (member >= 0)]] = 1
        votes = np.where(np.isfinite(weights[:, row]) & (member >= 0), weights[:, row], 0.0).T
        found = vote(member, votes, ns, seed=problem_seed(seed, problem.problem_id), draws=draws, party=is_right)
        if is_right.any():
            values[:, row] = found.shares[:, 1].T
        variances[:, row] = monte_carlo_variance(values[:, row], found.draws.T)
    return values, variances


def texts_of(arrays: PoolArrays, wanted: Iterable[tuple[int, int]]) -> dict[tuple[int, int], Mapping[str, Any]]:
    """Return the text and given steps of some candidates, by (row of the problem, slot)."""
    places = sorted(set(wanted))
    by_row: dict[int, list[int]] = {}
    for row, slot in places:
        by_row.setdefault(row, []).append(slot)
    found: dict[tuple[int, int], Mapping[str, Any]] = {}
    for row, (_, table) in enumerate(arrays.pool.blocks(["problem_id", "slot", "text", "steps"])):
        if row in by_row:
            slots = table.column("slot").to_pylist()
            for slot in by_row[row]:
                line = slots.index(slot)
                found[row, slot] = {
                    "text": table.column("text")[line].as_py(),
                    "steps": table.column("steps")[line].as_py(),
                }
    return found
