"""The overview of all pools: every model with its accuracy on each of them.

Models are ordered by the first pool, and only those that were submitted to it. The others stand below, by the next
pool: however well a model does where it is, a missing pool is no merit. So nobody gains by leaving out a pool, and no
submission changes the order of two others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from prm_eval.leaderboard.cells import Cell
from prm_eval.leaderboard.columns import OVERVIEW_NAMES
from prm_eval.leaderboard.rows import Entry
from prm_eval.leaderboard.table import LINES, Table, TableRow


@dataclass(frozen=True)
class OverviewLine:
    """One model, or baseline, on all pools.

    Attributes:
        rows: Its row on each pool; None where it has none.
        names: The cells that say who it is, in the order of :data:`OVERVIEW_NAMES`.
    """

    rows: tuple[TableRow | None, ...]
    names: tuple[Cell, ...]

    @property
    def first(self) -> int:
        """The place of the first pool that it has a row on."""
        return next(place for place, row in enumerate(self.rows) if row is not None)

    @property
    def is_baseline(self) -> bool:
        """Whether it is a baseline."""
        return any(row is not None and row.is_baseline for row in self.rows)


@dataclass(frozen=True)
class OverviewPart:
    """The models that are ordered among themselves.

    Attributes:
        title: The title of the pool that orders them.
        missing: The titles of the earlier pools, to which none of them was submitted.
        lines: The models, best first, in the first part with the baselines of the order among them.
    """

    title: str
    missing: tuple[str, ...]
    lines: tuple[OverviewLine, ...]


@dataclass(frozen=True)
class Overview:
    """All pools side by side: the parts in their order, and the baselines that are no line among the models."""

    parts: tuple[OverviewPart, ...]
    others: tuple[OverviewLine, ...]


def overview_of(tables: Sequence[Table]) -> Overview | None:
    """Return the overview of some boards, the headline pool first; None where there is only one.

    Two revisions of a model count as two models.
    """
    if len(tables) < 2:
        return None
    titles = [table.board.pool.title for table in tables]
    models = _models(tables)
    parts: list[OverviewPart] = []
    for first in sorted({line.first for line in models}):
        here = [line for line in models if line.first == first]
        if not parts:
            here += [_baseline(tables, name) for name in LINES]
        ordered = sorted(here, key=partial(_order, first=first))
        parts.append(OverviewPart(titles[first], tuple(titles[:first]), tuple(ordered)))
    others = [name for name in tables[0].baselines if name not in LINES or not parts]
    return Overview(tuple(parts), tuple(_baseline(tables, name) for name in others))


def _order(line: OverviewLine, first: int) -> tuple[float, bool, str, str, str]:
    """Return the sort key of a line by its row on the first pool of a part; a baseline stands behind its equals."""
    row = next(row for row in line.rows[first:] if row is not None)
    return (-round(row.headline, 9), row.is_baseline, row.org, row.name, row.revision)


def _models(tables: Sequence[Table]) -> list[OverviewLine]:
    places: dict[tuple[str, str, str], dict[int, tuple[TableRow, Entry]]] = {}
    for place, table in enumerate(tables):
        for row, entry in zip(table.rows, table.board.entries, strict=True):
            submission = entry.submission
            key = (submission.org, submission.model, submission.revision)
            places.setdefault(key, {})[place] = (row, entry)
    return [_model(tables, there) for there in places.values()]


def _model(tables: Sequence[Table], there: dict[int, tuple[TableRow, Entry]]) -> OverviewLine:
    first = there[min(there)][0]
    entries = [(tables[place].board.pool.title, entry) for place, (_, entry) in sorted(there.items())]
    names = [
        first.cells[column.key] if column.over_pools is None else column.over_pools(entries)
        for column in OVERVIEW_NAMES
    ]
    rows = [there[place][0] if place in there else None for place in range(len(tables))]
    return OverviewLine(tuple(rows), tuple(names))


def _baseline(tables: Sequence[Table], name: str) -> OverviewLine:
    rows = tuple(table.baselines[name] for table in tables)
    return OverviewLine(rows, tuple(rows[0].cells[column.key] for column in OVERVIEW_NAMES))
