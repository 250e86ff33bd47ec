"""The workers of a board: this process, or several others that each get the yardstick once.

A yardstick is tens of megabytes, so it must not be sent with every piece of work. Each process gets it as an argument
when it starts; after that only pieces of work and their results are sent. Nothing is kept in a module: a process may
serve one board after the other, and two boards may be at work at once.
"""

from __future__ import annotations

import multiprocessing
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, Generic, Protocol, TypeVar

from threadpoolctl import threadpool_limits

from prm_eval.errors import PrmEvalError
from prm_eval.evaluation.yardstick import Yardstick

# seconds that a process may take to end once it has nothing left to do
PATIENCE = 10.0

Raw = TypeVar("Raw")
Item = TypeVar("Item")
Item_co = TypeVar("Item_co", covariant=True)
Found = TypeVar("Found")


class Items(Protocol[Item_co]):
    """The items of a map, whose number is known before they are made."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Item_co]: ...


@dataclass(frozen=True)
class Lazily(Generic[Raw, Item]):
    """Items that are made of others one by one, when somebody is free to take one."""

    make: Callable[[Raw], Item]
    of: Sequence[Raw]

    def __len__(self) -> int:
        return len(self.of)

    def __iter__(self) -> Iterator[Item]:
        return map(self.make, self.of)


class Workers(Protocol):
    """The workers that map a piece of work over the items of a board."""

    def map(self, work: Callable[[Yardstick, Item], Found], items: Items[Item]) -> Iterator[Found]:
        """Return the result of the work for each item, in their order."""
        ...


@dataclass(frozen=True)
class Alone:
    """The worker that is this process, with its yardstick."""

    yardstick: Yardstick

    def map(self, work: Callable[[Yardstick, Item], Found], items: Items[Item]) -> Iterator[Found]:
        """Return the result of the work for each item, one after the other."""
        return (work(self.yardstick, item) for item in items)


class Crew:
    """Several processes with a yardstick each; each has one item at a time.

    Args:
        yardstick: The yardstick that each process gets when it starts.
        jobs: The number of processes.
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

    def map(self, work: Callable[[Yardstick, Item], Found], items: Items[Item]) -> Iterator[Found]:
        """Yield the result of the work for each item, in their order and as soon as possible.

        Raises:
            PrmEvalError: A process was killed, or met an error that the user can fix.
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
        """Return the result of sending or receiving; a process that is gone is an error with its exit status."""
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
        """End the processes by closing their connections: each then ends by itself."""
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
    """Do work until the other end closes the connection (the body of a process)."""
    # the products are small: threads within them, beside other processes, would only wait for each other
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
    """Return an error that can be sent to another process, as not every error can; unforeseen ones get a traceback."""
    if isinstance(error, PrmEvalError):
        return PrmEvalError(str(error))
    if isinstance(error, OSError):
        return OSError(*error.args)
    return RuntimeError(f"a process of the board failed:\n{traceback.format_exc()}")


@contextmanager
def workers(yardstick: Yardstick, jobs: int) -> Iterator[Workers]:
    """Provide the workers of one board: this process where ``jobs`` is 1, else ``jobs`` others."""
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
