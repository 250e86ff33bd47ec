"""The value that the last sentence of a text concludes with, where the text announces no answer.

There are two rules. The narrow one is always on: the last sentence begins with "therefore" or its like, or is
emphasised, and ends with the value. The wide one is the grading option ``extraction=conclusion``, for solutions that
nobody prompted for a box: the last complete sentence concludes and holds exactly one quantity, anywhere in it; a
sentence behind it that was cut off is ignored.

The wide rule was tried on two public pools of 32 candidates a problem (StrictPRMBench's, with its labels; 311 problems
of GSM8K and 292 of MATH-500). On GSM8K the share of candidates with an answer rises from 61.3 to 92.9 %, the agreement
with the labels from 70.5 to 95.2 %, and of the 3,137 answers that it adds 296 are wrong. On MATH-500, which was
prompted for a box, the share rises from 95.6 to 97.5 %, the agreement from 85.4 to 86.8 %, and of 181 added answers 54
are wrong. Of the added answers that are right, the labels call 190 wrong on GSM8K and none on MATH-500: these labels
compare the last number of a text, up to its comma (144 of the 190 have a thousands separator, the others another number
behind the value). On the responses of the tests it accepts no wrong answer.

It is off by default because a solution that was cut off in the middle has often concluded something on the way, and an
answer that nobody announced should not vote unless the user asks for it.
"""

from __future__ import annotations

import re

from prm_eval.grading.finding.found import Extraction, last, trimmed
from prm_eval.grading.reading.units import NO_UNIT

TAIL = 600  # characters from the end that are looked at
_UNSAID = re.compile(r"[.!?]\s|\b(?:or|not|cannot|never|no|neither|nor|without|if|unless)\b|n't\b", re.IGNORECASE)
_START = "therefore|thus|hence|so|consequently|in conclusion|finally|in total|altogether|we conclude"
_CONCLUDING = re.compile(rf"(?:^|[.!?:]\s|\n)\s{{0,8}}\**(?:{_START})\b,?", re.IGNORECASE)
_EMPHASIS = re.compile(  # a last sentence with or in bold
    r"(?:^|[.!?:]\s|\n)(?=[^\n]{0,300}\*\*[^*\n]{1,200}\*\*[.!]?\s*$)"
)
_UNIT_WORDS = r"(?:\s{1,3}[a-zA-Z]{1,14}\.?){0,4}"
_LEADING = (
    r"(?:\bis|\bare|\bequals|=|\bhas|\bhave|\bbe|\bof|\bwas|\bto|\bcosts|\btakes|\bgets|\bneeds|\bearns|\bmakes|\bpays"
    r"|\bspent|\bspends)\s{1,3}(?:exactly |equal to |about the value )?"
)
_VALUE = r"(?:\*\*)?(?:\$[^$\n]{1,200}\$|\\\((?:(?!\\\)).){1,200}\\\)|\\?\$?-?\d[\d,]*(?:\.\d+)?(?:/\d+)?%?)(?:\*\*)?"
_VALUE_END = re.compile(rf"{_LEADING}({_VALUE}){_UNIT_WORDS}\**\s*[.!]?\s*$")

_WIDE_START = re.compile(
    rf"[\s>*_#∴-]{{0,8}}(?:and |now,? )?(?:{_START}|as a result|overall|in summary|to summarize|in all|this means"
    rf"|that means|this gives"
    r"|we (?:find|get|have|see)|this leaves|the total|accordingly|ultimately)\b",
    re.IGNORECASE,
)
_ABBREVIATION = r"(?<!\b[A-Z])(?<!\bvs)(?<!\bapprox)(?<!\b[ap]\.m)(?<!\bMr)(?<!\bMrs)(?<!\bDr)(?<!\bNo)"
_BOUNDARY = re.compile(rf"(?:{_ABBREVIATION}\.|[!?。])[*_\"”')\]]{{0,3}}(?=\s|$)|\n\s*")
_DENIED = re.compile(
    r"\?|\b(?:or|neither|nor|unless|let|suppose|assume|need to find|must find|wrong|incorrect|check|verify)\b"
    r"|\b(?:not|never|n't|cannot be|more than|less than|fewer than|at least|at most|over|under|between)\s{1,3}(?:be"
    r" |equal to"
    r" |exactly )?[*(]{0,3}\\?[$(\d-]",
    re.IGNORECASE,
)
_QUANTITY = re.compile(
    r"\$(?=[^$\n]{0,198}[\\^_=+])[^$\n]{1,200}\$(?!\d)|\$(?!\d)[^$\n]{1,200}\$|\$-?\d[\d,]{0,20}\$"
    r"|\\\((?:(?!\\\)).){1,200}\\\)"
    r"|\\\[(?:(?!\\\]).){1,200}\\\]"
    r"|(?<![\w.])-?(?:\\?\$|£|€)?\s?-?(?:\d{1,3}(?:,\d{3})+(?!\d)|\d{1,20})(?:\.\d{1,20})?(?:/\d{1,20})?(?:st|nd|rd"
    r"|th|\s?\\?%)?(?![\w]|\.\d)",
    re.DOTALL,
)
_LAST_DISPLAY = re.compile(r"(?:\\\[|\$\$)\s*((?:(?!\\\]|\$\$|\\\[)[^\n]){1,200}?)[.,\s]*(?:\\\]|\$\$)[.\s*]*$")
_ORDER = re.compile(
    r"(?:step|case|day|part|equation|problem|question|number|figure|option|week|year|grade|level)\s$", re.IGNORECASE
)
_BRACKETED = re.compile(r"(?<![\\\w])\([^()\n]{0,80}\)")


def concluded(body: str) -> Extraction | None:
    """Return the value at the end of the last sentence, if that sentence concludes."""
    tail = body.rstrip()[-TAIL:]
    start = len(body.rstrip()) - len(tail)
    found = last(_CONCLUDING, tail) or last(_EMPHASIS, tail)
    if found is None:
        return None
    value = _VALUE_END.search(tail, found.end())
    if value is None:
        return None
    between = re.sub(r"\$[^$]*\$|\d\.\d", "", tail[found.end() : value.start(1)])
    behind = set(re.findall(r"[a-z']+", tail[value.end(1) :].casefold()))
    if (
        _UNSAID.search(between)
        or len(re.findall(r"\b(?:is|are|was|equals)\b", between)) > 1
        or not NO_UNIT.isdisjoint(behind)
    ):
        return None  # it goes on to another sentence, hedges, denies, or the value is compared with another
    return trimmed(body, start + value.start(1), start + value.end(1), "conclusion")


def concluded_widely(body: str) -> Extraction | None:
    """Return the one quantity of the last complete sentence, if that sentence concludes."""
    whole = body.rstrip()
    tail = whole[-TAIL:]
    offset = len(whole) - len(tail)
    spans = _sentences(tail)
    if not spans:
        return None
    begin, end = spans[-1]
    sentence = tail[begin:end]
    if _DENIED.search(sentence) or not ("**" in sentence or _WIDE_START.match(sentence)):
        return None
    quantity = _only_quantity(sentence)
    if quantity is None:
        return None
    return trimmed(body, offset + begin + quantity[0], offset + begin + quantity[1], "conclusion")


def _sentences(text: str) -> list[tuple[int, int]]:
    """Return the spans of the complete sentences; a display belongs to the sentence before it."""
    spans: list[tuple[int, int]] = []
    start = 0
    for found in _BOUNDARY.finditer(text):
        if text.count("\\[", start, found.start()) > text.count("\\]", start, found.start()):
            continue
        if found.group().startswith("\n") and text.startswith(("\\[", "$$"), found.end()):
            continue
        if text[start : found.end()].strip():
            spans.append((start, found.end()))
        start = found.end()
    if text[start:].strip() and text.endswith(("**", "\\]", "$$")):
        spans.append((start, len(text)))
    return spans


def _only_quantity(sentence: str) -> tuple[int, int] | None:
    """Return the span of a sentence's one quantity: behind its last equals sign, or in bold, or the only one."""
    display = _LAST_DISPLAY.search(sentence)
    if display is not None:
        return _value_of(sentence, *display.span(1))
    plain = _BRACKETED.sub(lambda found: " " * len(found.group()), sentence)
    spans = [each.span() for each in _QUANTITY.finditer(plain) if not _ORDER.search(plain[: each.start()])]
    spans = [span for span in spans if re.search(r"\d", plain[slice(*span)])] or spans
    equals = plain.rfind("=")
    if equals >= 0 and not any(a <= equals < b for a, b in spans):
        spans = [span for span in spans if span[0] > equals]
    emphasised = [span for span in spans if re.search(r"\*\*[^*]*$", plain[: span[0]]) and "**" in plain[span[1] :]]
    if len(spans) > 1 and len(emphasised) == 1 and plain[: emphasised[0][0]].count("**") % 2:
        spans = emphasised
    if not spans or len({plain[slice(*span)].strip("$ ") for span in spans}) != 1:
        return None
    return _value_of(plain, *spans[-1])


def _value_of(text: str, start: int, end: int) -> tuple[int, int]:
    """Return the span of a calculation's result: the last side of a chain, or what words and numbers equal."""
    inner = text[start:end]
    sides = inner.split("=")
    if len(sides) == 1 or re.search(r"[<>]|\\[lg]e|\\ne", inner):
        return start, end
    asked = "\\text" in sides[0] or not re.search(r"[a-zA-Z]", re.sub(r"\\[a-zA-Z]+|\\[()]", "", sides[0]))
    if len(sides) == 2 and not asked:
        return start, end
    closing = re.search(r"\s*(?:\$|\\[)\]])$", inner)
    return start + inner.rfind("=") + 1, end - (len(closing.group()) if closing else 0)
