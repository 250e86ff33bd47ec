"""The study of process labels against outcome labels (Lightman et al. 2023, figure 4a), with an oracle for people.

Three verifiers learn from the same candidates and differ only in their labels: each step up to the first wrong one
(process); whether every step is right (outcome, by the oracle); whether the final answer is right (outcome, by final
answer). The last two differ where a wrong solution has the right answer. The share of the gap between the first and the
third that the second closes is the share that false positives explain.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from prm_eval.miniature.data import Labelling
from prm_eval.miniature.study.laboratory import Arm, Floats, Laboratory, Steps, best_of_n
from prm_eval.miniature.study.summaries import difference, draw, interval

HEADLINE = 16  # the n of the picture; the JSON file has all n
SIZES = (1, 4, 16, 64)
LABELS: dict[Labelling, str] = {
    "prm": "process labels",
    "oracle": "outcome labels, every step right",
    "orm": "outcome labels, final answer right",
}


def drawn_arm(labels: Labelling, size: int, seed: int) -> Arm:
    """Return the arm that learns from ``size`` random candidates a problem."""
    return Arm(labels, "drawn", size, seed)


def drawn_steps(laboratory: Laboratory, labels: Labelling, size: int, seed: int) -> Steps:
    """Return the scores of the verifier of such an arm for the test bank."""
    return laboratory.steps(drawn_arm(labels, size, seed), lambda: laboratory.drawn(size, seed))


def drawn_curves(laboratory: Laboratory, labels: Labelling, size: int, ns: tuple[int, ...]) -> Floats:
    """Return the accuracies of best-of-n by such arms on the test bank, (seeds, problems, len(ns))."""
    steps = [drawn_steps(laboratory, labels, size, seed) for seed in laboratory.settings.seeds]
    return np.stack([best_of_n(each, laboratory.test, ns) for each in steps])


def policy_alone(laboratory: Laboratory) -> dict[str, float]:
    """Return the accuracy without a verifier, as a line for a picture."""
    return {"the policy alone": float(laboratory.test.correct.mean())}


def run(laboratory: Laboratory) -> tuple[dict[str, Any], str]:
    """Return the study's figures and its picture."""
    m = laboratory.settings.samples
    ns = tuple(n for n in (1, 4, 16, 64) if n <= m)
    sizes = tuple(size for size in SIZES if size <= m)
    at = ns.index(HEADLINE) if HEADLINE in ns else len(ns) - 1
    curves = {(labels, size): drawn_curves(laboratory, labels, size, ns) for labels in LABELS for size in sizes}
    points = {
        name: [(float(size), interval(curves[labels, size][:, :, at])) for size in sizes]
        for labels, name in LABELS.items()
    }
    found = {
        "study": "supervision",
        "n": list(ns),
        "sizes": list(sizes),
        "best_of_n": {
            labels: {
                str(size): {str(n): interval(curves[labels, size][:, :, k]) for k, n in enumerate(ns)} for size in sizes
            }
            for labels in LABELS
        },
        "gaps": {str(size): _gaps(curves, size, ns) for size in sizes},
        "explained by false positives": {
            str(size): {str(n): _explained(curves, size, k) for k, n in enumerate(ns)} for size in sizes
        },
        "mean_at_1": float(laboratory.test.correct.mean()),
    }
    title = f"Best of {ns[at]} on {laboratory.settings.test_problems} test problems, by what the verifier learnt from"
    return found, draw(points, x="candidates a training problem", title=title, flat=policy_alone(laboratory))


def _gaps(curves: dict[tuple[Any, int], Floats], size: int, ns: tuple[int, ...]) -> dict[str, Any]:
    """Return the paired differences in accuracy between the three kinds of labels."""
    pairs = {
        "process - final answer": ("prm", "orm"),
        "oracle outcome - final answer": ("oracle", "orm"),
        "process - oracle outcome": ("prm", "oracle"),
    }
    return {
        name: {
            str(n): difference(curves[one, size][:, :, k], curves[other, size][:, :, k], n) for k, n in enumerate(ns)
        }
        for name, (one, other) in pairs.items()
    }


def _explained(curves: dict[tuple[Any, int], Floats], size: int, k: int) -> float | None:
    """Return the share of the gap between process and final-answer labels that the oracle's outcome labels close.

    It is None where there may be no gap.
    """
    process, oracle, final = (curves[labels, size][:, :, k] for labels in ("prm", "oracle", "orm"))
    whole = difference(process, final)
    if whole["low"] <= 0:
        return None
    return float(difference(oracle, final)["value"] / whole["value"])
