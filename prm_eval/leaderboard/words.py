"""How numbers and names are written on the board: the same on every machine."""

from __future__ import annotations

import hashlib
import math
import re

MINUS = "\u2212"


def fixed(value: float, digits: int) -> str:
    """Return a number with so many decimals.

    It is rounded to nine decimals first: sums taken in another order (another BLAS, another processor) differ in the
    last bits, and a value halfway between two printed ones must not tip over for that.
    """
    text = f"{round(float(value), 9):.{digits}f}"
    return text[1:] if text.startswith("-") and not text.strip("-0.") else text


def percent(value: float, digits: int = 1) -> str:
    """Return a share as per cent, without the sign."""
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
    """Return a whole number with commas; nothing where it is none."""
    return "" if not math.isfinite(value) else f"{round(value):,}"


def span(best: int, worst: int) -> str:
    """Return a range of ranks."""
    return str(best) if best == worst else f"{best}\u2013{worst}"


def p_value(value: float) -> str:
    """Return a p-value."""
    return "< 0.001" if value < 0.001 else fixed(value, 3)


def plain_markdown(text: str) -> str:
    """Return a stranger's text as Markdown that says just that."""
    flat = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_{}\[\]()#+!|~$])", r"\\\1", flat)


def slug(*parts: str) -> str:
    """Return a file name for some names: letters, digits, dot, hyphen, underscore; told apart by a hash where something was changed."""
    whole = "--".join(parts)
    plain = re.sub(r"[^A-Za-z0-9._-]+", "_", whole).strip("._")[:200] or "_"
    return plain if plain == whole else f"{plain}-{hashlib.sha256(whole.encode()).hexdigest()[:8]}"
