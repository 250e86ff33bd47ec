"""Small pools with grades and rewards, for labellers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from prm_eval.grading.pool import grade_pool
from prm_eval.labelling.labellers import label_by, part_of
from prm_eval.pools.pool import Pool
from prm_eval.pools.writer import PoolWriter
from prm_eval.records import Candidate, Problem, StepLabel, StepRewards
from prm_eval.rewards import RewardFile, RewardWriter
from prm_eval.rewards.files.reward_info import RewardInfo
from prm_eval.stepsets.label_file import LabelFile
from tests.conftest import ROOT

MINIATURE = ROOT / "results" / "pools" / "miniature-v2-350x64"


def make_pool(
    folder: Path, problems: dict[str, tuple[str, str, list[str]]], *, grade: bool = True, m: int | None = None
):
    """A pool of id -> (statement, gold, texts), cut by line."""
    with PoolWriter(folder, problem_set={"name": "small"}, policy={"name": "hand"}, splitter="line", m=m) as writer:
        for name, (statement, gold, texts) in problems.items():
            problem = Problem(name, statement, gold)
            writer.add(problem, [Candidate(name, slot, text, finish_reason="stop") for slot, text in enumerate(texts)])
    pool = writer.pool
    assert pool is not None
    if grade:
        grade_pool(pool)
    return pool


SMALL = {
    "a": (
        "What is 1+1?",
        "2",
        ["1+1 = 2\n\\boxed{2}", "1+1 = 3\n\\boxed{3}", "1+1 = 2\n\\boxed{2}", "one\ntwo\n\\boxed{2}", "no idea"],
    ),
    "b": ("What is 2*3?", "6", ["\\boxed{5}", "2*3 = 6\n\\boxed{6}", "2*3 = 5\n\\boxed{6}", "2*3 = 8\n\\boxed{8}"]),
}


@pytest.fixture
def small(tmp_path: Path) -> Pool:
    return make_pool(tmp_path / "small", SMALL)


def write_rewards(
    pool: Pool,
    folder: Path,
    say: Callable[[Candidate], StepRewards | tuple[float, ...]],
    *,
    kind: str = "prm",
    score_type: str = "probability",
    splitter: str | None = "line",
    aggregation: str = "prod",
    name: str = "model",
) -> RewardFile:
    """A reward folder in which every candidate gets what a function says."""
    with RewardWriter(folder, single=False) as writer:
        for _, candidates in pool:
            for each in candidates:
                said = say(each)
                writer.add(each, said if isinstance(said, StepRewards) else StepRewards(said))
    info = RewardInfo(name, kind, score_type, aggregation, splitter, pool.info.content_hash)  # type: ignore[arg-type]
    writer.describe(info)
    return RewardFile(folder)


def write_labels(
    pool: Pool,
    folder: Path,
    say: Callable[[Candidate], StepLabel],
    *,
    kind="rated",
    by="someone",
    source="people",
    wanted=None,
) -> LabelFile:
    """A folder of labels in which every candidate gets what a function says."""
    return label_by(
        pool,
        folder,
        lambda _, candidate: say(candidate),
        source=source,
        by=by,
        kind=kind,
        splitter="line",
        wanted=wanted,
    ).labels


@pytest.fixture(scope="session")
def mini(tmp_path_factory: pytest.TempPathFactory) -> Pool:
    """Six problems of the miniature's pool with the first eight candidates each, graded."""
    whole = Pool(MINIATURE)
    wanted = {
        (problem.problem_id, each.candidate_id)
        for number, (problem, candidates) in enumerate(whole)
        if number < 6
        for each in candidates[:8]
    }
    pool = part_of(whole, wanted, tmp_path_factory.mktemp("mini") / "pool")
    grade_pool(pool)
    return pool
