"""The charts of accuracy against cost of a board: seconds a candidate, and tokens a problem."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from markupsafe import Markup

from prm_eval.leaderboard import svg
from prm_eval.leaderboard.charts import Scale, Stroke, apart, limits, shortened, ticks
from prm_eval.leaderboard.words import grouped, percent

WIDTH, HEIGHT = 560.0, 330.0
# the area of the dots
LEFT, END, TOP, FLOOR = 44.0, WIDTH - 20, 14.0, HEIGHT - 46
# more names would cover each other; the others keep their dots
NAMED = 12


@dataclass(frozen=True)
class Priced:
    """One submission in the chart: its seconds a candidate, its accuracy with limits, and whether it is a PRM."""

    name: str
    seconds: float
    value: float
    low: float
    high: float
    stepwise: bool


def frontier(points: Sequence[Priced]) -> list[Priced]:
    """Return the submissions that no cheaper one is at least as accurate as, cheapest first."""
    found: list[Priced] = []
    for each in sorted(points, key=lambda one: (one.seconds, -one.value, one.name)):
        if not found or each.value > found[-1].value:
            found.append(each)
    return found


def draw_costs(points: Sequence[Priced], majority: float, title: str) -> Markup:
    """Return a chart of accuracy against seconds a candidate (log scale); nothing without points.

    Names stand at the frontier, and at all dots where these are few.

    Args:
        points: The submissions whose cost is known.
        majority: The accuracy of the majority vote, a horizontal line: it costs no reward model.
        title: The title for screen readers.
    """
    if not points:
        return svg.NOTHING
    low, high = limits([value for each in points for value in (each.low, each.high)] + [majority])
    powers = [math.log10(each.seconds) for each in points]
    first = math.floor(min(powers) - 0.15)
    last = max(first + 1, math.ceil(max(powers) + 0.15))

    def x(seconds: float) -> float:
        return LEFT + (END - LEFT) * (math.log10(seconds) - first) / (last - first)

    def y(value: float) -> float:
        return TOP + (FLOOR - TOP) * (high - value) / (high - low)

    parts = _axes(x, y, (low, high), (first, last))
    parts.append(svg.line(LEFT, y(majority), END, y(majority), "l mj"))
    parts.append(svg.text(END, y(majority) + 15, "majority vote, no model", "fmj", "end"))
    best = frontier(points)
    corners = [(x(best[0].seconds), y(best[0].value))]
    for cheaper, each in pairwise(best):
        corners += [(x(each.seconds), y(cheaper.value)), (x(each.seconds), y(each.value))]
    parts.append(svg.polyline([*corners, (END, corners[-1][1])], "l mn"))
    for each in points:
        colour = 0 if each.stepwise else 1
        parts.append(svg.line(x(each.seconds), y(each.low), x(each.seconds), y(each.high), f"l c{colour}"))
        parts.append(svg.element("circle", cx=x(each.seconds), cy=y(each.value), r=4.5, class_=f"f{colour}"))
    return svg.drawing(WIDTH, HEIGHT, [*parts, *_names(points, best, x, y)], title)


def _axes(x: Scale, y: Scale, shares: tuple[float, float], powers: tuple[int, int]) -> list[Markup]:
    parts = []
    for tick in ticks(*shares):
        label = percent(tick, 0 if round(1000 * tick) % 10 == 0 else 1)
        parts += [svg.line(LEFT, y(tick), END, y(tick), "gr"), svg.text(LEFT - 7, y(tick) + 4, label, "t", "end")]
    first, last = powers
    step = max(1, math.ceil((last - first) / 6))
    for power in range(first, last + 1):
        at = x(10.0**power)
        parts.append(svg.line(at, FLOOR, at, FLOOR + 4, "ax"))
        if (power - first) % step == 0:
            parts.append(svg.text(at, FLOOR + 17, _seconds(power), "t", "middle"))
    parts.append(svg.line(LEFT, FLOOR, END, FLOOR, "ax"))
    words = "time a candidate, as submitted (log scale); upwards: accuracy in %"
    return [*parts, svg.text((LEFT + END) / 2, HEIGHT - 7, words, "t", "middle")]


def _names(points: Sequence[Priced], best: Sequence[Priced], x: Scale, y: Scale) -> list[Markup]:
    """Return the names, above their dots and towards the middle, so that they stay in the drawing."""
    named = list(points) if len(points) <= NAMED else list(best)[-NAMED:]
    heights = apart([y(each.value) - 8 for each in named], 15.0, TOP + 4, FLOOR)
    parts = []
    for each, height in zip(named, heights, strict=True):
        at, colour = x(each.seconds), "f0" if each.stepwise else "f1"
        place, anchor = (at + 6, "start") if at < (LEFT + END) / 2 else (at - 6, "end")
        parts.append(svg.text(place, height + 2, shortened(each.name, 24), colour, anchor))
    return parts


def _seconds(power: int) -> str:
    """Return a power of ten of seconds in words."""
    for least, unit in ((0, "s"), (-3, "ms"), (-6, "\u00b5s")):
        if power >= least:
            return f"{10 ** (power - least):,} {unit}"
    return f"1e{power} s"


def draw_tokens(strokes: Sequence[tuple[Stroke, Sequence[float]]], title: str) -> Markup:
    """Return a chart of accuracy against the tokens of a problem (log scale); nothing without a reward model.

    Args:
        strokes: Lines, each with the tokens written and read at its points; majority, which reads none, among them.
        title: The title for screen readers.
    """
    powers = [math.log10(tokens) for _, xs in strokes for tokens in xs if tokens > 0]
    if len(strokes) < 2 or not powers:
        return svg.NOTHING
    low, high = limits([value for each, _ in strokes for value in each.values])
    first, last = min(powers), max(powers)
    end = END - 84  # room for the labels

    def x(tokens: float) -> float:
        return LEFT + (end - LEFT) * (math.log10(max(tokens, 10**first)) - first) / ((last - first) or 1.0)

    def y(value: float) -> float:
        return TOP + (FLOOR - TOP) * (high - value) / (high - low)

    parts = []
    for tick in ticks(low, high):
        label = percent(tick, 0 if round(1000 * tick) % 10 == 0 else 1)
        parts += [svg.line(LEFT, y(tick), end, y(tick), "gr"), svg.text(LEFT - 7, y(tick) + 4, label, "t", "end")]
    for power in range(math.ceil(first), math.floor(last) + 1):
        at = x(10.0**power)
        parts += [svg.line(at, FLOOR, at, FLOOR + 4, "ax"), svg.text(at, FLOOR + 17, grouped(10**power), "t", "middle")]
    parts.append(svg.line(LEFT, FLOOR, end, FLOOR, "ax"))
    for each, xs in strokes:
        places = [(x(tokens), y(value)) for tokens, value in zip(xs, each.values, strict=True)]
        parts.append(svg.polyline(places, f"l {each.line}"))
        parts += [svg.element("circle", cx=px, cy=py, r=3, class_=each.fill) for px, py in places]
    heights = apart([y(each.values[-1]) for each, _ in strokes], 15.0, TOP + 4, FLOOR)
    for (each, xs), height in zip(strokes, heights, strict=True):
        parts.append(svg.text(x(xs[-1]) + 7, height + 4, shortened(each.label, 14), each.fill))
    words = "tokens a problem, written and read (log scale); upwards: accuracy in %"
    parts.append(svg.text((LEFT + end) / 2, HEIGHT - 7, words, "t", "middle"))
    return svg.drawing(WIDTH, HEIGHT, parts, title)
