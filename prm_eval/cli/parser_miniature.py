"""The options of ``prm-eval miniature``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from prm_eval.cli.types import Later, add_choice, add_command, add_group, positive, whole_numbers

STUDY_SIZES = "prm_eval.miniature.study.laboratory:StudySettings"


def miniature_parser(commands: Any) -> None:
    """Add ``prm-eval miniature`` and its actions."""
    text = "the embedded family of problems: check its splits, make its policy, ORM and PRM, and their figures"
    actions = add_group(commands, "miniature", text, "check")
    _check(actions)
    for goal, what in (
        ("policy", "the policy, from drills, right solutions and the noisy corpus"),
        ("orm", "the ORM, from final answers of candidates (and first what it needs)"),
        ("prm", "the PRM, from step labels of the same candidates (and first what it needs)"),
        ("all", "all three"),
    ):
        _make(actions, goal, what)
    _study(actions)
    _figures(actions)
    _steps(actions)


def _check(actions: Any) -> None:
    check = add_command(
        actions,
        "check",
        "count test problems that occur in training or validation, over several seeds",
        "--seeds 0,1,2",
        "miniature check",
    )
    check.add_argument("--seeds", type=whole_numbers, default=[0, 1, 2], metavar="0,1,2", help="seeds of every split")
    check.add_argument(
        "--train", type=positive, default=30_000, help="training problems drawn a seed (default: %(default)s)"
    )
    check.add_argument(
        "--count", type=positive, default=700, help="validation and test problems a seed (default: %(default)s)"
    )
    check.add_argument(
        "--trained",
        type=whole_numbers,
        metavar="SEED",
        help="draw again all problems that the models of a seed were trained on; with 0,1 also those of another seed's "
        "backbone, which these may have been made from",
    )


def _figures(actions: Any) -> None:
    figures = add_command(
        actions,
        "figures",
        "sample, grade and score a pool with finished models, and hold its figures against what is required "
        "(exit status 1: missed)",
        "miniature_out -o figures_out --split test",
        "miniature figures",
    )
    figures.add_argument(
        "models",
        type=Path,
        nargs="+",
        help="folders with miniature-policy, miniature-orm and miniature-prm; of several, made with different seeds, "
        "the figures are means, with limits over problems, which decide, and over trainings as well",
    )
    figures.add_argument("-o", "--output", type=Path, required=True, help="folder of the pool, rewards and figures")
    figures.add_argument("--split", choices=("validation", "test"), default="validation", help="default: %(default)s")
    figures.add_argument(
        "--problems",
        type=positive,
        default=Later("prm_eval.miniature.figures:DEFAULT_PROBLEMS"),
        help="default: %(default)s, ten of each subject and level",
    )
    figures.add_argument(
        "--candidates",
        type=positive,
        default=Later("prm_eval.miniature.figures:DEFAULT_CANDIDATES"),
        help="a problem (default: %(default)s)",
    )
    figures.add_argument(
        "--temperature",
        type=float,
        default=Later("prm_eval.miniature.figures:DEFAULT_TEMPERATURE"),
        help="of sampling (default: %(default)s)",
    )
    figures.add_argument("--seed", type=int, default=0, help="of sampling (default: %(default)s)")
    figures.add_argument("--device", default="cpu", help="cpu or cuda (default: %(default)s)")


def _steps(actions: Any) -> None:
    steps = add_command(
        actions,
        "steps",
        "a step set of two solutions a problem, one with a wrong step and one without, every step judged by the oracle",
        "-o miniature-v2-steps",
        "miniature steps",
    )
    steps.add_argument("-o", "--output", type=Path, required=True, help="folder of the step set")
    steps.add_argument(
        "--pool",
        type=Path,
        default=Path("results/pools/miniature-v2-350x64"),
        help="a pool of test or validation problems of the miniature (default: %(default)s)",
    )


def _study(actions: Any) -> None:
    study = add_command(
        actions,
        "study",
        "repeat a small-scale study of the paper with an oracle in place of people: figures (JSON) and a picture (SVG)",
        "supervision --seeds 0,1,2 -o miniature_out/study",
        "miniature study",
    )
    add_choice(
        study,
        "name",
        choices=Later("prm_eval.miniature.study:STUDIES"),
        help="supervision: labels of steps or of outcomes, by the oracle or a large PRM; active-learning: which "
        "candidates to label; teaching: a policy trained on what verifiers choose; out-of-distribution: a subject or "
        "levels left out; overoptimisation: an ORM of few steps; aggregation: how steps become one reward; "
        "difficulty: by quintile of the pass rate",
    )
    study.add_argument(
        "-o",
        "--output",
        type=Path,
        default=Path("miniature_out/study"),
        help="candidates, verifiers and what the study found; the same command goes on where it was cut off "
        "(default: %(default)s)",
    )
    study.add_argument(
        "--models",
        type=Path,
        help="a folder with miniature-policy, -backbone, -orm and -prm (default: those that ship)",
    )
    study.add_argument(
        "--split",
        choices=("validation", "test"),
        default=Later(f"{STUDY_SIZES}.split"),
        help="the problems that verifiers are tested on: validation while a study is made (default: %(default)s)",
    )
    study.add_argument(
        "--iterated", action="store_true", help="active-learning: an arm that labels, trains and chooses again as well"
    )
    study.add_argument(
        "--rounds",
        type=positive,
        default=Later(f"{STUDY_SIZES}.rounds"),
        help="teaching alone: how often the policy writes, is chosen from and is trained; a folder may go on with "
        "more (default: %(default)s)",
    )
    study.add_argument(
        "--seeds", type=whole_numbers, default=Later(f"{STUDY_SIZES}.seeds"), metavar="0,1,2", help="seeds of verifiers"
    )
    study.add_argument(
        "--problems",
        type=positive,
        default=Later(f"{STUDY_SIZES}.problems"),
        help="training problems, 8 or more for active-learning (default: %(default)s)",
    )
    study.add_argument(
        "--test-problems",
        type=positive,
        default=Later(f"{STUDY_SIZES}.test_problems"),
        help="test problems (default: %(default)s)",
    )
    study.add_argument(
        "--samples",
        type=positive,
        default=Later(f"{STUDY_SIZES}.samples"),
        help="candidates a problem (default: %(default)s)",
    )
    study.add_argument(
        "--most-steps",
        type=positive,
        default=Later(f"{STUDY_SIZES}.most_steps"),
        help="optimizer steps of the largest arms, but of active-learning, whose arms have equally many "
        "(default: %(default)s)",
    )
    study.add_argument("--device", default="cpu", help="cpu or cuda (default: %(default)s)")


def _make(actions: Any, goal: str, what: str) -> None:
    parser = add_command(actions, goal, f"train {what}", "-o miniature_out --seed 0", "miniature make")
    parser.set_defaults(goal=goal)
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        default=Path("miniature_out"),
        help="models, states and logs; the same command goes on where it was cut off (default: %(default)s)",
    )
    parser.add_argument("--seed", type=int, default=0, help="of everything that is drawn (default: %(default)s)")
    parser.add_argument("--device", default="cpu", help="cpu or cuda (default: %(default)s)")
    parser.add_argument(
        "--backbone", type=Path, metavar="FOLDER", help="the checkpoint of a backbone, in place of training one"
    )
    parser.add_argument(
        "--policy-steps",
        type=positive,
        metavar="N",
        default=Later("prm_eval.miniature.make:POLICY_STEPS"),
        help="optimizer steps of the policy on the noisy corpus (default: %(default)s); "
        "another number makes another policy, for a second pool",
    )
