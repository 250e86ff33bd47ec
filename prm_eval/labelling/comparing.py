"""How far labels of two sources agree: of steps, and of where the first wrong step is, with limits over problems.

Steps are compared **up to and with the first one that the reference calls wrong**: of what comes after it, sources mean
different things (an oracle asks whether a step follows, rollouts whether an answer can still be reached). Neutral steps
count as right, as in the paper. A candidate is compared if both sources have labelled it, with the same steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from prm_eval.errors import DataError, PrmEvalError
from prm_eval.evaluation.report import aligned
from prm_eval.evaluation.stats import ClusterBootstrap
from prm_eval.evaluation.stepwise.resampling import DEFAULT_DRAWS, Estimate, estimate, of_sums
from prm_eval.pools.pool import Pool
from prm_eval.stepsets.label_file import LabelFile, Labelled
from prm_eval.stepsets.labels import NO_ERROR

Floats = npt.NDArray[np.float64]
LEVEL = 0.95
# the columns of a candidate: each statistic is a ratio of two sums
_COLUMNS = (
    "steps",
    "agree",
    "wrong",
    "found",
    "right",
    "alarm",
    "known",
    "same",
    "errors",
    "placed",
    "clean",
    "cleared",
)
_RATIOS = {
    "steps agree": ("agree", "steps"),
    "wrong steps found": ("found", "wrong"),
    "right steps called wrong": ("alarm", "right"),
    "first error agrees": ("same", "known"),
    "with an error": ("placed", "errors"),
    "without one": ("cleared", "clean"),
}
"""The statistics by name, each as two of the columns."""


@dataclass(frozen=True)
class Agreement:
    """How far a source agrees with the reference.

    Attributes:
        name: The folder of the labels.
        by: Who made them.
        source: What sort of source that is.
        candidates: Compared candidates.
        problems: Their problems.
        steps: Compared steps.
        figures: Each statistic with its limits.
    """

    name: str
    by: str
    source: str
    candidates: int
    problems: int
    steps: int
    figures: dict[str, Estimate]


def compare_labels(
    pool: Pool, reference: LabelFile, others: Sequence[LabelFile], *, seed: int = 0, draws: int = DEFAULT_DRAWS
) -> list[Agreement]:
    """Return the agreement of each source with the reference.

    Raises:
        DataError: Labels are of another pool, or of steps that were cut otherwise.
        PrmEvalError: No candidate is labelled by both.
    """
    known = {_key(each): each for each in reference.labelled(pool)}
    return [_agreement(pool, known, other, seed, draws) for other in others]


def as_table(reference: LabelFile, found: Sequence[Agreement]) -> list[str]:
    """Return the agreements as lines of text, a column a source."""
    info = reference.info
    head = f"against {reference.folder.name} ({info.source}, {info.by}); 95 % limits over problems"
    rows = [
        ["", *(f"{each.name} ({each.source})" for each in found)],
        ["candidates", *(f"{each.candidates:,}" for each in found)],
        ["steps compared", *(f"{each.steps:,}" for each in found)],
        *([name, *(_cell(each.figures[name]) for each in found)] for name in _RATIOS),
    ]
    return [head, *aligned(rows)]


def as_json(reference: LabelFile, found: Sequence[Agreement]) -> dict[str, Any]:
    """Return the agreements as JSON values."""
    info = reference.info
    of = {"name": reference.folder.name, "by": info.by, "source": info.source, "pool": info.pool_hash}
    return {"reference": of, "level": LEVEL, "rows": [asdict(each) for each in found]}


def _agreement(
    pool: Pool, known: dict[tuple[str, str], Labelled], other: LabelFile, seed: int, draws: int
) -> Agreement:
    columns: list[list[float]] = []
    problems: list[str] = []
    for each in other.labelled(pool):
        if (one := known.get(_key(each))) is not None:
            _require_same_steps(one, each, other)
            columns.append(_counts(one, each))
            problems.append(each.problem.problem_id)
    if not columns:
        raise PrmEvalError(f"{other.folder} and the reference have labelled no candidate in common; nothing to compare")
    names = list(dict.fromkeys(problems))
    place = {name: at for at, name in enumerate(names)}
    of = np.array([place[each] for each in problems])
    values = np.array(columns, dtype=np.float64)
    bootstrap = ClusterBootstrap(len(names), seed=seed, level=LEVEL, resamples=draws)
    at = {name: index for index, name in enumerate(_COLUMNS)}

    def ratio(above: str, below: str) -> Estimate:
        def statistic(sums: Floats) -> Floats:
            return np.asarray(sums[..., at[above]] / np.where(sums[..., at[below]] > 0, sums[..., at[below]], np.nan))

        found = estimate(of_sums(values, of, bootstrap, statistic), bootstrap, f"no {below}")
        return _widened(found, len(set(of[values[:, at[below]] > 0].tolist())))

    figures = {name: ratio(*pair) for name, pair in _RATIOS.items()}
    info, steps = other.info, int(values[:, 0].sum())
    return Agreement(other.folder.name, info.by, info.source, len(columns), len(names), steps, figures)


def _widened(found: Estimate, problems: int) -> Estimate:
    """Return limits that leave room where all problems are alike, by the exact binomial margin of so many problems.

    No resample can vary there, and yet they are not all problems there are (:class:`ClusterBootstrap` does the same).
    """
    if found.value is None or found.low is None or found.high is None or found.low < found.high:
        return found
    margin = 1 - ((1 - LEVEL) / 2) ** (1 / problems)
    return replace(found, low=max(0.0, found.value - margin), high=min(1.0, found.value + margin))


def _counts(reference: Labelled, other: Labelled) -> list[float]:
    """Return the columns of one candidate."""
    said, theirs = reference.label, other.label
    end = len(reference.steps) if said.first_error in (None, NO_ERROR) else (said.first_error or 0) + 1
    pairs = [
        (one != -1, two != -1)
        for one, two in zip((said.ratings or ())[:end], theirs.ratings or (), strict=False)
        if one is not None and two is not None
    ]
    both = said.first_error is not None and theirs.first_error is not None
    error, same = said.first_error != NO_ERROR, said.first_error == theirs.first_error
    numbers = (
        len(pairs),
        sum(one == two for one, two in pairs),
        sum(not one for one, _ in pairs),
        sum(not one and not two for one, two in pairs),
        sum(one for one, _ in pairs),
        sum(one and not two for one, two in pairs),
        both,
        both and same,
        both and error,
        both and error and same,
        both and not error,
        both and not error and same,
    )
    return [float(each) for each in numbers]


def _require_same_steps(one: Labelled, other: Labelled, file: LabelFile) -> None:
    if one.steps != other.steps:
        found = f"{len(other.steps)} steps (cut by {file.info.splitter!r}) of candidate {other.candidate.candidate_id}"
        raise DataError(
            Path(file.folder) / "labels.json",
            None,
            found,
            f"the {len(one.steps)} steps of the reference",
            "Labels of other steps cannot be compared: label again with the same splitter.",
        )


def _key(each: Labelled) -> tuple[str, str]:
    return each.candidate.problem_id, each.candidate.candidate_id


def _cell(figure: Estimate) -> str:
    if figure.value is None:
        return "-"
    if figure.low is None or figure.high is None:
        return f"{100 * figure.value:.1f}"
    return f"{100 * figure.value:.1f} [{100 * figure.low:.1f}, {100 * figure.high:.1f}]"
