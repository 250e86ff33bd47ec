"""The training of the miniature models: the one loop of the house, with Muon and AdamW."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from prm_eval.progress import Progress, silent
from prm_eval.training.precision import half_precision

SAVE_STEPS = 250
LOG_STEPS = 50
LOG = "log.jsonl"


@dataclass(frozen=True)
class Schedule:
    """The number of steps and the learning rate of a training.

    Attributes:
        steps: Optimizer steps.
        rate: The highest learning rate.
        decay: Weight decay.
        falls: How the rate falls after it rose over the first fiftieth of the steps: as a cosine to a fiftieth of it,
            or not before half of the steps, and then on a line to 0.
    """

    steps: int
    rate: float = 3e-3
    decay: float = 0.01
    falls: Literal["cosine", "line"] = "cosine"

    def factor(self, step: int) -> float:
        """Return the learning rate of a step (from 0), as a share of the highest."""
        warm = max(1, self.steps // 50)
        if step < warm:
            return (step + 1) / warm
        if self.falls == "line":
            return min(1.0, 2 * (1 - step / self.steps))
        along = (step - warm) / max(1, self.steps - warm)
        return 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * along))


class Batches:
    """As many batches as a training has steps, from a function that makes the one with a number."""

    passes = 1

    def __init__(self, make: Callable[[int], dict[str, Any]], steps: int) -> None:
        self._make, self._steps = make, steps

    def __len__(self) -> int:
        return self._steps

    def __getitem__(self, number: int) -> dict[str, Any]:
        return self._make(int(number)) | {"layout": None}

    def rows(self, number: int) -> int:
        """Return 0: nobody counts the rows of a miniature."""
        return 0

    tokens = rows


def fit(
    model: Any,
    batch: Callable[[int], dict[str, Any]],
    schedule: Schedule,
    folder: Path,
    *,
    progress: Progress = silent,
    device: str = "cpu",
    save_every: int = SAVE_STEPS,
    stop_after: int | None = None,
) -> Any:
    """Train a model in place and return it; a run that was cut off continues from the last state in ``folder``.

    Where the device computes bfloat16 by itself, the layers do (the weights stay float32), and the attention and the
    head compute in float32: on a CPU with such instructions that takes half of the time. Elsewhere all is float32.

    Args:
        model: A causal language model or a token classifier.
        batch: Returns the inputs of the batch with a number, as :mod:`prm_eval.miniature.rows` makes them.
        schedule: Steps and learning rates.
        folder: The folder of the states and of ``log.jsonl`` (step, loss, seconds).
        progress: Called with the number of steps done so far.
        device: The device of the computation.
        save_every: Steps between two states.
        stop_after: The step after which the run ends as if it was killed (for tests of resuming).
    """
    import torch
    from accelerate.utils import extract_model_from_parallel

    from prm_eval.training.attention import float32_attention
    from prm_eval.training.loop import Rule, Run, train
    from prm_eval.training.network import quiet, readable
    from prm_eval.training.options import LoopOptions

    if device == "cpu":
        # sums over more threads are rounded differently, and equal seeds must give equal results
        torch.set_num_threads(1)
    folder.mkdir(parents=True, exist_ok=True)
    options = LoopOptions(
        rate=schedule.rate, clip=1.0, accumulate=1, precision=precision_of(device), save_every=save_every,
        log_every=LOG_STEPS,
    )  # fmt: skip
    rule = Rule(lambda network: _optimizer(network, schedule, device), schedule.factor)
    network = readable(model.to(device), ())
    run = Run(
        network, network, Batches(batch, schedule.steps), options, folder, folder / LOG, device,
        rule=rule, stop_after=stop_after,
    )  # fmt: skip
    with quiet(), float32_attention(network):
        train(run, lambda done, tokens=0: progress(done))
    return _unprepared(extract_model_from_parallel(network, keep_fp32_wrapper=False)).eval()


def _unprepared(model: Any) -> Any:
    """Return a trained model without what accelerate left on it, so that it can be trained further.

    Accelerate does not prepare again what is marked as prepared: the layers would compute in float32.
    """
    for name in ("_is_accelerate_prepared", "forward"):
        model.__dict__.pop(name, None)
    return model


def precision_of(device: str) -> str:
    """Return the precision in which the layers compute on a device."""
    return "bfloat16" if half_precision(device) == "bfloat16" else "float32"


def _optimizer(network: Any, schedule: Schedule, device: str) -> Any:
    """Return Muon for the matrices inside the layers and AdamW for the rest."""
    import torch

    from prm_eval.training.optimizers import Float32Muon, Joined

    muon = torch.optim.Muon if precision_of(device) == "bfloat16" else Float32Muon
    matrices = [each for name, each in network.named_parameters() if each.ndim == 2 and ".layers." in name]
    inside = {id(each) for each in matrices}
    rest = [each for each in network.parameters() if id(each) not in inside]
    return Joined([
        muon(matrices, lr=schedule.rate, weight_decay=schedule.decay, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(rest, lr=schedule.rate, weight_decay=schedule.decay, betas=(0.9, 0.98)),
    ])  # fmt: skip
