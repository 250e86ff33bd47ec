"""vLLM in the place of our engine, for classification checkpoints it can pool (``engine=vllm``; needs vllm and a GPU).

vLLM computes every token's logits, packs on its own, and shares no prefixes between pooled sequences (prefix caching is
off for them), so that our engine is the default. It is for clusters that serve their reward models with vLLM already.
The API of its pooling models has changed often; what is used here is that of 0.11 and later. Not run in this project's
tests, which have no
GPU: ``tests/rewards/test_vllm.py`` compares it with our engine where there is one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from prm_eval.errors import ModelError
from prm_eval.rewards.engine.engine import Counters
from prm_eval.rewards.inputs.rendered import Rendered

BATCH = 256  # candidates handed to vLLM at once: what an interruption may cost


class VllmEngine:
    """As :class:`prm_eval.rewards.engine.engine.Engine`, computed by vLLM.

    Args:
        name: Checkpoint folder or hub id.
        task: "token_classify" (logits at every token) or "classify" (at the last one).
        revision: Hub revision.
        dtype: Of the model.
        max_tokens: The longest input.

    Raises:
        ModelError: vLLM is not installed.
    """

    def __init__(
        self,
        name: str,
        *,
        task: str,
        revision: str | None = None,
        dtype: str = "bfloat16",
        max_tokens: int | None = None,
    ) -> None:
        try:
            from vllm import LLM, PoolingParams
        except ImportError as error:
            raise ModelError(f"engine=vllm needs vLLM: pip install vllm ({error})") from None
        self.task, self.counters = task, Counters()
        self._model = LLM(
            model=name,
            revision=revision,
            runner="pooling",
            dtype=dtype,
            max_model_len=max_tokens,
            trust_remote_code=False,
            enable_prefix_caching=False,
        )
        # raw logits: the softmax of vLLM's default would lose the log-odds of sure steps
        self._parameters = PoolingParams(task=task, use_activation=False)

    def logits(self, rendered: Sequence[Rendered]) -> list[Any]:
        """Return float32 logits of shape (positions, labels) for each sequence, in order."""
        results: list[Any] = [None] * len(rendered)
        for batch in self.batches(rendered):
            for index, found in batch:
                results[index] = found
        return results

    def batches(self, rendered: Sequence[Rendered]) -> Iterator[list[tuple[int, Any]]]:
        """Yield the (index, logits) of some candidates after the other; identical ones are computed once."""
        same: dict[tuple[tuple[int, ...], tuple[int, ...]], list[int]] = {}
        for index, one in enumerate(rendered):
            same.setdefault((one.ids, one.positions), []).append(index)
        groups = sorted(same.values(), key=lambda indices: rendered[indices[0]].ids)
        self.counters.candidates += len(rendered)
        self.counters.duplicates += len(rendered) - len(groups)
        for start in range(0, len(groups), BATCH):
            some = groups[start : start + BATCH]
            found = self._encode([rendered[indices[0]] for indices in some])
            yield [(index, logits) for indices, logits in zip(some, found, strict=True) for index in indices]

    def _encode(self, batch: Sequence[Rendered]) -> list[Any]:
        # vLLM classifies by the last token: what stands after the one that is read does not change it, and is left out
        ends = [one.positions[-1] + 1 if self.task == "classify" else len(one.ids) for one in batch]
        prompts = [{"prompt_token_ids": list(one.ids[:end])} for one, end in zip(batch, ends, strict=True)]
        outputs = self._model.encode(prompts, pooling_params=self._parameters, pooling_task=self.task, use_tqdm=False)
        self.counters.forward_passes += 1
        self.counters.tokens += sum(len(one.ids) for one in batch)
        self.counters.computed_tokens += sum(len(one.ids) for one in batch)
        self.counters.read_positions += sum(len(one.positions) for one in batch)
        return [self._read(output.outputs.data, one) for output, one in zip(outputs, batch, strict=True)]

    def _read(self, data: Any, one: Rendered) -> Any:
        """Return the rows that are read.

        Raises:
            ModelError: vLLM returned another number of rows than the input has tokens.
        """
        rows = data.float().cpu()
        if self.task == "classify":
            return rows.reshape(1, -1)
        if rows.ndim != 2 or len(rows) != len(one.ids):
            raise ModelError(
                f"vLLM returned shape {tuple(rows.shape)} for {len(one.ids)} tokens; expected one row a token"
            )
        return rows[list(one.positions)]
