"""Records of how candidates were made, for ``pool.json`` and results.

They hold the prompt, the chat template, the system text, the seeds and the sampling as they were used.
"""

from __future__ import annotations

import ast
import hashlib
import logging
from collections.abc import Mapping, Sequence
from typing import Any

from prm_eval.harness.policy_identity import unwrapped
from prm_eval.pools.format import PoolInfo

logger = logging.getLogger(__name__)

# The characters of a template or an example that go into pool.json; its hash is over the whole text.
LONGEST_TEXT = 20_000


def prompt_record(
    config: Any,
    instances: Sequence[Any],
    model: Any,
    requested: Mapping[str, Any],
    template: Any = None,
    prompt_name: str | None = None,
) -> dict[str, Any]:
    """Return a record of how the prompts of a task were made.

    Args:
        config: The configuration of the task.
        instances: Its requests.
        model: The language model.
        requested: The arguments that lm_eval gave to ``build_all_requests``.
        template: The value of lm_eval's ``--apply_chat_template``: True, or the name of a template.
        prompt_name: The name of the prompt.
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
        "prompt_name": prompt_name,
        "prompt": asked if isinstance(asked, str) else repr(asked),
        "description": config.description or None,
        "system": requested.get("system_instruction"),
        "chat_template": _text(_chat_template(model, template)) if applied else None,
        "num_fewshot": config.num_fewshot or 0,
        "first_prompt": _text(prompts[0] if prompts else None),
        "prompts_sha256": digest.hexdigest(),
    }


def _chat_template(model: Any, template: Any) -> str:
    """Return the chat template of the prompts, or "the server's" where only a server knows it."""
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
    """Return the generation arguments that a pool's candidates were sampled with, as Python values where possible."""
    return {key: _value(value) for key, value in info.sampling.items()}


def _value(spelt: Any) -> Any:
    if not isinstance(spelt, str):
        return spelt
    try:
        return ast.literal_eval(spelt)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return spelt


def pool_record(info: PoolInfo, path: str) -> dict[str, Any]:
    """Return the record of a pool for the results that were made from it."""
    return {
        "path": path,
        "content_hash": info.content_hash,
        "m": info.m,
        "policy": info.policy,
        "sampling": sampling_used(info),
        "source": info.source,
    }
