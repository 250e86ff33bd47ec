"""The options of ``prm-eval train``, in groups by what they are about."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from prm_eval.cli.types import Later, add_choice, add_command, add_group, positive

HOME = "prm_eval.training.options"


def train_parser(commands: Any) -> None:
    """Add ``prm-eval train``."""
    text = "labels -> a verifier: an ordinary checkpoint with its recipe and its card"
    kinds = add_group(commands, "train", text, "prm SET --base Qwen/Qwen2.5-Math-1.5B -o MY-PRM")
    prm = add_command(
        kinds,
        "prm",
        "labelled steps -> a process reward model; an interrupted training goes on",
        "SET --base Qwen/Qwen2.5-Math-1.5B -o MY-PRM",
        "train prm",
    )
    _data(prm, "a step set, a pool with labels, or files with labelled steps (PRM800K, Math-Shepherd, TRL, ...)")
    _labels(prm.add_argument_group("what is learned"))
    _common(prm)
    orm = add_command(
        kinds,
        "orm",
        "graded candidates -> an outcome reward model; an interrupted training goes on",
        "POOL --base Qwen/Qwen2.5-Math-1.5B -o MY-ORM",
        "train orm",
    )
    _data(orm, "a graded pool, or a step set that says whether final answers are right")
    _common(orm)


def _data(command: Any, text: str) -> None:
    command.add_argument("data", metavar="DATA", help=text)
    command.add_argument("--base", required=True, metavar="MODEL", help="the model to start from: a folder or a hub id")
    command.add_argument(
        "-o", "--output", type=Path, required=True, metavar="OUT", help="the checkpoint to make: weights, recipe, card"
    )
    command.add_argument("--revision", help="hub revision of the base")


def _labels(group: Any) -> None:
    group.add_argument("--labels", metavar="NAME", help="which labels of a pool, where it has several")
    add_choice(
        group,
        "--format",
        dest="form",
        default="auto",
        choices=Later("prm_eval.importers.steps:STEP_FORMATS", before=["auto"]),
        help="of a file, instead of recognising it",
    )
    group.add_argument(
        "--candidates", action="store_true", help="PRM800K: every rated completion with the steps before"
    )
    add_choice(
        group,
        "--neutral",
        default="good",
        choices=Later(f"{HOME}:NEUTRAL"),
        help="what a neutral step is: good, bad, left out, or a class of its own that scores as good (default: good)",
    )
    group.add_argument(
        "--soft", action="store_true", help="learn shares of right continuations as they are (default: bad only if 0)"
    )


def _common(command: Any) -> None:
    _model(command.add_argument_group("the model"))
    _learning(command.add_argument_group("how it learns"))
    _computing(command.add_argument_group("how it computes"))
    _measuring(command.add_argument_group("what is measured"))
    _refusing(command.add_argument_group("what is refused"))


def _model(group: Any) -> None:
    add_choice(
        group,
        "--head",
        default="token-classification",
        choices=Later(f"{HOME}:HEADS"),
        help="two outputs at each token, rows of the output matrix, one value, or one for the whole text "
        "(default: %(default)s)",
    )
    group.add_argument("--recipe", metavar="NAME_OR_FILE", help="train by this recipe in place of the head's own")
    group.add_argument("--lora", type=int, default=0, metavar="RANK", help="train an adapter, merged in the end")
    group.add_argument("--lora-alpha", type=positive, metavar="A", help="its scale (default: twice the rank)")
    group.add_argument(
        "--max-tokens", type=positive, metavar="N", help="leave out longer inputs (default: the model's)"
    )
    add_choice(
        group,
        "--save-dtype",
        default="float32",
        choices=Later("prm_eval.rewards.models.checkpoint:DTYPES"),
        help="of the stored weights (default: float32)",
    )


def _learning(group: Any) -> None:
    group.add_argument("--epochs", type=positive, default=1, metavar="N", help="passes over the data (default: 1)")
    group.add_argument("--rate", type=float, default=1e-5, metavar="R", help="largest learning rate (default: 1e-5)")
    group.add_argument("--warmup", type=float, default=0.05, metavar="SHARE", help="of the updates (default: 0.05)")
    group.add_argument("--decay", type=float, default=0.0, metavar="D", help="weight decay (default: 0)")
    group.add_argument("--clip", type=float, default=1.0, metavar="G", help="largest norm of a gradient (default: 1)")
    group.add_argument(
        "--class-weights", default="", metavar="W", help="balanced, or as bad=3,neutral=1,good=1 (default: all 1)"
    )
    group.add_argument(
        "--accumulate", type=positive, default=4, metavar="N", help="batches an update and device (default: 4)"
    )
    group.add_argument("--seed", type=int, default=0, help="of head, order and held-out problems (default: 0)")


def _computing(group: Any) -> None:
    group.add_argument(
        "--batch-tokens", type=positive, metavar="N", help="tokens a batch (default: 8192 on a GPU, 2048 on the CPU)"
    )
    group.add_argument(
        "--packing", choices=("auto", "off"), default="auto", help="pack sequences where attention allows it"
    )
    add_choice(
        group,
        "--precision",
        choices=Later(f"{HOME}:PRECISIONS"),
        help="of the computation; weights stay float32 (default: bfloat16 on a GPU, float32 on the CPU)",
    )
    group.add_argument("--checkpointing", action="store_true", help="compute activations again: less memory, more time")
    group.add_argument("--device", help="cpu, cuda, cuda:1, ... (default: a GPU if there is one)")
    group.add_argument("--fsdp", metavar="FILE", help="FSDP's configuration (JSON), under accelerate launch")
    group.add_argument("--deepspeed", metavar="FILE", help="DeepSpeed's configuration (JSON), under accelerate launch")
    group.add_argument("--save-every", type=positive, metavar="N", help="updates between states (default: a tenth)")


def _measuring(group: Any) -> None:
    group.add_argument(
        "--held-out", type=float, default=0.1, metavar="SHARE", help="of the problems, by statement (default: 0.1)"
    )
    group.add_argument(
        "--held-out-data", metavar="SET", help="a set to hold out instead; its problems are not trained on"
    )
    group.add_argument(
        "--held-out-most",
        type=positive,
        default=500,
        metavar="N",
        help="solutions measured while it runs (default: 500)",
    )
    group.add_argument(
        "--evaluate-every", type=positive, metavar="N", help="updates between figures (default: a tenth)"
    )
    group.add_argument(
        "--patience", type=int, default=0, metavar="N", help="stop after N figures without a better one, keep the best"
    )
    group.add_argument("--pool", metavar="POOL", help="a graded pool on which best of n is measured while it runs")
    group.add_argument("--pool-problems", type=positive, default=50, metavar="N", help="how many of its problems (50)")
    group.add_argument(
        "--grades",
        default="auto",
        help="whose grades of pools: auto (as for prm-eval evaluate), own, published, a grader (default: auto)",
    )
    group.add_argument(
        "--log-every", type=positive, default=10, metavar="N", help="updates between lines (default: 10)"
    )


def _refusing(group: Any) -> None:
    found = f"{HOME}:FOUND"
    add_choice(
        group,
        "--contamination",
        default="refuse",
        choices=Later(found),
        help="problems of a registered set: refuse to train, leave them out, or train on them (default: refuse)",
    )
    group.add_argument(
        "--against",
        action="append",
        default=[],
        metavar="SET",
        help="a further problem set, file, pool or step set to hold problems against; NAME=FILE is a local copy of a "
        "registered one; may be repeated",
    )
    group.add_argument(
        "--unchecked", action="store_true", help="train although a registered set cannot be had; the card says which"
    )
    add_choice(
        group,
        "--contradictions",
        default="refuse",
        choices=Later(found),
        help="one text with two labels: refuse, leave such steps out, or train on both (default: refuse)",
    )
