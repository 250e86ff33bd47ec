"""A recipe and a checkpoint to a reward model; which recipe a checkpoint needs, by its name or its config."""

from __future__ import annotations

import re
from typing import Any

from prm_eval.errors import ModelError
from prm_eval.rewards.models import checkpoint
from prm_eval.rewards.models.generative import GenerativeModel
from prm_eval.rewards.models.logratio import LogRatioModel
from prm_eval.rewards.models.recipe_checkpoint import CLASSIFIERS, RecipeModel
from prm_eval.rewards.recipes.catalogue import named_recipe, recipe_for
from prm_eval.rewards.recipes.recipe import Recipe


def make_model(recipe: Recipe, argument: str | None, options: dict[str, Any]) -> Any:
    """Return the reward model of a recipe and a checkpoint.

    Raises:
        ModelError: It cannot be loaded, does not fit the recipe, does not take the options, or its family is not run at
            all.
    """
    if recipe.refused:
        raise ModelError(f"{argument or recipe.name} is not run: {recipe.refused}")
    factory = {"logratio": LogRatioModel, "generate": GenerativeModel}.get(recipe.head.type, RecipeModel)
    try:
        return factory(recipe, argument, **options)
    except TypeError as error:
        unknown = re.search(r"unexpected keyword argument '(\w+)'", str(error))
        if unknown is None:
            raise
        raise ModelError(
            f"{argument} ({recipe.kind.upper()}, recipe {recipe.name}) does not take these options: {unknown[1]}"
        ) from None


def sequence_classification(argument: str | None, **options: Any) -> Any:
    """Return any decoder ``AutoModelForSequenceClassification`` as outcome reward model."""
    return make_model(named_recipe("sequence-classification"), argument, options)


def token_classification(argument: str | None, **options: Any) -> Any:
    """Return any decoder ``AutoModelForTokenClassification`` trained on step separators (TRL's format) as process reward model."""
    return make_model(named_recipe("token-classification"), argument, options)


def load_checkpoint(name: str, options: dict[str, Any]) -> Any:
    """Return the reward model of a checkpoint folder or hub id: by its name, else by the architecture its config names.

    Raises:
        ModelError: It cannot be loaded, or nothing says how to feed and read it.
    """
    recipe = recipe_for(name)
    if recipe is None:
        config = checkpoint.load("config", "AutoConfig", name, options.get("revision"))
        architectures = tuple(getattr(config, "architectures", None) or ())
        recipe = recipe_for(name, architectures)
        for suffix, generic in CLASSIFIERS:
            if recipe is None and any(architecture.endswith(suffix) for architecture in architectures):
                recipe = named_recipe(generic)
        if recipe is None:
            raise ModelError(
                f"{name} has architecture {', '.join(architectures) or 'unknown'}; expected one that ends in "
                "ForTokenClassification (PRM) "
                "or ForSequenceClassification (ORM), or a model that a shipped recipe names. Say how to feed and read "
                "it with a recipe: "
                f"RECIPE:{name}, or --recipe NAME_OR_FILE (metadata prm_recipe, orm_recipe); see prm-eval plugins."
            )
    return make_model(recipe, name, options)
