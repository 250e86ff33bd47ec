"""Commands that are killed at each step on the disk, and run again: ``python -m tests.cli.crashing``.

Each line of standard input is a command and where to try it: the JSON list ``[NAME, DIR, STRIDE]``. A step is a call
that renames, removes, makes or syncs something. For each one a process is forked from this one, which has no threads
of its own and has imported everything, and is killed by SIGKILL just before its call; then another one runs the same
command to its end. What the folder holds after that is compared with what it holds after a run that nobody disturbed.
The answer is a line with a JSON object: the number of steps, and a line for each difference.
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.conftest import PLAIN, write_jsonl
from tests.warm import load

STEPS = ("replace", "rename", "unlink", "rmdir", "fsync", "mkdir")
DISCLOSURE = {
    "licence": "Apache-2.0",
    "base_model": "none",
    "training_data": ["none"],
    "trained_on": {"math_test": "no", "prm800k": "no", "this_pool": "no"},
    "contact": "someone",
}
SUBMISSION = Path("results/submissions/prm_eval__arithmetic/rule-1/p")
# figures of a run that no two runs share
OF_THE_RUN = ("seconds", "resumed")


def run(*arguments: str) -> None:
    from prm_eval.cli.commands import main

    status = main(list(arguments))
    if status:
        raise SystemExit(status)


def imported() -> None:
    write_jsonl(Path("rows.jsonl"), PLAIN)
    run("pool", "import", "rows.jsonl", "-o", "pool", "--policy", "someone")


def registered() -> None:
    imported()
    run("pool", "register", "pool", "--id", "p", "-o", "results")


def submitted() -> None:
    registered()
    run(*SCORE_SUBMISSION)
    Path("answers.json").write_text(json.dumps(DISCLOSURE))


def disclosed() -> None:
    submitted()
    run("submit-form", str(SUBMISSION), "--answers", "answers.json")


def scored_and_registered() -> None:
    registered()
    run("score", "pool", "--reward-model", "arithmetic", "-o", "pool/rewards/arithmetic")


def with_a_board() -> None:
    disclosed()
    run("leaderboard", "results", "--jobs", "1")
    # pages change, and one is of a submission that is gone
    shutil.rmtree(SUBMISSION)


def lost() -> None:
    disclosed()
    (SUBMISSION / "rewards.parquet").unlink()


SCORE_SUBMISSION = ("score", "pool", "--reward-model", "arithmetic", "--submission", "prm_eval/arithmetic")
BOARD = ("leaderboard", "results", "--jobs", "1")
# what is there before, and the command
COMMANDS: dict[str, tuple[Callable[[], None], tuple[str, ...]]] = {
    "import": (
        lambda: write_jsonl(Path("rows.jsonl"), PLAIN),
        ("pool", "import", "rows.jsonl", "-o", "pool", "--policy", "someone"),
    ),
    "grade": (imported, ("grade", "pool")),
    "register": (imported, ("pool", "register", "pool", "--id", "p", "-o", "results")),
    "score": (imported, ("score", "pool", "--reward-model", "arithmetic", "-o", "out")),
    "submission": (registered, SCORE_SUBMISSION),
    "lost": (lost, SCORE_SUBMISSION),
    "from": (scored_and_registered, (*SCORE_SUBMISSION, "--from", "pool/rewards/arithmetic")),
    "form": (submitted, ("submit-form", str(SUBMISSION), "--answers", "answers.json")),
    "verify": (disclosed, ("verify", str(SUBMISSION), "--reward-model", "arithmetic", "--all", "--by", "someone")),
    "page": (imported, ("evaluate", "pool", "--resamples", "50", "--draws", "50", "--html", "page.html")),
    "board": (disclosed, BOARD),
    "board again": (with_a_board, BOARD),
}


def quick() -> None:
    """Leave out what other tests are about: the child that checks Parquet, large chunks."""
    import prm_eval.rewards.scoring as scoring
    from prm_eval.pools.pool import Pool
    from prm_eval.submissions.checking.worker import Worker

    # once, before the forks
    load()

    really = Worker.ask

    def ask(worker: Worker, question: dict, seconds: float) -> dict:
        if question.get("arrays"):  # the board computes with what the child reads
            return really(worker, question, seconds)
        info = Pool(question["pool"]).info
        return {"content_hash": info.content_hash, "candidates": info.n_candidates, "found": [], "totals": {}}

    Worker.ask = ask
    scoring.CHUNK = scoring.LARGEST_CHUNK = 4


def in_a_child(action: Callable[[], None], log: Path) -> int:
    """Return the status of an action in a forked process; -9 is killed."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    status = 1
    try:
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(output, 1)
        os.dup2(output, 2)
        action()
        status = 0
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def killed_at(number: int, action: Callable[[], None]) -> Callable[[], None]:
    """Return an action that ends with the process, just before a call."""

    def dying() -> None:
        count = itertools.count(1)

        def hooked(original: Callable) -> Callable:
            def call(*arguments: object, **options: object) -> object:
                if next(count) == number:
                    os.kill(os.getpid(), signal.SIGKILL)
                return original(*arguments, **options)

            return call

        for name in STEPS:
            setattr(os, name, hooked(getattr(os, name)))
        action()

    return dying


def content(folder: Path) -> dict[str, object]:
    """Return what a folder holds, by path."""
    found: dict[str, object] = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        found[name] = "folder" if path.is_dir() else path.read_bytes()
        if path.name == "submission.json":
            fields = json.loads(path.read_bytes())
            found[name] = {**fields, "run": {k: v for k, v in fields["run"].items() if k not in OF_THE_RUN}}
    return found


def crash(name: str, folder: Path, stride: int) -> dict[str, object]:
    prepare, command = COMMANDS[name]
    log, base, work = folder / "log", folder / "base", folder / "work"
    tempfile.tempdir = str(folder / "tmp")
    for each in (base, folder / "tmp"):
        each.mkdir(parents=True)
    os.chdir(base)
    if in_a_child(prepare, log):
        return {"steps": 0, "faults": [log.read_text()]}

    def afresh() -> None:
        os.chdir(folder)
        shutil.rmtree(work, ignore_errors=True)
        shutil.copytree(base, work)
        os.chdir(work)

    afresh()
    if in_a_child(lambda: run(*command), log):
        return {"steps": 0, "faults": [log.read_text()]}
    wanted, faults = content(work), []
    points = 0
    for number in itertools.count(1, stride):
        afresh()
        log.unlink()
        status = in_a_child(killed_at(number, lambda: run(*command)), log)
        if status != -signal.SIGKILL:
            break
        points = number
        left = sorted(set(content(work)) ^ set(wanted))
        status = in_a_child(lambda: run(*command), log)
        found = content(work)
        differ = sorted(path for path in {*found, *wanted} if found.get(path) != wanted.get(path))
        litter = sorted(path.name for path in (folder / "tmp").iterdir())
        if status or differ or litter:
            faults.append(f"step {number} (left {left}): status {status}, {differ + litter}: {log.read_text()[-300:]}")
    return {"steps": points, "faults": faults}


if __name__ == "__main__":
    quick()
    for line in sys.stdin:
        name, where, stride = json.loads(line)
        print(json.dumps(crash(name, Path(where), stride)), flush=True)
