"""What a training leaves: an ordinary checkpoint of transformers, with its recipe beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from prm_eval.errors import ModelError
from prm_eval.store.writing import NewFolder
from prm_eval.training.states import remove

BEST = "best"


def with_lora(network: Any, rank: int, alpha: int | None) -> Any:
    """Return a network with a LoRA adapter at every matrix of its layers; the new head is trained whole.

    Raises:
        ModelError: peft is missing.
    """
    import torch

    try:
        import peft
    except ImportError:
        raise ModelError("--lora needs peft: pip install 'prm_eval[train]'") from None
    inside = {
        name.rpartition(".")[2]
        for name, module in network.base_model.named_modules()
        if isinstance(module, torch.nn.Linear)
    }
    config = peft.LoraConfig(
        r=rank,
        lora_alpha=2 * rank if alpha is None else alpha,
        lora_dropout=0.0,
        target_modules=sorted(inside),
        modules_to_save=["score"] if hasattr(network, "score") else None,
    )
    return peft.get_peft_model(network, config)


def keep_weights(trained: Any, work: Path) -> None:
    """Keep the weights as they are, in place of those that were kept before."""
    folder = NewFolder(work, BEST)
    trained.save_pretrained(folder.path)
    # a run that is killed between the two goes on from its last state, and comes here again
    remove(work / BEST)
    folder.keep(work / BEST)


def take_kept(trained: Any, work: Path) -> None:
    """Put the weights that were kept into the network."""
    from safetensors.torch import load_file

    folder = work / BEST
    weights = {name: each for path in sorted(folder.glob("*.safetensors")) for name, each in load_file(path).items()}
    if hasattr(trained, "peft_config"):
        import peft

        peft.set_peft_model_state_dict(trained, weights)
        return
    left = trained.load_state_dict(weights, strict=False)
    tied = set(getattr(trained, "_tied_weights_keys", None) or ())
    lacking = [name for name in left.missing_keys if name not in tied]
    if lacking or left.unexpected_keys:
        raise ModelError(f"{folder}: found other weights than the network's ({', '.join(lacking[:3])})")


def save_checkpoint(trained: Any, tokenizer: Any, folder: Path, dtype: str) -> None:
    """Write an ordinary checkpoint of transformers: config, tokenizer, weights; an adapter is merged."""
    import torch

    network = trained.merge_and_unload() if hasattr(trained, "merge_and_unload") else trained
    network.to("cpu", getattr(torch, dtype)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    for weights in folder.glob("*.safetensors"):
        weights.chmod(0o644)  # the library makes them unreadable for others
