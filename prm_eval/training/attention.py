"""Attention in float32 while the layers compute in half precision.

On a CPU the backward pass of the attention takes three times as long in bfloat16 as in float32, while the matrices
of the layers take a quarter of the time.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

NAME = "float32"


@contextmanager
def float32_attention(network: Any) -> Iterator[None]:
    """Let a network of transformers attend in float32 in this block."""
    from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

    ALL_ATTENTION_FUNCTIONS.register(NAME, _attend)
    ALL_MASK_ATTENTION_FUNCTIONS.register(NAME, ALL_MASK_ATTENTION_FUNCTIONS["sdpa"])
    before = network.config._attn_implementation
    network.set_attn_implementation(NAME)
    try:
        yield
    finally:
        network.set_attn_implementation(before)


def _attend(
    module: Any,
    query: Any,
    key: Any,
    value: Any,
    attention_mask: Any,
    scaling: float | None = None,
    **options: Any,
) -> tuple[Any, None]:
    """Attend as transformers calls it: query, key and value (texts, heads, tokens, size)."""
    import torch

    with torch.autocast(query.device.type, enabled=False):
        found = torch.nn.functional.scaled_dot_product_attention(
            query.float(),
            key.float(),
            value.float(),
            attn_mask=attention_mask,
            is_causal=attention_mask is None,
            scale=scaling,
            enable_gqa=key.shape[1] != query.shape[1],
        )
    return found.transpose(1, 2).contiguous(), None
