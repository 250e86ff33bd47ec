"""Training problems, and labelled candidates of the policy."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from prm_eval.miniature.data import Labelled, draw_cell, label
from prm_eval.miniature.problems import MiniatureProblem, draw
from prm_eval.miniature.sampling import sample
from prm_eval.progress import Progress, silent
from prm_eval.records import Problem
from prm_eval.store.writing import replacing

# names of the draws of problems
POLICY_DRAW, LESSON_DRAW = "policy-candidates", "lessons"


def training_problems(count: int, name: str, seed: int | str) -> list[MiniatureProblem]:
    """Return problems drawn from the training split; ``name`` and ``seed`` determine the draw."""
    rng = random.Random(f"{name} {seed}")  # noqa: S311 (no secret: training data)
    return [_problem(rng, f"miniature-{name}/{seed}/{index}") for index in range(count)]


def _problem(rng: random.Random, problem_id: str) -> MiniatureProblem:
    cell = draw_cell(rng)
    statement, plan = draw(rng, *cell, "train")
    return MiniatureProblem(Problem(problem_id, statement, plan.gold, *cell), plan)


def policy_candidates(
    policy: Any,
    problems: Sequence[MiniatureProblem],
    n: int,
    *,
    temperature: float,
    seed: int,
    top_p: float = 1.0,
    progress: Progress = silent,
) -> list[Labelled]:
    """Sample ``n`` candidates a problem and return the different ones, labelled by the oracle."""
    statements = [each.problem.statement for each in problems]
    texts = sample(policy, statements, n, temperature, seed, progress, top_p)
    return [
        label(problem, text) for problem, group in zip(problems, texts, strict=True) for text in dict.fromkeys(group)
    ]


def write_candidates(path: Path, candidates: Sequence[Labelled]) -> None:
    """Write labelled candidates as JSON lines, in one step."""
    with replacing(path) as file:
        for each in candidates:
            file.write(json.dumps(asdict(each)).encode() + b"\n")


def read_candidates(path: Path) -> list[Labelled]:
    """Read what :func:`write_candidates` wrote."""
    with path.open() as file:
        return [Labelled(**json.loads(line)) for line in file]


def by_problem(candidates: Iterable[Labelled]) -> list[list[Labelled]]:
    """Return candidates by the statement of their problem, in the order in which the problems first occur."""
    found: dict[str, list[Labelled]] = {}
    for each in candidates:
        found.setdefault(each.statement, []).append(each)
    return list(found.values())
