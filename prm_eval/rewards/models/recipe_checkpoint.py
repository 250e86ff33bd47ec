"""Transformers checkpoints as reward models: a recipe, a checkpoint, and one forward pass a candidate.

What a model is fed and how it is read is said by its recipe (:mod:`prm_eval.rewards.recipes.recipe`). Texts are never
searched for
separators: positions are integers from the renderer. The trunk runs without its vocabulary matrix; the head is applied,
in float32, only where it is read.
"""

from __future__ import annotations

import hashlib
from functools import cached_property
from pathlib import Path
from typing import Any

from prm_eval.errors import ModelError
from prm_eval.pools.format import software_versions
from prm_eval.records import Kind, ScoreType, ScoringItem
from prm_eval.rewards.aggregations import AGGREGATIONS, Aggregation
from prm_eval.rewards.engine.engine import Engine
from prm_eval.rewards.files.cache import make_folder
from prm_eval.rewards.inputs.rendered import Rendered
from prm_eval.rewards.inputs.renderer import Renderer
from prm_eval.rewards.models import checkpoint
from prm_eval.rewards.models.adapters import find_adapter
from prm_eval.rewards.models.engine_model import RenderingModel
from prm_eval.rewards.models.heads import (
    INPUT_MATRICES,
    OUTPUT_MATRIX,
    build_head,
    head_tensors,
    require_plain_logits,
    values,
)
from prm_eval.rewards.recipes.recipe import Recipe

ENGINES = ("local", "vllm")
CLASSIFIERS = (
    ("ForTokenClassification", "token-classification"),
    ("ForSequenceClassification", "sequence-classification"),
)
ON_THE_OUTPUT_MATRIX = ("lm_rows", "lm_row_mean", "logratio")


class LoadedNetwork:
    """A trunk and a head (:class:`prm_eval.rewards.engine.network.Network`) on their device."""

    def __init__(self, trunk: Any, head: Any) -> None:
        self.trunk, self._logits = trunk, head

    def head(self, hidden: Any) -> Any:
        """Return float32 logits (positions, labels) for float32 hidden states (positions, width)."""
        return self._logits(hidden)


class RecipeCheckpoint:
    """A checkpoint under a recipe: config and tokenizer at once, weights at the first score; what computes is in subclasses.

    Args:
        recipe: What it is fed and how it is read.
        argument: Checkpoint folder or hub id.
        aggregation: Instead of the recipe's.
        batch_tokens: Tokens a batch; by default what the device takes.
        cache: Folder where scores are kept for other runs and pools.
        config: The checkpoint's config, if it was loaded already; that of an adapter is its base model's, and is loaded.
        device: Of the trunk and head.
        dtype: Of the trunk; the head is float32.
        engine: ``local`` (ours, the default) or ``vllm``.
        max_tokens: A smaller limit than the recipe's and the config's.
        revision: Of a hub id.
        separator: Instead of the recipe's, where it has one to change.
        splitter: Instead of the recipe's.

    Raises:
        ModelError: It cannot be loaded, or does not fit the recipe.
    """

    def __init__(
        self,
        recipe: Recipe,
        argument: str | None,
        *,
        aggregation: Aggregation | None = None,
        batch_tokens: int | str | None = None,
        cache: str | None = None,
        config: Any = None,
        device: str | None = None,
        dtype: str | None = None,
        engine: str | None = None,
        max_tokens: int | str | None = None,
        revision: str | None = None,
        separator: str | None = None,
        splitter: str | None = None,
    ) -> None:
        if not argument:
            raise ModelError("which checkpoint? Give a folder or a hub id after the colon")
        if separator is not None and recipe.render.separator is None:
            raise ModelError(
                f"{argument} does not take these options: separator (the recipe {recipe.name} has no separator to "
                "change)"
            )
        if aggregation is not None and aggregation not in AGGREGATIONS:
            raise ModelError(f"unknown aggregation {aggregation!r}; expected one of {', '.join(AGGREGATIONS)}")
        self.recipe = recipe
        self.name = argument.rstrip("/")
        self.kind: Kind = recipe.kind
        self.score_type: ScoreType = recipe.score_type
        self.aggregation: Aggregation = aggregation or recipe.aggregation
        self.splitter = splitter or recipe.splitter
        self.revision = revision
        self.cache_folder = cache
        if engine not in (None, *ENGINES):
            raise ModelError(f"unknown engine {engine!r}; expected one of {', '.join(ENGINES)}")
        self.engine_name = engine or ENGINES[0]
        self.batch_tokens = checkpoint.positive("batch_tokens", batch_tokens)
        self.adapter = find_adapter(self.name, revision)
        self.config = self._load("config", "AutoConfig") if config is None or self.adapter is not None else config
        self.tokenizer = self._load("tokenizer", "AutoTokenizer")
        self.device, self.dtype = checkpoint.device_and_dtype(device, dtype)
        checkpoint.require_safetensors(self.name, revision)
        self._check_labels()
        if self.engine_name == "vllm":
            given = {"device": device, "batch_tokens": batch_tokens}
            self._require_poolable([name for name, value in given.items() if value is not None])
        if recipe.head.type in ON_THE_OUTPUT_MATRIX:
            require_plain_logits(self.config, (), self.name)
        self.max_tokens = self._limit(checkpoint.positive("max_tokens", max_tokens))
        self.renderer = Renderer(
            recipe,
            self.tokenizer,
            self.name,
            separator=separator,
            max_tokens=self.max_tokens,
            pad_id=getattr(self.config.get_text_config(), "pad_token_id", None),
        )
        folder = Path(self.name)
        if folder.is_dir() and self.adapter is None:
            # another model's head is an error now, not after hours of generation
            self._head_names(checkpoint.tensor_files(folder))
        if cache is not None:
            make_folder(cache)

    def _load(self, what: str, auto_class: str) -> Any:
        if self.adapter is not None:
            return self.adapter.load(what, auto_class, self.revision)
        return checkpoint.load(what, auto_class, self.name, self.revision)

    def _limit(self, asked: int | None) -> int | None:
        """Return the length limit: the least of the recipe's, the config's and what the user asks for.

        Raises:
            ModelError: The user asks for more than the model takes.
        """
        limits = [self.recipe.max_tokens, getattr(self.config.get_text_config(), "max_position_embeddings", None)]
        most = min((int(limit) for limit in limits if limit), default=None)
        if asked is not None and most is not None and asked > most:
            raise ModelError(f"max_tokens = {asked}; {self.name} takes at most {most}")
        return asked or most

    def _require_poolable(self, ignored: list[str]) -> None:
        """Insist that vLLM computes what this recipe reads: it pools the classification heads that it knows.

        Raises:
            ModelError: It would compute something else, or take no notice of an option.
        """
        if ignored:
            raise ModelError(f"engine=vllm takes no {', '.join(ignored)}: vLLM has its own")
        suffix = CLASSIFIERS[0 if self.kind == "prm" else 1][0]
        architectures = getattr(self.config, "architectures", None) or ()
        head = self.recipe.head
        if (head.type, head.prefix) != ("linear", "score") or not any(each.endswith(suffix) for each in architectures):
            raise ModelError(
                f"engine=vllm runs classification checkpoints only (...{suffix} for this recipe, head linear); "
                f"{self.name} is {', '.join(architectures) or 'unknown'} with the head {head.type}. Leave the engine "
                "out."
            )

    def _check_labels(self) -> None:
        score, labels = self.recipe.score, int(self.config.num_labels)
        if self.recipe.head.type == "linear" and not self.recipe.head.labels and score.rule != "by_labels":
            read = max((*score.good, *score.bad), default=0)
            if read >= labels or (score.rule in ("raw", "sigmoid") and labels != 1):
                raise ModelError(
                    f"{self.name} has {labels} labels, which is not what the recipe {self.recipe.name} reads"
                )
        if self.recipe.score.rule == "by_labels":
            labels = int(self.config.num_labels)
            if labels not in (1, 2):
                raise ModelError(f"{self.name} has {labels} labels; an outcome reward model has 1 or 2")
            self.score_type = "logodds" if labels == 2 else "raw"
        elif self.recipe.name == "token-classification" and self.config.num_labels != 2:
            raise ModelError(f"{self.name} has {self.config.num_labels} labels; a step classifier has 2 (wrong, right)")

    @property
    def commit(self) -> str | None:
        """The commit of the hub repository, as far as it is known without asking: from the cache, else what the user said."""
        return getattr(self.config, "_commit_hash", None) or checkpoint.snapshot_commit(self.name) or self.revision

    def describe(self) -> dict[str, Any]:
        """Return what identifies the numbers."""
        versions = software_versions("torch", "transformers")
        described = {
            "id": self.name,
            "revision": self.commit,
            "weights_sha256": self.weights,
            "config_sha256": checkpoint.config_hash(self.name),
            "recipe": self.recipe.name,
            "recipe_sha256": self.recipe.digest,
            "dtype": self.dtype,
            "device": self.device.split(":")[0],
            "max_tokens": self.max_tokens,
            "versions": {k: v for k, v in versions.items() if k in ("torch", "transformers")},
        }
        if self.engine_name != "local":
            described["engine"] = self.engine_name
        if self.renderer.separator is not None:
            described["separator"] = self.renderer.separator
        return described | self._base | checkpoint.input_hashes(self.name)

    @cached_property
    def weights(self) -> dict[str, str]:
        """Hashes of the weight files, which are read when they are first asked for."""
        return checkpoint.weight_hashes(self.name)

    @cached_property
    def _base(self) -> dict[str, Any]:
        return {} if self.adapter is None else self.adapter.describe()

    def identity(self) -> dict[str, Any]:
        """Return what decides a score besides the ids: the whole config too, which the weight hashes do not cover."""
        of_the_ids = ("max_tokens", "separator", "tokenizer_sha256")
        known = {key: value for key, value in self.describe().items() if key not in of_the_ids}
        config = self.config.to_json_string(use_diff=False).encode()
        return {**known, "config_sha256": hashlib.sha256(config).hexdigest()}

    def load_network(self) -> LoadedNetwork:
        """Return trunk and head with their weights, on the device."""
        folder = checkpoint.local_folder(self.name, self.revision)
        if self.adapter is not None:
            trunk, matrix = self.adapter.merged(folder, self.dtype)
            return self._network(trunk, {OUTPUT_MATRIX: matrix})
        files = checkpoint.tensor_files(folder)
        names = self._head_names(files)
        stored = checkpoint.read_tensors(files, list(names.values()))
        trunk = checkpoint.load_trunk(
            folder, self.config, self.dtype, self.name, [self.recipe.head.prefix + ".", "lm_head."]
        )
        return self._network(trunk, {name: stored[source] for name, source in names.items()})

    def _head_names(self, files: dict[str, Path]) -> dict[str, str]:
        """Return, for every tensor of the head, under which name the checkpoint has it.

        Raises:
            ModelError: It has another head.
        """
        required, optional = head_tensors(self.recipe.head)
        if self.recipe.head.type in ON_THE_OUTPUT_MATRIX:
            require_plain_logits(self.config, files, self.name)
        names = {name: name for name in (*required, *optional) if name in files}
        if required == (OUTPUT_MATRIX,) and not names:  # tied: the input matrix is the output matrix
            tied = [each for each in INPUT_MATRICES if each in files and self.config.tie_word_embeddings]
            names = dict.fromkeys(required, tied[0]) if tied else {}
        lacking = [name for name in required if name not in names]
        if lacking:
            others = ", ".join(sorted(key for key in files if ".layers." not in key)[:8])
            raise ModelError(
                f"{self.name} has no tensor {lacking[0]}, the head of the recipe {self.recipe.name}; outside its "
                f"layers it has {others}. "
                "Give the recipe that fits with --recipe."
            )
        return names

    def _network(self, trunk: Any, tensors: dict[str, Any]) -> LoadedNetwork:
        width = int(self.config.get_text_config().hidden_size)
        return LoadedNetwork(
            trunk.to(self.device), build_head(self.recipe.head, tensors, self.name, width, self.device)
        )

    def render(self, item: ScoringItem) -> Rendered:
        """Return the token ids of an item and where to read."""
        return self.renderer.render(item)


class RecipeModel(RecipeCheckpoint, RenderingModel):
    """A recipe model whose trunk and head run on our engine (or vLLM)."""

    def make_engine(self) -> Any:
        """Load the weights, never a pickle of them."""
        if self.engine_name == "vllm":
            from prm_eval.rewards.engine.vllm import VllmEngine

            task = "token_classify" if self.kind == "prm" else "classify"
            return VllmEngine(
                self.name, task=task, revision=self.revision, dtype=self.dtype, max_tokens=self.max_tokens
            )
        return Engine(self.load_network(), device=self.device, dtype=self.dtype, batch_tokens=self.batch_tokens)

    def values(self, logits: Any) -> tuple[float, ...]:
        """Turn the head's float32 logits at the read positions (positions x labels) into values."""
        return values(self.recipe.score, logits)
