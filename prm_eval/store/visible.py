"""Strangers' texts on a terminal or a page: every character that acts or hides is shown instead of sent."""

from __future__ import annotations

import re
import unicodedata

from prm_eval.store.rules import BAD_CATEGORIES, INVISIBLE

_ODD = re.compile(r"[^\x20-\x7e]")
_NAMES = {"\t": "<TAB>", "\n": "<LF>", "\r": "<CR>", "\x1b": "<ESC>"}
_ODD_BUT_LINES = re.compile(r"[^\x20-\x7e\n]")


def visible(text: str, *, lines: bool = True) -> str:
    r"""Return a text with its control, format and invisible characters made visible.

    A tab becomes ``<TAB>`` (``\t`` would look like LaTeX), a carriage return ``<CR>``, an escape ``<ESC>``, and any
    other character that acts or shows nothing ``<U+202E>``. Line breaks stay, unless ``lines`` is False.
    """
    return (_ODD_BUT_LINES if lines else _ODD).sub(_shown, text)


def one_line(text: str, most: int) -> str:
    """Return the start of a text as one visible line of at most ``most`` characters, with spaces for line breaks."""
    begin = text[: most + 1].replace("\r\n", " ").replace("\n", " ")
    shown = visible(begin, lines=False)
    return shown if len(shown) <= most and len(text) <= most else shown[: max(0, most - 3)] + "..."


def _shown(found: re.Match[str]) -> str:
    character = found.group()
    code = ord(character)
    if character in _NAMES:
        return _NAMES[character]
    if character in INVISIBLE or unicodedata.category(character) in BAD_CATEGORIES:
        return f"<U+{code:04X}>"
    return character
