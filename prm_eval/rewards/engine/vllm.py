"""vLLM instead of our engine, for classification checkpoints that it can pool (``engine=vllm``; needs vllm and a GPU).

vLLM computes the logits of every token, packs by itself, and shares no prefixes between pooled sequences (prefix
caching is off for them). Our engine is therefore the default; vLLM is for clusters that serve their reward models with
it already. The API of its pooling models has changed often; the code here uses that of 0.11 and later.
``tests/rewards/test_vllm.py`` compares vLLM with our engine on a machine with a GPU; this project's other tests need
none and do not run vLLM.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from prm_eval.errors import ModelError
from prm_eval.rewards.engine.engine import Counters
from prm_eval.rewards.inputs.rendered import Rendered

# candidates handed to vLLM at once, and the most that an interruption may cost
BATCH = 256


class VllmEngine:
    """An engine like :class:`prm_eval.rewards.engine.engine.Engine` that computes with vLLM.

    Args:
        name: The checkpoint's folder or hub id.
        task: "token_classify" (logits at every token) or "classify" (at the last one).
        revision: The revision of a hub id.
        dtype: The dtype of the model.
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
        # raw logits: the softmax, which is vLLM's default, would lose the log-odds of sure steps
        self._parameters = PoolingParams(task=task, use_activation=False)

    def logits(self, rendered: Sequence[Rendered]) -> list[Any]:
        """Return float32 logits of shape (positions, labels) for each sequence, in order."""
        results: list[Any] = [None] * len(rendered)
        for batch in self.batches(rendered):
            for index, found in batch:
                results[index] = found
        return results

    def batches(self, rendered: Sequence[Rendered]) -> Iterator[list[tuple[int, Any]]]:
        """Yield the (index, logits) of one batch after the other; identical candidates are computed once."""
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
        # vLLM classifies by the last token; the tokens after the one that is read cannot change it and are left out
        ends = [one.positions[-1] + 1 if self.task == "classify" else len(one.ids) for one in batch]
        prompts = [{"prompt_token_ids": list(one.ids[:end])} for one, end in zip(batch, ends, strict=True)]
        outputs = self._model.encode(prompts, pooling_params=self._parameters, pooling_task=self.task, use_tqdm=False)
        self.counters.forward_passes += 1
        self.counters.tokens += sum(len(one.ids) for one in batch)
        self.counters.computed_tokens += sum(len(one.ids) for one in batch)
        self.counters.read_positions += sum(len(one.positions) for one in batch)
        return [self._read(output.outputs.data, one) for output, one in zip(outputs, batch, strict=True)]

    def _read(self, data: Any, one: Rendered) -> Any:
        """Return the rows of logits at the read positions.

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
