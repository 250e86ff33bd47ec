"""Grading of a whole pool into its grades file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from prm_eval import plugins
from prm_eval.errors import DataError, PrmEvalError
from prm_eval.grading import Grader
from prm_eval.pools.format import GRADES, grade_columns
from prm_eval.pools.pool import Pool
from prm_eval.records import Candidate, GradeRow, Problem
from prm_eval.store.tables import TableWriter, open_table

DEFAULT = "default"


@dataclass(frozen=True)
class Disagreement:
    """A candidate on which two sources of grades differ about correctness."""

    problem: Problem
    slot: int
    ours: GradeRow
    theirs: GradeRow


def load_grader(name: str = DEFAULT) -> Grader:
    """Return a grader by name, with its options after a colon: ``default:rounded_decimals=4``.

    Raises:
        PrmEvalError: There is no such grader, or the plugin of that name is not one.
    """
    head, _, argument = name.partition(":")
    if argument and head in plugins.installed("grader"):
        try:
            grader = plugins.load("grader", head)(argument)
        except TypeError:
            raise PrmEvalError(f"the grader {head!r} takes no options, and {argument!r} was given") from None
    else:
        grader = plugins.load("grader", name)()
    if not isinstance(grader, Grader):
        raise PrmEvalError(f"{name!r} is not a grader: it needs a version and grade_problem(gold, texts, slots)")
    return grader


def grades_file(pool: Pool, name: str = DEFAULT, folder: Path | None = None) -> Path:
    """Return the path of the file with a grader's grades."""
    return (folder / pool.grades_path(source_of(name)).name) if folder else pool.grades_path(source_of(name))


def source_of(name: str) -> str:
    """Return the name of a grader's grades: "own" for ours without options."""
    return "own" if name == DEFAULT else name


def is_graded(pool: Pool, name: str = DEFAULT) -> bool:
    """Say whether the pool has grades of this grader at its present version."""
    path = grades_file(pool, name)
    if not path.is_file():
        return False
    first = next(open_table(path, GRADES).iter_batches(batch_size=1, columns=["grader"]), None)
    return first is not None and first.num_rows == 1 and first.column(0)[0].as_py() == load_grader(name).version


def is_grader(name: str) -> bool:
    """Say whether a name, with or without options, is that of an installed grader and not of stored grades."""
    return name.partition(":")[0] in plugins.installed("grader")


def grade_pool(
    pool: Pool, *, name: str = DEFAULT, folder: Path | None = None, progress: Callable[[int], None] | None = None
) -> Path:
    """Grade every candidate of a pool and write the grades file.

    Args:
        pool: The candidates.
        name: The grader.
        folder: Where the file goes; the pool's own folder by default.
        progress: Called with the number of problems done.

    Raises:
        DataError: A problem has no gold answer.
    """
    pool.require_gold()
    grader = load_grader(name)
    path = grades_file(pool, name, folder)
    path.parent.mkdir(parents=True, exist_ok=True)
    with TableWriter(path, GRADES) as table:
        for done, (problem, candidates) in enumerate(pool, 1):
            for candidate, row in zip(candidates, grade_problem(grader, pool, problem, candidates), strict=True):
                table.add(grade_columns(candidate, row, grader.version), size=100)
            if progress is not None:
                progress(done)
    return path


def grade_problem(grader: Grader, pool: Pool, problem: Problem, candidates: list[Candidate]) -> list[GradeRow]:
    """Return the grades of one problem's candidates.

    Raises:
        DataError: The problem has no gold answer.
    """
    if problem.gold is None:
        raise DataError(pool.path / "problems.parquet", None, f"no gold answer for {problem.problem_id!r}", "one")
    return grader.grade_problem(problem.gold, [each.text for each in candidates], [each.slot for each in candidates])


def disagreements(pool: Pool, theirs: str, ours: str = "own") -> Iterator[Disagreement]:
    """Yield the candidates that one source of grades calls correct and the other does not."""
    for (problem, mine), (_, other) in zip(pool.grades(ours), pool.grades(theirs), strict=True):
        for one, two in zip(mine, other, strict=True):
            if (one.grade == "correct") != (two.grade == "correct"):
                yield Disagreement(problem, one.slot, one, two)
