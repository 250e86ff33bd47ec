"""The rules that the doors share: when is graded, by which grades, under which aggregations, and what is said of
refusals."""

from __future__ import annotations

import json

import pytest

from prm_eval.errors import PrmEvalError
from prm_eval.evaluation import jobs
from prm_eval.evaluation.opening import opened_rewards
from prm_eval.grading.pool import is_graded
from prm_eval.importers import import_pool
from prm_eval.records import StepRewards
from prm_eval.rewards import RewardFile
from prm_eval.rewards.models.rules import ArithmeticPRM
from prm_eval.rewards.scoring import OF_THE_MACHINE
from tests.conftest import PLAIN, write_jsonl


class Refusing(ArithmeticPRM):
    """Refuses some candidates, each for the reason that it is given."""

    name = "refusing"

    def __init__(self, reasons: list[str | None]) -> None:
        super().__init__()
        self.reasons = iter(reasons)

    def score(self, items):
        scored = super().score(items)
        return [each if (reason := next(self.reasons)) is None else StepRewards((), reason) for each in scored]


class Stages:
    """Bars that write down which stages there were."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def __call__(self, what, total, unit="", /):
        self.seen.append(what)
        return jobs.no_bars(what, total, unit)


def without_gold(tmp_path):
    rows = [{key: value for key, value in row.items() if key != "answer"} for row in PLAIN]
    return import_pool(write_jsonl(tmp_path / "no_gold.jsonl", rows), tmp_path / "no_gold").pool


def test_a_pool_is_graded_once(pool) -> None:
    """Every door graded by a rule of its own: one of them graded a pool again that had its grades."""
    assert not is_graded(pool)
    stages = Stages()
    assert jobs.grade_unless_graded(pool, bars=stages)
    assert not jobs.grade_unless_graded(pool, bars=stages)
    assert stages.seen == ["grading"]
    jobs.run_evaluation(pool.path, grades="own", ns=[1, 2], resamples=10, bars=stages)
    assert stages.seen == ["grading", "evaluating"]


def test_auto_means_ours_where_there_is_gold_and_published_ones_where_there_is_none(pool, tmp_path) -> None:
    """Taken the other way, an imported pool is evaluated by labels that nobody asked for, or fails for want of gold."""
    assert jobs.meant_grades(pool) == "own"
    bare = without_gold(tmp_path)
    assert jobs.meant_grades(bare) == "published"
    bare.grades_path("published").unlink()
    assert jobs.meant_grades(bare) == "own"
    assert jobs.meant_grades(pool, "published") == "published"
    assert jobs.meant_grades(pool, "exact-text") == "exact-text"


def test_a_pool_without_gold_is_evaluated_by_its_published_grades(tmp_path) -> None:
    """Graded first, it would stop at the first problem without a gold answer."""
    bare = without_gold(tmp_path)
    found = jobs.run_evaluation(bare.path, ns=[1, 4], resamples=10)
    assert found.settings["grades"] == "published"


def test_an_aggregation_is_asked_of_prms_only(pool) -> None:
    """An ORM has one number a candidate: under three names it would stand on the board three times."""
    orm, prm = pool.path / "rewards" / "score", pool.path / "rewards" / "step_scores"
    found = opened_rewards([orm, prm], ["min", "mean"])
    assert [(each.info.kind, each.aggregation) for each in found][1:] == [("prm", "min"), ("prm", "mean")]
    assert [each.name for each in found] == ["score", "step_scores[min]", "step_scores[mean]"]
    declared = opened_rewards([orm, prm])
    assert [each.aggregation for each in declared] == [RewardFile(each).info.aggregation for each in (orm, prm)]
    with pytest.raises(PrmEvalError, match="unknown aggregation 'median'; expected one of prod, min"):
        opened_rewards([prm], ["median"])


def test_verification_finds_a_fault_in_a_reward_folder_and_goes_on(pool) -> None:
    """The first broken reward folder must not hide the next one."""
    assert jobs.verify_pool(pool) == []
    for name in ("score", "step_scores"):
        (pool.path / "rewards" / name / "rewards.parquet").write_bytes(b"x")
    faults = jobs.verify_pool(pool)
    assert len(faults) == 2
    assert all("not Parquet" in fault for fault in faults)


def test_refusals_are_those_that_the_run_counted(pool, tmp_path, monkeypatch) -> None:
    """The whole file was read a second time to count what submission.json says; a file that does not say is still
    counted."""
    reasons = ["over-length: 9 tokens", None, "over-length: 7 tokens", "no token", None, None, None, None]
    found = jobs.run_scoring(pool, Refusing(reasons), tmp_path / "r")
    assert found.refused == {"over-length": 2, "no token": 1}
    assert list(found.refused) == ["over-length", "no token"]
    assert found.refusal_lines == ["2 of 8: over-length", "1 of 8: no token"]
    assert not found.nothing_scored
    with monkeypatch.context() as patch:
        patch.setattr(RewardFile, "rows", lambda self: pytest.fail("the file was read a second time"))
        assert jobs.run_scoring(pool, Refusing(reasons), tmp_path / "r").refused == found.refused
    about = tmp_path / "r" / "submission.json"
    fields = json.loads(about.read_text())
    for said in (None, "many", {"over-length": "2"}):
        fields["run"] = {} if said is None else {"refused": said}
        about.write_text(json.dumps(fields))
        assert jobs.run_scoring(pool, Refusing(reasons), tmp_path / "r").refused == found.refused


def test_where_everything_was_refused_nothing_was_scored(pool, tmp_path) -> None:
    """Exit status 0 for a file without a number sends a user to a board on which the model is last."""
    found = jobs.run_scoring(pool, Refusing(["no token"] * 8), tmp_path / "r")
    assert found.nothing_scored
    assert found.refusal_lines == ["8 of 8: no token"]


def test_refusals_of_the_machine_come_with_the_way_out(pool, tmp_path) -> None:
    """They say nothing of the candidate: on another machine it may be scored, and the user is to be told how."""
    reason = OF_THE_MACHINE[0]
    found = jobs.run_scoring(pool, Refusing([f"{reason}: 9 tokens", *[None] * 7]), tmp_path / "r")
    assert found.refusal_lines == [
        f"1 of 8: {reason}",
        f"remove {tmp_path / 'r'} to score again on another machine, server or with other options",
    ]


def test_another_aggregation_than_the_declared_one_is_refused(pool, tmp_path) -> None:
    """Declared beforehand is the rule of the board; a second run must not change it in silence."""
    jobs.run_scoring(pool, ArithmeticPRM(), tmp_path / "r")
    jobs.require_declared_aggregation(RewardFile(tmp_path / "r"), pool)
    other = jobs.run_scoring(pool, ArithmeticPRM(aggregation="min"), tmp_path / "r").rewards
    with pytest.raises(PrmEvalError, match=r"declares the aggregation prod, and that stays.*--aggregation min"):
        jobs.require_declared_aggregation(other, pool)


def test_the_runner_of_a_name(monkeypatch) -> None:
    """--workers without a runner that has some was ignored; a misspelt runner must not score in this process."""
    assert jobs.chosen_runner("local", "m", {}) is None
    ray = jobs.chosen_runner("ray", "m", {"device": None, "max_tokens": 5}, 3)
    assert (ray.name, ray.options, ray.workers) == ("m", {"max_tokens": 5}, 3)
    with pytest.raises(PrmEvalError, match="--workers is for --runner ray"):
        jobs.chosen_runner("local", "m", {}, 2)
    with pytest.raises(PrmEvalError, match="unknown runner 'spark'; expected one of local, ray"):
        jobs.chosen_runner("spark", "m", {})


def test_grading_elsewhere_is_not_compared(pool, tmp_path) -> None:
    """`grade -o DIR --compare` compared the grades that the pool had before, and said "of 0 candidates"."""
    with pytest.raises(PrmEvalError, match="leave out -o"):
        jobs.run_grading(pool.path, output=tmp_path / "g", compare="published")
    assert jobs.run_grading(pool.path, output=tmp_path / "g").counts is None
    assert not is_graded(pool)
    found = jobs.run_grading(pool.path, compare="published")
    assert found.disagreements == () and sum(found.counts.values()) == 8
