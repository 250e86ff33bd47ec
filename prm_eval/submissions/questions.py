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
        of_steps: Whether it is asked of submissions to step sets only.
    """

    name: str
    text: str
    choices: tuple[str, ...] = ()
    optional: bool = False
    of_steps: bool = False


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
    Question(
        "threshold",
        "Step sets: a step is wrong if its score is below this, as fixed before the model saw the set (nothing: the "
        "recipe's own, or 0.5 on probabilities)",
        optional=True,
        of_steps=True,
    ),
    Question(
        "figures",
        "Step sets: accuracies published of the model on this set, such as gsm8k:error_acc=52.3, correct_acc=86.0",
        optional=True,
        of_steps=True,
    ),
)
