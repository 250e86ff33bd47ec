"""Pools: the frozen candidates of one policy on one problem set (format: docs/design.md section 4).

A pool is a folder: ``pool.json``, ``problems.parquet``, ``candidates.parquet``; apart from them ``grades*.parquet`` and
``rewards/NAME/``. Candidates are in problem order, then slot order. Content hashes are over canonical records.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from prm_eval.errors import DataError, PrmEvalError
from prm_eval.pools.format import (
    CANDIDATES,
    GRADES,
    PROBLEMS,
    pool_hash,
    read_pool_info,
)
from prm_eval.pools.problem_sets import problems_hash
from prm_eval.records import Candidate, GradeRow, Problem
from prm_eval.store.jsonl import canonical_json, file_sha256
from prm_eval.store.tables import BlockReader, iter_batches, iter_blocks, open_table, read_rows, require_same_ids


class Pool:
    """A pool on disk, opened for reading.

    Raises:
        DataError: No pool there, or ``pool.json`` is malformed.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.info = read_pool_info(self.path)

    @cached_property
    def problems(self) -> dict[str, Problem]:
        """All problems by id, in order; a problem set fits in memory, while candidates may not."""
        reader = pa_rows(self.path / "problems.parquet", PROBLEMS)
        return {row["problem_id"]: Problem(**row) for row in reader}

    @property
    def candidates_path(self) -> Path:
        """The file of candidates."""
        return self.path / "candidates.parquet"

    def grades_path(self, source: str) -> Path:
        """Return the path of the grades file of a source: "own", "published" or a grader's name."""
        name = re.sub(r"[^\w.=+-]", "_", source)  # a grader's options, or a path of modules
        return self.path / ("grades.parquet" if source == "own" else f"grades-{name}.parquet")

    def require_grades(self, source: str) -> Path:
        """Return the grades file of a source.

        Raises:
            PrmEvalError: It is not there; the message lists those that are, or says why there can be none.
        """
        path = self.grades_path(source)
        if not path.is_file():
            names = {each.name: each.stem.partition("-")[2] or "own" for each in self.path.glob("grades*.parquet")}
            there = ", ".join(sorted(names.values())) or "none yet (prm-eval grade makes our own)"
            next_step = ""
            if not names and (lacking := self._lacking_gold()):
                there, next_step = (
                    f"none yet (prm-eval grade cannot make any: {lacking})",
                    f". {self._without_grades()}",
                )
            elif ":" in source:
                next_step = f". Make them with: prm-eval grade {self.path} --grader {source}"
            raise PrmEvalError(f"{self.path} has no grades named {source!r}; it has: {there}{next_step}")
        return path

    def without_gold(self) -> list[str]:
        """Return the ids of the problems that have no gold answer, such as proofs, in order."""
        return [name for name, problem in self.problems.items() if problem.gold is None]

    def require_gold(self) -> None:
        """Insist that every problem has a gold answer, without which nothing can be graded.

        Raises:
            DataError: One has none; says what can be done with such a pool.
        """
        if lacking := self._lacking_gold():
            hint = self._without_grades()
            raise DataError(self.path / "problems.parquet", None, lacking, "one, to grade by", hint)

    def _lacking_gold(self) -> str:
        """Return in words which problems have no gold answer; empty where all have one."""
        lacking = self.without_gold()
        if not lacking:
            return ""
        others = f" and {len(lacking) - 1:,} more of {len(self.problems):,}" if len(lacking) > 1 else ""
        return f"no gold answer for problem {lacking[0]!r}{others}"

    def _without_grades(self) -> str:
        """Return the next step with a pool that cannot be graded."""
        if self.grades_path("published").is_file():
            return f"Evaluate it by its source's grades: prm-eval evaluate {self.path} --grades published"
        return f"Candidates without grades can be ranked by rewards alone: prm-eval rank {self.path} REWARDS"

    def reward_folders(self) -> list[Path]:
        """Return the complete reward files stored in the pool, by name."""
        return sorted(path.parent for path in self.path.glob("rewards/*/submission.json"))

    def blocks(self, columns: list[str] | None = None) -> Iterator[tuple[Problem, pa.Table]]:
        """Yield every problem with the table of its candidates, in order.

        The table is empty where all slots are missing.

        Raises:
            DataError: Candidates of an unknown problem, or out of order.
        """
        reader = BlockReader(self.candidates_path, CANDIDATES, columns)
        for problem in self.problems.values():
            _, table = reader.take(problem.problem_id)
            yield problem, table
        reader.finish("problems.parquet")

    def __iter__(self) -> Iterator[tuple[Problem, list[Candidate]]]:
        """Yield every problem with its candidates in slot order, without the missing slots."""
        for problem, table in self.blocks():
            yield problem, [_candidate(row) for row in table.to_pylist()]

    def candidates(self, start: int, count: int) -> list[Candidate]:
        """Return ``count`` candidates from row ``start`` of the file on, without reading the rows before it.

        Raises:
            DataError: Not there, not Parquet, a column is missing, or there are too few rows.
        """
        table = read_rows(self.candidates_path, CANDIDATES, start, count)
        return [_candidate(row) for row in table.to_pylist()]

    def grades(self, source: str = "own") -> Iterator[tuple[Problem, list[GradeRow]]]:
        """Yield every problem with the grades of its candidates.

        Raises:
            DataError: The grades file is missing, or is not for these candidates.
        """
        reader = BlockReader(self.require_grades(source), GRADES)
        for problem, table in self.blocks(["problem_id", "candidate_id", "slot"]):
            row, grades = reader.take(problem.problem_id)
            require_same_ids(reader.path, row, grades, table, str(self.candidates_path))
            slots = table.column("slot").to_pylist()
            fields = grades.select(["answer", "answer_class", "grade", "rule"]).to_pylist()
            yield problem, [GradeRow(slot=slot, **values) for slot, values in zip(slots, fields, strict=True)]
        reader.finish("the pool")

    def require_sound(self) -> Pool:
        """Return the pool, after checking that its content is what ``pool.json`` says.

        Raises:
            DataError: It is not; the error names the first fault.
        """
        if self._is_unchanged():
            return self
        faults = self.verify()
        if faults:
            more = f" (and {len(faults) - 1} more: prm-eval pool verify)" if len(faults) > 1 else ""
            raise DataError(self.path, None, faults[0] + more, "the content that pool.json describes")
        return self

    def _is_unchanged(self) -> bool:
        """Say whether the files are as first written, and the numbers in ``pool.json`` are those of the files.

        Where no candidate is in the last slot, only the content hash can say that there are so many slots.
        """
        files = {name: self.path / name for name in self.info.files}
        if {"problems.parquet", "candidates.parquet"} - set(files):
            return False
        if not all(path.is_file() and file_sha256(path) == self.info.files[name] for name, path in files.items()):
            return False
        candidates = open_table(self.candidates_path, CANDIDATES)
        problems = open_table(self.path / "problems.parquet", PROBLEMS)
        counts = (problems.metadata.num_rows, candidates.metadata.num_rows)
        if counts != (self.info.n_problems, self.info.n_candidates):
            return False
        slots = (pc.max(batch.column(0)).as_py() for batch in iter_batches(self.candidates_path, CANDIDATES, ["slot"]))
        return max(slots, default=-1) == self.info.m - 1

    def verify(self) -> list[str]:
        """Return the faults of the pool in words, after computing again everything that ``pool.json`` claims."""
        faults: list[str] = []
        problems = list(self.problems.values())
        digest, n_candidates = hashlib.sha256(), 0
        for problem, candidates in self:
            last = -1
            for candidate in candidates:
                if not last < candidate.slot < self.info.m:
                    faults.append(
                        f"problem {problem.problem_id!r}: slot {candidate.slot} after {last}; expected rising slots "
                        f"below {self.info.m}"
                    )
                last = candidate.slot
                digest.update(canonical_json(candidate.canonical()))
                n_candidates += 1
        for problem, table in self.blocks(["problem_id", "candidate_id", "slot", "text"]):
            stored = table.column("candidate_id").to_pylist()
            for row, claimed in zip(table.to_pylist(), stored, strict=True):
                derived = Candidate(problem.problem_id, row["slot"], row["text"]).candidate_id
                if derived != claimed:
                    faults.append(
                        f"problem {problem.problem_id!r}: candidate id {claimed!r}; its slot and text give {derived!r}"
                    )
        if problems_hash(problems) != self.info.problem_set.get("content_hash"):
            faults.append(
                f"problems.parquet has hash {problems_hash(problems)}; pool.json says "
                f"{self.info.problem_set.get('content_hash')}"
            )
        for name, found, claimed in (
            ("problems", len(problems), self.info.n_problems),
            ("candidates", n_candidates, self.info.n_candidates),
        ):
            if found != claimed:
                faults.append(f"{found} {name}; pool.json says {claimed}")
        content_hash = pool_hash(problems_hash(problems), self.info.m, self.info.splitter, digest.hexdigest())
        if content_hash != self.info.content_hash:
            faults.append(f"the pool's content hash is {content_hash}; pool.json says {self.info.content_hash}")
        return faults


def pa_rows(path: Path, schema: pa.Schema) -> Iterator[dict[str, Any]]:
    """Yield the rows of a small Parquet file as dictionaries."""
    for _, _, table in iter_blocks(path, schema):
        yield from table.to_pylist()


def _candidate(row: dict[str, Any]) -> Candidate:
    steps = row["steps"]
    return Candidate(
        row["problem_id"],
        row["slot"],
        row["text"],
        None if steps is None else tuple(steps),
        row["n_tokens"],
        row["finish_reason"],
    )


def text_lengths(table: pa.Table) -> list[int]:
    """Return the length of each candidate in characters."""
    return list(pc.utf8_length(table.column("text")).to_pylist())
