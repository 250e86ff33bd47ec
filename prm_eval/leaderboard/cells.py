"""The cells of the board, made from numbers; the page, the Markdown, CSV and JSON all use the same cell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from markupsafe import Markup

from prm_eval.evaluation.measured import Curve, Measured
from prm_eval.evaluation.stats import Interval
from prm_eval.leaderboard.svg import NOTHING
from prm_eval.leaderboard.words import p_value, percent, points, rounded
from prm_eval.submissions import Disclosure, Submission, Suspicion


class Listed(Protocol):
    """A submission as a row of any board."""

    @property
    def slug(self) -> str:
        """The name of its page's file."""
        ...

    @property
    def name(self) -> str:
        """The name ORGANISATION/MODEL."""
        ...

    @property
    def submission(self) -> Submission:
        """The submission itself."""
        ...

    @property
    def suspicions(self) -> tuple[Suspicion, ...]:
        """The suspicions about it."""
        ...


MARKS = {"baseline": "\u00b7", "recomputed": "\u25cb", "spot-checked": "\u25d0", "reproduced": "\u25cf"}
ASKED = {
    "math_test": ("MATH test", "problems of the MATH test set, or solutions to them"),
    "prm800k": ("PRM800K", "PRM800K, whose phases hold MATH test problems"),
    "this_pool": ("this pool", "candidates of this pool, or labels of them"),
}


@dataclass(frozen=True)
class Flag:
    """A chip in a cell, with a reason, or a possible reason, against a row; ``link`` is where more is said of it."""

    text: str
    title: str
    warning: bool
    link: str = ""


@dataclass(frozen=True)
class Cell:
    """The content of one column in one row, in the form of every output; by default the cell is empty.

    Attributes:
        text: The text for people.
        low: Lower limit; "" where there are no limits.
        high: Upper limit.
        sort: The key that the page sorts by, as text; "" comes last.
        title: More about the text, shown on demand.
        sure: Whether the text is highlighted.
        foreign: Whether the text is a stranger's words: isolated and cut on the page, escaped in Markdown.
        notes: Small print under the text; each note is separate, as it may be a stranger's words.
        link: The link of the text, relative to the index page.
        hub: The address of what it names on the hub; "" where it has none.
        mark: A sign before the text.
        flags: Chips under the text.
        chart: A chart beside the text.
        markdown: The text in Markdown; None where it is the same.
        csv: One value for each of the column's fields; () where they stay empty.
        json: The value in JSON.
    """

    text: str = ""
    low: str = ""
    high: str = ""
    sort: str = ""
    title: str = ""
    sure: bool = False
    foreign: bool = False
    notes: tuple[str, ...] = ()
    link: str = ""
    hub: str = ""
    mark: str = ""
    flags: tuple[Flag, ...] = ()
    chart: Markup = NOTHING
    markdown: str | None = None
    csv: tuple[Any, ...] = ()
    json: Any = None


def sort_key(value: float | None) -> str:
    """Return the sort key of a number: six decimals, or an empty text where there is none."""
    number = rounded(value)
    return "" if number is None else f"{number:.6f}"


def accuracy_cell(curve: Curve, column: int, *, chart: Markup = NOTHING, json: Any = None) -> Cell:
    """Return the cell of an accuracy at one n, with its limits.

    Args:
        curve: The accuracy at every n.
        column: The index of that n.
        chart: A chart beside the accuracy.
        json: The value in JSON.
    """
    value, low, high, noise = (part[column] for part in (curve.values, curve.lows, curve.highs, curve.mc_se))
    return Cell(
        percent(value) + ("~" if noise > 0 else ""),
        percent(low),
        percent(high),
        sort_key(value),
        f"from random draws, standard error {percent(noise, 2)}" if noise > 0 else "",
        chart=chart,
        csv=(value, low, high),
        json=json,
    )


def difference_cell(found: Interval | None, p: float | None) -> Cell:
    """Return the cell of a difference in points, with its p-value; empty where a row is compared with itself."""
    if found is None:
        return Cell()
    title = "" if p is None else f"p = {p_value(p)}, adjusted for all rows of this board (Holm)".replace("= <", "<")
    return Cell(
        points(found.value),
        points(found.low),
        points(found.high),
        sort_key(found.value),
        title,
        sure=p is not None and p < 0.05,
        csv=(found.value, found.low, found.high),
        json=interval_json(found),
    )


def number_cell(value: float | None) -> Cell:
    """Return the cell of a number that only programs read."""
    return Cell(csv=(value,), json=rounded(value))


def text_cell(text: str | None) -> Cell:
    """Return the cell of a stranger's words."""
    return Cell(text or "", sort=(text or "").lower(), foreign=True, csv=(text,), json=text)


def trained_on(disclosure: Disclosure | None) -> tuple[tuple[str, str, str], ...]:
    """Return (short, long, answer) of every question about training data that was not answered by "no"."""
    if disclosure is None:
        return ()
    answers = ((name, getattr(disclosure.trained_on, name)) for name in ASKED)
    return tuple((*ASKED[name], str(answer)) for name, answer in answers if answer != "no")


def interval_json(found: Interval) -> dict[str, Any]:
    """Return a number with its limits for JSON."""
    return {"high": rounded(found.high), "low": rounded(found.low), "value": rounded(found.value)}


def curve_json(curve: Curve, ns: Sequence[int], *, noise: bool = True) -> dict[str, Any]:
    """Return accuracies by n for JSON; with ``noise``, also the standard errors of those from random draws."""
    return {
        str(n): {"high": rounded(high), "low": rounded(low), "value": rounded(value)}
        | ({"mc_se": rounded(se)} if noise and se else {})
        for n, value, low, high, se in zip(ns, curve.values, curve.lows, curve.highs, curve.mc_se, strict=True)
    }


def diagnostics_json(measured: Measured) -> dict[str, Any]:
    """Return the diagnostics of the rewards for JSON."""
    found, last = measured.reliability, measured.last_step
    return {
        "auroc_within_problem": rounded(measured.auroc[0]),
        "brier": None if found is None else rounded(found.brier),
        "calibration_error": None if found is None else rounded(found.ece),
        "chosen_length": rounded(measured.chosen_length),
        "last_step_worst": None
        if last is None
        else {
            "by_chance": rounded(last.by_chance),
            "correct": rounded(last.correct),
            "incorrect": rounded(last.incorrect),
        },
        "length_correlation": rounded(measured.length_correlation[0]),
    }


def groups_json(measured: Measured) -> list[dict[str, Any]]:
    """Return the accuracies on parts of the problems for JSON."""
    return [
        {
            "by": each.by,
            "high": rounded(each.high),
            "label": each.label,
            "low": rounded(each.low),
            "n_problems": each.n_problems,
            "value": rounded(each.value),
        }
        for each in measured.groups
    ]
