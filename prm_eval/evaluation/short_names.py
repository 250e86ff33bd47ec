"""The short names of reward models in tables: the last two parts of a path say which one it is."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

# the parts of a path that a table shows; a hub id has as many
PARTS = 2
# what follows the model's name in a label: the aggregation and the folder that tell two files apart
_LABEL = re.compile(r"(?P<name>.*?)(?P<more>(?:\[\w+\])?(?: \([^()]*\))?)", re.DOTALL)


def short_names(names: Iterable[str]) -> dict[str, str]:
    """Return the short name of each name: the last two parts of its path, and more where two would be called alike."""
    whole = tuple(dict.fromkeys(names))
    parts = dict.fromkeys(whole, PARTS)
    while True:
        found = {name: _last_parts(name, count) for name, count in parts.items()}
        often = Counter(found.values())
        alike = [name for name in whole if often[found[name]] > 1 and found[name] != name]
        if not alike:
            return found
        for name in alike:
            parts[name] += 1


def _last_parts(name: str, count: int) -> str:
    matched = _LABEL.fullmatch(name)
    path, more = (matched["name"], matched["more"]) if matched else (name, "")
    # models that were joined to one keep one name each
    pieces = [_last_of(piece, count) for piece in path.split(" + ")]
    return " + ".join(pieces) + more


def _last_of(path: str, count: int) -> str:
    parts = [part for part in re.split(r"[/\\]", path) if part]
    return path if len(parts) <= count else "/".join(parts[-count:])
