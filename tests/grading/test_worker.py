"""The symbolic tier in its child: decides from anywhere, is killed when late, leaves nothing behind."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest

from prm_eval.errors import PrmEvalError
from prm_eval.grading import decide
from prm_eval.grading.children.symbolic import WORKER, Worker
from prm_eval.grading.reading.parser import parse
from prm_eval.submissions.checking import worker as submissions_worker

IDENTITY = "\\sin^2 x + \\cos^2 x - 1"


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.fixture
def worker():
    made = Worker()
    yield made
    made.close()


def test_proves_and_disproves(worker) -> None:
    """Zero, not zero, and not known are three answers."""
    assert worker.is_zero(parse(IDENTITY))[0] is True
    assert worker.is_zero(parse("\\sqrt{2} - 1.41421356"))[0] is False
    assert worker.is_zero(parse("\\gcd(x, 2)"))[0] is None


def test_late_decisions_are_ended_and_the_next_one_is_made(worker) -> None:
    """A child that thinks too long is killed at its deadline; the one that replaces it answers."""
    worker.is_zero(parse("1"))
    worker.deadline = 0.2
    hard = parse(
        "(\\sin x + \\cos y + \\tan z + \\ln w)^{40} - (\\sin x + \\cos y + \\tan z + \\ln w)^{39}*(\\cos y + \\sin x "
        "+ \\ln w + \\tan z)*\\sin^2 t"
    )
    started = time.monotonic()
    verdict, reason = worker.is_zero(hard)
    assert time.monotonic() - started < 5
    assert verdict is None
    assert reason
    worker.deadline = 10
    assert worker.is_zero(parse(IDENTITY))[0] is True


def test_a_child_killed_from_outside_is_replaced(worker) -> None:
    """The pair is decided again after the out-of-memory killer came by."""
    worker.is_zero(parse("1"))
    os.kill(worker._child.pid, signal.SIGKILL)
    worker._child.wait()
    assert worker.is_zero(parse(IDENTITY))[0] is True


def test_from_threads() -> None:
    """Eight threads share one child; signals as time-outs would fail here."""
    verdicts: list[bool | None] = []
    pairs = [("\\sin(2 x)", f"2\\sin x\\cos x + {k}") for k in (0, 1, 0, 2, 0, 3, 0, 4)]
    threads = [
        threading.Thread(target=lambda pair=pair: verdicts.append(decide(*pair).equal == (pair[1][-1] == "0")))
        for pair in pairs
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert verdicts == [True] * 8


def test_from_a_forked_process() -> None:
    """A forked child must not talk to its parent's worker."""
    assert WORKER.is_zero(parse(IDENTITY))[0] is True
    pid = os.fork()
    if pid == 0:
        ok = WORKER.is_zero(parse(IDENTITY))[0] is True
        WORKER.close()
        os._exit(0 if ok else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert WORKER.is_zero(parse(IDENTITY))[0] is True


def test_nothing_is_left_behind() -> None:
    """No child and no pipe after close, not even after kills."""
    before = open_files()
    for _ in range(3):
        worker = Worker()
        worker.is_zero(parse(IDENTITY))
        child = worker._child
        worker.close()
        assert child.poll() is not None
    assert open_files() <= before


def test_memory_is_capped(worker) -> None:
    """A decision that wants more than its memory ends as undecided, not as a dead machine."""
    worker.deadline = 4
    verdict, _ = worker.is_zero(parse("(1+x)^{2000} - (1+x)^{1999}*(x+1)*\\cos^2 y"))
    assert verdict in (None, False)
    assert worker.is_zero(parse(IDENTITY))[0] is True


@pytest.mark.parametrize("name", ["resource", "json", "runpy", "sympy", "prm_eval", "pyarrow"])
def test_children_run_nothing_from_the_current_folder(tmp_path, monkeypatch, name) -> None:
    """Whoever checks a stranger's folder from within it would otherwise run the stranger's modules."""
    (tmp_path / f"{name}.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nraise SystemExit(3)\n")
    monkeypatch.chdir(tmp_path)
    with closing(Worker()) as worker:
        assert worker.is_zero(parse(IDENTITY))[0] is True
    with submissions_worker.Worker() as reader:
        assert "error" in reader.ask({"pool": str(tmp_path / "none")}, 60.0)
    assert not (tmp_path / "ran").exists()


def test_a_reader_that_cannot_start_says_why_and_blames_no_pool(monkeypatch) -> None:
    """Such as a broken installation: the pool is not at fault."""
    monkeypatch.setattr(
        submissions_worker, "command", lambda *_: [sys.executable, "-c", "raise SystemExit('no such library')"]
    )
    with submissions_worker.Worker() as reader, pytest.raises(PrmEvalError, match="could not start: no such library"):
        reader.ask({"pool": "x"}, 60.0)
