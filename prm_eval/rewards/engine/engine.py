"""From token ids to logits at the read positions: each distinct sequence once, in batches of a budget of tokens.

Numbers depend only on the sequences that are handed over together: the same sequences give the same bits, whatever
was scored before, in any process, and after any interruption between batches. Other groupings of the same sequences
agree to rounding (1e-5 in float32).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any, TypeVar

from prm_eval.rewards.engine.attention import can_varlen
from prm_eval.rewards.engine.batches import Batcher, Hidden, Packed, Padded
from prm_eval.rewards.engine.network import Network
from prm_eval.rewards.engine.positions import depends_on_length, forget_lengths
from prm_eval.rewards.inputs.rendered import Rendered

logger = logging.getLogger(__name__)
Result = TypeVar("Result")

# about 3 GB of activations in a 7B model
BATCH_TOKENS = 16_384
# few enough for the processor's caches, enough to share most beginnings: measured, see benchmarks/README.md
CPU_BATCH_TOKENS = 3_072
# the length of the sequences on which packing is tried out
PROBE_TOKENS = 48
# relative; a wrong mask is off by tenths
TOLERANCE = {"float32": 1e-3}
# the rounding of 80 layers in bfloat16 stays below it
HALF_TOLERANCE = 0.1
# words of errors for which torch has no class: the CPU's allocator, CUDA outside torch's allocator, cuBLAS, Apple's
OUT_OF_MEMORY = (
    "not enough memory",
    "CUDA error: out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "MPS backend out of memory",
)
# the first words of the refusal of a sequence that does not fit
NO_ROOM = "out of memory"


@dataclass
class Counters:
    """Counts of the work of an engine, which tests and benchmarks check."""

    candidates: int = 0
    """The sequences that were asked for."""
    duplicates: int = 0
    """The sequences with the ids and positions of another one, which are not computed."""
    tokens: int = 0
    """The tokens of the distinct sequences."""
    computed_tokens: int = 0
    """The rows that the trunk ran over: ``tokens - prefix_tokens_saved + padded_tokens``."""
    padded_tokens: int = 0
    prefix_tokens_saved: int = 0
    read_positions: int = 0
    """The read positions of the distinct sequences."""
    head_rows: int = 0
    """The rows that the head was applied to."""
    forward_passes: int = 0
    out_of_memory: int = 0

    @property
    def padding_waste(self) -> float:
        """The share of the computed rows that held no token."""
        return self.padded_tokens / self.computed_tokens if self.computed_tokens else 0.0

    def as_dict(self) -> dict[str, int]:
        """Return the counts by name."""
        return {each.name: getattr(self, each.name) for each in fields(self)}


@dataclass(frozen=True)
class Unfit:
    """The answer instead of logits for a sequence that does not fit on the device, even alone."""

    reason: str


def default_batch_tokens(device: str) -> int:
    """Return the default number of rows of a forward pass on a device."""
    return CPU_BATCH_TOKENS if device.startswith("cpu") else BATCH_TOKENS


def unfit(tokens: int, device: str) -> Unfit:
    """Return the answer for a sequence of so many tokens that does not fit on a device."""
    return Unfit(f"{NO_ROOM}: {tokens} tokens alone do not fit on {device}")


class Engine:
    """The runs of a network over rendered candidates.

    Args:
        network: The trunk and the head.
        device: The device that holds the network, as torch spells it.
        dtype: The dtype of the trunk ("float32", "bfloat16", "float16"); the head works in float32.
        batch_tokens: The most rows of a forward pass (default: 3,072 on the CPU, else 16,384); a longer sequence gets
            a pass of its own.
        packing: False always pads; True packs if a trial on the first sequences shows that the trunk allows it.
    """

    def __init__(
        self,
        network: Network,
        *,
        device: str,
        dtype: str,
        batch_tokens: int | None = None,
        packing: bool = True,
    ) -> None:
        self.network, self.device, self.dtype = network, device, dtype
        self.batch_tokens = batch_tokens or default_batch_tokens(device)
        self.counters = Counters()
        self.batcher: Batcher | None = None if packing else Padded()
        self.why_padded = "" if packing else "packing is switched off"
        self._alone = depends_on_length(network.trunk)
        if self._alone:
            self.batcher = Padded()
            self.why_padded = (
                f"{self._alone} positions depend on the longest sequence: each has a forward pass of its own"
            )

    def logits(self, rendered: Sequence[Rendered]) -> list[Any]:
        """Return float32 logits of shape (positions, labels) on the CPU for each sequence, in order.

        A sequence that does not fit into memory, even alone, gets an :class:`Unfit`.
        """
        results: list[Any] = [None] * len(rendered)
        for index, found in self.stream(rendered):
            results[index] = found
        return results

    def stream(self, rendered: Sequence[Rendered]) -> Iterator[tuple[int, Any]]:
        """Yield the (index, logits) of each sequence as batches are done; identical sequences are computed once."""
        for batch in self.batches(rendered):
            yield from batch

    def batches(self, rendered: Sequence[Rendered]) -> Iterator[list[tuple[int, Any]]]:
        """Yield the (index, logits) of one batch after the other, duplicates beside the sequence that was computed."""
        same: dict[tuple[tuple[int, ...], tuple[int, ...]], list[int]] = {}
        for index, one in enumerate(rendered):
            same.setdefault((one.ids, one.positions), []).append(index)
        distinct = [rendered[indices[0]] for indices in same.values()]
        self._count(rendered, distinct)
        if not distinct:
            return
        if self.batcher is None:
            self.batcher = self._choose_batcher(distinct)
        groups = list(same.values())
        for numbers, logits in self._computed(self.batcher, distinct):
            yield [(index, found) for number, found in zip(numbers, logits, strict=True) for index in groups[number]]

    def _count(self, rendered: Sequence[Rendered], distinct: Sequence[Rendered]) -> None:
        self.counters.candidates += len(rendered)
        self.counters.duplicates += len(rendered) - len(distinct)
        self.counters.tokens += sum(len(one.ids) for one in distinct)
        self.counters.read_positions += sum(len(one.positions) for one in distinct)

    def _computed(self, batcher: Batcher, distinct: Sequence[Rendered]) -> Iterator[tuple[list[int], list[Any]]]:
        sequences = [one.ids for one in distinct]
        todo = batcher.order(sequences)
        while todo:
            numbers = todo[: 1 if self._alone else batcher.size(todo, sequences, self.batch_tokens)]
            logits = self._attempt(batcher, [distinct[number] for number in numbers])
            if logits is not None:
                yield numbers, logits
            elif len(numbers) == 1:
                yield numbers, [unfit(len(sequences[numbers[0]]), self.device)]
            else:
                self._halve(sum(len(sequences[number]) for number in numbers))
                continue
            todo = todo[len(numbers) :]

    def _attempt(self, batcher: Batcher, batch: Sequence[Rendered]) -> list[Any] | None:
        """Return the logits of a batch, or None where memory ran out."""
        logits = within_memory(lambda: self._forward(batcher, batch), self.device)
        self.counters.out_of_memory += logits is None
        return logits

    def _forward(self, batcher: Batcher, batch: Sequence[Rendered]) -> list[Any]:
        if self._alone:
            forget_lengths(self.network.trunk)
        hidden: Hidden = batcher.run(self.network.trunk, batch, self.device)
        logits = self.network.head(hidden.rows.float()).float().cpu()
        self.counters.forward_passes += 1
        self.counters.computed_tokens += hidden.computed
        self.counters.padded_tokens += hidden.padded
        self.counters.prefix_tokens_saved += hidden.saved
        self.counters.head_rows += len(logits)
        return list(logits.split([len(one.positions) for one in batch]))

    def _halve(self, tokens: int) -> None:
        self.batch_tokens = max(1, min(self.batch_tokens, tokens) // 2)
        logger.warning("out of memory on %s: going on with --batch-tokens %d", self.device, self.batch_tokens)

    def _choose_batcher(self, distinct: Sequence[Rendered]) -> Batcher:
        """Return the first way to pack that gives on a trial the hidden states of one by one, else padding."""
        ids = max((one.ids for one in distinct), key=len)
        for way in (Packed(varlen=True), Packed()) if can_varlen(self.device, self.dtype) else (Packed(),):
            self.why_padded = self._why_not(way, ids)
            if not self.why_padded:
                return way
            logger.info("sequences are not packed%s: %s", " for one call a layer" * way.varlen, self.why_padded)
        return Padded()

    def _why_not(self, way: Packed, ids: tuple[int, ...]) -> str:
        import torch

        start = (ids * PROBE_TOKENS)[:PROBE_TOKENS]
        # they share half and three quarters with the one before, or nothing
        turned = [start[:shared] + start[shared:][::-1] for shared in (0, PROBE_TOKENS // 2, PROBE_TOKENS * 3 // 4)]
        batch = [Rendered(one, tuple(range(len(one)))) for one in sorted({start, *turned})]
        try:
            with torch.inference_mode():
                together = way.run(self.network.trunk, batch, self.device).rows.float()
                apart = torch.cat([Padded().run(self.network.trunk, [one], self.device).rows.float() for one in batch])
        except (NotImplementedError, AttributeError, TypeError, ValueError, RuntimeError, IndexError) as error:
            if is_out_of_memory(error):
                raise
            return f"{type(error).__name__}: {error}"
        off = float((together - apart).norm() / apart.norm().clamp_min(1e-30))
        limit = TOLERANCE.get(self.dtype, HALF_TOLERANCE)
        return "" if off <= limit else f"packed hidden states are off by {off:.2g} on a trial, the limit is {limit:g}"


def within_memory(compute: Callable[[], Result], device: str) -> Result | None:
    """Return the result of a computation in torch's inference mode, or None if memory ran out.

    After None, the memory of the computation is free again.
    """
    import torch

    try:
        with torch.inference_mode():
            return compute()
    except (torch.cuda.OutOfMemoryError, MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
    # past the handler, so that the traceback no longer holds the tensors of the failed pass
    if device.startswith("cuda"):
        torch.cuda.empty_cache()
    return None


def is_out_of_memory(error: BaseException) -> bool:
    """Say whether an error of torch means that memory ran out, on a GPU or on the CPU."""
    import torch

    if isinstance(error, (torch.cuda.OutOfMemoryError, MemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in OUT_OF_MEMORY)
