"""The phrases with which a final answer is announced, and where it ends. Every count is bounded: the time stays linear."""

from __future__ import annotations

import re

_GAP = r"[ \t]{0,8}"
_STARS = r"(?:\*\*|__)?"
_VERB = "is|are|=|equals|lautet|ist|es|est|é|è|は|是|为|為|would be|must be|should be|will be"
_IS = (
    rf"(?:(?:{_VERB})?{_GAP}{_STARS}{_GAP}[:：]{_GAP}|{_GAP}(?:{_VERB})(?![a-z])"
    r"|[ \t]{0,8}\n?(?=\s{0,8}(?:\$\$|\\\[)))"
)
_AFTER = rf"{_GAP}{_STARS}\s{{0,40}}(?:[\"'“]{{0,2}})(?=[^\s])"

FINAL = re.compile(rf"(?:final|correct){_GAP}(?:answer|result){_GAP}{_STARS}{_GAP}{_IS}{_AFTER}", re.IGNORECASE)
_ANNOUNCING = (
    r"\b(?:answer|ans|correct (?:option|choice)|right (?:option|choice)|respuesta(?: final)?|r[ée]ponse(?: finale)?"
    r"|antwort"
    r"|risposta(?: finale)?|resposta(?: final)?|ответ|答案|答え|正解|answer choice)"
    rf"(?:{_GAP}(?:to[^\n.]{{0,60}}?|here|in [^\n.,]{{0,30}}?|then|thus|therefore))?"
)
PHRASE = re.compile(
    rf"(?:{_ANNOUNCING}{_GAP}{_STARS}{_GAP}\.?{_IS}|(?:^|\n)[ \t]{{0,8}}A[:.](?=[ \t]))(?:[ \t]{{0,4}}(?:option"
    rf"|choice))?{_AFTER}",
    re.IGNORECASE,
)
HEADING = re.compile(
    r"(?:^|\n)[ \t]{0,8}(?:#{1,6}[ \t]{0,8}\**(?:the[ \t])?(?:final[ \t]{1,8})?(?:answer|result)\**[ \t]{0,8}:?\**[ "
    r"\t]{0,8}\n\s{0,80}"
    r"|\*\*(?:the[ \t])?(?:final[ \t]{1,8})?answer:?\*\*[ \t]{0,8}:?[ \t]{0,8}\n\s{0,80}"
    r"|####[ \t]{0,80}(?!\**(?:step|solution|part|case|method|approach|explanation|final|answer)))(?=[^\s])",
    re.IGNORECASE,
)
DENIED = re.compile(
    r"\b(?:not|never|cannot be|isn't|can't be)\s{1,3}(?:equal to |exactly )?\$?\\?[(\[]?\s{0,3}\\(?:boxed|fbox)\s?\{?$",
    re.IGNORECASE,
)
UNSAID = re.compile(r"[.!?]\s|\b(?:or|not|cannot|never|no|neither|nor|without|if|unless)\b|n't\b", re.IGNORECASE)
RUN_ON = re.compile(  # not "Question 2:", which may be a part of the same one
    r"\n[ \t]{0,8}(?:#{1,6}[ \t]{0,4})?\**(?:problem|question|exercise|instruction|input|user|human|q)\**[ \t]{0,4}[:.]"
    r"|<\|(?:im_end|eot_id|endoftext|im_start)\|>",
    re.IGNORECASE,
)
CONCLUSION = re.compile(
    r"(?:^|[.!?:]\s|\n)\s{0,8}\**(?:therefore|thus|hence|so|consequently|in conclusion|finally|in total|altogether|we "
    r"conclude)\b,?",
    re.IGNORECASE,
)
EMPHASIS = re.compile(
    r"(?:^|[.!?:]\s|\n)(?=[^\n]{0,300}\*\*[^*\n]{1,200}\*\*[.!]?\s*$)"
)  # a last sentence with or in bold
_UNIT_WORDS = r"(?:\s{1,3}[a-zA-Z]{1,14}\.?){0,4}"
_LEADING = (
    r"(?:\bis|\bare|\bequals|=|\bhas|\bhave|\bbe|\bof|\bwas|\bto|\bcosts|\btakes|\bgets|\bneeds|\bearns|\bmakes|\bpays"
    r"|\bspent"
    r"|\bspends)\s{1,3}(?:exactly |equal to |about the value )?"
)
_VALUE = r"(?:\*\*)?(?:\$[^$\n]{1,200}\$|\\\((?:(?!\\\)).){1,200}\\\)|\\?\$?-?\d[\d,]*(?:\.\d+)?(?:/\d+)?%?)(?:\*\*)?"
VALUE_END = re.compile(rf"{_LEADING}({_VALUE}){_UNIT_WORDS}\**\s*[.!]?\s*$")
# a sentence ends at a period that is not inside a number; "3.5" and ".5" go on, and so do "p.m." and "a.m."
_SENTENCE_END = re.compile(r"(?<![ap]\.m)(?<!\b[ap])\.(?=\s|\$|\\\)|\\\]|\*|[\"'”]|$)|[。]|\n")
_CLAUSE = re.compile(
    r"(?:,|;|\s-|\s–|\s—)?\s{1,3}(?:since|because|as|which|so|where|when|after|therefore|thus|i\.e\.|that is|given|for "
    r"a total|by"
    r"|per the|I hope)\b"
    r"|\s*\((?:approx|about|or about|or approx|≈|rounded|since|because|which|i\.e)|\s*(?:≈|\\approx)",
    re.IGNORECASE,
)
LONGEST = 2_500
_OPENERS = {"$$": "$$", "\\[": "\\]", "\\(": "\\)", "$": "$"}


def sentence(body: str, start: int) -> tuple[int, int]:
    """Return the span of the value that an announcement goes on with: its mathematics, or its words up to the end of the clause."""
    while start < len(body) and body[start] in " \t\n*\"'“:":
        start += 1
    body = body[: start + LONGEST]  # a longer answer is none; and the work below grows with the square of this
    opener = next((each for each in ("$$", "\\[") if body.startswith(each, start)), None)
    if opener:  # a display: all of it, and nothing else
        end = body.find(_OPENERS[opener], start + 2)
        if end >= 0:
            return start + 2, end
    end = start
    while end < len(body):
        stop = _SENTENCE_END.search(body, end)
        clause = _CLAUSE.search(body, end, stop.start() if stop else len(body))
        limit = min(
            stop.start() if stop else len(body), clause.start() if clause and clause.start() > start else len(body)
        )
        opening = _opening(body, end, limit)
        if opening is None:
            return start, _unquoted(body, start, limit)
        end = opening
    return start, _unquoted(body, start, len(body))


def _opening(body: str, start: int, limit: int) -> int | None:
    """Return where the first inline mathematics that opens before the limit ends; None if none does."""
    found = re.compile(r"\\\(|(?<!\\)\$").search(body, start, limit)
    if found is None:
        return None
    closer = _OPENERS[found.group()]
    end = body.find(closer, found.end())
    line = body.find("\n", found.end())
    if end < 0 or (0 <= line < end):
        return None
    return end + len(closer)


def _unquoted(body: str, start: int, end: int) -> int:
    while end > start and body[end - 1] in "\"'”* \t.":
        end -= 1
    return end
