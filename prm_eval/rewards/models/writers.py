"""The writers of a generative verifier's judgements: an OpenAI-compatible server, or a causal model on this machine."""

from __future__ import annotations

import json
import math
import os
import re
import time
import urllib.error
import urllib.request
from functools import cached_property
from typing import Any, NamedTuple, Protocol

from prm_eval.errors import ModelError
from prm_eval.rewards.inputs.chat import apply_chat_template, control_tokens
from prm_eval.rewards.inputs.pieces import Refused
from prm_eval.rewards.models import checkpoint
from prm_eval.rewards.recipes.recipe import Generate

TRIES = 5
# doubled after every failed try
FIRST_WAIT_SECONDS = 1.0
TIMEOUT_SECONDS = 600
MAX_REPLY_BYTES = 10_000_000
TOP_TOKENS = 20
SERVER_REFUSED = "the server refused the text"
# a judgement of fewer tokens says nothing: "the answer is \\boxed{-1}" has about ten
LEAST_WRITTEN = 16
# positions kept free for a judgement that has more tokens when it is read again than when it was written
SLACK = 8
# a server's words for a request that asks for more tokens than it has room for, and for its room
_TOO_MUCH = re.compile(r"context length|context window|max_(?:completion_)?tokens|max_model_len", re.IGNORECASE)
_ROOM = re.compile(r"(?:context length (?:is|of)|max_model_len[^\d]{0,20})\s*(?:only )?(\d{2,8})\b", re.IGNORECASE)
_STAND_IN = "\ue000prm_eval-user\ue001"


class Unread(Refused):
    """The reason why nothing can be read of one judgement, which then does not vote."""


class Written(NamedTuple):
    """A judgement as it was written, cut before the first stop text, and whether it ended for want of room."""

    text: str
    cut: bool


class Writer(Protocol):
    """A writer of judgements, which also says how likely each of two answers is after one."""

    parallel: int
    """The number of requests that may run at once."""

    @property
    def limit(self) -> int | None:
        """The most tokens of a prompt with its judgement; None where that is not known."""
        ...

    def prompt(self, text: str, start: str) -> str:
        """Return the prompt for the user turn ``text``, ending in ``start``.

        Raises:
            Refused: The text cannot be sent without changes.
        """
        ...

    def write(self, prompt: str, how: Generate, seed: int) -> Written:
        """Return a judgement of at most ``how.max_new_tokens``, or of what room there is behind the prompt.

        Raises:
            Refused: There is no room for a judgement.
        """
        ...

    def choose(self, prompt: str, choices: tuple[str, ...]) -> tuple[float, float]:
        """Return the log-probabilities of the two choices as continuations of a prompt, up to a common constant.

        Raises:
            Unread: Neither choice is likely enough to be among the tokens that are shown.
        """
        ...

    def require_room(self, prompt: str, how: Generate) -> None:
        """Insist that a judgement could be written behind the shortest prompt, as far as this is known beforehand.

        Raises:
            ModelError: There is no room.
        """
        ...


def cut_at(text: str, stops: tuple[str, ...]) -> str:
    """Return the text before the first stop text."""
    return text[: min((at for stop in stops if (at := text.find(stop)) >= 0), default=len(text))]


def left(limit: int | None, used: int, wanted: int) -> int:
    """Return how many tokens can be written: what is wanted, or what a limit leaves of it.

    Args:
        limit: The most tokens of a prompt with its judgement; None where there is no limit.
        used: The tokens of the prompt, and those to be kept free behind the judgement.
        wanted: The most tokens that a judgement should have.

    Raises:
        Refused: There is no room for a judgement.
    """
    if limit is None:
        return wanted
    least = min(LEAST_WRITTEN, wanted)
    if used + least > limit:
        raise Refused(f"over-length: {used} tokens and at least {least} to write, limit {limit}")
    return min(wanted, limit - used)


class ChatFrame:
    """A tokenizer's chat template around a user turn, rendered once: a stranger's text never reaches the template."""

    def __init__(self, tokenizer: Any, name: str) -> None:
        self.tokenizer = tokenizer
        if getattr(tokenizer, "chat_template", None):
            rendered = apply_chat_template(
                tokenizer, [{"role": "user", "content": _STAND_IN}], add_generation_prompt=True
            )
            if rendered.count(_STAND_IN) != 1:
                raise ModelError(f"the chat template of {name} changes or drops the user turn")
            self.head, self.tail = rendered.split(_STAND_IN)
        else:
            self.head, self.tail = tokenizer.bos_token or "", "\n"
        self._special = control_tokens(tokenizer)

    def prompt(self, text: str, start: str) -> str:
        """Return the templated prompt.

        Raises:
            Refused: The text holds a special token.
        """
        for token in self._special.values():
            if token in text:
                raise Refused(f"special token {token!r} in the text")
        return f"{self.head}{text}{self.tail}{start}"

    def ids(self, prompt: str) -> list[int]:
        """Return the ids of a templated prompt, which has its special tokens already."""
        return list(self.tokenizer(prompt, add_special_tokens=False)["input_ids"])


class HttpWriter:
    """A writer on an OpenAI-compatible server.

    It uses ``/chat/completions``, or ``/completions`` if the recipe prescribes the start of the judgement.

    Args:
        base_url: The address of the server, up to and with ``/v1``.
        model: The server's name of the model.
        tokenizer: The tokenizer of the model, for the chat template; None uses the server's chat endpoint.
    """

    parallel = 8

    def __init__(self, base_url: str, model: str, tokenizer: Any = None) -> None:
        if not base_url.startswith(("http://", "https://")):
            raise ModelError(f"base_url = {base_url!r}; expected http:// or https://, as in http://localhost:8000/v1")
        self.base_url, self.model = base_url.rstrip("/"), model
        self.frame = None if tokenizer is None else ChatFrame(tokenizer, model)
        # the tokens that the server has room for, known when it has first refused to write too much
        self.limit: int | None = None

    def require_room(self, prompt: str, how: Generate) -> None:
        """Do nothing: how much room a server has is known only from its errors."""

    def prompt(self, text: str, start: str) -> str:
        """Return the user turn, with the chat template if there is a tokenizer."""
        return text if self.frame is None else self.frame.prompt(text, start)

    def write(self, prompt: str, how: Generate, seed: int) -> Written:
        """Return one judgement; where the server has room for less than was asked, it is asked for that."""
        common: dict[str, Any] = {"model": self.model, "temperature": how.temperature, "seed": seed}
        if how.stop:
            common["stop"] = list(how.stop)
        if self.frame is None:
            reply = self._written(
                "/chat/completions", {**common, "messages": [{"role": "user", "content": prompt}]}, how, None
            )
            text = _at(reply, "choices", 0, "message", "content")
        else:
            # ids, not text: the template has written bos already, and a server would put another one before a text
            ids = self.frame.ids(prompt)
            kept = len(self.frame.ids(how.decision + max(how.choices, key=len))) if how.decision else 0
            reply = self._written("/completions", {**common, "prompt": ids}, how, len(ids) + kept)
            text = _at(reply, "choices", 0, "text")
        return Written(cut_at(str(text or ""), how.stop), _at(reply, "choices", 0, "finish_reason") == "length")

    def _written(self, path: str, body: dict[str, Any], how: Generate, used: int | None) -> Any:
        """Return the reply to a request for a judgement.

        Args:
            path: The endpoint.
            body: The request without its limit.
            how: The settings of the judgement.
            used: The tokens of the prompt and of what follows the judgement; None where only the server counts them.
        """
        try:
            return self._post(path, {**body, **self._most(how, used)})
        except Refused as refusal:
            said = str(refusal)
            room = _ROOM.search(said)
            if not _TOO_MUCH.search(said) or (used is not None and room is None):
                raise
            self.limit = int(room[1]) if room else self.limit
            # of a chat without a limit, servers write as much as they have room for
            most = {} if used is None else self._most(how, used)
            if used is not None and most["max_tokens"] >= how.max_new_tokens:
                raise
            return self._post(path, {**body, **most})

    def _most(self, how: Generate, used: int | None) -> dict[str, int]:
        """Return the limit of a request: what was asked for, or the room that is left, or none of its own."""
        if self.limit is None:
            return {"max_tokens": how.max_new_tokens}
        if used is None:
            return {} if how.max_new_tokens >= self.limit else {"max_tokens": how.max_new_tokens}
        return {"max_tokens": left(self.limit, used, how.max_new_tokens)}

    def choose(self, prompt: str, choices: tuple[str, ...]) -> tuple[float, float]:
        """Return the log-probabilities of the two choices, read from the 20 likeliest next tokens.

        A choice that is not among them gets the least log-probability among them, which is an upper bound.

        Raises:
            Unread: Neither choice is among them.
        """
        # the space before a word is part of its token; at the end of the prompt it would be a token of its own
        text = prompt.rstrip(" ")
        ids: Any = text if self.frame is None else self.frame.ids(text)
        body = {"model": self.model, "prompt": ids, "max_tokens": 1, "temperature": 1.0, "logprobs": TOP_TOKENS}
        top = _at(self._post("/completions", body), "choices", 0, "logprobs", "top_logprobs", 0)
        if not isinstance(top, dict) or not top or not all(isinstance(value, (int, float)) for value in top.values()):
            raise ModelError(
                f"{self.base_url} gives no top_logprobs; its /completions must support logprobs={TOP_TOKENS}"
            )
        found = [[value for token, value in top.items() if token.strip().lower() == choice] for choice in choices]
        if not any(found):
            raise Unread(
                f"no judgement: neither {choices[0]!r} nor {choices[1]!r} among the {len(top)} likeliest tokens"
            )
        least = min(top.values())
        yes, no = (math.log(sum(map(math.exp, values))) if values else least for values in found)
        return yes, no

    def _post(self, path: str, body: dict[str, Any]) -> Any:
        """Return the reply to a request, which is sent again after errors that may pass.

        Raises:
            ModelError: The server cannot be reached, or gives an error that does not pass.
            Refused: The server cannot process this text (400, 413, 422), which refuses the candidate.
        """
        headers = {"Content-Type": "application/json"}
        if key := os.environ.get("OPENAI_API_KEY"):
            headers["Authorization"] = f"Bearer {key}"
        # the constructor has checked the scheme
        request = urllib.request.Request(self.base_url + path, json.dumps(body).encode(), headers)  # noqa: S310
        wait, why = FIRST_WAIT_SECONDS, ""
        for attempt in range(TRIES):
            if attempt:
                time.sleep(wait)
                wait *= 2
            try:
                with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as reply:  # noqa: S310
                    content = reply.read(MAX_REPLY_BYTES + 1)
                    if len(content) > MAX_REPLY_BYTES:
                        raise ModelError(f"{self.base_url}{path}: a reply of more than {MAX_REPLY_BYTES:,} bytes")
                    return json.loads(content)
            except urllib.error.HTTPError as error:
                why = f"{error.code} {error.reason}"
                if error.code in (400, 413, 422):
                    raise Refused(f"{SERVER_REFUSED}: {why}{_said(error)}") from None
                if error.code not in (408, 409, 425, 429) and error.code < 500:
                    raise ModelError(f"{self.base_url}{path}: {why}") from None
            except (OSError, ValueError) as error:
                why = str(error) or type(error).__name__
        raise ModelError(
            f"{self.base_url}{path}: {why}, {TRIES} times. What was scored so far is kept; the same command goes on."
        )


def _said(error: urllib.error.HTTPError) -> str:
    """Return the start of a server's message on an error; empty if it hangs up before the message."""
    try:
        text = " ".join(error.read(300).decode("utf-8", "replace").split())
    except OSError:
        return ""
    return f": {text}" if text else ""


def _at(value: Any, *path: str | int) -> Any:
    """Return a part of a reply, None if it is not there."""
    for key in path:
        if isinstance(key, str):
            value = value.get(key) if isinstance(value, dict) else None
        else:
            value = value[key] if isinstance(value, list) and len(value) > key else None
    return value


class LocalWriter:
    """A writer with a causal model of transformers on this machine.

    It writes one judgement at a time, which is slow: use a server for more than a few.

    Args:
        name: The model's folder or hub id.
        revision: The revision of a hub id.
        device: The device of the model.
        dtype: The dtype of the weights.
        tokenizer: The tokenizer of the model.
    """

    parallel = 1

    def __init__(self, name: str, revision: str | None, device: str, dtype: str, tokenizer: Any) -> None:
        self.name, self.revision, self.device, self.dtype = name, revision, device, dtype
        self.frame = ChatFrame(tokenizer, name)

    @cached_property
    def _model(self) -> Any:
        import transformers

        folder = checkpoint.local_folder(self.name, self.revision)
        model = checkpoint.causal_model(str(folder), None, self.dtype, "model")
        ends, pads = model.generation_config.eos_token_id, model.generation_config.pad_token_id
        # the checkpoint's own file may ask for repetition penalties and beams, which nothing here records
        model.generation_config = transformers.GenerationConfig(eos_token_id=ends, pad_token_id=pads)
        # torch's evaluation mode, which switches dropout off; no text is evaluated
        return model.to(self.device).eval()

    def prompt(self, text: str, start: str) -> str:
        """Return the templated prompt."""
        return self.frame.prompt(text, start)

    def release(self) -> None:
        """Free the weights, which are loaded again for the next judgement."""
        vars(self).pop("_model", None)

    @cached_property
    def limit(self) -> int | None:
        """The number of positions of the model, from its config; None where the config does not say."""
        config = checkpoint.load("config", "AutoConfig", self.name, self.revision)
        limit = getattr(config.get_text_config(), "max_position_embeddings", None)
        return limit if isinstance(limit, int) else None

    def require_room(self, prompt: str, how: Generate) -> None:
        """Insist that the model could ever judge.

        Raises:
            ModelError: Its positions do not even hold the question without a problem.
        """
        used = len(self.frame.ids(prompt)) + self._kept(how)
        try:
            left(self.limit, used, how.max_new_tokens)
        except Refused:
            least = min(LEAST_WRITTEN, how.max_new_tokens)
            raise ModelError(
                f"{self.name} can never judge: it has {self.limit:,} positions, and the recipe's question alone takes "
                f"{used:,}, without a problem and the {least} tokens of the shortest judgement. Give a model with more "
                "positions, a recipe with a shorter question (--recipe FILE), or a server (--base-url URL)"
            ) from None

    def _kept(self, how: Generate) -> int:
        """Return the tokens to be kept free behind a judgement, for the decision and the longer choice."""
        return len(self.frame.ids(how.decision + max(how.choices, key=len))) + SLACK if how.decision else 0

    def write(self, prompt: str, how: Generate, seed: int) -> Written:
        """Return one judgement, of at most the positions that are left."""
        import torch

        ids = self.frame.ids(prompt)
        most = left(self.limit, len(ids) + self._kept(how), how.max_new_tokens)
        options: dict[str, Any] = {"do_sample": how.temperature > 0, "max_new_tokens": most}
        if how.temperature > 0:
            options |= {"temperature": how.temperature, "top_k": 0, "top_p": 1.0}
        if how.stop:
            options |= {"stop_strings": list(how.stop), "tokenizer": self.frame.tokenizer}
        tensor = torch.tensor([ids], device=self.device)
        with (
            torch.random.fork_rng(devices=[self.device] if self.device.startswith("cuda") else []),
            torch.inference_mode(),
        ):
            torch.manual_seed(seed)
            made = self._model.generate(input_ids=tensor, attention_mask=torch.ones_like(tensor), **options)
        new = made[0, len(ids) :]
        whole = self.frame.tokenizer.decode(new, skip_special_tokens=True)
        text = cut_at(whole, how.stop)
        return Written(text, len(new) == most and text == whole and int(new[-1]) not in self._ends)

    @cached_property
    def _ends(self) -> frozenset[int]:
        found = self._model.generation_config.eos_token_id
        return frozenset(found if isinstance(found, (list, tuple)) else [] if found is None else [found])

    def choose(self, prompt: str, choices: tuple[str, ...]) -> tuple[float, float]:
        """Return the mean log-probability of each continuation's tokens after the common start of the two."""
        import torch

        yes, no = (self.frame.ids(prompt + choice) for choice in choices)
        if self.limit is not None and (longest := max(len(yes), len(no))) > self.limit:
            raise Refused(f"over-length: {longest} tokens, limit {self.limit}")
        common = 0
        while common < min(len(yes), len(no)) and yes[common] == no[common]:
            common += 1
        result = []
        for ids in (yes, no):
            with torch.inference_mode():
                hidden = self._model.base_model(input_ids=torch.tensor([ids], device=self.device)).last_hidden_state[
                    0, common - 1 : -1
                ]
                logs = torch.log_softmax(self._model.get_output_embeddings()(hidden).float(), dim=-1)
            picked = [float(logs[i, token]) for i, token in enumerate(ids[common:])]
            result.append(math.fsum(picked) / len(picked) if picked else 0.0)
        return result[0], result[1]
