"""What the engine runs: a trunk that gives hidden states, and a head that is applied only where it is read."""

from __future__ import annotations

from typing import Any, Protocol


class Network(Protocol):
    """A loaded model, cut where the engine needs it: recipes and plain checkpoints make one each.

    The vocabulary matrix, where there is one, is part of the head: it is never applied to a position that is not read.
    """

    trunk: Any
    """A transformers decoder without its head (``AutoModel``-like): ``trunk(input_ids=..., attention_mask=..., position_ids=...,
    past_key_values=..., use_cache=...)`` returns an object with ``last_hidden_state`` of shape (batch, tokens,
    width)."""

    def head(self, hidden: Any) -> Any:
        """Return float32 logits of shape (positions, labels) for float32 hidden states of shape (positions, width)."""
        ...
