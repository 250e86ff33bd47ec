"""Reward models by name: the ways to read a name, in order (:data:`RESOLVERS`), and the options of a model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from prm_eval import plugins
from prm_eval.errors import ModelError
from prm_eval.rewards.aggregations import AGGREGATIONS
from prm_eval.rewards.models.factory import load_checkpoint, make_model, misfit
from prm_eval.rewards.models.recipe_checkpoint import ENGINES
from prm_eval.rewards.protocol import REQUIRED, RewardModel
from prm_eval.rewards.recipes.catalogue import named_recipe, shipped_recipes
from prm_eval.texts.steps import SPLITTERS

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
"""The options that a user may give a reward model; ``--metadata prm_device=...`` and ``--device`` both set one."""
TEXTS = ("base_url", "cache", "device", "dtype", "engine", "recipe", "reference", "revision", "separator")
SORT = "reward model"


@dataclass(frozen=True)
class Resolver:
    """A way to read the name of a reward model.

    Attributes:
        reads: The names that it reads, in words.
        resolve: A function that is called with a name and the options that were given. It returns the model, or None
            for a name of another sort, and raises :class:`~prm_eval.errors.ModelError` for a name of its sort without
            a model.
    """

    reads: str
    resolve: Callable[[str, dict[str, Any]], RewardModel | None]


def load_reward_model(name: str, **options: Any) -> RewardModel:
    """Return the reward model of a name, checked as far as possible without its weights.

    Args:
        name: In this order: with the option ``recipe``, a checkpoint folder or hub id; a registered name, alone or as
            ``name:argument`` (``stored:FOLDER``, ``arithmetic``); ``recipe:checkpoint`` with a shipped recipe; an
            object ``package.module:Object``; a local checkpoint folder or a hub id, whose name or config says which
            recipe it needs. :data:`RESOLVERS` is this list.
        options: Some of :data:`OPTIONS`; None means not given. ``recipe`` is the name of a shipped recipe or a file.

    Raises:
        ModelError: There is no such model, it cannot be loaded, or it does not take one of the options.
    """
    given = checked_options(options)
    for resolver in RESOLVERS:
        model = resolver.resolve(name, given)
        if model is not None:
            return model
    raise _unknown(name)


def checked_options(options: dict[str, Any]) -> dict[str, Any]:
    """Return the options that were given; those that are texts are converted to texts.

    Raises:
        ModelError: No reward model has an option of that name, or there is no such aggregation or splitter.
    """
    given = {key: value for key, value in options.items() if value is not None}
    unknown = sorted(set(given) - set(OPTIONS))
    if unknown:
        raise ModelError(f"unknown reward model option {unknown[0]!r}; known: {', '.join(OPTIONS)}")
    for option, known in (("aggregation", AGGREGATIONS), ("splitter", SPLITTERS)):
        if given.get(option) not in (None, *known):
            raise ModelError(f"unknown {option} {given[option]!r}; expected one of {', '.join(known)}")
    # lm_eval reads prm_device=1 as a number
    given |= {key: str(given[key]) for key in TEXTS if key in given}
    # the default engine is left out, because models without a choice of engines take no such option
    if given.get("engine") == ENGINES[0]:
        del given["engine"]
    return given


def how_fed(model: RewardModel) -> str:
    """Return the recipe that feeds a model as text, with its separator; empty for a model without a recipe.

    A recipe that was guessed wrongly gives plausible numbers, so the guess must be shown. Of a generative verifier the
    length of a judgement is, too.
    """
    recipe, renderer = getattr(model, "recipe", None), getattr(model, "renderer", None)
    if recipe is None:
        return ""
    separator = getattr(renderer, "separator", None)
    writes = getattr(model, "writes", None)
    parts = [
        str(recipe.name),
        *([] if separator is None else [f"separator {separator!r}"]),
        *([writes] if writes else []),
    ]
    return ", ".join(parts)


def _with_a_given_recipe(name: str, options: dict[str, Any]) -> RewardModel | None:
    if "recipe" not in options:
        return None
    rest = {key: value for key, value in options.items() if key != "recipe"}
    return make_model(named_recipe(options["recipe"]), name, rest)


def _registered(name: str, options: dict[str, Any]) -> RewardModel | None:
    head, _, argument = name.partition(":")
    if head not in plugins.installed(SORT):
        return None
    return _construct(name, plugins.load(SORT, head), argument or None, options)


def _with_a_shipped_recipe(name: str, options: dict[str, Any]) -> RewardModel | None:
    head, _, checkpoint = name.partition(":")
    recipe = shipped_recipes().get(head)
    if recipe is None:
        return None
    if not checkpoint:
        known = ", ".join(recipe.models) or "any of its kind"
        raise ModelError(f"{head} is a recipe; name its checkpoint, {head}:FOLDER_OR_HUB_ID ({known})")
    return make_model(recipe, checkpoint, options)


def _object(name: str, options: dict[str, Any]) -> RewardModel | None:
    if not plugins.is_object_path(name):
        return None
    return _construct(name, plugins.load(SORT, name), None, options)


def _checkpoint(name: str, options: dict[str, Any]) -> RewardModel | None:
    there = Path(name).exists()
    if not there and name.startswith(("/", ".", "~")):
        raise ModelError(f"no folder {name}: expected a checkpoint (config.json, tokenizer, *.safetensors)")
    is_hub_id = name.count("/") == 1 and ":" not in name
    return load_checkpoint(name, options) if there or is_hub_id else None


RESOLVERS = (
    Resolver("a checkpoint, where the option recipe says how it is fed", _with_a_given_recipe),
    Resolver("a registered name, alone or as NAME:ARGUMENT", _registered),
    Resolver("RECIPE:CHECKPOINT with a shipped recipe", _with_a_shipped_recipe),
    Resolver("package.module:Object", _object),
    Resolver("a checkpoint folder or a hub id ORG/MODEL", _checkpoint),
)
"""The ways to read a name, in order; the first one that returns a model decides."""


def _construct(name: str, factory: Callable[..., Any], argument: str | None, options: dict[str, Any]) -> RewardModel:
    """Return the reward model of a registered or named factory.

    Raises:
        ModelError: The factory does not take the options, or makes no reward model.
    """
    wrong = misfit(factory, (argument,), options)
    if wrong is not None:
        why = f"it takes no {', '.join(wrong.options)}" if wrong.options else wrong.why
        raise ModelError(f"the reward model {name!r} cannot be made with these options: {why}")
    model = factory(argument, **options)
    if not isinstance(model, RewardModel):
        missing = ", ".join(part for part in REQUIRED if not hasattr(model, part))
        raise ModelError(f"{name!r} is not a reward model: it has no {missing}")
    return model


def _unknown(name: str) -> ModelError:
    """Return the error for an unknown name: the nearest name, the installed ones, and how names are written."""
    installed, recipes = list(plugins.installed(SORT)), list(shipped_recipes())
    head, colon, argument = name.partition(":")
    near = get_close_matches(head, [*installed, *recipes], n=1)
    guess = f" Did you mean {near[0] + colon + argument!r}?" if near else ""
    ways = "; ".join(resolver.reads for resolver in RESOLVERS[1:])
    return ModelError(
        f"no {SORT} named {name!r}.{guess} A name is {ways}. Installed: {', '.join(installed)}; recipes: "
        f"{', '.join(recipes)} (see: prm-eval plugins)."
    )
