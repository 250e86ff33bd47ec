"""A prm-eval that has imported everything: ``python -m tests.warm SOCKET`` is forked for each command that comes.

A command in a process of its own costs a second of imports. Where it is not the start of the process that is tested, a
test makes :func:`program` its ``prm-eval``: a script that hands its arguments, folder and files to this process, waits
and ends with the status of the command.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import socket
import subprocess
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.conftest import ROOT

LOADED = (
    *("cli.commands", "importers", "evaluation.jobs", "evaluation.report", "grading", "rewards", "rewards.taking"),
    *("leaderboard.site", "submissions.folders", "submissions.form", "submissions.verify", "submissions.suspicion"),
    *("submissions.checking.check", "rewards.models.rules", "evaluation.ranking", "evaluation.pool_summary"),
    *("store.visible", "submissions.doubted", "rewards.scoring", "rewards.finding"),
)
# what these import when they are first used, which each fork would do again
LATER = ("pandas", "scipy.special", "jinja2", "latex2mathml.converter", "matplotlib.pyplot")
CLIENT = """#!{python} -IS
import json, os, socket, sys
with socket.socket(socket.AF_UNIX) as warm:
    warm.connect({place!r})
    socket.send_fds(warm, [json.dumps([os.getcwd(), *sys.argv[1:]]).encode()], [0, 1, 2])
    sys.exit(int(warm.recv(16) or 1))
"""


def load() -> None:
    for name in (*(f"prm_eval.{each}" for each in LOADED), *LATER):
        importlib.import_module(name)


@contextmanager
def program(folder: Path) -> Iterator[Path]:
    """Provide a ``prm-eval`` in a folder, as long as its warm process runs."""
    place = folder / "socket"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "tests.warm", str(place)]
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as warm:
        try:
            assert warm.stdout.readline() == "ready\n"
            client = folder / "prm-eval"
            client.write_text(CLIENT.format(python=sys.executable, place=str(place)))
            client.chmod(0o755)
            yield client
        finally:
            warm.terminate()


def serve(place: str) -> None:
    load()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the forks: their clients hear from them
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(place)
        listening.listen()
        print("ready", flush=True)
        while True:
            connection, _ = listening.accept()
            if os.fork() == 0:
                run(connection)
            connection.close()


def run(connection: socket.socket) -> None:
    """Run one command in this fork, and end with it."""
    from prm_eval.cli.commands import main

    status = 1
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        message, files, *_ = socket.recv_fds(connection, 1 << 16, 3)
        for number, file in enumerate(files):
            os.dup2(file, number)
        # made anew: Python looks once at what a file can do
        streams = (open(number, mode, closefd=False) for number, mode in enumerate("rww"))  # noqa: SIM115
        sys.stdin, sys.stdout, sys.stderr = streams
        folder, *arguments = json.loads(message)
        os.chdir(folder)
        status = main(arguments)
    except SystemExit as ended:  # of the parser, which has said why
        status = ended.code if isinstance(ended.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        connection.sendall(str(status).encode())
        os._exit(status)


if __name__ == "__main__":
    serve(sys.argv[1])
