"""Pools whose problem set says how they are graded, on the board. Each test says what would be wrong if it failed."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import pytest

from prm_eval.cli.commands import main
from prm_eval.importers import import_pool
from prm_eval.leaderboard import build
from prm_eval.pools.pool import Pool
from prm_eval.store.jsonl import file_sha256
from prm_eval.submissions import registered_pools
from prm_eval.submissions.checking.check import Checker
from prm_eval.submissions.doubted import doubts_at
from prm_eval.submissions.suspicion import pool_facts
from tests.leaderboard.board import ENTRY, Model, add_submission

TOLERANT = "default:tolerance_percent=5"


@pytest.fixture
def registered(tmp_path: Path) -> Path:
    """A results folder with a pool of a set with a tolerance, registered by the command, and a submission."""
    rows = [
        {"problem": f"How far is {at}?", "answer": "100", "samples": [
            {"text": f"so \\boxed{{{answer}}}"} for answer in (102, 100, 50, 30)]}
        for at in range(6)
    ]  # fmt: skip
    source = tmp_path / "p.jsonl"
    source.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    pool = import_pool(source, tmp_path / "p", policy="me/policy").pool
    said = json.loads((pool.path / "pool.json").read_text(encoding="utf-8"))
    said["problem_set"]["grader"] = TOLERANT
    (pool.path / "pool.json").write_text(json.dumps(said), encoding="utf-8")
    results = tmp_path / "results"
    assert main(["pool", "register", str(pool.path), "--id", "tolerant", "-o", str(results)]) == 0
    add_submission(results, Pool(pool.path), Model(), ENTRY)
    return results


def test_the_board_is_of_these_grades(registered: Path) -> None:
    """SciBench's answers are right within 5 %: a board without that is one of another benchmark."""
    (there,) = (registered / "pools" / "tolerant").glob("grades*.parquet")
    assert there.name == "grades-default_tolerance_percent=5.parquet"
    folder = build(registered).folder
    (board,) = json.loads((folder / "leaderboard.json").read_text(encoding="utf-8"))["boards"]
    assert board["baselines"]["first"]["1"]["value"] == pytest.approx(0.5)
    assert board["pool"]["grades_sha256"] == file_sha256(there)
    assert len(board["rows"]) == 1
    page = next((folder / "submissions").glob("*.html")).read_text(encoding="utf-8")
    assert f"{there.name} (SHA-256)" in page
    assert f"--grader {TOLERANT} -o grades" in page


def test_doubts_are_about_these_grades(registered: Path) -> None:
    """Checks that look for grades of another name would pass over every submission to such a pool."""
    pool = registered_pools(registered)["tolerant"].pool
    assert pool is not None and pool.own_source == TOLERANT
    with closing(Checker(registered)) as checker:
        assert len(doubts_at(registered, checker)) == 1
    facts = pool_facts(str(pool.path), pool.info.content_hash)
    assert facts.classes.shape == (6, 4)


def test_registering_again_copies_these_grades(registered: Path, tmp_path: Path) -> None:
    """Grades of a newer version would never come to the board."""
    there = registered / "pools" / "tolerant" / "grades-default_tolerance_percent=5.parquet"
    whole = there.read_bytes()
    there.unlink()
    assert main(["pool", "register", str(tmp_path / "p"), "--id", "tolerant", "-o", str(registered)]) == 0
    assert there.read_bytes() == whole
