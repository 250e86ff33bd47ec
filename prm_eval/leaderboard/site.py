"""The build of a whole board into a folder, and the check for stale files in one."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from prm_eval.children.workers import Workers
from prm_eval.errors import PrmEvalError
from prm_eval.evaluation.pool_arrays import texts_of
from prm_eval.evaluation.yardstick import Yardstick
from prm_eval.leaderboard.detail import accuracy_chart, detail_page, undrawn_page
from prm_eval.leaderboard.exports import csv_text, json_text, markdown, readme_with
from prm_eval.leaderboard.links import project_of
from prm_eval.leaderboard.mistakes import Texts
from prm_eval.leaderboard.pages import index_page, view_of
from prm_eval.leaderboard.rows import Boards, BoardWithoutPool, Entry, LeftOut
from prm_eval.leaderboard.steps.detail import step_details
from prm_eval.leaderboard.steps.exports import step_csv, step_json, step_markdown
from prm_eval.leaderboard.steps.rows import StepBoard
from prm_eval.leaderboard.steps.table import StepTable, step_table_of
from prm_eval.leaderboard.steps.views import scatter_of, step_view_of
from prm_eval.leaderboard.svg import standalone
from prm_eval.leaderboard.table import Table, TableRow, table_of
from prm_eval.store.writing import NewFolder, copy_file, remove_leftovers, write_text
from prm_eval.submissions import RegisteredPool

OURS = ("*.html", "leaderboard.*", "submissions/*.html", "charts/*.svg")
Progress = Callable[[int], None]


@dataclass(frozen=True)
class Built:
    """The result of a build: its folder, the numbers of files, submissions, pools and step sets, what was left out."""

    folder: Path
    files: int
    changed: int
    submissions: int
    pools: int
    left_out: tuple[LeftOut, ...]
    step_sets: int = 0


def build(results: Path, output: Path | None = None, *, jobs: int = 1, progress: Progress | None = None) -> Built:
    """Build the board of a results folder.

    Args:
        results: The folder with ``pools/`` and ``submissions/``.
        output: The folder of the board; ``results/leaderboard`` by default. Pages of submissions that are gone are
            removed; files of other names stay.
        jobs: The number of processes.
        progress: Called with the number of rendered submissions of a board.

    Raises:
        PrmEvalError: There are no pools, one is faulty, or the output is a results folder.
    """
    output = output or results / "leaderboard"
    if not results.is_dir():
        raise PrmEvalError(f"{results} has no pools: no such folder; expected one with pools/ and submissions/ in it")
    if (output / "pools").is_dir():
        raise PrmEvalError(
            f"{output} is a results folder itself; name it without -o (prm-eval leaderboard {output}), or another "
            "folder for the board"
        )
    output.mkdir(parents=True, exist_ok=True)
    with _scratch() as fresh:
        built = _build_into(results, fresh, jobs, progress)
        made = _files(fresh)
        changed = 0
        for folder in {(output / name).parent for name in made}:
            folder.mkdir(parents=True, exist_ok=True)
            remove_leftovers(folder, {Path(name).name for name in made})
        for name in made:
            target = output / name
            if not target.is_file() or target.read_bytes() != (fresh / name).read_bytes():
                # not synced: a board that a power cut damages is built again, and compared byte by byte
                copy_file(fresh / name, target, sync=False)
                changed += 1
        for name in _files(output):
            if name not in made:
                (output / name).unlink()
                changed += 1
        return replace(built, folder=output, files=len(made), changed=changed)


def stale(results: Path, output: Path | None = None, *, jobs: int = 1, progress: Progress | None = None) -> list[str]:
    """Return the files of a board that are stale: missing, changed or left over, compared with a new build."""
    return compare(results, output, jobs=jobs, progress=progress)[0]


def compare(
    results: Path, output: Path | None = None, *, jobs: int = 1, progress: Progress | None = None
) -> tuple[list[str], tuple[LeftOut, ...]]:
    """Return the stale files of a board, compared with a new build elsewhere, and what that build left out."""
    output = output or results / "leaderboard"
    with _scratch() as fresh:
        built = _build_into(results, fresh, jobs, progress)
        made, there = set(_files(fresh)), set(_files(output))
        differ = {name for name in made & there if (fresh / name).read_bytes() != (output / name).read_bytes()}
    return sorted(differ | (made ^ there)), built.left_out


def update_readme(readme: Path, output: Path, *, write: bool) -> bool:
    """Put the Markdown table between a README's markers; return whether the README had it already.

    Raises:
        PrmEvalError: The README has no markers.
    """
    text = readme.read_text(encoding="utf-8")
    try:
        wanted = readme_with(text, (output / "leaderboard.md").read_text(encoding="utf-8"))
    except ValueError as error:
        raise PrmEvalError(f"{readme}: {error}") from None
    if write and wanted != text:
        write_text(readme, wanted)
    return wanted == text


def _scratch() -> NewFolder:
    """Return a folder for a new build, outside the results folder, whose files people add to a repository."""
    return NewFolder(Path(tempfile.gettempdir()), "prm-eval-leaderboard")


def _files(folder: Path) -> list[str]:
    """Return the names of the board's files in a folder."""
    found = {path.relative_to(folder).as_posix() for pattern in OURS for path in folder.glob(pattern) if path.is_file()}
    return sorted(found)


def _build_into(results: Path, folder: Path, jobs: int, progress: Progress | None) -> Built:
    """Write every file of the board; each board's table is made once, and all its outputs share it."""
    boards: list[Table | BoardWithoutPool] = []
    steps: list[StepTable] = []
    reading = Boards(results, jobs)
    for name in ("submissions", "charts"):
        (folder / name).mkdir()
    for found in reading:
        if isinstance(found, BoardWithoutPool):
            boards.append(found)
            continue
        if isinstance(found, StepBoard):
            steps.append(step_table_of(found))
            for name, text in step_details(steps[-1], progress):
                _write(folder / name, text)
            continue
        board, workers = found
        table = table_of(board)
        boards.append(table)
        _write_details(table, workers, folder, progress)
    left_out = sorted(reading.left_out, key=lambda each: each.path)
    # for readers: the pool that tells most comes first; programs find them by their ids
    shown = sorted(boards, key=_headline_first)
    views = [view_of(board) for board in shown]
    step_views = [step_view_of(table) for table in steps]
    drawings = [(view.id, view.charts) for view in views] + [(view.id, view.charts) for view in step_views]
    for view_id, charts in drawings:
        for name, drawing in charts.items():
            _write(folder / "charts" / f"{view_id}.{name}.svg", standalone(drawing))
    both = scatter_of([each for each in shown if isinstance(each, Table)], steps)
    if both is not None:
        _write(folder / "charts" / "both.svg", standalone(both.chart))
    _write(folder / "index.html", index_page(views, left_out, project_of(results), step_views, both))
    _write(folder / "leaderboard.md", markdown(shown) + step_markdown(steps))
    _write(folder / "leaderboard.csv", csv_text(boards))
    if steps:
        _write(folder / "leaderboard.steps.csv", step_csv(steps))
    _write(folder / "leaderboard.json", json_text(boards, left_out, [step_json(table) for table in steps]))
    submissions = sum(len(board.rows) for board in (*boards, *steps) if not isinstance(board, BoardWithoutPool))
    return Built(folder, 0, 0, submissions, len(boards), tuple(left_out), len(steps))


def _headline_first(board: Table | BoardWithoutPool) -> tuple[int, int, str]:
    """Return the sort key of a board: more problems first, then more candidates, then its id."""
    if isinstance(board, BoardWithoutPool):
        return (0, 0, board.pool.pool_id)
    info = board.board.yardstick.arrays.info
    return (-info.n_problems, -info.m, board.board.pool.pool_id)


def _write(path: Path, text: str) -> None:
    path.write_bytes(text.encode("utf-8"))


def _write_details(table: Table, workers: Workers[Yardstick], folder: Path, progress: Progress | None) -> None:
    """Write the page and the chart of every submission."""
    board = table.board
    texts = texts_of(board.yardstick.arrays, {place for entry in board.entries for place in _places(entry)})
    tasks = [
        (entry, row, {place: texts[place] for place in _places(entry)})
        for entry, row in zip(board.entries, table.rows, strict=True)
    ]
    work = partial(_write_detail, board.pool, len(board.entries), folder)
    for done, _ in enumerate(workers.map(work, tasks), 1):
        if progress is not None:
            progress(done)


def _places(entry: Entry) -> Sequence[tuple[int, int]]:
    return [(each.row, slot) for each in entry.measured.mistakes for slot in (each.chosen, each.better)]


def _write_detail(
    pool: RegisteredPool, of: int, folder: Path, yardstick: Yardstick, task: tuple[Entry, TableRow, Texts]
) -> None:
    entry, row, texts = task
    try:
        page = detail_page(pool, entry, row, of, yardstick, texts)
    # a stranger's text that nobody foresaw must not keep the board from being built
    except Exception as error:
        page = undrawn_page(pool, entry, error)
    _write(folder / "submissions" / f"{entry.slug}.html", page)
    _write(folder / "charts" / f"{entry.slug}.svg", standalone(accuracy_chart(entry, yardstick)))
