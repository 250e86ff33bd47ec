"""Diagnostics against definitions written out; the fast readers and votes against the slow ones they stand in for."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from prm_eval.errors import DataError
from prm_eval.evaluation.curves import evaluate
from prm_eval.evaluation.diagnostics import (
    chosen_length,
    expensive_mistakes,
    groups_of,
    histogram,
    last_step,
    quintiles,
    reliability,
    row_ranks,
    within_problem_auroc,
    within_problem_correlation,
)
from prm_eval.evaluation.measured import board_settings
from prm_eval.evaluation.pool_arrays import baseline_curves, load_arrays, weighted_votes
from prm_eval.evaluation.yardstick import Yardstick
from prm_eval.grading.pool import grade_pool
from prm_eval.rewards.files.reward_file import RewardFile
from prm_eval.selection.accuracies import accuracy, best_of_n_mean, best_of_n_table, pass_at_n
from prm_eval.selection.selectors import Slots, WeightedMajority, problem_seed
from prm_eval.selection.subsets import all_subsets
from tests.leaderboard.leaderboards import disclosure, made_up, register, submit

NAN = float("nan")


def tables(seed: int, problems: int = 12, m: int = 7, ties: bool = True):
    """Rewards with ties and gaps, and correctness with problems that are all right and all wrong."""
    generator = np.random.default_rng(seed)
    rewards = generator.integers(0, 4, (problems, m)).astype(float) if ties else generator.normal(0, 1, (problems, m))
    rewards[generator.random((problems, m)) < 0.15] = np.nan
    correct = generator.random((problems, m)) < generator.random(problems)[:, None]
    correct[0], correct[1], rewards[2] = True, False, np.nan
    return rewards, correct


@pytest.mark.parametrize("seed", range(6))
def test_auroc_is_the_share_of_pairs_in_the_right_order(seed) -> None:
    rewards, correct = tables(seed)
    areas = []
    for r, c in zip(rewards, correct, strict=True):
        pairs = [(a > b) + (a == b) / 2 for a in r[c] for b in r[~c] if not (math.isnan(a) or math.isnan(b))]
        if pairs:
            areas.append(sum(pairs) / len(pairs))
    found, problems = within_problem_auroc(rewards, correct)
    assert (found, problems) == (pytest.approx(np.mean(areas)), len(areas))


def test_auroc_without_a_pair_is_not_a_number() -> None:
    found, problems = within_problem_auroc(np.array([[1.0, 2.0]]), np.array([[True, True]]))
    assert math.isnan(found) and problems == 0


@pytest.mark.parametrize("seed", range(4))
def test_ranks_and_correlation_are_those_of_scipy(seed) -> None:
    from scipy.stats import rankdata, spearmanr

    one, other = tables(seed)[0], tables(seed + 50)[0]
    for row, ranks in zip(one, row_ranks(one), strict=True):
        there = ~np.isnan(row)
        assert ranks[there] == pytest.approx(rankdata(row[there])) and np.isnan(ranks[~there]).all()
    expected = []
    for a, b in zip(one, other, strict=True):
        there = ~np.isnan(a) & ~np.isnan(b)
        if there.sum() >= 3 and np.ptp(a[there]) > 0 and np.ptp(b[there]) > 0:
            expected.append(spearmanr(a[there], b[there]).statistic)
    found, problems = within_problem_correlation(one, other)
    assert (found, problems) == (pytest.approx(np.mean(expected)), len(expected))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("n", [1, 2, 5])
def test_what_best_of_n_chooses_is_averaged_over_all_subsets(seed, n) -> None:
    """Value and length of the chosen candidate, by enumeration of every subset, ties shared."""
    rewards = tables(seed, problems=5)[0]
    lengths = np.random.default_rng(seed + 9).integers(10, 90, rewards.shape).astype(float)
    ratios = []
    for row, (r, length) in enumerate(zip(rewards, lengths, strict=True)):
        total = chance = 0.0
        subsets = all_subsets(len(r), n)
        for subset in subsets:
            known = [i for i in subset if not math.isnan(r[i])]
            if known:
                best = [i for i in known if r[i] == max(r[k] for k in known)]
                total += float(np.mean(length[best]))
                chance += 1
        assert best_of_n_mean(rewards, lengths, [n])[row, 0] == pytest.approx(total / len(subsets))
        if chance:
            ratios.append(total / chance / length[~np.isnan(r)].mean())
    assert chosen_length(rewards, lengths, n) == pytest.approx(np.mean(ratios))


def test_histogram_counts_every_reward_once() -> None:
    values = np.array([[0.0, 0.049, 0.05, 0.999], [1.0, 1.7, -3.0, NAN]])
    correct = np.array([[True, False, True, False], [True, False, True, True]])
    found = histogram(values, correct, low=0.0, high=1.0)
    assert sum(found.correct) == 4 and sum(found.incorrect) == 3
    assert (found.correct[0], found.correct[1], found.incorrect[19]) == (2, 1, 2)
    assert len(found.edges) == 21 and histogram(np.full(3, 2.0), np.ones(3, bool), low=2.0, high=2.0).correct[0] == 3


def test_reliability_by_hand() -> None:
    found = reliability(np.array([0.05, 0.15, 0.15, 0.95, NAN]), np.array([False, True, False, True, True]))
    assert found.counts == (1, 2, 0, 0, 0, 0, 0, 0, 0, 1)
    assert (found.predicted[1], found.observed[1]) == (pytest.approx(0.15), 0.5)
    assert found.brier == pytest.approx((0.05**2 + 0.85**2 + 0.15**2 + 0.05**2) / 4)
    assert found.ece == pytest.approx((0.05 * 1 + 0.35 * 2 + 0.05 * 1) / 4)
    assert math.isnan(reliability(np.array([NAN]), np.array([True])).brier)


def test_calibrated_rewards_lie_on_the_line() -> None:
    generator = np.random.default_rng(5)
    p = generator.random(200_000)
    found = reliability(p, generator.random(200_000) < p)
    assert found.ece < 0.005 and found.brier == pytest.approx(1 / 6, abs=0.003)


def test_last_step() -> None:
    """Ties share; single steps and refused candidates are left out."""
    values = np.array([3.0, 1.0, 1.0, 2.0, 5.0, 4.0, 4.0, 4.0, 4.0])
    found = last_step(values, np.array([2, 2, 1, 0, 4]), np.array([True, False, True, True, True]))
    assert found.candidates == 3
    assert (found.correct, found.incorrect) == (pytest.approx((1 + 1 / 4) / 2), 0.0)
    assert found.by_chance == pytest.approx((1 / 2 + 1 / 2 + 1 / 4) / 3)
    assert last_step(np.array([1.0]), np.array([1]), np.array([True])).candidates == 0


def test_quintiles_cut_by_pass_rate_and_cover_everything() -> None:
    correct = np.random.default_rng(0).random((23, 9)) < 0.5
    parts = quintiles(correct)
    assert sorted(np.concatenate(parts).tolist()) == list(range(23)) and {len(part) for part in parts} == {4, 5}
    rates = [correct[part].mean(axis=1) for part in parts]
    assert all(one.min() >= other.max() for one, other in itertools.pairwise(rates))
    assert len(quintiles(correct[:3])) == 3


def test_groups() -> None:
    assert [(label, rows.tolist()) for label, rows in groups_of([2, None, 1, 2])] == [("1", [2]), ("2", [0, 3])]
    assert groups_of(["a", "a", None]) == []


@pytest.mark.parametrize("seed", range(4))
def test_expensive_mistakes_are_those_that_lose_most(seed) -> None:
    rewards, correct = tables(seed, ties=seed % 2 == 0)
    oracle = np.array([pass_at_n(int(row.sum()), 7, [3])[0] for row in correct])
    lost = oracle - best_of_n_table(rewards, correct, [3])[:, 0]
    found = expensive_mistakes(rewards, correct, 3, most=5)
    able = [row for row in range(12) if lost[row] > 1e-9 and np.isfinite(rewards[row][~correct[row]]).any()]
    assert [each.row for each in found] == sorted(able, key=lambda row: (-round(lost[row], 12), row))[:5]
    for each in found:
        assert each.lost == pytest.approx(lost[each.row])
        assert not correct[each.row, each.chosen] and correct[each.row, each.better]
        assert rewards[each.row, each.chosen] == np.nanmax(rewards[each.row][~correct[each.row]])
        assert 0 <= sum(each.shares) <= 1 + 1e-12


@pytest.fixture
def results(tmp_path):
    from prm_eval.demo import demo_pool

    pool = demo_pool(tmp_path / "source")
    grade_pool(pool)
    return tmp_path / "results", register(tmp_path / "results", pool, "demo", "Demo")


@pytest.mark.parametrize(("kind", "score_type", "aggregation"), [("prm", "logodds", "prod"), ("prm", "value", "min"),
("orm", "raw", "last")])  # fmt: skip
def test_the_board_and_evaluate_print_the_same_numbers(results, kind, score_type, aggregation) -> None:
    """Every accuracy, limit and standard error of the bulk way is that of ``prm-eval evaluate``."""
    folder, pool = results
    arrays = load_arrays(pool)
    values = made_up(arrays, 3, skill=0.7, stepwise=kind == "prm")
    if score_type == "value":
        values = [[round(1 / (1 + math.exp(-value)), 1) for value in each] for each in values]
    path = submit(
        folder, arrays, "demo", values, kind=kind, score_type=score_type, aggregation=aggregation,
        refusals={0: "over-length: 9", 33: "no step"}, disclosure=disclosure(),
    )  # fmt: skip
    yardstick = Yardstick(arrays, board_settings(8))
    (measured,) = yardstick.measure([RewardFile(path)])
    assert measured.refusals == {"no step": 1, "over-length": 1}
    slow = evaluate(pool, [path], selectors=("best_of_n", "weighted_majority"))
    for name, curve in (("best_of_n", measured.bon), ("weighted_majority", measured.wmaj)):
        rows = [row for row in slow.rows if row.selector == name]
        for place, row in enumerate(rows):
            assert curve.values[place] == pytest.approx(row.value, abs=1e-12)
            assert (curve.lows[place], curve.highs[place]) == (pytest.approx(row.low), pytest.approx(row.high))
            assert curve.mc_se[place] == pytest.approx(row.mc_se)
    everything = evaluate(pool)
    for name, each in yardstick.baselines.items():
        if name != "random":
            wanted = [row.value for row in everything.rows if row.selector == name]
            assert each.curve.values == pytest.approx(wanted)


def test_weighted_votes_beyond_enumeration(tmp_path) -> None:
    """40 slots: permutations, equal weights and a problem without a right candidate, each as the selector does it."""
    from prm_eval.importers import import_pool
    from tests.conftest import write_jsonl

    generator = np.random.default_rng(8)
    rows = [
        {"id": f"p{k}", "problem": f"What is {k}?", "answer": "99" if k == 2 else "1",
         "samples": [{"text": f"\\boxed{{{generator.integers(1, 5)}}}"} for _ in range(40)]}
        for k in range(4)
    ]  # fmt: skip
    pool = import_pool(write_jsonl(tmp_path / "rows.jsonl", rows), tmp_path / "pool").pool
    grade_pool(pool)
    arrays = load_arrays(pool)
    weights = generator.random((3, 4, 40))
    weights[0, 1], weights[1, :, ::5], weights[2, 3] = 0.25, np.nan, np.nan
    weights[1, 2, 3:9] = weights[1, 2, 3]  # tied
    weights[2, 0, 1:30] = weights[2, 0, 1] * (1 + 1e-12 * np.arange(29))  # tied but for rounding
    values, variances = weighted_votes(arrays, weights, [1, 2, 9, 40], seed=5, draws=50)
    for model in range(3):
        for row in range(4):
            slots = Slots(arrays.classes[row], weights[model, row], weights[model, row], arrays.lengths[row])
            seed = problem_seed(5, f"p{row}")
            slow = accuracy(WeightedMajority().choose(slots, [1, 2, 9, 40], seed=seed, draws=50), arrays.correct[row])
            assert values[model, row] == pytest.approx(slow.values, abs=1e-12)
            assert variances[model, row] == pytest.approx(slow.variances)
    assert set(baseline_curves(arrays, [1, 9], seed=5, draws=50)) == {"first", "random", "shortest", "longest",
    "majority", "oracle"}  # fmt: skip


def broken(path, change) -> None:
    table = pq.read_table(path / "rewards.parquet")
    columns = table.to_pydict()
    change(columns)
    pq.write_table(pa.table(columns, schema=table.schema), path / "rewards.parquet")


def put(name, row, value):
    def change(columns):
        columns[name][row] = value

    return change


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (put("step_rewards", 3, [NAN, 1.0, 1.0]), "row 4: found a reward that is not finite"),
        (put("step_rewards", 7, None), "row 8: found no step rewards"),
        (put("refusal", 9, "because"), "row 10: found rewards and the refusal"),
        (put("n_steps", 2, 77), "row 3: found 4 rewards; expected 77"),
        (put("candidate_id", 5, "0005-00000000"), "row 6: found candidate '0005-00000000'"),
        (put("problem_id", 1, "another"), "expected"),
        (lambda columns: [column.pop() for column in columns.values()], "found 7 candidates"),
        (lambda columns: [column.append(column[-1]) for column in columns.values()], "found 9 candidates"),
    ],
)
def test_a_fault_is_named_with_its_row(results, change, found) -> None:
    """The fast reader finds what the slow one finds, and says it in its words."""
    folder, pool = results
    arrays = load_arrays(pool)
    path = submit(folder, arrays, "demo", made_up(arrays, 1))
    broken(path, change)
    with pytest.raises(DataError) as caught:
        arrays.steps(RewardFile(path))
    assert found in str(caught.value)


def test_one_faulty_file_does_not_stop_the_others(results) -> None:
    folder, pool = results
    arrays = load_arrays(pool)
    paths = [submit(folder, arrays, "demo", made_up(arrays, k), name=f"a/m{k}") for k in range(3)]
    broken(paths[1], put("n_steps", 2, 77))
    found = Yardstick(arrays, board_settings(8)).measure([RewardFile(path) for path in paths])
    assert [isinstance(each, DataError) for each in found] == [False, True, False]
