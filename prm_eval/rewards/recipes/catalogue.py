"""The recipes that come with prm_eval, and the choice of the one that a checkpoint needs."""

from __future__ import annotations

from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path

from prm_eval.errors import ModelError
from prm_eval.rewards.recipes.reader import read_recipe
from prm_eval.rewards.recipes.recipe import Recipe

FOLDER = Path(__file__).parent


@lru_cache(maxsize=1)
def shipped_recipes() -> dict[str, Recipe]:
    """Return the recipes that come with prm_eval, by name."""
    recipes = [read_recipe(path) for path in sorted(FOLDER.glob("*.yaml"))]
    return {recipe.name: recipe for recipe in recipes}


def named_recipe(name_or_file: str) -> Recipe:
    """Return the recipe of a shipped name, or of a file.

    Raises:
        ModelError: There is neither a recipe nor a file of that name.
        DataError: The file is malformed.
    """
    shipped = shipped_recipes()
    if name_or_file in shipped:
        return shipped[name_or_file]
    if Path(name_or_file).is_file() or name_or_file.endswith((".yaml", ".yml")):
        return read_recipe(name_or_file)
    near = get_close_matches(name_or_file, shipped, n=1)
    guess = f" Did you mean {near[0]!r}?" if near else ""
    raise ModelError(f"no recipe or recipe file {name_or_file!r}.{guess} Shipped: {', '.join(shipped)}")


def recipe_for(checkpoint: str, architectures: tuple[str, ...] = ()) -> Recipe | None:
    """Return the shipped recipe of a hub id or a folder, or else of its architecture, or else None.

    A folder is recognised by its last two parts (``.../Qwen/Qwen2.5-Math-PRM-7B``), by ``org__name`` or by the hub
    cache's ``models--org--name``. Its last part alone would confuse models of the same name by different people.
    """
    parts = [part for part in checkpoint.rstrip("/").split("/") if part]
    ids = {"/".join(parts[-2:])}
    ids |= {
        part.removeprefix("models--").replace(glue, "/", 1) for part in parts for glue in ("__", "--") if glue in part
    }
    recipes = shipped_recipes().values()
    for recipe in recipes:
        if any(recipe.fits(each) for each in ids):
            return recipe
    for recipe in recipes:
        if set(architectures) & set(recipe.architectures):
            return recipe
    return None


def recipe_table() -> list[list[str]]:
    """Return the shipped recipes as rows of text after a header, for ``prm-eval plugins`` and the documents."""
    rows = [["recipe", "is", "models", "aggregation", "length limit", "checked against"]]
    for recipe in shipped_recipes().values():
        limit = f"{recipe.max_tokens:,} tokens" if recipe.max_tokens else "config's"
        rows.append(
            [
                recipe.name,
                recipe.kind.upper(),
                ", ".join(recipe.models) or "any of its kind",
                "-" if recipe.refused or recipe.kind == "orm" else recipe.aggregation,
                "-" if recipe.refused else f"{recipe.generate.max_new_tokens:,} written" if recipe.generate else limit,
                f"refused: {recipe.refused}" if recipe.refused else recipe.checked_against,
            ]
        )
    return rows
