"""The records that the readers of a results folder return: submissions, pools, faults and suspicions."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from prm_eval.pools.pool import Pool
from prm_eval.rewards.files.reward_file import RewardFile
from prm_eval.submissions.formats import Disclosure, HubRef, StepSetRef, SubmissionFile, VerificationFile

Tier = Literal["baseline", "recomputed", "spot-checked", "reproduced"]

TIERS: dict[Tier, str] = {
    "baseline": (
        "A rule of this project that needs no reward model, computed here from the pool alone. There is nothing to "
        "believe."
    ),
    "recomputed": (
        "The figures are computed here from the rewards that were submitted, one for every candidate. This rules out "
        "wrong formulas, another pool, left-out candidates and edited figures. It cannot rule out that the rewards "
        "were made otherwise than by the model: its name and commit are the submitter's word, and the grades of the "
        "pool are public."
    ),
    "spot-checked": (
        "A maintainer ran the model on a random sample of the candidates, drawn after the submission was fixed. With "
        "95 % confidence, the differences between the submitted rewards and the model's own are worth at most 2 points "
        "of best of n (the board's n, the declared aggregation), however they came about and however few they are. It "
        "cannot rule out less than that, nor that the model was trained on the problems."
    ),
    "reproduced": (
        "A maintainer ran the model on every candidate, and the figures are computed from what it gave there, to the "
        "last digit: an edit of the submitted rewards is worth nothing. It cannot rule out that the model was trained "
        "on the problems or on this pool."
    ),
}
"""What each trust tier can and cannot rule out, in plain words."""

STEP_TIERS: dict[Tier, str] = {
    "baseline": "A rule that looks at no content, computed here from the step set alone. There is nothing to believe.",
    "recomputed": (
        "The figures are computed here from the scores that were submitted, one for every step, at a threshold that "
        "was declared. This rules out wrong formulas, other labels, left-out solutions and edited figures. It cannot "
        "rule out that the scores were made otherwise than by the model, or the threshold chosen on this set: the "
        "labels are public."
    ),
    "spot-checked": (
        "A maintainer ran the model on a random sample of the solutions, drawn after the submission was fixed. With 95 "
        "% confidence, the steps that the submitted scores call otherwise than the model's own are worth at most 2 "
        "points of the figure that rows are ordered by. It cannot rule out less than that, nor that the model was "
        "trained on the problems; areas under a curve are not bounded, and earn this tier never."
    ),
    "reproduced": (
        "A maintainer ran the model on every solution, and the figures are computed from what it gave there, to the "
        "last digit: an edit of the submitted scores is worth nothing. It cannot rule out that the model was trained "
        "on the problems, or its threshold chosen on this set."
    ),
}
"""The same for step sets."""


@dataclass(frozen=True)
class Cost:
    """The cost of scoring the pool, as the submission says; None where it is unknown.

    Attributes:
        tokens: The tokens of all rendered inputs together.
        candidates: The candidates scored in those seconds.
        seconds: The time of the run; None where it was interrupted and resumed, as nobody measured the whole.
        device: The processor or GPU, by its maker's name.
    """

    tokens: int | None
    candidates: int
    seconds: float | None
    device: str | None


@dataclass(frozen=True)
class Submission:
    """One reward model on one pool, as a results folder has it.

    ``org``, ``model``, ``revision`` and ``pool_id`` are from the path.

    Attributes:
        folder: The submission's folder.
        org: The organisation.
        model: The model's name within it.
        revision: The revision, which pins the model's weights.
        pool_id: The id of the pool it scores.
        file: The content of ``submission.json``.
        rewards: The rewards that the figures are computed from, opened: those that the maintainer's run gave where it
            was of all candidates and gave others than were submitted, else the submitted ones.
        verification: The content of ``verification.json``; None where there is none.
        tier: The trust tier: how much of it was checked.
    """

    folder: Path
    org: str
    model: str
    revision: str
    pool_id: str
    file: SubmissionFile
    rewards: RewardFile
    verification: VerificationFile | None
    tier: Tier

    @property
    def disclosure(self) -> Disclosure | None:
        """The answers of the submitter about the model; None until they are given."""
        return self.file.disclosure

    @property
    def cost(self) -> Cost:
        """The cost of scoring the pool."""
        run = self.file.run
        return Cost(run.tokens, run.candidates, None if run.resumed else float(run.seconds), run.device_name)

    @property
    def contact(self) -> str | None:
        """The person to ask; None where there is no disclosure."""
        return self.disclosure.contact if self.disclosure else None

    @property
    def licence(self) -> str | None:
        """The licence of the weights; None where there is no disclosure."""
        return self.disclosure.licence if self.disclosure else None

    @property
    def base_model(self) -> str | None:
        """The model it was trained from; None where there is no disclosure."""
        return self.disclosure.base_model if self.disclosure else None


@dataclass(frozen=True)
class RegisteredPool:
    """A pool of the board; ``pool`` is None where it is not at hand, ``about`` is "" where nothing is said of it.

    ``step_set`` is what is registered of its labels, None for a pool that no step labels belong to.
    """

    pool_id: str
    title: str
    content_hash: str
    headline_n: int | None
    pool: Pool | None
    hub: HubRef | None = None
    about: str = ""
    step_set: StepSetRef | None = None


@dataclass(frozen=True)
class Fault:
    """A fault in a submission.

    Attributes:
        file: The file, relative to the results folder if it is in one.
        row: 1-based row of ``rewards.parquet``; None where the fault is in the whole file.
        found: The content that was found.
        expected: The content that was expected.
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
    """Something odd in a submission without faults: it is shown on the board, and no reason to refuse.

    Attributes:
        name: One of :data:`prm_eval.submissions.suspicion.NAMES`.
        text: The suspicion in words, with the figure.
        value: The figure.
    """

    name: str
    text: str
    value: float
