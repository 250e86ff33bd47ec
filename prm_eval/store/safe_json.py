"""A reader of strangers' JSON that works in bounded time and memory.

What Python's own reader lets pass (NaN, keys that come twice) is a fault here.
"""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

from prm_eval.errors import DataError
from prm_eval.store.jsonl import repeated

MAX_BYTES = 256 * 1024
MAX_DEPTH = 12


class _NotPlain(ValueError):
    """A value that RFC 8259 does not allow, or leaves undefined."""


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        DataError: Not a plain file, too large, not UTF-8, not JSON, nested too deeply, a key that comes twice, or NaN,
            an infinity or a number too large to read.
    """
    text = read_bytes(path)
    depth = most = 0
    quoted = escaped = False
    # the depth is measured before parsing, because the parser recurses
    for byte in text:
        if quoted:
            quoted = escaped or byte != 0x22
            escaped = not escaped and byte == 0x5C
        elif byte == 0x22:
            quoted, escaped = True, False
        elif byte in b"[{":
            depth += 1
            most = max(most, depth)
        elif byte in b"]}":
            depth -= 1
    if most > MAX_DEPTH:
        raise DataError(path, None, f"JSON nested {most:,} deep", f"at most {MAX_DEPTH}")
    try:
        value = json.loads(
            text.decode("utf-8"),
            object_pairs_hook=_object,
            parse_constant=_constant,
            parse_int=_whole,
            parse_float=_finite,
        )
    except UnicodeDecodeError as error:
        raise DataError(path, None, f"bytes that are not UTF-8 (at {error.start:,})", "UTF-8 text") from None
    except _NotPlain as error:
        raise DataError(path, None, str(error), "plain JSON") from None
    except ValueError as error:
        raise DataError(
            path, None, f"text that is not JSON ({ascii(str(error))[1:-1][:120]})", "a JSON object"
        ) from None
    if not isinstance(value, dict):
        raise DataError(path, None, f"a JSON {type(value).__name__}", "a JSON object")
    return value


def read_bytes(path: Path, most: int = MAX_BYTES, *, links: bool = False) -> bytes:
    """Return the content of a plain file, never waiting for a pipe.

    Args:
        path: The file.
        most: The most bytes that it may have.
        links: Whether it may be a link to a plain file, as in the hub's cache; a stranger's link could lead anywhere.

    Raises:
        DataError: Not a plain file, or too large.
    """
    try:
        number = os.open(path, os.O_RDONLY | os.O_NONBLOCK | (0 if links else os.O_NOFOLLOW))
    except OSError as error:
        raise DataError(path, None, f"no file that can be read ({error.strerror})", "a plain file") from None
    about = os.fstat(number)
    if not stat.S_ISREG(about.st_mode):
        # checked here, because no stream can be made of a folder
        os.close(number)
        raise DataError(path, None, "something that is not a plain file", "a plain file")
    with os.fdopen(number, "rb") as stream:
        text = stream.read(most + 1)
    if len(text) > most:
        raise DataError(path, None, f"{about.st_size:,} bytes", f"at most {most:,}")
    return text


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) < len(pairs):
        raise _NotPlain(f"the key {ascii(repeated(pairs))[:80]} twice")
    return result


def _constant(name: str) -> Any:
    raise _NotPlain(f"the number {name}")


def _whole(digits: str) -> int:
    if len(digits) > 20:
        raise _NotPlain(f"a whole number of {len(digits):,} digits")
    return int(digits)


def _finite(digits: str) -> float:
    value = float(digits)
    if value in (float("inf"), float("-inf")):
        raise _NotPlain(f"the number {digits[:40]}, which is too large")
    return value
