"""Transformers checkpoints as reward models: sequence classification (ORM) and token classification (PRM).

How each is fed and read: any ``AutoModelForSequenceClassification`` gets the tokenizer's chat template with the problem as
user and the candidate as assistant turn, and its raw logit is read at the last token (RewardBench's convention). Any
``AutoModelForTokenClassification`` trained on step separators (the TRL ``PRMTrainer`` format) gets ``[bos]`` + prompt ids +
for every step its ids and the separator's ids, and P(label 1) is read at each step's last separator token. Texts are never
searched for separators: positions are integers from the renderer. No code from a checkpoint is run, no pickle is loaded.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from prm_eval.errors import ModelError
from prm_eval.jsonl import file_sha256
from prm_eval.pool_format import software_versions
from prm_eval.records import AGGREGATIONS, Aggregation, Kind, ScoreType, ScoringItem
from prm_eval.rewards.engine import Engine
from prm_eval.rewards.rendered import Rendered
from prm_eval.rewards.rendering import RenderingModel

ENGINES = ("local", "vllm")
DTYPES = ("float32", "bfloat16", "float16")


class _Checkpoint(RenderingModel):
    """What both kinds share: config and tokenizer at once, weights at the first score, scored by the engine."""

    auto_class = ""
    kind: Kind
    score_type: ScoreType
    default_aggregation: Aggregation

    def __init__(
        self,
        argument: str | None,
        *,
        aggregation: Aggregation | None = None,
        batch_tokens: int | str | None = None,
        cache: str | None = None,
        device: str | None = None,
        dtype: str | None = None,
        engine: str | None = None,
        max_tokens: int | str | None = None,
        revision: str | None = None,
        splitter: str | None = None,
    ) -> None:
        if not argument:
            raise ModelError("which checkpoint? Give a folder or a hub id after the colon")
        self.name = argument.rstrip("/")
        if aggregation is not None and aggregation not in AGGREGATIONS:
            raise ModelError(f"unknown aggregation {aggregation!r}; expected one of {', '.join(AGGREGATIONS)}")
        self.aggregation: Aggregation = aggregation or self.default_aggregation
        self.splitter = splitter
        self.revision = revision
        self.cache_folder = cache
        if engine not in (None, *ENGINES):
            raise ModelError(f"unknown engine {engine!r}; expected one of {', '.join(ENGINES)}")
        self.engine_name = engine or ENGINES[0]
        self.batch_tokens = _positive("batch_tokens", batch_tokens)
        self.config = _load("config", "AutoConfig", self.name, revision)
        self.tokenizer = _load("tokenizer", "AutoTokenizer", self.name, revision)
        self.device, self.dtype = _device_and_dtype(device, dtype)
        self.weights = _weight_hashes(self.name)
        limits = [_positive("max_tokens", max_tokens), getattr(self.config, "max_position_embeddings", None)]
        self.max_tokens = min((int(limit) for limit in limits if limit), default=None)

    def describe(self) -> dict[str, Any]:
        """Return what identifies the numbers."""
        return {
            "id": self.name,
            "revision": getattr(self.config, "_commit_hash", None) or self.revision,
            "weights_sha256": self.weights,
            "class": self.auto_class,
            "dtype": self.dtype,
            "device": self.device.split(":")[0],
            "max_tokens": self.max_tokens,
            **({} if self.engine_name == "local" else {"engine": self.engine_name}),
            "versions": {
                k: v for k, v in software_versions("torch", "transformers").items() if k in ("torch", "transformers")
            },
        }

    def identity(self) -> dict[str, Any]:
        """Return what decides a score besides the ids: the whole config too, which the weight hashes do not cover."""
        known = {key: value for key, value in self.describe().items() if key not in ("max_tokens", "separator")}
        return {
            **known,
            "config_sha256": hashlib.sha256(self.config.to_json_string(use_diff=False).encode()).hexdigest(),
        }

    def make_engine(self) -> Any:
        """Load the weights, never a pickle of them."""
        if self.engine_name == "vllm":
            from prm_eval.rewards.vllm_backend import VllmEngine

            task = "token_classify" if self.kind == "prm" else "classify"
            return VllmEngine(
                self.name, task=task, revision=self.revision, dtype=self.dtype, max_tokens=self.max_tokens
            )
        import torch
        import transformers

        loader = getattr(transformers, self.auto_class)
        model = _from_pretrained(
            loader, self.name, self.revision, dtype=getattr(torch, self.dtype), use_safetensors=True
        )
        # torch's inference mode: dropout off; evaluates no text
        network = LinearHeadNetwork(self.name, model.to(self.device).eval())
        return Engine(network, device=self.device, dtype=self.dtype, batch_tokens=self.batch_tokens)


class LinearHeadNetwork:
    """A transformers classification checkpoint as trunk and float32 head.

    Reading the hidden state ourselves avoids two traps of transformers' pooled heads: they look for the last token that is not
    padding, which is wrong when the padding token also ends the text, and they need ``config.pad_token_id``.
    """

    def __init__(self, name: str, model: Any) -> None:
        head = getattr(model, "score", None)
        if head is None:
            raise ModelError(
                f"{name} ({type(model).__name__}) has no linear head named 'score': only decoder checkpoints are "
                "read so far. Write a plugin for it (see CONTRIBUTING.md)."
            )
        self.trunk = getattr(model, model.base_model_prefix)
        self._head = head.float()

    def head(self, hidden: Any) -> Any:
        """Return float32 logits of shape (positions, labels)."""
        return self._head(hidden)


class SequenceClassificationORM(_Checkpoint):
    """Any decoder ``AutoModelForSequenceClassification`` as outcome reward model.

    One label: its raw logit. Two labels: log-odds of label 1.
    """

    auto_class = "AutoModelForSequenceClassification"
    kind: Kind = "orm"
    score_type: ScoreType = "raw"
    default_aggregation: Aggregation = "last"

    def __init__(self, argument: str | None, **options: Any) -> None:
        super().__init__(argument, **options)
        if self.config.num_labels == 2:
            self.score_type = "logodds"
        elif self.config.num_labels != 1:
            raise ModelError(f"{self.name} has {self.config.num_labels} labels; an outcome reward model has 1 or 2")

    def render(self, item: ScoringItem) -> Rendered:
        """Render the chat template, or problem, blank line and candidate where the tokenizer has none; read the last token."""
        if getattr(self.tokenizer, "chat_template", None):
            turns = [{"role": "user", "content": item.statement}, {"role": "assistant", "content": item.text}]
            text = self.tokenizer.apply_chat_template(turns, tokenize=False)
            ids = self.tokenizer(text, add_special_tokens=False)["input_ids"]  # the template has written them already
        else:
            ids = self.tokenizer(f"{item.statement}\n\n{item.text}")["input_ids"]
        return Rendered(tuple(ids), (len(ids) - 1,)) if ids else Rendered((), (), "no token")

    def values(self, logits: Any) -> tuple[float, ...]:
        """Return the one logit, or log-odds of label 1."""
        row = logits[0]
        return (float(row[0]) if len(row) == 1 else float(row[1] - row[0]),)


class TokenClassificationPRM(_Checkpoint):
    """Any decoder ``AutoModelForTokenClassification`` trained on step separators as process reward model.

    Args:
        argument: Checkpoint folder or hub id.
        separator: The text after each step that the model was trained on (TRL: ``step_separator``), a newline by default.
        options: As for every checkpoint.
    """

    auto_class = "AutoModelForTokenClassification"
    kind: Kind = "prm"
    score_type: ScoreType = "logodds"
    default_aggregation: Aggregation = "prod"

    def __init__(self, argument: str | None, *, separator: str | None = None, **options: Any) -> None:
        super().__init__(argument, **options)
        if self.config.num_labels != 2:
            raise ModelError(f"{self.name} has {self.config.num_labels} labels; a step classifier has 2 (wrong, right)")
        self.separator = "\n" if separator is None else separator.replace("\\n", "\n")
        self._separator_ids = self._ids(self.separator)
        if not self._separator_ids:
            raise ModelError(f"the separator {self.separator!r} has no tokens in the tokenizer of {self.name}")

    def describe(self) -> dict[str, Any]:
        """Return what identifies the numbers."""
        return {**super().describe(), "separator": self.separator}

    def _ids(self, text: str) -> list[int]:
        return list(self.tokenizer(text, add_special_tokens=False)["input_ids"])

    def render(self, item: ScoringItem) -> Rendered:
        """Tokenise the prompt and every step alone, append separator ids after each step, read at each last separator id."""
        bos = self.tokenizer.bos_token_id
        ids: list[int] = ([] if bos is None else [bos]) + self._ids(item.statement)
        positions: list[int] = []
        for step in item.steps:
            ids += self._ids(step) + self._separator_ids
            positions.append(len(ids) - 1)
        return Rendered(tuple(ids), tuple(positions))

    def values(self, logits: Any) -> tuple[float, ...]:
        """Return the log-odds of label 1 at each step."""
        return tuple((logits[:, 1] - logits[:, 0]).tolist())


def load_checkpoint(name: str, options: dict[str, Any]) -> SequenceClassificationORM | TokenClassificationPRM:
    """Return the reward model of a checkpoint folder or hub id, by the architecture its config names.

    Raises:
        ModelError: It cannot be loaded, or its architecture is neither of the two.
    """
    config = _load("config", "AutoConfig", name, options.get("revision"))
    architectures = list(getattr(config, "architectures", None) or [])
    for suffix, factory in (
        ("ForTokenClassification", TokenClassificationPRM),
        ("ForSequenceClassification", SequenceClassificationORM),
    ):
        if any(architecture.endswith(suffix) for architecture in architectures):
            try:
                return factory(name, **options)
            except TypeError as error:
                raise ModelError(
                    f"{name} is a {factory.kind.upper()} and does not take these options: {error}"
                ) from None
    raise ModelError(
        f"{name} has architecture {', '.join(architectures) or 'unknown'}; expected one that ends in ForTokenClassification (PRM) or "
        "ForSequenceClassification (ORM). Name the kind yourself with token-classification:NAME or sequence-classification:NAME."
    )


def _load(what: str, auto_class: str, name: str, revision: str | None) -> Any:
    try:
        import transformers
    except ImportError:
        raise ModelError("checkpoints need torch and transformers: pip install 'prm_eval[hf]'") from None
    return _from_pretrained(getattr(transformers, auto_class), name, revision, what=what)


def _from_pretrained(loader: Any, name: str, revision: str | None, *, what: str = "model", **options: Any) -> Any:
    try:
        return loader.from_pretrained(name, revision=revision, trust_remote_code=False, **options)
    except (OSError, ValueError, KeyError, ImportError) as error:
        first_line = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ModelError(f"the {what} of {name!r} cannot be loaded: {first_line}") from error


def _weight_hashes(name: str) -> dict[str, str]:
    """Return the SHA-256 of a local checkpoint's weight files; empty for a hub id, whose revision pins them.

    Raises:
        ModelError: A folder without safetensors weights.
    """
    folder = Path(name)
    if not folder.is_dir():
        return {}
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        others = ", ".join(sorted(path.name for path in folder.iterdir())[:8]) or "nothing"
        raise ModelError(f"{name} has no *.safetensors weights (it has {others}); pickled weights are not loaded")
    return {path.name: file_sha256(path) for path in files}


def _device_and_dtype(device: str | None, dtype: str | None) -> tuple[str, str]:
    """Default to the first GPU in bfloat16, else to the CPU in float32."""
    import torch

    chosen = device or ("cuda" if torch.cuda.is_available() else "cpu")
    try:
        torch.device(chosen)
    except RuntimeError as error:
        raise ModelError(f"device {chosen!r}: {str(error).splitlines()[0]}") from None
    if chosen.startswith("cuda") and not torch.cuda.is_available():
        raise ModelError(f"device {chosen!r}: this machine has no CUDA device that torch can use")
    kind = dtype or ("float32" if chosen.startswith("cpu") else "bfloat16")
    if kind not in DTYPES:
        raise ModelError(f"dtype {kind!r}; expected one of {', '.join(DTYPES)}")
    return chosen, kind


def _positive(name: str, value: int | str | None) -> int | None:
    if value is None:
        return None
    try:
        number = int(value)
    except ValueError:
        number = 0
    if number < 1:
        raise ModelError(f"{name} = {value!r}; expected a positive whole number")
    return number
