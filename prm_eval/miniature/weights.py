"""The places of the checkpoints that ship with the package."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from prm_eval.errors import PrmEvalError


def weights_folder() -> Path:
    """Return the folder of ``miniature-policy``, ``miniature-backbone``, ``miniature-orm`` and ``miniature-prm``."""
    return Path(str(files("prm_eval.miniature"))) / "weights"


def weights(kind: str) -> Path:
    """Return the checkpoint of "policy", "backbone", "orm" or "prm".

    Raises:
        PrmEvalError: It is not there.
    """
    folder = weights_folder() / f"miniature-{kind}"
    if not (folder / "model.safetensors").is_file():
        raise PrmEvalError(
            f"{folder} has no model.safetensors, though it comes with the package; install it again, or make it: "
            "prm-eval miniature all"
        )
    return folder
