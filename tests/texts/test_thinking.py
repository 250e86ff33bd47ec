"""What a reply says: thinking, prompts, turns and special tokens are told apart from it, and places stay places."""

from __future__ import annotations

import time

import pytest

from prm_eval.texts.thinking import reply_of

REPLIES = [
    ("plain text", "plain text"),
    ("<think>a</think>b", "b"),
    ("a</think>b", "b"),
    ("<think>a", ""),
    ("<think>a</think><think>b", ""),
    ("b<think>a", "b"),
    ("<think>a<think>b</think>c", "c"),
    ("<Thinking >a</Thinking>b", "b"),
    ("<antThinking>a</antThinking>b", "b"),
    ("<think_fast>a</think_fast>b", "b"),
    ("[THINK]a[/THINK]b", "b"),
    ("◁think▷a◁/think▷b", "b"),
    ("<|thinking_start|>a<|thinking_end|>b", "b"),
    ("<|inner_prefix|>a<|inner_suffix|>b", "b"),
    ("Thinking...\na\n...done thinking.\nb", "b"),
    ("<|begin_of_thought|>a<|begin_of_solution|>b", "b"),
    ("<|channel|>analysis<|message|>a<|end|><|start|>assistant<|channel|>final<|message|>b<|return|>", "b"),
    ("<|channel|>commentary<|message|>a", ""),
    ("analysisAha.assistantfinalb", "b"),
    ("analysis of the problem: b", "analysis of the problem: b"),
    ("b</s>c", "b"),
    ("b<|im_end|>", "b"),
    ("<|im_start|>assistant\nb<|im_end|>c", "b"),
    ("<s>[INST] a [/INST] b", "b"),
    ("system\na\nuser\na\nassistant\nb", "b"),
    ("<|im_start|>system\na<|im_end|>\n<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\nb", "b"),
    ("in `<think>` tags: b", "in `<think>` tags: b"),
    ("x < 3, [1, 2] and b", "x < 3, [1, 2] and b"),
]


@pytest.mark.parametrize(("text", "said"), REPLIES, ids=[text[:30] for text, _ in REPLIES])
def test_what_is_said(text: str, said: str) -> None:
    """A thought that is graded is an answer nobody gave; a reply that is dropped is an answer lost."""
    assert reply_of(text).text.strip() == said


@pytest.mark.parametrize(("text", "said"), REPLIES, ids=[text[:30] for text, _ in REPLIES])
def test_places_in_the_reply_are_places_in_the_text(text: str, said: str) -> None:
    """A span that is off by a marker's length marks the wrong characters in a report."""
    reply = reply_of(text)
    for i, sign in enumerate(reply.text):
        assert sign in (" ", text[reply.start + i])


@pytest.mark.parametrize(
    "piece", ["<think>", "</think>", "<|im_end|>", "<s>", "<", "[THINK", "<|channel|>analysis", "analysisA"]
)
def test_hostile_texts_take_linear_time(piece: str) -> None:
    """A megabyte of one marker: a quadratic scan takes hours."""
    started = time.process_time()
    reply_of(piece * (1_000_000 // len(piece)))
    assert time.process_time() - started < 5  # a bound, not a benchmark
