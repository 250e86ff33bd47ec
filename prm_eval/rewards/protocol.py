"""What a reward model is to us: a thing with a name that maps statements and stepped candidates to finite numbers.

:class:`RewardModel` is all that a model must have. The protocols after it say what else the scorer can use of a model
that has it: weights that can be freed, counters, and candidates that are rendered ahead. A model has each of them or
leaves it out; nobody else looks into a model for more.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, runtime_checkable

from prm_eval.records import Kind, ScoreType, ScoringItem, StepRewards
from prm_eval.rewards.aggregations import Aggregation
from prm_eval.rewards.files.cache import ScoreFile
from prm_eval.rewards.inputs.rendered import Rendered

Report = Callable[[int, int], None]
"""What a model tells of (candidates, tokens) that it finished just now."""

REQUIRED = ("name", "kind", "score_type", "aggregation", "splitter", "describe", "score")
"""The parts of :class:`RewardModel`, as messages name them."""


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


@runtime_checkable
class HoldsWeights(Protocol):
    """A reward model whose weights take room that others need: the next model, or a policy that comes back."""

    def release(self) -> None:
        """Free the weights; they are loaded again when something is to be scored."""
        ...


@runtime_checkable
class OnDevice(Protocol):
    """A reward model that computes on a device of torch."""

    device: str
    """As torch calls it: "cpu", "cuda", "cuda:1", ..."""


@runtime_checkable
class CountsWork(Protocol):
    """A reward model that counts what it computes."""

    def work_done(self) -> dict[str, int]:
        """Return what was counted in this process, by name (``tokens`` among them); empty if nothing was computed here."""
        ...


@runtime_checkable
class RendersAhead(RewardModel, Protocol):
    """A reward model whose candidates are rendered ahead of scoring, while the ones before them are computed.

    Its scores depend on the rendered candidates of a block alone, and are kept one by one in a journal.
    """

    def identity(self) -> dict[str, Any]:
        """Return everything but ids and read positions that decides a score (JSON values): the journal is keyed by it."""
        ...

    def render_all(self, items: Sequence[ScoringItem]) -> list[Rendered]:
        """Render items, without weights; what cannot be fed is refused with the reason."""
        ...

    def score_rendered(
        self, rendered: Sequence[Rendered], journal: ScoreFile | None = None, report: Report | None = None
    ) -> list[StepRewards]:
        """Return one result a rendered candidate, in order; those that the journal knows are not computed."""
        ...


def free(model: RewardModel) -> None:
    """Free the weights of a model that holds some."""
    if isinstance(model, HoldsWeights):
        model.release()


def device_of(model: RewardModel) -> str:
    """Return the device of a model; "cpu" for one that says nothing of it."""
    return str(model.device) if isinstance(model, OnDevice) else "cpu"


def work_done(model: RewardModel) -> dict[str, int]:
    """Return what a model counted in this process; empty for one that does not count, or has computed nothing here."""
    return model.work_done() if isinstance(model, CountsWork) else {}
