"""Implicit process reward models: beta times the log-likelihood ratio of two causal models (Yuan et al. 2024, arXiv 2412.01981).

The whole vocabulary enters through one log-sum-exp a token; logits are made for a chunk of tokens at a time and thrown
away.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from prm_eval.errors import ModelError
from prm_eval.records import ScoringItem, StepRewards
from prm_eval.rewards.aggregations import Aggregation
from prm_eval.rewards.engine.engine import default_batch_tokens, unfit, within_memory
from prm_eval.rewards.engine.positions import depends_on_length, forget_lengths
from prm_eval.rewards.inputs.rendered import Rendered
from prm_eval.rewards.models import checkpoint
from prm_eval.rewards.models.engine_model import render_within
from prm_eval.rewards.models.heads import INPUT_MATRICES, OUTPUT_MATRIX, require_plain_logits
from prm_eval.rewards.models.recipe_checkpoint import RecipeCheckpoint
from prm_eval.rewards.recipes.recipe import Recipe

CHUNK_TOKENS = 512  # rows of float32 logits that exist at a time: 311 MB at a vocabulary of 152,064
NO_OPTIONS = {"cache": "scores are kept for one model's forward pass", "engine": "vLLM does not compute log-ratios"}
"""Options of other recipes that a pair does not take, and why."""


class LogRatioModel(RecipeCheckpoint):
    """Two causal models; a step's reward is the log-ratio of its tokens, alone ("single") or summed from the start ("accumulative").

    The boundaries are those of the model card's code: the sum starts with the last token before the first step, a step
    ends one token after the token that follows it, the last step one token after its last.

    Args:
        recipe: With the head ``logratio``.
        argument: The reward model's checkpoint.
        reference: Instead of the recipe's reference model; a hub id may end in ``@REVISION``.
        aggregation: This and the others as for every recipe; there is no ``cache`` and no ``engine``
            (:data:`NO_OPTIONS`).
        batch_tokens: As for every recipe.
        config: As for every recipe.
        device: As for every recipe.
        dtype: As for every recipe.
        max_tokens: As for every recipe.
        revision: As for every recipe.
        separator: As for every recipe.
        splitter: As for every recipe.

    Raises:
        ModelError: As for every recipe; or the two models are no pair.
    """

    def __init__(
        self,
        recipe: Recipe,
        argument: str | None,
        *,
        reference: str | None = None,
        aggregation: Aggregation | None = None,
        batch_tokens: int | str | None = None,
        config: Any = None,
        device: str | None = None,
        dtype: str | None = None,
        max_tokens: int | str | None = None,
        revision: str | None = None,
        separator: str | None = None,
        splitter: str | None = None,
    ) -> None:
        super().__init__(
            recipe,
            argument,
            aggregation=aggregation,
            batch_tokens=batch_tokens,
            config=config,
            device=device,
            dtype=dtype,
            max_tokens=max_tokens,
            revision=revision,
            separator=separator,
            splitter=splitter,
        )
        self.reference, self._reference_revision = _revised(reference or recipe.head.reference)
        self._reference_config = self._of_reference("config", "AutoConfig")
        checkpoint.require_safetensors(self.reference, self._reference_revision)
        require_plain_logits(self._reference_config, (), self.reference)
        self._require_same_tokens(self._of_reference("tokenizer", "AutoTokenizer"))
        if Path(self.reference).is_dir():
            _output_matrix(Path(self.reference), self.reference, self._reference_config)

    def _of_reference(self, what: str, auto_class: str) -> Any:
        return checkpoint.load(f"reference's {what}", auto_class, self.reference, self._reference_revision)

    def _require_same_tokens(self, other: Any) -> None:
        """Insist that each id means the same text to both; tokens added to ours alone, such as padding, are never fed.

        Raises:
            ModelError: One does not: the likelihoods would be of two different texts.
        """
        ours, theirs = self.tokenizer.get_vocab(), other.get_vocab()
        added, taken = set(self.tokenizer.get_added_vocab()), set(theirs.values())
        for text, index in ours.items():
            if theirs.get(text) != index and not (text in added and text not in theirs and index not in taken):
                raise ModelError(
                    f"{self.name} and its reference {self.reference} are no pair: {text!r} is token {index} for one, "
                    f"{theirs.get(text, 'none')} for the other. Give the reference it was trained with: --reference "
                    "MODEL"
                )

    def describe(self) -> dict[str, Any]:
        """Return what identifies the numbers, the reference model included."""
        return super().describe() | self._described_reference

    @cached_property
    def _described_reference(self) -> dict[str, Any]:
        found = {
            "reference": self.reference,
            "reference_revision": getattr(self._reference_config, "_commit_hash", None) or self._reference_revision,
            "reference_weights_sha256": checkpoint.weight_hashes(self.reference),
        }
        hashes = checkpoint.input_hashes(self.reference)
        return found | ({"reference_config_sha256": hashes["config_sha256"]} if hashes else {})

    @cached_property
    def _pair(self) -> tuple[tuple[Any, Any], tuple[Any, Any]]:
        return (
            self._causal(self.name, self.revision, self.config),
            self._causal(self.reference, self._reference_revision, self._reference_config),
        )

    def release(self) -> None:
        """Free the weights of both; they are loaded again when something is to be scored."""
        vars(self).pop("_pair", None)

    def _causal(self, name: str, revision: str | None, config: Any) -> tuple[Any, Any]:
        """Return (trunk, output matrix in the trunk's dtype)."""
        folder = checkpoint.local_folder(name, revision)
        files, source = _output_matrix(folder, name, config)
        trunk = checkpoint.load_trunk(folder, config, self.dtype, name, ["lm_head."])
        matrix = checkpoint.read_tensors(files, [source])[source].to(trunk.dtype)
        if matrix.shape[0] < len(self.tokenizer):
            raise ModelError(
                f"{name} knows {matrix.shape[0]} tokens, the tokenizer of {self.name} {len(self.tokenizer)}: not a pair"
            )
        return trunk.to(self.device), matrix.to(self.device)

    def score(self, items: Sequence[ScoringItem]) -> list[StepRewards]:
        """Score items in batches of similar length; results are in the items' order."""
        rendered = [render_within(self.render, item, self.max_tokens) for item in items]
        results = [
            StepRewards((), one.refusal, len(one.ids) or None, one.input_hash if one.ids else None) for one in rendered
        ]
        todo = sorted(
            (i for i, one in enumerate(rendered) if one.refusal is None), key=lambda i: (len(rendered[i].ids), i)
        )
        for batch in _batches(todo, [len(one.ids) for one in rendered], self._budget() if todo else 0):
            for i, ratio in self._computed(rendered, batch):
                length, input_hash = len(rendered[i].ids), rendered[i].input_hash
                if ratio is None:
                    results[i] = StepRewards((), unfit(length, self.device).reason, length, input_hash)
                    continue
                start = self.renderer.start_of_steps(items[i]) - 1
                results[i] = StepRewards(self._steps(rendered[i], ratio, start), None, length, input_hash)
        return results

    def _budget(self) -> int:
        """Return the tokens of a batch: 1 is one sequence, where positions depend on the longest one of a batch."""
        if any(depends_on_length(trunk) for trunk, _ in self._pair):
            return 1
        return self.batch_tokens or default_batch_tokens(self.device)

    def _computed(self, rendered: Sequence[Rendered], batch: list[int]) -> Iterator[tuple[int, Any]]:
        """Yield the index and log-ratios of each; where memory runs out by halves, None for one that does not fit alone."""
        ratios = within_memory(lambda: self._ratios([rendered[i] for i in batch]), self.device)
        if ratios is not None:
            yield from zip(batch, ratios, strict=True)
        elif len(batch) == 1:
            yield batch[0], None
        else:
            for half in (batch[: len(batch) // 2], batch[len(batch) // 2 :]):
                yield from self._computed(rendered, half)

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
        policy, reference = (self._log_probabilities(trunk, matrix, ids, mask) for trunk, matrix in self._pair)
        ratio = (policy.double() - reference.double()).cpu()
        return [ratio[row, : len(one.ids) - 1] for row, one in enumerate(batch)]

    @staticmethod
    def _log_probabilities(trunk: Any, matrix: Any, ids: Any, mask: Any) -> Any:
        """Return float32 log-probabilities of the realised tokens 1.., shape (batch, tokens - 1)."""
        import torch

        forget_lengths(trunk)
        hidden = trunk(input_ids=ids, attention_mask=mask, use_cache=False).last_hidden_state[:, :-1]
        targets = ids[:, 1:].reshape(-1)
        flat = hidden.reshape(-1, hidden.shape[-1])
        pieces = []
        for start in range(0, len(flat), CHUNK_TOKENS):
            logits = (flat[start : start + CHUNK_TOKENS] @ matrix.T).float()
            chosen = logits.gather(1, targets[start : start + CHUNK_TOKENS, None])[:, 0]
            pieces.append(chosen - torch.logsumexp(logits, dim=-1))
        return torch.cat(pieces).reshape(ids.shape[0], -1)


def _revised(reference: str) -> tuple[str, str | None]:
    """Split ``org/model@revision``; a folder is a folder, whatever it is called."""
    name, at, revision = reference.rstrip("/").rpartition("@")
    return (name, revision) if at and not Path(reference).exists() else (reference.rstrip("/"), None)


def _output_matrix(folder: Path, name: str, config: Any) -> tuple[dict[str, Path], str]:
    """Return the files of a causal model's tensors, and the name of its output matrix.

    Raises:
        ModelError: It has none, or does more than one matrix to its logits.
    """
    files = checkpoint.tensor_files(folder)
    require_plain_logits(config, files, name)
    source = next((each for each in (OUTPUT_MATRIX, *INPUT_MATRICES) if each in files), None)
    if source is None:
        raise ModelError(
            f"{name} has no {OUTPUT_MATRIX}: an implicit process reward model is made of two causal models"
        )
    return files, source


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
