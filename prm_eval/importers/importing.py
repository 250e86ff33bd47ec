"""The import itself: a source of a known format becomes a pool, with a report of what was done."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from prm_eval.errors import DataError, PrmEvalError
from prm_eval.importers.common import Format, ImportedProblem, Wanted, sound
from prm_eval.importers.loading import Load, loading
from prm_eval.importers.looks import Looks, statement_digest
from prm_eval.importers.registry import recognise
from prm_eval.importers.reward_columns import RewardColumns
from prm_eval.importers.runs import APART
from prm_eval.importers.score_types import Asked
from prm_eval.importers.sources import open_source
from prm_eval.pools.pool import Pool
from prm_eval.pools.writer import PoolWriter


@dataclass
class ImportReport:
    """The result of an import.

    Attributes:
        pool: The pool.
        format: The name of the format.
        recognised: Whether the format was recognised, not named.
        describe: What the format is, in one line.
        skipped: Every problem that was left out, with the reason.
        ignored: The fields that nothing reads, with the number of problems that have them.
        notes: What a reader of the pool should know, in words.
    """

    pool: Pool
    format: str = ""
    recognised: bool = True
    describe: str = ""
    skipped: list[str] = field(default_factory=list)
    ignored: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def import_pool(
    path: str | Path | Sequence[str | Path],
    folder: Path | None,
    *,
    parent: Path | None = None,
    form: str = "auto",
    policy: str | None = None,
    slots: int | str = "max",
    splitter: str | None = None,
    score_type: str | Sequence[str] | Mapping[str, str] | None = None,
    skip_bad: bool = False,
    jobs: int = 1,
    progress: Callable[[int], None] | None = None,
) -> ImportReport:
    """Turn a file into a pool.

    Args:
        path: A file, a folder, a glob, several of them, or ``hf://owner/dataset[:config[:split]][@revision]``; JSON
            lines, JSON arrays and Parquet, compressed with gzip or not.
        folder: The pool to make; None names it by its content, under ``parent``.
        parent: See ``folder``.
        form: One of :data:`FORMATS`, or "auto".
        policy: Name of the model that wrote the candidates, where the file does not say.
        slots: M, as a number; or "max", the largest number of candidates of a problem (for PRM800K, 1,860); or "min",
            with which every slot is full and further candidates are left out.
        splitter: How candidates are cut; None means the format's way.
        score_type: What the numbers of scores are: one of :data:`~prm_eval.importers.score_types.DECLARED`, or
            ``FIELD=TYPE``, one or several.
        skip_bad: Whether problems with a fault are left out and reported; otherwise the first fault is an error.
        jobs: The number of processes, for files that are worth starting several; the pool does not depend on it.
        progress: Called with the number of problems done.

    Raises:
        DataError: A fault in the file, with its row.
        PrmEvalError: The folder is not empty, or an option has no meaning.
    """
    wanted_scores = Asked(score_type)
    found = recognise(open_source(path), form)
    source, chosen = found.source, found.form
    cut = splitter or chosen.splitter_for(found.first_row)
    wanted = Wanted(cut, wanted_scores)
    reader = chosen.reader(source)
    skipped: list[str] = []
    m = _slots(reader.problems(wanted), slots, chosen, skip_bad)
    about = reader.about()
    writer = PoolWriter(
        folder,
        parent=parent,
        problem_set={"name": source.name},
        policy={"id": policy or sound(about.policy), "revision": None if policy else sound(about.revision)},
        splitter=cut,
        m=m,
        sampling=sound(about.sampling),
        source={**source.description(), "format": chosen.name, **sound(about.source)},
        again=True,
    )
    looks = Looks()
    with writer, loading(reader, source, wanted, jobs) as loads:
        rewards = RewardColumns(writer.side_folder / "rewards")
        for done, imported in enumerate(_problems(loads, skip_bad, skipped), 1):
            kept = imported.first(m) if m is not None else imported
            looks.add(kept)
            ids = writer.add(kept.problem, kept.candidates)
            if kept.grades is not None:
                writer.add_published(kept.grades)
            rewards.add(kept, ids)
            if progress is not None:
                progress(done)
        wanted_scores.require_used()
        rewards.close(writer.content_hash())
    if writer.pool is None:
        raise PrmEvalError("the pool was not written")
    unread = [name for name in found.left_out if Path(name).name != about.source.get("results")]
    left_out = [f"{_files(unread)} left out: of another shape"] if unread else []
    return ImportReport(
        writer.pool,
        chosen.name,
        form == "auto",
        chosen.describe,
        skipped,
        looks.ignored,
        [*left_out, *about.notes, *rewards.notes(), *looks.notes()],
    )


def _files(names: Sequence[str]) -> str:
    shown = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
    return f"{len(names):,} {'file' if len(names) == 1 else 'files'} ({shown})"


def _slots(loads: Iterable[Load], slots: int | str, form: Format, skip_bad: bool) -> int | None:
    if isinstance(slots, int) or slots.isdigit():
        if int(slots) < 1:
            raise PrmEvalError(f"slots = {slots}; expected at least 1")
        return int(slots)
    if slots == "max":
        return form.slots
    if slots == "min":
        full = min((_filled(imported) for imported in _problems(loads, skip_bad, [])), default=0)
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


def _problems(loads: Iterable[Load], skip_bad: bool, skipped: list[str]) -> Iterator[ImportedProblem]:
    seen: dict[str, tuple[Path, int]] = {}
    statements: dict[bytes, tuple[Path, int]] = {}
    labelled: bool | None = None
    for load in loads:
        try:
            imported = load()
            _require_new(imported, seen)
            _require_one_file(imported, statements)
            if imported.candidates:
                labelled = _require_same_labels(imported, labelled)
        except DataError as error:
            if not skip_bad:
                raise
            skipped.append(str(error))
            continue
        seen[imported.problem.problem_id] = (imported.path, imported.row)
        yield imported


def _require_new(imported: ImportedProblem, seen: Mapping[str, tuple[Path, int]]) -> None:
    problem_id = imported.problem.problem_id
    if problem_id in seen:
        path, row = seen[problem_id]
        place = f"row {row}" if path == imported.path else f"{path}, row {row}"
        hint = "" if path == imported.path else APART
        raise DataError(
            imported.path, imported.row, f"problem id {problem_id!r} again (first in {place})", "unique ids", hint
        )


def _require_one_file(imported: ImportedProblem, seen: dict[bytes, tuple[Path, int]]) -> None:
    """Refuse a problem that another file has: ids made of the files' names hide that these are two runs.

    Where the source has ids, two of them may stand for one statement, as questions do that differ in their choices.
    """
    if not imported.problem.problem_id.startswith(f"{imported.path.stem}/"):
        return
    path, row = seen.setdefault(statement_digest(imported.problem), (imported.path, imported.row))
    if path != imported.path:
        found = f"the statement of {path}, row {row}, in another file"
        raise DataError(imported.path, imported.row, found, "each problem in one file", APART)


def _require_same_labels(imported: ImportedProblem, labelled: bool | None) -> bool:
    """Return whether problems have labels, after checking that this one has them as the earlier ones do."""
    here = imported.grades is not None
    if labelled is not None and here != labelled:
        found = "labels, which earlier problems lack" if here else "no labels, which earlier problems have"
        raise DataError(imported.path, imported.row, found, "labels for every problem, or for none")
    return here


__all__ = ["ImportReport", "import_pool"]
