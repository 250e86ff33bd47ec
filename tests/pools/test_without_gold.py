"""Pools without gold answers (proofs): they can be imported, scored and ranked; what needs gold says so in one line."""

from __future__ import annotations

import json
import shutil

import pytest

from prm_eval.cli.commands import main
from prm_eval.errors import DataError, PrmEvalError
from prm_eval.evaluation import evaluate
from prm_eval.harness.guards import check_gold
from prm_eval.importers import import_pool
from prm_eval.pools.pool import Pool
from tests.conftest import PLAIN, write_jsonl

PROOFS = [
    {
        "id": "odd",
        "problem": "Prove that the sum of two odd numbers is even.",
        "samples": [
            {"text": "Let a = 2k+1, b = 2m+1.\nThen a + b = 2(k+m+1).", "step_scores": [0.9, 0.8]},
            {"text": "Odd numbers end in 1.\nSo sums end in 2.", "step_scores": [0.3, 0.4]},
        ],
    },
    {
        "id": "primes",
        "problem": "Prove that there is no largest prime.",
        "samples": [{"text": "Look at p! + 1.", "step_scores": [0.7]}, {"text": "Obvious.", "step_scores": [0.1]}],
    },
]


@pytest.fixture
def proofs(tmp_path) -> Pool:
    return import_pool(write_jsonl(tmp_path / "proofs.jsonl", PROOFS), tmp_path / "proofs").pool


COMMANDS = [
    ["grade", "POOL"],
    ["grade", "POOL", "--grader", "default:prm800k"],
    ["evaluate", "POOL"],
    ["evaluate", "POOL", "--grades", "own"],
    ["pool", "register", "POOL", "--id", "proofs", "-o", "RESULTS"],
    ["pool", "show", "POOL", "--verdict", "correct"],
    ["leaderboard", "RESULTS"],
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_command_that_needs_gold_says_what_to_do_in_one_line(proofs, tmp_path, capsys, command) -> None:
    """ "Use --grades published" was the advice, for a pool that has none, by a command without that option."""
    results = tmp_path / "results"
    if command[0] == "leaderboard":  # a pool that somebody registered by hand
        shutil.copytree(proofs.path, results / "pools" / "proofs")
        entry = {"schema": "prm_eval.pool-ref/1", "pool_id": "proofs", "title": "Proofs", "path": "pools/proofs"}
        (results / "pools" / "proofs.json").write_text(json.dumps(entry | {"content_hash": proofs.info.content_hash}))
    status = main([{"POOL": str(proofs.path), "RESULTS": str(results)}.get(word, word) for word in command])
    said = capsys.readouterr()
    assert status == 1 and said.out == ""
    (line,) = said.err.strip().splitlines()
    assert "no gold answer for problem 'odd' and 1 more of 2" in line
    assert "prm-eval rank " in line and "published" not in line
    assert not list(proofs.path.glob("grades*"))


def test_one_problem_without_gold_is_named_and_published_grades_are_offered(tmp_path) -> None:
    """Of 500 problems one lacks its answer: which one; and where the source has labels, they are the next step."""
    rows = [*PLAIN, {**PLAIN[0], "id": "c", "answer": None}]
    pool = import_pool(write_jsonl(tmp_path / "mixed.jsonl", rows), tmp_path / "mixed").pool
    with pytest.raises(DataError) as error:
        pool.require_gold()
    assert "no gold answer for problem 'c'; expected one" in str(error.value)
    assert f"prm-eval evaluate {pool.path} --grades published" in str(error.value)
    with pytest.raises(PrmEvalError, match="has no grades named 'own'; it has: published"):
        evaluate(pool)


def test_a_pool_with_gold_lacks_nothing(pool) -> None:
    """The check must not stand in the way of every other pool."""
    pool.require_gold()
    assert pool.without_gold() == []


def test_a_task_without_gold_stops_before_it_generates(proofs) -> None:
    """Found out when the candidates are graded, it costs the hours of generation."""
    problems = list(proofs.problems.values())
    with pytest.raises(PrmEvalError, match=r"2 of 2 problems of proofs\.jsonl have no gold.*--predict_only"):
        check_gold(problems, "proofs.jsonl")
    check_gold([], "nothing")


def test_such_a_pool_is_scored_and_the_next_step_is_rank(proofs, capsys) -> None:
    """`prm-eval evaluate` was the next step, and it cannot be taken."""
    folder = proofs.path / "rewards" / "arithmetic"
    assert main(["score", str(proofs.path), "--reward-model", "arithmetic", "-o", str(folder)]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == f"next       prm-eval rank {proofs.path} {folder}"
    assert main(["pool", "verify", str(proofs.path)]) == 0
