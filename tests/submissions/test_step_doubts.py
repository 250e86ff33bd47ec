"""Doubts about the scores of a step set: rules in disguise are flagged, honest models are not; each limit is tried.

And the whole-number check of stated accuracies.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from prm_eval.evaluation.stepwise.arrays import SetArrays, load_set
from prm_eval.evaluation.stepwise.rules import RULES, rule_rows
from prm_eval.evaluation.stepwise.scores import StepScores
from prm_eval.submissions.alike import SAME_STEPS, Ordered, copies
from prm_eval.submissions.step_suspicion import (
    FOLLOWS_LIMIT,
    LEAST_STEPS,
    STEP_NAMES,
    follows,
    odd_scores,
    order_of_steps,
)
from prm_eval.submissions.whole_numbers import attainable, nearest, unattainable
from tests.leaderboard.step_boards import make_classes, make_step_set


def simulated(seed: int, n: int = 60) -> SetArrays:
    """Return a made-up set of n solutions, half of them with a wrong step, of 3 to 12 steps."""
    chance = np.random.default_rng(seed)
    counts = chance.integers(3, 13, n)
    first = np.where(np.arange(n) % 2 == 0, chance.integers(0, 100, n) % counts, -1)
    owner = np.repeat(np.arange(n), counts)
    index = np.arange(int(counts.sum())) - np.repeat(np.cumsum(counts) - counts, counts)
    at = first[owner]
    ratings = np.where((at < 0) | (index < at), 1, np.where(index == at, -1, -2))
    lengths = np.maximum(8, np.round(np.exp(chance.normal(4.3, 0.6, len(owner))))).astype(np.int64)
    ids = tuple(f"s{k}" for k in range(n))
    none = np.full(n, -1)
    return SetArrays(
        "simulated", "first_error", ids, counts, lengths, first, ratings, np.arange(n), ("",), np.zeros(n, dtype=int),
        none, np.full(n, np.nan),
    )  # fmt: skip


def scores(values: np.ndarray, score_type: str = "probability") -> StepScores:
    return StepScores("", "prm", values, values, score_type, None, 0.5)  # type: ignore[arg-type]


def flags(values: np.ndarray, arrays: SetArrays, score_type: str = "probability") -> set[str]:
    found = {each.name for each in odd_scores(scores(values, score_type), arrays)}
    assert found <= set(STEP_NAMES)
    return found


def honest(arrays: SetArrays, chance: np.random.Generator) -> np.ndarray:
    """Return scores of a model that knows the label a little, likes short steps, and tires towards the end."""
    good = np.where(arrays.ratings == -1, -1.0, 1.0)
    z = 1.1 * good + chance.normal(0, 1.0, len(good)) - 0.06 * arrays.index - 0.4 * np.log(arrays.lengths / 70)
    return 1 / (1 + np.exp(-z))


# --- rules in disguise ------------------------------------------------------------------------------------------------

DISGUISES = {
    "as it is": lambda values, chance: values,
    "upside down": lambda values, chance: 1 - values,
    "squared": lambda values, chance: values**2,
    "as log-odds": lambda values, chance: np.log(np.clip(values, 1e-6, 1 - 1e-6) / np.clip(1 - values, 1e-6, 1)),
    "rounded to four digits": lambda values, chance: np.round(values, 4),
    "with noise in the sixth digit": lambda values, chance: values + chance.normal(0, 1e-6, len(values)),
    "with a hundredth of noise": lambda values, chance: values + chance.normal(0, 0.01, len(values)),
}


@pytest.mark.parametrize("disguise", DISGUISES)
@pytest.mark.parametrize("name", ["position", "length"])
def test_a_rule_is_flagged_in_every_disguise(name: str, disguise: str) -> None:
    """A row that needs no model would stand under a model's name, and beat some published ones."""
    chance = np.random.default_rng(1)
    for seed in range(5):
        arrays = simulated(seed)
        values = DISGUISES[disguise](RULES[name][0](arrays), chance)
        assert name in flags(values, arrays, "raw"), (name, disguise, seed)


def test_a_rule_of_two_values_is_flagged_by_its_order() -> None:
    """Within a solution "the first 70 %" has two values, whose correlation with the place is below the limit."""
    arrays = simulated(3)
    rule = next(each for each in rule_rows(arrays) if each.name == "first 70 %")
    own = follows(rule, arrays, arrays.index.astype(float))
    assert abs(own.mean()) < FOLLOWS_LIMIT
    assert "position" in flags(0.2 + 0.5 * rule.values, arrays)


@pytest.mark.parametrize("name", ["all right", "all wrong", "random"])
def test_what_has_no_order_is_not_called_a_rule_of_place(name: str) -> None:
    """A doubt that names the wrong reason is no help to a reader."""
    arrays = simulated(4)
    values = next(each for each in rule_rows(arrays) if each.name == name).values
    assert not flags(values, arrays) & {"position", "length"}


# --- honest models ----------------------------------------------------------------------------------------------------


def test_no_honest_model_is_flagged_in_two_hundred_sets() -> None:
    """The false-alarm rate that step_suspicion.py and results/README.md state; with 0 of 200 it is below 1.5 %."""
    found: Counter[str] = Counter()
    for seed in range(200):
        arrays = simulated(seed)
        found.update(flags(honest(arrays, np.random.default_rng(1_000 + seed)), arrays))
    assert not found, found


def test_scores_that_fall_all_the_way_are_not_flagged() -> None:
    """Math-Shepherd's scores do, with a mean correlation of 0.72: it is a model, and stays unflagged with room."""
    for seed in range(30):
        arrays, chance = simulated(seed), np.random.default_rng(seed)
        z = honest(arrays, chance) - 0.13 * arrays.index
        correlation = follows(scores(z), arrays, arrays.index.astype(float)).mean()
        assert -0.86 < correlation < -0.5 and not flags(z, arrays, "raw"), correlation


def test_the_real_verifiers_are_below_the_limits(data: Path) -> None:
    """The figures in the comment of the limit, from stored scores of real models."""
    path = data / "steps_outputs" / "mrgsm8k_original_prms.jsonl"
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    largest = {"place": 0.0, "length": 0.0}
    for model in rows[0]["prm_scores"]:
        kept = [row for row in rows if len(row["prm_scores"][model]) == len(row["steps"])]
        lists = [[each if isinstance(each, float) else each[1] + each[2] for each in row["prm_scores"][model]]
                 for row in kept]  # fmt: skip
        arrays = made_of([[len(step) for step in row["steps"]] for row in kept], [row["label"] for row in kept])
        own = scores(np.array([value for each in lists for value in each]))
        for what, other in (("place", arrays.index), ("length", arrays.lengths)):
            largest[what] = max(largest[what], abs(float(follows(own, arrays, other.astype(float)).mean())))
        assert not flags(own.values, arrays)
    assert round(largest["place"], 2) == 0.72 and round(largest["length"], 2) == 0.42, largest


def made_of(lengths: list[list[int]], labels: list[int]) -> SetArrays:
    """Return a set of solutions with steps of these lengths and a first wrong step each."""
    n = len(lengths)
    counts = np.array([len(each) for each in lengths])
    ratings = [
        1 if label < 0 or at < label else -1 if at == label else -2
        for each, label in zip(lengths, labels, strict=True)
        for at in range(len(each))
    ]
    return SetArrays(
        "made", "first_error", tuple(map(str, range(n))), counts, np.array([k for each in lengths for k in each]),
        np.array(labels), np.array(ratings), np.arange(n), ("",), np.zeros(n, dtype=int), np.full(n, -1),
        np.full(n, np.nan),
    )  # fmt: skip


# --- the other doubts -------------------------------------------------------------------------------------------------


def test_scores_that_are_the_labels_are_flagged_up_to_some_noise() -> None:
    """Labels are public: a table that shows copied ones without a word would be won by them."""
    seen: dict[float, int] = {}
    for noise in (0.0, 0.2, 1.0, 3.0):
        seen[noise] = 0
        for seed in range(20):
            arrays, chance = simulated(seed, 200), np.random.default_rng(seed)
            good = np.where(arrays.ratings == -1, 0.0, 1.0)
            seen[noise] += "labels" in flags(good + noise * chance.normal(0, 1, len(good)), arrays, "raw")
    assert seen[0.0] == seen[0.2] == 20 and seen[1.0] == seen[3.0] == 0, seen


def test_few_values_and_outliers_are_seen_in_steps() -> None:
    """Votes of three, or one step at a million, are told to readers as they are on boards of pools."""
    arrays, chance = simulated(7), np.random.default_rng(7)
    values = honest(arrays, chance)
    assert "few-values" in flags(np.round(3 * values) / 3, arrays)
    far = values.copy()
    far[5] = 1e9
    assert "outliers" in flags(far, arrays, "raw")


def test_refused_items_of_prmbench_are_told(tmp_path: Path) -> None:
    """PRMScore leaves out what is not scored: whoever refuses the hard items would gain, and nobody would see it."""
    arrays = load_set(make_classes(tmp_path / "classes"))
    values = np.linspace(0.1, 0.9, len(arrays.lengths))
    assert "left-out" not in flags(values, arrays)
    gone = values.copy()
    gone[np.repeat(np.arange(arrays.n) < 4, arrays.counts)] = np.nan
    assert "left-out" in flags(gone, arrays)
    sums = load_set(make_step_set(tmp_path / "sums"))
    gone = np.linspace(0.1, 0.9, len(sums.lengths))
    gone[: int(sums.counts[:9].sum())] = np.nan
    assert "left-out" not in flags(gone, sums)  # there it is never a match


def test_copies_are_found_by_the_order_of_steps() -> None:
    """Another model's scores under one's own name: re-encoded they have another file, but the same order."""
    arrays, chance = simulated(9), np.random.default_rng(9)
    one, other = honest(arrays, chance), honest(arrays, chance)
    shifted = np.log(one / (1 - one))
    prints = [Ordered(name, "recomputed", order_of_steps(scores(values, "raw"), arrays), SAME_STEPS)
              for name, values in (("a/a", one), ("b/b", shifted), ("c/c", other))]  # fmt: skip
    found = copies(prints)
    assert [len(each) for each in found] == [1, 1, 0] and "b/b" in found[0][0].text
    assert float(prints[0].order @ prints[2].order) < 0.9 < SAME_STEPS


def test_ties_share_their_ranks() -> None:
    """Two models that give equal scores to the same steps must be alike, and a constant one like nobody."""
    arrays = simulated(2)
    halves = np.where(arrays.index % 2 == 0, 0.2, 0.8)
    one, two = order_of_steps(scores(halves), arrays), order_of_steps(scores(5 * halves - 3, "raw"), arrays)
    flat = order_of_steps(scores(np.full(len(halves), 0.5)), arrays)
    assert np.allclose(one, two) and abs(float(np.linalg.norm(one)) - 1) < 1e-5 and not flat.any()


def test_short_solutions_have_no_say() -> None:
    """Of three steps one order in three is a rule's or its opposite: chance would be called a rule."""
    arrays = made_of([[10, 20, 30]] * 60, [-1, 0] * 30)
    assert not len(follows(scores(np.linspace(0, 1, 180)), arrays, arrays.index.astype(float)))
    assert LEAST_STEPS == 4


# --- whole numbers ----------------------------------------------------------------------------------------------------


def test_the_printed_figure_that_cannot_be() -> None:
    """86.1 % of 241 stands in a published table; 207 are 85.9 % and 208 are 86.3 %."""
    assert not attainable("86.1", 241)
    assert attainable("85.9", 241) and attainable("86.3", 241)
    assert nearest("86.1", 241) == "207 of 241 is 85.9 and 208 of 241 is 86.3"
    counts = {"": {"error_acc": 759, "correct_acc": 241}, "omni": {"error_acc": 759, "correct_acc": 241}}
    (found,) = unattainable({"omni:correct_acc": "86.1", "omni:error_acc": "28.7"}, counts)
    assert found[0] == "omni:correct_acc" and "207 of 241 is 85.9" in found[2]


def test_every_whole_number_is_attainable_however_it_is_rounded() -> None:
    """A check that refuses an honest figure is worse than none: 1/8 is 12.5, printed 12 or 13 without decimals."""
    from decimal import ROUND_DOWN, ROUND_HALF_DOWN, ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal

    for n in (1, 3, 7, 8, 16, 97, 241, 400):
        for k in range(n + 1):
            exact = Decimal(100 * k) / n
            for digits in (0, 1, 2):
                unit = Decimal(1).scaleb(-digits)
                for how in (ROUND_HALF_UP, ROUND_HALF_DOWN, ROUND_HALF_EVEN):
                    assert attainable(str(exact.quantize(unit, how)), n), (k, n, digits, how)
    assert not attainable(str((Decimal(20700) / 241).quantize(Decimal("0.1"), ROUND_DOWN)), 241)


def test_decimals_count() -> None:
    """66.7 of 24 is 16, 66.70 is nothing: more digits say more."""
    assert attainable("66.7", 24) and not attainable("66.70", 24) and attainable("66.67", 24)
    assert attainable("50", 2) and attainable("50.000", 2) and not attainable("50.0", 3)
    assert attainable("0.0", 5) and attainable("100.0", 5)


def test_a_class_without_solutions_has_no_accuracy() -> None:
    """MS of PRMBench has no wrong step: an error accuracy of it cannot have been measured."""
    (found,) = unattainable({"MS:error_acc": "50.0"}, {"MS": {"error_acc": 0, "correct_acc": 9}})
    assert "no such solution" in found[2]
