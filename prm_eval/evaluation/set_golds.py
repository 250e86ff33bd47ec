"""What a problem set holds: where it comes from, its problems, and the golds that grading cannot read, with reasons."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

from prm_eval.evaluation.golds import UnreadableGold, unreadable_golds
from prm_eval.grading import is_equivalent
from prm_eval.pools.hub_sets import HUB_SETS, USUAL, Columns
from prm_eval.pools.problem_sets import ProblemSet, load_problems
from prm_eval.store.visible import one_line, visible

# characters of a gold in a list
SHOWN = 80


@dataclass(frozen=True)
class SetGolds:
    """A problem set with its golds.

    Attributes:
        problem_set: The set.
        without: The ids of the problems that have no gold answer.
        unequal: The golds that do not even equal themselves, by id.
        unread: The golds that only the same text equals, and why.
    """

    problem_set: ProblemSet
    without: tuple[str, ...]
    unequal: tuple[str, ...]
    unread: tuple[UnreadableGold, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the record as ``prm-eval problems SET --json`` prints it."""
        return {
            "name": self.problem_set.name,
            "revision": self.problem_set.revision,
            "content_hash": self.problem_set.content_hash,
            "n_problems": len(self.problem_set.problems),
            "without_gold": list(self.without),
            "unequal_to_themselves": list(self.unequal),
            "unreadable": [asdict(each) for each in self.unread],
        }


def describe_set(name: str) -> SetGolds:
    """Load a problem set and check its golds.

    Raises:
        PrmEvalError: There is no such set, or it has a fault.
    """
    found = load_problems(name)
    without = tuple(each.problem_id for each in found.problems if each.gold is None)
    unequal = tuple(
        each.problem_id for each in found.problems if each.gold is not None and not is_equivalent(each.gold, each.gold)
    )
    return SetGolds(found, without, unequal, unreadable_golds(found.problems))


def set_lines(found: SetGolds, show: int = 0) -> list[str]:
    """Return what is known of a set as lines, with its first problems as they are asked."""
    problems = found.problem_set.problems
    lines = [
        f"set        {visible(found.problem_set.name)}  ({found.problem_set.content_hash})",
        f"revision   {found.problem_set.revision or 'not pinned'}",
        f"problems   {len(problems):,}",
    ]
    subjects = Counter(each.subject for each in problems if each.subject)
    if subjects:
        lines.append(
            "subjects   " + ", ".join(f"{one_line(name, SHOWN)} {count:,}" for name, count in subjects.items())
        )
    if found.without:
        lines.append(f"no gold    {len(found.without):,}: {', '.join(map(visible, found.without[:5]))}")
    lines.append(f"unequal    {len(found.unequal):,} golds do not equal themselves")
    lines.append(f"unreadable {len(found.unread):,} golds, which only the same text equals")
    for each in found.unread:
        lines.append(f"  {visible(each.problem_id)}: {one_line(each.gold, SHOWN)}: {one_line(each.why, SHOWN)}")
    for problem in problems[:show]:
        lines += ["", f"{visible(problem.problem_id)}, gold {one_line(problem.gold or 'none', SHOWN)}", ""]
        lines += [visible(line) for line in problem.statement.splitlines()]
    return lines


def hub_table() -> list[list[str]]:
    """Return the named sets of the hub as a header and rows: name, place, revision, rows that belong to it, columns."""
    rows = [
        [name, hub.place, (hub.revision or "newest")[:12], hub.rows, _columns(hub.columns)]
        for name, hub in HUB_SETS.items()
    ]
    return [["set", "hub", "revision", "rows", "columns"], *rows]


def hub_lines() -> list[str]:
    """Return the named sets of the hub as lines."""
    cells = hub_table()
    widths = [max(len(row[i]) for row in cells) for i in range(len(cells[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]


def hub_record() -> list[dict[str, Any]]:
    """Return the named sets of the hub as JSON."""
    return [{"name": name, **asdict(hub)} for name, hub in HUB_SETS.items()]


def _columns(columns: Columns) -> str:
    """Return the columns in words, what they hold first; empty where a set has the usual spellings."""
    if columns == USUAL:
        return "the usual spellings"
    usual = asdict(Columns())
    named = {name: value for name, value in asdict(columns).items() if value and value != usual[name]}
    return "; ".join(
        f"{name}: {value if isinstance(value, str) else ', '.join(value)}" for name, value in named.items()
    )
