"""The workers of a job: this process, or several others that each get once what all pieces of work share.

What is shared may be tens of megabytes (the yardstick of a board), so it must not be sent with every piece of work.
Each process gets it as an argument when it starts; after that only pieces of work and their results are sent. Results
come in the order of the pieces, so that a job's outcome does not depend on how many processes there are. Nothing is
kept in a module: a process may serve one job after the other, and two jobs may be at work at once.
"""

from __future__ import annotations

import multiprocessing
import os
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, Generic, Protocol, TypeVar

from threadpoolctl import threadpool_limits

from prm_eval.errors import DataError, PrmEvalError

# seconds that a process may take to end once it has nothing left to do
PATIENCE = 10.0

Shared = TypeVar("Shared")
Shared_co = TypeVar("Shared_co", covariant=True)
Item = TypeVar("Item")
Found = TypeVar("Found")


def processors() -> int:
    """Return the number of processors that this process may use."""
    # not everywhere, and a container may have fewer than the machine
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def worth(jobs: int, size: int, each: int) -> int:
    """Return how many processes to start for a job of some size, where starting one takes as long as ``each`` of it."""
    return max(1, min(jobs, size // max(1, each)))


def block_size(jobs: int, size: int, each: int) -> int:
    """Return how many items go to a process at a time, for blocks of some size of which an item has ``each``.

    In this process it is one: progress is told after each.
    """
    return max(1, size // each) if jobs > 1 else 1


def in_blocks(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Yield the items in lists of so many, the last of which may be shorter."""
    left = iter(items)
    while block := list(islice(left, size)):
        yield block


class Workers(Protocol[Shared_co]):
    """The workers that map a piece of work over some items."""

    def map(self, work: Callable[[Shared_co, Item], Found], items: Iterable[Item]) -> Iterator[Found]:
        """Yield the result of the work for each item, in their order; items are taken as somebody is free for them."""
        ...


@dataclass(frozen=True)
class Alone(Generic[Shared]):
    """The worker that is this process, with what is shared."""

    shared: Shared

    def map(self, work: Callable[[Shared, Item], Found], items: Iterable[Item]) -> Iterator[Found]:
        """Yield the result of the work for each item, one after the other."""
        return (work(self.shared, item) for item in items)


class Crew(Generic[Shared]):
    """Several processes that each have what is shared; each has one item at a time.

    Args:
        shared: What each process gets when it starts.
        jobs: The number of processes.
    """

    def __init__(self, shared: Shared, jobs: int) -> None:
        # a forked child may inherit locks of Arrow's threads
        context = multiprocessing.get_context("spawn")
        self._processes: dict[Connection, BaseProcess] = {}
        for _ in range(jobs):
            here, there = context.Pipe()
            process = context.Process(target=_serve, args=(there, shared), daemon=True)
            process.start()
            there.close()
            self._processes[here] = process

    def map(self, work: Callable[[Shared, Item], Found], items: Iterable[Item]) -> Iterator[Found]:
        """Yield the result of the work for each item, in their order and as soon as possible.

        One item is made ahead, so that who is done need not wait for it.

        Raises:
            PrmEvalError: A process was killed, or met an error that the user can fix.
            RuntimeError: Any other error of the work, with its traceback as text.
        """
        made = _Ahead(items)
        free = list(self._processes)
        at_work: dict[Connection, int] = {}
        found: dict[int, tuple[Any, Exception | None]] = {}
        given = taken = 0
        while at_work or made.more:
            while free and made.more:
                connection = free.pop(0)
                self._talk(connection, connection.send, (work, made.item))
                at_work[connection] = given
                given += 1
                made.make()
            ready = wait(list(at_work))
            for connection in [each for each in at_work if each in ready]:
                found[at_work.pop(connection)] = self._talk(connection, connection.recv)
                free.append(connection)
            # an error waits for its turn too: the first one is the same for any number of processes
            while taken in found:
                value, error = found.pop(taken)
                if error is not None:
                    raise error
                taken += 1
                yield value
        if made.error is not None:
            raise made.error

    def _talk(self, connection: Connection, talk: Callable[..., Any], *said: Any) -> Any:
        """Return the result of sending or receiving; a process that is gone is an error with its exit status."""
        try:
            return talk(*said)
        except (EOFError, ConnectionError):
            process = self._processes[connection]
            process.join(PATIENCE)
            raise PrmEvalError(
                f"a worker process ended with status {process.exitcode} before its work was done; expected 0. "
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


class _Ahead(Generic[Item]):
    """Items of which one is made ahead; an error in making one is kept until those before it are done."""

    def __init__(self, items: Iterable[Item]) -> None:
        self._left = iter(items)
        self.item: Item
        self.more = True
        self.error: Exception | None = None
        self.make()

    def make(self) -> None:
        """Make the next item, if there is one."""
        try:
            self.item = next(self._left)
        except StopIteration:
            self.more = False
        except Exception as error:
            self.more, self.error = False, error


def _serve(connection: Connection, shared: Any) -> None:
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
            outcome = work(shared, item), None
        except Exception as error:
            outcome = None, _portable(error)
        connection.send(outcome)


def _portable(error: Exception) -> Exception:
    """Return an error that can be sent to another process, as not every error can; unforeseen ones get a traceback."""
    if isinstance(error, DataError):
        return error
    if isinstance(error, PrmEvalError):
        return PrmEvalError(str(error))
    if isinstance(error, OSError):
        return OSError(*error.args)
    return RuntimeError(f"a worker process failed:\n{traceback.format_exc()}")


@contextmanager
def workers(shared: Shared, jobs: int) -> Iterator[Workers[Shared]]:
    """Provide the workers of one job: this process where ``jobs`` is 1, else ``jobs`` others."""
    if jobs < 2:
        yield Alone(shared)
        return
    crew = Crew(shared, jobs)
    try:
        yield crew
    except BaseException:
        crew.stop()
        raise
    crew.dismiss()
