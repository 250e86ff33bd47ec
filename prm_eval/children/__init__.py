"""Our own modules as child processes, which are killed at a deadline and import nothing from the current folder.

``python -m`` puts the current folder first on the import path, so a ``resource.py`` among the submissions that somebody
checks would run in place of the standard library's. (``-P`` forbids that, from Python 3.11 on.)
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import Any

# by the clock, in deadlines of processor time
PATIENCE = 8
# enough to import sympy on a busy machine
START_SECONDS = 30.0
MEMORY_BYTES = 1024 * 1024 * 1024
MAX_REPLY = 100_000
ROOT = str(Path(__file__).resolve().parents[2])  # holds the package
# an installed package stays on the path where it is; a checkout that is not installed is put first
_START = (
    "import sys; sys.path[:1] = [] if {root!r} in sys.path[1:] else [{root!r}]; "
    "import runpy; runpy.run_module({module!r}, run_name='__main__', alter_sys=True)"
)


def command(module: str, *arguments: str) -> list[str]:
    """Return the command that runs a module of ours, importing nothing from the current folder."""
    return [sys.executable, "-c", _START.format(root=ROOT, module=module), *arguments]


def cpu_seconds(pid: int) -> float:
    """Return the processor time that a process has used; infinity where the system does not tell it.

    With infinity, the wall clock decides.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError):
        return float("inf")


class Child:
    """A child process that answers one question at a time: a line of JSON in, a line of JSON out.

    Args:
        module: The module that it runs, with the memory limit as argument; it writes one line when it is ready.
        deadline: Seconds of processor time a question may take, so that a busy machine gives no other verdicts than an
            idle one (but no more than :data:`PATIENCE` times as long by the clock).
        memory: Bytes of address space, which the module gets as its argument.
        start: Seconds by the clock that it may take to start.
        most_reply: The most bytes of a reply.
        arguments: Further arguments of the module.
        environment: Further variables of its environment.
    """

    def __init__(
        self,
        module: str,
        deadline: float,
        *arguments: str,
        memory: int = MEMORY_BYTES,
        start: float = START_SECONDS,
        most_reply: int = MAX_REPLY,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.module, self.deadline, self._arguments = module, deadline, arguments
        self._environment = environment or {}
        self._memory, self._start, self._most = memory, start, most_reply
        self._lock = threading.Lock()
        self._child: subprocess.Popen[bytes] | None = None
        self._used = threading.local()
        self._end: weakref.finalize[..., Child] | None = None
        forget = weakref.WeakMethod(self._forget)
        os.register_at_fork(after_in_child=lambda: (method := forget()) and method())

    def _forget(self) -> None:
        """Forget the child in a forked process: it belongs to the parent.

        The lock is replaced too, because a thread of the parent may hold it.
        """
        self._lock = threading.Lock()
        self._child = None
        if self._end is not None:
            self._end.detach()

    @property
    def used(self) -> float:
        """The child's processor time, in seconds, for this thread's questions so far; budgets are differences of it."""
        return float(getattr(self._used, "seconds", 0.0))

    def ask(self, question: Any) -> tuple[dict[str, Any] | None, str]:
        """Return (reply, reason); the reply is None when the child could not give one within its limits."""
        request = json.dumps(question).encode() + b"\n"
        with self._lock:
            for last in (False, True):
                try:
                    child = self._alive()
                    before = cpu_seconds(child.pid)
                    reply = self._ask(child, request, self.deadline)
                    spent = self.deadline if reply is None else max(0.0, cpu_seconds(child.pid) - before)
                    self._used.seconds = self.used + spent
                    break
                except (OSError, EOFError) as error:
                    self._kill()
                    if last:  # once may be a child that something else killed; twice is the question
                        return None, f"the worker ended ({str(error) or 'memory limit'})"
        if reply is None:
            return None, f"no decision within {self.deadline:g} s"
        answer = json.loads(reply)
        return answer, str(answer.get("reason", ""))

    def _alive(self) -> subprocess.Popen[bytes]:
        if self._child is None or self._child.poll() is not None:
            self._kill()
            self._child = subprocess.Popen(
                command(self.module, str(self._memory), *self._arguments),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                close_fds=True,
                env={**os.environ, "OMP_NUM_THREADS": "1", **self._environment},
            )
            self._end = weakref.finalize(self, _end, self._child)
            if self._ask(self._child, b"", self._start) is None:
                raise EOFError("it did not start")
        return self._child

    def _ask(self, child: subprocess.Popen[bytes], request: bytes, seconds: float) -> bytes | None:
        """Write a request and return the reply line, or None (and kill the child) when it is late."""
        if child.stdin is None or child.stdout is None:
            raise EOFError("no pipe")
        started, used = time.monotonic(), cpu_seconds(child.pid)
        until = started + seconds
        if request:
            child.stdin.write(request)
            child.stdin.flush()
        reply = bytearray()
        poll = select.poll()
        poll.register(child.stdout, select.POLLIN | select.POLLHUP)
        while not reply.endswith(b"\n"):
            left = until - time.monotonic()
            if left <= 0 or not poll.poll(left * 1000):
                if time.monotonic() < started + PATIENCE * seconds and cpu_seconds(child.pid) - used < 0.9 * seconds:
                    until = time.monotonic() + 0.1 * seconds  # a busy machine: the question has not had its time yet
                    continue
                self._kill()
                return None
            piece = os.read(child.stdout.fileno(), 1 << 16)
            if not piece or len(reply) > self._most:
                raise EOFError
            reply += piece
        return bytes(reply)

    def _kill(self) -> None:
        self._child = None
        if self._end is not None:
            self._end()  # once: a second call does nothing

    def close(self) -> None:
        """End the child process, if there is one."""
        with self._lock:
            self._kill()


def _end(child: subprocess.Popen[bytes]) -> None:
    """End a child process and close its pipes; also when the :class:`Child` that asked it is no longer used."""
    child.kill()
    child.wait()
    for pipe in (child.stdin, child.stdout):
        if pipe is not None:
            try:
                pipe.close()
            except BrokenPipeError:  # the unread request of a dead child
                continue
