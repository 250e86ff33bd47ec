"""What the readers of a results folder hand out: submissions, pools, faults and suspicions."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from prm_eval.pools.pool import Pool
from prm_eval.rewards.files.reward_file import RewardFile
from prm_eval.submissions.formats import Disclosure, HubRef, SubmissionFile

Tier = Literal["baseline", "recomputed", "spot-checked", "reproduced"]

TIERS: dict[Tier, str] = {
    "baseline": (
        "A rule of this project that needs no reward model, computed here from the pool alone. There is nothing to "
        "believe."
    ),
    "recomputed": (
        "The figures are computed here from the rewards that were submitted, one for every candidate. This rules out "
        "wrong "
        "formulas, another pool, left-out candidates and edited figures. It cannot rule out that the rewards were made "
        "otherwise than by the model: its name and commit are the submitter's word, and the grades of the pool are "
        "public."
    ),
    "spot-checked": (
        "A maintainer ran the model on a random sample of the candidates, drawn after the submission was fixed, and "
        "got the "
        "submitted rewards. This rules out rewards that were made up, and edits of many of them with the probability "
        "stated. "
        "It cannot rule out a few edited rewards, nor that the model was trained on the problems."
    ),
    "reproduced": (
        "A maintainer ran the model on every candidate and got the submitted rewards. This rules out every edit. It "
        "cannot rule "
        "out that the model was trained on the problems or on this pool."
    ),
}
"""What each trust tier can and cannot rule out, in plain words."""


@dataclass(frozen=True)
class Cost:
    """What scoring the pool cost, as the submission says; None where it is unknown.

    Attributes:
        tokens: Of all rendered inputs together.
        candidates: Scored in those seconds.
        seconds: None where a run was interrupted and resumed: nobody measured the whole.
        device: The processor or GPU, by its maker's name.
    """

    tokens: int | None
    candidates: int
    seconds: float | None
    device: str | None


@dataclass(frozen=True)
class Submission:
    """One reward model on one pool, as it lies in a results folder.

    ``org``, ``model``, ``revision`` and ``pool_id`` are from the path.

    Attributes:
        folder: Where it lies.
        org: The organisation.
        model: The model's name within it.
        revision: What pins the model's weights.
        pool_id: Of the pool it scores.
        file: What ``submission.json`` says.
        rewards: The rewards, opened.
        tier: What was checked of it.
    """

    folder: Path
    org: str
    model: str
    revision: str
    pool_id: str
    file: SubmissionFile
    rewards: RewardFile
    tier: Tier

    @property
    def disclosure(self) -> Disclosure | None:
        """What people say of the model; None until they have."""
        return self.file.disclosure

    @property
    def cost(self) -> Cost:
        """What scoring the pool cost."""
        run = self.file.run
        return Cost(run.tokens, run.candidates, None if run.resumed else float(run.seconds), run.device_name)

    @property
    def contact(self) -> str | None:
        """Whom to ask; None where there is no disclosure."""
        return self.disclosure.contact if self.disclosure else None

    @property
    def licence(self) -> str | None:
        """Of the weights; None where there is no disclosure."""
        return self.disclosure.licence if self.disclosure else None

    @property
    def base_model(self) -> str | None:
        """What the model was trained from; None where there is no disclosure."""
        return self.disclosure.base_model if self.disclosure else None


@dataclass(frozen=True)
class RegisteredPool:
    """A pool of the board; ``pool`` is None where it is not at hand."""

    pool_id: str
    title: str
    content_hash: str
    headline_n: int | None
    pool: Pool | None
    hub: HubRef | None = None


@dataclass(frozen=True)
class Fault:
    """A fault in a submission.

    Attributes:
        file: The file, relative to the results folder where it lies in one.
        row: 1-based row of ``rewards.parquet``; None where the fault is the file's as a whole.
        found: What is there.
        expected: What must be there.
        kind: One of :data:`prm_eval.submissions.checking.faults.KINDS`.
    """

    file: str
    row: int | None
    found: str
    expected: str
    kind: str

    def __str__(self) -> str:
        place = self.file if self.row is None else f"{self.file}, row {self.row:,}"
        return f"{place}: [{self.kind}] found {self.found}; expected {self.expected}"


@dataclass(frozen=True)
class Suspicion:
    """What looks odd in a submission that has no fault: shown on the board, not refused.

    Attributes:
        name: One of :data:`prm_eval.submissions.suspicion.NAMES`.
        text: In words, with the figure.
        value: The figure.
    """

    name: str
    text: str
    value: float
