"""The writer of pools: problem by problem in bounded memory, and whole or not there."""

from __future__ import annotations

import errno
import hashlib
import shutil
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any

from prm_eval.errors import DataError, PrmEvalError
from prm_eval.pools.format import (
    CANDIDATES,
    GRADES,
    PROBLEMS,
    PoolInfo,
    grade_row,
    pool_hash,
    read_pool_info,
    software_versions,
)
from prm_eval.pools.pool import Pool
from prm_eval.records import Candidate, GradeRow, Problem
from prm_eval.store.jsonl import canonical_json, file_sha256
from prm_eval.store.tables import TableWriter
from prm_eval.store.writing import NewFolder, sync_folder, write_json
from prm_eval.texts.steps import SPLITTERS

DEFAULT_SPLITTER = "line"
"""The splitter of a pool that nobody gave another one."""


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
        splitter: str = DEFAULT_SPLITTER,
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
        self._last: tuple[str, list[str]] = ("", [])
        self._published: TableWriter | None = None
        self.pool: Pool | None = None

    def add(self, problem: Problem, candidates: Sequence[Candidate]) -> list[str]:
        """Add one problem with its candidates, slots rising; return their ids.

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
        rows = [candidate.canonical() for candidate in candidates]
        for row in rows:
            self._digest.update(canonical_json(row))
        columns = {name: [row[name] for row in rows] for name in CANDIDATES.names if name != "candidate_id"}
        columns["candidate_id"] = ids = [candidate.candidate_id for candidate in candidates]
        self._candidates.add_rows(columns, size=sum(len(text) * 2 + 100 for text in columns["text"]))
        self._largest = max(self._largest, last + 1)
        self._n_candidates += len(candidates)
        self._last = problem.problem_id, ids
        return ids

    def add_published(self, grades: Sequence[GradeRow]) -> None:
        """Add the source's own verdicts on the candidates of the problem added last, one each."""
        if self._published is None:
            self._published = TableWriter(self._folder / "grades-published.parquet", GRADES, sync=False)
        problem_id, ids = self._last
        rows = [grade_row(problem_id, one, row, "published") for one, row in zip(ids, grades, strict=True)]
        self._published.add_rows({name: [row[name] for row in rows] for name in GRADES.names}, size=100 * len(rows))

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
