"""The rendered inputs of a submission, recomputed by recipe and tokenizer without weights or a GPU."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from prm_eval.errors import PrmEvalError
from prm_eval.pools.pool import Pool
from prm_eval.records import ScoringItem, StepRewards
from prm_eval.rewards.files.reward_file import RewardFile
from prm_eval.rewards.inputs.renderer import Renderer
from prm_eval.rewards.models import checkpoint
from prm_eval.rewards.models.prefixes import hash_of_prefixes, prefix_items
from prm_eval.rewards.recipes.catalogue import named_recipe
from prm_eval.rewards.scoring import scoring_item
from prm_eval.submissions.formats import ModelEntry, SubmissionFile
from prm_eval.submissions.readers import open_rewards
from prm_eval.submissions.records import RegisteredPool

# row, found, expected
InputFault = tuple[int, str, str]


def input_faults(folder: Path, file: SubmissionFile, pool: RegisteredPool, tokenizer: str) -> Iterator[InputFault]:
    """Yield every row whose rendered input is not what the recipe makes of the candidate.

    Args:
        folder: The folder of a submission that has no other fault.
        file: Its ``submission.json``.
        pool: Its pool, at hand.
        tokenizer: A checkpoint folder or hub id.

    Raises:
        PrmEvalError: The recipe is not a shipped one, has changed since, or does not fit the tokenizer.
    """
    rewards = open_rewards(folder, file)
    if pool.pool is None:
        raise PrmEvalError(f"the pool {pool.pool_id} is not at hand")
    renderer = renderer_of(file.model, tokenizer)
    prefixes = file.model.get("prefixes") is True
    known: dict[ScoringItem, tuple[int, str]] = {}
    rows = _items(pool.pool, rewards)
    for number, (item, row) in enumerate(rows, 1):
        if row.refusal is not None and row.input_hash is None:
            continue
        if item not in known:
            parts = [renderer.render(each) for each in (prefix_items(item) if prefixes else (item,))]
            digest = hash_of_prefixes([each.input_hash for each in parts]) if prefixes else parts[0].input_hash
            # only the last one is kept: equal texts mostly stand together
            known = {item: (sum(len(each.ids) for each in parts), str(digest))}
        tokens, digest = known[item]
        if row.input_hash != digest:
            yield (
                number,
                f"input_hash {str(row.input_hash)[:12]} of {row.n_tokens} tokens",
                f"{digest[:12]} of {tokens}",
            )
        elif row.n_tokens != tokens:
            yield number, f"{row.n_tokens} tokens", f"{tokens}"


def renderer_of(model: ModelEntry, tokenizer: str) -> Renderer:
    """Return the renderer of a submission's model, with the given tokenizer.

    Raises:
        PrmEvalError: The recipe is not a shipped one, has changed since, or does not fit the tokenizer.
    """
    recipe = named_recipe(str(model.recipe))
    if recipe.digest != model.recipe_sha256:
        raise PrmEvalError(f"the recipe {recipe.name} has changed since: rendered inputs cannot be compared")
    if recipe.head.type == "generate":
        raise PrmEvalError(f"the recipe {recipe.name} asks a generative model: it has no rendered inputs to compare")
    loaded = checkpoint.load("tokenizer", "AutoTokenizer", tokenizer, None)
    return Renderer(recipe, loaded, tokenizer, separator=model.get("separator"), max_tokens=model.max_tokens)


def _items(pool: Pool, rewards: RewardFile) -> Iterator[tuple[ScoringItem, StepRewards]]:
    """Yield every candidate as the model saw it, with its row; the rows must be known to be in the pool's order."""
    rows = rewards.rows()
    splitter = rewards.info.splitter or pool.info.splitter
    for problem, candidates in pool:
        for candidate in candidates:
            _, _, row = next(rows)
            yield scoring_item(problem, candidate, splitter), row
