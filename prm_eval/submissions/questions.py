"""The questions of ``prm-eval submit-form``; each is a flag of the command too."""

from __future__ import annotations

from dataclasses import dataclass

TRI_STATES = ("yes", "no", "unknown")


@dataclass(frozen=True)
class Question:
    """One question of the form.

    Attributes:
        name: The name of the field; its flag is called the same, ``--trained-on-prm800k``.
        text: The question itself.
        choices: The possible answers; empty for free text.
        optional: Whether an empty answer leaves the field out.
    """

    name: str
    text: str
    choices: tuple[str, ...] = ()
    optional: bool = False


QUESTIONS = (
    Question("licence", "Licence of the weights (an SPDX name such as Apache-2.0)"),
    Question("base_model", "Model it was trained from (a hub id; none for a rule)"),
    Question(
        "training_data", "Data sets it was trained on, comma-separated (none for a rule; unknown is an answer too)"
    ),
    Question(
        "trained_on_math_test",
        "Was it, or what it was made from, trained on problems of the MATH test set?",
        TRI_STATES,
    ),
    Question("trained_on_prm800k", "... on PRM800K?", TRI_STATES),
    Question("trained_on_this_pool", "... on candidates or grades of this pool, or tuned on them?", TRI_STATES),
    Question("contact", "Whom to ask (a hub or GitHub name, a mail address)"),
    Question("notes", "Notes for readers of the board", optional=True),
    Question("parameters", "Number of parameters of the reward model, in digits (nothing for a rule)", optional=True),
    Question("date", "Day of the submission, such as 2026-01-31", optional=True),
)
