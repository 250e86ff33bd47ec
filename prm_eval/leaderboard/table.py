"""The table of a board, made once: a cell for every column and row, which all outputs share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from markupsafe import Markup

from prm_eval.evaluation.baselines import BASELINES
from prm_eval.evaluation.measured import Baseline
from prm_eval.evaluation.summary import ORACLE
from prm_eval.leaderboard.cells import Cell, trained_on
from prm_eval.leaderboard.charts import DRAWN_BASELINES, limits, mini_axis
from prm_eval.leaderboard.columns import COLUMNS, short_revision
from prm_eval.leaderboard.layout import Reference, Scene
from prm_eval.leaderboard.rows import Board, Entry
from prm_eval.leaderboard.words import percent


@dataclass(frozen=True)
class TableRow:
    """A submission or a baseline as a row of the table.

    Attributes:
        name: Of the model or the baseline.
        kind: "PRM", "ORM" or "baseline".
        tier: Trust tier.
        headline: Accuracy at the headline n.
        cells: By the key of the column.
        org: Of the organisation; "" for a baseline.
        revision: Short; "" for a baseline.
        slug: Of its page; "" for a baseline.
        ranks: From and to; (0, 0) for a baseline.
        clean: Whether there is no doubt, and no "yes" in the disclosure.
        words: What the search field looks through.
    """

    name: str
    kind: str
    tier: str
    headline: float
    cells: Mapping[str, Cell]
    org: str = ""
    revision: str = ""
    slug: str = ""
    ranks: tuple[int, int] = (0, 0)
    clean: bool = True
    words: str = ""

    @property
    def link(self) -> str:
        """Where its page is, from the index page; "" for a baseline."""
        return f"submissions/{self.slug}.html" if self.slug else ""


@dataclass(frozen=True)
class Table:
    """A board as it is shown.

    Attributes:
        board: What it was made of.
        rows: The submissions, best first.
        baselines: By the selector's name, best first.
        axis: Of the small charts.
        levels: What the baselines that are drawn reach, in per cent, by the selector's name.
    """

    board: Board
    rows: tuple[TableRow, ...]
    baselines: Mapping[str, TableRow]
    axis: Markup
    levels: Mapping[str, str]

    @property
    def n(self) -> int:
        """The headline n."""
        return self.board.yardstick.settings.headline_n


def table_of(board: Board) -> Table:
    """Return the table of a board."""
    settings, base = board.yardstick.settings, board.yardstick.baselines
    at = settings.column
    curves = [each.measured.bon for each in board.entries] + [each.curve for each in base.values()]
    axis = limits([value for each in curves for value in (each.lows[at], each.highs[at])])
    marks = tuple((base[name].curve.values[at], DRAWN_BASELINES[name]) for name in ("majority", ORACLE))
    scene = Scene(board.pool.pool_id, settings, axis, marks)
    return Table(
        board,
        tuple(_row(entry, scene) for entry in board.entries),
        {name: _baseline(name, base[name], scene) for name in _best_first(base, at)},
        mini_axis(axis),
        {name: percent(base[name].curve.values[at]) for name in DRAWN_BASELINES},
    )


def _best_first(baselines: Mapping[str, Baseline], column: int) -> list[str]:
    return sorted(baselines, key=lambda name: (-round(baselines[name].curve.values[column], 9), name))


def _row(entry: Entry, scene: Scene) -> TableRow:
    submission = entry.submission
    revision = short_revision(submission.revision)
    searched = (submission.org, submission.model, revision, submission.licence, submission.cost.device)
    admitted = any(answer == "yes" for _, _, answer in trained_on(submission.disclosure))
    return TableRow(
        name=submission.model,
        kind=submission.rewards.info.kind.upper(),
        tier=submission.tier,
        headline=entry.measured.bon.values[scene.settings.column],
        cells={column.key: column.cell(entry, scene) for column in COLUMNS},
        org=submission.org,
        revision=revision,
        slug=entry.slug,
        ranks=(entry.standing.best, entry.standing.worst),
        clean=not entry.suspicions and not admitted,
        words=" ".join(each or "" for each in searched).lower(),
    )


def _baseline(name: str, measured: Baseline, scene: Scene) -> TableRow:
    cells = {column.key: column.cell(Reference(name, measured), scene) for column in COLUMNS}
    headline = measured.curve.values[scene.settings.column]
    return TableRow(BASELINES[name].short, "baseline", "baseline", headline, cells)
