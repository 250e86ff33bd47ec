"""Texts that a stranger wrote to be slow: every scan is linear, so that one text cannot stop a whole pool."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

import pytest

from prm_eval.importers.chats import statement_in, without_prompt
from prm_eval.importers.formats.nemo_skills import JUDGEMENT
from prm_eval.texts.names import short_name, short_names
from prm_eval.texts.protected import protected_spans
from prm_eval.texts.steps import split_steps

LENGTH = 200_000
# tenths of a second are needed; what goes over the rest of the text at every place needs minutes
SECONDS = 10.0


def without_system(text: str) -> str:
    return without_prompt(f"user\nq{text}", "q")


def two_paths(text: str) -> object:
    names = (f"x/{text}", f"y/{text}")
    found = short_names(names)
    assert found == {name: name for name in names}
    return found


HOSTILE: list[tuple[str, Callable[[str], object], str, str]] = [
    ("turns that never end", statement_in, "", "[INST]"),
    ("turns with space that never end", statement_in, "", "[INST] "),
    ("a prompt with much space and no reply", without_system, "", " "),
    ("a prompt with many lines and no reply", without_system, "", "\n"),
    ("a price of commas", protected_spans, "$1", ","),
    ("a price of numbers and commas", protected_spans, "$1", "1,"),
    ("many prices", protected_spans, "", "$1, "),
    ("a judgement of space", JUDGEMENT.findall, "judgement:", " "),
    ("a judgement of stars", JUDGEMENT.findall, "judgement:", "*"),
    ("folders of a cache that go on", short_name, "", "models--"),
    ("parts of a path", short_name, "", "/"),
    ("two paths that are alike up to their starts", two_paths, "", "a/"),
    *((f"{splitter}: {piece!r}", partial(split_steps, splitter=splitter), "", piece)
      for splitter in ("step_k", "paragraph", "thought")
      for piece in (" ", "\n", "$", "$\n", "> ", "- ", "[", "| a ", "**", "<think>", "\\boxed{")),
]  # fmt: skip


@pytest.mark.parametrize("why, scan, begin, piece", HOSTILE, ids=[case[0] for case in HOSTILE])
def test_a_hostile_text_takes_no_longer_than_its_length(
    why: str, scan: Callable[[str], object], begin: str, piece: str
) -> None:
    """A scan that starts over at every place would take minutes for one text of 200 kB, hours for one of a megabyte."""
    text = begin + piece * (LENGTH // len(piece)) + "x"
    start = time.perf_counter()
    scan(text)
    assert time.perf_counter() - start < SECONDS


@pytest.mark.parametrize("prompt, statement", [
    ("[INST] a [/INST] b [INST] c [/INST]", "c"),
    ("[INST] a [/INST] b [INST] c", "a"),
    ("[INST] a [INST] b [/INST]", "a [INST] b"),
    ("[INST] a", "[INST] a"),
    ("[/INST] a [INST]", "[/INST] a [INST]"),
])  # fmt: skip
def test_turns_are_read_as_before(prompt: str, statement: str) -> None:
    """The contrast: the last whole turn is the statement; without one the text is."""
    assert statement_in(prompt) == statement


@pytest.mark.parametrize("text, reply", [
    ("user\nq<|im_end|>\n<|im_start|>assistant\nr", "r"),
    ("user\nq\n\nassistant\nr", "r"),
    ("user\nq assistant r", "user\nq assistant r"),
    ("assistant\nq", "assistant\nq"),
])  # fmt: skip
def test_prompts_are_left_out_as_before(text: str, reply: str) -> None:
    """The contrast: what follows the first reply's mark is the reply; without a mark the text is whole."""
    assert without_prompt(text, "q") == reply


@pytest.mark.parametrize("said, verdicts", [
    ("Judgement: Yes", ["Yes"]), ("judgment:** no", ["no"]), ("Judgement: ** \n yes.", ["yes"]),
    ("Judgement: nope", []),
])  # fmt: skip
def test_judgements_are_read_as_before(said: str, verdicts: list[str]) -> None:
    """The contrast: stars of bold type with space on either side do not hide a verdict."""
    assert JUDGEMENT.findall(said) == verdicts


@pytest.mark.parametrize("price", ["$$5 dollars", "$$1,000, and", "$$1,000.50,\n", "$$3k.", "$$12, 5", "$$1,200/month"])
def test_prices_are_read_as_before(price: str) -> None:
    """The contrast: the sign of a price opens no display, so that the blank lines after it are cuts."""
    assert split_steps(f"It costs {price}\n\nSo\n\nthe $$x$$ end", "blank_line") == (
        f"It costs {price.strip()}", "So", "the $$x$$ end")  # fmt: skip
