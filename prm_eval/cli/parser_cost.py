"""The options of ``prm-eval cost``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from prm_eval.cli.parser_evaluate import add_measuring, add_resamples, add_selectors
from prm_eval.cli.types import Later, add_command, names, positive, whole_numbers


def cost_parser(commands: Any) -> None:
    """Add ``prm-eval cost``."""
    cost = add_command(
        commands,
        "cost",
        "accuracy against tokens: the cheapest n, what a reward model is worth against majority, stopping early",
        "POOL POOL/rewards/qwen --reach 0.9 --html cost.html",
    )
    cost.add_argument("pool", type=Path, help="a pool folder")
    cost.add_argument(
        "rewards", type=Path, nargs="*", metavar="REWARDS", help="reward folders (default: those in the pool)"
    )
    cost.add_argument(
        "--count-by",
        metavar="HOW",
        default=Later("prm_eval.evaluation.cost.counts:RECORDED"),
        help="recorded: the tokens that pool and rewards say; an estimate by name: characters, or a tokenizer (a "
        "checkpoint folder or hub id) (default: %(default)s)",
    )
    cost.add_argument(
        "--price",
        type=names,
        metavar="written=1,read=1",
        help="what a token written by the policy, a token read by the reward model, and a candidate= cost (default: "
        "1, 1 and 0)",
    )
    cost.add_argument("--reach", type=names, metavar="0.9,0.95", help="accuracies: the cheapest n that reaches each")
    cost.add_argument(
        "--n", type=whole_numbers, metavar="1,8,64", help="the n that are shown (default: powers of two and M)"
    )
    add_selectors(cost, "first, majority, best_of_n")
    cost.add_argument(
        "--folds",
        type=positive,
        metavar="K",
        default=Later("prm_eval.evaluation.cost.stopping:DEFAULT_FOLDS"),
        help="folds of problems: the thresholds of each are learnt on the others (default: %(default)s)",
    )
    cost.add_argument(
        "--slack",
        type=float,
        metavar="SHARE",
        default=0.0,
        help="the accuracy that a threshold may give up where it is learnt, such as 0.005 (default: %(default)s)",
    )
    add_measuring(cost)
    add_resamples(cost)
    cost.add_argument("--json", action="store_true", help="print one JSON object")
    cost.add_argument("--html", type=Path, metavar="FILE", help="write one self-contained page with charts")
    cost.add_argument("--svg", type=Path, metavar="FILE", help="write the chart alone")
    cost.add_argument("--title", help="of that page")
