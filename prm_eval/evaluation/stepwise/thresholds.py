"""Thresholds: F1 as a function of it, and the choice of one on a named set.

A solution without a wrong step is a match for every threshold up to its lowest score; one whose first wrong step is k
for those above the score of k, up to the lowest score before it. So F1 at every threshold follows from two sorted lists
of ends, without walking the steps again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from prm_eval.errors import PrmEvalError
from prm_eval.evaluation.stepwise.arrays import SetArrays
from prm_eval.evaluation.stepwise.locating import harmonic
from prm_eval.evaluation.stepwise.scores import HALF, StepScores

Floats = npt.NDArray[np.float64]

How = Literal["grid", "exact"]
GRID: Floats = np.arange(101) / 100
"""The thresholds of the grid, k / 100."""


@dataclass(frozen=True)
class Threshold:
    """A threshold, and where it comes from.

    Attributes:
        value: A step is wrong if its score is below it.
        origin: "recipe", "fixed", "chosen" (on the set or group ``on``), or "none" for a critic.
        on: The set or group it was chosen on, whose own figures are therefore optimistic.
        how: "grid" or "exact", where it was chosen.
        strict: Whether a step is good only above it; None is the set's own rule (PRMBench's is strict).
    """

    value: float
    origin: Literal["recipe", "fixed", "chosen", "none"]
    on: str = ""
    how: str = ""
    strict: bool | None = None

    @property
    def words(self) -> str:
        """Where the threshold comes from, in words."""
        if self.origin == "chosen":
            return f"{self.value:g}, chosen on {self.on} ({self.how})"
        return {"recipe": f"{self.value:g}, the model's own", "fixed": f"{self.value:g}", "none": "none"}[self.origin]


@dataclass(frozen=True)
class Curve:
    """F1 with its two parts at rising thresholds; NaN where a class is absent."""

    thresholds: Floats
    error_acc: Floats
    correct_acc: Floats
    f1: Floats


@dataclass(frozen=True)
class Ask:
    """What a user asks for: the model's own threshold, a number, or one chosen on a group or a set.

    Attributes:
        value: A number; None for another kind.
        on: The group it is chosen on; empty for another kind.
        how: Whether from the grid or exactly.
        strict: Whether a step is good only above the number; None is the set's own rule.
    """

    value: float | None = None
    on: str = ""
    how: How = "grid"
    strict: bool | None = None


def parse_ask(text: str) -> Ask:
    """Return what ``--threshold`` says: ``recipe``, a number, ``chosen:GROUP`` or ``chosen:GROUP:exact``.

    A number may have its sign before it: with ">0.5" a step is good only above it, with ">=0.5" also at it.

    Raises:
        PrmEvalError: It is none of these.
    """
    if text == "recipe":
        return Ask()
    parts = text.split(":")
    if parts[0] == "chosen" and len(parts) in (2, 3) and parts[1]:
        how: dict[str, How] = {"grid": "grid", "exact": "exact"}
        if parts[2:] and parts[2] not in how:
            raise PrmEvalError(f"--threshold {text}: {parts[2]!r} is no way to choose; expected grid or exact")
        return Ask(on=parts[1], how=how[parts[2]] if parts[2:] else "grid")
    sign = ">=" if text.startswith(">=") else ">" if text.startswith(">") else ""
    try:
        value = float(text.removeprefix(sign))
    except ValueError:
        value = float("nan")
    if not np.isfinite(value):
        raise PrmEvalError(
            f"--threshold {text}: expected recipe, a number (also >0.5 or >=0.5), or chosen:GROUP[:exact]"
        )
    return Ask(value=value, strict={">": True, ">=": False}.get(sign))


def settle(ask: Ask, scores: StepScores, arrays: SetArrays) -> Threshold:
    """Return the threshold that is meant for these scores.

    Raises:
        PrmEvalError: The set has no such group or F1 is not defined on it, or nobody said what the scores' scale is.
    """
    if scores.predictions is not None:
        return Threshold(float("nan"), "none")
    if ask.value is not None:
        return Threshold(ask.value, "fixed", strict=ask.strict)
    if ask.on:
        if ask.on not in arrays.groups:
            known = ", ".join(filter(None, arrays.groups)) or "none"
            raise PrmEvalError(
                f"--threshold chosen:{ask.on}: the set {arrays.name} has no such group (groups: {known})"
            )
        mask = arrays.group == arrays.groups.index(ask.on)
        on = arrays.take(mask, ask.on)
        if not (on.wrong.any() and on.clean.any()):
            raise PrmEvalError(f"--threshold chosen:{ask.on}: F1 is not defined there: it has one class only")
        return Threshold(choose(scores.take(mask, arrays), on, ask.how), "chosen", ask.on, ask.how)
    if scores.threshold is not None:
        return Threshold(scores.threshold, "recipe")
    if scores.score_type == "raw" or not scores.probabilities:
        raise PrmEvalError(
            f"{scores.name}: scores outside [0, 1] and no threshold of their own: say one (--threshold 0), or choose "
            "it on a named group (--threshold chosen:GROUP:exact)"
        )
    return Threshold(HALF, "recipe")


def curve(scores: StepScores, arrays: SetArrays, thresholds: Floats) -> Curve:
    """Return F1 at each of these thresholds."""
    low, high, wrong = _ends(scores, arrays)
    hits = []
    for kind in (wrong, ~wrong):
        of = kind & (low < high)
        started = np.searchsorted(np.sort(low[of]), thresholds, "left")
        ended = np.searchsorted(np.sort(high[of]), thresholds, "left")
        hits.append((started - ended).astype(np.float64))
    n_error, n_clean = int(arrays.wrong.sum()), int(arrays.clean.sum())
    error = hits[0] / n_error if n_error else np.full(len(thresholds), np.nan)
    correct = hits[1] / n_clean if n_clean else np.full(len(thresholds), np.nan)
    return Curve(thresholds, error, correct, harmonic(error, correct))


def candidates(scores: StepScores, how: How) -> Floats:
    """Return the thresholds that are tried: k / 100; or the midpoints of neighbouring scores, and beyond both ends."""
    if how == "grid":
        return GRID
    values = np.unique(scores.values[np.isfinite(scores.values)])
    if not len(values):
        return values
    return np.concatenate([values[:1] - 1, (values[1:] + values[:-1]) / 2, values[-1:] + 1])


def choose(scores: StepScores, arrays: SetArrays, how: How) -> float:
    """Return the threshold with the largest F1 on a set, the smallest of several.

    The F1 on the same set is then an upper bound, no estimate.
    """
    tried = candidates(scores, how)
    found = curve(scores, arrays, tried).f1
    if not len(tried) or not np.isfinite(found).any():
        return HALF
    return float(tried[int(np.nanargmax(np.round(found, 12)))])


def _ends(scores: StepScores, arrays: SetArrays) -> tuple[Floats, Floats, npt.NDArray[np.bool_]]:
    """Return, of every scored solution with a label, the thresholds (low, high] at which it is a match; and its class.

    A solution whose low end is not below its high end never is.
    """
    known = (arrays.wrong | arrays.clean) & scores.scored(arrays)
    before = np.where(arrays.wrong, arrays.first_error, arrays.counts)
    counted = arrays.index < np.repeat(before, arrays.counts)
    values = np.where(counted, scores.values, np.inf)
    high = np.minimum.reduceat(values, arrays.starts) if arrays.n else values
    at = arrays.starts + np.clip(arrays.first_error, 0, None)
    low = np.where(arrays.wrong, scores.values[at], -np.inf)
    return low[known], high[known], arrays.wrong[known]
