r"""A solution that stands inside a JSON string, as models write it that were asked for JSON.

``{"reasoning": "2+2=4.\nSo 4.", "answer": "4"}``, in a fence or bare, whole or cut off, is one line for every way of
cutting. It is read here as what it says. Models write LaTeX into such strings without doubling its backslashes and
break lines in them, so the reading is lenient: ``\times`` is the sign, not a tab and "imes".
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from typing import NamedTuple

from prm_eval.texts.protected import Fence, Span, merged
from prm_eval.texts.thinking import TURN_END

_INFO = frozenset(["", "json", "json5", "jsonc", "javascript", "js"])
_OBJECT = re.compile(r"\s*(?:\[\s*)?\{\s*\"[^\"\n]{1,60}\"\s*:")
_BARE = re.compile(r"^[ \t]*(?:\[\s*)?\{\s*\"[^\"\n]{1,60}\"\s*:", re.MULTILINE)
_BARE_KEY = re.compile(r"\s*(?=\"(?:reasoning|solution|explanation|thoughts?|rationale|steps)\"\s*:\s*[\"\[])", re.I)
_SOLUTION_KEY = re.compile(
    r"reason|solution|answer|explan|thought|step|response|rationale|analysis|conclusion|work|proof|chain|calculation"
    r"|final|result|text|content|output|message|derivation|justification",
    re.IGNORECASE,
)
_ANSWER_KEY = re.compile(r"answer|result|final|output", re.IGNORECASE)
_LABEL_KEY = re.compile(r"(?:type|id|role|language|lang|unit|units|confidence|title_level)\Z", re.IGNORECASE)
_CALLED = frozenset(["name", "tool", "tool_name", "function", "action", "tool_calls"])
_CALLED_WITH = frozenset(
    ["arguments", "parameters", "args", "input", "tool_input", "action_input", "inputs", "tool_calls", "kwargs"]
)
MAX_DEPTH = 20

_COLON = re.compile(r"\s*:")
_SPACE = re.compile(r"[\s,]*")
_SCALAR = re.compile(r"-?\d[\d.eE+-]{0,400}|true|false|null|None|True|False|NaN")
_IN_STRING = re.compile(r"[^\"\\]+|\\.", re.DOTALL)
# an unescaped quote ends a string only where JSON goes on, or the object ends
_QUOTE_ENDS = re.compile(r"\s*(?:[:}\]]|,\s*(?:[\"{\[\]}]|-?\d|true|false|null|\Z)|\Z|\"[^\"\n]{1,60}\"\s*:)")
# the commands that begin with what JSON takes for an escape, without that letter; a command ends where no letter
# follows, so that the line break before "otice" is not the sign of negation before "ice"
_LATEX_AFTER = {
    "n": r"abla|eq|e|eg(?:(?:thin|med|thick)space)?|ot(?:in|ag)?|u|ewline|mid|less|geq(?:q|slant)?|leq(?:q|slant)?|i"
    r"|warrow|earrow|atural|ormalsize|olimits|onumber|Rightarrow|cong|parallel|sim|subseteq",
    "t": r"imes|ext(?:bf|it|rm|sf|tt|sc|sl|up|md|normal|style|color|degree|(?:super|sub)script|backslash|dollar|circled"
    r"|asciitilde|asciicircum|bar|bullet|cent|endash|emdash|greater|less|quote(?:dbl)?(?:left|right)|underscore)?"
    r"|heta|anh?|o|frac|riangle(?:q|(?:left|right)(?:eq)?|down)?|au|ilde|op|herefore|hinspace|ag|woheadrightarrow",
    "r": r"ight(?:arrow|harpoon(?:up|down)|left(?:arrows|harpoons)|squigarrow)?|ho|angle|m|ceil|floor|brace|brack|vert"
    r"|oot",
}
_LATEX = {letter: re.compile(rf"(?:{after})(?![a-zA-Z])") for letter, after in _LATEX_AFTER.items()}
_HEX = re.compile(r"[0-9a-fA-F]{4}")


class _Value(NamedTuple):
    """A text in an object, with its key, its depth and the number of the list item it belongs to."""

    key: str
    depth: int
    item: int
    text: str
    is_text: bool


def unwrapped(text: str, code: Sequence[Fence], tools: Sequence[Span]) -> tuple[str, ...]:
    """Return a text in parts, with each solution in JSON replaced by what its strings say; or the text alone.

    Args:
        text: The text.
        code: Its fences.
        tools: The spans of tools in it: JSON in them is no solution.

    Returns:
        The parts, in order. A string of an object is a part, the strings of one object within a list are one. What
        stands before an object goes with its first string.
    """
    if '"' not in text or not ("{" in text or _BARE_KEY.match(text)):
        return (text,)
    parts: list[str] = []
    at = tried = 0
    for start, first, last in _objects(text, code, tools):
        if start < tried:
            continue
        read = _Reader(text, first, last)
        values = _texts(read) if read.run() else []
        tried = max(read.at, start + 1)  # what lies within an object was read with it
        if values:
            lead = _AFTER_OBJECT.sub("", text[at:start]) if parts else text[at:start].strip()
            parts += [f"{lead.strip()}\n\n{values[0]}" if lead.strip() else values[0], *values[1:]]
            at = read.at
    rest = _PADDING.sub("", _AFTER_OBJECT.sub("", text[at:])).strip()
    return (*parts, *([rest] if rest else [])) if parts else (text,)


_PADDING = re.compile(rf"\A(?:\s|{TURN_END.pattern})+\Z")
_AFTER_OBJECT = re.compile(r"\A[\s}\]]*(?:`{3,}|~{3,})?")


def _objects(text: str, code: Sequence[Fence], tools: Sequence[Span]) -> list[tuple[int, int, int]]:
    """Return where an object may stand: the start of what it replaces, and the start and end of its own text."""
    found: list[tuple[int, int, int]] = []
    if bare := _BARE_KEY.match(text):
        found.append((0, bare.end(), len(text)))
    used = merged(tools)
    starts = [start for start, _ in used]
    for fence in code:
        place = bisect_right(starts, fence.start)
        if fence.info.lower() in _INFO and not (place and fence.start < used[place - 1][1]):
            last = fence.end
            while fence.closed and text[last - 1] in "`~":
                last -= 1
            body = text.find("\n", fence.start, last)
            if body >= 0 and _OBJECT.match(text, body, last):
                found.append((fence.start, body, last))
    covered = merged([*used, *((each.start, each.end) for each in code)])
    place = 0
    for each in _BARE.finditer(text):
        while place < len(covered) and covered[place][1] <= each.start():
            place += 1
        if place == len(covered) or each.start() < covered[place][0]:
            found.append((each.start(), each.start(), covered[place][0] if place < len(covered) else len(text)))
    return sorted(found)


def _texts(read: _Reader) -> list[str]:
    """Return the texts of an object in order; none where it is no solution."""
    keys = {each.lower() for each in read.keys}
    prose = [each for each in read.values if each.is_text and len(each.text.split()) > 1]
    if (keys & _CALLED and keys & _CALLED_WITH) or not any(_SOLUTION_KEY.search(each.key) for each in prose):
        return []
    texts: list[str] = []
    previous = -1
    for each in read.values:
        wanted = not _LABEL_KEY.match(each.key) if each.is_text else each.depth == 1 and _ANSWER_KEY.search(each.key)
        if not wanted or not each.text.strip():
            continue
        if each.item >= 0 and each.item == previous:
            texts[-1] += "\n" + each.text.strip()
        else:
            texts.append(each.text.strip())
        previous = each.item
    return texts


class _Reader:
    """A lenient reader of one object: it finds keys and texts, and cares for nothing else."""

    def __init__(self, text: str, first: int, last: int) -> None:
        self.text, self.at, self.last = text, first, last
        self.keys: set[str] = set()
        self.values: list[_Value] = []
        self._key = ""
        self._open: list[str] = []
        self._item = -1
        self._items = 0
        self._after_escape: int | None = None

    def run(self) -> bool:
        """Read up to the end of the object, or of the text; say whether it was JSON up to there."""
        self.at = self._skip()
        if self.text.startswith('"', self.at):
            self._open.append("{")  # the opening brace is missing
        while self.at < self.last:
            sign = self.text[self.at]
            if sign in "{[":
                if len(self._open) >= MAX_DEPTH:
                    return False
                in_item = self._in_item()
                self._open.append(sign)
                if self._in_item() and not in_item:
                    self._item, self._items = self._items, self._items + 1
                self.at += 1
            elif sign in "}]":
                self.at += 1
                if self._open:
                    self._open.pop()
                if not self._in_item():
                    self._item = -1
                if not self._open:
                    return True
            elif sign == '"':
                if not self._string():
                    return False
            elif found := _SCALAR.match(self.text, self.at, self.last):
                self.at = found.end()
                if found.group()[-1].isdigit():
                    self.values.append(_Value(self._key, len(self._open), self._item, found.group(), False))
            else:
                return False
            self.at = self._skip()
        return True

    def _in_item(self) -> bool:
        """Say whether the place is in an object within a list."""
        return "[" in self._open and "{" in self._open[self._open.index("[") :]

    def _skip(self) -> int:
        found = _SPACE.match(self.text, self.at, self.last)
        return found.end() if found else self.at

    def _string(self) -> bool:
        pieces: list[str] = []
        at = self.at + 1
        while at < self.last:
            if found := _IN_STRING.match(self.text, at, self.last):
                pieces.append(self._decoded(found))
                at = found.end()
                if self._after_escape is not None:
                    at = self._after_escape
            elif _QUOTE_ENDS.match(self.text, at + 1, self.last):
                break
            else:
                pieces.append('"')
                at += 1
        self.at = min(at + 1, self.last)
        value = "".join(pieces)
        after = _COLON.match(self.text, self.at, self.last)
        if after and self._open and self._open[-1] == "{":
            self._key = value[:80]
            self.keys.add(self._key)
            self.at = after.end()
        elif after:
            return False
        else:
            self.values.append(_Value(self._key, len(self._open), self._item, value, True))
        return True

    def _decoded(self, found: re.Match[str]) -> str:
        """Return what a run of characters, or one escape, stands for."""
        self._after_escape = None
        piece = found.group()
        if piece[0] != "\\":
            return piece
        sign = piece[1]
        if sign in '\\"/':
            return sign
        if sign in _LATEX:
            if _LATEX[sign].match(self.text, found.end(), self.last):
                return piece
            return {"n": "\n", "t": "\t", "r": ""}[sign]
        if sign == "u" and (code := _HEX.match(self.text, found.end(), self.last)):
            character = chr(int(code.group(), 16))
            if not "\ud800" <= character <= "\udfff":
                self._after_escape = code.end()
                return character
        return piece
