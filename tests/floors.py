"""The floors of branch coverage: what a run of the tests measured, room by room, against what it must not fall below.

``make test`` runs this after pytest: ``python -m tests.floors [DATA_FILE]``. Exit status 1 where a room is below its
floor.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

# Percent of branches, by room: what a whole run measured, less two points for what hypothesis draws.
FLOORS: dict[str, int] = {
    "evaluation": 91,
    "grading": 90,
    "importers": 91,
    "pools": 90,
    "rewards/files": 88,
    "selection": 98,
    "stepsets": 93,
    "store": 97,
    "submissions": 90,
    "texts": 92,
}


@dataclass(frozen=True)
class Covered:
    """How much of a room the tests ran: statements and branches, of how many."""

    statements: tuple[int, int]
    branches: tuple[int, int]

    @property
    def percent(self) -> float:
        """Branches that were taken, in percent; a room without branches has all of them."""
        taken, there = self.branches
        return 100.0 * taken / there if there else 100.0


def by_room(files: Mapping[str, Mapping[str, Mapping[str, int]]], rooms: Sequence[str]) -> dict[str, Covered]:
    """Return the sums of each room over the files of a coverage report (its JSON: path -> summary)."""
    result = {}
    for room in rooms:
        prefix = f"prm_eval/{room}/"
        # the path may be absolute where the package is installed elsewhere
        own = [each["summary"] for path, each in files.items() if prefix in Path(path).as_posix()]
        result[room] = Covered(
            (sum(each["covered_lines"] for each in own), sum(each["num_statements"] for each in own)),
            (sum(each["covered_branches"] for each in own), sum(each["num_branches"] for each in own)),
        )
    return result


def lines(rooms: Mapping[str, Covered], floors: Mapping[str, int]) -> list[str]:
    """Return the table, a room a line."""
    return [f"{'room':<14} {'statements':>18} {'branches':>16} {'':>7}  floor"] + [
        f"{room:<14} {found.statements[0]:>9,} of {found.statements[1]:>5,} "
        f"{found.branches[0]:>7,} of {found.branches[1]:>5,} {found.percent:>6.1f}%  {floors[room]}%"
        f"{'  BELOW' if is_below(found, floors[room]) else ''}"
        for room, found in rooms.items()
    ]


def is_below(found: Covered, floor: int) -> bool:
    """Say whether a room misses its floor; one of which nothing was measured does."""
    return found.statements[1] == 0 or found.percent < floor


def main(arguments: Sequence[str] | None = None, floors: Mapping[str, int] = FLOORS) -> int:
    """Print the table; return 1 where a room is below its floor."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", nargs="?", default=".coverage", help="what coverage wrote (default: .coverage)")
    asked = parser.parse_args(arguments)
    from coverage import Coverage
    from coverage.exceptions import NoDataError

    measured = Coverage(data_file=asked.data)
    measured.load()
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        try:
            measured.json_report(outfile=str(report))
        except NoDataError:
            print(f"{asked.data}: nothing was measured; run make test, or pytest --cov, first", file=sys.stderr)
            return 1
        rooms = by_room(json.loads(report.read_text())["files"], list(floors))
    print("\n".join(lines(rooms, floors)))
    below = [room for room, found in rooms.items() if is_below(found, floors[room])]
    if below:
        print(f"below the floor of branch coverage (tests/floors.py): {', '.join(below)}", file=sys.stderr)
    return 1 if below else 0


if __name__ == "__main__":
    sys.exit(main())
