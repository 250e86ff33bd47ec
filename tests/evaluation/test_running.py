"""Who is in the running: a candidate without an answer that loses or competes can turn a comparison round."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings

from prm_eval.errors import PrmEvalError
from prm_eval.evaluation.curves import GradedSlots, RewardArrays, evaluate, load_selectors, problem_curves
from prm_eval.evaluation.measured import board_settings
from prm_eval.evaluation.no_answer import meant_rule, other_rule
from prm_eval.evaluation.pool_arrays import load_arrays
from prm_eval.evaluation.report import html_page, text_table
from prm_eval.evaluation.yardstick import Yardstick
from prm_eval.grading.pool import grade_pool
from prm_eval.importers import import_pool
from prm_eval.pools.pool import Pool
from prm_eval.records import Problem
from prm_eval.rewards.files.reward_file import NamedRewards, RewardFile
from prm_eval.selection.selectors import ByDraw, Draw, Slots
from tests.conftest import write_jsonl
from tests.selection.brute import elected_by, over_all_subsets, slots

SELECTORS = load_selectors(["first", "majority", "best_of_n", "weighted_majority", "shortest", "random", "oracle"])


@pytest.mark.parametrize(
    ("asked", "grades", "rule"),
    [
        ("auto", "own", "lose"),
        ("auto", "default:extraction=conclusion", "lose"),
        ("auto", "published", "compete"),
        ("lose", "published", "lose"),
        ("compete", "own", "compete"),
    ],
)
def test_the_rule_that_is_meant(asked: str, grades: str, rule: str) -> None:
    """By published grades nobody lacks an answer; by ours one loses, as it always did; what is asked for is done."""
    assert meant_rule(asked, grades) == rule
    assert {rule, other_rule(rule)} == {"lose", "compete"}
    with pytest.raises(PrmEvalError, match="no-answer = 'win'; expected auto, lose, compete"):
        meant_rule("win", grades)


def largest(keys: np.ndarray, able: np.ndarray):
    """The drawn slot with the largest key of those that may be chosen."""

    def rule(drawn):
        there = [slot for slot in drawn if able[slot] and not math.isnan(keys[slot])]
        best = [slot for slot in there if keys[slot] == max(keys[each] for each in there)]
        return {slot: 1 / len(best) for slot in best}

    return rule


@settings(max_examples=40, deadline=None, derandomize=True)
@given(problem=slots(most=6))
def test_the_curves_of_those_that_compete_are_the_definitions(problem: Slots) -> None:
    """By key all that are present compete, by vote only answers count, and a missing slot is never chosen."""
    correct, present = problem.classes == 0, ~np.isnan(problem.lengths)
    arrays = {"it": RewardArrays(problem.rewards, problem.weights)}
    graded = GradedSlots(Problem("p", "s"), problem.classes, correct, problem.lengths, arrays)
    ns = list(range(1, problem.m + 1))
    found = problem_curves(graded, SELECTORS, ns, draws=10, no_answer="compete")
    wanted = {
        ("best_of_n", "it"): largest(problem.rewards, present),
        ("shortest", None): largest(-problem.lengths, present),
        ("random", None): largest(np.zeros(problem.m), present),
        ("weighted_majority", "it"): elected_by(problem.weights, problem),
        ("majority", None): elected_by(np.ones(problem.m), problem),
    }
    for key, rule in wanted.items():
        expected = [over_all_subsets(problem.m, n, rule) @ correct for n in ns]
        assert found[key].values == pytest.approx(expected, abs=1e-12), key
    assert found["first", None].values == pytest.approx([correct.mean()] * len(ns))
    losing = problem_curves(graded, SELECTORS, ns, draws=10)
    for key in (("first", None), ("majority", None), ("weighted_majority", "it"), ("oracle", None)):
        assert losing[key].values == pytest.approx(found[key].values), "these do not depend on the rule"


def test_a_rule_on_draws_sees_who_may_be_chosen() -> None:
    """A plugin that ranks by itself must know who competes: the flags of a draw are those of its slots."""
    seen = []

    class Look(ByDraw):
        name = "look"

        def select(self, draw: Draw) -> np.ndarray:
            seen.append((draw.classes.tolist(), draw.eligible.tolist()))
            return draw.eligible / max(1, draw.eligible.sum())

    numbers = np.arange(3.0)
    for competing, wanted in ((None, [True, False, False]), (np.array([True, True, False]), [True, True, False])):
        problem = Slots(np.array([0, -1, -1]), numbers, numbers, numbers, competing)
        Look().choose(problem, [3], seed=1, draws=1)
        assert seen.pop() == ([0, -1, -1], wanted)


def row(name: str, *samples: tuple[str, bool, float]) -> dict:
    texts = [{"text": text, "correct": right, "score": score} for text, right, score in samples]
    return {"id": name, "problem": f"What is {name}?", "answer": "1", "samples": texts}


@pytest.fixture
def mute(tmp_path: Path) -> Pool:
    """Six problems in which the highest score is that of a candidate that never says what its answer is."""
    rows = [
        row(
            f"p{k}",
            ("so it is \\boxed{1}", True, 0.5),
            ("so it is \\boxed{2}", False, 0.25),
            ("I cannot say", False, 2.0),
        )
        for k in range(6)
    ]
    pool = import_pool(write_jsonl(tmp_path / "mute.jsonl", rows), tmp_path / "mute").pool
    grade_pool(pool)
    return pool


def bon(found, n: int) -> float:
    return next(each.value for each in found.rows if (each.selector, each.n) == ("best_of_n", n))


def test_both_figures_are_said(mute: Pool) -> None:
    """Our grades: they lose (100 %), and would win if they competed (0 %); table, page and JSON say both."""
    rewards = [mute.path / "rewards" / "score"]
    lose, compete = (evaluate(mute, rewards, no_answer=rule, resamples=50) for rule in ("lose", "compete"))
    assert (bon(lose, 3), bon(compete, 3)) == (1.0, 0.0)
    assert json.dumps(evaluate(mute, rewards, resamples=50).to_json()) == json.dumps(lose.to_json()), "the default"
    for found, rule in ((lose, "lose"), (compete, "compete")):
        said = found.to_json()["no_answer"]
        assert (said["rule"], said["candidates"], said["share"]) == (rule, 6, pytest.approx(1 / 3))
        assert found.settings["no_answer"] == rule
        figures = [(e["n"], e["lose"], e["compete"]) for e in said["figures"] if e["selector"] == "best_of_n"]
        assert figures == [(n, bon(lose, n), bon(compete, n)) for n in (1, 2, 3)]
        assert f"33.3 % of candidates have no answer and {rule}" in text_table(found)
        page = html_page(found, "t")
        assert "Who is in the running" in page and "100.00 … 0.00" in page
    (line,) = [each for each in text_table(lose).split("(--no-answer compete)")[1].splitlines() if "best of n" in each][
        :1
    ]
    assert line.split()[-1] == "0.00"


def test_nothing_is_said_where_all_have_an_answer(mute: Pool, tmp_path: Path) -> None:
    rows = [row(f"p{k}", ("\\boxed{1}", True, 0.5), ("\\boxed{2}", False, 2.0)) for k in range(3)]
    pool = import_pool(write_jsonl(tmp_path / "full.jsonl", rows), tmp_path / "full").pool
    grade_pool(pool)
    found = evaluate(pool, [pool.path / "rewards" / "score"], resamples=50)
    assert found.no_answer.figures == () and "no answer" not in text_table(found)


def test_published_grades_are_used_alone(mute: Pool) -> None:
    """All candidates compete; a vote is held while half of the wrong ones have an answer to vote with, and not beyond.

    With fewer, the vote would be among the right ones: the labels, and not the answers, would choose."""
    found = evaluate(mute, [mute.path / "rewards" / "score"], grades="published", resamples=50)
    assert bon(found, 3) == 0.0 and found.no_answer.rule == "compete"
    assert ("majority", None) in found.curves, "6 of 12 wrong candidates have an answer"
    assert "they abstain from votes" in text_table(found)


def test_votes_that_are_not_available(tmp_path: Path) -> None:
    rows = [
        row(
            f"p{k}",
            ("\\boxed{1}", True, 0.5),
            ("no idea", False, 0.1),
            ("none here", False, 0.2),
            ("\\boxed{3}", False, 0.3),
        )
        for k in range(4)
    ]
    pool = import_pool(write_jsonl(tmp_path / "few.jsonl", rows), tmp_path / "few").pool
    found = evaluate(pool, [pool.path / "rewards" / "score"], grades="published", resamples=50)
    assert not {"majority", "weighted_majority"} & {selector for selector, _ in found.curves}
    assert "not available: majority, weighted_majority" in text_table(found)
    assert {each.minus_selector for each in found.differences} == {"first"}
    grade_pool(pool)
    assert ("majority", None) in evaluate(pool, grades="own", resamples=50).curves


def test_the_board_has_the_other_figure_as_data(mute: Pool) -> None:
    """What a board measures at once is what evaluate says under either rule, with its limits."""
    file = RewardFile(mute.path / "rewards" / "score")
    yardstick = Yardstick(load_arrays(mute), board_settings(3))
    (measured,) = yardstick.measure([file])
    assert yardstick.arrays.no_answer == 6 and measured.depends_on_the_running
    for rule, curve in (("lose", measured.bon), ("compete", measured.competing)):
        slow = evaluate(mute, [file], selectors=["best_of_n"], no_answer=rule)
        assert curve.values == pytest.approx([each.value for each in slow.rows])
        assert curve.lows == pytest.approx([each.low for each in slow.rows])
        assert curve.highs == pytest.approx([each.high for each in slow.rows])
    (standing,) = yardstick.compare([measured])
    slow = evaluate(mute, [file], selectors=["first", "majority", "best_of_n"], ns=[2])
    for minus, cell in (("first", standing.over_mean), ("majority", standing.over_majority)):
        (wanted,) = [each for each in slow.differences if each.minus_selector == minus]
        assert (cell.value, cell.low, cell.high) == pytest.approx((wanted.value, wanted.low, wanted.high))
    assert 0 < standing.p_mean <= 1


# the README of the data: exact expectations by the published labels, ties even
GSM8K = {
    "qwen2.5-math-prm-7b": (89.63, 89.88),
    "skywork-prm-7b": (86.17, 91.64),
    "math-shepherd": (83.60, 81.99),
}


@pytest.mark.unmeasured
def test_published_labels_of_a_real_pool(data: Path, tmp_path: Path) -> None:
    """311 GSM8K problems x 32 real candidates with real step scores: the figures of the labels alone.

    Where our extraction decided who competes, skywork-prm-7b had 91.96 by the product in place of 86.17."""
    from benchmarks.real_pools import imported, read

    path = data / "bon" / "gsm8k_500x32_7prms.jsonl.gz"
    rows = list(read(path))
    for each in rows:
        for sample in each["samples"]:
            sample["rewards"] = {name: sample["rewards"][name] for name in GSM8K}
    pool, files = imported(rows, path, tmp_path / "gsm8k")
    named = [
        NamedRewards(f"{name} {how}", RewardFile(file.folder, how))
        for name, file in files.items()
        for how in ("prod", "last")
    ]
    found = evaluate(pool, named, grades="published", ns=[32], selectors=["first", "best_of_n", "oracle"], resamples=20)
    values = {each.reward_model or each.selector: round(100 * each.value, 2) for each in found.rows}
    assert (values["first"], values["oracle"]) == (83.23, 96.14)
    assert {name: (values[f"{name} prod"], values[f"{name} last"]) for name in GSM8K} == GSM8K
    both = {each.reward_model: each for each in found.no_answer.figures}
    assert round(100 * both["skywork-prm-7b prod"].lose, 2) == 91.96
