"""Read JSON lines with errors that name file and row, in bounded memory."""

from __future__ import annotations

import gzip
import hashlib
import json
import math
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from prm_eval.errors import DataError

GZIP = b"\x1f\x8b"  # the first bytes of every gzip file, whatever its name
GZIP_ERRORS = (EOFError, zlib.error, gzip.BadGzipFile)
"""What reading damaged gzip data raises."""
MAX_LINE_BYTES = 256 * 1024 * 1024  # one row of a pool holds all candidates of a problem; more than this is a mistake


def open_binary(path: Path) -> IO[bytes]:
    """Open a file for reading, unpacked where it is compressed with gzip.

    Raises:
        DataError: There is no such file.
    """
    if not path.is_file():
        raise DataError(path, None, "a folder" if path.is_dir() else "no such file", "a JSON-lines file")
    return gzip.open(path, "rb") if is_packed(path) else path.open("rb")  # type: ignore[return-value]


def lines_of(path: Path) -> Iterator[bytes]:
    """Yield the lines of a file, unpacked where it is compressed with gzip, as :func:`bounded_lines` does.

    Raises:
        DataError: There is no such file, or its gzip data is damaged.
    """
    try:
        with open_binary(path) as stream:
            for line, _ in bounded_lines(stream):
                yield line
    except GZIP_ERRORS as error:
        raise damaged(path, error) from None


def bounded_lines(stream: IO[bytes]) -> Iterator[tuple[bytes, int]]:
    """Yield each line and its size, in bounded memory.

    Of a line that is too long only its beginning is yielded, which is itself too long for :func:`parse_line`; the rest
    is read past, so that the next one is the next row.
    """
    while line := stream.readline(MAX_LINE_BYTES + 1):
        size, piece = len(line), line
        while len(piece) > MAX_LINE_BYTES and not piece.endswith(b"\n"):
            piece = stream.readline(MAX_LINE_BYTES + 1)
            size += len(piece)
        yield line, size


def damaged(path: Path, error: Exception) -> DataError:
    """Make the error for gzip data that cannot be unpacked."""
    return DataError(path, None, f"gzip data that is damaged ({error})", "a whole file", "Was it copied to its end?")


def is_packed(path: Path) -> bool:
    """Say whether a file is compressed with gzip, whatever its name."""
    with path.open("rb") as stream:
        return stream.read(len(GZIP)) == GZIP


class RepeatedFieldError(ValueError):
    """A JSON object that has a field twice."""


def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make an object of its fields, for json's ``object_pairs_hook``.

    Raises:
        RepeatedFieldError: A field comes twice; json itself would keep the last one without a word.
    """
    found = dict(pairs)
    if len(found) < len(pairs):
        raise RepeatedFieldError(f"the field {repeated(pairs)!r} twice")
    return found


def repeated(pairs: list[tuple[str, Any]]) -> str:
    """Return the first name that stands a second time, in a list of fields in which one does."""
    seen: set[str] = set()
    for name, _ in pairs:
        if name in seen:
            return name
        seen.add(name)
    raise ValueError("no name stands twice")


def finite_digits(error: Exception) -> str:
    """Return what an error of json says, in words that help where Python refuses a number for its length."""
    text = str(error)
    return "a number of more than 4,300 digits: write it as text" if "integer string conversion" in text else text


def parse_line(path: Path, row: int, line: bytes, *, unique: bool = False) -> dict[str, Any]:
    """Parse one line into a JSON object.

    Args:
        path: The file, for errors.
        row: The line's number, for errors.
        line: The line.
        unique: Whether an object that has a field twice is a fault; otherwise the last one counts, as everywhere in
            Python.

    Raises:
        DataError: The line is not UTF-8, not JSON, not an object, or holds half a surrogate pair.
    """
    if len(line) > MAX_LINE_BYTES:
        # of a longer one the rest was not read
        raise DataError(path, row, f"a line of over {MAX_LINE_BYTES:,} bytes", "a shorter one")
    try:
        value = json.loads(line, object_pairs_hook=once if unique else None)
    except RepeatedFieldError as error:
        raise DataError(path, row, str(error), "each field once") from None
    except UnicodeDecodeError as error:
        raise DataError(
            path, row, f"bytes that are not UTF-8 ({error.reason} at {error.start})", "UTF-8 text"
        ) from None
    except (ValueError, RecursionError) as error:
        raise DataError(
            path, row, f"a line that is not JSON ({finite_digits(error)})", "one JSON object a line"
        ) from None
    if not isinstance(value, dict):
        raise DataError(path, row, f"a JSON {type(value).__name__}", "a JSON object")
    return value


def read_jsonl(path: Path, *, unique: bool = False) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield (1-based row number, object) for every line that is not blank; ``unique`` as for :func:`parse_line`."""
    for row, line in enumerate(lines_of(path), 1):
        if line.strip():
            yield row, parse_line(path, row, line, unique=unique)


# json.dumps makes an encoder for every value
_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def canonical_json(value: Any) -> bytes:
    """Return the canonical spelling of a JSON value, with a newline; content hashes are over these bytes."""
    return _CANONICAL.encode(value).encode() + b"\n"


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


class Row:
    """One row of a foreign file, read field by field with errors that name file and row."""

    def __init__(self, path: Path, number: int, fields: dict[str, Any]) -> None:
        self.path, self.number, self.fields = path, number, fields

    def fault(self, found: str, expected: str, hint: str = "") -> DataError:
        """Make the error for a fault in this row."""
        return DataError(self.path, self.number, found, expected, hint)

    def text(self, *names: str, where: dict[str, Any] | None = None, label: str = "") -> str | None:
        """Return the first of the named fields that is present, as text (a number is spelt out).

        Raises:
            DataError: The field is there but is neither text nor a number, or is not valid Unicode.
        """
        fields = self.fields if where is None else where
        for name in names:
            value = fields.get(name)
            if value is None:
                continue
            if isinstance(value, bool) or not isinstance(value, (str, int, float)):
                raise self.fault(f"{label or name!s} of type {type(value).__name__}", "text")
            if isinstance(value, float) and not math.isfinite(value):
                raise self.fault(f"{label or name} = {value}", "text; null where there is none")
            spelt = value if isinstance(value, str) else repr(value)
            if not spelt.isascii():
                try:
                    spelt.encode()
                except UnicodeEncodeError:
                    raise self.fault(f"half a surrogate pair in {label or name}", "valid Unicode") from None
            return spelt
        return None

    def required_text(self, *names: str, where: dict[str, Any] | None = None, label: str = "") -> str:
        """Return what :meth:`text` does, but insist that the field is there.

        Raises:
            DataError: None of the fields is present.
        """
        value = self.text(*names, where=where, label=label)
        if value is None:
            fields = self.fields if where is None else where
            if null := [name for name in names if name in fields]:
                raise self.fault(f"{' and '.join(null)} = null", "a text")
            present = ", ".join(sorted(fields)) or "nothing"
            raise self.fault(f"no field {' or '.join(names)} (fields: {present})", "one of them")
        return value
