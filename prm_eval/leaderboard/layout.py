"""What a column of the board is: what it is called, how a row fills it, in which outputs it stands, and where."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

from markupsafe import Markup

from prm_eval.evaluation.measured import Baseline, Curve, Settings
from prm_eval.leaderboard.cells import Cell
from prm_eval.leaderboard.charts import mini
from prm_eval.leaderboard.rows import Entry


@dataclass(frozen=True)
class Reference:
    """A baseline as a row of the board: the selector's name, and what it reaches."""

    name: str
    measured: Baseline


@dataclass(frozen=True)
class Scene:
    """What is the same for all rows of one board.

    Attributes:
        pool_id: Of its pool.
        settings: How it was computed.
        axis: From where to where the small charts go, in shares.
        marks: Upright lines in them: (share, class).
    """

    pool_id: str
    settings: Settings
    axis: tuple[float, float]
    marks: tuple[tuple[float, str], ...]

    def chart(self, curve: Curve) -> Markup:
        """Return the accuracy at the headline n, drawn."""
        at = self.settings.column
        return mini(curve.values[at], curve.lows[at], curve.highs[at], self.axis, self.marks)


@dataclass(frozen=True)
class OnPage:
    """How a column stands on the page.

    Attributes:
        look: How a cell is set: the row's name, a figure with what belongs to it, a figure beside its chart, or a mark
            with flags.
        first: The direction that the first click sorts in.
        menu: Its name in the menu of columns; "" where it cannot be hidden.
        left: Whether it is set to the left.
        words: Whether it is sorted as text.
        after: The key of the column that it follows here; "" where it stands as in the table.
    """

    look: Literal["name", "figure", "chart", "flags"] = "figure"
    first: Literal["asc", "desc"] = "desc"
    menu: str = ""
    left: bool = False
    words: bool = False
    after: str = ""


@dataclass(frozen=True)
class InMarkdown:
    """How a column stands in Markdown.

    Attributes:
        heading: Where it is not that of the column, in small letters.
        limits: Whether the limits are written beside the text.
        after: The key of the column that it follows here; "" where it stands as in the table.
    """

    heading: str = ""
    limits: bool = False
    after: str = ""


@dataclass(frozen=True)
class InCsv:
    """How a column stands in CSV.

    Attributes:
        fields: Their names, one for each value in :attr:`Cell.csv`.
        after: The key of the column that it follows here; "" where it stands as in the table.
    """

    fields: tuple[str, ...]
    after: str = ""


Form = TypeVar("Form", OnPage, InMarkdown, InCsv)


def _nothing(row: Reference, scene: Scene) -> Cell:
    return Cell()


@dataclass(frozen=True)
class Column:
    """One column of the board: what it is called, what it says of a row, and where it stands.

    Attributes:
        key: What the page's address, its style and ``after`` call it.
        entry: Returns the cell of a submission.
        baseline: Returns the cell of a baseline; empty by default.
        heading: Short, for readers, with ``{n}`` for the headline n.
        meaning: What it is, for readers; likewise.
        page: None where it is not on the page.
        markdown: None where it is not in Markdown.
        csv: None where it is not in CSV.
        json: Its name in a row of JSON; "" where it is not in there.
    """

    key: str
    entry: Callable[[Entry, Scene], Cell]
    baseline: Callable[[Reference, Scene], Cell] = _nothing
    heading: str = ""
    meaning: str = ""
    page: OnPage | None = None
    markdown: InMarkdown | None = None
    csv: InCsv | None = None
    json: str = ""

    def cell(self, row: Entry | Reference, scene: Scene) -> Cell:
        """Return what it says of a row."""
        return self.entry(row, scene) if isinstance(row, Entry) else self.baseline(row, scene)

    def heading_at(self, n: int) -> str:
        """Return the heading on a board with this headline n."""
        return self.heading.replace("{n}", str(n))

    def meaning_at(self, n: int) -> str:
        """Return what it is, on a board with this headline n."""
        return self.meaning.replace("{n}", str(n))


def in_order(columns: Sequence[Column], form: Callable[[Column], Form | None]) -> tuple[tuple[Column, Form], ...]:
    """Return the columns of one output with their forms there: as in the table, but for those that follow another.

    Raises:
        ValueError: One follows a column that is not in the output, or not yet.
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
