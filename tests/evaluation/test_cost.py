"""Accuracy against cost: what is counted, what is unknown, and whether a reward model is worth its tokens."""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from prm_eval.cli.commands import main
from prm_eval.errors import DataError, ModelError, PrmEvalError
from prm_eval.evaluation.cost.counts import Price, count_costs, read_price
from prm_eval.evaluation.cost.jobs import CostSettings, cost_ns, run_cost
from prm_eval.evaluation.cost.report import chart_svg, html_page, text_tables
from prm_eval.evaluation.cost.stopping import Replay
from prm_eval.evaluation.curves import evaluate
from prm_eval.evaluation.graded import named_apart
from prm_eval.evaluation.measured import board_settings, tokens_at
from prm_eval.evaluation.pool_arrays import load_arrays
from prm_eval.evaluation.stats import ClusterBootstrap
from prm_eval.evaluation.yardstick import Yardstick
from prm_eval.grading.pool import grade_pool
from prm_eval.importers import import_pool
from prm_eval.pools.pool import Pool
from prm_eval.records import Candidate, StepRewards
from prm_eval.rewards.files.reward_file import RewardFile, RewardWriter
from prm_eval.rewards.files.reward_info import RewardInfo
from prm_eval.selection.stopping import until_passed
from tests.conftest import ROOT, write_jsonl

M = 4


def rows(counts: bool = True, problems: int = 6) -> list[dict]:
    """Problems of four slots; right answers are 2, problem k has k % 5 of them, and candidate s of k has 10k + s + 1
    tokens. The last slot of problem 0 is missing."""
    found = []
    for k in range(problems):
        samples = []
        for s in range(M):
            text = f"try {s}\nso \\boxed{{{2 if s < k % 5 else 3 + s}}}"
            samples.append({"text": text, **({"n_tokens": 10 * k + s + 1} if counts else {})})
        found.append({"id": f"p{k}", "problem": f"What is {k}?", "answer": "2", "samples": samples})
    found[0]["samples"][3] = None
    return found


def with_rewards(pool: Pool, name: str, tokens: bool | Callable[[Candidate], bool] = True) -> Path:
    """An ORM that likes early slots, reads 100 + slot tokens, and refuses slot 2 of problem 1 unread."""
    told = tokens if callable(tokens) else lambda each: tokens
    folder = pool.path / "rewards" / name
    with RewardWriter(folder) as writer:
        for problem, candidates in pool:
            for each in candidates:
                if (problem.problem_id, each.slot) == ("p1", 2):
                    writer.add(each, StepRewards((), refusal="over-length"))
                else:
                    count = 100 + each.slot if told(each) else None
                    writer.add(each, StepRewards((float(-each.slot),), n_tokens=count))
        writer.describe(RewardInfo(name, "orm", "raw", "last", None, pool.info.content_hash, run=writer.totals()))
    return folder


@pytest.fixture
def counted(tmp_path: Path) -> Pool:
    pool = import_pool(write_jsonl(tmp_path / "rows.jsonl", rows()), tmp_path / "pool").pool
    with_rewards(pool, "early")
    return pool


SETTINGS = CostSettings(resamples=200)


def test_tokens_by_hand(counted) -> None:
    """Written and read are the files' own counts: a missing slot and a candidate that was refused unread cost nothing,
    and a draw of n costs n slots."""
    found = count_costs(counted, named_apart([counted.path / "rewards" / "early"]))
    assert found.written[0].tolist() == [1, 2, 3, 0]
    assert found.written[5].tolist() == [51, 52, 53, 54]
    assert found.read["early"][0].tolist() == [100, 101, 102, 0]
    assert found.read["early"][1].tolist() == [100, 101, 0, 103]
    assert (found.unit, found.estimated, found.unknown) == ("tokens", "", {})
    report = run_cost(counted.path, settings=SETTINGS)
    paid = {(row.selector, row.n): row.paid for row in report.rows}
    assert paid["majority", 4].written == pytest.approx(found.written.sum(axis=1).mean())
    assert paid["majority", 4].read == 0
    assert paid["best_of_n", 2].read == pytest.approx(found.read["early"].sum(axis=1).mean() / 2)
    assert paid["first", 4].written == pytest.approx(paid["majority", 1].written), "one candidate is enough for it"
    assert paid["best_of_n", 2].cost == pytest.approx(paid["best_of_n", 2].written + paid["best_of_n", 2].read)


def test_accuracies_are_those_of_evaluate(counted) -> None:
    """The curves are no second opinion: every accuracy and limit is that of prm-eval evaluate."""
    report = run_cost(counted.path, settings=SETTINGS)
    same = evaluate(counted, counted.reward_folders(), ns=[1, 2, 3, 4], resamples=200)
    expected = {(row.selector, row.reward_model, row.n): (row.value, row.low, row.high) for row in same.rows}
    assert report.rows
    for row in report.rows:
        assert (row.value, row.low, row.high) == pytest.approx(expected[row.selector, row.reward_model, row.n])


def test_unknown_tokens_stay_unknown(tmp_path) -> None:
    """Nobody recorded a count: the table says unknown and offers a named estimate, JSON says null, and no number is
    made up; candidates are still counted."""
    pool = import_pool(write_jsonl(tmp_path / "rows.jsonl", rows(counts=False)), tmp_path / "pool").pool
    with_rewards(pool, "early", tokens=False)
    report = run_cost(pool.path, settings=SETTINGS)
    text = text_tables(report)
    assert "unknown" in text
    assert "written by the policy (23); read by early (22)" in text
    assert "--count-by characters, or --count-by TOKENIZER" in text
    said = json.loads(json.dumps(report.to_json(), allow_nan=False))
    assert {row["paid"]["written"] for row in said["rows"]} == {None}
    assert {each["cheaper"] for each in said["worth"]} == {None}
    assert all(each["saved"] is None and each["paid"]["candidates"] > 0 for each in said["stops"])
    assert chart_svg(report).count("candidates a problem") == 1, "no axis of unknown numbers"
    free = run_cost(pool.path, settings=CostSettings(resamples=50, price=Price(0, 0, 2)))
    assert {row.paid.cost for row in free.rows if row.selector == "majority"} == {2.0, 4.0, 6.0, 8.0}


def test_estimates_are_named(counted) -> None:
    """Characters, or the tokens of a named tokenizer, take the place of both counts: never two units on one axis."""
    files = named_apart([counted.path / "rewards" / "early"])
    characters = count_costs(counted, files, "characters")
    assert (characters.written[1, 0], characters.read["early"][1, 0]) == (18, 18 + len("What is 1?"))
    tokenizer = ROOT / "prm_eval" / "miniature" / "weights" / "miniature-policy"
    pytest.importorskip("transformers")
    from transformers import AutoTokenizer

    by_name = count_costs(counted, files, str(tokenizer))
    own = AutoTokenizer.from_pretrained(tokenizer)
    text = "try 0\nso \\boxed{2}"
    assert by_name.written[1, 0] == len(own(text, add_special_tokens=False)["input_ids"])
    assert by_name.estimated.endswith("miniature-policy")
    assert characters.unknown == by_name.unknown == {}
    report = run_cost(counted.path, settings=CostSettings(resamples=50, count_by="characters"))
    assert any(note.startswith("estimated: characters") for note in report.notes)
    with pytest.raises(ModelError):
        count_costs(counted, files, "no/such-tokenizer")


def test_rewards_of_another_pool_are_refused(counted, tmp_path) -> None:
    """Token counts are joined by candidate: a file for other candidates is an error that names it."""
    other = import_pool(write_jsonl(tmp_path / "o.jsonl", rows(problems=5)), tmp_path / "other").pool
    with pytest.raises(DataError, match="rewards for pool"):
        count_costs(counted, named_apart([with_rewards(other, "early")]))


def test_the_cheapest_n_and_the_worth(counted) -> None:
    """Against the rows themselves: the first n at the accuracy, majority's first n at the same, majority's last n that
    the same cost buys; and the reading that costs nothing makes the reward model the cheaper one more often."""
    report = run_cost(counted.path, settings=CostSettings(resamples=300, reach=(0.5, 1.0)))
    rows_of = {
        key: [row for row in report.rows if (row.selector, row.reward_model) == key]
        for key in {(row.selector, row.reward_model) for row in report.rows}
    }
    for each in report.reached:
        there = [row.n for row in rows_of[each.selector, each.reward_model] if row.value >= each.target - 1e-12]
        assert each.n == (there[0] if there else None)
    majority = rows_of["majority", None]
    assert {each.n for each in report.worth} == {1, 2, 4}
    for each in report.worth:
        same = [row.n for row in majority if row.value >= each.value - 1e-12]
        assert each.majority_n == (same[0] if same else None)
        even = [row for row in majority if row.paid.cost <= each.paid.cost + 1e-9]
        assert (each.even_n, each.even_value) == (even[-1].n, pytest.approx(even[-1].value))
        assert each.difference.value == pytest.approx(each.value - even[-1].value)
        assert each.difference.low <= each.difference.value <= each.difference.high
    free = run_cost(counted.path, settings=CostSettings(resamples=300, price=Price(read=0)))
    for paid, unpaid in zip(report.worth, free.worth, strict=True):
        assert paid.cheaper <= unpaid.cheaper
    assert sum(each.cheaper for each in free.worth) > sum(each.cheaper for each in report.worth)


def test_stopping_on_a_pool(counted) -> None:
    """A decided vote keeps the accuracy of majority and saves tokens; a threshold never draws more than n."""
    report = run_cost(counted.path, settings=CostSettings(resamples=100, folds=3))
    majority = {row.n: row for row in report.rows if row.selector == "majority"}
    bon = {row.n: row for row in report.rows if row.selector == "best_of_n"}
    assert {(stop.rule, stop.n) for stop in report.stops} == {
        (rule, n) for rule in ("decided", "threshold") for n in (2, 4)
    }
    for stop in report.stops:
        plain = (majority if stop.rule == "decided" else bon)[stop.n]
        assert stop.full == pytest.approx(plain.value, abs=1e-12)
        assert stop.full_paid.cost == pytest.approx(plain.paid.cost)
        assert stop.paid.candidates <= stop.n + 1e-12
        assert stop.saved.value == pytest.approx(1 - stop.paid.cost / stop.full_paid.cost)
        assert stop.mc_se == 0
        if stop.rule == "decided":
            assert stop.value == stop.full
            assert stop.difference.value == 0
        else:
            assert len(stop.thresholds) == 3


def replay(correct: np.ndarray) -> Replay:
    from prm_eval.evaluation.cost.counts import Counted

    shape = correct.shape
    counted = Counted("tokens", "", np.ones(shape), {"rm": np.ones(shape)}, {})
    bootstrap = ClusterBootstrap(shape[0], seed=1, resamples=20)
    return Replay(np.zeros(shape, dtype=np.int64), correct, counted, Price(), bootstrap, [1] * shape[0], 10)


def test_a_problem_never_learns_its_own_threshold() -> None:
    """Cross-fitted: whatever is right in the problems of one fold, their own threshold stays, and those of the others
    may move. A threshold learnt on all problems would see the grades it is judged by."""
    generator = np.random.default_rng(5)
    rewards, correct = generator.normal(size=(20, 8)).round(1), generator.random((20, 8)) < 0.5
    fold = np.random.default_rng(9).permutation(20) % 4

    def thresholds(flags: np.ndarray) -> list[float]:
        own = replay(flags)
        table = until_passed(rewards, flags, own.costs("rm"), 6)
        return [own._learn(rewards, table, np.flatnonzero(fold != each), 0.0) for each in range(4)]

    before = thresholds(correct)
    moved = 0
    for each in range(4):
        changed = correct.copy()
        changed[fold == each] = ~correct[fold == each]
        after = thresholds(changed)
        assert after[each] == before[each]
        moved += sum(one != other for one, other in zip(before, after, strict=True))
    assert moved, "the thresholds do depend on what they are learnt from"
    stop = replay(correct).threshold("rm", rewards, 6, folds=4, slack=0.0, seed=9)
    assert stop.thresholds == tuple(sorted(before))
    expected = np.mean([
        until_passed(rewards, correct, replay(correct).costs("rm"), 6).accuracy[
            p, int((rewards[p] >= before[fold[p]]).sum())
        ]
        for p in range(20)
    ])  # fmt: skip
    assert stop.value == pytest.approx(expected, abs=1e-12)


def test_the_board_counts_as_the_command_does(counted) -> None:
    """One axis, two doors: a missing slot and a candidate that was refused unread cost nothing on either; where one
    scored candidate has no count, the cost is unknown on both, and no mean of the others."""
    grade_pool(counted)
    yardstick = Yardstick(load_arrays(counted), board_settings(4))
    measured = yardstick.measure([RewardFile(counted.path / "rewards" / "early")])[0]
    ns = yardstick.settings.ns
    paid = {(row.selector, row.n): row.paid.cost for row in run_cost(counted.path, settings=SETTINGS).rows}
    assert tokens_at(ns, yardstick.arrays.written) == pytest.approx([paid["majority", n] for n in ns])
    assert tokens_at(ns, yardstick.arrays.written, measured.read) == pytest.approx([paid["best_of_n", n] for n in ns])
    untold = with_rewards(counted, "untold", tokens=False)
    assert yardstick.measure([RewardFile(untold)])[0].read is None
    partly = with_rewards(counted, "partly", tokens=lambda each: each.slot != 1)
    found = yardstick.measure([RewardFile(partly)])[0]
    assert (found.read, found.tokens is None) == (None, False)


def test_copies_of_a_problem_are_in_one_fold() -> None:
    """Else the threshold of a problem would be learnt on its own copy, grades and all: twenty copies of one problem and
    one other are two folds, and each learns from the other alone."""
    generator = np.random.default_rng(6)
    rewards, correct = generator.normal(size=(21, 8)), generator.random((21, 8)) < 0.5
    rewards[:20], correct[:20] = rewards[0], correct[0]
    own = replay(correct)
    apart = Replay(own.classes, correct, own.counted, own.price, own.bootstrap, own.seeds, 10, np.arange(21) // 20)
    stop = apart.threshold("rm", rewards, 6, folds=10, slack=0.0, seed=9)
    table = until_passed(rewards, correct, own.costs("rm"), 6)
    learnt = [apart._learn(rewards, table, np.arange(20), 0.0), apart._learn(rewards, table, np.array([20]), 0.0)]
    assert stop.thresholds == tuple(sorted(learnt))


def test_what_is_learnt_keeps_the_accuracy_where_it_is_learnt() -> None:
    """The cheapest threshold that gives up no more than the slack, found by trying all: more slack is never dearer."""
    generator = np.random.default_rng(11)
    rewards, correct = generator.random((30, 8)), generator.random((30, 8)) < 0.6
    own, known = replay(correct), np.arange(30)
    table = until_passed(rewards, correct, own.costs("rm"), 8)
    drawn = []
    for slack in (0.0, 0.02, 0.5):
        threshold = own._learn(rewards, table, known, slack)
        places = (rewards >= threshold).sum(axis=1)
        assert table.accuracy[known, places].mean() >= table.accuracy[:, 0].mean() - slack - 1e-12
        drawn.append(table.drawn[places].mean())
    assert drawn == sorted(drawn, reverse=True)
    assert drawn[-1] == pytest.approx(1.0), "half of the accuracy may go: the first candidate is taken"
    nothing = np.full((30, 8), math.nan)
    assert own._learn(nothing, until_passed(nothing, correct, own.costs("rm"), 8), known, 0.0) == math.inf


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["written=x"], "expected written=NUMBER"),
        (["sampled=1"], "expected written=NUMBER"),
        (["read=-1"], "expected written=NUMBER"),
        (["read=inf"], "expected written=NUMBER"),
        (["read=nan"], "expected written=NUMBER"),
        (["read=1_0"], "expected written=NUMBER"),
        (["read=1e308"], "read=1e.308; expected 0, or a number from 1e-09 to 1e.09"),
        (["read=1e-320"], "expected 0, or a number from"),
        (["read=1", "read=2"], "read is there twice"),
        (["written=0", "read=0"], "all three are 0"),
    ],
)
def test_prices_are_checked(words, message) -> None:
    """A price that is misspelt would be a price of 1 without a word."""
    with pytest.raises(PrmEvalError, match=message):
        read_price(words)
    assert read_price(["read=0.1", "candidate=3"]) == Price(1.0, 0.1, 3.0)
    for wrong in (-1.0, math.nan, math.inf):
        with pytest.raises(PrmEvalError, match="expected 0, or a number"):
            Price(written=wrong)
    with pytest.raises(PrmEvalError, match="all three are 0"):
        Price(0.0, 0.0, 0.0)


def test_a_majority_that_never_gets_there_is_not_the_cheaper_way(tmp_path) -> None:
    """Not even where its candidates cost nothing: 0 times never is no price."""
    answers = [{"text": f"\\boxed{{{2 if s == 0 else 3}}}", "n_tokens": 5} for s in range(4)]
    lines = [{"id": f"p{k}", "problem": f"{k}?", "answer": "2", "samples": answers} for k in range(5)]
    pool = import_pool(write_jsonl(tmp_path / "r.jsonl", lines), tmp_path / "pool").pool
    with_rewards(pool, "early")
    for price, log in ((Price(), True), (Price(written=0.0), False)):
        report = run_cost(pool.path, settings=CostSettings(resamples=50, price=price))
        (last,) = [each for each in report.worth if each.n == 4]
        assert (last.value, last.majority_n, last.cheaper) == (1.0, None, 1.0)
        # on a log scale what costs nothing would be missing from the chart without a word
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert chart_svg(report).count("(log scale)") == 1 + log


def test_pools_of_one_problem_and_of_one_slot(tmp_path) -> None:
    """One problem has no spread to resample: no share of resamples, limits that say nothing but are finite; one slot
    leaves nothing to compare or to stop."""
    one = import_pool(write_jsonl(tmp_path / "1.jsonl", rows()[4:5]), tmp_path / "one").pool
    with_rewards(one, "early")
    report = run_cost(one.path, settings=SETTINGS)
    assert {each.cheaper for each in report.worth} == {None}
    assert {(each.saved.low, each.saved.high) for each in report.stops} == {(0.0, 1.0)}
    assert {each.thresholds for each in report.stops if each.rule == "threshold"} == {(math.inf,)}
    text = text_tables(report)
    assert " inf" not in text
    assert "(folds: 1)" in text
    lines = [{**row, "samples": row["samples"][:1]} for row in rows()]
    narrow = import_pool(write_jsonl(tmp_path / "m.jsonl", lines), tmp_path / "narrow").pool
    with_rewards(narrow, "early")
    text = text_tables(run_cost(narrow.path, settings=SETTINGS))
    assert "worth it" not in text
    assert "stopping early" not in text


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"folds": 1}, "expected at least 2"),
        ({"slack": -0.1}, "from 0 to 1"),
        ({"draws": 0}, "at least 1 of each"),
        ({"reach": (90.0,)}, "such as 0.9"),
        ({"selectors": ("oracle",)}, "the oracle costs"),
    ],
)
def test_settings_are_checked(given, message) -> None:
    """One fold learns on nothing, 90 is no accuracy, and the oracle has no price: each is said before any work."""
    with pytest.raises(PrmEvalError, match=message):
        CostSettings(**given)


def test_the_grid_is_fine_and_bounded() -> None:
    """Every n up to 64, so that "the cheapest n" is one; at the paper's 1,860 no more than a hundred."""
    assert cost_ns(1) == (1,)
    assert cost_ns(64) == tuple(range(1, 65))
    assert cost_ns(65)[-2:] == (64, 65)
    large = cost_ns(1860)
    assert (large[63], large[-1]) == (64, 1860)
    assert len(large) < 100
    assert list(large) == sorted(set(large))


def test_the_command(counted, tmp_path, capsys) -> None:
    """As a user types it: a table, one JSON object, a page that fetches nothing with names escaped, a chart; faults in
    one line."""
    hostile = counted.path / "rewards" / "hostile"
    with_rewards(counted, "hostile")
    info = json.loads((hostile / "submission.json").read_text())
    (hostile / "submission.json").write_text(json.dumps({**info, "name": "<script>alert(1)</script>"}))
    folder = str(counted.path)
    page, chart = tmp_path / "out" / "cost.html", tmp_path / "out" / "cost.svg"
    words = ["--resamples", "50", "--reach", "0.4", "--html", str(page), "--svg", str(chart)]
    assert main(["cost", folder, *words]) == 0
    text = capsys.readouterr().out
    for title in ("accuracy in % at n candidates", "the cheapest n", "is a reward model worth it?", "stopping early"):
        assert title in text
    assert "<script>alert" not in page.read_text()
    assert "src=" not in page.read_text()
    assert chart.read_text().startswith("<svg")
    assert main(["cost", folder, f"{folder}/rewards/early", "--json", "--price", "read=0.5", "--resamples", "50"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["schema"], found["settings"]["price"]["read"]) == ("prm_eval.cost/1", 0.5)
    for wrong, message in (
        (["--reach", "x"], "--reach x"),
        (["--price", "x=1"], "price 'x=1'"),
        (["--n", "9"], "n = 9"),
    ):
        assert main(["cost", folder, *wrong]) == 1
        assert message in capsys.readouterr().err


def test_published_grades_without_answers_have_no_votes(tmp_path) -> None:
    """Where a vote would be among the right ones there is none, and nothing is compared with it; it is said."""
    samples = [{"text": "no idea", "correct": False}, {"text": "\\boxed{2}", "correct": True, "n_tokens": 3}] * 2
    file = write_jsonl(tmp_path / "r.jsonl", [{"id": "a", "problem": "x", "answer": "2", "samples": samples}])
    pool = import_pool(file, tmp_path / "pool").pool
    with_rewards(pool, "early")
    report = run_cost(pool.path, settings=CostSettings(resamples=20), grades="published")
    assert {row.selector for row in report.rows} == {"first", "best_of_n"}
    assert not report.worth
    assert {stop.rule for stop in report.stops} == {"threshold"}
    assert any(note.startswith("not available: majority") for note in report.notes)
    assert "nan" not in html_page(report, "t").lower()
    with pytest.raises(PrmEvalError, match="nothing to evaluate"):
        run_cost(pool.path, settings=CostSettings(selectors=("majority",)), grades="published")


def test_a_step_set_is_refused() -> None:
    """Nothing is selected among solutions of one each: said before grading fails for want of golds."""
    with pytest.raises(PrmEvalError, match="miniature-v2-steps is a step set"):
        run_cost(ROOT / "results" / "pools" / "miniature-v2-steps")


def test_permutations_where_the_counts_are_too_many(counted, monkeypatch) -> None:
    """The table marks what is estimated, with its standard error, and the estimate is near the exact figure."""
    exact = run_cost(counted.path, settings=SETTINGS)
    monkeypatch.setattr("prm_eval.selection.stopping.until_decided.__kwdefaults__", {"most_states": 0}, raising=False)
    drawn = run_cost(counted.path, settings=CostSettings(resamples=200, draws=2_000))
    for one, other in zip(exact.stops, drawn.stops, strict=True):
        if one.rule == "decided":
            assert other.mc_se > 0
            assert abs(one.paid.cost - other.paid.cost) < 5 * other.mc_se
            assert one.value == other.value
    assert "~ some problems from 2,000 random orders each" in text_tables(drawn)
    assert RewardFile(counted.reward_folders()[0]).name == "early"
