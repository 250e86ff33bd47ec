"""What a text or a number in a file must be, beside its type, and how a fault is told: short, and harmless to show."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

SHOWN = 80  # characters of a stranger's value that a fault repeats
# Bidirectional controls reorder what stands around them; zero-width characters make two names look alike; both are
# "format" characters.
PLAIN_SYMBOLS = "\u00a9\u00ae\u00b0\u2122"  # the makers of processors write some of these
BAD_CATEGORIES = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
# Letters and symbols by category that show nothing: fillers of Hangul, the blank of Braille, what Unicode calls
# default-ignorable.
INVISIBLE = frozenset(
    "\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0"
    + "".join(map(chr, (*range(0x180B, 0x1810), *range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0))))
)
NAMES = {str: "a text", int: "a whole number", float: "a number", bool: "true or false", type(None): "null"}
A_TEXT = NAMES[str]


@dataclass(frozen=True)
class Text:
    """What a string must be.

    Attributes:
        most: Characters at most.
        pattern: A regular expression that the whole of it matches.
        words: The pattern, in words.
        symbols: Whether pictures are allowed: in a name they may be made to look like a mark of ours.
    """

    most: int = 300
    pattern: str | None = None
    words: str = ""
    symbols: bool = True


# of a field that no type names
OPEN_KEY = Text(40, r"[A-Za-z_][A-Za-z0-9_]*", "a name of letters, digits and underscores")


@dataclass(frozen=True)
class Number:
    """What a number must be: finite, and within limits.

    Attributes:
        least: The smallest allowed.
        most: The largest allowed.
        above: What it must be larger than, where there is no smallest.
    """

    least: float | None = None
    most: float | None = None
    above: float | None = None


@dataclass(frozen=True)
class Size:
    """How many entries a list or an object has."""

    least: int = 0
    most: int = 100


@dataclass(frozen=True)
class Words:
    """What a fault says was expected, whatever is wrong at this place or within it."""

    words: str


@dataclass(frozen=True)
class FieldFault:
    """One way in which a value is not what it must be.

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
    """Return a stranger's value for a message: short, and ASCII, so that nothing in it acts on a terminal or a page."""
    if isinstance(value, (dict, list, tuple)):
        inner = value.values() if isinstance(value, dict) else value
        if len(value) > 4 or any(isinstance(each, (dict, list, tuple)) for each in inner):
            return f"{type(value).__name__} of {len(value)} entries"
    text = ascii(value)
    return text if len(text) <= SHOWN else text[: SHOWN - 3] + "..."


def bad_characters(text: str) -> list[str]:
    """Return the control, format (bidirectional, zero-width), surrogate, private, unassigned and invisible characters of a text.

    Line break and tab are left to the patterns: a note may have them, a name may not.
    """
    distinct = (each for each in dict.fromkeys(text) if each not in "\n\t")
    return [each for each in distinct if each in INVISIBLE or unicodedata.category(each) in BAD_CATEGORIES]


def rule_words(base: Any, rule: Any) -> str:
    """Return what a rule makes of a type, in words; empty where it adds nothing to the type's name."""
    if isinstance(rule, (Words, Text)):
        return rule.words
    if not isinstance(rule, Number):
        return ""
    if rule.least is not None and rule.most is not None:
        return f"{NAMES[base]} from {rule.least:g} to {rule.most:g}"
    limits = {"of at least": rule.least, "above": rule.above, "of at most": rule.most}
    return f"{NAMES[base]} " + ", ".join(f"{words} {each:g}" for words, each in limits.items() if each is not None)


def text_faults(value: str, rule: Text | None, where: str) -> Iterator[FieldFault]:
    """Yield what is wrong with a text.

    Args:
        value: The text.
        rule: What it must be; None where any text without bad characters will do.
        where: Path of the field.
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
