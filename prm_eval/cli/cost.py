"""The command ``prm-eval cost``."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path

from prm_eval.cli.printing import say as print
from prm_eval.errors import PrmEvalError
from prm_eval.progress import Bar


def _cost(options: argparse.Namespace) -> int:
    from prm_eval.evaluation.cost.counts import read_price
    from prm_eval.evaluation.cost.jobs import DEFAULT_SELECTORS, CostSettings, run_cost
    from prm_eval.evaluation.cost.report import chart_svg, html_page, text_tables

    settings = CostSettings(
        ns=None if options.n is None else tuple(options.n),
        selectors=tuple(options.selectors or DEFAULT_SELECTORS),
        count_by=options.count_by,
        price=read_price(options.price or ()),
        reach=_shares(options.reach or ()),
        folds=options.folds,
        slack=options.slack,
        no_answer=options.no_answer,
        draws=options.draws,
        seed=options.seed,
        resamples=options.resamples,
    )
    found = run_cost(
        options.pool,
        options.rewards,
        settings,
        grades=options.grades,
        aggregations=options.aggregation,
        score_type=options.score_type,
        bars=Bar,
    )
    print(json.dumps(found.to_json(), indent=2, allow_nan=False) if options.json else text_tables(found))
    for warning in found.warnings if options.json else ():
        print(f"WARNING: {warning}", file=sys.stderr)
    if options.html:
        title = (
            options.title or f"Accuracy against cost on {found.pool['problem_set'].get('name') or options.pool.name}"
        )
        _write(options.html, html_page(found, title), "page")
    if options.svg:
        _write(options.svg, chart_svg(found), "chart")
    return 0


def _shares(words: list[str] | tuple[()]) -> tuple[float, ...]:
    """Return accuracies.

    Raises:
        PrmEvalError: A word is no number.
    """
    try:
        return tuple(float(word) for word in words)
    except ValueError:
        raise PrmEvalError(f"--reach {','.join(words)}; expected accuracies such as 0.9,0.95") from None


def _write(path: Path, text: str, what: str) -> None:
    from prm_eval.store.writing import write_named

    path.parent.mkdir(parents=True, exist_ok=True)
    write_named(path, text)
    print(f"{what:<10} {path}", file=sys.stderr)


COST_ACTIONS: dict[str, Callable[[argparse.Namespace], int]] = {"cost": _cost}
