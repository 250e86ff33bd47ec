"""An evaluation as a table for the terminal, a chart, and one self-contained page that opens offline."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

from prm_eval.evaluation.baselines import BASELINES
from prm_eval.evaluation.curves import Evaluation
from prm_eval.evaluation.summary import ORACLE, CurveKey, Row
from prm_eval.pools.format import policy_name

# the selectors that need a reward model; those of plugins are called by their own names
SELECTORS = {"best_of_n": "best of n", "weighted_majority": "weighted majority"}
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8C564B", "#5B3F8C")  # told apart by all


def label(selector: str, model: str | None) -> str:
    """Return how a curve is called in tables and legends."""
    name = BASELINES[selector].long if selector in BASELINES else SELECTORS.get(selector, selector)
    return f"{name}, {model}" if model else name


def text_table(evaluation: Evaluation) -> str:
    """Return the accuracy table in per cent, with limits at the largest n, and the notes."""
    pool = evaluation.pool
    policy = policy_name(pool["policy"])
    level = round(100 * evaluation.settings["level"])
    lines = [
        f"pool {pool['content_hash'][:12]}: {pool['n_problems']} problems x {pool['m']} slots, "
        f"{pool['n_candidates']:,} candidates, {policy}; "
        f"grades: {evaluation.settings['grades']}",
        f"accuracy in % at n; {level} % limits over problems at n = {evaluation.ns[-1]}",
        "",
    ]
    cells = [["selector", *(f"n={n}" for n in evaluation.ns), f"[{level} %]"]]
    for (selector, model), rows in _by_curve(evaluation).items():
        marks = [f"{100 * row.value:.2f}" + ("~" if row.method == "monte_carlo" else "") for row in rows]
        cells.append([label(selector, model), *marks, f"[{100 * rows[-1].low:.1f}, {100 * rows[-1].high:.1f}]"])
    lines += aligned(cells)
    if any(row.method == "monte_carlo" for row in evaluation.rows):
        largest = max(row.mc_se for row in evaluation.rows)
        lines.append(
            f"~ from {evaluation.settings['draws']:,} random permutations a problem, standard error at most "
            f"{100 * largest:.2f}; all others exact"
        )
    n = evaluation.ns[-1]
    differences = [
        d for d in evaluation.differences if d.n == n and (d.minus_reward_model is None or d.selector == "best_of_n")
    ]
    if differences:
        lines += ["", f"paired differences at n = {n}, in points"]
        lines += aligned(
            [["", "difference", f"[{level} %]", "p"]]
            + [
                [
                    f"{label(d.selector, d.reward_model)} - {label(d.minus_selector, d.minus_reward_model)}",
                    f"{100 * d.value:+.2f}",
                    f"[{100 * d.low:+.1f}, {100 * d.high:+.1f}]",
                    f"{d.p:.4f}",
                ]
                for d in differences
            ]
        )
    ranks = [each for each in evaluation.ranks if each.n == n and each.selector == "best_of_n"]
    if ranks:
        lines += [
            "",
            f"rank by best of n at n = {n}: " + ", ".join(f"{r.reward_model} {_span(r.best, r.worst)}" for r in ranks),
        ]
    return "\n".join(lines + [""] * bool(evaluation.notes) + [f"note: {note}" for note in evaluation.notes])


def aligned(cells: Sequence[Sequence[str]]) -> list[str]:
    """Return rows of cells as lines, the first column left, the others right aligned."""
    widths = [max(len(row[i]) for row in cells) for i in range(len(cells[0]))]
    return [
        "  ".join([row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True))]).rstrip()
        for row in cells
    ]


def _span(best: int, worst: int) -> str:
    return str(best) if best == worst else f"{best}-{worst}"


def _by_curve(evaluation: Evaluation) -> dict[CurveKey, list[Row]]:
    curves: dict[CurveKey, list[Row]] = {}
    for row in evaluation.rows:
        curves.setdefault((row.selector, row.reward_model), []).append(row)
    return curves


def chart_svg(evaluation: Evaluation) -> str:
    """Return the accuracy-against-n chart as SVG: log axis, bands of the limits, baselines and oracle; the same bytes each time."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot
    from matplotlib.ticker import NullFormatter, NullLocator

    with matplotlib.rc_context(
        {
            "svg.hashsalt": "prm_eval",
            "svg.fonttype": "none",
            "font.size": 11,
            "axes.spines.top": False,
            "axes.spines.right": False,
        }
    ):
        figure, axes = pyplot.subplots(figsize=(9.5, 5.4), layout="constrained")
        colours = iter(_COLOURS * 4)
        for (selector, model), rows in _by_curve(evaluation).items():
            style = _style(selector, colours)
            xs, ys = [row.n for row in rows], [100 * row.value for row in rows]
            axes.plot(xs, ys, label=label(selector, model), **style)
            if model is not None or selector == "majority":
                axes.fill_between(
                    xs,
                    [100 * row.low for row in rows],
                    [100 * row.high for row in rows],
                    color=style["color"],
                    alpha=0.12,
                    linewidth=0,
                )
        if len(evaluation.ns) > 1:
            axes.set_xscale("log")
        axes.set_xticks(evaluation.ns, [f"{n:,}" for n in evaluation.ns])
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set_xlabel("n, candidates a problem (log scale)")
        axes.set_ylabel("accuracy, %")
        axes.grid(axis="y", alpha=0.25)
        axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
        stream = io.StringIO()
        figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None})
        pyplot.close(figure)
    svg = stream.getvalue()
    return svg[svg.index("<svg") :]


def _style(selector: str, colours: Any) -> dict[str, Any]:
    if selector == ORACLE:
        return {"color": "#444444", "linestyle": "--", "linewidth": 1.4}
    if selector == "majority":
        return {"color": "#000000", "linewidth": 1.8, "marker": "s", "markersize": 4}
    if selector in BASELINES:
        return {
            "color": "#999999",
            "linestyle": {"first": "-", "shortest": ":", "longest": "-."}.get(selector, "--"),
            "linewidth": 1.2,
        }
    return {"color": next(colours), "linewidth": 2, "marker": "o", "markersize": 4}


def html_page(evaluation: Evaluation, title: str, section: str = "") -> str:
    """Return one self-contained page: chart, tables, settings. Texts are escaped; nothing is fetched when it opens.

    Args:
        evaluation: What is shown.
        title: Of the page.
        section: HTML made by us, with its texts escaped, that stands behind the chart.
    """
    import jinja2
    from markupsafe import Markup

    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    template = environment.from_string(_PAGE)
    n = evaluation.ns[-1]
    page: str = template.render(
        title=title,
        section=Markup(section),  # noqa: S704  (the caller escaped it)
        evaluation=evaluation,
        policy=policy_name(evaluation.pool["policy"]),
        chart=Markup(chart_svg(evaluation)),  # noqa: S704  (made by us; matplotlib escapes its texts)
        curves=[(label(*key), rows) for key, rows in _by_curve(evaluation).items()],
        differences=[
            (label(d.selector, d.reward_model), label(d.minus_selector, d.minus_reward_model), d)
            for d in evaluation.differences
            if d.n == n
        ],
        groups=_group_table(evaluation),
        ranks=[(r, _span(r.best, r.worst)) for r in evaluation.ranks if r.n == n],
        n=n,
        level=round(100 * evaluation.settings["level"]),
    )
    return page


def _group_table(evaluation: Evaluation) -> list[tuple[str, list[str], list[tuple[str, int, list[float]]]]]:
    """Return, for subject and level, the curve names and a row of accuracies a group."""
    tables = []
    for by in dict.fromkeys(row.by for row in evaluation.groups):
        rows = [row for row in evaluation.groups if row.by == by]
        names = list(dict.fromkeys(label(row.selector, row.reward_model) for row in rows))
        groups = dict.fromkeys((row.group, row.n_problems) for row in rows)
        tables.append(
            (by, names, [(group, count, [row.value for row in rows if row.group == group]) for group, count in groups])
        )
    return tables


_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ title }}</title>
<style>
body { font: 16px/1.5 system-ui, sans-serif; color: #1a1a1a; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin-bottom: .2rem } h2 { font-size: 1.15rem; margin-top: 2.2rem }
.quiet { color: #555 } .chart svg { max-width: 100%; height: auto }
.wide { overflow-x: auto } table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .92rem }
th, td { padding: .25rem .6rem; text-align: right; border-bottom: 1px solid #e3e3e3; white-space: nowrap }
th:first-child, td:first-child { text-align: left } thead th { border-bottom: 2px solid #999 }
small { color: #666; font-size: .82em; display: block } .sure { font-weight: 600 }
.note { background: #fff7e0; border-left: 4px solid #e69f00; padding: .5rem .8rem }
</style>
</head>
<body>
<h1>{{ title }}</h1>
<p class="quiet">{{ evaluation.pool.n_problems }} problems × {{ evaluation.pool.m }} slots,
{{ "{:,}".format(evaluation.pool.n_candidates) }} candidates · policy {{ policy }} · problem set
{{ evaluation.pool.problem_set.name or "unnamed" }} · grades: {{ evaluation.settings.grades }} · pool {{ evaluation.pool.content_hash[:12] }}</p>
{% for note in evaluation.notes %}
<p class="note">{{ note }}</p>
{% endfor %}
<div class="chart">{{ chart }}</div>
<p class="quiet">Expected accuracy when n candidates are drawn from each problem's slots without replacement. Bands: {{ level }} % limits, problems
resampled. The dashed line is what a perfect selector would reach.</p>
{{ section }}
<h2>Accuracy, %</h2>
<div class="wide"><table>
<thead><tr><th>selector</th>{% for each in evaluation.ns %}<th>n = {{ "{:,}".format(each) }}</th>{% endfor %}</tr></thead>
<tbody>
{% for name, rows in curves %}
<tr><td>{{ name }}</td>{% for row in rows %}<td title="{{ row.method }}{% if row.mc_se %}, standard error of the estimate {{ "%.2f"|format(100 * row.mc_se) }}{% endif %}">{{ "%.2f"|format(100 * row.value) }}{% if row.method != "exact" %}~{% endif %}<small>{{ "%.1f"|format(100 * row.low) }} – {{ "%.1f"|format(100 * row.high) }}</small></td>{% endfor %}</tr>
{% endfor %}
</tbody></table></div>
<p class="quiet">Small print: {{ level }} % limits. Values marked ~ come from {{ "{:,}".format(evaluation.settings.draws) }} random permutations a problem; all others are exact.</p>
{% if differences %}
<h2>Paired differences at n = {{ n }}, points</h2>
<div class="wide"><table>
<thead><tr><th>this</th><th>minus that</th><th>difference</th><th>{{ level }} % limits</th><th>p (sign flip)</th></tr></thead>
<tbody>
{% for one, other, each in differences %}
<tr{% if each.low > 0 or each.high < 0 %} class="sure"{% endif %}><td>{{ one }}</td><td>{{ other }}</td><td>{{ "%+.2f"|format(100 * each.value) }}</td><td>{{ "%+.1f"|format(100 * each.low) }} … {{ "%+.1f"|format(100 * each.high) }}</td><td>{{ "%.4f"|format(each.p) }}</td></tr>
{% endfor %}
</tbody></table></div>
<p class="quiet">Bold: limits that exclude zero. Several comparisons are made here; p-values are not adjusted for that.</p>
{% endif %}
{% if ranks %}
<h2>Ranks at n = {{ n }}</h2>
<div class="wide"><table><thead><tr><th>reward model</th><th>selector</th><th>rank</th></tr></thead><tbody>
{% for each, span in ranks %}
<tr><td>{{ each.reward_model }}</td><td>{{ each.selector }}</td><td>{{ span }}</td></tr>
{% endfor %}
</tbody></table></div>
{% endif %}
{% for by, names, rows in groups %}
<h2>By {{ by }}, n = {{ n }}, %</h2>
<div class="wide"><table><thead><tr><th>{{ by }}</th><th>problems</th>{% for name in names %}<th>{{ name }}</th>{% endfor %}</tr></thead><tbody>
{% for group, count, values in rows %}
<tr><td>{{ group }}</td><td>{{ count }}</td>{% for value in values %}<td>{{ "%.1f"|format(100 * value) }}</td>{% endfor %}</tr>
{% endfor %}
</tbody></table></div>
{% endfor %}
</body>
</html>
"""
