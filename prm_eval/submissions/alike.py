"""The suspicion that two submissions of different models have one model's rewards: copied, re-encoded or rescaled.

``check`` refuses rewards files that are equal byte for byte. Anything else that keeps the order within problems
(another compression, other units, a little noise) ranks alike, and is seen here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from prm_eval.evaluation.diagnostics import row_ranks
from prm_eval.submissions.records import Submission, Suspicion, Tier

Floats = npt.NDArray[np.float64]
Prints = npt.NDArray[np.float32]

# Different models agree far less: of seven published PRMs two sizes of one family reach 0.72, the ORM and the PRM of
# the miniature 0.5. A copy with noise of 0.01 log-odds a step has 0.86, one with 0.1 has 0.74 and is not seen.
SAME_ORDER = 0.85
# Of steps within a solution: honest scores of one solution fall together, so only the same order is a copy.
SAME_STEPS = 0.9999
# candidates that are compared; the first problems of a pool hold them
MOST_COMPARED = 8_192
# the more was checked of a submission, the less it is the copy
_CHECKED: dict[Tier, int] = {"recomputed": 0, "spot-checked": 1, "reproduced": 2, "baseline": 3}


@dataclass(frozen=True)
class Ordered:
    """A submission, as far as it is compared with others on its pool.

    Attributes:
        name: ORGANISATION/MODEL.
        tier: Its trust tier.
        order: What :func:`order_of` gives for its rewards.
        limit: The likeness above which two are called alike.
    """

    name: str
    tier: Tier
    order: Prints
    limit: float = SAME_ORDER


def ordered(submission: Submission, rewards: Floats) -> Ordered:
    """Return a submission as it is compared with others; ``rewards`` are its aggregated ones, (problems, M)."""
    return Ordered(f"{submission.org}/{submission.model}", submission.tier, order_of(rewards))


def order_of(rewards: Floats) -> Prints:
    """Return the order of rewards within problems, as one vector of length 1: ranks, centred, every problem alike.

    Args:
        rewards: (problems, M), NaN where there is none; they rank below all others, and as equals.
    """
    compared = rewards[: max(1, MOST_COMPARED // max(1, rewards.shape[1]))]
    own = row_ranks(np.where(np.isnan(compared), -np.inf, compared)) - (rewards.shape[1] + 1) / 2
    norms = np.sqrt((own**2).sum(axis=1, keepdims=True))
    whole = (own / np.where(norms > 0, norms, 1.0)).ravel()
    return np.asarray(whole / max(float(np.linalg.norm(whole)), 1e-12), dtype=np.float32)


def copies(several: Sequence[Ordered]) -> list[tuple[Suspicion, ...]]:
    """Return for each of the submissions to one pool the suspicion that it has the rewards of another model.

    Of two that are alike, the one of which more was checked has none; where as much was checked, both have.
    """
    if len(several) < 2:
        return [() for _ in several]
    table = np.stack([each.order for each in several])
    found: list[tuple[Suspicion, ...]] = []
    for one in several:
        likeness = table @ one.order
        others = [
            place
            for place in np.flatnonzero(likeness > one.limit).tolist()
            if several[place].name != one.name and _CHECKED[several[place].tier] >= _CHECKED[one.tier]
        ]
        if not others:
            found.append(())
            continue
        place = max(others, key=lambda place: (_CHECKED[several[place].tier], float(likeness[place]), -place))
        value = float(likeness[place])
        text = f"the rewards order candidates as those of {several[place].name} do (rank correlation {value:.6f})"
        found.append((Suspicion("alike", text, value),))
    return found
