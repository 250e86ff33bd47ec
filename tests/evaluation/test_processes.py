"""The same numbers whatever the number of processes: else two machines would print two results for one pool."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from prm_eval.errors import DataError
from prm_eval.evaluation import curves, cutting, jobs
from prm_eval.evaluation.cutting import report_on_steps
from prm_eval.grading import pool as grading
from prm_eval.importers import import_pool, loading
from prm_eval.pools.pool import Pool

PROBLEMS, SLOTS = 12, 9
JOBS = (1, 2, 4)


@pytest.fixture(autouse=True)
def small_pools_start_processes(monkeypatch) -> None:
    """So that a test need not have a million candidates: a process for every few candidates."""
    monkeypatch.setattr(curves, "SLOTS_A_PROCESS", 1)
    monkeypatch.setattr(curves, "SLOTS_A_BLOCK", SLOTS)
    monkeypatch.setattr(grading, "CANDIDATES_A_PROCESS", 1)
    monkeypatch.setattr(grading, "CANDIDATES_A_BLOCK", SLOTS)
    monkeypatch.setattr(cutting, "CUT_A_PROCESS", 1)
    monkeypatch.setattr(cutting, "CANDIDATES_A_BLOCK", 2 * SLOTS)
    monkeypatch.setattr(loading, "BYTES_A_PROCESS", 1)


def rows(faulty: tuple[int, ...] = ()) -> list[dict]:
    """Problems with ties, copies, missing slots, candidates without an answer and refused rewards."""
    source = random.Random(5)
    found = []
    for number in range(PROBLEMS):
        samples: list[dict | None] = []
        for _ in range(SLOTS):
            value = number + source.choice([0, 0, 1, 2])
            said = source.choice([f"\\boxed{{{value}}}", f"\\boxed{{{value}.0}}", f"so it is {value}", "no idea"])
            score = source.choice([None, 0.5, round(source.random(), 3)])
            samples.append({"text": f"First {number}.\n\nThen {said}", "score": score})
        samples[number % SLOTS] = None if number % 3 == 0 else samples[number % SLOTS]
        row = {"problem_id": f"p{number}", "problem": f"What is {number}?", "answer": str(number), "samples": samples}
        found.append({**row, "samples": [7]} if number in faulty else row)
    return found


def written(path: Path, lines: list[dict]) -> Path:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_a_pool_is_the_same_from_any_number_of_processes(tmp_path) -> None:
    """Import, report on steps, grades and evaluation: byte for byte, and digit for digit."""
    source = written(tmp_path / "rows.jsonl", rows())
    seen = []
    for number in JOBS:
        folder = tmp_path / f"pool-{number}"
        report = import_pool(source, folder, jobs=number, score_type="score=raw")
        files = content(folder)
        graded = jobs.run_grading(folder, jobs=number)
        found = jobs.run_evaluation(folder, jobs=number, draws=50, resamples=200)
        steps = report_on_steps(Pool(folder), "blank_line", jobs=number)
        seen.append(
            (files, report.notes, graded.counts, (folder / "grades.parquet").read_bytes(), found.to_json(), steps)
        )
    assert seen[0] == seen[1] == seen[2]
    *_, evaluation, steps = seen[0]
    assert steps.candidates == evaluation["pool"]["n_candidates"] < PROBLEMS * SLOTS
    assert steps.steps == 2 * steps.candidates
    assert {row["method"] for row in evaluation["rows"]} == {"exact"}


def test_estimated_votes_are_the_same_too(tmp_path) -> None:
    """A problem's permutations come from its id, not from who draws them."""
    generator = random.Random(3)
    lines = [
        {
            "problem_id": f"p{number}",
            "problem": f"{number}?",
            "answer": "1",
            "samples": [
                {"text": f"\\boxed{{{generator.randint(1, 4)}}}", "score": generator.random()} for _ in range(30)
            ],
        }
        for number in range(6)
    ]
    import_pool(written(tmp_path / "rows.jsonl", lines), tmp_path / "pool")
    jobs.run_grading(tmp_path / "pool")
    found = [
        jobs.run_evaluation(tmp_path / "pool", jobs=number, draws=100, resamples=100, ns=[1, 8, 30]).to_json()
        for number in (1, 2)
    ]
    assert found[0] == found[1]
    assert "monte_carlo" in {row["method"] for row in found[0]["rows"]}


@pytest.mark.parametrize("number", JOBS[:2])
def test_faults_are_told_in_the_order_of_the_file(tmp_path, number) -> None:
    """The first faulty row is the error; with --skip-bad all of them are listed, and the rest is imported."""
    source = written(tmp_path / "rows.jsonl", rows(faulty=(4, 5, 9)))
    with pytest.raises(DataError, match=r"rows.jsonl, row 5: found samples\[0\] of type int"):
        import_pool(source, tmp_path / "pool", jobs=number)
    assert not (tmp_path / "pool").exists()
    report = import_pool(source, tmp_path / "pool", jobs=number, skip_bad=True)
    assert [each.split(": ")[0].rpartition("row ")[2] for each in report.skipped] == ["5", "6", "10"]
    assert report.pool.info.n_problems == PROBLEMS - 3
