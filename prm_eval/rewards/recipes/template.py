"""The templates of a recipe: literal text, and slots in braces that a renderer fills."""

from __future__ import annotations

import re
from typing import Literal

SLOTS = ("problem", "step", "step_k", "k", "index", "text", "steps", "separator", "read", "cut", "mark")
_SLOT = re.compile(r"\{([a-z_]+)\}")
Part = tuple[Literal["literal", "slot"], str]


def parse_template(template: str) -> tuple[Part, ...]:
    r"""Return the literals and slots of a template, in order; ``{}``, as in ``\boxed{}``, is text.

    Raises:
        ValueError: The template has an unknown slot.
    """
    parts: list[Part] = []
    end = 0
    for found in _SLOT.finditer(template):
        if found[1] not in SLOTS:
            raise ValueError(f"{{{found[1]}}} is no slot; known: {', '.join(SLOTS)}")
        if found.start() > end:
            parts.append(("literal", template[end : found.start()]))
        parts.append(("slot", found[1]))
        end = found.end()
    if end < len(template):
        parts.append(("literal", template[end:]))
    return tuple(parts)
