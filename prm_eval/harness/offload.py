"""Make room for a reward model beside the policy: ``--metadata policy_offload=true`` moves an hf policy to the CPU meanwhile."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from prm_eval.errors import PrmEvalError
from prm_eval.harness.policy_identity import unwrapped

logger = logging.getLogger(__name__)

OTHERWISE = "Leave policy_offload out; see 'Big jobs' in the README for vLLM and for scoring apart from generation."


def movable_policy(model: Any) -> Any:
    """Return the torch module of an lm_eval model, checked before generation to be one that can be moved and moved back.

    Raises:
        PrmEvalError: Not an hf model, or one that is quantised or spread over several devices.
    """
    model = unwrapped(model)
    module = getattr(model, "model", None)
    if not all(callable(getattr(module, name, None)) for name in ("to", "parameters")):
        raise PrmEvalError(f"policy_offload moves policies of --model hf, not {type(model).__name__}. {OTHERWISE}")
    if any(getattr(module, name, False) for name in ("is_quantized", "is_loaded_in_8bit", "is_loaded_in_4bit")):
        raise PrmEvalError(f"policy_offload cannot move a quantised policy and move it back unchanged. {OTHERWISE}")
    places = {str(place) for place in (getattr(module, "hf_device_map", None) or {}).values()}
    if len(places) > 1:
        raise PrmEvalError(f"policy_offload cannot move a policy spread over {', '.join(sorted(places))}. {OTHERWISE}")
    return module


@contextmanager
def offloaded(module: Any) -> Iterator[None]:
    """Keep a torch module on the CPU for the length of a block, then move it back to where it was; None does nothing."""
    if module is None:
        yield
        return
    import torch

    before = next(module.parameters()).device
    module.to("cpu")
    _empty_cache(torch)
    logger.info("the policy is moved from %s to the CPU while candidates are scored", before)
    try:
        yield
    finally:
        _empty_cache(torch)  # what the reward model no longer uses
        module.to(before)


def _empty_cache(torch: Any) -> None:
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
