"""Heads: functions from float32 hidden states at the read positions to float32 logits, and from logits to values.

Tensors are taken by name from safetensors files. A vocabulary matrix is reduced to the rows that are read before
anything is computed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from prm_eval.errors import ModelError
from prm_eval.rewards.recipes.recipe import Head, Score

OUTPUT_MATRIX = "lm_head.weight"
INPUT_MATRICES = ("model.embed_tokens.weight", "embed_tokens.weight")
OUTPUT_BIAS = "lm_head.bias"
# keys of configs by which transformers changes logits (Gemma 2, Granite, ...), and the values that change nothing
PLAIN_LOGITS: Mapping[str, tuple[float | None, ...]] = {
    "final_logit_softcapping": (None,),
    "softcap": (None,),
    "logits_scaling": (None, 1),
    "logit_scale": (None, 1),
    "lm_head_multiplier": (None, 1),
    "output_multiplier": (None, 1),
}
Logits = Callable[[Any], Any]


def head_tensors(head: Head) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the names of the tensors that a head needs, and of those that it takes if they are there."""
    if head.type == "label_mlp":
        return tuple(f"{head.prefix}.{layer}.{part}" for layer in (0, 2) for part in ("weight", "bias")), ()
    if head.type in ("linear", "value"):
        return (f"{head.prefix}.weight",), (f"{head.prefix}.bias",)
    return (OUTPUT_MATRIX,), ()


def require_plain_logits(config: Any, tensors: Collection[str], name: str) -> None:
    """Refuse a causal model whose logits are more than a product with one matrix.

    Rows of its matrix alone would give other numbers.

    Args:
        config: The config of the checkpoint.
        tensors: The names of its tensors, as far as they are known.
        name: The name of the checkpoint, for messages.

    Raises:
        ModelError: The model scales, caps or shifts its logits.
    """
    text = config.get_text_config()
    for key, plain in PLAIN_LOGITS.items():
        if (value := getattr(text, key, None)) not in plain:
            raise ModelError(
                f"{name}: its config says {key} = {value}, which this head does not apply to the logits it reads"
            )
    if OUTPUT_BIAS in tensors:
        raise ModelError(f"{name} has a tensor {OUTPUT_BIAS}, which this head does not add to the logits it reads")


def build_head(head: Head, tensors: Mapping[str, Any], name: str, width: int, device: str) -> Logits:
    """Return the head as a function (positions, width) -> (positions, outputs), both float32.

    Args:
        head: The head in the recipe.
        tensors: The tensors of :func:`head_tensors` that the checkpoint has, on the CPU; for tied models the input
            matrix is the output matrix.
        name: The name of the checkpoint, for messages.
        width: The trunk's hidden size.
        device: The device that computes.

    Raises:
        ModelError: A tensor's shape does not fit the recipe.
    """
    import torch
    from torch.nn import functional

    def take(key: str, shape: tuple[int | None, ...]) -> Any:
        tensor = tensors[key]
        if len(tensor.shape) != len(shape) or any(
            want not in (None, got) for want, got in zip(shape, tensor.shape, strict=True)
        ):
            wanted = " x ".join("any" if side is None else str(side) for side in shape)
            raise ModelError(f"{name}: {key} is {' x '.join(map(str, tensor.shape))}; expected {wanted}")
        return tensor.to(device=device, dtype=torch.float32)

    outputs = head.labels or None
    if head.type == "label_mlp":
        first, bias = take(f"{head.prefix}.0.weight", (width, width)), take(f"{head.prefix}.0.bias", (width,))
        second, last = take(f"{head.prefix}.2.weight", (outputs, width)), take(f"{head.prefix}.2.bias", (outputs,))
        return lambda hidden: functional.linear(functional.relu(functional.linear(hidden, first, bias)), second, last)
    if head.type in ("linear", "value"):
        weight = take(f"{head.prefix}.weight", (1 if head.type == "value" else outputs, width))
        offset = take(f"{head.prefix}.bias", (weight.shape[0],)) if f"{head.prefix}.bias" in tensors else None
        return lambda hidden: functional.linear(hidden, weight, offset)
    matrix = tensors[OUTPUT_MATRIX]
    if head.type == "lm_row_mean":
        # the mean of logits is the logit of the mean row
        mean = matrix.to(torch.float32).mean(dim=0, keepdim=True).to(device)
        return lambda hidden: functional.linear(hidden, mean)
    highest = max(head.rows.values())
    if highest >= matrix.shape[0]:
        raise ModelError(f"{name}: the output matrix has {matrix.shape[0]} rows; the recipe reads row {highest}")
    rows = matrix[list(head.rows.values())].to(device=device, dtype=torch.float32)
    return lambda hidden: functional.linear(hidden, rows)


def values(score: Score, logits: Any) -> tuple[float, ...]:
    """Return one number for each read position from float32 logits of shape (positions, outputs).

    Two-way softmaxes stay log-odds: a difference of log-probabilities never underflows. A probability can become 0, and
    if a mask then drops it, all later steps are shifted.
    """
    import torch

    rule, good, bad = score.rule, score.good, score.bad
    if rule == "by_labels":
        rule, good, bad = ("raw", good, bad) if logits.shape[-1] == 1 else ("two_way", (1,), (0,))
    if rule in ("raw", "sigmoid"):
        return tuple(logits[:, 0].tolist())
    log_good, log_bad = (torch.logsumexp(logits[:, list(side)], dim=-1) for side in (good, bad))
    return tuple((log_good - log_bad).tolist())
