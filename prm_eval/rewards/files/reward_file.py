"""Reward files: ``submission.json`` + ``rewards.parquet`` in a folder, for one reward model and one pool."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import pyarrow as pa

from prm_eval.errors import DataError, PrmEvalError
from prm_eval.pools.format import write_json
from prm_eval.pools.pool import Pool
from prm_eval.records import Aggregation, Candidate, Problem, RewardInfo, StepRewards
from prm_eval.rewards.aggregate import aggregate
from prm_eval.store.json_files import build_from, read_own_json
from prm_eval.store.tables import BlockReader, TableWriter, require_same_ids
from prm_eval.texts.steps import SPLITTERS, split_steps

SCHEMA_VERSION = "prm_eval.rewards/2"
READABLE = ("prm_eval.rewards/1", SCHEMA_VERSION)  # /1 has no disclosure and says less of the run


def reward_schema(single: bool) -> pa.Schema:
    """Return the columns of ``rewards.parquet``; ``single`` stores float32, as reward models compute it."""
    return pa.schema(
        [
            pa.field("problem_id", pa.string(), nullable=False),
            pa.field("candidate_id", pa.string(), nullable=False),
            pa.field("step_rewards", pa.list_(pa.float32() if single else pa.float64())),
            pa.field("n_steps", pa.int32(), nullable=False),
            pa.field("n_tokens", pa.int32()),
            pa.field("input_hash", pa.string()),
            pa.field("refusal", pa.string()),
        ]
    )


@dataclass(frozen=True)
class Scored:
    """The reward of one candidate: what it is ranked by and its voting weight; NaN where the model refused."""

    reward: float
    weight: float


class RewardFile:
    """Rewards on disk, opened for reading.

    Args:
        path: The folder, or its ``rewards.parquet``.
        aggregation: Instead of the declared one.
        info: What ``submission.json`` says, where the caller has read it; else it is read here.

    Raises:
        DataError: Not there, or ``submission.json`` is malformed.
    """

    def __init__(
        self, path: str | Path, aggregation: Aggregation | None = None, *, info: RewardInfo | None = None
    ) -> None:
        folder = Path(path)
        self.folder = folder.parent if folder.name == "rewards.parquet" else folder
        self.info = read_reward_info(self.folder) if info is None else info
        self.aggregation: Aggregation = aggregation or self.info.aggregation
        self.path = self.folder / "rewards.parquet"
        self.label: str | None = None

    @property
    def name(self) -> str:
        """What the rewards are called: the label, or the model's name, with the aggregation where it is not the declared one."""
        if self.label is not None:
            return self.label
        return self.info.name if self.aggregation == self.info.aggregation else f"{self.info.name}[{self.aggregation}]"

    def require_pool(self, pool: Pool) -> None:
        """Insist that these rewards are for this pool.

        Raises:
            DataError: They are for another one.
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
        """Return a reader that walks along the pool.

        Raises:
            DataError: The rewards are for another pool.
        """
        self.require_pool(pool)
        return RewardReader(self, pool)


class RewardReader:
    """Hands out the rewards of one problem after the other, checked against the pool's candidates."""

    def __init__(self, rewards: RewardFile, pool: Pool) -> None:
        self._rewards, self._pool = rewards, pool
        self._reader = BlockReader(rewards.path, reward_schema(single=False))
        self._splitter = rewards.info.splitter or pool.info.splitter

    def take(self, problem: Problem, table: pa.Table) -> list[Scored]:
        """Return the reward of every candidate of a problem.

        Args:
            problem: The next problem of the pool.
            table: The pool's candidates of that problem, with columns problem_id, candidate_id, text and steps.

        Raises:
            DataError: Other candidates, a value that is not finite, neither rewards nor a refusal, or a number of steps
                that is not the splitter's.
        """
        first, rows = self._reader.take(problem.problem_id)
        require_same_ids(self._reader.path, first, rows, table, str(self._pool.candidates_path))
        expected = self._step_counts(table)
        columns = (rows.column(name).to_pylist() for name in ("step_rewards", "n_steps", "refusal"))
        return [self._one(first + offset, *row) for offset, row in enumerate(zip(expected, *columns, strict=True))]

    def _step_counts(self, table: pa.Table) -> list[int]:
        """Return how many rewards each candidate must have: one for an ORM, one a step for a PRM."""
        if self._rewards.info.kind == "orm":
            return [1] * table.num_rows
        pairs = zip(table.column("text").to_pylist(), table.column("steps").to_pylist(), strict=True)
        return [len(split_steps(text, self._splitter, given)) for text, given in pairs]

    def _one(
        self, row: int, expected: int, values: list[float | None] | None, count: int, refusal: str | None
    ) -> Scored:
        if refusal is not None:
            if values:
                raise DataError(self._reader.path, row, f"rewards and the refusal {refusal!r}", "one of the two")
            return Scored(math.nan, math.nan)
        if not values:
            raise DataError(self._reader.path, row, "no step rewards", "rewards, or a refusal with its reason")
        finite = [value for value in values if value is not None and math.isfinite(value)]
        if len(finite) != len(values):
            raise DataError(self._reader.path, row, f"a reward that is not finite in {values}", "finite numbers")
        if len(finite) != count:
            raise DataError(self._reader.path, row, f"{len(finite)} rewards", f"{count}, as n_steps says")
        if count != expected:
            what = (
                f"as the splitter {self._splitter!r} cuts the candidate"
                if self._rewards.info.kind == "prm"
                else "one for an ORM"
            )
            raise DataError(self._reader.path, row, f"{count} steps", f"{expected}, {what}")
        reward, weight = aggregate(finite, self._rewards.aggregation, self._rewards.info.score_type)
        return Scored(reward, weight)

    def finish(self) -> None:
        """Insist that the file has no rows beyond the pool's."""
        self._reader.finish("the pool")


def iter_rewards(rewards: RewardFile) -> Iterator[tuple[str, str, StepRewards]]:
    """Yield (problem id, candidate id, rewards) of every row."""
    from prm_eval.store.tables import iter_blocks

    for _, problem_id, table in iter_blocks(rewards.path, reward_schema(single=False)):
        for row in table.to_pylist():
            values = tuple(row["step_rewards"] or ())
            yield (
                problem_id,
                row["candidate_id"],
                StepRewards(values, row["refusal"], row["n_tokens"], row["input_hash"]),
            )


class RewardWriter:
    """Write a reward file row by row, in the pool's order; the folder's ``submission.json`` comes last.

    ``n_steps`` is the number of values for a PRM and 1 for an ORM.
    """

    def __init__(self, folder: Path, *, single: bool = True) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._table = TableWriter(folder / "rewards.parquet", reward_schema(single))
        self._candidates = 0
        self._tokens: int | None = None
        self._refused: Counter[str] = Counter()

    def add(self, candidate: Candidate, rewards: StepRewards) -> None:
        """Add the rewards of the next candidate.

        Raises:
            PrmEvalError: Neither values nor a refusal, both, or a value that is not finite.
        """
        if bool(rewards.values) == (rewards.refusal is not None):
            raise PrmEvalError(
                f"candidate {candidate.candidate_id} of {candidate.problem_id}: needs rewards or a refusal"
            )
        if not all(map(math.isfinite, rewards.values)):
            raise PrmEvalError(
                f"candidate {candidate.candidate_id} of {candidate.problem_id}: a reward that is not finite"
            )
        self._candidates += 1
        if rewards.n_tokens is not None:
            self._tokens = (self._tokens or 0) + rewards.n_tokens
        if rewards.refusal is not None:
            self._refused[refusal_reason(rewards.refusal)] += 1
        self._table.add(
            {
                "problem_id": candidate.problem_id,
                "candidate_id": candidate.candidate_id,
                "step_rewards": list(rewards.values) or None,
                "n_steps": len(rewards.values),
                "n_tokens": rewards.n_tokens,
                "input_hash": rewards.input_hash,
                "refusal": rewards.refusal,
            },
            size=8 * len(rewards.values) + 150,
        )

    def totals(self) -> dict[str, Any]:
        """Return what was written so far: candidates, tokens (None where no row has them), refused by reason."""
        return {"candidates": self._candidates, "tokens": self._tokens, "refused": dict(sorted(self._refused.items()))}

    def describe(self, info: RewardInfo) -> None:
        """Write ``submission.json``."""
        write_json(self.folder / "submission.json", {"schema": SCHEMA_VERSION, **asdict(info)})

    def __enter__(self) -> RewardWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._table.__exit__(kind, error, trace)


def refusal_reason(refusal: str) -> str:
    """Return a refusal without its particulars, which follow a colon: what refusals are counted by."""
    return refusal.partition(":")[0][:200]


def read_reward_info(folder: Path) -> RewardInfo:
    """Read ``submission.json``.

    Raises:
        DataError: Not there, not JSON, or a field is missing or has a value that is not allowed.
    """
    file = folder / "submission.json"
    if not file.is_file():
        raise DataError(folder, None, "no submission.json", "a reward folder (submission.json and rewards.parquet)")
    fields = read_own_json(file, READABLE, "a description of rewards")
    # what else a file says of itself is for the checker of submissions
    named = {name: value for name, value in fields.items() if name in RewardInfo.__dataclass_fields__}
    info = build_from(file, RewardInfo, named, own=True)
    if info.splitter not in (*SPLITTERS, None):
        raise DataError(file, None, f"splitter = {info.splitter!r}", f"one of {', '.join(SPLITTERS)}, or null")
    for name, value in (("name", info.name), ("pool_hash", info.pool_hash)):
        if not value:
            raise DataError(file, None, f"{name} = {value!r}", "a text that is not empty")
    return info
