"""The study of step aggregations (Lightman et al. 2023, table 4): product, minimum, mean, last step."""

from __future__ import annotations

from typing import Any

import numpy as np

from prm_eval.miniature.study.laboratory import Laboratory, best_of_n
from prm_eval.miniature.study.summaries import by_n, differences_by_n, draw, interval
from prm_eval.miniature.study.supervision import PROCESS, SIZES, drawn_steps
from prm_eval.rewards.aggregations import Aggregation

AGGREGATIONS: tuple[Aggregation, ...] = ("prod", "min", "mean", "last")


def run(laboratory: Laboratory) -> tuple[dict[str, Any], str]:
    """Return the study's figures and its picture, of process-supervised verifiers of the largest size."""
    m = laboratory.settings.samples
    ns = tuple(n for n in (1, 2, 4, 8, 16, 32, 64) if n <= m)
    size = max(each for each in SIZES if each <= m)
    steps = [drawn_steps(laboratory, PROCESS, size, seed) for seed in laboratory.settings.seeds]
    curves = {how: np.stack([best_of_n(each, laboratory.test, ns, how) for each in steps]) for how in AGGREGATIONS}
    found = {
        "study": "aggregation",
        "n": list(ns),
        "size": size,
        "best_of_n": {how: by_n(curves[how], ns) for how in AGGREGATIONS},
        "minus prod": {how: differences_by_n(curves[how], curves["prod"], ns) for how in AGGREGATIONS[1:]},
    }
    points: dict[str, Any] = {
        how: [(float(n), interval(curves[how][:, :, k])) for k, n in enumerate(ns)] for how in AGGREGATIONS
    }
    title = f"Best of n by a process-supervised verifier, {laboratory.settings.test_problems} test problems"
    return found, draw(points, x="n, candidates a problem", title=title)
