"""The commands that judge candidates: ``grade``, ``score``, ``evaluate``, ``explain``."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from prm_eval.cli.parser_score import OLD_RAY
from prm_eval.cli.printing import say as print
from prm_eval.cli.types import say_renamed
from prm_eval.errors import PrmEvalError
from prm_eval.progress import Bar

if TYPE_CHECKING:
    from prm_eval.evaluation.jobs import Scoring
    from prm_eval.pools.pool import Pool
    from prm_eval.rewards import RewardModel


def _grade(options: argparse.Namespace) -> int:
    from prm_eval.children.workers import processors
    from prm_eval.evaluation.jobs import run_grading

    found = run_grading(
        options.pool,
        options.grader,
        output=options.output,
        compare=options.compare,
        known=options.check_golds,
        jobs=options.jobs or processors(),
        bars=Bar,
    )
    if found.counts is not None:
        print(", ".join(f"{name} {count:,}" for name, count in found.counts.items()))
    print(f"grades     {found.path}")
    for line in found.gold_lines:
        print(f"golds      {line}")
    for conflict in found.golds.conflicts if found.golds is not None else ():
        print(f"  {conflict.problem_id}: gold {conflict.gold!r}; there {conflict.known!r}")
    if found.disagreements is not None:
        of = sum((found.counts or {}).values())
        print(f"{len(found.disagreements)} of {of:,} candidates are judged otherwise by {options.compare!r}")
        for each in found.disagreements:
            print(
                f"  {each.problem.problem_id} slot {each.slot}: gold {each.problem.gold!r}, "
                f"ours {each.ours.grade} (answer {each.ours.answer!r}, rule {each.ours.rule}); "
                f"theirs {each.theirs.grade} (answer {each.theirs.answer!r})"
            )
    return 1 if found.golds is not None and found.golds.conflicts else 0


def _score(options: argparse.Namespace) -> int:
    from prm_eval.evaluation.cutting import report_on_steps
    from prm_eval.evaluation.jobs import chosen_runner, require_declared_aggregation, run_scoring
    from prm_eval.evaluation.one_step import step_lines
    from prm_eval.evaluation.stepwise.placing import placing_options, require_given_steps
    from prm_eval.pools.pool import Pool
    from prm_eval.rewards import OPTIONS, how_fed, load_reward_model
    from prm_eval.rewards.taking import same_rewards
    from prm_eval.stepsets import is_step_set

    if options.engine == OLD_RAY:
        say_renamed("--engine ray", "--runner ray")
        options.engine, options.runner = None, "ray"
    given = {name: getattr(options, name) for name in OPTIONS}
    pool = Pool(options.pool).require_sound()
    if options.taken is not None and options.submission is None:
        raise PrmEvalError("--from makes a submission of rewards that are there; name it: --submission ORG/MODEL")
    of_steps = is_step_set(options.pool)
    if of_steps:
        given = placing_options(options.reward_model, given)
    runner = chosen_runner(options.runner, options.reward_model, given, options.workers)
    model = load_reward_model(options.reward_model, **given)
    if fed := how_fed(model):
        print(f"recipe     {fed}")
    if of_steps:
        require_given_steps(model)
    if options.prefixes or (model.kind == "orm" and of_steps):
        model = _by_prefixes(model, options)
    folder = _reward_folder(options, model, pool)
    if model.kind == "prm" and not (folder / "submission.json").is_file():
        for line in step_lines(pool.info, report_on_steps(pool, model.splitter, bars=Bar), model.splitter, model.name):
            print(line)
    if options.submission is not None and options.taken is None and not (folder / "submission.json").is_file():
        for there in same_rewards(pool, model):
            print(f"note       {there} has rewards of this model; with --from {there} nothing is computed")
    found = run_scoring(pool, model, folder, runner=runner, name=options.submission, source=options.taken, bars=Bar)
    require_declared_aggregation(found.rewards, pool)
    return _say_scored(found, pool, options.submission, options.taken)


def _by_prefixes(model: RewardModel, options: argparse.Namespace) -> RewardModel:
    """Return an ORM as a model that reads every prefix, after saying so.

    Raises:
        PrmEvalError: It is no ORM, or Ray's workers would load the plain one.
    """
    from prm_eval.rewards.models.prefixes import by_prefixes

    found = by_prefixes(model, options.aggregation)
    if options.runner != "local":
        raise PrmEvalError(f"prefixes are read in this process alone; leave out --runner {options.runner}")
    print("prefixes   the ORM reads every prefix: one number a step")
    return found


def _reward_folder(options: argparse.Namespace, model: RewardModel, pool: Pool) -> Path:
    """Return the folder that the rewards go to.

    Raises:
        PrmEvalError: The options name none, or the submission cannot have this name.
    """
    if options.submission is not None:
        from prm_eval.submissions import submission_folder

        return submission_folder(options.output or Path("results"), options.submission, model, pool)
    if options.output is None:
        raise PrmEvalError("where to? -o DIR, or --submission ORG/MODEL for a results folder")
    return Path(options.output)


def _say_scored(found: Scoring, pool: Pool, submission: str | None, taken: Path | None) -> int:
    from prm_eval.evaluation.one_step import warning_of
    from prm_eval.evaluation.ranking import can_be_evaluated
    from prm_eval.rewards.files.judgements import judged_lines
    from prm_eval.stepsets import is_step_set

    rewards = found.rewards
    print(f"rewards    {rewards.folder}  ({rewards.info.kind}, {rewards.aggregation})")
    if taken is not None:
        print(f"taken      from {taken}; nothing was computed")
    elif did := found.work:
        what = "prefixes" if rewards.info.model.get("prefixes") else "candidates"
        print(
            f"computed   {did['candidates'] - did['duplicates']:,} distinct {what}, {did['tokens']:,} tokens: "
            f"{did['prefix_tokens_saved']:,} of common prefixes saved, {did['padded_tokens']:,} of padding added"
        )
    for line in found.refusal_lines:
        print(f"refused    {line}")
    for line in judged_lines(rewards.folder):
        print(f"judgements {line}")
    if found.nothing_scored:
        print("prm-eval: nothing was scored", file=sys.stderr)
        return 1
    if warning := warning_of(pool.info, rewards.info, rewards.step_counts(), rewards.name):
        print(f"WARNING    {warning}")
    what = "evaluate" if is_step_set(pool.path) or can_be_evaluated(pool) else "rank"
    step = f"{what} {pool.path} {rewards.folder}" if submission is None else f"submit-form {rewards.folder}"
    print(f"next       prm-eval {step}")
    return 0


POOLS_ALONE = ("n", "selectors", "aggregation", "score_type", "k_measures", "jobs")
ONE_POOL_ALONE = ("aggregation", "k_measures")
STEPS_ALONE = ("threshold", "missing", "neutral")
"""Options of ``prm-eval evaluate`` that have a meaning for one of these only."""


def _require_fitting(options: argparse.Namespace, names: tuple[str, ...], what: str, found: str = "") -> None:
    found = found or f"{options.pool} is none"
    for name in names:
        if getattr(options, name) is not None:
            raise PrmEvalError(f"--{name.replace('_', '-')} is for {what}; {found}")


def _evaluate(options: argparse.Namespace) -> int:
    from prm_eval.stepsets import is_step_set

    pools = _several_pools(options)
    if pools:
        _require_fitting(options, STEPS_ALONE, "a step set")
        _require_fitting(options, ONE_POOL_ALONE, "one pool", f"here are {len(pools)}: evaluate each by itself for it")
        return _evaluate_policies(options, pools)
    if is_step_set(options.pool):
        _require_fitting(options, POOLS_ALONE, "a pool of candidates")
        return _evaluate_steps(options)
    _require_fitting(options, STEPS_ALONE, "a step set")
    return _evaluate_pool(options)


def _several_pools(options: argparse.Namespace) -> list[Path]:
    """Return the pools where there are several: all that stands before --rewards; none where there is one.

    Raises:
        PrmEvalError: Pools and reward folders are mixed, or --rewards is given with one pool.
    """
    others = [path for path in options.rewards if (path / "pool.json").is_file()]
    if options.over is None and not others:
        return []
    if len(others) < len(options.rewards):
        wrong = next(path for path in options.rewards if path not in others)
        raise PrmEvalError(f"{wrong} is no pool; behind several pools, rewards are named by: --rewards NAME")
    if not others:
        raise PrmEvalError(f"--rewards is for several pools; of one: prm-eval evaluate {options.pool} REWARDS")
    return [options.pool, *others]


def _evaluate_policies(options: argparse.Namespace, pools: list[Path]) -> int:
    from prm_eval.children.workers import processors
    from prm_eval.evaluation.policies.comparing import run_policies
    from prm_eval.evaluation.policies.report import html_page, text_tables
    from prm_eval.evaluation.stats import DEFAULT_RESAMPLES

    found = run_policies(
        pools,
        options.over or (),
        jobs=options.jobs or processors(),
        grades=options.grades,
        ns=options.n,
        selectors=options.selectors,
        score_type=options.score_type,
        no_answer=options.no_answer,
        draws=options.draws,
        seed=options.seed,
        resamples=options.resamples or DEFAULT_RESAMPLES,
        bars=Bar,
    )
    print(json.dumps(found.to_json(), indent=2, allow_nan=False) if options.json else text_tables(found))
    for warning in found.warnings if options.json else ():
        print(f"WARNING: {warning}", file=sys.stderr)
    if options.html:
        _write_page(options.html, html_page(found, options.title or "One reward model, several policies"))
    return 0


def _evaluate_steps(options: argparse.Namespace) -> int:
    from prm_eval.evaluation.stepwise.jobs import misses_of, run_step_evaluation
    from prm_eval.evaluation.stepwise.measuring import Settings
    from prm_eval.evaluation.stepwise.page import html_page
    from prm_eval.evaluation.stepwise.report import text_report, to_json

    settings = Settings(
        resamples=options.resamples or Settings.resamples,
        seed=options.seed,
        neutral=options.neutral or Settings.neutral,
    )
    found = run_step_evaluation(
        options.pool,
        options.rewards,
        threshold="recipe" if options.threshold is None else options.threshold,
        missing=options.missing or "refuse",
        settings=settings,
        bars=Bar,
    )
    print(json.dumps(to_json(found), indent=2, allow_nan=False) if options.json else text_report(found))
    if options.html:
        title = options.title or f"Who finds the mistake: {found.info.name}"
        _write_page(options.html, html_page(found, title, misses_of(found, options.pool)))
    return 0


def _write_page(path: Path, page: str) -> None:
    from prm_eval.store.writing import write_named

    path.parent.mkdir(parents=True, exist_ok=True)
    write_named(path, page)
    print(f"page       {path}", file=sys.stderr)


def _evaluate_pool(options: argparse.Namespace) -> int:
    from prm_eval.children.workers import processors
    from prm_eval.evaluation.jobs import run_evaluation
    from prm_eval.evaluation.report import html_page, text_table
    from prm_eval.evaluation.stats import DEFAULT_RESAMPLES

    found = run_evaluation(
        options.pool,
        options.rewards,
        grades=options.grades,
        aggregations=options.aggregation,
        score_type=options.score_type,
        jobs=options.jobs or processors(),
        bars=Bar,
        ns=options.n,
        selectors=options.selectors,
        draws=options.draws,
        seed=options.seed,
        resamples=options.resamples or DEFAULT_RESAMPLES,
        no_answer=options.no_answer,
        k_measures=options.k_measures or (),
    )
    print(json.dumps(found.to_json(), indent=2, allow_nan=False) if options.json else text_table(found))
    for warning in found.warnings if options.json else ():
        print(f"WARNING: {warning}", file=sys.stderr)
    if options.html:
        title = options.title or f"Best of n on {found.pool['problem_set'].get('name') or options.pool.name}"
        _write_page(options.html, html_page(found, title))
    return 0


def _explain(options: argparse.Namespace) -> int:
    from prm_eval.grading.deciding.options import parse_options
    from prm_eval.grading.explain import explain

    explanation = explain(options.gold, options.answer, parse_options(options.grading))
    print(explanation.text)
    return 0 if explanation.equal else 1


JUDGING_ACTIONS: dict[str, Callable[[argparse.Namespace], int]] = {
    "grade": _grade,
    "score": _score,
    "evaluate": _evaluate,
    "explain": _explain,
}
