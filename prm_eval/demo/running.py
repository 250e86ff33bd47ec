"""The real command of a demonstration, as a user would type it, and the page of its results."""

from __future__ import annotations

import json
import shlex
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from prm_eval.children import command
from prm_eval.errors import PrmEvalError
from prm_eval.evaluation.curves import Evaluation
from prm_eval.store.writing import write_text


@dataclass(frozen=True)
class Demo:
    """The files that the demonstration made, its table of results, and its command.

    ``steps_table`` says who finds the mistakes; None where the candidates have no labelled steps.
    """

    pool: Path
    results: Path
    page: Path
    table: str
    command: str
    steps_table: str | None = None


def run_command(arguments: Sequence[str]) -> str:
    """Run ``prm-eval run`` in a process of its own, and return the command as a user would type it.

    Its output goes to our terminal.

    Raises:
        PrmEvalError: lm_eval failed; its own output says why.
    """
    status = subprocess.run(command("prm_eval.cli", "run", *arguments), check=False).returncode
    if status:
        raise PrmEvalError(f"lm_eval ended with status {status}; see above")
    return "prm-eval run " + shlex.join(arguments)


def write_page(folder: Path, found: Evaluation, title: str, section: str = "") -> Path:
    """Write ``report.html`` and ``evaluation.json``; return the page."""
    from prm_eval.evaluation.report import html_page

    page = folder / "report.html"
    write_text(page, html_page(found, title, section))
    write_text(folder / "evaluation.json", json.dumps(found.to_json(), indent=2))
    return page
