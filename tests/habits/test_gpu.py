"""benchmarks/gpu.py runs once in a while, for minutes, on a machine that is lent: it must not fail there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("peft")

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "benchmarks" / "gpu.py"
PARTS = ["speed", "batchings", "dtypes", "offload", "lora", "miniature", "policy", "demo"]
BROKEN = """
import importlib.util, os, subprocess, sys, time
import gpu

def rows(machine, emit):
    "Two rows, one with a bar."
    emit(a="1", b="x|y")
    emit(a="2", c="3")

def fails(machine, emit):
    "Fails."
    emit(a="before")
    raise ValueError("no such kernel")

def hangs(machine, emit):
    "Hangs, with a command of its own."
    emit(pid=str(subprocess.Popen(["sleep", "600"]).pid))
    time.sleep(600)

gpu.PARTS.clear()
gpu.PARTS.update(fails=fails, hangs=hangs, demo=rows, rows=rows)
gpu.LIMITS.update(fails=60, hangs=float(os.environ["LIMIT"]), rows=60)
found = importlib.util.find_spec
importlib.util.find_spec = lambda name, *more: None if name == "lm_eval" else found(name, *more)
sys.argv = ["gpu.py", "--device", os.environ["DEVICE"]]
sys.exit(gpu.main())
"""


def run(*command: str, **environment: str) -> subprocess.CompletedProcess:
    paths = os.pathsep.join([str(SCRIPT.parent), str(ROOT)])
    return subprocess.run(
        [sys.executable, *command], capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1", **environment},
    )  # fmt: skip


@pytest.mark.slow
def test_every_part_runs_on_the_cpu(tmp_path) -> None:
    """A part that breaks only on the lent machine costs its whole time; here each runs whole, with tiny sizes."""
    done = run(str(SCRIPT), "--tiny", "--device", "cpu", "--limit", "280", "--out", str(tmp_path / "tables.md"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout == (tmp_path / "tables.md").read_text()
    parts = re.split(r"^\*\*(\w+)\*\* .*\n", done.stdout, flags=re.MULTILINE)
    assert parts[1::2] == PARTS
    tables = dict(zip(parts[1::2], parts[2::2], strict=True))
    assert all(table.strip().startswith("| ") and table.count("\n|") >= 2 for table in tables.values()), tables
    assert "packed in groups" in tables["speed"] and "one by one" in tables["speed"]
    assert "BEYOND" not in tables["batchings"] + tables["dtypes"] and "CHANGED" not in tables["offload"]
    assert "(tiny sizes: the figures mean nothing)" in parts[0] and "every part ran whole" in done.stdout


def test_a_part_that_fails_says_why_and_the_others_go_on() -> None:
    """One broken kernel or one hanging command must not cost the figures of the other parts, nor go on by itself."""
    done = run("-c", BROKEN, DEVICE="cpu", LIMIT="3")
    assert done.returncode == 1, done.stderr
    said = done.stdout
    assert "| a |\n|---|\n| before |\n\nfails did not run whole: failed: ValueError: no such kernel" in said
    assert "hangs did not run whole: stopped at its limit of 3 s" in said
    assert "demo did not run whole: needs lm_eval, which is not installed here" in said
    assert "| a | b | c |\n|---|---|---|\n| 1 | x/y |  |\n| 2 |  | 3 |" in said
    assert said.endswith("not whole: fails, hangs, demo\n")
    pid = int(re.search(r"\| (\d+) \|", said)[1])
    status = Path(f"/proc/{pid}/stat")
    until = time.monotonic() + 10
    while status.exists() and status.read_text().split()[2] != "Z" and time.monotonic() < until:
        time.sleep(0.05)
    assert not status.exists() or status.read_text().split()[2] == "Z", "its command goes on"


def test_a_device_that_is_not_there_is_said_at_once() -> None:
    """Eight parts that fail one after the other hide the one reason."""
    done = run(str(SCRIPT), "speed", "--device", "cuda:99")
    assert done.returncode == 2
    assert "--device cuda:99: failed:" in done.stderr
    done = run(str(SCRIPT), "sped")
    assert done.returncode == 2 and "no part sped; there are speed, batchings" in done.stderr
