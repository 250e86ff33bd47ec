"""The tokenizer of the miniature models: one token a number, one a LaTeX command, one a word.

A number between -199 and 199 is one token, so that a line such as ``9 - 24 = -15`` is six tokens and a fact is a table
entry. Larger numbers are spelt digit by digit. Operators include the spaces around them, and words the space before
them, so the joined tokens are the text, character for character. The vocabulary is the same for all seeds: it is fixed
by the family's revision.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

from prm_eval.miniature.problems import iter_problems
from prm_eval.store.writing import write_json

PAD, END, UNKNOWN = "<|pad|>", "<|end|>", "<|unknown|>"  # ids 0, 1, 2
LARGEST = 199  # largest number that is one token
MAX_TOKENS = 256  # context of the models; the longest statement with its solution takes about 150
SURVEYED = 7_000  # training problems whose words make up the vocabulary, 200 of each subject and level

_PATTERN = (
    r"\\[a-zA-Z]+\{?| (?:[-+=&]|\\cdot|\\bmod|\\times|\\\\) | ?[a-zA-Z]+"
    r"|(?<![0-9])(?:-?(?:1[0-9][0-9]|[1-9][0-9]?)|0)(?![0-9])|\}\{|[\s\S]"
)
_ALWAYS = (
    "\\frac{", "\\binom{", "\\boxed{", " \\cdot ", " \\bmod ", " + ", " - ", " = ", "}{", "^", "\n",
    *map(chr, range(32, 127)),
)  # fmt: skip


def split_text(text: str) -> list[str]:
    """Return the tokens of a text; joined, they are the text."""
    return re.findall(_PATTERN, text)


@cache
def vocabulary() -> tuple[str, ...]:
    """Return every token in the order of its id: special tokens, numbers, parts of solutions, words of statements.

    It takes a second, for thousands of problems are drawn, and is made once a process.
    """
    numbers = [str(value) for value in range(-LARGEST, LARGEST + 1)]
    statements = (each.problem.statement for each in islice(iter_problems("train", 0), SURVEYED))
    words = sorted({token for statement in statements for token in split_text(statement)})
    return tuple(dict.fromkeys([PAD, END, UNKNOWN, *numbers, *_ALWAYS, *words]))


def make_tokenizer() -> Any:
    """Return the tokenizer as transformers loads it (``PreTrainedTokenizerFast``)."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    known = {token: index for index, token in enumerate(vocabulary())}
    tokenizer = Tokenizer(models.WordLevel(known, unk_token=UNKNOWN))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(_PATTERN), behavior="isolated")
    tokenizer.decoder = decoders.Fuse()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **_special())


def save_tokenizer(tokenizer: Any, folder: Path) -> None:
    """Write a tokenizer so that transformers 4 and 5 read it.

    The class has another name in each of them, so the config is written here.
    """
    tokenizer.backend_tokenizer.save(str(folder / "tokenizer.json"))
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "clean_up_tokenization_spaces": False,
        "model_max_length": MAX_TOKENS,
        "padding_side": "left",
        **_special(),
    }
    write_json(folder / "tokenizer_config.json", config)


def _special() -> dict[str, Any]:
    return {
        "pad_token": PAD,
        "eos_token": END,
        "unk_token": UNKNOWN,
        "clean_up_tokenization_spaces": False,
        "model_max_length": MAX_TOKENS,
        "padding_side": "left",
    }


class Encoder:
    """An encoder of texts as token ids without the cost of a transformers call, for millions of short texts."""

    def __init__(self) -> None:
        self.ids = {token: index for index, token in enumerate(vocabulary())}
        self.pad, self.end, self.newline = self.ids[PAD], self.ids[END], self.ids["\n"]
        self._unknown = self.ids[UNKNOWN]
        self._tokens = list(self.ids)

    def __len__(self) -> int:
        return len(self.ids)

    def encode(self, text: str) -> list[int]:
        """Return the ids that the tokenizer gives to a text without special tokens in it."""
        return [self.ids.get(token, self._unknown) for token in split_text(text)]

    def decode(self, ids: Iterable[int]) -> str:
        """Return the text of ids, without padding, up to the first end token."""
        kept: list[str] = []
        for index in ids:
            if index == self.end:
                break
            if index != self.pad:
                kept.append(self._tokens[index])
        return "".join(kept)
