"""The name of the hardware that computes, as its maker calls it."""

from __future__ import annotations

import platform
from pathlib import Path


def device_name(device: str) -> str:
    """Return the name of a torch device's hardware.

    That is the GPU for "cuda", "cuda:1", ..., and the processor for every other device.
    """
    if device.startswith("cuda"):
        import torch

        return str(torch.cuda.get_device_name(torch.device(device)))
    return _processor()


def _processor() -> str:
    about = Path("/proc/cpuinfo")
    if about.is_file():
        for line in about.read_text(encoding="utf-8", errors="replace").splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name" and value.strip():
                return " ".join(value.split())
    return platform.processor() or platform.machine() or "unknown"
