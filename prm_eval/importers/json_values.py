"""A reader of JSON that is not one object a line: an array of objects, or objects one after the other."""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from prm_eval.errors import DataError
from prm_eval.store.jsonl import (
    GZIP_ERRORS,
    MAX_LINE_BYTES,
    RepeatedFieldError,
    damaged,
    finite_digits,
    once,
    open_binary,
)

_CHUNK = 1 << 20
_BETWEEN = " \t\r\n"


def read_values(path: Path) -> Iterator[tuple[int, Any]]:
    """Yield (1-based number, value) for every element of an array, or for every value of a file.

    One value is in memory at a time.

    Raises:
        DataError: Text that is no JSON, with the number of the value; or a value beyond the limit of a row.
    """
    with open_binary(path) as stream:
        buffer = _Buffer(path, stream)
        array = buffer.take("[")
        if array and buffer.take("]"):
            array = False  # an empty one: nothing may follow
        number = 0
        while array or not buffer.at_end():
            if buffer.at_end():
                raise DataError(path, number, "an array that is cut off", "its end")
            number += 1
            yield number, buffer.value(number)
            if array and buffer.take("]"):
                break
            if array and not buffer.take(","):
                raise DataError(path, number, "no comma after the value", "a comma or the end of the array")
        if not buffer.at_end():
            raise DataError(path, number, "text after the end of the array", "one array")


class _Buffer:
    """The text that was read and not used yet."""

    def __init__(self, path: Path, stream: Any) -> None:
        self._path, self._stream = path, stream
        self._decode = codecs.getincrementaldecoder("utf-8-sig")().decode
        self._decoder = json.JSONDecoder(object_pairs_hook=once)
        self._text, self._at, self._ended = "", 0, False

    def _more(self, size: int = _CHUNK) -> None:
        try:
            block = self._stream.read(size)
            self._text = self._text[self._at :] + self._decode(block, final=not block)
        except UnicodeDecodeError as error:
            raise DataError(self._path, None, f"bytes that are not UTF-8 ({error.reason})", "UTF-8 text") from None
        except GZIP_ERRORS as error:
            raise damaged(self._path, error) from None
        self._at, self._ended = 0, not block

    def at_end(self) -> bool:
        """Say whether nothing but white space is left, after leaving that out."""
        while True:
            while self._at < len(self._text) and self._text[self._at] in _BETWEEN:
                self._at += 1
            if self._at < len(self._text):
                return False
            if self._ended:
                return True
            self._more()

    def take(self, sign: str) -> bool:
        """Say whether a sign comes next, and go past it."""
        if self.at_end() or self._text[self._at] != sign:
            return False
        self._at += 1
        return True

    def _may_go_on(self, error: Exception) -> bool:
        """Say whether an error may be one of the text that was not read yet, not of the file."""
        if not isinstance(error, json.JSONDecodeError):
            return False
        return error.msg.startswith("Unterminated") or error.pos >= len(self._text) - _CHUNK

    def value(self, number: int) -> Any:
        """Return the next value."""
        self.at_end()
        while True:
            try:
                found, end = self._decoder.raw_decode(self._text, self._at)
            except RepeatedFieldError as error:
                raise DataError(self._path, number, str(error), "each field once") from None
            except (ValueError, RecursionError) as error:
                if self._ended or not self._may_go_on(error):
                    raise DataError(
                        self._path, number, f"text that is not JSON ({finite_digits(error)})", "JSON"
                    ) from None
                if len(self._text) - self._at > MAX_LINE_BYTES:
                    raise DataError(
                        self._path, number, f"a value of over {MAX_LINE_BYTES:,} characters", "a smaller row"
                    ) from None
                self._more(max(_CHUNK, len(self._text) - self._at))  # doubling: the time stays linear
                continue
            if end == len(self._text) and not self._ended:
                self._more()  # a number may go on
                continue
            self._at = end
            return found
