"""The table of the board of a step set, with a cell for every column and row; it is made once for all outputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from prm_eval.evaluation.stepwise.report import headline_value
from prm_eval.leaderboard.cells import trained_on
from prm_eval.leaderboard.charts import limits, mini_axis
from prm_eval.leaderboard.fills import page_of, short_revision
from prm_eval.leaderboard.steps.columns import StepColumn, columns_of
from prm_eval.leaderboard.steps.fills import Rule, StepScene
from prm_eval.leaderboard.steps.rows import StepBoard, StepEntry, order_value
from prm_eval.leaderboard.table import TableRow, with_lines


@dataclass(frozen=True)
class StepTable:
    """The table of the board of a step set.

    Attributes:
        board: The board itself.
        columns: Its columns.
        rows: The submissions, best first.
        rules: The rows without a model, best first.
        axis: The axis of the small charts.
    """

    board: StepBoard
    columns: tuple[StepColumn, ...]
    rows: tuple[TableRow, ...]
    rules: tuple[TableRow, ...]
    axis: Markup

    @property
    def ordered(self) -> list[TableRow]:
        """The submissions, best first, with every rule at its place among them."""
        return with_lines(self.rows, self.rules)


def step_table_of(board: StepBoard) -> StepTable:
    """Return the table of a board."""
    yardstick = board.yardstick
    headline, best = yardstick.headline, yardstick.best_rule
    shown = [entry.row for entry in board.entries] + list(yardstick.rules)
    found = [headline_value(row, headline) for row in shown]
    ends = [value for each in found for value in (each.value, each.low, each.high) if value is not None]
    axis = limits(ends)
    reference = headline_value(best, headline).value
    marks = () if reference is None else ((reference, "mj"),)
    scene = StepScene(board.pool.pool_id, headline, axis, marks, best.scores.name)
    columns = columns_of(board)
    rules = sorted(yardstick.rules, key=lambda row: (-order_value(row, headline), row.scores.name))
    return StepTable(
        board,
        columns,
        tuple(_row(entry, columns, scene) for entry in board.entries),
        tuple(_rule(Rule(row), columns, scene) for row in rules),
        mini_axis(axis),
    )


def _row(entry: StepEntry, columns: Sequence[StepColumn], scene: StepScene) -> TableRow:
    submission = entry.submission
    revision = short_revision(submission.revision)
    searched = (submission.org, submission.model, revision, submission.licence, submission.cost.device)
    admitted = any(answer == "yes" for _, _, answer in trained_on(submission.disclosure))
    return TableRow(
        name=submission.model,
        kind="PRM",
        tier=submission.tier,
        headline=order_value(entry.row, scene.headline),
        cells={column.key: column.cell(entry, scene) for column in columns},
        org=submission.org,
        revision=revision,
        slug=entry.slug,
        link=page_of(entry),
        ranks=(entry.standing.best, entry.standing.worst),
        clean=not entry.suspicions and not admitted,
        words=" ".join(each or "" for each in searched).lower(),
    )


def _rule(rule: Rule, columns: Sequence[StepColumn], scene: StepScene) -> TableRow:
    cells = {column.key: column.cell(rule, scene) for column in columns}
    return TableRow(rule.name, "baseline", "baseline", order_value(rule.row, scene.headline), cells)
