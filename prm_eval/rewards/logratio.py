"""Implicit process reward models: beta times the log-likelihood ratio of two causal models (Yuan et al. 2024, arXiv 2412.01981).

The whole vocabulary enters through one log-sum-exp a token; logits are made for a chunk of tokens at a time and thrown away.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

from prm_eval.errors import ModelError
from prm_eval.records import ScoringItem, StepRewards
from prm_eval.rewards import checkpoint
from prm_eval.rewards.heads import INPUT_MATRICES, OUTPUT_MATRIX
from prm_eval.rewards.huggingface import RecipeCheckpoint
from prm_eval.rewards.recipe import Recipe
from prm_eval.rewards.rendered import Rendered

DEFAULT_BATCH_TOKENS = 16_384
CHUNK_TOKENS = 512  # rows of float32 logits that exist at a time: 311 MB at a vocabulary of 152,064


class LogRatioModel(RecipeCheckpoint):
    """Two causal models; a step's reward is the log-ratio of its tokens, alone ("single") or summed from the start ("accumulative").

    The boundaries are those of the model card's code: the sum starts with the last token before the first step, a step ends one token after
    the token that follows it, the last step one token after its last.

    Args:
        recipe: With the head ``logratio``.
        argument: The reward model's checkpoint.
        reference: Instead of the recipe's reference model.
        options: As for every recipe.
    """

    def __init__(self, recipe: Recipe, argument: str | None, *, reference: str | None = None, **options: Any) -> None:
        super().__init__(recipe, argument, **options)
        self.reference = (reference or recipe.head.reference).rstrip("/")
        self._reference_config = checkpoint.load("reference's config", "AutoConfig", self.reference, None)
        self._reference_weights = checkpoint.weight_hashes(self.reference)

    def describe(self) -> dict[str, Any]:
        """Return what identifies the numbers, the reference model included."""
        return {**super().describe(), "reference": self.reference, "reference_weights_sha256": self._reference_weights}

    @cached_property
    def _pair(self) -> tuple[tuple[Any, Any], tuple[Any, Any]]:
        return (
            self._causal(self.name, self.revision, self.config),
            self._causal(self.reference, None, self._reference_config),
        )

    def _causal(self, name: str, revision: str | None, config: Any) -> tuple[Any, Any]:
        """Return (trunk, output matrix in the trunk's dtype)."""
        folder = checkpoint.local_folder(name, revision)
        files = checkpoint.tensor_files(folder)
        source = next((each for each in (OUTPUT_MATRIX, *INPUT_MATRICES) if each in files), None)
        if source is None:
            raise ModelError(
                f"{name} has no {OUTPUT_MATRIX}: an implicit process reward model is made of two causal models"
            )
        trunk = checkpoint.load_trunk(folder, config, self.dtype, name, ["lm_head."])
        matrix = checkpoint.read_tensors(files, [source])[source].to(trunk.dtype)
        if matrix.shape[0] < len(self.tokenizer):
            raise ModelError(
                f"{name} knows {matrix.shape[0]} tokens, the tokenizer of {self.name} {len(self.tokenizer)}: not a pair"
            )
        return trunk.to(self.device), matrix.to(self.device)

    def score(self, items: Sequence[ScoringItem]) -> list[StepRewards]:
        """Score items in batches of similar length; results are in the items' order."""
        rendered = [self._limited(self.render(item)) for item in items]
        results = [
            StepRewards((), one.refusal, len(one.ids) or None, one.input_hash if one.ids else None) for one in rendered
        ]
        todo = sorted(
            (i for i, one in enumerate(rendered) if one.refusal is None), key=lambda i: (len(rendered[i].ids), i)
        )
        for batch in _batches(todo, [len(one.ids) for one in rendered], self.batch_tokens or DEFAULT_BATCH_TOKENS):
            ratios = self._ratios([rendered[i] for i in batch])
            for i, ratio in zip(batch, ratios, strict=True):
                start = self.renderer.start_of_steps(items[i]) - 1
                results[i] = StepRewards(
                    self._steps(rendered[i], ratio, start), None, len(rendered[i].ids), rendered[i].input_hash
                )
        return results

    def _limited(self, rendered: Rendered) -> Rendered:
        if rendered.refusal is None and self.max_tokens is not None and len(rendered.ids) > self.max_tokens:
            return Rendered(rendered.ids, (), f"over-length: {len(rendered.ids)} tokens, limit {self.max_tokens}")
        return rendered

    def _steps(self, rendered: Rendered, ratio: Any, start: int) -> tuple[float, ...]:
        """Return the sums over tokens; ``ratio[j]`` belongs to token j + 1 (float64)."""
        sums = self.recipe.head.beta * ratio[max(0, start - 1) :].cumsum(0)
        last = len(rendered.positions) - 1
        ends = [position + (1 if k == last else 2) for k, position in enumerate(rendered.positions)]
        totals = [float(sums[min(end, len(rendered.ids) - 1) - max(1, start)]) for end in ends]
        if self.recipe.score.steps == "accumulative":
            return tuple(totals)
        return tuple(total - before for total, before in zip(totals, [0.0, *totals], strict=False))

    def _ratios(self, batch: Sequence[Rendered]) -> list[Any]:
        """Return, for each item, log p(token) - log p_reference(token) of its tokens 1.. (float64, on the CPU)."""
        import torch

        longest = max(len(one.ids) for one in batch)
        ids = torch.zeros((len(batch), longest), dtype=torch.long)
        mask = torch.zeros_like(ids)
        for row, one in enumerate(batch):
            ids[row, : len(one.ids)] = torch.tensor(one.ids)
            mask[row, : len(one.ids)] = 1
        ids, mask = ids.to(self.device), mask.to(self.device)
        with torch.inference_mode():
            policy, reference = (self._log_probabilities(trunk, matrix, ids, mask) for trunk, matrix in self._pair)
            ratio = (policy.double() - reference.double()).cpu()
        return [ratio[row, : len(one.ids) - 1] for row, one in enumerate(batch)]

    @staticmethod
    def _log_probabilities(trunk: Any, matrix: Any, ids: Any, mask: Any) -> Any:
        """Return float32 log-probabilities of the realised tokens 1.., shape (batch, tokens - 1)."""
        import torch

        hidden = trunk(input_ids=ids, attention_mask=mask).last_hidden_state[:, :-1]
        targets = ids[:, 1:].reshape(-1)
        flat = hidden.reshape(-1, hidden.shape[-1])
        pieces = []
        for start in range(0, len(flat), CHUNK_TOKENS):
            logits = (flat[start : start + CHUNK_TOKENS] @ matrix.T).float()
            chosen = logits.gather(1, targets[start : start + CHUNK_TOKENS, None])[:, 0]
            pieces.append(chosen - torch.logsumexp(logits, dim=-1))
        return torch.cat(pieces).reshape(ids.shape[0], -1)


def _batches(order: Sequence[int], lengths: Sequence[int], budget: int) -> Iterator[list[int]]:
    """Cut indices, sorted by length, into batches whose padded size stays within the token budget (one item may exceed it)."""
    batch: list[int] = []
    for index in order:
        if batch and lengths[index] * (len(batch) + 1) > budget:
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch
