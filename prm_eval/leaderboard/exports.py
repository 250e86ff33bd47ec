"""The board as Markdown, CSV and JSON."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Sequence
from typing import Any

from prm_eval.leaderboard.rows import Board, LeftOut, Row
from prm_eval.leaderboard.table import ASKED, Cell, Line, row_json, table_of
from prm_eval.leaderboard.words import rounded, span
from prm_eval.pools.format import policy_name
from prm_eval.store.jsonl import file_sha256

BEGIN, END = "<!-- leaderboard:begin -->", "<!-- leaderboard:end -->"


def markdown(boards: Sequence[Board]) -> str:
    """Return one table a pool, for the README and for those who read no HTML."""
    lines: list[str] = []
    for board in boards:
        lines += _markdown_table(board)
    lines += [
        "Rank: a range; all ranges of one table hold at once with 95 % confidence. [ ]: 95 % limits, problems "
        "resampled. `~`: from",
        "1,000 random draws a problem, all others exact. Gap: share of the way from the mean to the oracle. Tier: "
        "\u25cb recomputed from",
        "the submitted rewards, \u25d0 a random sample scored again by us, \u25cf all of it, \u00b7 a baseline. "
        "Trained on: what was not",
        "answered by \u201cno\u201d.",
    ]
    return "\n".join(lines) + "\n"


def _markdown_table(board: Board) -> list[str]:
    lines = [f"**{_plain(board.pool.title)}** (`{board.pool.pool_id}`)", ""]
    if board.yardstick is None:
        return [*lines, "This pool is not at hand, so nothing could be computed.", ""]
    settings, info = board.yardstick.settings, board.yardstick.arrays.info
    n = settings.headline_n
    lines[0] += f": {info.n_problems:,} problems \u00d7 {info.m} candidates, best of {n}"
    heads = ["rank", "model", "kind", "tier", f"bon@{n}", "\u2212 majority", f"wmaj@{n}", "gap", "trained on", "doubts"]
    lines += [f"| {' | '.join(heads)} |", "|" + "---|" * len(heads)]
    table = table_of(board)
    for each in table.lines + table.baselines:
        lines.append(f"| {' | '.join(_markdown_cells(each))} |")
    return [*lines, ""]


def _markdown_cells(each: Line) -> list[str]:
    name = _plain(f"{each.org}/{each.name}") if each.org else f"*{each.name}*"
    trained = ", ".join(short + ("?" if answer == "unknown" else "") for short, _, answer in each.trained_on)
    return [
        each.rank,
        name,
        each.kind,
        each.mark,
        _with_limits(each.bon),
        _with_limits(each.over_majority),
        each.wmaj.text if each.wmaj else "",
        f"{each.gap.text} %" if each.gap else "",
        trained,
        str(len(each.suspicions)) if each.suspicions else "",
    ]


def _with_limits(cell: Cell | None) -> str:
    return f"{cell.text} [{cell.low}, {cell.high}]" if cell else ""


def _plain(text: str) -> str:
    """Return a stranger's text as Markdown that says just that."""
    flat = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_{}\[\]()#+!|~$])", r"\\\1", flat)


def readme_with(readme: str, table: str) -> str:
    """Return a README with the table between its markers.

    Raises:
        ValueError: It has no markers.
    """
    head, begin, rest = readme.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"no {BEGIN} ... {END}")
    return f"{head}{BEGIN}\n{table}{END}{tail}"


def csv_text(boards: Sequence[Board]) -> str:
    """Return one line a submission and pool; shares from 0 to 1."""
    rows = [fields for board in boards for fields in _csv_rows(board)]
    stream = io.StringIO()
    if rows:  # a pool without submissions has baselines alone, which fill fewer columns
        writer: Any = csv.DictWriter(stream, max(rows, key=len), restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return stream.getvalue()


def _csv_rows(board: Board) -> list[dict[str, Any]]:
    if board.yardstick is None:
        return []
    column, n = board.yardstick.settings.column, board.yardstick.settings.headline_n
    rows = [_csv_row(board, row, column, n) for row in board.rows]
    names = list(rows[0]) if rows else list(_baseline_row(board, "first", column, n))
    rows += [_baseline_row(board, name, column, n) for name in board.yardstick.baselines]
    return [{name: _spelt(row.get(name)) for name in names} for row in rows]


def _csv_row(board: Board, row: Row, column: int, n: int) -> dict[str, Any]:
    measured, standing, submission = row.measured, row.standing, row.submission
    fields: dict[str, Any] = {
        "pool": board.pool.pool_id,
        "n": n,
        "rank": span(standing.best, standing.worst).replace("\u2013", "-"),
    }
    fields |= {
        "model": row.name,
        "revision": submission.revision,
        "kind": submission.rewards.info.kind,
        "tier": submission.tier,
    }
    for name, curve in (("bon", measured.bon), ("wmaj", measured.wmaj)):
        fields |= {name: curve.values[column], f"{name}_low": curve.lows[column], f"{name}_high": curve.highs[column]}
    for name, each in (
        ("over_majority", standing.over_majority),
        ("over_best", standing.over_best),
        ("gap", standing.gap),
    ):
        parts = ("value", "low", "high")
        fields |= {name if part == "value" else f"{name}_{part}": getattr(each, part, None) for part in parts}
    fields |= {"p_majority_holm": standing.p_majority, "p_best_holm": standing.p_best}
    cost = submission.cost
    fields |= {"tokens_per_candidate": measured.tokens, "candidates": cost.candidates, "seconds": cost.seconds}
    fields |= {"device": cost.device, "licence": submission.licence, "base_model": submission.base_model}
    disclosure = submission.disclosure
    fields |= {f"trained_on_{name}": getattr(disclosure.trained_on, name) if disclosure else None for name in ASKED}
    fields |= {
        "refused": sum(measured.refusals.values()),
        "suspicions": "; ".join(each.name for each in row.suspicions),
    }
    return fields


def _baseline_row(board: Board, name: str, column: int, n: int) -> dict[str, Any]:
    assert board.yardstick is not None  # noqa: S101
    curve = board.yardstick.baselines[name].curve
    return {
        "pool": board.pool.pool_id,
        "n": n,
        "rank": None,
        "model": name,
        "kind": "baseline",
        "tier": "baseline",
        "bon": curve.values[column],
        "bon_low": curve.lows[column],
        "bon_high": curve.highs[column],
    }


def _spelt(value: Any) -> str:
    """Return a field of the CSV; a text that a spreadsheet would run as a formula is quoted."""
    if value is None:
        return ""
    if isinstance(value, float):
        number = rounded(value)
        return "" if number is None else f"{number:.6f}".rstrip("0").rstrip(".")
    text = " ".join(str(value).split())
    return "'" + text if text[:1] in ("=", "+", "-", "@") else text


def json_text(boards: Sequence[Board], left_out: Sequence[LeftOut]) -> str:
    """Return everything as numbers, rounded to six decimals."""
    value = {
        "boards": [_board_json(board) for board in boards],
        "left_out": [{"path": each.path, "why": each.why} for each in left_out],
        "schema": "prm_eval.leaderboard/1",
    }
    return json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"


def _board_json(board: Board) -> dict[str, Any]:
    pool: dict[str, Any] = {
        "content_hash": board.pool.content_hash,
        "pool_id": board.pool.pool_id,
        "title": board.pool.title,
    }
    if board.yardstick is None:
        return {"baselines": {}, "pool": pool, "rows": [], "settings": None}
    settings, info = board.yardstick.settings, board.yardstick.arrays.info
    pool |= {
        "grades_sha256": file_sha256(board.yardstick.arrays.pool.grades_path("own")),
        "m": info.m,
        "n_candidates": info.n_candidates,
        "n_problems": info.n_problems,
        "policy": policy_name(info.policy),
    }
    return {
        "baselines": {
            name: {
                str(n): {"high": rounded(high), "low": rounded(low), "value": rounded(value)}
                for n, value, low, high in zip(
                    settings.ns, each.curve.values, each.curve.lows, each.curve.highs, strict=True
                )
            }
            for name, each in board.yardstick.baselines.items()
        },
        "pool": pool,
        "rows": [row_json(row, board.yardstick) for row in board.rows],
        "settings": {
            "draws": settings.draws,
            "headline_n": settings.headline_n,
            "level": settings.level,
            "ns": list(settings.ns),
            "resamples": settings.resamples,
            "seed": settings.seed,
        },
    }
