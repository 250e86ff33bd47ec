"""The writing of a folder of labels from what a labeller says, candidate by candidate in the pool's order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from prm_eval.errors import DataError, PrmEvalError
from prm_eval.evaluation.jobs import AUTO, meant_grades
from prm_eval.pools.pool import Pool
from prm_eval.progress import Progress, silent
from prm_eval.records import Candidate, LabelKind, Problem, StepLabel
from prm_eval.stepsets.format import LabelSource
from prm_eval.stepsets.label_file import FOLDER, LabelFile, Labelled, LabelWriter
from prm_eval.stepsets.labels import NO_ERROR
from prm_eval.texts.steps import split_steps

Key = tuple[str, str]


@dataclass(frozen=True)
class Said:
    """What a labeller says of one candidate: its label, or why it has none.

    Attributes:
        problem: Its problem.
        candidate: The candidate.
        label: Its label; None where there is none.
        why_not: The reason, where there is none.
        remarks: What else is to be kept.
    """

    problem: Problem
    candidate: Candidate
    label: StepLabel | None
    why_not: str = ""
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True)
class About:
    """What stands in ``labels.json``: who labels, what the labels say, how candidates are cut, the settings."""

    source: LabelSource
    by: str
    kind: LabelKind
    splitter: str
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """What was written.

    Attributes:
        labels: The folder.
        labelled: Candidates with a label.
        steps: Steps with a rating.
        wrong_steps: Steps rated wrong.
        with_error: Candidates with a wrong step.
        left_out: Candidates without a label, by reason.
    """

    labels: LabelFile
    labelled: int
    steps: int
    wrong_steps: int
    with_error: int
    left_out: dict[str, int]


def write_labels(
    pool: Pool, folder: Path, about: About, said: Iterator[Said], *, grades: str = AUTO, progress: Progress = silent
) -> Outcome:
    """Write a folder of labels; where the pool is graded, each label also says whether the answer is right.

    Args:
        pool: The candidates.
        folder: The folder to make.
        about: Who labels, and how.
        said: What the labeller says, in the pool's order.
        grades: Whose grades say whether an answer is right.
        progress: Called with the number of candidates done.

    Raises:
        PrmEvalError: The folder holds labels already, a label does not fit the steps, or no candidate has one.
    """
    right = right_answers(pool, grades)
    counts: Counter[str] = Counter()
    left_out: Counter[str] = Counter()
    with LabelWriter(
        folder,
        pool,
        source=about.source,
        by=about.by,
        labels=about.kind,
        splitter=about.splitter,
        settings=about.settings,
    ) as writer:
        for done, each in enumerate(said, 1):
            progress(done)
            if each.label is None:
                left_out[each.why_not] += 1
                continue
            candidate, label = each.candidate, each.label
            if label.final_correct is None and right is not None:
                label = replace(label, final_correct=right.get((candidate.problem_id, candidate.candidate_id)))
            steps = split_steps(candidate.text, writer.splitter, candidate.steps)
            writer.add(Labelled(each.problem, candidate, steps, label, about.by, now(), None, each.remarks))
            rated = [rating for rating in label.ratings or () if rating is not None]
            counts.update(
                labelled=1, steps=len(rated), wrong=rated.count(-1), error=label.first_error not in (None, NO_ERROR)
            )
        if not counts["labelled"]:
            reasons = "; ".join(f"{count:,}: {reason}" for reason, count in left_out.most_common(4))
            raise PrmEvalError(f"no candidate got a label, so that {folder} is not made (left out {reasons or 'none'})")
    return Outcome(
        LabelFile(folder), counts["labelled"], counts["steps"], counts["wrong"], counts["error"], dict(left_out)
    )


def right_answers(pool: Pool, grades: str = AUTO) -> dict[Key, bool] | None:
    """Return whether the answer of each candidate is right; None where the pool is not graded.

    What nobody could decide on is left out.
    """
    source = meant_grades(pool, grades)
    if not pool.grades_path(source).is_file():
        return None
    found: dict[Key, bool] = {}
    for (_, candidates), (_, rows) in zip(pool, pool.grades(source), strict=True):
        for candidate, row in zip(candidates, rows, strict=True):
            if row.grade != "undecided":
                found[candidate.problem_id, candidate.candidate_id] = row.grade == "correct"
    return found


def wanted_candidates(pool: Pool, wanted: Collection[Key] | None) -> Iterator[tuple[Problem, Candidate]]:
    """Yield the candidates of a pool that are to be labelled, all of them by default."""
    for problem, candidates in pool:
        for candidate in candidates:
            if wanted is None or (problem.problem_id, candidate.candidate_id) in wanted:
                yield problem, candidate


def pool_of(folder: Path) -> Path:
    """Return the pool in whose folder a folder of labels lies.

    Raises:
        DataError: It lies in none.
    """
    pool = folder.absolute().parent.parent
    if folder.absolute().parent.name != FOLDER or not (pool / "pool.json").is_file():
        raise DataError(folder, None, "labels outside a pool", f"POOL/{FOLDER}/NAME", "Say of which pool: --pool POOL")
    return pool


def now() -> str:
    """Return the time as ISO 8601, in UTC."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds")
