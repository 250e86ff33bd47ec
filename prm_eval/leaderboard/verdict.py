"""The answer that stands above a board's table: who leads, by how much, and whether to believe it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from prm_eval.leaderboard.cells import Cell
from prm_eval.leaderboard.rows import Entry
from prm_eval.leaderboard.table import Table, TableRow
from prm_eval.leaderboard.words import counted, percent
from prm_eval.submissions import Submission, Tier

# rows that are named where several may be first
NAMED = 4
CHECKED: dict[Tier, str] = {
    "recomputed": "nobody here has run it: its name is the submitter\u2019s word",
    "spot-checked": "a maintainer ran it on a random sample: what differs is worth at most 2 points",
    "reproduced": "a maintainer ran it on every candidate, and the figures are those of that run",
}
RUN_IN_VAIN = "a maintainer ran it, and that earned it no trust: its page says why"


@dataclass(frozen=True)
class Verdict:
    """What a reader wants to know first of a board.

    Attributes:
        top: The highest row.
        named: The first rows of those that may have rank 1.
        more: How many more there are.
        second: The row after the highest; None where there is only one.
        behind: The difference of the second row to the highest, with limits; empty where there is none.
        majority: The accuracy of the majority vote, in per cent.
        over_majority: The difference of the highest row to it, with limits.
        checked: What was done to check the highest row.
        against: What speaks against the highest row; "" where nothing does.
    """

    top: TableRow
    named: tuple[TableRow, ...]
    more: int
    second: TableRow | None
    behind: Cell
    majority: str
    over_majority: Cell
    checked: str
    against: str

    @property
    def clear(self) -> bool:
        """Whether one row is surely ahead of all others."""
        return len(self.named) + self.more == 1


def verdict_of(table: Table) -> Verdict | None:
    """Return the verdict on a board; None where nothing was submitted."""
    if not table.rows:
        return None
    top, entry = table.rows[0], table.board.entries[0]
    level = [row for row in table.rows if row.ranks[0] == 1]
    second = table.rows[1] if len(table.rows) > 1 else None
    return Verdict(
        top,
        tuple(level[:NAMED]),
        len(level[NAMED:]),
        second,
        Cell() if second is None else _turned(second.cells["best"]),
        table.levels["majority"],
        top.cells["maj"],
        checked(entry.submission),
        _against(entry, top),
    )


def checked(submission: Submission) -> str:
    """Return what was done to check a submission."""
    in_vain = submission.tier == "recomputed" and submission.verification is not None
    return RUN_IN_VAIN if in_vain else CHECKED[submission.tier]


def _turned(cell: Cell) -> Cell:
    """Return the difference of the second row to the highest as a lead of the highest."""
    value, low, high = cell.csv
    return Cell(percent(-value), percent(-high), percent(-low))


def _against(entry: Entry, row: TableRow) -> str:
    found = [counted(len(entry.suspicions), "doubt") if entry.suspicions else ""]
    found += [flag.title[0].lower() + flag.title[1:] for flag in row.cells["tier"].flags if not flag.link]
    if row.cells["refused"].text != "0":
        found.append(f"{row.cells['refused'].text} % of the candidates refused")
    return "; ".join(filter(None, found))


def makeup(entries: Sequence[Entry]) -> str:
    """Return a sentence about where the models of a board come from, and what is not on it."""
    models = {(each.submission.org, each.submission.model): each.submission.revision for each in entries}
    rules = sum(revision.startswith("rule-") for revision in models.values())
    local = sum(revision.startswith("sha256-") for revision in models.values())
    public = len(models) - rules - local
    parts = [counted(public, "model") + " of the hub at a public commit"] if public else []
    parts += [f"{counted(local, 'model')} with weights that are not on the hub"] if local else []
    parts += [f"{counted(rules, 'rule')} without weights"] if rules else []
    if not parts:
        return "Nothing was submitted yet."
    listed = parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
    return f"On it: {listed}." + ("" if public else " Not on it yet: any published reward model of the hub.")
