"""The registry of formats: which there are, and which one a source is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from prm_eval.errors import DataError, PrmEvalError
from prm_eval.importers.common import Format
from prm_eval.importers.formats import (
    evalscope,
    inspect_logs,
    lighteval,
    lm_eval_samples,
    nemo_skills,
    opencompass,
    openr,
    plain,
    prm800k,
    qwen_eval,
    rewardbench2,
    rewardmath,
    search_and_learn,
    strictprmbench,
    verl_dump,
    verl_generation,
)
from prm_eval.importers.sources import Source, SourceFile

FORMATS: dict[str, Format] = {
    "lm_eval": lm_eval_samples.FORMAT,
    "prm800k": prm800k.FORMAT,
    "search_and_learn": search_and_learn.FORMAT,
    "qwen_eval": qwen_eval.FORMAT,
    "nemo_skills": nemo_skills.FORMAT,
    "openr": openr.FORMAT,
    "verl_dump": verl_dump.FORMAT,
    "verl_generation": verl_generation.FORMAT,
    "inspect": inspect_logs.FORMAT,
    "evalscope": evalscope.FORMAT,
    "opencompass": opencompass.FORMAT,
    "lighteval": lighteval.FORMAT,
    "rewardbench2": rewardbench2.FORMAT,
    "rewardmath": rewardmath.FORMAT,
    "strictprmbench": strictprmbench.FORMAT,
    "plain": plain.FORMAT,
}
"""Every format by name. Their rules do not overlap (a test holds them to that), so that the order does not matter."""


FIRST_ROWS = 20  # how many rows are tried for one that can be read


@dataclass(frozen=True)
class Recognised:
    """The format of a source, with its files that are of this format.

    Attributes:
        form: The format.
        source: The files of this format.
        first_row: The first row of the first of them.
        left_out: The names of files of no format, and of those that cannot be read.
    """

    form: Format
    source: Source
    first_row: dict[str, Any]
    left_out: tuple[str, ...] = ()


def first_row(file: SourceFile) -> dict[str, Any] | None:
    """Return the first row of a file that can be read; None where there is no row.

    Raises:
        DataError: None of the first rows can be read.
    """
    if file.shape == "zip":
        return inspect_logs.header_of(file.path)
    fault: DataError | None = None
    for place, _ in zip(file.places(), range(FIRST_ROWS), strict=False):
        try:
            return place.load().fields
        except DataError as error:  # reported where the row is imported
            fault = fault or error
    if fault is not None:
        raise fault
    return None


def recognise(source: Source, name: str = "auto") -> Recognised:
    """Return the format of a source, by the first row of each file.

    Args:
        source: The source.
        name: A format; "auto" finds it. Of several files, those of other shapes are left out.

    Raises:
        DataError: No format fits, or there is no row.
        PrmEvalError: No such format, or files of two formats.
    """
    if name != "auto" and name not in FORMATS:
        raise PrmEvalError(f"unknown format {name!r}; expected auto, {', '.join(FORMATS)}")
    if len(source.files) == 1:
        return _of_one(source, name)
    kept: list[SourceFile] = []
    left_out: list[str] = []
    found: tuple[Format, SourceFile, dict[str, Any]] | None = None
    for file in source.files:
        form, row = _of_several(file, name)
        if form is None or row is None:
            left_out.append(str(file.path) if row is not None else f"{file.path}, of which no row can be read")
        elif found is None or found[0] is form:
            found = found or (form, file, row)
            kept.append(file)
        else:
            raise PrmEvalError(
                f"{found[1].path} is {found[0].name}, {file.path} is {form.name}: import them apart, or say --format"
            )
    if found is None:
        raise DataError(source.path, None, f"{len(source.files)} files of no known format", _known())
    return Recognised(found[0], Source(source.name, kept, source.root), found[2], tuple(left_out))


def _of_one(source: Source, name: str) -> Recognised:
    (file,) = source.files
    if name != "auto":
        # a row that cannot be read is reported where it is imported
        try:
            row = first_row(file) or {}
        except DataError:
            row = {}
        return Recognised(FORMATS[name], source, row)
    row = first_row(file) or {}
    if not row and file.shape == "empty":
        raise DataError(file.path, None, "an empty file", "at least one row")
    for form in FORMATS.values():
        if form.recognise(row):
            return Recognised(form, source, row)
    fields = ", ".join(sorted(map(str, row))[:30]) or "none"
    raise DataError(file.path, 1, f"fields {fields}", _known(), _hint(row))


def _of_several(file: SourceFile, name: str) -> tuple[Format | None, dict[str, Any] | None]:
    try:
        row = first_row(file)
    except DataError:  # the file is told among those that are left out
        return None, None
    choices = FORMATS.values() if name == "auto" else [FORMATS[name]]
    return next((form for form in choices if row is not None and form.recognise(row)), None), row


def _known() -> str:
    return "; or ".join(f"{form.name}: {form.describe}" for form in FORMATS.values())


def _hint(row: dict[str, Any]) -> str:
    names = set(row)
    if (
        {"steps", "label"} <= names
        or {"completions", "labels"} <= names
        or names & {"reasoning_steps", "modified_process"}
    ):
        return "These are labelled steps: a step set, not the candidates of a pool. Try: prm-eval steps import."
    if isinstance(row.get("label"), dict) and "question" in names:
        return "These are labelled steps (PRM800K): a step set. Try: prm-eval steps import."
    if names & {"problem", "question", "statement"}:
        return "A problem set has no candidates; a plain line has samples: [{text, ...}, ...]."
    return ""
