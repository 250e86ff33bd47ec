"""The page of one submission to a step set."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from markupsafe import Markup

from prm_eval.evaluation.stepwise.measuring import Row
from prm_eval.evaluation.stepwise.misses import Miss
from prm_eval.evaluation.stepwise.prmbench import SHORT
from prm_eval.evaluation.stepwise.profiles import profile
from prm_eval.evaluation.stepwise.showing import lines, misses, of_clean
from prm_eval.leaderboard.belief import check_lines, places_of, trust_values
from prm_eval.leaderboard.cells import MARKS
from prm_eval.leaderboard.charts import ranking, reliability_diagram
from prm_eval.leaderboard.links import hub_link
from prm_eval.leaderboard.mistakes import MOST_STEPS, MOST_TEXT, TINTS
from prm_eval.leaderboard.pages import render
from prm_eval.leaderboard.steps.charts import outcome_bars, position_chart, threshold_chart
from prm_eval.leaderboard.steps.fills import heading_of, share_cell
from prm_eval.leaderboard.steps.rows import StepBoard, StepEntry
from prm_eval.leaderboard.steps.table import StepTable
from prm_eval.leaderboard.svg import NOTHING, standalone
from prm_eval.leaderboard.table import TableRow
from prm_eval.leaderboard.words import MINUS, fixed, grouped, percent
from prm_eval.submissions import STEP_TIERS
from prm_eval.submissions.thresholds import ORIGINS
from prm_eval.texts.mathml import typeset

Progress = Callable[[int], None]
MARKS_OF_PEOPLE = {"good": "\u2713", "neutral": "\u00b7", "bad": "\u2717", "": ""}


def step_details(table: StepTable, progress: Progress | None) -> Iterator[tuple[str, str]]:
    """Yield the page and the chart of every submission to a step set: (name of the file, text)."""
    for done, (entry, row) in enumerate(zip(table.board.entries, table.rows, strict=True), 1):
        try:
            drawn = step_chart(entry, table.board)
            page = step_detail_page(entry, row, len(table.rows), table.board, drawn)
        # a stranger's text that nobody foresaw must not keep the board from being built
        except Exception as error:
            drawn = NOTHING
            submission = entry.submission
            pool = {"id": table.board.pool.pool_id, "title": table.board.pool.title}
            page = render(
                "undrawn.html", org=submission.org, name=submission.model, pool=pool, fault=type(error).__name__
            )
        yield f"submissions/{entry.slug}.html", page
        if drawn:
            yield f"charts/{entry.slug}.svg", standalone(drawn)
        if progress is not None:
            progress(done)


def step_chart(entry: StepEntry, board: StepBoard) -> Markup:
    """Return the chart of the headline against the threshold of one submission; nothing where none is needed."""
    title = f"{heading_of(board.yardstick.headline)} against the threshold, {entry.name}"
    drawn = lines(entry.row, board.yardstick.bench)
    strict = board.yardstick.bench.is_prmbench
    return threshold_chart(drawn, entry.threshold.value, title, strict=strict) if drawn else NOTHING


def step_detail_page(entry: StepEntry, row: TableRow, of: int, board: StepBoard, drawn: Markup) -> str:
    """Return the page of a submission.

    Args:
        entry: The submission with its measurements.
        row: Its row on the board.
        of: The number of submissions on the board.
        board: The board of its step set.
        drawn: The chart of :func:`step_chart`.
    """
    submission, measured = entry.submission, entry.row
    where, rewards, pool = places_of(submission)
    recompute = f"prm-eval evaluate {pool} {rewards} --threshold {entry.threshold.value!r}\n"
    sources = [("step set, texts and labels", board.about.content_hash), ("its texts", board.pool.content_hash)]
    return render(
        "step_detail.html",
        org=submission.org,
        name=submission.model,
        pool={"id": board.pool.pool_id, "title": board.pool.title, "about": board.pool.about},
        row=row,
        hub=hub_link(submission),
        mark=MARKS[submission.tier],
        suspicions=[each.text for each in entry.suspicions],
        of=of,
        measure=heading_of(board.yardstick.headline),
        threshold={"value": f"{entry.threshold.value:.4g}", "origin": ORIGINS[entry.threshold.origin]},
        called="good only if its score is above"
        if board.yardstick.bench.is_prmbench
        else "wrong if its score is below",
        rule=board.yardstick.best_rule.scores.name,
        threshold_chart=drawn,
        upper=_upper(measured),
        **_reliability(measured),
        **_outcomes(measured, board),
        positions=position_chart(profile(measured.scores, board.arrays), f"Scores by position, {entry.name}"),
        classes=_classes(measured, entry),
        misses=[
            _miss(each, entry, board) for each in misses(measured, board.yardstick.bench, board.step_set.solutions)
        ],
        stated=_stated(entry),
        refusals=[(reason, grouped(count)) for reason, count in sorted(measured.scores.refusals.items())],
        **trust_values(submission, STEP_TIERS, sources, recompute + check_lines(submission, where)),
    )


def _upper(row: Row) -> str:
    found = None if row.averages is None else row.averages.upper_bound
    return "" if found is None else percent(found)


def _reliability(row: Row) -> dict[str, Any]:
    found = None if row.whole.separated is None else row.whole.separated.calibration
    if found is None:
        return {"reliability": None, "ece": "", "brier": ""}
    drawn = reliability_diagram(found, "Observed against predicted share of good steps")
    return {"reliability": drawn, "ece": percent(found.ece), "brier": fixed(found.brier, 3)}


def _outcomes(row: Row, board: StepBoard) -> dict[str, Any]:
    place = row.whole.located
    clean = of_clean(row, board.yardstick.bench)
    return {
        "outcomes": outcome_bars(place.outcomes, place.n_error, clean, "Where the first error is put"),
        "n_error": grouped(place.n_error),
        "n_clean": grouped(place.n_clean),
        "within_one": percent(place.outcomes.within_one / place.n_error) if place.n_error else "\u2013",
    }


def _classes(row: Row, entry: StepEntry) -> dict[str, Any] | None:
    """Return PRMBench's classes as a plain dot plot, with their numbers; None for other sets."""
    if row.prmbench is None:
        return None
    found = row.prmbench
    dots = [
        (f"{SHORT[name]}  {name.replace('_', ' ')}", each.prm_score, each.prm_score, each.prm_score)
        for name in SHORT
        if (each := found.classes.get(name)) is not None and each.prm_score is not None
    ]
    overall = [] if found.prm_score.value is None else [("all steps", found.prm_score.value, "mj")]
    return {
        "chart": ranking(dots, overall, f"Classes of PRMBench, {entry.name}") if dots else NOTHING,
        "f1": share_cell(found.f1).text,
        "negative_f1": share_cell(found.negative_f1).text,
        "first": share_cell(found.first_error_accuracy).text,
        "similarity": "" if found.similarity is None else share_cell(found.similarity).text,
        "dimensions": [(name, share_cell(value).text) for name, value in found.dimensions.items()],
    }


def _stated(entry: StepEntry) -> list[tuple[str, str, str]]:
    """Return (figure, as published, as computed here) of what the submitter stated; nothing is computed from it."""
    said = entry.submission.disclosure.figures if entry.submission.disclosure is not None else None
    found = []
    for name, text in (said or {}).items():
        group, _, measure = name.rpartition(":")
        part = entry.row.groups.get(group) if group else entry.row.whole
        value = None if part is None else getattr(part.located, measure, None)
        found.append((name, text, share_cell(value).text))
    return found


def _miss(each: Miss, entry: StepEntry, board: StepBoard) -> dict[str, Any]:
    written, room = [], MOST_TEXT
    for at, step in enumerate(each.steps[:MOST_STEPS]):
        if room <= 0:
            break
        written.append(
            {
                "text": typeset(step.text[:room]),
                "score": _spelt(step.score, probability=entry.row.scores.probabilities),
                "tint": _tint(step.score, entry),
                "human": "\u2717 first" if at == each.first_error else MARKS_OF_PEOPLE[step.mark],
                "named": at == each.predicted,
            }
        )
        room -= len(step.text)
    left = len(each.steps) - len(written)
    return {
        "id": each.solution_id,
        "group": board.step_set.solutions[each.row].group or "",
        "statement": typeset(each.statement[:MOST_TEXT]),
        "said": _placed(each.predicted),
        "truth": _placed(each.first_error),
        "steps": written,
        "cut": f"{left} more steps are not shown." if left else "",
    }


def _placed(step: int) -> str:
    return "no step is wrong" if step < 0 else f"step {step + 1} is the first wrong one"


def _spelt(score: float | None, *, probability: bool) -> str:
    return "\u2013" if score is None else f"{score:.2f}" if probability else f"{score:.3g}".replace("-", MINUS)


def _tint(score: float | None, entry: StepEntry) -> int | None:
    """Return the colour of a score, from 0 (low) to 6 (high); none for raw numbers, which have no ends."""
    if score is None or not entry.row.scores.probabilities:
        return None
    return min(TINTS - 1, max(0, int(score * TINTS)))
