"""The places of a results folder: a submission by its model, revision and pool, and a pool under its id."""

from __future__ import annotations

import re
from pathlib import Path

from prm_eval.errors import DataError, PrmEvalError
from prm_eval.pools.pool import Pool
from prm_eval.rewards.protocol import RewardModel
from prm_eval.store.json_files import read_typed
from prm_eval.store.writing import copy_file, write_json
from prm_eval.submissions.checking.between_folders import not_on_windows
from prm_eval.submissions.formats import MODEL, NAME_WORDS, ORG, POOL_REF, PoolRef
from prm_eval.submissions.readers import read_pool_ref, registered_pools
from prm_eval.submissions.records import RegisteredPool
from prm_eval.submissions.revision import revision_name

GRADES = "grades.parquet"
POOL_FILES = ("problems.parquet", "candidates.parquet", GRADES, "pool.json")


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
    if not re.fullmatch(MODEL, pool_id, re.ASCII) or ".." in pool_id:
        raise PrmEvalError(f"pool id {pool_id!r}: expected {NAME_WORDS}")
    _require_on_windows(pool_id)
    pool.require_sound().require_grades("own")
    if headline_n is not None and not 1 <= headline_n <= pool.info.m:
        raise PrmEvalError(f"headline n = {headline_n}; expected 1 to {pool.info.m}, the slots of a problem")
    entry, folder = results / "pools" / f"{pool_id}.json", results / "pools" / pool_id
    # the copy of the pool may be cut off, and is not opened
    there = read_typed(entry, PoolRef) if entry.is_file() else None
    if there is not None and there.content_hash != pool.info.content_hash:
        raise PrmEvalError(f"{entry} is another pool ({there.content_hash[:12]}); a pool never changes: give a new id")
    folder.mkdir(parents=True, exist_ok=True)
    if folder.resolve() != pool.path.resolve():
        # files of a copy that was cut off are copied again
        for name in (GRADES,) if _is_whole(folder, pool) else POOL_FILES:
            copy_file(pool.path / name, folder / name)
    fields = {
        "schema": POOL_REF,
        "pool_id": pool_id,
        "content_hash": pool.info.content_hash,
        "title": title or str(pool.info.problem_set.get("name") or pool_id),
        "path": f"pools/{pool_id}",
    }
    # registered again without a word about it, it keeps the old ones
    given = {"headline_n": headline_n, "about": about or (there.about if there else "") or None}
    write_json(entry, fields | {name: value for name, value in given.items() if value is not None})
    return read_pool_ref(entry, results)


def _is_whole(folder: Path, pool: Pool) -> bool:
    """Say whether a folder holds a whole copy of a pool.

    Raises:
        PrmEvalError: It holds another pool.
    """
    try:
        there = Pool(folder).require_sound()
    except DataError:
        return False
    if there.info.content_hash != pool.info.content_hash:
        raise PrmEvalError(f"{folder} holds another pool ({there.info.short_hash}); give a new id, or remove it")
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
