"""The charts that only boards of step sets have, drawn from numbers that are computed elsewhere."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from prm_eval.evaluation.stepwise.locating import Outcomes
from prm_eval.evaluation.stepwise.profiles import Profile
from prm_eval.evaluation.stepwise.showing import Line
from prm_eval.leaderboard import svg
from prm_eval.leaderboard.charts import Scale, apart, limits, shortened, ticks
from prm_eval.leaderboard.words import percent

WIDTH, HEIGHT = 560.0, 330.0
LEFT, RIGHT, TOP, BOTTOM = 44.0, 118.0, 14.0, 46.0
# lines of groups that are drawn beside their mean
MOST_LINES = 7
# names beside dots; more would cover each other
NAMED = 14


def threshold_chart(lines: Sequence[Line], declared: float, title: str, *, strict: bool = False) -> Markup:
    """Return a chart of a measure against the threshold, with the declared one as an upright line.

    Args:
        lines: The measure itself, and after it those of groups.
        declared: The threshold that counts.
        title: The title for screen readers.
        strict: Whether a step is good only above the threshold.
    """
    drawn = [_defined(each) for each in lines[: 1 + MOST_LINES]]
    drawn = [(name, points) for name, points in drawn if points]
    if not drawn:
        return svg.NOTHING
    first, last = float(lines[0].thresholds[0]), float(lines[0].thresholds[-1])
    first, last = min(first, declared), max(last, declared)
    high = limits([value for _, points in drawn for _, value in points])[1]
    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM

    def x(threshold: float) -> float:
        return LEFT + (right - LEFT) * (threshold - first) / ((last - first) or 1.0)

    def y(value: float) -> float:
        return TOP + (bottom - TOP) * (high - value) / high

    parts = _shares(y, (0.0, high), right)
    for place in range(6):
        tick = first + (last - first) * place / 5
        parts.append(svg.line(x(tick), bottom, x(tick), bottom + 4, "ax"))
        parts.append(svg.text(x(tick), bottom + 17, f"{round(tick, 6):.3g}", "t", "middle"))
    parts.append(svg.line(LEFT, bottom, right, bottom, "ax"))
    parts.append(svg.line(x(declared), TOP, x(declared), bottom, "l mj"))
    for place, (_, points) in reversed(list(enumerate(drawn))):
        kind = "l c0" if place == 0 else f"l c{place} dim"
        parts.append(svg.polyline([(x(at), y(value)) for at, value in points], kind))
    ends = apart([y(points[-1][1]) for _, points in drawn], 15.0, TOP + 4, bottom)
    for place, ((name, _), end) in enumerate(zip(drawn, ends, strict=True)):
        parts.append(svg.text(right + 8, end + 4, shortened(name, 16), f"f{place}"))
    called = "good only if its score is above" if strict else "wrong if its score is below"
    words = f"threshold: a step is {called} it; upwards: %"
    parts.append(svg.text((LEFT + right) / 2, HEIGHT - 8, words, "t", "middle"))
    return svg.drawing(WIDTH, HEIGHT, parts, title)


def _defined(line: Line) -> tuple[str, list[tuple[float, float]]]:
    pairs = zip(line.thresholds.tolist(), line.values.tolist(), strict=True)
    return line.name, [(at, value) for at, value in pairs if math.isfinite(value)]


def _shares(y: Scale, ends: tuple[float, float], right: float) -> list[Markup]:
    parts = []
    for tick in ticks(*ends):
        label = percent(tick, 0 if round(1000 * tick) % 10 == 0 else 1)
        parts += [svg.line(LEFT, y(tick), right, y(tick), "gr"), svg.text(LEFT - 7, y(tick) + 4, label, "t", "end")]
    return parts


def outcome_bars(found: Outcomes, n_error: int, clean: tuple[int, int, int], title: str) -> Markup:
    """Return bars of where the first error is put, and of what is said of solutions without one.

    Args:
        found: Of the solutions with a wrong step.
        n_error: Their number.
        clean: Of the solutions without: called right, called wrong, not scored.
        title: The title for screen readers.
    """
    bars = [
        ("too early", found.too_early, n_error, "f1"),
        ("exact", found.exact, n_error, "f0"),
        ("too late", found.too_late, n_error, "f1"),
        ("none found", found.none_found, n_error, "f1"),
        ("not scored", found.not_scored, n_error, "for"),
        ("", 0, 0, ""),
        ("called right", clean[0], sum(clean), "f0"),
        ("called wrong", clean[1], sum(clean), "f1"),
        ("not scored", clean[2], sum(clean), "for"),
    ]
    left, step, width = 110.0, 23.0, WIDTH
    room = width - left - 110
    parts = []
    for place, (name, count, of, colour) in enumerate(bars):
        if not name:
            continue
        top = 6 + step * place
        share = count / of if of else 0.0
        parts.append(svg.text(left - 9, top + 14, name, "ts", "end"))
        parts.append(svg.element("rect", x=left, y=top, width=max(room * share, 0.5), height=17, class_=colour))
        label = f"{percent(share)} %  ({count:,})" if of else "none in the set"
        parts.append(svg.text(left + room * share + 8, top + 14, label, "t"))
    return svg.drawing(width, step * len(bars) + 8, parts, title)


def position_chart(found: Profile, title: str) -> Markup:
    """Return a chart of the mean score of good and of bad steps by where they stand in their solution."""
    drawn: dict[str, tuple[str, list[float]]] = {
        "0": ("good steps", found.good.tolist()),
        "1": ("bad steps", found.bad.tolist()),
    }
    values = [value for _, means in drawn.values() for value in means if math.isfinite(value)]
    places = range(len(found.places))
    if not values:
        return svg.NOTHING
    low, high = min(values), max(values)
    margin = 0.08 * (high - low) or 0.1
    low, high = low - margin, high + margin
    right, bottom, height = WIDTH - RIGHT, 230.0 - BOTTOM, 230.0

    def x(place: int) -> float:
        return LEFT + 14 + (right - LEFT - 28) * place / max(1, len(places) - 1)

    def y(value: float) -> float:
        return TOP + (bottom - TOP) * (high - value) / (high - low)

    parts = []
    # round numbers for probabilities; raw numbers may be of any size
    marks = ticks(low, high, 5) if low + margin >= 0 and high - margin <= 1 else []
    for tick in marks or [low + (high - low) * (place + 0.5) / 5 for place in range(5)]:
        parts.append(svg.line(LEFT, y(tick), right, y(tick), "gr"))
        parts.append(svg.text(LEFT - 7, y(tick) + 4, f"{round(tick, 6):.3g}", "t", "end"))
    for place in places:
        parts.append(svg.text(x(place), bottom + 17, str(place + 1), "t", "middle"))
    parts.append(svg.line(LEFT, bottom, right, bottom, "ax"))
    ends: list[tuple[str, str, float]] = []
    for colour, (name, means) in drawn.items():
        there = [(x(place), y(value)) for place, value in enumerate(means) if math.isfinite(value)]
        if there:
            parts.append(svg.polyline(there, f"l c{colour}"))
            parts += [svg.element("circle", cx=px, cy=py, r=3, class_=f"f{colour}") for px, py in there]
            ends.append((name, colour, there[-1][1]))
    for (name, colour, _), end in zip(ends, apart([each[2] for each in ends], 15.0, TOP + 4, bottom), strict=True):
        parts.append(svg.text(right + 8, end + 4, name, f"f{colour}"))
    words = "tenth of the solution; upwards: mean score"
    parts.append(svg.text((LEFT + right) / 2, height - 8, words, "t", "middle"))
    return svg.drawing(WIDTH, height, parts, title)


@dataclass(frozen=True)
class Both:
    """A model on a pool and on a step set: best of n, and the set's figure, each with limits (value, low, high)."""

    name: str
    chooses: tuple[float, float, float]
    finds: tuple[float, float, float]


def scatter_chart(models: Sequence[Both], across: str, upwards: str, title: str) -> Markup:
    """Return a chart of who finds the mistake against who chooses well; nothing without models.

    Args:
        models: The models that are on both boards.
        across: The label of the figure that goes to the right.
        upwards: The label of the other.
        title: The title for screen readers.
    """
    if not models:
        return svg.NOTHING
    right, bottom = WIDTH - 20, HEIGHT - BOTTOM
    xs = limits([value for each in models for value in each.chooses])
    ys = limits([value for each in models for value in each.finds])

    def x(value: float) -> float:
        return LEFT + (right - LEFT) * (value - xs[0]) / (xs[1] - xs[0])

    def y(value: float) -> float:
        return TOP + (bottom - TOP) * (ys[1] - value) / (ys[1] - ys[0])

    parts = _shares(y, ys, right)
    for tick in ticks(*xs):
        parts += [svg.line(x(tick), bottom, x(tick), bottom + 4, "ax")]
        parts.append(svg.text(x(tick), bottom + 17, percent(tick, 0), "t", "middle"))
    parts.append(svg.line(LEFT, bottom, right, bottom, "ax"))
    for each in models:
        (value, low, high), (found, least, most) = each.chooses, each.finds
        parts.append(svg.line(x(low), y(found), x(high), y(found), "l c0 dim"))
        parts.append(svg.line(x(value), y(least), x(value), y(most), "l c0 dim"))
        parts.append(svg.element("circle", cx=x(value), cy=y(found), r=4.5, class_="f0"))
    named = list(models)[:NAMED]
    heights = apart([y(each.finds[0]) - 9 for each in named], 15.0, TOP + 4, bottom)
    for each, height in zip(named, heights, strict=True):
        at = x(each.chooses[0])
        place, anchor = (at + 6, "start") if at < (LEFT + right) / 2 else (at - 6, "end")
        parts.append(svg.text(place, height + 3, shortened(each.name, 24), "ts", anchor))
    parts.append(svg.text((LEFT + right) / 2, HEIGHT - 8, f"{across}; upwards: {upwards}, in %", "t", "middle"))
    return svg.drawing(WIDTH, HEIGHT, parts, title)
