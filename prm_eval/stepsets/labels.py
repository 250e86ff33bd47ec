"""What labels mean: one is made of what a source gives, the rest of it follows, and contradictions are found.

"The first wrong step is k" says that the steps before k are not wrong, and nothing of those after k. Ratings say where
the first wrong step is only if every step before it has one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from prm_eval.records import LabelKind, Rating, StepLabel

NO_ERROR = -1
_RATINGS: dict[int, Rating] = {-1: -1, 0: 0, 1: 1}


class LabelError(ValueError):
    """A label that does not fit its solution: what was found, and what was expected."""

    def __init__(self, found: str, expected: str) -> None:
        self.found, self.expected = found, expected
        super().__init__(f"found {found}; expected {expected}")


def by_first_error(
    first_error: int, n_steps: int, *, final_correct: bool | None = None, source_label: str = ""
) -> StepLabel:
    """Return the label of a solution of which the first wrong step is known; what comes after it is unknown.

    Args:
        first_error: Its 0-based index; -1 if no step is wrong.
        n_steps: The number of steps.
        final_correct: Whether the final answer is right.
        source_label: As the source writes it; the index by default.

    Raises:
        LabelError: There is no such step.
    """
    if isinstance(first_error, bool) or not isinstance(first_error, int):
        raise LabelError(f"label {first_error!r}", "the index of the first wrong step, or -1")
    if not NO_ERROR <= first_error < n_steps:
        hint = " (0-based: the source may count from 1)" if first_error == n_steps else ""
        raise LabelError(f"label {first_error} of {_steps(n_steps)}", f"-1 to {n_steps - 1}{hint}")
    wrong_from = n_steps if first_error == NO_ERROR else first_error
    ratings: list[Rating | None] = [_RATINGS[1] if step < wrong_from else None for step in range(n_steps)]
    if first_error != NO_ERROR:
        ratings[first_error] = -1
    return StepLabel(first_error, tuple(ratings), None, final_correct, source_label or str(first_error))


def by_ratings(
    ratings: Sequence[int | None],
    n_steps: int,
    *,
    first_error: int | None = None,
    final_correct: bool | None = None,
    source_label: str = "",
) -> StepLabel:
    """Return the label of a solution whose steps are rated -1, 0, +1 or not at all.

    Args:
        ratings: One a step.
        n_steps: The number of steps.
        first_error: The first wrong step, where the source gives it too.
        final_correct: Whether the final answer is right.
        source_label: As the source writes it; the ratings by default.

    Raises:
        LabelError: Their number is another one, one of them is none of these, or they contradict ``first_error``.
    """
    if len(ratings) != n_steps:
        raise LabelError(f"{len(ratings)} ratings for {_steps(n_steps)}", "one a step")
    kept: list[Rating | None] = []
    for index, rating in enumerate(ratings):
        if rating is None:
            kept.append(None)
        elif isinstance(rating, bool) or not isinstance(rating, int) or rating not in _RATINGS:
            raise LabelError(f"the rating {rating!r} of step {index}", "-1, 0, 1 or null")
        else:
            kept.append(_RATINGS[rating])
    derived = first_error_of(kept)
    if first_error is not None and (first_error != derived if derived is not None else not _open(first_error, kept)):
        found = f"first wrong step {first_error}, but ratings {', '.join(_word(each) for each in kept)}"
        raise LabelError(found, "one that the ratings agree with")
    spelt = source_label or " ".join(map(_word, kept))
    return StepLabel(derived if first_error is None else first_error, tuple(kept), None, final_correct, spelt)


def by_soft(
    shares: Sequence[float | None], n_steps: int, *, final_correct: bool | None = None, source_label: str = ""
) -> StepLabel:
    """Return the label of a solution of whose steps the share of right continuations is known.

    A step is bad only if no continuation is right (Math-Shepherd's hard estimation, Wang et al. 2024, equation 3), good
    otherwise.

    Raises:
        LabelError: The number of shares is another one than that of the steps, or one is outside [0, 1].
    """
    if len(shares) != n_steps:
        raise LabelError(f"{len(shares)} shares for {_steps(n_steps)}", "one a step")
    for index, share in enumerate(shares):
        if share is not None and not (math.isfinite(share) and 0 <= share <= 1):
            raise LabelError(f"the share {share!r} of step {index}", "a number from 0 to 1, or null")
    hard: tuple[Rating | None, ...] = tuple(None if share is None else (-1 if share == 0 else 1) for share in shares)
    spelt = source_label or " ".join("?" if share is None else f"{share:g}" for share in shares)
    return StepLabel(first_error_of(hard), hard, tuple(shares), final_correct, spelt)


def unlabelled(*, final_correct: bool | None = None, source_label: str = "") -> StepLabel:
    """Return the label of a solution of whose steps nothing is known."""
    return StepLabel(None, None, None, final_correct, source_label)


def first_error_of(ratings: Sequence[int | None]) -> int | None:
    """Return the first step rated -1, or -1 if all are rated and none is; None where a step before it has no rating."""
    for index, rating in enumerate(ratings):
        if rating is None:
            return None
        if rating == -1:
            return index
    return NO_ERROR


def fault_of(label: StepLabel, n_steps: int, kind: LabelKind) -> LabelError | None:
    """Return why a stored label is none of a solution of so many steps, in a set of a kind; None for a sound one."""
    try:
        if label.soft is not None:
            derived = by_soft(label.soft, n_steps)
        elif label.ratings is not None and kind == "first_error" and label.first_error is not None:
            derived = by_first_error(label.first_error, n_steps)
        elif label.ratings is not None:
            derived = by_ratings(label.ratings, n_steps, first_error=label.first_error)
        else:
            derived = unlabelled() if label.first_error is None else by_first_error(label.first_error, n_steps)
    except LabelError as error:
        return error
    if label.ratings is not None and label.ratings != derived.ratings:
        return LabelError(f"ratings {_spelt(label.ratings)}", f"{_spelt(derived.ratings or ())}, as the label says")
    if derived.first_error is not None and label.first_error != derived.first_error:
        return LabelError(f"first wrong step {label.first_error}", f"{derived.first_error}, as the ratings say")
    if (kind == "soft") != (label.soft is not None) and label.ratings is not None:
        return LabelError("soft labels" if label.soft is not None else "no soft label", f"labels of the kind {kind}")
    return None


def _open(first_error: int, ratings: Sequence[int | None]) -> bool:
    """Say whether ratings that do not decide where the first wrong step is leave room for it at an index."""
    if first_error == NO_ERROR:
        return -1 not in ratings
    if not 0 <= first_error < len(ratings):
        return False
    return ratings[first_error] in (None, -1) and -1 not in ratings[:first_error]


def _word(rating: int | None) -> str:
    return "?" if rating is None else f"{rating:+d}" if rating else "0"


def _spelt(ratings: Sequence[int | None]) -> str:
    return " ".join(map(_word, ratings))


def _steps(n: int) -> str:
    return f"{n} step{'' if n == 1 else 's'}"
