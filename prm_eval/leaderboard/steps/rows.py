"""The entries of the board of a step set, read, measured and put in order."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from prm_eval.errors import DataError, PrmEvalError
from prm_eval.evaluation.stepwise.arrays import SetArrays, load_set
from prm_eval.evaluation.stepwise.measuring import Row
from prm_eval.evaluation.stepwise.standing import StepStanding, StepYardstick
from prm_eval.evaluation.stepwise.submitted import scores_of
from prm_eval.leaderboard.words import slug
from prm_eval.stepsets.step_set import StepSet
from prm_eval.submissions import Fault, RegisteredPool, Submission, Suspicion
from prm_eval.submissions.alike import Ordered, copies
from prm_eval.submissions.checking.check import Look, read_rows
from prm_eval.submissions.checking.reading import RowReader
from prm_eval.submissions.checking.step_sets import registry_faults
from prm_eval.submissions.formats import StepSetRef
from prm_eval.submissions.step_suspicion import step_suspicions, steps_ordered
from prm_eval.submissions.thresholds import Declared, threshold_in

# called with a submission that is left out and the reason
LeaveOut = Callable[[Path, object], None]


@dataclass(frozen=True)
class StepEntry:
    """One submission on the board of a step set.

    Attributes:
        slug: The name of its page's file.
        submission: The submission itself.
        row: The measurements of its scores by themselves.
        standing: How it stands beside the others and against the best rule.
        threshold: Below which a step is called wrong, and where that comes from.
        suspicions: The suspicions about its scores.
    """

    slug: str
    submission: Submission
    row: Row
    standing: StepStanding
    threshold: Declared
    suspicions: tuple[Suspicion, ...]

    @property
    def name(self) -> str:
        """The name ORGANISATION/MODEL."""
        return f"{self.submission.org}/{self.submission.model}"


@dataclass(frozen=True)
class StepBoard:
    """One step set with all that was submitted to it.

    Attributes:
        pool: The set as registered.
        about: What is registered of its labels.
        step_set: The set itself.
        yardstick: The set with its rules.
        entries: The submissions, best first.
    """

    pool: RegisteredPool
    about: StepSetRef
    step_set: StepSet
    yardstick: StepYardstick
    entries: tuple[StepEntry, ...]

    @property
    def arrays(self) -> SetArrays:
        """The set as arrays."""
        return self.yardstick.arrays


@dataclass(frozen=True)
class _Read:
    """A submission that is in order, measured, with what is seen in its scores."""

    submission: Submission
    row: Row
    threshold: Declared
    suspicions: tuple[Suspicion, ...]
    order: Ordered


def opened(pool: RegisteredPool, about: StepSetRef, reader: RowReader) -> StepSet:
    """Return the set of a registered pool, after computing again everything that its files and its entry claim.

    Raises:
        PrmEvalError: It is not at hand, not sound, or has other labels than the registry says.
    """
    if pool.pool is None:
        raise PrmEvalError(f"the step set {pool.pool_id} is not at hand")
    folder = pool.pool.path
    entry = folder.parent / f"{pool.pool_id}.json"
    for _, path, found, expected, row in registry_faults(entry, folder, about, reader.step_set(pool.pool)):
        raise DataError(path, row, found, expected)
    if pool.pool.info.content_hash != pool.content_hash:
        raise DataError(entry, None, f"content_hash {pool.content_hash[:12]}", pool.pool.info.content_hash[:12])
    return StepSet(folder)


def step_board(
    pool: RegisteredPool, about: StepSetRef, looks: Sequence[Look], reader: RowReader, leave_out: LeaveOut
) -> StepBoard:
    """Return the board of a step set.

    Args:
        pool: The set as registered.
        about: What is registered of its labels.
        looks: The submissions to it that have no fault so far.
        reader: The reader of their rows, in a limited child.
        leave_out: Called with those that have one after all.

    Raises:
        PrmEvalError: The registered set is faulty.
    """
    step_set = opened(pool, about, reader)
    yardstick = StepYardstick(load_set(step_set))
    found: list[_Read] = []
    for look in looks:
        try:
            one = _read(look, step_set, yardstick, reader)
        # one stranger's file must not keep the board from being built
        except Exception as error:
            leave_out(look.folder, f"scores that the board fails on ({type(error).__name__}: {error})")
            continue
        if one is None:
            leave_out(look.folder, first_fault(look.refused()))
        else:
            found.append(one)
    return StepBoard(pool, about, step_set, yardstick, _in_order(yardstick, found))


def _read(look: Look, step_set: StepSet, yardstick: StepYardstick, reader: RowReader) -> _Read | None:
    read = read_rows(look, step_set.pool, reader)
    if read is None:
        return None
    submission, steps = read
    at = threshold_in(submission.file)
    if at is None:
        raise PrmEvalError("raw numbers without a threshold")
    name = f"{submission.org}/{submission.model}"
    scores = scores_of(name, steps, submission.file.score_type, at.value, yardstick.arrays)
    odd = step_suspicions(submission, scores, yardstick.arrays)
    order = steps_ordered(submission, scores, yardstick.arrays)
    return _Read(submission, yardstick.measure(scores), at, tuple(odd), order)


def _in_order(yardstick: StepYardstick, found: Sequence[_Read]) -> tuple[StepEntry, ...]:
    standings = yardstick.compare([each.row for each in found])
    alike = copies([each.order for each in found])
    entries = [
        StepEntry(
            slug(f"{each.submission.org}__{each.submission.model}", each.submission.revision, each.submission.pool_id),
            each.submission,
            each.row,
            standing,
            each.threshold,
            (*each.suspicions, *others),
        )
        for each, standing, others in zip(found, standings, alike, strict=True)
    ]
    return tuple(sorted(entries, key=lambda entry: (-order_value(entry.row, yardstick.headline), entry.slug)))


def order_value(row: Row, headline: str) -> float:
    """Return the number that rows are ordered by; -1 where the headline is not defined for a row."""
    value = row.compared[headline].value
    return round(value, 9) if math.isfinite(value) else -1.0


def first_fault(faults: Sequence[Fault]) -> str:
    """Return the first of some faults, in the words of the checker, and how many there are."""
    more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
    return f"{faults[0]}{more}"
