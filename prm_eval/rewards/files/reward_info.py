"""What ``submission.json`` says of a reward file."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from prm_eval.records import Kind, ScoreType
from prm_eval.rewards.aggregations import Aggregation


@dataclass(frozen=True, slots=True)
class RewardInfo:
    """Everything about a reward file but the rewards: which model, how fed, how aggregated, for which pool.

    ``disclosure`` is what people say of the model (:class:`prm_eval.submissions.Disclosure`), None until they have.
    """

    name: str
    kind: Kind
    score_type: ScoreType
    aggregation: Aggregation
    splitter: str | None
    pool_hash: str
    model: dict[str, Any] = field(default_factory=dict)
    run: dict[str, Any] = field(default_factory=dict)
    disclosure: dict[str, Any] | None = None
