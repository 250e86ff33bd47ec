"""A few SVG elements, written the same way each time.

Colours are classes: in a page its style sheet gives them (and follows the reader's light or dark), in a file of its own
:func:`standalone` adds the few rules they need.
"""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup, escape

STYLE = (
    "svg{font:13px system-ui,sans-serif;background:#fff}"
    ".t{fill:#55585e}.ts{fill:#1c1e21}.ax{stroke:#9a9da3;stroke-width:1}.gr{stroke:#e4e4e0;stroke-width:1}"
    ".l{fill:none;stroke-width:2;stroke-linejoin:round}.c0{stroke:#1a5fb4}.c1{stroke:#9c4f00}.c2{stroke:#0f7a5a}.c3{stroke:#8a3f8f}"
    ".c4{stroke:#8a6d00}.c5{stroke:#00798c}.c6{stroke:#b03050}.c7{stroke:#5c5470}"
    ".f0{fill:#1a5fb4}.f1{fill:#9c4f00}.f2{fill:#0f7a5a}.f3{fill:#8a3f8f}.f4{fill:#8a6d00}.f5{fill:#00798c}.f6{fill:#b03050}.f7{fill:#5c5470}"
    ".mj{stroke:#1c1e21}.fmj{fill:#1c1e21}.or{stroke:#777b82;stroke-dasharray:5 4}.for{fill:#666a70}"
    ".mn{stroke:#a9acb2;stroke-dasharray:1 4}"
    ".fmn{fill:#55585e}.bd{stroke:none;opacity:.13}.hl{fill:#f3f2ec}"
    "@media(prefers-color-scheme:dark){svg{background:#16181b}.t{fill:#a6abb3}.ts{fill:#e9e9e6}.gr{stroke:#2e3238}.ax{stroke:#6b7078}"
    ".c0{stroke:#7ab3f5}.c1{stroke:#f0a35e}.c2{stroke:#5fcfa8}.c3{stroke:#d59ad9}.c4{stroke:#dcc25a}.c5{stroke:#5cc8da}.c6{stroke:#f08aa2}"
    ".c7{stroke:#b9b0d0}.f0{fill:#7ab3f5}.f1{fill:#f0a35e}.f2{fill:#5fcfa8}.f3{fill:#d59ad9}.f4{fill:#dcc25a}.f5{fill:#5cc8da}"
    ".f6{fill:#f08aa2}.f7{fill:#b9b0d0}.mj{stroke:#e9e9e6}.fmj{fill:#e9e9e6}.or{stroke:#8b9098}.for{fill:#8b9098}.mn{stroke:#5f646c}"
    ".fmn{fill:#8b9098}.hl{fill:#202429}}"
)
# no drawing
NOTHING = Markup("")


def number(value: float) -> str:
    """Return a coordinate: at most one decimal, no minus zero."""
    text = f"{round(float(value), 6):.1f}".removesuffix(".0")
    return "0" if text in ("-0", "-0.0") else text


def element(name: str, content: str | Markup = "", **attributes: object) -> Markup:
    """Return one element; attribute names have ``_`` for ``-`` and no trailing one."""
    pairs = [
        (key.rstrip("_").replace("_", "-"), number(value) if isinstance(value, (int, float)) else str(value))
        for key, value in attributes.items()
    ]
    written = "".join(f' {key}="{escape(value)}"' for key, value in pairs)
    return Markup(f"<{name}{written}>{escape(content)}</{name}>" if content else f"<{name}{written}/>")  # noqa: S704


def line(x1: float, y1: float, x2: float, y2: float, kind: str) -> Markup:
    """Return a straight line."""
    return element("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=kind)


def polyline(points: Sequence[tuple[float, float]], kind: str) -> Markup:
    """Return a line through points."""
    return element("polyline", points=" ".join(f"{number(x)},{number(y)}" for x, y in points), class_=kind)


def band(points: Sequence[tuple[float, float, float]], kind: str) -> Markup:
    """Return the area between two lines; points are (x, low y, high y)."""
    there = [f"{number(x)},{number(low)}" for x, low, _ in points]
    back = [f"{number(x)},{number(high)}" for x, _, high in reversed(points)]
    return element("polygon", points=" ".join(there + back), class_=kind)


def text(x: float, y: float, content: str, kind: str = "t", anchor: str = "start") -> Markup:
    """Return a text."""
    if anchor == "start":
        return element("text", content, x=x, y=y, class_=kind)
    return element("text", content, x=x, y=y, class_=kind, text_anchor=anchor)


def drawing(width: float, height: float, parts: Sequence[Markup], title: str) -> Markup:
    """Return the whole drawing; screen readers are told its title."""
    return element(
        "svg",
        Markup("").join(parts),
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {number(width)} {number(height)}",
        role="img",
        aria_label=title,
    )


def standalone(svg: Markup) -> str:
    """Return a drawing as a file of its own."""
    head, rest = str(svg).split(">", 1)
    return f"{head}><style>{STYLE}</style>{rest}\n"
