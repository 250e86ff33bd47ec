"""The charts of the board, drawn from numbers that are computed elsewhere."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from prm_eval.evaluation.baselines import BASELINES
from prm_eval.evaluation.diagnostics import Histogram, Reliability
from prm_eval.evaluation.measured import Curve
from prm_eval.evaluation.summary import ORACLE
from prm_eval.leaderboard import svg
from prm_eval.leaderboard.words import grouped, percent

WIDTH, HEIGHT = 560.0, 330.0
LEFT, RIGHT, TOP, BOTTOM = 44.0, 128.0, 12.0, 44.0
# the chart within a table cell
MINI = 112.0
MINI_HEIGHT = 18.0
# the class suffix of each baseline that is drawn
DRAWN_BASELINES = {"first": "mn", "majority": "mj", ORACLE: "or"}

# from a number to its place in a drawing
Scale = Callable[[float], float]


@dataclass(frozen=True)
class Stroke:
    """One line of :func:`draw_curves`.

    Attributes:
        label: The text at its right end.
        colour: The class suffix of its colour: a digit, "mj", "or" or "mn".
        values: A share at each n.
        lows: The lower limits, for a band.
        highs: The upper limits, for a band.
    """

    label: str
    colour: str
    values: Sequence[float]
    lows: Sequence[float] | None = None
    highs: Sequence[float] | None = None

    @property
    def line(self) -> str:
        """The class of the line."""
        return f"c{self.colour}" if self.colour.isdigit() else self.colour

    @property
    def fill(self) -> str:
        """The class of an area or text."""
        return f"f{self.colour}"


def baseline_stroke(name: str, curve: Curve, *, band: bool = False) -> Stroke:
    """Return the line of a baseline, by the selector's name; with ``band``, its limits are a band."""
    lows, highs = (curve.lows, curve.highs) if band else (None, None)
    return Stroke(BASELINES[name].short, DRAWN_BASELINES[name], curve.values, lows, highs)


def ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Return round numbers from ``low`` to ``high`` (shares), at most ``most``."""
    for step in (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.25, 0.5):
        first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
        if last - first + 1 <= most:
            return [k * step for k in range(first, last + 1)]
    return [low, high]


def limits(values: Sequence[float]) -> tuple[float, float]:
    """Return a range of shares that has all values and a margin, within 0 and 1."""
    known = [value for value in values if math.isfinite(value)] or [0.0, 1.0]
    low, high = min(known), max(known)
    margin = max(0.02, 0.06 * (high - low))
    return max(0.0, math.floor(100 * (low - margin)) / 100), min(1.0, math.ceil(100 * (high + margin)) / 100)


def draw_curves(ns: Sequence[int], strokes: Sequence[Stroke], title: str, mark: int | None = None) -> Markup:
    """Return a chart of accuracy against n on a logarithmic axis, with bands; ``mark`` is the headline n."""
    seen = [value for each in strokes for part in (each.values, each.lows or (), each.highs or ()) for value in part]
    low, high = limits(seen)
    span = math.log(ns[-1] / ns[0]) or 1.0

    def x(n: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * math.log(n / ns[0]) / span

    def y(value: float) -> float:
        return TOP + (HEIGHT - TOP - BOTTOM) * (high - value) / (high - low)

    parts = _grid(ns, x, y, low, high, mark)
    for each in strokes:
        if each.lows is not None and each.highs is not None:
            area = [(x(n), y(a), y(b)) for n, a, b in zip(ns, each.lows, each.highs, strict=True)]
            parts.append(svg.band(area, f"bd {each.fill}"))
    for each in strokes:
        places = [(x(n), y(value)) for n, value in zip(ns, each.values, strict=True)]
        parts.append(svg.polyline(places, f"l {each.line}"))
        if each.colour.isdigit() or each.colour == "mj":
            parts += [svg.element("circle", cx=px, cy=py, r=3, class_=each.fill) for px, py in places]
    ends = apart([y(each.values[-1]) for each in strokes], 15.0, TOP + 4, HEIGHT - BOTTOM)
    parts += [
        svg.text(WIDTH - RIGHT + 9, end + 4, shortened(each.label, 18), each.fill)
        for each, end in zip(strokes, ends, strict=True)
    ]
    return svg.drawing(WIDTH, HEIGHT, parts, title)


def _grid(ns: Sequence[int], x: Scale, y: Scale, low: float, high: float, mark: int | None) -> list[Markup]:
    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM
    parts = []
    for tick in ticks(low, high):
        parts += [svg.line(LEFT, y(tick), right, y(tick), "gr")]
        parts += [svg.text(LEFT - 7, y(tick) + 4, percent(tick, 0 if round(1000 * tick) % 10 == 0 else 1), "t", "end")]
    last = -99.0
    for n in ns:
        # where n are close together, some have no number
        if x(n) - last > 26:
            parts.append(svg.text(x(n), bottom + 17, grouped(n), "t", "middle"))
            last = x(n)
        parts.append(svg.line(x(n), bottom, x(n), bottom + 4, "ax"))
    if mark is not None:
        parts.append(svg.element("rect", x=x(mark) - 7, y=TOP, width=14, height=bottom - TOP, class_="hl"))
    parts.append(svg.line(LEFT, bottom, right, bottom, "ax"))
    parts.append(
        svg.text(
            (LEFT + right) / 2, HEIGHT - 6, "n, candidates drawn per problem (log scale); accuracy in %", "t", "middle"
        )
    )
    return parts


def apart(places: Sequence[float], gap: float, top: float, bottom: float) -> list[float]:
    """Return the places of labels, moved until none covers another; their order stays."""
    order = sorted(range(len(places)), key=lambda i: (places[i], i))
    result = list(places)
    above = top - gap
    for i in order:
        result[i] = above = max(places[i], above + gap)
    over = max(0.0, above - bottom)
    below = bottom + gap
    for i in reversed(order):
        result[i] = below = min(result[i], below - gap) if over else result[i]
    return result


def shortened(label: str, most: int) -> str:
    """Return a label of at most ``most`` characters."""
    return label if len(label) <= most else label[: most - 1] + "\u2026"


def mini(
    value: float, low: float, high: float, axis: tuple[float, float], references: Sequence[tuple[float, str]]
) -> Markup:
    """Return a dot with its interval for a table cell; references are (value, class) of vertical lines."""
    middle = MINI_HEIGHT / 2

    def x(share: float) -> float:
        return 4 + (MINI - 8) * (min(max(share, axis[0]), axis[1]) - axis[0]) / ((axis[1] - axis[0]) or 1.0)

    parts = [svg.line(x(at), 0, x(at), MINI_HEIGHT, kind) for at, kind in references]
    parts.append(svg.line(x(low), middle, x(high), middle, "iv"))
    parts.append(svg.element("circle", cx=x(value), cy=middle, r=3.5, class_="dt"))
    return svg.element(
        "svg",
        Markup("").join(parts),
        class_="mini",
        viewBox=f"0 0 {svg.number(MINI)} {svg.number(MINI_HEIGHT)}",
        aria_hidden="true",
    )


def mini_axis(axis: tuple[float, float]) -> Markup:
    """Return the axis above a column of :func:`mini` charts."""
    parts = []
    for tick in ticks(*axis, most=4):
        at = 4 + (MINI - 8) * (tick - axis[0]) / ((axis[1] - axis[0]) or 1.0)
        label = percent(tick, 0 if round(1000 * tick) % 10 == 0 else 1)
        parts += [svg.text(at, 11, label, "t", "middle"), svg.line(at, 14, at, 18, "ax")]
    return svg.element(
        "svg", Markup("").join(parts), class_="mini", viewBox=f"0 0 {svg.number(MINI)} 18", aria_hidden="true"
    )


def ranking(
    rows: Sequence[tuple[str, float, float, float]], references: Sequence[tuple[str, float, str]], title: str
) -> Markup:
    """Return a chart of dots with intervals; rows are (name, value, low, high), references (name, value, class)."""
    seen = [value for _, *values in rows for value in values] + [value for _, value, _ in references]
    low, high = limits(seen)
    left, right, top, step = 210.0, 24.0, 34.0, 22.0
    width, height = 680.0, top + step * len(rows) + 34
    bottom = height - 30

    def x(share: float) -> float:
        return left + (width - left - right) * (share - low) / (high - low)

    parts = [svg.line(x(tick), top - 6, x(tick), bottom, "gr") for tick in ticks(low, high, 8)]
    parts += [svg.text(x(tick), bottom + 16, percent(tick, 0), "t", "middle") for tick in ticks(low, high, 8)]
    heads = apart([x(value) for _, value, _ in references], 62.0, left, width - right)
    for (name, value, kind), head in zip(references, heads, strict=True):
        parts.append(svg.line(x(value), top - 8, x(value), bottom, f"l {kind}"))
        parts.append(svg.text(head, 14, name, f"f{kind}", "middle"))
    for place, (name, value, a, b) in enumerate(rows):
        middle = top + step * (place + 0.5)
        parts.append(svg.text(left - 10, middle + 4, shortened(name, 30), "ts", "end"))
        parts.append(svg.line(x(a), middle, x(b), middle, "l c0"))
        parts.append(svg.element("circle", cx=x(value), cy=middle, r=4.5, class_="f0"))
    return svg.drawing(width, height, parts, title)


def reward_histogram(found: Histogram, label: str, title: str) -> Markup:
    """Return a chart of the shares of correct and incorrect candidates in each bin, side by side."""
    width, height, left, bottom = 560.0, 230.0, 44.0, 190.0
    totals = [max(1, sum(each)) for each in (found.correct, found.incorrect)]
    shares = [
        [count / total for count in each] for each, total in zip((found.correct, found.incorrect), totals, strict=True)
    ]
    most = max(0.01, *(share for each in shares for share in each))
    bin_width = (width - left - 16) / len(found.correct)
    parts = []
    for tick in ticks(0.0, most, 5):
        at = bottom - (bottom - 14) * tick / most
        parts += [svg.line(left, at, width - 16, at, "gr"), svg.text(left - 7, at + 4, percent(tick, 0), "t", "end")]
    for side, (each, colour) in enumerate(zip(shares, ("f0", "f1"), strict=True)):
        for place, share in enumerate(each):
            if share:
                size = (bottom - 14) * share / most
                at = left + bin_width * (place + 0.08 + 0.42 * side)
                parts.append(
                    svg.element("rect", x=at, y=bottom - size, width=bin_width * 0.42, height=size, class_=colour)
                )
    parts.append(svg.line(left, bottom, width - 16, bottom, "ax"))
    for place in range(0, len(found.edges), 5):
        edge = found.edges[place]
        parts.append(svg.text(left + bin_width * place, bottom + 17, f"{round(edge, 6):.3g}", "t", "middle"))
    parts.append(
        svg.text((left + width) / 2, height - 5, f"{label}; height: % of the candidates of that colour", "t", "middle")
    )
    return svg.drawing(width, height, parts, title)


def reliability_diagram(found: Reliability, title: str) -> Markup:
    """Return a chart of observed against predicted shares.

    The diagonal is a perfect match; larger dots stand for more candidates.
    """
    size, left, bottom = 300.0, 44.0, 300.0 - 46
    side = bottom - 12
    parts = []
    for tick in (0.0, 0.25, 0.5, 0.75, 1.0):
        y, x = bottom - side * tick, left + side * tick
        parts += [svg.line(left, y, left + side, y, "gr"), svg.text(left - 7, y + 4, percent(tick, 0), "t", "end")]
        parts.append(svg.text(x, bottom + 17, percent(tick, 0), "t", "middle"))
    parts.append(svg.line(left, bottom, left + side, bottom - side, "l or"))
    most = max(1, *found.counts)
    for predicted, observed, count in zip(found.predicted, found.observed, found.counts, strict=True):
        if count:
            radius = 2.5 + 7 * math.sqrt(count / most)
            parts.append(
                svg.element(
                    "circle", cx=left + side * predicted, cy=bottom - side * observed, r=radius, class_="f0 dim"
                )
            )
    parts.append(svg.text(left + side / 2, size - 6, "predicted % correct; upwards: % that are", "t", "middle"))
    return svg.drawing(size, size, parts, title)
