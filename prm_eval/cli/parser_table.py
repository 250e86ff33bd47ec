"""The options of ``prm-eval table`` and ``prm-eval problems``."""

from __future__ import annotations

from typing import Any

from prm_eval.cli.parser_evaluate import add_measuring, add_resamples, add_selectors
from prm_eval.cli.types import add_command, add_jobs, names, positive, whole_numbers


def table_parser(commands: Any) -> None:
    """Add ``prm-eval table``."""
    table = add_command(
        commands,
        "table",
        "pools of several problem sets: a row a set and one for all, with limits and the sign test",
        "physics=POOL1 chemistry=POOL2 --rewards my-prm --n 64",
    )
    table.add_argument(
        "pools",
        nargs="+",
        metavar="POOL",
        help="a pool folder, or NAME=POOL with the row it belongs to; several may share one (default: the domain that "
        "the pool's task has, or else its problem set)",
    )
    table.add_argument(
        "--rewards",
        type=names,
        metavar="A,B",
        help="reward folders, by their names in POOL/rewards (default: those that all pools have)",
    )
    table.add_argument(
        "--n",
        type=whole_numbers,
        metavar="1,8,64",
        help="the grid of n; the table shows the largest (default: powers of two and the fewest slots)",
    )
    table.add_argument("--json", action="store_true", help="print one JSON object, with every n and selector")
    add_selectors(table)
    add_measuring(table)
    add_resamples(table)
    add_jobs(table)


def problems_parser(commands: Any) -> None:
    """Add ``prm-eval problems``."""
    problems = add_command(
        commands,
        "problems",
        "the problem sets by name: where they are and what their columns hold; or one, with the golds that grading "
        "cannot read",
        "aime24:FILE.jsonl",
    )
    problems.add_argument(
        "set",
        nargs="?",
        metavar="SET",
        help="a set by name, NAME:FILE (a local copy), FILE, FILE:COLUMN=VALUE, or owner/dataset[:config[:split]]",
    )
    problems.add_argument("--show", type=positive, metavar="N", help="print the first N problems as they are asked")
    problems.add_argument("--json", action="store_true", help="print one JSON object")
