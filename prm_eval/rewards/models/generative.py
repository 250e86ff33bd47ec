"""Generative verifiers: models that write a judgement, of which a number or an index is read.

Nothing that a model writes is ever executed.
"""

from __future__ import annotations

import hashlib
import math
import re
import statistics
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from functools import cached_property
from typing import Any

from prm_eval.errors import ModelError
from prm_eval.pools.format import software_versions
from prm_eval.records import Judged, Judgement, Kind, ScoreType, ScoringItem, StepRewards
from prm_eval.rewards.aggregate import logit, sigmoid
from prm_eval.rewards.aggregations import Aggregation
from prm_eval.rewards.inputs.pieces import Refused
from prm_eval.rewards.inputs.renderer import fill, numbered
from prm_eval.rewards.models import checkpoint
from prm_eval.rewards.models.server_writer import HttpWriter
from prm_eval.rewards.models.writers import LocalWriter, Unread, Writer, Written
from prm_eval.rewards.recipes.recipe import Generate, Recipe
from prm_eval.rewards.recipes.template import parse_template
from prm_eval.texts.boxed import boxed_spans

# of one prompt: no verifier reads more, and servers must not be flooded
MAX_CHARS = 200_000
MAX_VOTES = 64
LEAST_PROBABILITY = 1e-6
_CONTROL = re.compile(r"<\|[^|<>\s]{1,40}\|>")
_INDEX = re.compile(r"(?:paragraph[_ ])?(-?\d{1,6})")


class GenerativeModel:
    """A generative verifier: a model and a recipe with the head ``generate``.

    Args:
        recipe: The recipe, which says what is asked and how the judgement is read.
        argument: The server's name of the model, or the folder or hub id of a model that runs here.
        aggregation: An aggregation to use instead of the recipe's.
        base_url: The address of an OpenAI-compatible server, up to and with ``/v1``; without it the model runs here.
        temperature: A temperature to use instead of the recipe's.
        votes: The number of judgements a candidate, instead of the recipe's.
        max_tokens: The most tokens of a judgement, instead of the recipe's.
        splitter: A splitter to use instead of the recipe's.
        device: The device of a model that runs here.
        dtype: The dtype of a model that runs here.
        revision: The revision of a hub id.

    Raises:
        ModelError: The model cannot be loaded, or the options make no sense.
    """

    def __init__(
        self,
        recipe: Recipe,
        argument: str | None,
        *,
        aggregation: Aggregation | None = None,
        base_url: str | None = None,
        temperature: float | str | None = None,
        votes: int | str | None = None,
        max_tokens: int | str | None = None,
        splitter: str | None = None,
        device: str | None = None,
        dtype: str | None = None,
        revision: str | None = None,
    ) -> None:
        if not argument:
            raise ModelError("which model? Give its name, folder or hub id after the colon")
        how = recipe.generate or Generate()
        self.recipe, self.name = recipe, argument.rstrip("/")
        self.kind: Kind = recipe.kind
        self.score_type: ScoreType = recipe.score_type
        self.aggregation: Aggregation = aggregation or recipe.aggregation
        self.splitter = splitter or recipe.splitter
        self.how = replace(
            how,
            temperature=_temperature(temperature, how.temperature),
            votes=checkpoint.positive("votes", votes) or how.votes,
            max_new_tokens=checkpoint.positive("max_tokens", max_tokens) or how.max_new_tokens,
        )
        if self.how.votes > MAX_VOTES:
            raise ModelError(f"votes = {self.how.votes}; expected at most {MAX_VOTES}")
        if self.how.votes > 1 and self.how.temperature == 0:
            raise ModelError(
                f"votes = {self.how.votes} at temperature 0 are one vote; give a temperature, for example 0.7"
            )
        self.base_url, self.revision = base_url, revision
        for option, given in {"device": device, "dtype": dtype}.items():
            if base_url and given is not None:
                raise ModelError(f"{option} = {given!r} says nothing to a server; leave it out with base_url")
        self.device, self.dtype = ("server", "server") if base_url else checkpoint.device_and_dtype(device, dtype)
        own_template = bool(how.start or how.decision)
        self.tokenizer = (
            None
            if base_url and not own_template
            else checkpoint.load("tokenizer", "AutoTokenizer", self.name, revision)
        )
        if not base_url:
            checkpoint.require_safetensors(self.name, revision)
        self._text = parse_template(recipe.render.text)
        self._step = parse_template(recipe.render.step)
        # a wrong URL, or a model without room for a judgement, is an error now and not after hours of generation
        empty = ScoringItem("", "", ("",))
        self.writer.require_room(self.writer.prompt(self.question(empty), self.how.start), self.how)

    @cached_property
    def writer(self) -> Writer:
        """The writer of the judgements."""
        if self.base_url:
            return HttpWriter(self.base_url, self.name, self.tokenizer)
        return LocalWriter(self.name, self.revision, self.device, self.dtype, self.tokenizer)

    def describe(self) -> dict[str, Any]:
        """Return the identity of the numbers; the weights of a server are known only by the name of its model."""
        versions = software_versions("torch", "transformers")
        return {
            "id": self.name,
            "revision": checkpoint.snapshot_commit(self.name) or self.revision,
            "weights_sha256": self.weights,
            "recipe": self.recipe.name,
            "recipe_sha256": self.recipe.digest,
            "generate": {**asdict(self.how), "stop": list(self.how.stop), "choices": list(self.how.choices)},
            "backend": "http" if self.base_url else "transformers",
            "dtype": self.dtype,
            "device": self.device.split(":")[0],
            "versions": {} if self.base_url else {k: v for k, v in versions.items() if k in ("torch", "transformers")},
            **({} if self.base_url and self.tokenizer is None else checkpoint.input_hashes(self.name)),
        }

    @property
    def writes(self) -> str:
        """The length of a judgement in words: what was asked for, and the room of a model that runs here."""
        said = f"at most {self.how.max_new_tokens:,} tokens a judgement"
        limit = self.writer.limit
        return said if limit is None else f"{said}, or what its {limit:,} positions leave"

    @cached_property
    def weights(self) -> dict[str, str]:
        """The hashes of the weight files of a model that runs here, which are read at the first use."""
        return {} if self.base_url else checkpoint.weight_hashes(self.name)

    def release(self) -> None:
        """Free the weights of a model that runs here."""
        if isinstance(self.writer, LocalWriter):
            self.writer.release()

    def score(self, items: Sequence[ScoringItem]) -> list[StepRewards]:
        """Return a result for each item, in order; requests to a server run side by side."""
        with ThreadPoolExecutor(self.writer.parallel) as workers:
            return list(workers.map(self._score_one, items))

    def _score_one(self, item: ScoringItem) -> StepRewards:
        digest, votes = None, []
        try:
            prompt = self.writer.prompt(self.question(item), self.how.start)
            digest = hashlib.sha256(prompt.encode()).hexdigest()
            seed = int(digest[:7], 16)
            for vote in range(self.how.votes):
                votes.append(self._vote(prompt, seed + vote, len(item.steps)))
            values = self._yes_no(votes) if self._asks_yes_no else self._first_error(votes, len(item.steps))
        except Refused as refusal:
            return StepRewards((), str(refusal), None, digest, self._judged(votes, len(item.steps)))
        return StepRewards(values, None, None, digest, self._judged(votes, len(item.steps)))

    @property
    def _asks_yes_no(self) -> bool:
        return self.recipe.score.rule == "yes_no"

    def _vote(self, prompt: str, seed: int, steps: int) -> Judgement:
        """Return a judgement with what can be read of it."""
        written: Written = self.writer.write(prompt, self.how, seed)
        if not self._asks_yes_no:
            return Judgement(written.text, seed, first_error(written.text, steps), written.cut)
        try:
            yes, no = self.writer.choose(prompt + written.text + self.how.decision, self.how.choices)
        except Unread:
            return Judgement(written.text, seed, None, written.cut)
        # of a model whose numbers overflowed, or that rules a word out
        read = yes - no if math.isfinite(yes - no) else None
        return Judgement(written.text, seed, read, written.cut)

    def _judged(self, votes: Sequence[Judgement], steps: int) -> Judged | None:
        """Return the judgements with their spread; None where none was written."""
        if not votes:
            return None
        read = [each.read for each in votes if each.read is not None]
        if len(read) < 2:
            return Judged(tuple(votes))
        tables = [(sigmoid(each),) if self._asks_yes_no else _right_up_to(each, steps) for each in read]
        return Judged(tuple(votes), max(statistics.pstdev(step) for step in zip(*tables, strict=True)))

    def question(self, item: ScoringItem) -> str:
        """Return the question about an item, which is the user turn.

        Raises:
            Refused: The text holds something that the model or the template would misread.
        """
        literals = [content.strip() for sort, content in self._step if sort == "literal" and len(content.strip()) > 2]
        for text in (item.statement, *item.steps):
            try:
                text.encode()
            except UnicodeEncodeError:
                raise Refused("a lone surrogate in the text") from None
            if found := _CONTROL.search(text):
                raise Refused(f"special token {found.group()!r} in the text")
            for literal in literals:
                if literal in text:
                    raise Refused(f"separator {literal!r} in the text")
        steps = [
            fill(self._step, {"step": step, "step_k": numbered(step, k), "k": str(k), "index": str(k - 1)})
            for k, step in enumerate(item.steps, 1)
        ]
        joined = self.recipe.render.between.join(steps)
        question = fill(self._text, {"problem": item.statement, "steps": joined, "text": item.text})
        if len(question) > MAX_CHARS:
            raise Refused(f"over-length: {len(question)} characters, limit {MAX_CHARS}")
        return question

    def _yes_no(self, votes: Sequence[Judgement]) -> tuple[float, ...]:
        """Return the log-odds of the mean of P(yes) / (P(yes) + P(no)) after each judgement.

        Raises:
            Refused: Neither word is likely after any judgement.
        """
        odds = [each.read for each in votes if each.read is not None]
        if not odds:
            yes, no = self.how.choices
            raise Refused(f"no judgement: neither {yes!r} nor {no!r} among the likeliest tokens{_of_cut(votes)}")
        if len(odds) == 1:
            return (odds[0],)
        mean = sum(map(sigmoid, odds)) / len(odds)
        return (logit(min(1 - LEAST_PROBABILITY, max(LEAST_PROBABILITY, mean))),)

    def _first_error(self, votes: Sequence[Judgement], steps: int) -> tuple[float, ...]:
        """Return, for each step, the share of judgements that find no error up to it.

        Raises:
            Refused: No judgement could be parsed.
        """
        found = [_right_up_to(each.read, steps) for each in votes if each.read is not None]
        if not found:
            raise Refused(
                f"no judgement: no \\boxed{{index}} of one of {steps} steps in {len(votes)} answers{_of_cut(votes)}"
            )
        return tuple(sum(step) / len(found) for step in zip(*found, strict=True))


def _of_cut(votes: Sequence[Judgement]) -> str:
    """Return the end of a refusal that says how many judgements were not finished."""
    cut = sum(each.cut for each in votes)
    return f", {cut} of them cut off before their end" if cut else ""


def _right_up_to(index: float, steps: int) -> tuple[float, ...]:
    """Return for each step 1 where a judgement finds no error up to it, else 0; the index -1 is no error."""
    return tuple(float(index == -1 or index > k) for k in range(steps))


def first_error(judgement: str, steps: int) -> int | None:
    r"""Return the step in the last ``\boxed{}`` of a judgement: -1 for no error, None if no valid index is there."""
    spans = boxed_spans(judgement)
    if not spans:
        return None
    start, end = spans[-1]
    found = _INDEX.fullmatch(judgement[start:end].strip())
    index = int(found[1]) if found else steps
    return index if -1 <= index < steps else None


def _temperature(value: float | str | None, default: float) -> float:
    if value is None:
        return default
    try:
        number = float(value)
    except ValueError:
        number = -1.0
    if not 0 <= number <= 2:
        raise ModelError(f"temperature = {value!r}; expected a number from 0 to 2")
    return number
