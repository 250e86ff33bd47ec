r"""Find ``\boxed{...}`` in a text: brace matching only, no judgement."""

from __future__ import annotations

import re

_BARE = re.compile(r"[-+]?\d+(?:[.,]\d+)*|[^\\}$]")
_BOX = re.compile(r"\\(?:boxed|fbox)(?![a-zA-Z])\s*")
MAX_BOXES = 200  # a text with more boxes than this is hostile; only its last ones are read


def boxed_spans(text: str) -> list[tuple[int, int]]:
    r"""Return the spans (start, end) of the contents of all balanced, outermost ``\boxed{...}`` and ``\fbox{...}``.

    ``\boxed 5`` (no brace) gives the next number or other character. Unbalanced boxes, as in a truncated text, give
    nothing. Time is linear in the text: every brace is matched once, whatever the number of boxes.
    """
    close = matching_braces(text)
    spans: list[tuple[int, int]] = []
    end_of_last = -1
    for found in list(_BOX.finditer(text))[-MAX_BOXES:]:
        at = found.end()
        if found.start() < end_of_last or at >= len(text):
            continue
        if text[at] == "{":
            if at in close:
                spans.append((at + 1, close[at]))
                end_of_last = close[at]
        elif bare := _BARE.match(text, at):
            spans.append(bare.span())
    return spans


def last_boxed(text: str) -> str | None:
    r"""Return the content of the last balanced ``\boxed{...}``, or None."""
    spans = boxed_spans(text)
    return text[spans[-1][0] : spans[-1][1]] if spans else None


def open_box(text: str) -> int | None:
    r"""Return the start of the content of the last ``\boxed{`` if its brace is never closed; None otherwise."""
    at = max(text.rfind("\\boxed{"), text.rfind("\\fbox{"))
    if at < 0:
        return None
    brace = text.index("{", at)
    return None if brace in matching_braces(text) else brace + 1


def matching_braces(text: str) -> dict[int, int]:
    """Map the position of each opening brace to that of its closing one; escaped braces do not count."""
    close: dict[int, int] = {}
    open_at: list[int] = []
    for found in re.finditer(r"\\.|[{}]", text, re.DOTALL):
        if found.group() == "{":
            open_at.append(found.start())
        elif found.group() == "}" and open_at:
            close[open_at.pop()] = found.start()
    return close
