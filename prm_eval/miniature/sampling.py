"""The sampler of many solutions from a miniature policy at once.

Statements of the same number of tokens go together, so there is no padding; texts that have ended leave the batch. The
samples of a statement depend on the seed, the statement and the statements in its group, and on nothing else that the
process does.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from prm_eval.miniature.vocabulary import MAX_TOKENS, Encoder
from prm_eval.progress import Progress, silent

ROWS = 512  # texts that are written at once
# how candidates are sampled everywhere: without the tail, whose lines no corpus wrote
TEMPERATURE, TOP_P = 0.7, 0.95
NEW_TOKENS = 128  # as in the task miniature_bon; a right solution has at most about 60


def sample(
    policy: Any,
    statements: Sequence[str],
    n: int,
    temperature: float = TEMPERATURE,
    seed: int = 0,
    progress: Progress = silent,
    top_p: float = TOP_P,
) -> list[list[str]]:
    """Return ``n`` sampled solutions for every statement, in the order given.

    Args:
        policy: A causal language model with the miniature's tokenizer, on its device.
        statements: The statements of the problems.
        n: Candidates a statement.
        temperature: The temperature of the softmax.
        seed: The seed of the draws.
        progress: Called with the number of texts finished so far.
        top_p: The likeliest tokens that have this share of the probability (after the temperature) are sampled from
            (nucleus sampling, Holtzman et al. 2020); 1 is all.
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
                texts = _write(policy, encoder, [prompts[each] for each in group], n, temperature, top_p, seed)
                for at, each in enumerate(group):
                    found[each] = texts[at * n : (at + 1) * n]
                done += len(texts)
                progress(done)
    return found


def _write(
    policy: Any, encoder: Encoder, prompts: list[list[int]], n: int, temperature: float, top_p: float, seed: int
) -> list[str]:
    """Return ``n`` texts for each of some prompts of equal length, in the order of the prompts."""
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
        odds = nucleus(torch.softmax(logits.float() / temperature, dim=-1), top_p).cpu()
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


def nucleus(odds: Any, top_p: float) -> Any:
    """Return probabilities (texts, tokens) without those beyond the likeliest ones that have ``top_p`` together.

    As in transformers, the token with which the sum passes ``top_p`` is kept; the rest is not scaled up again.
    """
    if top_p >= 1:
        return odds
    ordered, where = odds.sort(dim=-1, descending=True)
    ordered[ordered.cumsum(dim=-1) - ordered >= top_p] = 0
    return odds.new_zeros(odds.shape).scatter(-1, where, ordered)


def _draw_seed(seed: int, prompts: list[list[int]]) -> int:
    digest = hashlib.sha256(f"{seed} {prompts}".encode()).digest()
    return int.from_bytes(digest[:7], "big")
