"""Read a results folder: the pools of its board and the submissions to it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from prm_eval.errors import DataError
from prm_eval.pools.pool import Pool
from prm_eval.rewards.files.reward_file import RewardFile
from prm_eval.store.jsonl import file_sha256
from prm_eval.store.safe_json import read_json
from prm_eval.store.typed import problems
from prm_eval.submissions.formats import (
    MODEL,
    ORG,
    Disclosure,
    HubRef,
    PoolRef,
    SubmissionFile,
    TrainedOn,
    VerificationFile,
)
from prm_eval.submissions.records import Cost, RegisteredPool, Submission, Tier
from prm_eval.submissions.trust import contradictions

LAYOUT = "submissions/<org>__<model>/<revision>/<pool-id>"
REVISION = r"[0-9a-f]{40}|sha256-[0-9a-f]{40}|rule-\d{1,6}"
REVISION_WORDS = "a commit of 40 hexadecimal digits, sha256-<40 digits> of local weights, or rule-<version>"
_PARTS = (rf"({ORG})__({MODEL})", f"({REVISION})", f"({MODEL})")


def path_parts(folder: Path) -> tuple[str, str, str, str] | None:
    """Return (organisation, model, revision, pool id) of a submission's folder; None where it is not called like one."""
    names = folder.parts[-3:]
    if len(names) < 3:
        return None
    found = [re.fullmatch(pattern, name, re.ASCII) for pattern, name in zip(_PARTS, names, strict=True)]
    if any(each is None or ".." in each.group() for each in found):
        return None
    org, model, revision, pool_id = (part for each in found if each is not None for part in each.groups())
    return org, model, revision, pool_id


def registered_pools(results: Path) -> dict[str, RegisteredPool]:
    """Return the pools named in ``pools/*.json`` by id, in the order of their ids.

    Raises:
        DataError: An entry is malformed, or is called otherwise than the pool it names.
    """
    return {path.stem: read_pool_ref(path, results) for path in sorted((results / "pools").glob("*.json"))}


def read_pool_ref(path: Path, results: Path) -> RegisteredPool:
    """Read one entry of the registry.

    Raises:
        DataError: It is malformed, or is called otherwise than the pool it names.
    """
    fields = _read(path, PoolRef)
    if fields["pool_id"] != path.stem:
        raise DataError(path, None, f"pool_id {fields['pool_id']}", f"{path.stem}, as the file is called")
    folder = results / (fields.get("path") or f"pools/{path.stem}")  # one that is on the hub is downloaded to its place
    pool = Pool(folder) if (folder / "pool.json").is_file() else None
    hub = None if fields.get("hub") is None else HubRef(**fields["hub"])
    return RegisteredPool(
        fields["pool_id"], fields["title"], fields["content_hash"], fields.get("headline_n"), pool, hub
    )


def submission_folders(results: Path) -> list[Path]:
    """Return every folder that should hold a submission, by path: three levels below ``submissions``."""
    return sorted(path for path in (results / "submissions").glob("*/*/*") if path.is_dir())


def find_submissions(results: Path) -> list[Submission]:
    """Return all submissions, by path.

    Raises:
        DataError: One is malformed; ``prm-eval check`` lists everything that is wrong with it.
    """
    return [read_submission(folder) for folder in submission_folders(results)]


def read_submission(folder: Path) -> Submission:
    """Read one submission; the rewards themselves are read by whoever walks along the pool.

    Raises:
        DataError: It is malformed.
    """
    parts = path_parts(folder)
    if parts is None:
        raise DataError(folder, None, "a folder that is not called like a submission", LAYOUT, "See: prm-eval check")
    fields = _read(folder / "submission.json", SubmissionFile)
    disclosure = disclosure_of(fields.get("disclosure"))
    return Submission(
        folder,
        *parts,
        rewards=RewardFile(folder),
        disclosure=disclosure,
        tier=verified_tier(folder, fields),
        cost=_cost(fields["run"]),
        contact=disclosure.contact if disclosure else None,
        licence=disclosure.licence if disclosure else None,
        base_model=disclosure.base_model if disclosure else None,
    )


def disclosure_of(fields: dict[str, Any] | None) -> Disclosure | None:
    """Return a disclosure from its (checked) JSON fields."""
    if fields is None:
        return None
    return Disclosure(**{**fields, "trained_on": TrainedOn(**fields["trained_on"])})


def verified_tier(folder: Path, submission: dict[str, Any]) -> Tier:
    """Return the tier that ``verification.json`` earns: none but "recomputed" where anything in it contradicts the submission.

    Raises:
        DataError: It is malformed.
    """
    path = folder / "verification.json"
    if not path.is_file():
        return "recomputed"
    fields = _read(path, VerificationFile)
    rewards = folder / "rewards.parquet"
    if not rewards.is_file() or any(contradictions(fields, submission, file_sha256(rewards))):
        return "recomputed"
    return "reproduced" if fields["scope"] == "all" else "spot-checked"


def _cost(run: dict[str, Any]) -> Cost:
    seconds = None if run["resumed"] else float(run["seconds"])
    return Cost(run["tokens"], run["candidates"], seconds, run["device_name"])


def _read(path: Path, kind: Any) -> dict[str, Any]:
    """Read a JSON file of a type.

    Raises:
        DataError: It is not of that type; names the first field that is wrong.
    """
    fields = read_json(path)
    for each in problems(fields, kind):
        raise DataError(path, None, f"{each.where} = {each.found}", each.expected)
    return fields
