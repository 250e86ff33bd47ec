"""Rules for texts and numbers in files beyond their types, and faults against them, which are harmless to show."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

SHOWN = 80  # characters of a stranger's value that a fault repeats
PLAIN_SYMBOLS = "\u00a9\u00ae\u00b0\u2122"  # the makers of processors write some of these
# Bidirectional controls reorder what stands around them, and zero-width characters make two names look alike; both are
# "format" characters (Cf).
BAD_CATEGORIES = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
# Characters that count as letters or symbols but show nothing: fillers of Hangul, the blank of Braille, and those that
# Unicode calls default-ignorable.
INVISIBLE = frozenset(
    "\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0"
    + "".join(map(chr, (*range(0x180B, 0x1810), *range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0))))
)
NAMES = {str: "a text", int: "a whole number", float: "a number", bool: "true or false", type(None): "null"}
A_TEXT = NAMES[str]


@dataclass(frozen=True)
class Text:
    """A rule for a string.

    Attributes:
        most: The largest number of characters.
        pattern: A regular expression that the whole string must match.
        words: The pattern, in words.
        symbols: Whether pictures are allowed; in a name they could imitate our own marks.
    """

    most: int = 300
    pattern: str | None = None
    words: str = ""
    symbols: bool = True


# the rule for the name of a field that no type names
OPEN_KEY = Text(40, r"[A-Za-z_][A-Za-z0-9_]*", "a name of letters, digits and underscores")


@dataclass(frozen=True)
class Number:
    """A rule for a number, which must be finite and within limits.

    Attributes:
        least: The smallest value allowed.
        most: The largest value allowed.
        above: The limit that the value must exceed, where there is no smallest value.
    """

    least: float | None = None
    most: float | None = None
    above: float | None = None


@dataclass(frozen=True)
class Size:
    """A rule for the number of entries of a list or an object."""

    least: int = 0
    most: int = 100


@dataclass(frozen=True)
class Words:
    """The words in which a fault says what was expected, whatever is wrong at this place or within it."""

    words: str


@dataclass(frozen=True)
class FieldFault:
    """A fault of one field: what was found there and what was expected.

    Attributes:
        where: The path of the field, as ``model.revision``.
        found: What is there.
        expected: What must be there.
        kind: "field", or "text" for characters that no text may hold.
    """

    where: str
    found: str
    expected: str
    kind: Literal["field", "text"] = "field"

    def __str__(self) -> str:
        return f"{self.where} = {self.found}; expected {self.expected}"


def shown(value: Any) -> str:
    """Return a stranger's value for a message: short and in ASCII, so that it cannot act on a terminal or a page."""
    if isinstance(value, (dict, list, tuple)):
        inner = value.values() if isinstance(value, dict) else value
        if len(value) > 4 or any(isinstance(each, (dict, list, tuple)) for each in inner):
            return f"{type(value).__name__} of {len(value)} entries"
    text = ascii(value)
    return text if len(text) <= SHOWN else text[: SHOWN - 3] + "..."


def bad_characters(text: str) -> list[str]:
    """Return the characters of a text that no text in a file may hold.

    These are control, format (bidirectional, zero-width), surrogate, private, unassigned and invisible characters. Line
    breaks and tabs are left to the patterns: a note may have them, a name may not.
    """
    distinct = (each for each in dict.fromkeys(text) if each not in "\n\t")
    return [each for each in distinct if each in INVISIBLE or unicodedata.category(each) in BAD_CATEGORIES]


def harmless(text: str) -> str:
    """Return a text for a terminal: the characters of :func:`bad_characters` are spelt out, as Python writes them.

    Line breaks and tabs stay.
    """
    for each in bad_characters(text):
        text = text.replace(each, ascii(each)[1:-1])
    return text


def rule_words(base: Any, rule: Any) -> str:
    """Return a type with its rule in words; empty where the rule adds nothing to the type's name."""
    if isinstance(rule, (Words, Text)):
        return rule.words
    if not isinstance(rule, Number):
        return ""
    if rule.least is not None and rule.most is not None:
        return f"{NAMES[base]} from {rule.least:g} to {rule.most:g}"
    limits = {"of at least": rule.least, "above": rule.above, "of at most": rule.most}
    return f"{NAMES[base]} " + ", ".join(f"{words} {each:g}" for words, each in limits.items() if each is not None)


def text_faults(value: str, rule: Text | None, where: str) -> Iterator[FieldFault]:
    """Yield the faults of a text.

    Args:
        value: The text.
        rule: Its rule; None where any text without bad characters will do.
        where: The path of the field.
    """
    if bad := bad_characters(value):
        codes = ", ".join(f"U+{ord(each):04X}" for each in bad[:5])
        yield FieldFault(where, f"the characters {codes}", "text without control and invisible characters", "text")
    if rule is None:
        return
    if len(value) > rule.most:
        yield FieldFault(where, f"{len(value):,} characters", f"at most {rule.most:,}")
    elif not rule.symbols and any(unicodedata.category(each) == "So" and each not in PLAIN_SYMBOLS for each in value):
        yield FieldFault(where, shown(value), "a line without pictures and marks such as \\u2713")
    elif rule.pattern is not None and re.fullmatch(rule.pattern, value, re.ASCII) is None:
        yield FieldFault(where, shown(value), rule.words)
