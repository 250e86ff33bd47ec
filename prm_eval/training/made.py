"""The step set that a training makes of files or of a pool's labels, in its work folder.

It has the name of what it was made of: the hashes of the files and the options of the import. So what an earlier
command left there (one that was stopped or refused) is used only where it would be made again just so.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prm_eval.errors import PrmEvalError
from prm_eval.importers.sources import open_source
from prm_eval.importers.steps import import_step_set
from prm_eval.pools.pool import Pool
from prm_eval.stepsets.label_file import LabelFile, to_step_set
from prm_eval.stepsets.step_set import StepSet
from prm_eval.store.json_files import read_own_json
from prm_eval.store.jsonl import canonical_json
from prm_eval.store.writing import write_bytes
from prm_eval.training.states import remove

MADE = "data-"
"""What the names of these folders begin with; a digest of what they were made of follows."""
SET = "set"
PLACES = "places.json"
SCHEMA = "prm_eval.training_data/1"
Place = tuple[Path, int]
"""A file of the user's, and a row of it."""


@dataclass(frozen=True)
class MadeOfFiles:
    """A step set that was imported for a training.

    Attributes:
        step_set: The set.
        hashes: What identifies each file, by its path below the folder that they have in common.
        places: The file and the row of each solution.
    """

    step_set: StepSet
    hashes: dict[str, str]
    places: tuple[Place, ...]


def made_of_files(path: str, work: Path, *, form: str, candidates: bool) -> MadeOfFiles:
    """Return the step set of files, imported unless it lies in the work folder already.

    Args:
        path: What the user named.
        work: The work folder.
        form: The format, or "auto".
        candidates: For PRM800K: every rated completion with the steps before it.

    Raises:
        DataError: A fault in a file, with its row.
        PrmEvalError: A file changed while it was read.
    """
    hashes = open_source(path).hashes()
    folder = _folder(work, {"path": path, "files": hashes, "form": form, "candidates": candidates})

    def make() -> list[Place]:
        report = import_step_set(path, folder / SET, form=form, candidates=candidates)
        if open_source(path).hashes() != hashes:
            raise PrmEvalError(f"{path} changed while it was read; expected files that rest. Run the command again")
        return list(report.places)

    about = _made(folder, make)
    files = [Path(each) for each in about["files"]]
    return MadeOfFiles(StepSet(folder / SET), hashes, tuple((files[file], row) for file, row in about["rows"]))


def made_of_labels(pool: Pool, labels: LabelFile, work: Path, hashes: Mapping[str, Any]) -> StepSet:
    """Return the step set of a pool's labels, made unless it lies in the work folder already.

    Args:
        pool: The pool.
        labels: Its labels.
        work: The work folder.
        hashes: What identifies both.

    Raises:
        DataError: A label has a fault.
    """
    folder = _folder(work, hashes)

    def make() -> list[Place]:
        to_step_set(pool, labels, folder / SET)
        return []  # a row of labels a solution

    _made(folder, make)
    return StepSet(folder / SET)


def _folder(work: Path, made_of: Mapping[str, Any]) -> Path:
    return work / f"{MADE}{hashlib.sha256(canonical_json(dict(made_of))).hexdigest()[:16]}"


def _made(folder: Path, make: Callable[[], list[Place]]) -> dict[str, Any]:
    """Return what the places of a folder say, after making it where it is not whole; others like it are removed."""
    for other in folder.parent.glob(f"{MADE}*"):
        # the places are written last: without them the set may be of a run that was stopped
        if other != folder or not (other / PLACES).is_file():
            remove(other)
    if not (folder / PLACES).is_file():
        folder.mkdir(parents=True)
        places = make()
        files = {path: number for number, path in enumerate(dict.fromkeys(path for path, _ in places))}
        rows = [[files[path], row] for path, row in places]
        found = {"schema": SCHEMA, "files": [str(each) for each in files], "rows": rows}
        write_bytes(folder / PLACES, canonical_json(found))
    return read_own_json(folder / PLACES, (SCHEMA,), "the places of a training's data")
