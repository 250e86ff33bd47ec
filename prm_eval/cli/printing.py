"""The printing of the command line: no text that a stranger wrote acts on a terminal, and an error is a line."""

from __future__ import annotations

import errno
import io
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from prm_eval.store.rules import harmless

HINTS = {
    **dict.fromkeys(
        (errno.ENOSPC, errno.EDQUOT, errno.EFBIG),
        "Free some space and run the same command again; what was kept is used.",
    ),
    **dict.fromkeys((errno.EACCES, errno.EPERM, errno.EROFS), "Give another place, or change its permissions."),
    errno.ENAMETOOLONG: "Give a shorter name.",
}
"""The next step after a refusal of the operating system."""
LONGEST = 1_000


def say(*values: object, file: TextIO | None = None) -> None:
    """Print a line as ``print`` does, with control and invisible characters spelt out."""
    with _named_output():
        print(*(harmless(str(value)) for value in values), file=file)


def in_words(error: OSError) -> str:
    """Return an error of the operating system as a line: where, what, and the next step."""
    what = error.strerror or " ".join(str(error).split())[:LONGEST] or type(error).__name__
    place = f"{error.filename}: " if error.filename is not None else ""
    hint = HINTS.get(error.errno or 0, "")
    return f"{place}{what}" + (f". {hint}" if hint else "")


def prepare_output() -> None:
    """Let output spell out what its encoding lacks, and messages of libraries what a terminal would obey."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    if logging.lastResort is not None:
        logging.lastResort.setFormatter(_Harmless())


def finish_output() -> None:
    """Write what is left of the output.

    Raises:
        OSError: Nobody takes it, or a full disk does not.
    """
    with _named_output():
        sys.stdout.flush()


@contextmanager
def _named_output() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        error.filename = "standard output"
        raise


def give_up_output() -> None:
    """Send what is left of the output nowhere, because nobody takes it: Python would try again at its end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


class _Harmless(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return harmless(super().format(record))
