"""Grading turns a response and a gold answer into a verdict. Nothing is executed, nothing hangs, nothing raises."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from prm_eval.grading.classes import answer_classes, classify, grade_answers
from prm_eval.grading.deciding.equivalence import Decision, decide, kind_of, read
from prm_eval.grading.deciding.options import STRICT, GradingOptions, parse_options
from prm_eval.grading.finding.extract import Extraction, extract
from prm_eval.records import Grade, GradeRow

GRADER_VERSION = "prm_eval/3"

__all__ = [
    "GRADER_VERSION",
    "Decision",
    "DefaultGrader",
    "Extraction",
    "Grader",
    "GradingOptions",
    "answer_classes",
    "classify",
    "decide",
    "extract",
    "extract_answer",
    "grade",
    "grade_answers",
    "is_equivalent",
    "parse_options",
]


def extract_answer(text: str | None, options: GradingOptions = STRICT) -> str | None:
    """Return the final answer of a whole response, or None. Never raises.

    The rules are those of :mod:`prm_eval.grading.finding.extract`.
    """
    found = extract(text, widely=options.extraction == "conclusion")
    return found.answer if found else None


def is_equivalent(gold: str | None, answer: str | None, options: GradingOptions = STRICT) -> bool:
    """Say whether an answer is equivalent to gold; in doubt it is not. Never raises.

    The rules are those of :mod:`prm_eval.grading.deciding.equivalence`.
    """
    if not isinstance(gold, str) or not isinstance(answer, str):
        return False
    return decide(gold, answer, options).equal is True


def grade(gold: str | None, text: str | None, options: GradingOptions = STRICT) -> Grade:
    """Grade a whole response against gold: verdict, rule, both types, reason, seconds. Never raises."""
    started = time.perf_counter()
    found = extract(text, widely=options.extraction == "conclusion")
    if found is None:
        return Grade("no_answer", "no_answer", seconds=time.perf_counter() - started)
    if not isinstance(gold, str):
        return Grade("undecided", "no_gold", found.answer, "there is no gold answer", time.perf_counter() - started)
    decision = decide(gold, found.answer, options)
    verdict = "undecided" if decision.equal is None else ("correct" if decision.equal else "incorrect")
    return Grade(
        verdict,  # type: ignore[arg-type]
        decision.rule,
        found.answer,
        decision.reason,
        time.perf_counter() - started,
        kind_of(read(gold).node),
        kind_of(read(found.answer).node),
        found.conflict,
    )


@runtime_checkable
class Grader(Protocol):
    """The interface of a grader: a class in the entry-point group ``prm_eval.graders``, made without arguments.

    A grader that has options takes them as one argument: what follows the colon in ``--grader name:options``.
    """

    version: str

    def grade_problem(self, gold: str, texts: Sequence[str], slots: Sequence[int]) -> list[GradeRow]:
        """Return the grade and answer class of every candidate of one problem."""
        ...


class DefaultGrader:
    """The grader of this package.

    Args:
        options: A preset or options of :class:`~prm_eval.grading.deciding.options.GradingOptions`, as in ``--grader
            default:rounded_decimals=4``.

    Raises:
        PrmEvalError: No such option.
    """

    version = GRADER_VERSION

    def __init__(self, options: str | None = None) -> None:
        self.options = parse_options(options)
        if self.options != STRICT:
            self.version = f"{GRADER_VERSION}+{self.options}"

    def grade_problem(self, gold: str, texts: Sequence[str], slots: Sequence[int]) -> list[GradeRow]:
        """Extract the answers, compare them with gold, and partition them into classes."""
        # candidates may repeat each other word by word
        answers = {text: extract_answer(text, self.options) for text in dict.fromkeys(texts)}
        return grade_answers([answers[text] for text in texts], gold, slots, self.options)
