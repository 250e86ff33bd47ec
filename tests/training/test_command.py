"""The command line of training: options reach the training, faults are one line, the record has the command."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from prm_eval.cli import train as cli
from prm_eval.cli.commands import main
from prm_eval.cli.parser import build_parser
from prm_eval.cli.types import settled
from prm_eval.training import job
from prm_eval.training.options import TrainOptions
from tests.training import small

NOT_ON_THE_COMMAND_LINE = {"kind"}
OF_STEPS = {"labels", "form", "candidates", "neutral", "soft"}
GIVEN = {
    "head": ("--head", "lm-rows"), "recipe": ("--recipe", "math-shepherd"), "grades": ("--grades", "published"),
    "labels": ("--labels", "mine"), "form": ("--format", "trl"), "candidates": ("--candidates", True),
    "neutral": ("--neutral", "class"), "soft": ("--soft", True), "class_weights": ("--class-weights", "bad=2"),
    "epochs": ("--epochs", 3), "rate": ("--rate", 0.25), "warmup": ("--warmup", 0.5), "decay": ("--decay", 0.125),
    "clip": ("--clip", 2.0), "batch_tokens": ("--batch-tokens", 99), "accumulate": ("--accumulate", 7),
    "packing": ("--packing", "off"), "checkpointing": ("--checkpointing", True),
    "precision": ("--precision", "float16"), "save_dtype": ("--save-dtype", "bfloat16"), "lora": ("--lora", 8),
    "lora_alpha": ("--lora-alpha", 9), "max_tokens": ("--max-tokens", 77), "held_out": ("--held-out", 0.25),
    "held_out_data": ("--held-out-data", "OTHER"), "held_out_most": ("--held-out-most", 44),
    "patience": ("--patience", 2), "evaluate_every": ("--evaluate-every", 5), "save_every": ("--save-every", 6),
    "log_every": ("--log-every", 8), "pool": ("--pool", "P"), "pool_problems": ("--pool-problems", 3),
    "contamination": ("--contamination", "keep"), "contradictions": ("--contradictions", "drop"),
    "against": ("--against", "SET"), "unchecked": ("--unchecked", True), "seed": ("--seed", 5),
    "revision": ("--revision", "abc"), "device": ("--device", "cpu"), "fsdp": ("--fsdp", "f.json"),
    "deepspeed": ("--deepspeed", "d.json"),
}  # fmt: skip


def options_of(monkeypatch: pytest.MonkeyPatch, kind: str, *words: str) -> TrainOptions:
    """The options that a command hands to the training."""
    seen: list[TrainOptions] = []

    def take(data, base, out, options, **rest):
        seen.append(options)
        raise SystemExit(0)

    monkeypatch.setattr(job, "run_training", take)
    with pytest.raises(SystemExit):
        parsed = build_parser().parse_args(["train", kind, "SET", "--base", "B", "-o", "OUT", *words])
        cli.TRAIN_ACTIONS[parsed.command](settled(parsed))
    return seen[0]


def test_every_option_has_a_flag() -> None:
    """Otherwise an option exists for Python alone, or this table forgets one."""
    assert {each.name for each in dataclasses.fields(TrainOptions)} == GIVEN.keys() | NOT_ON_THE_COMMAND_LINE


@pytest.mark.parametrize("kind", ["prm", "orm"])
def test_defaults_are_those_of_python(monkeypatch, kind) -> None:
    """Otherwise a command trains otherwise than the function of the same options."""
    assert options_of(monkeypatch, kind) == TrainOptions(kind)


@pytest.mark.parametrize("name", GIVEN)
def test_each_flag_reaches_its_option(monkeypatch, name) -> None:
    """Otherwise a flag is read and forgotten."""
    flag, value = GIVEN[name]
    words = [flag] if value is True else [flag, str(value)]
    words += ["--lora", "8"] if name == "lora_alpha" else []
    found = getattr(options_of(monkeypatch, "prm", *words), name)
    assert found == ((value,) if name == "against" else value)
    if name in OF_STEPS:
        with pytest.raises(SystemExit) as stop:
            build_parser().parse_args(["train", "orm", "SET", "--base", "B", "-o", "OUT", *words])
        assert stop.value.code == 2


@pytest.mark.parametrize(
    ("changed", "decides"),
    [
        ({"rate": 0.5}, True),
        ({"seed": 3}, True),
        ({"save_every": 3}, False),
        ({"log_every": 3}, False),
        ({"device": "cpu"}, False),
        ({"evaluate_every": 3}, False),
        ({"evaluate_every": 3, "patience": 1}, True),
        ({"against": ("x",)}, False),
        ({"against": ("x",), "contamination": "drop"}, True),
        ({"unchecked": True}, False),
    ],
)
def test_which_options_decide_the_weights(changed, decides) -> None:
    """Otherwise a run goes on with states of other options, or is refused for one that changes nothing."""
    without = {key: value for key, value in changed.items() if key in ("patience", "contamination")}
    one, other = TrainOptions("prm", **changed).deciding(), TrainOptions("prm", **without).deciding()
    assert (one != other) is decides


def test_a_fault_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Otherwise a user reads a traceback of a library for a slip of their own."""
    small.base(tmp_path / "base")
    capsys.readouterr()  # transformers' own bar
    command = ["train", "prm", str(tmp_path / "nothing.jsonl"), "--base", str(tmp_path / "base"), "--device", "cpu"]
    assert main([*command, "-o", str(tmp_path / "out"), "--unchecked"]) == 1
    said = capsys.readouterr().err.strip().splitlines()
    assert len(said) == 1 and said[0].startswith("prm-eval: ") and "nothing.jsonl" in said[0]


def test_the_command_stands_in_the_record(tmp_path: Path, monkeypatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Otherwise nobody can make the checkpoint again from its card."""
    small.base(tmp_path / "base")
    small.step_set(tmp_path / "my set", 30)
    words = ["train", "prm", str(tmp_path / "my set"), "--base", str(tmp_path / "base"), "-o", str(tmp_path / "out"),
             "--unchecked", "--device", "cpu", "--held-out", "0.3"]  # fmt: skip
    monkeypatch.setattr("sys.argv", ["prm-eval", *words])
    assert main() == 0
    record = json.loads((tmp_path / "out" / "training.json").read_text())
    assert record["command"] == f"prm-eval train prm '{tmp_path}/my set' --base {words[4]} -o {words[6]} " + " ".join(
        words[7:]
    )
    assert "recipe.yaml" in capsys.readouterr().out
