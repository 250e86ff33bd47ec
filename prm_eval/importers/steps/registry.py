"""The registry of formats of labelled steps: which there are, and which one a source is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from prm_eval.errors import DataError, PrmEvalError
from prm_eval.importers.registry import first_row
from prm_eval.importers.sources import Source, SourceFile
from prm_eval.importers.steps import mr, others, plain, prm800k, prm800k_samples, prmbench, reasoneval, rollouts
from prm_eval.importers.steps.found import StepFormat

STEP_FORMATS: dict[str, StepFormat] = {
    "plain": plain.PLAIN,
    "processbench": plain.PROCESSBENCH,
    "prmbench": prmbench.PRMBENCH,
    "prmbench_scores": prmbench.PRMBENCH_SCORES,
    "prm800k": prm800k.FORMAT,
    "prm800k_samples": prm800k_samples.FORMAT,
    "prm800k_neutral": reasoneval.NEUTRAL,
    "prm800k_perturbed": reasoneval.PERTURBED,
    "mrmath": reasoneval.MRMATH,
    "mrgsm8k": mr.MRGSM8K,
    "mrgsm8k_scored": mr.MRGSM8K_SCORED,
    "mrben": mr.MRBEN,
    "trl": rollouts.TRL,
    "math_shepherd": rollouts.MATH_SHEPHERD,
    "math_aps": rollouts.MATH_APS,
    "bigbench_mistake": others.BIGBENCH,
    "hard2verify": others.HARD2VERIFY,
}
"""Every format by name. Their rules do not overlap (a test holds them to that), so that the order does not matter."""


@dataclass(frozen=True)
class RecognisedSteps:
    """The format of a source, with its files that are of it.

    Attributes:
        form: The format.
        source: The files of this format.
        left_out: The names of files of no format, and of those that cannot be read.
    """

    form: StepFormat
    source: Source
    left_out: tuple[str, ...] = ()


def recognise_steps(source: Source, name: str = "auto") -> RecognisedSteps:
    """Return the format of a source, by the first row of each file.

    Args:
        source: The source.
        name: A format; "auto" finds it. Of several files, those of other shapes are left out.

    Raises:
        DataError: No format fits, or there is no row.
        PrmEvalError: No such format, or files of two formats.
    """
    if name != "auto" and name not in STEP_FORMATS:
        raise PrmEvalError(f"unknown format {name!r}; expected auto, {', '.join(STEP_FORMATS)}")
    if len(source.files) == 1:
        return RecognisedSteps(_of_one(source.files[0], name), source)
    kept: list[SourceFile] = []
    left_out: list[str] = []
    found: StepFormat | None = None
    for file in source.files:
        form = _of_several(file, name)
        if form is None:
            left_out.append(str(file.path))
        elif found is None or found is form:
            found = form
            kept.append(file)
        else:
            raise PrmEvalError(
                f"{kept[0].path} is {found.name}, {file.path} is {form.name}: import them apart, or say --format"
            )
    if found is None:
        raise DataError(source.path, None, f"{len(source.files)} files of no known format", _known())
    return RecognisedSteps(found, Source(source.name, kept, source.root), tuple(left_out))


def fitting(row: dict[str, Any]) -> list[StepFormat]:
    """Return the formats that a first row is of: one, or none."""
    return [form for form in STEP_FORMATS.values() if form.recognise(row)]


def _of_one(file: SourceFile, name: str) -> StepFormat:
    if name != "auto":
        return STEP_FORMATS[name]
    row = first_row(file)
    if row is None:
        raise DataError(file.path, None, "an empty file", "at least one row")
    found = fitting(row)
    if found:
        return found[0]
    fields = ", ".join(sorted(map(str, row))[:30]) or "none"
    raise DataError(file.path, 1, f"fields {fields}", _known(), _hint(row))


def _of_several(file: SourceFile, name: str) -> StepFormat | None:
    try:
        row = first_row(file)
    except DataError:  # the file is told among those that are left out
        return None
    found = fitting(row) if row is not None else []
    return next((form for form in found if name in ("auto", form.name)), None)


def _known() -> str:
    return "; or ".join(f"{form.name}: {form.describe}" for form in STEP_FORMATS.values())


def _hint(row: dict[str, Any]) -> str:
    names = row.keys()
    if {"answer", "correct", "flag", "gt_answer"} <= names:
        return "verify_cot labels whole solutions, not steps: no step set can be made of it."
    if "steps" in names:
        return 'A plain row is {"id", "problem", "steps": [...]} with "label", "ratings" or "wrong_steps".'
    if "samples" in names or "completions" in names:
        return "These are candidates without labels of their steps: prm-eval pool import."
    return ""
