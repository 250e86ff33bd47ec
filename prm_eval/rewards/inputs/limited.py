"""What a stranger's checkpoint says, run under limits: chat templates, tokenizers and patterns.

A chat template is a program, a tokenizer may make a million tokens of a word, and a pattern may backtrack for ever.
They are tried in child processes with limits on time and memory (:mod:`prm_eval.rewards.inputs.limited_main`). The
children are started on first use, kept for the next question and killed when they are late.
"""

from __future__ import annotations

import atexit
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import Any

from prm_eval.children import Child
from prm_eval.errors import ModelError
from prm_eval.store.jsonl import file_sha256

MAIN = "prm_eval.rewards.inputs.limited_main"
# of processor time; a usual question takes milliseconds, a large tokenizer.json two seconds
RENDER_SECONDS, TRY_SECONDS, MATCH_SECONDS = 2.0, 10.0, 2.0
# of address space, of which transformers takes about 1 GB
MEMORY_BYTES = 3 * 1024**3
START_SECONDS = 120.0
MAX_REPLY = 64 * 1024 * 1024
# characters that a chat template may write by itself, and how often it may repeat its turns
OWN_TEXT, REPEATED = 200_000, 4
# tokens of a character that no tokenizer makes: three bytes and a mark
TOKENS_A_CHARACTER = 8
_ASCII = "".join(map(chr, range(32, 127)))
TRIED = (
    f"Step 1: We have $x^2 + 3x = 10$, so $x = 2$ or $x = -5$.\n\nHence \\boxed{{2}}. {_ASCII}\t\r\n",
    *(each * 4_000 + "!" for each in ("a", "A", "0", " ", "\n", ".", "aA", "a ", "0.")),
)
"""Texts on which a tokenizer is tried: every printable ASCII character, and the runs on which patterns backtrack."""


class _Pair:
    """Two children that render every template: what is not the same in both is not the same tomorrow.

    A template that shows the address of an object, or the order of a set, writes another text in each process.
    """

    def __init__(self) -> None:
        self._children = [_child("render", RENDER_SECONDS, PYTHONHASHSEED=seed) for seed in ("1", "2")]
        self._threads = ThreadPoolExecutor(2, thread_name_prefix="chat-template")

    def ask(self, question: Mapping[str, Any]) -> list[tuple[dict[str, Any] | None, str]]:
        return list(self._threads.map(lambda child: child.ask(question), self._children))

    def close(self) -> None:
        for child in self._children:
            child.close()


def _child(what: str, deadline: float, **environment: str) -> Child:
    limits = {"memory": MEMORY_BYTES, "most_reply": MAX_REPLY}
    return Child(MAIN, deadline, what, start=START_SECONDS, environment=environment, **limits)


@lru_cache(maxsize=1)
def _pair() -> _Pair:
    pair = _Pair()
    atexit.register(pair.close)
    return pair


@lru_cache(maxsize=2)
def _trying(deadline: float) -> Child:
    child = _child("try", deadline)
    atexit.register(child.close)
    return child


def render_template(template: str, turns: Sequence[Mapping[str, str]], options: Mapping[str, Any], name: str) -> str:
    """Return the text that a chat template makes of turns, rendered twice under limits.

    Args:
        template: The template.
        turns: The turns, with role and content.
        options: The variables of the template besides the turns.
        name: The name of the checkpoint, for messages.

    Raises:
        ModelError: It fails, does not end, writes far too much, or writes another text the second time.
    """
    most = OWN_TEXT + REPEATED * sum(len(turn["content"]) for turn in turns)
    question = {
        "work": "render", "template": template, "turns": list(turns), "options": dict(options), "most": most
    }  # fmt: skip
    texts = []
    for reply, why in _pair().ask(question):
        if reply is None or "text" not in reply:
            raise ModelError(f"the chat template of {name} fails: {why if reply is None else reply['error']}")
        texts.append(str(reply["text"]))
    if texts[0] != texts[1]:
        raise ModelError(
            f"the chat template of {name} writes another text each time; expected the same from the same turns: "
            "nobody could make its inputs again"
        )
    return texts[0]


def try_tokenizer(file: Path) -> None:
    """Try a ``tokenizer.json`` on short texts, under limits; one that was tried is not tried again.

    Raises:
        ModelError: It cannot be loaded, does not end, or makes far too many tokens.
    """
    _tried(str(file.absolute()), file_sha256(file))


@lru_cache(maxsize=64)
def _tried(file: str, digest: str) -> None:
    reply, why = _trying(TRY_SECONDS).ask({"work": "tokens", "file": file, "texts": TRIED})
    if reply is None or "counts" not in reply:
        raise ModelError(
            f"{file}: found a tokenizer that fails on short texts ({why if reply is None else reply['error']}); "
            f"expected tokens within {TRY_SECONDS:g} s"
        )
    for text, count in zip(TRIED, reply["counts"], strict=True):
        if count > TOKENS_A_CHARACTER * len(text):
            raise ModelError(
                f"{file}: found a tokenizer that makes {count:,} tokens of {len(text):,} characters; "
                f"expected at most {TOKENS_A_CHARACTER} each"
            )


def try_patterns(patterns: Sequence[str], names: Sequence[str], where: str) -> None:
    """Match a stranger's patterns to names under limits, before a library matches them without any.

    Raises:
        ModelError: A pattern is malformed, or backtracks without end.
    """
    reply, why = _trying(MATCH_SECONDS).ask({"work": "matched", "patterns": list(patterns), "names": list(names)})
    if reply is None or "matched" not in reply:
        raise ModelError(
            f"{where}: found a pattern that fails ({why if reply is None else reply['error']}) among "
            f"{', '.join(ascii(each)[:60] for each in patterns[:5])}; expected one that ends within {MATCH_SECONDS:g} s"
        )
