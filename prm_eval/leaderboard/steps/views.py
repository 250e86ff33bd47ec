"""The values that the index page shows of the boards of step sets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from prm_eval.evaluation.stepwise.report import LABELS, headline_value
from prm_eval.evaluation.stepwise.rules import RULES
from prm_eval.leaderboard.cells import Cell
from prm_eval.leaderboard.charts import ranking
from prm_eval.leaderboard.layout import in_order
from prm_eval.leaderboard.steps.charts import Both, scatter_chart
from prm_eval.leaderboard.steps.fills import heading_of
from prm_eval.leaderboard.steps.rows import StepEntry
from prm_eval.leaderboard.steps.table import StepTable
from prm_eval.leaderboard.svg import NOTHING
from prm_eval.leaderboard.table import Table, TableRow
from prm_eval.leaderboard.verdict import NAMED, checked
from prm_eval.leaderboard.words import counted, percent
from prm_eval.submissions import RegisteredPool

CHARTED = 40
SOURCES = {
    "people": "labelled by people",
    "rules": "labelled by rules",
    "rollouts": "labelled by completions that were graded: no person looked at these steps",
    "model": "labelled by a reward model: no person looked at these steps",
    "judge": "labelled by a language model: no person looked at these steps",
    "oracle": "labelled by an oracle that knows",
    "unknown": "nobody says who labelled it",
}


@dataclass(frozen=True)
class StepVerdict:
    """What a reader wants to know first of the board of a step set.

    Attributes:
        top: The highest row.
        named: The first rows of those that may have rank 1.
        more: How many more there are.
        rule: The name of the best rule, what it does, and its figure in per cent.
        over_rule: The difference of the highest row to it.
        beats: "beats", "does not beat" or "may not beat" it.
        checked: What was done to check the highest row.
        against: What speaks against it; "" where nothing does.
    """

    top: TableRow
    named: tuple[TableRow, ...]
    more: int
    rule: tuple[str, str, str]
    over_rule: Cell
    beats: str
    checked: str
    against: str

    @property
    def clear(self) -> bool:
        """Whether one row is surely ahead of all others."""
        return len(self.named) + self.more == 1


@dataclass(frozen=True)
class StepView:
    """The view of the board of a step set on the index page."""

    table: StepTable
    ranking: Markup
    verdict: StepVerdict | None

    @property
    def pool(self) -> RegisteredPool:
        """The set as registered."""
        return self.table.board.pool

    @property
    def id(self) -> str:
        """The set's name in addresses."""
        return self.pool.pool_id

    @property
    def title(self) -> str:
        """The set's name for readers."""
        return self.pool.title

    @property
    def about(self) -> str:
        """The sentence that says what the set is."""
        return self.pool.about

    @property
    def columns(self) -> object:
        """The columns of the page with their forms, in its order."""
        return in_order(self.table.columns, lambda column: column.page)

    @property
    def menu(self) -> list[tuple[str, str]]:
        """The menu of columns: (key, name)."""
        pages = ((column.key, column.page) for column in self.table.columns)
        return [(key, page.menu) for key, page in pages if page is not None and page.menu]

    @property
    def measure(self) -> str:
        """The figure that rows are ordered by."""
        return heading_of(self.table.board.yardstick.headline)

    @property
    def strict(self) -> bool:
        """Whether a step is good only above the threshold."""
        return self.table.board.yardstick.bench.is_prmbench

    @property
    def facts(self) -> list[str]:
        """What the set is, in a few words each."""
        whole = self.table.board.yardstick.rules[0].whole
        info = self.table.board.step_set.info
        labelled = f"labels of {LABELS[info.labels]}, {SOURCES[info.label_source]}"
        return [
            f"{whole.n_solutions:,} solutions of {whole.n_problems:,} problems, {whole.n_steps:,} steps",
            f"{whole.located.n_error:,} with a wrong step, {whole.located.n_clean:,} without",
            labelled,
        ]

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of the set should know, as the set says."""
        return self.table.board.step_set.info.notes[:5]

    @property
    def content_hash(self) -> str:
        """The hash of texts and labels."""
        return self.table.board.about.content_hash

    @property
    def charts(self) -> dict[str, Markup]:
        """The charts that are files of their own, by name."""
        return {"ranking": self.ranking} if self.ranking else {}


def step_view_of(table: StepTable) -> StepView:
    """Return the view of one board."""
    return StepView(table, _ranking(table), _verdict(table))


def _ranking(table: StepTable) -> Markup:
    yardstick = table.board.yardstick
    charted = [
        (entry.submission.model, *three)
        for entry in table.board.entries[:CHARTED]
        if (three := limited(entry, yardstick.headline)) is not None
    ]
    best = headline_value(yardstick.best_rule, yardstick.headline).value
    if not charted:
        return NOTHING
    rules = [] if best is None else [(f"rule: {yardstick.best_rule.scores.name}", best, "mj")]
    title = f"{heading_of(yardstick.headline)} with 95 % limits, {table.board.pool.title}"
    return ranking(charted, rules, title)


def limited(entry: StepEntry, headline: str) -> tuple[float, float, float] | None:
    """Return the figure of a submission with its limits; None where it is not defined."""
    found = headline_value(entry.row, headline)
    if found.value is None:
        return None
    return (
        found.value,
        found.value if found.low is None else found.low,
        found.value if found.high is None else found.high,
    )


def _verdict(table: StepTable) -> StepVerdict | None:
    if not table.rows:
        return None
    yardstick, entry, top = table.board.yardstick, table.board.entries[0], table.rows[0]
    level = [row for row in table.rows if row.ranks[0] == 1]
    best = yardstick.best_rule.scores.name
    value = headline_value(yardstick.best_rule, yardstick.headline).value
    found = entry.standing.to_rule.difference
    surely = found.low is not None and found.low > 0
    beats = "beats" if surely else "does not beat" if (found.high or 0.0) < 0 else "is not surely better than"
    against = [counted(len(entry.suspicions), "doubt") if entry.suspicions else ""]
    against += [flag.title[0].lower() + flag.title[1:] for flag in top.cells["tier"].flags if not flag.link]
    if entry.row.whole.n_not_scored:
        against.append(f"{counted(entry.row.whole.n_not_scored, 'solution')} not scored")
    return StepVerdict(
        top,
        tuple(level[:NAMED]),
        len(level[NAMED:]),
        (best, RULES[best][1], "\u2013" if value is None else percent(value)),
        top.cells["rule"],
        beats,
        checked(entry.submission),
        "; ".join(filter(None, against)),
    )


@dataclass(frozen=True)
class Scatter:
    """The chart of both kinds of board together, and what it is of."""

    chart: Markup
    pool: str
    step_set: str
    n: int
    measure: str
    models: int


def scatter_of(tables: Sequence[Table], steps: Sequence[StepTable]) -> Scatter | None:
    """Return the chart of the pool and the set that have the most models in common; None where none is on both.

    The same model is the same name and revision: the same weights.
    """
    best: tuple[int, Table, StepTable, list[Both]] | None = None
    for step in steps:
        for table in tables:
            both = _in_both(table, step)
            if both and (best is None or len(both) > best[0]):
                best = (len(both), table, step, both)
    if best is None:
        return None
    count, table, step, both = best
    measure = heading_of(step.board.yardstick.headline)
    pool, step_set = table.board.pool.title, step.board.pool.title
    title = f"{measure} on {step_set} against best of {table.n} on {pool}"
    chart = scatter_chart(both, f"best of {table.n}", measure, title)
    return Scatter(chart, pool, step_set, table.n, measure, count)


def _in_both(table: Table, step: StepTable) -> list[Both]:
    at = table.board.yardstick.settings.column
    chooses = {
        (each.submission.org, each.submission.model, each.submission.revision): each.measured.bon
        for each in table.board.entries
    }
    found = []
    for entry in step.board.entries:
        curve = chooses.get((entry.submission.org, entry.submission.model, entry.submission.revision))
        three = limited(entry, step.board.yardstick.headline)
        if curve is not None and three is not None:
            found.append(Both(entry.submission.model, (curve.values[at], curve.lows[at], curve.highs[at]), three))
    return found
