"""The faults of a ``rewards.parquet``, found along its pool.

This runs in the child process of :mod:`prm_eval.submissions.checking.worker`. The faults of a row are found by the one
checker of rows, :func:`prm_eval.rewards.files.row_checks.read_block`. This module has what only a whole file shows:
its footer, candidates that are missing, unknown, duplicated or out of order, and equal texts with different rewards.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from prm_eval.errors import DataError
from prm_eval.pools.pool import Pool
from prm_eval.rewards.files.reading import (
    CLAIM,
    LONGEST_TEXT,
    TEXTS,
    bytes_of_rewards,
    dictionary_texts,
    first_long_text,
    footer_faults,
    reward_schema,
    same_candidates,
    whole_table,
)
from prm_eval.rewards.files.row_checks import read_block
from prm_eval.rewards.files.step_arrays import Form, RowFault, StepArrays
from prm_eval.store.tables import compatible, in_words, parquet_file
from prm_eval.store.typed import shown
from prm_eval.texts.steps import split_steps

Ints = npt.NDArray[np.int64]

ROWS_PER_BATCH = 1_024
# places where the order breaks that are kept
MOST_JUMPS = 1_000
# reasons of refusals that are counted
MOST_REASONS = 500

Key = tuple[str, str]


@dataclass
class Expected:
    """The rows that a pool expects: its candidates in order, the steps of each, and which of them are equal.

    Attributes:
        keys: (problem id, candidate id) of every candidate.
        steps: The number of steps of each.
        twin: Index of the first candidate of the problem with the same text.
    """

    keys: list[Key] = field(default_factory=list)
    steps: list[int] = field(default_factory=list)
    twin: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.index: dict[Key, int] = {}

    def finish(self) -> Expected:
        """Make the index once all candidates are there; return the same record."""
        self.index = {key: at for at, key in enumerate(self.keys)}
        return self

    @cached_property
    def ids(self) -> tuple[pa.ChunkedArray, pa.ChunkedArray]:
        """The problem ids and candidate ids, as columns."""
        columns = zip(*self.keys, strict=True) if self.keys else ((), ())
        problems, candidates = (pa.chunked_array([pa.array(column, pa.string())]) for column in columns)
        return problems, candidates

    @cached_property
    def counts(self) -> Ints:
        """The steps of each candidate, as an array."""
        return np.array(self.steps, dtype=np.int64)

    @cached_property
    def pairs(self) -> tuple[Ints, Ints]:
        """The candidates that have a twin before them, and the first of those twins."""
        twins = np.array(self.twin, dtype=np.int64)
        later = np.flatnonzero(twins != np.arange(len(twins)))
        return later, twins[later]


def expected_of(pool: Pool, splitter: str | None) -> Expected:
    """Return the rows that a pool expects where a splitter cuts its candidates (None: the pool's).

    Raises:
        PrmEvalError: The splitter cannot cut this pool.
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
    """Return the largest number of bytes that a rewards file for a pool may have, packed or not."""
    return bytes_of_rewards(len(expected.keys), sum(expected.steps))


@dataclass(frozen=True)
class Checked:
    """A rewards file that was read to its end.

    Attributes:
        faults: Every fault of it.
        totals: Candidates, tokens, and refusals by reason; empty where the file could not be read.
        steps: The step rewards; None where there is a fault.
    """

    faults: list[RowFault]
    totals: dict[str, Any]
    steps: StepArrays | None = None


def read_rows(path: Path, expected: Expected, form: Form) -> Checked:
    """Return every fault of a rewards file, its totals, and its step rewards if it has no fault.

    A file that is in order is known at once, with all rows together; any other is walked row by row.

    Args:
        path: The file.
        expected: The rows that its pool expects.
        form: The form of the rows by ``submission.json``.
    """
    steps = _in_order(path, expected, form)
    if steps is not None:
        told = steps.tokens if steps.told_tokens else None
        return Checked([], {"candidates": len(steps.counts), "tokens": told, "refused": steps.refusals}, steps)
    return _walked(path, expected, form)


def check_rows(path: Path, expected: Expected, form: Form) -> tuple[list[RowFault], dict[str, Any]]:
    """Return every fault of a rewards file, and its totals, as :func:`read_rows` finds them."""
    found = read_rows(path, expected, form)
    return found.faults, found.totals


def _in_order(path: Path, expected: Expected, form: Form) -> StepArrays | None:
    """Return the step rewards of a file that has no fault at all, read at once; None for every other file."""
    try:
        if any(_footer(parquet_file(path), expected)):
            return None
        table = whole_table(path, expected.counts)
        if not same_candidates(table, expected.ids):
            return None
        found: list[RowFault] = []
        steps = read_block(table, 1, expected.counts, form, found.append)
        reasons = len(steps.refusals) <= MOST_REASONS
        return steps if not found and reasons and _same_twins(steps, expected) else None
    except (pa.ArrowException, DataError, OSError, UnicodeDecodeError):
        # the walk says where
        return None


def _same_twins(steps: StepArrays, expected: Expected) -> bool:
    """Say whether candidates with the same text have the same rewards, where every row has rewards or a refusal."""
    later, first = expected.pairs
    counts = steps.counts[later]
    if not np.array_equal(counts, steps.counts[first]):
        return False
    within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    one, other = (steps.values[np.repeat(steps.starts[rows], counts) + within] for rows in (later, first))
    return bool(np.array_equal(one, other))


def _walked(path: Path, expected: Expected, form: Form) -> Checked:
    try:
        file = parquet_file(path)
        found = list(_footer(file, expected))
        if found and not all(each.kind == "row-count" for each in found):
            return Checked(found, {})
        file = parquet_file(path, dictionary_texts(file.metadata))
        walk = _Walk(expected, form)
        row = 1
        for batch in file.iter_batches(batch_size=ROWS_PER_BATCH):
            walk.take(row, pa.Table.from_batches([batch]))
            row += batch.num_rows
            # the metadata may have lied about the number of rows
            if row > 2 * len(expected.keys) + ROWS_PER_BATCH:
                break
        found += walk.found + list(walk.disorder()) + list(walk.missing())
        return Checked(found, walk.totals(), None if found else walk.steps())
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        text = ascii(str(error).split("\n")[0])[1:-1][:200]
        return Checked(
            [RowFault("parquet", None, f"data that cannot be read ({text})", "an undamaged Parquet file")], {}
        )


def _footer(file: pq.ParquetFile, expected: Expected) -> Iterator[RowFault]:
    """Yield the faults that the file's footer shows, before anything is unpacked."""
    wanted, n = reward_schema(single=False), len(expected.keys)
    schema = file.schema_arrow
    names = list(schema.names)
    missing = [name for name in wanted.names if name not in names]
    extra = [name for name in names if name not in (*wanted.names, CLAIM)]
    if missing or extra or len(set(names)) < len(names):
        listed = ", ".join(shown(name) for name in names[:12])
        all_of_them = ", ".join([*wanted.names, f"and perhaps {CLAIM}"])
        if not missing and not extra:
            all_of_them += f"; one column {next(name for name in names if names.count(name) > 1)!r}"
        yield RowFault("columns", None, f"{len(names)} columns: {listed}", all_of_them)
        return
    for column in (*wanted, pa.field(CLAIM, pa.float64())):
        if column.name in names and not compatible(schema.field(column.name).type, column.type):
            what = f"column {column.name} of type {shown(str(schema.field(column.name).type))}"
            yield RowFault("columns", None, what, in_words(column.type))
    if file.metadata.num_rows != n:
        rows = f"{file.metadata.num_rows:,} rows"
        yield RowFault("row-count", None, rows, f"{n:,}, one for every candidate of the pool")
    yield from footer_faults(file.metadata, n, sum(expected.steps))


class _Walk:
    """The walk through the rows of a file, with the faults found so far."""

    def __init__(self, expected: Expected, form: Form) -> None:
        self.expected, self.form = expected, form
        self.found: list[RowFault] = []
        self._seen = [0] * len(expected.keys)  # the row in which each candidate came
        self._next = 0
        self._jumps: list[tuple[int, int, int]] = []  # (row, candidate that was next, candidate that came instead)
        self._kept: dict[int, tuple[int, bytes]] = {}  # row and rewards of candidates that have twins, by the first
        self._shared = {first for at, first in enumerate(expected.twin) if at != first}
        self._candidates = 0
        self._tokens: int | None = None
        self._refused: dict[str, int] = {}
        self._read: list[StepArrays] = []

    def _add(self, kind: str, row: int, found: str, expected: str) -> None:
        self.found.append(RowFault(kind, row, found, expected))

    def take(self, first: int, batch: pa.Table) -> None:
        """Check the rows of a batch; ``first`` is the number of its first row."""
        for name in TEXTS:
            at = first_long_text(batch.column(name).chunk(0))
            if at is not None:
                self._add("bomb", first + at, f"a {name} of more than {LONGEST_TEXT:,} bytes", "a short text")
                return
        if (at := self._too_long(batch.column("step_rewards"))) is not None:
            self._add("bomb", first + at, "a list that is far too long", f"{max(self.expected.steps)} at most")
            return
        self._candidates += batch.num_rows
        keys = zip(batch.column("problem_id").to_pylist(), batch.column("candidate_id").to_pylist(), strict=True)
        places = [self._place(first + offset, key) for offset, key in enumerate(keys)]
        # a row of no candidate is still checked, except for its number of steps: whatever it has is right
        lengths = pc.fill_null(pc.list_value_length(batch.column("step_rewards")), 0).to_pylist()
        steps = [self.expected.steps[at] if at is not None else lengths[row] for row, at in enumerate(places)]
        read = read_block(batch, first, np.array(steps, dtype=np.int64), self.form, self.found.append)
        self._count(read)
        self._twins(first, places, read, pc.is_valid(batch.column("refusal")).to_pylist())

    def _too_long(self, lists: pa.ChunkedArray) -> int | None:
        """Return the first row with a list that is far too long for any candidate, before Python objects are made."""
        lengths = pc.fill_null(pc.list_value_length(lists), 0)
        limit = 1_000 + 2 * max(self.expected.steps, default=0)
        found = int(pc.index(pc.greater(lengths, limit), True).as_py())
        return None if found < 0 else found

    def _place(self, number: int, key: tuple[str | None, str | None]) -> int | None:
        """Return the index of a row's candidate in the pool; None where it is not there, or came before."""
        if key[0] is None or key[1] is None:
            self._add("null", number, "an id that is null", "a problem id and a candidate id")
            return None
        at = self.expected.index.get((key[0], key[1]))
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

    def disorder(self) -> Iterator[RowFault]:
        """Yield the rows that are out of the pool's order; a row is not where others before it are only missing."""
        for number, wanted, at in self._jumps:
            if at < wanted or any(row > number for row in self._seen[wanted:at]):
                problem_id, candidate_id = self.expected.keys[at]
                what = f"candidate {shown(candidate_id)} of problem {shown(problem_id)}"
                yield RowFault("order", number, what, f"it as row {at + 1:,}, as in the pool")

    def steps(self) -> StepArrays:
        """Return the step rewards of all rows, which must have no fault."""
        return StepArrays(
            np.concatenate([np.empty(0), *(each.values for each in self._read)]),
            np.concatenate([np.empty(0, dtype=np.int64), *(each.counts for each in self._read)]),
            dict(sorted(self._refused.items())),
            self._tokens or 0,
            sum(each.told_tokens for each in self._read),
        )

    def _count(self, read: StepArrays) -> None:
        if not self.found:
            self._read.append(read)
        if read.told_tokens:
            self._tokens = (self._tokens or 0) + read.tokens
        for reason, count in read.refusals.items():
            if reason in self._refused or len(self._refused) < MOST_REASONS:
                self._refused[reason] = self._refused.get(reason, 0) + count

    def _twins(self, first: int, places: list[int | None], read: StepArrays, refused: list[bool]) -> None:
        """Compare candidates with others of the same text and problem; rows without usable rewards are left out."""
        starts = read.starts
        for row, at in enumerate(places):
            if at is None or self.expected.twin[at] not in self._shared or not (read.counts[row] or refused[row]):
                continue
            values = read.values[starts[row] : starts[row] + read.counts[row]] + 0.0  # -0.0 is 0.0
            before, kept = self._kept.setdefault(self.expected.twin[at], (first + row, values.tobytes()))
            if kept != values.tobytes():
                self._add("twins", first + row, "other rewards than those of the same text", f"those of row {before:,}")

    def missing(self) -> Iterator[RowFault]:
        """Yield a fault for every candidate of the pool that has no row."""
        for at, seen in enumerate(self._seen):
            if not seen:
                problem_id, candidate_id = self.expected.keys[at]
                what = f"no row for candidate {shown(candidate_id)} of problem {shown(problem_id)}"
                wanted = f"one, as row {at + 1:,}: rewards, or a refusal with its reason"
                yield RowFault("missing", None, what, wanted)

    def totals(self) -> dict[str, Any]:
        """Return the totals of the rows: candidates, tokens, and refusals by reason."""
        refused = dict(sorted(self._refused.items()))
        return {"candidates": self._candidates, "tokens": self._tokens, "refused": refused}
