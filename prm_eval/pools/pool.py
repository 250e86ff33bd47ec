"""Pools: the frozen candidates of one policy on one problem set (format: docs/design.md section 4).

A pool is a folder: ``pool.json``, ``problems.parquet``, ``candidates.parquet``; apart from them ``grades*.parquet`` and
``rewards/NAME/``. Candidates are in problem order, then slot order. Content hashes are over canonical records.
"""

from __future__ import annotations

import errno
import hashlib
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from prm_eval.errors import DataError, PrmEvalError
from prm_eval.pools.format import (
    CANDIDATES,
    GRADES,
    PROBLEMS,
    PoolInfo,
    grade_columns,
    pool_hash,
    read_pool_info,
    software_versions,
)
from prm_eval.pools.problem_sets import problems_hash
from prm_eval.records import Candidate, GradeRow, Problem
from prm_eval.store.jsonl import canonical_json, file_sha256
from prm_eval.store.tables import BlockReader, TableWriter, iter_blocks, open_table, read_rows, require_same_ids
from prm_eval.store.writing import NewFolder, sync_folder, write_json
from prm_eval.texts.steps import SPLITTERS


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
        slots = (pc.max(batch.column(0)).as_py() for batch in candidates.iter_batches(columns=["slot"]))
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


class PoolWriter:
    """A writer of a pool, problem by problem in bounded memory; the folder gets its name only when it is complete.

    Args:
        path: The folder to make; None makes a folder under ``parent`` that is named after the content hash.
        parent: Where the folder goes when ``path`` is None; an equal pool that is already there is kept.
        m: Slots a problem; None means the largest number of candidates any problem has.
        splitter: How these candidates are cut into steps (:data:`prm_eval.texts.steps.SPLITTERS`).
        again: Whether the folder may hold the pool of an earlier call with the same arguments: one that was killed
            before it could say that it had finished. That pool is kept, if its candidates are the same.

    Raises:
        PrmEvalError: The folder exists and is not empty, or the splitter is unknown.
    """

    def __init__(
        self,
        path: Path | None,
        *,
        parent: Path | None = None,
        problem_set: dict[str, Any],
        policy: dict[str, Any],
        splitter: str = "line",
        m: int | None = None,
        sampling: dict[str, Any] | None = None,
        source: dict[str, Any] | None = None,
        again: bool = False,
    ) -> None:
        if splitter not in SPLITTERS:
            raise PrmEvalError(f"unknown splitter {splitter!r}; expected one of {', '.join(SPLITTERS)}")
        if path is not None and path.exists() and not path.is_dir():
            raise PrmEvalError(f"{path} is a file; a pool is a folder. Give another name.")
        self._fields: dict[str, Any] = {
            "problem_set": problem_set,
            "policy": policy,
            "sampling": sampling or {},
            "source": source or {},
            "splitter": splitter,
        }
        self._final, self._parent = path, (path.parent if path is not None else parent or Path())
        self._there = path if path is not None and again and self._is_of_these_arguments(path) else None
        if path is not None and self._there is None and path.exists() and any(path.iterdir()):
            raise PrmEvalError(f"{path} exists and is not empty. Give another folder, or remove it first.")
        self._parent.mkdir(parents=True, exist_ok=True)
        self._new = NewFolder(self._parent, "pool")
        self._folder = self._new.path
        self._m, self._largest = m, 0
        try:
            self._problems = TableWriter(self._folder / "problems.parquet", PROBLEMS, sync=False)
            self._candidates = TableWriter(self._folder / "candidates.parquet", CANDIDATES, sync=False)
        except BaseException:
            self._new.drop()
            raise
        self._problem_digest, self._digest = hashlib.sha256(), hashlib.sha256()
        self._seen: set[str] = set()
        self._n_candidates = 0
        self._published: TableWriter | None = None
        self.pool: Pool | None = None

    def add(self, problem: Problem, candidates: Sequence[Candidate]) -> None:
        """Add one problem with its candidates, slots rising.

        Raises:
            PrmEvalError: The problem is there already, or a slot is out of order or beyond M.
        """
        if problem.problem_id in self._seen:
            raise PrmEvalError(f"problem {problem.problem_id!r} comes twice; ids must be unique")
        self._seen.add(problem.problem_id)
        self._problem_digest.update(canonical_json(problem.canonical()))
        self._problems.add(problem.canonical(), size=len(problem.statement) + 100)
        last = -1
        for candidate in candidates:
            if candidate.slot <= last or (self._m is not None and candidate.slot >= self._m):
                raise PrmEvalError(
                    f"problem {problem.problem_id!r}: slot {candidate.slot} after slot {last}; expected rising slots"
                    + (f" below {self._m}" if self._m is not None else "")
                )
            last = candidate.slot
            row = candidate.canonical()
            self._digest.update(canonical_json(row))
            self._candidates.add({**row, "candidate_id": candidate.candidate_id}, size=len(candidate.text) * 2 + 100)
        self._largest = max(self._largest, last + 1)
        self._n_candidates += len(candidates)

    def add_published(self, candidates: Sequence[Candidate], grades: Sequence[GradeRow]) -> None:
        """Add the source's own verdicts on the candidates of the problem added last."""
        if self._published is None:
            self._published = TableWriter(self._folder / "grades-published.parquet", GRADES, sync=False)
        for candidate, row in zip(candidates, grades, strict=True):
            self._published.add(grade_columns(candidate, row, "published"))

    @property
    def side_folder(self) -> Path:
        """The unfinished folder, for files that belong to the pool (reward files)."""
        return self._folder

    def __enter__(self) -> PoolWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            with ExitStack() as tables:
                for table in (self._problems, self._candidates, self._published):
                    if table is not None:
                        tables.push(table.__exit__)
                if error is not None:
                    # every table is dropped, and the caller gets the error
                    raise error
            self._finish()
        finally:
            self._new.drop()

    def _is_of_these_arguments(self, path: Path) -> bool:
        """Say whether a folder holds a pool that was made with the arguments of this writer."""
        try:
            info = asdict(read_pool_info(path))
        except DataError:
            return False
        info["problem_set"].pop("content_hash", None)
        return all(info[name] == value for name, value in self._fields.items())

    def content_hash(self) -> str:
        """Return the hash of what was added so far."""
        m = self._m if self._m is not None else self._largest
        return pool_hash(self._problem_digest.hexdigest(), m, str(self._fields["splitter"]), self._digest.hexdigest())

    def _finish(self) -> None:
        m = self._m if self._m is not None else self._largest
        if not self._seen or m < 1:
            raise PrmEvalError("an empty pool: no problem has a candidate")
        fields: dict[str, Any] = dict(self._fields)
        fields["problem_set"] = {**fields["problem_set"], "content_hash": self._problem_digest.hexdigest()}
        info = PoolInfo(
            **fields,
            m=m,
            n_problems=len(self._seen),
            n_candidates=self._n_candidates,
            content_hash=self.content_hash(),
            files={name: file_sha256(self._folder / name) for name in ("problems.parquet", "candidates.parquet")},
            versions=software_versions("lm_eval", "transformers", "torch"),
        )
        write_json(self._folder / "pool.json", asdict(info), sync=False)
        final = self._final or self._parent / info.short_hash
        if self._final is None and (final / "pool.json").is_file():
            self._there = final
        if self._there is None:
            self._place(final)
        elif read_pool_info(self._there).content_hash == info.content_hash:
            # the same candidates are there already, with grades and rewards that were computed for them
            self._renew(self._there)
        else:
            raise PrmEvalError(f"{final} is another pool of that source. Give another folder, or remove it first.")
        self.pool = Pool(final)

    def _place(self, final: Path) -> None:
        try:
            self._new.keep(final)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
                raise
            raise PrmEvalError(f"{final} was made by another process meanwhile; give another folder") from None

    def _renew(self, final: Path) -> None:
        """Replace the source's labels and rewards of candidates, which the content hash does not cover."""
        published = self._folder / "grades-published.parquet"
        if published.is_file():
            published.replace(final / published.name)
        for rewards in sorted((self._folder / "rewards").glob("*")):
            shutil.rmtree(final / "rewards" / rewards.name, ignore_errors=True)
            (final / "rewards").mkdir(exist_ok=True)
            rewards.rename(final / "rewards" / rewards.name)
        sync_folder(final)


def text_lengths(table: pa.Table) -> list[int]:
    """Return the length of each candidate in characters."""
    return list(pc.utf8_length(table.column("text")).to_pylist())
