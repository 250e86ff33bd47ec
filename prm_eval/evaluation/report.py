"""An evaluation as a table for the terminal, a chart, and one self-contained page that opens offline."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from importlib.resources import files
from typing import Any

from prm_eval.evaluation.baselines import BASELINES
from prm_eval.evaluation.curves import Evaluation
from prm_eval.evaluation.drawing import COLOURS, plain, svg_of
from prm_eval.evaluation.no_answer import BothFigures
from prm_eval.evaluation.summary import CHANCE, ORACLE, CurveKey, Difference, Row
from prm_eval.pools.format import policy_name
from prm_eval.selection.selectors import COMPETE, LOSE
from prm_eval.texts.names import short_names

# the selectors that need a reward model; those of plugins are called by their own names
SELECTORS = {"best_of_n": "best of n", "weighted_majority": "weighted majority"}
K_HEAD = "k candidates without a reward model, in %, over all k-subsets"
IF_THEY = {LOSE: "lost every comparison", COMPETE: "competed by their rewards"}


def label(selector: str, model: str | None) -> str:
    """Return the name of a curve in tables and legends."""
    name = BASELINES[selector].long if selector in BASELINES else SELECTORS.get(selector, selector)
    return f"{name}, {model}" if model else name


class Names:
    """The names in the tables of an evaluation, with reward models under their short names."""

    def __init__(self, evaluation: Evaluation) -> None:
        self._short = short_names(model for _, model in evaluation.curves if model is not None)

    def model(self, model: str) -> str:
        """Return the short name of a reward model."""
        return self._short.get(model, model)

    def curve(self, selector: str, model: str | None) -> str:
        """Return the name of a curve."""
        return label(selector, None if model is None else self.model(model))


def in_the_running(evaluation: Evaluation) -> str:
    """Return in words what happens to candidates without an answer, with their share; empty where all have one."""
    found = evaluation.no_answer
    if not found.candidates:
        return ""
    return f"{100 * found.share:.1f} % of candidates have no answer and {found.rule}"


def disagree(difference: Difference, level: float) -> bool:
    """Say whether limits and p-value of a difference say different things: one excludes 0, and the other does not."""
    return (difference.low > 0 or difference.high < 0) != (difference.p <= 1 - level)


def about_p(differences: Sequence[Difference], level: float) -> list[str]:
    """Return what p is and, where some limits and p disagree, what to make of that, in lines."""
    lines = [
        "p: how often random signs of the problems' differences give a sum as far from 0; not adjusted for the number "
        "of rows"
    ]
    odd = [each.differing for each in differences if disagree(each, level)]
    if odd:
        few = f"{min(odd):,}" if min(odd) == max(odd) else f"{min(odd):,} to {max(odd):,}"
        lines.append(
            f"?: limits and p disagree, as they may where few problems differ (here {few}): take no difference as shown"
        )
    return lines


def text_table(evaluation: Evaluation) -> str:
    """Return the accuracy table in per cent, with limits at the largest n, the warnings and the notes."""
    pool, names = evaluation.pool, Names(evaluation)
    policy = policy_name(pool["policy"])
    level = round(100 * evaluation.settings["level"])
    running = in_the_running(evaluation)
    lines = [
        f"pool {pool['content_hash'][:12]}: {pool['n_problems']} problems x {pool['m']} slots, "
        f"{pool['n_candidates']:,} candidates, {policy}; grades: {evaluation.settings['grades']}",
        f"accuracy in % at n; {level} % limits over problems at n = {evaluation.ns[-1]}"
        + (f"; {running}" if running else ""),
        "",
    ]
    cells = [["selector", *(f"n={n}" for n in evaluation.ns), f"[{level} %]"]]
    for (selector, model), rows in _by_curve(evaluation).items():
        marks = [f"{100 * row.value:.2f}" + ("~" if row.method == "monte_carlo" else "") for row in rows]
        cells.append([names.curve(selector, model), *marks, f"[{100 * rows[-1].low:.1f}, {100 * rows[-1].high:.1f}]"])
    lines += aligned(cells)
    if any(row.method == "monte_carlo" for row in evaluation.rows):
        largest = max(row.mc_se for row in evaluation.rows)
        lines.append(
            f"~ from {evaluation.settings['draws']:,} random permutations a problem, standard error at most "
            f"{100 * largest:.2f}; all others exact"
        )
    lines += _both_lines(evaluation, names)
    lines += _k_lines(evaluation)
    n = evaluation.ns[-1]
    differences = [
        d for d in evaluation.differences if d.n == n and (d.minus_reward_model is None or d.selector == "best_of_n")
    ]
    if differences:
        odd = {True: "?", False: ""}
        lines += ["", f"paired differences at n = {n}, in points; mean is what picking at random gives"]
        lines += aligned(
            [["", "difference", f"[{level} %]", "p"]]
            + [
                [
                    f"{names.curve(d.selector, d.reward_model)} - {_minus(d, names)}",
                    f"{100 * d.value:+.2f}",
                    f"[{100 * d.low:+.1f}, {100 * d.high:+.1f}]",
                    f"{d.p:.4f}{odd[disagree(d, evaluation.settings['level'])]}",
                ]
                for d in differences
            ]
        )
        lines += about_p(differences, evaluation.settings["level"])
    ranks = [each for each in evaluation.ranks if each.n == n and each.selector == "best_of_n"]
    if ranks:
        lines += [
            "",
            f"rank by best of n at n = {n}: "
            + ", ".join(f"{names.model(r.reward_model)} {_span(r.best, r.worst)}" for r in ranks),
        ]
    said = [*(f"WARNING: {each}" for each in evaluation.warnings), *(f"note: {each}" for each in evaluation.notes)]
    return "\n".join(lines + [""] * bool(said) + said)


def _minus(difference: Difference, names: Names) -> str:
    """Return the name of what is subtracted; chance is called mean, in short."""
    if (difference.minus_selector, difference.minus_reward_model) == CHANCE:
        return BASELINES[difference.minus_selector].short
    return names.curve(difference.minus_selector, difference.minus_reward_model)


def _both_lines(evaluation: Evaluation, names: Names) -> list[str]:
    """Return the curves that change by more than half a point if candidates without an answer fare otherwise."""
    found = evaluation.no_answer
    curves: dict[CurveKey, list[str]] = {}
    for each in found.shown:
        value = each.compete if found.rule == LOSE else each.lose
        curves.setdefault((each.selector, each.reward_model), []).append(f"{100 * value:.2f}")
    if not curves:
        return []
    head = f"the same if candidates without an answer {IF_THEY[found.other_rule]} (--no-answer {found.other_rule})"
    cells = [["", *(f"n={n}" for n in evaluation.ns)]]
    return ["", head, *aligned(cells + [[names.curve(*key), *values] for key, values in curves.items()])]


def _k_lines(evaluation: Evaluation) -> list[str]:
    """Return the k-measures as lines; none where none were asked for."""
    if not evaluation.k_measures.rows:
        return []
    level = round(100 * evaluation.settings["level"])
    cells = [["", *(f"k={n}" for n in evaluation.ns), f"[{level} %]"]]
    for name, rows in k_rows(evaluation):
        marks = [f"{100 * row.value:.2f}" + ("~" if row.method == "monte_carlo" else "") for row in rows]
        cells.append([name, *marks, f"[{100 * rows[-1].low:.1f}, {100 * rows[-1].high:.1f}]"])
    return ["", K_HEAD, *aligned(cells)]


def k_rows(evaluation: Evaluation) -> list[tuple[str, list[Row]]]:
    """Return the rows of every k-measure, by its name."""
    return [
        (each.name, [row for row in evaluation.k_measures.rows if row.selector == each.name])
        for each in evaluation.k_measures.measures
    ]


def aligned(cells: Sequence[Sequence[str]]) -> list[str]:
    """Return rows of cells as lines, the first column aligned left and the others right."""
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
    """Return the chart of accuracy against n as SVG, the same bytes each time.

    It has a logarithmic axis, bands of the limits, the baselines and the oracle.
    """
    return svg_of(partial(_draw, evaluation), (9.5, 5.4))


def _draw(evaluation: Evaluation, axes: Any) -> None:
    from matplotlib.ticker import NullFormatter, NullLocator

    colours, names = iter(COLOURS * 4), Names(evaluation)
    for (selector, model), rows in _by_curve(evaluation).items():
        style = _style(selector, colours)
        xs, ys = [row.n for row in rows], [100 * row.value for row in rows]
        axes.plot(xs, ys, label=plain(names.curve(selector, model)), **style)
        if model is not None or selector == "majority":
            lows, highs = [100 * row.low for row in rows], [100 * row.high for row in rows]
            axes.fill_between(xs, lows, highs, color=style["color"], alpha=0.12, linewidth=0)
    if len(evaluation.ns) > 1:
        axes.set_xscale("log")
    axes.set_xticks(evaluation.ns, [f"{n:,}" for n in evaluation.ns])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("n, candidates a problem (log scale)")
    axes.set_ylabel("accuracy, %")
    axes.grid(axis="y", alpha=0.25)
    axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))


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
    """Return one self-contained page with chart, tables and settings.

    Texts are escaped, and nothing is fetched when it opens.

    Args:
        evaluation: The evaluation that the page shows.
        title: The title of the page.
        section: HTML made by us, with its texts escaped, that follows the chart.
    """
    import jinja2
    from markupsafe import Markup

    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    source = files("prm_eval.evaluation") / "templates" / "report.html"
    template = environment.from_string(source.read_text(encoding="utf-8"))
    n, names, level = evaluation.ns[-1], Names(evaluation), evaluation.settings["level"]
    differences = [each for each in evaluation.differences if each.n == n]
    page: str = template.render(
        title=title,
        section=Markup(section),  # noqa: S704  (the caller escaped it)
        evaluation=evaluation,
        policy=policy_name(evaluation.pool["policy"]),
        chart=Markup(chart_svg(evaluation)),  # noqa: S704  (made by us; matplotlib escapes its texts)
        curves=[(names.curve(*key), rows) for key, rows in _by_curve(evaluation).items()],
        running=in_the_running(evaluation),
        both=_both_table(evaluation, names),
        k_head=K_HEAD,
        k_measures=k_rows(evaluation),
        differences=[
            (names.curve(d.selector, d.reward_model), _minus(d, names), d, disagree(d, level)) for d in differences
        ],
        about_p=about_p(differences, level),
        groups=_group_table(evaluation, names),
        ranks=[(names.model(r.reward_model), r.selector, _span(r.best, r.worst)) for r in evaluation.ranks if r.n == n],
        n=n,
        level=round(100 * level),
    )
    return page


def _both_table(evaluation: Evaluation, names: Names) -> list[tuple[str, list[BothFigures]]]:
    """Return the curves that depend on who is in the running by more than half a point, under both rules."""
    curves: dict[CurveKey, list[BothFigures]] = {}
    for each in evaluation.no_answer.shown:
        curves.setdefault((each.selector, each.reward_model), []).append(each)
    return [(names.curve(*key), figures) for key, figures in curves.items()]


def _group_table(
    evaluation: Evaluation, names: Names
) -> list[tuple[str, list[str], list[tuple[str, int, list[float]]]]]:
    """Return the curve names and a row of accuracies a group, for subject and level."""
    tables = []
    for by in dict.fromkeys(row.by for row in evaluation.groups):
        rows = [row for row in evaluation.groups if row.by == by]
        heads = list(dict.fromkeys(names.curve(row.selector, row.reward_model) for row in rows))
        groups = dict.fromkeys((row.group, row.n_problems) for row in rows)
        tables.append(
            (by, heads, [(group, count, [row.value for row in rows if row.group == group]) for group, count in groups])
        )
    return tables
