r"""Find the final answer in a whole response. Nothing here judges it, and nothing sees gold.

Rules, in order (``Extraction.rule`` says which one found it):

1. ``boxed``: the last balanced ``\boxed{...}`` or ``\fbox{...}`` whose content is not empty; with the boxes
   before it that a comma, "and" or "or" joins to it.
2. ``heading``: what follows ``# Answer`` (PRM800K) or ``####`` (GSM8K), to the end of the line.
3. ``field``: the last ``"answer": ...`` of a JSON-like object, as some prompts ask for.
4. ``phrase``: what follows the last "answer is", "answer:" or "A:" at a line's start, to the end of the sentence.

A text without any of these has no answer; the last number of a text is never taken for one. What a reasoning model thought
before ``</think>`` is not its answer.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from prm_eval.boxed import boxed_spans

MAX_TEXT = 1_000_000  # characters from the end that are searched
MAX_ANSWER = 2_000  # a longer answer is no answer

# the counts are bounded, so that the time stays linear in any text
_HEADING = re.compile(
    r"(?:^|\n)[ \t]{0,8}(?:#{1,6}[ \t]{0,8}Answer[ \t]{0,8}:?[ \t]{0,8}\n\s{0,80}|####[ \t]{0,80})(?=[^\s])",
    re.IGNORECASE,
)
_PHRASE = re.compile(
    r"(?:answer(?:[ \t]{1,8}(?:to[^\n.]{0,60}|here))?[ \t]{0,8}(?:\*\*)?[ \t]{0,8}(?:is|are|:|=)(?:[ \t]{0,8}:)?"
    r"|(?:^|\n)[ \t]{0,8}A:)(?:\*\*)?[ \t]{0,80}\n?[ \t]{0,80}(?=[^\s])",
    re.IGNORECASE,
)
_JOINT = re.compile(r"\}?[\s$]*(?:,[\s$]*)?(?:\\text\{)?\s*(and|or|,)\s*\}?[\s$]*\\(?:boxed|fbox)\s*\{?")
_FIELD = re.compile(
    r"""["']answer["']\s{0,8}:\s{0,8}(?:"((?:[^"\\\n]|\\.){0,2000})"|(-?[\d.,/]{1,60}))""", re.IGNORECASE
)
# a sentence ends at a period that is not inside a number; "3.5" and ".5" go on
_SENTENCE_END = re.compile(r"\.(?=\s|$)|[。]")


@dataclass(frozen=True)
class Extraction:
    """A final answer: its text, where it stands, the rule that found it, and how many boxes the text had."""

    answer: str
    start: int
    end: int
    rule: str
    boxes: int = 0


def extract(text: str | None) -> Extraction | None:
    """Return the final answer of a response, or None. Never raises; time is linear in the text."""
    if not isinstance(text, str) or not text:
        return None
    offset = max(0, len(text) - MAX_TEXT)
    body = text[offset:]
    thought = body.rfind("</think>")
    if thought >= 0:
        offset += thought + len("</think>")
        body = text[offset:]
    boxes = [span for span in boxed_spans(body) if body[span[0] : span[1]].strip(" \t\n~")]
    if boxes:
        return _boxed(body, boxes, offset)
    for pattern, rule in ((_HEADING, "heading"), (_FIELD, "field"), (_PHRASE, "phrase")):
        found = _last(pattern, body)
        if found is not None and rule == "field":
            return _field(body, found, offset)
        if found is not None:
            start = found.end()
            end = body.find("\n", start)
            end = len(body) if end < 0 else end
            if rule == "phrase":
                stop = _SENTENCE_END.search(body, start, end)
                end = stop.start() if stop else end
            result = _trimmed(body, start, end, offset, rule, 0)
            if result is not None:
                return result
    return None


def _boxed(body: str, boxes: list[tuple[int, int]], offset: int) -> Extraction | None:
    r"""Return the last box; boxes joined to it by a comma, "and" or "or" are one answer with it: a list, or a hedge."""
    answer, first = body[slice(*boxes[-1])], boxes[-1][0]
    for start, end in reversed(boxes[:-1]):
        joint = _JOINT.fullmatch(body[end : min(first, end + 60)])
        if joint is None or first > end + 60:
            break
        answer = f"{body[start:end]}{' or ' if joint.group(1) == 'or' else ', '}{answer}"
        first = start
    found = _trimmed(body, *boxes[-1], offset, "boxed", len(boxes))
    if found is None or first == boxes[-1][0]:
        return found
    return (
        Extraction(answer.strip(), offset + first, found.end, "boxed", len(boxes))
        if len(answer) <= MAX_ANSWER
        else None
    )


def _field(body: str, found: re.Match[str], offset: int) -> Extraction | None:
    r"""Return the value of an ``"answer"`` field: models write both ``\\frac`` and ``\frac`` there, so one level is undone."""
    group = 1 if found.group(1) is not None else 2
    result = _trimmed(body, *found.span(group), offset, "field", 0)
    if result is None or group == 2:
        return result
    text = re.sub(r"\\(\\|\"|/)", r"\1", result.answer)
    return Extraction(text, result.start, result.end, result.rule)


def _last(pattern: re.Pattern[str], text: str) -> re.Match[str] | None:
    found = None
    for found in pattern.finditer(text):  # noqa: B007  (the last one is wanted)
        pass
    return found


def _trimmed(text: str, start: int, end: int, offset: int, rule: str, boxes: int) -> Extraction | None:
    raw = text[start:end]
    answer = raw.strip().strip("*").strip().rstrip("。").strip()
    if not answer or len(answer) > MAX_ANSWER:
        return None
    return Extraction(answer, offset + start, offset + end, rule, boxes)
