"""How far the same weights differ from themselves: other batches, other dtypes. What `prm-eval verify` must call equal.

A random Qwen2 (12 layers, width 256) with the head of Qwen2.5-Math-PRM, its outputs spread; candidates of random ids::

    OMP_NUM_THREADS=2 python benchmarks/tolerance.py [--device cuda]
"""

from __future__ import annotations

import argparse

import torch
import transformers
from scoring import RandomPRM, random_pool

from prm_eval.rewards.engine.engine import Engine
from prm_eval.submissions.compare import _step_difference
from prm_eval.submissions.trust import MEAN_SHARE, TOLERANCES


def logodds(network: RandomPRM, pool: list, device: str, dtype: str, tokens: int) -> list[float]:
    network.trunk.to(device, getattr(torch, dtype))
    network.layers.to(device)
    engine = Engine(network, device=device, dtype=dtype, batch_tokens=tokens)
    flat = [one for group in pool for one in group]
    return [float(row[1] - row[0]) for logits in engine.logits(flat) for row in logits]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--device", default="cpu")
    device = parser.parse_args().device
    shape = {"hidden_size": 256, "intermediate_size": 768, "num_hidden_layers": 12, "num_attention_heads": 4}
    config = transformers.Qwen2Config(**shape, num_key_value_heads=2, vocab_size=2_000)
    pool = random_pool(2, 4, 2_000)
    made: dict[tuple[str, int], list[float]] = {}
    for dtype in TOLERANCES:
        for tokens in (700, 2_048, 16_384):
            network = RandomPRM(config, "cpu", torch.float32)  # the same weights, rounded once
            made[dtype, tokens] = logodds(network, pool, device, dtype, tokens)
    first = torch.tensor(made["float32", 2_048])
    print(f"{len(first)} steps; log-odds from {first.min():.1f} to {first.max():.1f}, SD {first.std():.2f}")
    for one, other in [
        *((("float32", 2_048), ("float32", tokens)) for tokens in (700, 16_384)),
        *(((dtype, 2_048), (dtype, tokens)) for dtype in ("float16", "bfloat16") for tokens in (700, 16_384)),
        *((("float32", 2_048), (dtype, 2_048)) for dtype in ("float16", "bfloat16")),
    ]:
        pairs = list(zip(made[one], made[other], strict=True))
        raw = max(abs(a - b) for a, b in pairs)
        differences = [_step_difference(a, b, "logodds", 1.0) for a, b in pairs]
        counted, mean = max(differences), sum(differences) / len(differences)
        limit = max(TOLERANCES[one[0]], TOLERANCES[other[0]])
        names = " / ".join(f"{dtype} {tokens:,}" for dtype, tokens in (one, other))
        print(f"{names:36} log-odds {raw:8.2g}  counted {counted:8.2g} ({limit:g})"
              f"  mean {mean:8.2g} ({limit / MEAN_SHARE:g})")  # fmt: skip


if __name__ == "__main__":
    main()
