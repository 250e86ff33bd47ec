"""What a reward model is to us: a thing with a name that maps statements and stepped candidates to finite numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from prm_eval.records import Kind, ScoreType, ScoringItem, StepRewards
from prm_eval.rewards.aggregations import Aggregation


@runtime_checkable
class RewardModel(Protocol):
    """A verifier. It is never shown a gold answer: :class:`~prm_eval.records.ScoringItem` has none.

    A third party registers a class (or a function) under the entry-point group ``prm_eval.reward_models``. It is called
    as ``factory(argument, **options)``, where the argument is what follows the colon in ``name:argument`` (or None) and
    the options are those the user gave (``device``, ``dtype``, ``batch_tokens``, ...). Constructing must be cheap and
    must fail early (before hours of generation); weights are loaded at the first call of :meth:`score`.
    """

    name: str
    kind: Kind
    score_type: ScoreType
    aggregation: Aggregation
    splitter: str | None
    """How this model wants candidates cut; None means as the pool says."""

    def describe(self) -> dict[str, Any]:
        """Return what identifies the numbers: id, revision, weight hashes, dtype, device, versions (JSON values)."""
        ...

    def score(self, items: Sequence[ScoringItem]) -> list[StepRewards]:
        """Return one result an item, in order: one value a step for a PRM, one value for an ORM, or a refusal."""
        ...


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
