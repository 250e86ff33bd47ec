"""Door 1: best-of-N tasks of lm-evaluation-harness. The only package that imports lm_eval; it holds no logic of its own."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from prm_eval.doors import door

if TYPE_CHECKING:
    from prm_eval.harness.task import BestOfNTask

__all__ = ["BestOfNTask", "run_lm_eval", "tasks_path"]


__getattr__, _ = door(__name__, {"BestOfNTask": "task"})  # asking where the task files are must not import lm_eval


def tasks_path() -> Path:
    """Return the folder of our task files, for ``lm_eval --include_path``."""
    return Path(str(files("prm_eval.tasks")))


def run_lm_eval(arguments: list[str]) -> None:
    """Run ``lm_eval run`` in this process with ``--include_path`` filled in.

    Raises:
        SystemExit: As lm_eval's own command line does.
    """
    import sys

    from lm_eval.__main__ import cli_evaluate

    if "--include_path" not in arguments:
        arguments = [*arguments, "--include_path", str(tasks_path())]
    before = sys.argv
    sys.argv = ["lm_eval", "run", *arguments]
    try:
        cli_evaluate()
    finally:
        sys.argv = before
