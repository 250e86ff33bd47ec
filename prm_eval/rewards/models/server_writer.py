"""The OpenAI-compatible server that writes a generative verifier's judgements."""

from __future__ import annotations

import http.client
import json
import math
import os
import re
import time
import urllib.error
import urllib.request
from typing import Any

from prm_eval.errors import ModelError
from prm_eval.rewards.inputs.pieces import Refused
from prm_eval.rewards.models.writers import ChatFrame, Unread, Written, cut_at, left
from prm_eval.rewards.recipes.recipe import Generate

TRIES = 5
# doubled after every failed try
FIRST_WAIT_SECONDS = 1.0
TIMEOUT_SECONDS = 600
MAX_REPLY_BYTES = 10_000_000
# of what counts as a number; whole numbers in JSON may be larger than any float
LARGEST = 1e300
TOP_TOKENS = 20
SERVER_REFUSED = "the server refused the text"
# a server's words for a request that asks for more tokens than it has room for, and for its room
_TOO_MUCH = re.compile(r"context length|context window|max_(?:completion_)?tokens|max_model_len", re.IGNORECASE)
_ROOM = re.compile(r"(?:context length (?:is|of)|max_model_len[^\d]{0,20})\s*(?:only )?(\d{2,8})\b", re.IGNORECASE)


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
        # JSON of a server may say -Infinity, NaN, or a "probability" above 1: what is no logarithm of one says nothing
        top = {token: min(float(value), 0.0) for token, value in top.items() if abs(value) < LARGEST}
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
                with error:
                    why = f"{error.code} {error.reason}{_said(error)}"
                if error.code in (400, 413, 422):
                    raise Refused(f"{SERVER_REFUSED}: {why}") from None
                if error.code not in (408, 409, 425, 429) and error.code < 500:
                    raise ModelError(f"{self.base_url}{path}: {why}") from None
            except (OSError, ValueError, http.client.HTTPException) as error:
                # the last: a server that died in the middle of its reply
                why = str(error) or type(error).__name__
        raise ModelError(
            f"{self.base_url}{path}: {why}, {TRIES} times. What was scored so far is kept; the same command goes on."
        )


def _said(error: urllib.error.HTTPError) -> str:
    """Return the start of a server's message on an error; empty if it hangs up before the message."""
    try:
        text = " ".join(error.read(300).decode("utf-8", "replace").split())
    except (OSError, http.client.HTTPException):
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
