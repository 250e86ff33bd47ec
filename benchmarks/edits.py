"""What edits of a real model's rewards gain before `prm-eval verify` says so: the curve of docs/trust.md.

The miniature's PRM is run on a pool, and its rewards are edited by someone who knows the grades: within the tolerance
that verify measures, and beyond it in a few candidates. Each edit is spot-checked with many seeds::

    python benchmarks/edits.py [POOL] [--keep FOLDER]      about ten minutes of one core; the runs are kept in FOLDER
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from prm_eval.evaluation.curves import graded_slots
from prm_eval.evaluation.measured import board_settings
from prm_eval.pools.pool import Pool
from prm_eval.rewards import load_reward_model
from prm_eval.rewards.aggregate import aggregate_all
from prm_eval.rewards.aggregations import AGGREGATIONS
from prm_eval.rewards.scoring import score_distinct, scoring_item
from prm_eval.selection.accuracies import best_of_n_table
from prm_eval.submissions.compare import LOGODDS_SHARE
from prm_eval.submissions.leeway import (
    MOST_LEEWAY,
    Problem,
    follows_grade,
    leeway,
    none_drawn,
    part,
    sample_needed,
)
from prm_eval.submissions.trust import MEAN_SHARE, MOST_FOLLOWED, measured_tolerance

WEIGHTS = Path("prm_eval/miniature/weights/miniature-prm")
SEEDS = 60
NOISE_SAMPLE = 256


@dataclass(frozen=True)
class Setting:
    """A pool as the edits see it; arrays over candidates, in the pool's order."""

    pool: Pool
    n: int
    correct: np.ndarray  # (P, M)
    answered: np.ndarray  # (P, M)
    problem: np.ndarray
    slot: np.ndarray
    text: np.ndarray  # a number for each distinct text of a problem
    counts: np.ndarray

    def right(self) -> np.ndarray:
        return self.correct[self.problem, self.slot]

    def table(self, values: np.ndarray, aggregation: str) -> np.ndarray:
        found, _ = aggregate_all(values, self.counts, aggregation, "logodds")
        table = np.full(self.correct.shape, -np.inf)
        table[self.problem, self.slot] = found
        return np.where(self.answered, table, -np.inf)

    def twins(self) -> np.ndarray:
        found = np.ones(self.correct.shape, dtype=np.int64)
        for row in range(len(found)):
            own = np.flatnonzero(self.problem == row)
            found[row, self.slot[own]] = np.bincount(self.text[own])[self.text[own]]
        return found

    def points(self, table: np.ndarray) -> np.ndarray:
        rewards = np.where(np.isneginf(table), np.nan, table)
        return 100 * best_of_n_table(rewards, self.correct, [self.n])[:, 0]


def setting_of(pool: Pool, steps: list[tuple[float, ...]]) -> Setting:
    graded = list(graded_slots(pool, "own", []))
    problem, slot, text = [], [], []
    for row, (_, candidates) in enumerate(pool):
        known: dict[str, int] = {}
        for each in candidates:
            problem.append(row)
            slot.append(each.slot)
            text.append(known.setdefault(each.text, len(known)))
    return Setting(
        pool,
        board_settings(pool.info.m).headline_n,
        np.stack([each.correct for each in graded]),
        np.stack([each.classes >= 0 for each in graded]),
        np.array(problem),
        np.array(slot),
        np.array(text),
        np.array([len(each) for each in steps]),
    )


def run(pool: Pool, dtype: str, tokens: int, threads: int, chunk: int, keep: Path | None) -> list[tuple[float, ...]]:
    """Return the step rewards of all candidates."""
    kept = None if keep is None else keep / f"{pool.path.name}-{dtype}-{tokens}-{threads}-{chunk}.npz"
    if kept is not None and kept.is_file():
        there = np.load(kept)
        return [tuple(each) for each in np.split(there["values"], np.cumsum(there["counts"])[:-1])]
    import torch

    torch.set_num_threads(threads)
    model = load_reward_model(str(WEIGHTS), dtype=dtype, device="cpu", batch_tokens=tokens)
    items = [scoring_item(problem, each, pool.info.splitter) for problem, several in pool for each in several]
    found: list[tuple[float, ...]] = []
    for first in range(0, len(items), chunk):
        found += [each.values for each in score_distinct(model, items[first : first + chunk])]
    if kept is not None:
        kept.parent.mkdir(parents=True, exist_ok=True)
        np.savez(kept, values=np.concatenate(found), counts=np.array([len(each) for each in found]))
    return found


def moved(values: np.ndarray, by: float) -> np.ndarray:
    """Return log-odds moved by a share of a difference that counts as ``by``, up where it is positive."""
    p = 1 / (1 + np.exp(-values))
    aim = np.clip(p + by, 1e-9, 1 - 1e-9)
    room = abs(by) / LOGODDS_SHARE
    return np.clip(np.log(aim) - np.log1p(-aim), values - room, values + room)


def counted(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    p, q = (1 / (1 + np.exp(-each)) for each in (one, other))
    return np.maximum(np.abs(p - q), LOGODDS_SHARE * np.abs(one - other))


def edits(about: Setting, values: np.ndarray, tolerance: float, aggregation: str) -> Iterator[tuple[str, np.ndarray]]:
    """Yield (name, edited step rewards); candidates of one text are edited alike."""
    chance = np.random.default_rng(5)
    right = about.right()
    lot = chance.random((len(about.correct), about.text.max() + 1))[about.problem, about.text]
    ends = np.cumsum(about.counts) - 1
    last = np.zeros(len(values), dtype=bool)
    last[ends] = True
    for size in (0.1, 0.3, 1.0):
        for share in (0.1, 0.3, 1.0):
            for name, chosen, sign in (
                ("wrong down", ~right & (lot < share), -1),
                ("right up", right & (lot < share), 1),
            ):
                where = np.repeat(chosen, about.counts)
                # just inside the limit, so that rounding does not carry it over
                yield (
                    f"{name}, {share:.0%}, {size:g} of the tolerance",
                    np.where(where, moved(values, sign * 0.97 * size * tolerance), values),
                )
        where = np.repeat(~right, about.counts) & last
        yield (
            f"wrong down, last step, {size:g} of the tolerance",
            np.where(where, moved(values, -0.97 * size * tolerance), values),
        )
    honest = about.points(about.table(values, aggregation))
    hardest = [row for row in np.argsort(honest, kind="stable") if honest[row] < 99 and about.correct[row].any()]
    for many in (2, 5, 10, 20, 40, 80):
        edited = values.copy()
        for row in hardest[:many]:
            own = np.flatnonzero((about.problem == row) & right & about.answered[about.problem, about.slot])
            texts, sizes = np.unique(about.text[own], return_counts=True)
            alike = own[about.text[own] == texts[sizes.argmax()]]
            for each in alike:
                edited[ends[each] - about.counts[each] + 1 : ends[each] + 1] = 40.0
        yield f"one text of {many} problems to the top", edited


@dataclass(frozen=True)
class Outcome:
    """What an edit gains, and in which share of the spot checks it gets the tier."""

    name: str
    gain: float
    passed: float


def tried(
    about: Setting, name: str, values: np.ndarray, edited: np.ndarray, tolerance: float, aggregation: str
) -> Outcome:
    submitted, again = about.table(edited, aggregation), about.table(values, aggregation)
    gain = float((about.points(submitted) - about.points(again)).mean())
    if gain < MOST_LEEWAY / 4:
        return Outcome(name, gain, 1.0)
    of, m = len(about.problem), about.correct.shape[1]
    steps = counted(edited, values)
    starts = np.cumsum(about.counts) - about.counts
    largest, means = np.maximum.reduceat(steps, starts), np.add.reduceat(steps, starts) / about.counts
    none = none_drawn(m, about.n)
    problems = [Problem(*each) for each in zip(submitted, about.correct, about.twins(), strict=True)]
    before, after = submitted[about.problem, about.slot], again[about.problem, about.slot]
    parts = np.zeros(of)
    for each in np.flatnonzero(before != after):
        parts[each] = part(problems[about.problem[each]], about.slot[each], float(after[each]), none)
    passed = 0
    for seed in range(SEEDS):
        chosen = np.random.default_rng(seed).choice(of, min(of, sample_needed(about.n)), replace=False)
        if largest[chosen].max() > tolerance or means[chosen].mean() > tolerance / MEAN_SHARE:
            continue
        if leeway(parts[chosen], about.n, m, of, len(submitted)) > MOST_LEEWAY:
            continue
        rows = np.sort(chosen)
        followed = follows_grade(before[rows], after[rows], about.right()[rows], about.problem[rows])
        passed += followed <= MOST_FOLLOWED
    return Outcome(name, gain, passed / SEEDS)


def honest(about: Setting, one: np.ndarray, other: np.ndarray, aggregation: str) -> tuple[float, float, float]:
    """Return (share of spot checks with the tier, largest leeway, largest follows_grade) of two honest runs."""
    submitted, again = about.table(one, aggregation), about.table(other, aggregation)
    m, of, none = about.correct.shape[1], len(about.problem), none_drawn(about.correct.shape[1], about.n)
    before, after = submitted[about.problem, about.slot], again[about.problem, about.slot]
    problems = [Problem(*each) for each in zip(submitted, about.correct, about.twins(), strict=True)]
    parts = np.zeros(of)
    for each in np.flatnonzero(before != after):
        parts[each] = part(problems[about.problem[each]], about.slot[each], float(after[each]), none)
    left, followed = [], []
    for seed in range(SEEDS):
        rows = np.sort(np.random.default_rng(seed).choice(of, min(of, sample_needed(about.n)), replace=False))
        left.append(leeway(parts[rows], about.n, m, of, len(submitted)))
        followed.append(follows_grade(before[rows], after[rows], about.right()[rows], about.problem[rows]))
    good = np.mean([a <= MOST_LEEWAY and b <= MOST_FOLLOWED for a, b in zip(left, followed, strict=True)])
    return float(good), max(left), max(followed)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("pool", nargs="?", default="results/pools/miniature-v2-350x64")
    parser.add_argument("--keep", type=Path)
    options = parser.parse_args()
    pool = Pool(options.pool)
    runs = {
        (dtype, other): run(pool, dtype, *((700, 2, 1024) if other else (2_048, 1, 256)), options.keep)
        for dtype in ("float32", "bfloat16")
        for other in (False, True)
    }
    about = setting_of(pool, runs["float32", False])
    flat = {key: np.concatenate(each) for key, each in runs.items()}
    places = np.linspace(0, len(about.problem) - 1, NOISE_SAMPLE).astype(int)
    measured = np.isin(np.repeat(np.arange(len(about.problem)), about.counts), places)
    for dtype in ("float32", "bfloat16"):
        values = flat[dtype, False]
        noise = max(
            float(counted(values, other)[measured].max()) for other in (flat[dtype, True], flat["float32", False])
        )
        tolerance = measured_tolerance(noise, dtype)
        print(f"\n{pool.path.name}, {dtype}: noise {noise:.2g}, tolerance {tolerance:.2g}, "
              f"spot checks of {sample_needed(about.n):,} of {len(about.problem):,}", flush=True)  # fmt: skip
        for aggregation in AGGREGATIONS:
            base = float(about.points(about.table(values, aggregation)).mean())
            outcomes = [
                tried(about, name, values, edited, tolerance, aggregation)
                for name, edited in edits(about, values, tolerance, aggregation)
            ]
            most = max(outcomes, key=lambda each: each.gain)
            half = max((each for each in outcomes if each.passed > 0.5), key=lambda each: each.gain)
            rare = max((each for each in outcomes if each.passed > 0.05), key=lambda each: each.gain)
            kinds = [honest(about, values, flat[dtype, True], aggregation)]
            if dtype == "bfloat16":
                kinds.append(honest(about, values, flat["float32", False], aggregation))
            said = "; ".join(f"tier {a:.0%}, leeway {b:.2f}, grade {c:.1f}" for a, b, c in kinds)
            print(f"{aggregation:>14} {base:5.1f}: edited up to {most.gain:+.1f}; with the tier +{half.gain:.2f} "
                  f"({half.name}), 1 in 20 +{rare.gain:.2f} ({rare.name}); honest: {said}", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
