"""Grading of a whole pool into its grades file."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from prm_eval import plugins
from prm_eval.children.workers import block_size, in_blocks, workers, worth
from prm_eval.errors import DataError, PrmEvalError
from prm_eval.grading import Grader
from prm_eval.pools.format import GRADES
from prm_eval.pools.pool import Pool
from prm_eval.records import GradeRow, Problem
from prm_eval.store.tables import TableWriter, iter_batches

DEFAULT = "default"
# candidates whose grading takes as long as the start of a process
CANDIDATES_A_PROCESS = 20_000
# candidates that are graded at a time
CANDIDATES_A_BLOCK = 1_000
OPTIONS = re.compile("[a-z0-9_=+]{1,200}")  # they are stored in pools, and name files


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
        PrmEvalError: There is no such grader, the plugin of that name is not one, or the options are none.
    """
    head, _, argument = name.partition(":")
    if argument and head == DEFAULT and not OPTIONS.fullmatch(argument):
        raise PrmEvalError(f"grading options {argument[:200]!r}; expected OPTION=VALUE, joined by plus signs")
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


def own_grader(pool: Pool) -> str:
    """Return the name of our grader, with the options that a pool's problem set has.

    The task of a set may state such options (``pool.json``, ``problem_set.grader``). A stranger's pool may choose among
    them, but not what is loaded here: the name of another grader is passed over.

    Raises:
        DataError: They are no options of our grader.
    """
    said = pool.info.problem_set.get("grader")
    if not isinstance(said, str) or not said.startswith(f"{DEFAULT}:"):
        return DEFAULT
    try:
        load_grader(said)
    except PrmEvalError as error:
        what = f"problem_set.grader = {said[:200]!r}"
        raise DataError(pool.path / "pool.json", None, what, f"options of our grader ({error})") from None
    return said


def own_source(pool: Pool) -> str:
    """Return the source of our own grades of a pool: of our grader, with the options that its problem set has."""
    return source_of(own_grader(pool))


def is_graded(pool: Pool, name: str = DEFAULT) -> bool:
    """Say whether the pool has grades of this grader at its present version."""
    path = grades_file(pool, name)
    if not path.is_file():
        return False
    first = next(iter_batches(path, GRADES, ["grader"], 1), None)
    return first is not None and first.num_rows == 1 and first.column(0)[0].as_py() == load_grader(name).version


def is_grader(name: str) -> bool:
    """Say whether a name, with or without options, is that of an installed grader and not of stored grades."""
    return name.partition(":")[0] in plugins.installed("grader")


def grade_pool(
    pool: Pool,
    *,
    name: str = DEFAULT,
    folder: Path | None = None,
    jobs: int = 1,
    progress: Callable[[int], None] | None = None,
) -> Path:
    """Grade every candidate of a pool and write the grades file.

    Args:
        pool: The candidates.
        name: The grader.
        folder: Where the file goes; the pool's own folder by default.
        jobs: The number of processes, for a pool that is worth starting several; the grades do not depend on it.
        progress: Called with the number of problems done.

    Raises:
        DataError: A problem has no gold answer.
    """
    pool.require_gold()
    version = load_grader(name).version
    path = grades_file(pool, name, folder)
    path.parent.mkdir(parents=True, exist_ok=True)
    jobs = worth(jobs, pool.info.n_candidates, CANDIDATES_A_PROCESS)
    shared = _Grading(name)
    blocks = in_blocks(_ungraded(pool), block_size(jobs, CANDIDATES_A_BLOCK, pool.info.m))
    done = 0
    with workers(shared, jobs) as crew, TableWriter(path, GRADES) as table:
        for block in crew.map(_graded, blocks):
            for columns in block:
                count = len(columns["grade"])
                table.add_rows({**columns, "grader": [version] * count}, size=100 * count)
            done += len(block)
            if progress is not None:
                progress(done)
    return path


@dataclass(frozen=True)
class _Ungraded:
    """The candidates of one problem."""

    problem: Problem
    ids: list[str]
    texts: list[str]
    slots: list[int]


def _ungraded(pool: Pool) -> Iterator[_Ungraded]:
    for problem, table in pool.blocks(["problem_id", "candidate_id", "slot", "text"]):
        ids, texts, slots = (table.column(name).to_pylist() for name in ("candidate_id", "text", "slot"))
        yield _Ungraded(problem, ids, texts, slots)


class _Grading:
    """The grader of a process, which is made where it is first used: it may have a child process of its own."""

    def __init__(self, name: str) -> None:
        self._name = name

    @cached_property
    def grader(self) -> Grader:
        """The grader."""
        return load_grader(self._name)


def _graded(shared: _Grading, problems: Sequence[_Ungraded]) -> list[dict[str, list[Any]]]:
    """Return the columns of the grades of some problems, but for the grader."""
    grader, found = shared.grader, []
    for each in problems:
        # require_gold has seen to that
        rows = grader.grade_problem(str(each.problem.gold), each.texts, each.slots)
        if len(rows) != len(each.ids):
            raise PrmEvalError(
                f"the grader {grader.version} gives {len(rows)} grades for the {len(each.ids)} candidates of problem "
                f"{each.problem.problem_id!r}; expected one each"
            )
        found.append(
            {
                "problem_id": [each.problem.problem_id] * len(rows),
                "candidate_id": each.ids,
                **{name: [getattr(row, name) for row in rows] for name in ("answer", "answer_class", "grade", "rule")},
            }
        )
    return found


def verdicts(path: Path) -> dict[str, int]:
    """Return the number of candidates by verdict in a grades file, sorted by name."""
    counted: Counter[str] = Counter()
    for batch in iter_batches(path, GRADES, ["grade"]):
        counted.update(batch.column(0).to_pylist())
    return dict(sorted(counted.items()))


def disagreements(pool: Pool, theirs: str, ours: str = "own") -> Iterator[Disagreement]:
    """Yield the candidates that one source of grades calls correct and the other does not."""
    for (problem, mine), (_, other) in zip(pool.grades(ours), pool.grades(theirs), strict=True):
        for one, two in zip(mine, other, strict=True):
            if (one.grade == "correct") != (two.grade == "correct"):
                yield Disagreement(problem, one.slot, one, two)
