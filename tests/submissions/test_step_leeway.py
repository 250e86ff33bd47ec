"""What a sample of a step set leaves open: the bound holds for every pair of runs, and so does its confidence."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from prm_eval.evaluation.stepwise.arrays import SetArrays, load_set
from prm_eval.evaluation.stepwise.measuring import Bench, Settings
from prm_eval.evaluation.stepwise.scores import StepScores
from prm_eval.evaluation.stepwise.submitted import headline_of
from prm_eval.submissions.leeway import MOST_LEEWAY, upper_limit
from prm_eval.submissions.step_gains import SubmittedScores, _leeway, _of_solutions, _of_steps, _shared
from tests.leaderboard.step_boards import make_classes, make_step_set

THRESHOLD = 0.5


@pytest.fixture(scope="module")
def sums(tmp_path_factory) -> SetArrays:
    """48 solutions in two groups, ranked by mean F1."""
    return load_set(make_step_set(tmp_path_factory.mktemp("leeway") / "sums"))


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> SetArrays:
    """The same without groups, ranked by F1."""
    return load_set(make_step_set(tmp_path_factory.mktemp("leeway") / "whole", groups=()))


@pytest.fixture(scope="module")
def classes(tmp_path_factory) -> SetArrays:
    """80 solutions of PRMBench's classes, ranked by PRMScore."""
    return load_set(make_classes(tmp_path_factory.mktemp("leeway") / "classes"))


def submitted(arrays: SetArrays, values: np.ndarray) -> SubmittedScores:
    """Return scores as a verification sees them, without files."""
    made = object.__new__(SubmittedScores)
    made.arrays, made.bench = arrays, Bench(arrays, Settings(resamples=2))
    made.threshold, made.score_type = THRESHOLD, "probability"
    made.scores = StepScores("", "prm", values, values, "probability", None, THRESHOLD)
    return made


def bound(own: SubmittedScores, changed: int) -> float:
    """Return the most that so many changed solutions may be worth."""
    if own.measure == "prm_score":
        return _of_steps(own, changed)
    parts = [(own.bench.of(own.scores, name), part.arrays) for name, part in own.bench.groups.items()]
    parts = [(own.scores, own.arrays)] if own.measure == "f1" else parts
    return _shared([_of_solutions(*each, own, changed) for each in parts], changed) / len(parts)


def skilled(arrays: SetArrays, chance: np.random.Generator, skill: float = 0.7) -> np.ndarray:
    """Return scores that mostly know the label."""
    good = np.nan_to_num(arrays.good(), nan=0.5)
    return np.clip(0.5 + skill * (good - 0.5) + chance.normal(0, 0.25, len(good)), 0, 1)


@pytest.mark.parametrize("name", ["sums", "whole", "classes"])
def test_no_change_of_so_many_solutions_is_worth_more(name: str, request) -> None:
    """Were the bound too low for one pair of runs, a forgery of that kind would have a tier that it has not earned."""
    arrays: SetArrays = request.getfixturevalue(name)
    chance = np.random.default_rng(5)
    tight = 0.0
    for trial in range(150):
        values = skilled(arrays, chance)
        values[np.repeat(chance.random(arrays.n) < 0.05, arrays.counts)] = np.nan  # refused
        own = submitted(arrays, values)
        k = int(chance.integers(1, 7))
        # what the model itself says: the k solutions that are worth most, judged as wrongly as can be, or at random
        order = chance.permutation(arrays.n)
        if trial % 2:
            order = np.argsort(-worth(own), kind="stable")
        again = values.copy()
        for at in order[:k]:
            rows = slice(int(arrays.starts[at]), int(arrays.starts[at] + arrays.counts[at]))
            good = np.nan_to_num(arrays.good()[rows], nan=1.0)
            again[rows] = 1 - good if trial % 2 else chance.random(int(arrays.counts[at]))
        theirs = headline_of(replace(own.scores, values=again, native=again), THRESHOLD, arrays)
        mine = headline_of(own.scores, THRESHOLD, arrays)
        assert theirs is not None and mine is not None
        gain, most = mine - theirs, bound(own, k)
        assert gain <= most + 1e-9, (trial, k, gain, most)
        tight = max(tight, gain / most)
    assert tight > 0.6  # a bound that nothing comes near would refuse every sample


def worth(own: SubmittedScores) -> np.ndarray:
    """Return what each solution is worth alone: those of the smaller class, and with more right calls, first."""
    arrays = own.arrays
    right = (own.scores.values >= THRESHOLD) == (np.nan_to_num(arrays.good(), nan=1.0) > 0.5)
    per = np.bincount(arrays.owner, right, arrays.n)
    return np.where(np.bincount(arrays.owner, ~right, arrays.n) == 0, 100, 0) + per


def test_a_sample_is_wrong_one_time_in_twenty_at_most(whole: SetArrays) -> None:
    """95 % confidence is what the tier's words say: so many draws must hold whoever edited which solutions."""
    chance = np.random.default_rng(11)
    values = np.where(np.nan_to_num(whole.good(), nan=1.0) > 0.5, 0.9, 0.1)  # a forger's: every label, exactly
    own = submitted(whole, values)
    edited = np.zeros(whole.n)
    edited[chance.permutation(whole.n)[:6]] = 1.0
    again = values.copy()
    flip = np.repeat(edited > 0, whole.counts)
    again[flip] = 1 - again[flip]
    gain = 1.0 - float(headline_of(replace(own.scores, values=again, native=again), THRESHOLD, whole) or 0.0)
    missed = 0
    for _ in range(400):
        drawn = chance.permutation(whole.n)[:30]
        missed += 100 * gain > _leeway(own, edited[drawn]) + 1e-9
    assert gain > 0.1 and missed <= 0.05 * 400


def test_the_leeway_falls_with_the_sample_and_rises_with_what_was_seen(whole: SetArrays) -> None:
    """A larger sample that is as clean must never leave more open, nor a dirtier one less."""
    own = submitted(whole, skilled(whole, np.random.default_rng(1)))
    falling = [_leeway(own, np.zeros(n)) for n in (10, 20, 30, 40, 47)]
    assert falling == sorted(falling, reverse=True) and falling[-1] > MOST_LEEWAY
    dirty = [_leeway(own, np.array([1.0] * k + [0.0] * (40 - k))) for k in (0, 1, 3, 6)]
    assert dirty == sorted(dirty) and dirty[0] < dirty[-1]


def test_no_sample_bounds_an_area(tmp_path: Path) -> None:
    """Every score moves an area under a curve a little, so a set that is ranked by one is reproduced whole or not."""
    arrays = load_set(make_step_set(tmp_path / "set", groups=()))
    only = arrays.take(arrays.wrong, "wrong alone")
    own = submitted(only, skilled(only, np.random.default_rng(2)))
    assert own.measure == "step_auc" and _leeway(own, np.zeros(only.n - 1)) == 100.0


def test_processbench_needs_a_fifth_to_a_third_of_its_solutions() -> None:
    """results/README.md says about how many: with four groups of ProcessBench's sizes and figures of published
    models."""
    sizes = {"gsm8k": (207, 193), "math": (594, 406), "olympiad": (661, 339), "omni": (759, 241)}
    total = sum(sum(each) for each in sizes.values())

    def left(n: int, error_acc: float, correct_acc: float) -> float:
        most = int(np.floor(total * upper_limit(np.zeros(n)) + 1e-9))
        losses = [losses_of(error, clean, error_acc, correct_acc, most) for error, clean in sizes.values()]
        return 100 * _shared(losses, most) / 4

    assert left(500, 0.85, 0.95) <= MOST_LEEWAY and left(600, 0.45, 0.9) <= MOST_LEEWAY < left(400, 0.45, 0.9)
    assert left(1_200, 0.05, 0.98) <= MOST_LEEWAY < left(1_000, 0.05, 0.98)


def losses_of(error: int, clean: int, error_acc: float, correct_acc: float, most: int) -> np.ndarray:
    """Return the most that F1 may lose by 0, 1, ... solutions, from two accuracies; the formula written out again."""

    def f1(a: float, b: float) -> float:
        return 0.0 if a + b <= 0 else 2 * a * b / (a + b)

    hit, right = round(error_acc * error), round(correct_acc * clean)
    return np.array(
        [
            f1(hit / error, right / clean)
            - min(f1(max(0, hit - k) / error, max(0, right - (n - k)) / clean) for k in range(n + 1))
            for n in range(most + 1)
        ]
    )
