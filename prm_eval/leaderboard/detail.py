"""The page of one submission."""

from __future__ import annotations

import math
from typing import Any

from markupsafe import Markup

from prm_eval.evaluation.baselines import BASELINES
from prm_eval.evaluation.measured import Curve
from prm_eval.evaluation.summary import ORACLE
from prm_eval.evaluation.yardstick import Yardstick
from prm_eval.leaderboard.belief import belief_values
from prm_eval.leaderboard.cells import MARKS, accuracy_cell
from prm_eval.leaderboard.charts import (
    Stroke,
    baseline_stroke,
    draw_curves,
    limits,
    mini,
    mini_axis,
    reliability_diagram,
    reward_histogram,
)
from prm_eval.leaderboard.links import hub_link
from prm_eval.leaderboard.mistakes import Texts, mistake_values
from prm_eval.leaderboard.pages import render
from prm_eval.leaderboard.rows import Entry
from prm_eval.leaderboard.table import TableRow
from prm_eval.leaderboard.words import fixed, grouped, percent
from prm_eval.pools.format import policy_name
from prm_eval.submissions import RegisteredPool


def accuracy_chart(entry: Entry, yardstick: Yardstick) -> Markup:
    """Return the chart of accuracy against n of one submission."""
    base = yardstick.baselines
    bon, wmaj = entry.measured.bon, entry.measured.wmaj
    strokes = [
        Stroke("best of n", "0", bon.values, bon.lows, bon.highs),
        Stroke("weighted maj.", "2", wmaj.values),
        baseline_stroke("majority", base["majority"].curve, band=True),
        baseline_stroke(ORACLE, base[ORACLE].curve),
        baseline_stroke("first", base["first"].curve),
    ]
    settings = yardstick.settings
    return draw_curves(settings.ns, strokes, f"Accuracy against n of {entry.name}", settings.headline_n)


def detail_page(pool: RegisteredPool, entry: Entry, row: TableRow, of: int, yardstick: Yardstick, texts: Texts) -> str:
    """Return the page of a submission.

    Args:
        pool: Its pool, as registered.
        entry: The submission with its measurements.
        row: Its row on the board.
        of: The number of submissions on the board.
        yardstick: The pool with its baselines.
        texts: The candidates in its mistakes.
    """
    info, settings = yardstick.arrays.info, yardstick.settings
    measured, submission = entry.measured, entry.submission
    return render(
        "detail.html",
        org=submission.org,
        name=submission.model,
        kind_text={"prm": "A process reward model (PRM)", "orm": "An outcome reward model (ORM)"}[
            submission.rewards.info.kind
        ],
        aggregation=submission.rewards.aggregation,
        pool={
            "id": pool.pool_id,
            "title": pool.title,
            "about": pool.about,
            "m": info.m,
            "n_problems": info.n_problems,
            "policy": policy_name(info.policy),
        },
        row=row,
        hub=hub_link(submission),
        mark=MARKS[submission.tier],
        suspicions=[each.text for each in entry.suspicions],
        of=of,
        n=settings.headline_n,
        ns=settings.ns,
        draws=f"{settings.draws:,}",
        auroc=f"{percent(measured.auroc[0])} %",
        auroc_problems=measured.auroc[1],
        **_curve_values(entry, yardstick),
        **_reward_values(entry),
        **_part_values(entry, yardstick),
        **_habits(entry),
        mistakes=mistake_values(entry, yardstick, texts),
        stepwise=submission.rewards.info.kind == "prm",
        **belief_values(entry, pool, yardstick),
    )


def undrawn_page(pool: RegisteredPool, entry: Entry, error: Exception) -> str:
    """Return the page of a submission whose own page could not be made because of an unforeseen error."""
    return render(
        "undrawn.html",
        org=entry.submission.org,
        name=entry.submission.model,
        pool={"id": pool.pool_id, "title": pool.title},
        fault=type(error).__name__,
    )


def _curve_values(entry: Entry, yardstick: Yardstick) -> dict[str, Any]:
    base, measured, settings = yardstick.baselines, entry.measured, yardstick.settings
    named: list[tuple[str, Curve]] = [("best of n", measured.bon), ("weighted majority", measured.wmaj)]
    named += [(BASELINES[name].short, base[name].curve) for name in ("majority", ORACLE, "first")]
    columns = range(len(settings.ns))
    table = [{"name": label, "cells": [accuracy_cell(curve, column) for column in columns]} for label, curve in named]
    at = settings.column
    tried = measured.aggregations
    axis = limits([value for curve in tried.values() for value in (curve.lows[at], curve.highs[at])])
    marks = [(base["majority"].curve.values[at], "mj"), (base[ORACLE].curve.values[at], "or")]
    return {
        "curve_chart": accuracy_chart(entry, yardstick),
        "curve_table": table,
        "noisy": any(curve.mc_se[column] > 0 for _, curve in named for column in columns),
        "axis": mini_axis(axis),
        "aggregation_chart": [
            {
                "name": name,
                "declared": name == entry.submission.rewards.aggregation,
                "chart": mini(curve.values[at], curve.lows[at], curve.highs[at], axis, marks),
                "cells": [accuracy_cell(curve, column) for column in columns],
            }
            for name, curve in tried.items()
        ]
        if len(tried) > 1
        else [],
    }


def _reward_values(entry: Entry) -> dict[str, Any]:
    measured = entry.measured
    found = measured.reliability
    raw = entry.submission.rewards.info.score_type == "raw"
    label = "reward (the outermost bins hold what lies beyond)" if raw else "reward as a probability"
    return {
        "histogram": reward_histogram(measured.rewards, label, "Rewards of correct and incorrect candidates"),
        "n_correct": grouped(sum(measured.rewards.correct)),
        "n_incorrect": grouped(sum(measured.rewards.incorrect)),
        "reliability": None
        if found is None
        else reliability_diagram(found, "Observed against predicted share correct"),
        "brier": "" if found is None else fixed(found.brier, 3) if math.isfinite(found.brier) else "\u2013",
        "ece": "" if found is None else percent(found.ece),
    }


PARTS = {
    "subject": ("By subject", "Subject"),
    "level": ("By level", "Level"),
    "difficulty": ("By difficulty: fifths by how often the policy is right", "Fifth"),
}


def _part_values(entry: Entry, yardstick: Yardstick) -> dict[str, Any]:
    base = yardstick.baselines
    parts = []
    for by, (title, head) in PARTS.items():
        found = [
            (each, base["majority"].groups[place], base[ORACLE].groups[place])
            for place, each in enumerate(entry.measured.groups)
            if each.by == by
        ]
        if not found:
            continue
        axis = limits(
            [value for three in found for value in (three[0].low, three[0].high, three[1].value, three[2].value)]
        )
        names = {"1": "1 (easiest)", str(len(found)): f"{len(found)} (hardest)"} if by == "difficulty" else {}
        rows = [
            {
                "label": names.get(each.label, each.label),
                "count": each.n_problems,
                "chart": mini(each.value, each.low, each.high, axis, [(majority.value, "mj"), (oracle.value, "or")]),
                "cell": accuracy_cell(Curve((each.value,), (each.low,), (each.high,), (0.0,)), 0),
                "majority": percent(majority.value),
                "oracle": percent(oracle.value),
            }
            for each, majority, oracle in found
        ]
        parts.append({"title": title, "head": head, "axis": mini_axis(axis), "rows": rows})
    easiest, majority = entry.measured.easiest, base["majority"].easiest
    ns = yardstick.settings.ns
    change = easiest.values[-1] - max(easiest.values)
    peak = ns[easiest.values.index(max(easiest.values))]
    text = (
        f"It is best at n = {peak} and loses {fixed(-100 * change, 1)} points by n = {ns[-1]}: "
        "with more candidates it finds more wrong ones to like."
        if change < -0.005
        else "It does not get worse as n grows."
    )
    strokes = [
        Stroke("best of n", "0", easiest.values, easiest.lows, easiest.highs),
        baseline_stroke("majority", majority),
    ]
    return {
        "parts": parts,
        "easiest_chart": draw_curves(
            ns, strokes, "Accuracy against n on the easiest fifth", yardstick.settings.headline_n
        ),
        "easiest_text": text,
    }


def _habits(entry: Entry) -> dict[str, Any]:
    measured = entry.measured
    correlation, problems = measured.length_correlation
    if math.isfinite(correlation) and math.isfinite(measured.chosen_length):
        longer = measured.chosen_length >= 1
        text = (
            f"What it chooses is {fixed(abs(100 * (measured.chosen_length - 1)), 1)} % "
            f"{'longer' if longer else 'shorter'} than the mean candidate of the problem; rank correlation of reward "
            f"and length {fixed(correlation, 2)} (mean over {problems} problems)."
        )
    else:
        text = "Not defined: there is nothing to choose between."
    last = measured.last_step
    last_text = None
    if last is not None and last.candidates:
        last_text = (
            f"The last step is the worst one in {percent(last.correct, 0)} % of the correct and "
            f"{percent(last.incorrect, 0)} % of the incorrect candidates; a step picked at random would be the last in "
            f"{percent(last.by_chance, 0)} %. Far above that, a PRM behaves like an ORM."
        )
    refused = sum(measured.refusals.values())
    return {
        "length_text": text,
        "last_text": last_text,
        "refusals": [(reason, grouped(count)) for reason, count in sorted(measured.refusals.items())],
        "refused_text": (
            f"{grouped(refused)} of {grouped(measured.candidates)} candidates got no reward and lose every comparison:"
        ),
    }
