"""Rewards that were computed before: a reward file used as a reward model (``stored:FOLDER``)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from prm_eval.errors import ModelError
from prm_eval.pools.pool import Pool
from prm_eval.records import Kind, ScoreType, ScoringItem, StepRewards
from prm_eval.rewards.aggregations import Aggregation
from prm_eval.rewards.files.reward_file import RewardFile


class StoredRewardModel:
    """A reward file in the place of a reward model.

    Args:
        argument: The folder that holds ``submission.json`` and ``rewards.parquet``.
        aggregation: Instead of the declared one.

    Raises:
        ModelError: No folder was named.
        DataError: It is malformed.
    """

    def __init__(self, argument: str | None, *, aggregation: str | None = None) -> None:
        if not argument:
            raise ModelError("stored rewards need a folder: stored:FOLDER")
        self.file = RewardFile(argument, cast("Aggregation | None", aggregation))
        self.name = self.file.name
        self.kind: Kind = self.file.info.kind
        self.score_type: ScoreType = self.file.info.score_type
        self.aggregation: Aggregation = self.file.aggregation
        self.splitter: str | None = self.file.info.splitter

    def describe(self) -> dict[str, Any]:
        """Return what the reward file says of its model."""
        return dict(self.file.info.model)

    def require_pool(self, pool: Pool) -> RewardFile:
        """Return the file, if it is for this pool.

        Raises:
            DataError: It is for another one.
        """
        self.file.require_pool(pool)
        return self.file

    def score(self, items: Sequence[ScoringItem]) -> list[StepRewards]:
        """Stored rewards belong to candidates, not to texts.

        Raises:
            ModelError: Always; use :meth:`require_pool`.
        """
        raise ModelError(f"{self.name}: stored rewards cannot score new candidates; name the reward model itself")
