"""The training data of the miniature models, as token ids and targets; every batch is a function of seed and number.

A batch can be drawn again at any time, so training that was cut off continues exactly where it was, without a stored
stream of data.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Any, Literal, TypeAlias

from prm_eval.miniature.build import admissible
from prm_eval.miniature.noise import CORPUS, Noise, write_solution
from prm_eval.miniature.oracle import judge
from prm_eval.miniature.plan import Plan, evaluate, render_step, solve
from prm_eval.miniature.problems import MiniatureProblem, draw
from prm_eval.miniature.rows import IGNORED, Example, padded
from prm_eval.miniature.subjects import OPERATIONS_OF_LEVEL, SUBJECTS
from prm_eval.miniature.vocabulary import Encoder
from prm_eval.texts.steps import split_steps

BATCH = 64  # texts in a batch
CHUNK = 8  # batches that are drawn together and sorted by length, so that there is little padding
DRILL_LINES = 8
LAST_WEIGHT = 6.0  # of the token at which an outcome is read
Labelling: TypeAlias = Literal["prm", "orm", "oracle"]  # first-error steps; final answer; every step right
Texts: TypeAlias = "Callable[[random.Random], Example]"
Seen: TypeAlias = "Callable[[Plan], object]"


@dataclass(frozen=True)
class Labelled:
    """A candidate with the oracle's labels.

    Attributes:
        statement: The statement of its problem.
        text: The text of the candidate.
        first_wrong: The index of its first wrong step, or None.
        answer_right: Whether its final answer is the problem's.
        origin: "policy" (sampled) or "corpus" (written by the noise process).
    """

    statement: str
    text: str
    first_wrong: int | None
    answer_right: bool
    origin: str = "policy"


def label(problem: MiniatureProblem, text: str, origin: str = "policy") -> Labelled:
    """Return a candidate with the oracle's labels."""
    found = judge(problem.plan, text)
    return Labelled(problem.problem.statement, text, found.first_wrong, found.answer_right, origin)


def verifier_example(encoder: Encoder, candidate: Labelled, kind: Labelling) -> Example:
    """Return a candidate as a verifier reads it: the statement, then every step with a newline behind it.

    The recipes ``miniature-prm`` and ``miniature-orm`` feed the same ids.

    * ``prm``: a label at the newline of every step up to and including the first wrong one (the paper's appendix F).
    * ``orm``: at every token of the solution, whether the final answer is right (appendix E).
    * ``oracle``: the same, but right means that every step is right as well.
    """
    statement = encoder.encode(candidate.statement + "\n")
    read = solution_read(encoder, candidate, kind)
    return Example(statement + read.ids, [IGNORED] * len(statement) + read.targets)


def solution_read(encoder: Encoder, candidate: Labelled, kind: Labelling) -> Example:
    """Return what comes behind the statement in :func:`verifier_example`, with weights.

    The weight of an outcome rises along the solution, and its last token, where it is read, counts as six.
    """
    if kind != "prm":
        right = candidate.answer_right and (kind == "orm" or candidate.first_wrong is None)
        ids = encoder.encode(candidate.text + "\n")
        weights = [(at + 1) / len(ids) for at in range(len(ids) - 1)]
        return Example(ids, [int(right)] * len(ids), [*weights, LAST_WEIGHT])
    ids, targets = [], []
    for index, step in enumerate(split_steps(candidate.text, "line")):
        tokens = [*encoder.encode(step), encoder.newline]
        known = candidate.first_wrong is None or index <= candidate.first_wrong
        ids += tokens
        targets += [IGNORED] * (len(tokens) - 1) + [int(index != candidate.first_wrong) if known else IGNORED]
    return Example(ids, targets, [1.0] * len(ids))


def solution_example(encoder: Encoder, statement: str, lines: Sequence[str]) -> Example:
    """Return a solution as the policy learns it: after the statement, the solution and the end token are targets."""
    prompt = encoder.encode(statement + "\n")
    written = [*encoder.encode("\n".join(lines)), encoder.end]
    return Example(prompt + written[:-1], [IGNORED] * (len(prompt) - 1) + written)


def drill_example(encoder: Encoder, rng: random.Random) -> Example:
    """Return a few true lines on facts drawn uniformly by operator; only the values behind ``=`` are targets."""
    ids: list[int] = [encoder.newline]
    targets: list[int] = [IGNORED]
    tables = facts()
    for _ in range(DRILL_LINES):
        operator, left, right, value = rng.choice(rng.choice(tables))
        line = [*encoder.encode(render_step(operator, left, right, value)), encoder.newline]
        start = line.index(encoder.ids[" = "]) + 1
        targets[-1:] = [IGNORED] * start + [*line[start:], IGNORED]
        ids += line
    return Example(ids, targets)


@lru_cache(maxsize=1)
def facts() -> tuple[tuple[tuple[str, Fraction, Fraction, Fraction], ...], ...]:
    """Return every true fact that a solution may need, by operator.

    The large tables of + - / are there twice, so their facts are drawn twice as often.
    """
    tables: dict[str, list[tuple[str, Fraction, Fraction, Fraction]]] = {operator: [] for operator in "++--*//%^C"}
    for operator, table in tables.items():
        for a in range(-110, 111):
            for b in range(-36, 37):
                left, right = Fraction(a), Fraction(b)
                value = evaluate(operator, left, right) if admissible(operator, left, right) else None
                if value is not None:
                    table.append((operator, left, right, value))
    return tuple(tuple(tables[operator]) for operator in "++--*//%^C")


def draw_training(rng: random.Random) -> tuple[str, Plan]:
    """Return a problem drawn from the training split, of :func:`draw_cell`."""
    return draw(rng, *draw_cell(rng), "train")


def draw_cell(rng: random.Random) -> tuple[str, int]:
    """Return a subject and a level; levels 2 to 5 are drawn twice as often as the easiest."""
    return rng.choice(tuple(SUBJECTS)), rng.choices(tuple(OPERATIONS_OF_LEVEL), (1, 2, 2, 2, 2))[0]


def backbone_text(encoder: Encoder, seen: Seen = lambda plan: None) -> Texts:
    """Return a source of drills and right solutions, half and half, which teach arithmetic without mistakes.

    ``seen`` is called with every problem.
    """

    def one(rng: random.Random) -> Example:
        if rng.random() < 0.5:
            return drill_example(encoder, rng)
        statement, plan = draw_training(rng)
        seen(plan)
        return solution_example(encoder, statement, solve(plan))

    return one


def corpus_text(encoder: Encoder, noise: Noise = CORPUS, seen: Seen = lambda plan: None) -> Texts:
    """Return a source of solutions with designed mistakes, for the policy; ``seen`` is called with every problem."""

    def one(rng: random.Random) -> Example:
        statement, plan = draw_training(rng)
        seen(plan)
        return solution_example(encoder, statement, write_solution(plan, rng, noise))

    return one


class Stream:
    """An endless stream of batches from a source of texts; batch ``index`` is always the same."""

    def __init__(self, name: str, seed: int, source: Texts, pad: int) -> None:
        self._name, self._seed, self._source, self._pad = name, seed, source, pad
        self._chunk: tuple[int, list[list[Example]]] = (-1, [])

    def __call__(self, index: int) -> dict[str, Any]:
        """Return the inputs of the batch with a number, as :func:`prm_eval.miniature.rows.padded` makes them."""
        number, at = divmod(index, CHUNK)
        if self._chunk[0] != number:
            rng = random.Random(f"{self._name} {self._seed} {number}")  # noqa: S311 (no secret: training data)
            examples = sorted((self._source(rng) for _ in range(CHUNK * BATCH)), key=lambda each: len(each.ids))
            batches = [examples[start : start + BATCH] for start in range(0, len(examples), BATCH)]
            rng.shuffle(batches)
            self._chunk = (number, batches)
        return padded(self._chunk[1][at], self._pad)
