r"""Units of several text macros, such as ``\mathrm{m}/\mathrm{s}^2``, joined to one text macro.

Another example is ``\frac{\text{erg}}{\text{s}}``. Strings in, strings out. Only macros that hold nothing but known
units are joined, and only behind a value.
"""

from __future__ import annotations

import re

from prm_eval.grading.reading.units import is_known_unit

_SPACE = r"(?:\\[ ,;:!]|[\s~]){0,6}"
_INNER = (
    r"(?:[^{}$\\]|\^\{\s?-?\d\s?\}|\\[,; ]|\\cdot(?![a-z])|\\times(?![a-z])|\\mu(?![a-z])\s?|\\Omega(?![a-z])){1,40}"
)
_GROUP = (
    rf"(?:\\mu\s?)?\\(?:text|mathrm|textrm|rm|operatorname|mbox)\s?\{{({_INNER})\}}(?:\s?\^\s?\{{?\s?(-?\d)\s?\}}?)?"
)
_BARE = _GROUP.replace("(" + _INNER, "(?:" + _INNER).replace("(-?", "(?:-?")
_LINK = rf"{_SPACE}(?:/|\\cdot(?![a-z])|\\times(?![a-z])|\*|·)?{_SPACE}"
_CHAIN = rf"{_BARE}(?:{_LINK}{_BARE}){{0,5}}"
_BEHIND = re.compile(
    rf"(?<=[\d}}\])a-z]){_SPACE}(?:\\[dt]?frac\s?\{{\s?(?P<top>{_CHAIN})\s?\}}\s?\{{\s?(?P<bottom>{_CHAIN})\s?\}}"
    rf"|(?P<chain>{_CHAIN}))"
)
_PART = re.compile(rf"(?P<link>{_LINK}){_GROUP}")
_OHM = re.compile(
    rf"(?<=[\d}}]){_SPACE}(?:\\(?:text|mathrm)\s?\{{\s?([kMGm])\s?\}}\s?"
    rf"|([kMG]))?\\Omega(?![a-zA-Z])(?={_SPACE}(?:$|[,.)$]))"
)
_MICRO = re.compile(r"\s{0,2}[µ](?=[msglLAFCHVW](?![a-zA-Z]))([a-zA-Z])")

_MICRO_WITHIN = re.compile(r"(\\(?:text|mathrm|textrm|mbox)\s?\{\s?)[µμ](?=[msglLAFCHVW](?![a-zA-Z]))")


def micro_sign(text: str) -> str:
    """Return a text with the micro sign before a unit as a prefix, because it is not a Greek letter there."""
    text = _MICRO_WITHIN.sub(r"\1u", text)
    return _MICRO.sub(lambda found: rf"\text{{ u{found.group(1)}}}", text)


def joined_units(text: str) -> str:
    """Return an answer with each chain of dressed units as one text macro."""
    if "Omega" in text:
        text = _OHM.sub(lambda found: rf"\text{{ {found.group(1) or found.group(2) or ''}ohm}}", text)
    return _BEHIND.sub(_join, text)


def _join(found: re.Match[str]) -> str:
    if found.group("chain") is not None:
        unit = _composed(found.group("chain"))
        plain = found.group("chain").startswith(("\\text{", "\\mbox")) and found.group("chain").count("{") == 1
        plain = plain and not re.search(r"[·⋅∙]|\\cdot", found.group("chain"))
        return found.group() if unit is None or plain else rf"\text{{ {unit}}}"
    top, bottom = _composed(found.group("top")), _composed(found.group("bottom"))
    return found.group() if top is None or bottom is None else rf"\text{{ {top}/({bottom})}}"


def _composed(chain: str) -> str | None:
    """Return a chain of groups as one unit in plain letters; None where a group is no unit."""
    pieces: list[str] = []
    for found in _PART.finditer(chain):
        # one blank is a product; two would be read as one word
        inner = re.sub(r"(?:\\cdot|\\times|\\[,; ]|[~·⋅∙\s])+", " ", found.group(2)).replace("\\Omega", "ohm").strip()
        inner = re.sub(r"\\mu\s?", "u", inner)
        inner = ("u" + inner) if found.group().lstrip("\\ ,;:!~").startswith("mu") else inner
        if not is_known_unit(inner) or re.search(r"/ | /", inner):
            return None
        inner = re.sub(r"\^\{\s?(-?\d)\s?\}", r"^\1", inner)
        pieces.append(
            ("/" if "/" in found.group("link") else " ") + inner + (f"^{found.group(3)}" if found.group(3) else "")
        )
    return "".join(pieces).strip() or None
