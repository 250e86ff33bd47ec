"""Several token sequences as one row: nothing is padded, and a prefix that two sequences share is computed once.

Sequences are laid out in the order of their ids, so that each shares most with the one before it. A sequence adds rows
only for the tokens that it does not share. Its queries see its own rows and the rows of its prefix, wherever they lie.
Every layer but attention works on one row at a time, so only attention must know the layout (:mod:`.attention`). No
work is spent on rows of other sequences, and no key-value cache is needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

# below either bound, gathering keys costs more than computing the tokens a second time
LEAST_SHARED_TOKENS = 16
LEAST_SHARED_PART = 0.1

Ids = tuple[int, ...]
Rows = tuple[int, int]  # first row, and the row after the last


def common_prefix(one: Ids, other: Ids) -> int:
    """Return how many ids two sequences have in common at their start."""
    limit = min(len(one), len(other))
    if one[:limit] == other[:limit]:
        return limit
    low, high = 0, limit - 1  # the first `low` ids agree, the first `high + 1` do not
    while low < high:
        middle = (low + high + 1) // 2
        if one[:middle] == other[:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def shared_tokens(before: Ids | None, ids: Ids) -> int:
    """Return how many ids of a sequence are taken from the one before it.

    That is the length of the common prefix, or 0 if sharing costs more than it saves.
    """
    if before is None:
        return 0
    length = common_prefix(before, ids)
    return length if length >= LEAST_SHARED_TOKENS and length >= LEAST_SHARED_PART * len(ids) else 0


@dataclass
class Layout:
    """The rows of a pack, and the places of each sequence's tokens in them.

    Attributes:
        ids: The token ids of all rows.
        position_ids: Each row's place in its own sequence.
        paths: The row ranges that hold the tokens of each sequence, from the first token to the last.
        own: The rows that each sequence added; empty if all of its tokens were there already.
        saved: The number of tokens that were shared and not laid out a second time.
        made: What attention made of the layout so far, once for all layers.
    """

    ids: list[int] = field(default_factory=list)
    position_ids: list[int] = field(default_factory=list)
    paths: list[list[Rows]] = field(default_factory=list)
    own: list[Rows] = field(default_factory=list)
    saved: int = 0
    made: dict[Any, Any] = field(default_factory=dict)

    def rows(self, sequence: int, positions: Sequence[int]) -> list[int]:
        """Return the rows of some positions of a sequence."""
        found = []
        for position in positions:
            left = position
            for start, stop in self.paths[sequence]:
                if left < stop - start:
                    found.append(start + left)
                    break
                left -= stop - start
            else:
                raise IndexError(f"position {position} of a sequence of {position - left} tokens")
        return found


def lay_out(sequences: Sequence[Ids]) -> Layout:
    """Return the layout of sequences, which share most if they come in rising order of their ids."""
    layout = Layout()
    before: Ids | None = None
    path: list[Rows] = []
    for ids in sequences:
        shared = shared_tokens(before, ids)
        start = len(layout.ids)
        layout.ids += ids[shared:]
        layout.position_ids += range(shared, len(ids))
        path = _joined(_first(path, shared), (start, len(layout.ids)))
        layout.paths.append(path)
        layout.own.append((start, len(layout.ids)))
        layout.saved += shared
        before = ids
    return layout


def _first(path: Sequence[Rows], length: int) -> list[Rows]:
    """Return the part of a path that holds its first tokens."""
    kept: list[Rows] = []
    for start, stop in path:
        if length <= 0:
            break
        kept.append((start, min(stop, start + length)))
        length -= stop - start
    return kept


def _joined(path: list[Rows], rows: Rows) -> list[Rows]:
    if rows[0] == rows[1]:
        return path
    if path and path[-1][1] == rows[0]:
        return [*path[:-1], (path[-1][0], rows[1])]
    return [*path, rows]
