"""The options of ``prm-eval evaluate``, and those that ``cost`` and ``table`` share with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from prm_eval.cli.types import Later, add_choice, add_command, add_jobs, names, positive, whole_numbers


def evaluate_parser(commands: Any) -> None:
    """Add ``prm-eval evaluate``."""
    evaluate = add_command(
        commands,
        "evaluate",
        "a pool: all selectors at all n; a step set: where reward models put the first mistake; with limits",
        "POOL POOL/rewards/qwen --n 1,8,64 --html report.html",
    )
    evaluate.add_argument("pool", type=Path, metavar="POOL", help="a pool folder, or a step set (docs/step-sets.md)")
    evaluate.add_argument(
        "rewards",
        type=Path,
        nargs="*",
        metavar="REWARDS",
        help="reward folders (default: those in the pool); of a step set also JSON lines of scores or predictions; or "
        "more pools, of other policies",
    )
    evaluate.add_argument(
        "--rewards",
        dest="over",
        nargs="+",
        metavar="NAME",
        help="of several pools: reward models by name, or reward folders (default: all that every pool has)",
    )
    evaluate.add_argument("--json", action="store_true", help="print one JSON object")
    evaluate.add_argument("--html", type=Path, metavar="FILE", help="write one self-contained page with charts")
    evaluate.add_argument("--title", help="of that page")
    evaluate.add_argument(
        "--resamples",
        type=positive,
        metavar="N",
        help="bootstrap resamples (default: 10,000; of a step set 1,000)",
    )
    _evaluate_pool(evaluate.add_argument_group("of a pool"))
    _evaluate_steps(evaluate.add_argument_group("of a step set"))


def _evaluate_steps(steps: Any) -> None:
    steps.add_argument(
        "--threshold",
        metavar="T",
        help="a step is wrong if its score is below it: recipe (the model's own, 0.5 on probabilities), a number "
        "(>0.5: good only above it), or chosen:GROUP[:exact], the best on that group (default: recipe)",
    )
    add_choice(
        steps,
        "--missing",
        choices=Later("prm_eval.evaluation.stepwise.jobs:MISSING"),
        help="where a score is missing: refuse, or count the solution as wrong (default: refuse)",
    )
    add_choice(
        steps,
        "--neutral",
        choices=Later("prm_eval.evaluation.stepwise.arrays:NEUTRAL"),
        help="what neutral steps count as (default: good)",
    )


def _evaluate_pool(evaluate: Any) -> None:
    evaluate.add_argument(
        "--n", type=whole_numbers, metavar="1,8,64", help="the grid of n (default: powers of two and M)"
    )
    add_selectors(evaluate)
    evaluate.add_argument(
        "--k-measures",
        type=names,
        metavar="A,B",
        help="also avg@k, pass@k, maj@k, pass^k, g-pass@k:TAU (at least that share right), or all (docs/numbers.md)",
    )
    add_measuring(evaluate)
    add_jobs(evaluate)


def add_selectors(parser: Any, default: str = "all of ours; see: prm-eval plugins") -> None:
    """Add the option of the selectors that are measured."""
    parser.add_argument("--selectors", type=names, metavar="A,B", help=f"which (default: {default})")


def add_measuring(parser: Any) -> None:
    """Add the options that say how the candidates of a pool are graded, aggregated and drawn."""
    parser.add_argument(
        "--grades",
        default="auto",
        help="own, published, or a grader's name (default: own; published where there is no gold)",
    )
    parser.add_argument(
        "--aggregation",
        type=names,
        metavar="prod,min",
        help="evaluate PRMs under each of these (default: the declared one)",
    )
    add_choice(
        parser,
        "--score-type",
        choices=Later("prm_eval.records:DECLARABLE"),
        help="what the numbers are, where a reward file says no more than raw or value",
    )
    add_choice(
        parser,
        "--no-answer",
        default="auto",
        choices=Later("prm_eval.selection.selectors:NO_ANSWER", before=["auto"]),
        help="whether candidates without an answer lose every comparison or compete by their rewards "
        "(default: lose; compete under published grades, by which none lacks an answer)",
    )
    parser.add_argument(
        "--draws",
        type=positive,
        metavar="N",
        default=Later("prm_eval.selection.selectors:DEFAULT_DRAWS"),
        help="permutations a problem where no exact form is affordable (default: %(default)s)",
    )
    parser.add_argument(
        "--seed",
        type=int,
        default=Later("prm_eval.selection.selectors:DEFAULT_SEED"),
        help="of all that is drawn: permutations, resamples, folds (default: %(default)s)",
    )


def add_resamples(parser: Any) -> None:
    """Add the option of the bootstrap, with the default of pools."""
    parser.add_argument(
        "--resamples",
        type=positive,
        metavar="N",
        default=Later("prm_eval.evaluation.stats:DEFAULT_RESAMPLES"),
        help="bootstrap resamples (default: %(default)s)",
    )
