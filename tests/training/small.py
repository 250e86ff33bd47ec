"""Tiny bases with a tokenizer of a few hundred tokens, and step sets of which labels follow from the text."""

from __future__ import annotations

import random
from pathlib import Path

import torch
import transformers

from prm_eval.records import Solution
from prm_eval.stepsets import StepSet, StepSetWriter
from prm_eval.stepsets.labels import by_first_error, by_ratings, by_soft
from tests.rewards.tiny import CHATML, byte_level

SIZES = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2}
SPECIALS = {"<|endoftext|>": 400, "<|im_start|>": 401, "<|im_end|>": 402}


def tokenizer(fixed: dict[str, int] | None = None, chat: str | None = None):
    return byte_level({"\n": 198, "+": 10, "-": 12, "0": 15, **(fixed or {})}, SPECIALS, chat=chat)


def base(folder: Path, *, family: str = "Qwen2", tied: bool = False, chat: bool = False, seed: int = 0) -> Path:
    """A language model of some thousand parameters."""
    made = tokenizer(chat=CHATML if chat else None)
    config = getattr(transformers, f"{family}Config")(
        **SIZES, num_key_value_heads=1, vocab_size=1024, max_position_embeddings=512, tie_word_embeddings=tied,
        pad_token_id=400, eos_token_id=400, bos_token_id=None,
    )  # fmt: skip
    torch.manual_seed(seed)
    getattr(transformers, f"{family}ForCausalLM")(config).save_pretrained(folder)
    made.save_pretrained(folder)
    return folder


def solutions(n: int, seed: int = 0, per_problem: int = 2):
    """Solutions of sums whose wrong steps are visible: one that ends in an exclamation mark."""
    draw = random.Random(seed)
    for number in range(n):
        a, b = draw.randint(1, 99), draw.randint(1, 99)
        k = number // per_problem
        wrong = draw.choice([None, 0, 1, 2])
        steps = [f"We add {a}.", f"We take {b}.", f"So {a + b}."]
        if wrong is not None:
            steps[wrong] = f"{steps[wrong][:-1]} or {draw.randint(100, 999)}!"
        yield Solution(f"s{number}", f"Problem {k}: what is {k} + {k + 1}?", tuple(steps), f"p{k}"), wrong


def step_set(
    folder: Path, n: int = 40, *, kind: str = "first_error", seed: int = 0, final: bool = False, per_problem: int = 2
) -> StepSet:
    """A step set; "rated" ones call the step before the wrong one neutral, "soft" ones have shares."""
    writer = StepSetWriter(folder, name="sums", labels=kind, label_source="oracle")
    with writer:
        for solution, wrong in solutions(n, seed, per_problem):
            count = len(solution.steps)
            right = {"final_correct": wrong is None} if final else {}
            if kind == "first_error":
                label = by_first_error(-1 if wrong is None else wrong, count, **right)
            elif kind == "rated":
                ratings = [1 if wrong is None or k < wrong - 1 else 0 if k < wrong else -1 for k in range(count)]
                label = by_ratings(ratings, count, **right)
            else:
                label = by_soft([0.75 if wrong is None or k < wrong else 0.0 for k in range(count)], count, **right)
            writer.add(solution, label)
    return StepSet(folder)
