"""The commands of ``prm-eval train``."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Callable
from dataclasses import fields
from typing import TYPE_CHECKING

from prm_eval.cli.printing import say as print
from prm_eval.progress import Bar

if TYPE_CHECKING:
    from prm_eval.training.options import TrainOptions


def _train_prm(options: argparse.Namespace) -> int:
    return _train(options, "prm")


def _train_orm(options: argparse.Namespace) -> int:
    return _train(options, "orm")


def train_options(options: argparse.Namespace, kind: str) -> TrainOptions:
    """Return what a training is told, from the words of its command.

    Raises:
        PrmEvalError: An option has no meaning.
    """
    from prm_eval.training.options import TrainOptions

    given = {each.name: getattr(options, each.name) for each in fields(TrainOptions) if hasattr(options, each.name)}
    return TrainOptions(**{**given, "kind": kind, "against": tuple(options.against)})


def _train(options: argparse.Namespace, kind: str) -> int:
    from prm_eval.training.job import run_training

    chosen = train_options(options, kind)
    command = shlex.join(["prm-eval", *sys.argv[1:]])
    found = run_training(options.data, options.base, options.output, chosen, command=command, bars=Bar, tell=print)
    examples, work = found.record["examples"], found.record["work"]
    what = f"{examples['trained_on']:,} solutions of {examples['problems']:,} problems"
    print(f"trained    on {what}, {work['updates']:,} updates")
    for line in found.lines:
        print(line)
    print(f"model      {found.folder} (score with: --reward-model {found.folder} --recipe {found.folder}/recipe.yaml)")
    return 0


TRAIN_ACTIONS: dict[str, Callable[[argparse.Namespace], int]] = {"train prm": _train_prm, "train orm": _train_orm}
