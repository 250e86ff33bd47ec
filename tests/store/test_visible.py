"""Strangers' texts on a terminal: one escape sequence can clear it, one bidirectional mark can turn a line around."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prm_eval.store.visible import one_line, visible


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain \\theta\n  kept", "plain \\theta\n  kept"),
        ("\x1b[2J\x07", "<ESC>[2J<U+0007>"),
        ("a\theta\r\n", "a<TAB>heta<CR>\n"),
        ("\u202eevil\u2066", "<U+202E>evil<U+2066>"),
        ("\ufeffa\u200bb\u2028c\x85", "<U+FEFF>a<U+200B>b<U+2028>c<U+0085>"),
        ("\ud800 \ue000 \U000e0001", "<U+D800> <U+E000> <U+E0001>"),
        ("é 数 √ π😀 \xa0", "é 数 √ π😀 \xa0"),
    ],
)
def test_what_acts_or_hides_is_shown(text: str, shown: str) -> None:
    """A character that is sent as it is acts on the reader's terminal; one that is dropped hides what was written."""
    assert visible(text) == shown


@given(st.text())
def test_nothing_that_acts_is_left_and_nothing_else_changes(text: str) -> None:
    """Whatever the text: no control, format, surrogate or unassigned character but the line break comes through."""
    shown = visible(text)
    assert all(each == "\n" or unicodedata.category(each)[0] != "C" for each in shown)
    assert visible(shown) == shown
    assert "\n" not in visible(text, lines=False)
    if all(each.isascii() and each.isprintable() for each in text):
        assert shown == text


@given(st.text(), st.integers(4, 50))
def test_one_line_is_one_and_short(text: str, most: int) -> None:
    """A cell of a table with a line break in it, or a thousand characters, is no cell."""
    line = one_line(text, most)
    assert len(line) <= most and "\n" not in line
    if len(text) <= most and text.isascii() and text.isprintable():
        assert line == text
