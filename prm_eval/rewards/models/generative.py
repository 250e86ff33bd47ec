"""Generative verifiers: a model that writes a judgement, of which one number or one index is read. What it writes is never executed."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from functools import cached_property
from typing import Any

from prm_eval.errors import ModelError
from prm_eval.pools.format import software_versions
from prm_eval.records import Kind, ScoreType, ScoringItem, StepRewards
from prm_eval.rewards.aggregate import logit, sigmoid
from prm_eval.rewards.aggregations import Aggregation
from prm_eval.rewards.inputs.renderer import Refused, fill, numbered
from prm_eval.rewards.models import checkpoint
from prm_eval.rewards.models.writers import Backend, HttpBackend, LocalBackend
from prm_eval.rewards.recipes.recipe import Generate, Recipe
from prm_eval.rewards.recipes.template import parse_template
from prm_eval.texts.boxed import boxed_spans

MAX_CHARS = 200_000  # of one prompt: no verifier reads more, and servers are not to be flooded
MAX_VOTES = 64
LEAST_PROBABILITY = 1e-6
_CONTROL = re.compile(r"<\|[^|<>\s]{1,40}\|>")
_INDEX = re.compile(r"(?:paragraph[_ ])?(-?\d{1,6})")


class GenerativeModel:
    """A recipe with the head ``generate``.

    Args:
        recipe: What is asked and how the judgement is read.
        argument: The model: as the server calls it, or a folder or hub id to run here.
        aggregation: Instead of the recipe's.
        base_url: An OpenAI-compatible server, up to and with ``/v1``; without it the model runs here.
        temperature: Instead of the recipe's.
        votes: Judgements a candidate, instead of the recipe's.
        max_tokens: Tokens of a judgement, instead of the recipe's.
        splitter: Instead of the recipe's.
        device: For a model that runs here.
        dtype: For a model that runs here.
        revision: Of a hub id.

    Raises:
        ModelError: It cannot be loaded, or the options make no sense.
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
        self.backend  # noqa: B018 - a wrong URL is an error now, not after hours of generation

    @cached_property
    def backend(self) -> Backend:
        """Where the words come from."""
        if self.base_url:
            return HttpBackend(self.base_url, self.name, self.tokenizer)
        return LocalBackend(self.name, self.revision, self.device, self.dtype, self.tokenizer)

    def describe(self) -> dict[str, Any]:
        """Return what identifies the numbers; a server's weights are what it says they are."""
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

    @cached_property
    def weights(self) -> dict[str, str]:
        """Hashes of the weight files of a model that runs here, which are read when they are first asked for."""
        return {} if self.base_url else checkpoint.weight_hashes(self.name)

    def release(self) -> None:
        """Let go of the weights of a model that runs here."""
        if isinstance(self.backend, LocalBackend):
            self.backend.release()

    def score(self, items: Sequence[ScoringItem]) -> list[StepRewards]:
        """Return one result an item, in order; requests to a server run side by side."""
        with ThreadPoolExecutor(self.backend.parallel) as workers:
            return list(workers.map(self._score_one, items))

    def _score_one(self, item: ScoringItem) -> StepRewards:
        digest = None
        try:
            prompt = self.backend.prompt(self.question(item), self.how.start)
            digest = hashlib.sha256(prompt.encode()).hexdigest()
            values = (
                self._yes_no(prompt, digest)
                if self.recipe.score.rule == "yes_no"
                else self._first_error(prompt, digest, item)
            )
        except Refused as refusal:
            return StepRewards((), str(refusal), None, digest)
        return StepRewards(values, None, None, digest)

    def question(self, item: ScoringItem) -> str:
        """Return the user turn.

        Raises:
            Refused: The text cannot be asked about without being misread.
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

    def _judgements(self, prompt: str, digest: str) -> list[str]:
        seed = int(digest[:7], 16)
        return [self.backend.write(prompt, self.how, seed + vote) for vote in range(self.how.votes)]

    def _yes_no(self, prompt: str, digest: str) -> tuple[float, ...]:
        """Return the log-odds of the mean of P(yes) / (P(yes) + P(no)) after each judgement."""
        odds = []
        for judgement in self._judgements(prompt, digest):
            yes, no = self.backend.choose(prompt + judgement + self.how.decision, self.how.choices)
            odds.append(yes - no)
        if len(odds) == 1:
            return (odds[0],)
        mean = sum(map(sigmoid, odds)) / len(odds)
        return (logit(min(1 - LEAST_PROBABILITY, max(LEAST_PROBABILITY, mean))),)

    def _first_error(self, prompt: str, digest: str, item: ScoringItem) -> tuple[float, ...]:
        """Return, for each step, the share of judgements that find no error up to it.

        Raises:
            Refused: No judgement could be parsed.
        """
        judgements = self._judgements(prompt, digest)
        found = [index for each in judgements if (index := first_error(each, len(item.steps))) is not None]
        if not found:
            raise Refused(
                f"no judgement: no \\boxed{{index}} of one of {len(item.steps)} steps in {len(judgements)} answers"
            )
        return tuple(sum(index == -1 or index > k for index in found) / len(found) for k in range(len(item.steps)))


def first_error(judgement: str, steps: int) -> int | None:
    r"""Return the index in the last ``\boxed{}`` of a judgement: -1 for no error; None where there is none, or no such step."""
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
