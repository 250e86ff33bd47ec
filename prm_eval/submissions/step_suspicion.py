"""Suspicions about the scores of a step set: what looks odd in them, shown beside the row and no reason to refuse it.

The labels of a step set are public, as grades are. What is asked of pools and makes no sense here (who is chosen of n
candidates, how many have one answer) is not asked. What is asked here instead: whether scores follow the place of a
step, or its length, and nothing else. A rule that does so needs no model, reaches published ones on some sets, and
stands on every board of a step set by its own name.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from prm_eval.evaluation.stats import ClusterBootstrap
from prm_eval.evaluation.stepwise.arrays import SetArrays
from prm_eval.evaluation.stepwise.prmbench import is_prmbench
from prm_eval.evaluation.stepwise.resampling import area, jackknife_error
from prm_eval.evaluation.stepwise.rules import rule_rows
from prm_eval.evaluation.stepwise.scores import StepScores
from prm_eval.submissions.alike import SAME_STEPS, Ordered, Prints
from prm_eval.submissions.checking.provenance import doubts
from prm_eval.submissions.patterns import ranks
from prm_eval.submissions.records import Submission, Suspicion
from prm_eval.submissions.suspicion import FEW_VALUES, LEAST_CANDIDATES, LEAST_FOR_LIMITS, of_verification, outliers

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

STEP_NAMES = {
    "differs": "the model was run again here, and did not give these scores",
    "labels": "better at telling good steps from bad ones than any known verifier",
    "position": "the scores follow where a step stands, and hardly anything else",
    "length": "the scores follow how long a step is, and hardly anything else",
    "left-out": "refused solutions are left out of the figure that rows are ordered by",
    "few-values": "few distinct scores",
    "alike": "the scores order steps like those of another model",
    "outliers": "scores that lie absurdly far from all others",
    "own-recipe": "fed by a recipe that does not ship",
    "unrun-rule": "a rule that nobody here has run",
}
# Of the mean rank correlation within solutions, for the end of its interval that is nearer to 0. Of nine real
# verifiers on MR-GSM8K (793 solutions), MR-MATH (95) and PRMBench (3,424) the largest are 0.72 with the place
# (Math-Shepherd, whose scores fall all the way) and 0.42 with the length, with standard errors of 0.01 to 0.04. The
# rules have 1. An honest model would have to lie 0.18 above the largest that we have seen: in 200 simulated sets of 60
# solutions, an honest noisy model was flagged in none (tests/submissions/test_step_doubts.py), so that with 95 %
# confidence fewer than 1.5 % of such sets raise a false alarm.
FOLLOWS_LIMIT = 0.9
# Shorter solutions have few orders: of 3 steps, one in three is the rule's, or its opposite.
LEAST_STEPS = 4
# Of the rank correlation over all steps of the set with a rule's own scores: up to rounding they are in its order.
SAME_ORDER = 0.9995
ORDERING_RULES = {"length": "length", "position": "position", "first 70 %": "position"}
# The lower end of the area under the curve of steps; the best verifiers that we have measured reach 0.93.
LABELS_LIMIT = 0.98
# the share of items that may be refused without a word, where they are left out
LEFT_OUT = 0.01


def step_suspicions(submission: Submission, scores: StepScores, arrays: SetArrays) -> list[Suspicion]:
    """Return what looks odd in a submission to a step set; empty for an ordinary one.

    Args:
        submission: A submission without faults.
        scores: Its scores.
        arrays: The set.
    """
    return [*of_verification(submission), *doubts(submission), *odd_scores(scores, arrays)]


def odd_scores(scores: StepScores, arrays: SetArrays) -> Iterator[Suspicion]:
    """Yield what looks odd in scores themselves."""
    there = np.isfinite(scores.values)
    native = scores.native[there]
    if (odd := outliers(native, scores.score_type)) is not None:
        yield odd
    distinct = len(np.unique(native))
    if len(native) >= LEAST_CANDIDATES and distinct < FEW_VALUES:
        yield Suspicion("few-values", f"only {distinct} distinct scores among {len(native):,} steps", float(distinct))
    yield from _left_out(scores, arrays)
    yield from _of_labels(scores, arrays)
    yield from _of_rules(scores, arrays)


def _left_out(scores: StepScores, arrays: SetArrays) -> Iterator[Suspicion]:
    refused = int((~scores.scored(arrays)).sum())
    if is_prmbench(arrays) and refused > LEFT_OUT * arrays.n:
        text = f"{refused:,} of {arrays.n:,} solutions were refused, and PRMScore leaves such solutions out"
        yield Suspicion("left-out", text, refused / arrays.n)


def _of_labels(scores: StepScores, arrays: SetArrays) -> Iterator[Suspicion]:
    good = arrays.good()
    used = np.isfinite(good) & np.isfinite(scores.values)
    if int(arrays.wrong.sum()) < LEAST_FOR_LIMITS:
        return
    problem = arrays.problem[arrays.owner[used]]
    bootstrap = ClusterBootstrap(max(1, arrays.n_problems), seed=0, resamples=1)
    found = area(scores.values[used], good[used], problem, bootstrap, drawn=False)
    error = jackknife_error(found.without)
    if error is not None and found.value - 2 * error > LABELS_LIMIT:
        text = f"a good step has a higher score than a bad one with probability {found.value:.4f}: almost the labels"
        yield Suspicion("labels", text, found.value)


def _of_rules(scores: StepScores, arrays: SetArrays) -> Iterator[Suspicion]:
    """Yield that scores follow place or length: within solutions, or in the order of a rule over the whole set."""
    order = {name: _same_as(scores, rule.values) for rule in rule_rows(arrays) if (name := rule.name) in ORDERING_RULES}
    for name, what, other in (("position", "their place", arrays.index), ("length", "their length", arrays.lengths)):
        own = follows(scores, arrays, other.astype(np.float64))
        mean, error = (float(own.mean()), float(own.std(ddof=1) / np.sqrt(len(own)))) if len(own) > 1 else (0.0, 1.0)
        same = max((order[rule] for rule, kind in ORDERING_RULES.items() if kind == name), default=0.0)
        if len(own) >= LEAST_FOR_LIMITS and abs(mean) - 2 * error > FOLLOWS_LIMIT:
            text = (
                f"within solutions the scores follow {what} (rank correlation {mean:+.2f} ± {2 * error:.2f} over "
                f"{len(own):,} solutions; real verifiers reach 0.72 with the place and 0.42 with the length)"
            )
            yield Suspicion(name, text, mean)
        elif same > SAME_ORDER:
            text = f"the scores have the order of a rule of {what.split()[-1]} (rank correlation {same:.4f})"
            yield Suspicion(name, text, same)


def follows(scores: StepScores, arrays: SetArrays, other: Floats) -> Floats:
    """Return the rank correlation of scores with another number of the steps, for every solution where it is defined.

    Args:
        scores: One score a step.
        arrays: The set.
        other: (T,) the other number.
    """
    found: list[float] = []
    whole = scores.scored(arrays) & (arrays.counts >= LEAST_STEPS)
    for at in np.flatnonzero(whole):
        rows = slice(int(arrays.starts[at]), int(arrays.starts[at] + arrays.counts[at]))
        one, two = ranks(scores.values[rows]), ranks(other[rows])
        if np.ptp(one) > 0 and np.ptp(two) > 0:
            found.append(float(np.corrcoef(one, two)[0, 1]))
    return np.array(found)


def _same_as(scores: StepScores, rule: Floats) -> float:
    """Return how far the order of all steps is that of a rule, or its opposite; 0 where one of them has no order."""
    there = np.isfinite(scores.values)
    one, two = ranks(scores.values[there]), ranks(rule[there])
    if len(one) < LEAST_CANDIDATES or np.ptp(one) == 0 or np.ptp(two) == 0:
        return 0.0
    return abs(float(np.corrcoef(one, two)[0, 1]))


def steps_ordered(submission: Submission, scores: StepScores, arrays: SetArrays) -> Ordered:
    """Return a submission as it is compared with others on its set: by the order of steps within solutions."""
    name = f"{submission.org}/{submission.model}"
    return Ordered(name, submission.tier, order_of_steps(scores, arrays), SAME_STEPS)


def order_of_steps(scores: StepScores, arrays: SetArrays) -> Prints:
    """Return the order of scores within solutions, as one vector of length 1: ranks, centred, every solution alike."""
    values = np.where(np.isnan(scores.values), -np.inf, scores.values)
    own = _with_ties(values, arrays)
    centred = own - np.repeat((arrays.counts - 1) / 2, arrays.counts)
    norm = np.sqrt(np.bincount(arrays.owner, centred**2, arrays.n))
    centred /= np.where(norm > 0, norm, 1.0)[arrays.owner]
    return np.asarray(centred / max(float(np.linalg.norm(centred)), 1e-12), dtype=np.float32)


def _with_ties(values: Floats, arrays: SetArrays) -> Floats:
    """Return the 0-based rank of each step within its solution; equal scores share the mean of their ranks."""
    order = np.lexsort((values, arrays.owner))
    owner, sorted_values = arrays.owner[order], values[order]
    first = np.ones(len(order), dtype=bool)
    first[1:] = (owner[1:] != owner[:-1]) | (sorted_values[1:] != sorted_values[:-1])
    run = np.cumsum(first) - 1
    # sorted by owner, steps stand where their solutions' steps stand
    mean = np.bincount(run, arrays.index) / np.bincount(run)
    found = np.empty(len(order))
    found[order] = mean[run]
    return found
