"""The commands that show candidates: ``pool show`` and ``rank``."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path

from prm_eval.cli.printing import say as print
from prm_eval.errors import PrmEvalError
from prm_eval.progress import RANKING, Bar


def show_pool(path: Path, jobs: int) -> None:
    """Print what a pool holds, counted by so many processes."""
    from prm_eval.evaluation.pool_summary import summary_lines
    from prm_eval.pools.pool import Pool

    for line in summary_lines(Pool(path), Bar, jobs):
        print(line)


def _pool_show(options: argparse.Namespace) -> int:
    chosen = (options.problem, options.slot, options.verdict, options.rewards, options.html, options.most)
    if all(each is None for each in chosen):
        from prm_eval.children.workers import processors

        show_pool(options.pool, processors())
        return 0
    from prm_eval.evaluation.viewing import view_candidates
    from prm_eval.evaluation.views import view_lines, view_page
    from prm_eval.store.writing import write_named

    view = view_candidates(
        options.pool,
        problem=options.problem,
        slot=options.slot,
        verdict=options.verdict,
        rewards=options.rewards,
        grades=options.grades,
        most=options.most,
    )
    if options.html is None:
        for line in view_lines(view):
            print(line)
        return 0
    try:
        options.html.parent.mkdir(parents=True, exist_ok=True)
        write_named(options.html, view_page(view, f"Candidates of {options.pool.name}"))
    except OSError as error:
        raise PrmEvalError(f"--html {options.html}: {error.strerror or error}") from None
    print(f"page       {options.html}")
    return 0


def _rank(options: argparse.Namespace) -> int:
    from prm_eval.evaluation.ranking import ranking_lines, run_ranking

    with Bar(RANKING, None, "problem") as progress:
        found = run_ranking(options.pool, options.rewards, aggregations=options.aggregation, progress=progress)
    if options.json:
        print(json.dumps(found.to_json(), indent=2, allow_nan=False))
        for warning in found.warnings:
            print(f"WARNING: {warning}", file=sys.stderr)
        return 0
    for line in ranking_lines(found):
        print(line)
    return 0


SEEING_ACTIONS: dict[str, Callable[[argparse.Namespace], int]] = {
    "pool show": _pool_show,
    "rank": _rank,
}
