"""The layout of a column of the board: its name, its cells, and its place in each output."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar, cast

from markupsafe import Markup

from prm_eval.evaluation.measured import Baseline, Curve, Settings
from prm_eval.leaderboard.cells import Cell
from prm_eval.leaderboard.charts import mini


@dataclass(frozen=True)
class Unranked:
    """A row of a table that nobody submitted, and that has no rank."""


@dataclass(frozen=True)
class Reference(Unranked):
    """A baseline as a row of the board: the selector's name and its accuracies."""

    name: str
    measured: Baseline


@dataclass(frozen=True)
class Scene:
    """The values that all rows of one board share.

    Attributes:
        pool_id: The id of its pool.
        settings: The settings that it was computed with.
        axis: The ends of the axis of the small charts, in shares.
        marks: The vertical lines in them: (share, class).
    """

    pool_id: str
    settings: Settings
    axis: tuple[float, float]
    marks: tuple[tuple[float, str], ...]

    def chart(self, curve: Curve) -> Markup:
        """Return the small chart of the accuracy at the headline n."""
        at = self.settings.column
        return mini(curve.values[at], curve.lows[at], curve.highs[at], self.axis, self.marks)


@dataclass(frozen=True)
class OnPage:
    """The form of a column on the page.

    Attributes:
        look: The look of a cell: the row's name, a figure with its limits and notes, a figure beside its chart, or a
            mark with flags.
        first: The direction that the first click sorts in.
        menu: Its name in the menu of columns; "" where it cannot be hidden.
        left: Whether it is aligned left.
        words: Whether it is sorted as text.
        after: The key of the column that it follows here; "" for its place in the table.
    """

    look: Literal["name", "figure", "chart", "flags"] = "figure"
    first: Literal["asc", "desc"] = "desc"
    menu: str = ""
    left: bool = False
    words: bool = False
    after: str = ""


@dataclass(frozen=True)
class InMarkdown:
    """The form of a column in Markdown.

    Attributes:
        heading: Its heading; "" for that of the column in small letters.
        limits: Whether the limits follow the text.
        after: The key of the column that it follows here; "" for its place in the table.
    """

    heading: str = ""
    limits: bool = False
    after: str = ""


@dataclass(frozen=True)
class InCsv:
    """The form of a column in CSV.

    Attributes:
        fields: The names of its fields, one for each value in :attr:`Cell.csv`.
        after: The key of the column that it follows here; "" for its place in the table.
    """

    fields: tuple[str, ...]
    after: str = ""


Form = TypeVar("Form", OnPage, InMarkdown, InCsv)


Row = TypeVar("Row")
Other = TypeVar("Other", bound=Unranked)
Around = TypeVar("Around")


def _nothing(row: object, scene: object) -> Cell:
    return Cell()


@dataclass(frozen=True)
class Column(Generic[Row, Other, Around]):
    """One column of a board: its names, its cells, and its form in each output.

    Its type names the rows that were submitted, the others, and what all of them share: those of a board of a pool are
    ``Column[Entry, Reference, Scene]``.

    Attributes:
        key: Its name in the page's address, in its style and in ``after``.
        entry: Returns the cell of a submission.
        baseline: Returns the cell of a baseline; empty by default.
        heading: Its short heading for readers, with ``{n}`` for the headline n.
        meaning: Its explanation for readers, also with ``{n}``.
        page: Its form on the page; None where it is not there.
        markdown: Its form in Markdown; None where it is not there.
        csv: Its form in CSV; None where it is not there.
        json: Its name in a row of JSON; "" where it is not there.
        over_pools: Returns the cell of one model on several pools, by (title, submission); None where the cell is the
            same on all of them.
    """

    key: str
    entry: Callable[[Row, Around], Cell]
    baseline: Callable[[Other, Around], Cell] = _nothing
    heading: str = ""
    meaning: str = ""
    page: OnPage | None = None
    markdown: InMarkdown | None = None
    csv: InCsv | None = None
    json: str = ""
    over_pools: Callable[[Sequence[tuple[str, Row]]], Cell] | None = None

    def cell(self, row: Row | Other, scene: Around) -> Cell:
        """Return the cell of a row."""
        if isinstance(row, Unranked):
            return self.baseline(cast(Other, row), scene)
        return self.entry(row, scene)

    def heading_at(self, n: int) -> str:
        """Return the heading on a board with this headline n."""
        return self.heading.replace("{n}", str(n))

    def meaning_at(self, n: int) -> str:
        """Return the explanation on a board with this headline n."""
        return self.meaning.replace("{n}", str(n))


Columns = TypeVar("Columns", bound=Column[Any, Any, Any])


def in_order(columns: Sequence[Columns], form: Callable[[Columns], Form | None]) -> tuple[tuple[Columns, Form], ...]:
    """Return the columns of one output with their forms, in the table's order except where ``after`` is given.

    Raises:
        ValueError: A column is to follow one that is not in the output, or not placed yet.
    """
    there = [(column, found) for column in columns if (found := form(column)) is not None]
    result = [(column, found) for column, found in there if not found.after]
    for column, found in there:
        if found.after:
            keys = [each.key for each, _ in result]
            if found.after not in keys:
                raise ValueError(f"the column {column.key!r} is to follow {found.after!r}; expected one of {keys}")
            result.insert(keys.index(found.after) + 1, (column, found))
    return tuple(result)
