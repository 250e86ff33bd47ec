"""Two ways to put sequences through a trunk: packed into one row, or padded to the longest of a batch.

Both order all sequences once and cut batches off the front within a budget of tokens. The sequences that are left
decide the next batch, so a run that was interrupted between two batches goes on with the batches it would have had.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from prm_eval.rewards.engine.attention import packed
from prm_eval.rewards.engine.packing import Ids, lay_out, shared_tokens
from prm_eval.rewards.inputs.rendered import Rendered

MAX_PADDING = 0.05
# packed batches are planned together, so many at a time; none counts as fewer rows than this part of a budget
BATCHES_AHEAD = 3
LEAST_FILLED = 0.25
BUSY_ROWS = 1_024  # a forward pass of fewer rows wastes more than padding does


@dataclass(frozen=True)
class Hidden:
    """The hidden states of a batch, and what the trunk did for them.

    Attributes:
        rows: Hidden states at the read positions of all sequences, one after the other: (read positions, width).
        computed: The number of rows that the trunk ran over.
        padded: The number of these rows that held no token.
        saved: The number of tokens that were taken from another sequence's prefix.
    """

    rows: Any
    computed: int
    padded: int = 0
    saved: int = 0


class Batcher(Protocol):
    """A way to order sequences, cut batches and run the trunk."""

    name: str

    def order(self, sequences: Sequence[Ids]) -> list[int]:
        """Return the indices of the sequences in the order in which they are computed."""
        ...

    def size(self, order: Sequence[int], sequences: Sequence[Ids], budget: int) -> int:
        """Return how many of the first sequences make a batch within the budget; at least one."""
        ...

    def run(self, trunk: Any, batch: Sequence[Rendered], device: str) -> Hidden:
        """Run the trunk over a batch."""
        ...


class Padded:
    """Batches sorted by length and padded on the right, for every trunk that takes an attention mask."""

    name = "padded"

    def order(self, sequences: Sequence[Ids]) -> list[int]:
        """Return the longest sequences first, so that one that does not fit into memory is found at once."""
        return sorted(range(len(sequences)), key=lambda i: (-len(sequences[i]), sequences[i]))

    def size(self, order: Sequence[int], sequences: Sequence[Ids], budget: int) -> int:
        """Return how many of the first sequences make a batch; the longest one, which comes first, sets its width.

        A batch that is large enough to keep the device busy ends before too much of it is padding.
        """
        longest, tokens = len(sequences[order[0]]), 0
        for count, index in enumerate(order):
            tokens += len(sequences[index])
            rows = longest * (count + 1)
            if count and (rows > budget or (rows - tokens > MAX_PADDING * rows and longest * count >= BUSY_ROWS)):
                return count
        return len(order)

    def run(self, trunk: Any, batch: Sequence[Rendered], device: str) -> Hidden:
        """Run the trunk over ids of shape (sequences, longest) with a mask."""
        import torch

        longest = max(len(one.ids) for one in batch)
        ids = torch.zeros((len(batch), longest), dtype=torch.long)
        mask = torch.zeros_like(ids)
        for row, one in enumerate(batch):
            ids[row, : len(one.ids)] = torch.tensor(one.ids)
            mask[row, : len(one.ids)] = 1
        hidden = trunk(input_ids=ids.to(device), attention_mask=mask.to(device), use_cache=False).last_hidden_state
        which = [row for row, one in enumerate(batch) for _ in one.positions]
        where = [position for one in batch for position in one.positions]
        return Hidden(hidden[which, where], ids.numel(), ids.numel() - sum(len(one.ids) for one in batch))


class Packed:
    """Batches of one row without padding, in which a common prefix stands once.

    They are for trunks whose attention can be replaced (see :mod:`.packing` and :mod:`.attention`).

    Args:
        varlen: Whether a layer's attention is one call for all sequences of a batch.
    """

    name = "packed"

    def __init__(self, *, varlen: bool = False) -> None:
        self.varlen = varlen

    def order(self, sequences: Sequence[Ids]) -> list[int]:
        """Return the sequences in the order of their ids, so that neighbours share the longest prefixes."""
        return sorted(range(len(sequences)), key=lambda i: sequences[i])

    def size(self, order: Sequence[int], sequences: Sequence[Ids], budget: int) -> int:
        """Return how many of the first sequences make a batch, by the rows that each adds.

        What two sequences share is computed again where a batch ends between them. So the first batch is that of the
        cheapest way to cut the next few batches off.
        """
        lengths, shared, rows = [], [], 0
        for before, index in zip([None, *order], order, strict=False):
            ids = sequences[index]
            lengths.append(len(ids))
            shared.append(0 if before is None else shared_tokens(sequences[before], ids))
            rows += lengths[-1] - shared[-1]
            if rows > BATCHES_AHEAD * budget:
                break
        # the rows that are computed for the sequences from each on, and where the first batch of these ends
        costs, ends = [0.0] * (len(lengths) + 1), [0] * len(lengths)
        for first in reversed(range(len(lengths))):
            costs[first], used = float("inf"), shared[first]
            for last in range(first, len(lengths)):
                used += lengths[last] - shared[last]
                if used > budget and last > first:
                    break
                cost = max(used, LEAST_FILLED * budget) + costs[last + 1]
                if cost <= costs[first]:
                    costs[first], ends[first] = cost, last + 1
        return ends[0]

    def run(self, trunk: Any, batch: Sequence[Rendered], device: str) -> Hidden:
        """Run the trunk over ids of shape (1, rows), whose positions start again with each sequence."""
        import torch

        layout = lay_out([one.ids for one in batch])
        ids = torch.tensor([layout.ids], device=device)
        position_ids = torch.tensor([layout.position_ids], device=device)
        with packed(trunk, layout, varlen=self.varlen):
            hidden = trunk(input_ids=ids, position_ids=position_ids, use_cache=False).last_hidden_state[0]
        rows = [row for index, one in enumerate(batch) for row in layout.rows(index, one.positions)]
        return Hidden(hidden[rows], len(layout.ids), saved=layout.saved)
