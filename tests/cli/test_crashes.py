"""Commands that are killed at each of their steps on the disk. If one failed here, a user whose machine went down could
not go on with the same command, or would submit the leftovers of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from tests.cli.crashing import COMMANDS
from tests.conftest import ROOT

# every step of a command that is quick, and some of those that are not; together they pass through every writer
STRIDES = {"import": 9, "register": 5, "score": 3, "submission": 5, "from": 4, "lost": 3, "verify": 2}
# a page or a board takes seconds; each file of theirs is written alike
STRIDES |= {"page": 4, "board": 17, "board again": 19}
LEAST = {"import": 30, "grade": 3, "register": 15, "score": 10, "from": 10, "board": 10}


@pytest.fixture(scope="module")
def crashing(tmp_path_factory):
    """The process that all commands are forked from: what they import, it imports once."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    log = tmp_path_factory.mktemp("crashing") / "log"
    with (
        log.open("w") as errors,
        subprocess.Popen(
            [sys.executable, "-m", "tests.cli.crashing"],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        ) as process,
    ):

        def crash(*question: object) -> dict:
            process.stdin.write(json.dumps(question) + "\n")
            process.stdin.flush()
            answer = process.stdout.readline()
            assert answer, log.read_text()
            return json.loads(answer)

        yield crash


@pytest.mark.slow
@pytest.mark.parametrize("name", COMMANDS)
def test_a_killed_command_is_finished_by_the_same_command(crashing, tmp_path, name) -> None:
    """Wherever it was killed: the folder holds what an undisturbed run leaves, to the byte, and nothing else."""
    found = crashing(name, str(tmp_path / "work"), STRIDES.get(name, 1))
    assert found["faults"] == []
    # a hook that no longer finds the calls would find no fault either
    assert found["steps"] >= LEAST.get(name, 1)
