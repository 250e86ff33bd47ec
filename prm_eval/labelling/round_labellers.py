"""The labellers of rounds: each labels the candidates of a queue into a folder, and says who it is."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from shlex import quote
from typing import Any

from prm_eval.labelling.completers import Completer, Frame, Sampling
from prm_eval.labelling.judging import judged
from prm_eval.labelling.labellers import Teller, label_by, label_by_judge, label_by_model, limit_of
from prm_eval.labelling.rollouts import Rollouts
from prm_eval.labelling.rounds import Named, Waiting
from prm_eval.labelling.writing import Key
from prm_eval.pools.pool import Pool
from prm_eval.progress import Bars, no_bars
from prm_eval.records import LabelKind
from prm_eval.rewards import RewardFile
from prm_eval.stepsets.label_file import FOLDER


def oracle(teller: Teller, by: str, kind: LabelKind, splitter: str) -> Named:
    """Return a labeller that knows."""

    def do(pool: Pool, wanted: Collection[Key], folder: Path) -> object:
        given = {"source": "oracle", "by": by, "kind": kind, "splitter": splitter}
        return label_by(pool, folder, teller, wanted=wanted, **given)  # type: ignore[arg-type]

    return Named({"labeller": "oracle", "by": by}, do)


def model(rewards: RewardFile, threshold: float | None = None) -> Named:
    """Return a labeller that reads a strong reward model's rewards of the whole pool."""

    def do(pool: Pool, wanted: Collection[Key], folder: Path) -> object:
        return label_by_model(pool, rewards, folder, threshold=threshold, wanted=wanted)

    return Named({"labeller": "model", "rewards": rewards.info.name, "threshold": limit_of(rewards, threshold)}, do)


def judge(name: str, options: Mapping[str, Any], bars: Bars = no_bars) -> Named:
    """Return a labeller that asks a generative verifier about what is chosen."""

    def do(pool: Pool, wanted: Collection[Key], folder: Path) -> object:
        part, rewards = judged(pool, wanted, folder, name, options, bars=bars)
        return label_by_judge(pool, rewards, folder, wanted=wanted, scored=part)

    # where it is served says nothing of who it is
    about = {key: value for key, value in options.items() if key != "base_url"}
    return Named({"labeller": "judge", "reward_model": name, **about}, do)


def rollouts(completer: Completer, frame: Frame, how: Sampling, bars: Bars = no_bars, **options: Any) -> Named:
    """Return a labeller that lets a policy go on from each step; the options are those of :class:`Rollouts`."""

    def do(pool: Pool, wanted: Collection[Key], folder: Path) -> object:
        return Rollouts(pool, folder, completer, frame, how, wanted=wanted, **options).run(bars)

    about = {"policy": completer.describe(), "frame": frame.settings(), "sampling": how.settings(), **options}
    return Named({"labeller": "rollouts", **about}, do)


def people() -> Named:
    """Return the labeller that waits for people, or for anything else that makes the folder.

    Each round is a campaign of its own, whose labels are put together by the rounds.
    """

    def do(pool: Pool, wanted: Collection[Key], folder: Path) -> object:
        queue, name = folder.parent / "queue.jsonl", folder.parent.name
        of, at, here, out = (quote(str(each)) for each in (pool.path, queue, pool.path / FOLDER / name, folder))
        raise Waiting(
            f"{len(wanted):,} candidates wait for labels.\n"
            f"Label those of {queue} into {folder}, for example by\n"
            f"  prm-eval label serve {of} --name {name} --queue {at} --labeller NAME\n"
            f"  prm-eval label export {here} --queue {at} --to labels -o {out}\n"
            "Then run the same command again."
        )

    return Named({"labeller": "people"}, do)
