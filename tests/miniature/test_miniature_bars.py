"""The figures that the miniature must show. Each test says what would be wrong if it failed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from prm_eval.evaluation.curves import Evaluation
from prm_eval.miniature.bars import SEED, Figure, Limits, Run, figures_of
from prm_eval.miniature.problems import miniature_problems

PROBLEMS = miniature_problems("validation", 0, 70)
NS = (1, 2, 4, 8, 16, 32, 64)
FALSE = "right answers by wrong reasoning"


def run_of(seed: int, better: float = 0.0) -> Run:
    """What models did whose curves are known up to some noise; ``better`` is added to best of n by the PRM."""
    rng = np.random.default_rng(seed)

    def flat(at_16: float, at_64: float, at_1: float = 0.4) -> np.ndarray:
        row = np.interp(np.log2(NS), [0, 4, 6], [at_1, at_16, at_64])
        return np.clip(row + 0.05 * rng.standard_normal((70, 1)), 0, 1)

    oracle = flat(0.9, 0.97)
    oracle[:, 0] = 0.7 - 0.1 * np.array([each.problem.level for each in PROBLEMS])
    curves = {
        ("oracle", None): oracle,
        ("majority", None): flat(0.5, 0.55),
        ("best_of_n", "orm"): flat(0.6, 0.72),
        ("best_of_n", "prm"): flat(0.8 + better, 0.85 + better),
        ("weighted_majority", "orm"): flat(0.6, 0.75),
        ("weighted_majority", "prm"): flat(0.8, 0.9),
    }
    names = tuple(each.problem.problem_id for each in PROBLEMS)
    return Run(
        Evaluation({}, {}, NS, [], [], [], [], curves, names, None), np.full(70, 20.0), np.array([4.0, 0.0] * 35)
    )


def found_of(*runs: Run) -> dict[str, Figure]:
    return {each.name: each for each in figures_of(runs, PROBLEMS)}


def test_false_positive_share_and_gaps_of_known_curves() -> None:
    """A figure with its sign or its column mixed up would pass for a result."""
    found = found_of(run_of(0))
    assert found["mean@1"].value == pytest.approx(40)
    assert found["mean@1 level 1 - level 5"].value == pytest.approx(40)
    assert found[FALSE].value == pytest.approx(10)
    assert found["bon@64 PRM - ORM"].value == pytest.approx(13, abs=2)
    assert found["bon@64 ORM - maj@64"].value == pytest.approx(17, abs=2)
    assert found["wmaj@64 ORM - maj@64"].value == pytest.approx(20, abs=2)
    assert found["wmaj@64 PRM - ORM"].value == pytest.approx(15, abs=2)
    assert found["bon PRM @64 - @16"].value == pytest.approx(5, abs=2)
    assert found["bon ORM @64 - @16"].value == pytest.approx(12, abs=2)
    assert not [each for each in found.values() if not each.held]
    assert not any(each.seeds for each in found.values())


def test_three_times_the_same_is_no_news() -> None:
    """Seeds that agree must give the limits of one: a larger sample they are not."""
    one = run_of(0)
    once, thrice = found_of(one), found_of(one, one, one)
    for name, each in thrice.items():
        assert each.seeds == pytest.approx([once[name].value] * 3)
        assert each.trainings == pytest.approx((each.low, each.high))
        assert (each.value, each.low, each.high) == pytest.approx((once[name].value, once[name].low, once[name].high))


def test_limits_hold_what_seeds_differ_by() -> None:
    """Limits over problems alone would promise that a fourth training does the same."""
    name = "bon@64 PRM - ORM"
    alike = found_of(run_of(0), run_of(1), run_of(2))[name]
    apart = found_of(run_of(0, -0.1), run_of(1), run_of(2, 0.1))[name]
    assert apart.value == pytest.approx(alike.value, abs=1)
    (near, far), (low, high) = alike.trainings, apart.trainings
    assert high - low > 4 * (far - near)
    assert low < near - 4 and high > far + 4
    # of these models nothing else is said: they are what they are
    assert apart.high - apart.low == pytest.approx(alike.high - alike.low, rel=0.2)
    assert np.mean(apart.seeds) == pytest.approx(apart.value)
    assert apart.seeds[2] - apart.seeds[0] == pytest.approx(20, abs=3)


def test_the_limits_are_over_problems_and_seeds() -> None:
    """By brute force: the mean over seeds of redrawn problems, and Student's error of the mean over seeds."""
    rng = np.random.default_rng(5)
    values = rng.random((3, 70)) * 0.5 + np.array([[0.2], [0.25], [0.3]])
    problems = values.mean(axis=0)[rng.integers(0, 70, (100_000, 70))].mean(axis=1)
    seeds = rng.standard_t(2, 100_000) * values.mean(axis=1).std(ddof=1) / np.sqrt(3)
    low, high = np.quantile(problems + seeds, [0.025, 0.975])
    found = Limits(3, 70, trainings=True).share(values)
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.1 * (high - low))
    gap = Limits(3, 70, trainings=True).gap(values, values - 0.1)
    assert gap.value == pytest.approx(0.1) and 0.1 - gap.low == pytest.approx(gap.high - 0.1)
    assert Limits(1, 70, SEED).share(values[:1]).value == pytest.approx(values[0].mean())


def test_a_resample_without_right_answers_has_no_share() -> None:
    """A ratio of nothing would end the whole command, after an hour of sampling."""
    run = replace(run_of(0), right=np.zeros(70), false=np.zeros(70))
    figure = found_of(run, run)[FALSE]
    assert (figure.value, figure.low, figure.high, figure.held) == (0, 0, 100, False)
    one_of_two = found_of(run_of(0), run)[FALSE]
    assert one_of_two.value == pytest.approx(10) and one_of_two.seeds == pytest.approx((10, 0))


def test_a_share_of_right_answers_has_limits_over_trainings() -> None:
    """Student's weights can be negative: a ratio of resampled sums would be anything, and its limits 0 and 100."""
    rng = np.random.default_rng(3)
    runs = []
    for seed, level in enumerate((18, 20, 22)):
        right = rng.poisson(level, 70).astype(float)
        runs.append(replace(run_of(seed), right=right, false=rng.binomial(right.astype(int), 0.1 + 0.01 * seed) * 1.0))
    figure = found_of(*runs)[FALSE]
    low, high = figure.trainings
    assert figure.value - 12 < low < figure.low < figure.value < figure.high < high < figure.value + 12
    one = found_of(runs[0])[FALSE]
    draws = rng.integers(0, 70, (20_000, 70))
    ratios = 100 * runs[0].false[draws].sum(axis=1) / runs[0].right[draws].sum(axis=1)
    assert (one.low, one.high) == pytest.approx(np.quantile(ratios, [0.025, 0.975]), abs=0.3)


def test_a_bar_may_be_held_by_these_models_and_not_over_trainings() -> None:
    """The second verdict is what a reader needs who would train again."""
    figure = Figure("x", 20.0, 15.0, 25.0, least=5, above=0, seeds=(10.0, 30.0), trainings=(-5.0, 45.0))
    assert figure.held and not figure.held_by_trainings
    assert replace(figure, trainings=(0.5, 39.5)).held_by_trainings
    assert not replace(figure, value=4.0, trainings=(0.5, 7.5)).held_by_trainings


@pytest.mark.parametrize(
    ("given", "held", "bar"),
    [
        ({"value": 5.0, "low": 0.1, "least": 5, "above": 0}, True, ">= 5, low > 0"),
        ({"value": 5.0, "low": 0.0, "least": 5, "above": 0}, False, ">= 5, low > 0"),
        ({"value": 4.9, "low": 4.0, "least": 5, "above": 0}, False, ">= 5, low > 0"),
        ({"value": -0.5, "low": -0.9, "above": -1}, True, "low > -1"),
        ({"value": 0.5, "low": -1.1, "above": -1}, False, "low > -1"),
        ({"value": 50.0, "low": 0.0, "least": 30, "most": 50}, True, "30 to 50"),
        ({"value": 50.1, "low": 0.0, "least": 30, "most": 50}, False, "30 to 50"),
        ({"value": 95.0, "low": 90.0, "least": 95}, True, ">= 95"),
    ],
)
def test_bars(given, held, bar) -> None:
    """A bar that cannot be missed says nothing."""
    figure = Figure(**{"name": "x", "high": 100.0, **given})
    assert (figure.held, figure.bar) == (held, bar)
