"""Door 1: best-of-N tasks of lm-evaluation-harness. The only package that imports lm_eval; it holds no logic of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prm_eval.doors import door

if TYPE_CHECKING:
    from prm_eval.harness.running import run_lm_eval, tasks_path
    from prm_eval.harness.task import BestOfNTask

__all__ = ["BestOfNTask", "run_lm_eval", "tasks_path"]

# asking where the task files are must not import lm_eval
__getattr__, _ = door(__name__, {"BestOfNTask": "task", "run_lm_eval": "running", "tasks_path": "running"})
