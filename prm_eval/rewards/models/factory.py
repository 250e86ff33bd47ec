"""A recipe and a checkpoint to a reward model; which recipe a checkpoint needs, by its name or its config."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from prm_eval.errors import ModelError
from prm_eval.rewards.models import checkpoint
from prm_eval.rewards.models.generative import GenerativeModel
from prm_eval.rewards.models.logratio import NO_OPTIONS, LogRatioModel
from prm_eval.rewards.models.recipe_checkpoint import CLASSIFIERS, RecipeModel
from prm_eval.rewards.protocol import RewardModel
from prm_eval.rewards.recipes.catalogue import named_recipe, recipe_for
from prm_eval.rewards.recipes.recipe import Recipe

MODELS: dict[str, Callable[..., RewardModel]] = {"logratio": LogRatioModel, "generate": GenerativeModel}
"""What runs a recipe, by its head; :class:`RecipeModel` runs those of every other head."""


@dataclass(frozen=True)
class Misfit:
    """What keeps a factory from being called: the options it does not take, and Python's own words."""

    options: tuple[str, ...]
    why: str


def misfit(factory: Callable[..., Any], arguments: Sequence[Any], options: Mapping[str, Any]) -> Misfit | None:
    """Say, by its signature, why a factory cannot be called so; None where it can.

    Args:
        factory: A class or function that makes a reward model.
        arguments: By position.
        options: By name.
    """
    signature = inspect.signature(factory)
    try:
        signature.bind(*arguments, **options)
    except TypeError as error:
        return Misfit(tuple(option for option in options if option not in signature.parameters), str(error))
    return None


def make_model(recipe: Recipe, argument: str | None, options: Mapping[str, Any], *, config: Any = None) -> RewardModel:
    """Return the reward model of a recipe and a checkpoint.

    Args:
        recipe: How it is fed and read.
        argument: The checkpoint's folder or hub id.
        options: Of the model.
        config: The checkpoint's config, if it was loaded already.

    Raises:
        ModelError: It cannot be loaded, does not fit the recipe, does not take the options, or its family is not run at
            all.
    """
    if recipe.refused:
        raise ModelError(f"{argument or recipe.name} is not run: {recipe.refused}")
    factory = MODELS.get(recipe.head.type, RecipeModel)
    wrong = misfit(factory, (recipe, argument), options)
    if wrong is not None:
        reasons = NO_OPTIONS if factory is LogRatioModel else {}
        named = ", ".join(f"{name} ({reasons[name]})" if name in reasons else name for name in wrong.options)
        raise ModelError(
            f"{argument} ({recipe.kind.upper()}, recipe {recipe.name}) does not take these options: "
            f"{named or wrong.why}"
        )
    loaded = {} if config is None or factory is GenerativeModel else {"config": config}
    return factory(recipe, argument, **options, **loaded)


def sequence_classification(argument: str | None, **options: Any) -> RewardModel:
    """Return any decoder ``AutoModelForSequenceClassification`` as outcome reward model."""
    return make_model(named_recipe("sequence-classification"), argument, options)


def token_classification(argument: str | None, **options: Any) -> RewardModel:
    """Return any decoder ``AutoModelForTokenClassification`` trained on step separators (TRL's format) as process reward model."""
    return make_model(named_recipe("token-classification"), argument, options)


def load_checkpoint(name: str, options: Mapping[str, Any]) -> RewardModel:
    """Return the reward model of a checkpoint folder or hub id: by its name, else by the architecture its config names.

    Raises:
        ModelError: It cannot be loaded, or nothing says how to feed and read it.
    """
    recipe = recipe_for(name)
    if recipe is not None:
        return make_model(recipe, name, options)
    config = checkpoint.load("config", "AutoConfig", name, options.get("revision"))
    return make_model(_recipe_of(config, name), name, options, config=config)


def _recipe_of(config: Any, name: str) -> Recipe:
    """Return the shipped recipe of a config's architecture: a named one, else the generic one of classifiers.

    Raises:
        ModelError: There is none.
    """
    architectures = tuple(getattr(config, "architectures", None) or ())
    recipe = recipe_for(name, architectures)
    if recipe is not None:
        return recipe
    for suffix, generic in CLASSIFIERS:
        if any(architecture.endswith(suffix) for architecture in architectures):
            return named_recipe(generic)
    endings = " or ".join(f"{suffix} ({named_recipe(generic).kind.upper()})" for suffix, generic in CLASSIFIERS)
    raise ModelError(
        f"{name} has architecture {', '.join(architectures) or 'unknown'}; expected one that ends in {endings}, or a "
        f"model that a shipped recipe names. Say how to feed and read it with a recipe: RECIPE:{name}, or --recipe "
        "NAME_OR_FILE (metadata prm_recipe, orm_recipe); see prm-eval plugins."
    )
