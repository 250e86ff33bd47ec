"""What a spot check leaves open: the bound holds for every pair of tables, and forged submissions earn no tier."""

from __future__ import annotations

import hashlib
import json
import math
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from prm_eval.grading.pool import grade_pool
from prm_eval.importers import import_pool
from prm_eval.pools.pool import Pool
from prm_eval.records import StepRewards
from prm_eval.rewards.aggregate import sigmoid
from prm_eval.selection.accuracies import best_of_n_table
from prm_eval.submissions import find_submissions, register_pool, registered_pools, verify_submission
from prm_eval.submissions.leeway import (
    MISS,
    MOST_LEEWAY,
    Problem,
    follows_grade,
    leeway,
    none_drawn,
    part,
    sample_needed,
    upper_limit,
)
from prm_eval.submissions.trust import MOST_FOLLOWED
from tests.conftest import ROOT, write_jsonl
from tests.leaderboard.board import COMMIT, add_submission, rows_of, write_rows


def points(table: np.ndarray, correct: np.ndarray, n: int) -> float:
    rewards = np.where(np.isneginf(table), np.nan, table)
    return float(best_of_n_table(rewards[None], correct[None], [n])[0, 0])


def test_the_parts_are_at_least_the_gain() -> None:
    """Ties, twins, refusals on either side, any n: no edit gains more than the parts of all candidates say."""
    chance = np.random.default_rng(3)
    gained = 0
    for _ in range(600):
        m = int(chance.integers(2, 8))
        n = int(chance.integers(1, m + 1))
        text = chance.integers(0, m, m)
        values = chance.integers(0, 4, m) + (chance.random() < 0.5) * chance.random(m)
        others = np.where(chance.random(m) < 0.5, values, chance.integers(0, 4, m) + 0.5 * (chance.random() < 0.5))
        values[chance.random(m) < 0.1], others[chance.random(m) < 0.1] = -np.inf, -np.inf
        submitted, again, correct = values[text], others[text], (chance.random(m) < 0.5)[text]
        twins = np.array([(text == each).sum() for each in text])
        problem, none = Problem(submitted, correct, twins), none_drawn(m, n)
        parts = [part(problem, slot, float(again[slot]), none) for slot in range(m)]
        gain = points(submitted, correct, n) - points(again, correct, n)
        assert min(parts) >= 0 and max(parts) <= n / m + 1e-12
        assert sum(parts) >= gain - 1e-12
        gained += gain > 0.05
    assert gained > 80


def test_the_same_rewards_have_no_part() -> None:
    rewards, correct = np.array([3.0, 2.0, 2.0, -np.inf]), np.array([True, False, True, False])
    none = none_drawn(4, 2)
    assert none.tolist() == [1.0, 0.5, pytest.approx(1 / 6), 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]
    for slot in range(4):
        assert part(Problem(rewards, correct, np.ones(4, dtype=np.int64)), slot, float(rewards[slot]), none) == 0.0


def test_parts_by_hand() -> None:
    """One right candidate over three wrong ones, two of four drawn: raised from below all, it gains all its draws."""
    rewards, correct = np.array([4.0, 3.0, 2.0, 1.0]), np.array([True, False, False, False])
    problem, none = Problem(rewards, correct, np.ones(4, dtype=np.int64)), none_drawn(4, 2)
    assert part(problem, 0, 0.0, none) == pytest.approx(0.5)
    # a raise by 0.4 is enough for none of the distances, one by 0.5 for the draw with the second
    assert part(problem, 0, 3.6, none) == 0.0 and part(problem, 0, 3.5, none) == pytest.approx(1 / 6)
    # a wrong one that was lowered has the draw that it shares with the right one
    assert part(problem, 1, 3.5, none) == pytest.approx(1 / 6) and part(problem, 1, 3.4, none) == 0.0
    assert part(problem, 1, 2.0, none) == 0.0 and part(problem, 0, 5.0, none) == 0.0  # who lost, gained nothing
    assert part(problem, 0, -np.inf, none) == pytest.approx(0.5)


def test_half_a_distance_that_is_rounded_still_counts() -> None:
    """Both moved to the midpoint, which is a bit beyond what a double holds of the distances: the gain has parts."""
    submitted, again = np.array([1 + 2**-52, -1.0]), np.array([2**-53, 2**-53])
    correct, none = np.array([True, False]), none_drawn(2, 2)
    problem = Problem(submitted, correct, np.ones(2, dtype=np.int64))
    gain = points(submitted, correct, 2) - points(again, correct, 2)
    assert gain == 0.5 and sum(part(problem, slot, float(again[slot]), none) for slot in range(2)) >= gain


@pytest.mark.unmeasured
@pytest.mark.parametrize("mean", [0.002, 0.02, 0.2])
@pytest.mark.parametrize("kind", ["whole", "small"])
def test_the_limit_is_too_low_as_seldom_as_it_says(mean: float, kind: str) -> None:
    """Drawn without replacement from a population of ones, or of small numbers, of that mean."""
    chance = np.random.default_rng(11)
    population = np.zeros(4_000)
    if kind == "whole":
        population[: int(mean * 4_000)] = 1.0
    else:
        population[:2_000] = 2 * mean
    missed = 0
    for _ in range(150):
        missed += upper_limit(chance.choice(population, 300, replace=False)) < population.mean()
    assert missed / 150 <= MISS + 3 * math.sqrt(MISS / 150)


def test_the_limit_of_a_clean_sample() -> None:
    """Three over its size, and so 150 n candidates for two points, on a pool of any size."""
    assert upper_limit(np.zeros(1_000)) == pytest.approx(3.1e-3, rel=0.02)
    assert upper_limit(np.zeros(0)) == 1.0 and upper_limit(np.ones(50)) == pytest.approx(1.0)
    for n, m, problems in ((2, 8, 35), (16, 64, 350), (64, 256, 10_000)):
        clean = leeway(np.zeros(sample_needed(n)), n, m, problems * m, problems)
        assert 1.4 < clean < 1.6 < MOST_LEEWAY
    assert leeway(np.zeros(64), 2, 8, 280, 35) == pytest.approx(9.4, abs=0.2)
    assert leeway(np.zeros(1), 16, 64, 22_400, 350) == 100.0


def test_signs_that_follow_the_grade() -> None:
    """Noise is far from the limit; wrong ones lowered are beyond it, however little; twins do not count twice."""
    chance = np.random.default_rng(2)
    problem = np.repeat(np.arange(100), 20)
    correct, rewards = chance.random(2_000) < 0.5, chance.normal(0, 1, 2_000)
    noisy = [follows_grade(rewards + 1e-7 * chance.normal(0, 1, 2_000), rewards, correct, problem) for _ in range(200)]
    assert max(noisy) < MOST_FOLLOWED and abs(float(np.mean(noisy))) < 0.3
    assert 0.8 < float(np.std(noisy)) < 1.2
    lowered = np.where(correct, rewards, rewards - 1e-12 - 1e-9)
    assert follows_grade(lowered, rewards, correct, problem) > MOST_FOLLOWED
    assert follows_grade(rewards, lowered, correct, problem) < -MOST_FOLLOWED
    assert follows_grade(rewards, rewards, correct, problem) == 0.0 == follows_grade(*(np.zeros(0),) * 2, *(
        np.zeros(0, dtype=bool), np.zeros(0, dtype=np.int64)))  # fmt: skip
    copies = np.repeat(np.arange(40), 50)  # one wrong text, lowered, in a problem: fifty times is once
    one = follows_grade(lowered[:40][copies], rewards[:40][copies], correct[:40][copies], problem[:40][copies])
    assert one == pytest.approx(follows_grade(lowered[:40], rewards[:40], correct[:40], problem[:40]))
    lost = np.where(correct, -np.inf, rewards)
    assert math.isfinite(follows_grade(lost, rewards, correct, problem))


# --- forged submissions


STORED = ROOT / "results" / "submissions" / "prm_eval__miniature-prm"


class Stored:
    """The miniature's PRM, as it was stored; in half precision its numbers depend on what is scored together."""

    name, kind, score_type, splitter = "me/prm", "prm", "logodds", None

    def __init__(self, known: dict, aggregation: str = "prod", noise: float = 0.0) -> None:
        self.known, self.aggregation, self.noise = known, aggregation, noise

    def describe(self):
        return {"id": self.name, "revision": COMMIT, "dtype": "bfloat16", "device": "cpu"}

    def score(self, items):
        return [StepRewards(tuple(self._rounded(item, len(items)))) for item in items]

    def _rounded(self, item, together: int):
        for number, value in enumerate(self.known[item.statement, item.text]):
            digest = hashlib.sha256(f"{item.text}{number}{together}".encode()).digest()
            yield value + self.noise * (1 + abs(value)) * (int.from_bytes(digest[:4], "big") / 2**31 - 1)


@pytest.fixture(scope="module")
def known(tmp_path_factory) -> tuple[Pool, dict]:
    """Every fifth problem of the miniature's pool, graded, and the rewards of its PRM by statement and text."""
    source = Pool(ROOT / "results" / "pools" / "miniature-v2-350x64")
    (stored,) = STORED.glob("*/miniature-v2-350x64/rewards.parquet")
    values = iter(pq.read_table(stored, columns=["step_rewards"]).column(0).to_pylist())
    rewards, rows = {}, []
    for number, (problem, candidates) in enumerate(source):
        found = [next(values) for _ in candidates]
        if number % 5 == 0:
            rewards |= {(problem.statement, each.text): one for each, one in zip(candidates, found, strict=True)}
            samples = [{"text": each.text} for each in candidates]
            rows.append({"id": str(number), "problem": problem.statement, "answer": problem.gold, "samples": samples})
    folder = tmp_path_factory.mktemp("leeway")
    pool = import_pool(write_jsonl(folder / "cut.jsonl", rows), folder / "pool").pool
    grade_pool(pool)
    return pool, rewards


@pytest.fixture
def results(known, tmp_path: Path) -> Path:
    register_pool(known[0], tmp_path / "results", "cut70")
    return tmp_path / "results"


def forge(folder: Path, size: float, share: float = 1.0, last: bool = True) -> None:
    """Lower wrong candidates by a difference that counts as ``size``, as appendix 2 of the findings did."""
    results, rows = folder.parents[3], rows_of(folder)
    pool = registered_pools(results)["cut70"].pool
    grades = [row for _, several in pool.grades() for row in several]
    texts = [each.text for _, candidates in pool for each in candidates]
    for row, grade, text in zip(rows, grades, texts, strict=True):
        chosen = int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") < share * 2**32
        if grade.grade != "correct" and chosen:
            steps = row["step_rewards"]
            for at in (len(steps) - 1,) if last else range(len(steps)):
                aim = max(sigmoid(steps[at]) - size, 1e-9)
                steps[at] = max(math.log(aim / (1 - aim)), steps[at] - size / 0.02)
    write_rows(folder, rows)


def figure(results: Path, n: int = 16) -> float:
    """Return best of n in per cent, as the board would show it."""
    from prm_eval.submissions.suspicion import read_rewards

    (one,) = find_submissions(results)
    pool = registered_pools(results)["cut70"].pool
    correct = np.array([[row.grade == "correct" for row in rows] for _, rows in pool.grades()])
    return 100 * float(best_of_n_table(read_rewards(one, pool), correct, [n]).mean())


@pytest.mark.unmeasured
@pytest.mark.parametrize("aggregation", ["prod", "last"])
def test_an_honest_run_earns_both_tiers(results: Path, known, aggregation: str) -> None:
    """In half precision too: what agrees is told apart from what was edited, not from what was rounded."""
    model = Stored(known[1], aggregation)
    folder = add_submission(results, known[0], model, "me/prm")
    entry = registered_pools(results)["cut70"]
    found = verify_submission(folder, entry, model, sample=3_200, seed=4, verified_by="us")
    assert (found.verdict, found.headline_n, found.beyond) == ("agrees", 16, 0)
    assert find_submissions(results)[0].tier == "spot-checked" and found.leeway == pytest.approx(1.54, abs=0.02)
    noisy = Stored(known[1], aggregation, noise=0.004)
    found = verify_submission(folder, entry, noisy, sample=None, seed=4, verified_by="us")
    assert (found.verdict, found.verified_sha256 is not None) == ("agrees", True)
    assert abs(found.follows_grade) < MOST_FOLLOWED and found.tolerance == pytest.approx(4 * found.noise)
    assert find_submissions(results)[0].tier == "reproduced"


@pytest.mark.unmeasured
@pytest.mark.parametrize(("size", "share", "last"), [(0.0965, 0.95, True), (0.0965, 0.3, True), (0.06, 1.0, False)])
@pytest.mark.parametrize("aggregation", ["last"])
def test_edits_inside_the_tolerance_of_a_dtype_are_seen(results, known, size, share, last, aggregation) -> None:
    """The finding itself: from 25 to 89.5 % with the highest tier, because the file said bfloat16."""
    model = Stored(known[1], aggregation)
    folder = add_submission(results, known[0], model, "me/prm")
    forge(folder, size, share, last)
    entry = registered_pools(results)["cut70"]
    for sample in (3_200, None):
        assert verify_submission(folder, entry, model, sample=sample, seed=4, verified_by="us").verdict == "differs"
        assert find_submissions(results)[0].tier == "recomputed"


@pytest.mark.unmeasured
@pytest.mark.parametrize(("aggregation", "share"), [("last", 0.1), ("last", 1.0), ("prod", 1.0)])
def test_edits_inside_the_measured_tolerance_gain_nothing(results, known, aggregation, share) -> None:
    """On a machine whose runs differ much, edits can hide in the noise: then a tier bounds what they are worth."""
    honest, noisy = Stored(known[1], aggregation), Stored(known[1], aggregation, noise=0.02)
    folder = add_submission(results, known[0], honest, "me/prm")
    before, entry = figure(results), registered_pools(results)["cut70"]
    measured = verify_submission(folder, entry, noisy, sample=3_200, seed=5, verified_by="us")
    (folder / "verification.json").unlink()
    forge(folder, 0.9 * measured.tolerance, share, last=False)
    gained = figure(results) - before
    verify_submission(folder, entry, noisy, sample=3_200, seed=5, verified_by="us")
    assert find_submissions(results)[0].tier == "recomputed" or gained <= MOST_LEEWAY
    (folder / "verification.json").unlink()
    verify_submission(folder, entry, noisy, sample=None, seed=5, verified_by="us")
    if find_submissions(results)[0].tier == "reproduced":
        # the figure is that of the verifier's run, which no edit reaches
        (folder / "verification.json").unlink()
        shutil.move(folder / "verified.parquet", folder / "rewards.parquet")
        own = figure(results)
        assert abs(own - before) < 5.0 and own != before + gained


def test_a_few_texts_to_the_top_earn_no_tier(results, known) -> None:
    """One right text in each of eight problems, far beyond any tolerance: the sample need not meet many of them."""
    folder = add_submission(results, known[0], Stored(known[1], "last"), "me/prm")
    entry, before, rows = registered_pools(results)["cut70"], figure(results), rows_of(folder)
    grades = [row for _, several in known[0].grades() for row in several]
    for first in range(0, 8 * 64, 64):
        right = [at for at in range(first, first + 64) if grades[at].grade == "correct"]
        text = rows[right[0]]["candidate_id"].split("-")[1] if right else ""
        for at in right:
            if rows[at]["candidate_id"].endswith(text):
                rows[at]["step_rewards"] = [30.0] * rows[at]["n_steps"]
    write_rows(folder, rows)
    assert figure(results) - before > MOST_LEEWAY
    for seed in range(2):
        (folder / "verification.json").unlink(missing_ok=True)  # drawing again is refused
        found = verify_submission(folder, entry, Stored(known[1], "last"), sample=3_200, seed=seed, verified_by="us")
        assert (found.verdict, find_submissions(results)[0].tier) == ("differs", "recomputed")
        assert found.leeway > MOST_LEEWAY


def test_a_precision_of_its_own_measures_the_noise(results, known) -> None:
    """Rounding on another machine is as large as the distance to float32, where other batches give the same bits."""
    model = Stored(known[1])
    folder = add_submission(results, known[0], model, "me/prm")
    entry = registered_pools(results)["cut70"]
    shifted = Stored({key: [value + 0.01 for value in values] for key, values in known[1].items()})
    found = verify_submission(folder, entry, model, sample=64, seed=1, verified_by="us", otherwise=shifted)
    assert found.noise == pytest.approx(0.0025, abs=0.0006) and found.tolerance == pytest.approx(4 * found.noise)
    about = json.loads((folder / "verification.json").read_text())
    assert about["noise"] == found.noise and replace(found, noise=0.0) != found
