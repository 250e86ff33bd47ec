"""The beginnings of a candidate, one a step, from which a policy goes on; pure functions of texts.

A beginning ends where the next step begins in the candidate's own text, so the policy sees what it would have written
itself, white space included. Where the steps cannot be found in the text (parts were dropped or unwrapped by the
splitter), the steps are joined instead. Equal beginnings of one problem are one question to the policy.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from prm_eval.texts.steps import base_splitter

BETWEEN = {"line": "\n", "step_k": "\n"}
"""What stands between steps that are joined; a blank line where a splitter is not named."""


def beginnings(text: str, steps: Sequence[str], splitter: str) -> list[str]:
    """Return the text up to the end of each step but the last, and the whole text.

    Args:
        text: The candidate.
        steps: Its steps.
        splitter: How they were cut.
    """
    starts = _starts(text, steps)
    if starts is None:
        between = BETWEEN.get(base_splitter(splitter), "\n\n")
        joined = [between.join(steps[:k]) + between for k in range(1, len(steps))]
        return [*joined, between.join(steps)] if steps else []
    return [*(text[:start] for start in starts[1:]), text] if steps else []


def digest(*texts: str) -> str:
    """Return a name for texts: of a problem id and a prompt in a journal, whose gold answer is that of the id."""
    return hashlib.sha256("\0".join(texts).encode("utf-8", "surrogatepass")).hexdigest()


def seed_of(seed: int, prompt: str) -> int:
    """Return the seed of a prompt's completions: another prompt or seed gives another, whatever the order."""
    return int(digest(str(seed), prompt)[:7], 16)


def _starts(text: str, steps: Sequence[str]) -> list[int] | None:
    """Return where each step begins in a text, or None where they do not stand in it one after the other.

    Between two steps there may be nothing but white space: else something was dropped, and a beginning would hold it.
    """
    found: list[int] = []
    end = 0
    for step in steps:
        at = text.find(step, end)
        if at < 0 or text[end:at].strip():
            return None
        found.append(at)
        end = at + len(step)
    return None if text[end:].strip() else found
