"""Rewards made from the grades: flagged at every level of noise at which they are of use; real verifiers are not
flagged."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

from prm_eval.grading.pool import grade_pool
from prm_eval.importers import import_pool
from prm_eval.pools.pool import Pool
from prm_eval.submissions import find_submissions, registered_pools, suspicions
from prm_eval.submissions.suspicion import NAMES, _found, blindness, pool_facts, within_problem_auroc
from tests.conftest import ROOT, write_jsonl
from tests.leaderboard.board import make_results

pytestmark = pytest.mark.unmeasured  # what is measured here is measured by quicker tests

WORDS = [
    f"{a}{b}"
    for a in ("add", "take", "sum", "root", "term", "side")
    for b in ("ing", "s", "ed", " of x", " by 2", "", " it", " n")
]


@pytest.fixture(scope="module")
def pool(tmp_path_factory) -> Pool:
    """80 problems of 24 candidates: every problem has six ways of going about it, a candidate follows one, with words
    changed."""
    chance = random.Random(1)
    rows = []
    for number in range(80):
        ways = [([chance.choice(WORDS) for _ in range(chance.randint(8, 30))], chance.random() < 0.4) for _ in range(6)]
        samples = []
        for _ in range(24):
            words, right = chance.choice(ways)
            said = [chance.choice(WORDS) if chance.random() < 0.2 else word for word in words]
            answer = 7 if right and chance.random() < 0.9 else chance.randint(10, 13)
            samples.append({"text": " ".join(said) + f"\n\\boxed{{{answer}}}"})
        rows.append({"id": str(number), "problem": f"problem {number}", "answer": "7", "samples": samples})
    folder = tmp_path_factory.mktemp("forging")
    made = import_pool(write_jsonl(folder / "made.jsonl", rows), folder / "pool").pool
    grade_pool(made)
    return made


def facts_of(pool: Pool):
    return pool_facts(str(pool.path), pool.info.content_hash)


def names(table, facts) -> set[str]:
    return {each.name for each in _found(table, facts)}


def forged(facts, sigma: float, generator):
    table = facts.correct + sigma * generator.standard_normal(facts.correct.shape)
    return np.where(facts.present, table, np.nan)


@pytest.mark.parametrize("sigma", [0.0, 0.03, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0])
def test_rewards_made_from_the_grades_plus_noise_are_flagged(pool, sigma: float) -> None:
    """A forger who adds just enough noise must not climb the board without a mark beside the row."""
    facts, generator = facts_of(pool), np.random.default_rng(7)
    flagged = [bool(names(forged(facts, sigma, generator), facts)) for _ in range(10)]
    assert sum(flagged) >= 9


def test_with_enough_noise_it_is_not_seen_and_not_worth_it(pool) -> None:
    """The limit of the test, as results/README.md states it: where nothing is flagged any more, nothing is gained
    either."""
    from prm_eval.selection.accuracies import best_of_n_table

    facts, generator = facts_of(pool), np.random.default_rng(7)
    tables = [forged(facts, 30.0, generator) for _ in range(10)]
    assert sum(bool(names(table, facts)) for table in tables) <= 2
    gains = [best_of_n_table(table, facts.correct, [24]).mean() - facts.correct.mean() for table in tables]
    assert np.mean(gains) < 0.05


def test_rewards_that_read_the_texts_are_not_flagged(pool) -> None:
    """A verifier that is right about the ways of going about a problem, weak or strong, is what the board is for."""
    facts, generator = facts_of(pool), np.random.default_rng(7)
    texts = [table.column("text").to_pylist() for _, table in pool.blocks(["problem_id", "text"])]
    for strength in (0.0, 0.3, 1.0, 2.0):
        taste = {word: generator.standard_normal() for word in WORDS}
        read = np.array([[sum(taste.get(word, 0.0) for word in text.split()) / 4 for text in row] for row in texts])
        table = read + strength * facts.correct + 0.3 * generator.standard_normal(read.shape)
        assert names(table, facts) == set(), strength


def test_random_rewards_are_not_forged(pool) -> None:
    """Noise knows no text, and no grade either: it is a baseline and no fraud."""
    facts, generator = facts_of(pool), np.random.default_rng(7)
    assert [names(generator.standard_normal(facts.correct.shape), facts) for _ in range(20)] == [set()] * 20


def test_the_order_of_right_and_wrong_is_measured_exactly() -> None:
    """Ties count half, refused candidates not at all, problems of one grade say nothing."""
    nan = np.nan
    table = np.array([[1.0, 2.0, 2.0, 3.0], [1.0, 1.0, 1.0, 1.0], [5.0, nan, 1.0, nan]])
    correct = np.array([[False, True, False, True], [True] * 4, [True, False, False, True]])
    found = within_problem_auroc(table, correct, ~np.isnan(table))
    assert found.tolist() == [(1 + 0.5 + 1 + 1) / 4, 1.0]


def test_suspicions_of_a_submission(tmp_path) -> None:
    """Through the files: the rule that ships is not suspected of forging; six values among 280 are mentioned; the
    grades are seen."""
    from tests.leaderboard.board import rows_of, write_rows

    results = ROOT / "results"
    pools = registered_pools(results)
    found = {
        each.model: {s.name for s in suspicions(each, pools[each.pool_id].pool)}
        for each in find_submissions(results)
        if pools[each.pool_id].step_set is None
    }
    assert (found["arithmetic"], found["boxed-support"]) == (set(), {"few-values"})
    folder = make_results(tmp_path / "results")
    pool = registered_pools(tmp_path / "results")["demo-35x8"].pool
    rows, grades = rows_of(folder), [row for _, several in pool.grades() for row in several]
    for row, grade in zip(rows, grades, strict=True):
        row["step_rewards"] = [3.0 if grade.grade == "correct" else -3.0] * row["n_steps"]
    write_rows(folder, rows)
    (one,) = find_submissions(tmp_path / "results")
    several = suspicions(one, pool)
    assert {each.name for each in several} >= {"grades", "oracle"} and {each.name for each in several} <= set(NAMES)
    assert all(each.text for each in several)


@pytest.mark.parametrize("sigma", [0.1, 0.3])
def test_a_forged_submission_is_in_order_and_marked_by_check_and_board(tmp_path, capsys, sigma: float) -> None:
    """From files to page: grades plus noise are rewards without a fault, so the mark beside the row is all that warns a
    reader."""
    import json

    from prm_eval.cli.commands import main
    from tests.leaderboard.board import rows_of, write_rows

    folder = make_results(tmp_path / "results")
    pool = registered_pools(tmp_path / "results")["demo-35x8"].pool
    rows, grades = rows_of(folder), [row for _, several in pool.grades() for row in several]
    for row, grade in zip(rows, grades, strict=True):  # equal texts get equal rewards, or the checker would see it
        noise = np.random.default_rng(int(row["input_hash"][:8], 16)).standard_normal()
        row["step_rewards"] = [(grade.grade == "correct") + sigma * float(noise)] + [9.0] * (row["n_steps"] - 1)
    write_rows(folder, rows)
    edited = json.loads((folder / "submission.json").read_text()) | {"aggregation": "min"}
    (folder / "submission.json").write_text(json.dumps(edited))
    assert main(["check", str(folder)]) == 0
    assert "[suspicious: " in capsys.readouterr().out
    assert main(["leaderboard", str(tmp_path / "results")]) == 0
    board = tmp_path / "results" / "leaderboard"
    (row,) = json.loads((board / "leaderboard.json").read_text())["boards"][0]["rows"]
    assert {each["name"] for each in row["suspicions"]} & {"grades", "auroc", "oracle"}
    assert "\u2691" in (board / "index.html").read_text(encoding="utf-8")


# --- real verifiers
# -------------------------------------------------------------------------------------------------------


def real_pool(data: Path, name: str, folder: Path, **options) -> Pool:
    pool = import_pool(data / "bon" / f"{name}.jsonl", folder / name, **options).pool
    pool.grades_path("published").rename(pool.grades_path("own"))  # the source's labels: half of these have no gold
    return pool


@pytest.mark.parametrize("name", ["math_cot_100_rm", "ovm_gsm8k_verifier_scored"])
def test_strong_real_verifiers_are_not_flagged(data, tmp_path, name: str) -> None:
    """Qwen2.5-Math-RM recovers most of the gap, OVM is right in 98 % of pairs and solves all its problems: both are
    honest."""
    from prm_eval.evaluation.curves import graded_slots
    from prm_eval.rewards import RewardFile

    pool = real_pool(data, name, tmp_path)
    facts = facts_of(pool)
    assert pool.reward_folders()
    for folder in pool.reward_folders():
        rewards = RewardFile(folder)
        table = np.stack([each.rewards[rewards.name].rewards for each in graded_slots(pool, "own", [rewards])])
        assert names(table, facts) == set()
        follows = blindness(table, facts.cells)
        assert follows is None or follows > 50  # three times the limit


@pytest.mark.parametrize(("name", "most"), [("ovm_gsm8k_n100_500", 2.0), ("gsm8k_openai_4samples", 2.0)])
def test_forging_on_real_pools_is_flagged(data, tmp_path, name: str, most: float) -> None:
    """The same on candidates that language models wrote."""
    pool = real_pool(data, name, tmp_path, slots="100" if "ovm" in name else "max")
    facts, generator = facts_of(pool), np.random.default_rng(3)
    for sigma in (0.0, 0.1, 0.3, 0.5, 1.0, most):
        assert sum(bool(names(forged(facts, sigma, generator), facts)) for _ in range(10)) >= 9, sigma
