"""The options of ``prm-eval score``, in groups by what they are about."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from prm_eval.cli.types import Later, add_choice, add_command, positive
from prm_eval.texts.steps import BASE_SPLITTERS, SPLITTERS

OLD_RAY = "ray"
"""The old value of ``--engine`` that names a runner: until version 0.2 it was one of the engines."""


def score_parser(commands: Any) -> None:
    """Add ``prm-eval score``."""
    score = add_command(
        commands,
        "score",
        "candidates -> step rewards, a reward folder; an interrupted run goes on",
        "POOL --reward-model Qwen/Qwen2.5-Math-PRM-7B -o POOL/rewards/qwen",
    )
    score.add_argument("pool", type=Path, help="a pool folder")
    score.add_argument(
        "--reward-model",
        required=True,
        metavar="RM",
        help="a registered name, RECIPE:CHECKPOINT, package.module:Object, checkpoint folder or hub id",
    )
    _goes_to(score.add_argument_group("where rewards go"))
    _walks(score.add_argument_group("who walks the pool"))
    _feeds(score.add_argument_group("how the reward model is fed and read"))
    _computes(score.add_argument_group("where and how it computes"))
    _judges(score.add_argument_group("of a generative verifier"))


def _goes_to(group: Any) -> None:
    group.add_argument(
        "-o", "--output", type=Path, metavar="DIR", help="the reward folder; with --submission the results folder"
    )
    group.add_argument(
        "--submission",
        metavar="ORG/MODEL",
        help="make a submission: results/submissions/ORG__MODEL/REVISION/POOL-ID (the pool must be registered)",
    )
    group.add_argument(
        "--from",
        dest="taken",
        type=Path,
        metavar="REWARDS",
        help="take the submission's rewards from this folder, if they are of the same model, options and pool: nothing "
        "is computed",
    )


def _walks(group: Any) -> None:
    add_choice(
        group,
        "--runner",
        choices=Later("prm_eval.rewards.scoring:RUNNERS"),
        default="local",
        help="this process, or a Ray cluster (extra [ray]) (default: %(default)s)",
    )
    group.add_argument(
        "--workers",
        type=positive,
        metavar="N",
        help="processes of --runner ray (default: one a GPU; else as many as the CPUs have room for)",
    )


def _feeds(group: Any) -> None:
    group.add_argument(
        "--recipe",
        metavar="NAME_OR_FILE",
        help="how the checkpoint is fed and read (default: by its name or config; see: prm-eval plugins)",
    )
    add_choice(
        group,
        "--aggregation",
        choices=Later("prm_eval.rewards.aggregations:AGGREGATIONS"),
        help="how steps become one reward (default: the model's)",
    )
    group.add_argument(
        "--splitter",
        choices=SPLITTERS,
        metavar="SPLITTER",
        help=f"how candidates are cut (docs/steps.md): {', '.join(BASE_SPLITTERS)}, each also with :tools=drop "
        "(default: the model's, else the pool's)",
    )
    group.add_argument(
        "--separator", help="what stands after each step of a token-classification PRM (default: a newline, \\n)"
    )
    group.add_argument(
        "--prefixes",
        action="store_true",
        help="ask an ORM about the solution up to every step, so that it gives each step a number (default: on a step "
        "set only)",
    )
    group.add_argument("--revision", help="hub revision")
    group.add_argument(
        "--reference",
        metavar="MODEL",
        help="the reference model of an implicit PRM, MODEL@REVISION for a revision (default: the recipe's)",
    )
    group.add_argument(
        "--max-tokens",
        type=positive,
        metavar="N",
        help="refuse longer inputs; of a generative verifier, the length of a judgement (default: the model's limit, "
        "the recipe's)",
    )


def _computes(group: Any) -> None:
    add_choice(
        group,
        "--engine",
        choices=Later("prm_eval.rewards.models.recipe_checkpoint:ENGINES", hidden=[OLD_RAY]),
        help="what turns token ids into outputs: ours, or vLLM (default: local)",
    )
    group.add_argument("--device", help="cpu, cuda, cuda:1, ... (default: a GPU if there is one)")
    add_choice(
        group,
        "--dtype",
        choices=Later("prm_eval.rewards.models.checkpoint:DTYPES"),
        help="of the weights (default: bfloat16 on a GPU, float32 on the CPU)",
    )
    group.add_argument(
        "--batch-tokens",
        type=positive,
        metavar="N",
        help="tokens a forward pass (default: 16384 on a GPU, 3072 on the CPU)",
    )
    group.add_argument(
        "--cache",
        metavar="DIR",
        help="keep scores there for other pools and runs, and use those it has (default: none)",
    )


def _judges(group: Any) -> None:
    group.add_argument(
        "--base-url",
        metavar="URL",
        help="an OpenAI-compatible server, as http://localhost:8000/v1 (default: run it here)",
    )
    group.add_argument("--temperature", type=float, help="of its judgements (default: the recipe's)")
    group.add_argument("--votes", type=positive, metavar="N", help="judgements a candidate (default: the recipe's)")
