"""Reward files: ``submission.json`` + ``rewards.parquet`` in a folder, for one reward model and one pool."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from prm_eval.errors import DataError, PrmEvalError
from prm_eval.pools.pool import Pool
from prm_eval.records import Candidate, StepRewards
from prm_eval.rewards.aggregations import Aggregation
from prm_eval.rewards.files.reading import RewardReader, iter_rows, read_whole, reward_schema
from prm_eval.rewards.files.reward_info import RewardInfo
from prm_eval.rewards.files.step_arrays import Form, StepArrays, refusal_reason
from prm_eval.rewards.recipes.catalogue import shipped_recipes
from prm_eval.store.json_files import build_from, read_own_json
from prm_eval.store.tables import TableWriter, read_columns
from prm_eval.store.writing import write_json
from prm_eval.texts.steps import SPLITTERS

Ints = npt.NDArray[np.int64]

REWARDS = "rewards.parquet"
"""The file of the rewards in their folder."""
VERIFIED = "verified.parquet"
"""What the same model gave a verifier, beside submitted rewards."""
SCHEMA_VERSION = "prm_eval.rewards/2"
# version 1 has no disclosure and says less of the run
READABLE = ("prm_eval.rewards/1", SCHEMA_VERSION)


@dataclass(frozen=True)
class NamedRewards:
    """A reward file and its name in tables."""

    label: str
    file: RewardFile


class RewardFile:
    """A reward file, opened for reading.

    Args:
        path: The folder, or a Parquet file in it: its ``rewards.parquet``, or another run of the same model, such as
            the ``verified.parquet`` of a submission.
        aggregation: The aggregation to use; None is the declared one.
        info: The content of ``submission.json`` if the caller has read it; None reads it here.

    Raises:
        DataError: ``submission.json`` is missing or malformed.
    """

    def __init__(
        self, path: str | Path, aggregation: Aggregation | None = None, *, info: RewardInfo | None = None
    ) -> None:
        folder = Path(path)
        table = folder.suffix == ".parquet" and not folder.is_dir()
        self.folder = folder.parent if table else folder
        self.info = read_reward_info(self.folder) if info is None else info
        self.aggregation: Aggregation = aggregation or self.info.aggregation
        self.path = folder if table else self.folder / REWARDS

    @property
    def name(self) -> str:
        """The name of the rewards: the model's name, followed by the aggregation if it is not the declared one."""
        return self.info.name if self.aggregation == self.info.aggregation else f"{self.info.name}[{self.aggregation}]"

    def form(self, pool: Pool) -> Form:
        """Return the form of the rows as ``submission.json`` describes it; the pool's splitter is the default."""
        recipe = shipped_recipes().get(str(self.info.model.get("recipe")))
        return Form(
            self.info.kind,
            self.info.score_type,
            self.info.aggregation,
            self.info.splitter or pool.info.splitter,
            hashed=recipe is not None and recipe.head.type != "generate",
        )

    def require_pool(self, pool: Pool) -> None:
        """Insist that these rewards are for this pool.

        Raises:
            DataError: They are for another pool.
        """
        if self.info.pool_hash != pool.info.content_hash:
            raise DataError(
                self.folder / "submission.json",
                None,
                f"rewards for pool {self.info.pool_hash[:12]}",
                f"rewards for {pool.path} ({pool.info.short_hash})",
                "Score this pool: prm-eval score POOL --reward-model ...",
            )

    def reader(self, pool: Pool) -> RewardReader:
        """Return a reader that follows the pool, problem by problem.

        Raises:
            DataError: The rewards are for another pool.
        """
        self.require_pool(pool)
        return RewardReader(self.path, self.form(pool), pool)

    def read_whole(self, pool: Pool, ids: tuple[pa.ChunkedArray, pa.ChunkedArray], steps: Ints) -> StepArrays:
        """Return all step rewards, as :func:`~prm_eval.rewards.files.reading.read_whole` does.

        Raises:
            DataError: The rewards are for another pool, a row has a fault, or the totals in ``submission.json`` are not
                those of the rows.
        """
        self.require_pool(pool)
        found = read_whole(self.path, self.form(pool), pool, ids, steps)
        self._require_totals(found)
        return found

    def _require_totals(self, found: StepArrays) -> None:
        """Insist that the totals in ``submission.json`` are those of the rows; the first version has no totals."""
        own = {
            "candidates": len(found.counts),
            "tokens": found.tokens if found.told_tokens else None,
            "refused": found.refusals,
        }
        for name, value in own.items():
            if name in self.info.run and self.info.run[name] != value:
                said, there = (str(each)[:100] for each in (self.info.run[name], value))
                raise DataError(
                    self.folder / "submission.json", None, f"run.{name} = {said}", f"{there}, as in rewards.parquet"
                )

    def step_counts(self) -> Ints:
        """Return the number of step rewards of every row as the file says it, unchecked; 0 where there are none.

        Raises:
            DataError: The file cannot be read.
        """
        column = read_columns(self.path, reward_schema(single=False), ["n_steps"]).column("n_steps")
        return np.asarray(column.to_numpy(), dtype=np.int64)

    def rows(self) -> Iterator[tuple[str, str, StepRewards]]:
        """Yield the (problem id, candidate id, rewards) of every row, unchecked."""
        return iter_rows(self.path)


class RewardWriter:
    """A writer of a reward file, row by row in the pool's order; ``submission.json`` is written last.

    ``n_steps`` is the number of values for a PRM and 1 for an ORM.
    """

    def __init__(self, folder: Path, *, single: bool = True, name: str = REWARDS) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._table = TableWriter(folder / name, reward_schema(single))
        self._candidates = 0
        self._tokens: int | None = None
        self._refused: Counter[str] = Counter()

    def add(self, candidate: Candidate, rewards: StepRewards) -> None:
        """Add the rewards of the next candidate.

        Raises:
            PrmEvalError: There are neither values nor a refusal, or both, or a value is not finite.
        """
        self.add_row(candidate.problem_id, candidate.candidate_id, rewards)

    def add_row(self, problem_id: str, candidate_id: str, rewards: StepRewards) -> None:
        """Add the rewards of the next candidate, given by its ids, as :meth:`add` does."""
        if bool(rewards.values) == (rewards.refusal is not None):
            raise PrmEvalError(f"candidate {candidate_id} of {problem_id}: needs rewards or a refusal")
        if not all(map(math.isfinite, rewards.values)):
            raise PrmEvalError(f"candidate {candidate_id} of {problem_id}: a reward that is not finite")
        self._candidates += 1
        if rewards.n_tokens is not None:
            self._tokens = (self._tokens or 0) + rewards.n_tokens
        if rewards.refusal is not None:
            self._refused[refusal_reason(rewards.refusal)] += 1
        self._table.add(
            {
                "problem_id": problem_id,
                "candidate_id": candidate_id,
                "step_rewards": list(rewards.values) or None,
                "n_steps": len(rewards.values),
                "n_tokens": rewards.n_tokens,
                "input_hash": rewards.input_hash,
                "refusal": rewards.refusal,
            },
            size=8 * len(rewards.values) + 150,
        )

    def totals(self) -> dict[str, Any]:
        """Return the totals so far: candidates, tokens (None if no row has them), and refusals by reason."""
        return {"candidates": self._candidates, "tokens": self._tokens, "refused": dict(sorted(self._refused.items()))}

    def describe(self, info: RewardInfo) -> None:
        """Write ``submission.json``."""
        describe(self.folder, info)

    def __enter__(self) -> RewardWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._table.__exit__(kind, error, trace)


def describe(folder: Path, info: RewardInfo) -> None:
    """Write the ``submission.json`` of a folder."""
    write_json(folder / "submission.json", {"schema": SCHEMA_VERSION, **asdict(info)})


def read_reward_info(folder: Path) -> RewardInfo:
    """Read ``submission.json``.

    Raises:
        DataError: The file is missing or is not JSON, or a field is missing or has a value that is not allowed.
    """
    file = folder / "submission.json"
    if not file.is_file():
        raise DataError(folder, None, "no submission.json", "a reward folder (submission.json and rewards.parquet)")
    fields = read_own_json(file, READABLE, "a description of rewards")
    # other fields are left to the checker of submissions
    named = {name: value for name, value in fields.items() if name in RewardInfo.__dataclass_fields__}
    info = build_from(file, RewardInfo, named, own=True)
    if info.splitter not in (*SPLITTERS, None):
        raise DataError(file, None, f"splitter = {info.splitter!r}", f"one of {', '.join(SPLITTERS)}, or null")
    for name, value in (("name", info.name), ("pool_hash", info.pool_hash)):
        if not value:
            raise DataError(file, None, f"{name} = {value!r}", "a text that is not empty")
    return info
