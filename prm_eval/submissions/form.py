"""The form for what no machine can know of a reward model; its answers go into ``submission.json``."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from prm_eval.errors import DataError, PrmEvalError
from prm_eval.store.safe_json import read_json
from prm_eval.store.typed import Malformed, as_json, build
from prm_eval.store.writing import write_json
from prm_eval.submissions.checking.check import results_of
from prm_eval.submissions.formats import SUBMISSION, Disclosure
from prm_eval.submissions.questions import QUESTIONS
from prm_eval.submissions.readers import read_pool_ref

# fields of a disclosure that older ones do not have
LATER = ("parameters", "date", "figures")


def answers_of(disclosure: Mapping[str, Any] | None) -> dict[str, str]:
    """Return an existing disclosure as answers to the questions."""
    if disclosure is None:
        return {}
    flat = {name: str(value) for name, value in disclosure.items() if isinstance(value, (str, int))}
    if disclosure.get("figures"):
        flat["figures"] = ", ".join(f"{name}={value}" for name, value in disclosure["figures"].items())
    flat |= {f"trained_on_{name}": value for name, value in disclosure.get("trained_on", {}).items()}
    return flat | {"training_data": ", ".join(disclosure.get("training_data", []))}


def disclosure_fields(answers: dict[str, str]) -> dict[str, Any]:
    """Return answers as the fields of a disclosure, which are not checked yet."""
    fields: dict[str, Any] = {"trained_on": {}}
    for question in QUESTIONS:
        answer = answers.get(question.name, "").strip()
        # the threshold is no part of the disclosure: figures hang on it
        if not answer or question.name == "threshold":
            continue
        group, _, rest = question.name.partition("trained_on_")
        if not group and rest:
            fields["trained_on"][rest] = answer
        elif question.name == "parameters" and answer.isascii() and answer.isdigit():
            fields["parameters"] = int(answer[:20])
        elif question.name == "figures":
            pairs = [part.rpartition("=") for part in answer.split(",") if part.strip()]
            fields["figures"] = {name.strip(): value.strip() for name, _, value in pairs}
        elif question.name == "training_data":
            fields["training_data"] = [part.strip() for part in answer.split(",") if part.strip()]
        else:
            fields[question.name] = answer
    return fields


def nested(answers: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return answers from a file with every ``trained_on_...``, as the flags are called, moved into ``trained_on``."""
    prefix = "trained_on_"
    flat = {name.removeprefix(prefix): value for name, value in answers.items() if name.startswith(prefix)}
    if not flat or not isinstance(answers.get("trained_on", {}), dict):
        return answers
    rest = {name: value for name, value in answers.items() if not name.startswith(prefix)}
    return rest | {"trained_on": flat | rest.get("trained_on", {})}


def ask(
    answers: dict[str, str], known: dict[str, str], tell: Callable[[str], str], *, of_steps: bool = False
) -> dict[str, str]:
    """Ask every question that has no answer yet, and return all answers.

    An empty reply takes the known answer. A question is asked again where the reply is not one of its choices, or is
    empty and must not be.

    Args:
        answers: The answers given by flags.
        known: The answers of an earlier disclosure.
        tell: Shows a prompt and returns the reply.
        of_steps: Whether the submission is to a step set, of which more is asked.
    """
    result = dict(answers)
    for question in (each for each in QUESTIONS if of_steps or not each.of_steps):
        while question.name not in result:
            default = known.get(question.name, "")
            choices = f" ({'/'.join(question.choices)})" if question.choices else " (may be empty)" * question.optional
            reply = tell(f"{question.text}{choices}{f' [{default}]' if default else ''}: ").strip() or default
            if (question.choices and reply not in question.choices) or not (reply or question.optional):
                continue
            result[question.name] = reply
    return result


def read_submission_fields(folder: Path) -> Mapping[str, Any]:
    """Return the fields of a ``submission.json`` of the present schema.

    Raises:
        DataError: The file is missing, malformed or of another schema.
    """
    path = folder / "submission.json"
    fields = read_json(path)
    if fields.get("schema") != SUBMISSION:
        raise DataError(path, None, f"schema {fields.get('schema')!r}", SUBMISSION, "Score again with this version")
    return fields


def is_for_step_set(folder: Path) -> bool:
    """Say whether a submission is to a step set; not where its pool is not registered."""
    results = results_of(folder.absolute())
    try:
        return read_pool_ref(results / "pools" / f"{folder.absolute().name}.json", results).step_set is not None
    except DataError:
        return False


def threshold_answer(answer: str) -> float | None:
    """Return the answer to the question of the threshold; None where it is empty.

    Raises:
        PrmEvalError: It is no number.
    """
    if not answer.strip():
        return None
    try:
        value = float(answer)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise PrmEvalError(f"--threshold {answer}: expected a number: a step is wrong if its score is below it")
    return value


def fill_in(folder: Path, disclosure: Mapping[str, Any], *, threshold: float | None = None) -> Disclosure:
    """Write a disclosure into a folder's ``submission.json``.

    Args:
        folder: The submission's folder.
        disclosure: Its fields.
        threshold: For a step set, the threshold that is declared; None leaves what stands there.

    Raises:
        PrmEvalError: The disclosure is incomplete or malformed; the message lists every fault.
        DataError: There is no submission.
    """
    try:
        filled = build(Disclosure, disclosure)
    except Malformed as error:
        wrong = "\n  ".join(map(str, error.faults))
        raise PrmEvalError(f"the disclosure is not complete:\n  {wrong}") from None
    # the other fields need not be valid yet: what prm-eval score wrote is kept as it is
    fields = read_submission_fields(folder)
    # what came later is left out where it says nothing: older disclosures, given again, stay byte for byte
    given = {name: value for name, value in as_json(filled).items() if value is not None or name not in LATER}
    declared = {} if threshold is None else {"threshold": threshold}
    write_json(folder / "submission.json", {**fields, "disclosure": given, **declared})
    return filled
