"""Sample many solutions from a miniature policy at once.

Statements of the same number of tokens go together, so that nothing is padded; texts that have ended leave the batch.
What is sampled for a statement depends on the seed, the statement and how many share its length, never on the other
models at work.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from prm_eval.miniature.vocabulary import MAX_TOKENS, Encoder
from prm_eval.progress import Progress, silent

ROWS = 512  # texts that are written at once
NEW_TOKENS = 128  # as in the task miniature_bon; a right solution has at most about 60


def sample(
    policy: Any,
    statements: Sequence[str],
    n: int,
    temperature: float = 0.7,
    seed: int = 0,
    progress: Progress = silent,
) -> list[list[str]]:
    """Return ``n`` sampled solutions for every statement, in the order given.

    Args:
        policy: A causal language model with the miniature's tokenizer, on its device.
        statements: Of the problems.
        n: Candidates a statement.
        temperature: Of the softmax; no top-k, no top-p.
        seed: Of the draws.
        progress: Called with the number of texts finished so far.
    """
    import torch

    encoder = Encoder()
    by_length: dict[int, list[int]] = defaultdict(list)
    prompts = [encoder.encode(statement + "\n") for statement in statements]
    for index, prompt in enumerate(prompts):
        by_length[len(prompt)].append(index)
    found: list[list[str]] = [[] for _ in statements]
    done = 0
    group_size = max(1, ROWS // n)
    with torch.inference_mode():
        for _, members in sorted(by_length.items()):
            for start in range(0, len(members), group_size):
                group = members[start : start + group_size]
                texts = _write(policy, encoder, [prompts[each] for each in group], n, temperature, seed)
                for at, each in enumerate(group):
                    found[each] = texts[at * n : (at + 1) * n]
                done += len(texts)
                progress(done)
    return found


def _write(policy: Any, encoder: Encoder, prompts: list[list[int]], n: int, temperature: float, seed: int) -> list[str]:
    """Return ``n`` texts for each of some prompts of equal length, one prompt's after the other's."""
    import torch
    from transformers import DynamicCache

    device = policy.device
    generator = torch.Generator().manual_seed(_draw_seed(seed, prompts))
    ids = torch.tensor(prompts, device=device)
    cache = DynamicCache(config=policy.config)
    logits = policy(input_ids=ids, past_key_values=cache, use_cache=True, logits_to_keep=1).logits[:, -1]
    logits = logits.repeat_interleave(n, dim=0)
    cache.batch_repeat_interleave(n)
    written: list[list[int]] = [[] for _ in range(len(logits))]
    rows = list(range(len(logits)))
    for _ in range(min(NEW_TOKENS, MAX_TOKENS - len(prompts[0]))):
        odds = torch.softmax(logits.float() / temperature, dim=-1).cpu()
        chosen = torch.multinomial(odds, 1, generator=generator)[:, 0].tolist()
        for row, token in zip(rows, chosen, strict=True):
            written[row].append(token)
        alive = [at for at, token in enumerate(chosen) if token != encoder.end]
        if not alive:
            break
        if len(alive) < len(rows):
            cache.batch_select_indices(torch.tensor(alive, device=device))
        rows = [rows[at] for at in alive]
        last = torch.tensor([[chosen[at]] for at in alive], device=device)
        logits = policy(input_ids=last, past_key_values=cache, use_cache=True).logits[:, -1]
    return [encoder.decode(each) for each in written]


def _draw_seed(seed: int, prompts: list[list[int]]) -> int:
    digest = hashlib.sha256(f"{seed} {prompts}".encode()).digest()
    return int.from_bytes(digest[:7], "big")
