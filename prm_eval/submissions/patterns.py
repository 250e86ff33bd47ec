"""What rewards follow besides texts: the grade in whom they refuse, and the number of candidates with one answer.

Both are within problems, and both compare the problems with each other: candidates of one problem are alike, so a
problem counts once, however many candidates it has.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from prm_eval.evaluation.diagnostics import row_ranks
from prm_eval.selection.accuracies import best_of_n_table

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]

# orders of the refused candidates by lot that are averaged
LOTS = 20
LOT_SEED = 20_230_531


@dataclass(frozen=True)
class Refused:
    """The refused candidates of a pool, beside the others.

    Attributes:
        count: Their number.
        wrong: The share of them that is wrong.
        expected: That share if in each problem as many had been refused by lot.
        wrong_errors: By how many standard errors more of them are wrong than by lot.
        long_errors: By how many standard errors they are longer than by lot.
    """

    count: int
    wrong: float
    expected: float
    wrong_errors: float
    long_errors: float


def refused(table: Floats, present: Bools, correct: Bools, lengths: Floats) -> Refused | None:
    """Return what the refused candidates of a pool are like; None where there is none.

    Args:
        table: Rewards, (problems, M); NaN where there is none. The further arrays are of the same shape.
        present: Whether there is a candidate.
        correct: Whether it is right.
        lengths: Its length; NaN where there is none.
    """
    out = present & np.isnan(table)
    if not out.any():
        return None
    wrong = present & ~correct
    in_all, refused_in_all = present.sum(axis=1), out.sum(axis=1)
    expected = refused_in_all * wrong.sum(axis=1) / np.maximum(in_all, 1)
    size = np.log1p(np.where(present, lengths, 0.0))
    mean_size = np.where(present, size, 0.0).sum(axis=1) / np.maximum(in_all, 1)
    longer = np.where(out, size - mean_size[:, None], 0.0).sum(axis=1)
    return Refused(
        int(out.sum()),
        float((out & wrong).sum() / out.sum()),
        float(expected.sum() / out.sum()),
        _errors((out & wrong).sum(axis=1) - expected),
        _errors(longer),
    )


def _errors(differences: Floats) -> float:
    """Return the sum of differences between problems, in standard errors of a sum whose mean is 0."""
    norm = math.sqrt(float((differences**2).sum()))
    return float(differences.sum()) / norm if norm > 1e-9 else 0.0


def by_lot(table: Floats, present: Bools, correct: Bools, answered: Bools, n: int) -> tuple[float, float]:
    """Return best-of-n in per cent, and what it is if refused candidates have the rewards of others, drawn by lot.

    Refused candidates lose every comparison; by lot, each gets the reward of some candidate of its problem.

    Args:
        table: Rewards, (problems, M); NaN where there is none. The further arrays are of the same shape.
        present: Whether there is a candidate.
        correct: Whether it is right.
        answered: Whether it has an answer.
        n: The n of best-of-n.
    """
    generator = np.random.default_rng(LOT_SEED)
    own = float(best_of_n_table(np.where(answered, table, np.nan), correct, [n]).mean())
    lots: list[float] = []
    for _ in range(LOTS):
        filled = table.copy()
        for row, there in enumerate(present):
            missing, known = there & np.isnan(table[row]), table[row][~np.isnan(table[row])]
            values = known if len(known) else np.zeros(1)
            filled[row, missing] = generator.choice(values, int(missing.sum()))
        lots.append(float(best_of_n_table(np.where(answered, filled, np.nan), correct, [n]).mean()))
    return 100 * own, 100 * float(np.mean(lots))


def follows_share(table: Floats, correct: Bools, classes: Ints) -> Floats:
    """Return how rewards follow the number of candidates with an answer, for every problem where it can be said.

    It is the rank correlation, over the *wrong* answers of a problem, of an answer's number of candidates and the mean
    rank of their rewards. A verifier that tells right from wrong has no reason to follow it: right answers are
    frequent, which is left out. Rewards that count the answers of the pool follow nothing else.

    Args:
        table: Rewards, (problems, M); NaN where there is none.
        correct: Whether a slot is right.
        classes: The answer class of each slot; -1 where there is no answer.
    """
    there = (classes >= 0) & ~np.isnan(table)
    counts = _by_class(there, classes)
    means = _by_class(there, classes, row_ranks(np.where(there, table, np.nan))) / np.maximum(counts, 1)
    wrong = (counts > 0) & (_by_class(there, classes, correct) == 0)
    one, other = (_centred_ranks(np.where(wrong, each, np.nan)) for each in (counts, means))
    scale = np.sqrt((one**2).sum(axis=1) * (other**2).sum(axis=1))
    # ranks are halves: what varies at all is far above this
    usable = (wrong.sum(axis=1) >= 3) & (scale > 1e-9)
    return np.asarray((one * other).sum(axis=1)[usable] / scale[usable], dtype=np.float64)


def _by_class(there: Bools, classes: Ints, weights: npt.NDArray[Any] | None = None) -> Floats:
    """Return (problems, classes): the number of candidates of each class that are there, or the sum of weights."""
    width = int(classes.max(initial=0)) + 1
    rows, _ = np.nonzero(there)
    found = np.bincount(
        rows * width + classes[there], None if weights is None else weights[there], minlength=len(classes) * width
    )
    return found.reshape(len(classes), width).astype(np.float64)


def _centred_ranks(values: Floats) -> Floats:
    """Return ranks within rows, less their mean; 0 for NaN."""
    there = ~np.isnan(values)
    return np.where(there, row_ranks(values) - (there.sum(axis=1, keepdims=True) + 1) / 2, 0.0)


def takes_the_most_common(table: Floats, correct: Bools, classes: Ints) -> tuple[float, int]:
    """Return (share, problems): how often the best candidate has the most common answer, where that one is wrong.

    A verifier is asked to see that it is wrong. Rewards that know only which answer is the most common take it always,
    and follow no count of the others. Problems with one answer, or two that are the most common, are left out.

    Args:
        table: Rewards, (problems, M); NaN where there is none.
        correct: Whether a slot is right.
        classes: The answer class of each slot; -1 where there is no answer.
    """
    there = classes >= 0
    scored = there & ~np.isnan(table)
    counts = _by_class(there, classes)
    most = counts.max(axis=1)
    common = there & (classes == counts.argmax(axis=1)[:, None])
    alone = ((counts > 0).sum(axis=1) > 1) & ((counts == most[:, None]).sum(axis=1) == 1)
    asked = scored.any(axis=1) & alone & ~(common & correct).any(axis=1)
    given = np.where(scored, table, -np.inf)[asked]
    best = given == given.max(axis=1, keepdims=True)
    taken = (common[asked] & best).sum(axis=1) / best.sum(axis=1)
    return (float(taken.mean()) if len(taken) else 0.0), len(taken)


def ranks(values: Floats) -> Floats:
    """Return the ranks of numbers, ties shared."""
    ordered = np.sort(values)
    both = np.searchsorted(ordered, values, "left") + np.searchsorted(ordered, values, "right")
    return np.asarray(both / 2.0, dtype=np.float64)
