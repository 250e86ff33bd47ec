"""Who goes on from a beginning: a policy behind an OpenAI-compatible server, in vLLM, or in transformers here.

All are asked alike: a prompt (a frame around the problem, and the beginning of a solution), how many completions, and a
seed that depends on the prompt alone. So an interrupted run asks the same questions again, in whatever order.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, NamedTuple, Protocol

from prm_eval.errors import ModelError, PrmEvalError
from prm_eval.rewards.inputs.pieces import Refused
from prm_eval.rewards.models import checkpoint
from prm_eval.rewards.models.server_writer import HttpWriter
from prm_eval.rewards.models.writers import ChatFrame, LocalWriter, cut_at, left

PARALLEL = 16
"""Requests to a server that run side by side."""
ROUNDS = 4
"""Requests of each thread in a lot."""
VLLM_AT_ONCE = 256
ENGINES = ("transformers", "vllm")
PROBLEM = "{problem}"


@dataclass(frozen=True)
class Sampling:
    """How completions are sampled.

    Attributes:
        rollouts: Completions of a beginning.
        temperature: Of the softmax.
        top_p: The share of the likeliest tokens that are drawn from.
        max_new_tokens: The most tokens of a completion.
        stop: Texts before which a completion ends.
        seed: From which the seed of each beginning is made.

    Raises:
        PrmEvalError: Several completions would all be the same, or a number is out of its range.
    """

    rollouts: int = 8
    temperature: float = 0.7
    top_p: float = 1.0
    max_new_tokens: int = 2048
    stop: tuple[str, ...] = ()
    seed: int = 0

    def __post_init__(self) -> None:
        if self.rollouts < 1 or self.max_new_tokens < 1:
            raise PrmEvalError(f"{self.rollouts} rollouts of {self.max_new_tokens} tokens; expected at least 1 of each")
        if not (0 <= self.temperature <= 2 and 0 < self.top_p <= 1):
            raise PrmEvalError(
                f"temperature = {self.temperature}, top_p = {self.top_p}; expected 0 to 2, and above 0 to 1"
            )
        if self.rollouts > 1 and self.temperature == 0:
            raise PrmEvalError(
                f"{self.rollouts} rollouts at temperature 0 are one; give a temperature, for example 0.7"
            )

    def settings(self) -> dict[str, Any]:
        """Return the fields as JSON values."""
        return {**asdict(self), "stop": list(self.stop)}


class Request(NamedTuple):
    """One beginning to go on from."""

    prompt: str
    seed: int


class Completion(NamedTuple):
    """What was written, and whether it ended for want of room."""

    text: str
    cut: bool


class Frame:
    """What stands around a problem and a beginning: a template, within a chat template where there is a tokenizer.

    Args:
        template: A text with ``{problem}`` in it.
        tokenizer: The tokenizer whose chat template makes the text a user turn, which the beginning answers.
        name: The tokenizer's name, for messages and settings.

    Raises:
        PrmEvalError: The template does not say where the problem goes.
    """

    def __init__(self, template: str | None = None, tokenizer: Any = None, name: str = "") -> None:
        self.template = template if template is not None else PROBLEM + ("\n" if tokenizer is None else "")
        if self.template.count(PROBLEM) != 1:
            raise PrmEvalError(f"the prompt {self.template!r} needs {PROBLEM} in it, once")
        self.chat = None if tokenizer is None else ChatFrame(tokenizer, name)
        self.name = name

    def prompt(self, statement: str, beginning: str) -> str:
        """Return the prompt that ends in the beginning.

        Raises:
            Refused: A text holds a special token of the chat template.
        """
        user = self.template.replace(PROBLEM, statement)
        if self.chat is None:
            return user + beginning
        # the chat template checks its user turn only
        self.chat.prompt(beginning, "")
        return self.chat.prompt(user, beginning)

    def settings(self) -> dict[str, Any]:
        """Return what it is as JSON values."""
        return {"template": self.template, "chat": self.name if self.chat is not None else None}


Answer = tuple[int, "list[Completion] | str"]
"""The place of a request among others, and its completions, or the reason why there are none."""


class Completer(Protocol):
    """A policy that goes on from beginnings."""

    name: str
    at_once: int
    """How many requests it is given at once."""

    def describe(self) -> dict[str, Any]:
        """Return the identity of the policy as JSON values."""
        ...

    def complete(self, requests: Sequence[Request], how: Sampling) -> Iterator[Answer]:
        """Yield the place of each request with its completions, or with the reason why there are none.

        Each is yielded as soon as it is there, so that whoever keeps it loses nothing to what comes after it.
        """
        ...


class ServerCompleter(HttpWriter):
    """A policy behind an OpenAI-compatible server, asked at ``/completions``.

    Args:
        base_url: The address of the server, up to and with ``/v1``.
        model: The server's name of the policy.
        frame: The frame; with a chat template the prompts are sent as token ids, since the template has written the
            first token already.
        parallel: Requests that run side by side.
    """

    def __init__(self, base_url: str, model: str, frame: Frame, parallel: int = PARALLEL) -> None:
        super().__init__(base_url, model)
        self.name, self._chat = model, frame.chat
        self.parallel, self.at_once = parallel, ROUNDS * parallel

    def describe(self) -> dict[str, Any]:
        """Return what is known of a policy behind a server: its name there."""
        return {"id": self.model, "backend": "http"}

    def complete(self, requests: Sequence[Request], how: Sampling) -> Iterator[Answer]:
        """Yield the completions of each request, asked side by side.

        Raises:
            ModelError: The server cannot be reached, or gives an error that does not pass. What others got until then
                was yielded, and what was not asked yet is not asked any more.
        """
        workers = ThreadPoolExecutor(self.parallel)
        failure: ModelError | None = None
        try:
            for place, asked in enumerate([workers.submit(self._one, each, how) for each in requests]):
                try:
                    found = asked.result()
                except CancelledError:
                    continue
                except ModelError as error:
                    failure = failure or error
                    workers.shutdown(wait=False, cancel_futures=True)
                    continue
                yield place, found
        finally:
            workers.shutdown(cancel_futures=True)
        if failure is not None:
            raise failure

    def _one(self, request: Request, how: Sampling) -> list[Completion] | str:
        found: list[Completion] = []
        try:
            # some servers give one text, however many are asked for
            while len(found) < how.rollouts:
                fresh = self._asked(request, how, how.rollouts - len(found), request.seed + len(found))
                if not fresh:
                    raise ModelError(f"{self.base_url}/completions gave no text; expected choices with a text each")
                found += fresh
        except Refused as refusal:
            return str(refusal)
        return found[: how.rollouts]

    def _asked(self, request: Request, how: Sampling, n: int, seed: int) -> list[Completion]:
        prompt: Any = request.prompt if self._chat is None else self._chat.ids(request.prompt)
        body: dict[str, Any] = {
            "model": self.model,
            "prompt": prompt,
            "n": n,
            "seed": seed,
            "temperature": how.temperature,
            "top_p": how.top_p,
            "max_tokens": how.max_new_tokens,
        }
        if how.stop:
            body["stop"] = list(how.stop)
        reply = self._post("/completions", body)
        choices = reply.get("choices") if isinstance(reply, dict) else None
        found: list[Completion] = []
        for each in choices if isinstance(choices, list) else ():
            if isinstance(each, dict) and isinstance(each.get("text"), str):
                found.append(Completion(cut_at(each["text"], how.stop), each.get("finish_reason") == "length"))
        return found


class LocalCompleter(LocalWriter):
    """A policy in transformers on this machine, one beginning at a time, all its completions at once."""

    at_once = 8

    def __init__(self, name: str, frame: Frame, *, revision: str | None, device: str | None, dtype: str | None) -> None:
        tokenizer = checkpoint.load("tokenizer", "AutoTokenizer", name, revision)
        super().__init__(name, revision, *checkpoint.device_and_dtype(device, dtype), tokenizer)
        checkpoint.require_safetensors(name, revision)
        self._framed = frame.chat is not None

    def describe(self) -> dict[str, Any]:
        """Return the policy with the hashes of its weights."""
        return {
            "id": self.name,
            "revision": checkpoint.snapshot_commit(self.name) or self.revision,
            "weights_sha256": checkpoint.weight_hashes(self.name),
            "backend": "transformers",
            "dtype": self.dtype,
        }

    def complete(self, requests: Sequence[Request], how: Sampling) -> Iterator[Answer]:
        """Yield the completions of each request."""
        for place, request in enumerate(requests):
            try:
                yield place, self._one(request, how)
            except Refused as refusal:
                yield place, str(refusal)

    def _one(self, request: Request, how: Sampling) -> list[Completion]:
        import torch

        # a chat template has written the first special token already
        ids = list(self.frame.tokenizer(request.prompt, add_special_tokens=not self._framed)["input_ids"])
        most = left(self.limit, len(ids), how.max_new_tokens)
        options: dict[str, Any] = {"do_sample": how.temperature > 0, "max_new_tokens": most}
        if how.temperature > 0:
            options |= {"temperature": how.temperature, "top_k": 0, "top_p": how.top_p}
        if how.stop:
            options |= {"stop_strings": list(how.stop), "tokenizer": self.frame.tokenizer}
        tensor = torch.tensor([ids], device=self.device)
        with (
            torch.random.fork_rng(devices=[self.device] if self.device.startswith("cuda") else []),
            torch.inference_mode(),
        ):
            torch.manual_seed(request.seed)
            made = self._model.generate(
                input_ids=tensor,
                attention_mask=torch.ones_like(tensor),
                num_return_sequences=how.rollouts,
                **options,
            )
        found: list[Completion] = []
        for row in made[:, len(ids) :].tolist():
            whole = self.frame.tokenizer.decode(row, skip_special_tokens=True)
            text = cut_at(whole, how.stop)
            ended = any(token in self._ends for token in row)
            found.append(Completion(text, len(row) == most and text == whole and not ended))
        return found


class VllmCompleter:
    """A policy in vLLM on this machine, which shares the beginnings of prompts and batches by itself.

    Raises:
        ModelError: vLLM is not installed.
    """

    at_once = VLLM_AT_ONCE

    def __init__(self, name: str, frame: Frame, *, revision: str | None, dtype: str | None) -> None:
        self.name, self.revision, self.dtype, self._chat = name, revision, dtype or "auto", frame.chat
        try:
            import vllm
        except ImportError as error:
            raise ModelError(
                f"--engine vllm needs vLLM: pip install vllm ({error}); or serve the policy and give --base-url"
            ) from None
        self._vllm: Any = vllm

    @cached_property
    def _model(self) -> Any:
        return self._vllm.LLM(
            model=self.name,
            revision=self.revision,
            dtype=self.dtype,
            trust_remote_code=False,
            enable_prefix_caching=True,
            # a checkpoint's own file may ask for penalties, which nothing here records
            generation_config="vllm",
        )

    def describe(self) -> dict[str, Any]:
        """Return the policy with the version of vLLM."""
        version = str(getattr(self._vllm, "__version__", ""))
        return {"id": self.name, "revision": self.revision, "backend": "vllm", "vllm": version, "dtype": self.dtype}

    def complete(self, requests: Sequence[Request], how: Sampling) -> Iterator[Answer]:
        """Yield the completions of each request."""
        prompts: list[Any] = [
            each.prompt if self._chat is None else {"prompt_token_ids": self._chat.ids(each.prompt)}
            for each in requests
        ]
        parameters = [
            self._vllm.SamplingParams(
                n=how.rollouts,
                temperature=how.temperature,
                top_p=how.top_p,
                max_tokens=how.max_new_tokens,
                stop=list(how.stop) or None,
                seed=each.seed,
            )
            for each in requests
        ]
        outputs = self._model.generate(prompts, parameters, use_tqdm=False)
        for place, each in enumerate(outputs):
            yield place, [Completion(cut_at(one.text, how.stop), one.finish_reason == "length") for one in each.outputs]


def load_policy(
    name: str,
    *,
    base_url: str | None = None,
    engine: str = ENGINES[0],
    parallel: int = PARALLEL,
    prompt: str | None = None,
    chat: str | None = None,
    revision: str | None = None,
    device: str | None = None,
    dtype: str | None = None,
) -> tuple[Completer, Frame]:
    """Return a policy and what stands around its prompts.

    Args:
        name: The server's name of the policy, or a checkpoint folder or hub id.
        base_url: The address of a server; without it the policy runs here.
        engine: One of :data:`ENGINES`, for a policy that runs here.
        parallel: Requests to a server side by side.
        prompt: The template with ``{problem}`` in it.
        chat: The folder or hub id of a tokenizer whose chat template is used.
        revision: The revision of a hub id.
        device: The device of a policy in transformers.
        dtype: The dtype of a policy that runs here.

    Raises:
        ModelError: The policy or the tokenizer cannot be loaded, or an option says nothing to a server.
        PrmEvalError: The template does not say where the problem goes.
    """
    tokenizer = None if chat is None else checkpoint.load("tokenizer", "AutoTokenizer", chat, None)
    frame = Frame(prompt, tokenizer, chat or "")
    if base_url is not None:
        for option, given in {"device": device, "dtype": dtype, "revision": revision}.items():
            if given is not None:
                raise ModelError(f"{option} = {given!r} says nothing to a server; leave it out with base_url")
        return ServerCompleter(base_url, name, frame, parallel), frame
    if engine == "vllm":
        return VllmCompleter(name, frame, revision=revision, dtype=dtype), frame
    return LocalCompleter(name, frame, revision=revision, device=device, dtype=dtype), frame
