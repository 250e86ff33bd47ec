r"""Cut a candidate into steps. A cut never falls inside ``$$..$$``, ``\[..\]``, ``\begin..\end`` or a code fence.

Conventions and their users are listed in Lightman et al. 2023 section 2.3 (a line is a step) and in the model cards of
the PRMs (a blank line for Qwen2.5-Math-PRM, "Step k:" for Math-Shepherd).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from prm_eval.errors import PrmEvalError

SPLITTERS = ("line", "blank_line", "step_k", "given")

_BREAK = {
    "line": re.compile(r"\n"),
    "blank_line": re.compile(r"\n[ \t]*\n\s*"),
    "step_k": re.compile(r"\n(?=[#* \t]*Step[ \t]+\d+[ \t]*[:.])"),
}
_OPENERS = re.compile(r"\$\$|\\\[|\\begin\{([a-zA-Z*]+)\}|^```", re.MULTILINE)


def split_steps(text: str, splitter: str, given: Sequence[str] | None = None) -> tuple[str, ...]:
    """Return the steps of a text, stripped and without empty ones.

    Args:
        text: The candidate.
        splitter: One of :data:`SPLITTERS`.
        given: The steps as their source cut them, used when ``splitter`` is "given".

    Raises:
        PrmEvalError: The splitter is unknown, or is "given" and there are no given steps.
    """
    if splitter == "given":
        if given is None:
            raise PrmEvalError('the pool\'s splitter is "given" but the candidate has no steps')
        return tuple(given)
    if splitter not in _BREAK:
        raise PrmEvalError(f"unknown splitter {splitter!r}; expected one of {', '.join(SPLITTERS)}")
    protected = _protected_spans(text)
    pieces: list[str] = []
    start = span = 0
    for found in _BREAK[splitter].finditer(text):
        while span < len(protected) and protected[span][1] <= found.start():
            span += 1
        if span < len(protected) and protected[span][0] < found.start():
            continue
        pieces.append(text[start : found.start()])
        start = found.end()
    pieces.append(text[start:])
    return tuple(stripped for piece in pieces if (stripped := piece.strip()))


def _protected_spans(text: str) -> list[tuple[int, int]]:
    """Return the spans that no cut may enter; an opener that is never closed protects nothing."""
    spans: list[tuple[int, int]] = []
    unclosed: set[str] = set()  # a closer that was not found once is not found later: keeps the scan linear
    position = 0
    while found := _OPENERS.search(text, position):
        opener = found.group()
        closer = {"$$": "$$", "\\[": "\\]", "```": "\n```"}.get(opener, f"\\end{{{found.group(1)}}}")
        end = -1 if closer in unclosed else text.find(closer, found.end())
        if end < 0:
            unclosed.add(closer)
            position = found.end()
        else:
            spans.append((found.start(), end + len(closer)))
            position = end + len(closer)
    return spans
