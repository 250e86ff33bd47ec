"""Progress of long work: the one type of function that is told of it, and the one place that makes bars."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol


class Progress(Protocol):
    """What long work calls as it goes on, with how much of it is done in all and how many tokens were computed for it.

    A first call without tokens may be what an earlier run finished. Work that computes no tokens leaves them out, so
    that a function of one argument serves it too.
    """

    def __call__(self, done: int, tokens: int = 0, /) -> None:
        """Take notice of the present state."""
        ...


class Bars(Protocol):
    """What makes a :class:`Progress` for each stage of a job: ``with bars("grading", 500, "problem") as progress``.

    :class:`Bar` shows a stage; :func:`no_bars` shows nothing.
    """

    def __call__(self, what: str, total: int | None, unit: str = "", /) -> AbstractContextManager[Progress]:
        """Open a stage of ``total`` units (None where that is not known)."""
        ...


class Bar:
    """A progress bar on standard error for what takes longer than ``delay``; use it as ``with Bar(...) as progress``.

    On a terminal a bar; elsewhere (a log) a line now and then. What an earlier run finished counts as done, but not
    towards the speed. Where tokens are reported, the bar says tokens a second of this run.

    Args:
        what: What is being done.
        total: How much in all, None where that is not known.
        unit: Of what.
        delay: Seconds before anything is shown.
        clock: Tells the time in seconds.
    """

    def __init__(
        self,
        what: str,
        total: int | None,
        unit: str = "",
        /,
        *,
        delay: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        from tqdm import tqdm

        quiet = not sys.stderr.isatty()
        self.bar: Any = tqdm(
            total=total, desc=what, unit=unit, leave=quiet, delay=delay, mininterval=15.0 if quiet else 0.1
        )
        self._clock, self._started = clock, clock()
        self._first = True

    def __enter__(self) -> Progress:
        return self._update

    def _update(self, done: int, tokens: int = 0, /) -> None:
        if self._first and done and not tokens:
            # an earlier run's, or free: it took no time
            self.bar.initial = self.bar.n = done
        self._first = False
        if tokens:
            speed = tokens / max(self._clock() - self._started, 1e-9)
            self.bar.set_postfix_str(f"{speed:,.0f} tokens/s", refresh=False)
        self.bar.update(done - self.bar.n)

    def __exit__(self, *rest: object) -> None:
        self.bar.close()


def silent(done: int, tokens: int = 0, /) -> None:
    """Show nothing of a stage."""


@contextmanager
def no_bars(what: str, total: int | None, unit: str = "", /) -> Iterator[Progress]:
    """Show nothing of a job: :class:`Bars` of callers that did not ask for any."""
    yield silent
