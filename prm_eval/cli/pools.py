"""The commands about pools: ``pool import``, ``pool verify``, ``pool register``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable

from prm_eval.cli.printing import say as print
from prm_eval.cli.seeing import show_pool
from prm_eval.cli.types import counted
from prm_eval.progress import IMPORTING, Bar


def _pool_import(options: argparse.Namespace) -> int:
    from prm_eval.children.workers import processors
    from prm_eval.importers import import_pool

    jobs = options.jobs or processors()
    with Bar(IMPORTING, None, "problem") as progress:
        report = import_pool(
            options.file,
            options.output,
            form=options.format,
            policy=options.policy,
            slots=options.slots,
            splitter=options.splitter,
            score_type=options.score_type,
            skip_bad=options.skip_bad,
            jobs=jobs,
            progress=progress,
        )
    for note in report.notes:
        print(f"note: {note}", file=sys.stderr)
    for name in sorted(report.ignored):
        print(f"ignored field: {name} ({report.ignored[name]:,} times)", file=sys.stderr)
    for fault in report.skipped:
        print(f"skipped: {fault}", file=sys.stderr)
    if report.skipped:
        print(f"{counted(len(report.skipped), 'problem')} skipped", file=sys.stderr)
    print(f"format     {report.format}{' (recognised)' if report.recognised else ''}: {report.describe}")
    show_pool(options.output, jobs)
    return 0


def _pool_verify(options: argparse.Namespace) -> int:
    from prm_eval.evaluation.jobs import verify_pool
    from prm_eval.pools.pool import Pool

    pool = Pool(options.pool)
    faults = verify_pool(pool)
    for fault in faults:
        print(fault)
    found = counted(len(faults), "fault") if faults else f"sound, {pool.info.content_hash}"
    print(f"{pool.path}: {found}")
    return 1 if faults else 0


def _pool_register(options: argparse.Namespace) -> int:
    from prm_eval.evaluation.jobs import grade_unless_graded
    from prm_eval.grading.pool import own_grader
    from prm_eval.pools.pool import Pool
    from prm_eval.stepsets import is_step_set
    from prm_eval.submissions import register_pool

    if is_step_set(options.pool):
        return _register_step_set(options)
    pool = Pool(options.pool).require_sound()
    if grade_unless_graded(pool, own_grader(pool), bars=Bar):
        print(f"graded     {pool.path} had no grades of this version: they were made, and stay in that folder")
    entry = register_pool(
        pool, options.output, options.id, title=options.title, headline_n=options.headline_n, about=options.about
    )
    print(f"registered {options.output / 'pools' / entry.pool_id}  ({entry.content_hash})")
    print(f"next       prm-eval score {pool.path} --reward-model RM --submission ORG/MODEL -o {options.output}")
    return 0


def _register_step_set(options: argparse.Namespace) -> int:
    from prm_eval.errors import PrmEvalError
    from prm_eval.evaluation.stepwise.report import HEADLINES, LABELS
    from prm_eval.stepsets import StepSet
    from prm_eval.submissions import register_step_set

    if options.headline_n is not None:
        raise PrmEvalError(f"--headline-n: {options.pool} is a step set; its board ranks by who finds the mistake")
    step_set = StepSet(options.pool)
    entry = register_step_set(step_set, options.output, options.id, title=options.title, about=options.about)
    said = entry.step_set
    if said is not None:
        made = " (a model made them)" if step_set.info.made_by_a_model else ""
        print(f"step set   {said.name}: labels of {LABELS[said.labels]}, by {said.label_source}{made}")
        print(f"ranked by  {HEADLINES[said.headline]}; grades are not needed")
        print(f"registered {options.output / 'pools' / entry.pool_id}  ({said.content_hash})")
    print(f"next       prm-eval score {options.pool} --reward-model RM --submission ORG/MODEL -o {options.output}")
    return 0


POOL_ACTIONS: dict[str, Callable[[argparse.Namespace], int]] = {
    "pool import": _pool_import,
    "pool verify": _pool_verify,
    "pool register": _pool_register,
}
