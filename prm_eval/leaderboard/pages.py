"""The pages of the board: what the templates are given, and nothing that they would have to compute."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any

from markupsafe import Markup

from prm_eval.evaluation.summary import ORACLE
from prm_eval.leaderboard.charts import Line as Drawn
from prm_eval.leaderboard.charts import curves, ranking
from prm_eval.leaderboard.rows import Board, LeftOut
from prm_eval.leaderboard.table import MARKS, Table, table_of
from prm_eval.leaderboard.words import rounded
from prm_eval.pools.format import policy_name
from prm_eval.submissions import TIERS

CHARTED = 40  # rows of the ranking chart
NOTHING = Markup("")
DRAWN = 6  # lines of the accuracy chart
COLUMNS = (
    ("rank", "Rank"),
    ("kind", "Kind"),
    ("tier", "Trust"),
    ("maj", "\u2212 majority"),
    ("best", "\u2212 best"),
    ("wmaj", "Weighted majority"),
    ("gap", "Gap"),
    ("cost", "Cost"),
    ("licence", "Licence"),
)


@dataclass(frozen=True)
class BoardView:
    """What the index page shows of one board; ``table`` is None where its pool is not at hand."""

    id: str
    title: str
    hash: str
    hub: str
    table: Table | None = None
    n: int = 0
    m: int = 0
    n_problems: int = 0
    policy: str = ""
    draws: str = ""
    noisy: bool = False
    rows: int = 0
    charted: int = CHARTED
    ranking: Markup = NOTHING
    accuracy: Markup = NOTHING


def view_of(board: Board) -> BoardView:
    """Return what the index page shows of one board."""
    pool = board.pool
    hub = "" if pool.hub is None else f"{pool.hub.dataset} at {pool.hub.revision}"
    if board.yardstick is None:
        return BoardView(pool.pool_id, pool.title, pool.content_hash, hub)
    settings, info = board.yardstick.settings, board.yardstick.arrays.info
    table = table_of(board)
    return BoardView(
        pool.pool_id,
        pool.title,
        pool.content_hash,
        hub,
        table,
        settings.headline_n,
        info.m,
        info.n_problems,
        policy_name(info.policy),
        f"{settings.draws:,}",
        any(line.wmaj is not None and "~" in line.wmaj.text for line in table.lines),
        len(board.rows),
        ranking=_ranking(board) if board.rows else NOTHING,
        accuracy=_accuracy(board) if board.rows else NOTHING,
    )


def _ranking(board: Board) -> Markup:
    assert board.yardstick is not None  # noqa: S101
    column = board.yardstick.settings.column
    base = board.yardstick.baselines
    entries = []
    for row in board.rows[:CHARTED]:
        curve = row.measured.bon
        entries.append((row.submission.model, curve.values[column], curve.lows[column], curve.highs[column]))
    marks = [("mean", "first", "mn"), ("majority", "majority", "mj"), ("oracle", ORACLE, "or")]
    references = [(label, base[name].curve.values[column], kind) for label, name, kind in marks]
    return ranking(
        entries, references, f"Best of {board.yardstick.settings.headline_n} with 95 % limits, {board.pool.title}"
    )


def _accuracy(board: Board) -> Markup:
    assert board.yardstick is not None  # noqa: S101
    base = board.yardstick.baselines
    lines = [
        Drawn(row.submission.model, str(place), row.measured.bon.values) for place, row in enumerate(board.rows[:DRAWN])
    ]
    lines += [
        Drawn("majority", "mj", base["majority"].curve.values),
        Drawn("oracle", "or", base[ORACLE].curve.values),
        Drawn("mean", "mn", base["first"].curve.values),
    ]
    settings = board.yardstick.settings
    return curves(settings.ns, lines, f"Accuracy against n, {board.pool.title}", settings.headline_n)


def index_page(views: Sequence[BoardView], left_out: Sequence[LeftOut]) -> str:
    """Return ``index.html``."""
    tiers = [{"mark": MARKS[name], "name": name, "text": text} for name, text in TIERS.items()]
    return render(
        "index.html",
        boards=views,
        overview=_overview(views) if len(views) > 1 else [],
        columns=COLUMNS,
        tiers=tiers,
        left_out=left_out,
    )


def _overview(views: Sequence[BoardView]) -> list[dict[str, Any]]:
    """Return one line a model (and one a baseline) with a cell for each pool; several revisions are several models."""
    found: dict[tuple[str, ...], dict[str, Any]] = {}
    for place, view in enumerate(views):
        for line in view.table.lines + view.table.baselines if view.table else ():
            key = (line.org, line.name, line.revision)
            entry = found.setdefault(
                key,
                {
                    "name": line.name,
                    "org": line.org,
                    "revision": line.revision,
                    "kind": line.kind,
                    "cells": [None] * len(views),
                },
            )
            entry["cells"][place] = line
    return sorted(found.values(), key=_standing)


def _standing(entry: dict[str, Any]) -> tuple[Any, ...]:
    """Order the overview by the middle of a model's ranks, averaged over its pools; then those on more pools first."""
    cells = [cell for cell in entry["cells"] if cell]
    ranks = [(cell.best + cell.worst) / 2 for cell in cells]
    bon = round(sum(cell.bon.value for cell in cells) / len(cells), 9)
    baseline = entry["kind"] == "baseline"
    return (baseline, sum(ranks) / len(ranks), -len(cells), -bon, entry["org"], entry["name"], entry["revision"])


def render(template: str, **values: Any) -> str:
    """Return a page; everything that is not :class:`Markup` is escaped."""
    page: str = _environment().get_template(template).render(**values)
    return page


@lru_cache(maxsize=1)
def _environment() -> Any:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_asset),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["six"] = _six
    for name, asset in (("style", "style.css"), ("script", "board.js")):
        text = _asset(asset)
        environment.globals[name] = Markup(text)  # noqa: S704  (ours)
        digest = hashlib.sha256(text.encode()).digest()
        environment.globals[f"{name}_hash"] = base64.b64encode(digest).decode()
    return environment


def _six(value: float) -> str:
    number = rounded(value)
    return "" if number is None else f"{number:.6f}"


def _asset(name: str) -> str:
    return (files("prm_eval.leaderboard") / "templates" / name).read_text(encoding="utf-8")
