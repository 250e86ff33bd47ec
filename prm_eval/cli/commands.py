"""The ``prm-eval`` command: parse, call one function, print, choose the exit status (0 ok, 1 faults found, 2 usage)."""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from prm_eval.cli.miniature import MINIATURE_ACTIONS
from prm_eval.cli.parser import build_parser
from prm_eval.cli.submissions import SUBMISSION_ACTIONS, counted
from prm_eval.errors import PrmEvalError
from prm_eval.progress import Bar

EXIT_FAULTS = 1  # argparse itself exits with 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given[:1] == ["run"]:
        return _run(given[1:])
    options = build_parser().parse_args(given)
    try:
        status: int = ACTIONS[options.command](options)
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
    """Run ``lm_eval run`` with our tasks; all its options are its own, but for ``--retry-minutes``."""
    from prm_eval.harness import run_lm_eval

    try:
        for text in run_lm_eval(arguments):
            print(text)
    except PrmEvalError as error:
        print(f"prm-eval run: {error}", file=sys.stderr)
        return EXIT_FAULTS
    except KeyboardInterrupt:
        print("prm-eval run: interrupted", file=sys.stderr)
        return 130
    return 0


def _demo(options: argparse.Namespace) -> int:
    from prm_eval.demo import run_demo, run_handwritten

    if options.handwritten:
        demo = run_handwritten(options.output)
        about = (
            "The two reward models are rules without weights (prm-eval plugins); the candidates were written by hand."
        )
    else:
        demo = run_demo(options.output, problems=options.problems, samples=options.samples, device=options.device)
        about = "Policy, ORM and PRM are the tiny ones that ship; the mistakes they meet are designed (prm_eval/miniature/README.md)."
    print(f"\n{demo.table}\n")
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


def _explain(options: argparse.Namespace) -> int:
    from prm_eval.grading.deciding.options import parse_policy
    from prm_eval.grading.explain import explain

    explanation = explain(options.gold, options.answer, parse_policy(options.policy))
    print(explanation.text)
    return 0 if explanation.equal else EXIT_FAULTS


def _pool_import(options: argparse.Namespace) -> int:
    from prm_eval.importers import import_pool

    with Bar("importing", None, "problem") as update:
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
    for name in sorted(report.ignored):
        print(f"ignored field: {name} ({report.ignored[name]:,} times)", file=sys.stderr)
    for fault in report.skipped:
        print(f"skipped: {fault}", file=sys.stderr)
    if report.skipped:
        print(f"{counted(len(report.skipped), 'problem')} skipped", file=sys.stderr)
    _show(options.output)
    return 0


def _pool_show(options: argparse.Namespace) -> int:
    _show(options.pool)
    return 0


def _show(path: Path) -> None:
    from prm_eval.pools.pool import Pool

    pool = Pool(path)
    info = pool.info
    print(f"pool       {pool.path}  ({info.content_hash})")
    print(f"problems   {info.n_problems:,} from {info.problem_set.get('name') or 'an unnamed set'}")
    print(f"candidates {info.n_candidates:,} in {info.m:,} slots a problem; splitter {info.splitter}")
    if info.n_missing:
        print(
            f"missing    {info.n_missing:,} slots; they count as wrong (import with --slots min or a number to leave "
            "them out)"
        )
    print(f"policy     {info.policy.get('id') or 'unknown'}")
    grades = sorted(each.name for each in pool.path.glob("grades*.parquet"))
    print(f"grades     {', '.join(grades) or 'none yet: prm-eval grade ' + str(pool.path)}")
    print(
        f"rewards    {', '.join(each.name for each in pool.reward_folders()) or 'none yet: prm-eval score ' + str(pool.path)}"
    )


def _pool_verify(options: argparse.Namespace) -> int:
    from prm_eval.pools.pool import Pool
    from prm_eval.rewards import RewardFile

    pool = Pool(options.pool)
    faults = pool.verify()
    for folder in pool.reward_folders():
        try:
            reader = RewardFile(folder).reader(pool)
            for problem, table in pool.blocks():
                reader.take(problem, table)
            reader.finish()
        except PrmEvalError as error:
            faults.append(str(error))
    for fault in faults:
        print(fault)
    print(
        f"{pool.path}: {counted(len(faults), 'fault')}" if faults else f"{pool.path}: sound, {pool.info.content_hash}"
    )
    return EXIT_FAULTS if faults else 0


def _grade(options: argparse.Namespace) -> int:
    from prm_eval.grading.pool import disagreements, grade_pool, is_graded, is_grader, source_of
    from prm_eval.pools.pool import Pool

    pool = Pool(options.pool).require_sound()
    with Bar("grading", pool.info.n_problems, "problem") as update:
        path = grade_pool(pool, name=options.grader, folder=options.output, progress=update)
    counts: dict[str, int] = {}
    source = source_of(options.grader)
    if options.output is None:
        for _, rows in pool.grades(source):
            for row in rows:
                counts[row.grade] = counts.get(row.grade, 0) + 1
        print(", ".join(f"{name} {count:,}" for name, count in sorted(counts.items())))
    print(f"grades     {path}")
    if options.compare:
        if is_grader(options.compare) and not is_graded(pool, options.compare):
            with Bar(f"grading with {options.compare}", pool.info.n_problems, "problem") as update:
                grade_pool(pool, name=options.compare, progress=update)
        found = list(disagreements(pool, source_of(options.compare), source))
        print(f"{len(found)} of {sum(counts.values()):,} candidates are judged otherwise by {options.compare!r}")
        for each in found:
            print(
                f"  {each.problem.problem_id} slot {each.slot}: gold {each.problem.gold!r}, "
                f"ours {each.ours.grade} (answer {each.ours.answer!r}, "
                f"rule {each.ours.rule}); theirs {each.theirs.grade} (answer {each.theirs.answer!r})"
            )
    return 0


def _score(options: argparse.Namespace) -> int:
    from prm_eval.pools.pool import Pool
    from prm_eval.progress import ScoringBar
    from prm_eval.rewards import OPTIONS as MODEL_OPTIONS
    from prm_eval.rewards import how_fed, load_reward_model, score_pool
    from prm_eval.rewards.files.reward_file import iter_rewards
    from prm_eval.rewards.scoring import OF_THE_MACHINE

    pool = Pool(options.pool).require_sound()
    given = {name: getattr(options, name) for name in MODEL_OPTIONS if name != "engine"}
    if options.engine == "vllm":
        given["engine"] = "vllm"
    if options.workers and options.engine != "ray":
        raise PrmEvalError(f"--workers is for --engine ray, not --engine {options.engine}")
    model = load_reward_model(options.reward_model, **given)
    if fed := how_fed(model):
        print(f"recipe     {fed}")
    engine = _ray_engine(options, given) if options.engine == "ray" else None
    folder, name = options.output, None
    if options.submission is not None:
        from prm_eval.submissions import submission_folder

        folder, name = (
            submission_folder(options.output or Path("results"), options.submission, model, pool),
            options.submission,
        )
    elif folder is None:
        raise PrmEvalError("where to? -o DIR, or --submission ORG/MODEL for a results folder")
    with ScoringBar(f"scoring with {model.name}", pool.info.n_candidates) as update:
        rewards = score_pool(pool, model, folder, progress=update, engine=engine, name=name)
    if rewards.aggregation != rewards.info.aggregation:
        raise PrmEvalError(
            f"{rewards.folder} declares the aggregation {rewards.info.aggregation}, and that stays; "
            f"see the other with: prm-eval evaluate {pool.path} {rewards.folder} --aggregation {rewards.aggregation}"
        )
    refusals = Counter(each.refusal.partition(":")[0] for _, _, each in iter_rewards(rewards) if each.refusal)
    print(f"rewards    {rewards.folder}  ({rewards.info.kind}, {rewards.aggregation})")
    if did := rewards.info.run.get("engine"):
        print(
            f"computed   {did['candidates'] - did['duplicates']:,} distinct candidates, {did['tokens']:,} tokens: "
            f"{did['prefix_tokens_saved']:,} of common prefixes saved, {did['padded_tokens']:,} of padding added"
        )
    for reason, count in refusals.most_common():
        print(f"refused    {count:,} of {pool.info.n_candidates:,}: {reason}")
    if set(refusals) & set(OF_THE_MACHINE):
        print(f"           remove {rewards.folder} to score again on another machine, server or with other options")
    if sum(refusals.values()) == pool.info.n_candidates:
        print("prm-eval: nothing was scored", file=sys.stderr)
        return EXIT_FAULTS
    next_step = f"evaluate {pool.path} {rewards.folder}" if name is None else f"submit-form {rewards.folder}"
    print(f"next       prm-eval {next_step}")
    return 0


def _ray_engine(options: argparse.Namespace, given: dict[str, Any]) -> Any:
    from prm_eval.rewards.ray_runner import RayEngine

    return RayEngine(
        options.reward_model, {key: value for key, value in given.items() if value is not None}, options.workers
    )


def _evaluate(options: argparse.Namespace) -> int:
    from prm_eval.evaluation.curves import evaluate
    from prm_eval.evaluation.report import html_page, text_table
    from prm_eval.grading.pool import grade_pool, is_graded
    from prm_eval.pools.pool import Pool
    from prm_eval.rewards import RewardFile

    pool = Pool(options.pool).require_sound()
    grades = options.grades
    if grades == "auto":
        has_gold = all(problem.gold is not None for problem in pool.problems.values())
        grades = "own" if has_gold or not pool.grades_path("published").is_file() else "published"
    if grades == "own" and not is_graded(pool):
        with Bar("grading", pool.info.n_problems, "problem") as update:
            grade_pool(pool, progress=update)
    folders = options.rewards or pool.reward_folders()
    rewards = [
        RewardFile(folder, how) for folder in folders for how in _aggregations(RewardFile(folder), options.aggregation)
    ]
    with Bar("evaluating", pool.info.n_problems, "problem") as update:
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


def _leaderboard(options: argparse.Namespace) -> int:
    from prm_eval.leaderboard import build, compare, update_readme

    output = options.output or options.results / "leaderboard"
    if options.check:
        files, left_out = compare(options.results, output, jobs=options.jobs)
        if (
            options.readme
            and (output / "leaderboard.md").is_file()
            and not update_readme(options.readme, output, write=False)
        ):
            files.append(str(options.readme))
        for name in files:
            print(f"stale: {name}")
        for each in left_out:
            print(f"left out: {each.path}: {each.why}", file=sys.stderr)
        print(
            f"{counted(len(files), 'stale file')}; prm-eval leaderboard makes them anew"
            if files
            else f"{output} is up to date"
        )
        return EXIT_FAULTS if files else 0
    with Bar("rendering", None, "page") as update:
        built = build(options.results, output, jobs=options.jobs, progress=update)
    if options.readme:
        update_readme(options.readme, output, write=True)
    for each in built.left_out:
        print(f"left out: {each.path}: {each.why}", file=sys.stderr)
    print(f"board      {built.folder / 'index.html'}")
    print(
        f"holds      {counted(built.submissions, 'submission')} on {counted(built.pools, 'pool')}; "
        f"{built.changed} of {counted(built.files, 'file')} changed"
    )
    return 0


def _aggregations(rewards: Any, wanted: list[str] | None) -> list[Any]:
    """Return the aggregations to evaluate: the declared one, or those asked for (an ORM has one number: nothing to aggregate)."""
    return [None] if not wanted or rewards.info.kind == "orm" else list(wanted)


ACTIONS: dict[str, Callable[[argparse.Namespace], int]] = {
    "demo": _demo,
    "tasks-path": _tasks_path,
    "grade": _grade,
    "score": _score,
    "evaluate": _evaluate,
    "leaderboard": _leaderboard,
    "explain": _explain,
    "pool import": _pool_import,
    "pool show": _pool_show,
    "pool verify": _pool_verify,
    "plugins": _plugins,
    **MINIATURE_ACTIONS,
    **SUBMISSION_ACTIONS,
}


if __name__ == "__main__":
    sys.exit(main())
