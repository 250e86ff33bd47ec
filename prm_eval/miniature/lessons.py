"""What both verifiers learn from, batch by batch: a function of seed and number, the same for both but for the labels.

Half of the tokens are problems of one operation, drawn from all facts, with a few candidates each: such a problem says
of one fact what is right, in outcome labels too, and no problem of validation or test has one operation. The other half
are problems of the training split with solutions of the noise process. In the last part of the training the first are
fewer, and some of the others are candidates of the policy itself.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Any

from prm_eval.miniature.data import Labelled, Labelling, facts, label, solution_read
from prm_eval.miniature.noise import CORPUS, RARE, any_value, misconception, write_solution
from prm_eval.miniature.plan import Operation, Plan, render_box, render_expression, render_step
from prm_eval.miniature.problems import MiniatureProblem
from prm_eval.miniature.rows import Packer
from prm_eval.miniature.vocabulary import Encoder
from prm_eval.records import Problem

ONE_OPERATION = (0.5, 0.15)  # the share of the tokens, in the first and in the last part
LAST_PART = 0.6  # begins after this share of the steps
SAMPLED = 0.3  # of the other problems of the last part, with the policy's own candidates
A_PROBLEM = 4  # candidates of a problem
A_FACT = 3
TRIES = 16
Fact = tuple[str, Fraction, Fraction, Fraction]


@lru_cache(maxsize=1)
def all_facts() -> tuple[Fact, ...]:
    """Return every fact of the family once."""
    return tuple(dict.fromkeys(each for table in facts() for each in table))


def one_operation(rng: random.Random) -> list[Labelled]:
    """Return three different candidates of a problem of one operation: right, misconceived, near or any value."""
    operator, left, right, value = rng.choice(all_facts())
    plan = Plan((Operation(operator, int(left), int(right)),), (0,))  # type: ignore[arg-type]
    statement = f"Evaluate ${render_expression(operator, left, right)}$."
    problem = MiniatureProblem(Problem("miniature-fact", statement, plan.gold), plan)
    found: dict[str, Labelled] = {}
    for _ in range(TRIES):
        said = _value(rng, operator, left, right, value)
        text = f"{render_step(operator, left, right, said)}\n{render_box([said])}"
        found.setdefault(text, label(problem, text, "corpus"))
        if len(found) == A_FACT:
            break
    return list(found.values())


def _value(rng: random.Random, operator: str, left: Fraction, right: Fraction, value: Fraction) -> Fraction:
    kind = rng.random()
    believed = misconception(operator, left, right)
    if kind < 0.5:
        return value
    if kind < 0.7 and believed is not None and believed[1] < CORPUS.share:
        return believed[0]
    if kind < 0.8 and operator != "%":
        return value + rng.choice((-10, -2, -1, 1, 2, 10))
    return any_value(rng, operator, left, right)


def written(problem: MiniatureProblem, rng: random.Random) -> list[Labelled]:
    """Return four different solutions that the noise process writes for a problem, or as many as it finds."""
    noise = RARE.for_lines(len(problem.plan.operations))
    found: dict[str, Labelled] = {}
    for _ in range(TRIES):
        text = "\n".join(write_solution(problem.plan, rng, noise))
        if text not in found:
            found[text] = label(problem, text, "corpus")
        if len(found) == A_PROBLEM:
            break
    return list(found.values())


@dataclass(frozen=True)
class Lessons:
    """The batches of a verifier's training.

    Attributes:
        seed: The seed of all draws.
        steps: The number of batches, of which the last part is different.
        problems: The problems whose solutions the noise process writes.
        sampled: The policy's own different candidates, a tuple a problem; without any, the noise process writes all.
    """

    seed: int
    steps: int
    problems: Sequence[MiniatureProblem]
    sampled: Sequence[Sequence[Labelled]] = ()

    def groups(self, number: int) -> Iterator[list[Labelled]]:
        """Yield the problems of a batch with their candidates, without end."""
        rng = random.Random(f"lessons {self.seed} {number}")  # noqa: S311 (no secret: training data)
        last = number >= LAST_PART * self.steps
        others = (self._problem(rng, last) for _ in itertools.count())
        return with_facts(others, rng, ONE_OPERATION[last])

    def _problem(self, rng: random.Random, last: bool) -> list[Labelled]:
        if last and self.sampled and rng.random() < SAMPLED:
            row = rng.choice(self.sampled)
            return rng.sample(list(row), min(A_PROBLEM, len(row)))
        return written(rng.choice(self.problems), rng)

    def batch(self, number: int, kind: Labelling, encoder: Encoder) -> dict[str, Any]:
        """Return the inputs of a batch for a kind of verifier."""
        return one_batch(self.groups(number), kind, encoder)


def with_facts(others: Iterable[list[Labelled]], rng: random.Random, share: float) -> Iterator[list[Labelled]]:
    """Yield problems with their candidates, and among them problems of one operation with a share of the characters."""
    rest, facts_have, others_have = iter(others), 0, 0
    while True:
        if facts_have <= share / (1 - share) * others_have:
            group = one_operation(rng)
            facts_have += _characters(group)
        else:
            found = next(rest, None)
            if found is None:
                return
            group = found
            others_have += _characters(group)
        yield group


def only_facts(seed: int, number: int, kind: Labelling, encoder: Encoder) -> dict[str, Any]:
    """Return the inputs of a batch of problems of one operation."""
    rng = random.Random(f"facts {seed} {number}")  # noqa: S311 (no secret: training data)
    return one_batch((one_operation(rng) for _ in itertools.count()), kind, encoder)


def one_batch(groups: Iterable[Sequence[Labelled]], kind: Labelling, encoder: Encoder) -> dict[str, Any]:
    """Return the inputs of a batch that takes problems with their candidates until one does not fit."""
    packer = Packer(encoder.pad)
    for group in groups:
        statement = encoder.encode(group[0].statement + "\n")
        if packer.place(statement, [solution_read(encoder, each, kind) for each in group]):
            break
    return packer.inputs()


def _characters(group: Sequence[Labelled]) -> int:
    return len(group[0].statement) + sum(len(each.text) for each in group)
