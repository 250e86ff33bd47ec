"""``prm-eval run``: lm_eval's own command in this process, which continues where it was cut off."""

from __future__ import annotations

import logging
import shlex
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from prm_eval.errors import PrmEvalError

if TYPE_CHECKING:
    from prm_eval.evaluation.by_set import SetPart
    from prm_eval.harness.task_journal import TaskJournal

logger = logging.getLogger(__name__)

RETRY_FLAG = "--retry-minutes"
RETRY_MINUTES = 15.0
FIRST_WAIT, LONGEST_WAIT = 5.0, 300.0  # seconds; each wait is twice the one before
NETWORK = ("requests", "urllib3", "aiohttp", "httpx", "openai", "anthropic")


@dataclass
class RunNotes:
    """Notes that the tasks of one run leave for its caller.

    Attributes:
        journals: The journals of the tasks that generate.
        last_words: Texts to print after everything that lm_eval prints.
        sets: The evaluations of the tasks, for one table of all.
    """

    journals: list[TaskJournal] = field(default_factory=list)
    last_words: list[str] = field(default_factory=list)
    sets: list[SetPart] = field(default_factory=list)

    @property
    def kept(self) -> int:
        """The number of kept candidates of unfinished tasks."""
        return sum(journal.n_kept for journal in self.journals if not journal.finished)


_NOTES: ContextVar[RunNotes | None] = ContextVar("prm_eval_run", default=None)


def current_notes() -> RunNotes | None:
    """Return the notes of the current ``prm-eval run``; None outside one."""
    return _NOTES.get()


@contextmanager
def _noted() -> Iterator[RunNotes]:
    notes = RunNotes()
    token = _NOTES.set(notes)
    try:
        yield notes
    finally:
        _NOTES.reset(token)
        for journal in notes.journals:
            journal.close()


def tasks_path() -> Path:
    """Return the folder of our task files, for ``lm_eval --include_path``."""
    return Path(str(files("prm_eval.tasks")))


def run_lm_eval(arguments: list[str], *, sleep: Callable[[float], None] = time.sleep) -> list[str]:
    """Run ``lm_eval run`` with ``--include_path`` filled in, and return the texts to print last: a table for each task.

    When a server goes away, the run is started again after a wait, which is twice as long each time, until no candidate
    has come for ``--retry-minutes`` (15; 0 for never). Kept candidates are not asked for again.

    Args:
        arguments: The arguments of ``prm-eval run``.
        sleep: A function that waits for a number of seconds.

    Raises:
        PrmEvalError: A server stayed away; the message has the command to go on with.
        SystemExit: As lm_eval's own command line does.
    """
    rest, minutes = _take_retry_minutes(arguments)
    again = f"prm-eval run {shlex.join(arguments)}"
    wait, waited, best = FIRST_WAIT, 0.0, 0
    while True:
        with _noted() as notes:
            try:
                _lm_eval(rest)
                return [*notes.last_words, *_of_all_sets(notes)]
            except BaseException as error:
                kept = notes.kept
                if kept > best:
                    wait, waited, best = FIRST_WAIT, 0.0, kept
                gone = server_went_away(error) and bool(kept)
                if kept and not gone:
                    logger.error("%s candidates are kept. Go on with:\n  %s", f"{kept:,}", again)
                if not gone:
                    raise
                if waited + wait > minutes * 60:
                    raise PrmEvalError(
                        f"the server went away ({_named(error)}) and no candidate came for {waited / 60:.0f} minutes; "
                        f"{kept:,} candidates are kept. Go on with:\n  {again}"
                    ) from error
                logger.warning(
                    "The server went away (%s). %s candidates are kept; trying again in %.0f seconds.",
                    _named(error), f"{kept:,}", wait,
                )  # fmt: skip
        sleep(wait)
        wait, waited = min(2 * wait, LONGEST_WAIT), waited + wait


def _of_all_sets(notes: RunNotes) -> list[str]:
    from prm_eval.harness.said import sets_table  # which knows this module

    table = sets_table(notes.sets)
    return [table] if table else []


def _lm_eval(arguments: list[str]) -> None:
    from lm_eval.__main__ import cli_evaluate

    # tasks of a folder of one's own may refer to any of lm_eval's: those are all indexed then, as lm_eval does
    index: AbstractContextManager[None] = nullcontext()
    if not any(each.partition("=")[0] == "--include_path" for each in arguments):
        arguments = [*arguments, "--include_path", str(tasks_path())]
        if not {"-h", "--help"} & set(arguments):
            from prm_eval.harness.task_index import own_tasks_first  # which takes a second to import

            index = own_tasks_first()
    before = sys.argv
    sys.argv = ["lm_eval", "run", *arguments]
    try:
        with index:
            cli_evaluate()
    finally:
        sys.argv = before


def _take_retry_minutes(arguments: list[str]) -> tuple[list[str], float]:
    """Return the arguments without ``--retry-minutes``, and its value.

    Raises:
        PrmEvalError: The value is not a number of minutes.
    """
    rest: list[str] = []
    value: str | None = None
    words = iter(arguments)
    for word in words:
        name, equals, after = word.partition("=")
        if name == RETRY_FLAG:
            value = after if equals else next(words, "")
        else:
            rest.append(word)
    try:
        minutes = RETRY_MINUTES if value is None else float(value)
    except ValueError:
        minutes = -1.0
    if not 0 <= minutes < float("inf"):
        raise PrmEvalError(f"{RETRY_FLAG} {value}; expected a number of minutes, 0 for never")
    return rest, minutes


def server_went_away(error: BaseException) -> bool:
    """Say whether an error comes from a server that may come back.

    Such errors are: no connection, no answer in time, overload, and a fault of the server itself.
    """
    roots = {each.__module__.partition(".")[0] for each in type(error).__mro__}
    if not roots & set(NETWORK) and not isinstance(error, (ConnectionError, TimeoutError)):
        return False
    status = getattr(error, "status", None) or getattr(getattr(error, "response", None), "status_code", None)
    return not isinstance(status, int) or status in (200, 408, 425, 429) or status >= 500


def _named(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:160]}" if text else type(error).__name__
