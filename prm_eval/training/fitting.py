"""Whether a training fits on a GPU, by a count of what it must hold, before weights are loaded.

The count is a lower bound to a few per cent: weights, gradients and Adam's two moments in float32 (16 bytes a number
that is trained, 4 a number that is not), and the activations that a backward pass needs of one batch (about 34 values a
token, layer and unit of width in half precision, Korthikanti et al. 2022, without attention scores; two if they are
computed again).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from prm_eval.errors import ModelError
from prm_eval.training.options import TrainOptions

TRAINED, FROZEN = 16, 4
KEPT, COMPUTED_AGAIN = 34, 4
GIB = 1024**3


@dataclass(frozen=True)
class Size:
    """What decides the memory of a training.

    Attributes:
        weights: Numbers of the model.
        trained: Those that are trained.
        width: The hidden size.
        layers: The layers.
        batch_tokens: Rows of a batch.
        half: Whether activations are in half precision.
        checkpointing: Whether activations are computed again.
    """

    weights: int
    trained: int
    width: int
    layers: int
    batch_tokens: int
    half: bool
    checkpointing: bool

    @property
    def bytes(self) -> int:
        """The bytes that are needed."""
        kept = COMPUTED_AGAIN if self.checkpointing else KEPT
        activations = kept * self.batch_tokens * self.width * self.layers * (1 if self.half else 2)
        return self.trained * TRAINED + (self.weights - self.trained) * FROZEN + activations


def size_of(config: Any, weights: int, options: TrainOptions, batch_tokens: int, *, half: bool) -> Size:
    """Return the size of a training of a model with so many numbers."""
    text = config.get_text_config()
    width, layers = int(text.hidden_size), int(text.num_hidden_layers)
    # an adapter of rank r at the seven matrices of a layer, of which the inner ones are wider
    inner = int(getattr(text, "intermediate_size", None) or 4 * width)
    adapter = options.lora * layers * (4 * 2 * width + 3 * (width + inner))
    trained = adapter if options.lora else weights
    return Size(weights, trained, width, layers, batch_tokens, half, options.checkpointing)


def require_room(size: Size, free: int, device: str, options: TrainOptions) -> None:
    """Refuse a training that certainly does not fit.

    Args:
        size: What it needs.
        free: The bytes that are free.
        device: Their device.
        options: The options; sharded training is counted by nobody here.

    Raises:
        ModelError: It does not fit; names what would.
    """
    if size.bytes <= free or options.fsdp or options.deepspeed:
        return
    raise ModelError(
        f"{device} has {free / GIB:.1f} GiB free; this training needs at least {size.bytes / GIB:.1f} GiB "
        f"({size.trained / 1e6:,.0f} of {size.weights / 1e6:,.0f} million weights trained, "
        f"{size.batch_tokens:,} tokens a batch). {_would_fit(size, free, options)}"
    )


def _would_fit(size: Size, free: int, options: TrainOptions) -> str:
    """Return in words what would fit."""
    smaller = replace(size, checkpointing=True, batch_tokens=min(size.batch_tokens, 2_048))
    adapter = max(1, size.weights // 100)
    tried = [
        ("--checkpointing", replace(size, checkpointing=True)),
        ("--checkpointing --batch-tokens 2048", smaller),
        ("--lora 16", replace(size, trained=min(size.trained, adapter))),
        ("--lora 16 --checkpointing --batch-tokens 2048", replace(smaller, trained=min(size.trained, adapter))),
    ]
    fits = [f"{flags} ({each.bytes / GIB:.1f} GiB)" for flags, each in tried if each.bytes <= free and each != size]
    if fits:
        return f"What would fit: {' or '.join(fits[:3])}; or several GPUs (--fsdp or --deepspeed)"
    most = free // (FROZEN if options.lora else TRAINED) / 1e6
    return f"Nothing of this base fits: take one of at most {most:,.0f} million weights, or several GPUs (--fsdp)"


def weights_of(config: Any, loader: str) -> int:
    """Return how many numbers a model of a config has, without making them."""
    import torch
    import transformers

    with torch.device("meta"):
        model = getattr(transformers, loader).from_config(config)
    return sum(each.numel() for each in model.parameters())


def free_bytes(device: str) -> int | None:
    """Return the free bytes of a GPU; None for a CPU, which has a disk behind it."""
    import torch

    if not device.startswith("cuda"):
        return None
    free, _ = torch.cuda.mem_get_info(device)
    return int(free)
