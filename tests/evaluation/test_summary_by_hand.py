"""What is reported of curves, row by row from its definition: a figure under the wrong name would be believed."""

from __future__ import annotations

import math

import numpy as np
import pytest

from prm_eval.evaluation.stats import ClusterBootstrap, rank_ranges, sign_flip_p
from prm_eval.evaluation.summary import Difference, GroupRow, Rank, Row, Summary, metric_name
from prm_eval.records import Problem

GENERATOR = np.random.default_rng(0)
NS = (1, 4)
KEYS = [("first", None), ("majority", None), ("best_of_n", "A"), ("weighted_majority", "A"), ("best_of_n", "B"),
        ("best_of_n", "C"), ("weighted_majority", "B"), ("oracle", None)]  # fmt: skip
CURVES = {key: GENERATOR.beta(0.6, 0.5, (30, 2)) for key in KEYS}
VARIANCES = {key: np.zeros((30, 2)) for key in KEYS}
VARIANCES["majority", None][:, 1] = np.linspace(0.01, 0.3, 30)
SUBJECTS, LEVELS = ["Algebra", "Geometry", None], [1, 1, 2, 2, 3]
PROBLEMS = [Problem(str(at), "?", "1", SUBJECTS[at % 3], LEVELS[at % 5]) for at in range(30)]


def made(curves=CURVES, problems=PROBLEMS, resamples=300) -> Summary:
    return Summary(curves, {key: VARIANCES[key] for key in curves}, NS, problems, 5, 0.9, resamples)


def bootstrap(n=30, resamples=300) -> ClusterBootstrap:
    return ClusterBootstrap(n, seed=5, level=0.9, resamples=resamples)


def test_every_accuracy_with_its_limits() -> None:
    wanted = []
    for (selector, model), table in CURVES.items():
        noise = [math.sqrt(VARIANCES[selector, model][:, k].sum()) / 30 for k in (0, 1)]
        for k, cell in enumerate(bootstrap().intervals(table)):
            method = "monte_carlo" if noise[k] else "exact"
            wanted.append(
                Row(selector, model, metric_name(selector, NS[k]), NS[k], cell.value, cell.low, cell.high, method,
                    pytest.approx(noise[k]), 30)
            )  # fmt: skip
    found = made().rows()
    for one, other in zip(found, wanted, strict=True):
        assert (one.low, one.high) == pytest.approx((other.low, other.high), abs=1e-12)
        assert one == Row(**{**other.__dict__, "low": one.low, "high": one.high})
        assert type(one.mc_se) is float
    assert [row.method for row in found].count("monte_carlo") == 1


def test_names_of_the_metrics() -> None:
    names = {
        "first": "mean@1",
        "majority": "maj@8",
        "best_of_n": "bon@8",
        "weighted_majority": "wmaj@8",
        "oracle": "pass@8",
    }
    assert {selector: metric_name(selector, 8) for selector in names} == names
    assert metric_name("shortest", 8) == "shortest@8"


def test_groups_are_those_of_the_largest_n() -> None:
    """Subjects, then levels, in their order, each with its own resampled problems; None is no group."""
    wanted = []
    for by, labels in (("subject", ["Algebra", "Geometry"]), ("level", [1, 2, 3])):
        for label in labels:
            members = [at for at, problem in enumerate(PROBLEMS) if getattr(problem, by) == label]
            stack = np.stack([table[members, 1] for table in CURVES.values()], axis=1)
            cells = bootstrap(len(members)).intervals(stack)
            for (selector, model), cell in zip(KEYS, cells, strict=True):
                row = GroupRow(by, str(label), selector, model, 4, cell.value, cell.low, cell.high, len(members))
                wanted.append(row)
    assert made().groups() == wanted


def test_a_single_group_is_none() -> None:
    alike = [Problem(str(at), "?", "1", "Algebra", None) for at in range(30)]
    assert made(problems=alike).groups() == []


def test_differences_are_paired_and_of_the_same_kind() -> None:
    """Each curve with rewards less chance and less majority; pairs of models under one selector, the later less the
    earlier."""
    pairs = [(key, other) for key in KEYS if key[1] for other in (("first", None), ("majority", None))]
    pairs += [(("best_of_n", "B"), ("best_of_n", "A")), (("best_of_n", "C"), ("best_of_n", "A")),
              (("best_of_n", "C"), ("best_of_n", "B")), (("weighted_majority", "B"), ("weighted_majority",
              "A"))]  # fmt: skip
    found = made().differences()
    wanted = []
    for one, other in pairs:
        for k, n in enumerate(NS):
            a, b = CURVES[one][:, k], CURVES[other][:, k]
            cell = bootstrap().difference(a, b)
            wanted.append(
                Difference(
                    *one, *other, n, cell.value, cell.low, cell.high, sign_flip_p(a - b, seed=5, resamples=300), 30
                )
            )
    assert [(each.selector, each.reward_model, each.minus_selector, each.minus_reward_model, each.n, each.p, each.value)
            for each in found] == [(each.selector, each.reward_model, each.minus_selector, each.minus_reward_model,
            each.n,
                                    each.p, each.value) for each in wanted]  # fmt: skip
    for one, other in zip(found, wanted, strict=True):
        assert (one.low, one.high) == pytest.approx((other.low, other.high), abs=1e-12)


def test_without_chance_and_majority_there_is_nothing_to_subtract() -> None:
    only = {key: CURVES[key] for key in [("best_of_n", "A"), ("weighted_majority", "A"), ("oracle", None)]}
    assert made(only).differences() == []
    with_chance = {**only, ("first", None): CURVES["first", None]}
    assert {(each.minus_selector, each.minus_reward_model) for each in made(with_chance).differences()} == {
        ("first", None)
    }


def test_problems_that_differ_are_counted() -> None:
    """A p-value cannot be small where two curves differ on a few problems only: the count is beside it."""
    chance = CURVES["first", None]
    one = chance.copy()
    one[[3, 7], 1] += 0.25
    one[9, 1] += 1e-15
    found = made({("first", None): chance, ("best_of_n", "A"): one}).differences()
    assert [(each.n, each.differing) for each in found] == [(1, 0), (4, 2)]
    assert (found[0].low, found[0].high, found[0].p) == (0.0, 0.0, 1.0), "at n = 1 nothing is chosen"
    assert found[1].p > 0.45, "of two problems, half of the sign patterns are as far from 0"


def test_ranks_of_the_models_that_can_be_ranked() -> None:
    """Selector by selector, n by n, by the ranges of the statistics; one model alone has no rank."""
    wanted = []
    for selector, models in (("best_of_n", ["A", "B", "C"]), ("weighted_majority", ["A", "B"])):
        for k, n in enumerate(NS):
            values = np.stack([CURVES[selector, model][:, k] for model in models], axis=1)
            ranges = rank_ranges(values, bootstrap().means(values), bootstrap())
            wanted += [Rank(selector, model, n, *each) for model, each in zip(models, ranges, strict=True)]
    assert made().ranks() == wanted
    alone = {key: CURVES[key] for key in [("best_of_n", "A"), ("weighted_majority", "A"), ("weighted_majority", "B")]}
    assert {each.selector for each in made(alone).ranks()} == {"weighted_majority"}


def test_groups_and_flips_make_do_with_two_thousand_resamples() -> None:
    """Many resamples are for the main rows; the others are bounded, and say the same as with 2,000."""
    only = {key: CURVES[key] for key in [("majority", None), ("best_of_n", "A")]}
    found = made(only, resamples=2_500)
    a, b = CURVES["best_of_n", "A"], CURVES["majority", None]
    assert [each.p for each in found.differences()] == [
        sign_flip_p(a[:, k] - b[:, k], seed=5, resamples=2_000) for k in (0, 1)
    ]
    members = [at for at, problem in enumerate(PROBLEMS) if problem.subject == "Algebra"]
    (cell, _) = bootstrap(len(members), 2_000).intervals(np.stack([b[members, 1], a[members, 1]], axis=1))
    assert (found.groups()[0].low, found.groups()[0].high) == (cell.low, cell.high)
    assert len(found.bootstrap.means(a)) == 2_500
