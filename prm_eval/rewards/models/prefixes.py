"""Prefix scores: an outcome reward model asked about every beginning of a solution, as a process reward model.

An outcome reward model (ORM) gives a solution one number, so it cannot say which step is wrong. Asked about the first
step alone, then about the first two, and so on, it gives every step a number: what it thinks of the solution so far.
The last one is its number for the whole solution, so that the aggregation "last" is the plain ORM.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, cast

from prm_eval.errors import ModelError
from prm_eval.records import Kind, ScoreType, ScoringItem, StepRewards
from prm_eval.rewards.aggregations import Aggregation
from prm_eval.rewards.files.cache import ScoreFile
from prm_eval.rewards.inputs.rendered import Rendered
from prm_eval.rewards.protocol import RendersAhead, Report, RewardModel, device_of, free, work_done

BETWEEN = "\n\n"
"""What stands between steps that cannot be found in their text; it is what step sets have between given steps."""


def prefix_items(item: ScoringItem) -> tuple[ScoringItem, ...]:
    """Return the beginnings of a candidate, one a step; the last one has the whole text.

    A beginning is the text up to the end of a step, as it was written. The steps must stand in the text in their order
    with nothing but spaces and signs around them. Otherwise some text would belong to no step, or a beginning might
    hold a later step, and the beginnings are the steps joined by blank lines.
    """
    ends = _ends(item.text, item.steps)
    texts = (
        [BETWEEN.join(item.steps[:count]) for count in range(1, len(item.steps) + 1)]
        if ends is None
        else [item.text[:end] for end in ends]
    )
    return tuple(ScoringItem(item.statement, text, item.steps[:count]) for count, text in enumerate(texts, 1))


def hash_of_prefixes(hashes: Sequence[str | None]) -> str | None:
    """Return the SHA-256 over the input hashes of a candidate's prefixes, in order; None if one of them has none."""
    known = [each for each in hashes if each is not None]
    if len(known) < len(hashes):
        return None
    return hashlib.sha256(b"".join(map(bytes.fromhex, known))).hexdigest()


class PrefixScores:
    """An outcome reward model as a process reward model: the reward of step k is that of steps 0 to k alone.

    * A candidate is refused if one of its prefixes is, with the reason of the first one that is. Its tokens are those
      of that prefix, and it has no input hash.
    * The tokens of a candidate are the sum over its prefixes. Its input hash is over the hashes of all of them
      (:func:`hash_of_prefixes`), because a prefix in the middle may be fed wrongly although the whole text is not. The
      check of submissions (:mod:`prm_eval.submissions.checking.inputs`) renders a candidate once, as its recipe says,
      so for these rewards it must render :func:`prefix_items` instead; what it needs is public here.
    * Of a generative verifier, the judgement on the whole text is kept.

    Use :func:`by_prefixes`, which keeps what a model can do: one that renders ahead still does.

    Args:
        model: The outcome reward model.
        aggregation: How the prefixes become one reward; the last one by default, which is the plain model's reward.

    Raises:
        ModelError: The model is a process reward model.
    """

    def __init__(self, model: RewardModel, aggregation: Aggregation | None = None) -> None:
        if model.kind != "orm":
            raise ModelError(
                f"{model.name} is a PRM, which gives every step a number; only an ORM is asked about prefixes"
            )
        self.model = model
        self.name = f"{model.name} (by prefixes)"
        self.kind: Kind = "prm"
        self.score_type: ScoreType = model.score_type
        self.aggregation: Aggregation = aggregation or "last"
        self.splitter = model.splitter

    @property
    def device(self) -> str:
        """The device of the model."""
        return device_of(self.model)

    def describe(self) -> dict[str, Any]:
        """Return the identity of the numbers: the model's, and that it read prefixes."""
        return self.model.describe() | {"prefixes": True}

    def release(self) -> None:
        """Free the weights of the model."""
        free(self.model)

    def work_done(self) -> dict[str, int]:
        """Return the model's counts, in which every prefix is a candidate."""
        return work_done(self.model)

    def score(self, items: Sequence[ScoringItem]) -> list[StepRewards]:
        """Return the rewards of items, whose prefixes are given to the model together."""
        groups = [prefix_items(item) for item in items]
        prefixes = [prefix for group in groups for prefix in group]
        return self._regrouped(map(len, groups), self.model.score(prefixes) if prefixes else [])

    def _regrouped(self, counts: Any, results: Sequence[StepRewards]) -> list[StepRewards]:
        """Return the rewards of candidates that have so many of the results, one candidate after the other."""
        sizes = list(counts)
        if len(results) != sum(sizes):
            raise ModelError(f"{self.model.name} returned {len(results)} results for {sum(sizes)} prefixes")
        following = iter(results)
        return [self._joined(tuple(islice(following, size))) for size in sizes]

    def _joined(self, results: Sequence[StepRewards]) -> StepRewards:
        refused = next((each for each in results if each.refusal is not None), None)
        if refused is not None:
            return StepRewards((), refused.refusal, refused.n_tokens)
        if any(len(each.values) != 1 for each in results):
            raise ModelError(f"{self.model.name} is an ORM and returned another number of rewards than one a text")
        tokens = [each.n_tokens for each in results if each.n_tokens is not None]
        return StepRewards(
            tuple(each.values[0] for each in results),
            None,
            sum(tokens) if len(tokens) == len(results) else None,
            hash_of_prefixes([each.input_hash for each in results]),
            results[-1].judged if results else None,
        )


@dataclass(frozen=True, slots=True)
class RenderedPrefixes(Rendered):
    """The rendered prefixes of a candidate; of a refused one, the first prefix that is refused and no other."""

    parts: tuple[Rendered, ...] = ()


class PrefixScoresAhead(PrefixScores):
    """Prefix scores of a model that renders ahead (:class:`~prm_eval.rewards.protocol.RendersAhead`).

    A run so keeps its blocks, on which the last bits depend, and its journal of prefixes.

    Args:
        model: The outcome reward model.
        aggregation: How the prefixes become one reward.
    """

    model: RendersAhead

    def __init__(self, model: RendersAhead, aggregation: Aggregation | None = None) -> None:
        super().__init__(model, aggregation)

    def identity(self) -> dict[str, Any]:
        """Return the model's own identity: a prefix is a text like any other, and its score is of use to the ORM."""
        return self.model.identity()

    def render_all(self, items: Sequence[ScoringItem]) -> list[Rendered]:
        """Return the items with their rendered prefixes (:class:`RenderedPrefixes`)."""
        groups = [prefix_items(item) for item in items]
        rendered = iter(self.model.render_all([prefix for group in groups for prefix in group]))
        return [_group(tuple(islice(rendered, len(group)))) for group in groups]

    def score_rendered(
        self, rendered: Sequence[Rendered], journal: ScoreFile | None = None, report: Report | None = None
    ) -> list[StepRewards]:
        """Return the rewards of candidates rendered here; prefixes in the journal are not computed again."""
        groups = [cast(RenderedPrefixes, each).parts for each in rendered]
        parts = [part for group in groups for part in group]
        told = None if report is None else _InCandidates(report, len(parts), len(groups))
        return self._regrouped(map(len, groups), self.model.score_rendered(parts, journal, told))


def by_prefixes(model: RewardModel, aggregation: Aggregation | None = None) -> PrefixScores:
    """Return an outcome reward model as one that gives every step a number.

    Args:
        model: The outcome reward model.
        aggregation: How the prefixes become one reward; the last one by default.

    Raises:
        ModelError: The model is a process reward model.
    """
    if isinstance(model, RendersAhead):
        return PrefixScoresAhead(model, aggregation)
    return PrefixScores(model, aggregation)


class _InCandidates:
    """A report of prefixes that is told in candidates; when all prefixes are done, all candidates are."""

    def __init__(self, report: Report, prefixes: int, candidates: int) -> None:
        self._report, self._prefixes, self._candidates = report, prefixes, candidates
        self._done = self._told = 0

    def __call__(self, prefixes: int, tokens: int) -> None:
        self._done += prefixes
        now = self._done * self._candidates // max(self._prefixes, 1)
        self._report(now - self._told, tokens)
        self._told = now


def _group(parts: tuple[Rendered, ...]) -> RenderedPrefixes:
    refused = next((part for part in parts if part.refusal is not None), None)
    return RenderedPrefixes((), (), None, parts if refused is None else (refused,))


def _ends(text: str, steps: Sequence[str]) -> list[int] | None:
    """Return where the steps end in a text, the last one with what stands after it; None if they are not all of it."""
    ends: list[int] = []
    at = 0
    for step in steps:
        start = text.find(step, at)
        if start < 0 or _says_something(text[at:start]):
            return None
        at = start + len(step)
        ends.append(at)
    return None if not ends or _says_something(text[at:]) else [*ends[:-1], len(text)]


def _says_something(text: str) -> bool:
    return any(map(str.isalnum, text))
