"""Asking a judge: a generative verifier judges a pool, or only the candidates of a queue, and can be interrupted."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from prm_eval.evaluation.jobs import run_scoring
from prm_eval.labelling.labellers import part_of
from prm_eval.labelling.writing import Key
from prm_eval.pools.pool import Pool
from prm_eval.progress import Bars, no_bars
from prm_eval.rewards import RewardFile, load_reward_model
from prm_eval.stepsets.label_file import require_no_labels

OPTIONS = ("base_url", "votes", "temperature", "max_tokens")
"""What can be said of a judge here; for more, score with it first."""
PART, REWARDS = "asked", "judged"
"""The folders, beside the labels, of the candidates that were asked about and of what was judged."""


def options_of(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of a judge among others."""
    return {name: given[name] for name in OPTIONS if given.get(name) is not None}


def judged(
    pool: Pool,
    wanted: Collection[Key] | None,
    folder: Path,
    name: str,
    options: Mapping[str, Any],
    *,
    bars: Bars = no_bars,
) -> tuple[Pool, RewardFile]:
    """Let a judge judge candidates; what an interrupted run has judged is not asked again.

    Args:
        pool: The candidates.
        wanted: Those to ask about, all by default.
        folder: The folder of the labels, in which the judgements are kept.
        name: The reward model's name.
        options: Its options.
        bars: The bar of the progress.

    Returns:
        The pool that was judged (a part of ``pool`` where not all are wanted) and its rewards.

    Raises:
        ModelError: There is no such judge, or its server cannot be reached.
        PrmEvalError: The folder holds labels already.
    """
    require_no_labels(folder)
    # first: a wrong name must not cost the making of a pool
    model = load_reward_model(name, **options)
    part = pool if wanted is None else part_of(pool, wanted, folder / PART)
    return part, run_scoring(part, model, folder / REWARDS, bars=bars).rewards
