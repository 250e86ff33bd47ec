"""Progress bars: a plain one, and one for scoring that says tokens a second."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any


class ScoringBar:
    """Use as ``with ScoringBar(what, total) as update``; ``update(candidates done, tokens computed)``.

    On a terminal a bar; elsewhere (a log) a line now and then. Candidates that an earlier run finished count as done,
    but not towards the speed.

    Args:
        what: What is being done.
        total: Candidates in all.
        delay: Seconds before anything is shown.
    """

    def __init__(
        self, what: str, total: int, *, delay: float = 1.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        from tqdm import tqdm

        quiet = not sys.stderr.isatty()
        self.bar: Any = tqdm(
            total=total, desc=what, unit="candidate", leave=quiet, delay=delay, mininterval=15.0 if quiet else 0.1
        )
        self._clock, self._started = clock, clock()
        self._first = True

    def __enter__(self) -> Callable[[int, int], None]:
        return self._update

    def _update(self, done: int, tokens: int) -> None:
        if self._first and done and not tokens:  # an earlier run's: they took no time
            self.bar.initial = self.bar.n = done
        self._first = False
        if tokens:
            speed = tokens / max(self._clock() - self._started, 1e-9)
            self.bar.set_postfix_str(f"{speed:,.0f} tokens/s", refresh=False)
        self.bar.update(done - self.bar.n)

    def __exit__(self, *rest: object) -> None:
        self.bar.close()


class Bar:
    """A progress bar on standard error, for what takes longer than a second: ``with Bar(what, total, unit) as update``."""

    def __init__(self, what: str, total: int | None, unit: str) -> None:
        from tqdm import tqdm

        # on a terminal a bar; elsewhere (a log) a line now and then
        quiet = not sys.stderr.isatty()
        self._bar = tqdm(total=total, desc=what, unit=unit, leave=quiet, delay=1.0, mininterval=15.0 if quiet else 0.1)

    def __enter__(self) -> Callable[[int], None]:
        return lambda done: self._bar.update(done - self._bar.n) and None

    def __exit__(self, *rest: object) -> None:
        self._bar.close()
