"""The miniature problem set: drawn by seed, split by the hash of the normal form.

The split of a problem is a property of the problem, not of the draw, because the SHA-256 of its normal form decides it.
So no problem of the test split can be drawn for training or validation, whatever the seeds.
"""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from prm_eval.errors import PrmEvalError
from prm_eval.miniature.build import Reject
from prm_eval.miniature.plan import Plan, normal_form
from prm_eval.miniature.subjects import OPERATIONS_OF_LEVEL, SUBJECTS
from prm_eval.records import Problem

REVISION = "1"  # changes when the family changes: other problems, or other splits
SPLITS = {"train": range(70), "validation": range(70, 85), "test": range(85, 100)}  # of 100 shares of the hash
DEFAULT_COUNT = 350  # ten of each of the 35 cells of subject and level
# The seed of the test problems that figures are from. Those of seed 0 were looked at when the family was first made.
TEST_SEED = 1
_ID = re.compile(r"miniature/(\w+)/(\d+)/(\d+)")
# After so many draws without a problem the attempt to draw one fails.
_ATTEMPTS = 20_000


@dataclass(frozen=True)
class MiniatureProblem:
    """A problem with the plan that the oracle needs."""

    problem: Problem
    plan: Plan

    @property
    def normal_form(self) -> str:
        """The problem without its wording and without the order of its sums and products."""
        return normal_form(self.plan)


def split_of(form: str) -> str:
    """Return the split that a normal form belongs to."""
    share = int.from_bytes(hashlib.sha256(form.encode()).digest()[:8], "big") % 100
    return next(name for name, shares in SPLITS.items() if share in shares)


def default_seed(split: str) -> int:
    """Return the seed of the problems of a split that are meant where none is named."""
    return TEST_SEED if split == "test" else 0


def draw(rng: random.Random, subject: str, level: int, split: str) -> tuple[str, Plan]:
    """Return one drawn statement and plan of a subject, a level and a split.

    Raises:
        PrmEvalError: None was found in many draws.
    """
    for _ in range(_ATTEMPTS):
        try:
            statement, plan = SUBJECTS[subject](rng, rng.choice(OPERATIONS_OF_LEVEL[level]))
        except Reject:
            continue
        if split_of(normal_form(plan)) == split:
            return statement, plan
    raise PrmEvalError(f"no problem of subject {subject}, level {level} in the split {split} in {_ATTEMPTS:,} draws")


def iter_problems(split: str, seed: int, *, distinct: bool = False) -> Iterator[MiniatureProblem]:
    """Yield problems without end: the 35 cells of subject and level in turn.

    Args:
        split: One of :data:`SPLITS`.
        seed: The seed of the draw.
        distinct: Whether a normal form is yielded only once. A cell without a new problem is left out from then on, as
            happens with the small cells of level 1; the iterator ends when no cell is left.

    Raises:
        PrmEvalError: There is no such split.
    """
    if split not in SPLITS:
        raise PrmEvalError(f"no split {split!r} of the miniature; expected one of {', '.join(SPLITS)}")
    rng = random.Random(f"miniature {REVISION} {split} {seed}")  # noqa: S311 (no secret: a problem set)
    cells = [(subject, level) for level in OPERATIONS_OF_LEVEL for subject in SUBJECTS]
    seen: set[str] = set()
    index = 0
    while cells:
        for cell in list(cells):
            found = _new(rng, *cell, split, seen) if distinct else draw(rng, *cell, split)
            if found is None:
                cells.remove(cell)
                continue
            statement, plan = found
            problem = Problem(f"miniature/{split}/{seed}/{index}", statement, plan.gold, *cell)
            yield MiniatureProblem(problem, plan)
            index += 1


def _new(rng: random.Random, subject: str, level: int, split: str, seen: set[str]) -> tuple[str, Plan] | None:
    for _ in range(_ATTEMPTS // 100):
        statement, plan = draw(rng, subject, level, split)
        form = normal_form(plan)
        if form not in seen:
            seen.add(form)
            return statement, plan
    return None


@lru_cache(maxsize=8)
def miniature_problems(split: str = "test", seed: int = 0, count: int = DEFAULT_COUNT) -> tuple[MiniatureProblem, ...]:
    """Return ``count`` distinct problems of a split, balanced over subjects and levels.

    Raises:
        PrmEvalError: There is no such split, or it has fewer distinct problems.
    """
    found: list[MiniatureProblem] = []
    for each in iter_problems(split, seed, distinct=True):
        found.append(each)
        if len(found) == count:
            return tuple(found)
    raise PrmEvalError(
        f"the split {split} of the miniature has {len(found):,} distinct problems; {count:,} were asked for"
    )


def plan_of(problem: Problem) -> Plan:
    """Return the plan of a problem of this family, found by its id and checked by its statement.

    Raises:
        PrmEvalError: The id is not of this family, or the statement is not that of the id (another revision).
    """
    found = _ID.fullmatch(problem.problem_id)
    if not found:
        raise PrmEvalError(f"problem id {problem.problem_id!r}; expected miniature/SPLIT/SEED/INDEX")
    split, seed, index = found[1], int(found[2]), int(found[3])
    count = -(-(index + 1) // DEFAULT_COUNT) * DEFAULT_COUNT
    each = miniature_problems(split, seed, count)[index]
    if each.problem.statement != problem.statement:
        raise PrmEvalError(
            f"{problem.problem_id}: found the statement {problem.statement!r}; expected {each.problem.statement!r} "
            f"(revision {REVISION} of the family)"
        )
    return each.plan
