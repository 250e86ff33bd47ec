"""The commands about the package itself: ``demo``, ``tasks-path``, ``plugins``."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable

from prm_eval.cli.printing import say as print


def _demo(options: argparse.Namespace) -> int:
    from prm_eval.demo import run_demo, run_handwritten

    if options.handwritten:
        demo = run_handwritten(options.output)
        about = (
            "The two reward models are rules without weights (prm-eval plugins); the candidates were written by hand."
        )
    else:
        demo = run_demo(options.output, problems=options.problems, samples=options.samples, device=options.device)
        about = (
            "Policy, ORM and PRM are the tiny ones that ship; the mistakes they meet are designed "
            "(prm_eval/miniature/README.md)."
        )
    print(f"\n{demo.table}\n")
    if demo.steps_table is not None:
        print(f"Who finds the mistake? The oracle labelled steps of these candidates:\n\n{demo.steps_table}\n")
    print(about)
    print(f"pool    {demo.pool}\npage    {demo.page}\nresults {demo.results}")
    print(f"\nThe run above, as you would type it:\n  {demo.command}")
    return 0


def _tasks_path(options: argparse.Namespace) -> int:
    from prm_eval.harness import tasks_path

    print(tasks_path())
    return 0


def _plugins(options: argparse.Namespace) -> int:
    from prm_eval import __version__
    from prm_eval.plugins import GROUPS, installed
    from prm_eval.rewards.recipes.catalogue import recipe_table

    rows = [["name", "sort", "package", "object"]]
    for what in GROUPS:
        rows += [[each.name, what, f"{each.package} {each.version}", each.target] for each in installed(what).values()]
    recipes = recipe_table()
    if options.json:
        package = f"prm_eval {__version__}"
        listed = [dict(zip(rows[0], row, strict=True)) for row in rows[1:]]
        for row in recipes[1:]:
            fields = dict(zip(recipes[0][1:], row[1:], strict=True))
            listed.append(
                {"name": row[0], "sort": "recipe", "package": package, "object": f"recipes/{row[0]}.yaml", **fields}
            )
        print(json.dumps(listed, indent=2, ensure_ascii=False))
        return 0
    print(_columns(rows))
    print("\nrecipes: how published reward models are fed and read; NAME:CHECKPOINT uses one for another checkpoint\n")
    print(_columns(recipes))
    print("\nAdd yours: CONTRIBUTING.md; any object as package.module:Object, any recipe with --recipe FILE")
    return 0


def _columns(rows: list[list[str]]) -> str:
    """Return rows as aligned columns, the last one ragged."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


ABOUT_ACTIONS: dict[str, Callable[[argparse.Namespace], int]] = {
    "demo": _demo,
    "tasks-path": _tasks_path,
    "plugins": _plugins,
}
