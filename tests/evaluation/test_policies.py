"""One reward model over several policies: the same problems, whatever their pools call them, and gains with limits."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from prm_eval.cli.commands import main
from prm_eval.errors import PrmEvalError
from prm_eval.evaluation.curves import evaluate
from prm_eval.evaluation.policies.comparing import run_policies
from prm_eval.evaluation.policies.pairing import opened_pools, policy_names, rewards_over, shared_problems
from prm_eval.evaluation.policies.report import html_page, text_tables
from prm_eval.importers import import_pool
from prm_eval.pools.pool import Pool
from prm_eval.store.jsonl import canonical_json
from tests.conftest import ROOT, write_jsonl

STEPS = ROOT / "results" / "pools" / "miniature-v2-steps"


def rows(right: list[int], *, name: str = "p", order: int = 1, gold: str = "2", m: int = 4) -> list[dict]:
    """One problem for each number: so many of its m candidates are right, and these have the larger scores but for one
    wrong candidate with the largest."""
    found = []
    for k, count in enumerate(right):
        samples = [
            {
                "text": f"try {s}: \\boxed{{{gold if s < count else 90 + s}}}",
                "score": 9.0 if s == m - 1 else float(m - s),
            }
            for s in range(m)
        ]
        found.append({"id": f"{name}{k}", "problem": f"What is  {k}?", "answer": gold, "samples": samples})
    return found[::order]


def pool_of(tmp_path: Path, name: str, content: list[dict], policy: str | None = None) -> Pool:
    return import_pool(write_jsonl(tmp_path / f"{name}.jsonl", content), tmp_path / name, policy=policy).pool


@pytest.fixture
def pools(tmp_path) -> list[Pool]:
    """A strong and a weak policy on five problems, in other orders and under other ids; the weak one has a sixth."""
    strong = pool_of(tmp_path, "strong", rows([4, 4, 3, 3, 2]), "org/strong-7b")
    weak_rows = rows([2, 1, 1, 0, 2, 4], name="other-", order=-1)
    return [strong, pool_of(tmp_path, "weak", weak_rows, "org/weak-1b")]


def test_problems_are_paired_by_statement(pools) -> None:
    """Ids, orders and spaces differ from pool to pool; the same statement is the same problem, and no other."""
    shared = shared_problems(pools)
    assert [each.tolist() for each in shared.rows] == [[0, 1, 2, 3, 4], [5, 4, 3, 2, 1]]
    assert shared.conflicts == 0
    assert policy_names(pools) == ["org/strong-7b", "org/weak-1b"]


def test_gains_by_hand(pools) -> None:
    """At n = M the wrong candidate with the largest score is chosen unless all are right: gains by hand, each figure
    that of `evaluate` on the shared problems alone, and the difference of gains of the weaker less the stronger."""
    found = run_policies([pool.path for pool in pools], resamples=200)
    last = {row.policy: row for row in found.rows if row.n == 4}
    assert list(last) == ["org/weak-1b", "org/strong-7b"], "the weakest first"
    assert found.n_problems == 5
    assert (last["org/strong-7b"].mean, last["org/strong-7b"].value) == pytest.approx((0.8, 0.4))
    assert (last["org/weak-1b"].mean, last["org/weak-1b"].value) == pytest.approx((0.3, 0.0))
    assert last["org/weak-1b"].over_mean.value == pytest.approx(-0.3)
    assert last["org/weak-1b"].oracle == pytest.approx(0.8)
    assert last["org/weak-1b"].closed.value == pytest.approx(-0.3 / 0.5)
    (difference,) = [each for each in found.differences if each.n == 4]
    assert (difference.policy, difference.minus_policy) == ("org/weak-1b", "org/strong-7b")
    assert difference.over_mean.value == pytest.approx(-0.3 + 0.4)
    assert difference.over_mean.low <= difference.over_mean.value <= difference.over_mean.high
    own = {(row.selector, row.n): row.value for row in evaluate(pools[0], pools[0].reward_folders(), resamples=10).rows}
    for row in found.rows:
        if row.policy == "org/strong-7b":
            assert (row.value, row.majority) == pytest.approx((own["best_of_n", row.n], own["majority", row.n]))
    first = next(row for row in found.rows if row.n == 1)
    assert (first.over_mean.value, first.over_mean.low, first.over_mean.high) == (0, 0, 0), "nothing is chosen at n = 1"
    assert any("5 problems are in all pools" in note and "weak 6" in note for note in found.notes)


def test_pairing_narrows_the_limits(tmp_path) -> None:
    """The same candidates under two policies: their gains differ by nothing on every problem, so that the difference
    has far narrower limits than either gain; unpaired limits would be wider than each."""
    one = pool_of(tmp_path, "one", rows([4, 0, 3, 1, 2, 4, 0, 3, 1, 2] * 4), "a/one")
    content = rows([4, 0, 3, 1, 2, 4, 0, 3, 1, 2] * 4)
    content[0]["samples"][0]["text"] += " again"
    found = run_policies([one.path, pool_of(tmp_path, "two", content, "a/two").path], resamples=300, ns=[2])
    (difference,) = found.differences
    gain = found.rows[0].over_mean
    assert difference.over_mean.value == 0
    assert difference.over_mean.p == 1.0
    assert gain.high - gain.low > 0


def test_contradicting_golds_are_left_out(tmp_path) -> None:
    """A problem whose gold is another one in the second pool is no longer the same problem."""
    one = pool_of(tmp_path, "one", rows([1, 2, 3]))
    content = rows([1, 2, 3], name="q")
    content[1]["answer"] = "7"
    shared = shared_problems([one, pool_of(tmp_path, "two", content)])
    assert [each.problem_id for each in shared.problems] == ["p0", "p2"]
    assert shared.conflicts == 1


def test_copies_of_a_statement_with_other_golds(tmp_path) -> None:
    """Copies are told by their order: where their golds are swapped, the pair is not one problem, though each gold is
    known to the other pool. And two pools contradict each other although the first of all has no gold."""
    one, two = rows([1, 2, 3]), rows([1, 2, 3], name="q")
    for content, golds in ((one, "25"), (two, "52")):
        for row, gold in zip(content, golds, strict=False):
            row |= {"problem": "The same?", "answer": gold}
    shared = shared_problems([pool_of(tmp_path, "one", one), pool_of(tmp_path, "two", two)])
    assert ([each.problem_id for each in shared.problems], shared.conflicts) == (["p2"], 2)
    bare, three = rows([1, 2]), rows([1, 2], name="r")
    for row in bare:
        row["answer"] = None
        for sample in row["samples"]:
            sample["correct"] = False
    three[0]["answer"] = "7"
    pools = [pool_of(tmp_path, "bare", bare), pool_of(tmp_path, "a", rows([1, 2])), pool_of(tmp_path, "b", three)]
    shared = shared_problems(pools)
    assert ([each.problem_id for each in shared.problems], shared.conflicts) == (["p1"], 1)
    three[1]["answer"] = "8"
    with pytest.raises(PrmEvalError, match="of the 2 statements that all have, the golds contradict each other"):
        shared_problems([pools[1], pool_of(tmp_path, "c", three)])


def test_one_shared_problem(pools, tmp_path, capsys) -> None:
    """Its limits are infinite, which JSON cannot say: null there, nothing in the table."""
    paths = [str(pools[0].path), str(pool_of(tmp_path, "one", rows([1]), "a/one").path)]
    assert main(["evaluate", *paths, "--json", "--resamples", "50"]) == 0
    closed = [row["closed"] for row in json.loads(capsys.readouterr().out)["rows"]]
    assert {"value": -1 / 3, "low": None, "high": None} in closed
    assert main(["evaluate", *paths, "--resamples", "50"]) == 0
    assert "inf" not in capsys.readouterr().out


def test_which_rewards(pools, tmp_path) -> None:
    """By the folder's name, by the model's own, or by reward folders elsewhere, each of which knows its pool; what is
    missing or named twice is said with the pool's path."""
    assert list(rewards_over(pools, [])) == ["score"]
    elsewhere = tmp_path / "elsewhere"
    (pools[1].path / "rewards" / "score").rename(elsewhere)
    with pytest.raises(PrmEvalError, match="no reward model has rewards on all"):
        rewards_over(pools, [])
    with pytest.raises(PrmEvalError, match=r"weak has no rewards of 'score'; it has: none\. Score it"):
        rewards_over(pools, ["score"])
    found = rewards_over(pools, [str(elsewhere)])
    assert [file.folder.name for file in found["score"]] == ["score", "elsewhere"]
    other = pool_of(tmp_path, "third", rows([1]))
    with pytest.raises(PrmEvalError, match="which is none of these"):
        rewards_over(pools, [str(other.reward_folders()[0])])
    strong = pools[0].path / "rewards"
    (strong / "copy").mkdir()
    for file in (strong / "score").iterdir():
        (strong / "copy" / file.name).write_bytes(file.read_bytes())
    (strong / "score").rename(strong / "first")
    with pytest.raises(PrmEvalError, match="several rewards of 'score'; name one of the folders: copy, first"):
        rewards_over([pools[0], pools[0]], ["score"])


def graded_by(pool: Pool, grader: str) -> None:
    """Write into a pool what its task says of grading."""
    path = pool.path / "pool.json"
    said = json.loads(path.read_text(encoding="utf-8"))
    said["problem_set"]["grader"] = grader
    path.write_text(json.dumps(said), encoding="utf-8")


def test_pools_that_say_how_they_are_graded_are_graded_so(tmp_path) -> None:
    """SciBench's tolerance is in pool.json: marks without it, or none at all, would be of another benchmark."""
    within = [{"id": "p", "problem": "How long?", "answer": "100", "samples": [
        {"text": f"so \\boxed{{{answer}}}", "score": 1.0} for answer in (104, 50)]}]  # fmt: skip
    other = [{**row, "samples": row["samples"][::-1]} for row in within]
    pools = [pool_of(tmp_path, name, rows, f"org/{name}") for name, rows in (("one", within), ("two", other))]
    for pool in pools:
        graded_by(pool, "default:tolerance_percent=5")
    found = run_policies([pool.path for pool in pools], resamples=50)
    assert found.settings["grades"] == "default:tolerance_percent=5"
    assert [row.mean for row in found.rows if row.n == 1] == [0.5, 0.5]
    graded_by(pools[1], "default:tolerance_percent=1")
    with pytest.raises(PrmEvalError, match=r"would be graded differently \(default:tolerance_percent=1, default:"):
        run_policies([pool.path for pool in pools])


def test_what_cannot_be_compared(pools, tmp_path) -> None:
    """One pool, the same pool twice, no problem in common, selectors without rewards: an error that says what to do."""
    paths = [pool.path for pool in pools]
    with pytest.raises(PrmEvalError, match="two pools or more"):
        opened_pools(paths[:1])
    with pytest.raises(PrmEvalError, match="are the same pool"):
        opened_pools([paths[0], paths[0]])
    with pytest.raises(PrmEvalError, match="miniature-v2-steps is a step set"):
        opened_pools([paths[0], STEPS])
    content = [{**row, "problem": f"Other {k}"} for k, row in enumerate(rows([1, 2]))]
    with pytest.raises(PrmEvalError, match="no problem in common"):
        run_policies([paths[0], pool_of(tmp_path, "apart", content).path])
    with pytest.raises(PrmEvalError, match="majority needs none"):
        run_policies(paths, selectors=["majority"])
    bare = [{**row, "answer": None} for row in rows([1, 2])]
    for row in bare:
        for sample in row["samples"]:
            sample["correct"] = False
    with pytest.raises(PrmEvalError, match=r"would be graded differently \(own, published\)"):
        run_policies([paths[0], pool_of(tmp_path, "bare", bare).path])


def test_names_of_policies(tmp_path) -> None:
    """Unnamed policies go by their folders, and two pools of one policy stay apart."""
    same = [pool_of(tmp_path, name, rows(right), "org/p") for name, right in (("a", [1]), ("b", [2]))]
    assert policy_names(same) == ["org/p (a)", "org/p (b)"]
    unnamed = pool_of(tmp_path, "c", rows([3]))
    assert policy_names([*same, unnamed]) == ["org/p (a)", "org/p (b)", "c"]
    (tmp_path / "sub").mkdir()
    twin = pool_of(tmp_path / "sub", "c", rows([0]))
    assert policy_names([unnamed, twin]) == [f"c ({each.info.short_hash})" for each in (unnamed, twin)]


def test_the_command(pools, tmp_path, capsys) -> None:
    """As a user types it, with --rewards and without; pools and reward folders mixed, or options of one pool alone, are
    refused by name."""
    strong, weak = (str(pool.path) for pool in pools)
    page = tmp_path / "page.html"
    assert main(["evaluate", strong, weak, "--rewards", "score", "--resamples", "50", "--html", str(page)]) == 0
    text = capsys.readouterr().out
    assert "2 policies on the same 5 problems" in text
    assert "org/weak-1b - org/strong-7b" in text
    assert "<svg" in page.read_text()
    assert "src=" not in page.read_text()
    assert main(["evaluate", strong, weak, "--json", "--resamples", "50", "--n", "1,4"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["schema"], found["ns"]) == ("prm_eval.policies/1", [1, 4])
    for words, message in (
        ([weak, f"{strong}/rewards/score"], "is no pool; behind several pools"),
        (["--rewards", "score"], "--rewards is for several pools"),
        ([weak, "--k-measures", "all"], "--k-measures is for one pool"),
        ([weak, "--threshold", "0.5"], "--threshold is for a step set"),
        ([weak, "--n", "5"], "M = 4"),
    ):
        assert main(["evaluate", strong, *words]) == 1
        assert message in capsys.readouterr().err


def test_hostile_names_are_escaped(tmp_path) -> None:
    """A policy's name is a stranger's text: on the page it is text."""
    made = [
        pool_of(tmp_path, name, rows(right), policy)
        for name, right, policy in (("a", [1, 2], "<script>x</script>"), ("b", [2, 3], "$\\x$ & co"))
    ]
    found = run_policies([pool.path for pool in made], resamples=20)
    assert "<script>x" not in html_page(found, "<b>")
    assert "&lt;script&gt;" in html_page(found, "t")
    assert "& co" in text_tables(found)
    assert canonical_json(found.to_json())
