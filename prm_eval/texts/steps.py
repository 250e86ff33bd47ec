r"""Cut a candidate into steps. A cut never falls inside a display, an environment, a box, a table or a code fence.

Conventions and their users are listed in Lightman et al. 2023 section 2.3 (a line is a step) and in the model cards of
the PRMs (a blank line for Qwen2.5-Math-PRM, "Step k:" for Math-Shepherd). docs/steps.md says what each one does.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Literal, NamedTuple, get_args

from prm_eval.errors import PrmEvalError
from prm_eval.texts.marks import (
    HEADED_STEP,
    LIST_MARK,
    RULE_SIGNS,
    STEP_LEVEL,
    STEP_MARK,
    TURN,
    bare_heading,
    heading_level,
    is_lead_in,
    is_rule,
    is_step_mark,
    leads_to,
)
from prm_eval.texts.protected import Span, fences, merged, protected_spans
from prm_eval.texts.thinking import CLOSER, OPENER
from prm_eval.texts.tool_use import drop_tools, find_tools, kept_with_their_step
from prm_eval.texts.unwrapped import unwrapped

Splitter = Literal[
    "line",
    "blank_line",
    "step_k",
    "given",
    "paragraph",
    "section",
    "thought",
    "line:tools=drop",
    "blank_line:tools=drop",
    "step_k:tools=drop",
    "given:tools=drop",
    "paragraph:tools=drop",
    "section:tools=drop",
    "thought:tools=drop",
]
"""The identity of a way to cut, as pools, recipes and submissions record it."""
SPLITTERS: tuple[Splitter, ...] = get_args(Splitter)
BASE_SPLITTERS = tuple(each for each in SPLITTERS if ":" not in each)
DROPS_TOOLS = ":tools=drop"
SECTION_LENGTH = 2_000
"""Characters after which a section ends with its paragraph, though no heading follows."""

_BLANK = r"\n[^\S\n]*\n\s*"
_LINE = re.compile(r"\n")
_BLANK_LINE = re.compile(_BLANK)
_STEP_K = re.compile(rf"\n(?={STEP_MARK})")
_PARAGRAPH = re.compile(rf"{_BLANK}|\n(?=[ \t>]*\#{{1,6}}[ \t]+\S|{HEADED_STEP})")
_THOUGHT = re.compile(rf"\n(?={TURN})|(?P<closer>(?:{CLOSER})\s*)", re.IGNORECASE)
_OPENER_ONLY = re.compile(rf"\s*(?:{OPENER})\s*", re.IGNORECASE)
_CLOSER_ONLY = re.compile(rf"\s*(?:{CLOSER})\s*", re.IGNORECASE)
_CLOSER_LAST = re.compile(rf"(?:{CLOSER})\s*\Z", re.IGNORECASE)
_MARK_LENGTH = 60  # no mark of thinking is longer


def split_steps(text: str, splitter: str, given: Sequence[str] | None = None) -> tuple[str, ...]:
    """Return the steps of a text, stripped and without empty ones.

    Args:
        text: The candidate.
        splitter: One of :data:`SPLITTERS`.
        given: The steps as their source cut them, used when ``splitter`` is "given".

    Raises:
        PrmEvalError: The splitter is unknown, or is "given" and there are no given steps.
    """
    name = base_splitter(splitter)
    if name == "given":
        if given is None:
            raise PrmEvalError('the pool\'s splitter is "given" but the candidate has no steps')
        if splitter == name:
            return tuple(given)
        return tuple(kept for step in given if (kept := drop_tools(step).strip()))
    if splitter != name:
        text = drop_tools(text)
    code = fences(text)
    tools = find_tools(text, code)
    parts = unwrapped(text, code, [(each.start, each.end) for each in tools])
    if len(parts) == 1 and parts[0] is text:
        spans = merged([*protected_spans(text, code), *kept_with_their_step(text, tools)])
        return tuple(_cut(text, name, spans))
    return tuple(step for part in parts for step in _cut(part, name, _spans(part)))


def base_splitter(splitter: str) -> str:
    """Return the name of a splitter without its option.

    Raises:
        PrmEvalError: There is no such splitter.
    """
    if splitter not in SPLITTERS:
        raise PrmEvalError(f"unknown splitter {splitter!r}; expected one of {', '.join(SPLITTERS)}")
    return splitter.removesuffix(DROPS_TOOLS)


def text_to_judge(text: str, splitter: str) -> str:
    """Return the text that a reward model of whole texts reads: without the tools where the splitter drops them."""
    return drop_tools(text) if splitter.endswith(DROPS_TOOLS) else text


def _spans(text: str) -> list[Span]:
    code = fences(text)
    return merged([*protected_spans(text, code), *kept_with_their_step(text, find_tools(text, code))])


# -- cutting


class _Piece(NamedTuple):
    """A stretch of a text between two cuts, without the space around it; ``after_rule``: a rule stands before it."""

    start: int
    end: int
    after_rule: bool = False


def _cut(text: str, name: str, spans: Sequence[Span]) -> list[str]:
    pieces = _pieces(text, _allowed(_BREAKS[name](text, spans), spans))
    if name in ("paragraph", "section"):
        pieces = _joined(text, pieces)
    if name == "section":
        pieces = _sections(text, pieces)
    return [text[each.start : each.end] for each in pieces]


def _allowed(breaks: Iterator[Span], spans: Sequence[Span]) -> Iterator[Span]:
    """Yield the breaks that do not start within a span."""
    if not spans:
        yield from breaks
        return
    at = 0
    for found in breaks:
        while at < len(spans) and spans[at][1] <= found[0]:
            at += 1
        if at == len(spans) or spans[at][0] >= found[0]:
            yield found


def _pieces(text: str, breaks: Iterable[Span]) -> list[_Piece]:
    """Return what stands between breaks, without what is empty or a rule."""
    pieces: list[_Piece] = []
    start, rule = 0, False
    for stop, following in (*breaks, (len(text), len(text))):
        piece = text[start:stop].lstrip()
        first = stop - len(piece)
        if piece := piece.rstrip():
            rule_here = piece[0] in RULE_SIGNS and is_rule(piece)
            if not rule_here:
                pieces.append(_Piece(first, first + len(piece), rule))
            rule = rule_here
        start = following
    return pieces


def _matches(pattern: re.Pattern[str]) -> Callable[[str, Sequence[Span]], Iterator[Span]]:
    def breaks(text: str, spans: Sequence[Span]) -> Iterator[Span]:
        return (found.span() for found in pattern.finditer(text))

    return breaks


def _numbered_breaks(text: str, spans: Sequence[Span]) -> Iterator[Span]:
    """Yield the breaks before "Step k"; in a text without such marks, those before the numbers of a list."""
    marks = list(_allowed((found.span() for found in _STEP_K.finditer(text)), spans))
    if marks or is_step_mark(text.lstrip()[:400]):
        return iter(marks)
    return iter(_list_breaks(text, spans))


def _list_breaks(text: str, spans: Sequence[Span]) -> list[Span]:
    """Return the breaks before 1., 2., 3., ... at the indentation of the first; a single number is no list."""
    found: list[Span] = []
    indent, last = None, 0
    for each in LIST_MARK.finditer(text):
        at, number = max(each.start() - 1, 0), int(each["number"])
        if indent is None and number == 1:
            indent = each["indent"]
        if each["indent"] != indent or number not in (1, last + 1) or _inside(at, spans):
            continue
        last = number
        found.append((at, each.start()))
    return found if len(found) > 1 else []


def _inside(at: int, spans: Sequence[Span]) -> bool:
    place = bisect_right(spans, (at, -1)) - 1
    return place >= 0 and spans[place][0] < at < spans[place][1]


def _thought_breaks(text: str, spans: Sequence[Span]) -> Iterator[Span]:
    """Yield the breaks before a turn of thought, and behind the mark that ends all thinking."""
    for found in _THOUGHT.finditer(text):
        yield (found.end(), found.end()) if found["closer"] else found.span()


_BREAKS: dict[str, Callable[[str, Sequence[Span]], Iterator[Span]]] = {
    "line": _matches(_LINE),
    "blank_line": _matches(_BLANK_LINE),
    "step_k": _numbered_breaks,
    "paragraph": _matches(_PARAGRAPH),
    "section": _matches(_PARAGRAPH),
    "thought": _thought_breaks,
}


# -- joining


def _joined(text: str, pieces: Sequence[_Piece]) -> list[_Piece]:
    """Join headings, lead-ins and opening marks with what follows, and closing marks with what they close."""
    joined: list[_Piece] = []
    last = ""
    for each in pieces:
        piece = text[each.start : each.end]
        if joined and _belong_together(last, piece):
            before = joined.pop()
            joined.append(_Piece(before.start, each.end, before.after_rule))
        else:
            joined.append(each)
        last = piece
    return joined


def _belong_together(piece: str, following: str) -> bool:
    """Say whether a piece has no content of its own without the one that follows, or the other way round."""
    if len(following) <= _MARK_LENGTH and _CLOSER_ONLY.fullmatch(following):
        return True
    if (level := bare_heading(piece)) is not None:
        next_level = _level(following)
        return next_level is None or next_level > level
    opens = len(piece) <= _MARK_LENGTH and _OPENER_ONLY.fullmatch(piece) is not None
    return opens or is_lead_in(piece) or leads_to(piece, following)


def _level(piece: str) -> int | None:
    """Return the level of the heading, or of the "Step k", that a piece begins with."""
    line = piece[:400].partition("\n")[0]
    level = heading_level(line)
    return STEP_LEVEL if level is None and is_step_mark(line) else level


def _sections(text: str, pieces: Sequence[_Piece]) -> list[_Piece]:
    """Put paragraphs together up to the next heading, step mark, rule, or end of thinking, or to the full length."""
    sections: list[_Piece] = []
    for each in pieces:
        begins = each.after_rule or _level(text[each.start : each.end]) is not None
        if begins or not sections or _is_full(text, sections[-1]):
            sections.append(each)
        else:
            sections[-1] = sections[-1]._replace(end=each.end)
    return sections


def _is_full(text: str, section: _Piece) -> bool:
    if section.end - section.start >= SECTION_LENGTH:
        return True
    return _CLOSER_LAST.search(text, max(section.start, section.end - _MARK_LENGTH), section.end) is not None
