"""The faults of registered step sets, and of submissions to them beyond those that every submission may have.

A changed label changes every figure of a board, so the hashes of a set's texts and labels are computed again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from prm_eval.errors import DataError
from prm_eval.evaluation.stepwise.arrays import load_set
from prm_eval.evaluation.stepwise.submitted import headline_name, stated_counts
from prm_eval.records import LOG_ODDS
from prm_eval.rewards.files.step_arrays import StepArrays
from prm_eval.stepsets.format import DESCRIPTION, LABELS, LABELS_FILE, SOLUTIONS, SOLUTIONS_FILE
from prm_eval.stepsets.step_set import StepSet, is_labelled, labels_hash
from prm_eval.store.typed import Draft, shown
from prm_eval.submissions.formats import StepSetRef, SubmissionFile
from prm_eval.submissions.records import RegisteredPool
from prm_eval.submissions.thresholds import threshold_of
from prm_eval.submissions.whole_numbers import unattainable

# kind, found, expected
Odd = tuple[str, str, str]
# kind, file, found, expected, row
Placed = tuple[str, Path, str, str, "int | None"]
# file within the set, row, found, expected
InSet = tuple[str, "int | None", str, str]
# faults of one kind that are told of a set
MOST_TOLD = 20


def look_at(folder: Path) -> dict[str, Any]:
    """Return what a step set is, for the process that asks, and its faults: (file, row, found, expected).

    It is read in the child that reads strangers' Parquet; the faults name files relative to the set.
    """
    try:
        step_set = StepSet(folder)
        step_set.pool.require_sound()
        solutions, labels = step_set.solutions, step_set.labels
    except DataError as error:
        return {"found": [(_within(folder, Path(error.path)), error.row, error.found, error.expected)]}
    info = step_set.info
    found: list[InSet] = [
        (name, None, f"the column {shown(extra)}", f"only {', '.join(schema.names)}")
        for name, schema in ((LABELS_FILE, LABELS), (SOLUTIONS_FILE, SOLUTIONS))
        for extra in sorted(set(pq.read_schema(folder / name).names) - set(schema.names))[:1]
    ]
    if (digest := labels_hash(solutions, labels)) != info.labels_hash:
        found.append((LABELS_FILE, None, f"labels_hash {digest[:12]}", f"{info.labels_hash[:12]}, as {DESCRIPTION}"))
    ids = {each.solution_id for each in solutions}
    for row, each in enumerate(solutions, 1):
        if each.twin_id is not None and each.twin_id not in ids and len(found) < MOST_TOLD:
            found.append((SOLUTIONS_FILE, row, f"the twin {shown(each.twin_id)}", "a solution of the set"))
    for name, count in (("n_solutions", len(solutions)), ("n_labelled", sum(map(is_labelled, labels)))):
        if getattr(info, name) != count:
            found.append((DESCRIPTION, None, f"{name} = {getattr(info, name)}", str(count)))
    if found:
        return {"found": found}
    arrays = load_set(step_set)
    about = {"content_hash": info.content_hash, "name": info.name, "labels": info.labels}
    about |= {"label_source": info.label_source, "headline": headline_name(arrays)}
    return {"found": [], "about": about, "counts": stated_counts(arrays)}


def _within(folder: Path, path: Path) -> str:
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) and path != folder else ""


def registry_faults(entry: Path, folder: Path, said: StepSetRef, reply: Mapping[str, Any]) -> Iterator[Placed]:
    """Yield the faults of a registered step set.

    Args:
        entry: The file of the registry.
        folder: The set.
        said: What the entry says of it.
        reply: What :func:`look_at` found.
    """
    if "error" in reply:
        yield "pool-content", folder, reply["error"], "a sound step set", None
        return
    for name, row, found, expected in reply["found"]:
        yield "pool-content", folder / name if name else folder, found, expected, row
    for name, value in reply.get("about", {}).items():
        if getattr(said, name) != value:
            kind = "pool-content" if name == "content_hash" else "pool-registry"
            own, real = (each[:12] if name == "content_hash" else each for each in (getattr(said, name), value))
            yield kind, entry, f"step_set.{name} {shown(own)}", f"{shown(real)}, as the set has it", None


def declared_faults(about: Draft[SubmissionFile], pool: RegisteredPool) -> Iterator[Odd]:
    """Yield what is wrong with the declarations of a submission, for the kind of pool that it is of."""
    if pool.step_set is None:
        if about.has("threshold") and about["threshold"] is not None:
            yield "stepwise", f"threshold = {shown(about['threshold'])}", "none: this pool is no step set"
        if about.has("disclosure") and getattr(about["disclosure"], "figures", None):
            yield "stepwise", "figures in the disclosure", "none: this pool is no step set"
        return
    if about.has("kind") and about["kind"] != "prm":
        yield "stepwise", f"kind {shown(about['kind'])}", "prm: one number a solution places no mistake"
    if about.has("splitter") and about["splitter"] not in (None, "given"):
        yield "stepwise", f"splitter {shown(about['splitter'])}", "null or given: the steps that were labelled"
    needed = ("score_type", "model", "threshold")
    if about.has(*needed) and threshold_of(*(about[name] for name in needed)) is None:
        yield "threshold", "raw numbers without a threshold", "one (prm-eval submit-form --threshold)"


def score_faults(about: Draft[SubmissionFile], steps: StepArrays) -> Iterator[Odd]:
    """Yield what the scores of a step set show: 0.5 is no threshold for numbers that are no probabilities."""
    if not about.has("score_type", "model", "threshold") or about["score_type"] in LOG_ODDS:
        return
    at = threshold_of(about["score_type"], about["model"], about["threshold"])
    percent = about["score_type"] == "percent"
    outside = steps.values[(steps.values < 0) | (steps.values > (100 if percent else 1))]
    if at is not None and at.origin == "half" and len(outside):
        what = f"{len(outside):,} scores outside [0, 1] (the first: {np.float64(outside[0]):.6g}) and no threshold"
        yield "threshold", what, "one (prm-eval submit-form --threshold)"


def figure_faults(about: Draft[SubmissionFile], counts: Mapping[str, Mapping[str, int]]) -> Iterator[Odd]:
    """Yield the accuracies of a disclosure that no whole number of solutions has."""
    disclosure = about["disclosure"] if about.has("disclosure") else None
    if not counts:
        return
    for name, found, expected in unattainable(getattr(disclosure, "figures", None) or {}, counts):
        yield "figures", f"disclosure.figures: {shown(name)} = {found}", expected
