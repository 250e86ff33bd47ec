"""Trainers of rounds: a toy for the tests, and the miniature's own training for figures that mean something."""

from __future__ import annotations

import os
import time
from pathlib import Path


def toy(step_set: Path, folder: Path) -> str:
    """A tiny model that has learnt nothing; a second call finds the first one's."""
    from prm_eval.stepsets import StepSet
    from tests.conftest import tiny_model

    with (folder.parent / "trained.log").open("a") as stream:
        stream.write(f"{len(StepSet(step_set).require_sound().solutions)}\n")
    if not (folder / "model.safetensors").is_file():
        tiny_model(folder, "TokenClassification")
    return str(folder)


def slow_toy(step_set: Path, folder: Path) -> str:
    """The toy, which in the second round takes so long that a test can kill it."""
    if folder.parent.name == "round-2" and os.environ.get("TOY_SLEEPS"):
        (folder.parent / "sleeping").touch()
        time.sleep(60)
    return toy(step_set, folder)


def miniature_prm(step_set: Path, folder: Path) -> str:
    """The miniature's PRM, trained from its backbone on the labels up to the first wrong step; it can be killed."""
    from prm_eval.miniature.data import Labelled
    from prm_eval.miniature.models import load_model, save_model
    from prm_eval.miniature.verifiers import Epochs, train_verifier
    from prm_eval.miniature.weights import weights
    from prm_eval.stepsets import StepSet

    if not (folder / "done").is_file():
        opened = StepSet(step_set)
        texts = [
            Labelled(
                solution.statement,
                "\n".join(solution.steps),
                None if label.first_error == -1 else label.first_error,
                bool(label.final_correct),
            )
            for solution, label in zip(opened.solutions, opened.labels, strict=True)
        ]
        init = load_model(weights("backbone"), "policy")
        steps = int(os.environ.get("STEPS", "150"))
        model = train_verifier(Epochs(0, texts, "prm"), init, 0, folder / "work", steps=steps)
        save_model(model, folder)
        (folder / "done").touch()
    return f"miniature-prm:{folder}"
