"""LoRA adapters: a few tensors that are merged into a base model, which needs peft."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prm_eval.errors import ModelError
from prm_eval.rewards.models import checkpoint
from prm_eval.rewards.models.heads import require_plain_logits
from prm_eval.store.jsonl import file_sha256

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"


@dataclass(frozen=True)
class Adapter:
    """A LoRA adapter, and its base as ``adapter_config.json`` names it.

    Attributes:
        name: The folder or hub id of the adapter.
        base: The folder or hub id of the base model.
        base_revision: The revision of the base's hub id.
        config_sha256: The hash of ``adapter_config.json``, which scales the adapter (``lora_alpha``).
    """

    name: str
    base: str
    base_revision: str | None
    config_sha256: str

    def load(self, what: str, auto_class: str, revision: str | None) -> Any:
        """Return the adapter's own config or tokenizer, or its base's if it has none: peft writes neither.

        Raises:
            ModelError: Neither has one.
        """
        try:
            return checkpoint.load(what, auto_class, self.name, revision)
        except ModelError:
            return checkpoint.load(f"base's {what}", auto_class, self.base, self.base_revision)

    def describe(self) -> dict[str, Any]:
        """Return the identity of base and adapter, besides the adapter's weights."""
        commit = getattr(
            checkpoint.load("base's config", "AutoConfig", self.base, self.base_revision), "_commit_hash", None
        )
        return {
            "adapter_config_sha256": self.config_sha256,
            "base": self.base,
            "base_revision": commit or self.base_revision,
            "base_weights_sha256": checkpoint.weight_hashes(self.base),
        }

    def merged(self, folder: Path, dtype: str) -> tuple[Any, Any]:
        """Return (trunk, output matrix) of the base with the adapter merged into it.

        Args:
            folder: The folder of the adapter's files.
            dtype: The dtype of the weights.

        Raises:
            ModelError: peft is missing, or one of the two cannot be loaded.
        """
        import torch
        import transformers

        try:
            import peft
        except ImportError:
            raise ModelError(f"{self.name} is a LoRA adapter: pip install peft") from None
        require_weights(folder, self.name)
        model = checkpoint.from_pretrained(
            transformers.AutoModelForCausalLM,
            self.base,
            self.base_revision,
            what="base model",
            dtype=getattr(torch, dtype),
            use_safetensors=True,
        )
        try:
            merged = peft.PeftModel.from_pretrained(model, str(folder)).merge_and_unload()
        except (OSError, ValueError, RuntimeError, KeyError) as error:
            first_line = str(error).strip().splitlines()[0]
            raise ModelError(f"the adapter {self.name} does not fit {self.base}: {first_line}") from error
        output = merged.get_output_embeddings()
        require_plain_logits(merged.config, ["lm_head.bias"] if output.bias is not None else [], self.base)
        return getattr(merged, merged.base_model_prefix).eval(), output.weight.detach()


def require_weights(folder: Path, name: str) -> None:
    """Insist on the safetensors file of an adapter: without it, peft would unpickle ``adapter_model.bin``.

    Raises:
        ModelError: It is not there.
    """
    if not (folder / WEIGHTS).is_file():
        raise ModelError(f"{name} has no {WEIGHTS}; {checkpoint.HOW_TO_CONVERT}")


def find_adapter(name: str, revision: str | None) -> Adapter | None:
    """Return the adapter that a checkpoint is, None if it is no adapter.

    Raises:
        ModelError: Its ``adapter_config.json`` names no base.
    """
    try:
        from transformers.utils.peft_utils import find_adapter_config_file
    except ImportError:
        raise ModelError("checkpoints need torch and transformers: pip install 'prm_eval[hf]'") from None

    try:
        file = find_adapter_config_file(name, revision=revision)
    except (OSError, ValueError):
        # there is no such repository, which the error of loading its config says
        return None
    if file is None:
        return None
    content = json.loads(Path(file).read_bytes())
    base = content.get("base_model_name_or_path")
    if not isinstance(base, str) or not base:
        raise ModelError(f"{name}: {CONFIG} names no base_model_name_or_path")
    if Path(name).is_dir():
        require_weights(Path(name), name)
    return Adapter(name, base, content.get("revision"), file_sha256(Path(file)))
