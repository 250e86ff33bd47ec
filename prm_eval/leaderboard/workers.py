"""Who does the work of a board: this process, or several that were each handed the yardstick once.

A yardstick is tens of megabytes, so it must not travel with every piece of work. Each process gets it as an argument when
it starts, and after that only pieces of work and what they gave. Nothing is kept in a module: a process may serve one
board after the other, and two boards may be at work at once.
"""

from __future__ import annotations

import multiprocessing
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, Protocol, TypeVar

from threadpoolctl import threadpool_limits

from prm_eval.errors import PrmEvalError
from prm_eval.evaluation.yardstick import Yardstick

# how long a process may take to end once it has nothing left to do
PATIENCE = 10.0

Item = TypeVar("Item")
Found = TypeVar("Found")


class Workers(Protocol):
    """Whoever maps pieces of work over the items of a board."""

    def map(self, work: Callable[[Yardstick, Item], Found], items: Sequence[Item]) -> Iterator[Found]:
        """Return what the work gives for each item, in their order."""
        ...


@dataclass(frozen=True)
class Alone:
    """This process, with its yardstick."""

    yardstick: Yardstick

    def map(self, work: Callable[[Yardstick, Item], Found], items: Sequence[Item]) -> Iterator[Found]:
        """Return what the work gives for each item, one after the other."""
        return (work(self.yardstick, item) for item in items)


class Crew:
    """Several processes with a yardstick each; each has one item at a time.

    Args:
        yardstick: Handed to each of them when it starts.
        jobs: How many there are.
    """

    def __init__(self, yardstick: Yardstick, jobs: int) -> None:
        # a forked child may inherit locks of Arrow's threads
        context = multiprocessing.get_context("spawn")
        self._processes: dict[Connection, BaseProcess] = {}
        for _ in range(jobs):
            here, there = context.Pipe()
            process = context.Process(target=_serve, args=(there, yardstick), daemon=True)
            process.start()
            there.close()
            self._processes[here] = process

    def map(self, work: Callable[[Yardstick, Item], Found], items: Sequence[Item]) -> Iterator[Found]:
        """Return what the work gives for each item, in their order, as soon as those before it are there.

        Raises:
            PrmEvalError: A process was killed, or met an error that the user can mend.
            RuntimeError: Any other error of the work, with its traceback as text.
        """
        left = iter(enumerate(items))
        at_work: dict[Connection, int] = {}
        found: dict[int, Found] = {}

        def give(connection: Connection) -> None:
            for place, item in left:
                self._talk(connection, connection.send, (work, item))
                at_work[connection] = place
                return

        for connection in self._processes:
            give(connection)
        for place in range(len(items)):
            while place not in found:
                ready = wait(list(at_work))
                for connection in [each for each in at_work if each in ready]:
                    found[at_work.pop(connection)] = self._result(connection)
                    give(connection)
            yield found.pop(place)

    def _result(self, connection: Connection) -> Any:
        value, error = self._talk(connection, connection.recv)
        if error is not None:
            raise error
        return value

    def _talk(self, connection: Connection, talk: Callable[..., Any], *said: Any) -> Any:
        """Send or receive; a process that is gone is an error with its exit status."""
        try:
            return talk(*said)
        except (EOFError, ConnectionError):
            process = self._processes[connection]
            process.join(PATIENCE)
            raise PrmEvalError(
                f"a process of the board ended with status {process.exitcode} before its work was done; expected 0. "
                "A status of -9 mostly means that memory ran out: try again with --jobs 1."
            ) from None

    def dismiss(self) -> None:
        """End the processes: each ends by itself when nobody is left to give it work."""
        for connection in self._processes:
            connection.close()
        for process in self._processes.values():
            process.join(PATIENCE)
        self.stop()

    def stop(self) -> None:
        """End the processes in the middle of their work."""
        for connection, process in self._processes.items():
            connection.close()
            process.terminate()
            process.join()


def _serve(connection: Connection, yardstick: Yardstick) -> None:
    """Do work until nobody is left at the other end (the body of a process)."""
    # threads within the many small products, beside other processes, would only wait for each other
    threadpool_limits(1)
    while True:
        try:
            work, item = connection.recv()
        except EOFError:
            return
        outcome: tuple[Any, Exception | None]
        try:
            outcome = work(yardstick, item), None
        except Exception as error:
            outcome = None, _portable(error)
        connection.send(outcome)


def _portable(error: Exception) -> Exception:
    """Return an error that can be sent to another process, which not all can; what nobody foresaw brings its traceback."""
    if isinstance(error, PrmEvalError):
        return PrmEvalError(str(error))
    if isinstance(error, OSError):
        return OSError(*error.args)
    return RuntimeError(f"a process of the board failed:\n{traceback.format_exc()}")


@contextmanager
def workers(yardstick: Yardstick, jobs: int) -> Iterator[Workers]:
    """Give whoever does the work of one board: this process where ``jobs`` is 1, else so many others."""
    if jobs < 2:
        yield Alone(yardstick)
        return
    crew = Crew(yardstick, jobs)
    try:
        yield crew
    except BaseException:
        crew.stop()
        raise
    crew.dismiss()
