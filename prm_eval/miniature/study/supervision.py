"""Process labels against outcome labels (Lightman et al. 2023, figure 4a), with an oracle in place of people.

Three verifiers learn from the same candidates and differ in their labels alone: each step up to the first wrong one
(process); whether every step is right (outcome, by the oracle); whether the final answer is right (outcome, by final
answer). The last two differ where a wrong solution has the right answer: what false positives explain is the share of
the gap that the second closes.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from prm_eval.miniature.data import Labelling
from prm_eval.miniature.study.laboratory import Arm, Floats, Laboratory, best_of_n
from prm_eval.miniature.study.summaries import difference, draw, interval

HEADLINE = 16  # n of the picture; the JSON has all
SIZES = (1, 4, 16, 64)
LABELS: dict[Labelling, str] = {
    "prm": "process labels",
    "oracle": "outcome labels, every step right",
    "orm": "outcome labels, final answer right",
}


def drawn_arm(labels: Labelling, size: int, seed: int) -> Arm:
    """Return the arm that learns from ``size`` random candidates a problem."""
    return Arm(labels, "drawn", size, seed)


def drawn_curves(laboratory: Laboratory, labels: Labelling, size: int, ns: tuple[int, ...]) -> Floats:
    """Return (seeds, problems, len(ns)) accuracies of best-of-n by such arms on the test bank."""
    return np.stack(
        [
            best_of_n(
                laboratory.steps(drawn_arm(labels, size, seed), lambda seed=seed: laboratory.drawn(size, seed)),  # type: ignore[misc]
                laboratory.test,
                ns,
            )
            for seed in laboratory.settings.seeds
        ]
    )


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
    """Return by how much the labels differ, pair by pair."""
    pairs = {
        "process - final answer": ("prm", "orm"),
        "oracle outcome - final answer": ("oracle", "orm"),
        "process - oracle outcome": ("prm", "oracle"),
    }
    return {
        name: {str(n): difference(curves[one, size][:, :, k], curves[other, size][:, :, k]) for k, n in enumerate(ns)}
        for name, (one, other) in pairs.items()
    }


def _explained(curves: dict[tuple[Any, int], Floats], size: int, k: int) -> float | None:
    """Return what share of the gap of process and final-answer labels outcome labels close that know false positives."""
    process, oracle, final = (curves[labels, size][:, :, k] for labels in ("prm", "oracle", "orm"))
    whole = difference(process, final)
    if whole["low"] <= 0:
        return None  # a share of a gap that may be none says nothing
    return float(difference(oracle, final)["value"] / whole["value"])
