"""The ``prm-eval`` command: parse, call one function, print, choose the exit status (0 ok, 1 faults found, 2 usage)."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from prm_eval import __version__
from prm_eval.errors import PrmEvalError

EXIT_FAULTS, EXIT_USAGE = 1, 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given[:1] == ["run"]:
        return _run(given[1:])
    options = _parser().parse_args(given)
    try:
        status: int = options.action(options)
    except PrmEvalError as error:
        print(f"prm-eval: {error}", file=sys.stderr)
        return EXIT_FAULTS
    except KeyboardInterrupt:
        print("prm-eval: interrupted; long work resumes when the same command is run again", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of a pipe has gone, as with "| head"
        sys.stderr.close()
        return 0
    return status


def _run(arguments: list[str]) -> int:
    """Run ``lm_eval run`` with our tasks; all its options are its own."""
    from prm_eval.harness import run_lm_eval

    try:
        run_lm_eval(arguments)
    except PrmEvalError as error:
        print(f"prm-eval run: {error}", file=sys.stderr)
        return EXIT_FAULTS
    return 0


def _demo(options: argparse.Namespace) -> int:
    from prm_eval.demo import run_demo

    demo = run_demo(options.output)
    print(f"\n{demo.table}\n")
    print("The two reward models are rules without weights (prm-eval plugins); the candidates were written by hand.")
    print(f"pool    {demo.pool}\npage    {demo.page}\nresults {demo.results}")
    print(f"\nThe run above, as you would type it:\n  {demo.command}")
    return 0


def _tasks_path(options: argparse.Namespace) -> int:
    from prm_eval.harness import tasks_path

    print(tasks_path())
    return 0


def _plugins(options: argparse.Namespace) -> int:
    from prm_eval.plugins import GROUPS, installed

    rows = [["name", "sort", "package", "object"]]
    for what in GROUPS:
        rows += [[each.name, what, f"{each.package} {each.version}", each.target] for each in installed(what).values()]
    if options.json:
        print(json.dumps([dict(zip(rows[0], row, strict=True)) for row in rows[1:]], indent=2))
        return 0
    widths = [max(len(row[i]) for row in rows) for i in range(4)]
    print(
        "\n".join(
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
        )
    )
    print("\nAdd yours: CONTRIBUTING.md, or any of them as package.module:Object")
    return 0


def _explain(options: argparse.Namespace) -> int:
    from prm_eval.grading.explain import explain

    explanation = explain(options.gold, options.answer)
    print(explanation.text)
    return 0 if explanation.equal else EXIT_FAULTS


def _pool_import(options: argparse.Namespace) -> int:
    from prm_eval.importers import import_pool

    with _bar("importing", None, "problem") as update:
        report = import_pool(
            options.file,
            options.output,
            form=options.format,
            policy=options.policy,
            slots=options.slots,
            splitter=options.splitter,
            skip_bad=options.skip_bad,
            progress=update,
        )
    for fault in report.skipped:
        print(f"skipped: {fault}", file=sys.stderr)
    if report.skipped:
        print(f"{len(report.skipped)} problems skipped", file=sys.stderr)
    _show(options.output)
    return 0


def _pool_show(options: argparse.Namespace) -> int:
    _show(options.pool)
    return 0


def _show(path: Path) -> None:
    from prm_eval.pools import Pool

    pool = Pool(path)
    info = pool.info
    print(f"pool       {pool.path}  ({info.content_hash})")
    print(f"problems   {info.n_problems:,} from {info.problem_set.get('name') or 'an unnamed set'}")
    print(f"candidates {info.n_candidates:,} in {info.m:,} slots a problem; splitter {info.splitter}")
    if info.n_missing:
        print(
            f"missing    {info.n_missing:,} slots; they count as wrong (import with --slots min or a number to leave them out)"
        )
    print(f"policy     {info.policy.get('id') or 'unknown'}")
    grades = sorted(each.name for each in pool.path.glob("grades*.parquet"))
    print(f"grades     {', '.join(grades) or 'none yet: prm-eval grade ' + str(pool.path)}")
    print(
        f"rewards    {', '.join(each.name for each in pool.reward_folders()) or 'none yet: prm-eval score ' + str(pool.path)}"
    )


def _pool_verify(options: argparse.Namespace) -> int:
    from prm_eval.pools import Pool
    from prm_eval.rewards.files import RewardFile, check_step_counts

    pool = Pool(options.pool)
    faults = pool.verify()
    for folder in pool.reward_folders():
        try:
            rewards = RewardFile(folder)
            reader = rewards.reader(pool)
            for problem, table in pool.blocks(["problem_id", "candidate_id"]):
                reader.take(problem, table)
            reader.finish()
            check_step_counts(rewards, pool)
        except PrmEvalError as error:
            faults.append(str(error))
    for fault in faults:
        print(fault)
    print(f"{pool.path}: {len(faults)} faults" if faults else f"{pool.path}: sound, {pool.info.content_hash}")
    return EXIT_FAULTS if faults else 0


def _grade(options: argparse.Namespace) -> int:
    from prm_eval.grading.pool import disagreements, grade_pool
    from prm_eval.pools import Pool

    pool = Pool(options.pool)
    with _bar("grading", pool.info.n_problems, "problem") as update:
        path = grade_pool(pool, name=options.grader, folder=options.output, progress=update)
    counts: dict[str, int] = {}
    source = "own" if options.grader == "default" else options.grader
    if options.output is None:
        for _, rows in pool.grades(source):
            for row in rows:
                counts[row.grade] = counts.get(row.grade, 0) + 1
        print(", ".join(f"{name} {count:,}" for name, count in sorted(counts.items())))
    print(f"grades     {path}")
    if options.compare:
        found = list(disagreements(pool, options.compare, source))
        print(f"{len(found)} of {sum(counts.values()):,} candidates are judged otherwise by {options.compare!r}")
        for each in found:
            print(
                f"  {each.problem.problem_id} slot {each.slot}: gold {each.problem.gold!r}, "
                f"ours {each.ours.grade} (answer {each.ours.answer!r}, "
                f"rule {each.ours.rule}); theirs {each.theirs.grade} (answer {each.theirs.answer!r})"
            )
    return 0


def _score(options: argparse.Namespace) -> int:
    from prm_eval.pools import Pool
    from prm_eval.rewards import load_reward_model, score_pool

    pool = Pool(options.pool)
    given = {
        name: getattr(options, name)
        for name in (
            "aggregation",
            "batch_tokens",
            "device",
            "dtype",
            "max_tokens",
            "revision",
            "separator",
            "splitter",
        )
    }
    model = load_reward_model(options.reward_model, **given)
    with _bar(f"scoring with {model.name}", pool.info.n_candidates, "candidate") as update:
        rewards = score_pool(pool, model, options.output, progress=lambda done, tokens: update(done))
    print(f"rewards    {rewards.folder}  ({rewards.info.kind}, {rewards.aggregation})")
    print(f"next       prm-eval evaluate {pool.path} {rewards.folder}")
    return 0


def _evaluate(options: argparse.Namespace) -> int:
    from prm_eval.evaluation import evaluate
    from prm_eval.grading.pool import grade_pool, is_graded
    from prm_eval.pools import Pool
    from prm_eval.report import html_page, text_table
    from prm_eval.rewards import RewardFile

    pool = Pool(options.pool)
    grades = options.grades
    if grades == "auto":
        has_gold = all(problem.gold is not None for problem in pool.problems.values())
        grades = "own" if has_gold or not pool.grades_path("published").is_file() else "published"
    if grades == "own" and not is_graded(pool):
        with _bar("grading", pool.info.n_problems, "problem") as update:
            grade_pool(pool, progress=update)
    folders = options.rewards or pool.reward_folders()
    rewards = [
        RewardFile(folder, how) for folder in folders for how in _aggregations(RewardFile(folder), options.aggregation)
    ]
    with _bar("evaluating", pool.info.n_problems, "problem") as update:
        found = evaluate(
            pool,
            rewards,
            grades=grades,
            ns=options.n,
            selectors=options.selectors,
            draws=options.draws,
            seed=options.seed,
            resamples=options.resamples,
            progress=update,
        )
    print(json.dumps(found.to_json(), indent=2, allow_nan=False) if options.json else text_table(found))
    if options.html:
        options.html.parent.mkdir(parents=True, exist_ok=True)
        options.html.write_text(
            html_page(found, options.title or f"Best of n on {pool.info.problem_set.get('name') or pool.path.name}"),
            encoding="utf-8",
        )
        print(f"page       {options.html}", file=sys.stderr)
    return 0


def _aggregations(rewards: Any, wanted: list[str] | None) -> list[Any]:
    """Return the aggregations to evaluate: the declared one, or those asked for (an ORM has one number: nothing to aggregate)."""
    return [None] if not wanted or rewards.info.kind == "orm" else list(wanted)


class _bar:
    """A progress bar on standard error, shown where that is a terminal."""

    def __init__(self, what: str, total: int | None, unit: str) -> None:
        from tqdm import tqdm

        self._bar = tqdm(total=total, desc=what, unit=unit, disable=None, leave=False, delay=1.0)

    def __enter__(self) -> Callable[[int], None]:
        return lambda done: self._bar.update(done - self._bar.n) and None

    def __exit__(self, *rest: object) -> None:
        self._bar.close()


def _whole_numbers(text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r}: expected whole numbers such as 1,8,64") from None


def _names(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="prm-eval",
        description="Measure how well a verifier picks the right solution out of N sampled ones.",
        epilog="A first look: prm-eval demo. "
        "Inside lm_eval: prm-eval run --model hf ... --tasks math500_bon --metadata n_samples=64 prm_model=...",
    )
    parser.add_argument("--version", action="version", version=f"prm-eval {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    demo = _command(commands, "demo", _demo, "run the small pool that ships through the real lm_eval: table and page")
    demo.add_argument(
        "-o", "--output", type=Path, default=Path("demo_out"), help="where everything goes (default: demo_out)"
    )

    commands.add_parser("run", help="lm_eval run, with --include_path filled in", add_help=False)
    _command(commands, "tasks-path", _tasks_path, "print the folder of our tasks, for lm_eval --include_path")

    grade = _command(commands, "grade", _grade, "candidates -> answers, classes, grades")
    grade.add_argument("pool", type=Path, help="a pool folder")
    grade.add_argument("-o", "--output", type=Path, help="where grades go (default: into the pool)")
    grade.add_argument("--grader", default="default", help="a registered grader (see: prm-eval plugins)")
    grade.add_argument(
        "--compare", metavar="SOURCE", help="list candidates judged otherwise by this source, for example: published"
    )

    _score_parser(commands)
    _evaluate_parser(commands)

    explain = _command(
        commands, "explain", _explain, "how one answer is judged: extraction, trees, the rule that decided"
    )
    explain.add_argument("gold", help="the gold answer")
    explain.add_argument("answer", help="an answer, or a whole response with \\boxed{...}")

    _pool_parser(commands)

    plugins = _command(
        commands, "plugins", _plugins, "installed reward models, selectors and graders, and who brought them"
    )
    plugins.add_argument("--json", action="store_true", help="as JSON")
    return parser


def _command(
    commands: Any, name: str, action: Callable[[argparse.Namespace], int], text: str
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
    parser.set_defaults(action=action)
    return parser


def _score_parser(commands: Any) -> None:
    score = _command(
        commands, "score", _score, "candidates -> step rewards, a reward folder; an interrupted run goes on"
    )
    score.add_argument("pool", type=Path, help="a pool folder")
    score.add_argument(
        "--reward-model",
        required=True,
        metavar="RM",
        help="a registered name, package.module:Object, checkpoint folder or hub id",
    )
    score.add_argument("-o", "--output", type=Path, required=True, metavar="DIR", help="the reward folder to make")
    score.add_argument(
        "--aggregation",
        choices=("prod", "min", "mean", "last", "soft_min"),
        help="how steps become one reward (default: the model's)",
    )
    score.add_argument("--device", help="cpu, cuda, cuda:1, ... (default: a GPU if there is one)")
    score.add_argument(
        "--dtype", choices=("float32", "bfloat16", "float16"), help="default: bfloat16 on a GPU, float32 on the CPU"
    )
    score.add_argument("--batch-tokens", type=int, help="padded tokens a batch (default: 16384)")
    score.add_argument("--max-tokens", type=int, help="refuse longer inputs (default: the model's limit)")
    score.add_argument("--revision", help="hub revision")
    score.add_argument(
        "--separator", help="what stands after each step of a token-classification PRM (default: a newline, \\n)"
    )
    score.add_argument(
        "--splitter",
        choices=("line", "blank_line", "step_k", "given"),
        help="how candidates are cut (default: the pool's way)",
    )


def _evaluate_parser(commands: Any) -> None:
    evaluate = _command(commands, "evaluate", _evaluate, "all selectors at all n, with limits and paired differences")
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
        "--n", type=_whole_numbers, metavar="1,8,64", help="the grid of n (default: powers of two and M)"
    )
    evaluate.add_argument(
        "--selectors", type=_names, metavar="A,B", help="which (default: all of ours; see: prm-eval plugins)"
    )
    evaluate.add_argument(
        "--aggregation",
        type=_names,
        metavar="prod,min",
        help="evaluate PRMs under each of these (default: the declared one)",
    )
    evaluate.add_argument(
        "--draws",
        type=int,
        default=1_000,
        help="permutations a problem where no exact form is affordable (default: 1000)",
    )
    evaluate.add_argument("--resamples", type=int, default=10_000, help="bootstrap resamples (default: 10000)")
    evaluate.add_argument("--seed", type=int, default=20_230_531, help="of permutations and resamples")
    evaluate.add_argument("--json", action="store_true", help="print one JSON object with a tidy list, rows")
    evaluate.add_argument("--html", type=Path, metavar="FILE", help="write one self-contained page with the chart")
    evaluate.add_argument("--title", help="of that page")


def _pool_parser(commands: Any) -> None:
    pool = commands.add_parser(
        "pool", help="import, show or verify a pool", description="Import, show or verify a pool."
    )
    actions = pool.add_subparsers(metavar="ACTION", required=True)
    load = _command(actions, "import", _pool_import, "lm_eval samples, PRM800K scored samples or plain JSONL -> pool")
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
    for name, action, text in (
        ("show", _pool_show, "what a pool holds"),
        ("verify", _pool_verify, "recompute its hashes and check its reward files"),
    ):
        _command(actions, name, action, text).add_argument("pool", type=Path, help="a pool folder")


if __name__ == "__main__":
    sys.exit(main())
