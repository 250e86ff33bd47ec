"""What looks odd in submissions that are in order, one by one and beside each other."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from prm_eval.evaluation.stepwise.arrays import load_set
from prm_eval.evaluation.stepwise.submitted import scores_of
from prm_eval.grading.pool import own_source
from prm_eval.pools.pool import Pool
from prm_eval.rewards.aggregate import aggregate_all
from prm_eval.rewards.files.step_arrays import StepArrays
from prm_eval.stepsets.step_set import StepSet
from prm_eval.submissions.alike import Ordered, copies, ordered
from prm_eval.submissions.checking.check import Checker, Look, read_rows
from prm_eval.submissions.readers import submission_folders
from prm_eval.submissions.records import Submission, Suspicion
from prm_eval.submissions.step_suspicion import step_suspicions, steps_ordered
from prm_eval.submissions.suspicion import of_steps, suspicions
from prm_eval.submissions.thresholds import threshold_in


def doubts_at(path: Path, checker: Checker) -> dict[str, list[Suspicion]]:
    """Return the suspicions of every submission at a path, by its folder below the results.

    Args:
        path: A results folder, or the folder of a submission; without faults.
        checker: The checker of its results folder.
    """
    results = checker.results
    found: dict[str, list[Suspicion]] = {}
    by_pool: dict[str, dict[str, Ordered]] = {}
    for folder in submission_folders(results) if results == path else [path]:
        look = checker.look(folder)
        if look.pool is None or (pool := look.pool.pool) is None:
            continue
        name = folder.relative_to(results).as_posix()
        if look.pool.step_set is not None:
            if (step := _of_steps(look, pool, checker)) is not None:
                found[name], by_pool.setdefault(look.pool.pool_id, {})[name] = step
            continue
        if not pool.grades_path(own_source(pool)).is_file():
            continue
        if (read := read_rows(look, pool, checker.reader)) is None:
            continue
        submission, rewards = read[0], rewards_of(*read, pool)
        found[name] = suspicions(submission, pool, rewards, look.pool.headline_n)
        found[name] += of_steps(submission, pool, read[1].counts)
        by_pool.setdefault(submission.pool_id, {})[name] = ordered(submission, rewards)
    for several in by_pool.values():
        for name, more in zip(several, copies(list(several.values())), strict=True):
            found[name] += more
    return found


def _of_steps(look: Look, pool: Pool, checker: Checker) -> tuple[list[Suspicion], Ordered] | None:
    """Return what looks odd in a submission to a step set, and the order of its steps; None where it has a fault."""
    read = read_rows(look, pool, checker.reader)
    if read is None:
        return None
    submission, steps = read
    arrays = load_set(StepSet(pool.path))
    at = threshold_in(submission.file)
    scores = scores_of("", steps, submission.file.score_type, None if at is None else at.value, arrays)
    return step_suspicions(submission, scores, arrays), steps_ordered(submission, scores, arrays)


def rewards_of(submission: Submission, steps: StepArrays, pool: Pool) -> npt.NDArray[np.float64]:
    """Return the aggregated rewards of a submission, (problems, M), from its step rewards; NaN where there is none."""
    rewards = submission.rewards
    each, _ = aggregate_all(steps.values, steps.counts, rewards.aggregation, rewards.info.score_type)
    table = np.full((pool.info.n_problems, pool.info.m), np.nan)
    at = 0
    for row, (_, block) in enumerate(pool.blocks(["problem_id", "slot"])):
        slots = block.column("slot").to_numpy()
        table[row, slots] = each[at : at + len(slots)]
        at += len(slots)
    return table
