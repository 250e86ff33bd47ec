"""The board as Markdown, CSV and JSON: the same table of columns, written three times."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from typing import Any

from prm_eval.evaluation.baselines import BASELINES
from prm_eval.leaderboard.cells import Cell, curve_json
from prm_eval.leaderboard.columns import COLUMNS, CSV, MARKDOWN
from prm_eval.leaderboard.layout import Column, InCsv, InMarkdown
from prm_eval.leaderboard.rows import BoardWithoutPool, LeftOut
from prm_eval.leaderboard.table import Table, TableRow
from prm_eval.leaderboard.words import plain_markdown, rounded
from prm_eval.pools.format import policy_name
from prm_eval.store.jsonl import file_sha256
from prm_eval.submissions import RegisteredPool

# a board as it is shown, or a pool for which there is nothing to show
Shown = Table | BoardWithoutPool

BEGIN, END = "<!-- leaderboard:begin -->", "<!-- leaderboard:end -->"


def markdown(boards: Sequence[Shown]) -> str:
    """Return one table a pool, for the README and for readers without HTML."""
    lines: list[str] = []
    for board in boards:
        lines += _markdown_table(board) if isinstance(board, Table) else _markdown_note(board)
    lines += [
        "Rank: a range; all ranges of one table hold at once with 95 % confidence. "
        "[ ]: 95 % limits, problems resampled. `~`: from",
        "1,000 random draws a problem, all others exact. \u2212 mean: against a blind choice. Gap: share of the way "
        "from the mean to the",
        "oracle. Tier: \u25cb recomputed from the submitted rewards, \u25d0 a random sample scored again by us, "
        "\u25cf all of it, \u00b7 a",
        "baseline. Trained on: what was not answered by \u201cno\u201d.",
    ]
    return "\n".join(lines) + "\n"


def markdown_title(pool: RegisteredPool) -> str:
    """Return the title of a pool with its id."""
    return f"**{plain_markdown(pool.title)}** (`{pool.pool_id}`)"


def _markdown_note(board: BoardWithoutPool) -> list[str]:
    return [markdown_title(board.pool), "", "This pool is not at hand, so nothing could be computed.", ""]


def _markdown_table(table: Table) -> list[str]:
    info, n = table.board.yardstick.arrays.info, table.n
    title, about = markdown_title(table.board.pool), table.board.pool.about
    graded = f", graded by `{grader}`" if (grader := table.board.yardstick.arrays.grader) else ""
    lines = [f"{title}: {info.n_problems:,} problems \u00d7 {info.m} candidates, best of {n}{graded}", ""]
    lines += [plain_markdown(about), ""] if about else []
    heads = [form.heading or column.heading_at(n).lower() for column, form in MARKDOWN]
    lines += [markdown_line(heads), "|" + "---|" * len(heads)]
    for row in (*table.ordered, *table.others):
        lines.append(markdown_line([markdown_cell(form, row.cells[column.key]) for column, form in MARKDOWN]))
    return [*lines, ""]


def markdown_line(cells: Sequence[str]) -> str:
    """Return a line of a table."""
    return f"| {' | '.join(cells)} |"


def markdown_cell(form: InMarkdown, cell: Cell) -> str:
    """Return a cell in the form of its column, with a stranger's words escaped."""
    text = cell.text if cell.markdown is None else cell.markdown
    if cell.foreign:
        text = plain_markdown(text)
    return f"{text} [{cell.low}, {cell.high}]" if form.limits and cell.low else text


def readme_with(readme: str, table: str) -> str:
    """Return a README with the table between its markers.

    Raises:
        ValueError: The README has no markers.
    """
    head, begin, rest = readme.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"no {BEGIN} ... {END}")
    return f"{head}{BEGIN}\n{table}{END}{tail}"


def csv_text(boards: Sequence[Shown]) -> str:
    """Return a line for every submission and baseline on every pool; shares are from 0 to 1."""
    tables = [each for each in boards if isinstance(each, Table)]
    if not tables:
        return ""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow([field for _, form in CSV for field in form.fields])
    for table in tables:
        for row in (*table.rows, *(table.baselines[name] for name in BASELINES)):
            writer.writerow(csv_row(row, CSV))
    return stream.getvalue()


def csv_row(row: TableRow, columns: Sequence[tuple[Column[Any, Any, Any], InCsv]]) -> list[str]:
    """Return the values of a row, field by field."""
    values: list[str] = []
    for column, form in columns:
        found = row.cells[column.key].csv or (None,) * len(form.fields)
        values += [_spelt(value) for _, value in zip(form.fields, found, strict=True)]
    return values


def _spelt(value: Any) -> str:
    """Return the text of a field in CSV; one that a spreadsheet would run as a formula starts with a quote."""
    if value is None:
        return ""
    if isinstance(value, float):
        number = rounded(value)
        return "" if number is None else f"{number:.6f}".rstrip("0").rstrip(".")
    text = " ".join(str(value).split())
    return "'" + text if text[:1] in ("=", "+", "-", "@") else text


def json_text(boards: Sequence[Shown], left_out: Sequence[LeftOut], step_boards: Sequence[dict[str, Any]] = ()) -> str:
    """Return all boards as JSON, with numbers rounded to six decimals; those of step sets only where there are some."""
    value: dict[str, Any] = {
        "boards": [_board_json(board) for board in boards],
        "left_out": [{"path": each.path, "why": each.why} for each in left_out],
        "schema": "prm_eval.leaderboard/1",
    }
    if step_boards:
        value["step_boards"] = list(step_boards)
    return json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"


def _pool_json(pool: RegisteredPool) -> dict[str, Any]:
    return {"about": pool.about, "content_hash": pool.content_hash, "pool_id": pool.pool_id, "title": pool.title}


def _board_json(board: Shown) -> dict[str, Any]:
    pool = _pool_json(board.pool if isinstance(board, BoardWithoutPool) else board.board.pool)
    if isinstance(board, BoardWithoutPool):
        return {"baselines": {}, "pool": pool, "rows": [], "settings": None}
    yardstick = board.board.yardstick
    settings, info = yardstick.settings, yardstick.arrays.info
    pool |= {
        "grades_sha256": file_sha256(yardstick.arrays.pool.grades_path(yardstick.arrays.grades)),
        "m": info.m,
        "n_candidates": info.n_candidates,
        "n_problems": info.n_problems,
        "policy": policy_name(info.policy),
        **({"grader": yardstick.arrays.grader} if yardstick.arrays.grader else {}),
    }
    return {
        "baselines": {
            name: curve_json(each.curve, settings.ns, noise=False) for name, each in yardstick.baselines.items()
        },
        "pool": pool,
        "rows": [{column.json: row.cells[column.key].json for column in COLUMNS if column.json} for row in board.rows],
        "settings": {
            "draws": settings.draws,
            "headline_n": settings.headline_n,
            "level": settings.level,
            "ns": list(settings.ns),
            "resamples": settings.resamples,
            "seed": settings.seed,
        },
    }
