"""What a step is trained to be: from labels to targets, from targets to a loss.

A target is one number: the probability that the step is good (0 and 1 for hard labels, between for shares), or
:data:`NEUTRAL_CLASS` where neutral is a class of its own. Steps after the first bad one have none: PRM800K's labellers
stop there, and what follows a mistake is neither right nor wrong by itself (Lightman et al. 2023, section 2.6).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from prm_eval.errors import DataError, PrmEvalError
from prm_eval.records import Kind, StepLabel
from prm_eval.training.options import Neutral, parse_weights

Floats = npt.NDArray[np.float32]

NEUTRAL_CLASS = 2.0
"""The target of a neutral step where neutral is a class of its own."""
CLASSES = ("bad", "neutral", "good")


def step_targets(
    label: StepLabel, n_steps: int, *, neutral: Neutral = "good", soft: bool = False
) -> list[float | None]:
    """Return the target of every step, None where it has none.

    Args:
        label: The label of the solution.
        n_steps: The number of its steps.
        neutral: What a neutral step is trained as.
        soft: Whether the targets are shares of right continuations.
    """
    ratings = label.ratings or (None,) * n_steps
    of_neutral = {"good": 1.0, "bad": 0.0, "out": None, "class": NEUTRAL_CLASS}[neutral]
    found: list[float | None] = []
    for index, rating in enumerate(ratings):
        hard = of_neutral if rating == 0 else None if rating is None else float(rating == 1)
        share = label.soft[index] if soft and label.soft is not None else None
        found.append(hard if share is None else float(share))
        if rating == -1:
            break
    return found + [None] * (n_steps - len(found))


@dataclass(frozen=True)
class Columns:
    """Which of a head's outputs mean what.

    Attributes:
        n: The number of outputs; with one, its sigmoid is the probability that a step is good.
        bad: The output for bad.
        good: The output for good.
        neutral: The output for neutral, where it is a class of its own.
    """

    n: int
    bad: int = 0
    good: int = 0
    neutral: int | None = None

    def distributions(self, targets: Floats) -> Floats:
        """Return (K, n) probabilities of the outputs for K targets; (K, 1) of good for a single output."""
        if self.n == 1:
            return targets[:, None].astype(np.float32)
        found = np.zeros((len(targets), self.n), dtype=np.float32)
        own = targets == NEUTRAL_CLASS
        if own.any() and self.neutral is None:
            raise AssertionError("a neutral class without an output: refused before")
        share = np.where(own, 0.0, targets)
        found[:, self.good] = share
        found[:, self.bad] = np.where(own, 0.0, 1.0 - share)
        if self.neutral is not None:
            found[:, self.neutral] = own
        return found


def counts(targets: Floats) -> dict[str, float]:
    """Return how many targets there are of each class; a share counts for both."""
    own = targets == NEUTRAL_CLASS
    good = float(targets[~own].sum(dtype=np.float64))
    return {"bad": float((~own).sum()) - good, "neutral": float(own.sum()), "good": good}


def require_both_classes(number: Mapping[str, float], path: Path, kind: Kind) -> None:
    """Insist on targets of both classes: a verifier of one class learns to say the same of everything.

    Args:
        number: How many targets there are of each class, as :func:`counts` says.
        path: DATA.
        kind: What is trained.

    Raises:
        DataError: There is none of a class.
    """
    missing = [name for name in ("good", "bad") if number[name] <= 0]
    if not missing:
        return
    there = ", ".join(f"{number[name]:,.0f} {name}" for name in CLASSES)
    prm = "Label wrong steps too (prm-eval label queue --by convincing finds solutions that have some)"
    orm = "Give wrong candidates too (prm-eval grade says which are)"
    if missing == ["good"]:
        prm, orm = "Label right steps too", "Give right candidates too (prm-eval grade says which are)"
    raise DataError(
        path,
        None,
        f"no {' and no '.join(missing)} target among those that are trained on ({there})",
        "steps that are good and steps that are bad" if kind == "prm" else "right solutions and wrong ones",
        f"{prm if kind == 'prm' else orm}; held-out and dropped problems do not count.",
    )


def class_weights(text: str, number: Mapping[str, float]) -> tuple[float, float, float]:
    """Return the weights of (bad, neutral, good).

    Args:
        text: "balanced" (each class weighs the same in sum), weights by name, or empty.
        number: How many targets there are of each class.

    Raises:
        PrmEvalError: The weights are malformed, or a class to balance is not there.
    """
    if text != "balanced":
        given = parse_weights(text)
        return given.get("bad", 1.0), given.get("neutral", 1.0), given.get("good", 1.0)
    there = {name: count for name, count in number.items() if count > 0}
    if not {"bad", "good"} <= there.keys():
        raise PrmEvalError(
            f"--class-weights balanced: found {number['bad']:,.0f} bad and {number['good']:,.0f} good targets; "
            "expected both. Leave it out, or give labels of both kinds."
        )
    mean = sum(there.values()) / len(there)
    bad, neutral, good = (mean / there[name] if name in there else 1.0 for name in CLASSES)
    return bad, neutral, good


def weights_of(targets: Floats, weights: tuple[float, float, float]) -> Floats:
    """Return the weight of each target; a share has that of both classes in its parts."""
    own = targets == NEUTRAL_CLASS
    share = np.where(own, 0.0, targets)
    found = np.where(own, weights[1], share * weights[2] + (1 - share) * weights[0])
    return found.astype(np.float32)


def losses(logits: Any, distributions: Any) -> Any:
    """Return the cross-entropy of each row of float32 logits (K, n) with its target: a distribution (K, n) or (K,)."""
    import torch

    if distributions.ndim == 1:
        return torch.nn.functional.cross_entropy(logits, distributions, reduction="none")
    if logits.shape[-1] == 1:
        return torch.nn.functional.binary_cross_entropy_with_logits(logits, distributions, reduction="none")[:, 0]
    return -(distributions * torch.log_softmax(logits, dim=-1)).sum(dim=-1)
