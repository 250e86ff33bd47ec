"""The commands about several problem sets: ``table`` and ``problems``."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable

from prm_eval.cli.printing import say as print
from prm_eval.progress import Bar


def _table(options: argparse.Namespace) -> int:
    from prm_eval.children.workers import processors
    from prm_eval.evaluation.by_set import run_table
    from prm_eval.evaluation.set_report import set_lines

    found = run_table(
        options.pools,
        options.rewards or (),
        grades=options.grades,
        aggregations=options.aggregation,
        score_type=options.score_type,
        ns=options.n,
        resamples=options.resamples,
        draws=options.draws,
        seed=options.seed,
        jobs=options.jobs or processors(),
        bars=Bar,
        selectors=options.selectors,
        no_answer=options.no_answer,
    )
    if options.json:
        print(json.dumps(found.to_json(), indent=2, allow_nan=False))
        return 0
    for line in set_lines(found):
        print(line)
    return 0


def _problems(options: argparse.Namespace) -> int:
    from prm_eval.evaluation.set_golds import describe_set, hub_lines, hub_record, set_lines

    if options.set is None:
        if options.json:
            print(json.dumps(hub_record(), indent=2))
            return 0
        for line in hub_lines():
            print(line)
        return 0
    found = describe_set(options.set)
    if options.json:
        print(json.dumps(found.to_json(), indent=2))
        return 0
    for line in set_lines(found, options.show or 0):
        print(line)
    return 0


TABLE_ACTIONS: dict[str, Callable[[argparse.Namespace], int]] = {"table": _table, "problems": _problems}
