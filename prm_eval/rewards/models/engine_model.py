"""What reward models that run on our engine share: render, refuse, look up, compute, keep."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from typing import Any

from prm_eval.errors import ModelError
from prm_eval.records import Kind, ScoreType, ScoringItem, StepRewards
from prm_eval.rewards.aggregations import Aggregation
from prm_eval.rewards.engine.engine import Unfit
from prm_eval.rewards.files.cache import ScoreFile, Values, identity_hash, open_cache
from prm_eval.rewards.inputs.rendered import Rendered
from prm_eval.rewards.protocol import Report

MAX_CHARS = 2_000_000  # of statement and candidate together: more is refused before it is tokenised


class RenderingModel(ABC):
    """A reward model whose candidates are rendered to token ids and scored by an :class:`~prm_eval.rewards.engine.engine.Engine`.

    It has every part of :mod:`prm_eval.rewards.protocol`, the optional ones too.
    Rendering needs no weights and is done ahead, in a thread of its own, while the engine computes
    (:func:`prm_eval.rewards.scoring.score_pool`). A subclass says how a candidate is rendered, what logits mean, and
    makes the engine when weights are needed first.

    Attributes:
        name: Of the model, for messages.
        max_tokens: Longer inputs are refused; None is no limit.
        cache_folder: Where scores are kept for other runs and pools, or None.
    """

    name: str
    kind: Kind
    score_type: ScoreType
    aggregation: Aggregation
    splitter: str | None
    max_tokens: int | None = None
    cache_folder: str | None = None

    @abstractmethod
    def describe(self) -> dict[str, Any]:
        """Return what identifies the numbers, as every reward model does."""

    @abstractmethod
    def render(self, item: ScoringItem) -> Rendered:
        """Return token ids and read positions of a candidate, or a refusal."""

    @abstractmethod
    def values(self, logits: Any) -> Values:
        """Turn float32 logits of shape (positions, labels) into one number a step (PRM) or one (ORM)."""

    def identity(self) -> dict[str, Any]:
        """Return everything but ids and positions that decides a score (JSON values): the cache is keyed by it."""
        return self.describe()

    @abstractmethod
    def make_engine(self) -> Any:
        """Load the weights; return an :class:`~prm_eval.rewards.engine.engine.Engine`, or what has its ``batches`` and ``counters``."""

    @cached_property
    def engine(self) -> Any:
        """The engine; the first use loads the weights."""
        return self.make_engine()

    def release(self) -> None:
        """Free the weights; they are loaded again when something is to be scored."""
        vars(self).pop("engine", None)

    def work_done(self) -> dict[str, int]:
        """Return what the engine counted; empty where no weights were loaded."""
        engine = vars(self).get("engine")
        return {} if engine is None else dict(engine.counters.as_dict())

    @cached_property
    def identity_hash(self) -> str:
        """Hash of :meth:`identity`."""
        return identity_hash(self.identity())

    @cached_property
    def _cache(self) -> ScoreFile | None:
        return None if self.cache_folder is None else open_cache(self.cache_folder, self.identity())

    def render_all(self, items: Sequence[ScoringItem]) -> list[Rendered]:
        """Render items; what is not valid Unicode, far too long, over the limit or empty is refused with the reason."""
        return [render_within(self.render, item, self.max_tokens) for item in items]

    def score(self, items: Sequence[ScoringItem]) -> list[StepRewards]:
        """Score items; results are in their order."""
        return self.score_rendered(self.render_all(items))

    def score_rendered(
        self, rendered: Sequence[Rendered], journal: ScoreFile | None = None, report: Report | None = None
    ) -> list[StepRewards]:
        """Score rendered candidates, known ones without computing.

        Args:
            rendered: Candidates, refused ones among them.
            journal: Where the scores of an unfinished block are kept as they come, and looked up.
            report: Told of progress.
        """
        results: dict[Rendered, StepRewards] = {}
        todo: list[Rendered] = []
        stores = [store for store in (journal, self._cache) if store is not None]
        for one in dict.fromkeys(rendered):
            known = None if one.refusal is not None else _known(stores, one)
            if known is None and one.refusal is None:
                todo.append(one)
            else:
                results[one] = StepRewards(
                    known or (), one.refusal, len(one.ids) or None, one.input_hash if one.ids else None
                )
        copies = _counts(rendered)
        if report is not None:
            report(sum(copies[one] for one in results), 0)
        for batch in self.engine.batches(todo) if todo else ():
            scored = {todo[index]: self._result(todo[index], logits) for index, logits in batch}
            kept = {one: result.values for one, result in scored.items() if result.refusal is None}
            for store in stores:
                store.add(kept)
            results |= scored
            if report is not None:
                report(sum(copies[one] for one in scored), sum(len(one.ids) for one in scored))
        return [results[one] for one in rendered]

    def _result(self, rendered: Rendered, logits: Any) -> StepRewards:
        if isinstance(logits, Unfit):
            return StepRewards((), logits.reason, len(rendered.ids), rendered.input_hash)
        if logits.ndim != 2 or len(logits) != len(rendered.positions):
            raise ModelError(
                f"{self.name}: the head returned logits of shape {tuple(logits.shape)} for {len(rendered.positions)} "
                "positions"
            )
        if not bool(logits.isfinite().all()):
            return StepRewards((), "non-finite reward", len(rendered.ids), rendered.input_hash)
        return StepRewards(self.values(logits), None, len(rendered.ids), rendered.input_hash)


def render_within(render: Callable[[ScoringItem], Rendered], item: ScoringItem, limit: int | None) -> Rendered:
    """Render an item, or say why not: not valid Unicode, too long (before work is done on it, where that can be seen), nothing.

    Args:
        render: What renders.
        item: What is rendered.
        limit: In tokens; None is none.
    """
    try:
        (item.statement + item.text).encode()
    except UnicodeEncodeError as error:
        return Rendered((), (), f"a lone surrogate in the text: character {error.start}")
    if len(item.statement) + len(item.text) > MAX_CHARS:
        return Rendered((), (), f"over-length: {len(item.statement) + len(item.text)} characters, limit {MAX_CHARS}")
    if limit is not None and len(item.steps) > limit:  # a step has at least one token
        return Rendered((), (), f"over-length: {len(item.steps)} steps, limit {limit} tokens")
    rendered = render(item)
    if rendered.refusal is not None:
        return rendered
    if limit is not None and len(rendered.ids) > limit:
        return Rendered(rendered.ids, (), f"over-length: {len(rendered.ids)} tokens, limit {limit}")
    if not rendered.ids or not rendered.positions:
        return Rendered(rendered.ids, (), "no token" if not rendered.ids else "no step")
    return rendered


def _known(stores: Iterable[ScoreFile], rendered: Rendered) -> Values | None:
    for store in stores:
        if (values := store.get(rendered)) is not None:
            return values
    return None


def _counts(rendered: Sequence[Rendered]) -> dict[Rendered, int]:
    counts: dict[Rendered, int] = {}
    for one in rendered:
        counts[one] = counts.get(one, 0) + 1
    return counts
