"""k-measures of a pool: in tables, pages and JSON, with limits, and not where there is nothing to vote with."""

from __future__ import annotations

import pytest

from prm_eval.cli.commands import main
from prm_eval.errors import PrmEvalError
from prm_eval.evaluation.curves import evaluate
from prm_eval.evaluation.k_measures import correct_counts
from prm_eval.evaluation.report import html_page, text_table
from prm_eval.grading.pool import grade_pool
from prm_eval.importers import import_pool
from tests.conftest import PLAIN, write_jsonl


def test_nothing_unless_asked_for(pool) -> None:
    """A table that grew by six lines for everybody would be read by nobody; the other numbers are as before."""
    grade_pool(pool)
    plain, asked = evaluate(pool, resamples=50), evaluate(pool, resamples=50, k_measures=["all"])
    assert plain.k_measures.rows == ()
    assert plain.to_json()["k_measures"] == []
    assert "k=4" not in text_table(plain)
    assert plain.rows == asked.rows
    assert plain.differences == asked.differences


def test_by_hand(pool) -> None:
    """Two right of four in both problems: C(2, k) / C(4, k) and the like, with limits that hold the value; maj@k is the
    vote of the table above, also where that table does not show it."""
    grade_pool(pool)
    found = evaluate(pool, ns=[1, 2, 4], selectors=["first", "majority"], resamples=50, k_measures=["all"])
    assert correct_counts(pool, "own").tolist() == [2, 2]
    rows = {row.metric: row for row in found.k_measures.rows}
    assert {
        name: rows[name].value for name in ("pass@2", "pass^2", "g-pass@2:0.5", "avg@2", "pass^4")
    } == pytest.approx({"pass@2": 5 / 6, "pass^2": 1 / 6, "g-pass@2:0.5": 5 / 6, "avg@2": 0.5, "pass^4": 0.0})
    majority = {row.n: (row.value, row.low, row.high) for row in found.rows if row.selector == "majority"}
    for n, figures in majority.items():
        row = rows[f"maj@{n}"]
        assert (row.value, row.low, row.high) == pytest.approx(figures)
    assert all(row.low <= row.value <= row.high and row.method == "exact" for row in rows.values())
    hidden = evaluate(pool, ns=[1, 2, 4], selectors=["first"], resamples=50, k_measures=["maj@k"])
    assert [row.value for row in hidden.k_measures.rows] == [rows[f"maj@{n}"].value for n in (1, 2, 4)]
    assert {row.selector for row in hidden.rows} == {"first"}


def test_table_and_page(pool) -> None:
    """Each measure is a line with its limits, under a head that says what k is."""
    grade_pool(pool)
    found = evaluate(pool, resamples=50, k_measures=["pass^k", "g-pass@k:0.75"])
    text = text_table(found)
    assert "k candidates without a reward model" in text
    (line,) = [each for each in text.splitlines() if each.startswith("pass^k")]
    assert line.split()[1:4] == ["50.00", "16.67", "0.00"]
    assert "g-pass@k:0.75" in html_page(found, "t")


def test_a_vote_from_permutations_is_marked(tmp_path) -> None:
    """maj@k of many slots may be an estimate: it says so, with its standard error, and the others stay exact."""
    samples = [{"text": f"\\boxed{{{s % 37}}}"} for s in range(120)]
    rows = [{"id": f"p{k}", "problem": f"{k}?", "answer": str(k), "samples": samples} for k in range(2)]
    pool = import_pool(write_jsonl(tmp_path / "r.jsonl", rows), tmp_path / "pool").pool
    grade_pool(pool)
    found = evaluate(pool, ns=[60], draws=20, resamples=20, selectors=["first"], k_measures=["maj@k", "pass^k"])
    methods = {row.selector: row.method for row in found.k_measures.rows}
    assert methods == {"maj@k": "monte_carlo", "pass^k": "exact"}
    assert "~" in text_table(found)


def test_no_vote_among_the_right_ones(tmp_path) -> None:
    """By published grades where the wrong candidates have no answers there is no vote: maj@k is left out, the rest is
    there."""
    samples = [{"text": "no idea", "correct": False}, {"text": "\\boxed{2}", "correct": True}]
    file = write_jsonl(tmp_path / "r.jsonl", [{"id": "a", "problem": "x", "answer": "2", "samples": samples}])
    pool = import_pool(file, tmp_path / "pool").pool
    found = evaluate(pool, grades="published", selectors=["first"], resamples=20, k_measures=["maj@k", "pass^k"])
    assert [row.metric for row in found.k_measures.rows] == ["pass^1", "pass^2"]
    assert [row.value for row in found.k_measures.rows] == [0.5, 0.0]
    assert any("not available: majority" in note for note in found.notes)


def test_the_command(tmp_path, capsys) -> None:
    """--k-measures as a user types it; a misspelt one names those that there are, before any work."""
    pool = import_pool(write_jsonl(tmp_path / "r.jsonl", PLAIN), tmp_path / "pool").pool
    assert main(["evaluate", str(pool.path), "--k-measures", "pass^k,avg@k", "--resamples", "20"]) == 0
    assert "avg@k" in capsys.readouterr().out
    assert main(["evaluate", str(pool.path), "--k-measures", "pass"]) == 1
    assert "unknown k-measure 'pass'" in capsys.readouterr().err
    with pytest.raises(PrmEvalError, match="unknown k-measure"):
        evaluate(pool, k_measures=["pass^2"])
    with pytest.raises(PrmEvalError, match="nothing to evaluate"):
        evaluate(pool, grades="published", selectors=["best_of_n"], k_measures=["maj@k"])
