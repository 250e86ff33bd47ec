r"""Find the final answer in a whole response. Nothing here judges it, and nothing sees gold.

The thoughts of a reasoning model, and what a model makes up after its own turn, are not part of the response
(:mod:`prm_eval.texts.thinking`). In the rest, these rules are tried in order (``Extraction.rule`` is the one that found
the answer):

1. ``boxed``: the last balanced ``\boxed{...}`` or ``\fbox{...}`` whose content is not empty; with the boxes before it
   that a comma, "and" or "or" joins to it, or that stand in the lines of one list; with the sign before it, the factor,
   unit or base behind it, and the other value offered behind it: ``-\boxed{5}\text{ cm}``, ``\boxed{5} or 6``. Where
   the text goes on to "the final answer is ...", or to a line "Answer: ...", that is the answer (``announcement``).
2. ``heading``: what follows ``# Answer`` (PRM800K), ``####`` (GSM8K) or a heading "Final answer".
3. ``tag``, ``field``: the last ``<answer>...</answer>``, or ``"answer": ...`` of a JSON-like object, as some prompts
   ask for.
4. ``phrase``: what follows the last "answer is", "answer:" or "A:" at a line's start, in English or one of some thirty
   other languages, to the end of the sentence.
5. ``unclosed_box``: a last box that the mathematics around it closes, though its brace is missing.
6. ``conclusion``: the value at the end of the last sentence, if that begins with "therefore" or its like, or is
   emphasised; wider with the option ``extraction=conclusion``.
7. ``whole``: the text is nothing but a value.

A text without any of these has no answer; the last number of a text is never taken for one. Where the model asks itself
another question after its answer, "Question: ...", that part is not read. The time is linear in any text, and at most
the last :data:`MAX_TEXT` characters are read.
"""

from __future__ import annotations

import re
from dataclasses import replace

from prm_eval.grading.finding.announcements import (
    ELSEWHERE,
    ELSEWHERE_WORDS,
    FINAL,
    FINAL_WORDS,
    HEADING,
    LINE,
    LINE_PHRASE,
    PHRASE,
    PHRASE_WORDS,
    RUN_ON,
    RUN_ON_WORDS,
    sentence,
)
from prm_eval.grading.finding.boxes import boxed
from prm_eval.grading.finding.conclusions import concluded, concluded_widely
from prm_eval.grading.finding.fields import field, tagged, token_boxed
from prm_eval.grading.finding.found import MAX_ANSWER, Extraction, bare, last, lowered, places, trimmed
from prm_eval.grading.finding.whole import whole
from prm_eval.texts.boxed import boxed_spans, open_box
from prm_eval.texts.thinking import reply_of

MAX_TEXT = 1_000_000  # characters from the end that are searched
NEAR_END = 300  # characters between an answer and the question that a model makes up behind it
BEFORE_WORD = 12  # characters with which an announcement in another language may begin before its word
MAX_RUN_ON = 20  # places where another question may begin

__all__ = ["MAX_ANSWER", "MAX_TEXT", "Extraction", "extract"]

_EMPTY_BOX = re.compile(r"\\(?:boxed|fbox)\s?\{\s{0,8}\}")
_VALUE_SOON = re.compile(r"(?:[^\W\d]{1,20}[,:]?\s){0,3}[^\s\d$\\]{0,3}[\d$\\]")
_FIELD_KEY = re.compile(r"\W{0,4}(?:final_?)?answer\\?[\"'`]", re.IGNORECASE)
_LETTER = re.compile(r"\(?[A-J]\)?(?:[).:,\s]|$)")
_UNSURE = re.compile(r"(?:about|approx|roughly|around|≈|\\approx|not |see |in |as )", re.IGNORECASE)
_OPEN_END = re.compile(r"\$|\\\)|\\\]|\n|(?<=\d) (?=[a-z])")


def extract(text: str | None, *, widely: bool = False) -> Extraction | None:
    """Return the final answer of a response, or None. Never raises; time is linear in the text.

    Args:
        text: The whole response.
        widely: Whether the last sentence may hold its one quantity anywhere (the option ``extraction=conclusion``).
    """
    if not isinstance(text, str) or not text:
        return None
    offset = max(0, len(text) - MAX_TEXT)
    reply = reply_of(text[offset:])
    offset += reply.start
    found = _before_run_on(reply.text, widely)
    if not found:
        return None
    first = found[0]
    others = {bare(each.answer) for each in found if each.rule not in ("conclusion", "unclosed_box")}
    return replace(
        first,
        start=first.start + offset,
        end=first.end + offset,
        conflict=bool(others - {bare(first.answer)}) and len(others) > 1,
    )


def _before_run_on(body: str, widely: bool) -> list[Extraction]:
    """Return the answer before the place where the model asks itself another question, if there is one."""
    small = lowered(body)
    markers = RUN_ON.finditer(body) if any(word in small for word in RUN_ON_WORDS) else ()
    for count, marker in enumerate(markers):
        if count >= MAX_RUN_ON:
            break
        found = _candidates(body[: marker.start()], False)
        if found and found[0].rule != "conclusion" and marker.start() - found[0].end < NEAR_END:
            return found
    return _candidates(body, widely)


def _candidates(body: str, widely: bool) -> list[Extraction]:
    """Return what each rule finds, the one that counts first."""
    spans: list[tuple[int, int]] = []
    if "\\boxed" in body or "\\fbox" in body:
        body = _EMPTY_BOX.sub(lambda found: " " * len(found.group()), body)
        spans = [span for span in boxed_spans(body) if body[span[0] : span[1]].strip(" \t\n~")]
    box = boxed(body, spans) if spans else None
    if box is not None:
        announced = _announced_behind(body, box)
        return [announced, box] if announced else [box]
    found = [token_boxed(body), _stated(HEADING, body, "heading"), tagged(body), field(body), _phrase(body)]
    found += [_unclosed(body), concluded(body)]
    results = [each for each in found if each is not None]
    if not results and widely and (wide := concluded_widely(body)):
        return [wide]
    if not results and (alone := whole(body)):
        return [alone]
    return results


def _announced_behind(body: str, box: Extraction) -> Extraction | None:
    """Return the final answer that a text announces behind its last box: a value, or the letter of a choice."""
    small = lowered(body[box.end :])
    announced = None
    for at in reversed(places(small, FINAL_WORDS)):
        if found := FINAL.match(body, box.end + at):
            announced = _following(body, found.end(), "announcement")
            break
    if announced and "boxed" not in announced.answer and _VALUE_SOON.match(announced.answer):
        return announced
    found = last(LINE, body[box.end :]) if "answer" in small else None
    line = _following(body, box.end + found.end(), "announcement") if found else None
    if line is None or "boxed" in line.answer or _UNSURE.match(line.answer):
        return None
    return line if _LETTER.match(line.answer) or re.match(r"[\d$\\(\[{.-]", line.answer) else None


def _stated(pattern: re.Pattern[str], body: str, rule: str) -> Extraction | None:
    """Return the value behind the last place where a pattern announces one."""
    found = last(pattern, body)
    return _following(body, found.end(), rule) if found else None


def _phrase(body: str) -> Extraction | None:
    """Return the value behind the last announcement in words that has one."""
    small = lowered(body)
    ends: set[int] = set()
    for at in places(small, PHRASE_WORDS):
        if found := PHRASE.match(body, at):
            ends.add(found.end())
    for at in places(small, ELSEWHERE_WORDS, 20):
        tries = (ELSEWHERE.match(body, start) for start in range(max(0, at - BEFORE_WORD), at + 1))
        if found := next((each for each in tries if each), None):
            ends.add(found.end())
    if line := last(LINE_PHRASE, body):
        ends.add(line.end())
    for end in sorted(ends, reverse=True)[:5]:
        result = _following(body, end, "phrase")
        if result is not None:
            return result
    return None


def _following(body: str, start: int, rule: str) -> Extraction | None:
    start, end = (start, body.find("\n", start)) if rule == "heading" else sentence(body, start)
    if rule == "heading" and re.match(r"\s*(?:\$\$|\\\[|\*\*|\\begin)", body[start : start + 80]):
        start, end = sentence(body, start)
    found = trimmed(body, start, end if end >= 0 else len(body), rule)
    return None if found and _FIELD_KEY.match(found.answer) else found  # a field of JSON: its own rule reads it


def _unclosed(body: str) -> Extraction | None:
    """Return the content of a last box without its closing brace, if the mathematics around it ends behind it."""
    start = open_box(body)
    if start is None:
        return None
    end = _OPEN_END.search(body, start)
    if end is None:
        return None
    found = trimmed(body, start, end.start(), "unclosed_box")
    if found is None:
        return None
    answer = found.answer.rstrip(".")
    return replace(found, answer=answer + "}" * max(0, answer.count("{") - answer.count("}")))
