"""The notes below a table: what was missing, refused, unread or unsaid, so that it does not look like a low score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from prm_eval.evaluation.golds import UnreadableGold, named
from prm_eval.evaluation.graded import GradedSlots
from prm_eval.evaluation.no_answer import PUBLISHED
from prm_eval.pools.pool import Pool
from prm_eval.records import ScoreType
from prm_eval.rewards.files.step_arrays import StepArrays
from prm_eval.selection.selectors import COMPETE, ByVote, Selector
from prm_eval.texts.names import short_names

# The grader that also finds an answer that a text only concludes with: offered where many answers are missing.
WIDER_EXTRACTION = "extraction=conclusion"
WIDER_GRADER = f"default:{WIDER_EXTRACTION}"
WIDER_OFFER = "to take unannounced conclusions as answers"
# The share of the wrong candidates that must have an answer: below it a vote would be among the right ones.
VOTES_NEED = 0.5


class Counts:
    """The counts of unanswered and refused candidates, and the range of the numbers of each reward model."""

    def __init__(self, score_types: Mapping[str, ScoreType]) -> None:
        self.score_types = dict(score_types)
        self.candidates = 0
        self.no_answer = 0
        self.wrong = 0
        self.refused: dict[str, int] = {}
        # of the candidates with rewards, by reward model: how many there are, and how many of them are one step
        self.scored: dict[str, int] = {}
        self.of_one_step: dict[str, int] = {}
        self.least: dict[str, float] = {}
        self.most: dict[str, float] = {}

    def add(self, graded: GradedSlots, steps: Mapping[str, StepArrays]) -> None:
        """Count the candidates of one problem."""
        present = graded.present
        self.candidates += int(present.sum())
        self.no_answer += int(graded.unanswered.sum())
        self.wrong += int((present & ~graded.correct).sum())
        for name, arrays in graded.rewards.items():
            self.refused[name] = self.refused.get(name, 0) + int((present & np.isnan(arrays.rewards)).sum())
        for name, each in steps.items():
            self.scored[name] = self.scored.get(name, 0) + int((each.counts > 0).sum())
            self.of_one_step[name] = self.of_one_step.get(name, 0) + int((each.counts == 1).sum())
            if len(each.values):
                self.least[name] = min(self.least.get(name, np.inf), float(each.values.min()))
                self.most[name] = max(self.most.get(name, -np.inf), float(each.values.max()))

    @property
    def votes_known(self) -> bool:
        """Whether enough of the wrong candidates have an answer to vote with."""
        return self.no_answer <= (1 - VOTES_NEED) * self.wrong

    @property
    def maybe_probabilities(self) -> list[str]:
        """The reward models whose numbers are taken for raw ones, and yet all lie in [0, 1]."""
        return [
            name
            for name, score_type in self.score_types.items()
            if score_type == "raw" and self.least.get(name, -1.0) >= 0 and self.most.get(name, 2.0) <= 1
        ]


def reads_golds(grades: str) -> bool:
    """Say whether these grades are made with our reader of golds: those of our grader, with or without options."""
    return grades == "own" or grades.partition(":")[0] == "default"


def votes(selectors: Mapping[str, Selector | None]) -> list[str]:
    """Return the names of the selectors that vote."""
    return [name for name, selector in selectors.items() if isinstance(selector, ByVote)]


def notes(
    pool: Pool,
    counts: Counts,
    grades: str,
    rule: str,
    unread: Sequence[UnreadableGold] = (),
    unavailable: Sequence[str] = (),
) -> list[str]:
    """Return the notes for readers of the table, in words.

    Args:
        pool: The pool.
        counts: What was counted in it.
        grades: The source of the grades.
        rule: The rule for candidates without an answer.
        unread: The golds that grading cannot read.
        unavailable: The votes that were not held, because too few wrong candidates have an answer.
    """
    short = short_names(counts.score_types)
    found = [*_of_the_pool(pool, counts, grades, rule, unavailable)]
    if unread:
        found.append(
            f"{len(unread):,} of {pool.info.n_problems:,} golds cannot be read, and only the same text equals them: "
            f"{named(unread)}"
        )
    for name, refused in counts.refused.items():
        if refused:
            found.append(
                f"{short[name]} gave no reward to {refused:,} of {counts.candidates:,} candidates; these lose every "
                "comparison"
            )
    for name in counts.maybe_probabilities:
        found.append(
            f"{short[name]}: all numbers lie in [0, 1] but are not said to be probabilities, so that they vote through "
            "the sigmoid (0.99 as 0.73); if they are: --score-type probability"
        )
    return found


def _of_the_pool(pool: Pool, counts: Counts, grades: str, rule: str, unavailable: Sequence[str]) -> list[str]:
    found = []
    if pool.info.n_missing:
        found.append(
            f"{pool.info.n_missing:,} of {pool.info.n_problems * pool.info.m:,} slots are missing and count as wrong; "
            "where they were never sampled, import again with --slots min (or a number) to compare full slots only"
        )
    without = f"in {counts.no_answer:,} of {counts.candidates:,} candidates no final answer was found"
    if unavailable:
        found.append(
            f"not available: {', '.join(unavailable)}. Published grades say who is right, not what the answers are, "
            f"and {without}, of {counts.wrong:,} wrong ones: a vote would be among the right ones"
        )
    elif grades == PUBLISHED and counts.no_answer:
        found.append(f"{without}; by the published grades they are wrong, and they abstain from votes")
    elif counts.no_answer > counts.candidates / 5:
        wider = "" if WIDER_EXTRACTION in grades else f"; {WIDER_OFFER}: prm-eval grade POOL --grader {WIDER_GRADER}"
        lose = "" if rule == COMPETE else ", and lose every comparison"
        found.append(
            f"{without}; these count as wrong{lose}. Look at a few: prm-eval pool show POOL --verdict no_answer" + wider
        )
    return found
