"""The network of an engine: a trunk that gives hidden states, and a head for the positions that are read."""

from __future__ import annotations

from typing import Any, Protocol


class Network(Protocol):
    """A loaded model, cut into trunk and head; recipes and plain checkpoints make one each.

    A vocabulary matrix is part of the head, so it is never applied to a position that is not read.
    """

    trunk: Any
    """A transformers decoder without its head, like those of ``AutoModel``.

    ``trunk(input_ids=..., attention_mask=..., position_ids=..., past_key_values=..., use_cache=...)`` returns an object
    with ``last_hidden_state`` of shape (batch, tokens, width).
    """

    def head(self, hidden: Any) -> Any:
        """Return float32 logits of shape (positions, labels) for float32 hidden states of shape (positions, width)."""
        ...
