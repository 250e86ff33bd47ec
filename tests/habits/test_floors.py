"""The floors of coverage. If the sums were wrong, or a room that nobody measured passed, a fall would go unseen."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.floors import FLOORS, Covered, by_room, is_below, lines, main


def summary(lines: int, statements: int, taken: int, branches: int) -> dict[str, dict[str, int]]:
    counts = {"covered_lines": lines, "num_statements": statements, "covered_branches": taken, "num_branches": branches}
    return {"summary": counts}


def test_files_are_summed_by_room() -> None:
    """A room within a room, the same name elsewhere, absolute paths: each file counts where it lies, once a room."""
    files = {
        "prm_eval/store/jsonl.py": summary(9, 10, 3, 4),
        "/somewhere/prm_eval/store/tables.py": summary(1, 10, 0, 4),
        "prm_eval/rewards/files/cache.py": summary(5, 5, 2, 2),
        "prm_eval/rewards/scoring.py": summary(1, 99, 1, 99),
        "prm_eval/storekeeper.py": summary(1, 99, 1, 99),
    }
    found = by_room(files, ["store", "rewards/files", "texts"])
    assert found == {
        "store": Covered((10, 20), (3, 8)),
        "rewards/files": Covered((5, 5), (2, 2)),
        "texts": Covered((0, 0), (0, 0)),
    }


@pytest.mark.parametrize(
    "found, below",
    [
        (Covered((10, 10), (90, 100)), False),
        (Covered((10, 10), (8_999, 10_000)), True),
        (Covered((10, 10), (0, 0)), False),
        (Covered((0, 0), (0, 0)), True),
    ],
    ids=["at the floor", "just below", "no branches", "not measured"],
)
def test_what_is_below(found: Covered, below: bool) -> None:
    """89.99 % are not 90; a room of which nothing was measured is below any floor."""
    assert is_below(found, 90) is below
    assert ("BELOW" in lines({"x": found}, {"x": 90})[1]) is below


def test_every_floor_has_its_room_and_every_measured_room_its_floor() -> None:
    """A room that is measured and has no floor may fall; a floor of a room that was renamed checks nothing."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    section = text.partition("[tool.coverage.run]")[2].partition("\n[")[0]
    measured = {each.strip(' ",') for each in section.partition("source_pkgs = [")[2].partition("]")[0].splitlines()}
    assert measured - {""} == {"prm_eval." + room.replace("/", ".") for room in FLOORS}
    assert all((ROOT / "prm_eval" / room).is_dir() for room in FLOORS)
    assert all(FLOORS[room] >= 90 for room in ("grading", "selection", "evaluation", "submissions"))


def test_a_measured_run_passes_and_fails_by_its_floors(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """End to end: a run that takes one of two branches of a room has 50 %."""
    room = tmp_path / "prm_eval" / "texts"
    room.mkdir(parents=True)
    (room / "half.py").write_text("import sys\nif len(sys.argv) == 1:\n    print('one')\nelse:\n    print('other')\n")
    data = tmp_path / ".coverage"
    run = [sys.executable, "-m", "coverage", "run", "--branch", f"--data-file={data}", "--rcfile=/dev/null"]
    subprocess.run([*run, str(room / "half.py")], check=True, capture_output=True, cwd=tmp_path)
    assert main([str(data)], {"texts": 50}) == 0
    assert "50.0%  50%" in capsys.readouterr().out
    assert main([str(data)], {"texts": 51}) == 1
    assert "below the floor of branch coverage (tests/floors.py): texts" in capsys.readouterr().err
