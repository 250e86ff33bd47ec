"""Grades and rewards of a pool inside an lm_eval run: the same calls as ``prm-eval grade`` and ``prm-eval score``."""

from __future__ import annotations

import logging
from pathlib import Path

from tqdm import tqdm

from prm_eval.errors import OtherRewards
from prm_eval.grading.pool import grade_pool, grades_file, is_graded
from prm_eval.harness.options import Options
from prm_eval.pools.pool import Pool
from prm_eval.progress import ScoringBar
from prm_eval.rewards import RewardFile, RewardModel, reward_slug, score_pool
from prm_eval.rewards.files.cache import identity_hash
from prm_eval.rewards.models.stored import StoredRewardModel

logger = logging.getLogger(__name__)


def grade_if_needed(pool: Pool, options: Options) -> None:
    """Make the grades the options ask for, unless the pool has them.

    Raises:
        PrmEvalError: Published grades are asked for and the pool has none.
    """
    if options.grades == "published":
        pool.require_grades("published")
        return
    if not is_graded(pool, options.grader):
        with tqdm(total=pool.info.n_problems, desc="grading", unit="problem") as bar:
            grade_pool(pool, name=options.grader, progress=lambda done: bar.update(done - bar.n))
    if options.grader != "default":
        logger.info("graded by %s: %s", options.grader, grades_file(pool, options.grader))


def rewards_for(pool: Pool, model: RewardModel) -> RewardFile:
    """Return the rewards of a model for a pool: stored ones, those already in the pool, or computed now and kept there.

    The weights are let go of afterwards, also after a failure: the next model, and a policy that comes back, need the
    room.
    """
    if isinstance(model, StoredRewardModel):
        return model.require_pool(pool)
    folder = pool.path / "rewards" / reward_slug(model.name)
    try:
        try:
            return _scored(pool, model, folder)
        except (
            OtherRewards
        ):  # of the same model under other options, which inside lm_eval nobody can give another folder
            key = {"kind": model.kind, "splitter": model.splitter, "model": model.describe()}
            return _scored(pool, model, folder.with_name(f"{folder.name}-{identity_hash(key)[:8]}"))
    finally:
        release = getattr(model, "release", None)
        if release is not None:
            release()


def _scored(pool: Pool, model: RewardModel, folder: Path) -> RewardFile:
    with ScoringBar(f"scoring with {model.name}", pool.info.n_candidates, delay=0) as update:
        return score_pool(pool, model, folder, progress=update)
