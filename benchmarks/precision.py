"""What a step of the miniature's training takes in bfloat16 and in float32 on this CPU, on one thread.

    OMP_NUM_THREADS=1 python benchmarks/precision.py

The same batches, with the optimizer of each precision. CPU seconds, so that other work on the machine counts little.
"""

from __future__ import annotations

import platform
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from statistics import median

import torch

from prm_eval.miniature import train
from prm_eval.miniature.data import Stream, backbone_text
from prm_eval.miniature.make import Settings
from prm_eval.miniature.models import new_model
from prm_eval.miniature.vocabulary import Encoder
from prm_eval.training.precision import half_precision

STEPS = 6


def seconds_of_a_step(half: str | None) -> float:
    """Return the median CPU seconds of a step, after the first."""
    encoder = Encoder()
    stream = Stream("backbone", 0, backbone_text(encoder), encoder.pad)
    train.half_precision = lambda device: half  # type: ignore[assignment]
    times: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        train.fit(
            new_model(Settings().shape, 0), stream, train.Schedule(STEPS), Path(folder),
            progress=lambda done: times.append(time.process_time()),
        )  # fmt: skip
    return median(after - before for before, after in pairwise(times[1:]))


def main() -> None:
    """Print the seconds of both, and what this processor is taken for."""
    taken = half_precision("cpu") or "float32"
    print(f"Python {platform.python_version()}, torch {torch.__version__}, {torch.backends.cpu.get_cpu_capability()}")
    float32, bfloat16 = seconds_of_a_step(None), seconds_of_a_step("bfloat16")
    print(f"float32   {float32:6.2f} CPU s a step of 64 texts")
    print(f"bfloat16  {bfloat16:6.2f} CPU s, {bfloat16 / float32:.1f} times as long")
    print(f"the miniature trains in {taken} here")


if __name__ == "__main__":
    main()
