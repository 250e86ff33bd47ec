"""What differs between the rewards in a folder and those that are wanted, in one line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

SHOWN = 100  # characters of a value
NOTHING = "nothing"
_MISSING = object()


def flattened(fields: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the values within nested mappings with their paths: ``generate.max_new_tokens``. An empty one has none."""
    for name, value in fields.items():
        path = f"{before}{name}"
        if isinstance(value, Mapping):
            yield from flattened(value, f"{path}.")
        else:
            yield path, value


def first_difference(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> tuple[str, Any, Any] | None:
    """Return (path, value found, value wanted) of the first key that differs; a missing one is :data:`NOTHING`."""
    one, other = dict(flattened(found)), dict(flattened(wanted))
    for name in dict.fromkeys([*other, *one]):
        if one.get(name, _MISSING) != other.get(name, _MISSING):
            return name, one.get(name, NOTHING), other.get(name, NOTHING)
    return None


def difference(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> str | None:
    """Return the first key that differs with both values, as ``dtype = 'float32', not 'bfloat16'``; None for none.

    What the model says of itself stands without ``model.`` before it.
    """
    one, other = dict(flattened(found)), dict(flattened(wanted))
    names = [name for name in dict.fromkeys([*other, *one]) if one.get(name, _MISSING) != other.get(name, _MISSING)]
    if not names:
        return None
    first = names[0]
    said, meant = (_shown(each[first]) if first in each else "nothing" for each in (one, other))
    more = f" ({len(names) - 1} more differ: {', '.join(map(_short, names[1:4]))})" if len(names) > 1 else ""
    return f"{_short(first)} = {said}, not {meant}{more}"


def _short(name: str) -> str:
    return name.removeprefix("model.")


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= SHOWN else text[: SHOWN - 3] + "..."
