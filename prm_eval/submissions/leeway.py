"""The leeway of a spot check: how many points of best-of-n the rewards that were not looked at can be worth.

A submission has rewards S, its model has rewards T, and T is known of a random sample of the candidates only. S gains
where it chooses a right candidate r and T a wrong one q from the same draw of n. Then S_r >= S_q and T_q >= T_r, so
(S_r - T_r) + (T_q - S_q) is at least the distance S_r - S_q: r was raised, or q was lowered, by half that distance or
more. The **part** of a candidate is the probability that a draw of n holds such a pair which its own difference is
enough for. It needs no T but its own, it is at most n/M, and the sum of the parts of all candidates is at least the
gain, whoever edited what by how much. :func:`upper_limit` bounds that sum from a sample. Nothing is assumed of the
differences, and no tolerance has a part in it.

The same rewards twice are told from rewards that know the grade by :func:`follows_grade`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]

# how often the limit may be too low
MISS = 0.05
# Shares of the largest stake, and the weights of their products: the first is best where all parts are small, the
# others where one is near its largest.
STAKES = {0.999: 0.9, 0.5: 0.06, 0.2: 0.03, 0.05: 0.01}
MOST_LEEWAY = 2.0
"""The most points of best-of-n that a spot check may leave open to earn its tier."""
# Where all parts are 0, a sample of 150 n candidates leaves 2 points open; this leaves room for rounding.
SAMPLE_A_DRAW = 200


@dataclass(frozen=True)
class Problem:
    """The submitted rewards of one problem.

    Attributes:
        rewards: M rewards; minus infinity for what is never chosen (no reward, no answer, no candidate).
        correct: M flags.
        twins: M numbers: in how many of the slots the same text lies.
    """

    rewards: Floats
    correct: Bools
    twins: Ints


def sample_needed(n: int) -> int:
    """Return how many candidates a spot check should draw for best-of-n; it does not depend on the pool's size."""
    return SAMPLE_A_DRAW * n


def none_drawn(m: int, n: int) -> Floats:
    """Return H(0) to H(m): the probability that none of a slots is among n drawn of m; 0 beyond m."""
    a = np.arange(m, dtype=np.float64)
    return np.concatenate(([1.0], np.cumprod(np.maximum(m - a - n, 0.0) / (m - a)), np.zeros(m)))


def part(problem: Problem, slot: int, again: float, none: Floats) -> float:
    """Return the part of one candidate in what the submitted rewards may have gained.

    Args:
        problem: Its problem.
        slot: Its slot.
        again: The reward that the model gave it when it was run again; minus infinity for none.
        none: The table of :func:`none_drawn`.
    """
    rewards, own = problem.rewards, float(problem.rewards[slot])
    if problem.correct[slot]:
        return _of_a_right_one(rewards, problem.correct, own, again, none) if own > again else 0.0
    if again <= own:
        return 0.0
    twins = int(problem.twins[slot])
    return _of_wrong_ones(rewards, problem.correct, own, again, twins, none) / twins


def _of_a_right_one(rewards: Floats, correct: Bools, own: float, again: float, none: Floats) -> float:
    """Return the probability that it is chosen before a wrong one that its raise may have taken it over."""
    lowest = own - 2 * (own - again)
    lowest -= _rounding(own, again, lowest)
    level = rewards == own
    above, tied, right = int((rewards > own).sum()), int(level.sum()), int((level & correct).sum())
    overtaken = int((~correct & (rewards <= own) & (rewards >= lowest) & (rewards > -np.inf)).sum())
    chosen = float(none[above] - none[above + tied]) / tied
    if again == -np.inf:
        # without it nothing may be chosen, which is wrong too
        return chosen
    without = (none[above + overtaken] - none[above + overtaken + right]) / right
    return max(0.0, chosen - float(without)) if overtaken else 0.0


def _rounding(*numbers: float) -> float:
    """Return more than the rounding of sums of such numbers: who stands at half the distance to a bit counts."""
    largest = max((abs(each) for each in numbers if math.isfinite(each)), default=0.0)
    return 8 * float(np.spacing(largest))


def _of_wrong_ones(rewards: Floats, correct: Bools, own: float, again: float, twins: int, none: Floats) -> float:
    """Return the probability that one of such twins is drawn and lost to a right one that their lowering let past."""
    highest = np.inf if own == -np.inf else own + 2 * (again - own)
    highest += _rounding(own, again, highest)
    found = 0.0
    for level in np.unique(rewards[correct & (rewards >= own) & (rewards <= highest) & (rewards > -np.inf)]):
        there = rewards == level
        above, tied, right = int((rewards > level).sum()), int(there.sum()), int((there & correct).sum())
        # among their equals, whichever is right may be the one that is chosen
        beat, share = (tied, right / tied) if level > own else (right, 1.0)
        any_drawn = none[above] - none[above + beat]
        none_of_them = none[above + twins] - none[above + twins + beat]
        found += share * max(0.0, float(any_drawn - none_of_them))
    return found


def upper_limit(shares: Floats, miss: float = MISS) -> float:
    """Return the upper confidence limit of the mean of numbers on [0, 1], of which some were drawn at random.

    For a mean m and a stake c, the product of 1 + c (m - x) / (1 - m) over the numbers drawn has expectation 1 or less,
    also where they are drawn without replacement (Hoeffding 1963, theorem 4), and so has the mean of such products. The
    limit is the least m for which it is 1 / miss (Markov's inequality; Waudby-Smith and Ramdas 2024). Without any x
    above 0 it is about 3 over their number.

    Args:
        shares: The numbers drawn.
        miss: The probability with which the limit may be too low.
    """
    if not len(shares):
        return 1.0
    low, high = 0.0, 1.0
    # so many halvings leave 1 - middle above 0
    for _ in range(45):
        middle = (low + high) / 2
        products = [
            math.log(weight) + float(np.log1p(stake * (middle - shares) / (1 - middle)).sum())
            for stake, weight in STAKES.items()
        ]
        most = max(products)
        mean = most + math.log(sum(math.exp(each - most) for each in products))
        low, high = (middle, high) if mean < -math.log(miss) else (low, middle)
    return high


def leeway(parts: Floats, n: int, m: int, candidates: int, problems: int) -> float:
    """Return the most points of best-of-n that differences may be worth, with confidence 1 - :data:`MISS`.

    Args:
        parts: The parts (:func:`part`) of the candidates of a random sample.
        n: The number drawn.
        m: The slots of a problem.
        candidates: The candidates of the pool.
        problems: The problems of the pool.
    """
    most = n / m
    limit = upper_limit(np.clip(parts / most, 0.0, 1.0))
    return min(100.0, 100.0 * limit * most * candidates / problems)


def follows_grade(submitted: Floats, again: Floats, correct: Bools, problem: Ints) -> float:
    """Return how far the signs of differences follow the grade within problems, in standard errors.

    Rounding knows no grade: within a problem, as many right candidates as wrong ones are above what the model gave when
    it was run again. The figure is the sum over problems of the covariance of sign and grade, over the root of the sum
    of its squares; by chance it is as often above 0 as below and hardly ever above 4 (at most exp(-8), for problems
    whose covariance is symmetric). Several candidates with one text are one.

    Args:
        submitted: The submitted rewards of some candidates; minus infinity for none.
        again: Their rewards when the model was run again.
        correct: Whether they are right.
        problem: The problem of each.
    """
    if not len(submitted):
        return 0.0
    table = np.stack([problem.astype(np.float64), submitted, again, correct.astype(np.float64)], axis=1)
    number, before, after, right = np.unique(table, axis=0).T
    # the sign of a comparison: two infinities have no difference
    signs = (before > after).astype(np.float64) - (before < after)
    covariances: list[float] = []
    for first, last in _runs(number):
        one, grade = signs[first:last], right[first:last]
        covariances.append(float(((one - one.mean()) * (grade - grade.mean())).sum()))
    norm = math.sqrt(math.fsum(each**2 for each in covariances))
    return math.fsum(covariances) / norm if norm > 1e-12 else 0.0


def _runs(rising: Floats) -> list[tuple[int, int]]:
    """Return (first, behind the last) of every stretch of equal numbers."""
    bounds = [0, *(np.flatnonzero(np.diff(rising)) + 1).tolist(), len(rising)]
    return list(pairwise(bounds))
