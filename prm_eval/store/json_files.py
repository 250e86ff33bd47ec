"""JSON files as typed values, with errors that name the file: a stranger's in bounded time and memory, and the user's own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TypeVar

from prm_eval.errors import DataError
from prm_eval.store.safe_json import read_json
from prm_eval.store.typed import Malformed, build

T = TypeVar("T")


def read_typed(path: Path, kind: type[T]) -> T:
    """Read a stranger's JSON file as a value of a type.

    Raises:
        DataError: It cannot be read, or is not of that type; names the first field that is wrong.
    """
    return build_from(path, kind, read_json(path))


def build_from(path: Path, kind: type[T], value: Any, *, own: bool = False) -> T:
    """Return what was read from a file as a value of a type.

    Args:
        path: The file, for the error.
        kind: The type.
        value: What the file holds.
        own: As in :func:`prm_eval.store.typed.build`.

    Raises:
        DataError: It is not of that type; names the first field that is wrong.
    """
    try:
        return build(kind, value, own=own)
    except Malformed as error:
        first, more = error.faults[0], len(error.faults) - 1
        hint = f"{more} more fault{'s' if more > 1 else ''} in this file." if more else ""
        raise DataError(path, None, f"{first.where} = {first.found}", first.expected, hint) from None


def read_own_json(path: Path, schemas: tuple[str, ...], what: str) -> dict[str, Any]:
    """Read a JSON object of the user's own, whose ``schema`` is one that this version understands.

    Unlike :func:`prm_eval.store.safe_json.read_json` it follows links, as the hub's cache has them, and sets no limits.

    Args:
        path: The file.
        schemas: The values of the field ``schema`` that are understood.
        what: What the file is, for the error.

    Raises:
        DataError: Not JSON, no object, or of another schema.
    """
    try:
        value = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise DataError(path, None, f"not JSON ({error})", what) from None
    if not isinstance(value, dict) or value.get("schema") not in schemas:
        found = value.get("schema") if isinstance(value, dict) else type(value).__name__
        raise DataError(path, None, f"schema {found!r}", " or ".join(schemas))
    return value
