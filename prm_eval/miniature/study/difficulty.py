"""Accuracy by difficulty (Lightman et al. 2023, appendix G): quintiles of the pass rate of the policy."""

from __future__ import annotations

from typing import Any

import numpy as np

from prm_eval.miniature.study.laboratory import Laboratory
from prm_eval.miniature.study.summaries import by_n, draw, interval
from prm_eval.miniature.study.supervision import FINAL, PROCESS, SIZES, drawn_curves

QUINTILES = 5
SHOWN = (PROCESS, FINAL)


def quintiles(rates: Any) -> list[Any]:
    """Return the problems of each quintile, easiest first; problems of equal pass rate stay in the pool's order."""
    order = np.argsort(-np.asarray(rates), kind="stable")
    return [np.sort(part) for part in np.array_split(order, QUINTILES)]


def run(laboratory: Laboratory) -> tuple[dict[str, Any], str]:
    """Return the study's figures and its picture: best of n in every quintile, by verifiers of the largest size."""
    m = laboratory.settings.samples
    ns = tuple(n for n in (1, 4, 16, 64) if n <= m)
    size = max(each for each in SIZES if each <= m)
    curves = {kind: drawn_curves(laboratory, kind, size, ns) for kind in SHOWN}
    parts = quintiles(laboratory.test.correct.mean(axis=1))
    found = {
        "study": "difficulty",
        "n": list(ns),
        "size": size,
        "quintiles": [
            {
                "problems": len(part),
                "pass_rate": [float(laboratory.test.correct[part].mean(axis=1).min()),
                              float(laboratory.test.correct[part].mean(axis=1).max())],
                "best_of_n": {kind: by_n(curves[kind][:, part], ns) for kind in SHOWN},
            }
            for part in parts
        ],
    }  # fmt: skip
    points = {
        f"{kind}, n = {ns[k]}": [(float(at), interval(curves[kind][:, part, k])) for at, part in enumerate(parts, 1)]
        for kind in SHOWN
        for k in sorted({min(2, len(ns) - 1), len(ns) - 1})
    }
    ticks = {float(at): name for at, name in enumerate(("easiest", "2nd", "3rd", "4th", "hardest"), 1)}
    title = f"Best of n by difficulty, {laboratory.settings.test_problems} test problems"
    return found, draw(points, x="quintile of the pass rate", title=title, log=False, ticks=ticks)
