"""The commands of labellers that are no people, of queues and of rounds."""

from __future__ import annotations

import argparse
import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from prm_eval.cli.printing import say as print
from prm_eval.cli.types import counted, settled
from prm_eval.errors import PrmEvalError
from prm_eval.progress import Bar

if TYPE_CHECKING:
    from prm_eval.labelling.completers import Completer, Frame, Sampling
    from prm_eval.labelling.queue_rules import Ask
    from prm_eval.labelling.rounds import Named
    from prm_eval.labelling.writing import Key, Outcome
    from prm_eval.pools.pool import Pool
    from prm_eval.records import Candidate, Problem, StepLabel

LABELLING = "labelling"
ORACLE = "the miniature's oracle"


def _rollouts(options: argparse.Namespace) -> int:
    from prm_eval.labelling.rollouts import Rollouts

    pool, wanted = _pool_and_queue(options)
    completer, frame, how = _policy(options, pool)
    folder = _folder(options, f"rollouts-{how.rollouts}")
    given = {"hard": options.hard, "stop": options.stop, "splitter": options.splitter, "grader": options.grader}
    given |= {"keep_texts": options.keep_texts, "results": options.results}
    run = Rollouts(pool, folder, completer, frame, how, wanted=wanted, **given)
    found = run.run(Bar)
    counts = found.counts
    saved = 1 - counts.beginnings / max(1, counts.steps)
    print(f"candidates {counts.candidates:,}, {counts.texts:,} different texts")
    print(f"beginnings {counts.steps:,}, {counts.beginnings:,} different: {100 * saved:.1f} % saved")
    if found.outcome is None:
        print(f"labels     {found.labels.folder}  (were there; nothing was asked)")
        return 0
    print(f"asked      {found.asked:,} beginnings, {found.resumed:,} of them by an earlier run")
    print(f"completed  {found.completions:,}: {found.without_answer:,} without an answer, {found.cut:,} cut off")
    for reason, count in (found.refused or {}).items():
        print(f"refused    {counted(count, 'beginning')}: {reason}")
    return _say_labels(found.outcome)


def _policy(options: argparse.Namespace, pool: Pool) -> tuple[Completer, Frame, Sampling]:
    from prm_eval.labelling.completers import Sampling, load_policy

    def chosen(name: str, default: float) -> float:
        given = getattr(options, name)
        if given is not None:
            return float(given)
        # a pool says of its sampling what its source said, which need not be a number
        stated = pool.info.sampling.get(name)
        return float(stated) if isinstance(stated, (int, float)) and not isinstance(stated, bool) else default

    how = Sampling(
        options.rollouts,
        chosen("temperature", 0.7),
        chosen("top_p", 1.0),
        options.max_new_tokens,
        tuple(each.replace("\\n", "\n") for each in options.until),
        options.rollout_seed if "rollout_seed" in options else options.seed,
    )
    names = ("base_url", "engine", "parallel", "chat", "revision", "device", "dtype")
    prompt = None if options.prompt is None else options.prompt.replace("\\n", "\n")
    return *load_policy(options.policy, prompt=prompt, **{name: getattr(options, name) for name in names}), how


def _oracle(options: argparse.Namespace) -> int:
    from prm_eval.labelling.labellers import label_by

    pool, wanted = _pool_and_queue(options)
    with Bar(LABELLING, _total(pool, wanted), "candidate") as progress:
        found = label_by(
            pool,
            _folder(options, "oracle"),
            _oracle_says,
            source="oracle",
            by=ORACLE,
            kind="every_step",
            splitter="line",
            wanted=wanted,
            grades=options.grades,
            progress=progress,
        )
    return _say_labels(found)


def _oracle_says(problem: Problem, candidate: Candidate) -> StepLabel:
    from prm_eval.miniature.oracle import judge
    from prm_eval.miniature.problems import plan_of
    from prm_eval.miniature.step_set import label_of

    return label_of(candidate, judge(plan_of(problem), candidate.text))


def _model(options: argparse.Namespace) -> int:
    from prm_eval.labelling.labellers import label_by_model
    from prm_eval.rewards import RewardFile, reward_slug

    pool, wanted = _pool_and_queue(options)
    rewards = RewardFile(options.rewards)
    with Bar(LABELLING, _total(pool, wanted), "candidate") as progress:
        found = label_by_model(
            pool,
            rewards,
            _folder(options, reward_slug(rewards.info.name)),
            threshold=options.threshold,
            wanted=wanted,
            grades=options.grades,
            progress=progress,
        )
    return _say_labels(found)


def _judge(options: argparse.Namespace) -> int:
    from prm_eval.labelling.judging import judged, options_of
    from prm_eval.labelling.labellers import label_by_judge
    from prm_eval.rewards import RewardFile, reward_slug

    if (options.rewards is None) == (options.reward_model is None):
        raise PrmEvalError("give the reward folder of a judge, or ask one now with --reward-model, one of the two")
    pool, wanted = _pool_and_queue(options)
    scored = pool
    if options.rewards is not None:
        rewards = RewardFile(options.rewards)
        folder = _folder(options, reward_slug(rewards.info.name))
    else:
        folder = _folder(options, reward_slug(options.reward_model))
        scored, rewards = judged(pool, wanted, folder, options.reward_model, options_of(vars(options)), bars=Bar)
    with Bar(LABELLING, _total(pool, wanted), "candidate") as progress:
        given = {"wanted": wanted, "scored": scored, "grades": options.grades, "progress": progress}
        found = label_by_judge(pool, rewards, folder, **given)
    return _say_labels(found)


def _queue(options: argparse.Namespace) -> int:
    from prm_eval.labelling.queues import ABOUT, labelled_keys, make_queue
    from prm_eval.pools.pool import Pool
    from prm_eval.rewards import RewardFile

    pool = Pool(options.pool).require_sound()
    with Bar("choosing", pool.info.n_problems, "problem") as progress:
        found = make_queue(
            pool,
            options.output or options.pool / "labels" / f"{options.by}.queue.jsonl",
            _ask(options),
            rewards=[RewardFile(each) for each in options.rewards],
            grades=options.grades,
            seed=options.seed,
            skip=labelled_keys(options.skip, pool),
            progress=progress,
        )
    print(f"chosen     {counted(len(found.picks), 'candidate')} of {counted(found.problems, 'problem')}")
    if options.count is not None and len(found.picks) < options.count:
        print(f"note       {options.count:,} were asked for; the pool has no more that the rule would choose")
    if options.by == "convincing":
        print(f"wrong      {found.wrong:,} of them have a wrong answer")
    empty = f", {found.empty:,} without a text" if found.empty else ""
    print(
        f"passed by  {found.repeats:,} with the text of another, {found.labelled:,} labelled, "
        f"{found.refused:,} refused{empty}"
    )
    print(f"queue      {found.path}  (how it was made: {found.path.name}{ABOUT})")
    return 0


def _compare(options: argparse.Namespace) -> int:
    from prm_eval.labelling.comparing import as_json, as_table, compare_labels
    from prm_eval.stepsets.label_file import LabelFile

    reference = LabelFile(options.labels)
    found = compare_labels(
        _pool_of(options), reference, [LabelFile(each) for each in options.others], seed=options.seed
    )
    if options.json:
        print(json.dumps(as_json(reference, found), indent=2, sort_keys=True))
        return 0
    for line in as_table(reference, found):
        print(line)
    return 0


def _convert(options: argparse.Namespace) -> int:
    from prm_eval.labelling.converting import convert_labels
    from prm_eval.stepsets.label_file import LabelFile, to_step_set

    pool, labels = _pool_of(options), LabelFile(options.labels)
    if options.to == "stepset":
        step_set = to_step_set(pool, labels, options.output, options.name)
        print(f"step set   {step_set.path}  ({counted(step_set.info.n_solutions, 'solution')})")
        return 0
    found = convert_labels(pool, labels, options.to, options.output)
    print(f"rows       {found.rows:,}; {found.shortened:,} end with their last known step, before their own end")
    if found.unknown:
        print(f"left out   {found.unknown:,}: nothing is known of their first step")
    print(f"file       {found.path}")
    return 0


def _filter(options: argparse.Namespace) -> int:
    from prm_eval.labelling.filtering import filter_labels
    from prm_eval.stepsets.label_file import LabelFile

    found = filter_labels(
        _pool_of(options),
        LabelFile(options.labels),
        options.output,
        treatment=options.false_positives,
        grades=options.grades,
    )
    done = "left out" if options.false_positives == "leave-out" else "called wrong"
    print(f"right      {found.right:,}")
    print(f"wrong      {found.wrong:,}")
    print(f"false      {found.false_positives:,} right answers with a wrong step, {done}")
    if found.unknown:
        print(f"unknown    {found.unknown:,} left out: no grade, or not every step of a right answer is known")
    print(f"written    {found.path}")
    return 0


def _rounds(options: argparse.Namespace) -> int:
    from prm_eval.labelling.rounds import Plan, as_table, run_rounds
    from prm_eval.pools.pool import Pool
    from prm_eval.rewards import RewardFile

    pool = Pool(options.pool).require_sound()
    if len(options.rewards) > 1:
        raise PrmEvalError("--rewards: one model can choose in the first round; later ones choose by their own")
    plan = Plan(
        _ask(options),
        _labeller(options, pool),
        _trainer(options, pool),
        options.rounds,
        start=RewardFile(options.rewards[0]) if options.rewards else None,
        test=None if options.test is None else Pool(options.test).require_sound(),
        grades=options.grades,
        seed=options.seed,
    )
    found = run_rounds(pool, options.output, plan, Bar)
    for line in as_table(found):
        print(line)
    print(f"rounds     {options.output}; the last model: {found[-1].model}")
    return 0


def _labeller(options: argparse.Namespace, pool: Pool) -> Named:
    from prm_eval.labelling import round_labellers
    from prm_eval.labelling.judging import options_of
    from prm_eval.rewards import RewardFile

    needed = {"model": "strong", "judge": "reward_model", "rollouts": "policy"}.get(options.labeller)
    if needed is not None and getattr(options, needed) is None:
        raise PrmEvalError(f"--labeller {options.labeller} needs --{needed.replace('_', '-')}")
    if options.labeller == "oracle":
        return round_labellers.oracle(_oracle_says, ORACLE, "every_step", "line")
    if options.labeller == "model":
        return round_labellers.model(RewardFile(options.strong), options.threshold)
    if options.labeller == "judge":
        return round_labellers.judge(options.reward_model, options_of(vars(options)), Bar)
    if options.labeller == "people":
        return round_labellers.people()
    return round_labellers.rollouts(*_policy(options, pool), Bar, hard=options.hard, stop=options.stop)


def _trainer(options: argparse.Namespace, pool: Pool) -> Named:
    from prm_eval.cli.train import train_options
    from prm_eval.labelling.round_trainers import require_trainable
    from prm_eval.labelling.rounds import Named, has_trained, own_trainer

    if (options.base is None) == (options.trainer is None):
        raise PrmEvalError("who trains? Give --base MODEL for prm-eval train prm, or --trainer MODULE:FUNCTION")
    if options.trainer is not None:
        return own_trainer(options.trainer)

    def parsed(step_set: Path, folder: Path) -> argparse.Namespace:
        from prm_eval.cli.parser import build_parser

        words = ["train", "prm", str(step_set), "--base", options.base, "-o", str(folder)]
        try:
            more = shlex.split(options.train)
        except ValueError as error:
            raise PrmEvalError(f"--train {options.train!r}: {error}; expected options as on a command line") from None
        return settled(build_parser().parse_args([*words, *more]))

    def train(step_set: Path, folder: Path) -> tuple[str, dict[str, str]]:
        from prm_eval.cli.commands import ACTIONS

        # a finished training is not made again
        if not (folder / "training.json").is_file():
            given = parsed(step_set, folder)
            ACTIONS[given.command](given)
        recipe = folder / "recipe.yaml"
        return str(folder), {"recipe": str(recipe)} if recipe.is_file() else {}

    # what the training would refuse is found now and not after a round of labels
    given = parsed(Path("SET"), Path("MODEL"))
    if not has_trained(options.output):
        require_trainable(pool, options.base, train_options(given, "prm"))
    return Named({"base": options.base, "train": options.train}, train)


def _ask(options: argparse.Namespace) -> Ask:
    from prm_eval.labelling.queue_rules import Ask

    names = ("per_problem", "count", "share", "spread", "sure")
    return Ask(options.by, **{name: getattr(options, name) for name in names})


def _pool_and_queue(options: argparse.Namespace) -> tuple[Pool, dict[Key, str] | None]:
    from prm_eval.labelling.queues import read_queue
    from prm_eval.pools.pool import Pool

    pool = Pool(options.pool).require_sound()
    return pool, None if options.queue is None else read_queue(options.queue, pool)


def _pool_of(options: argparse.Namespace) -> Pool:
    from prm_eval.labelling.writing import pool_of
    from prm_eval.pools.pool import Pool

    return Pool(options.pool or pool_of(options.labels)).require_sound()


def _total(pool: Pool, wanted: dict[Key, str] | None) -> int:
    return pool.info.n_candidates if wanted is None else len(wanted)


def _folder(options: argparse.Namespace, name: str) -> Path:
    from prm_eval.stepsets.label_file import FOLDER

    folder: Path = options.output or options.pool / FOLDER / name
    return folder


def _say_labels(found: Outcome) -> int:
    info = found.labels.info
    print(f"source     {info.source}: {info.by}; {info.labels}, steps by {info.splitter}")
    print(f"labelled   {counted(found.labelled, 'candidate')}, {found.with_error:,} with a wrong step")
    print(f"steps      {found.steps:,} rated, {found.wrong_steps:,} wrong")
    for reason, count in found.left_out.items():
        print(f"left out   {count:,}: {reason}")
    print(f"labels     {found.labels.folder}")
    return 0


LABELLER_ACTIONS: dict[str, Callable[[argparse.Namespace], int]] = {
    "label rollouts": _rollouts,
    "label oracle": _oracle,
    "label model": _model,
    "label judge": _judge,
    "label queue": _queue,
    "label compare": _compare,
    "label convert": _convert,
    "label filter": _filter,
    "label rounds": _rounds,
}
