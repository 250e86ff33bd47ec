"""The leaderboard: everything in ``results/leaderboard/``, rendered from pools and submissions to the same bytes.

It only renders; the numbers are computed in :mod:`prm_eval.evaluation.yardstick` and
:mod:`prm_eval.evaluation.diagnostics`.
"""

from __future__ import annotations

from prm_eval.leaderboard.site import Built, build, compare, stale, update_readme

__all__ = ["Built", "build", "compare", "stale", "update_readme"]
