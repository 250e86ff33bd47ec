r"""Answers in fields: ``<answer>...</answer>``, the ``"answer"`` of a JSON-like object, the box tokens of GLM.

Models break the JSON that they are asked for: quotes are missing or escaped, backslashes are single, keys stand in
backticks. So no JSON is parsed: the last field of that name is looked for, and its value is read from there.
"""

from __future__ import annotations

import re
from dataclasses import replace

from prm_eval.grading.finding.found import Extraction, trimmed

MAX_LIST = 600  # characters of a list in a field
_TAGS = ("answer", "final_answer", "final-answer", "finalanswer")
_KEY = re.compile(
    r"""(?P<quote>\\?["'`“”]?)(?:(?<![a-z_])|(?<=\\n))(?:final[_ ]?)?answer"""
    r"""(?P<close>\\?["'`“”])\s{0,8}:\s{0,80}(?=\S)""",
    re.IGNORECASE,
)
_STRING = re.compile(r'"((?:[^"\\\n]|\\.){0,2000})"', re.DOTALL)
_SINGLE = re.compile(r"'((?:[^'\\\n]|\\.){0,2000})'(?=\s*(?:[,}\n]|$))")
_ESCAPED = re.compile(r'\\"((?:[^"\\\n]|\\[^"\n]){0,2000})\\"')
_NUMBER = re.compile(
    r"-?\d(?:[\d_]|,(?=\d{3}(?!\d))){0,40}(?:\.\d{0,40})?(?:[eE][-+]?\d{1,4})?(?:/\d{1,20})?%?(?![\w.])"
)
_ITEM = re.compile(r'\s*(?:"((?:[^"\\\n]|\\.){0,300})"|\'([^\'\n]{0,300})\'|([^,"\'\[\]{}\n]{1,100}))\s*(?:,|$)')
_BOX_OPEN, _BOX_CLOSE = "<|begin_of_box|>", "<|end_of_box|>"


def tagged(body: str) -> Extraction | None:
    """Return the content of the last answer tag; one without a closing tag counts on the last line only."""
    folded = body.casefold() if body.isascii() else body
    best: tuple[int, int] | None = None
    for name in _TAGS:
        start = folded.rfind(f"<{name}>")
        if start < 0:
            continue
        content = start + len(name) + 2
        end = folded.find(f"</{name}>", content)
        if end < 0 and folded.rfind(f"</{name}>") >= 0:
            end = folded.rfind(f"</{name}>")  # the last tag was opened again and not closed: the one before it
            start = folded.rfind(f"<{name}>", 0, end)
            content = start + len(name) + 2
        if end < 0 and "\n" not in body[content : content + 300].strip() and len(body) - content < 300:
            end = len(body)
        if start >= 0 and end >= content and (best is None or start > best[0]):
            best = content, end
    return trimmed(body, *best, "tag") if best else None


def token_boxed(body: str) -> Extraction | None:
    """Return the text between the last pair of GLM's box tokens."""
    end = body.rfind(_BOX_CLOSE)
    start = body.rfind(_BOX_OPEN, 0, end) if end >= 0 else -1
    return trimmed(body, start + len(_BOX_OPEN), end, "tag") if start >= 0 else None


def field(body: str) -> Extraction | None:
    r"""Return the value of the last ``"answer"`` field.

    One level of escaping is undone: models write both ``\\frac`` and ``\frac`` there. A key with escaped quotes stands
    inside another string, and counts only where there is no other key.
    """
    if "nswer" not in body and "NSWER" not in body:
        return None
    keys = list(_KEY.finditer(body))[-100:]
    plain = [each for each in keys if not each.group("close").startswith("\\")]
    for key in reversed(plain or keys):
        found = _value(body, key)
        if found is not None:
            return found
    return None


def _value(body: str, key: re.Match[str]) -> Extraction | None:
    at = key.end()
    for pattern in (_STRING, _SINGLE, _ESCAPED):
        if found := pattern.match(body, at):
            return _unescaped(trimmed(body, *found.span(1), "field"))
    if found := _NUMBER.match(body, at):
        return trimmed(body, *found.span(), "field")
    if body[at] == "[":
        return _listed(body, at)
    if found := re.compile(r"(\\boxed\{[^\n\"]{1,300}\}|\$[^$\n]{1,300}\$|\\frac[^\n\",]{1,100})").match(body, at):
        return trimmed(body, *found.span(), "field")
    return None


def _unescaped(found: Extraction | None) -> Extraction | None:
    if found is None:
        return None
    return replace(found, answer=re.sub(r"\\(\\|\"|/)", r"\1", found.answer))


def _listed(body: str, at: int) -> Extraction | None:
    """Return the items of a list as an answer: ``["1", "2"]`` is ``1, 2``, and ``[12]`` is 12."""
    end = body.find("]", at, at + MAX_LIST)
    if end < 0:
        return None
    items: list[str] = []
    position, inside = 0, body[at + 1 : end].strip()
    while position < len(inside):
        found = _ITEM.match(inside, position)
        if found is None:
            return None
        items.append(next(group for group in found.groups() if group is not None).strip())
        position = found.end()
    return _unescaped(trimmed(body, at + 1, end, "field", ", ".join(items))) if items and all(items) else None
