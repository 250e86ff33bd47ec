"""Progress of long work: the type of function that long work calls, and the only place that makes bars."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol

# What the bars say. A stage that has a name of its own (an arm of a study, a model) says it itself.
GRADING = "grading"
GRADING_WITH = "grading with {grader}"
COUNTING = "counting tokens"
EVALUATING = "evaluating"
STOPPING = "stopping votes"
RANKING = "ranking"
SCORING = "scoring with {model}"
SCORING_AGAIN = "scoring again"
IMPORTING = "importing"
CUTTING = "cutting into steps"
RENDERING = "rendering"
SAMPLING = "sampling"
DRAWING = "drawing"
DRAWING_TRAINED = "drawing what was trained on"


class Progress(Protocol):
    """A function that long work calls with the amount done so far and the number of tokens computed so far.

    A first call without tokens may report what an earlier run finished. Work that computes no tokens leaves them out,
    so a function of one argument will do there.
    """

    def __call__(self, done: int, tokens: int = 0, /) -> None:
        """Take note of the present state."""
        ...


class Bars(Protocol):
    """A maker of one :class:`Progress` for each stage of a job: ``with bars("grading", 500, "problem") as progress``.

    :class:`Bar` shows a stage; :func:`no_bars` shows nothing.
    """

    def __call__(self, what: str, total: int | None, unit: str = "", /) -> AbstractContextManager[Progress]:
        """Open a stage of ``total`` units (None where that is not known)."""
        ...


class Bar:
    """A progress bar on standard error for work that takes longer than ``delay`` (``with Bar(...) as progress``).

    On a terminal it is a bar; elsewhere, as in a log, it is a line now and then. What an earlier run finished counts as
    done, but not towards the speed. Where tokens are reported, the bar shows the tokens a second of this run.

    Args:
        what: The name of the work.
        total: The amount of work in units; None where it is not known.
        unit: The name of a unit.
        delay: Seconds before anything is shown.
        clock: A function that returns the time in seconds.
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
            # this was done by an earlier run, or cost nothing: it must not count towards the speed
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
    """Show nothing of a job; these are the :class:`Bars` of callers that did not ask for any."""
    yield silent
