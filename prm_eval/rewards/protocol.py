"""The protocol of a reward model: a name, and a map from statements and stepped candidates to finite numbers.

:class:`RewardModel` lists all that a model must have. The protocols after it are optional parts that the scorer uses if
a model has them: weights that can be freed, a device, counters, and candidates that are rendered ahead. Nothing else of
a model is used.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, runtime_checkable

from prm_eval.records import Kind, ScoreType, ScoringItem, StepRewards
from prm_eval.rewards.aggregations import Aggregation
from prm_eval.rewards.files.cache import ScoreFile
from prm_eval.rewards.inputs.rendered import Rendered

Report = Callable[[int, int], None]
"""A function that takes the numbers of (candidates, tokens) that a model has just finished."""

REQUIRED = ("name", "kind", "score_type", "aggregation", "splitter", "describe", "score")
"""The names of the parts of :class:`RewardModel`, for messages."""


@runtime_checkable
class RewardModel(Protocol):
    """A verifier that never sees a gold answer: :class:`~prm_eval.records.ScoringItem` has none.

    A third party registers a class (or a function) under the entry-point group ``prm_eval.reward_models``. It is called
    as ``factory(argument, **options)``: the argument is the part after the colon in ``name:argument`` (or None), and
    the options are those that the user gave (``device``, ``dtype``, ``batch_tokens``, ...). The factory must be quick
    and must fail early, before hours of generation; weights are loaded at the first call of :meth:`score`.
    """

    name: str
    kind: Kind
    score_type: ScoreType
    aggregation: Aggregation
    splitter: str | None
    """The way in which candidates are cut into steps for this model; None is the pool's own."""

    def describe(self) -> dict[str, Any]:
        """Return the identity of the numbers: id, revision, weight hashes, dtype, device, versions (JSON values)."""
        ...

    def score(self, items: Sequence[ScoringItem]) -> list[StepRewards]:
        """Return a result for each item, in order: one value a step (PRM), one value (ORM), or a refusal."""
        ...


@runtime_checkable
class HoldsWeights(Protocol):
    """A reward model with weights that can be freed to make room for the next model or for a returning policy."""

    def release(self) -> None:
        """Free the weights, which are loaded again when the next items are scored."""
        ...


@runtime_checkable
class OnDevice(Protocol):
    """A reward model that computes on a device of torch."""

    device: str
    """The name of the device in torch: "cpu", "cuda", "cuda:1", ..."""


@runtime_checkable
class CountsWork(Protocol):
    """A reward model that counts what it computes."""

    def work_done(self) -> dict[str, int]:
        """Return the counts of this process by name, ``tokens`` among them; empty if nothing was computed here."""
        ...


@runtime_checkable
class RendersAhead(RewardModel, Protocol):
    """A reward model whose next candidates are rendered while the ones before them are computed.

    Its scores depend only on the rendered candidates of a block and are kept one by one in a journal.
    """

    def identity(self) -> dict[str, Any]:
        """Return everything that decides a score besides ids and read positions (JSON values).

        It is part of the keys of the journal.
        """
        ...

    def render_all(self, items: Sequence[ScoringItem]) -> list[Rendered]:
        """Return the rendered items, made without weights; an item that cannot be rendered is refused with a reason."""
        ...

    def score_rendered(
        self, rendered: Sequence[Rendered], journal: ScoreFile | None = None, report: Report | None = None
    ) -> list[StepRewards]:
        """Return a result for each rendered candidate, in order; results in the journal are not computed again."""
        ...


def free(model: RewardModel) -> None:
    """Free the weights of a model that can free them."""
    if isinstance(model, HoldsWeights):
        model.release()


def device_of(model: RewardModel) -> str:
    """Return the device of a model; "cpu" for a model that names none."""
    return str(model.device) if isinstance(model, OnDevice) else "cpu"


def work_done(model: RewardModel) -> dict[str, int]:
    """Return a model's counts in this process; empty if it does not count or has computed nothing here."""
    return model.work_done() if isinstance(model, CountsWork) else {}
