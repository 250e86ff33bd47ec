"""The provenance of rewards: the names, rules and recipes of a submission, compared with those that ship.

A name and a commit are the submitter's word until somebody has run the model. What can be checked without running it is
checked here. It is a fault in a submission from outside, and a doubt beside one that is on the board.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from prm_eval import plugins
from prm_eval.rewards import load_reward_model
from prm_eval.rewards.recipes.catalogue import shipped_recipes
from prm_eval.rewards.recipes.recipe import Recipe
from prm_eval.store.rules import shown
from prm_eval.submissions.checking.between_folders import look, not_on_windows
from prm_eval.submissions.formats import ModelEntry
from prm_eval.submissions.records import Submission, Suspicion
from prm_eval.submissions.revision import RULE

OUR_ORG = "prm_eval"
BASELINES = ("first", "mean", "random", "shortest", "longest", "maj", "majority", "oracle")
# the words that a name of a baseline may have besides
VOTES = ("vote", "votes", "voting", "selection", "baseline")

# kind, found, expected
Fault = tuple[str, str, str]


def recipe_of(model: ModelEntry) -> Recipe | None:
    """Return the shipped recipe that a model names; None where it names none."""
    return shipped_recipes().get(model.recipe or "")


def faults_from_outside(org: str, name: str, model: ModelEntry) -> Iterator[Fault]:
    """Yield the faults in what a stranger says of a model.

    Args:
        org: The organisation in the folder's name.
        name: The model in the folder's name.
        model: The field ``model`` of ``submission.json``.
    """
    if org == OUR_ORG:
        yield "name", f"the organisation {org}", f"your own; {OUR_ORG} is this project"
    if model.weights == RULE:
        about = installed_rule(name)
        named = f"{model.id}, version {model.version}"
        if about is None:
            expected = (
                "one that is installed (prm-eval plugins), so that anyone can run it; "
                "a maintainer installs your package first"
            )
            yield "rule", f"the rule {named}", expected
        elif (about.get("id", model.id), about.get("version")) != (model.id, model.version):
            own = f"{about.get('id', model.id)}, version {about.get('version')}"
            yield "rule", f"the rule {named}", f"{own}, as the installed rule {name} says of itself"
    recipe, said = recipe_of(model), model.recipe_sha256
    # only from outside: a submission that is on the board already may have an older recipe
    if recipe is not None and said != recipe.digest:
        own = "no recipe_sha256" if said is None else f"recipe_sha256 {said[:12]}"
        yield "recipe", own, f"{recipe.digest[:12]}, that of {recipe.name}"


def name_faults(org: str, name: str, pool_id: str) -> Iterator[Fault]:
    """Yield what is wrong with the names of a submission, wherever it comes from.

    Args:
        org: The organisation in the folder's name.
        name: The model in the folder's name.
        pool_id: The pool in the folder's name.
    """
    if org != OUR_ORG and reads_as_ours(org):
        yield "name", f"the organisation {org}", f"your own; {OUR_ORG} is this project"
    if is_baseline(name):
        yield "name", f"a model called {name}", "a name that is no baseline's"
    for each in (f"{org}__{name}", org, name, pool_id):
        why = not_on_windows(each)
        if why is not None:
            yield "name", f"{shown(each)}, {why}", "a name that every system can check out"
            return


def reads_as_ours(org: str) -> bool:
    """Say whether an organisation looks like ours, alone or before a further word or number: prm-eval-team."""
    begins = re.match(r"prm[-_.]*eva[l1i](?=[-_.\d]|$)", org.casefold())
    return begins is not None or look(org) == look(OUR_ORG)


def is_baseline(name: str) -> bool:
    """Say whether a model is called like a baseline: majority, Majority-Vote, mean-, maj@8 in the letters of a name."""
    known = {look(each + more) for each in BASELINES for more in ("", *VOTES)}
    return re.sub(r"(?<=[a-z])\d*$", "", name.casefold()) in BASELINES or look(name) in known


def installed_rule(name: str) -> dict[str, Any] | None:
    """Return what an installed rule says of itself; None where no rule of that name is installed."""
    # a stranger's name is looked up, and never imported
    if name not in plugins.installed("reward model"):
        return None
    try:
        about = load_reward_model(name).describe()
    except Exception:
        # it needs a checkpoint, a file or options: it is no rule that works by itself
        return None
    return about if about.get("weights") == RULE else None


def doubts(submission: Submission) -> Iterator[Suspicion]:
    """Yield the reasons to doubt what a submission says of its model, whatever its rewards are."""
    model = submission.file.model
    recipe, named = recipe_of(model), model.recipe
    if named and recipe is None:
        text = (
            f"fed by a recipe of its own, {shown(named)}, which does not ship: "
            "how it was fed and read cannot be seen here"
        )
        yield Suspicion("own-recipe", text, 1.0)
    elif recipe is not None and model.recipe_sha256 != recipe.digest:
        text = (
            f"names the recipe {recipe.name}, but not its present content: how it was fed and read cannot be seen here"
        )
        yield Suspicion("own-recipe", text, 1.0)
    if model.weights == RULE and submission.tier == "recomputed":
        yield Suspicion("unrun-rule", "says that it is a rule without weights; nobody here has run it", 1.0)
