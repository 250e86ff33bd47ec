"""The threshold of a submission to a step set: declared, the recipe's own, or 0.5 on probabilities."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from prm_eval.records import ScoreType
from prm_eval.rewards.recipes.catalogue import shipped_recipes
from prm_eval.submissions.formats import ModelEntry, SubmissionFile, VerificationFile

Origin = Literal["declared", "recipe", "half"]
ORIGINS: dict[Origin, str] = {
    "declared": "declared by the submitter beforehand",
    "recipe": "the recipe's own",
    "half": "the middle of a probability, where nobody said another",
}
"""Where a threshold comes from, in words."""
HALF = 0.5


@dataclass(frozen=True)
class Declared:
    """A threshold, below which a step is called wrong, and where it comes from."""

    value: float
    origin: Origin


def threshold_of(score_type: ScoreType, model: ModelEntry, declared: float | None) -> Declared | None:
    """Return the threshold that the steps of a submission are held against; None where raw numbers have none.

    It is on the scale on which steps are compared: probabilities, into which log-odds and per cent are turned; raw
    numbers as they stand.

    Args:
        score_type: What the numbers are.
        model: The field ``model`` of ``submission.json``, which names the recipe.
        declared: Its field ``threshold``.
    """
    if declared is not None:
        return Declared(declared, "declared")
    recipe = shipped_recipes().get(model.recipe or "")
    if recipe is not None and recipe.threshold is not None:
        return Declared(recipe.threshold, "recipe")
    return None if score_type == "raw" else Declared(HALF, "half")


def threshold_in(file: SubmissionFile) -> Declared | None:
    """Return the threshold of a ``submission.json``."""
    return threshold_of(file.score_type, file.model, file.threshold)


def threshold_said(file: SubmissionFile, verification: VerificationFile) -> dict[str, float | None]:
    """Return the threshold that a verification must be of, as a field of what was declared; empty for a pool's.

    The figures of a step set hang on it, wherever it comes from: a verification is of the calls that it makes.
    """
    if verification.measure is None and file.threshold is None:
        return {}
    found = threshold_in(file)
    return {"threshold": None if found is None else found.value}
