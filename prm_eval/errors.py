"""The errors users see: each says what was found, what was expected and what to do next."""

from __future__ import annotations

from pathlib import Path


def escaped(text: str) -> str:
    """Return a text that acts on no terminal: characters that control, hide or reorder are written as escapes.

    Messages quote what stands in strangers' files. Line breaks stay.
    """
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() or each == "\n" else ascii(each)[1:-1] for each in text)


class PrmEvalError(Exception):
    """Something the user can mend; the command line prints it without a traceback."""

    def __init__(self, message: str = "") -> None:
        super().__init__(escaped(message))


class DataError(PrmEvalError):
    """A fault in a file: names the file, the row, what was found and what was expected.

    Attributes:
        path: The file, or the folder, that holds the fault.
        row: 1-based row number (a line of JSONL, a row of Parquet), or None when the whole file is at fault.
        found: What was found there.
        expected: What should have been there.
        hint: The next step, if there is one.
    """

    def __init__(self, path: str | Path, row: int | None, found: str, expected: str, hint: str = "") -> None:
        self.path, self.row, self.found, self.expected, self.hint = str(path), row, found, expected, hint
        place = f"{path}, row {row}" if row is not None else f"{path}"
        super().__init__(f"{place}: found {found}; expected {expected}." + (f" {hint}" if hint else ""))

    def __reduce__(self) -> tuple[type[DataError], tuple[str, int | None, str, str, str]]:
        """Return how it is made again, in another process."""
        return type(self), (self.path, self.row, self.found, self.expected, self.hint)


class ModelError(PrmEvalError):
    """A reward model cannot be found, loaded or used."""


class OtherRewards(PrmEvalError):
    """A reward folder holds the rewards of another model, other options or another pool."""


class SamplingError(PrmEvalError):
    """The candidates are not independent samples of the policy, so best-of-n over them would mean nothing."""
