"""Attention within each sequence of a packed row, in few calls and without copies of key-value heads.

A function of our own, registered with transformers under :data:`ATTENTION`, takes the place of a layer's attention. It
has two ways:

* **groups**: one scaled dot product for sequences alike. A group's sequences are filled up to the longest; on the CPU,
  where a call costs little and a row much, only sequences of equal lengths make a group. Queries of rows that another
  sequence has added are computed again, and thrown away, where a causal call is then cheaper than one with a mask.
* **varlen**: one call a layer for all sequences (:mod:`torch.nn.attention.varlen`), on GPUs in half precision.

Query heads that share a key-value head are the heads of one item of a batch of key-value heads, of which each key is an
expanded view. So no version of torch has to repeat keys.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from itertools import accumulate
from typing import Any

from prm_eval.rewards.engine.packing import Layout, Rows

ATTENTION = "prm_eval_packed"


@dataclass(frozen=True)
class Costs:
    """What makes calls cheap on a device.

    Attributes:
        waste: How many times as many scores as its sequences need a group may compute.
        block: How many keys after a query's own place a causal call computes on average, since it computes blocks.
    """

    waste: float
    block: int


# on the CPU a call costs little, and its causal calls take 512 keys at once (torch 2.13)
ON_CPU = Costs(1.0, 256)
# elsewhere a launch costs more than some scores, and a mask more than half of them
ELSEWHERE = Costs(1.5, 0)
# options of layers that a plain scaled dot product does not compute
UNSUPPORTED = ("softcap", "s_aux", "position_bias", "head_mask")

_current: ContextVar[tuple[Layout, bool] | None] = ContextVar("layout and varlen", default=None)
IN_CONFIG = "_prm_eval_layout"


@contextmanager
def packed(trunk: Any, layout: Layout, *, varlen: bool = False) -> Iterator[None]:
    """Make a trunk's attention follow a layout, for the calls in this block.

    On a GPU a backward pass runs in threads of torch's own, and activations that are computed again there too: these
    threads do not know this thread's context, and find the layout at the layer's config.

    Args:
        trunk: The trunk.
        layout: The layout.
        varlen: Whether a layer's attention is one call of :mod:`torch.nn.attention.varlen`; see :func:`can_varlen`.

    Raises:
        NotImplementedError: The installed transformers cannot register an attention function, or the trunk has no
            config.
    """
    _register()
    config = getattr(trunk, "config", None)
    if config is None:
        raise NotImplementedError("a trunk without a config cannot be told which attention to use")
    before, token = config._attn_implementation, _current.set((layout, varlen))
    config._attn_implementation = ATTENTION
    text = config.get_text_config() if hasattr(config, "get_text_config") else config
    outer = getattr(text, IN_CONFIG, None)
    setattr(text, IN_CONFIG, (layout, varlen))
    try:
        yield
    finally:
        config._attn_implementation = before
        _current.reset(token)
        if outer is None:
            delattr(text, IN_CONFIG)
        else:
            setattr(text, IN_CONFIG, outer)


@cache
def _register() -> None:
    try:
        from transformers import AttentionInterface
    except ImportError:
        raise NotImplementedError("packing needs transformers 4.51 or newer") from None
    AttentionInterface.register(ATTENTION, packed_attention)


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
    wanted = [name for name in UNSUPPORTED if options.get(name) is not None]
    if wanted or getattr(module, "is_causal", True) is False or options.get("is_causal") is False:
        raise NotImplementedError(f"attention with {', '.join(wanted) or 'no causal order'}")
    current = _current.get() or getattr(getattr(module, "config", None), IN_CONFIG, None)
    if current is None:
        raise RuntimeError(f"{ATTENTION} was called outside of packed()")
    layout, varlen = current
    compute = _in_one_call if varlen else _in_groups
    return compute(layout, query, key, value, scaling, sliding_window), None


# --- one call for sequences alike ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Group:
    """Sequences whose attention is one call.

    Attributes:
        members: Their numbers in the layout.
        queries: The row ranges whose queries are computed, for each member.
        keys: The row ranges of all of its tokens, for each member.
        skipped: How many of the first queries of each member are thrown away.
        causal: Whether a member's queries are those of all of its tokens, so that no mask is needed.
    """

    members: tuple[int, ...]
    queries: tuple[tuple[Rows, ...], ...]
    keys: tuple[tuple[Rows, ...], ...]
    skipped: tuple[int, ...]
    causal: bool

    @property
    def length(self) -> int:
        """The most queries of a member."""
        return max(map(_length, self.queries))


def group_up(layout: Layout, window: int | None, costs: Costs) -> list[Group]:
    """Return the groups of a layout's sequences; those that add no row are left out.

    Args:
        layout: The layout.
        window: The number of tokens that a query sees; None is all of them.
        costs: What makes calls cheap on the device.
    """
    shapes: dict[int, tuple[bool, int, int]] = {}
    for number, (start, stop) in enumerate(layout.own):
        own, seen = stop - start, _length(layout.paths[number])
        if own:
            # a causal call computes half of all scores, one with a mask all scores of the rows that are new
            causal = (window is None or seen <= window) and min(seen, seen / 2 + costs.block) <= own
            shapes[number] = (causal, seen if causal else own, seen)
    groups: list[list[int]] = []
    needed = longest = 0
    for number in sorted(shapes, key=lambda each: (shapes[each], each)):
        causal, queries, keys = shapes[number]
        longest = max(longest, keys)
        # they come in rising order of their queries
        area = (len(groups[-1]) + 1) * queries * longest if groups else 0
        if groups and shapes[groups[-1][0]][0] == causal and area <= costs.waste * (needed + queries * keys):
            groups[-1].append(number)
            needed += queries * keys
        else:
            groups.append([number])
            needed, longest = queries * keys, keys
    return [_group(layout, sorted(members), shapes[members[0]][0]) for members in sorted(groups, key=min)]


def _group(layout: Layout, members: Sequence[int], causal: bool) -> Group:
    keys = tuple(tuple(layout.paths[each]) for each in members)
    own = tuple((layout.own[each],) for each in members)
    skipped = tuple(_length(path) - _length(rows) if causal else 0 for path, rows in zip(keys, own, strict=True))
    return Group(tuple(members), keys if causal else own, keys, skipped, causal)


def _length(ranges: Sequence[Rows]) -> int:
    return sum(stop - start for start, stop in ranges)


def _in_groups(layout: Layout, query: Any, key: Any, value: Any, scaling: float | None, window: int | None) -> Any:
    """Return the output (1, rows, heads, width), from one scaled dot product a group."""
    import torch

    each = query.shape[1] // key.shape[1]
    costs = ON_CPU if query.device.type == "cpu" else ELSEWHERE
    groups = _made(layout, ("groups", window, costs), lambda: group_up(layout, window, costs))
    # parts, not rows of one tensor that are written in place: training keeps what a backward pass needs of each
    parts = []
    for group in groups:
        found = torch.nn.functional.scaled_dot_product_attention(
            _take(layout, query, group.queries, key.shape[1]),
            _take(layout, key, group.keys, key.shape[1]).expand(-1, each, -1, -1),
            _take(layout, value, group.keys, key.shape[1]).expand(-1, each, -1, -1),
            attn_mask=None if group.causal else _mask(layout, group, window, query.dtype, query.device, key.shape[1]),
            is_causal=group.causal,
            scale=scaling,
        )
        # (key-value heads x sequences, heads of each, rows, width) to rows first
        by_row = found.unflatten(0, (key.shape[1], -1)).permute(1, 3, 0, 2, 4)
        parts += [by_row[0, group.skipped[0] :]] if len(group.members) == 1 else [by_row.flatten(0, 1)]
    joined = parts[0] if len(parts) == 1 else torch.cat(parts)
    order = _made(layout, ("order", window, costs, query.device), lambda: _order(layout, groups, query.device))
    return (joined if order is None else joined.index_select(0, order)).flatten(1, 2)[None]


def _made(layout: Layout, name: tuple[Any, ...], make: Callable[[], Any]) -> Any:
    """Return what was made of a layout under a name, made once for all layers."""
    if name not in layout.made:
        layout.made[name] = make()
    return layout.made[name]


def _take(layout: Layout, heads: Any, ranges: tuple[tuple[Rows, ...], ...], n_kv: int) -> Any:
    """Return the rows of some sequences, filled up to the longest; of one sequence in one range it is a view.

    Args:
        layout: The layout.
        heads: (1, heads, rows, width).
        ranges: The rows of each sequence.
        n_kv: The number of key-value heads.

    Returns:
        (key-value heads x sequences, heads of each, rows, width).
    """
    import torch

    if len(ranges) == 1:
        parts = [heads[:, :, start:stop] for start, stop in ranges[0]]
        return (parts[0] if len(parts) == 1 else torch.cat(parts, dim=2))[0].unflatten(0, (n_kv, -1))
    index = _made(layout, ("index", ranges, n_kv, heads.device), lambda: _index(ranges, n_kv).to(heads.device))
    # (rows x key-value heads, heads of each x width): a view, since layers make their heads row by row
    flat = heads[0].transpose(0, 1).reshape(heads.shape[2] * n_kv, -1)
    return (
        flat.index_select(0, index)
        .reshape(n_kv * len(ranges), -1, heads.shape[1] // n_kv, heads.shape[3])
        .transpose(1, 2)
    )


def _index(ranges: Sequence[Sequence[Rows]], n_kv: int) -> Any:
    """Return where the rows of each key-value head and sequence lie among (rows x key-value heads)."""
    import torch

    longest = max(map(_length, ranges))
    filled = []
    for some in ranges:
        rows = [row for start, stop in some for row in range(start, stop)]
        filled += rows + rows[-1:] * (longest - len(rows))
    return (torch.tensor(filled) * n_kv + torch.arange(n_kv)[:, None]).flatten()


def _order(layout: Layout, groups: Sequence[Group], device: Any) -> Any:
    """Return where the output of each row lies among the outputs of all groups; None where that is its place."""
    import torch

    found = [0] * len(layout.ids)
    used = 0
    for group in groups:
        alone = len(group.members) == 1  # what is skipped is cut off already
        for place, number in enumerate(group.members):
            start, stop = layout.own[number]
            first = used + (0 if alone else place * group.length + group.skipped[place])
            found[start:stop] = range(first, first + stop - start)
        used += group.length - group.skipped[0] if alone else group.length * len(group.members)
    return None if found == list(range(len(found))) and used == len(found) else torch.tensor(found, device=device)


def _mask(layout: Layout, group: Group, window: int | None, dtype: Any, device: Any, n_kv: int) -> Any:
    """Return a mask of a group, whose queries are the last of the rows that each sees.

    It is added to the scores: torch would make it anew from a boolean one for every layer. The shape is
    (queries, keys), or (key-value heads x sequences, 1, queries, keys) where the sequences differ.
    """
    shapes = tuple((_length(queries), _length(keys)) for queries, keys in zip(group.queries, group.keys, strict=True))
    if len(set(shapes)) == 1:
        return _made(
            layout, ("mask", shapes[0], window, dtype, device), lambda: _added(shapes[:1], window, dtype, device)[0]
        )
    name = ("mask", shapes, window, dtype, device, n_kv)
    return _made(layout, name, lambda: _added(shapes, window, dtype, device).repeat(n_kv, 1, 1)[:, None])


def _added(shapes: Sequence[tuple[int, int]], window: int | None, dtype: Any, device: Any) -> Any:
    """Return 0 where a query sees a key and -inf elsewhere, of shape (sequences, queries, keys)."""
    import torch

    first = torch.tensor([keys - queries for queries, keys in shapes], device=device)[:, None, None]
    place = first + torch.arange(max(queries for queries, _ in shapes), device=device)[None, :, None]
    rows = torch.arange(max(keys for _, keys in shapes), device=device)[None, None]
    seen = rows <= place if window is None else (rows <= place) & (rows > place - window)
    return torch.zeros(seen.shape, dtype=dtype, device=device).masked_fill_(~seen, float("-inf"))


# --- one call for all sequences -----------------------------------------------------------------------------------


def can_varlen(device: str, dtype: str) -> bool:
    """Say whether torch has attention of variable lengths for a device and a dtype."""
    return device.startswith("cuda") and dtype in ("bfloat16", "float16") and _varlen() is not None


@cache
def _varlen() -> Callable[..., Any] | None:
    try:
        from torch.nn.attention.varlen import varlen_attn
    except ImportError:
        return None
    found: Callable[..., Any] = varlen_attn
    return found


@cache
def _parameters(call: Callable[..., Any]) -> frozenset[str]:
    return frozenset(inspect.signature(call).parameters)


def _in_one_call(layout: Layout, query: Any, key: Any, value: Any, scaling: float | None, window: int | None) -> Any:
    """Return the output (1, rows, heads, width), from one call of attention of variable lengths.

    A sequence's queries are the last of its rows; keys of a shared prefix are gathered for each sequence that sees it.

    Raises:
        NotImplementedError: The installed torch's function lacks what the layer needs.
    """
    call = _varlen()
    if call is None:
        raise NotImplementedError("torch has no attention of variable lengths")
    known = _parameters(call)
    options: dict[str, Any] = {}
    if "window_size" in known:
        # the number of tokens before a query that it sees
        options["window_size"] = (-1 if window is None else window - 1, 0)
    elif window is None and "is_causal" in known:
        options["is_causal"] = True
    else:
        raise NotImplementedError("torch's attention of variable lengths has no sliding window")
    if "scale" in known:
        options["scale"] = scaling
    elif scaling is not None and abs(scaling * query.shape[3] ** 0.5 - 1) > 1e-6:
        raise NotImplementedError("torch's attention of variable lengths has no scale")
    if "enable_gqa" in known:
        options["enable_gqa"] = query.shape[1] != key.shape[1]
    rows, queries, keys, most = _made(layout, ("varlen", query.device), lambda: _lengths(layout, query.device))
    by_row = [each[0].transpose(0, 1) for each in (query, key, value)]
    if rows is not None:
        by_row[1:] = [each.index_select(0, rows) for each in by_row[1:]]
    return call(*by_row, queries, keys, *most, **options)[None]


def _lengths(layout: Layout, device: Any) -> tuple[Any, Any, Any, tuple[int, int]]:
    """Return the rows of all keys (None: in order), where queries and keys of each sequence start, and their most."""
    import torch

    used = [number for number, (start, stop) in enumerate(layout.own) if start < stop]
    own = [_length([layout.own[number]]) for number in used]
    seen = [_length(layout.paths[number]) for number in used]
    rows = [row for number in used for start, stop in layout.paths[number] for row in range(start, stop)]
    starts = [torch.tensor([0, *accumulate(each)], dtype=torch.int32, device=device) for each in (own, seen)]
    gathered = None if rows == list(range(len(layout.ids))) else torch.tensor(rows, device=device)
    return gathered, *starts, (max(own), max(seen))
