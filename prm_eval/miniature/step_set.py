"""The miniature's step set: solutions of its policy, each step of which the oracle has judged.

Of every problem of a pool it has two solutions, where the pool has them: the first candidate without a wrong step, and
the first with one. As candidates are drawn one by one, these are what the policy writes where it goes right and where
it goes wrong. So half of the set has a wrong step, and its two halves have the same problems.

The labels are of **every step**, because the oracle's rules decide each one: a step is judged by what the text has
written before it, not by what it should have written. A step that follows rightly from a wrong value is right, then,
and so is a box with the number that wrong steps led to. A second judge that shares no code with the oracle labels every
step of the set alike (tests/miniature/test_miniature_steps.py). After a line that states none of the problem's work,
labels rest on a convention: its value stands for the first work that could be done (rule 4 of
:mod:`prm_eval.miniature.oracle`). Measures by the first wrong step need none of this. A model that was trained up to
the first wrong step only, as the miniature's PRM, never saw a step after one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from prm_eval.errors import PrmEvalError
from prm_eval.miniature.oracle import Judgement, judge
from prm_eval.miniature.plan import Plan
from prm_eval.miniature.problems import REVISION, plan_of
from prm_eval.pools.pool import Pool
from prm_eval.records import Candidate, Problem, Solution, StepLabel
from prm_eval.stepsets.labels import NO_ERROR, by_ratings
from prm_eval.stepsets.step_set import StepSet
from prm_eval.stepsets.writer import StepSetWriter
from prm_eval.texts.boxed import last_boxed
from prm_eval.texts.steps import split_steps

NAME = "miniature-v2-steps"
A_PROBLEM = 2  # solutions: one without a wrong step and one with, where the pool has both
NOT_CHOSEN = "not among the two solutions of its problem"
NOTES = (
    "Of every problem the first candidate without a wrong step and the first with one; where the policy wrote only one "
    "sort, the first two different texts of it.",
    "Every step is judged by what was written before it: a step that follows rightly from a wrong value is right. What "
    "a step was judged by is its word in the source label (the rules: prm_eval/miniature/oracle.py).",
    "The models of the miniature have not seen the problems of its test and validation splits; its PRM has seen no "
    "step after a first wrong one.",
)
TRAINING = "miniature/train/"
# a candidate with its steps, and what the oracle says of it
Judged = tuple[Candidate, Judgement]


@dataclass(frozen=True)
class Balance:
    """What a step set of the miniature holds.

    Attributes:
        solutions: All of them.
        problems: The problems that they are of.
        steps: All steps.
        with_error: Solutions with a wrong step.
        false_positives: Those of them whose answer is right: right answers by wrong reasoning.
        wrong_steps: Steps judged wrong.
    """

    solutions: int
    problems: int
    steps: int
    with_error: int
    false_positives: int
    wrong_steps: int


def make_step_set(pool: Pool, path: Path) -> StepSet:
    """Make the step set of a pool of miniature problems; the same pool gives the same set.

    Args:
        pool: Candidates of test or validation problems.
        path: The folder to make.

    Raises:
        PrmEvalError: The pool has other problems, or problems of the training split; or the folder is not empty.
    """
    writer = StepSetWriter(
        path,
        name=NAME,
        labels="every_step",
        label_source="oracle",
        source={
            "made_with": "prm-eval miniature steps",
            "problem_set": pool.info.problem_set,
            "pool": pool.info.content_hash,
            "revision": REVISION,
        },
        policy=pool.info.policy,
    )
    generator = pool.info.policy.get("name")
    with writer:
        for problem, candidates in pool:
            if problem.problem_id.startswith(TRAINING):
                raise PrmEvalError(
                    f"the pool has the training problem {problem.problem_id}; models of the miniature have learnt from "
                    "such problems, and what they say of them measures nothing"
                )
            chosen = choose(plan_of(problem), candidates)
            for candidate, judgement in chosen:
                writer.add(_solution(problem, candidate, generator), label_of(candidate, judgement))
            writer.dropped[NOT_CHOSEN] += len(candidates) - len(chosen)
        writer.notes += NOTES
    return StepSet(path)


def choose(plan: Plan, candidates: Sequence[Candidate]) -> list[Judged]:
    """Return the solutions of a problem that a step set has, in the order of their slots.

    Equal texts count once, and a text without a step is none. Where one sort is lacking, the other one fills its place.
    """
    different: dict[str, Candidate] = {}
    for each in candidates:
        different.setdefault(each.text, each)
    judged = [(each, judge(plan, text)) for text, each in different.items()]
    sound = [each for each in judged if each[1].labels and each[1].first_wrong is None]
    wrong = [each for each in judged if each[1].first_wrong is not None]
    first, others = [*sound[:1], *wrong[:1]], [*sound[1:], *wrong[1:]]
    chosen = [*first, *others[: A_PROBLEM - len(first)]]
    return sorted(chosen, key=lambda each: each[0].slot)


def label_of(candidate: Candidate, judgement: Judgement) -> StepLabel:
    """Return the oracle's labels of a candidate as those of a step set; the source label is its reasons, in order."""
    steps = judgement.labels
    return by_ratings(
        [1 if each.right else -1 for each in steps],
        len(split_steps(candidate.text, "line")),
        final_correct=judgement.answer_right,
        source_label=" ".join(each.reason for each in steps),
    )


def balance(step_set: StepSet) -> Balance:
    """Return what a step set of the miniature holds."""
    solutions, labels = step_set.solutions, step_set.labels
    wrong = [label for label in labels if label.first_error != NO_ERROR]
    return Balance(
        solutions=len(solutions),
        problems=len({each.problem_id for each in solutions}),
        steps=sum(len(each.steps) for each in solutions),
        with_error=len(wrong),
        false_positives=sum(label.final_correct is True for label in wrong),
        wrong_steps=sum((label.ratings or ()).count(-1) for label in labels),
    )


def _solution(problem: Problem, candidate: Candidate, generator: str | None) -> Solution:
    return Solution(
        solution_id=f"{problem.problem_id}/{candidate.slot}",
        statement=problem.statement,
        steps=split_steps(candidate.text, "line"),
        problem_id=problem.problem_id,
        group=f"level {problem.level}",
        generator=generator,
        final_answer=last_boxed(candidate.text),
        remarks=(f"subject={problem.subject}",),
    )
