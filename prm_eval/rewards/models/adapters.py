"""LoRA adapters: a few tensors that are merged into a base model, which needs peft."""

from __future__ import annotations

import logging
import re
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prm_eval.errors import ModelError
from prm_eval.rewards.inputs.limited import try_patterns
from prm_eval.rewards.models import checkpoint, preflight
from prm_eval.rewards.models.heads import require_plain_logits
from prm_eval.store.jsonl import file_sha256
from prm_eval.store.rules import shown

logger = logging.getLogger(__name__)
# some old ones have no organisation
HUB_ID = re.compile(r"([A-Za-z0-9][\w.-]{0,95}/)?[A-Za-z0-9][\w.-]{0,95}", re.ASCII)
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
        try:
            import peft
        except ImportError:
            raise ModelError(f"{self.name} is a LoRA adapter: pip install peft") from None
        require_weights(folder, self.name)
        content = preflight.read_json_object(folder / CONFIG)
        tensors = preflight.header_of(folder / WEIGHTS)
        preflight.require_once({folder / WEIGHTS: tensors})
        model = checkpoint.causal_model(self.base, self.base_revision, dtype, "base model")
        patterns = list(_patterns(content))
        if patterns:
            names = [name for name, _ in model.named_modules()]
            try_patterns(patterns, names, f"{folder / CONFIG}")
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            try:
                merged = peft.PeftModel.from_pretrained(model, str(folder)).merge_and_unload()
            # peft raises errors of every kind
            except Exception as error:
                first_line = (str(error).strip() or type(error).__name__).splitlines()[0]
                raise ModelError(f"the adapter {self.name} does not fit {self.base}: {first_line}") from error
        lacking = [str(each.message) for each in said if "missing adapter keys" in str(each.message)]
        if lacking:
            raise ModelError(f"{folder / WEIGHTS}: {lacking[0][:300]}; expected every tensor of the adapter")
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

    if Path(name).is_dir():
        preflight.require_plain_files(Path(name))
    try:
        file = find_adapter_config_file(name, revision=revision)
    except (OSError, ValueError):
        # there is no such repository, which the error of loading its config says
        return None
    if file is None:
        return None
    content = preflight.read_json_object(Path(file))
    preflight.require_plain_texts(Path(file), content)
    base, base_revision = content.get("base_model_name_or_path"), content.get("revision")
    if not isinstance(base, str) or not base:
        raise ModelError(f"{name}: {CONFIG} names no base_model_name_or_path")
    if base_revision is not None and not isinstance(base_revision, str):
        raise preflight.fault(Path(file), f"revision = {shown(base_revision)}", "the name of a revision")
    if Path(name).is_dir():
        require_weights(Path(name), name)
    if not Path(base).is_dir():
        if not HUB_ID.fullmatch(base) or ".." in base or "--" in base:
            raise preflight.fault(
                Path(file), f"base_model_name_or_path = {shown(base)}", "a folder that is here, or a hub id ORG/MODEL"
            )
        # before the hub is asked for anything of it
        logger.warning("%s is an adapter; its %s names the base %s, which the hub is asked for", name, CONFIG, base)
    return Adapter(name, base, base_revision, file_sha256(Path(file)))


def _patterns(content: Mapping[str, Any]) -> Iterator[str]:
    """Yield the regular expressions of an adapter's config, which peft matches to the names of all modules.

    A list of modules holds names; a single text is a pattern.
    """
    for key in ("target_modules", "exclude_modules", "target_parameters", "modules_to_save"):
        if isinstance(value := content.get(key), str):
            yield value
    layers = content.get("layers_pattern")
    for value in layers if isinstance(layers, list) else [layers]:
        if isinstance(value, str):
            yield value
    for key in ("rank_pattern", "alpha_pattern"):
        if isinstance(value := content.get(key), dict):
            yield from value
