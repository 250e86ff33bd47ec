"""A final answer as it was found, and functions that take off what stands around it."""

from __future__ import annotations

import re
from dataclasses import dataclass

MAX_ANSWER = 2_000  # a longer text is not an answer
# an announcement that ends in these announces nothing: "the answer is as follows", "the answer is within \boxed{}"
_EMPTY_WORDS = frozenset(
    "a an as at above below be box boxed by correct following follows found given here in inside into is it its my"
    " of on "
    "our shown stated that the there therefore these this those thus to within written your form".split()
)
# a box or an announcement of nothing but spacing, empty groups and marks of something left out; \\{\\} is a set
_NOTHING = re.compile(
    r"(?:\\[,;:! ]|\\q?quad\b|\\(?:text|mbox|mathrm)\{\s*\}|\\[hv]?phantom\{[^{}]{0,80}\}"
    r"|\\(?:ldots|dots|cdots|square|Box|boxed)\b|(?<!\\)[{}$~]|\s|\\(?=\s|$))+"
)
_FENCE = re.compile(r"```[a-zA-Z]{0,12}[ \t]{0,8}\n\s{0,40}([^\n`]{1,300}?)\s{0,40}\n?\s{0,8}```")
_TAG = re.compile(
    r"</?(?:b|strong|em|i|u|p|div|span|mark|code|center|font)(?:\s[^<>\n]{0,80})?>|<br\s?/?>", re.IGNORECASE
)
_SMILE = re.compile(r"\s[:;]-?[)D]$")
_POLITE = re.compile(
    r"(?<=[\d\w)}$\]])\s?(?:です|でした|である|だ|となります|になります|입니다|이다|이에요|예요|임|है"
    r"|'?d[iıuü]r)[。.]?$"
)


@dataclass(frozen=True, slots=True)
class Extraction:
    """A final answer: its text, its place, the rule that found it, and the number of boxes in the text.

    ``conflict`` says whether the text states another final answer too: another last box, announcement, heading or
    field, with another value.
    """

    answer: str
    start: int
    end: int
    rule: str
    boxes: int = 0
    conflict: bool = False


def trimmed(text: str, start: int, end: int, rule: str, answer: str | None = None) -> Extraction | None:
    """Return an answer without the emphasis around it; None where nothing is left, or too much for an answer."""
    raw = (text[start:end] if answer is None else answer).strip()
    if raw.startswith("```"):  # a block of code or JSON: what it says is in its fields, but for a block of one line
        fence = _FENCE.match(raw)
        if fence is None or ("{" in fence.group(1) and '"' in fence.group(1)):
            return None
        raw = fence.group(1)
    bare = undressed(raw)
    if not bare or len(bare) > MAX_ANSWER or _NOTHING.fullmatch(bare):
        return None
    words = bare.casefold().strip(" :.,").split()
    if len(words) <= 6 and len(bare) > 2 and _EMPTY_WORDS.issuperset(words):
        return None
    return Extraction(bare, start, end, rule)


def undressed(text: str) -> str:
    """Return an answer without emphasis, quotation marks of code and polite endings: ``**5**`` is 5."""
    bare = _TAG.sub("", text).strip().strip("*`").strip().rstrip("。．").strip()
    bare = bare.strip("~").rstrip("_").strip() if bare.endswith(("_", "~")) else bare
    bare = bare.lstrip("_").strip() if bare.startswith("_") else bare
    while bare.endswith("}") and bare.count("}") > bare.count("{"):  # of the object around it
        bare = bare[:-1].rstrip()
    bare = _SMILE.sub("", bare)
    if '\\"' not in bare and (bare.count('"') == 1 or (len(bare) > 2 and bare[0] == bare[-1] == '"')):
        bare = bare.strip('"').strip()
    if not bare.isascii() or bare.endswith("r"):
        bare = _POLITE.sub("", bare)
    return bare


def bare(answer: str) -> str:
    """Return an answer without what only changes its looks, so that two can be compared as texts."""
    return re.sub(r"[\s$*]|\\[!,;: ]|\\left|\\right|\\d?(?=frac)|\.$", "", answer)


def last(pattern: re.Pattern[str], text: str) -> re.Match[str] | None:
    """Return the last match of a pattern."""
    found = None
    for found in pattern.finditer(text):  # noqa: B007  (the last one is wanted)
        pass
    return found


def lowered(text: str) -> str:
    """Return a text in small letters of the same length.

    Places found in it are places of the text. The Turkish İ is the only letter whose small form is longer.
    """
    return text.replace("\u0130", "i").lower()


def places(small: str, words: tuple[str, ...], most: int = 60) -> list[int]:
    """Return the places of any of some words, ascending; of each word only the last ones."""
    found: set[int] = set()
    for word in words:
        at = len(small)
        for _ in range(most):
            at = small.rfind(word, 0, at)
            if at < 0:
                break
            found.add(at)
            at += len(word) - 1
    return sorted(found)
