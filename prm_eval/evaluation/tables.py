"""Reports that are a few tables and a chart: as lines for a terminal, and as one self-contained page."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import numpy as np

from prm_eval.evaluation.report import aligned


@dataclass(frozen=True)
class Section:
    """One table: its title, its cells with the head first, and what is to be said below it."""

    title: str
    cells: tuple[tuple[str, ...], ...]
    below: tuple[str, ...] = ()


def text_of(head: str, sections: Sequence[Section], notes: Sequence[str], warnings: Sequence[str] = ()) -> str:
    """Return a report in lines."""
    lines = [head]
    for each in sections:
        lines += ["", each.title, *aligned(each.cells), *each.below]
    said = [*(f"WARNING: {each}" for each in warnings), *(f"note: {note}" for note in notes)]
    return "\n".join(lines + [""] * bool(said) + said)


def page_of(
    title: str,
    head: str,
    sections: Sequence[Section],
    notes: Sequence[str],
    chart: str,
    caption: str,
    warnings: Sequence[str] = (),
) -> str:
    """Return a page that opens offline; texts are escaped.

    Args:
        title: The title.
        head: The line below it.
        sections: The tables.
        notes: What a reader must know.
        chart: An SVG of :mod:`prm_eval.evaluation.drawing`.
        caption: The line below the chart.
        warnings: Notes that no reader of the numbers may miss.
    """
    import jinja2
    from markupsafe import Markup

    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    source = files("prm_eval.evaluation") / "templates" / "tables.html"
    template = environment.from_string(source.read_text(encoding="utf-8"))
    page: str = template.render(
        title=title,
        head=head,
        notes=notes,
        warnings=warnings,
        chart=Markup(chart),  # noqa: S704  (made by us; matplotlib escapes its texts)
        caption=caption,
        sections=sections,
    )
    return page


def plain_json(value: Any) -> Any:
    """Return a value of a report as JSON has it: no numbers of numpy, no tuples; null where one is NaN or infinite."""
    if isinstance(value, Mapping):
        return {str(name): plain_json(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain_json(each) for each in value]
    if isinstance(value, (np.floating, np.integer)):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def markdown_of(cells: Sequence[Sequence[str]]) -> list[str]:
    """Return cells as the lines of a Markdown table."""
    first, *rest = cells
    return [f"| {' | '.join(first)} |", "|---" * len(first) + "|", *(f"| {' | '.join(each)} |" for each in rest)]
