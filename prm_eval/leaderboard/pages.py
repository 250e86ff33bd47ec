"""The pages of the board: what the templates are given, and nothing that they would have to compute."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any, ClassVar

from markupsafe import Markup

from prm_eval.evaluation.baselines import BASELINES
from prm_eval.evaluation.summary import ORACLE
from prm_eval.leaderboard.cells import MARKS
from prm_eval.leaderboard.charts import DRAWN_BASELINES, Stroke, baseline_stroke, draw_curves, ranking
from prm_eval.leaderboard.columns import COLUMNS, OVERVIEW, OVERVIEW_NAMES, PAGE
from prm_eval.leaderboard.rows import Board, BoardWithoutPool, LeftOut
from prm_eval.leaderboard.svg import NOTHING
from prm_eval.leaderboard.table import Table, TableRow
from prm_eval.pools.format import policy_name
from prm_eval.submissions import TIERS, RegisteredPool

# rows of the ranking chart
CHARTED = 40
# lines of the accuracy chart
DRAWN = 6
# the menu of columns: (key, name)
MENU = [(column.key, column.page.menu) for column in COLUMNS if column.page is not None and column.page.menu]


@dataclass(frozen=True)
class PoolView:
    """What the index page shows of a pool, at hand or not."""

    pool: RegisteredPool
    at_hand: ClassVar[bool] = False

    @property
    def id(self) -> str:
        """The pool's name in addresses."""
        return self.pool.pool_id

    @property
    def title(self) -> str:
        """The pool's name for readers."""
        return self.pool.title

    @property
    def hub(self) -> str:
        """Where it can be had, if it is a data set of the hub."""
        return "" if self.pool.hub is None else f"{self.pool.hub.dataset} at {self.pool.hub.revision}"


@dataclass(frozen=True)
class BoardView(PoolView):
    """What the index page shows of a board.

    Attributes:
        table: Its rows.
        ranking: The best of them as a chart; nothing without submissions.
        accuracy: Accuracy against n of the very best; likewise.
    """

    table: Table
    ranking: Markup = NOTHING
    accuracy: Markup = NOTHING
    at_hand: ClassVar[bool] = True
    charted: ClassVar[int] = CHARTED

    @property
    def n(self) -> int:
        """The headline n."""
        return self.table.n

    @property
    def m(self) -> int:
        """Candidates a problem."""
        return self.table.board.yardstick.arrays.info.m

    @property
    def n_problems(self) -> int:
        """Problems of the pool."""
        return self.table.board.yardstick.arrays.info.n_problems

    @property
    def policy(self) -> str:
        """Who wrote the candidates."""
        return policy_name(self.table.board.yardstick.arrays.info.policy)

    @property
    def draws(self) -> str:
        """Random draws a problem, of what is not exact."""
        return f"{self.table.board.yardstick.settings.draws:,}"

    @property
    def noisy(self) -> bool:
        """Whether a number of a submission is from random draws."""
        return any(
            not cell.foreign and cell.text.endswith("~") for row in self.table.rows for cell in row.cells.values()
        )


def view_of(shown: Table | BoardWithoutPool) -> PoolView:
    """Return what the index page shows of one pool."""
    if isinstance(shown, BoardWithoutPool):
        return PoolView(shown.pool)
    board = shown.board
    if not board.entries:
        return BoardView(board.pool, shown)
    return BoardView(board.pool, shown, _ranking(board), _accuracy(board))


def _ranking(board: Board) -> Markup:
    settings, base = board.yardstick.settings, board.yardstick.baselines
    at = settings.column
    charted = []
    for entry in board.entries[:CHARTED]:
        curve = entry.measured.bon
        charted.append((entry.submission.model, curve.values[at], curve.lows[at], curve.highs[at]))
    references = [
        (BASELINES[name].short, base[name].curve.values[at], colour) for name, colour in DRAWN_BASELINES.items()
    ]
    return ranking(charted, references, f"Best of {settings.headline_n} with 95 % limits, {board.pool.title}")


def _accuracy(board: Board) -> Markup:
    settings, base = board.yardstick.settings, board.yardstick.baselines
    strokes = [
        Stroke(entry.submission.model, str(place), entry.measured.bon.values)
        for place, entry in enumerate(board.entries[:DRAWN])
    ]
    strokes += [baseline_stroke(name, base[name].curve) for name in ("majority", ORACLE, "first")]
    return draw_curves(settings.ns, strokes, f"Accuracy against n, {board.pool.title}", settings.headline_n)


def index_page(views: Sequence[PoolView], left_out: Sequence[LeftOut]) -> str:
    """Return ``index.html``."""
    tiers = [{"mark": MARKS[name], "name": name, "text": text} for name, text in TIERS.items()]
    return render(
        "index.html",
        boards=views,
        overview=_overview([each for each in views if isinstance(each, BoardView)]),
        columns=PAGE,
        overview_names=OVERVIEW_NAMES,
        overview_columns=OVERVIEW,
        menu=MENU,
        tiers=tiers,
        left_out=left_out,
    )


@dataclass(frozen=True)
class OverviewLine:
    """One model (or baseline) beside the others on all pools.

    Attributes:
        rows: Its row on each pool; None where there is none.
    """

    rows: tuple[TableRow | None, ...]

    @property
    def first(self) -> TableRow:
        """The first row there is, which says who it is."""
        return next(row for row in self.rows if row is not None)

    @property
    def order(self) -> tuple[Any, ...]:
        """By the middle of a model's ranks, averaged over its pools; then those on more pools first."""
        there = [row for row in self.rows if row is not None]
        rank = sum((row.ranks[0] + row.ranks[1]) / 2 for row in there) / len(there)
        headline = round(sum(row.headline for row in there) / len(there), 9)
        who = self.first
        return (who.kind == "baseline", rank, -len(there), -headline, who.org, who.name, who.revision)


def _overview(views: Sequence[BoardView]) -> list[OverviewLine]:
    """Return one line a model (and one a baseline), where there are several boards; several revisions are several models."""
    if len(views) < 2:
        return []
    found: dict[tuple[str, ...], list[TableRow | None]] = {}
    for place, view in enumerate(views):
        for row in (*view.table.rows, *view.table.baselines.values()):
            found.setdefault((row.org, row.name, row.revision), [None] * len(views))[place] = row
    return sorted((OverviewLine(tuple(rows)) for rows in found.values()), key=lambda line: line.order)


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
    for name, asset in (("style", "style.css"), ("script", "board.js")):
        text = _asset(asset)
        environment.globals[name] = Markup(text)  # noqa: S704  (ours)
        digest = hashlib.sha256(text.encode()).digest()
        environment.globals[f"{name}_hash"] = base64.b64encode(digest).decode()
    return environment


def _asset(name: str) -> str:
    return (files("prm_eval.leaderboard") / "templates" / name).read_text(encoding="utf-8")
