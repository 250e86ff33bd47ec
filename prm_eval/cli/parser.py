"""The options of ``prm-eval``: names, arguments and help of its commands, one function a command."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from prm_eval import __version__
from prm_eval.cli.parser_cost import cost_parser
from prm_eval.cli.parser_evaluate import evaluate_parser
from prm_eval.cli.parser_label import label_parser
from prm_eval.cli.parser_miniature import miniature_parser
from prm_eval.cli.parser_score import score_parser
from prm_eval.cli.parser_seeing import rank_parser, show_parser
from prm_eval.cli.parser_steps import steps_parser
from prm_eval.cli.parser_table import problems_parser, table_parser
from prm_eval.cli.parser_train import train_parser
from prm_eval.cli.types import (
    Help,
    Later,
    Renamed,
    add_choice,
    add_command,
    add_group,
    add_jobs,
    positive,
)
from prm_eval.submissions.questions import QUESTIONS
from prm_eval.texts.steps import BASE_SPLITTERS, SPLITTERS

VERIFY_OPTIONS = (
    *("recipe", "revision", "device", "dtype", "batch_tokens", "max_tokens", "separator", "splitter", "reference"),
    *("base_url", "temperature", "votes"),
)
"""Options of a reward model that ``prm-eval verify`` takes as ``prm-eval score`` does."""


def build_parser() -> argparse.ArgumentParser:
    """Return the parser; the attribute ``command`` of parsed options names the command."""
    parser = argparse.ArgumentParser(
        prog="prm-eval",
        description="Measure how well a verifier picks the right solution out of N sampled ones. "
        "A first look: prm-eval demo.",
        epilog="example: prm-eval run --model hf ... --tasks math500_bon --metadata n_samples=64 prm_model=...",
        formatter_class=Help,
    )
    parser.add_argument("--version", action="version", version=f"prm-eval {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    _demo(commands)
    commands.add_parser("run", help="lm_eval run, with --include_path filled in", add_help=False)
    add_command(commands, "tasks-path", "print the folder of our tasks, for lm_eval --include_path", "")
    _grade(commands)
    score_parser(commands)
    evaluate_parser(commands)
    cost_parser(commands)
    table_parser(commands)
    rank_parser(commands)
    _explain(commands)
    _pool(commands)
    steps_parser(commands)
    label_parser(commands)
    train_parser(commands)
    miniature_parser(commands)
    _submit_form(commands)
    _check(commands)
    _verify(commands)
    _leaderboard(commands)
    problems_parser(commands)
    _plugins(commands)
    return parser


def _demo(commands: Any) -> None:
    demo = add_command(
        commands,
        "demo",
        "sample the tiny policy that ships through the real lm_eval, "
        "judge it with the tiny ORM and PRM: table and page",
        "-o demo_out --problems 35 --samples 8",
    )
    demo.add_argument(
        "-o", "--output", type=Path, default=Path("demo_out"), help="where everything goes (default: %(default)s)"
    )
    demo.add_argument(
        "--problems",
        type=positive,
        default=Later("prm_eval.demo.sampled:DEFAULT_PROBLEMS"),
        help="miniature test problems (default: %(default)s)",
    )
    demo.add_argument(
        "--samples",
        type=positive,
        default=Later("prm_eval.demo.sampled:DEFAULT_SAMPLES"),
        help="candidates a problem (default: %(default)s)",
    )
    demo.add_argument("--device", default="cpu", help="cpu, cuda, ... (default: %(default)s)")
    demo.add_argument(
        "--handwritten",
        action="store_true",
        help="instead: 35 problems x 8 candidates written by hand, judged by rules; needs no torch",
    )


def _grade(commands: Any) -> None:
    grade = add_command(commands, "grade", "candidates -> answers, classes, grades", "POOL --compare published")
    grade.add_argument("pool", type=Path, help="a pool folder")
    grade.add_argument("-o", "--output", type=Path, help="where grades go (default: into the pool)")
    grade.add_argument(
        "--grader",
        default="default",
        help="a grader, with its options after a colon, for example default:rounded_decimals=4, default:prm800k, "
        "math-verify (see: prm-eval plugins; options: prm_eval/grading/deciding/options.py)",
    )
    grade.add_argument(
        "--compare",
        metavar="SOURCE",
        help="list candidates judged otherwise by these grades: published, or a grader such as math-verify",
    )
    grade.add_argument(
        "--check-golds",
        metavar="SET",
        help="list golds that contradict this problem set's gold of the same statement, and exit with status 1: "
        "a JSON-lines file, or a set by name such as math500",
    )
    add_jobs(grade)


def _explain(commands: Any) -> None:
    explain = add_command(
        commands,
        "explain",
        "how one answer is judged: extraction, trees, the rule that decided",
        r"'\frac12' 'so it is \boxed{50\%}' --options percent_as_fraction",
    )
    explain.add_argument("gold", help="the gold answer")
    explain.add_argument("answer", help="an answer, or a whole response with \\boxed{...}")
    explain.add_argument(
        "--options",
        dest="grading",
        help="grading options joined by +, for example percent_as_fraction+rounded_decimals=4; or a preset: prm800k, "
        "hendrycks, math_verify",
    )
    explain.add_argument("--policy", dest="grading", action=Renamed, now="--options")


def _pool(commands: Any) -> None:
    text = "import, show, verify or register a pool"
    actions = add_group(commands, "pool", text, "import samples.jsonl -o POOL")
    _pool_import(actions)
    show_parser(actions)
    verify = add_command(actions, "verify", "recompute its hashes and check its reward files", "POOL", "pool verify")
    verify.add_argument("pool", type=Path, help="a pool folder")
    _pool_register(actions)


def _pool_import(actions: Any) -> None:
    load = add_command(
        actions,
        "import",
        "files of other tools (samples, logs, dumps, hub datasets) -> pool",
        "samples.jsonl -o POOL --policy Qwen/Qwen2.5-Math-7B-Instruct",
        "pool import",
    )
    load.add_argument(
        "file",
        nargs="+",
        help="a file, a folder, a glob, several of them, or hf://owner/dataset[:config[:split]][@revision]; the format "
        "is recognised by the first row",
    )
    load.add_argument("-o", "--output", type=Path, required=True, metavar="FOLDER", help="the pool to make")
    add_choice(
        load,
        "--format",
        default="auto",
        choices=Later("prm_eval.importers:FORMATS", before=["auto"]),
        help="instead of recognising it",
    )
    load.add_argument("--policy", help="name of the model that wrote the candidates")
    load.add_argument(
        "--slots",
        default="max",
        metavar="M",
        help="slots a problem: a number, max (default; missing ones count as wrong), or min",
    )
    load.add_argument(
        "--splitter",
        choices=SPLITTERS,
        metavar="SPLITTER",
        help=f"how candidates are cut into steps (docs/steps.md): {', '.join(BASE_SPLITTERS)}, each also with "
        ":tools=drop (default: given where the file has steps, else the format's way)",
    )
    load.add_argument(
        "--score-type",
        action="append",
        metavar="TYPE",
        help="what the scores are, where the file does not say: probability, log_odds, logit, raw or percent; or "
        "FIELD=TYPE, once a field",
    )
    load.add_argument("--skip-bad", action="store_true", help="leave out problems with a fault, and list them")
    add_jobs(load)


def _pool_register(actions: Any) -> None:
    register = add_command(
        actions,
        "register",
        "put a graded pool, or a step set, on the board of a results folder",
        "POOL --id math500-64 -o results",
        "pool register",
    )
    register.add_argument("pool", type=Path, help="a pool folder, graded, or a step set")
    register.add_argument("--id", required=True, metavar="NAME", help="what the pool is called in paths")
    register.add_argument(
        "-o", "--output", type=Path, default=Path("results"), metavar="DIR", help="the results folder"
    )
    register.add_argument("--title", help="what the pool is called for readers")
    register.add_argument("--about", metavar="TEXT", help="what the pool is, and what not: a sentence under its title")
    register.add_argument("--headline-n", type=positive, metavar="N", help="the n to rank by (default: a quarter of M)")


def _submit_form(commands: Any) -> None:
    form = add_command(
        commands,
        "submit-form",
        "what a machine cannot know of a submission: licence, training data, contact",
        "results/submissions/ORG__MODEL/REVISION/POOL-ID --licence Apache-2.0",
    )
    form.add_argument("folder", type=Path, help="a submission, as made by: prm-eval score --submission")
    form.add_argument("--answers", type=Path, metavar="FILE", help="a JSON file (results/schema/disclosure.json)")
    for question in QUESTIONS:
        form.add_argument(
            "--" + question.name.replace("_", "-"),
            choices=question.choices or None,
            metavar=None if question.choices else "TEXT",
            help=question.text,
        )


def _check(commands: Any) -> None:
    check = add_command(
        commands,
        "check",
        "every fault of submissions, or of a results folder; exit status 1 if there is one",
        "results/submissions/ORG__MODEL/REVISION/POOL-ID --new",
    )
    check.add_argument("paths", type=Path, nargs="+", metavar="PATH", help="a submission folder, or a results folder")
    check.add_argument("--json", action="store_true", help="as JSON")
    check.add_argument("--new", action="store_true", help="as a new submission: it may not bring a verification.json")
    check.add_argument(
        "--model", metavar="PATH", help="a checkpoint whose tokenizer recomputes the rendered inputs (folder or hub id)"
    )


def _verify(commands: Any) -> None:
    verify = add_command(
        commands,
        "verify",
        "score a random sample of a submission again with the model itself, and compare",
        "results/submissions/ORG__MODEL/REVISION/POOL-ID --reward-model ORG/MODEL",
    )
    verify.add_argument("folder", type=Path, help="a submission folder")
    verify.add_argument("--reward-model", required=True, metavar="RM", help="the model, as for prm-eval score")
    verify.add_argument(
        "--sample",
        type=positive,
        metavar="K",
        help="candidates (default: what the tier needs, 200 times the board's n)",
    )
    verify.add_argument("--all", action="store_true", help="all candidates instead of a sample")
    verify.add_argument("--seed", type=int, help="of the sample (default: a random one, which is recorded)")
    verify.add_argument("--by", default="a maintainer", metavar="WHO", help="who verifies, for the record")
    for option in VERIFY_OPTIONS:
        verify.add_argument(f"--{option.replace('_', '-')}", metavar="X", help="as for prm-eval score")


def _leaderboard(commands: Any) -> None:
    board = add_command(
        commands, "leaderboard", "pools and submissions -> the board: pages, tables, charts", "results --check"
    )
    board.add_argument(
        "results",
        type=Path,
        nargs="?",
        default=Path("results"),
        help="with pools/ and submissions/ (default: %(default)s)",
    )
    board.add_argument("-o", "--output", type=Path, metavar="DIR", help="where it goes (default: RESULTS/leaderboard)")
    board.add_argument("--check", action="store_true", help="write nothing; fail, with a list, where files are stale")
    board.add_argument("--readme", type=Path, metavar="FILE", help="also the table between a README's markers")
    add_jobs(board)


def _plugins(commands: Any) -> None:
    text = "installed reward models, selectors, graders and problem sets, and who brought them; recipes"
    add_command(commands, "plugins", text, "--json").add_argument("--json", action="store_true", help="as JSON")
