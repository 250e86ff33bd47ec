"""What can be said of a submission without opening its rewards: its folder, ``submission.json``, what the two say of each other.

The checker and the board ask the same questions here. All of it is cheap: no row is read, no process started.
"""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prm_eval.errors import DataError, PrmEvalError
from prm_eval.store.safe_json import read_json
from prm_eval.store.typed import problems, shown
from prm_eval.submissions.checking.faults import Faults
from prm_eval.submissions.checking.provenance import faults_from_outside, recipe_of
from prm_eval.submissions.formats import SubmissionFile
from prm_eval.submissions.readers import LAYOUT, REVISION_WORDS, path_parts
from prm_eval.submissions.revision import revision_name

REQUIRED = ("submission.json", "rewards.parquet")
ALLOWED = (*REQUIRED, "verification.json")
NEEDED = frozenset(("name", "kind", "score_type", "aggregation", "splitter", "pool_hash", "model", "run"))
MAX_REWARDS_BYTES = 2 * 1024**3
MOST_FILES = 100  # of a folder that are looked at


@dataclass(frozen=True)
class Outline:
    """What is known of a submission once its structure was looked at.

    Attributes:
        parts: Organisation, model, revision and pool id, as the folder is called; None where it is not called so.
        there: Names of the files that can be read.
        fields: ``submission.json``.
        wrong: Those of its fields that are not well formed: what needs them is not looked at.
    """

    parts: tuple[str, str, str, str] | None
    there: set[str]
    fields: dict[str, Any]
    wrong: frozenset[str]


def outline(folder: Path, results: Path, faults: Faults, *, new: bool = False) -> Outline:
    """Look at the structure of a submission and add what is wrong with it.

    Args:
        folder: Of the submission.
        results: The results folder.
        faults: Gets every fault.
        new: As a submission that comes from outside.
    """
    parts = path_parts(folder) if folder.parent.parent.parent == results / "submissions" else None
    if parts is None:
        faults.add("path", folder, f"a folder called {shown(folder.name)}", f"{LAYOUT}; revision: {REVISION_WORDS}")
    there = _layout(folder, faults)
    fields, wrong = _fields(folder, faults) if "submission.json" in there else ({}, NEEDED)
    if parts is not None and not wrong & {"name", "model"}:
        _agreement(folder, parts, fields, faults)
    if parts is not None and new and "model" not in wrong:
        for kind, found, expected in faults_from_outside(*parts[:2], fields["model"]):
            faults.add(kind, folder / "submission.json", found, expected)
    if not wrong & {"kind", "score_type", "model"}:
        _description(folder, fields, faults)
    return Outline(parts, there, fields, wrong)


def _layout(folder: Path, faults: Faults) -> set[str]:
    """Check what files there are; return the names of those that can be read."""
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
    limit = MAX_REWARDS_BYTES if path.name == "rewards.parquet" else 256 * 1024
    if about.st_size > limit:
        faults.add("size", path, f"{about.st_size:,} bytes", f"at most {limit:,}")
        return False
    return True


def _fields(folder: Path, faults: Faults) -> tuple[dict[str, Any], frozenset[str]]:
    """Return ``submission.json`` and which of its fields are wrong: what needs those is not looked at."""
    path = folder / "submission.json"
    try:
        fields = read_json(path)
    except DataError as error:
        faults.add_error("json", error)
        return {}, NEEDED
    wrong: set[str] = set()
    for each in problems(fields, SubmissionFile):
        kind = "schema" if each.where == "schema" else "text" if each.kind == "text" else "field"
        if each.where.startswith("disclosure"):
            kind = "disclosure" if kind == "field" else kind
        wrong.add(re.split(r"[.\[]", each.where)[0])
        faults.add(kind, path, f"{each.where} = {each.found}", each.expected)
    if "disclosure" not in fields or fields["disclosure"] is None:
        faults.add("disclosure", path, "no disclosure", "one; prm-eval submit-form asks for it")
    return fields, frozenset(wrong)


def _agreement(folder: Path, parts: tuple[str, str, str, str], fields: dict[str, Any], faults: Faults) -> None:
    """Check that the path agrees with the content."""
    org, model, revision, _ = parts
    path, named, about = folder / "submission.json", f"{org}/{model}", fields["model"]
    if fields["name"] != named:
        faults.add("agreement", path, f"name = {shown(fields['name'])}", f"{named}, as the folder says")
    if about["id"] != named:
        faults.add("agreement", path, f"model.id = {shown(about['id'])}", f"{named}, as the folder says")
    try:
        own = revision_name(about)
    except PrmEvalError as error:
        faults.add("revision", path, str(error), REVISION_WORDS)
        return
    if own != revision:
        faults.add("agreement", path, f"a model of revision {own}", f"{revision}, as the folder says")


def _description(folder: Path, fields: dict[str, Any], faults: Faults) -> None:
    """Check what the fields say of each other."""
    path, recipe = folder / "submission.json", recipe_of(fields["model"])
    if recipe is None:
        return
    if recipe.kind != fields["kind"]:
        faults.add("recipe", path, f"kind {fields['kind']}", f"{recipe.kind}, as the recipe {recipe.name} is for")
    if recipe.score.rule != "by_labels" and recipe.score_type != fields["score_type"]:
        faults.add("recipe", path, f"score_type {fields['score_type']}", f"{recipe.score_type} ({recipe.name})")
