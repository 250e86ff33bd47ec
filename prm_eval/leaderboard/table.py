"""The table of a board, with a cell for every column and row; it is made once for all outputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from prm_eval.evaluation.baselines import BASELINES
from prm_eval.evaluation.measured import Baseline
from prm_eval.evaluation.summary import ORACLE
from prm_eval.leaderboard.cells import Cell, trained_on
from prm_eval.leaderboard.charts import DRAWN_BASELINES, limits, mini_axis
from prm_eval.leaderboard.columns import COLUMNS
from prm_eval.leaderboard.fills import page_of, short_revision
from prm_eval.leaderboard.layout import Reference, Scene
from prm_eval.leaderboard.rows import Board, Entry
from prm_eval.leaderboard.words import percent

# the baselines that stand as lines within the order of the submissions
LINES = ("majority", "first")


@dataclass(frozen=True)
class TableRow:
    """A submission or a baseline as a row of the table.

    Attributes:
        name: The name of the model or the baseline.
        kind: "PRM", "ORM" or "baseline".
        tier: The trust tier.
        headline: The accuracy at the headline n.
        cells: The cells, by the key of the column.
        org: The organisation; "" for a baseline.
        revision: The short revision; "" for a baseline.
        slug: The name of its page's file; "" for a baseline.
        link: The address of its page, seen from the index page; "" for a baseline.
        ranks: The best and the worst rank; (0, 0) for a baseline.
        clean: Whether there is no doubt, and no "yes" in the disclosure.
        words: The text that the search field searches.
    """

    name: str
    kind: str
    tier: str
    headline: float
    cells: Mapping[str, Cell]
    org: str = ""
    revision: str = ""
    slug: str = ""
    link: str = ""
    ranks: tuple[int, int] = (0, 0)
    clean: bool = True
    words: str = ""

    @property
    def is_baseline(self) -> bool:
        """Whether it is a baseline."""
        return self.kind == "baseline"


@dataclass(frozen=True)
class Table:
    """The table of a board.

    Attributes:
        board: The board itself.
        rows: The submissions, best first.
        baselines: The baselines, by the selector's name, best first.
        axis: The axis of the small charts.
        levels: The accuracies of the baselines in the charts, in per cent, by the selector's name.
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

    @property
    def ordered(self) -> list[TableRow]:
        """The submissions, best first, with the baselines of :data:`LINES` at their places among them."""
        return with_lines(self.rows, [self.baselines[name] for name in LINES])

    @property
    def others(self) -> list[TableRow]:
        """The other baselines, best first."""
        return [row for name, row in self.baselines.items() if name not in LINES]


def with_lines(rows: Sequence[TableRow], lines: Sequence[TableRow]) -> list[TableRow]:
    """Return rows, best first, with lines put in behind all rows that are at least as good."""
    found = [(-round(row.headline, 9), 0, place, row) for place, row in enumerate(rows)]
    found += [(-round(line.headline, 9), 1, place, line) for place, line in enumerate(lines)]
    return [row for *_, row in sorted(found, key=lambda each: each[:3])]


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
        link=page_of(entry),
        ranks=(entry.standing.best, entry.standing.worst),
        clean=not entry.suspicions and not admitted,
        words=" ".join(each or "" for each in searched).lower(),
    )


def _baseline(name: str, measured: Baseline, scene: Scene) -> TableRow:
    cells = {column.key: column.cell(Reference(name, measured), scene) for column in COLUMNS}
    headline = measured.curve.values[scene.settings.column]
    return TableRow(BASELINES[name].short, "baseline", "baseline", headline, cells)
