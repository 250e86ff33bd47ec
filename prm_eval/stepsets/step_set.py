"""Step sets, opened for reading (the format: :mod:`prm_eval.stepsets.format`)."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

from prm_eval.errors import DataError
from prm_eval.pools.pool import Pool
from prm_eval.records import Solution, StepLabel
from prm_eval.stepsets.format import (
    DESCRIPTION,
    LABELS,
    LABELS_FILE,
    SOLUTIONS,
    SOLUTIONS_FILE,
    StepSetInfo,
    hash_of_rows,
    label_row,
    read_step_set_info,
    solution_row,
)
from prm_eval.stepsets.labels import fault_of
from prm_eval.store.tables import iter_table_rows


def is_step_set(path: str | Path) -> bool:
    """Say whether a folder is a step set."""
    return (Path(path) / DESCRIPTION).is_file()


class StepSet:
    """A step set on disk, opened for reading.

    Raises:
        DataError: There is none, or one of its descriptions is malformed, or the pool is not the one it was made with.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.info: StepSetInfo = read_step_set_info(self.path)
        self.pool = Pool(self.path)
        if self.pool.info.content_hash != self.info.pool_hash:
            raise DataError(
                self.path / DESCRIPTION,
                None,
                f"labels of the pool {self.info.pool_hash[:12]}",
                f"labels of the pool beside them ({self.pool.info.short_hash})",
            )
        if self.pool.info.m != 1 or self.pool.info.splitter != "given":
            found = f"{self.pool.info.m} slots, cut by {self.pool.info.splitter!r}"
            raise DataError(self.path / "pool.json", None, found, "one slot and given steps, as a step set has")

    @cached_property
    def solutions(self) -> tuple[Solution, ...]:
        """All solutions, in order.

        Raises:
            DataError: ``solutions.parquet`` is not of the pool's solutions.
        """
        path = self.path / SOLUTIONS_FILE
        rows = list(iter_table_rows(path, SOLUTIONS))
        found: list[Solution] = []
        for number, (problem, candidates) in enumerate(self.pool, 1):
            row = rows[number - 1] if number <= len(rows) else None
            if row is None or row["solution_id"] != problem.problem_id:
                there = "no row" if row is None else f"solution {row['solution_id']!r}"
                raise DataError(path, number, there, f"solution {problem.problem_id!r}, as in the pool")
            steps = candidates[0].steps if candidates else None
            if not steps:
                raise DataError(self.pool.candidates_path, number, "a solution without steps", "at least one step")
            fields = {name: value for name, value in row.items() if name not in ("solution_id", "remarks")}
            remarks = tuple(row["remarks"] or ())
            found.append(Solution(problem.problem_id, problem.statement, steps, **fields, remarks=remarks))
        if len(rows) > len(found):
            raise DataError(path, len(found) + 1, "rows beyond the pool's solutions", f"{len(found):,} rows")
        return tuple(found)

    @cached_property
    def labels(self) -> tuple[StepLabel, ...]:
        """The label of every solution, in order.

        Raises:
            DataError: ``labels.parquet`` is not of these solutions, or a label does not fit its solution's steps.
        """
        path = self.path / LABELS_FILE
        rows = list(iter_table_rows(path, LABELS))
        found: list[StepLabel] = []
        for number, (solution, row) in enumerate(zip(self.solutions, rows, strict=False), 1):
            if row["solution_id"] != solution.solution_id:
                wanted = f"solution {solution.solution_id!r}"
                raise DataError(path, number, f"solution {row['solution_id']!r}", wanted)
            label = stored_label(row)
            if (fault := fault_of(label, len(solution.steps), self.info.labels)) is not None:
                raise DataError(path, number, f"solution {solution.solution_id!r}: {fault.found}", fault.expected)
            found.append(label)
        if len(rows) != len(self.solutions):
            raise DataError(path, None, f"{len(rows):,} labels", f"{len(self.solutions):,}, one a solution")
        return tuple(found)

    def verify(self) -> list[str]:
        """Return the faults of the set in words, after computing again everything that its files claim."""
        faults = self.pool.verify()
        try:
            solutions, labels = self.solutions, self.labels
        except DataError as error:
            return [*faults, str(error)]
        digest = labels_hash(solutions, labels)
        if digest != self.info.labels_hash:
            faults.append(f"the hash of the labels is {digest}; {DESCRIPTION} says {self.info.labels_hash}")
        ids = {each.solution_id for each in solutions}
        faults += [
            f"solution {each.solution_id!r}: its twin {each.twin_id!r} is not in the set"
            for each in solutions
            if each.twin_id is not None and each.twin_id not in ids
        ]
        labelled = sum(is_labelled(label) for label in labels)
        for name, count, claimed in (
            ("solutions", len(solutions), self.info.n_solutions),
            ("labelled solutions", labelled, self.info.n_labelled),
        ):
            if count != claimed:
                faults.append(f"{count} {name}; {DESCRIPTION} says {claimed}")
        return faults

    def require_sound(self) -> StepSet:
        """Return the set, after checking that its content is what its descriptions say.

        Raises:
            DataError: It is not; the error names the first fault.
        """
        self.pool.require_sound()
        digest = labels_hash(self.solutions, self.labels)
        if digest != self.info.labels_hash:
            found = f"labels with the hash {digest[:12]}"
            raise DataError(self.path, None, found, f"{self.info.labels_hash[:12]}, as {DESCRIPTION} says")
        return self


def labels_hash(solutions: tuple[Solution, ...], labels: tuple[StepLabel, ...]) -> str:
    """Return the hash over the canonical records of solutions and labels, which no reward model reads."""
    pairs = zip(solutions, labels, strict=True)
    return hash_of_rows(
        {"label": label_row(solution.solution_id, label), "solution": solution_row(solution)}
        for solution, label in pairs
    )


def is_labelled(label: StepLabel) -> bool:
    """Say whether anything is known of a solution's steps."""
    rated = label.ratings is not None and any(rating is not None for rating in label.ratings)
    return label.first_error is not None or rated


def stored_label(row: dict[str, Any]) -> StepLabel:
    """Return the label of a row of a file of labels, unchecked."""
    ratings, soft = row["step_ratings"], row["step_soft"]
    return StepLabel(
        row["first_error"],
        None if ratings is None else tuple(ratings),
        None if soft is None else tuple(soft),
        row["final_correct"],
        row["source_label"],
    )
