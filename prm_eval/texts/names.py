"""The names of models in tables: the last two parts of a path, which also find a recipe."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

# the parts of a path that a table shows; a hub id has as many
PARTS = 2
# names that are alike in as many parts are shown whole: with one part more at a time a long path takes its square
MOST_PARTS = 12
# what follows the model's name in a label: the aggregation and the folder that tell two files apart
_LABEL = re.compile(r"(?P<name>.*?)(?P<more>(?:\[\w+\])?(?: \([^()]*\))?)", re.DOTALL)
_CACHED = "models--"


def short_name(name: str, parts: int = PARTS) -> str:
    """Return the name of a model for tables: ``third-party/tiny-prm`` for ``/data/models/third-party/tiny-prm``.

    A hub id stays as it is, and a folder of the hub's cache gets its id back. What follows the name, such as ``[mean]``
    or a folder in brackets, stays; models that were joined by " + " keep one short name each.
    """
    matched = _LABEL.fullmatch(name)
    path, more = (matched["name"], matched["more"]) if matched else (name, "")
    return " + ".join(_last_parts(piece, parts) for piece in path.split(" + ")) + more


def short_names(names: Iterable[str]) -> dict[str, str]:
    """Return the short name of each name of a table, with more parts where two would be called alike."""
    whole = tuple(dict.fromkeys(names))
    parts = dict.fromkeys(whole, PARTS)
    while True:
        found = {name: short_name(name, count) for name, count in parts.items()}
        often = Counter(found.values())
        alike = [name for name in whole if often[found[name]] > 1 and parts[name] <= len(re.split(r"[/\\]", name))]
        if not alike:
            return found
        for name in alike:
            parts[name] = parts[name] + 1 if parts[name] < MOST_PARTS else len(name)


def _cached_id(parts: list[str]) -> str:
    """Return the hub id of ``.../models--OWNER--NAME/snapshots/REVISION``; empty for any other path."""
    folder = parts[-3].partition(_CACHED)[2] if len(parts) > 2 and parts[-2] == "snapshots" else ""
    return folder.replace("--", "/", 1)


def _last_parts(path: str, count: int) -> str:
    every = re.split(r"[/\\]", path.rstrip("/\\"))
    if cached := _cached_id(every):
        return cached
    parts = [part for part in every if part not in ("", ".")]
    # a path of one or two parts stays as it is written, but for "./" before it
    return path if len(parts) <= count and not path.startswith("./") else "/".join(parts[-count:])
