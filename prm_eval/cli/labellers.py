"""The commands of labellers that are no people, of queues and of rounds."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from prm_eval.cli.printing import say as print
from prm_eval.cli.types import counted
from prm_eval.errors import PrmEvalError
from prm_eval.progress import Bar

if TYPE_CHECKING:
    from prm_eval.labelling.writing import Key, Outcome
    from prm_eval.pools.pool import Pool
    from prm_eval.records import Candidate, Problem, StepLabel

LABELLING = "labelling"


def _oracle(options: argparse.Namespace) -> int:
    from prm_eval.labelling.labellers import label_by

    pool, wanted = _pool_and_queue(options)
    with Bar(LABELLING, _total(pool, wanted), "candidate") as progress:
        found = label_by(
            pool,
            _folder(options, "oracle"),
            _oracle_says,
            source="oracle",
            by="the miniature's oracle",
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
    from prm_eval.labelling.queue_rules import Ask
    from prm_eval.labelling.queues import ABOUT, labelled_keys, make_queue
    from prm_eval.pools.pool import Pool
    from prm_eval.rewards import RewardFile

    pool = Pool(options.pool).require_sound()
    names = ("per_problem", "count", "share", "spread", "sure")
    ask = Ask(options.by, **{name: getattr(options, name) for name in names})
    with Bar("choosing", pool.info.n_problems, "problem") as progress:
        found = make_queue(
            pool,
            options.output or options.pool / "labels" / f"{options.by}.queue.jsonl",
            ask,
            rewards=[RewardFile(each) for each in options.rewards],
            grades=options.grades,
            seed=options.seed,
            skip=labelled_keys(options.skip, pool),
            progress=progress,
        )
    print(f"chosen     {counted(len(found.picks), 'candidate')} of {counted(found.problems, 'problem')}")
    if options.by == "convincing":
        print(f"wrong      {found.wrong:,} of them have a wrong answer")
    print(
        f"passed by  {found.repeats:,} with the text of another, {found.labelled:,} labelled, {found.refused:,} refused"
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
    "label oracle": _oracle,
    "label model": _model,
    "label judge": _judge,
    "label queue": _queue,
    "label compare": _compare,
    "label convert": _convert,
    "label filter": _filter,
}
