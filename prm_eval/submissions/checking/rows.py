"""Check ``rewards.parquet`` row by row, along the pool; runs in the child of :mod:`prm_eval.submissions.checking.worker`."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from prm_eval.errors import PrmEvalError
from prm_eval.pools.pool import Pool
from prm_eval.rewards.aggregate import aggregate
from prm_eval.rewards.files.reward_file import refusal_reason, reward_schema
from prm_eval.rewards.files.step_arrays import (
    LONGEST_TEXT,
    MOST_REFUSAL,
    TEXTS,
    bytes_of_rewards,
    first_long_text,
    most_row_groups,
)
from prm_eval.store.tables import compatible, in_words
from prm_eval.store.typed import bad_characters, shown
from prm_eval.texts.steps import split_steps

ROWS_PER_BATCH = 1_024
MOST_JUMPS = 1_000  # places at which the order breaks that are kept
HASH = re.compile(r"[0-9a-f]{64}", re.ASCII)
REWARD_TOLERANCE = 1e-5  # of an aggregated reward that a file brings along, relative to its size and 1

Found = tuple[str, int | None, str, str]  # kind, row, found, expected
Key = tuple[str, str]


@dataclass
class Expected:
    """What a pool asks of a rewards file: its candidates in order, the steps of each, and which of them are equal."""

    keys: list[Key] = field(default_factory=list)
    steps: list[int] = field(default_factory=list)
    twin: list[int] = field(default_factory=list)  # index of the first candidate of the problem with the same text

    def __post_init__(self) -> None:
        self.index: dict[Key, int] = {}

    def finish(self) -> Expected:
        """Make the index, once all candidates are there."""
        self.index = {key: at for at, key in enumerate(self.keys)}
        return self


def expected_of(pool: Pool, splitter: str | None) -> Expected:
    """Return what a pool asks of rewards whose candidates are cut by a splitter (None: the pool's).

    Raises:
        PrmEvalError: The pool cannot be cut so.
    """
    result = Expected()
    for problem, table in pool.blocks(["problem_id", "candidate_id", "text", "steps"]):
        first: dict[Any, int] = {}
        columns = (table.column(name).to_pylist() for name in ("candidate_id", "text", "steps"))
        for candidate_id, text, given in zip(*columns, strict=True):
            cut = split_steps(text, splitter or pool.info.splitter, given)
            result.twin.append(first.setdefault((text, cut), len(result.keys)))
            result.keys.append((problem.problem_id, candidate_id))
            result.steps.append(len(cut))
    return result.finish()


def size_limit(expected: Expected) -> int:
    """Return how many bytes a rewards file for a pool may have, packed or not."""
    return bytes_of_rewards(len(expected.keys), sum(expected.steps))


def check_rows(path: Path, expected: Expected, about: dict[str, Any]) -> tuple[list[Found], dict[str, Any]]:
    """Return every fault of a rewards file, and its totals.

    Args:
        path: The file.
        expected: Of its pool.
        about: ``kind``, ``aggregation`` and ``score_type``, as ``submission.json`` says; ``hashed``: rows need an input
            hash.
    """
    try:
        found = list(_metadata_faults(pq.ParquetFile(path), expected))
        if found and not all(each[0] == "row-count" for each in found):
            return found, {}
        file = pq.ParquetFile(path, read_dictionary=list(TEXTS))  # a text that every row repeats is unpacked once
        walk = _Walk(expected, about)
        row = 1
        for batch in file.iter_batches(batch_size=ROWS_PER_BATCH):
            walk.take(row, batch)
            row += batch.num_rows
            if row > 2 * len(expected.keys) + ROWS_PER_BATCH:  # whatever the metadata said
                break
        return found + walk.found + list(walk.disorder()) + list(walk.missing()), walk.totals()
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        text = ascii(str(error).split("\n")[0])[1:-1][:200]
        return [("parquet", None, f"data that cannot be read ({text})", "an undamaged Parquet file")], {}


def _metadata_faults(file: pq.ParquetFile, expected: Expected) -> Iterator[Found]:
    """Look at what the file says of itself, before anything is unpacked."""
    wanted, about, n = reward_schema(single=False), file.metadata, len(expected.keys)
    schema = file.schema_arrow
    names = list(schema.names)
    missing = [name for name in wanted.names if name not in names]
    extra = [name for name in names if name not in (*wanted.names, "reward")]
    if missing or extra or len(set(names)) < len(names):
        listed = ", ".join(shown(name) for name in names[:12])
        yield "columns", None, f"{len(names)} columns: {listed}", ", ".join([*wanted.names, "and perhaps reward"])
        return
    for column in (*wanted, pa.field("reward", pa.float64())):
        if column.name in names and not compatible(schema.field(column.name).type, column.type):
            what = f"column {column.name} of type {shown(str(schema.field(column.name).type))}"
            yield "columns", None, what, in_words(column.type)
    if about.num_rows != n:
        yield "row-count", None, f"{about.num_rows:,} rows", f"{n:,}, one for every candidate of the pool"
    if about.num_row_groups > most_row_groups(n):
        yield "row-groups", None, f"{about.num_row_groups:,} row groups", f"at most {most_row_groups(n):,}"
        return
    groups = [about.row_group(at) for at in range(about.num_row_groups)]
    unpacked = sum(
        max(0, group.column(at).total_uncompressed_size) for group in groups for at in range(about.num_columns)
    )
    if unpacked > size_limit(expected):
        yield "bomb", None, f"{unpacked:,} bytes when unpacked", f"at most {size_limit(expected):,}"
    values = max((sum(group.column(at).num_values for group in groups) for at in range(about.num_columns)), default=0)
    if values > 2 * (n + sum(expected.steps)) + 1_000:
        yield "bomb", None, f"a column of {values:,} values", f"at most one a step: {sum(expected.steps):,}"
    if about.num_rows > 2 * n + 1_000:
        yield "bomb", None, f"{about.num_rows:,} rows", f"{n:,}"


class _Walk:
    """Goes through the rows of a file and keeps what it finds."""

    def __init__(self, expected: Expected, about: dict[str, Any]) -> None:
        self.expected, self.about = expected, about
        self.found: list[Found] = []
        self._seen = [0] * len(expected.keys)  # the row in which each candidate came
        self._next = 0
        self._jumps: list[tuple[int, int, int]] = []  # (row, candidate that was next, candidate that came instead)
        self._kept: dict[int, Any] = {}  # rewards of candidates that have twins, by the first of them
        self._shared = {first for at, first in enumerate(expected.twin) if at != first}
        self._candidates = 0
        self._tokens: int | None = None
        self._refused: dict[str, int] = {}

    def _add(self, kind: str, row: int, found: str, expected: str) -> None:
        self.found.append((kind, row, found, expected))

    def take(self, first: int, batch: pa.RecordBatch) -> None:
        """Check the rows of a batch; ``first`` is the number of its first row."""
        columns: dict[str, list[Any]] = {}
        for name in batch.schema.names:
            column = batch.column(name)
            if name in TEXTS and (at := first_long_text(column)) is not None:
                self._add("bomb", first + at, f"a {name} of more than {LONGEST_TEXT:,} bytes", "a short text")
                return
            if name == "step_rewards" and (at := self._too_many(column)) is not None:
                self._add("bomb", first + at, "a list that is far too long", f"{max(self.expected.steps)} at most")
                return
            columns[name] = column.to_pylist()
        for offset in range(batch.num_rows):
            self._row(first + offset, {name: values[offset] for name, values in columns.items()})

    def _too_many(self, column: pa.Array) -> int | None:
        """Return the first row whose list is longer than any candidate has steps, by far, before it becomes Python's."""
        lengths = pc.fill_null(pc.list_value_length(column), 0)
        limit = 1_000 + 2 * max(self.expected.steps, default=0)
        found = int(pc.index(pc.greater(lengths, limit), True).as_py())
        return None if found < 0 else found

    def _row(self, number: int, row: dict[str, Any]) -> None:
        self._candidates += 1
        if row["problem_id"] is None or row["candidate_id"] is None or row["n_steps"] is None:
            self._add("null", number, "an id or n_steps that is null", "all three of them")
            return
        at = self._place(number, (row["problem_id"], row["candidate_id"]))
        self._tokens_and_hash(number, row)
        if at is None:
            return
        if row["refusal"] is not None:
            self._refusal(number, row)
            self._twins(number, at, ("refused",))
        elif not row["step_rewards"]:
            self._add("refusal", number, "neither rewards nor a refusal", "one of the two")
        else:
            self._values(number, at, row)

    def _place(self, number: int, key: Key) -> int | None:
        """Return which candidate of the pool a row is; None where it is none, or there already."""
        at = self.expected.index.get(key)
        if at is None:
            what = f"candidate {shown(key[1])} of problem {shown(key[0])}"
            wanted = self.expected.keys[self._next] if self._next < len(self.expected.keys) else None
            text = "no more rows" if wanted is None else f"{shown(wanted[1])} of {shown(wanted[0])}"
            self._add("unknown-candidate", number, what, f"a candidate of the pool; next is {text}")
            return None
        if self._seen[at]:
            self._add("duplicate", number, f"candidate {shown(key[1])} of problem {shown(key[0])} again", "each once")
            return None
        self._seen[at] = number
        if at != self._next and len(self._jumps) < MOST_JUMPS:
            self._jumps.append((number, self._next, at))
        self._next = at + 1
        return at

    def disorder(self) -> Iterator[Found]:
        """Yield the rows that stand at another place than in the pool; rows that are merely missing before them do not count."""
        for number, wanted, at in self._jumps:
            if at < wanted or any(row > number for row in self._seen[wanted:at]):
                problem_id, candidate_id = self.expected.keys[at]
                what = f"candidate {shown(candidate_id)} of problem {shown(problem_id)}"
                yield "order", number, what, f"it as row {at + 1:,}, as in the pool"

    def _tokens_and_hash(self, number: int, row: dict[str, Any]) -> None:
        tokens, digest = row["n_tokens"], row["input_hash"]
        if tokens is not None:
            self._tokens = (self._tokens or 0) + tokens
        if (tokens is not None and tokens < 0) or (tokens is None and digest is not None):
            self._add("n-tokens", number, f"n_tokens {tokens}", "the number of rendered tokens")
        if digest is None and self.about.get("hashed") and row["refusal"] is None:
            self._add("input-hash", number, "no input_hash", "one: the recipe renders token ids")
        if digest is not None and not HASH.fullmatch(digest):
            self._add("input-hash", number, f"input_hash {shown(digest)}", "64 hexadecimal digits")

    def _refusal(self, number: int, row: dict[str, Any]) -> None:
        reason = row["refusal"]
        if row["step_rewards"]:
            self._add("refusal", number, f"rewards and the refusal {shown(reason)}", "one of the two")
        if not reason.strip() or len(reason) > MOST_REFUSAL or bad_characters(reason) or "\n" in reason:
            self._add("refusal", number, f"the reason {shown(reason)}", "a line of plain text")
        if row["n_steps"] != 0:
            self._add("n-steps", number, f"n_steps {row['n_steps']}", "0 for a refused candidate")
        label = refusal_reason(reason)
        if label in self._refused or len(self._refused) < 500:
            self._refused[label] = self._refused.get(label, 0) + 1

    def _values(self, number: int, at: int, row: dict[str, Any]) -> None:
        values = row["step_rewards"]
        if row["n_steps"] != len(values):
            self._add("n-steps", number, f"n_steps {row['n_steps']}", f"{len(values)}, the number of rewards")
        orm = self.about["kind"] == "orm"
        wanted = 1 if orm else self.expected.steps[at]
        if len(values) != wanted:
            why = "for an outcome reward model" if orm else "as the splitter cuts the candidate"
            self._add("step-count", number, f"{len(values):,} rewards", f"{wanted:,}, {why}")
        if not all(value is not None and math.isfinite(value) for value in values):
            bad = next(value for value in values if value is None or not math.isfinite(value))
            self._add("finite", number, f"the reward {bad}", "finite numbers")
            return
        self._twins(number, at, tuple(values))
        self._aggregate(number, values, row.get("reward"))

    def _aggregate(self, number: int, values: list[float], claimed: float | None) -> None:
        try:
            reward, _ = aggregate(values, self.about["aggregation"], self.about["score_type"])
        except PrmEvalError as error:
            self._add("finite", number, f"rewards that do not aggregate ({error})", "a finite number")
            return
        if claimed is None:
            return
        if not abs(claimed - reward) <= REWARD_TOLERANCE * max(1.0, abs(reward)):
            self._add("aggregate", number, f"reward {claimed:g}", f"{reward:g}, the {self.about['aggregation']}")

    def _twins(self, number: int, at: int, value: Any) -> None:
        first = self.expected.twin[at]
        if first not in self._shared:
            return
        row, kept = self._kept.setdefault(first, (number, value))
        if kept != value:
            self._add("twins", number, "other rewards than those of the same text", f"those of row {row:,}")

    def missing(self) -> Iterator[Found]:
        """Yield the candidates that never came."""
        for at, seen in enumerate(self._seen):
            if not seen:
                problem_id, candidate_id = self.expected.keys[at]
                what = f"no row for candidate {shown(candidate_id)} of problem {shown(problem_id)}"
                yield "missing", None, what, f"one, as row {at + 1:,}: rewards, or a refusal with its reason"

    def totals(self) -> dict[str, Any]:
        """Return what the rows add up to."""
        refused = dict(sorted(self._refused.items()))
        return {"candidates": self._candidates, "tokens": self._tokens, "refused": refused}
