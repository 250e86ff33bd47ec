"""The writers of a generative verifier's judgements: what they share, and the causal model on this machine.

The other one is an OpenAI-compatible server (:mod:`prm_eval.rewards.models.server_writer`).
"""

from __future__ import annotations

import math
from functools import cached_property
from typing import Any, NamedTuple, Protocol

from prm_eval.errors import ModelError
from prm_eval.rewards.inputs.chat import apply_chat_template, control_tokens
from prm_eval.rewards.inputs.pieces import Refused
from prm_eval.rewards.models import checkpoint
from prm_eval.rewards.recipes.recipe import Generate

# a judgement of fewer tokens says nothing: "the answer is \\boxed{-1}" has about ten
LEAST_WRITTEN = 16
# positions kept free for a judgement that has more tokens when it is read again than when it was written
SLACK = 8
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
