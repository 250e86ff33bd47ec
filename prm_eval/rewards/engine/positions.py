"""Trunks whose numbers depend on the longest sequence of a batch, or on the sequences computed before.

Such a trunk gets one sequence a pass. With "longrope" (Phi-3) one long sequence gives every sequence of its batch the
factors for long ones; with "dynamic" scaling transformers keeps the frequencies of the longest sequence until a short
one comes.
"""

from __future__ import annotations

from typing import Any


def depends_on_length(trunk: Any) -> str:
    """Return the type of position scaling that depends on the longest sequence; empty if there is none."""
    config = getattr(trunk, "config", None)
    if config is None:
        return ""
    text = config.get_text_config() if hasattr(config, "get_text_config") else config
    scaling = getattr(text, "rope_parameters", None) or getattr(text, "rope_scaling", None) or {}
    # the scaling of all layers, or one for each type of layer
    layers = [scaling, *(each for each in scaling.values() if isinstance(each, dict))]
    types = (str(each.get("rope_type") or each.get("type") or "") for each in layers)
    return next((each for each in types if each == "longrope" or "dynamic" in each), "")


def forget_lengths(trunk: Any) -> None:
    """Reset dynamic position scaling to that of short sequences, as in a model that has computed nothing yet."""
    if not depends_on_length(trunk):
        return
    for module in trunk.modules():
        short = getattr(module, "original_max_seq_len", None)
        if short is None:
            continue
        for name in [each for each, _ in module.named_buffers(recurse=False) if each.endswith("original_inv_freq")]:
            kept = getattr(module, name)
            prefix = name.removesuffix("original_inv_freq")
            module.register_buffer(f"{prefix}inv_freq", kept.clone(), persistent=False)
            setattr(module, f"{prefix}max_seq_len_cached", short)
