"""Stored rewards: a reward file that is used as a reward model (``stored:FOLDER``)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from prm_eval.errors import ModelError
from prm_eval.pools.pool import Pool
from prm_eval.records import Kind, ScoreType, ScoringItem, StepRewards
from prm_eval.rewards.aggregations import Aggregation
from prm_eval.rewards.files.reward_file import RewardFile


class StoredRewardModel:
    """A reward file that is used as a reward model.

    Args:
        argument: The folder that holds ``submission.json`` and ``rewards.parquet``.
        aggregation: An aggregation to use instead of the declared one.

    Raises:
        ModelError: No folder was named.
        DataError: The reward file is malformed.
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
        """Return the description of the model in the reward file."""
        return dict(self.file.info.model)

    def require_pool(self, pool: Pool) -> RewardFile:
        """Return the file, if it is for this pool.

        Raises:
            DataError: It is for another pool.
        """
        self.file.require_pool(pool)
        return self.file

    def score(self, items: Sequence[ScoringItem]) -> list[StepRewards]:
        """Refuse to score, because stored rewards belong to candidates, not to texts.

        Raises:
            ModelError: Always; use :meth:`require_pool`.
        """
        raise ModelError(f"{self.name}: stored rewards cannot score new candidates; name the reward model itself")
