"""The taking of rewards that were scored before: they become a submission, and nothing is computed again."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from pathlib import Path
from typing import Any

from prm_eval.errors import DataError, ModelError, OtherRewards, PrmEvalError
from prm_eval.pools.pool import Pool
from prm_eval.rewards.files.finished import (
    FILES,
    OF_THE_RUN,
    SCORES,
    described,
    finished,
    first_difference,
    remove_replaced,
)
from prm_eval.rewards.files.judgements import JOURNAL
from prm_eval.rewards.files.partial import PartialFile
from prm_eval.rewards.files.reward_file import REWARDS, SCHEMA_VERSION, RewardFile, describe
from prm_eval.rewards.files.reward_info import RewardInfo
from prm_eval.rewards.models.stored import StoredRewardModel
from prm_eval.rewards.protocol import RewardModel
from prm_eval.rewards.scoring import require_a_folder, rewards_key
from prm_eval.store.jsonl import file_sha256
from prm_eval.store.writing import copy_file, remove_leftovers

# what a submission says of its run; files of prm_eval.rewards/1 lack some of it
RUN = ("seconds", "resumed", "candidates", "tokens", "refused", "device_name", "versions")


def take_rewards(pool: Pool, model: RewardModel, source: Path, folder: Path, name: str) -> RewardFile:
    """Return a reward file with rewards that were scored before under another name; nothing is computed.

    Args:
        pool: The candidates.
        model: The reward model, whose weights are not loaded.
        source: The folder of the rewards, which must be of this model, these options and this pool.
        folder: The folder to make. If it has these rewards already, nothing is done.
        name: The model's name in the files.

    Raises:
        OtherRewards: The rewards are of something else (the message names the first field that differs), or the folder
            holds others.
        DataError: The rewards are faulty, or of a version that says less of the run.
        ModelError: The model is itself such a folder.
    """
    if isinstance(model, StoredRewardModel):
        raise ModelError("stored rewards are no reward model to compare with; name the model itself")
    require_a_folder(folder)
    rewards, info = _taken(pool, model, source)
    key = rewards_key(pool, model, name)
    # where the rewards were computed stays as it was
    key["model"] |= {field: info.model[field] for field in OF_THE_RUN if field in info.model}
    if (there := _there(folder, key, rewards)) is not None:
        return there
    folder.mkdir(parents=True, exist_ok=True)
    with PartialFile(folder, key) as partial:
        # another process may have finished them while this one waited for its turn
        if (there := _there(folder, key, rewards)) is not None:
            partial.remove()
            return there
        remove_leftovers(folder, FILES)
        before = described(folder)
        disclosure = info.disclosure if before is None else before.disclosure
        remove_replaced(folder)
        copy_file(rewards.path, folder / REWARDS)
        describe(folder, replace(info, name=key["name"], model=key["model"], disclosure=disclosure))
        for left in (SCORES, JOURNAL):
            (folder / left).unlink(missing_ok=True)
        partial.remove()
    return RewardFile(folder)


def _there(folder: Path, key: dict[str, Any], taken: RewardFile) -> RewardFile | None:
    """Return the finished rewards of a folder, where they are those to be taken.

    Raises:
        OtherRewards: They are others.
    """
    there = finished(folder, key)
    if there is not None and file_sha256(there.path) != file_sha256(taken.path):
        raise OtherRewards(
            f"{folder} holds other rewards of this model already; remove it to take those of {taken.folder}"
        )
    return there


def same_rewards(pool: Pool, model: RewardModel) -> list[Path]:
    """Return the reward folders in a pool whose rewards could be taken for a model."""
    key = rewards_key(pool, model, None)
    found = []
    for folder in pool.reward_folders():
        # a folder that cannot be read is nobody's reason not to score
        with contextlib.suppress(PrmEvalError):
            if first_difference(RewardFile(folder).info, key) is None:
                found.append(folder)
    return found


def _taken(pool: Pool, model: RewardModel, source: Path) -> tuple[RewardFile, RewardInfo]:
    """Return rewards that are of a model and a pool, and whole, with their description.

    Raises:
        OtherRewards: They are of something else.
        DataError: They are faulty, or of a version that says less of the run.
    """
    rewards = RewardFile(source)
    if (found := first_difference(rewards.info, rewards_key(pool, model, None))) is not None:
        field, theirs, ours = found
        raise OtherRewards(
            f"{source} holds rewards with {field} = {theirs!r}; the pool, model and options given have {ours!r}. "
            "Nothing is computed for rewards that are taken: give those of this model, or score without --from"
        )
    if missing := [field for field in RUN if field not in rewards.info.run]:
        raise DataError(
            rewards.folder / "submission.json",
            None,
            f"no run.{missing[0]}, as older versions wrote",
            f"{SCHEMA_VERSION} as prm-eval score writes it",
            "Score without --from",
        )
    reader = rewards.reader(pool)
    for problem, table in pool.blocks():
        reader.take(problem, table)
    reader.finish()
    return rewards, rewards.info
