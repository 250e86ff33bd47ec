"""Door 1: the tasks of lm-evaluation-harness, best of N and step-level benchmarks.

This is the only package that imports lm_eval, and it holds no logic of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from prm_eval.doors import door

if TYPE_CHECKING:
    from prm_eval.harness.running import run_lm_eval, tasks_path
    from prm_eval.harness.step_task import StepTask
    from prm_eval.harness.task import BestOfNTask

__all__ = ["BestOfNTask", "StepTask", "run_lm_eval", "tasks_path"]

# whoever asks where the task files are must not import lm_eval
__getattr__, _ = door(
    __name__, {"BestOfNTask": "task", "StepTask": "step_task", "run_lm_eval": "running", "tasks_path": "running"}
)
