"""The table of step aggregations against definitions written out: a wrong formula is a wrong board, without a word.

The definitions here are slow, scalar and independent of the arrays that compute; an aggregation without one fails.
"""

from __future__ import annotations

import gzip
import json
import math
import re
from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prm_eval.errors import PrmEvalError
from prm_eval.records import LOG_ODDS, SCORE_TYPES
from prm_eval.rewards.aggregate import LEAST_WEIGHT, aggregate, aggregate_all, aggregate_lists, as_probability, sigmoid
from prm_eval.rewards.aggregate import logit as one_logit
from prm_eval.rewards.aggregations import AGGREGATIONS, Aggregation

NAMES = tuple(AGGREGATIONS)
VALUES = {
    "logodds": st.floats(-40, 40, width=32),
    "value": st.floats(-0.5, 1.5, width=32),
    "raw": st.floats(-8, 8, width=32),
    "probability": st.floats(-0.5, 1.5, width=32),
    "log_odds": st.floats(-40, 40, width=32),
    "logit": st.floats(-40, 40, width=32),
    "percent": st.floats(-20, 150, width=32),
}
MULTIPLIES = {"prod", "geometric_mean", "mean_logodds"}


def soft_minimum(p: list[float]) -> float:
    signed = [2 * each - 1 for each in p]
    weights = [math.exp((min(signed) - each) / 0.1) for each in signed]
    return (math.fsum(w * s for w, s in zip(weights, signed, strict=True)) / math.fsum(weights) + 1) / 2


def mean(numbers: list[float]) -> float:
    return math.fsum(numbers) / len(numbers)


def logit(p: float) -> float:
    p = min(max(p, 1e-12), 1 - 1e-12)
    return math.log(p) - math.log1p(-p)


# of probabilities p, or of raw numbers
DEFINITIONS = {
    "prod": math.prod,
    "min": min,
    "max": max,
    "mean": mean,
    "last": lambda p: p[-1],
    "soft_min": soft_minimum,
    "geometric_mean": lambda p: math.exp(mean([math.log(each) for each in p])) if all(p) else 0.0,
    "mean_logodds": lambda p: sigmoid(mean([logit(each) for each in p])),
}


def test_the_type_is_the_table() -> None:
    """A name that type checkers know and the table does not (or the other way round) would be found only when used."""
    assert get_args(Aggregation) == NAMES
    assert set(DEFINITIONS) >= set(NAMES), "an aggregation without a definition in this file"
    for rule in AGGREGATIONS.values():
        assert re.match(r"the [a-z].*[a-z)]$", rule.meaning), "tables show it behind the name"
        assert re.match(r"[A-Z][a-z]+ (et al\. )?20\d\d", rule.source), "who, and when"
    assert {name: rule.elsewhere for name, rule in AGGREGATIONS.items() if rule.elsewhere != ""} == {
        "geometric_mean": "geo_mean",
        "mean_logodds": "mean_logit",
    }
    probabilities = {name for name, rule in AGGREGATIONS.items() if "raw" not in rule.takes}
    assert probabilities == {"geometric_mean", "mean_logodds"}
    assert {name for name, rule in AGGREGATIONS.items() if rule.within} == MULTIPLIES
    assert set(VALUES) == set(SCORE_TYPES)
    assert all(rule.takes == SCORE_TYPES for name, rule in AGGREGATIONS.items() if name not in probabilities)


@settings(max_examples=300, deadline=None)
@given(st.data(), st.sampled_from(SCORE_TYPES), st.sampled_from(NAMES))
def test_every_aggregation_is_its_definition(data, score_type, name) -> None:
    """Rewards and weights of many candidates at once, refused ones among them; NaN where the model refused."""
    lists = data.draw(st.lists(st.lists(VALUES[score_type], max_size=9), min_size=1, max_size=12))
    flat = [value for each in lists for value in each]
    if flat and score_type not in AGGREGATIONS[name].takes:
        with pytest.raises(PrmEvalError, match=f"{name} is of probabilities; these rewards are raw numbers"):
            aggregate_lists(lists, name, score_type)
        return
    scale = 100 if score_type == "percent" else 1
    said = score_type in ("probability", "percent")
    if score_type not in LOG_ODDS and (said or name in MULTIPLIES):
        if any(not -2e-6 < v / scale < 1 + 2e-6 for v in flat):
            with pytest.raises(PrmEvalError, match="declared as" if said else f"{name} is of probabilities; found"):
                aggregate_lists(lists, name, score_type)
            return
        lists = [[min(max(v, 0.0), float(scale)) for v in each] for each in lists]
    rewards, weights = aggregate_lists(lists, name, score_type)
    for each, reward, weight in zip(lists, rewards, weights, strict=True):
        if not each:
            assert math.isnan(reward) and math.isnan(weight)
            continue
        p = [sigmoid(value) if score_type in LOG_ODDS else value / scale for value in each]
        exactly = name == "mean_logodds" and score_type in LOG_ODDS  # not through probabilities that round to 1
        expected = sigmoid(mean(each)) if exactly else DEFINITIONS[name](p)
        probability = sigmoid(expected) if score_type == "raw" else min(1.0, max(LEAST_WEIGHT, expected))
        assert weight == pytest.approx(probability, rel=1e-6, abs=1e-12)
        assert 0 < weight <= 1
        if score_type not in LOG_ODDS:
            assert reward == pytest.approx(expected, rel=1e-9, abs=1e-300)
        assert (reward, weight) == aggregate(each, name, score_type)


@settings(max_examples=150, deadline=None)
@given(st.data(), st.sampled_from(("logodds", "value")), st.sampled_from(NAMES))
def test_the_order_of_steps_does_not_matter(data, score_type, name) -> None:
    """Candidates whose steps got the same values in another order tie, but by the last step and a product of values."""
    numbers = st.floats(0, 1, width=32) if score_type == "value" else VALUES[score_type]
    one = data.draw(st.lists(numbers, min_size=1, max_size=9))
    other = data.draw(st.permutations(one))
    if name == "last" or (name, score_type) == ("prod", "value"):
        return
    assert aggregate(one, name, score_type)[0] == aggregate(other, name, score_type)[0]


@settings(max_examples=200, deadline=None)
@given(st.lists(VALUES["logodds"], min_size=1, max_size=9), st.sampled_from(NAMES), st.floats(0, 5))
def test_a_better_step_never_makes_a_candidate_worse(values, name, more) -> None:
    """Monotone in every step; the soft minimum is not (its weights move), which is what its authors wrote."""
    if name == "soft_min":
        return
    for step in range(len(values)):
        better = [*values[:step], values[step] + more, *values[step + 1 :]]
        assert aggregate(better, name, "logodds")[0] >= aggregate(values, name, "logodds")[0] - 1e-9


def test_no_name_falls_through() -> None:
    """With a name that is in no table, an unnamed else would return some other aggregation under it."""
    with pytest.raises(PrmEvalError, match="unknown aggregation 'median'; expected one of prod, min"):
        aggregate([0.9, 0.5], "median", "value")
    assert aggregate([0.9, 0.5, 0.99], "geometric_mean", "value")[0] == pytest.approx(0.7638, abs=5e-4)
    assert aggregate([0.9, 0.5, 0.99], "soft_min", "value")[0] == pytest.approx(0.50016, abs=5e-4)


@pytest.mark.parametrize("name", ["prod", "geometric_mean"])
def test_long_solutions_do_not_underflow_into_ties(name) -> None:
    """2,000 doubtful steps have a product below the smallest float; by its logarithm they still differ."""
    poor, poorer = aggregate([-3.0] * 2_000, name, "logodds"), aggregate([-3.0] * 1_999 + [-4.0], name, "logodds")
    assert poor[0] > poorer[0]
    assert poor[1] > 0 and poorer[1] > 0


@pytest.mark.parametrize(
    ("values", "name", "score_type", "words"),
    [
        ([], "prod", "logodds", "no step rewards"),
        ([math.nan], "min", "raw", "not finite"),
        ([math.inf, 1.0], "last", "value", "not finite"),
        ([1e200, 1e200], "prod", "raw", "prod is of probabilities; found the step reward 1e\\+200"),
        ([1e308, 1e308], "mean", "raw", "mean of step rewards as large as 1e\\+308 is not finite"),
        ([0.5, 2.0], "geometric_mean", "raw", "these rewards are raw numbers"),
        ([0.5, 1.5], "mean_logodds", "value", "found the step reward 1.5"),
    ],
)
def test_what_has_no_meaning_is_refused(values, name, score_type, words) -> None:
    with pytest.raises(PrmEvalError, match=words):
        aggregate(values, name, score_type)


@pytest.mark.parametrize(
    ("good", "bad", "words"),
    [
        # a product of two bad log-odds is large and positive
        ([3.0, 2.0], [-4.0, -5.0], "--score-type logit"),
        # five poor percentages multiply to more than two good ones
        ([99.0, 98.0], [60.0] * 5, "--score-type percent, or logit"),
        # values of a head that leaves [0, 1]
        ([1.2, 0.9], [1.2, 0.1], "--score-type percent, or logit"),
    ],
)
@pytest.mark.parametrize("name", sorted(MULTIPLIES))
def test_numbers_that_are_no_probabilities_are_not_multiplied(good, bad, words, name) -> None:
    """Under a product the worse of two candidates would win; the message says what to declare, and then it loses."""
    with pytest.raises(PrmEvalError, match=re.escape(words)):
        aggregate_lists([good, bad], name, "value")
    if "percent" in words:
        good, bad = [min(v, 100.0) for v in good], [min(v, 100.0) for v in bad]
    rewards, weights = aggregate_lists([good, bad], name, "percent" if "percent" in words else "log_odds")
    assert rewards[0] > rewards[1] and 1 >= weights[0] > weights[1] > 0


@pytest.mark.parametrize(
    ("score_type", "number", "weight"),
    [
        ("probability", 0.75, 0.75),
        ("percent", 75.0, 0.75),
        ("value", 0.75, 0.75),
        ("logodds", math.log(3), 0.75),
        ("log_odds", math.log(3), 0.75),
        ("logit", math.log(3), 0.75),
        ("raw", math.log(3), 0.75),
        ("probability", 1 + 1e-7, 1.0),
    ],
)
def test_the_vote_of_each_score_type(score_type, number, weight) -> None:
    """A probability votes as it is, log-odds and raw numbers through the sigmoid: 0.99 must not vote as 0.73."""
    assert aggregate([number], "last", score_type)[1] == pytest.approx(weight)
    assert as_probability(number, score_type) == pytest.approx(number if score_type == "raw" else weight)


def test_an_aggregate_that_is_not_finite_is_refused_among_many() -> None:
    with pytest.raises(PrmEvalError, match="not finite"):
        aggregate_all(np.full(201, 1e308), np.array([1, 0, 200]), "mean", "raw")


def test_the_figures_of_rewardmath(data) -> None:
    """Accuracy (the right candidate strictly above all nine wrong ones) of published step rewards, by aggregation."""
    with gzip.open(data / "rewards_only" / "rewardmath_483x10.jsonl.gz", "rt", encoding="utf-8") as file:
        problems = [json.loads(line)["rewards"] for line in file]
    published = {
        ("Math_Shepherd", "min"): 15.32,
        ("Math_Shepherd", "prod"): 17.18,
        ("Math_Shepherd", "last"): 18.22,
        ("ReasonEval_7B", "min"): 19.46,
        ("ReasonEval_7B", "mean"): 20.08,
        ("ReasonEval_7B", "geometric_mean"): 20.29,
        ("Easy_to_hard", "prod"): 14.08,
    }
    for (model, name), accuracy in published.items():
        rewards = np.array([aggregate_lists(each[model], name, "value")[0] for each in problems])
        right = (rewards[:, :1] > rewards[:, 1:]).all(axis=1)
        assert 100 * right.mean() == pytest.approx(accuracy, abs=0.005), (model, name)


LISTS = [[0.5], [0.9, 0.2], [0.25, 0.75, 0.5, 0.125], [], [1.0, 0.5], [0.0, 0.5], [0.3, 0.3]]
EDGE = 1e-12  # where log-odds are taken of a printed 0 or 1


@pytest.mark.parametrize("name", NAMES)
def test_seven_candidates_written_out(name) -> None:
    """Values among them 0 and 1, one step, ties, a refusal; as values, and as the log-odds of them."""
    rewards, weights = aggregate_lists(LISTS, name, "value")
    for each, reward, weight in zip(LISTS, rewards, weights, strict=True):
        expected = DEFINITIONS[name](each) if each else math.nan
        assert reward == pytest.approx(expected, rel=1e-9, abs=1e-300, nan_ok=True)
        assert weight == pytest.approx(max(LEAST_WEIGHT, expected) if each else math.nan, rel=1e-9, abs=0, nan_ok=True)
    inside = [each for each in LISTS if each and all(0 < p < 1 for p in each)]
    rewards, weights = aggregate_lists([[logit(p) for p in each] for each in inside], name, "logodds")
    for each, reward, weight in zip(inside, rewards, weights, strict=True):
        assert weight == pytest.approx(DEFINITIONS[name](each), rel=1e-9)
        ranked = {"prod": math.log(weight), "geometric_mean": math.log(weight), "mean": weight, "soft_min": weight}
        assert reward == pytest.approx(ranked.get(name, logit(weight)), rel=1e-6, abs=1e-12)


def test_a_printed_0_or_1_is_nearly_one() -> None:
    """The mean of log-odds of 1, 0 and 0.5: those of 1 - 1e-12 and 1e-12 cancel; two of a kind do not."""
    assert aggregate([1.0, 0.0, 0.5], "mean_logodds", "value")[0] == pytest.approx(0.5, abs=1e-5)
    assert aggregate([1.0], "mean_logodds", "value")[0] == pytest.approx(1 - EDGE, abs=1e-15)
    assert aggregate([0.0], "mean_logodds", "value")[0] == pytest.approx(EDGE, rel=1e-6)
    assert aggregate([1.0, 1.0, 0.0], "mean_logodds", "value")[0] == pytest.approx(
        EDGE ** (-1 / 3) / (1 + EDGE ** (-1 / 3))
    )


@pytest.mark.parametrize(
    ("values", "name", "score_type"),
    [
        ([1e200, 1e200], "mean", "raw"),
        ([1e308, 1e308, -1e308], "mean", "raw"),
        ([1e-200, 1e-200], "prod", "value"),
        ([0.0, 0.5], "geometric_mean", "value"),
        ([-800.0, 3.0], "prod", "logodds"),
        ([-800.0, 900.0], "min", "raw"),
        ([1e300, -1e300], "soft_min", "raw"),
    ],
)
def test_floats_at_their_ends_make_no_noise(values, name, score_type) -> None:
    """What under- or overflows is refused or rounded in silence: a warning in a log would be taken for a fault."""
    with np.errstate(all="raise"):
        try:
            reward, weight = aggregate(values, name, score_type)
        except PrmEvalError as error:
            assert "not finite" in str(error)
        else:
            assert math.isfinite(reward) and LEAST_WEIGHT <= weight <= 1


def test_log_odds_and_probabilities_of_one_number() -> None:
    for x in (-700.0, -3.0, 0.0, 2.5, 30.0):
        assert sigmoid(x) == pytest.approx(math.exp(min(x, 0)) / (1 + math.exp(-abs(x))), rel=1e-12)
    assert sigmoid(-800.0) == 0.0 and sigmoid(800.0) == 1.0
    for p in (1e-12, 0.25, 0.5, 0.9):
        assert one_logit(p) == pytest.approx(math.log(p / (1 - p)), rel=1e-9)


def test_refusals_and_messages_of_one_and_of_many() -> None:
    """None and an empty list are refusals; with nothing scored nothing is asked of the numbers."""
    rewards, weights = aggregate_lists([None, [], [0.5]], "min", "value")
    assert (
        rewards.tolist()[2] == weights.tolist()[2] == 0.5
        and np.isnan(rewards[:2]).all()
        and np.isnan(weights[:2]).all()
    )
    nothing = aggregate_all(np.array([math.nan]), np.array([0, 0]), "geometric_mean", "raw")
    assert np.isnan(nothing[0]).all() and np.isnan(nothing[1]).all() and nothing[0].shape == (2,)
    for values, name, score_type, words in (
        ([], "prod", "value", "no step rewards to aggregate"),
        ([math.nan], "min", "raw", "a step reward that is not finite"),
        (
            [0.5, -0.25],
            "mean_logodds",
            "value",
            "mean_logodds is of probabilities; found the step reward -0.25, outside [0, 1]; take an aggregation that "
            "does not multiply, such as min or last, or say what these numbers are: --score-type logit (log-odds)",
        ),
        (
            [0.5, 1.25],
            "last",
            "probability",
            "found the step reward 1.25, declared as a probability; say what these numbers are: --score-type percent, "
            "or logit (log-odds), or raw",
        ),
        ([0.5], "geometric_mean", "raw", "geometric_mean is of probabilities; these rewards are raw numbers"),
        ([1e308, 1e308], "mean", "raw", "the mean of step rewards as large as 1e+308 is not finite"),
    ):
        with pytest.raises(PrmEvalError) as raised:
            aggregate(values, name, score_type)
        assert str(raised.value) == words
    with pytest.raises(PrmEvalError) as raised:
        aggregate([0.5], "median", "value")
    assert str(raised.value) == f"unknown aggregation 'median'; expected one of {', '.join(NAMES)}"
    assert aggregate([0.0, 1.0], "geometric_mean", "value") == (0.0, LEAST_WEIGHT)  # both ends are probabilities


def test_weights_of_raw_numbers_and_of_values_outside() -> None:
    assert aggregate([3.0, -2.0], "min", "raw") == (-2.0, pytest.approx(sigmoid(-2.0)))
    assert aggregate([1.5], "last", "value") == (1.5, 1.0) and aggregate([-0.5], "last", "value") == (
        -0.5,
        LEAST_WEIGHT,
    )


def test_sums_do_not_depend_on_their_order() -> None:
    """Large and small in turn: the compensated sum is the exact one, whatever the order; naive sums differ."""
    steps = [1e16, 1.0, -1e16, 1.0, 3.0]
    for order in (steps, steps[::-1], sorted(steps)):
        assert aggregate(order, "mean", "raw")[0] == 1.0
