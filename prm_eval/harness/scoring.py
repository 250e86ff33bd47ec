"""Grades and rewards of a pool inside an lm_eval run: the same calls as ``prm-eval grade`` and ``prm-eval score``."""

from __future__ import annotations

import logging
from functools import partial
from pathlib import Path

from prm_eval.errors import OtherRewards
from prm_eval.evaluation.jobs import grade_unless_graded, run_scoring
from prm_eval.grading.pool import grades_file
from prm_eval.harness.options import Options
from prm_eval.pools.pool import Pool
from prm_eval.progress import Bar
from prm_eval.rewards import RewardFile, RewardModel, reward_slug
from prm_eval.rewards.files.cache import identity_hash
from prm_eval.rewards.models.stored import StoredRewardModel
from prm_eval.rewards.protocol import free

logger = logging.getLogger(__name__)

# shown from the start: lm_eval's own bars have ended, and a silent terminal looks like a run that hangs
BARS = partial(Bar, delay=0)


def grade_if_needed(pool: Pool, options: Options) -> None:
    """Make the grades the options ask for, unless the pool has them.

    Raises:
        PrmEvalError: Published grades are asked for and the pool has none.
    """
    if options.grades == "published":
        pool.require_grades("published")
        return
    grade_unless_graded(pool, options.grader, bars=BARS)
    if options.grader != "default":
        logger.info("graded by %s: %s", options.grader, grades_file(pool, options.grader))


def rewards_for(pool: Pool, model: RewardModel) -> RewardFile:
    """Return the rewards of a model for a pool: stored ones, those already in the pool, or computed now and kept there.

    The weights are freed afterwards, also after a failure: the next model, and a policy that comes back, need the room.
    """
    if isinstance(model, StoredRewardModel):
        return model.require_pool(pool)
    folder = pool.path / "rewards" / reward_slug(model.name)
    try:
        try:
            return _scored(pool, model, folder)
        except OtherRewards:
            # of the same model under other options, which inside lm_eval nobody can give another folder
            key = {"kind": model.kind, "splitter": model.splitter, "model": model.describe()}
            return _scored(pool, model, folder.with_name(f"{folder.name}-{identity_hash(key)[:8]}"))
    finally:
        free(model)


def _scored(pool: Pool, model: RewardModel, folder: Path) -> RewardFile:
    found = run_scoring(pool, model, folder, bars=BARS)
    for line in found.refusal_lines:
        logger.warning("refused by %s: %s", model.name, line)
    return found.rewards
