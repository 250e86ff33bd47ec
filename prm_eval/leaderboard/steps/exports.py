"""The boards of step sets as Markdown, CSV and JSON: the same table of columns, written three times."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Any

from prm_eval.leaderboard.exports import csv_row, markdown_cell, markdown_line, markdown_title
from prm_eval.leaderboard.layout import in_order
from prm_eval.leaderboard.steps.fills import heading_of
from prm_eval.leaderboard.steps.table import StepTable
from prm_eval.leaderboard.words import plain_markdown


def step_markdown(tables: Sequence[StepTable]) -> str:
    """Return one table a step set; nothing where there are none."""
    if not tables:
        return ""
    lines = ["", "Who finds the mistake:", ""]
    for table in tables:
        lines += _markdown_table(table)
    lines += [
        "Rank: a range, as above. *In italics*: rules without a model, which have no rank. Wrong below: a step is "
        "called wrong if",
        "its score is below this. \u2212 best rule: paired difference to the best of the rules, in points. Error acc: "
        "solutions with a",
        "wrong step whose first one is named; correct acc: solutions without one that are called right; F1: their "
        "harmonic mean.",
    ]
    return "\n".join(lines) + "\n"


def _markdown_table(table: StepTable) -> list[str]:
    whole, about = table.board.yardstick.rules[0].whole, table.board.pool.about
    measure = heading_of(table.board.yardstick.headline)
    title = markdown_title(table.board.pool)
    lines = [f"{title}: {whole.n_solutions:,} solutions of {whole.n_problems:,} problems, by {measure}", ""]
    lines += [plain_markdown(about), ""] if about else []
    columns = in_order(table.columns, lambda column: column.markdown)
    heads = [form.heading or column.heading.lower() for column, form in columns]
    lines += [markdown_line(heads), "|" + "---|" * len(heads)]
    for row in table.ordered:
        lines.append(markdown_line([markdown_cell(form, row.cells[column.key]) for column, form in columns]))
    return [*lines, ""]


def step_csv(tables: Sequence[StepTable]) -> str:
    """Return a line for every submission and rule on every step set; shares are from 0 to 1."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    for place, table in enumerate(tables):
        columns = in_order(table.columns, lambda column: column.csv)
        if not place:
            # the columns with fields are the same for all sets
            writer.writerow([field for _, form in columns for field in form.fields])
        for row in (*table.rows, *table.rules):
            writer.writerow(csv_row(row, columns))
    return stream.getvalue()


def step_json(table: StepTable) -> dict[str, Any]:
    """Return a board for JSON, with numbers rounded to six decimals."""
    board = table.board
    whole, settings, info = board.yardstick.rules[0].whole, board.yardstick.settings, board.step_set.info
    named = [column for column in table.columns if column.json]
    return {
        "best_rule": board.yardstick.best_rule.scores.name,
        "headline": board.yardstick.headline,
        "pool": {
            "about": board.pool.about,
            "content_hash": board.about.content_hash,
            "label_source": info.label_source,
            "labels": info.labels,
            "n_clean": whole.located.n_clean,
            "n_error": whole.located.n_error,
            "n_problems": whole.n_problems,
            "n_solutions": whole.n_solutions,
            "n_steps": whole.n_steps,
            "name": info.name,
            "notes": list(info.notes),
            "pool_hash": board.pool.content_hash,
            "pool_id": board.pool.pool_id,
            "title": board.pool.title,
        },
        "rows": [{column.json: row.cells[column.key].json for column in named} for row in table.rows],
        "rules": {
            row.name: {column.json: row.cells[column.key].json for column in named if row.cells[column.key].json}
            for row in table.rules
        },
        "settings": {
            "level": settings.level,
            "neutral": settings.neutral,
            "resamples": settings.resamples,
            "seed": settings.seed,
            "strict": board.yardstick.bench.is_prmbench,
        },
    }
