"""The options of ``prm-eval miniature``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from prm_eval.cli.types import add_command, positive, whole_numbers


def miniature_parser(commands: Any) -> None:
    """Add ``prm-eval miniature`` and its actions."""
    text = "the embedded family of problems: check its splits, make its policy, ORM and PRM, and their figures"
    miniature = commands.add_parser("miniature", help=text, description=text[0].upper() + text[1:] + ".")
    actions = miniature.add_subparsers(metavar="ACTION", required=True)
    check = add_command(
        actions,
        "check",
        "count test problems that occur in training or validation, over several seeds",
        "miniature check",
    )
    check.add_argument("--seeds", type=whole_numbers, default=[0, 1, 2], metavar="0,1,2", help="seeds of every split")
    check.add_argument("--train", type=positive, default=30_000, help="training problems drawn a seed (default: 30000)")
    check.add_argument("--count", type=positive, default=700, help="validation and test problems a seed (default: 700)")
    check.add_argument(
        "--trained", type=int, metavar="SEED", help="draw again all problems that the models of a seed were trained on"
    )
    for goal, what in (
        ("policy", "the policy, from drills, right solutions and the noisy corpus"),
        ("orm", "the ORM, from final answers of candidates (and first what it needs)"),
        ("prm", "the PRM, from step labels of the same candidates (and first what it needs)"),
        ("all", "all three"),
    ):
        _making(add_command(actions, goal, f"train {what}", "miniature make"), goal)
    _study_parser(actions)
    figures = add_command(
        actions,
        "figures",
        "sample, grade and score a pool with finished models, and hold its figures against what is required (exit "
        "status 1: missed)",
        "miniature figures",
    )
    figures.add_argument("models", type=Path, help="a folder with miniature-policy, miniature-orm and miniature-prm")
    figures.add_argument("-o", "--output", type=Path, required=True, help="folder of the pool, rewards and figures")
    figures.add_argument("--split", choices=("validation", "test"), default="validation", help="default: validation")
    figures.add_argument("--problems", type=positive, default=350, help="default: 350, ten of each subject and level")
    figures.add_argument("--candidates", type=positive, default=64, help="a problem (default: 64)")
    figures.add_argument("--temperature", type=float, default=0.7, help="of sampling (default: 0.7)")
    figures.add_argument("--seed", type=int, default=0, help="of sampling (default: 0)")
    figures.add_argument("--device", default="cpu", help="cpu (default) or cuda")


def _study_parser(actions: Any) -> None:
    study = add_command(
        actions,
        "study",
        "repeat a small-scale study of the paper with an oracle in place of people: figures (JSON) and a picture (SVG)",
        "miniature study",
    )
    study.add_argument(
        "name",
        choices=("supervision", "active-learning", "aggregation", "difficulty"),
        help="supervision: labels of steps or of outcomes; active-learning: which candidates to label; "
        "aggregation: how steps become one reward; difficulty: by quintile of the pass rate",
    )
    study.add_argument(
        "-o",
        "--output",
        type=Path,
        default=Path("miniature_out/study"),
        help="candidates, verifiers and what the study found; the same command goes on where it was cut off "
        "(default: miniature_out/study)",
    )
    study.add_argument(
        "--models",
        type=Path,
        help="a folder with miniature-policy and miniature-backbone (default: those that ship)",
    )
    study.add_argument("--seeds", type=whole_numbers, default=[0, 1, 2], metavar="0,1,2", help="seeds of verifiers")
    study.add_argument("--problems", type=positive, default=600, help="training problems (default: 600)")
    study.add_argument("--test-problems", type=positive, default=315, help="test problems (default: 315)")
    study.add_argument("--samples", type=positive, default=64, help="candidates a problem (default: 64)")
    study.add_argument(
        "--most-steps", type=positive, default=400, help="optimizer steps of the largest arms (default: 400)"
    )
    study.add_argument("--device", default="cpu", help="cpu (default) or cuda")


def _making(parser: argparse.ArgumentParser, goal: str) -> None:
    parser.set_defaults(goal=goal)
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        default=Path("miniature_out"),
        help="models, states and logs; the same command goes on where it was cut off (default: miniature_out)",
    )
    parser.add_argument("--seed", type=int, default=0, help="of everything that is drawn (default: 0)")
    parser.add_argument("--device", default="cpu", help="cpu (default) or cuda")
    parser.add_argument(
        "--policy-steps",
        type=positive,
        metavar="N",
        help="optimizer steps of the policy on the noisy corpus (default: 1400); another number makes another policy, "
        "for a second pool",
    )
