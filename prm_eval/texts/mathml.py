r"""Mathematics in a stranger's text, turned into MathML when a page is built: the board's, and the labelling page.

A reader's browser runs and fetches nothing for it. latex2mathml makes a tree of elements; when it writes the tree
itself, it keeps ``\href`` and does not escape the content of ``\text``. So the tree is written here, with only the
elements and attributes of a fixed list, and every text escaped. A formula that is too long, nested too deeply or not
understood stays escaped text.
"""

from __future__ import annotations

import re
from functools import lru_cache
from html import unescape
from xml.etree import ElementTree

from markupsafe import Markup, escape

# characters of one formula
LONGEST = 1_000
# braces within braces
DEEPEST = 25
# formulas of one text
MOST = 300

# every repetition is bounded, so that an opener that is never closed costs little
_MATH = re.compile(
    r"""
      (?P<display> \$\$ (?P<d1>.{1,1200}?) \$\$ | \\\[ (?P<d2>.{1,1200}?) \\\]
        | (?P<d3> \\begin\{(?P<env>align\*?|aligned|equation\*?|gather\*?|array|cases|[pbv]matrix)\}
            .{1,1200}? \\end\{(?P=env)\} ) )
    | (?P<inline> (?<!\\)\$ (?P<i1>(?:[^$\\]|\\.){1,1200}?) \$ | \\\( (?P<i2>.{1,1200}?) \\\) )
    | (?P<bare> \\boxed\{ (?:[^{}]|\{(?:[^{}]|\{[^{}]{0,200}\}){0,200}\}){0,300} \} )
    """,
    re.VERBOSE | re.DOTALL,
)

ELEMENTS = frozenset(
    "math mrow mi mn mo mtext mspace mfrac msqrt mroot msub msup msubsup munder mover munderover "
    "mtable mtr mtd mstyle mpadded mphantom menclose merror".split()
)
_LENGTH = re.compile(r"-?\d{0,2}(\.\d{1,4})?(em|ex|px|pt)")
_WORD = re.compile(r"[a-z -]{1,30}")
ATTRIBUTES = {
    "accent": _WORD,
    "columnalign": _WORD,
    "depth": _LENGTH,
    "display": re.compile("inline|block"),
    "displaystyle": re.compile("true|false"),
    "fence": _WORD,
    "form": _WORD,
    "height": _LENGTH,
    "linethickness": _LENGTH,
    "lspace": _LENGTH,
    "mathvariant": re.compile("normal"),
    "maxsize": _LENGTH,
    "minsize": _LENGTH,
    "movablelimits": _WORD,
    "rspace": _LENGTH,
    "scriptlevel": re.compile(r"[+-]?\d"),
    "separator": _WORD,
    "stretchy": _WORD,
    "width": _LENGTH,
}
_NAMESPACE = "{http://www.w3.org/1998/Math/MathML}"


def typeset(text: str) -> Markup:
    """Return a text as HTML, with mathematics as MathML and everything else escaped."""
    parts: list[Markup] = []
    end = 0
    for count, found in enumerate(_MATH.finditer(text)):
        if count == MOST:
            break
        parts += [escape(text[end : found.start()]), _formula(found)]
        end = found.end()
    parts.append(escape(text[end:]))
    return Markup("").join(parts)


def _formula(found: re.Match[str]) -> Markup:
    whole = found.group()
    if found["env"]:
        inner = found["d3"].replace("{align", "{aligned").replace("{alignedd", "{aligned").replace("*}", "}")
    else:
        inner = next((found[name] for name in ("d1", "d2", "i1", "i2", "bare") if found[name]), "")
    made = to_mathml(inner.strip(), found["display"] is not None)
    return made if made is not None else Markup('<code class="tex">{}</code>').format(whole)


@lru_cache(maxsize=50_000)
def to_mathml(tex: str, display: bool) -> Markup | None:
    """Return one formula as MathML of the allowed elements and attributes, or None where that cannot be done."""
    if len(tex) > LONGEST or _depth(tex) > DEEPEST:
        return None
    from latex2mathml.converter import convert_to_element

    try:
        tree = convert_to_element(tex, display="block" if display else "inline")
        parts: list[str] = []
        _write(tree, 0, parts)
        return Markup("".join(parts))  # noqa: S704  (made of allowed names and escaped texts)
    # latex2mathml raises many kinds of error; the reader then sees the source
    except (Exception, RecursionError):
        return None


def _depth(tex: str) -> int:
    depth = most = 0
    for found in re.finditer(r"\\begin|\\end|\\left|\\right|[{}\[\]^_]", tex):
        word = found.group()
        depth += {"{": 1, "[": 1, "\\begin": 1, "\\left": 1, "^": 0, "_": 0}.get(word, -1)
        most = max(most, depth)
    return most


class _NotAllowed(ValueError):
    """An element that is not on the list."""


def _write(node: ElementTree.Element, depth: int, parts: list[str]) -> None:
    """Append one element with its content.

    Raises:
        _NotAllowed: The element, or one in it, is not on the list.
    """
    name = node.tag.removeprefix(_NAMESPACE)
    if name not in ELEMENTS or depth > 100:
        raise _NotAllowed(name)
    extra = ""
    # not in MathML Core: the style sheet draws a box, and anything else is left out
    if name == "menclose":
        extra = ' class="boxed"' if "box" in node.get("notation", "") else ""
        name = "mrow"
    attributes = "".join(
        f' {key}="{value}"'
        for key, value in sorted(node.attrib.items())
        if key in ATTRIBUTES and ATTRIBUTES[key].fullmatch(value)
    )
    parts.append(f"<{name}{attributes}{extra}>")
    if node.text:
        parts.append(_escaped(node.text))
    for child in node:
        _write(child, depth + 1, parts)
        if child.tail:
            parts.append(_escaped(child.tail))
    parts.append(f"</{name}>")


def _escaped(text: str) -> str:
    """Return a text of the tree, escaped; the tree has operators as character references."""
    return text if text.isalnum() else str(escape(unescape(text)))
