"""A training that was killed goes on to the same bytes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from prm_eval.errors import PrmEvalError
from prm_eval.training.job import run_training
from prm_eval.training.options import TrainOptions
from prm_eval.training.states import MARK, Log, folder_of, last_whole, mark_whole
from tests.training import small

GIVEN = {"unchecked": True, "rate": 0.01, "batch_tokens": 200, "accumulate": 2, "epochs": 3, "save_every": 3}


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    folder = tmp_path_factory.mktemp("resume")
    small.base(folder / "base")
    small.step_set(folder / "set", 40)
    return folder


def weights(out: Path) -> bytes:
    return (out / "model.safetensors").read_bytes()


def course(out: Path) -> list[dict]:
    """The log without what a clock decides, and without losses: one that spans an interruption is of its end."""
    lines = Log(out / "training.jsonl", 10**9).lines
    return [{key: each for key, each in line.items() if key not in ("seconds", "loss", "gradient")} for line in lines]


@pytest.mark.parametrize("given", [{}, {"lora": 4, "evaluate_every": 2}], ids=["all weights", "adapter"])
def test_the_same_bytes_after_each_interruption(home, tmp_path, given) -> None:
    """Otherwise an interrupted training leaves another model than one that was not."""
    options = TrainOptions("prm", **GIVEN, **given)
    whole = run_training(str(home / "set"), str(home / "base"), tmp_path / "whole", options)
    assert whole.record["work"]["updates"] > 8
    out = tmp_path / "cut"
    for stop in (3, 6):
        with pytest.raises(KeyboardInterrupt):
            run_training(str(home / "set"), str(home / "base"), out, options, stop_after=stop)
    again = run_training(str(home / "set"), str(home / "base"), out, options)
    assert weights(out) == weights(tmp_path / "whole")
    assert course(again.folder) == course(whole.folder)
    assert again.record["figures"] == whole.record["figures"]


@pytest.mark.slow
def test_kill_9_and_the_same_command(home, tmp_path) -> None:
    """Otherwise a power cut costs the training, or changes its weights."""
    out = tmp_path / "out"
    command = [sys.executable, "-m", "prm_eval.cli", "train", "prm", str(home / "set"), "--base", str(home / "base"),
               "-o", str(out), "--unchecked", "--rate", "0.01", "--batch-tokens", "200", "--accumulate", "2",
               "--epochs", "15", "--save-every", "3"]  # fmt: skip
    running = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    states = out / ".work" / "states"
    deadline = time.monotonic() + 300
    while not list(states.glob(f"*/{MARK}")) and running.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(running.pid, signal.SIGKILL)
    running.wait()
    assert not (out / "training.json").exists(), "it ended before it was killed"
    assert last_whole(states) is not None
    subprocess.run(command, check=True, capture_output=True)
    given = TrainOptions("prm", **{**GIVEN, "epochs": 15})
    run_training(str(home / "set"), str(home / "base"), tmp_path / "whole", given)
    assert weights(out) == weights(tmp_path / "whole")


def test_another_training_in_the_same_folder(home, tmp_path) -> None:
    """Otherwise a run goes on with the states of other data or options."""
    options = TrainOptions("prm", **GIVEN)
    with pytest.raises(KeyboardInterrupt):
        run_training(str(home / "set"), str(home / "base"), tmp_path / "out", options, stop_after=3)
    with pytest.raises(PrmEvalError, match="holds an unfinished training with other rate; expected the same"):
        changed = TrainOptions("prm", **{**GIVEN, "rate": 0.02})
        run_training(str(home / "set"), str(home / "base"), tmp_path / "out", changed)
    small.step_set(tmp_path / "set", 38)
    with pytest.raises(PrmEvalError, match="with other data"):
        run_training(str(tmp_path / "set"), str(home / "base"), tmp_path / "out", options)


def test_a_state_that_was_cut_off_is_no_state(tmp_path) -> None:
    """Otherwise a half-written state is gone on from, and fails or gives other weights."""
    folder_of(tmp_path, 3).mkdir()
    mark_whole(tmp_path, 3)
    folder_of(tmp_path, 6).mkdir()
    assert last_whole(tmp_path) == folder_of(tmp_path, 3)
    assert not folder_of(tmp_path, 6).exists()
    folder_of(tmp_path, 9).mkdir()
    mark_whole(tmp_path, 9)
    assert [each.name for each in tmp_path.iterdir()] == ["checkpoint-9"]


def test_a_log_is_cut_to_its_state(tmp_path) -> None:
    """Otherwise lines of updates that were lost stand twice, or a torn last line stops the run."""
    (tmp_path / "log").write_text('{"step": 1}\n{"step": 2, "held_out": {"a": 0.5}}\n{"step": 3}\n{"st')
    log = Log(tmp_path / "log", 2)
    assert [line["step"] for line in log.lines] == [1, 2] and log.held_out("a") == [(2, 0.5)]
    log.add({"step": 3})
    assert (tmp_path / "log").read_text().splitlines()[-1] == '{"step": 3}'
