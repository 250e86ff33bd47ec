"""Files of strangers as they wrote them (shared/data; skipped where it is absent)."""

from __future__ import annotations

import gzip
import json
from itertools import islice
from pathlib import Path

import pytest

from prm_eval.evaluation import evaluate
from prm_eval.importers import import_pool
from prm_eval.rewards.files.reward_file import RewardFile
from tests.conftest import write_jsonl


def figures(pool) -> list:
    found = evaluate(pool.path, pool.reward_folders(), grades="published", resamples=20)
    return [(row["selector"], row["n"], row["value"]) for row in found.to_json()["rows"]]


def test_qwen_as_written_and_as_converted(tmp_path: Path, data: Path) -> None:
    """Our importer of Qwen's own file gives every figure of the copy that was converted by hand."""
    written = import_pool(data / "foreign/qwen_eval/math_cot_100.jsonl", tmp_path / "written").pool
    statements = {problem.statement for problem in written.problems.values()}
    lines = (data / "bon/math_cot_100_rm.jsonl").read_text().splitlines()
    by_hand = [row for row in map(json.loads, lines) if row["problem"] in statements]
    converted = import_pool(write_jsonl(tmp_path / "c.jsonl", by_hand), tmp_path / "converted").pool
    assert len(by_hand) == written.info.n_problems == 20
    assert figures(written) == figures(converted)


@pytest.mark.parametrize("name, models", [("gsm8k_500x32_7prms", 7), ("math500_500x32_qwen_prm", 1)])
def test_real_pools_with_all_their_prms(tmp_path: Path, data: Path, name: str, models: int) -> None:
    """32 candidates a problem with the step rewards of up to seven PRMs: no option is needed, nothing is refused."""
    with gzip.open(data / f"bon/{name}.jsonl.gz", "rt", encoding="utf-8") as lines:
        (tmp_path / "first.jsonl").write_text("".join(islice(lines, 40)), encoding="utf-8")
    report = import_pool(tmp_path / "first.jsonl", tmp_path / "pool")
    assert (report.pool.info.n_problems, report.pool.info.m, report.pool.info.n_missing) == (40, 32, 0)
    files = [RewardFile(folder) for folder in report.pool.reward_folders()]
    assert len(files) == models
    assert all((file.info.kind, file.info.score_type) == ("prm", "value") for file in files)
    assert all(reward.refusal is None for _, _, reward in files[0].rows())


def test_other_foreign_files(tmp_path: Path, data: Path) -> None:
    """NeMo-Skills' three samples, an inspect_ai log of 2025, a StrictPRMBench problem: recognised and whole."""
    expected = {
        "nemo_skills": ("nemo_skills", 5, 3),
        "inspect/mmlu-summary-choices.eval": ("inspect", 1, 1),
        "strictprmbench/gsm8k_000.json": ("strictprmbench", 1, 4),
    }
    for k, (path, (form, problems, slots)) in enumerate(expected.items()):
        report = import_pool(data / "foreign" / path, tmp_path / str(k))
        assert (report.format, report.pool.info.n_problems, report.pool.info.m) == (form, problems, slots)
        assert report.pool.verify() == []
    ((_, candidates),) = list(report.pool)
    assert all("assistant\n" not in step for each in candidates for step in (*(each.steps or ()), each.text))


def test_rewards_without_texts(tmp_path: Path, data: Path) -> None:
    """RewardMATH's rewards give the accuracy that its authors print, for a classifier and for a PRM."""
    pool = import_pool(data / "rewards_only/rewardmath_483x10.jsonl.gz", tmp_path / "pool").pool
    rewards = [pool.path / "rewards/internlm2_7b", pool.path / "rewards/Math_Shepherd"]
    found = evaluate(pool.path, rewards, grades="published", ns=[10], resamples=20)
    best = {
        row["reward_model"]: row["value"]
        for row in found.to_json()["rows"]
        if row["selector"] == "best_of_n" and row["n"] == 10
    }
    assert best["internlm2_7b"] == pytest.approx(0.3727, abs=1e-3)
    assert best["Math_Shepherd"] == pytest.approx(0.1718, abs=3e-3)
