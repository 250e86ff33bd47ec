"""Today and next year: the numbers in results/ come out again, to the last digit that a float keeps."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from prm_eval.demo import ORM, PRM, demo_pool
from prm_eval.evaluation.curves import evaluate
from prm_eval.grading.pool import disagreements, grade_pool
from prm_eval.rewards import load_reward_model, score_pool

GOLDEN = Path(__file__).parents[2] / "results" / "demo" / "evaluation.json"


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    pool = demo_pool(tmp_path_factory.mktemp("demo") / "pool")
    grade_pool(pool)
    return pool


def test_the_demonstration_gives_the_numbers_it_gave(demo) -> None:
    """A changed grader, rule, closed form, seed or tie would show here; then results/ and docs/numbers.md change with
    it, or not."""
    rewards = [score_pool(demo, load_reward_model(name), demo.path / "rewards" / name) for name in (PRM, ORM)]
    found, golden = evaluate(demo, rewards).to_json(), json.loads(GOLDEN.read_text(encoding="utf-8"))
    assert found["pool"] == golden["pool"]
    assert found["settings"] == golden["settings"]
    for part in ("rows", "groups", "differences", "ranks"):
        assert len(found[part]) == len(golden[part])
        for mine, theirs in zip(found[part], golden[part], strict=True):
            assert close(mine, theirs), (mine, theirs)


def close(mine: dict, theirs: dict) -> bool:
    return mine.keys() == theirs.keys() and all(
        value == pytest.approx(theirs[key], abs=1e-9) if isinstance(value, float) else value == theirs[key]
        for key, value in mine.items()
    )


def test_the_page_of_numbers_shows_that_table(demo) -> None:
    """The table in docs/numbers.md is the one that the hand-written demonstration prints."""
    page = (GOLDEN.parent.parent.parent / "docs" / "numbers.md").read_text(encoding="utf-8")
    golden = json.loads(GOLDEN.read_text(encoding="utf-8"))
    for selector, model, name in (
        ("best_of_n", PRM, "best of n, arithmetic"),
        ("majority", None, "majority"),
        ("oracle", None, "oracle (pass@n)"),
    ):
        values = [
            f"{100 * r['value']:.2f}" for r in golden["rows"] if (r["selector"], r["reward_model"]) == (selector, model)
        ]
        line = next(line for line in page.splitlines() if line.startswith(name + "  "))
        assert [word for word in line.replace(name, "").split() if "." in word][:4] == values


def test_our_grader_agrees_with_the_authors_of_the_demonstration(demo) -> None:
    """Its 280 candidates were labelled by hand when they were written: no verdict differs."""
    assert [(d.problem.problem_id, d.slot) for d in disagreements(demo, "published")] == []
    counts = [sum(row.grade == "correct" for row in rows) for _, rows in demo.grades("own")]
    assert len(counts) >= 30
    assert {0, 8} <= set(counts)  # problems nobody solves and problems everybody solves are both there
