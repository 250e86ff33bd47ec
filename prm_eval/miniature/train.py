"""The training loop of the miniature models: Muon and AdamW, a cosine, and a state on disk to continue from."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from prm_eval.errors import PrmEvalError
from prm_eval.miniature.data import IGNORED
from prm_eval.miniature.vocabulary import MAX_TOKENS, Encoder, make_tokenizer, save_tokenizer
from prm_eval.progress import Progress, silent
from prm_eval.store.writing import replacing, write_text

SAVE_SECONDS = 60.0
LOG_STEPS = 50


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


@dataclass(frozen=True)
class Schedule:
    """The number of steps and the learning rate of a training.

    The rate rises to ``rate`` over the first fiftieth of the steps, and falls as a cosine to a fiftieth of it.
    """

    steps: int
    rate: float = 3e-3
    decay: float = 0.01

    def at(self, step: int) -> float:
        """Return the learning rate of a step."""
        warm = max(1, self.steps // 50)
        if step < warm:
            return self.rate * (step + 1) / warm
        along = (step - warm) / max(1, self.steps - warm)
        return self.rate * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * along)))


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


def fit(
    model: Any,
    batch: Callable[[int], tuple[Any, Any]],
    schedule: Schedule,
    folder: Path,
    *,
    progress: Progress = silent,
    device: str = "cpu",
    stop_after: int | None = None,
) -> Any:
    """Train a model in place and return it; a run that was cut off continues from the state in ``folder``.

    Args:
        model: A causal language model or a token classifier.
        batch: A function that returns ids and targets, (texts, tokens), of the batch with a number.
        schedule: Steps and learning rates.
        folder: The folder of ``state.pt`` and ``log.jsonl`` (step, loss, seconds).
        progress: Called with the number of steps done so far.
        device: The device of the computation.
        stop_after: The step after which to save and return (for tests of resuming).
    """
    import torch

    if device == "cpu":
        # sums over more threads are rounded differently, and equal seeds must give equal results
        torch.set_num_threads(1)
    folder.mkdir(parents=True, exist_ok=True)
    model.to(device).train()
    optimizers = _optimizers(model, schedule)
    state = _State(folder, model, optimizers)
    done, spent, total, seen = state.load()
    began = saved = time.monotonic()
    progress(done)
    while done < min(schedule.steps, stop_after or schedule.steps):
        ids, targets = batch(done)
        loss = _loss(model, ids.to(device), targets.to(device))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = schedule.at(done)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        total, seen, done = total + float(loss.detach()), seen + 1, done + 1
        if done % LOG_STEPS == 0 or done == schedule.steps:
            state.log(done, total / seen, spent + time.monotonic() - began)
            total, seen = 0.0, 0
        if time.monotonic() - saved > SAVE_SECONDS:
            saved = time.monotonic()
            state.save(done, spent + saved - began, total, seen)
        progress(done)
    state.save(done, spent + time.monotonic() - began, total, seen)
    return model.eval()


def _loss(model: Any, ids: Any, targets: Any) -> Any:
    """Return the mean cross-entropy over the positions that have a target; the head is applied only there."""
    import torch

    hidden = model.model(input_ids=ids, use_cache=False).last_hidden_state
    wanted = targets != IGNORED
    head = model.lm_head if hasattr(model, "lm_head") else model.score
    return torch.nn.functional.cross_entropy(head(hidden[wanted]), targets[wanted])


def _optimizers(model: Any, schedule: Schedule) -> list[Any]:
    """Return Muon for the matrices inside the layers and AdamW for the rest."""
    import torch

    matrices = [each for name, each in model.named_parameters() if each.ndim == 2 and ".layers." in name]
    inside = {id(each) for each in matrices}
    rest = [each for each in model.parameters() if id(each) not in inside]
    return [
        torch.optim.Muon(matrices, lr=schedule.rate, weight_decay=schedule.decay, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(rest, lr=schedule.rate, weight_decay=schedule.decay, betas=(0.9, 0.98)),
    ]


class _State:
    """The state of a training on disk (model, optimizers, step), which is replaced as a whole."""

    def __init__(self, folder: Path, model: Any, optimizers: list[Any]) -> None:
        self._path, self._log = folder / "state.pt", folder / "log.jsonl"
        self._model, self._optimizers = model, optimizers

    def load(self) -> tuple[int, float, float, int]:
        """Return the steps done, the seconds spent, and the sum and number of losses since the log's last line."""
        import torch

        if not self._path.is_file():
            self._log.unlink(missing_ok=True)
            return 0, 0.0, 0.0, 0
        held = torch.load(self._path, map_location="cpu", weights_only=True)
        self._model.load_state_dict(held["model"])
        for optimizer, each in zip(self._optimizers, held["optimizers"], strict=True):
            optimizer.load_state_dict(each)
        lines = self._log.read_text().splitlines() if self._log.is_file() else []
        kept = [line for line in lines if json.loads(line)["step"] <= held["step"]]
        write_text(self._log, "".join(f"{line}\n" for line in kept))
        return held["step"], held["seconds"], held["total"], held["seen"]

    def save(self, step: int, seconds: float, total: float, seen: int) -> None:
        import torch

        held = {
            "model": self._model.state_dict(),
            "optimizers": [each.state_dict() for each in self._optimizers],
            "step": step,
            "seconds": seconds,
            "total": total,
            "seen": seen,
        }
        with replacing(self._path) as file:
            torch.save(held, file)

    def log(self, step: int, loss: float, seconds: float) -> None:
        with self._log.open("a") as file:
            file.write(json.dumps({"step": step, "loss": round(loss, 5), "seconds": round(seconds, 1)}) + "\n")


def described(shape: Shape, schedule: Schedule) -> dict[str, Any]:
    """Return shape and schedule for the record of a run."""
    return {"shape": asdict(shape), "schedule": asdict(schedule)}
