"""Several token sequences as one row: nothing is padded, and a prefix that two sequences share is computed once.

Sequences are laid out in the order of their ids, so that each shares most with the one before it. A sequence adds rows
only for the tokens that it does not share. Its queries see its own rows and the rows of its prefix, wherever they lie.
Every layer but attention works on one row at a time, so only attention must know the layout: a function of our own,
registered with transformers under :data:`ATTENTION`, calls the scaled dot product once for each sequence. No work is
spent on rows of other sequences, the code is the same on every device, and no key-value cache is needed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cache
from typing import Any

ATTENTION = "prm_eval_packed"
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
        masks: The attention masks that were made so far.
    """

    ids: list[int] = field(default_factory=list)
    position_ids: list[int] = field(default_factory=list)
    paths: list[list[Rows]] = field(default_factory=list)
    own: list[Rows] = field(default_factory=list)
    saved: int = 0
    masks: dict[Any, Any] = field(default_factory=dict)

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


_layout: ContextVar[Layout] = ContextVar("layout")


@contextmanager
def packed(trunk: Any, layout: Layout) -> Iterator[None]:
    """Make a trunk's attention follow a layout, for the calls in this block and this thread.

    Raises:
        NotImplementedError: The installed transformers cannot register an attention function, or the trunk has no
            config.
    """
    _register()
    config = getattr(trunk, "config", None)
    if config is None:
        raise NotImplementedError("a trunk without a config cannot be told which attention to use")
    before, token = config._attn_implementation, _layout.set(layout)
    config._attn_implementation = ATTENTION
    try:
        yield
    finally:
        config._attn_implementation = before
        _layout.reset(token)


@cache
def _register() -> None:
    try:
        from transformers import AttentionInterface
    except ImportError:
        raise NotImplementedError("packing needs transformers 4.51 or newer") from None
    AttentionInterface.register(ATTENTION, packed_attention)


# options of layers that a plain scaled dot product does not compute
UNSUPPORTED = ("softcap", "s_aux", "position_bias", "head_mask")


def packed_attention(
    module: Any,
    query: Any,
    key: Any,
    value: Any,
    attention_mask: Any = None,
    scaling: float | None = None,
    dropout: float = 0.0,
    sliding_window: int | None = None,
    **options: Any,
) -> tuple[Any, None]:
    """Return attention within each sequence of the current layout; transformers' decoder layers call this function.

    Args:
        module: The attention layer.
        query: (1, heads, rows, width a head).
        key: (1, key-value heads, rows, width a head).
        value: (1, key-value heads, rows, width a head).
        attention_mask: Not used: the layout says who sees whom.
        scaling: The factor of the scores; None is 1/sqrt(width).
        dropout: Not used: training has none either.
        sliding_window: The number of tokens that a query sees, itself included; None is all of them.
        options: Other arguments of the layer.

    Returns:
        The output (1, rows, heads, width a head), and None instead of attention weights.

    Raises:
        NotImplementedError: The layer wants something else than causal scaled dot-product attention.
    """
    import torch

    wanted = [name for name in UNSUPPORTED if options.get(name) is not None]
    if wanted or getattr(module, "is_causal", True) is False or options.get("is_causal") is False:
        raise NotImplementedError(f"attention with {', '.join(wanted) or 'no causal order'}")
    layout = _layout.get()
    groups = query.shape[1] // key.shape[1]
    # parts, not rows of one tensor that are written in place: training keeps what a backward pass needs of each
    parts = []
    for path, (start, stop) in zip(layout.paths, layout.own, strict=True):
        if start == stop:
            continue
        keys, values = _gather(key, path, groups), _gather(value, path, groups)
        length, seen = stop - start, keys.shape[2]
        near = sliding_window is not None and seen > sliding_window
        whole = length == seen and not near
        found = torch.nn.functional.scaled_dot_product_attention(
            query[:, :, start:stop],
            keys,
            values,
            attn_mask=None if whole else _mask(layout, length, seen, sliding_window if near else None, query.device),
            is_causal=whole,
            scale=scaling,
        )
        parts.append(found.transpose(1, 2))
    return torch.cat(parts, dim=1), None


def _gather(rows: Any, path: Sequence[Rows], groups: int) -> Any:
    """Return the rows of a path, with each key-value head repeated for every query head that uses it."""
    import torch

    parts = [rows[:, :, start:stop] for start, stop in path]
    joined = parts[0] if len(parts) == 1 else torch.cat(parts, dim=2)
    return joined if groups == 1 else joined.repeat_interleave(groups, dim=1)


def _mask(layout: Layout, length: int, seen: int, window: int | None, device: Any) -> Any:
    """Return a mask (length, seen), made once for all layers; the queries are the last of the rows that are seen."""
    import torch

    key = (length, seen, window)
    if key not in layout.masks:
        query = torch.arange(seen - length, seen, device=device)[:, None]
        rows = torch.arange(seen, device=device)[None, :]
        mask = rows <= query
        layout.masks[key] = mask if window is None else mask & (rows > query - window)
    return layout.masks[key]
