r"""Find the final answer in a whole response. Nothing here judges it, and nothing sees gold.

Rules, in order (``Extraction.rule`` says which one found it):

1. ``boxed``: the last balanced ``\boxed{...}`` or ``\fbox{...}`` whose content is not empty; with the boxes before it
   that a comma, "and" or "or" joins to it; with the sign before it and the unit, base or factor behind it:
   ``-\boxed{5}\text{ cm}``. Where the text goes on to say "the final answer is ...", that is taken (``announcement``).
2. ``heading``: what follows ``# Answer`` (PRM800K), ``####`` (GSM8K) or a heading "Final answer".
3. ``tag``, ``field``: the last ``<answer>...</answer>``, or ``"answer": ...`` of a JSON-like object, as some prompts
   ask for.
4. ``phrase``: what follows the last "answer is", "answer:" or "A:" at a line's start, to the end of the sentence.
5. ``conclusion``: the value with which a last sentence ends that begins with "therefore" or its like, or is emphasised.
6. ``unclosed_box``: a last box that the mathematics around it closes, though its brace is missing.

A text without any of these has no answer; the last number of a text is never taken for one. What a reasoning model
thought before ``</think>`` is not its answer, and neither is what it makes up after its answer: another "Question:
...".
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from prm_eval.grading.finding.announcements import (
    CONCLUSION,
    DENIED,
    EMPHASIS,
    FINAL,
    HEADING,
    PHRASE,
    RUN_ON,
    UNSAID,
    VALUE_END,
    sentence,
)
from prm_eval.grading.reading.units import KNOWN, NO_UNIT, unit_name
from prm_eval.texts.boxed import boxed_spans

MAX_TEXT = 1_000_000  # characters from the end that are searched
MAX_ANSWER = 2_000  # a longer answer is no answer
NEAR_END = 300  # characters between an answer and the question that a model makes up behind it
MAX_RUN_ON = 20  # places where another question may begin

_LINK = r"(and|or(?:,? (?:perhaps|maybe|alternatively|possibly))?|[,;/]|\\q?quad|(?=\s|\$|\\))"
_JOINT = re.compile(
    rf"\}}?[\s$.]*(?:\\[)\]])?(?:,[\s$]*)?(?:\\text\{{)?\s*{_LINK}"
    r"\s*\}?[\s$]*(?:\\[(\[])?\s*((?:[a-zA-Z]\s*=\s*)?)\\(?:boxed|fbox)\s*\{?"
)
_FIELD = re.compile(
    r"""["'](?:final_?)?answer["']\s{0,8}:\s{0,8}(?:"((?:[^"\\\n]|\\.){0,2000})"|(-?[\d.,/]{1,60}))""", re.IGNORECASE
)
_TAG = re.compile(r"<answer>\s{0,80}((?:(?!</?answer>).){1,2000}?)\s{0,80}</answer>", re.IGNORECASE | re.DOTALL)
_NAME = re.compile(r"([a-zA-Z]\s{0,3}=\s{0,3})\\(?:boxed|fbox)\s{0,8}\{?\s{0,8}$")
_MACRO = re.compile(r"\\(?:boxed|fbox)\s{0,8}\{?\s{0,8}$")
_SIGN = re.compile(  # on one line: a dash that begins a line is a bullet
    r"(?:[=$({\[:,]|\\\(|\\\[|\bis|\bare|\bequals|\bget)[ \t]{0,8}(-|\\\$-?|-\\\$)[ \t]{0,8}$|\n(-)$"
)
_BEHIND = re.compile(
    r"(_\{?\s?\d{1,2}\s?\}?|\s?\^\{?\s?\\circ\s?\}?|\s?\\?%|\^\{?-?\d{1,3}\}?|!(?!\s|$)|/\d{1,6}"
    r"|(?:\\sqrt(?:\[\d\])?\{[^{}]{1,20}\}|\\pi(?![a-z])|i(?![a-z]))+)"
)
_AMBIGUOUS = ("", "unit", "s", "in", "a", "cup", "day")  # words of sentences, or units that contradict nothing
_UNIT_BEHIND = re.compile(
    r"(?:\\[ ,;~:]|[\s~$]|\\[)\]])*(?:\\(?:text|mathrm|mbox|textrm)\{([^{}]{1,40})\}|([a-zA-Z]{1,12}(?: (?:per "
    r")?[a-z]{1,12})?))"
    r"(\s?\^\{?\d\}?)?"
)


@dataclass(frozen=True, slots=True)
class Extraction:
    """A final answer: its text, where it stands, the rule that found it, how many boxes the text had.

    ``conflict`` says whether the text states another final answer too: another last box, announcement, heading or field,
    that is written otherwise.
    """

    answer: str
    start: int
    end: int
    rule: str
    boxes: int = 0
    conflict: bool = False


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
    body, found = _before_run_on(body)
    if not found:
        return None
    first = found[0]
    others = {_bare(each.answer) for each in found if each.rule not in ("conclusion", "unclosed_box")}
    return replace(
        first,
        start=first.start + offset,
        end=first.end + offset,
        conflict=bool(others - {_bare(first.answer)}) and len(others) > 1,
    )


def _before_run_on(body: str) -> tuple[str, list[Extraction]]:
    """Cut off what comes after the answer: another question that the model asks itself."""
    for count, marker in enumerate(RUN_ON.finditer(body)):
        if count >= MAX_RUN_ON:
            break
        found = _candidates(body[: marker.start()])
        if found and found[0].rule != "conclusion" and marker.start() - found[0].end < NEAR_END:
            return body[: marker.start()], found
    return body, _candidates(body)


def _candidates(body: str) -> list[Extraction]:
    """Return what each rule finds, the one that counts first."""
    boxes = [span for span in boxed_spans(body) if body[span[0] : span[1]].strip(" \t\n~")]
    boxed = _boxed(body, boxes) if boxes else None
    announced = _stated(FINAL, body, "announcement")
    if (
        boxed
        and announced
        and (
            announced.start <= boxed.end or "boxed" in announced.answer or not re.search(r"\d|\$|\\", announced.answer)
        )
    ):
        announced = None
    found = [announced, boxed] if announced and boxed else [boxed]
    if not boxed:
        found += [
            _stated(HEADING, body, "heading"),
            _tagged(body),
            _field(body),
            _stated(PHRASE, body, "phrase"),
            _unclosed(body),
            _concluded(body),
        ]
    return [each for each in found if each is not None]


def _bare(answer: str) -> str:
    return re.sub(r"[\s$*]|\\[!,;: ]|\\left|\\right|\\d?(?=frac)|\.$", "", answer)


def _boxed(body: str, boxes: list[tuple[int, int]]) -> Extraction | None:
    r"""Return the last box; boxes joined to it by a comma, "and" or "or" are one answer with it: a list, or a hedge."""
    answer, first = _with_surroundings(body, *boxes[-1]), boxes[-1][0]
    if DENIED.search(body[max(0, first - 60) : first]):
        return None
    joined = False
    for start, end in reversed(boxes[:-1]):
        joint = _JOINT.fullmatch(body[end : min(first, end + 80)])
        if joint is None or first > end + 80:
            break
        if not joint.group(1).strip() and _bare(body[start:end]) == _bare(answer):
            continue  # the same box again
        name = _NAME.search(body[max(0, start - 40) : start])
        value = (name.group(1) if name and joint.group(2) else "") + body[start:end]
        answer = joint.group(2) + answer if name and joint.group(2) and "=" not in answer.split(",")[0] else answer
        answer = f"{value}{' or ' if joint.group(1).startswith('or') else ', '}{answer}"
        first, joined = start, True
    found = _trimmed(body, *boxes[-1], "boxed", answer)
    return replace(found, start=first if joined else found.start, boxes=len(boxes)) if found else None


def _with_surroundings(body: str, start: int, end: int) -> str:
    """Return the content of a box with the sign before it and what belongs to it behind it."""
    answer = body[start:end]
    macro = _MACRO.search(body[max(0, start - 24) : start])
    before = body[max(0, start - 60) : start - (len(macro.group()) if macro else 0)]
    sign = _SIGN.search(before)
    if sign and not answer.lstrip().startswith(("-", "\\$")):
        answer = (sign.group(1) or sign.group(2)) + answer.strip()
    position = end + (body[end : end + 1] == "}")
    behind = _BEHIND.match(body, position, position + 60)
    if behind:
        base = behind.group(1).startswith("_") and "_" in answer
        return answer if base else answer.rstrip() + behind.group(1)
    if re.search(r"[a-zA-Z]{2,}|\\\$|\\?%", answer):
        return answer
    return answer + _unit_behind(body, position)


def _unit_behind(body: str, position: int) -> str:
    r"""Return the unit behind a box, ``$\boxed{14}$ cm``, if it is one that is known: other words say nothing against an answer."""
    found = _UNIT_BEHIND.match(body, position, position + 80)
    if found is None:
        return ""
    words, power = found.group(1) or found.group(2), (found.group(3) or "").strip()
    for each in (words, words.split()[0]) if found.group(1) is None else (words,):
        name = unit_name(each + power)
        if name not in _AMBIGUOUS and set(re.split(r"[ /^\d-]+", name)) - {""} <= KNOWN:
            return f" \\text{{{each.strip()}}}{power}"
    return ""


def _stated(pattern: re.Pattern[str], body: str, rule: str) -> Extraction | None:
    """Return what follows the last place where a pattern announces it."""
    found = _last(pattern, body)
    if found is None:
        return None
    start, end = (found.end(), body.find("\n", found.end())) if rule == "heading" else sentence(body, found.end())
    if rule == "heading" and re.match(r"\s*(?:\$\$|\\\[|\*\*|\\begin)", body[start:]):
        start, end = sentence(body, start)
    return _trimmed(body, start, end if end >= 0 else len(body), rule)


def _tagged(body: str) -> Extraction | None:
    found = _last(_TAG, body)
    return _trimmed(body, *found.span(1), "tag") if found else None


def _field(body: str) -> Extraction | None:
    r"""Return the value of an ``"answer"`` field: models write both ``\\frac`` and ``\frac`` there, so one level is undone."""
    found = _last(_FIELD, body)
    if found is None:
        return None
    group = 1 if found.group(1) is not None else 2
    result = _trimmed(body, *found.span(group), "field")
    if result is None or group == 2:
        return result
    return replace(result, answer=re.sub(r"\\(\\|\"|/)", r"\1", result.answer))


def _concluded(body: str) -> Extraction | None:
    """Return the value at the end of a last sentence that draws the conclusion."""
    tail = body.rstrip()[-600:]
    start = len(body.rstrip()) - len(tail)
    last = _last(CONCLUSION, tail) or _last(EMPHASIS, tail)
    if last is None:
        return None
    value = VALUE_END.search(tail, last.end())
    if value is None:
        return None
    between = re.sub(r"\$[^$]*\$|\d\.\d", "", tail[last.end() : value.start(1)])
    behind = set(re.findall(r"[a-z']+", tail[value.end(1) :].casefold()))
    if (
        UNSAID.search(between)
        or len(re.findall(r"\b(?:is|are|was|equals)\b", between)) > 1
        or not NO_UNIT.isdisjoint(behind)
    ):
        return None  # it goes on to another sentence, hedges, denies, or the value is compared with another
    return _trimmed(body, start + value.start(1), start + value.end(1), "conclusion")


def _unclosed(body: str) -> Extraction | None:
    """Return a last box without its closing brace, if the mathematics around it ends behind it."""
    start = max(body.rfind("\\boxed{"), body.rfind("\\fbox{"))
    if start < 0:
        return None
    start = body.index("{", start) + 1
    end = re.compile(r"\$|\\\)|\\\]|\n|(?<=\d) (?=[a-z])").search(body, start)
    if end is None:
        return None
    found = _trimmed(body, start, end.start(), "unclosed_box")
    if found is None:
        return None
    answer = found.answer.rstrip(".")
    return replace(found, answer=answer + "}" * max(0, answer.count("{") - answer.count("}")))


def _last(pattern: re.Pattern[str], text: str) -> re.Match[str] | None:
    found = None
    for found in pattern.finditer(text):  # noqa: B007  (the last one is wanted)
        pass
    return found


def _trimmed(text: str, start: int, end: int, rule: str, answer: str | None = None) -> Extraction | None:
    raw = text[start:end] if answer is None else answer
    if raw.lstrip().startswith("```"):
        return None  # a block of code or JSON: what it says is in its fields
    trimmed = raw.strip().strip("*`").strip().rstrip("。").strip()
    if not trimmed or len(trimmed) > MAX_ANSWER:
        return None
    return Extraction(trimmed, start, end, rule)
