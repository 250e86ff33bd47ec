"""Several pools made comparable: names of the policies, the rewards of one model on each, the problems all share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
import numpy.typing as npt

from prm_eval.errors import PrmEvalError
from prm_eval.evaluation.golds import golds_agree, statement_key
from prm_eval.pools.format import policy_name
from prm_eval.pools.pool import Pool
from prm_eval.records import Problem
from prm_eval.rewards.files.reward_file import RewardFile
from prm_eval.stepsets import is_step_set
from prm_eval.texts.names import short_name

Ints = npt.NDArray[np.int64]

# one problem of a set, however its pool calls it: its statement, and which copy of it
Key = tuple[str, int]


@dataclass(frozen=True)
class Shared:
    """The problems that all pools have.

    Attributes:
        rows: For each pool, the places of the shared problems in it, in the order of the first pool.
        conflicts: How many were left out because pools have golds for them that contradict each other.
        problems: The shared problems, as the first pool has them.
    """

    rows: tuple[Ints, ...]
    conflicts: int
    problems: tuple[Problem, ...]


def opened_pools(folders: Sequence[str | Path]) -> list[Pool]:
    """Return the pools of several policies.

    Raises:
        PrmEvalError: There are fewer than two, one is there twice, or one is a step set.
        DataError: One has a fault.
    """
    if sets := [str(folder) for folder in folders if is_step_set(Path(folder))]:
        raise PrmEvalError(f"{sets[0]} is a step set; policies are compared on pools of candidates")
    pools = [Pool(folder).require_sound() for folder in folders]
    if len(pools) < 2:
        raise PrmEvalError("policies are compared on two pools or more; give the folders of their pools")
    for at, pool in enumerate(pools):
        for other in pools[:at]:
            if pool.info.content_hash == other.info.content_hash:
                raise PrmEvalError(f"{other.path} and {pool.path} are the same pool ({pool.info.short_hash})")
    return pools


def policy_names(pools: Sequence[Pool]) -> list[str]:
    """Return a name for the policy of each pool: its own if no other has it, else with the folder's."""
    own = [short_name(policy_name(pool.info.policy)) for pool in pools]
    known = [bool(pool.info.policy.get("id") or pool.info.policy.get("name")) for pool in pools]
    often = Counter(own)
    named = [
        (name if often[name] == 1 else f"{name} ({pool.path.name})") if said else pool.path.name
        for name, said, pool in zip(own, known, pools, strict=True)
    ]
    again = Counter(named)
    return [
        name if again[name] == 1 else f"{name} ({pool.info.short_hash})"
        for name, pool in zip(named, pools, strict=True)
    ]


def shared_problems(pools: Sequence[Pool]) -> Shared:
    """Return the problems that all pools have, told by their statements, with golds that agree.

    Raises:
        PrmEvalError: There are none.
    """
    keyed = [_keyed(pool.problems.values()) for pool in pools]
    common = [key for key in keyed[0] if all(key in each for each in keyed[1:])]
    # where one copy of a statement is contradicted, nobody knows which copies belong together
    contradicted = {key[0] for key in common if _contradict([each[key][1].gold for each in keyed])}
    kept = [key for key in common if key[0] not in contradicted]
    if not kept:
        why = f"; of the {len(common):,} statements that all have, the golds contradict each other" if common else ""
        raise PrmEvalError(
            f"the {len(pools)} pools have no problem in common ({', '.join(str(pool.path) for pool in pools)}){why}; "
            "policies are compared on the same problems, which are told by their statements"
        )
    rows = tuple(np.array([each[key][0] for key in kept], dtype=np.int64) for each in keyed)
    return Shared(rows, len(common) - len(kept), tuple(keyed[0][key][1] for key in kept))


def _contradict(golds: Sequence[str | None]) -> bool:
    """Say whether the golds of one problem contradict each other; a pool without golds has published grades."""
    known = list(dict.fromkeys(gold for gold in golds if gold is not None))
    return any(not golds_agree(one, other) for one, other in combinations(known, 2))


def _keyed(problems: Iterable[Problem]) -> dict[Key, tuple[int, Problem]]:
    seen: Counter[str] = Counter()
    found = {}
    for row, problem in enumerate(problems):
        statement = statement_key(problem.statement)
        found[statement, seen[statement]] = (row, problem)
        seen[statement] += 1
    return found


def rewards_over(pools: Sequence[Pool], names: Sequence[str]) -> dict[str, list[RewardFile]]:
    """Return the rewards of each model on every pool, by the model's name.

    Args:
        pools: The pools.
        names: Models, as the folders of their rewards in the pools or as they call themselves; or reward folders, each
            of which says which pool it is for. All models that every pool has rewards of, where none is named.

    Raises:
        PrmEvalError: A model has no rewards on a pool, or several, or no model has rewards on all pools.
    """
    stored = [[RewardFile(folder) for folder in pool.reward_folders()] for pool in pools]
    given = [RewardFile(name) for name in names if (Path(name) / "submission.json").is_file()]
    for file in given:
        _at_home(pools, file)
    every = [
        [
            *there,
            *(file for file in given if file.info.pool_hash == pool.info.content_hash and not _is_among(file, there)),
        ]
        for pool, there in zip(pools, stored, strict=True)
    ]
    asked = [name for name in names if not (Path(name) / "submission.json").is_file()]
    asked += [file.info.name for file in given]
    if not names:
        asked = [file.info.name for file in every[0] if all(_named(each, file.info.name) for each in every[1:])]
        if not asked:
            raise PrmEvalError("no reward model has rewards on all of these pools; score them: prm-eval score POOL ...")
    return {name: [_only(files, name, pool) for files, pool in zip(every, pools, strict=True)]
            for name in dict.fromkeys(asked)}  # fmt: skip


def _at_home(pools: Sequence[Pool], file: RewardFile) -> None:
    if all(file.info.pool_hash != pool.info.content_hash for pool in pools):
        raise PrmEvalError(f"{file.folder} has rewards for pool {file.info.pool_hash[:12]}, which is none of these")


def _is_among(file: RewardFile, files: Sequence[RewardFile]) -> bool:
    return any(file.folder.resolve() == each.folder.resolve() for each in files)


def _named(files: Sequence[RewardFile], name: str) -> list[RewardFile]:
    by_folder = [file for file in files if file.folder.name == name]
    return by_folder or [file for file in files if name in (file.info.name, short_name(file.info.name))]


def _only(files: Sequence[RewardFile], name: str, pool: Pool) -> RewardFile:
    found = _named(files, name)
    if len(found) == 1:
        return found[0]
    there = ", ".join(sorted(file.folder.name for file in files)) or "none"
    if not found:
        raise PrmEvalError(
            f"{pool.path} has no rewards of {name!r}; it has: {there}. Score it: prm-eval score {pool.path} "
            f"--reward-model RM -o {pool.path}/rewards/NAME"
        )
    raise PrmEvalError(f"{pool.path} has several rewards of {name!r}; name one of the folders: {there}")
