"""The golds of a pool: those that grading cannot read, and those that contradict a known set of the same problems.

Both make right candidates wrong without a word: no answer equals a gold that is not read, and a gold of another problem
is answered rightly by the wrong ones.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

from prm_eval.grading.deciding.equivalence import decide
from prm_eval.importers.golds import why_unreadable
from prm_eval.pools.problem_sets import ProblemSet
from prm_eval.records import Problem

# the golds that a message names
NAMED = 5
_QUOTES = str.maketrans({"\u2018": "'", "\u2019": "'", "\u201c": '"', "\u201d": '"', "\u2013": "-", "\u2212": "-"})


@dataclass(frozen=True)
class UnreadableGold:
    """A gold that grading cannot read, and why not; no answer equals it but by the same text."""

    problem_id: str
    gold: str
    why: str


@dataclass(frozen=True)
class GoldConflict:
    """A gold that the known set contradicts; ``known`` is the gold of the same statement there."""

    problem_id: str
    gold: str | None
    known: str


@dataclass(frozen=True)
class GoldCheck:
    """The golds of a pool held against a known problem set.

    Attributes:
        name: The name of the set.
        found: How many of the pool's problems have their statement in the set.
        problems: The number of problems of the pool.
        conflicts: Those with another gold there.
        otherwise: How many of the others are written otherwise there, such as 5 for 5 cm: they do not contradict.
    """

    name: str
    found: int
    problems: int
    conflicts: tuple[GoldConflict, ...]
    otherwise: int = 0


def unreadable_golds(problems: Iterable[Problem]) -> tuple[UnreadableGold, ...]:
    """Return the golds that grading's own reader cannot read; a missing gold is not one of them."""
    found = []
    for problem in problems:
        if problem.gold is not None and (why := why_unreadable(problem.gold)):
            found.append(UnreadableGold(problem.problem_id, problem.gold, why))
    return tuple(found)


def check_golds(problems: Iterable[Problem], known: ProblemSet) -> GoldCheck:
    """Hold golds against those of a known problem set, by statement.

    A gold agrees if it equals the known one, in either order; where the set has a statement more than once, one of its
    golds is enough.
    """
    golds: dict[str, list[str]] = {}
    for problem in known.problems:
        if problem.gold is not None:
            golds.setdefault(statement_key(problem.statement), []).append(problem.gold)
    conflicts, found, total, otherwise = [], 0, 0, 0
    for problem in problems:
        total += 1
        theirs = golds.get(statement_key(problem.statement))
        if theirs is None:
            continue
        found += 1
        if not any(golds_agree(problem.gold, each) for each in theirs):
            conflicts.append(GoldConflict(problem.problem_id, problem.gold, theirs[0]))
        elif problem.gold not in theirs:
            otherwise += 1
    return GoldCheck(known.name, found, total, tuple(conflicts), otherwise)


def statement_key(statement: str) -> str:
    """Return what two copies of a statement have in common: its text, with plain quotes and single spaces."""
    return " ".join(unicodedata.normalize("NFC", statement).translate(_QUOTES).split())


def golds_agree(gold: str | None, known: str) -> bool:
    """Say whether a gold equals a known one, in either order; a missing one does not."""
    return gold is not None and (decide(known, gold).equal is True or decide(gold, known).equal is True)


def named(golds: Iterable[UnreadableGold]) -> str:
    """Return the first golds in words: their ids and texts, and how many more there are."""
    every = list(golds)
    first = [f"{each.problem_id} ({_cut(each.gold)}: {each.why})" for each in every[:NAMED]]
    more = len(every) - len(first)
    return ", ".join(first) + (f" and {more:,} more" if more else "")


def _cut(text: str, most: int = 60) -> str:
    return repr(text if len(text) <= most else text[: most - 3] + "...")
