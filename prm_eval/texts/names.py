"""The names of models in tables: the last two parts of a path, which also find a recipe."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

PARTS = 2
_CACHED = re.compile(r"models--([^/\\]+)[/\\]snapshots[/\\][^/\\]+$")


def short_name(name: str, parts: int = PARTS) -> str:
    """Return the name of a model for tables: ``third-party/tiny-prm`` for ``/data/models/third-party/tiny-prm``.

    A hub id stays as it is, and a folder of the hub's cache gets its id back. What follows the last part, such as
    ``[mean]``, stays.
    """
    if cached := _CACHED.search(name.rstrip("/\\")):
        return cached[1].replace("--", "/", 1)
    found = [part for part in re.split(r"[/\\]", name) if part not in ("", ".")]
    return "/".join(found[-parts:]) or name


def short_names(names: Sequence[str]) -> list[str]:
    """Return names for one table: as short as :func:`short_name`, with more parts where two would look alike."""
    shown = [short_name(name) for name in names]
    longest = max((len(re.split(r"[/\\]", name)) for name in names), default=0)
    for parts in range(PARTS + 1, longest + 1):
        alike = Counter(shown)
        shown = [short_name(name, parts) if alike[old] > 1 else old for name, old in zip(names, shown, strict=True)]
    return shown
