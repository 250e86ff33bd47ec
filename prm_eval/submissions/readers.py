"""The readers of a results folder: the pools of its board and the submissions to it."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

from prm_eval.errors import DataError
from prm_eval.pools.pool import Pool
from prm_eval.rewards.files.reward_file import VERIFIED, RewardFile
from prm_eval.rewards.files.reward_info import RewardInfo
from prm_eval.store.json_files import read_typed
from prm_eval.store.jsonl import file_sha256
from prm_eval.store.typed import as_json
from prm_eval.submissions.formats import MODEL, ORG, PoolRef, SubmissionFile, VerificationFile
from prm_eval.submissions.records import RegisteredPool, Submission, Tier
from prm_eval.submissions.thresholds import threshold_said
from prm_eval.submissions.trust import DECLARED, contradictions, enough, verified_digest

LAYOUT = "submissions/<org>__<model>/<revision>/<pool-id>"
REVISION = r"[0-9a-f]{40}|sha256-[0-9a-f]{40}|rule-\d{1,6}"
REVISION_WORDS = "a commit of 40 hexadecimal digits, sha256-<40 digits> of local weights, or rule-<version>"
_PARTS = (rf"({ORG})__({MODEL})", f"({REVISION})", f"({MODEL})")


def path_parts(folder: Path) -> tuple[str, str, str, str] | None:
    """Return (organisation, model, revision, pool id) of a submission's folder; None where its name is not one."""
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
        DataError: An entry is malformed, or its file has another name than its pool.
    """
    return {path.stem: read_pool_ref(path, results) for path in sorted((results / "pools").glob("*.json"))}


def read_pool_ref(path: Path, results: Path) -> RegisteredPool:
    """Read one entry of the registry.

    Raises:
        DataError: It is malformed, or its file has another name than its pool.
    """
    entry = read_typed(path, PoolRef)
    if entry.pool_id != path.stem:
        raise DataError(path, None, f"pool_id {entry.pool_id}", f"{path.stem}, as the file is called")
    # a pool of the hub is downloaded to this place
    folder = results / (entry.path or f"pools/{path.stem}")
    pool = Pool(folder) if (folder / "pool.json").is_file() else None
    about = entry.about or ""
    return RegisteredPool(
        entry.pool_id, entry.title, entry.content_hash, entry.headline_n, pool, entry.hub, about, entry.step_set
    )


def submission_folders(results: Path) -> list[Path]:
    """Return every folder three levels below ``submissions``, where a submission should be, by path."""
    return sorted(path for path in (results / "submissions").glob("*/*/*") if path.is_dir())


def find_submissions(results: Path) -> list[Submission]:
    """Return all submissions, by path.

    Raises:
        DataError: One is malformed; ``prm-eval check`` lists everything that is wrong with it.
    """
    return [read_submission(folder) for folder in submission_folders(results)]


def read_submission(folder: Path, file: SubmissionFile | None = None) -> Submission:
    """Read one submission without its rewards, which are read later along with the pool.

    Args:
        folder: The submission's folder.
        file: Its ``submission.json``, if the caller has read it already; by default it is read here.

    Raises:
        DataError: The submission is malformed.
    """
    parts = path_parts(folder)
    if parts is None:
        raise DataError(folder, None, "a folder that is not called like a submission", LAYOUT, "See: prm-eval check")
    file = read_typed(folder / "submission.json", SubmissionFile) if file is None else file
    verification = read_verification(folder)
    tier = verified_tier(folder, file, verification)
    own = tier == "reproduced" and verification is not None and verification.verified_sha256 is not None
    return Submission(
        folder,
        *parts,
        file=file,
        rewards=open_rewards(folder / VERIFIED if own else folder, file),
        verification=verification,
        tier=tier,
    )


def open_rewards(path: Path, file: SubmissionFile) -> RewardFile:
    """Open the rewards of a submission without reading ``submission.json`` again.

    Args:
        path: The submission's folder, for the submitted rewards, or the ``verified.parquet`` in it.
        file: Its ``submission.json``.
    """
    about = as_json(file)
    return RewardFile(path, info=RewardInfo(**{each.name: about[each.name] for each in fields(RewardInfo)}))


def read_verification(folder: Path) -> VerificationFile | None:
    """Read the ``verification.json`` of a submission; None where there is none.

    Raises:
        DataError: It is malformed.
    """
    path = folder / "verification.json"
    return read_typed(path, VerificationFile) if path.is_file() else None


def verified_tier(folder: Path, submission: SubmissionFile, verification: VerificationFile | None) -> Tier:
    """Return the tier that a verification earns.

    The tier is "recomputed" where there is none, it contradicts itself or the submission, or a sample left too much
    open.
    """
    rewards = folder / "rewards.parquet"
    if verification is None or not rewards.is_file():
        return "recomputed"
    said = (submission.pool_hash, submission.model, submission.run)
    declared = {name: getattr(submission, name) for name in DECLARED} | threshold_said(submission, verification)
    if any(contradictions(verification, *said, file_sha256(rewards), verified_digest(folder), declared)):
        return "recomputed"
    if not enough(verification):
        return "recomputed"
    return "reproduced" if verification.scope == "all" else "spot-checked"
