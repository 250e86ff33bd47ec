"""The study of process labels against outcome labels (Lightman et al. 2023, figure 4a), with an oracle for people.

Verifiers learn from the same candidates and differ only in their labels:

* process: each step up to the first wrong one, by the oracle, or by the PRM that ships (the paper's PRM_large);
* outcome: whether every step is right, by the oracle, or by the PRM that ships among those with the right answer;
* outcome: whether the final answer is right.

The paper's small verifiers are supervised by PRM_large in both of the first kinds, because no person labelled so much.
The last two kinds differ where a wrong solution has the right answer. The share of the gap between process labels and
final answers that outcome labels of the oracle close is the share that false positives explain.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from prm_eval.miniature.study.laboratory import Arm, Floats, Laboratory, Steps, majority, of_seeds
from prm_eval.miniature.study.summaries import by_n, difference, differences_by_n, draw, interval

HEADLINE = 16  # the n of the picture; the JSON file has all n
SIZES = (1, 4, 16)
# labels of each kind, and who gave them
KINDS: dict[str, Arm] = {
    "process, oracle": Arm("prm", "drawn", 0, 0),
    "process, PRM_large": Arm("prm", "drawn", 0, 0, "large"),
    "outcome, every step right, oracle": Arm("oracle", "drawn", 0, 0),
    "outcome, filtered by PRM_large": Arm("oracle", "drawn", 0, 0, "large"),
    "outcome, final answer": Arm("orm", "drawn", 0, 0),
}
PROCESS, LARGE, SOUND, FILTERED, FINAL = KINDS


def drawn_arm(kind: str, size: int, seed: int) -> Arm:
    """Return the arm of a kind of labels that learns from ``size`` random candidates a problem."""
    return Arm(KINDS[kind].labels, "drawn", size, seed, KINDS[kind].by)


def drawn_steps(laboratory: Laboratory, kind: str, size: int, seed: int) -> Steps:
    """Return the scores of the verifier of such an arm for the test bank."""
    arm = drawn_arm(kind, size, seed)
    return laboratory.steps(
        arm, lambda: laboratory.drawn(size, seed, laboratory.large if arm.by == "large" else laboratory.train)
    )


def drawn_curves(laboratory: Laboratory, kind: str, size: int, ns: tuple[int, ...]) -> Floats:
    """Return the accuracies of best-of-n by such arms on the test bank, (seeds, problems, len(ns))."""
    steps = (drawn_steps(laboratory, kind, size, seed) for seed in laboratory.settings.seeds)
    return of_seeds(steps, laboratory.test, ns)


def policy_alone(laboratory: Laboratory) -> dict[str, float]:
    """Return the accuracy without a verifier, as a line for a picture."""
    return {"the policy alone": float(laboratory.test.correct.mean())}


def run(laboratory: Laboratory) -> tuple[dict[str, Any], str]:
    """Return the study's figures and its picture."""
    m = laboratory.settings.samples
    ns = tuple(n for n in (1, 4, 16, 64) if n <= m)
    sizes = tuple(size for size in SIZES if size <= m)
    at = ns.index(HEADLINE) if HEADLINE in ns else len(ns) - 1
    curves = {(kind, size): drawn_curves(laboratory, kind, size, ns) for kind in KINDS for size in sizes}
    votes = majority(laboratory.test, ns).mean(axis=0)
    points = {kind: [(float(size), interval(curves[kind, size][:, :, at])) for size in sizes] for kind in KINDS}
    found = {
        "study": "supervision",
        "n": list(ns),
        "sizes": list(sizes),
        "best_of_n": {kind: {str(size): by_n(curves[kind, size], ns) for size in sizes} for kind in KINDS},
        "gaps": {str(size): _gaps(curves, size, ns) for size in sizes},
        "explained by false positives": {
            str(size): {str(n): _explained(curves, size, k) for k, n in enumerate(ns)} for size in sizes
        },
        "labels of PRM_large": _agreement(laboratory),
        "mean_at_1": float(laboratory.test.correct.mean()),
        "majority": {str(n): float(vote) for n, vote in zip(ns, votes, strict=True)},
    }
    title = f"Best of {ns[at]} on {laboratory.settings.test_problems} problems, by what the verifier learnt from"
    flat = policy_alone(laboratory) | {f"majority of {ns[at]}": float(votes[at])}
    return found, draw(points, x="candidates a training problem", title=title, flat=flat)


def _gaps(curves: dict[tuple[Any, int], Floats], size: int, ns: tuple[int, ...]) -> dict[str, Any]:
    """Return the paired differences in accuracy between kinds of labels."""
    pairs = ((PROCESS, FINAL), (SOUND, FINAL), (PROCESS, SOUND), (LARGE, FINAL), (FILTERED, FINAL), (LARGE, PROCESS))
    return {
        f"({one}) - ({other})": differences_by_n(curves[one, size], curves[other, size], ns) for one, other in pairs
    }


def _explained(curves: dict[tuple[Any, int], Floats], size: int, k: int) -> float | None:
    """Return the share of the gap between process and final-answer labels that the oracle's outcome labels close.

    It is None where there may be no gap.
    """
    process, sound, final = (curves[kind, size][:, :, k] for kind in (PROCESS, SOUND, FINAL))
    whole = difference(process, final)
    if whole["low"] <= 0:
        return None
    return float(difference(sound, final)["value"] / whole["value"])


def _agreement(laboratory: Laboratory) -> dict[str, float | None]:
    """Return how often PRM_large names the oracle's first wrong step, over different training candidates."""
    pairs = {
        (mine, its)
        for rows in zip(laboratory.train.candidates, laboratory.large.candidates, strict=True)
        for mine, its in zip(*rows, strict=True)
    }
    wrong = [pair for pair in pairs if pair[0].first_wrong is not None]
    sound = [pair for pair in pairs if pair[0].first_wrong is None]
    return {
        name: float(np.mean([mine.first_wrong == its.first_wrong for mine, its in some])) if some else None
        for name, some in (("first wrong step found", wrong), ("sound ones accepted", sound))
    }
