"""A graded pool as arrays, read once for all the reward models that are measured on it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from math import comb
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from prm_eval.evaluation.baselines import BASELINES
from prm_eval.evaluation.curves import GradedSlots, graded_slots, load_selectors, problem_curves
from prm_eval.pools.format import CANDIDATES, PoolInfo
from prm_eval.pools.pool import Pool
from prm_eval.records import Problem
from prm_eval.rewards.files.reward_file import RewardFile
from prm_eval.rewards.files.step_arrays import StepArrays, read_steps
from prm_eval.selection.accuracies import accuracy, best_of_n_table
from prm_eval.selection.selectors import ENUMERATION_LIMIT, Slots, WeightedMajority, all_subsets, problem_seed
from prm_eval.selection.voting import TIE, drawn_slots, right_elected
from prm_eval.store.tables import open_table
from prm_eval.texts.steps import split_steps

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class PoolArrays:
    """One pool with its grades.

    Attributes:
        pool: Where it lies.
        problems: P problems, in order.
        classes: (P, M) answer classes; -1 for a missing slot or no answer.
        correct: (P, M).
        lengths: (P, M) characters; NaN where the slot is missing.
        at: For each candidate, in the order of the file, its place in a flattened (P, M) table.
        ids: The candidates' problem ids and candidate ids, in the order of the file.
        step_counts: For each splitter, how many steps each candidate has.
    """

    pool: Pool
    problems: tuple[Problem, ...]
    classes: Ints
    correct: Bools
    lengths: Floats
    at: Ints
    ids: tuple[pa.ChunkedArray, pa.ChunkedArray]
    step_counts: dict[str, Ints] = field(default_factory=dict)

    @property
    def info(self) -> PoolInfo:
        """What ``pool.json`` says."""
        return self.pool.info

    @property
    def shape(self) -> tuple[int, int]:
        """(P, M)."""
        return len(self.problems), self.info.m

    @property
    def eligible(self) -> Bools:
        """(P, M): slots that can be chosen at all, present and with an answer."""
        result: Bools = self.classes >= 0
        return result

    def table(self, values: Floats) -> Floats:
        """Return (P, M) of one value a candidate; NaN for missing slots."""
        result = np.full(self.classes.size, np.nan)
        result[self.at] = values
        return result.reshape(self.shape)

    def prepare(self, splitters: Iterable[str]) -> None:
        """Cut all candidates with each of these splitters, for the numbers of steps."""
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
            DataError: It is for another one, or a row is not what it must be.
        """
        expected = np.ones(len(self.at), dtype=np.int64)
        if rewards.info.kind == "prm":
            splitter = rewards.info.splitter or self.info.splitter
            self.prepare([splitter])
            expected = self.step_counts[splitter]
        return read_steps(rewards, self.pool, self.ids, expected)


def load_arrays(pool: Pool, grades: str = "own") -> PoolArrays:
    """Read a pool and its grades.

    Raises:
        DataError: A fault in a file.
        PrmEvalError: There are no such grades.
    """
    walked = list(graded_slots(pool, grades, []))
    table = open_table(pool.candidates_path, CANDIDATES).read(columns=["problem_id", "candidate_id", "slot"])
    rows = {each.problem.problem_id: row for row, each in enumerate(walked)}
    of_problem = np.array([rows[name] for name in table.column("problem_id").to_pylist()], dtype=np.int64)
    return PoolArrays(
        pool,
        tuple(each.problem for each in walked),
        np.stack([each.classes for each in walked]),
        np.stack([each.correct for each in walked]),
        np.stack([each.lengths for each in walked]),
        of_problem * pool.info.m + table.column("slot").to_numpy().astype(np.int64),
        (table.column("problem_id"), table.column("candidate_id")),
    )


def baseline_curves(
    arrays: PoolArrays, ns: Sequence[int], *, seed: int, draws: int
) -> dict[str, tuple[Floats, Floats]]:
    """Return (P, len(ns)) accuracies, and their Monte-Carlo variances, of everything that needs no reward model."""
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
    """Return the weighted majority accuracies (models, P, len(ns)) of many reward models, and their Monte-Carlo variances.

    The same draws, ties and exact cases as :class:`~prm_eval.selection.selectors.WeightedMajority`, one model at a
    time; but every problem's draws are made once, for all models.

    Args:
        arrays: The pool.
        weights: (models, P, M); NaN where refused or missing.
        ns: Subset sizes.
        seed: As for ``prm-eval evaluate``.
        draws: Permutations a problem where the subsets are too many to enumerate.
    """
    n_problems, m = arrays.shape
    values, variances = np.zeros((2, len(weights), n_problems, len(ns)))
    for row, problem in enumerate(arrays.problems):
        own_seed = problem_seed(seed, problem.problem_id)
        member, right = arrays.classes[row], arrays.correct[row]
        votes = np.where(np.isfinite(weights[:, row]) & (member >= 0), weights[:, row], 0.0)
        least = np.where(votes > 0, votes, np.inf).min(axis=1)
        alike = (least == votes.max(axis=1)) | ~(votes > 0).any(axis=1)  # a plain vote, which has a form of its own
        for model in np.flatnonzero(alike):
            slots = Slots(member, weights[model, row], weights[model, row], arrays.lengths[row])
            found = accuracy(WeightedMajority().choose(slots, ns, seed=own_seed, draws=draws), right)
            values[model, row], variances[model, row] = found.values, found.variances
        if alike.all():
            continue
        columns = np.ascontiguousarray(votes[~alike].T)
        apart = not _nearly_tied(columns)
        for column, n in enumerate(ns):
            few = comb(m, n) <= ENUMERATION_LIMIT
            share = np.zeros(columns.shape[1])
            if right.any() and n == 2 and apart:  # of two votes the heavier one wins: best of 2 by weight
                keys = np.where(columns > 0, columns, np.nan).T
                share = best_of_n_table(keys, np.broadcast_to(right, keys.shape), [2])[:, 0]
            elif right.any():
                drawn = _all_draws(m, n) if few else drawn_slots(m, n, own_seed, draws)
                share = np.clip(right_elected(drawn, member, right, columns), 0.0, 1.0)
            values[~alike, row, column] = share
            if not few:
                smoothed = (share * draws + 1) / (draws + 2)  # as in prm_eval.selection.accuracies.accuracy
                variances[~alike, row, column] = smoothed * (1 - smoothed) / draws
    return values, variances


def _nearly_tied(weights: Floats) -> bool:
    """Say whether two weights of a column differ by so little that a vote calls them tied (:data:`prm_eval.selection.voting.TIE`)."""
    ordered = np.sort(weights, axis=0)
    gaps = np.diff(ordered, axis=0)
    return bool(((gaps > 0) & (gaps <= 2 * TIE * ordered[1:])).any())


@lru_cache(maxsize=64)
def _all_draws(m: int, n: int) -> Floats:
    return drawn_slots(m, n, 0, 0, all_subsets(m, n))


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
