"""Importers that make pools of other people's files: plain JSONL, PRM800K's scored samples, lm_eval's sample logs.

Every importer keeps one problem in memory at a time. The correctness labels of a file become published grades, and its
rewards become reward files; neither replaces grades and rewards of our own.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from prm_eval.errors import DataError, PrmEvalError
from prm_eval.importers import lm_eval_samples, plain, prm800k
from prm_eval.importers.common import ImportedProblem, Reader, RewardColumn
from prm_eval.pools.pool import Pool, PoolWriter
from prm_eval.records import StepRewards
from prm_eval.rewards.files.reward_file import RewardWriter
from prm_eval.rewards.files.reward_info import RewardInfo
from prm_eval.store.jsonl import file_sha256, read_jsonl

__all__ = ["FORMATS", "ImportReport", "detect_format", "import_pool"]


@dataclass(frozen=True)
class Format:
    """An importable format: how to recognise its first row, how to read it, its splitter and its number of slots."""

    recognise: Callable[[dict[str, object]], bool]
    reader: Callable[[Path], Reader]
    splitter: str
    slots: int | None
    describe: str


FORMATS = {
    "lm_eval": Format(
        lm_eval_samples.recognise, lm_eval_samples.SamplesReader, "line", None, "lm_eval samples_*.jsonl"
    ),
    "prm800k": Format(
        prm800k.recognise, prm800k.ScoredSamplesReader, "given", prm800k.SLOTS, "PRM800K scored-test-samples.jsonl"
    ),
    "plain": Format(
        plain.recognise, plain.PlainReader, "line", None, "one problem a line, with samples: [{text, ...}]"
    ),
}


@dataclass
class ImportReport:
    """The result of an import: the pool, every skipped row with the reason, and the fields that were not used."""

    pool: Pool
    skipped: list[str] = field(default_factory=list)
    ignored: dict[str, int] = field(default_factory=dict)


def detect_format(path: Path) -> str:
    """Return the name of the format of a file, by its first row.

    Raises:
        DataError: No format fits, or the file is empty.
    """
    for number, row in read_jsonl(path):
        for name, form in FORMATS.items():
            if form.recognise(row):
                return name
        raise DataError(
            path,
            number,
            f"fields {', '.join(sorted(row)) or 'none'}",
            "; or ".join(f"{n}: {f.describe}" for n, f in FORMATS.items()),
        )
    raise DataError(path, None, "an empty file", "at least one row")


def import_pool(
    path: Path,
    folder: Path | None,
    *,
    parent: Path | None = None,
    form: str = "auto",
    policy: str | None = None,
    slots: int | str = "max",
    splitter: str | None = None,
    skip_bad: bool = False,
    progress: Callable[[int], None] | None = None,
) -> ImportReport:
    """Turn a file into a pool.

    Args:
        path: The file; a ``.gz`` file is read without unpacking it first.
        folder: The pool to make; None names it by its content, under ``parent``.
        parent: See ``folder``.
        form: One of :data:`FORMATS`, or "auto".
        policy: Name of the model that wrote the candidates, where the file does not say.
        slots: M, as a number; or "max", the largest number of candidates of a problem (for PRM800K, 1,860); or "min",
            with which every slot is full and further candidates are left out.
        splitter: How candidates are cut; None means the steps of the file where every candidate has them, else the
            format's way.
        skip_bad: Whether problems with a fault are left out and reported; otherwise the first fault is an error.
        progress: Called with the number of problems done.

    Raises:
        DataError: A fault in the file, with its row.
        PrmEvalError: The folder is not empty, or an option has no meaning.
    """
    name = detect_format(path) if form == "auto" else form
    if name not in FORMATS:
        raise PrmEvalError(f"unknown format {form!r}; expected auto, {', '.join(FORMATS)}")
    chosen = FORMATS[name]
    reader = chosen.reader(path)
    cut = splitter or (reader.splitter() if isinstance(reader, plain.PlainReader) else None) or chosen.splitter
    skipped: list[str] = []
    ignored: dict[str, int] = {}
    m = _slots(reader, slots, chosen.slots, cut, skip_bad)
    writer = PoolWriter(
        folder,
        parent=parent,
        problem_set={"name": path.name},
        policy={"id": policy or reader.policy(), "revision": None},
        splitter=cut,
        m=m,
        sampling=reader.sampling(),
        source={"file": path.name, "format": name, "sha256": file_sha256(path)},
    )
    with writer:
        rewards = _RewardColumns(writer)
        for done, imported in enumerate(_problems(reader, cut, skip_bad, skipped), 1):
            kept = imported.first(m) if m is not None else imported
            for name in imported.ignored:
                ignored[name] = ignored.get(name, 0) + 1
            writer.add(kept.problem, kept.candidates)
            if kept.grades is not None:
                writer.add_published(kept.candidates, kept.grades)
            rewards.add(kept)
            if progress is not None:
                progress(done)
        rewards.close(writer.content_hash())
    if writer.pool is None:
        raise PrmEvalError("the pool was not written")
    return ImportReport(writer.pool, skipped, ignored)


def _slots(reader: Reader, slots: int | str, default: int | None, splitter: str, skip_bad: bool) -> int | None:
    if isinstance(slots, int) or slots.isdigit():
        if int(slots) < 1:
            raise PrmEvalError(f"slots = {slots}; expected at least 1")
        return int(slots)
    if slots == "max":
        return default
    if slots == "min":
        full = min((_filled(imported) for imported in _problems(reader, splitter, skip_bad, [])), default=0)
        if not full:
            raise PrmEvalError(
                "slots = min, but some problem has no candidate in its first slot; give a number, or max"
            )
        return full
    raise PrmEvalError(f"slots = {slots!r}; expected a number, max or min")


def _filled(imported: ImportedProblem) -> int:
    """Return the number of filled slots from the first on, up to the first missing one."""
    slots = [candidate.slot for candidate in imported.candidates]
    return next((n for n, slot in enumerate(slots) if n != slot), len(slots))


def _problems(reader: Reader, splitter: str, skip_bad: bool, skipped: list[str]) -> Iterator[ImportedProblem]:
    seen: dict[str, int] = {}
    for load in reader.problems(splitter):
        try:
            imported = load()
            problem_id = imported.problem.problem_id
            if problem_id in seen:
                raise DataError(
                    reader.path,
                    imported.row,
                    f"problem id {problem_id!r} again (first in row {seen[problem_id]})",
                    "unique ids",
                )
        except DataError as error:
            if not skip_bad:
                raise
            skipped.append(str(error))
            continue
        seen[problem_id] = imported.row
        yield imported


class _RewardColumns:
    """The reward files that are written beside a pool, with refusals for problems that lack a file's rewards."""

    def __init__(self, writer: PoolWriter) -> None:
        self._folder = writer.side_folder / "rewards"
        self._writers: dict[str, RewardWriter] = {}
        self._columns: dict[str, RewardColumn] = {}
        self._models: dict[str, dict[str, None]] = {}  # in order of appearance
        self._started = False

    def add(self, imported: ImportedProblem) -> None:
        """Write the rewards of one problem's candidates."""
        for name, column in imported.rewards.items():
            if name not in self._writers:
                if self._started:
                    raise DataError(
                        imported.path,
                        imported.row,
                        f"the field {name!r}, which earlier rows lack",
                        "the same reward fields in every row",
                    )
                self._writers[name] = RewardWriter(self._folder / name, single=column.score_type == "logodds")
                self._columns[name] = column
                self._models[name] = {}
            self._models[name][column.model or name] = None
        self._started = self._started or bool(imported.candidates)
        for name, writer in self._writers.items():
            values = imported.rewards[name].values if name in imported.rewards else (None,) * len(imported.candidates)
            for candidate, value in zip(imported.candidates, values, strict=True):
                writer.add(candidate, value or StepRewards((), refusal="not in the source"))

    def close(self, pool_hash: str) -> None:
        """Finish the reward files, now that the pool's hash is known."""
        for name, writer in self._writers.items():
            writer.__exit__(None, None, None)
            column = self._columns[name]
            model = " + ".join(self._models[name])
            writer.describe(
                RewardInfo(
                    name=model,
                    kind=column.kind,
                    score_type=column.score_type,
                    aggregation=column.aggregation,
                    splitter=None,
                    pool_hash=pool_hash,
                    model={"id": model, "field": name, "origin": "published"},
                )
            )
        if not self._writers:
            shutil.rmtree(self._folder, ignore_errors=True)
