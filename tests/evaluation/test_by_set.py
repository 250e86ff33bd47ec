"""The table of several problem sets: its rows are those of the pools, and what does not fit together is said."""

from __future__ import annotations

import json

import numpy as np
import pytest

from prm_eval.cli.commands import main
from prm_eval.errors import PrmEvalError
from prm_eval.evaluation.by_set import run_table
from prm_eval.evaluation.jobs import run_evaluation
from prm_eval.evaluation.set_report import set_lines
from prm_eval.importers import import_pool
from prm_eval.pools.hub_sets import HUB_SETS
from tests.conftest import PLAIN, write_jsonl


@pytest.fixture
def pools(tmp_path):
    """Three small pools of one policy, with an ORM's and a PRM's rewards each; the second has other texts."""
    made = {}
    for name, change in (("calculus", 0), ("physics", 1), ("chemistry", 2)):
        rows = json.loads(json.dumps(PLAIN))[: 2 if change < 2 else 1]
        for row in rows:
            row["problem"] += " " * change + "?"
            row["samples"] = row["samples"][change:] + row["samples"][:change]
        made[name] = import_pool(
            write_jsonl(tmp_path / f"{name}.jsonl", rows), tmp_path / name, policy="me/policy"
        ).pool
    return made


def spelt(pools, *names):
    return [f"{name}={pools[name].path}" for name in names]


def test_rows_are_those_of_the_pools(pools) -> None:
    """A row of one pool has its accuracies and limits, and the last row their mean by problems."""
    table = run_table(spelt(pools, "calculus", "physics", "chemistry"), resamples=300)
    alone = {name: run_evaluation(pool.path, resamples=300) for name, pool in pools.items()}
    curves = {(row.row, row.selector, row.reward_model, row.n): row for row in table.rows}
    for name, found in alone.items():
        for row in found.rows:
            mine = curves[name, row.selector, row.reward_model, row.n]
            assert (mine.value, mine.low, mine.high) == pytest.approx((row.value, row.low, row.high))
            assert (mine.metric, mine.n_problems) == (row.metric, row.n_problems)
    for (name, selector, model, n), row in curves.items():
        if name == "all":
            parts = [curves[each, selector, model, n] for each in pools]
            assert row.value == pytest.approx(
                np.average([p.value for p in parts], weights=[p.n_problems for p in parts])
            )
            assert row.n_problems == 5


def test_a_domain_of_two_pools_is_one_row(pools) -> None:
    """Two sets of a domain count together, by their problems."""
    names = [f"science={pools['physics'].path}", *spelt(pools, "calculus"), f"science={pools['chemistry'].path}"]
    table = run_table(names, ["score"], resamples=50)
    rows = {row.row: row for row in table.rows if row.selector == "best_of_n" and row.n == 4}
    assert list(rows) == ["science", "calculus", "all"]
    assert rows["science"].n_problems == 3
    assert [each["row"] for each in table.sets] == ["science", "calculus", "science"]
    assert {row.reward_model for row in table.rows} == {None, "score"}


def test_differences_have_signs_of_problems(pools) -> None:
    """The counts of the sign test are those of the problems' expected accuracies, in every row and over all."""
    table = run_table(spelt(pools, "calculus", "physics"), resamples=50)
    found = {name: run_evaluation(pools[name].path, resamples=50).curves for name in ("calculus", "physics")}
    compared = 0
    for each in table.differences:
        names = ["calculus", "physics"] if each.row == "all" else [each.row]
        column = table.ns.index(each.n)
        one = np.concatenate([found[name][each.selector, each.reward_model][:, column] for name in names])
        other = np.concatenate([found[name][each.minus_selector, each.minus_reward_model][:, column] for name in names])
        assert each.value == pytest.approx((one - other).mean())
        assert (each.sign.ahead, each.sign.behind) == ((one > other + 1e-12).sum(), (one < other - 1e-12).sum())
        assert each.low <= each.value <= each.high
        compared += 1
    assert compared == 3 * 2 * 5  # rows; n = 2 and 4; two models by two selectors against majority, and each other


def test_what_does_not_fit_is_refused_or_said(pools, tmp_path) -> None:
    """One pool twice would count its problems twice; rewards that a pool lacks are named, with the next step."""
    one = str(pools["calculus"].path)
    with pytest.raises(PrmEvalError, match="are the same pool"):
        run_table([f"a={one}", f"b={one}"], resamples=10)
    with pytest.raises(PrmEvalError, match=r"has no rewards named 'qwen'; it has: score, step_scores. Make them with"):
        run_table([one], ["qwen"], resamples=10)
    with pytest.raises(PrmEvalError, match="'all': that is the row of all sets"):
        run_table([f"all={one}"], resamples=10)
    bare = json.loads(json.dumps(PLAIN[:1]))
    for sample in bare[0]["samples"]:
        del sample["step_scores"]
    other = import_pool(write_jsonl(tmp_path / "bare.jsonl", bare), tmp_path / "bare", policy="another/policy").pool
    table = run_table([one, str(other.path)], resamples=10)
    assert {row.reward_model for row in table.rows} == {None, "score"}
    assert any("of 2 policies (me/policy, another/policy)" in note for note in table.notes)
    assert table.sets[0]["name"] == "calculus.jsonl" == table.sets[0]["row"]


def test_the_pool_says_how_it_is_graded(tmp_path) -> None:
    """A pool of a set with a tolerance is graded with it, unasked; a stranger's pool cannot choose more."""
    row = {"problem": "How far?", "answer": "100", "samples": [{"text": "\\boxed{102}"}, {"text": "\\boxed{110}"}]}
    pool = import_pool(write_jsonl(tmp_path / "p.jsonl", [row]), tmp_path / "p").pool
    said = json.loads((pool.path / "pool.json").read_text())
    accuracies = []
    for grader in (None, "default:tolerance_percent=5", "math-verify", "os:system"):
        said["problem_set"]["grader"] = grader
        (pool.path / "pool.json").write_text(json.dumps(said))
        found = run_evaluation(pool.path, selectors=["first"], resamples=10)
        accuracies.append((found.settings["grades"], found.rows[0].value))
    assert accuracies == [("own", 0.0), ("default:tolerance_percent=5", 0.5), ("own", 0.0), ("own", 0.0)]


def test_the_command_prints_the_table(pools, capsys) -> None:
    """The figures of the text are those of the JSON form."""
    words = ["table", *spelt(pools, "calculus", "physics"), "--n", "1,4", "--resamples", "50"]
    assert main([*words, "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert main(words) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "\n".join(lines) == "\n".join(
        set_lines(run_table(spelt(pools, "calculus", "physics"), ns=[1, 4], resamples=50))
    )
    row = next(line for line in lines if line.startswith("all "))
    values = {(each["row"], each["selector"], each["reward_model"]): each for each in record["rows"] if each["n"] == 4}
    assert f"{100 * values['all', 'majority', None]['value']:.1f} [" in row
    assert "paired differences at n = 4" in "\n".join(lines)


def test_the_problems_command_says_what_a_set_holds(tmp_path, capsys) -> None:
    """Every named set is listed with its place, and the golds that cannot be read are shown with the reason."""
    assert main(["problems"]) == 0
    listed = capsys.readouterr().out
    assert all(name in listed and hub.place in listed for name, hub in HUB_SETS.items())
    assert main(["problems", "--json"]) == 0
    assert [each["name"] for each in json.loads(capsys.readouterr().out)] == list(HUB_SETS)
    rows = [
        {"problem": "p", "answer": "7", "subject": "a"},
        {"problem": "q", "answer": "3 \\unknown{4}"},
        {"problem": "r"},
    ]
    file = str(write_jsonl(tmp_path / "f.jsonl", rows))
    assert main(["problems", file, "--show", "1"]) == 0
    said = capsys.readouterr().out
    assert "no gold    1: f/3" in said and "unreadable 1 golds" in said and "f/2: 3 \\unknown{4}: the macro" in said
    assert said.endswith("f/1, gold 7\n\np\n")
    assert main(["problems", file, "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert (record["n_problems"], record["without_gold"]) == (3, ["f/3"])
    assert [each["problem_id"] for each in record["unreadable"]] == ["f/2"]
    assert main(["problems", "math501"]) == 1
    assert "no problem set 'math501'" in capsys.readouterr().err
