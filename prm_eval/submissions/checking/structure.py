"""The structure of a submission: its folder and ``submission.json``, and whether the two agree.

The checker and the board both use this. All of it is cheap: no rewards are opened, and no process is started.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from prm_eval.errors import DataError, PrmEvalError
from prm_eval.records import Kind, ScoreType
from prm_eval.rewards.files.reward_file import VERIFIED
from prm_eval.store.rules import shown
from prm_eval.store.safe_json import read_json
from prm_eval.store.typed import Draft, as_json, draft
from prm_eval.submissions.checking.faults import Faults
from prm_eval.submissions.checking.provenance import faults_from_outside, name_faults, recipe_of
from prm_eval.submissions.formats import ModelEntry, SubmissionFile
from prm_eval.submissions.readers import LAYOUT, REVISION_WORDS, path_parts
from prm_eval.submissions.revision import revision_name

REQUIRED = ("submission.json", "rewards.parquet")
ALLOWED = (*REQUIRED, "verification.json", VERIFIED)
MAX_REWARDS_BYTES = 2 * 1024**3
# files of a folder that are looked at
MOST_FILES = 100


@dataclass(frozen=True)
class Outline:
    """The facts about a submission that its structure gives.

    Attributes:
        parts: Organisation, model, revision and pool id from the folder's path; None where the path is malformed.
        there: The names of the files that can be read.
        about: ``submission.json`` as far as it is well formed; checks that need its other fields are left out.
    """

    parts: tuple[str, str, str, str] | None
    there: set[str]
    about: Draft[SubmissionFile]


def outline(folder: Path, results: Path, faults: Faults, *, new: bool = False) -> Outline:
    """Return the structure of a submission, and add its faults.

    Args:
        folder: The submission's folder.
        results: The results folder.
        faults: The collector of faults.
        new: Whether the submission comes from outside.
    """
    parts = path_parts(folder) if folder.parent.parent.parent == results / "submissions" else None
    if parts is None:
        faults.add("path", folder, f"a folder called {shown(folder.name)}", f"{LAYOUT}; revision: {REVISION_WORDS}")
    there = _layout(folder, faults)
    about = _read(folder / "submission.json", faults) if "submission.json" in there else Draft[SubmissionFile]()
    if parts is not None and about.has("name", "model"):
        _agreement(folder, parts, about["name"], about["model"], faults)
    for odd in () if parts is None else name_faults(parts[0], parts[1], parts[3]):
        faults.add(odd[0], folder, odd[1], odd[2])
    if parts is not None and new and about.has("model"):
        for kind, found, expected in faults_from_outside(*parts[:2], about["model"]):
            faults.add(kind, folder / "submission.json", found, expected)
    if about.has("kind", "score_type", "model"):
        _description(folder, about["kind"], about["score_type"], about["model"], faults)
    return Outline(parts, there, about)


def _layout(folder: Path, faults: Faults) -> set[str]:
    """Check the files of a folder; return the names of those that can be read."""
    for above in (folder, folder.parent, folder.parent.parent):
        if above.is_symlink():
            faults.add("path", above, "a link", "a folder")
            return set()
    try:
        with os.scandir(folder) as entries:
            names = sorted(entry.name for entry, _ in zip(entries, range(MOST_FILES), strict=False))
    except OSError as error:
        faults.add("path", folder, f"no folder that can be read ({error.strerror})", LAYOUT)
        return set()
    lying = [name for name in ALLOWED if os.path.lexists(folder / name)]
    there = {name for name in lying if _plain(folder / name, faults)}
    for name in names:
        if name not in ALLOWED:
            faults.add("extra-file", folder / name, "a file of no meaning", f"only {', '.join(ALLOWED)}")
    for name in REQUIRED:
        if name not in lying:
            faults.add("missing-file", folder / name, "no such file", f"{' and '.join(REQUIRED)}")
    return there


def _plain(path: Path, faults: Faults) -> bool:
    about = path.lstat()
    if not stat.S_ISREG(about.st_mode):
        faults.add("link", path, stat.filemode(about.st_mode), "a plain file")
        return False
    limit = MAX_REWARDS_BYTES if path.suffix == ".parquet" else 256 * 1024
    if about.st_size > limit:
        faults.add("size", path, f"{about.st_size:,} bytes", f"at most {limit:,}")
        return False
    return True


def _read(path: Path, faults: Faults) -> Draft[SubmissionFile]:
    """Return ``submission.json`` as far as it is well formed, and add its faults."""
    try:
        about = draft(SubmissionFile, read_json(path))
    except DataError as error:
        faults.add_error("json", error)
        return Draft()
    for each in about.faults:
        kind = "schema" if each.where == "schema" else "text" if each.kind == "text" else "field"
        if each.where.startswith("disclosure"):
            kind = "disclosure" if kind == "field" else kind
        faults.add(kind, path, f"{each.where} = {each.found}", each.expected)
    if about.has("disclosure") and about["disclosure"] is None:
        faults.add("disclosure", path, "no disclosure", "one; prm-eval submit-form asks for it")
    return about


def _agreement(folder: Path, parts: tuple[str, str, str, str], name: str, entry: ModelEntry, faults: Faults) -> None:
    """Check that the path agrees with the content."""
    org, model, revision, _ = parts
    path, named = folder / "submission.json", f"{org}/{model}"
    if name != named:
        faults.add("agreement", path, f"name = {shown(name)}", f"{named}, as the folder says")
    if entry.id != named:
        faults.add("agreement", path, f"model.id = {shown(entry.id)}", f"{named}, as the folder says")
    try:
        own = revision_name(as_json(entry))
    except PrmEvalError as error:
        faults.add("revision", path, str(error), REVISION_WORDS)
        return
    if own != revision:
        faults.add("agreement", path, f"a model of revision {own}", f"{revision}, as the folder says")


def _description(folder: Path, kind: Kind, score_type: ScoreType, model: ModelEntry, faults: Faults) -> None:
    """Check that the fields agree with the recipe."""
    path, recipe = folder / "submission.json", recipe_of(model)
    if recipe is None:
        return
    # an outcome reward model that was asked about every prefix gives a number a step
    read_as = "prm" if recipe.kind == "orm" and model.get("prefixes") is True else recipe.kind
    if read_as != kind:
        faults.add("recipe", path, f"kind {kind}", f"{read_as}, as the recipe {recipe.name} is for")
    if recipe.score.rule != "by_labels" and recipe.score_type != score_type:
        faults.add("recipe", path, f"score_type {score_type}", f"{recipe.score_type} ({recipe.name})")
