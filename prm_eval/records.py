"""The frozen records that the rooms hand to each other (docs/design.md section 1 gives the words)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, Literal, get_args

Verdict = Literal["correct", "incorrect", "no_answer", "undecided"]
VERDICTS: tuple[Verdict, ...] = ("correct", "incorrect", "no_answer", "undecided")

Kind = Literal["prm", "orm"]

# How to read the numbers of a reward file. "logodds": the sigmoid gives the probability of being correct. "value": an
# estimate of that probability, kept as its source printed it (a regression head may leave [0, 1]). "raw": any finite
# number. The others are what people declare of numbers that they bring: "probability", in [0, 1]; "log_odds" and
# "logit", which mean "logodds"; "percent", a probability from 0 to 100.
ScoreType = Literal["logodds", "value", "raw", "probability", "log_odds", "logit", "percent"]
SCORE_TYPES: tuple[ScoreType, ...] = get_args(ScoreType)
LOG_ODDS: frozenset[ScoreType] = frozenset(["logodds", "log_odds", "logit"])
DECLARABLE: tuple[ScoreType, ...] = ("probability", "log_odds", "logit", "raw", "percent")


@dataclass(frozen=True, slots=True)
class Problem:
    """A problem statement with its gold answer."""

    problem_id: str
    statement: str
    gold: str | None = None
    subject: str | None = None
    level: int | None = None

    def canonical(self) -> dict[str, Any]:
        """Return the fields that enter content hashes."""
        return {
            "gold": self.gold,
            "level": self.level,
            "problem_id": self.problem_id,
            "statement": self.statement,
            "subject": self.subject,
        }


@dataclass(frozen=True, slots=True)
class Candidate:
    """One sampled solution, in one of the M slots of its problem; ``steps`` only where the source gives them."""

    problem_id: str
    slot: int
    text: str
    steps: tuple[str, ...] | None = None
    n_tokens: int | None = None
    finish_reason: str | None = None

    @property
    def candidate_id(self) -> str:
        """The slot and a hash of the text, so that a reward joined to another text of the same slot is noticed."""
        digest = hashlib.sha256(self.text.encode()).hexdigest()[:8]
        return f"{self.slot:04d}-{digest}"

    def canonical(self) -> dict[str, Any]:
        """Return the fields that enter content hashes."""
        return {
            "finish_reason": self.finish_reason,
            "n_tokens": self.n_tokens,
            "problem_id": self.problem_id,
            "slot": self.slot,
            "steps": None if self.steps is None else list(self.steps),
            "text": self.text,
        }


@dataclass(frozen=True, slots=True)
class Grade:
    """The grader's verdict on one candidate or answer, and the rule that decided it.

    ``conflict`` says that the response states another final answer too.
    """

    verdict: Verdict
    rule: str
    answer: str | None = None
    reason: str = ""
    seconds: float = 0.0
    gold_type: str = ""
    answer_type: str = ""
    conflict: bool = False


@dataclass(frozen=True, slots=True)
class GradeRow:
    """One row of a grades file; ``answer_class`` is an index within the problem, None where there is no answer."""

    slot: int
    answer: str | None
    answer_class: int | None
    grade: Verdict
    rule: str


Rating = Literal[-1, 0, 1]
"""A judgement on one step: wrong, neutral, right (PRM800K's ratings; Lightman et al. 2023, section 2.4)."""

LabelKind = Literal["first_error", "every_step", "rated", "soft"]
"""What the labels of a step set say. "first_error": where the first wrong step is, and nothing of the steps after it.
"every_step": whether each step is right. "rated": a rating of each step, or none. "soft": the share of continuations of
each step that end right, which a model made."""
LABEL_KINDS: tuple[LabelKind, ...] = get_args(LabelKind)


@dataclass(frozen=True, slots=True)
class Solution:
    """A solution with given steps, of a step set; the labels are apart (:class:`StepLabel`).

    Attributes:
        solution_id: Unique within the set.
        statement: The problem statement.
        steps: The steps, at least one.
        problem_id: The problem that the solution is of. Solutions of one problem are no independent evidence: limits
            are over problems.
        group: The part of the set that it is reported under: a subset, a subject, a class of errors.
        generator: Who wrote it.
        final_answer: As the source gives it.
        twin_id: The solution that it was made from, as an item of PRMBench or a perturbed text.
        remarks: What the source says of it besides (``screening=true``, ``finish=give_up``, ...).
    """

    solution_id: str
    statement: str
    steps: tuple[str, ...]
    problem_id: str
    group: str | None = None
    generator: str | None = None
    final_answer: str | None = None
    twin_id: str | None = None
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class StepLabel:
    """What is known of the steps of a solution; made by :mod:`prm_eval.stepsets.labels`, which checks it.

    Attributes:
        first_error: The 0-based index of the first wrong step, -1 if no step is wrong, None if nobody knows.
        ratings: A rating a step, None where a step has none: -1 wrong, 0 neutral, 1 right. With the kind "first_error"
            the steps after the first wrong one have none.
        soft: The share of right continuations a step, in [0, 1], None where a step has none.
        final_correct: Whether the final answer is right, as the source says. It is not the label: a right answer may
            be reached by a wrong step.
        source_label: The label as the source writes it.
    """

    first_error: int | None
    ratings: tuple[Rating | None, ...] | None = None
    soft: tuple[float | None, ...] | None = None
    final_correct: bool | None = None
    source_label: str = ""


@dataclass(frozen=True, slots=True)
class ScoringItem:
    """The input of a reward model: a statement and a candidate cut into steps, without the gold answer."""

    statement: str
    text: str
    steps: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Judgement:
    """One text that a generative verifier wrote on a candidate.

    Attributes:
        text: What it wrote.
        seed: The seed that it was sampled with.
        read: What was read of it: the index of the first wrong step, -1 for none ("first_error"), or the log-odds of
            "yes" ("yes_no"). None where nothing could be read, so that it does not vote.
        cut: Whether it ended because no more could be written.
    """

    text: str
    seed: int
    read: float | None
    cut: bool = False


@dataclass(frozen=True, slots=True)
class Judged:
    """The judgements on one candidate, one a vote.

    ``spread`` is the standard deviation, over the votes that were read, of the probability that a step is right, at
    the step where it is largest (a model with one number a candidate has one step). None for fewer than two votes.
    """

    votes: tuple[Judgement, ...]
    spread: float | None = None


@dataclass(frozen=True, slots=True)
class StepRewards:
    """The numbers that a reward model gave one candidate, or its refusal, never both.

    ``values`` has one number a step for a PRM and a single one for an ORM: log-odds, values or raw numbers, as the
    reward model's ``score_type`` says. ``input_hash`` is over the rendered token ids, so that a verifier can detect a
    changed prompt without a GPU. ``judged`` is what a generative verifier wrote; it is no part of a reward file.
    """

    values: tuple[float, ...]
    refusal: str | None = None
    n_tokens: int | None = None
    input_hash: str | None = None
    judged: Judged | None = None
