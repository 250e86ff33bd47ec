r"""The last ``\boxed{...}`` of a text, with the sign before it, the factor or unit behind it, and other boxes."""

from __future__ import annotations

import re
from dataclasses import replace

from prm_eval.grading.finding.found import Extraction, bare, trimmed
from prm_eval.grading.reading.units import KNOWN, NO_UNIT, unit_name

BETWEEN = 120  # characters between two boxes of one list
_DENIED = re.compile(
    r"\b(?:not|never|cannot be|isn't|can't be)\s{1,3}(?:equal to |exactly )?\$?\\?[(\[]?\s{0,3}\\(?:boxed"
    r"|fbox)\s?\{?$",
    re.IGNORECASE,
)
_NAME = re.compile(r"([a-zA-Z](?:_\{?\w{1,3}\}?)?'?\s{0,3}=\s{0,3})\\(?:boxed|fbox)\s{0,8}\{?\s{0,8}$")
_MACRO = re.compile(r"\\(?:boxed|fbox)\s{0,8}\{?\s{0,8}$")
_SIGN = re.compile(  # on one line: a dash that begins a line is a bullet
    r"(?:[=$({\[:,]|\\\(|\\\[|\bis|\bare|\bequals|\bget)[ \t]{0,8}(-|\\pm|±|\\\$-?|-\\\$)[ \t]{0,8}$|\n(-)$"
)
_ARGUMENT = r"\{(?:[^{}]|\{[^{}]{0,40}\}){1,60}\}"
_VALUE_FACTOR = (
    rf"(?:\\sqrt(?:\[\d{{1,3}}\])?{_ARGUMENT}|\\sqrt\s?\d|√\s?\d{{1,6}}|\\[dt]?frac{_ARGUMENT}{_ARGUMENT}"
    rf"|\\pi(?![a-z])|π"
    rf"|i(?![a-z])|e(?=\^)|\d{{1,12}}(?:\.\d{{1,12}})?)(?:\^(?:\{{[^{{}}]{{1,20}}\}}|-?\d{{1,4}}|[a-z]))?"
)
_BEHIND = re.compile(
    r"(?:(?:_\{?\s?\d{1,2}\s?\}?|\s?\^\{?\s?\\circ\s?\}?|\s?\\?%|\^\{?-?\d{1,3}\}?|!(?!\s|$)|/\d{1,6}|[a-z](?![a-zA-Z])"
    rf"|\s?(?!\d){_VALUE_FACTOR}"
    rf"|(?:[\s$]|\\[,;: ]){{0,4}}(?:\\times|\\cdot|×|·|⋅|\*(?!\*))[\s$]{{0,4}}{_VALUE_FACTOR}))+(?!\d|\.\d"
    rf"|\s{{0,4}}[=<>])"
)
_OPENING = re.compile(r"(\\sqrt(?:\[\d{1,3}\])?\{|\\[dt]?frac\{[^{}]{1,40}\}\{|\\[dt]?frac(\{))\s{0,4}$")
_CLOSING = re.compile(r"\s{0,4}\}(\{[^{}]{1,40}\})?")
_CLOSERS = r"(?:\\[ ,;~:!]|[\s~$*]|\\[)\]])*"
_SCALE_BEHIND = re.compile(
    rf"{_CLOSERS}(?:\\(?:text|mathrm|mbox|textrm)\{{)?\s{{0,4}}(dozen|hundred|thousand|million|billion|trillion"
    rf"|lakh|crore"
    r"|万|亿|squared|cubed|factorial)(?![a-zA-Z])(?:\s{1,3}([a-zA-Z]{1,12})(?![a-zA-Z]))?"
)
_AMBIGUOUS = ("", "unit", "s", "in", "a", "cup", "day")  # words of sentences, or units that contradict nothing
_UNIT_BEHIND = re.compile(
    rf"{_CLOSERS}(?:\\(?:text|mathrm|mbox|textrm)\{{([^{{}}]{{1,40}})\}}|([a-zA-Z]{{1,12}}(?: (?:per"
    rf" )?[a-z]{{1,12}})?))"
    r"(\s?\^\{?\d\}?)?"
)
_OR = r"(?:,\s?)?(?:\\text\{\s{0,4}|\()?(?:or(?: (?:maybe|perhaps|possibly|even))?|或者?|oder|ou|または|또는)\s{0,4}\}?"
_AND = r"(?:,\s?)?(?:\\text\{\s{0,4})?(?:and|&|和|与|und|et|y)\s{0,4}\}?"
_ANOTHER = (
    rf"(?:\\[ ,;~:!]|[\s~])*(?:\$|\\\()?\s{{0,4}}((?:[a-zA-Z](?:_\{{?\w{{1,3}}\}}?)?\s{{0,3}}=\s{{0,3}})?"
    rf"-?\s?(?:\\\$|\$)?(?:{_VALUE_FACTOR})(?:/\d{{1,6}}|\\?%)?)"
)
_ALTERNATIVE = re.compile(rf"{_CLOSERS}{_OR}{_ANOTHER}")
_OPEN_END = re.compile(rf"{_CLOSERS}(or\s(?:more|less|fewer|greater|higher|lower)\b)")
_FELLOW = re.compile(rf"{_CLOSERS}{_AND}{_ANOTHER}(?:\$|\\\))?\s{{0,4}}(?:\.|!|$|\n)(?!\d)")
_TYPOGRAPHY = re.compile(r"\\q?quad|\\[ ,;~:!]|\\[()\[\]]|\\(?:text|textbf|mathrm|mbox)\s?\{|\$|\*\*|~|\{|\}|&|\\\\")
_LABEL = re.compile(r"(?:\(?[a-hivx]{1,3}\)|\d{1,2}[.)])(?=\s|$)")
_LINK = re.compile(
    r"\s*(,|;|/|、|，)?\s*(and|or|as well as|或者?|和|与|及|und|oder|et|ou|y|o)?(?:,? (?:perhaps|maybe|alternatively"
    r"|possibly))?\s*(?:for )?((?:[a-zA-Z](?:_\w{1,4})?'?\s*=\s*)?)\s*",
    re.IGNORECASE,
)
_ORS = frozenset(["or", "或", "或者", "oder", "ou", "o"])


def boxed(body: str, boxes: list[tuple[int, int]]) -> Extraction | None:
    r"""Return the last box, as one answer with the boxes that a comma, "and" or "or" joins to it."""
    first, end = boxes[-1]
    if _DENIED.search(body[max(0, first - 60) : first]):
        return None
    answer = _with_surroundings(body, first, end)
    name = _name(body, first)
    joined = False
    for start, stop in reversed(boxes[:-1]):
        if first > stop + BETWEEN:
            break
        link = _link(body, stop, first, _name(body, start))
        if link is None:
            break
        if link == "same" and bare(body[start:stop]) == bare(answer):
            continue  # the same box again
        before = _name(body, start)
        value = (before if before and name else "") + _with_sign(body, start, body[start:stop])
        answer = name + answer if before and name and "=" not in answer.split(",")[0] else answer
        answer = f"{value}{' or ' if link == 'or' else ', '}{answer}"
        first, joined = start, True
    found = trimmed(body, *boxes[-1], "boxed", answer)
    return replace(found, start=first if joined else found.start, boxes=len(boxes)) if found else None


def _name(body: str, start: int) -> str:
    found = _NAME.search(body[max(0, start - 40) : start])
    return found.group(1) if found else ""


def _link(body: str, end: int, start: int, name: str) -> str | None:
    """Return how the text between two boxes joins them: "or", "list" or "same" (no text); None where it does not."""
    position = end + (body[end : end + 1] == "}")
    macro = _MACRO.search(body[max(0, start - 24) : start])
    between = body[position : start - (len(macro.group()) if macro else 0)]
    lines = [line.strip() for line in _TYPOGRAPHY.sub(" ", between).split("\n")]
    if len(lines) > 1 and re.match(r"(?:[-*•+]|\(?\w{1,3}[.)])(?:\s|$)", lines[-1]):  # the next item of a list of lines
        rest = _LABEL.sub("", lines[-1].lstrip("-*•+ ")).strip()
        own_line = body[body.rfind("\n", 0, end) + 1 : end]
        item = re.match(r"\s*(?:[-*•+]|\(?\w{1,3}[.)])\s", own_line)
        if not item or any(line.strip(" .,;") for line in lines[:-1]):
            return None
        fits = re.fullmatch(r"(?:[a-zA-Z](?:_\w{1,4})?'?\s*=\s*)?", rest)
        return "list" if fits else None
    plain = " ".join(" ".join(lines).split())
    found = _LINK.fullmatch(plain.lstrip(". "))
    if found is None or (found.group(3) and not (found.group(1) or found.group(2)) and not name):
        return None
    if found.group(2) and found.group(2).casefold() in _ORS:
        return "or"
    return "list" if found.group(1) or found.group(2) else "same"


def _with_sign(body: str, start: int, answer: str) -> str:
    macro = _MACRO.search(body[max(0, start - 24) : start])
    before = body[max(0, start - 60) : start - (len(macro.group()) if macro else 0)]
    sign = _SIGN.search(before)
    if sign and not answer.lstrip().startswith(("-", "\\$", "\\pm")):
        return (sign.group(1) or sign.group(2)) + " " * sign.group().rstrip().endswith("pm") + answer.strip()
    return answer


def _with_surroundings(body: str, start: int, end: int) -> str:
    """Return the content of a box with the sign before it and the factor or unit behind it."""
    enclosed = _enclosed(body, start, end)
    if enclosed is not None:
        return enclosed
    answer = _with_sign(body, start, body[start:end])
    position = end + (body[end : end + 1] == "}")
    if behind := _BEHIND.match(body, position, position + 100):
        if behind.group().startswith("_") and "_" in answer:
            return answer
        answer, position = answer.rstrip() + behind.group(), behind.end()
    if not re.search(r"[a-zA-Z]{2,}", re.sub(r"\\[a-zA-Z]+", "", answer)):
        scale = _SCALE_BEHIND.match(body, position, position + 80)
        if scale:
            answer += "".join(f" \\text{{{word}}}" for word in scale.groups() if word)
            position = scale.end()
        elif not re.search(r"[a-zA-Z]{2,}|\\\$|\\?%", answer):
            answer += _unit_behind(body, position)
    return answer + _alternative(body, position, answer)


def _enclosed(body: str, start: int, end: int) -> str | None:
    r"""Return the whole root or fraction around a box, ``\\sqrt{\\boxed{5}}``; None where there is none around it."""
    macro = _MACRO.search(body[max(0, start - 24) : start])
    before = _OPENING.search(body[max(0, start - 80) : start - (len(macro.group()) if macro else 0)])
    behind = _CLOSING.match(body, end + 1, end + 80) if body[end : end + 1] == "}" else None
    if before is None or behind is None or (behind.group(1) is None) != (before.group(2) is None):
        return None
    return f"{before.group(1)}{body[start:end]}}}{behind.group(1) or ''}"


def _alternative(body: str, position: int, answer: str) -> str:
    r"""Return the other value offered behind a box, ``\boxed{5} or 6``, with the word that joins it."""
    for pattern, word in ((_ALTERNATIVE, " or "), (_OPEN_END, " "), (_FELLOW, ", ")):
        found = pattern.match(body, position, position + 100)
        if found:
            return f"{word}{found.group(1)}" if bare(found.group(1)) != bare(answer) else ""
    return ""


def _unit_behind(body: str, position: int) -> str:
    r"""Return the unit behind a box, ``$\boxed{14}$ cm``, if it is a known unit; other words are ignored."""
    found = _UNIT_BEHIND.match(body, position, position + 80)
    if found is None:
        return ""
    words, power = found.group(1) or found.group(2), (found.group(3) or "").strip()
    for each in (words, words.split()[0]) if found.group(1) is None else (words,):
        if not NO_UNIT.isdisjoint(each.split()):
            continue
        name = unit_name(each + power)
        if name not in _AMBIGUOUS and set(re.split(r"[ /^\d-]+", name)) - {""} <= KNOWN:
            return f" \\text{{{each.strip()}}}{power}"
    return ""
