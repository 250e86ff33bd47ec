"""Charts as SVG: the same bytes each time, in one style, in colours that colour-blind readers tell apart."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8C564B", "#5B3F8C")
Size = tuple[float, float]


def svg_of(draw: Callable[[Any], None], size: Size, panels: int = 1, columns: int = 1) -> str:
    """Return a chart.

    Args:
        draw: Draws on matplotlib's axes, or on a list of them for several panels.
        size: Width and height in inches.
        panels: The number of panels.
        columns: How many stand side by side.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    style = {
        "svg.hashsalt": "prm_eval",
        "svg.fonttype": "none",
        "font.size": 11,
        "axes.spines.top": False,
        "axes.spines.right": False,
    }
    with matplotlib.rc_context(style):
        rows = -(-panels // columns)
        figure, axes = pyplot.subplots(rows, columns, figsize=size, layout="constrained", squeeze=False)
        every = list(axes.flat)
        for empty in every[panels:]:
            empty.set_visible(False)
        draw(every[0] if panels == 1 else every[:panels])
        stream = io.StringIO()
        figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None})
        pyplot.close(figure)
    svg = stream.getvalue()
    return svg[svg.index("<svg") :]
