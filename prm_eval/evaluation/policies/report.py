"""Reward models over several policies as tables for the terminal, a chart, and one page that opens offline."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

from prm_eval.evaluation.drawing import COLOURS, plain, svg_of
from prm_eval.evaluation.policies.comparing import PolicyReport, PolicyRow, Tested
from prm_eval.evaluation.report import label
from prm_eval.evaluation.tables import Section, page_of, text_of
from prm_eval.texts.names import short_names


def head(report: PolicyReport) -> str:
    """Return what was compared on what, in a line."""
    return (
        f"{len(report.pools)} policies on the same {report.n_problems:,} problems; grades: {report.settings['grades']}"
    )


def text_tables(report: PolicyReport) -> str:
    """Return the whole report in lines for the terminal."""
    return text_of(head(report), sections(report), report.notes, report.warnings)


def sections(report: PolicyReport) -> list[Section]:
    """Return the tables of a report, at the largest n."""
    short = short_names(row.reward_model for row in report.rows)
    level, n = round(100 * report.settings["level"]), report.ns[-1]
    found = []
    for key in dict.fromkeys((row.selector, row.reward_model) for row in report.rows):
        rows = [row for row in report.rows if (row.selector, row.reward_model) == key and row.n == n]
        name = label(key[0], short[key[1]])
        cells: list[tuple[str, ...]] = [
            ("policy", "mean", "majority", "oracle", "accuracy", "less mean", f"[{level} %]", "p", "less majority",
             f"[{level} %]", "p", "of the way to the oracle", f"[{level} %]")
        ]  # fmt: skip
        cells += [_cells(row) for row in rows]
        found.append(Section(f"{name}: accuracy in % at n = {n}", tuple(cells)))
        differences = [each for each in report.differences if (each.selector, each.reward_model) == key and each.n == n]
        if differences:
            more: list[tuple[str, ...]] = [("", "less mean", f"[{level} %]", "p", "less majority", f"[{level} %]", "p")]
            more += [
                (f"{each.policy} - {each.minus_policy}", *_tested(each.over_mean), *_tested(each.over_majority))
                for each in differences
            ]
            title = f"{name}: the gain on the weaker policy less that on the stronger one, in points, n = {n}"
            below = (
                "paired over the problems; above 0: the reward model helps the weaker policy more. p as in "
                "prm-eval evaluate, not adjusted for the number of rows",
            )
            found.append(Section(title, tuple(more), below))
    return found


def _cells(row: PolicyRow) -> tuple[str, ...]:
    closed = ("", "")
    if row.closed is not None:
        # of one problem the limits are infinite: they say nothing
        limits = f"[{100 * row.closed.low:.0f}, {100 * row.closed.high:.0f}]" if math.isfinite(row.closed.low) else ""
        closed = (f"{100 * row.closed.value:.0f} %", limits)
    majority = "not available" if row.majority is None else f"{100 * row.majority:.2f}"
    return (
        row.policy, f"{100 * row.mean:.2f}", majority, f"{100 * row.oracle:.2f}", f"{100 * row.value:.2f}",
        *_tested(row.over_mean), *_tested(row.over_majority), *closed,
    )  # fmt: skip


def _tested(each: Tested | None) -> tuple[str, str, str]:
    if each is None:
        return ("", "", "")
    return (f"{100 * each.value:+.2f}", f"[{100 * each.low:+.1f}, {100 * each.high:+.1f}]", f"{each.p:.4f}")


def chart_svg(report: PolicyReport) -> str:
    """Return a chart of accuracy against n: a colour a policy, solid for reward models, dashed for majority."""
    return svg_of(partial(_draw, report), (9.5, 6.4))


def _draw(report: PolicyReport, axes: Any) -> None:
    short = short_names(row.reward_model for row in report.rows)
    colours = dict(zip((pool["policy"] for pool in report.pools), COLOURS * 4, strict=False))
    models = list(dict.fromkeys((row.selector, row.reward_model) for row in report.rows))
    for policy, colour in colours.items():
        for at, key in enumerate(models):
            rows = [row for row in report.rows if row.policy == policy and (row.selector, row.reward_model) == key]
            xs = [row.n for row in rows]
            name = plain(f"{policy}, {label(key[0], short[key[1]])}")
            marker = "osD^v"[at % 5]
            axes.plot(xs, [100 * row.value for row in rows], color=colour, marker=marker, markersize=4, label=name)
            if at == 0 and all(row.majority is not None for row in rows):
                votes = [100 * (row.majority or 0.0) for row in rows]
                axes.plot(xs, votes, color=colour, linestyle="--", linewidth=1.4, label=plain(f"{policy}, majority"))
    if len(report.ns) > 1:
        axes.set_xscale("log")
    axes.set_xticks(report.ns, [f"{n:,}" for n in report.ns])
    axes.minorticks_off()
    axes.set_xlabel("n, candidates a problem (log scale)")
    axes.set_ylabel("accuracy, %")
    axes.grid(axis="y", alpha=0.25)
    axes.figure.legend(frameon=False, loc="outside lower center", ncols=2, fontsize=9)


def html_page(report: PolicyReport, title: str) -> str:
    """Return one self-contained page with chart and tables; texts are escaped, and nothing is fetched."""
    caption = "Accuracy on the problems that all policies share. Dashed: the majority vote of the same policy."
    return page_of(title, head(report), sections(report), report.notes, chart_svg(report), caption, report.warnings)
