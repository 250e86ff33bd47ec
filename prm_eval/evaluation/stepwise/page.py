"""A step evaluation as one self-contained page, which opens offline: tables, charts, and what was got most wrong."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from importlib.resources import files
from typing import Any

import numpy as np

from prm_eval.evaluation.drawing import COLOURS, svg_of
from prm_eval.evaluation.stepwise.jobs import StepEvaluation
from prm_eval.evaluation.stepwise.measuring import Row
from prm_eval.evaluation.stepwise.misses import Miss
from prm_eval.evaluation.stepwise.prmbench import SHORT
from prm_eval.evaluation.stepwise.profiles import Profile, profile
from prm_eval.evaluation.stepwise.report import (
    HEADLINES,
    detail_table,
    difference_cells,
    head_lines,
    head_table,
    notes,
    ordered,
)

MOST_PANELS = 6
MOST_LINES = 8


def html_page(evaluation: StepEvaluation, title: str, misses: Sequence[tuple[str, Sequence[Miss]]] = ()) -> str:
    """Return one self-contained page; texts are escaped, and nothing is fetched when it opens.

    Args:
        evaluation: The evaluation that the page shows.
        title: The title of the page.
        misses: By row, the solutions that it gets most wrong (:func:`~.misses.worst_misses`).
    """
    import jinja2
    from markupsafe import Markup

    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    source = files("prm_eval.evaluation") / "templates" / "steps.html"
    rows = [*ordered(evaluation), *evaluation.rules]
    page: str = environment.from_string(source.read_text(encoding="utf-8")).render(
        title=title,
        head=head_lines(evaluation),
        notes=notes(evaluation),
        table=head_table(evaluation, rows),
        details=detail_table(rows),
        differences=[difference_cells(each) for each in evaluation.pairs if each.measure == evaluation.headline],
        measure=HEADLINES[evaluation.headline],
        level=round(100 * evaluation.settings.level),
        charts=[(name, about, Markup(svg)) for name, about, svg in charts(evaluation)],  # noqa: S704  (made by us)
        misses=misses,
    )
    return page


def charts(evaluation: StepEvaluation) -> list[tuple[str, str, str]]:
    """Return the charts that the labels allow: (title, what it shows, SVG)."""
    rows = [row for row in ordered(evaluation) if row.scores.predictions is None][:MOST_LINES]
    found: list[tuple[str, str, Callable[[Any], None], tuple[float, float], int, int]] = []
    names = [name for name in (rows[0].curves if rows else {}) if _defined(rows, name)]
    panels = [name for name in names if name][:MOST_PANELS] or names
    if panels:
        columns = min(len(panels), 2)
        size = (9.5, 3.4 * -(-len(panels) // columns))
        about = "Dots: the threshold of the table. A threshold chosen on the set it is reported on is an upper bound."
        draw = partial(_draw_curves, rows, panels)
        found.append(("F1 against the threshold", about, draw, size, len(panels), columns))
    every = [*ordered(evaluation)[:MOST_LINES], *evaluation.rules]
    if every[0].whole.located.n_error:
        about = "Of the solutions with a wrong step."
        size = (9.5, 1.2 + 0.34 * len(every))
        found.append(("Where the first mistake is put", about, partial(_draw_outcomes, every), size, 1, 1))
    if any(row.whole.separated is not None and row.whole.separated.calibration is not None for row in rows):
        about = "Scores as probabilities, in ten bins, against the share of good steps; on the line is calibrated."
        found.append(("Reliability", about, partial(_draw_reliability, rows), (6.4, 4.6), 1, 1))
    profiles = [profile(row.scores, evaluation.arrays, evaluation.settings.neutral) for row in rows]
    if profiles:
        about = "Mean score of good steps (line) and bad ones (crosses), by the step's place in its solution."
        draw = partial(_draw_profiles, rows, profiles)
        found.append(("Score by position", about, draw, (9.5, 4.2), 1, 1))
    if any(row.prmbench is not None for row in rows):
        about = "PRMScore of each class; rules without a model are grey."
        both = [*rows, *evaluation.rules]
        found.append(("PRMBench's classes", about, partial(_draw_classes, both), (9.5, 4.6), 1, 1))
    return [(name, about, svg_of(draw, size, count, columns)) for name, about, draw, size, count, columns in found]


def _defined(rows: Sequence[Row], name: str) -> bool:
    return any(bool(np.isfinite(row.curves[name].f1).any()) for row in rows)


def _draw_curves(rows: Sequence[Row], panels: Sequence[str], axes: Any) -> None:
    every = [axes] if len(panels) == 1 else axes
    for axis, name in zip(every, panels, strict=True):
        for row, colour in zip(rows, COLOURS, strict=False):
            curve = row.curves[name]
            axis.plot(curve.thresholds, 100 * curve.f1, color=colour, label=row.scores.name, linewidth=1.6)
            place = row.groups.get(name, row.whole).located.f1.value
            if place is not None and 0 <= row.threshold.value <= 1:
                axis.plot([row.threshold.value], [100 * place], marker="o", color=colour, markersize=6)
        axis.set_title(name or "all solutions", fontsize=11)
        axis.set_xlabel("threshold")
        axis.set_ylabel("F1, %")
        axis.set_ylim(0, 100)
        axis.grid(axis="y", alpha=0.25)
    every[0].legend(frameon=False, fontsize=9)


def _draw_outcomes(rows: Sequence[Row], axis: Any) -> None:
    kinds = (
        ("exact", "exact", "#009E73"),
        ("too_early", "too early", "#56B4E9"),
        ("too_late", "too late", "#E69F00"),
        ("none_found", "none found", "#999999"),
        ("not_scored", "not scored", "#D55E00"),
    )
    places = np.arange(len(rows))[::-1]
    start = np.zeros(len(rows))
    for field, label, colour in kinds:
        widths = np.array(
            [100 * getattr(row.whole.located.outcomes, field) / max(1, row.whole.located.n_error) for row in rows]
        )
        if widths.any():
            axis.barh(places, widths, left=start, color=colour, label=label, height=0.72)
        start += widths
    axis.set_yticks(places, [row.scores.name for row in rows])
    axis.set_xlim(0, 100)
    axis.set_xlabel("solutions with a wrong step, %")
    axis.legend(frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))


def _draw_reliability(rows: Sequence[Row], axis: Any) -> None:
    axis.plot([0, 100], [0, 100], color="#444444", linestyle="--", linewidth=1)
    for row, colour in zip(rows, COLOURS, strict=False):
        calibration = None if row.whole.separated is None else row.whole.separated.calibration
        if calibration is None:
            continue
        predicted, observed = np.array(calibration.predicted), np.array(calibration.observed)
        label = f"{row.scores.name} (ECE {100 * calibration.ece:.1f})"
        axis.plot(100 * predicted, 100 * observed, color=colour, marker="o", markersize=4, label=label)
    axis.set_xlabel("score, %")
    axis.set_ylabel("good steps, %")
    axis.grid(alpha=0.25)
    axis.legend(frameon=False, fontsize=9)


def _draw_profiles(rows: Sequence[Row], profiles: Sequence[Profile], axis: Any) -> None:
    for row, found, colour in zip(rows, profiles, COLOURS, strict=False):
        axis.plot(found.places, found.good, color=colour, label=row.scores.name, linewidth=1.8)
        axis.plot(found.places, found.bad, color=colour, marker="x", linestyle="none")
    axis.set_xlabel("place of the step: 0 the first, 1 the last one shown")
    axis.set_ylabel("mean score")
    axis.grid(axis="y", alpha=0.25)
    axis.legend(frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))


def _draw_classes(rows: Sequence[Row], axis: Any) -> None:
    shown = next(row.prmbench for row in rows if row.prmbench is not None)
    names = [name for name in SHORT if name in shown.classes]
    places = np.arange(len(names))[::-1]
    colours = iter(COLOURS)
    for row in rows:
        if row.prmbench is None:
            continue
        scores = [row.prmbench.classes[name].prm_score for name in names]
        values = np.array([np.nan if each is None else 100 * each for each in scores])
        rule = row.scores.kind == "rule"
        marker: dict[str, Any] = {"color": "#999999", "s": 16} if rule else {"color": next(colours), "s": 46}
        axis.scatter(values, places, label=None if rule else row.scores.name, zorder=1 if rule else 2, **marker)
    axis.set_yticks(places, [f"{name} ({SHORT[name]})" for name in names])
    axis.set_xlabel("PRMScore, %")
    axis.set_xlim(0, 100)
    axis.grid(axis="x", alpha=0.25)
    axis.legend(frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
