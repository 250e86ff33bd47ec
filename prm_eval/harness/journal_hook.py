"""Between lm_eval's language models and the journal: every candidate is kept the moment it comes back.

All backends of lm_eval that generate hand each reply, or each reply of a batch, to ``cache_hook.add_partial``, and
``LM.set_cache_hook`` is public: :class:`CandidateHook` takes the place of the hook that is there, and calls it too.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from lm_eval.api.instance import Instance

from prm_eval.harness.kept import KeptCandidates, Key, prompt_hash
from prm_eval.harness.policy_identity import unwrapped

logger = logging.getLogger(__name__)

SAY_SECONDS = 30.0


class Recorder:
    """What one task still waits for, and the journal that takes it.

    Args:
        kept: The journal, open.
        arguments: The task's generation arguments.
        owed: For each problem, in order, how many candidates are to come; two problems may have one prompt.
    """

    def __init__(self, kept: KeptCandidates, arguments: Mapping[str, Any], owed: Mapping[Key, int]) -> None:
        self.kept, self.arguments = kept, dict(arguments)
        self._waiting: dict[str, list[list[Any]]] = {}  # prompt hash -> [key, how many are to come]
        for key, count in owed.items():
            self._waiting.setdefault(key[1], []).append([key, count])

    def waits_for(self, prompt: str) -> bool:
        """Say whether a candidate for this prompt is still to come."""
        return any(count > 0 for _, count in self._waiting.get(prompt, ()))

    def take(self, prompt: str, text: str) -> None:
        """Keep a candidate, for the first problem that waits for it."""
        waiting = next(each for each in self._waiting[prompt] if each[1] > 0)
        waiting[1] -= 1
        self.kept.add(waiting[0], text)


class CandidateHook:
    """A cache hook of lm_eval that hands candidates to the journals of the tasks that asked for them.

    Args:
        inner: The hook it takes the place of, which is called too (``--use_cache``).
    """

    def __init__(self, inner: Any, clock: Callable[[], float] = time.monotonic) -> None:
        self.inner = inner
        self.recorders: dict[str, Recorder] = {}
        self.kept = self.to_make = 0
        self.made = 0
        self._clock = clock
        self._began = self._said = clock()

    def watch(self, name: str, recorder: Recorder, kept: int, to_make: int) -> None:
        """Take up a task; ``kept`` candidates are there, ``to_make`` are to come."""
        self.recorders[name] = recorder
        self.kept, self.to_make = self.kept + kept, self.to_make + to_make
        self._began = self._said = self._clock()

    def add_partial(self, attr: str, req: Any, res: Any) -> None:
        """Take a reply from a language model: ``req`` is the rendered prompt with generation arguments."""
        if attr == "generate_until" and res is not None:
            self._record(req, str(res))
        if self.inner is not None:
            self.inner.add_partial(attr, req, res)

    def _record(self, request: Sequence[Any], text: str) -> None:
        prompt = prompt_hash(request[0])
        waiting = [each for each in self.recorders.values() if each.waits_for(prompt)]
        if not waiting:  # of another task, or what data-parallel padding makes beyond N
            return
        _best_match(waiting, request[1] if len(request) > 1 else {}).take(prompt, text)
        self.made += 1
        now = self._clock()
        if now - self._said >= SAY_SECONDS:
            self._said = now
            logger.info(self.progress(now))

    def progress(self, now: float) -> str:
        """Return the line that says how far generation is."""
        speed = self.made / max(now - self._began, 1e-9)
        left = (self.to_make - self.made) / max(speed, 1e-9)
        before = f" ({self.kept:,} of them from before)" if self.kept else ""
        return (
            f"{self.kept + self.made:,} of {self.kept + self.to_make:,} candidates{before}; "
            f"{speed:.1f} a second, about {_duration(left)} to go"
        )


def _best_match(recorders: Sequence[Recorder], arguments: Any) -> Recorder:
    """Return the task whose generation arguments are those of a reply.

    Two tasks of a run may ask one prompt. vLLM's backend reports arguments in its own spelling, so the one with the
    most arguments in common is taken.
    """
    given = arguments if isinstance(arguments, dict) else {}
    return max(recorders, key=lambda each: sum(given.get(key) == value for key, value in each.arguments.items()))


def hook_of(model: Any) -> CandidateHook | None:
    """Return the hook of a language model, put there if it has none of ours; None where it takes no hook."""
    model = unwrapped(model)
    if not callable(getattr(model, "set_cache_hook", None)):
        return None
    hook = getattr(model, "cache_hook", None)
    if not isinstance(hook, CandidateHook):
        hook = CandidateHook(hook)
        model.set_cache_hook(hook)
    return hook


def unhook(model: Any, name: str) -> None:
    """Forget a task; when no task is left the hook that was there before is put back."""
    model = unwrapped(model)
    hook = getattr(model, "cache_hook", None)
    if isinstance(hook, CandidateHook):
        hook.recorders.pop(name, None)
        if not hook.recorders:
            model.set_cache_hook(hook.inner)


def nothing_to_ask(model: Any) -> None:
    """Make a language model answer an empty list of requests with an empty list; lm_eval's API backends fail on it."""
    model = unwrapped(model)
    generate = model.generate_until
    model.generate_until = lambda requests, *rest, **options: generate(requests, *rest, **options) if requests else []


class SeededInstance(Instance):
    """A request whose every copy has a seed of its own (lm_eval asks for the arguments once a copy)."""

    @property
    def args(self) -> tuple[Any, ...]:
        """The rendered prompt, and the generation arguments with another seed each time they are asked for."""
        context, arguments = self.arguments
        self.copies = getattr(self, "copies", 0) + 1
        return context, {**arguments, "seed": (self.first_seed + self.copies) % 2**31}


def continue_with_another_seed(model: Any, kept: KeptCandidates, instances: Iterable[Any]) -> int | None:
    """Give a run that goes on a seed that no earlier part of it had, and return it.

    lm_eval sets the same seed at every start: the same prompt in the same place would get the same text again. The new
    seed is made from the old one and from everything that is kept, so that it changes whenever anything was added, and is
    the same on all processes of a tensor-parallel model.

    Returns:
        The seed; None where it is a server's or an engine's own affair.
    """
    model = unwrapped(model)
    digest = hashlib.sha256()
    for key, texts in sorted(kept.texts.items()):
        digest.update(repr((key, texts)).encode())
    if type(model).__module__.startswith("lm_eval.models.vllm"):
        seed = _seed(digest, getattr(model, "model_args", {}).get("seed"))
        for position, instance in enumerate(instances):
            instance.__class__ = SeededInstance
            instance.first_seed = seed + 1_000_003 * position
        return seed
    if callable(getattr(getattr(model, "model", None), "named_parameters", None)):
        import torch

        seed = _seed(digest, torch.initial_seed())
        torch.manual_seed(seed)
        return seed
    return None


def _seed(digest: Any, before: Any) -> int:
    digest.update(repr(before).encode())
    return int.from_bytes(digest.digest()[:4], "big") >> 1


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60:02d} min" if minutes >= 60 else f"{minutes} min"
