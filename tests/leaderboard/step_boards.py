"""Results folders for tests of the second kind of board: small step sets, written out by a rule, and reward models."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from prm_eval.pools.pool import Pool
from prm_eval.records import ScoringItem, Solution, StepRewards
from prm_eval.rewards import score_pool
from prm_eval.rewards.models.rules import ArithmeticPRM
from prm_eval.stepsets import StepSet, StepSetWriter
from prm_eval.stepsets.labels import by_first_error, by_ratings
from prm_eval.submissions import fill_in, register_step_set, submission_folder
from tests.leaderboard.board import COMMIT, DISCLOSURE

SET_ID = "sums-48"
CLASSES = ("redundency", "counterfactual", "missing_condition", "multi_solutions")


def sums(seed: int, wrong: int | None, n: int) -> tuple[str, tuple[str, ...]]:
    """Return a statement and n steps of a sum, the first wrong one at an index (None: all right)."""
    chance = random.Random(seed)
    total, steps = chance.randrange(2, 9), []
    start = total
    for at in range(n):
        more = chance.randrange(2, 9)
        said = total + more + (chance.randrange(1, 4) if at == wrong else 0)
        talk = "  so that is what we have now" * chance.randrange(0, 3)
        steps.append(f"{total} + {more} = {said}{talk}")
        total = said
    return f"Begin with {start} and add {n} numbers (no. {seed}).", tuple(steps)


def make_step_set(folder: Path, *, n: int = 48, groups: Sequence[str] = ("short", "long")) -> StepSet:
    """Make a set of sums, half of them with a wrong step; every third problem has two solutions."""
    source = {"format": "by hand", "licence": "MIT"}
    with StepSetWriter(folder, name="sums", labels="first_error", label_source="oracle", source=source) as writer:
        for row in range(n):
            steps = 4 + row % 4
            wrong = None if row % 2 else (row * 5 // 2) % steps
            statement, written = sums(row, wrong, steps)
            group = groups[row * len(groups) // n] if groups else None
            problem = f"p{row - (row % 3 == 1)}"
            label = by_first_error(-1 if wrong is None else wrong, steps, final_correct=wrong is None)
            writer.add(Solution(f"s{row:03d}", statement, written, problem, group, "by hand"), label)
        writer.notes.append("sums that a rule can recompute: nothing follows from it for real mathematics")
    return StepSet(folder)


def make_classes(folder: Path, *, n: int = 40) -> StepSet:
    """Make a set as PRMBench is: every step labelled, classes of errors, and the unchanged twin of every item."""
    with StepSetWriter(folder, name="classes", labels="every_step", label_source="rules") as writer:
        for row in range(n):
            name = CLASSES[row % len(CLASSES)]
            clean = name == "multi_solutions"
            statement, right = sums(row, None, 6)
            _, changed = sums(row, None if clean else 1 + row % 4, 6)
            ratings = [-1 if (not clean and at == 1 + row % 4) else 1 for at in range(6)]
            writer.add(
                Solution(f"{name}_{row}", statement, changed, f"q{row}", name, None, None, f"correct_{row}"),
                by_ratings(ratings, 6),
            )
            writer.add(Solution(f"correct_{row}", statement, right, f"q{row}", "correct"), by_ratings([1] * 6, 6))
    return StepSet(folder)


class Noisy(ArithmeticPRM):
    """The arithmetic rule as a model of the hub that is not sure of itself: noise from a hash of each step."""

    name = "noisy"
    entry = "lab/Noisy-PRM"
    commit = COMMIT
    size = 9.0

    def __init__(self, *, size: float | None = None, entry: str | None = None, commit: str | None = None) -> None:
        super().__init__()
        self.size = self.size if size is None else size
        self.entry, self.commit = entry or self.entry, commit or self.commit

    def describe(self) -> dict[str, Any]:
        return {"id": self.entry, "revision": self.commit, "dtype": "float32", "device": "cpu"}

    def score(self, items: Sequence[ScoringItem]) -> list[StepRewards]:
        found = []
        for item, result in zip(items, super().score(items), strict=True):
            values = [
                value + self.size * (self._unit(item.statement, at, step) - 0.5)
                for at, (step, value) in enumerate(zip(item.steps, result.values, strict=True))
            ]
            digest = hashlib.sha256(item.text.encode()).hexdigest()
            found.append(replace(result, values=tuple(values), n_tokens=len(item.text), input_hash=digest))
        return found

    def _unit(self, *parts: object) -> float:
        return int(hashlib.sha256(repr((self.entry, *parts)).encode()).hexdigest()[:8], 16) / 2**32


class Raw(Noisy):
    """The same with raw numbers, which have no threshold of their own."""

    name, entry, commit = "raw", "lab/Raw-PRM", "2" * 40
    score_type = "raw"

    def __init__(self) -> None:
        super().__init__()
        self.aggregation = "min"


class Placed(Noisy):
    """A model that looks at nothing but where a step stands."""

    name, entry, commit = "placed", "lab/Placed-PRM", "3" * 40

    def score(self, items: Sequence[ScoringItem]) -> list[StepRewards]:
        return [
            replace(result, values=tuple(1.5 - 0.5 * at for at in range(len(item.steps))))
            for item, result in zip(items, super().score(items), strict=True)
        ]


def submit(results: Path, pool: Pool, model: Any, entry: str, **form: Any) -> Path:
    """Make a submission of a model, and fill its form."""
    folder = submission_folder(results, entry, model, pool)
    score_pool(pool, model, folder, name=entry)
    fill_in(folder, DISCLOSURE, **form)
    return folder


def step_results(results: Path, *, models: Sequence[Any] = ()) -> Path:
    """Make a results folder of one step set, with the arithmetic rule and a noisy model; return the latter's folder."""
    step_set = make_step_set(results.parent / f"{results.name}-set")
    register_step_set(step_set, results, SET_ID, title="Sums, written out by a rule", about="A toy.")
    submit(results, step_set.pool, ArithmeticPRM(), "prm_eval/arithmetic")
    for model in models:
        submit(results, step_set.pool, model, model.entry, **({"threshold": 0.0} if model.score_type == "raw" else {}))
    return submit(results, step_set.pool, Noisy(), Noisy.entry)


def entry_of(results: Path, set_id: str = SET_ID) -> dict[str, Any]:
    """Return the registry entry of a set."""
    return dict(json.loads((results / "pools" / f"{set_id}.json").read_text()))
