"""The commands about step sets: ``steps import``, ``steps show``, ``steps verify``, ``explain-steps``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable

from prm_eval.cli.printing import say as print
from prm_eval.cli.types import counted
from prm_eval.progress import IMPORTING, Bar

QUIET = 2.0
"""Seconds without a bar."""


def _steps_import(options: argparse.Namespace) -> int:
    from prm_eval.importers.steps import import_step_set
    from prm_eval.importers.steps.lines import report_lines

    with Bar(IMPORTING, None, "row", delay=QUIET) as progress:
        report = import_step_set(
            options.file,
            options.output,
            form=options.format,
            name=options.name,
            candidates=options.candidates,
            keep=options.keep,
            strip_numbers=options.strip_numbers,
            score_type=options.score_type,
            skip_bad=options.skip_bad,
            progress=progress,
        )
    for note in report.notes:
        if note not in report.step_set.info.notes:  # those are shown with the set
            print(f"note: {note}", file=sys.stderr)
    for fault in report.skipped:
        print(f"skipped: {fault}", file=sys.stderr)
    if report.skipped:
        print(f"{counted(len(report.skipped), 'solution')} skipped", file=sys.stderr)
    for line in report_lines(report):
        print(line)
    return 0


def _steps_show(options: argparse.Namespace) -> int:
    from prm_eval.importers.steps.lines import set_lines
    from prm_eval.stepsets import StepSet

    for line in set_lines(StepSet(options.step_set)):
        print(line)
    return 0


def _steps_verify(options: argparse.Namespace) -> int:
    from prm_eval.stepsets import StepSet

    step_set = StepSet(options.step_set)
    faults = step_set.verify()
    for fault in faults:
        print(fault)
    found = counted(len(faults), "fault") if faults else f"sound, {step_set.info.content_hash}"
    print(f"{step_set.path}: {found}")
    return 1 if faults else 0


def _explain_steps(options: argparse.Namespace) -> int:
    from prm_eval.importers.steps.explain import explain
    from prm_eval.stepsets import StepSet

    step_set = StepSet(options.step_set)
    for line in explain(step_set, options.solution, options.rewards, threshold=options.threshold):
        print(line)
    return 0


STEPS_ACTIONS: dict[str, Callable[[argparse.Namespace], int]] = {
    "steps import": _steps_import,
    "steps show": _steps_show,
    "steps verify": _steps_verify,
    "explain-steps": _explain_steps,
}
