"""The writer of step sets: solution by solution, and whole or not there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any

from prm_eval.errors import PrmEvalError
from prm_eval.pools.writer import PoolWriter
from prm_eval.records import Candidate, LabelKind, Problem, Solution, StepLabel
from prm_eval.stepsets.format import (
    DESCRIPTION,
    LABELS,
    LABELS_FILE,
    SOLUTIONS,
    SOLUTIONS_FILE,
    LabelSource,
    StepSetInfo,
    label_row,
    solution_row,
)
from prm_eval.stepsets.labels import fault_of
from prm_eval.stepsets.step_set import StepSet, is_labelled, labels_hash
from prm_eval.store.tables import TableWriter
from prm_eval.store.writing import write_json

BETWEEN = "\n\n"
"""What stands between the steps where a model reads a solution as one text: steps are often paragraphs."""


class StepSetWriter:
    """A writer of a step set; the folder gets its name only when it is complete.

    Args:
        path: The folder to make.
        name: The set's name.
        labels: What the labels say.
        label_source: Who made them.
        source: Files, revision, licence, format.
        policy: Who wrote the solutions, where it is one model.

    Raises:
        PrmEvalError: The folder exists and is not empty.
    """

    def __init__(
        self,
        path: Path,
        *,
        name: str,
        labels: LabelKind,
        label_source: LabelSource,
        source: Mapping[str, Any] | None = None,
        policy: Mapping[str, Any] | None = None,
    ) -> None:
        self._name, self._kind, self._label_source = name, labels, label_source
        self._source = dict(source or {})
        self._pool = PoolWriter(
            path,
            problem_set={"name": name},
            policy=dict(policy or {"id": None, "revision": None}),
            splitter="given",
            m=1,
            source=self._source,
        )
        self._solutions: list[Solution] = []
        self._labels: list[StepLabel] = []
        self._path = path
        self.dropped: Counter[str] = Counter()
        self.notes: list[str] = []
        self.step_set: StepSet | None = None

    @property
    def side_folder(self) -> Path:
        """The unfinished folder, for files that belong to the set (reward files)."""
        return self._pool.side_folder

    @property
    def solutions(self) -> Sequence[Solution]:
        """The solutions so far."""
        return self._solutions

    @property
    def labels(self) -> Sequence[StepLabel]:
        """Their labels."""
        return self._labels

    def add(self, solution: Solution, label: StepLabel) -> Candidate:
        """Add one solution with its label; return it as the candidate that a reward model is given.

        Raises:
            PrmEvalError: The id is there already, there is no step, or the label does not fit the steps.
        """
        if not solution.steps:
            raise PrmEvalError(f"solution {solution.solution_id!r} has no step")
        if solution.twin_id == solution.solution_id:
            raise PrmEvalError(f"solution {solution.solution_id!r} is its own twin; expected another solution's id")
        if (fault := fault_of(label, len(solution.steps), self._kind)) is not None:
            raise PrmEvalError(f"solution {solution.solution_id!r}: {fault}")
        candidate = candidate_of(solution)
        self._pool.add(Problem(solution.solution_id, solution.statement), [candidate])
        self._solutions.append(solution)
        self._labels.append(label)
        return candidate

    def pool_hash(self) -> str:
        """Return the content hash of the pool of what was added so far."""
        return self._pool.content_hash()

    def __enter__(self) -> StepSetWriter:
        self._pool.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            try:
                self._write_own_files()
            except BaseException as fault:
                self._pool.__exit__(type(fault), fault, fault.__traceback__)
                raise
        self._pool.__exit__(kind, error, trace)
        if error is None:
            self.step_set = StepSet(self._path)

    def _write_own_files(self) -> None:
        if not self._solutions:
            raise PrmEvalError("an empty step set: no solution was read")
        folder = self.side_folder
        with (
            TableWriter(folder / SOLUTIONS_FILE, SOLUTIONS, sync=False) as solutions,
            TableWriter(folder / LABELS_FILE, LABELS, sync=False) as labels,
        ):
            for solution, label in zip(self._solutions, self._labels, strict=True):
                solutions.add(solution_row(solution))
                labels.add(label_row(solution.solution_id, label))
        info = StepSetInfo(
            name=self._name,
            labels=self._kind,
            label_source=self._label_source,
            n_solutions=len(self._solutions),
            n_labelled=sum(map(is_labelled, self._labels)),
            pool_hash=self.pool_hash(),
            labels_hash=labels_hash(tuple(self._solutions), tuple(self._labels)),
            source=self._source,
            dropped=dict(sorted(self.dropped.items())),
            notes=tuple(self.notes),
        )
        write_json(folder / DESCRIPTION, asdict(info), sync=False)


def candidate_of(solution: Solution) -> Candidate:
    """Return a solution as the one candidate of a problem that has its id."""
    return Candidate(solution.solution_id, 0, BETWEEN.join(solution.steps), solution.steps)
