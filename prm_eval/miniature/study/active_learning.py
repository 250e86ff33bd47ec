"""Active learning (Lightman et al. 2023, section 4.2 and figure 4a), which labels the most convincing wrong answers.

A selector, trained on one random candidate a problem, scores all candidates of the training bank. Of each problem the
active arm takes N different ones: 80 % are the most convincing wrong answers, and 20 % the most convincing of the rest.
The uniform arm takes N different ones at random. Both get process labels, start from the backbone, and are compared at
equal N.

For the data-efficiency ratio, lines of accuracy against log2 N are fitted with one slope for both arms; the ratio is
the horizontal distance of the two lines, as a factor of N. The paper's 2.6 comes from the slopes of its two lines, on a
figure whose axis is not stated to be linear; the two definitions agree where both arms follow the same law.
"""

from __future__ import annotations

import random
from typing import Any

import numpy as np

from prm_eval.miniature.data import Labelled
from prm_eval.miniature.study.laboratory import Arm, Floats, Laboratory, Steps, best_of_n
from prm_eval.miniature.study.summaries import difference, draw, interval, resampled
from prm_eval.miniature.study.supervision import HEADLINE, drawn_arm, policy_alone
from prm_eval.rewards.aggregate import aggregate_lists

SIZES = (1, 2, 4, 8)
WRONG_SHARE = 0.8
RESAMPLES = 2_000
PAPER = 2.6


def uniform(laboratory: Laboratory, size: int, seed: int) -> list[Labelled]:
    """Return ``size`` random different candidates of every training problem, or all where it has fewer."""
    rng = random.Random(f"uniform {seed}")  # noqa: S311 (no secret: an order)
    found: list[Labelled] = []
    for row in laboratory.train.candidates:
        order = list(dict.fromkeys(rng.sample(row, len(row))))
        found += order[:size]
    return found


def active(laboratory: Laboratory, size: int, seed: int) -> list[Labelled]:
    """Return ``size`` different candidates of every training problem, picked by the selector as described above."""
    selector = laboratory.steps(drawn_arm("prm", 1, seed), lambda: laboratory.drawn(1, seed), "train")
    found: list[Labelled] = []
    # The wrong answers still to take: a fraction of a candidate cannot be taken, so it is carried to the next problem.
    owed = 0.0
    for row, steps in zip(laboratory.train.candidates, _convincing(selector), strict=True):
        order = sorted(set(row), key=lambda each: (-steps[row.index(each)], each.text))
        owed += WRONG_SHARE * min(size, len(order))
        wrong = [each for each in order if not each.answer_right][: round(owed)][:size]
        owed -= len(wrong)
        rest = [each for each in order if each not in wrong]
        found += wrong + rest[: size - len(wrong)]
        # later problems make up for those without wrong answers, but only up to one problem's picks
        owed = min(owed, float(size))
    return found


def _convincing(steps: Steps) -> list[list[float]]:
    aggregated = (aggregate_lists(row, "prod", "logodds")[0] for row in steps)
    return [np.nan_to_num(row, nan=-np.inf).tolist() for row in aggregated]


def run(laboratory: Laboratory) -> tuple[dict[str, Any], str]:
    """Return the study's figures and its picture."""
    ns = tuple(n for n in (4, 16, 64) if n <= laboratory.settings.samples)
    at = ns.index(HEADLINE) if HEADLINE in ns else len(ns) - 1
    pickers = {"active": active, "uniform": uniform}
    curves: dict[tuple[str, int], Floats] = {}
    for picks, picker in pickers.items():
        for size in SIZES:
            of_seeds = []
            for seed in laboratory.settings.seeds:
                steps = laboratory.steps(
                    Arm("prm", picks, size, seed),
                    lambda picker=picker, size=size, seed=seed: picker(laboratory, size, seed),  # type: ignore[misc]
                )
                of_seeds.append(best_of_n(steps, laboratory.test, ns))
            curves[picks, size] = np.stack(of_seeds)
    found = {
        "study": "active-learning",
        "n": list(ns),
        "sizes": list(SIZES),
        "best_of_n": {
            picks: {
                str(size): {str(n): interval(curves[picks, size][:, :, k]) for k, n in enumerate(ns)} for size in SIZES
            }
            for picks in pickers
        },
        "active - uniform": {
            str(size): {
                str(n): difference(curves["active", size][:, :, k], curves["uniform", size][:, :, k], n)
                for k, n in enumerate(ns)
            }
            for size in SIZES
        },
        "data_efficiency": {str(n): efficiency(curves, k) for k, n in enumerate(ns)},
        "paper": PAPER,
    }
    points = {
        f"{picks} picks": [(float(size), interval(curves[picks, size][:, :, at])) for size in SIZES]
        for picks in pickers
    }
    title = f"Best of {ns[at]} on {laboratory.settings.test_problems} test problems, by how candidates were picked"
    return found, draw(points, x="labelled candidates a training problem", title=title, flat=policy_alone(laboratory))


def efficiency(curves: dict[tuple[str, int], Floats], k: int, resamples: int = RESAMPLES) -> dict[str, Any]:
    """Return the data-efficiency ratio with its 95 % interval, from resamples of seeds and problems.

    Where a resample's common slope is not positive, its ratio has no meaning. Such resamples are counted, and with more
    than 2.5 % of them there is no interval.
    """
    values = np.stack([curves[picks, size][:, :, k] for picks in ("active", "uniform") for size in SIZES])
    ratios = [_ratio(means) for means in (values.mean(axis=(1, 2)), *resampled(values, resamples))]
    known = [each for each in ratios[1:] if each is not None]
    without = resamples - len(known)
    low, high = np.quantile(known, [0.025, 0.975]) if without <= 0.025 * resamples else (None, None)
    return {
        "ratio": ratios[0],
        "low": None if low is None else float(low),
        "high": None if high is None else float(high),
        "resamples_without_slope": without,
    }


def _ratio(means: Floats) -> float | None:
    """Return 2 ** (vertical distance / common slope) of the two arms' least-squares lines against log2 N."""
    x = np.log2(np.array(SIZES, dtype=float))
    active_means, uniform_means = means[: len(SIZES)], means[len(SIZES) :]
    centred = x - x.mean()
    slope = float(centred @ (active_means + uniform_means)) / (2 * float(centred @ centred))
    if slope <= 1e-9:
        return None
    exponent = float(active_means.mean() - uniform_means.mean()) / slope
    return float(2.0 ** min(max(exponent, -60.0), 60.0))
