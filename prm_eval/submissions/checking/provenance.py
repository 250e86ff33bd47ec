"""What a submission says of where its rewards come from: names, rules and recipes, as far as they can be held against what ships.

A name and a commit are the submitter's word until somebody has run the model. What can be asked without running it is
asked here: as a fault of what comes from outside, as a doubt beside what is on the board.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from prm_eval import plugins
from prm_eval.rewards import load_reward_model
from prm_eval.rewards.recipes.catalogue import shipped_recipes
from prm_eval.rewards.recipes.recipe import Recipe
from prm_eval.store.rules import shown
from prm_eval.submissions.checking.between_folders import look
from prm_eval.submissions.formats import ModelEntry
from prm_eval.submissions.records import Submission, Suspicion
from prm_eval.submissions.revision import RULE

OUR_ORG = "prm_eval"
BASELINES = ("first", "mean", "random", "shortest", "longest", "maj", "majority", "oracle")

Fault = tuple[str, str, str]  # kind, found, expected


def recipe_of(model: ModelEntry) -> Recipe | None:
    """Return the shipped recipe that a model names, if it does."""
    return shipped_recipes().get(model.recipe or "")


def faults_from_outside(org: str, name: str, model: ModelEntry) -> Iterator[Fault]:
    """Yield what a stranger may not say of his model.

    Args:
        org: As the folder is called.
        name: Likewise.
        model: What ``submission.json`` has under that name.
    """
    if look(org) == look(OUR_ORG):
        yield "name", f"the organisation {org}", f"your own; {OUR_ORG} is this project"
    if look(name) in map(look, BASELINES):
        yield "name", f"a model called {name}", "a name that is no baseline's"
    if model.weights == RULE:
        about = installed_rule(name)
        named = f"{model.id}, version {model.version}"
        if about is None:
            expected = "one that is installed (prm-eval plugins), so that anyone can run it; a maintainer installs your package first"
            yield "rule", f"the rule {named}", expected
        elif (about.get("id", model.id), about.get("version")) != (model.id, model.version):
            own = f"{about.get('id', model.id)}, version {about.get('version')}"
            yield "rule", f"the rule {named}", f"{own}, as the installed rule {name} says of itself"
    recipe, said = recipe_of(model), model.recipe_sha256
    if recipe is not None and said != recipe.digest:  # what is old may have an older recipe
        own = "no recipe_sha256" if said is None else f"recipe_sha256 {said[:12]}"
        yield "recipe", own, f"{recipe.digest[:12]}, that of {recipe.name}"


def installed_rule(name: str) -> dict[str, Any] | None:
    """Return what an installed rule says of itself; None where no rule of that name is installed."""
    if name not in plugins.installed("reward model"):  # a stranger's name is looked up, and never imported
        return None
    try:
        about = load_reward_model(name).describe()
    except Exception:
        return None  # it needs a checkpoint, a file or options: no rule that stands by itself
    return about if about.get("weights") == RULE else None


def doubts(submission: Submission) -> Iterator[Suspicion]:
    """Yield what a reader should know of a submission's word, whatever its rewards are."""
    model = submission.file.model
    recipe, named = recipe_of(model), model.recipe
    if named and recipe is None:
        text = f"fed by a recipe of its own, {shown(named)}, which does not ship: how it was fed and read cannot be seen here"
        yield Suspicion("own-recipe", text, 1.0)
    elif recipe is not None and model.recipe_sha256 != recipe.digest:
        text = (
            f"names the recipe {recipe.name}, but not its present content: how it was fed and read cannot be seen here"
        )
        yield Suspicion("own-recipe", text, 1.0)
    if model.weights == RULE and submission.tier == "recomputed":
        yield Suspicion("unrun-rule", "says that it is a rule without weights; nobody here has run it", 1.0)
