"""Pools: the frozen candidates of one policy on one problem set, their format, and problem sets.

Names are loaded on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from prm_eval.doors import door

if TYPE_CHECKING:
    from prm_eval.pools.format import PoolInfo
    from prm_eval.pools.pool import Pool
    from prm_eval.pools.problem_sets import ProblemSet, load_problems
    from prm_eval.pools.writer import PoolWriter

__all__ = [
    "Pool",
    "PoolInfo",
    "PoolWriter",
    "ProblemSet",
    "load_problems",
]

__getattr__, __dir__ = door(
    __name__,
    {
        "Pool": "pool",
        "PoolInfo": "format",
        "PoolWriter": "writer",
        "ProblemSet": "problem_sets",
        "load_problems": "problem_sets",
    },
)
