"""The child process that reads strangers' Parquet: a file that kills its reader kills only the child.

A question is one line of JSON, and so is its answer; arrays may follow it. The child has a limit on memory and a
deadline. Where a question kills it, an error says why.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import tempfile
import time
from types import TracebackType
from typing import IO, Any

from prm_eval.children import command
from prm_eval.errors import PrmEvalError
from prm_eval.submissions.checking.worker_main import OUT_OF_MEMORY

# address space, of which the libraries take about 1 GB
MEMORY_BYTES = 4 * 1024**3
# the time to import pyarrow on a busy machine
START_SECONDS = 120.0
MAX_REPLY = 64 * 1024 * 1024
# bytes that are read at once, and those of a number of an array
PIECE, WIDTH = 1 << 18, 8


class WorkerDied(Exception):
    """The child ended, or was late; the message says how."""


class Worker:
    """The child, started at the first question and again after it died."""

    def __init__(self) -> None:
        self._child: subprocess.Popen[bytes] | None = None
        # a file: a pipe that nobody reads would fill up
        self._errors: IO[bytes] | None = None
        self._last_words = ""

    def ask(self, question: dict[str, Any], seconds: float) -> dict[str, Any]:
        """Return the child's answer to a question, with the bytes of its arrays as ``bytes`` where there are some.

        Raises:
            WorkerDied: The child gave no answer in time, or ended.
            PrmEvalError: The child could not start, which is not the fault of any file.
        """
        child = self._alive()
        if child.stdin is None:
            raise WorkerDied("no pipe")
        until = time.monotonic() + seconds
        try:
            child.stdin.write(json.dumps(question).encode() + b"\n")
            child.stdin.flush()
            line, rest = self._line(child, until, seconds)
            reply: dict[str, Any] = json.loads(line)
            if "arrays" in reply:
                candidates, values, _ = reply["arrays"]
                reply["bytes"] = self._exactly(child, until, seconds, rest, WIDTH * (candidates + values))
        except OSError as error:
            raise WorkerDied(f"the reader ended ({error})") from None
        return reply

    def _alive(self) -> subprocess.Popen[bytes]:
        if self._child is None or self._child.poll() is not None:
            self.close()
            self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the child
            self._child = subprocess.Popen(
                command("prm_eval.submissions.checking.worker_main", str(MEMORY_BYTES)),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                # allocators that reserve much more than they use would be stopped by the limit
                env={**os.environ, "OMP_NUM_THREADS": "1", "ARROW_DEFAULT_MEMORY_POOL": "system"},
            )
            try:
                self._line(self._child, time.monotonic() + START_SECONDS, START_SECONDS)
            except WorkerDied as error:
                raise PrmEvalError(
                    f"the reader of Parquet files could not start: {self._last_words or error}"
                ) from None
        return self._child

    def _line(self, child: subprocess.Popen[bytes], until: float, seconds: float) -> tuple[bytes, bytes]:
        """Return the next line, and what was read beyond it."""
        reply = bytearray()
        while (end := reply.find(b"\n", max(0, len(reply) - PIECE))) < 0:
            if len(reply) > MAX_REPLY:
                self.close()
                raise WorkerDied("an endless answer of its reader")
            reply += self._piece(child, until, seconds)
        return bytes(reply[:end]), bytes(reply[end + 1 :])

    def _exactly(
        self, child: subprocess.Popen[bytes], until: float, seconds: float, first: bytes, length: int
    ) -> bytes:
        """Return so many bytes, of which the first were read already."""
        reply = bytearray(first)
        while len(reply) < length:
            reply += self._piece(child, until, seconds)
        return bytes(reply)

    def _piece(self, child: subprocess.Popen[bytes], until: float, seconds: float) -> bytes:
        if child.stdout is None:
            raise WorkerDied("no pipe")
        poll = select.poll()
        poll.register(child.stdout, select.POLLIN | select.POLLHUP)
        if not poll.poll(max(0.0, until - time.monotonic()) * 1000):
            self.close()
            raise WorkerDied(f"no end within {seconds:.0f} s")
        piece = os.read(child.stdout.fileno(), PIECE)
        if not piece:
            status = child.wait(10)
            self.close()
            how = f"signal {-status}" if status < 0 else f"status {status}"
            how = "out of memory" if status == OUT_OF_MEMORY else how
            # what a library says before it aborts
            said = f": {self._last_words.removeprefix('what():').strip()}"[:200] if status == -6 else ""
            raise WorkerDied(f"the end of its reader ({how}{said})")
        return piece

    def close(self) -> None:
        """End the child."""
        if self._child is not None:
            self._child.kill()
            self._child.wait()
            for pipe in (self._child.stdin, self._child.stdout):
                if pipe is not None:
                    pipe.close()
            self._child = None
        if self._errors is not None:
            self._errors.seek(0)
            lines = self._errors.read()[-2_000:].decode("utf-8", "replace").splitlines()
            self._last_words = next((ascii(line.strip())[1:-1] for line in reversed(lines) if line.strip()), "")
            self._errors.close()
            self._errors = None

    def __enter__(self) -> Worker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
