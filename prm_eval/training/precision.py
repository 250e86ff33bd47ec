"""Which precision a device computes fast."""

from __future__ import annotations


def half_precision(device: str) -> str | None:
    """Return the half precision that a device computes by itself: "bfloat16", "float16" (older GPUs), or None.

    Older GPUs emulate bfloat16. A CPU without instructions for it converts every number of a product: on an AMD EPYC
    with AVX2 a step of the miniature took 8.6 times as long as in float32 (``python benchmarks/precision.py``). Of
    processors, those with AVX512-BF16 are known here.
    """
    import torch

    if device.startswith("cuda"):
        return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float16"
    # private, with no public name for it; a torch without it, and other kinds of processor, compute in float32
    known = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    return "bfloat16" if device.startswith("cpu") and known is not None and known() else None
