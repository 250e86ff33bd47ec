"""A step evaluation as a table for the terminal, and as JSON (``prm_eval.step_evaluation/1``)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from prm_eval.evaluation.report import aligned
from prm_eval.evaluation.stepwise.comparing import MOST_ROWS, Difference
from prm_eval.evaluation.stepwise.jobs import CONDITIONAL, StepEvaluation
from prm_eval.evaluation.stepwise.measuring import Measured, Row
from prm_eval.evaluation.stepwise.prmbench import DIMENSIONS, SHORT
from prm_eval.evaluation.stepwise.resampling import Estimate
from prm_eval.evaluation.stepwise.rules import RULES
from prm_eval.evaluation.tables import plain_json

SCHEMA = "prm_eval.step_evaluation/1"
HEADLINES = {"mean_f1": "mean F1", "f1": "F1", "prm_score": "PRMScore", "step_auc": "step AUC"}
LABELS = {
    "first_error": "the first wrong step",
    "every_step": "every step",
    "rated": "rated steps",
    "soft": "shares of right continuations",
}
MOST_GROUPS = 12
NOTHING = "–"


def per_cent(value: float | None) -> str:
    """Return a share in per cent; a dash where it is not defined."""
    return NOTHING if value is None or math.isnan(value) else f"{100 * value:.1f}"


def limits(found: Estimate) -> str:
    """Return the limits of a share in per cent."""
    if found.low is None or found.high is None:
        return ""
    return f"[{100 * found.low:.1f}, {100 * found.high:.1f}]"


def headline_value(row: Row, headline: str) -> Estimate:
    """Return the figure of a row that rows are ordered by."""
    if headline == "prm_score":
        return Estimate(None, reason="no scores") if row.prmbench is None else row.prmbench.prm_score
    if headline == "mean_f1" and row.averages is not None:
        return row.averages.mean_f1
    if headline == "step_auc":
        return row.whole.separated.auc if row.whole.separated is not None else Estimate(None, reason="no scores")
    return row.whole.located.f1


def ordered(evaluation: StepEvaluation) -> list[Row]:
    """Return the reward models and critics, the largest headline first.

    Where the headline leaves out what is not scored, rows with missing scores come last.
    """
    conditional = evaluation.headline in CONDITIONAL

    def key(row: Row) -> tuple[bool, float]:
        value = headline_value(row, evaluation.headline).value
        return conditional and bool(row.whole.n_not_scored), -1.0 if value is None else -value

    return sorted(evaluation.rows, key=key)


def beats(evaluation: StepEvaluation, name: str) -> str:
    """Say whether a row beats the best rule: its paired difference with limits, in points."""
    for each in evaluation.to_best_rule:
        found = each.difference
        if each.one == name and found.value is not None and found.low is not None and found.high is not None:
            sure = each.p is not None and each.p <= 1 - evaluation.settings.level
            said = "open" if not sure else "yes" if found.low > 0 else "no" if found.high < 0 else "open"
            return f"{said}: {100 * found.value:+.1f} [{100 * found.low:+.1f}, {100 * found.high:+.1f}]"
    return NOTHING


def head_lines(evaluation: StepEvaluation) -> list[str]:
    """Return what the set is, in lines."""
    info, whole = evaluation.info, (*evaluation.rows, *evaluation.rules)[0].whole
    by = f"labels of {LABELS[info.labels]}, by {info.label_source}"
    if info.made_by_a_model:
        by += " (a model made them: no person looked at these steps)"
    groups = len((*evaluation.rows, *evaluation.rules)[0].groups)
    return [
        f"{info.name}: {whole.n_solutions:,} solutions of {whole.n_problems:,} problems, {whole.n_steps:,} steps"
        + (f", {groups} groups" if groups else "")
        + f"; {by}; {info.content_hash[:12]}",
        f"{whole.located.n_error:,} with a wrong step, {whole.located.n_clean:,} without; per cent; "
        f"{round(100 * evaluation.settings.level)} % limits over problems, {evaluation.settings.resamples:,} resamples",
    ]


def text_report(evaluation: StepEvaluation) -> str:
    """Return the tables of an evaluation: the headline, where the first error is put, and the differences."""
    rows = [*ordered(evaluation), *evaluation.rules]
    lines = [*head_lines(evaluation), "", *aligned(head_table(evaluation, rows)), "", *aligned(detail_table(rows))]
    lines += ["", *_rule_lines(evaluation), *_difference_lines(evaluation), *_pair_lines(evaluation)]
    return "\n".join([*lines, *(f"note: {note}" for note in notes(evaluation))])


def short_report(evaluation: StepEvaluation) -> str:
    """Return what the set is and the table of headlines."""
    rows = [*ordered(evaluation), *evaluation.rules]
    return "\n".join(
        [*head_lines(evaluation), "", *aligned(head_table(evaluation, rows)), "", *_rule_lines(evaluation)]
    )


def head_table(evaluation: StepEvaluation, rows: Sequence[Row]) -> list[list[str]]:
    """Return the cells of the table of headlines, its head first."""
    headline = evaluation.headline
    groups = list(rows[0].groups)[:MOST_GROUPS]
    names = groups if headline == "mean_f1" else []
    if headline == "prm_score":
        names = [name for name in SHORT if name in groups] + list(DIMENSIONS)
    title = HEADLINES[headline]
    level = f"[{round(100 * evaluation.settings.level)} %]"
    shown = [SHORT[name] if headline == "prm_score" and name in SHORT else name for name in names]
    cells = [["", "threshold", *shown, title, level, "beats the best rule"]]
    for row in rows:
        marks = {name: "*" if name == row.threshold.on else "" for name in names}
        values = [_group_value(row, name, headline) + marks[name] for name in names]
        found = headline_value(row, headline)
        said = "" if row.scores.kind == "rule" else beats(evaluation, row.scores.name)
        threshold = NOTHING if math.isnan(row.threshold.value) else f"{row.threshold.value:g}"
        name = f"({row.scores.name})" if row.scores.kind == "rule" else row.scores.name
        star = "*" if row.threshold.origin == "chosen" else ""
        cells.append([name, threshold, *values, per_cent(found.value) + star, limits(found), said])
    return cells


def _group_value(row: Row, name: str, headline: str) -> str:
    if headline != "prm_score":
        return per_cent(row.groups[name].located.f1.value)
    if row.prmbench is None:
        return NOTHING
    if name in row.prmbench.dimensions:
        return per_cent(row.prmbench.dimensions[name])
    return per_cent(row.prmbench.classes[name].prm_score)


def detail_table(rows: Sequence[Row]) -> list[list[str]]:
    """Return the cells of the table of what lies behind the headlines, its head first."""
    cells = [
        "|error acc|correct acc|F1|step AUC|AP bad|ECE|too early|exact|too late|none|lowest is first|AUC min|"
        "not scored".split("|")
    ]
    for row in rows:
        whole, place = row.whole, row.whole.located
        steps, of = whole.separated, max(1, place.n_error)
        calibration = None if steps is None or steps.calibration is None else steps.calibration.ece
        kinds = (place.outcomes.too_early, place.outcomes.exact, place.outcomes.too_late, place.outcomes.none_found)
        lowest = whole.solution_auc.get("min")
        cells.append(
            [
                f"({row.scores.name})" if row.scores.kind == "rule" else row.scores.name,
                *(per_cent(each) for each in (place.error_acc, place.correct_acc, place.f1.value)),
                per_cent(None if steps is None else steps.auc.value),
                per_cent(None if steps is None else steps.ap_bad),
                per_cent(calibration),
                *(per_cent(each / of if place.n_error else None) for each in kinds),
                per_cent(None if steps is None else steps.lowest_is_first_error),
                per_cent(None if lowest is None else lowest.value),
                f"{whole.n_not_scored:,}",
            ]
        )
    return cells


def _rule_lines(evaluation: StepEvaluation) -> list[str]:
    title = HEADLINES[evaluation.headline]
    return [
        f"rows in brackets have no model; the best of them by {title} is ({evaluation.best_rule}), which "
        f"{RULES[evaluation.best_rule][1]}"
    ]


def _pair_lines(evaluation: StepEvaluation) -> list[str]:
    """Return how often originals are preferred to what was made from them, where the set has such."""
    rows = [row for row in (*ordered(evaluation), *evaluation.rules) if row.pairs is not None and "min" in row.pairs.by]
    if not rows or evaluation.headline == "prm_score" or rows[0].pairs is None:
        return []
    groups = list(rows[0].pairs.by["min"].win_rate)[:MOST_GROUPS]
    cells = [["", *groups, "best of all"]]
    for row in rows:
        found = None if row.pairs is None else row.pairs.by["min"]
        if found is not None and row.pairs is not None:
            best = f"{found.strictly_best:,} of {row.pairs.n_originals:,}"
            name = f"({row.scores.name})" if row.scores.kind == "rule" else row.scores.name
            cells.append([name, *(per_cent(found.win_rate.get(group)) for group in groups), best])
    return ["", "how often the original has the larger lowest step than what was made from it", *aligned(cells)]


def _difference_lines(evaluation: StepEvaluation) -> list[str]:
    shown = [each for each in evaluation.pairs if each.measure == evaluation.headline]
    if not shown:
        return []
    level = round(100 * evaluation.settings.level)
    lines = ["", f"paired differences of {HEADLINES[evaluation.headline]}, in points; a chosen threshold is held fixed"]
    if len(evaluation.rows) > MOST_ROWS:
        lines.append(f"of the first {MOST_ROWS} rows only; p (Holm) is for the differences that are shown")
    cells = [["", "difference", f"[{level} %]", "p", "p (Holm)"]]
    cells += [difference_cells(each) for each in shown]
    return lines + aligned(cells)


def difference_cells(each: Difference) -> list[str]:
    """Return the cells of one paired difference."""
    found = each.difference
    value = NOTHING if found.value is None else f"{100 * found.value:+.2f}"
    ends = NOTHING
    if found.low is not None and found.high is not None:
        ends = f"[{100 * found.low:+.1f}, {100 * found.high:+.1f}]"
    ps = [NOTHING if p is None else f"{p:.4f}" for p in (each.p, each.p_holm)]
    return [f"{each.one} - {each.other}", value, ends, *ps]


def upper_bound(row: Row, headline: str) -> float | None:
    """Return the headline F1 with the thresholds that are best on the set itself: no estimate of anything."""
    if headline == "mean_f1":
        return None if row.averages is None else row.averages.upper_bound
    return row.own_best[""][1] if headline == "f1" and "" in row.own_best else None


def rule_bounds(evaluation: StepEvaluation) -> str:
    """Return in words what the rules reach with the thresholds that are best on the set itself; empty without F1."""
    bounds = {row.scores.name: upper_bound(row, evaluation.headline) for row in evaluation.rules}
    found = sorted(((value, name) for name, value in bounds.items() if value), reverse=True)
    if not found:
        return ""
    listed = ", ".join(f"({name}) {per_cent(value)}" for value, name in found)
    return f"rules with the best threshold of the set itself, an upper bound: {listed}"


def _missing_words(row: Row) -> str:
    """Return what is said of a row with missing scores."""
    unread = "no judgement that could be read" if row.scores.predictions is not None else "a score is missing"
    why = ", ".join(f"{reason} ({count:,})" for reason, count in row.scores.refusals.items()) or unread
    return (
        f"{row.scores.name}: {row.whole.n_not_scored:,} of {row.whole.n_solutions:,} solutions not scored ({why}): "
        "never a match of the first wrong step; PRMScore, areas and calibration are of the others alone, and are not "
        "compared with other rows"
    )


def notes(evaluation: StepEvaluation) -> list[str]:
    """Return what a reader of the figures should know, in sentences."""
    rows = (*evaluation.rows, *evaluation.rules)
    found: list[str] = []
    if chosen := [row for row in evaluation.rows if row.threshold.origin == "chosen"]:
        on = chosen[0].threshold.on
        found.append(f"*: the threshold was chosen on {on}, so that figures of it, or with it in them, are optimistic")
    if (asked := next((row.threshold.strict for row in rows if row.threshold.strict is not None), None)) is not None:
        sign = "above" if asked else "at least"
        found.append(f"a step is good if its score is {sign} the threshold, as asked")
    elif evaluation.headline == "prm_score":
        found.append("a step is good if its score is above the threshold (PRMBench's rule: strictly)")
    else:
        found.append("a step is wrong if its score is below the threshold")
    if evaluation.headline == "prm_score":
        found.append("PRMScore is over all steps together; a dimension is the mean of its classes; MS is F1 alone")
    missing = [row for row in evaluation.rows if row.whole.n_not_scored]
    for row in missing:
        found.append(_missing_words(row))
    neutral = {"good": "good", "bad": "bad", "out": "neither good nor bad"}[evaluation.settings.neutral]
    if evaluation.info.labels == "rated":
        found.append(f"neutral steps count as {neutral} where good and bad steps are told apart (--neutral)")
    for row in evaluation.rows:
        if (upper := upper_bound(row, evaluation.headline)) is not None:
            found.append(f"{row.scores.name}: upper bound with the best threshold of the set itself {per_cent(upper)}")
    if said := rule_bounds(evaluation):
        found.append(said)
    for row in evaluation.rows:
        if row.chosen is not None and row.chosen.wrong_step_of_these is not None and row.chosen.by_chance is not None:
            found.append(
                f"{row.scores.name}: of the right answers that its {row.chosen.aggregation} would choose among the "
                f"solutions of a problem, {per_cent(row.chosen.wrong_step_of_these)} % have a wrong step; of right "
                f"answers chosen at random {per_cent(row.chosen.by_chance)} % ({row.chosen.n_problems:,} problems)"
            )
    if (reason := headline_value(rows[0], "f1").reason) and evaluation.headline == "step_auc":
        found.append(f"F1 is not defined: {reason}")
    found += [f"of the set: {note}" for note in evaluation.info.notes]
    return found


def to_json(evaluation: StepEvaluation) -> dict[str, Any]:
    """Return the evaluation as JSON values: a figure that is not defined is null, with its reason beside it."""
    info = evaluation.info
    document = {
        "schema": SCHEMA,
        "step_set": {**asdict(info), "content_hash": info.content_hash},
        "settings": asdict(evaluation.settings),
        "headline": evaluation.headline,
        "best_rule": evaluation.best_rule,
        "rows": [_row(row, evaluation) for row in (*evaluation.rows, *evaluation.rules)],
        "to_best_rule": [asdict(each) for each in evaluation.to_best_rule],
        "differences": [asdict(each) for each in evaluation.pairs],
        "notes": notes(evaluation),
    }
    cleaned: dict[str, Any] = plain_json(document)
    return cleaned


def _row(row: Row, evaluation: StepEvaluation) -> dict[str, Any]:
    return {
        "name": row.scores.name,
        "kind": row.scores.kind,
        "origin": row.scores.origin,
        "threshold": asdict(row.threshold),
        "headline": asdict(headline_value(row, evaluation.headline)),
        "refusals": row.scores.refusals,
        "whole": _measured(row.whole),
        "groups": {name: _measured(each) for name, each in row.groups.items()},
        "averages": None if row.averages is None else asdict(row.averages),
        "prmbench": None if row.prmbench is None else asdict(row.prmbench),
        "own_best_threshold": {
            name or "all": {"threshold": value, "f1_upper_bound": f1} for name, (value, f1) in row.own_best.items()
        },
        "f1_by_threshold": {
            name or "all": [
                {"threshold": t, "error_acc": a, "correct_acc": b, "f1": f1}
                for t, a, b, f1 in zip(each.thresholds, each.error_acc, each.correct_acc, each.f1, strict=True)
            ]
            for name, each in row.curves.items()
        },
        "chosen": None if row.chosen is None else asdict(row.chosen),
        "pairs": None if row.pairs is None else asdict(row.pairs),
    }


def _measured(found: Measured) -> dict[str, Any]:
    return asdict(found)
