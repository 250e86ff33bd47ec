"""Reward models that are asked about the given steps of a step set, not about steps of their own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prm_eval.errors import PrmEvalError
from prm_eval.rewards import load_reward_model
from prm_eval.rewards.models.prefixes import by_prefixes
from prm_eval.rewards.protocol import RewardModel

GIVEN = "given"


def placing_options(name: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options with which a model reads given steps; a model that cuts texts itself is told not to.

    Args:
        name: The reward model.
        options: The user's options; None means not given.

    Raises:
        PrmEvalError: The user asks for another splitter, or there is no such model.
    """
    if options.get("splitter") not in (None, GIVEN):
        raise PrmEvalError(
            f"--splitter {options['splitter']}: the labels of a step set are of its own steps, so they cannot be cut "
            "otherwise"
        )
    model = load_reward_model(name, **options)
    own = model.kind == "prm" and model.splitter not in (None, GIVEN)
    return {**options, "splitter": GIVEN} if own else dict(options)


def placing_model(name: str, options: Mapping[str, Any]) -> RewardModel:
    """Return a reward model that gives every given step a number; an ORM does so by prefixes.

    Raises:
        PrmEvalError: See :func:`placing_options`.
    """
    model = load_reward_model(name, **placing_options(name, options))
    return model if model.kind == "prm" else by_prefixes(model, options.get("aggregation"))
