"""The models of the miniature as transformers has them: made, loaded and written."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prm_eval.errors import PrmEvalError
from prm_eval.miniature.vocabulary import MAX_TOKENS, Encoder, make_tokenizer, save_tokenizer


@dataclass(frozen=True)
class Shape:
    """The size of a model: a Llama with tied embeddings."""

    width: int = 128
    inner: int = 384
    layers: int = 4
    heads: int = 4

    @classmethod
    def of(cls, config: Any) -> Shape:
        """Return the size that a checkpoint's config states."""
        return cls(config.hidden_size, config.intermediate_size, config.num_hidden_layers, config.num_attention_heads)


def new_model(shape: Shape, seed: int, *, labels: int | None = None) -> Any:
    """Return an untrained language model, or with ``labels`` an untrained token classifier."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM, LlamaForTokenClassification

    encoder = Encoder()
    config = LlamaConfig(
        vocab_size=len(encoder),
        hidden_size=shape.width,
        intermediate_size=shape.inner,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.heads,
        max_position_embeddings=MAX_TOKENS,
        tie_word_embeddings=labels is None,
        pad_token_id=encoder.pad,
        bos_token_id=None,
        eos_token_id=encoder.end,
        **({} if labels is None else {"num_labels": labels}),
    )
    torch.manual_seed(seed)
    return (LlamaForCausalLM if labels is None else LlamaForTokenClassification)(config)


def require_models(folder: Path, *kinds: str) -> None:
    """Raise unless a folder holds these models.

    Without this check, transformers would take a folder that is not there for a name on the hub.

    Raises:
        PrmEvalError: One is missing.
    """
    for kind in kinds:
        if not (folder / f"miniature-{kind}" / "config.json").is_file():
            raise PrmEvalError(
                f"{folder}: no miniature-{kind} with a config.json in it; expected a folder that holds "
                f"{', '.join(f'miniature-{each}' for each in kinds)}. prm-eval miniature all -o FOLDER makes one"
            )


def shape_at(folder: Path) -> Shape | None:
    """Return the shape of a checkpoint that is a language model of the family; None where it is another one."""
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(folder)
    of_family = config.architectures == ["LlamaForCausalLM"] and config.vocab_size == len(Encoder())
    return Shape.of(config) if of_family else None


def load_model(folder: Path, kind: str = "policy", device: str = "cpu") -> Any:
    """Return a trained model in float32: a language model for the kind ``policy``, else a token classifier."""
    import torch
    from transformers import AutoModelForCausalLM, AutoModelForTokenClassification

    loader = AutoModelForCausalLM if kind == "policy" else AutoModelForTokenClassification
    return loader.from_pretrained(folder, dtype=torch.float32).to(device).eval()


def save_model(model: Any, folder: Path, dtype: str = "bfloat16") -> None:
    """Write an ordinary transformers checkpoint: config, tokenizer, weights."""
    import copy

    import torch

    folder.mkdir(parents=True, exist_ok=True)
    stored = copy.deepcopy(model).to("cpu", getattr(torch, dtype))
    stored.save_pretrained(folder)
    for weights in folder.glob("*.safetensors"):
        weights.chmod(0o644)  # the library makes them unreadable for others, also inside an installed package
    save_tokenizer(make_tokenizer(), folder)
