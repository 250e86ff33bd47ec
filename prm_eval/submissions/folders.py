"""The places of a results folder: a submission by its model, revision and pool, and a pool under its id."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from prm_eval.errors import DataError, PrmEvalError
from prm_eval.evaluation.stepwise.arrays import load_set
from prm_eval.evaluation.stepwise.submitted import headline_name
from prm_eval.grading.pool import own_grader, own_source
from prm_eval.pools.pool import Pool
from prm_eval.rewards.protocol import RewardModel
from prm_eval.stepsets.format import DESCRIPTION, LABELS_FILE, SOLUTIONS_FILE
from prm_eval.stepsets.step_set import StepSet
from prm_eval.store.json_files import read_typed
from prm_eval.store.typed import as_json
from prm_eval.store.writing import copy_file, write_json
from prm_eval.submissions.checking.between_folders import not_on_windows
from prm_eval.submissions.formats import MODEL, NAME_WORDS, ORG, POOL_REF, Headline, PoolRef, StepSetRef
from prm_eval.submissions.readers import read_pool_ref, registered_pools
from prm_eval.submissions.records import RegisteredPool
from prm_eval.submissions.revision import revision_name

POOL_FILES = ("problems.parquet", "candidates.parquet", "pool.json")
STEP_FILES = ("problems.parquet", "candidates.parquet", SOLUTIONS_FILE, LABELS_FILE, "pool.json", DESCRIPTION)


def submission_folder(results: Path, entry: str, model: RewardModel, pool: Pool) -> Path:
    """Return the folder of a submission.

    Args:
        results: The results folder.
        entry: ORGANISATION/MODEL.
        model: The reward model that is submitted.
        pool: The pool that it scores, which must be registered.

    Raises:
        PrmEvalError: The entry is not ORGANISATION/MODEL or not the model's name; nothing pins the model's weights; or
            the pool is not registered.
    """
    if not re.fullmatch(f"{ORG}/{MODEL}", entry, re.ASCII) or ".." in entry:
        raise PrmEvalError(f"--submission {entry!r}: expected ORGANISATION/MODEL, each of {NAME_WORDS}")
    _require_on_windows(*entry.split("/", 1))
    about = model.describe()
    own = str(about.get("id", ""))
    if own != entry and not Path(own).exists() and re.fullmatch(f"{ORG}/{MODEL}", own, re.ASCII):
        raise PrmEvalError(f"--submission {entry}: the reward model is {own}; submit it under its own name")
    return results / "submissions" / entry.replace("/", "__", 1) / revision_name(about) / registered_id(results, pool)


def registered_id(results: Path, pool: Pool) -> str:
    """Return the id under which a pool is registered.

    Raises:
        PrmEvalError: The pool is not registered.
    """
    known = registered_pools(results)
    for pool_id, each in known.items():
        if each.content_hash == pool.info.content_hash:
            return pool_id
    listed = ", ".join(f"{each.pool_id} ({each.content_hash[:12]})" for each in known.values()) or "none"
    raise PrmEvalError(
        f"{pool.path} ({pool.info.short_hash}) is not a pool of {results}/pools, which has: {listed}. "
        f"On a board of your own: prm-eval pool register {pool.path} --id NAME -o {results}"
    )


def register_pool(
    pool: Pool,
    results: Path,
    pool_id: str,
    *,
    title: str | None = None,
    headline_n: int | None = None,
    about: str | None = None,
) -> RegisteredPool:
    """Copy a graded pool into a results folder and write its entry in the registry.

    Where the same pool is there already, only its grades are copied again. ``about`` is the sentence under its title.

    Raises:
        PrmEvalError: The id is malformed or belongs to another pool, the pool has no grades, or ``headline_n`` is
            larger than its number of slots.
    """
    _require_id(pool_id)
    grades = pool.require_sound().require_grades(own_source(pool)).name
    if headline_n is not None and not 1 <= headline_n <= pool.info.m:
        raise PrmEvalError(f"headline n = {headline_n}; expected 1 to {pool.info.m}, the slots of a problem")
    entry, folder = results / "pools" / f"{pool_id}.json", results / "pools" / pool_id
    there = _entry_of(entry, pool, None)
    folder.mkdir(parents=True, exist_ok=True)
    if folder.resolve() != pool.path.resolve():
        # files of a copy that was cut off are copied again
        for name in (grades,) if _is_whole(folder, pool) else (*POOL_FILES[:-1], grades, POOL_FILES[-1]):
            copy_file(pool.path / name, folder / name)
    given = {"headline_n": headline_n, "about": about or (there.about if there else "") or None}
    _write_entry(entry, pool, title or str(pool.info.problem_set.get("name") or pool_id), given)
    return read_pool_ref(entry, results)


def register_step_set(
    step_set: StepSet, results: Path, pool_id: str, *, title: str | None = None, about: str | None = None
) -> RegisteredPool:
    """Copy a step set, labels and all, into a results folder and write its entry in the registry.

    The entry has the hash of texts and labels together, so that a label that is changed later is noticed.

    Raises:
        PrmEvalError: The id is malformed or belongs to another pool or set, or the set is not sound.
    """
    _require_id(pool_id)
    pool, info = step_set.pool, step_set.require_sound().info
    for fault in step_set.verify():
        raise PrmEvalError(f"{step_set.path}: {fault}")
    entry, folder = results / "pools" / f"{pool_id}.json", results / "pools" / pool_id
    there = _entry_of(entry, pool, info.content_hash)
    folder.mkdir(parents=True, exist_ok=True)
    if folder.resolve() != step_set.path.resolve() and not _is_whole_set(folder, step_set):
        for name in STEP_FILES:
            copy_file(step_set.path / name, folder / name)
    said = StepSetRef(
        info.content_hash, info.name, info.labels, info.label_source, cast(Headline, headline_name(load_set(step_set)))
    )
    given = {"about": about or (there.about if there else "") or None, "step_set": as_json(said)}
    _write_entry(entry, pool, title or info.name, given)
    return read_pool_ref(entry, results)


def _require_id(pool_id: str) -> None:
    """Insist that a pool may be called so.

    Raises:
        PrmEvalError: It is malformed.
    """
    if not re.fullmatch(MODEL, pool_id, re.ASCII) or ".." in pool_id:
        raise PrmEvalError(f"pool id {pool_id!r}: expected {NAME_WORDS}")
    _require_on_windows(pool_id)


def _entry_of(entry: Path, pool: Pool, step_hash: str | None) -> PoolRef | None:
    """Return the entry of a pool that is registered already; None where there is none. Its copy is not opened.

    Raises:
        PrmEvalError: It is the entry of another pool, or of the same solutions with other labels.
    """
    there = read_typed(entry, PoolRef) if entry.is_file() else None
    if there is None:
        return None
    if there.content_hash != pool.info.content_hash:
        raise PrmEvalError(f"{entry} is another pool ({there.content_hash[:12]}); a pool never changes: give a new id")
    labels = None if there.step_set is None else there.step_set.content_hash
    if labels != step_hash:
        had = "no labels" if labels is None else f"other labels ({labels[:12]})"
        raise PrmEvalError(f"{entry} has these solutions with {had}; a set never changes: give a new id")
    return there


def _write_entry(entry: Path, pool: Pool, title: str, given: Mapping[str, Any]) -> None:
    fields = {
        "schema": POOL_REF,
        "pool_id": entry.stem,
        "content_hash": pool.info.content_hash,
        "title": title,
        "path": f"pools/{entry.stem}",
    }
    # registered again without a word about it, it keeps the old ones
    write_json(entry, fields | {name: value for name, value in given.items() if value is not None})


def _is_whole_set(folder: Path, step_set: StepSet) -> bool:
    """Say whether a folder holds a whole copy of a step set.

    Raises:
        PrmEvalError: It holds another one, or a pool.
    """
    try:
        there = StepSet(folder).require_sound()
    except DataError:
        return False
    if there.info.content_hash != step_set.info.content_hash:
        raise PrmEvalError(f"{folder} holds another step set; give a new id, or remove it")
    return True


def _is_whole(folder: Path, pool: Pool) -> bool:
    """Say whether a folder holds a whole copy of a pool.

    Raises:
        PrmEvalError: It holds another pool, or one that is graded otherwise.
    """
    try:
        there = Pool(folder).require_sound()
    except DataError:
        return False
    if there.info.content_hash != pool.info.content_hash:
        raise PrmEvalError(f"{folder} holds another pool ({there.info.short_hash}); give a new id, or remove it")
    # the content hash does not hold the options of grading
    if (graded := own_grader(there)) != (given := own_grader(pool)):
        raise PrmEvalError(
            f"{folder} holds the same candidates, graded by {graded}, and {pool.path} is graded by {given}; give a new "
            "id: a pool never changes under its id"
        )
    return True


def _require_on_windows(*names: str) -> None:
    """Insist that git can check out folders of these names everywhere.

    Raises:
        PrmEvalError: Windows has no folder of such a name.
    """
    for each in names:
        why = not_on_windows(each)
        if why is not None:
            raise PrmEvalError(f"{each!r} is {why}; expected a name that every system can check out")
