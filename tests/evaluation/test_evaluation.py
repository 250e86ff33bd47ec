"""The numbers: published ones reproduced on real data, the same out of every door, bounded by what can be known."""

from __future__ import annotations

import json

import numpy as np
import pytest

from prm_eval.errors import DataError, PrmEvalError
from prm_eval.evaluation.curves import default_ns, evaluate, graded_slots
from prm_eval.evaluation.report import chart_svg, html_page, text_table
from prm_eval.grading.pool import disagreements, grade_pool, is_graded
from prm_eval.importers import import_pool
from prm_eval.rewards import RewardFile
from prm_eval.selection.accuracies import best_of_n_table

# published: Qwen2.5-Math's scored example file, the 62 problems at hand; ties shared evenly
PUBLISHED = {
    "mean@1": {1: 0.9153},
    "bon": {2: 0.9343, 4: 0.9454, 8: 0.9516},
    "pass": {2: 0.9389, 4: 0.9578, 8: 0.9677},
}


@pytest.fixture(scope="module")
def real(tmp_path_factory, data):
    return import_pool(data / "bon/math_cot_100_rm.jsonl", tmp_path_factory.mktemp("real") / "pool").pool


def values(found, metric):
    return {row.n: row.value for row in found.rows if row.metric in (metric, f"{metric}@{row.n}")}


def test_published_numbers_on_real_rewards(real) -> None:
    """62 real problems with real rewards of a 72B model and published labels: the known values, all exact."""
    found = evaluate(real, [RewardFile(real.path / "rewards" / "score")], grades="published")
    for metric, expected in PUBLISHED.items():
        got = values(found, metric)
        for n, value in expected.items():
            assert got[n] == pytest.approx(value, abs=5e-5), (metric, n)
    assert {row.method for row in found.rows} == {"exact"}


def test_our_grader_on_the_same_pool(real) -> None:
    """Our grader differs from the published labels on one candidate of 496, where the label is wrong: 10{,}000 is
    10000."""
    grade_pool(real)
    found = list(disagreements(real, "published"))
    assert [(d.problem.gold, d.ours.answer, d.ours.grade) for d in found] == [("10{,}000", "10000", "correct")]
    own, theirs = (
        evaluate(real, [RewardFile(real.path / "rewards" / "score")], grades=g) for g in ("own", "published")
    )
    # one problem of 62 is 0.0161: that is the largest any accuracy may differ by, and only at n = M
    assert max(abs(a.value - b.value) for a, b in zip(own.rows, theirs.rows, strict=True)) <= 1 / 62 + 1e-12
    for metric in ("mean@1", "maj", "bon"):
        differences = [abs(values(own, metric)[n] - values(theirs, metric)[n]) for n in (1, 2, 4)]
        assert max(differences) < 0.01


def test_one_problem_at_a_time_equals_the_whole_table(real) -> None:
    """Streaming over problems and the vectorised table of the whole pool give the same best-of-n."""
    rewards = RewardFile(real.path / "rewards" / "score")
    slots = list(graded_slots(real, "published", [rewards]))
    keys = np.stack([np.where(s.classes >= 0, s.rewards[rewards.name].rewards, np.nan) for s in slots])
    table = best_of_n_table(keys, np.stack([s.correct for s in slots]), [1, 3, 8])
    found = evaluate(real, [rewards], grades="published", ns=[1, 3, 8], selectors=["best_of_n"])
    assert [row.value for row in found.rows] == pytest.approx(table.mean(axis=0), abs=1e-12)


def test_curves_of_four_aggregations_on_real_token_values(data, tmp_path) -> None:
    """Up to 500 real candidates with a real verifier's values: four different curves, all between mean and oracle."""
    pool = import_pool(data / "bon/ovm_gsm8k_verifier_scored.jsonl", tmp_path / "p", slots=100).pool
    folder = pool.path / "rewards" / "token_scores"
    found = evaluate(
        pool, [RewardFile(folder, how) for how in ("max", "min", "mean", "last")], grades="published", ns=[1, 10, 100]
    )
    curves = {row.reward_model: row.value for row in found.rows if row.selector == "best_of_n" and row.n == 10}
    assert len(set(curves.values())) == 4
    mean, oracle = values(found, "mean@1")[10], values(found, "pass")[10]
    assert all(mean < value <= oracle for value in curves.values())
    # the values are those of a regression head, some above 1 or below 0: no probabilities that could be multiplied
    with pytest.raises(PrmEvalError, match=r"token_scores, problem .*prod is of probabilities; found .* such as min"):
        evaluate(pool, [RewardFile(folder, "prod")], grades="published", ns=[1])


def test_no_gold_and_no_labels(pool, data, tmp_path) -> None:
    """A pool without gold says which problem lacks it; grades that are not there are named."""
    bare = import_pool(data / "bon/ovm_gsm8k_verifier_scored.jsonl", tmp_path / "p").pool
    with pytest.raises(DataError, match="no gold answer for problem 'ovm_v/test/llama2-7b-sft/1'"):
        grade_pool(bare)
    with pytest.raises(PrmEvalError, match="has no grades named 'own'; it has: published"):
        evaluate(pool)


def test_grids_selectors_and_names_are_checked(pool) -> None:
    """n beyond M, an unknown selector, the same rewards twice: refused with what would be right."""
    rewards = [RewardFile(folder) for folder in pool.reward_folders()]
    for arguments, message in (
        ({"ns": [1, 5]}, "n = 5, but a problem has M = 4 slots"),
        ({"selectors": ["majorty"]}, "Did you mean 'majority'"),
        ({"rewards": [RewardFile(pool.reward_folders()[0]) for _ in range(2)]}, "two reward files are named"),
        ({"draws": 0}, "expected at least 1 of each"),
    ):
        with pytest.raises(PrmEvalError) as caught:
            evaluate(pool, **{"rewards": rewards, "grades": "published", **arguments})
        assert message in str(caught.value)
    assert default_ns(1) == (1,)
    assert default_ns(8) == (1, 2, 4, 8)
    assert default_ns(1860)[-2:] == (1024, 1860)


def test_small_pool_by_hand(pool) -> None:
    """Two problems counted by hand: ties shared, a missing answer loses though its reward is highest."""
    found = evaluate(
        pool, [RewardFile(pool.path / "rewards" / "score")], grades="published", ns=[1, 4], no_answer="lose"
    )
    by = {(row.metric, row.n): row.value for row in found.rows}
    assert by["mean@1", 1] == 0.5
    # a: scores .5 (right), .5 (wrong), no answer, -1 (right): tie of right and wrong -> 1/2; b: 1.5 is wrong -> 0
    assert by["bon@4", 4] == pytest.approx(0.25)
    # a: 2 right of 3 votes -> 1; b: 2 against 2 -> 1/2
    assert by["maj@4", 4] == pytest.approx(0.75)
    assert by["pass@4", 4] == 1.0
    # by published grades alone "I give up" is a wrong candidate like any other, and has the highest score of a
    (alone,) = [
        row.value
        for row in evaluate(pool, [RewardFile(pool.path / "rewards" / "score")], grades="published", ns=[4]).rows
        if row.metric == "bon@4"
    ]
    assert alone == 0.0
    assert [(each.n, each.lose, each.compete) for each in found.no_answer.figures if each.selector == "best_of_n"] == [
        (1, 0.5, 0.5),
        (4, pytest.approx(0.25), 0.0),
    ]
    assert {(row.by, row.group) for row in found.groups} == {
        ("subject", "Algebra"),
        ("subject", "Geometry"),
        ("level", "1"),
        ("level", "2"),
    }


def test_grades_follow_the_grader_version(pool, monkeypatch) -> None:
    """Grades of an older grader are not taken for those of this one."""
    grade_pool(pool)
    assert is_graded(pool)
    monkeypatch.setattr("prm_eval.grading.DefaultGrader.version", "prm_eval/0")
    assert not is_graded(pool)


def test_reports_are_repeatable_and_escape_what_strangers_write(pool) -> None:
    """The same evaluation gives the same bytes; a model called <script> stays text."""
    grade_pool(pool)
    first, second = (evaluate(pool, [RewardFile(f) for f in pool.reward_folders()]) for _ in range(2))
    assert json.dumps(first.to_json()) == json.dumps(second.to_json())
    assert html_page(first, "t") == html_page(second, "t")
    assert chart_svg(first) == chart_svg(second)
    page = html_page(first, "<script>alert(1)</script>")
    assert "<script" not in page
    assert "http" not in page.replace("http://www.w3.org", "").replace("http://purl.org", "").replace(
        "http://creativecommons.org", ""
    ).replace("https://matplotlib.org", "")
    assert "best of n, score" in text_table(first)


def test_refusals_and_missing_answers_are_said(pool) -> None:
    """A model that scores nothing must not look like one that chooses badly; unreadable answers not like wrong ones."""
    from prm_eval.records import StepRewards
    from prm_eval.rewards import score_pool
    from prm_eval.rewards.models.rules import ArithmeticPRM

    class Mute(ArithmeticPRM):
        name = "mute"

        def score(self, items):
            return [StepRewards((), refusal="cannot") for _ in items]

    grade_pool(pool)
    found = evaluate(pool.path, [score_pool(pool, Mute(), pool.path / "rewards" / "mute")])
    assert "mute gave no reward to 8 of 8 candidates; these lose every comparison" in text_table(found)
    assert found.settings["refused"] == {"mute": 8}
    assert found.pool["n_no_answer"] == 1


def test_rewards_of_the_same_name_are_told_apart_by_their_folders(pool) -> None:
    """A replay leaves rewards in the pool beside those a user made: both are evaluated, under two names."""
    from prm_eval.rewards import score_pool
    from prm_eval.rewards.models.rules import ArithmeticPRM

    grade_pool(pool)
    files = [score_pool(pool, ArithmeticPRM(), pool.path / "rewards" / name) for name in ("mine", "arithmetic")]
    found = evaluate(pool, files, selectors=["best_of_n"])
    assert {row.reward_model for row in found.rows} == {"arithmetic (mine)", "arithmetic (arithmetic)"}
