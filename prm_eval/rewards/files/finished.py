"""Reward folders that a run has finished: whether they are whole and of a model, and what a killed run left in them."""

from __future__ import annotations

import fcntl
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from prm_eval.errors import DataError, OtherRewards
from prm_eval.rewards.files import differences
from prm_eval.rewards.files.judgements import FILE as JUDGEMENTS
from prm_eval.rewards.files.judgements import JOURNAL
from prm_eval.rewards.files.partial import ROWS
from prm_eval.rewards.files.reading import reward_schema
from prm_eval.rewards.files.reward_file import REWARDS, VERIFIED, RewardFile, read_reward_info
from prm_eval.rewards.files.reward_info import RewardInfo
from prm_eval.store.journal import remove_unless_open
from prm_eval.store.tables import iter_blocks
from prm_eval.store.writing import remove_leftovers, sync_names

SCORES = "scores.partial"
"""The journal of the scores of an unfinished block."""
FILES = (REWARDS, VERIFIED, "submission.json", "verification.json", JUDGEMENTS)
"""The files of a reward folder that a killed writer may leave unfinished."""
KEY = ("name", "pool_hash", "kind", "score_type", "splitter")
ADDED = ("config_sha256", "tokenizer_sha256")
# where and with which software rewards were computed is no part of what they are of
OF_THE_RUN = ("device", "versions")
# either of them names the weights
PINNING = ("weights_sha256", "revision")


def finished(folder: Path, key: Mapping[str, Any]) -> RewardFile | None:
    """Return the finished rewards in a folder; None where there are none, or none that can be read to their end.

    What killed runs left beside finished rewards is removed. Rewards of the same recipe with other options are in
    nobody's way where every candidate was refused.

    Args:
        folder: The reward folder.
        key: The model, the options and the pool that the rewards must be of.

    Raises:
        OtherRewards: They are of another model or pool.
        DataError: ``submission.json`` is malformed.
    """
    info = described(folder)
    if info is None:
        return None
    fault = unreadable(folder)
    # files of prm_eval.rewards/1 lack them
    model = {name: value for name, value in key["model"].items() if name not in ADDED or name in info.model}
    theirs = {name: getattr(info, name) for name in (*KEY, "model")}
    differs = differences.difference(theirs, {name: key[name] for name in KEY} | {"model": model})
    if differs is not None and fault is None and _all_refused(folder, info, key):
        return None
    if differs is not None:
        way = "Give another folder."
        if fault is not None:
            way = f"Its rewards are lost (found {fault.found}): remove the folder, or give another one."
        raise OtherRewards(f"{folder} holds rewards with {differs}. {way}")
    remove_leftovers(folder, FILES)
    if fault is not None:
        return None
    _remove_journals(folder)
    return RewardFile(folder, aggregation=key["aggregation"], info=info)


def described(folder: Path) -> RewardInfo | None:
    """Return what a folder's ``submission.json`` says; None where there is none, or a power cut left nothing in it.

    Raises:
        DataError: It is malformed.
    """
    file = folder / "submission.json"
    if not file.is_file() or not file.read_bytes().strip(b"\0 \r\n\t"):
        return None
    try:
        return read_reward_info(folder)
    except DataError as error:
        hint = error.hint or "Mend it; or remove it to score again, and then fill in its disclosure again."
        raise DataError(error.path, error.row, error.found, error.expected, hint) from None


def unreadable(folder: Path) -> DataError | None:
    """Return why a folder's ``rewards.parquet`` cannot be read to its end; None where it can."""
    try:
        for _ in iter_blocks(folder / REWARDS, reward_schema(single=False)):
            pass
    except DataError as error:
        return error
    return None


def remove_replaced(folder: Path) -> None:
    """Remove the description of whole rewards that are about to be replaced, which nobody has disclosed anything of.

    Were the new rewards written beside it, a run killed in between would leave them under another model's name.
    """
    info = described(folder)
    if info is not None and info.disclosure is None and unreadable(folder) is None:
        (folder / "submission.json").unlink()
        sync_names(folder)


def _remove_journals(folder: Path) -> None:
    for name in (SCORES, ROWS, JOURNAL):
        path = folder / name
        if path.is_file() and not path.is_symlink():
            remove_unless_open(path, fcntl.flock)


def first_difference(info: RewardInfo, key: Mapping[str, Any]) -> tuple[str, Any, Any] | None:
    """Return (field, value of the rewards, value of the model) of the first field that makes them of another model.

    Device and versions of software say where rewards were computed, and are not compared. Two names of a model are one
    where a commit or the hashes of its weights are equal.

    Args:
        info: The description of the rewards.
        key: The model, the options and the pool.
    """
    for field in ("pool_hash", "kind", "score_type", "splitter", "aggregation"):
        if getattr(info, field) != key[field]:
            return field, getattr(info, field), key[field]
    theirs, ours = (
        {name: value for name, value in each.items() if name not in OF_THE_RUN} for each in (info.model, key["model"])
    )
    if any(_pins(theirs.get(field)) and theirs.get(field) == ours.get(field) for field in PINNING):
        theirs["id"] = ours.get("id")
    return differences.first_difference({"model": theirs}, {"model": ours})


def _pins(value: Any) -> bool:
    """Say whether a value names weights: hashes, or a commit; a branch such as "main" has each repository."""
    return bool(value) and (not isinstance(value, str) or re.fullmatch("[0-9a-f]{40}", value) is not None)


def _all_refused(folder: Path, info: RewardInfo, key: Mapping[str, Any]) -> bool:
    """Say whether rewards of the same recipe are nothing to lose: all were refused, and nobody described them."""
    if info.disclosure is not None or info.kind != key["kind"]:
        return False
    if info.model.get("recipe") != key["model"].get("recipe"):
        return False
    return all(each.refusal is not None for _, _, each in RewardFile(folder, info=info).rows())
