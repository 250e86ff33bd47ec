"""Three ways to read ``rewards.parquet``: by the problems of a pool, as a whole file, or row by row unchecked."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from prm_eval.errors import DataError
from prm_eval.pools.pool import Pool
from prm_eval.records import Problem, StepRewards
from prm_eval.rewards.files.row_checks import DECISIVE, read_block
from prm_eval.rewards.files.step_arrays import Form, RowFault, StepArrays, raising
from prm_eval.store.tables import BlockReader, damage_named, iter_blocks, open_table, parquet_file, require_same_ids
from prm_eval.texts.steps import split_steps

Ints = npt.NDArray[np.int64]

COLUMNS = ["problem_id", "candidate_id", "step_rewards", "n_steps", "n_tokens", "input_hash", "refusal"]
# the optional column of aggregated rewards
CLAIM = "reward"
TEXTS = ("problem_id", "candidate_id", "input_hash", "refusal")
# of which Arrow makes dictionaries, by their names in a footer
DICTIONARY_ENCODINGS = frozenset({"PLAIN", "RLE", "BIT_PACKED", "PLAIN_DICTIONARY", "RLE_DICTIONARY"})
# bytes of an id or a refusal
LONGEST_TEXT = 1_000
# step rewards of one file (1.6 GB); a file that claims more is not read
MOST_VALUES = 200_000_000
MOST_BYTES = 4 * 1024**3


def reward_schema(single: bool) -> pa.Schema:
    """Return the columns of ``rewards.parquet``; ``single`` stores float32, the precision of reward models."""
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


class RewardReader:
    """A reader of step rewards, one problem after the other, checked against the pool's candidates.

    Args:
        path: The path of ``rewards.parquet``.
        form: The form that ``submission.json`` declares.
        pool: The pool that it was made for.
    """

    def __init__(self, path: Path, form: Form, pool: Pool) -> None:
        self._form, self._pool = form, pool
        self._sink = raising(path)
        self._reader = BlockReader(path, reward_schema(single=False))

    def take(self, problem: Problem, table: pa.Table) -> StepArrays:
        """Return the step rewards of every candidate of a problem.

        Args:
            problem: The next problem of the pool.
            table: The pool's candidates of that problem, with columns problem_id, candidate_id, text and steps.

        Raises:
            DataError: The file has other candidates, or a row whose rewards cannot be used.
        """
        first, rows = self._rows(problem, table)
        return read_block(rows, first, self._steps(table), self._form, self._sink, DECISIVE)

    def take_each(self, problem: Problem, table: pa.Table) -> list[StepRewards]:
        """Return the rewards or the refusal of every candidate of a problem, checked as :meth:`take` does.

        Raises:
            DataError: The file has other candidates, or a row whose rewards cannot be used.
        """
        first, rows = self._rows(problem, table)
        read_block(rows, first, self._steps(table), self._form, self._sink, DECISIVE)
        return [_one(row) for row in rows.to_pylist()]

    def skip(self, problem: Problem) -> None:
        """Pass over a problem, whose rows are not looked at."""
        self._reader.take(problem.problem_id)

    def _rows(self, problem: Problem, table: pa.Table) -> tuple[int, pa.Table]:
        first, rows = self._reader.take(problem.problem_id)
        require_same_ids(self._reader.path, first, rows, table, str(self._pool.candidates_path))
        return first, rows

    def _steps(self, table: pa.Table) -> Ints:
        if self._form.kind == "orm":
            return np.ones(table.num_rows, dtype=np.int64)
        pairs = zip(table.column("text").to_pylist(), table.column("steps").to_pylist(), strict=True)
        return np.array([len(split_steps(text, self._form.splitter, given)) for text, given in pairs], dtype=np.int64)

    def finish(self) -> None:
        """Insist that the file has no rows beyond the pool's.

        Raises:
            DataError: There are more rows.
        """
        self._reader.finish("the pool")


def read_whole(
    path: Path, form: Form, pool: Pool, ids: tuple[pa.ChunkedArray, pa.ChunkedArray], steps: Ints
) -> StepArrays:
    """Return the step rewards of a file, read at once.

    Args:
        path: The path of ``rewards.parquet``.
        form: The form that ``submission.json`` declares.
        pool: The pool that it was made for.
        ids: The pool's problem and candidate ids, in order.
        steps: The number of steps of each candidate.

    Raises:
        DataError: The file is larger than rewards for this pool can be, has other candidates, or has any fault, those
            of form included.
    """
    table = whole_table(path, steps)
    if not same_candidates(table, ids):
        # follows the pool to find the first row that differs
        reader = RewardReader(path, form, pool)
        for problem, candidates in pool.blocks(["problem_id", "candidate_id", "text", "steps"]):
            reader.take(problem, candidates)
        reader.finish()
        raise DataError(path, None, "rows that contradict the pool", "rewards for its candidates, in order")
    return read_block(table, 1, steps, form, raising(path))


def whole_table(path: Path, steps: Ints) -> pa.Table:
    """Return the rows of a file for a pool of so many steps a candidate, unchecked but for their sizes.

    Raises:
        DataError: The file cannot be read, has other columns, or is larger than rewards for this pool can be.
    """
    _require_size(path, "", path.stat().st_size if path.is_file() else 0, steps)
    file = open_table(path, reward_schema(single=False))
    names = file.schema_arrow.names
    _require_bounded(path, file.metadata, names, steps)
    wanted = [*COLUMNS, CLAIM] if CLAIM in names else COLUMNS
    with damage_named(path):
        table = parquet_file(path, dictionary_texts(file.metadata)).read(columns=wanted)
        for name in TEXTS:
            table.column(name).validate(full=True)  # an index of a dictionary may be none
    for name in TEXTS:
        for chunk in table.column(name).chunks:
            # before anything of a dictionary is unpacked
            if (at := first_long_text(chunk)) is not None:
                raise DataError(path, at + 1, f"a {name} of more than {LONGEST_TEXT:,} bytes", "a short text")
    return table


def dictionary_texts(metadata: pq.FileMetaData) -> list[str]:
    """Return the columns of texts that can be read as dictionaries: a text that every row repeats is unpacked once.

    Arrow cannot make dictionaries of the delta encodings, which other writers use.
    """
    found = set(TEXTS)
    for group in map(metadata.row_group, range(metadata.num_row_groups)):
        for column in map(group.column, range(group.num_columns)):
            if not DICTIONARY_ENCODINGS.issuperset(column.encodings):
                found.discard(column.path_in_schema)
    return [name for name in TEXTS if name in found]


def same_candidates(table: pa.Table, ids: tuple[pa.ChunkedArray, pa.ChunkedArray]) -> bool:
    """Say whether the rows are of a pool's candidates (problem and candidate ids), in its order."""
    there = (table.column(name).cast(pa.string()) for name in ("problem_id", "candidate_id"))
    return all(one.equals(other.cast(pa.string())) for one, other in zip(there, ids, strict=True))


def most_row_groups(candidates: int) -> int:
    """Return the most row groups that a reward file may have: each one costs its reader time."""
    return 64 + candidates // 1_000


def bytes_of_rewards(candidates: int, steps: int) -> int:
    """Return the most bytes that a reward file may have, packed or not: ample room for text, and 16 bytes a step."""
    return 1_000_000 + 1_000 * candidates + 16 * steps


def first_long_text(column: pa.Array) -> int | None:
    """Return the first row whose text is too long, or None; only the dictionary is read, and nothing is unpacked."""
    texts = column.dictionary if pa.types.is_dictionary(column.type) else column
    lengths = pc.binary_length(texts)
    if len(texts) == 0 or (pc.max(lengths).as_py() or 0) <= LONGEST_TEXT:
        return None
    long = pc.greater(lengths, LONGEST_TEXT)
    if pa.types.is_dictionary(column.type):
        long = pc.take(long, column.indices)
    return max(0, int(pc.index(long, True).as_py()))


def footer_faults(metadata: pq.FileMetaData, candidates: int, steps: int) -> Iterator[RowFault]:
    """Yield the faults of size that a file's footer shows for a pool, before anything is unpacked.

    A reason, an id or a hash that every row repeats takes almost no room when packed: 20 kB may unpack to gigabytes.
    """
    if metadata.num_row_groups > most_row_groups(candidates):
        found = f"{metadata.num_row_groups:,} row groups"
        yield RowFault("row-groups", None, found, f"at most {most_row_groups(candidates):,}")
        return
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    chunks = [group.column(number) for group in groups for number in range(group.num_columns)]
    unpacked, most = sum(max(0, each.total_uncompressed_size) for each in chunks), bytes_of_rewards(candidates, steps)
    if unpacked > min(MOST_BYTES, most):
        yield RowFault("bomb", None, f"{unpacked:,} bytes when unpacked", f"at most {min(MOST_BYTES, most):,}")
    values = sum(each.num_values for each in chunks if each.path_in_schema.startswith("step_rewards"))
    most_values = min(MOST_VALUES, 2 * (steps + candidates) + 1_000)
    if values > most_values:
        yield RowFault("bomb", None, f"{values:,} step rewards", f"at most {most_values:,}")
    if metadata.num_rows > 2 * candidates + 1_000:
        yield RowFault("bomb", None, f"{metadata.num_rows:,} rows", f"{candidates:,}, one a candidate")


def _require_bounded(path: Path, metadata: pq.FileMetaData, names: list[str], steps: Ints) -> None:
    if extra := [name for name in names if name not in (*COLUMNS, CLAIM)]:
        raise DataError(path, None, f"a column {extra[0][:100]!r}", f"only {', '.join(COLUMNS)}, perhaps {CLAIM}")
    for fault in footer_faults(metadata, len(steps), int(steps.sum())):
        raise DataError(path, fault.row, fault.found, fault.expected)


def _require_size(path: Path, when: str, size: int, steps: Ints) -> None:
    most = min(MOST_BYTES, bytes_of_rewards(len(steps), int(steps.sum())))
    if size > most:
        raise DataError(path, None, f"{size:,} bytes{when}", f"at most {most:,}")


def iter_rows(path: Path) -> Iterator[tuple[str, str, StepRewards]]:
    """Yield the (problem id, candidate id, rewards) of every row, unchecked."""
    for _, problem_id, table in iter_blocks(path, reward_schema(single=False)):
        for row in table.to_pylist():
            yield problem_id, row["candidate_id"], _one(row)


def _one(row: dict[str, Any]) -> StepRewards:
    return StepRewards(tuple(row["step_rewards"] or ()), row["refusal"], row["n_tokens"], row["input_hash"])
