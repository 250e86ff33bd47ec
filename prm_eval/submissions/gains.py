"""What the differences between submitted rewards and those of a second run can be worth, in points of best-of-n."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from prm_eval.evaluation.curves import graded_slots
from prm_eval.grading.pool import own_source
from prm_eval.pools.pool import Pool
from prm_eval.rewards.aggregate import aggregate_lists
from prm_eval.rewards.files.reward_file import NamedRewards, RewardFile
from prm_eval.selection.accuracies import best_of_n_table
from prm_eval.submissions.compare import Scored
from prm_eval.submissions.leeway import Problem, follows_grade, leeway, none_drawn, part

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Figures:
    """What the differences can be worth.

    Attributes:
        headline_n: The n of the figures.
        leeway: The most points, with 95 % confidence; 0 where everything was scored again.
        follows_grade: How far the signs of differences follow the grade, in standard errors.
        gained: The points that the submitted rewards have more than the model's own; None for a sample.
    """

    headline_n: int
    leeway: float
    follows_grade: float
    gained: float | None


@dataclass(frozen=True)
class Submitted:
    """The submitted rewards of a pool, all (problems, M).

    Attributes:
        rewards: The aggregated rewards; minus infinity for what is never chosen (no reward, no answer, no candidate).
        correct: Whether a slot is right.
        answered: Whether a slot has an answer.
        twins: In how many slots of the problem the same text has the same reward.
    """

    rewards: Floats
    correct: Bools
    answered: Bools
    twins: npt.NDArray[np.int64]


def _submitted(pool: Pool, rewards: RewardFile) -> Submitted:
    named = NamedRewards("", rewards)
    graded = list(graded_slots(pool, own_source(pool), [named]))
    correct = np.stack([each.correct for each in graded])
    answered = np.stack([each.classes >= 0 for each in graded])
    found = np.stack([each.rewards[named.label].rewards for each in graded])
    table = np.where(answered & ~np.isnan(found), found, -np.inf)
    twins = np.ones(table.shape, dtype=np.int64)
    # given steps may differ where texts do not
    if (rewards.info.splitter or pool.info.splitter) != "given":
        for row, (_, block) in enumerate(pool.blocks(["problem_id", "slot", "text"])):
            alike: defaultdict[tuple[str, float], list[int]] = defaultdict(list)
            for slot, text in zip(block.column("slot").to_pylist(), block.column("text").to_pylist(), strict=True):
                alike[text, float(table[row, slot])].append(slot)
            for slots in alike.values():
                twins[row, slots] = len(slots)
    return Submitted(table, correct, answered, twins)


def figures_of(rewards: RewardFile, pool: Pool, n: int, scored: Sequence[Scored], *, everything: bool) -> Figures:
    """Return what the differences between submitted rewards and those scored again can be worth.

    Args:
        rewards: The submitted rewards.
        pool: Their pool, graded.
        n: The n of the figures.
        scored: The candidates that were scored again.
        everything: Whether these are all candidates.
    """
    own = _submitted(pool, rewards)
    found, _ = aggregate_lists([one.again.values for one in scored], rewards.aggregation, rewards.info.score_type)
    problem = np.array([one.problem for one in scored], dtype=np.int64)
    slot = np.array([one.slot for one in scored], dtype=np.int64)
    again = np.where(own.answered[problem, slot] & ~np.isnan(found), found, -np.inf)
    followed = follows_grade(own.rewards[problem, slot], again, own.correct[problem, slot], problem)
    if everything:
        table = own.rewards.copy()
        table[problem, slot] = again
        ours, theirs = (
            float(best_of_n_table(np.where(np.isneginf(each), np.nan, each), own.correct, [n]).mean())
            for each in (table, own.rewards)
        )
        return Figures(n, 0.0, followed, 100 * (theirs - ours))
    none = none_drawn(pool.info.m, n)
    problems = [Problem(*each) for each in zip(own.rewards, own.correct, own.twins, strict=True)]
    parts = [part(problems[p], s, value, none) for p, s, value in zip(problem, slot, again.tolist(), strict=True)]
    most = leeway(np.array(parts), n, pool.info.m, pool.info.n_candidates, len(problems))
    return Figures(n, most, followed, None)
