"""Step sets: solutions with given steps, scored like a pool, and labels of these steps apart from them.

Names are loaded on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from prm_eval.doors import door

if TYPE_CHECKING:
    from prm_eval.stepsets.format import StepSetInfo
    from prm_eval.stepsets.step_set import StepSet, is_step_set
    from prm_eval.stepsets.writer import StepSetWriter

__all__ = ["StepSet", "StepSetInfo", "StepSetWriter", "is_step_set"]

__getattr__, __dir__ = door(
    __name__,
    {
        "StepSet": "step_set",
        "StepSetInfo": "format",
        "StepSetWriter": "writer",
        "is_step_set": "step_set",
    },
)
