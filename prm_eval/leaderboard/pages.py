"""The pages of the board, and the values that their templates show without computing anything."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any, ClassVar

from markupsafe import Markup

from prm_eval.evaluation.baselines import BASELINES
from prm_eval.evaluation.measured import tokens_at
from prm_eval.evaluation.summary import ORACLE
from prm_eval.leaderboard.cells import MARKS
from prm_eval.leaderboard.charts import DRAWN_BASELINES, Stroke, baseline_stroke, draw_curves, ranking
from prm_eval.leaderboard.columns import COLUMNS, OVERVIEW, OVERVIEW_NAMES, PAGE
from prm_eval.leaderboard.cost_chart import Priced, draw_costs, draw_tokens
from prm_eval.leaderboard.fills import seconds_a_candidate
from prm_eval.leaderboard.links import PAPER, Project, pool_link
from prm_eval.leaderboard.overview import overview_of
from prm_eval.leaderboard.rows import Board, BoardWithoutPool, Entry, LeftOut
from prm_eval.leaderboard.steps.views import Scatter, StepView
from prm_eval.leaderboard.svg import NOTHING
from prm_eval.leaderboard.table import Table
from prm_eval.leaderboard.verdict import Verdict, makeup, verdict_of
from prm_eval.pools.format import policy_name
from prm_eval.submissions import STEP_TIERS, TIERS, RegisteredPool, Tier

# rows of the ranking chart
CHARTED = 40
# lines of the accuracy chart
DRAWN = 6
# the tiers beside their marks, in a few words
SHORT: dict[Tier, str] = {
    "baseline": "computed here, nothing to believe",
    "recomputed": "nobody has run the model again",
    "spot-checked": "run again on a random sample",
    "reproduced": "run again on every candidate",
}
# the menu of columns: (key, name)
MENU = [(column.key, column.page.menu) for column in COLUMNS if column.page is not None and column.page.menu]


@dataclass(frozen=True)
class PoolView:
    """The view of a pool on the index page, whether the pool is at hand or not."""

    pool: RegisteredPool
    at_hand: ClassVar[bool] = False

    @property
    def charts(self) -> dict[str, Markup]:
        """The charts that are files of their own, by name."""
        return {}

    @property
    def id(self) -> str:
        """The pool's name in addresses."""
        return self.pool.pool_id

    @property
    def title(self) -> str:
        """The pool's name for readers."""
        return self.pool.title

    @property
    def about(self) -> str:
        """The sentence that says what the pool is; "" where there is none."""
        return self.pool.about

    @property
    def hub(self) -> str:
        """The place of the pool on the hub; "" where it is not there."""
        return "" if self.pool.hub is None else f"{self.pool.hub.dataset} at {self.pool.hub.revision}"

    @property
    def hub_link(self) -> str:
        """The address of the pool on the hub; "" where it is not there."""
        return pool_link(self.pool)


@dataclass(frozen=True)
class BoardView(PoolView):
    """The view of a board on the index page.

    Attributes:
        table: Its rows.
        ranking: A chart of the best rows; nothing without submissions.
        accuracy: A chart of accuracy against n of the very best rows; nothing without submissions.
        costs: A chart of accuracy against cost; nothing where no submission says its cost.
        tokens: A chart of accuracy against tokens; nothing where the pool, or every submission, does not say them.
        verdict: Who leads, by how much, and whether to believe it; None without submissions.
        devices: The number of kinds of devices in the chart of costs.
    """

    table: Table
    ranking: Markup = NOTHING
    accuracy: Markup = NOTHING
    costs: Markup = NOTHING
    tokens: Markup = NOTHING
    verdict: Verdict | None = None
    devices: int = 0
    at_hand: ClassVar[bool] = True
    charted: ClassVar[int] = CHARTED

    @property
    def charts(self) -> dict[str, Markup]:
        """The charts that are files of their own, by name."""
        found = {"ranking": self.ranking, "accuracy": self.accuracy, "cost": self.costs, "tokens": self.tokens}
        return {name: drawing for name, drawing in found.items() if drawing}

    @property
    def n(self) -> int:
        """The headline n."""
        return self.table.n

    @property
    def m(self) -> int:
        """The number of slots of a problem."""
        return self.table.board.yardstick.arrays.info.m

    @property
    def n_problems(self) -> int:
        """The number of problems of the pool."""
        return self.table.board.yardstick.arrays.info.n_problems

    @property
    def policy(self) -> str:
        """The name of the model that wrote the candidates."""
        return policy_name(self.table.board.yardstick.arrays.info.policy)

    @property
    def grader(self) -> str:
        """The grader with the options of the pool's task; "" where it has none."""
        return self.table.board.yardstick.arrays.grader

    @property
    def makeup(self) -> str:
        """Where the models on it come from, and what is not on it."""
        return makeup(self.table.board.entries)

    @property
    def draws(self) -> str:
        """The number of random draws a problem, for figures that are not exact."""
        return f"{self.table.board.yardstick.settings.draws:,}"

    @property
    def noisy(self) -> bool:
        """Whether any figure of a submission is from random draws."""
        return any(
            not cell.foreign and cell.text.endswith("~") for row in self.table.rows for cell in row.cells.values()
        )


def view_of(shown: Table | BoardWithoutPool) -> PoolView:
    """Return the view of one pool on the index page."""
    if isinstance(shown, BoardWithoutPool):
        return PoolView(shown.pool)
    board = shown.board
    if not board.entries:
        return BoardView(board.pool, shown)
    priced = [(entry, seconds) for entry in board.entries if (seconds := seconds_a_candidate(entry))]
    devices = len({entry.submission.cost.device for entry, _ in priced})
    return BoardView(
        board.pool,
        shown,
        _ranking(board),
        _accuracy(board),
        _costs(board, priced),
        _tokens(board),
        verdict_of(shown),
        devices,
    )


def _ranking(board: Board) -> Markup:
    settings, base = board.yardstick.settings, board.yardstick.baselines
    at = settings.column
    charted = []
    for entry in board.entries[:CHARTED]:
        curve = entry.measured.bon
        charted.append((entry.submission.model, curve.values[at], curve.lows[at], curve.highs[at]))
    references = [
        (BASELINES[name].short, base[name].curve.values[at], colour) for name, colour in DRAWN_BASELINES.items()
    ]
    return ranking(charted, references, f"Best of {settings.headline_n} with 95 % limits, {board.pool.title}")


def _costs(board: Board, priced: Sequence[tuple[Entry, float]]) -> Markup:
    settings = board.yardstick.settings
    at = settings.column
    points = []
    for entry, seconds in priced:
        curve, submission = entry.measured.bon, entry.submission
        limits = (curve.values[at], curve.lows[at], curve.highs[at])
        points.append(Priced(submission.model, seconds, *limits, submission.rewards.info.kind == "prm"))
    majority = board.yardstick.baselines["majority"].curve.values[at]
    return draw_costs(points, majority, f"Best of {settings.headline_n} against cost, {board.pool.title}")


def _tokens(board: Board) -> Markup:
    settings, written = board.yardstick.settings, board.yardstick.arrays.written
    strokes = [
        (Stroke(entry.submission.model, str(place), entry.measured.bon.values), tokens)
        for place, entry in enumerate(board.entries[:DRAWN])
        if (tokens := tokens_at(settings.ns, written, entry.measured.read)) is not None
    ]
    if (tokens := tokens_at(settings.ns, written)) is not None:
        strokes.append((baseline_stroke("majority", board.yardstick.baselines["majority"].curve), tokens))
    return draw_tokens(strokes, f"Accuracy against tokens, {board.pool.title}")


def _accuracy(board: Board) -> Markup:
    settings, base = board.yardstick.settings, board.yardstick.baselines
    strokes = [
        Stroke(entry.submission.model, str(place), entry.measured.bon.values)
        for place, entry in enumerate(board.entries[:DRAWN])
    ]
    strokes += [baseline_stroke(name, base[name].curve) for name in ("majority", ORACLE, "first")]
    return draw_curves(settings.ns, strokes, f"Accuracy against n, {board.pool.title}", settings.headline_n)


def index_page(
    views: Sequence[PoolView],
    left_out: Sequence[LeftOut],
    project: Project,
    steps: Sequence[StepView] = (),
    both: Scatter | None = None,
) -> str:
    """Return ``index.html``.

    Args:
        views: The pools.
        left_out: What has a fault.
        project: The addresses of this project's documents.
        steps: The step sets.
        both: The chart of a pool and a step set together.
    """
    tiers = [{"mark": MARKS[name], "name": name, "text": text, "short": SHORT[name]} for name, text in TIERS.items()]
    at_hand = [each for each in views if isinstance(each, BoardView)]
    return render(
        "index.html",
        boards=views,
        steps=steps,
        both=both,
        step_tiers=[{"mark": MARKS[name], "name": name, "text": text} for name, text in STEP_TIERS.items()],
        headline=next((each for each in at_hand if each.verdict), None),
        makeup=makeup([entry for each in at_hand for entry in each.table.board.entries]),
        overview=overview_of([each.table for each in at_hand]),
        columns=PAGE,
        overview_names=OVERVIEW_NAMES,
        overview_columns=OVERVIEW,
        menu=MENU,
        tiers=tiers,
        left_out=left_out,
        project=project,
        paper=PAPER,
    )


def render(template: str, **values: Any) -> str:
    """Return a page; everything that is not :class:`Markup` is escaped."""
    page: str = _environment().get_template(template).render(**values)
    return page


@lru_cache(maxsize=1)
def _environment() -> Any:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_asset),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for name, asset in (("style", "style.css"), ("steps_style", "steps.css"), ("script", "board.js")):
        text = _asset(asset)
        environment.globals[name] = Markup(text)  # noqa: S704  (ours)
        digest = hashlib.sha256(text.encode()).digest()
        environment.globals[f"{name}_hash"] = base64.b64encode(digest).decode()
    return environment


def _asset(name: str) -> str:
    return (files("prm_eval.leaderboard") / "templates" / name).read_text(encoding="utf-8")
