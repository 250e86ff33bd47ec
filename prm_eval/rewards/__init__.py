"""Reward models: found by name, fed steps without gold, their numbers kept in reward files."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prm_eval import plugins
from prm_eval.errors import ModelError
from prm_eval.rewards.aggregate import aggregate
from prm_eval.rewards.aggregations import AGGREGATIONS
from prm_eval.rewards.engine.engine import Engine
from prm_eval.rewards.files.reward_file import RewardFile, RewardWriter
from prm_eval.rewards.models.engine_model import RenderingModel
from prm_eval.rewards.protocol import RewardModel
from prm_eval.rewards.scoring import reward_slug, score_pool
from prm_eval.texts.steps import SPLITTERS

if TYPE_CHECKING:
    from prm_eval.rewards.recipes.recipe import Recipe

OPTIONS = (
    "aggregation",
    "base_url",
    "batch_tokens",
    "cache",
    "device",
    "dtype",
    "engine",
    "max_tokens",
    "recipe",
    "reference",
    "revision",
    "separator",
    "splitter",
    "temperature",
    "votes",
)
"""Options a user may give a reward model; ``--metadata prm_device=...`` and ``--device`` both arrive here."""
TEXTS = ("base_url", "cache", "device", "dtype", "engine", "reference", "revision", "separator")

__all__ = [
    "OPTIONS",
    "Engine",
    "RenderingModel",
    "RewardFile",
    "RewardModel",
    "RewardWriter",
    "aggregate",
    "how_fed",
    "load_reward_model",
    "reward_slug",
    "score_pool",
]


def load_reward_model(name: str, **options: Any) -> RewardModel:
    """Return the reward model of a name, checked as far as is possible without loading weights.

    Args:
        name: In this order: with the option ``recipe``, a checkpoint folder or hub id; a registered name, alone or as
            ``name:argument`` (``stored:FOLDER``, ``arithmetic``); ``recipe:checkpoint`` with a shipped recipe; an
            object ``package.module:Object``; a local checkpoint folder or a hub id, whose name or config says which
            recipe it needs.
        options: Some of :data:`OPTIONS`; None means not given. ``recipe`` is a shipped recipe's name or a file.

    Raises:
        ModelError: No such model, it cannot be loaded, or it does not take one of the options.
    """
    given = {key: value for key, value in options.items() if value is not None}
    unknown = sorted(set(given) - set(OPTIONS))
    if unknown:
        raise ModelError(f"unknown reward model option {unknown[0]!r}; known: {', '.join(OPTIONS)}")
    if given.get("aggregation") not in (None, *AGGREGATIONS):
        raise ModelError(f"unknown aggregation {given['aggregation']!r}; expected one of {', '.join(AGGREGATIONS)}")
    if given.get("splitter") not in (None, *SPLITTERS):
        raise ModelError(f"unknown splitter {given['splitter']!r}; expected one of {', '.join(SPLITTERS)}")
    given |= {key: str(given[key]) for key in TEXTS if key in given}  # lm_eval reads prm_device=1 as a number
    recipe = given.pop("recipe", None)
    if recipe is not None:
        from prm_eval.rewards.models.factory import make_model
        from prm_eval.rewards.recipes.catalogue import named_recipe

        return _model(make_model(named_recipe(str(recipe)), name, given))
    head, _, argument = name.partition(":")
    if head in plugins.installed("reward model"):
        return _construct(name, plugins.load("reward model", head), argument or None, given)
    if head in _shipped():
        if not argument:
            known = ", ".join(_shipped()[head].models) or "any of its kind"
            raise ModelError(f"{head} is a recipe; name its checkpoint, {head}:FOLDER_OR_HUB_ID ({known})")
        from prm_eval.rewards.models.factory import make_model

        return _model(make_model(_shipped()[head], argument, given))
    if plugins.is_object_path(name):
        return _construct(name, plugins.load("reward model", name), None, given)
    if not Path(name).exists() and name.startswith(("/", ".", "~")):
        raise ModelError(f"no folder {name}: expected a checkpoint (config.json, tokenizer, *.safetensors)")
    if not Path(name).exists() and name.count("/") != 1:
        plugins.load("reward model", name)  # raises, with what is installed and what is nearest
    from prm_eval.rewards.models.factory import load_checkpoint

    return _model(load_checkpoint(name, given))


def how_fed(model: RewardModel) -> str:
    """Say which recipe feeds a model, and with which separator; empty for a model without one.

    A wrong guess gives plausible numbers, so that the guess is to be shown.
    """
    recipe, renderer = getattr(model, "recipe", None), getattr(model, "renderer", None)
    if recipe is None:
        return ""
    separator = getattr(renderer, "separator", None)
    return str(recipe.name) + ("" if separator is None else f", separator {separator!r}")


def _shipped() -> dict[str, Recipe]:
    from prm_eval.rewards.recipes.catalogue import shipped_recipes

    return shipped_recipes()


def _model(model: Any) -> RewardModel:
    if not isinstance(model, RewardModel):
        raise TypeError(f"{type(model).__name__} is not a reward model")
    return model


def _construct(name: str, factory: Any, argument: str | None, options: dict[str, Any]) -> RewardModel:
    accepted = inspect.signature(factory)
    try:
        accepted.bind(argument, **options)
    except TypeError as error:
        refused = [option for option in options if option not in accepted.parameters]
        why = f"it takes no {', '.join(refused)}" if refused else str(error)
        raise ModelError(f"the reward model {name!r} cannot be made with these options: {why}") from None
    model = factory(argument, **options)
    if not isinstance(model, RewardModel):
        missing = [
            part
            for part in ("name", "kind", "score_type", "aggregation", "splitter", "describe", "score")
            if not hasattr(model, part)
        ]
        raise ModelError(f"{name!r} is not a reward model: it has no {', '.join(missing)}")
    return model
