"""A response that is nothing but its answer: one short line that reads as a value."""

from __future__ import annotations

import re

from prm_eval.grading.finding.found import Extraction, trimmed
from prm_eval.grading.reading.parser import parse
from prm_eval.grading.reading.tokens import LatexError
from prm_eval.grading.reading.tree import Node, Words

LONGEST = 120
_LETTER = re.compile(r"[(\[]?[A-J][)\].]?")
_WORDS = frozenset(["yes", "no", "true", "false", "no solution"])
_DISPLAY = re.compile(r"\s*(?:\$\$|\\\[)\s{0,8}([^\n$]{1,120}?)\s{0,8}(?:\$\$|\\\])\s*")


def whole(body: str) -> Extraction | None:
    """Return a text that is one value as the answer; None for prose, several lines, or a text that cannot be read."""
    stripped = body.strip()
    if not stripped or len(stripped) > LONGEST + 12:
        return None
    display = _DISPLAY.fullmatch(body)
    start = display.start(1) if display else body.index(stripped)
    end = display.end(1) if display else start + len(stripped)
    if "\n" in body[start:end] or len(body[start:end]) > LONGEST:
        return None
    found = trimmed(body, start, end, "whole")
    if found is None:
        return None
    bare = found.answer.strip(" $.")
    if _LETTER.fullmatch(bare):
        return found
    try:
        node = parse(found.answer)
    except (LatexError, ArithmeticError, ValueError, RecursionError):
        return None
    return found if _is_value(node, found.answer) else None


def _is_value(node: Node, answer: str) -> bool:
    """Say whether a text that can be read is a value: it holds a digit or mathematics, or is a word that answers."""
    if isinstance(node, Words):
        return node.text in _WORDS or bool(re.search(r"\\text", answer))
    return bool(re.search(r"[\d\\$]", answer)) or bool(re.fullmatch(r"[a-zA-Z](?:\s?[-+*/^=]\s?[a-zA-Z])*", answer))
