"""The spelling of numbers and names on the board, which is the same on every machine."""

from __future__ import annotations

import hashlib
import math
import re

MINUS = "\u2212"


def fixed(value: float, digits: int) -> str:
    """Return a number with ``digits`` decimals.

    It is rounded to nine decimals first. Sums in another order (another BLAS, another processor) differ in the last
    bits, and must not change how a value halfway between two printed ones is rounded.
    """
    text = f"{round(float(value), 9):.{digits}f}"
    return text[1:] if text.startswith("-") and not text.strip("-0.") else text


def percent(value: float, digits: int = 1) -> str:
    """Return a share in per cent, without the per cent sign."""
    return fixed(100 * value, digits).replace("-", MINUS) if math.isfinite(value) else "\u2013"


def points(value: float, digits: int = 1) -> str:
    """Return a difference of shares in points, always with its sign."""
    text = fixed(100 * value, digits)
    if text.startswith("-"):
        return MINUS + text[1:]
    return ("+" if text.strip("0.") else "\u00b1") + text


def rounded(value: float | None, digits: int = 6) -> float | None:
    """Return a number for JSON: null where there is none, never minus zero."""
    if value is None or not math.isfinite(value):
        return None
    return round(round(float(value), 9), digits) + 0.0


def grouped(value: float) -> str:
    """Return a number as a whole one with commas; an empty text where it is not finite."""
    return "" if not math.isfinite(value) else f"{round(value):,}"


def counted(count: int, noun: str) -> str:
    """Return a number with its noun, in the plural where it is not 1."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def size(parameters: int) -> str:
    """Return a number of parameters as people say it: 1.5 B, 926 K."""
    for unit, name in ((10**9, "B"), (10**6, "M"), (10**3, "K")):
        # what would be rounded to a thousand of a unit is written in the next one
        if parameters >= 0.9995 * unit:
            value = parameters / unit
            return f"{fixed(value, 0 if value >= 99.95 else 1).removesuffix('.0')} {name}"
    return str(parameters)


def span(best: int, worst: int) -> str:
    """Return the text of a range of ranks."""
    return str(best) if best == worst else f"{best}\u2013{worst}"


def p_value(value: float) -> str:
    """Return the text of a p-value."""
    return "< 0.001" if value < 0.001 else fixed(value, 3)


def plain_markdown(text: str) -> str:
    """Return a stranger's text as Markdown that shows exactly this text."""
    flat = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_{}\[\]()#+!|~$])", r"\\\1", flat)


def slug(*parts: str) -> str:
    """Return a file name for some names, of letters, digits, dot, hyphen and underscore.

    A hash is added where a character had to be replaced, so that different names have different files.
    """
    whole = "--".join(parts)
    plain = re.sub(r"[^A-Za-z0-9._-]+", "_", whole).strip("._")[:200] or "_"
    return plain if plain == whole else f"{plain}-{hashlib.sha256(whole.encode()).hexdigest()[:8]}"
