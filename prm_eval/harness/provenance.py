"""How candidates were made, as it was: prompt, chat template, system text, seeds, sampling. For ``pool.json`` and results."""

from __future__ import annotations

import ast
import hashlib
import logging
from collections.abc import Mapping, Sequence
from typing import Any

from prm_eval.harness.policy_identity import unwrapped
from prm_eval.pools.format import PoolInfo

logger = logging.getLogger(__name__)

LONGEST_TEXT = 20_000  # characters of a template or an example that go into pool.json; its hash is over all


def prompt_record(
    config: Any, instances: Sequence[Any], model: Any, requested: Mapping[str, Any], template: Any = None
) -> dict[str, Any]:
    """Return how the prompts of a task were made.

    Args:
        config: Of the task.
        instances: Its requests.
        model: The language model.
        requested: What lm_eval gave to ``build_all_requests``.
        template: Of lm_eval's ``--apply_chat_template``: True, or the name of a template.
    """
    digest = hashlib.sha256()
    prompts = [str(getattr(instance.args[0], "prompt", instance.args[0])) for instance in instances]
    for prompt in prompts:
        digest.update(hashlib.sha256(prompt.encode("utf-8", "surrogatepass")).digest())
    applied = bool(requested.get("apply_chat_template"))
    asked = config.doc_to_text
    return {
        "task": str(config.task),
        "task_version": (config.metadata or {}).get("version"),
        "prompt": asked if isinstance(asked, str) else repr(asked),
        "description": config.description or None,
        "system": requested.get("system_instruction"),
        "chat_template": _text(_chat_template(model, template)) if applied else None,
        "num_fewshot": config.num_fewshot or 0,
        "first_prompt": _text(prompts[0] if prompts else None),
        "prompts_sha256": digest.hexdigest(),
    }


def _chat_template(model: Any, template: Any) -> str:
    """Return the template that wrote the prompts, or a word for the one that only a server knows."""
    try:
        found = unwrapped(model).chat_template(template or True)
    except Exception as error:
        logger.info("the chat template cannot be recorded: %s", error)
        found = None
    return str(found) if found else "the server's"


def _text(text: str | None) -> dict[str, Any] | None:
    if text is None:
        return None
    sound = text.encode("utf-8", "replace").decode("utf-8")
    return {"text": sound[:LONGEST_TEXT], "sha256": hashlib.sha256(sound.encode()).hexdigest()}


def sampling_used(info: PoolInfo) -> dict[str, Any]:
    """Return the generation arguments a pool's candidates were sampled with, as values where they were spelt out."""
    return {key: _value(value) for key, value in info.sampling.items()}


def _value(spelt: Any) -> Any:
    if not isinstance(spelt, str):
        return spelt
    try:
        return ast.literal_eval(spelt)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return spelt


def pool_record(info: PoolInfo, path: str) -> dict[str, Any]:
    """Return what results say of the pool they were made from."""
    return {
        "path": path,
        "content_hash": info.content_hash,
        "m": info.m,
        "policy": info.policy,
        "sampling": sampling_used(info),
        "source": info.source,
    }
