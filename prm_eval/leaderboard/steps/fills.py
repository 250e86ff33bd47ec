"""The functions that fill the cells of a step set's columns (:mod:`prm_eval.leaderboard.steps.columns`)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from prm_eval.evaluation.stepwise.measuring import Measured, Row
from prm_eval.evaluation.stepwise.prmbench import CORRECT, MULTI, SHORT
from prm_eval.evaluation.stepwise.report import HEADLINES, headline_value
from prm_eval.evaluation.stepwise.resampling import Estimate
from prm_eval.evaluation.stepwise.rules import RULES
from prm_eval.leaderboard.cells import Cell, sort_key
from prm_eval.leaderboard.charts import mini
from prm_eval.leaderboard.fills import tier_cell
from prm_eval.leaderboard.layout import Unranked
from prm_eval.leaderboard.steps.rows import StepEntry
from prm_eval.leaderboard.words import MINUS, grouped, p_value, percent, points, rounded, span
from prm_eval.submissions import STEP_TIERS
from prm_eval.submissions.thresholds import ORIGINS


@dataclass(frozen=True)
class Rule(Unranked):
    """A row without a model."""

    row: Row

    @property
    def name(self) -> str:
        """The name of the rule."""
        return self.row.scores.name


@dataclass(frozen=True)
class StepScene:
    """The values that all rows of one board of a step set share.

    Attributes:
        pool_id: The id of the set.
        headline: The measure that rows are ordered by.
        axis: The ends of the axis of the small charts, in shares.
        marks: The vertical lines in them.
        best_rule: The name of the rule that rows are compared with.
    """

    pool_id: str
    headline: str
    axis: tuple[float, float]
    marks: tuple[tuple[float, str], ...]
    best_rule: str


Line = StepEntry | Rule
# from a row to a share; None where it is not defined
Share = Callable[[Row], float | None]


def row_of(line: Line) -> Row:
    """Return the measurements of a row, submitted or not."""
    return line.row


# --- who it is, and whether to believe it -----------------------------------------------------------------------------


def pool(line: Line, scene: StepScene) -> Cell:
    """Return the cell of the set's id, for programs."""
    return Cell(csv=(scene.pool_id,))


def measure(line: Line, scene: StepScene) -> Cell:
    """Return the cell of the name of the measure that rows are ordered by, for programs."""
    return Cell(csv=(scene.headline,))


def rule_name(line: Rule, scene: StepScene) -> Cell:
    """Return the cell of a rule's name."""
    about = RULES[line.name][1]
    return Cell(line.name, title=about, notes=(about,), markdown=f"*{line.name}*", csv=(line.name,))


def tier(line: StepEntry, scene: StepScene) -> Cell:
    """Return the tier, with flags for the reasons against the row."""
    return tier_cell(line, STEP_TIERS)


def rank(line: StepEntry, scene: StepScene) -> Cell:
    """Return the cell of the range of ranks."""
    best, worst = line.standing.best, line.standing.worst
    text = span(best, worst)
    return Cell(text, sort=f"{best}.{worst:04d}", csv=(text.replace("\u2013", "-"),), json=[best, worst])


SHORT_ORIGINS = {"declared": "declared", "recipe": "the recipe\u2019s", "half": "by default"}


def threshold(line: StepEntry, scene: StepScene) -> Cell:
    """Return the cell of the threshold, with where it comes from under it."""
    at = line.threshold
    text = f"{at.value:.4g}".replace("-", MINUS)
    return Cell(
        text,
        sort=f"{at.value:.6f}",
        title=ORIGINS[at.origin],
        notes=(SHORT_ORIGINS[at.origin],),
        markdown=f"{text} ({SHORT_ORIGINS[at.origin]})",
        csv=(at.value, at.origin),
        json={"origin": at.origin, "value": rounded(at.value)},
    )


def rule_threshold(line: Rule, scene: StepScene) -> Cell:
    """Return the cell of a rule's threshold."""
    value = line.row.threshold.value
    return Cell(f"{value:.4g}", sort=f"{value:.6f}", csv=(value, "rule"))


# --- how good it is ---------------------------------------------------------------------------------------------------


def estimate_cell(found: Estimate, scene: StepScene | None = None) -> Cell:
    """Return the cell of a share with its limits; with a scene, a small chart stands beside it."""
    if found.value is None:
        return Cell("\u2013", title=found.reason, csv=(None, None, None), json=None)
    low, high = found.low, found.high
    has = low is not None and high is not None
    ends = (low, high) if low is not None and high is not None else (found.value, found.value)
    return Cell(
        percent(found.value),
        percent(ends[0]) if has else "",
        percent(ends[1]) if has else "",
        sort_key(found.value),
        csv=(found.value, low, high),
        chart=mini(found.value, *ends, scene.axis, scene.marks) if scene else Cell().chart,
        json=estimate_json(found),
    )


def estimate_json(found: Estimate) -> dict[str, object]:
    """Return a share with its limits for JSON; where it is not defined, with the reason."""
    said: dict[str, object] = {"high": rounded(found.high), "low": rounded(found.low), "value": rounded(found.value)}
    return said if found.value is not None else said | {"reason": found.reason}


def headline(line: Line, scene: StepScene) -> Cell:
    """Return the cell of the measure that rows are ordered by."""
    return estimate_cell(headline_value(line.row, scene.headline), scene)


def share_cell(value: float | None) -> Cell:
    """Return the cell of a share without limits."""
    return Cell("\u2013" if value is None else percent(value), sort=sort_key(value), csv=(value,), json=rounded(value))


def share(of: Share) -> Callable[[Line, StepScene], Cell]:
    """Return what fills the cells of a share."""
    return lambda line, scene: share_cell(of(line.row))


def error_acc(row: Row) -> float | None:
    """Return the share of solutions with a wrong step whose first one is named."""
    return row.whole.located.error_acc


def correct_acc(row: Row) -> float | None:
    """Return the share of solutions without a wrong step that are called right."""
    return row.whole.located.correct_acc


def step_auc(row: Row) -> float | None:
    """Return how often a good step has a higher score than a bad one."""
    return None if row.whole.separated is None else row.whole.separated.auc.value


def ece(row: Row) -> float | None:
    """Return the calibration error; None for scores that are no probabilities."""
    found = row.whole.separated
    return None if found is None or found.calibration is None else found.calibration.ece


def lowest_is_first(row: Row) -> float | None:
    """Return how often the lowest score of a solution with a wrong step is at the first one."""
    return None if row.whole.separated is None else row.whole.separated.lowest_is_first_error


def not_scored(line: Line, scene: StepScene) -> Cell:
    """Return the cell of the solutions without a score."""
    count, of = line.row.whole.n_not_scored, line.row.whole.n_solutions
    said = ", ".join(f"{reason}: {n:,}" for reason, n in sorted(line.row.scores.refusals.items()))
    return Cell(
        grouped(count),
        sort=sort_key(float(count)),
        title=f"of {of:,} solutions{f' ({said})' if said else ''}",
        csv=(count,),
        json={"count": count, "reasons": dict(sorted(line.row.scores.refusals.items()))},
    )


def group_names(row: Row, headline: str) -> list[tuple[str, str]]:
    """Return (name, heading) of the groups that a board has a column for."""
    names = [name for name in row.groups if name]
    if headline == "prm_score":
        return [(name, SHORT[name]) for name in SHORT if name in names]
    return [(name, name) for name in names if name != CORRECT] if headline == "mean_f1" else []


def group_value(row: Row, name: str, headline: str) -> float | None:
    """Return a row's figure on a group: F1, or the score of a class of PRMBench."""
    if headline == "prm_score":
        return None if row.prmbench is None else row.prmbench.classes[name].prm_score
    return row.groups[name].located.f1.value


def group(name: str) -> Callable[[Line, StepScene], Cell]:
    """Return what fills the cells of a group's column."""
    return lambda line, scene: share_cell(group_value(line.row, name, scene.headline))


def group_title(name: str, measured: Measured, headline: str) -> str:
    """Return what a group's figure is, for readers."""
    of = f"{measured.located.n_error:,} solutions with a wrong step, {measured.located.n_clean:,} without"
    if headline == "prm_score":
        what = "F1 of the good steps" if name == MULTI else "Mean of F1 of the good steps and of the bad ones"
        return f"{what}, class {name}: {measured.n_solutions:,} solutions"
    return f"F1: {of}"


def groups(line: Line, scene: StepScene) -> Cell:
    """Return the cell of all groups' figures, for programs."""
    names = [name for name, _ in group_names(line.row, scene.headline)]
    values = {name: group_value(line.row, name, scene.headline) for name in names}
    spelt = "; ".join(f"{name}={rounded(value)}" for name, value in values.items() if value is not None)
    return Cell(csv=(spelt,), json={name: rounded(value) for name, value in values.items()})


def to_rule(line: StepEntry, scene: StepScene) -> Cell:
    """Return the cell of the difference to the best rule, in points, with its p-value."""
    each = line.standing.to_rule
    found = each.difference
    if found.value is None or found.low is None or found.high is None:
        return Cell("\u2013", title=found.reason, csv=(None, None, None))
    sure = each.p_holm is not None and each.p_holm < 0.05
    said = "yes" if found.low > 0 else "no" if found.high < 0 else "open"
    p = "" if each.p_holm is None else f"; p = {p_value(each.p_holm)}, adjusted for all rows of this board (Holm)"
    return Cell(
        points(found.value),
        points(found.low),
        points(found.high),
        sort_key(found.value),
        f"against the rule \u201c{scene.best_rule}\u201d: {said}{p}".replace("= <", "<"),
        sure=sure,
        csv=(found.value, found.low, found.high),
        json=estimate_json(found) | {"rule": scene.best_rule},
    )


def p_to_rule(line: StepEntry, scene: StepScene) -> Cell:
    """Return the cell of the p-value of that difference."""
    p = line.standing.to_rule.p_holm
    return Cell("\u2013" if p is None else p_value(p), sort=sort_key(p), csv=(p,), json=rounded(p))


def heading_of(measure: str) -> str:
    """Return the heading of the measure that rows are ordered by."""
    return HEADLINES[measure]
