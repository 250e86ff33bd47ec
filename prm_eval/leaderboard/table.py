"""The cells of a board: every number of the page, the Markdown, CSV and JSON, formatted in one place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from prm_eval.evaluation.measured import Curve
from prm_eval.evaluation.stats import Interval
from prm_eval.evaluation.summary import ORACLE
from prm_eval.evaluation.yardstick import Yardstick
from prm_eval.leaderboard.charts import limits, mini, mini_axis
from prm_eval.leaderboard.rows import Board, Row
from prm_eval.leaderboard.words import grouped, p_value, percent, points, rounded, span
from prm_eval.submissions import Disclosure

MARKS = {"baseline": "\u00b7", "recomputed": "\u25cb", "spot-checked": "\u25d0", "reproduced": "\u25cf"}
BASELINE_NAMES = {
    "first": ("mean", "the first candidate drawn: what the policy does without a selector"),
    "random": ("random", "a random one of those that have an answer"),
    "shortest": ("shortest", "the shortest candidate"),
    "longest": ("longest", "the longest candidate"),
    "majority": ("majority", "the most common answer; needs no reward model"),
    ORACLE: ("oracle", "a correct candidate whenever one was drawn (pass@n); no selector can do better"),
}
LEAST_SECONDS = 1e-3  # what a clock was read to; less is no measurement
ASKED = {
    "math_test": ("MATH test", "problems of the MATH test set, or solutions to them"),
    "prm800k": ("PRM800K", "PRM800K, whose phases hold MATH test problems"),
    "this_pool": ("this pool", "candidates of this pool, or labels of them"),
}


@dataclass(frozen=True)
class Cell:
    """An accuracy or difference with its limits, as text, and as numbers for sorting."""

    text: str
    low: str
    high: str
    value: float
    title: str = ""
    sure: bool = False


@dataclass(frozen=True)
class Line:
    """One row of the table on the page.

    Attributes:
        rank: A range, or "" for a baseline.
        best: Its better end, for sorting.
        worst: Its worse end.
        name: Of the model.
        org: Of the organisation.
        revision: Short.
        slug: Of its page; "" for a baseline.
        kind: "PRM", "ORM" or "baseline".
        tier: Trust tier.
        bon: Accuracy at the headline n.
        chart: The same, drawn.
        over_majority: Difference.
        over_best: Difference; None in the row that is best.
        wmaj: Weighted majority at the headline n.
        gap: Share of the gap recovered.
        tokens: Per candidate.
        speed: Candidates a second.
        device: That did it.
        licence: Of the weights.
        trained_on: What it says it was (or may have been) trained on: (short, long, answer).
        suspicions: In words.
        about: What a baseline is.
    """

    name: str
    kind: str
    tier: str
    bon: Cell
    chart: Markup
    rank: str = ""
    best: int = 0
    worst: int = 0
    org: str = ""
    revision: str = ""
    slug: str = ""
    over_majority: Cell | None = None
    over_best: Cell | None = None
    wmaj: Cell | None = None
    gap: Cell | None = None
    tokens: float | None = None
    speed: float | None = None
    device: str = ""
    licence: str = ""
    trained_on: tuple[tuple[str, str, str], ...] = ()
    suspicions: tuple[str, ...] = ()
    about: str = ""

    @property
    def mark(self) -> str:
        """The sign of the tier."""
        return MARKS[self.tier]

    @property
    def tier_order(self) -> int:
        """How much is known, for sorting."""
        return list(MARKS).index(self.tier)

    @property
    def flag_count(self) -> int:
        """How much speaks against it, for sorting: doubts first, then what it was trained on."""
        trained = sum(10 if answer == "yes" else 1 for _, _, answer in self.trained_on)
        return 100 * len(self.suspicions) + trained

    @property
    def clean(self) -> int:
        """1 where there is no doubt, and no "yes" in the disclosure."""
        return int(not self.suspicions and not any(answer == "yes" for _, _, answer in self.trained_on))

    @property
    def words(self) -> str:
        """What the search field looks through."""
        return " ".join((self.org, self.name, self.revision, self.licence, self.device)).lower()

    @property
    def cost_text(self) -> tuple[str, str]:
        """Tokens a candidate, and candidates a second."""
        return (
            "" if self.tokens is None else grouped(self.tokens),
            "" if self.speed is None else (grouped(self.speed) if self.speed >= 10 else f"{self.speed:.2g}"),
        )


@dataclass(frozen=True)
class Table:
    """A board as it is shown: lines best first, then the baselines."""

    lines: tuple[Line, ...]
    baselines: tuple[Line, ...]
    axis: Markup
    majority: str
    oracle: str
    mean: str


def accuracy_cell(curve: Curve, column: int) -> Cell:
    """Return the accuracy at one n."""
    noise = curve.mc_se[column]
    return Cell(
        percent(curve.values[column]) + ("~" if noise > 0 else ""),
        percent(curve.lows[column]),
        percent(curve.highs[column]),
        curve.values[column],
        f"from random draws, standard error {percent(noise, 2)}" if noise > 0 else "",
    )


def difference_cell(found: Interval, p: float | None) -> Cell:
    """Return a difference in points."""
    title = "" if p is None else f"p = {p_value(p)}, adjusted for all rows of this board (Holm)".replace("= <", "<")
    return Cell(
        points(found.value), points(found.low), points(found.high), found.value, title, p is not None and p < 0.05
    )


def table_of(board: Board) -> Table:
    """Return the table of a board whose pool is at hand."""
    yardstick = board.yardstick
    assert yardstick is not None  # noqa: S101
    column = yardstick.settings.column
    base = yardstick.baselines
    majority, oracle = base["majority"].curve.values[column], base[ORACLE].curve.values[column]
    curves = [row.measured.bon for row in board.rows] + [each.curve for each in base.values()]
    axis = limits([value for each in curves for value in (each.lows[column], each.highs[column])])
    marks = [(majority, "mj"), (oracle, "or")]

    def chart(curve: Curve) -> Markup:
        return mini(curve.values[column], curve.lows[column], curve.highs[column], axis, marks)

    baselines = tuple(
        Line(
            name=BASELINE_NAMES[name][0],
            kind="baseline",
            tier="baseline",
            bon=accuracy_cell(each.curve, column),
            chart=chart(each.curve),
            about=BASELINE_NAMES[name][1],
        )
        for name, each in sorted(base.items(), key=lambda item: (-round(item[1].curve.values[column], 9), item[0]))
    )
    lines = tuple(_line(row, column, chart(row.measured.bon)) for row in board.rows)
    return Table(
        lines,
        baselines,
        mini_axis(axis),
        percent(majority),
        percent(oracle),
        percent(base["first"].curve.values[column]),
    )


def _line(row: Row, column: int, chart: Markup) -> Line:
    submission, measured, standing = row.submission, row.measured, row.standing
    cost = submission.cost
    gap = standing.gap
    return Line(
        name=submission.model,
        org=submission.org,
        revision=short_revision(submission.revision),
        slug=row.slug,
        kind=submission.rewards.info.kind.upper(),
        tier=submission.tier,
        rank=span(standing.best, standing.worst),
        best=standing.best,
        worst=standing.worst,
        bon=accuracy_cell(measured.bon, column),
        chart=chart,
        over_majority=difference_cell(standing.over_majority, standing.p_majority),
        over_best=None if standing.over_best is None else difference_cell(standing.over_best, standing.p_best),
        wmaj=accuracy_cell(measured.wmaj, column),
        gap=None if gap is None else Cell(percent(gap.value, 0), percent(gap.low, 0), percent(gap.high, 0), gap.value),
        tokens=measured.tokens,
        speed=cost.candidates / cost.seconds if cost.seconds and cost.seconds >= LEAST_SECONDS else None,
        device=cost.device or "",
        licence=submission.licence or "",
        trained_on=trained_on(submission.disclosure),
        suspicions=tuple(each.text for each in row.suspicions),
    )


def short_revision(revision: str) -> str:
    """Return the first digits of a revision, with what sort it is."""
    return revision[:8] if len(revision) == 40 else revision[:15]


def trained_on(disclosure: Disclosure | None) -> tuple[tuple[str, str, str], ...]:
    """Return (short, long, answer) of what was not answered by "no"."""
    if disclosure is None:
        return ()
    answers = ((name, getattr(disclosure.trained_on, name)) for name in ASKED)
    return tuple((*ASKED[name], str(answer)) for name, answer in answers if answer != "no")


def _interval(found: Interval | None) -> dict[str, Any] | None:
    if found is None:
        return None
    return {"high": rounded(found.high), "low": rounded(found.low), "value": rounded(found.value)}


def _curve(curve: Curve, ns: Sequence[int]) -> dict[str, Any]:
    return {
        str(n): {"high": rounded(high), "low": rounded(low), "value": rounded(value)}
        | ({"mc_se": rounded(se)} if se else {})
        for n, value, low, high, se in zip(ns, curve.values, curve.lows, curve.highs, curve.mc_se, strict=True)
    }


def row_json(row: Row, yardstick: Yardstick) -> dict[str, Any]:
    """Return everything about a row, as numbers."""
    submission, measured, standing = row.submission, row.measured, row.standing
    settings = yardstick.settings
    disclosure = submission.disclosure
    found = measured.reliability
    return {
        "aggregation": submission.rewards.aggregation,
        "aggregations": {name: _curve(curve, settings.ns) for name, curve in measured.aggregations.items()},
        "base_model": submission.base_model,
        "bon": _curve(measured.bon, settings.ns),
        "cost": {
            "candidates": submission.cost.candidates,
            "device": submission.cost.device,
            "seconds": rounded(submission.cost.seconds),
            "tokens_per_candidate": rounded(measured.tokens, 2),
        },
        "diagnostics": {
            "auroc_within_problem": rounded(measured.auroc[0]),
            "brier": None if found is None else rounded(found.brier),
            "calibration_error": None if found is None else rounded(found.ece),
            "chosen_length": rounded(measured.chosen_length),
            "last_step_worst": None
            if measured.last_step is None
            else {
                "by_chance": rounded(measured.last_step.by_chance),
                "correct": rounded(measured.last_step.correct),
                "incorrect": rounded(measured.last_step.incorrect),
            },
            "length_correlation": rounded(measured.length_correlation[0]),
        },
        "gap_recovered": _interval(standing.gap),
        "groups": [
            {
                "by": each.by,
                "high": rounded(each.high),
                "label": each.label,
                "low": rounded(each.low),
                "n_problems": each.n_problems,
                "value": rounded(each.value),
            }
            for each in measured.groups
        ],
        "kind": submission.rewards.info.kind,
        "licence": submission.licence,
        "model": submission.model,
        "org": submission.org,
        "over_best": _interval(standing.over_best),
        "over_majority": _interval(standing.over_majority),
        "p_best_holm": rounded(standing.p_best),
        "p_majority_holm": rounded(standing.p_majority),
        "page": f"submissions/{row.slug}.html",
        "rank": [standing.best, standing.worst],
        "refused": measured.refusals,
        "revision": submission.revision,
        "suspicions": [{"name": each.name, "text": each.text, "value": rounded(each.value)} for each in row.suspicions],
        "tier": submission.tier,
        "trained_on": None
        if disclosure is None
        else {name: getattr(disclosure.trained_on, name) for name in sorted(ASKED)},
        "wmaj": _curve(measured.wmaj, settings.ns),
    }
