"""The options of ``prm-eval``: what its commands are called, what they take, what they are for."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from prm_eval import __version__
from prm_eval.cli.parser_miniature import miniature_parser
from prm_eval.cli.types import add_command, names, positive, whole_numbers
from prm_eval.submissions.questions import QUESTIONS

VERIFY_OPTIONS = (
    *("recipe", "revision", "device", "dtype", "batch_tokens", "max_tokens", "separator", "splitter", "reference"),
    *("base_url", "temperature", "votes"),
)
"""Options of a reward model that ``prm-eval verify`` takes as ``prm-eval score`` does."""


def build_parser() -> argparse.ArgumentParser:
    """Return the parser; ``command`` of what it parses names the command."""
    parser = argparse.ArgumentParser(
        prog="prm-eval",
        description="Measure how well a verifier picks the right solution out of N sampled ones.",
        epilog="A first look: prm-eval demo. "
        "Inside lm_eval: prm-eval run --model hf ... --tasks math500_bon --metadata n_samples=64 prm_model=...",
    )
    parser.add_argument("--version", action="version", version=f"prm-eval {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    _demo_parser(commands)

    commands.add_parser("run", help="lm_eval run, with --include_path filled in", add_help=False)
    add_command(commands, "tasks-path", "print the folder of our tasks, for lm_eval --include_path")

    grade = add_command(commands, "grade", "candidates -> answers, classes, grades")
    grade.add_argument("pool", type=Path, help="a pool folder")
    grade.add_argument("-o", "--output", type=Path, help="where grades go (default: into the pool)")
    grade.add_argument(
        "--grader",
        default="default",
        help="a grader, with its options after a colon, for example default:rounded_decimals=4, default:prm800k, "
        "math-verify "
        "(see: prm-eval plugins; options: prm_eval/grading/deciding/options.py)",
    )
    grade.add_argument(
        "--compare",
        metavar="SOURCE",
        help="list candidates judged otherwise by these grades: published, or a grader such as math-verify",
    )

    _score_parser(commands)
    _evaluate_parser(commands)

    explain = add_command(commands, "explain", "how one answer is judged: extraction, trees, the rule that decided")
    explain.add_argument("gold", help="the gold answer")
    explain.add_argument("answer", help="an answer, or a whole response with \\boxed{...}")
    explain.add_argument(
        "--policy",
        help="options joined by +, for example percent_as_fraction+rounded_decimals=4; or a preset: prm800k, "
        "hendrycks, math_verify",
    )

    _pool_parser(commands)
    miniature_parser(commands)
    _submission_parsers(commands)

    board = add_command(commands, "leaderboard", "pools and submissions -> the board: pages, tables, charts")
    board.add_argument(
        "results", type=Path, nargs="?", default=Path("results"), help="with pools/ and submissions/ (default: results)"
    )
    board.add_argument("-o", "--output", type=Path, metavar="DIR", help="where it goes (default: RESULTS/leaderboard)")
    board.add_argument("--check", action="store_true", help="write nothing; fail, with a list, where files are stale")
    board.add_argument("--readme", type=Path, metavar="FILE", help="also the table between a README's markers")
    board.add_argument(
        "--jobs", type=positive, default=2, metavar="N", help="processes, for many submissions (default: 2)"
    )

    plugins = add_command(commands, "plugins", "installed reward models, selectors and graders, and who brought them")
    plugins.add_argument("--json", action="store_true", help="as JSON")
    return parser


def _demo_parser(commands: Any) -> None:
    text = (
        "sample the tiny policy that ships through the real lm_eval, judge it with the tiny ORM and PRM: table and page"
    )
    demo = add_command(commands, "demo", text)
    demo.add_argument(
        "-o", "--output", type=Path, default=Path("demo_out"), help="where everything goes (default: demo_out)"
    )
    demo.add_argument("--problems", type=positive, default=70, help="miniature test problems (default: 70)")
    demo.add_argument("--samples", type=positive, default=16, help="candidates a problem (default: 16)")
    demo.add_argument("--device", default="cpu", help="cpu, cuda, ... (default: cpu)")
    demo.add_argument(
        "--handwritten",
        action="store_true",
        help="instead: 35 problems x 8 candidates written by hand, judged by rules; needs no torch",
    )


def _score_parser(commands: Any) -> None:
    score = add_command(commands, "score", "candidates -> step rewards, a reward folder; an interrupted run goes on")
    score.add_argument("pool", type=Path, help="a pool folder")
    score.add_argument(
        "--reward-model",
        required=True,
        metavar="RM",
        help="a registered name, RECIPE:CHECKPOINT, package.module:Object, checkpoint folder or hub id",
    )
    score.add_argument(
        "--recipe",
        metavar="NAME_OR_FILE",
        help="how that checkpoint is fed and read (default: by its name or config; see: prm-eval plugins)",
    )
    score.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="DIR",
        help="the reward folder to make; with --submission the results folder",
    )
    score.add_argument(
        "--submission",
        metavar="ORG/MODEL",
        help="make a submission: results/submissions/ORG__MODEL/REVISION/POOL-ID (the pool must be registered)",
    )
    score.add_argument(
        "--aggregation",
        choices=("prod", "min", "mean", "last", "soft_min"),
        help="how steps become one reward (default: the model's)",
    )
    score.add_argument("--device", help="cpu, cuda, cuda:1, ... (default: a GPU if there is one)")
    score.add_argument(
        "--dtype", choices=("float32", "bfloat16", "float16"), help="default: bfloat16 on a GPU, float32 on the CPU"
    )
    score.add_argument(
        "--batch-tokens", type=positive, help="tokens a forward pass (default: 16384 on a GPU, 2048 on the CPU)"
    )
    score.add_argument(
        "--cache",
        metavar="DIR",
        help="keep scores there for other pools and runs, and use those it has (default: none)",
    )
    score.add_argument(
        "--engine",
        choices=("local", "ray", "vllm"),
        default="local",
        help="who computes: this process, a Ray cluster (extra [ray]), or vLLM (default: local)",
    )
    score.add_argument(
        "--workers",
        type=positive,
        metavar="N",
        help="with --engine ray: processes (default: one a GPU; else as many as the CPUs have room for)",
    )
    score.add_argument(
        "--max-tokens",
        type=positive,
        help="refuse longer inputs; of a generative verifier, the length of a judgement (default: the model's limit, "
        "the recipe's)",
    )
    score.add_argument("--revision", help="hub revision")
    score.add_argument(
        "--reference",
        metavar="MODEL",
        help="the reference model of an implicit PRM, MODEL@REVISION for a revision (default: the recipe's)",
    )
    score.add_argument(
        "--base-url",
        metavar="URL",
        help="an OpenAI-compatible server for a generative verifier, as http://localhost:8000/v1 (default: run it "
        "here)",
    )
    score.add_argument("--temperature", type=float, help="of a generative verifier (default: the recipe's)")
    score.add_argument("--votes", type=positive, help="judgements a candidate of a generative verifier (default: 1)")
    score.add_argument(
        "--separator", help="what stands after each step of a token-classification PRM (default: a newline, \\n)"
    )
    score.add_argument(
        "--splitter",
        choices=("line", "blank_line", "step_k", "given"),
        help="how candidates are cut (default: the pool's way)",
    )


def _evaluate_parser(commands: Any) -> None:
    evaluate = add_command(commands, "evaluate", "all selectors at all n, with limits and paired differences")
    evaluate.add_argument("pool", type=Path, help="a pool folder")
    evaluate.add_argument(
        "rewards", type=Path, nargs="*", metavar="REWARDS", help="reward folders (default: those in the pool)"
    )
    evaluate.add_argument(
        "--grades",
        default="auto",
        help="own, published, or a grader's name (default: own; published where there is no gold)",
    )
    evaluate.add_argument(
        "--n", type=whole_numbers, metavar="1,8,64", help="the grid of n (default: powers of two and M)"
    )
    evaluate.add_argument(
        "--selectors", type=names, metavar="A,B", help="which (default: all of ours; see: prm-eval plugins)"
    )
    evaluate.add_argument(
        "--aggregation",
        type=names,
        metavar="prod,min",
        help="evaluate PRMs under each of these (default: the declared one)",
    )
    evaluate.add_argument(
        "--draws",
        type=positive,
        default=1_000,
        help="permutations a problem where no exact form is affordable (default: 1000)",
    )
    evaluate.add_argument("--resamples", type=positive, default=10_000, help="bootstrap resamples (default: 10000)")
    evaluate.add_argument("--seed", type=int, default=20_230_531, help="of permutations and resamples")
    evaluate.add_argument("--json", action="store_true", help="print one JSON object with a tidy list, rows")
    evaluate.add_argument("--html", type=Path, metavar="FILE", help="write one self-contained page with the chart")
    evaluate.add_argument("--title", help="of that page")


def _pool_parser(commands: Any) -> None:
    pool = commands.add_parser(
        "pool", help="import, show or verify a pool", description="Import, show or verify a pool."
    )
    actions = pool.add_subparsers(metavar="ACTION", required=True)
    load = add_command(
        actions, "import", "lm_eval samples, PRM800K scored samples or plain JSONL -> pool", "pool import"
    )
    load.add_argument("file", type=Path, help="the file; its format is recognised by its first row")
    load.add_argument("-o", "--output", type=Path, required=True, metavar="FOLDER", help="the pool to make")
    load.add_argument(
        "--format", default="auto", choices=("auto", "plain", "lm_eval", "prm800k"), help="instead of recognising it"
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
        choices=("line", "blank_line", "step_k", "given"),
        help="how candidates are cut into steps (default: line)",
    )
    load.add_argument("--skip-bad", action="store_true", help="leave out problems with a fault, and list them")
    for name, text in (("show", "what a pool holds"), ("verify", "recompute its hashes and check its reward files")):
        add_command(actions, name, text, f"pool {name}").add_argument("pool", type=Path, help="a pool folder")
    register = add_command(actions, "register", "put a graded pool on the board of a results folder", "pool register")
    register.add_argument("pool", type=Path, help="a pool folder, graded")
    register.add_argument("--id", required=True, metavar="NAME", help="what the pool is called in paths")
    register.add_argument(
        "-o", "--output", type=Path, default=Path("results"), metavar="DIR", help="the results folder"
    )
    register.add_argument("--title", help="what the pool is called for readers")
    register.add_argument("--headline-n", type=positive, metavar="N", help="the n to rank by (default: a quarter of M)")


def _submission_parsers(commands: Any) -> None:
    form = add_command(
        commands, "submit-form", "what a machine cannot know of a submission: licence, training data, contact"
    )
    form.add_argument("folder", type=Path, help="a submission, as made by: prm-eval score --submission")
    form.add_argument("--answers", type=Path, metavar="FILE", help="a JSON file (results/schema/disclosure.json)")
    for question in QUESTIONS:
        flag = "--" + question.name.replace("_", "-")
        form.add_argument(
            flag, choices=question.choices or None, metavar=None if question.choices else "TEXT", help=question.text
        )

    check = add_command(
        commands, "check", "every fault of submissions, or of a results folder; exit status 1 if there is one"
    )
    check.add_argument("paths", type=Path, nargs="+", metavar="PATH", help="a submission folder, or a results folder")
    check.add_argument("--json", action="store_true", help="as JSON")
    check.add_argument("--new", action="store_true", help="as a new submission: it may not bring a verification.json")
    check.add_argument(
        "--model", metavar="PATH", help="a checkpoint whose tokenizer recomputes the rendered inputs (folder or hub id)"
    )

    verify = add_command(
        commands, "verify", "score a random sample of a submission again with the model itself, and compare"
    )
    verify.add_argument("folder", type=Path, help="a submission folder")
    verify.add_argument("--reward-model", required=True, metavar="RM", help="the model, as for prm-eval score")
    verify.add_argument("--sample", type=positive, default=256, metavar="K", help="candidates (default: 256)")
    verify.add_argument("--all", action="store_true", help="all candidates instead of a sample")
    verify.add_argument("--seed", type=int, help="of the sample (default: a random one, which is recorded)")
    verify.add_argument("--by", default="a maintainer", metavar="WHO", help="who verifies, for the record")
    for option in VERIFY_OPTIONS:
        verify.add_argument(f"--{option.replace('_', '-')}", metavar="X", help="as for prm-eval score")
