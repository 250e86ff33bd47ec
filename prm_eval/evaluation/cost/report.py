"""Accuracy against cost as tables for the terminal, a chart, and one self-contained page that opens offline."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

from prm_eval.evaluation.baselines import BASELINES
from prm_eval.evaluation.cost.counts import Price
from prm_eval.evaluation.cost.records import CostReport, CostRow, Stop
from prm_eval.evaluation.drawing import COLOURS, plain, svg_of
from prm_eval.evaluation.report import label
from prm_eval.evaluation.summary import CurveKey
from prm_eval.evaluation.tables import Section, page_of, text_of
from prm_eval.pools.format import policy_name
from prm_eval.texts.names import short_names

UNKNOWN = "unknown"
NEVER = "never"


def sections(report: CostReport) -> list[Section]:
    """Return the tables of a report."""
    names = _Names(report)
    found = [_curves(report, names)]
    found += [_reached(report, names)] if report.reached else []
    # at n = 1 nothing is chosen
    found += [_worth(report, names)] if any(each.n > 1 for each in report.worth) else []
    found += [_stops(report, names)] if report.stops else []
    return found


def text_tables(report: CostReport) -> str:
    """Return the whole report in lines for the terminal."""
    return text_of(head(report), sections(report), report.notes, report.warnings)


def head(report: CostReport) -> str:
    """Return what was measured on what, in a line."""
    pool = report.pool
    return (
        f"pool {pool['content_hash'][:12]}: {pool['n_problems']} problems x {pool['m']} slots, "
        f"{pool['n_candidates']:,} candidates, {policy_name(pool['policy'])}; grades: {report.settings['grades']}"
    )


class _Names:
    """The names of curves, with reward models under their short names."""

    def __init__(self, report: CostReport) -> None:
        models = [row.reward_model for row in report.rows] + [stop.reward_model for stop in report.stops]
        self._short = short_names(each for each in models if each is not None)

    def model(self, model: str) -> str:
        return self._short[model]

    def curve(self, selector: str, model: str | None) -> str:
        return label(selector, None if model is None else self._short[model])

    def rule(self, stop: Stop) -> str:
        if stop.reward_model is None:
            return "majority, until it is decided"
        return f"best of n, until a reward passes, {self._short[stop.reward_model]}"


def _curves(report: CostReport, names: _Names) -> Section:
    cells: list[tuple[str, ...]] = [("", *(f"n={n}" for n in report.shown))]
    for key, rows in _by_curve(report).items():
        there = {row.n: row for row in rows}
        cells.append((names.curve(*key), *(f"{100 * there[n].value:.2f}" for n in report.shown)))
        if not math.isnan(rows[0].paid.cost):
            cells.append(("", *(number(there[n].paid.cost) for n in report.shown)))
    below = [f"below each accuracy: {axis(report)} a problem, where they are known"]
    # at the first n of the grid, which is 1
    one = {key: rows[0].paid for key, rows in _by_curve(report).items()}
    below.append(f"a candidate is written in {number(next(iter(one.values())).written)} {report.unit}")
    read: dict[str, list[str]] = {}
    for model, paid in {key[1]: paid for key, paid in one.items() if key[1] is not None}.items():
        read.setdefault(number(paid.read), []).append(names.model(model))
    below += [f"a candidate is read in {count} by {', '.join(models)}" for count, models in read.items()]
    return Section("accuracy in % at n candidates", tuple(cells), tuple(below))


def _reached(report: CostReport, names: _Names) -> Section:
    cells: list[tuple[str, ...]] = [("accuracy", "by", "n", axis(report))]
    for each in report.reached:
        n = NEVER if each.n is None else f"{each.n:,}"
        paid = "" if each.paid is None else number(each.paid.cost)
        cells.append((f"{100 * each.target:g} %", names.curve(each.selector, each.reward_model), n, paid))
    below = (f"{NEVER}: not with up to {report.ns[-1]:,} candidates",)
    return Section("the cheapest n that reaches an accuracy", tuple(cells), below)


def _worth(report: CostReport, names: _Names) -> Section:
    level = round(100 * report.settings["level"])
    cost = axis(report)
    cells: list[tuple[str, ...]] = [
        ("", "n", "accuracy", cost, "majority n", cost, "cheaper in", "at even cost, n", "accuracy", "difference",
         f"[{level} %]")
    ]  # fmt: skip
    for each in (one for one in report.worth if one.n > 1):
        same = (NEVER, "") if each.majority_n is None or each.majority_paid is None else (
            f"{each.majority_n:,}", number(each.majority_paid.cost)
        )  # fmt: skip
        even = ("", "", "", "")
        if each.even_n is not None and each.even_value is not None and each.difference is not None:
            limits = f"[{100 * each.difference.low:+.1f}, {100 * each.difference.high:+.1f}]"
            even = (f"{each.even_n:,}", f"{100 * each.even_value:.2f}", f"{100 * each.difference.value:+.2f}", limits)
        cheaper = UNKNOWN if each.cheaper is None else f"{100 * each.cheaper:.0f} %"
        name = names.curve(each.selector, each.reward_model)
        cells.append((name, f"{each.n:,}", f"{100 * each.value:.2f}", number(each.paid.cost), *same, cheaper, *even))
    below = (
        "majority n: the smallest at which majority is as accurate; cheaper in: resamples of the problems in which "
        "majority needs more for that, or never gets there",
        f"at even cost: majority with as many candidates as the same {cost} buy (at most {report.ns[-1]:,}), and the "
        "reward model less that, in points",
    )
    return Section("is a reward model worth it? the same accuracy by majority, and majority for the same cost",
                   tuple(cells), below)  # fmt: skip


def _stops(report: CostReport, names: _Names) -> Section:
    level = round(100 * report.settings["level"])
    cost = axis(report)
    cells: list[tuple[str, ...]] = [
        (
            "",
            "up to n",
            "accuracy",
            "less all n",
            f"[{level} %]",
            "candidates",
            cost,
            "of all n",
            "saved",
            f"[{level} %]",
        )
    ]
    for each in report.stops:
        limits = f"[{100 * each.difference.low:+.1f}, {100 * each.difference.high:+.1f}]"
        saved = (UNKNOWN, "")
        if each.saved is not None:
            saved = (f"{_share(each.saved.value)} %", f"[{_share(each.saved.low)}, {_share(each.saved.high)}]")
        estimated = "~" if each.mc_se else ""
        difference = ("0", "") if each.rule == "decided" else (f"{100 * each.difference.value:+.2f}", limits)
        cells.append(
            (
                names.rule(each), f"{each.n:,}", f"{100 * each.value:.2f}", *difference,
                f"{each.paid.candidates:.2f}{estimated}", number(each.paid.cost) + estimated,
                number(each.full_paid.cost), *saved,
            )
        )  # fmt: skip
    below = ["means over all orders of the candidates"]
    if any(each.rule == "decided" for each in report.stops):
        below[0] += "; a decided vote cannot change any more, so that it costs no accuracy"
    if thresholds := [each for each in report.stops if each.rule == "threshold"]:
        words = (
            f"thresholds are learnt on other problems (folds: {len(thresholds[0].thresholds)}): the cheapest that "
            f"costs {_slack(report)} accuracy there"
        )
        unknown = any(math.isnan(each.paid.cost) for each in thresholds)
        below.append(words + ("; where the cost is unknown, the fewest candidates" if unknown else ""))
    if noisy := [each for each in report.stops if each.mc_se]:
        below.append(
            f"~ some problems from {report.settings['draws']:,} random orders each; the standard error of the "
            f"{cost} is at most {max(each.mc_se for each in noisy):.3g}"
        )
    return Section("stopping early: expected candidates and cost", tuple(cells), tuple(below))


def _share(value: float) -> str:
    """Return a share in per cent, without a minus zero."""
    return f"{round(100 * value, 1) + 0.0:.1f}"


def _slack(report: CostReport) -> str:
    slack = report.settings["slack"]
    return f"at most {100 * slack:g} points of" if slack else "no"


def axis(report: CostReport) -> str:
    """Return what cost is counted in: the unit, or money where prices are given."""
    return report.unit if Price(**report.settings["price"]) == Price() else "cost"


def number(value: float) -> str:
    """Return a number of tokens or an amount, with four digits at least; "unknown" where nobody knows it."""
    if math.isnan(value):
        return UNKNOWN
    return f"{value:,.0f}" if 1_000 <= value < 1e12 else f"{value:.4g}"


def _by_curve(report: CostReport) -> dict[CurveKey, list[CostRow]]:
    curves: dict[CurveKey, list[CostRow]] = {}
    for row in report.rows:
        curves.setdefault((row.selector, row.reward_model), []).append(row)
    return curves


def chart_svg(report: CostReport) -> str:
    """Return accuracy against n and, beside it, against cost, as SVG; the second only where costs are known."""
    panels = 2 if _known(report) else 1
    return svg_of(partial(_draw, report), (6.8 * panels, 5.6), panels, panels)


def _known(report: CostReport) -> list[CostRow]:
    return [row for row in report.rows if not math.isnan(row.paid.cost)]


def _draw(report: CostReport, axes: Any) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    both = axes if isinstance(axes, list) else [axes]
    names, colours = _Names(report), iter(COLOURS * 4)
    styles: dict[CurveKey, dict[str, Any]] = {}
    for key in _by_curve(report):
        styles[key] = _style(key, colours)
    shown = NullLocator(), FuncFormatter(lambda value, _: f"{value:,.12g}")
    for panel, against in zip(both, ("n, candidates a problem", f"{axis(report)}, a problem"), strict=False):
        _panel(panel, report, names, styles, of_cost=panel is not both[0])
        # a cost of 0, as of majority where writing is free, has no place on a log scale
        log = panel is both[0] or all(row.paid.cost > 0 for row in _known(report))
        if log:
            panel.set_xscale("log")
            panel.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            panel.xaxis.set_minor_locator(shown[0])
        panel.xaxis.set_major_formatter(shown[1])
        panel.set_xlabel(against + " (log scale)" * log)
        panel.set_ylabel("accuracy, %")
        panel.grid(axis="y", alpha=0.25)
    handles, labels = both[0].get_legend_handles_labels()
    both[-1].figure.legend(handles, labels, frameon=False, loc="outside lower center", ncols=3, fontsize=9)


def _panel(
    panel: Any, report: CostReport, names: _Names, styles: dict[CurveKey, dict[str, Any]], of_cost: bool
) -> None:
    for key, rows in _by_curve(report).items():
        there = [row for row in rows if not (of_cost and math.isnan(row.paid.cost))]
        if not there:
            continue
        if key[0] == "first" and of_cost:
            panel.axhline(100 * there[0].value, **styles[key])
            continue
        xs = [row.paid.cost if of_cost else row.n for row in there]
        panel.plot(xs, [100 * row.value for row in there], label=plain(names.curve(*key)), **styles[key])
    seen: set[tuple[str, bool]] = set()
    for stop in report.stops:
        key = ("majority", None) if stop.reward_model is None else ("best_of_n", stop.reward_model)
        x = stop.paid.cost if of_cost else stop.paid.candidates
        if key in styles and not math.isnan(x):
            about = ("stopping early", of_cost)
            panel.plot(
                [x], [100 * stop.value], linestyle="", marker="D", markersize=4.5, markerfacecolor="none",
                markeredgecolor=styles[key]["color"], label=None if about in seen else "stopping early",
            )  # fmt: skip
            seen.add(about)


def _style(key: CurveKey, colours: Any) -> dict[str, Any]:
    if key == ("majority", None):
        return {"color": "#000000", "linewidth": 1.9}
    if key[0] in BASELINES:
        return {"color": "#999999", "linewidth": 1.2, "linestyle": "-" if key[0] == "first" else "--"}
    return {"color": next(colours), "linewidth": 1.6, "linestyle": "-" if key[0] == "best_of_n" else "-."}


def html_page(report: CostReport, title: str) -> str:
    """Return one self-contained page with chart and tables; texts are escaped, and nothing is fetched."""
    caption = (
        "Expected accuracy against candidates and cost, over all ways to draw n candidates of a problem. "
        "Diamonds: stopping early."
    )
    return page_of(title, head(report), sections(report), report.notes, chart_svg(report), caption, report.warnings)
