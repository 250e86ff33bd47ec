"""Spot checks of a step set large enough for one: who earns the tier, and who does not, whatever the tolerance is."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from prm_eval.records import ScoringItem, StepRewards
from prm_eval.rewards.aggregate import sigmoid
from prm_eval.stepsets import StepSet
from prm_eval.submissions import find_submissions, register_step_set, registered_pools, verify_submission
from prm_eval.submissions.formats import VerificationFile
from prm_eval.submissions.leeway import MOST_LEEWAY
from prm_eval.submissions.step_gains import LEAST_SAMPLE
from prm_eval.submissions.verify import sample_for
from tests.leaderboard.board import rows_of, write_rows
from tests.leaderboard.step_boards import Noisy, make_step_set, submit

LARGE = "sums-900"


class Jitter(Noisy):
    """A model in half precision on a bad day: no two runs of it are equal, by up to 0.08 in log-odds."""

    def __init__(self) -> None:
        super().__init__()
        self._chance = np.random.default_rng(0)

    def describe(self) -> dict[str, Any]:
        return {**super().describe(), "dtype": "bfloat16"}

    def score(self, items: Sequence[ScoringItem]) -> list[StepRewards]:
        return [
            replace(each, values=tuple(value + float(self._chance.uniform(-0.08, 0.08)) for value in each.values))
            for each in super().score(items)
        ]


@pytest.fixture(scope="module")
def good(tmp_path_factory) -> Path:
    results = tmp_path_factory.mktemp("spot") / "results"
    step_set = make_step_set(results.parent / "set", n=900, groups=())
    register_step_set(step_set, results, LARGE)
    submit(results, step_set.pool, Noisy(), Noisy.entry)
    return results


@pytest.fixture
def results(good: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(good, tmp_path / "results"))


def verified(results: Path, model: Any, seed: int = 3) -> tuple[VerificationFile, str]:
    """Verify with the sample that the command draws; return what was found, and the tier."""
    (folder,) = (results / "submissions" / "lab__Noisy-PRM").glob(f"*/{LARGE}")
    pool = registered_pools(results)[LARGE]
    sample = sample_for(pool, folder)
    assert sample is not None and LEAST_SAMPLE <= sample < 900
    found = verify_submission(folder, pool, model, sample=sample, seed=seed, verified_by="us")
    (submission,) = find_submissions(results)
    return found, submission.tier


def edit(results: Path, change: Any) -> None:
    (folder,) = (results / "submissions" / "lab__Noisy-PRM").glob(f"*/{LARGE}")
    rows = rows_of(folder)
    labels = StepSet(results / "pools" / LARGE).labels
    for row, label in zip(rows, labels, strict=True):
        row["step_rewards"] = change(row["step_rewards"], label)
    write_rows(folder, rows)


def test_the_same_model_earns_the_tier(results: Path) -> None:
    """An honest submission that no sample could confirm would make the middle tier a word without a use."""
    found, tier = verified(results, Noisy())
    assert (found.verdict, found.calls_changed, tier) == ("agrees", 0, "spot-checked")
    assert found.leeway is not None and 0 < found.leeway <= MOST_LEEWAY and found.gained is None


def test_scores_moved_across_the_threshold_within_the_tolerance_earn_none(results: Path) -> None:
    """The tolerance of a noisy model is wide: whoever hides in it changes calls, and calls are what is counted."""

    def across(values: list[float], label: Any) -> list[float]:
        # without a look at the labels, so that no test of signs sees it
        return [0.1 if -0.15 < value < 0 else -0.1 if 0 <= value < 0.15 else value for value in values]

    edit(results, across)
    found, tier = verified(results, Jitter())
    assert found.tolerance > 0.05 and found.beyond == 0  # every difference is called equal
    assert found.calls_changed is not None and found.calls_changed > 0
    assert found.leeway is not None and found.leeway > MOST_LEEWAY and tier == "recomputed"


def test_scores_nudged_towards_their_labels_differ(results: Path) -> None:
    """The labels are public: a nudge of every step by its label is told by its signs, however small."""

    def nudge(values: list[float], label: Any) -> list[float]:
        return [value + 1e-4 * (rating or 0) for value, rating in zip(values, label.ratings, strict=True)]

    edit(results, nudge)
    found, tier = verified(results, Noisy())
    assert (found.verdict, tier) == ("differs", "recomputed") and (found.follows_grade or 0) > 4


def test_an_honest_noisy_model_is_told_to_take_all(results: Path) -> None:
    """Its calls change between runs of its own, so no sample bounds its figure; ``--all`` shows that of our run."""
    found, tier = verified(results, Jitter())
    assert found.verdict == "agrees" and tier == "recomputed" and (found.calls_changed or 0) > 0
    (folder,) = (results / "submissions" / "lab__Noisy-PRM").glob(f"*/{LARGE}")
    pool = registered_pools(results)[LARGE]
    whole = verify_submission(folder, pool, Jitter(), sample=None, seed=0, verified_by="us")
    (submission,) = find_submissions(results)
    assert whole.verdict == "agrees" and submission.tier == "reproduced" and whole.verified_sha256 is not None
    assert whole.gained is not None and abs(whole.gained) < 5
    assert sigmoid(0.0) == 0.5  # the threshold, in log-odds
