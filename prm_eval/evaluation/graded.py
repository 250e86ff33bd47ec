"""A pool with its grades and rewards, problem by problem, ready for selection."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from prm_eval.errors import DataError, PrmEvalError
from prm_eval.pools.format import GRADES
from prm_eval.pools.pool import Pool, text_lengths
from prm_eval.records import VERDICTS, Problem
from prm_eval.rewards.files.reward_file import NamedRewards, RewardFile
from prm_eval.rewards.files.step_arrays import StepArrays
from prm_eval.store.tables import BlockReader, require_same_ids

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class RewardArrays:
    """The rewards of one problem's M slots by one reward model; NaN where missing or refused."""

    rewards: Floats
    weights: Floats


@dataclass(frozen=True)
class GradedSlots:
    """One problem, ready for selection: M classes (-1: no answer), M correctness flags, M lengths (NaN: missing)."""

    problem: Problem
    classes: npt.NDArray[np.int64]
    correct: npt.NDArray[np.bool_]
    lengths: Floats
    rewards: dict[str, RewardArrays] = field(default_factory=dict)

    @property
    def present(self) -> npt.NDArray[np.bool_]:
        """M flags of the slots that have a candidate."""
        return ~np.isnan(self.lengths)

    @property
    def unanswered(self) -> npt.NDArray[np.bool_]:
        """M flags of the candidates without an answer."""
        return self.present & (self.classes < 0)


@dataclass(frozen=True)
class GradedSteps:
    """One problem with its grades, and with the step rewards of every reward model, before any aggregation.

    Attributes:
        graded: The problem's M slots, without rewards.
        at: The slot of each candidate that is present, rising.
        steps: The step rewards of these candidates, by reward model.
    """

    graded: GradedSlots
    at: npt.NDArray[np.int64]
    steps: dict[str, StepArrays]


def graded_slots(pool: Pool, grades: str, rewards: Sequence[NamedRewards | RewardFile]) -> Iterator[GradedSlots]:
    """Yield the problems of a pool with grades and aggregated rewards, one problem in memory at a time.

    Raises:
        DataError: Grades or rewards are not of this pool, or are malformed.
        PrmEvalError: An aggregate is not finite, or not defined.
    """
    named = named_apart(rewards)
    files = {each.label: each.file for each in named}
    for each in graded_steps(pool, grades, named):
        yield aggregated(each, files)


def aggregated(each: GradedSteps, files: Mapping[str, RewardFile]) -> GradedSlots:
    """Return the slots of one problem with the aggregated rewards of every reward model.

    Raises:
        PrmEvalError: The aggregation of a file is not defined for its numbers.
    """
    m = len(each.graded.classes)
    rewards = {}
    for label, steps in each.steps.items():
        file = files[label]
        try:
            found, weights = steps.aggregated(file.aggregation, file.info.score_type)
        except PrmEvalError as error:
            raise PrmEvalError(f"{file.folder}, problem {each.graded.problem.problem_id!r}: {error}") from None
        rewards[label] = RewardArrays(_spread(found, each.at, m), _spread(weights, each.at, m))
    return replace(each.graded, rewards=rewards)


def graded_steps(pool: Pool, grades: str, rewards: Sequence[NamedRewards]) -> Iterator[GradedSteps]:
    """Yield the problems of a pool with grades and step rewards, one problem in memory at a time.

    Raises:
        DataError: Grades or rewards are not of this pool, or are malformed.
        PrmEvalError: Two reward files have the same label.
    """
    m = pool.info.m
    grade_reader = BlockReader(
        pool.require_grades(grades), GRADES, ["problem_id", "candidate_id", "answer_class", "grade"]
    )
    readers = {each.label: each.file.reader(pool) for each in rewards}
    if len(readers) < len(rewards):
        raise PrmEvalError(f"reward files of the same name: {', '.join(each.label for each in rewards)}")
    for problem, table in pool.blocks(["problem_id", "candidate_id", "slot", "text", "steps"]):
        first, rows = grade_reader.take(problem.problem_id)
        require_same_ids(grade_reader.path, first, rows, table, str(pool.candidates_path))
        at = table.column("slot").to_numpy().astype(np.int64)
        if len(at) and (at[0] < 0 or at[-1] >= m or (np.diff(at) <= 0).any()):
            raise PrmEvalError(f"{pool.path}: the slots of problem {problem.problem_id!r} are not rising below M = {m}")
        graded = GradedSlots(
            problem, *_grade_arrays(rows, at, m, grade_reader, first), _spread(text_lengths(table), at, m)
        )
        yield GradedSteps(graded, at, {label: reader.take(problem, table) for label, reader in readers.items()})
    grade_reader.finish("the pool")
    for reader in readers.values():
        reader.finish()


def _grade_arrays(
    rows: pa.Table, at: npt.NDArray[np.int64], m: int, reader: BlockReader, first: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    classes, correct = np.full(m, -1, dtype=np.int64), np.zeros(m, dtype=bool)
    pairs = zip(at, rows.column("answer_class").to_pylist(), rows.column("grade").to_pylist(), strict=True)
    for offset, (slot, answer_class, grade) in enumerate(pairs):
        if grade not in VERDICTS:
            raise DataError(reader.path, first + offset, f"grade {grade!r}", f"one of {', '.join(VERDICTS)}")
        if answer_class is not None:
            classes[slot] = answer_class
        elif grade != "no_answer":
            raise DataError(reader.path, first + offset, f"grade {grade!r} without an answer class", "a class")
        correct[slot] = grade == "correct"
    return classes, correct


def _spread(values: Sequence[float] | Floats, at: npt.NDArray[np.int64], m: int) -> Floats:
    result = np.full(m, np.nan)
    result[at] = values
    return result


def named_apart(rewards: Sequence[NamedRewards | RewardFile | str | Path]) -> list[NamedRewards]:
    """Return reward files with their names for tables: where two have the same name, the folder's is added.

    Raises:
        PrmEvalError: The same rewards are given twice.
        DataError: There are no rewards at one of the paths.
    """
    opened = [RewardFile(each) if isinstance(each, (str, Path)) else each for each in rewards]
    named = [NamedRewards(each.name, each) if isinstance(each, RewardFile) else each for each in opened]
    labels = Counter(each.label for each in named)
    told = [
        replace(each, label=f"{each.label} ({each.file.folder.name})") if labels[each.label] > 1 else each
        for each in named
    ]
    for label, count in Counter(each.label for each in told).items():
        if count > 1:
            folders = ", ".join(str(each.file.folder) for each in told if each.label == label)
            raise PrmEvalError(f"two reward files are named {label!r}: {folders}")
    return told
