"""A look at what is imported: what a reader of the pool should know, counted while it goes by."""

from __future__ import annotations

import hashlib
from collections import Counter

from prm_eval.importers.common import ImportedProblem
from prm_eval.importers.golds import why_unreadable
from prm_eval.records import Problem

SHOWN = 5
MANY_COPIES = 0.5


class Looks:
    """What was seen of the problems of an import.

    Attributes:
        ignored: The fields that nothing reads, with the number of problems that have them.
    """

    def __init__(self) -> None:
        self.ignored: dict[str, int] = {}
        self._remarks: Counter[str] = Counter()
        self._statements: dict[bytes, str] = {}
        self._twice: list[str] = []
        self._unreadable: list[str] = []
        self._problems = self._without_gold = self._candidates = self._copies = 0
        self._graded = False

    def add(self, imported: ImportedProblem) -> None:
        """Look at one problem."""
        self._problems += 1
        for name in imported.ignored:
            self.ignored[name] = self.ignored.get(name, 0) + 1
        self._remarks.update(set(imported.remarks))
        problem = imported.problem
        first = self._statements.setdefault(statement_digest(problem), problem.problem_id)
        if first != problem.problem_id:
            self._twice.append(f"{problem.problem_id} as {first}")
        if problem.gold is None:
            self._without_gold += 1
        elif why_unreadable(problem.gold):
            self._unreadable.append(f"{problem.problem_id} ({_short(problem.gold)})")
        self._graded = self._graded or imported.grades is not None
        texts = {candidate.text for candidate in imported.candidates}
        self._candidates += len(imported.candidates)
        self._copies += len(imported.candidates) - len(texts)

    def notes(self) -> list[str]:
        """Return the notes in words."""
        found = [f"{remark} ({_problems(n)})" for remark, n in self._remarks.items()]
        if self._unreadable:
            found.append(
                f"{_problems(len(self._unreadable))} with a gold answer that our grader cannot read, so that no other "
                f"answer equals it: {_list(self._unreadable)}"
            )
        if self._without_gold:
            of = (
                "no problem has a gold answer"
                if self._without_gold == self._problems
                else (f"{_problems(self._without_gold)} without a gold answer")
            )
            labels = (
                "the labels of the file grade them (--grades published)"
                if self._graded
                else ("and the file has no labels: they cannot be graded")
            )
            found.append(f"{of}: {labels}" if self._graded else f"{of}, {labels}")
        if self._twice:
            found.append(f"the same statement twice: {_list(self._twice)}")
        if self._copies > MANY_COPIES * self._candidates:
            found.append(
                f"{self._copies:,} of {self._candidates:,} candidates are copies of another of their problem: searches "
                "pad with copies, and these are no independent samples"
            )
        return found


def statement_digest(problem: Problem) -> bytes:
    """Return what tells statements apart, white space aside, in few bytes."""
    return hashlib.sha256(" ".join(problem.statement.split()).encode()).digest()[:16]


def _problems(n: int) -> str:
    return f"{n:,} {'problem' if n == 1 else 'problems'}"


def _list(items: list[str]) -> str:
    return ", ".join(items[:SHOWN]) + (f", and {len(items) - SHOWN:,} more" if len(items) > SHOWN else "")


def _short(text: str) -> str:
    flat = " ".join(text.split())
    return repr(flat if len(flat) <= 50 else flat[:47] + "...")
