"""Parquet files in bounded memory: a buffered writer, and readers that hand out one problem at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from prm_eval.errors import DataError
from prm_eval.store.writing import NewFile

ROWS_PER_GROUP = 20_000  # about 40 MB of candidate text; the writer holds one group, the reader one batch
BYTES_PER_GROUP = 64 * 1024 * 1024
ROWS_PER_BATCH = 4_096
# what pyarrow raises on damaged files
_DAMAGE = (pa.ArrowException, OSError, UnicodeDecodeError)


class TableWriter:
    """A writer of rows to a Parquet file, which appears under its name only when it is closed without error.

    Args:
        path: The file.
        schema: Its columns.
        sync: Whether to wait for the disk; a folder that is synced as a whole need not.
    """

    def __init__(self, path: Path, schema: pa.Schema, *, sync: bool = True) -> None:
        self.path, self.schema = path, schema
        self._new = NewFile(path, sync=sync)
        try:
            # zstd of Parquet has no checksum: of 300 flipped bits in pages of numbers and texts 234 were read as data
            self._writer = pq.ParquetWriter(self._new.stream, schema, compression="zstd", write_page_checksum=True)
        except BaseException as error:
            self._new.drop(error)
            raise
        self._columns: dict[str, list[Any]] = {name: [] for name in schema.names}
        self._rows = self._bytes = 0

    def add(self, row: dict[str, Any], size: int = 100) -> None:
        """Add one row; ``size`` is its approximate size in bytes."""
        for name, column in self._columns.items():
            column.append(row[name])
        self._count(1, size)

    def add_rows(self, columns: Mapping[str, Sequence[Any]], size: int) -> None:
        """Add rows by their columns; ``size`` is the approximate size in bytes of all of them."""
        for name, column in self._columns.items():
            column += columns[name]
        self._count(len(columns[self.schema.names[0]]), size)

    def _count(self, rows: int, size: int) -> None:
        self._rows += rows
        self._bytes += size
        if self._rows >= ROWS_PER_GROUP or self._bytes >= BYTES_PER_GROUP:
            self._flush()

    def _flush(self) -> None:
        if self._rows:
            # a group of so many rows has one page a column, but for long texts: see iter_batches
            self._writer.write_table(pa.table(self._columns, schema=self.schema), row_group_size=ROWS_PER_GROUP)
            self._columns = {name: [] for name in self.schema.names}
            self._rows = self._bytes = 0

    def __del__(self) -> None:
        # a writer that was given up, as after a fault in another file, leaves nothing
        if hasattr(self, "_writer") and not self._new.stream.closed:
            self._new.drop(None, self._writer.close)

    def __enter__(self) -> TableWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self._new.drop(error, self._writer.close)
            return
        try:
            self._flush()
            self._writer.close()
        except BaseException as fault:
            self._new.drop(fault, self._writer.close)
            raise
        self._new.keep()


def parquet_file(path: Path, texts: Sequence[str] | None = None) -> pq.ParquetFile:
    """Open a Parquet file so that a page that is not what was written, by its checksum, is an error when it is read.

    Files without checksums, as of other writers and of our own before version 0.2, are read without. Headers of pages
    and the footer have none in any file.

    Args:
        path: The file.
        texts: The columns to read as dictionaries.

    Raises:
        pyarrow.ArrowException, OSError: It is not Parquet.
    """
    return pq.ParquetFile(path, read_dictionary=texts, page_checksum_verification=True)


def open_table(path: Path, schema: pa.Schema) -> pq.ParquetFile:
    """Open a Parquet file and check its columns.

    Raises:
        DataError: Not there, not Parquet, or a column is missing or of another type.
    """
    if not path.is_file():
        raise DataError(path, None, "no such file", "a Parquet file")
    try:
        file = parquet_file(path)
        names = file.schema_arrow.names
    except _DAMAGE as error:
        raise DataError(path, None, f"a file that is not Parquet ({error})", "a Parquet file") from None
    for wanted in schema:
        if names.count(wanted.name) != 1:
            raise DataError(path, None, f"columns {', '.join(names)[:1_000]}", f"one column {wanted.name!r}")
        found = file.schema_arrow.field(wanted.name).type
        if not compatible(found, wanted.type):
            raise DataError(path, None, f"column {wanted.name!r} of type {found}", in_words(wanted.type))
    return file


def compatible(found: pa.DataType, wanted: pa.DataType) -> bool:
    """Say whether a column's type can stand for another: the same kind of number, text or list, whatever its width."""
    if found.equals(wanted):
        return True
    if _is_list(found) and _is_list(wanted):
        return compatible(found.value_type, wanted.value_type)
    same_kind = (pa.types.is_floating, pa.types.is_integer, pa.types.is_boolean, _is_text)
    return any(is_kind(found) and is_kind(wanted) for is_kind in same_kind)


def in_words(kind: pa.DataType) -> str:
    """Return in words the types that :func:`compatible` accepts for a type."""
    if _is_list(kind):
        return f"a list of {in_words(kind.value_type)}"
    for is_kind, words in (
        (pa.types.is_floating, "floating-point numbers of any width"),
        (pa.types.is_integer, "whole numbers of any width"),
        (pa.types.is_boolean, "true and false"),
        (_is_text, "text (string or large_string)"),
    ):
        if is_kind(kind):
            return words
    return str(kind)


def _is_list(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind))


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def iter_blocks(path: Path, schema: pa.Schema, columns: list[str] | None = None) -> Iterator[tuple[int, str, pa.Table]]:
    """Yield (1-based row of its first line, problem id, table) for every run of rows with the same ``problem_id``.

    Only one batch and the rows of the current problem are in memory.
    """
    held: list[pa.RecordBatch] = []
    held_id: str | None = None
    held_row, row = 1, 1
    for batch in iter_batches(path, schema, columns or schema.names):
        ids = batch.column("problem_id")
        if ids.null_count:
            raise DataError(path, row + ids.is_null().to_pylist().index(True), "no problem_id", "a problem id")
        for start, stop, problem_id in _runs(ids):
            if held_id is not None and problem_id != held_id:
                yield held_row, held_id, pa.Table.from_batches(held)
                held, held_row = [], row + start
            held_id = problem_id
            held.append(batch.slice(start, stop - start))
        row += batch.num_rows
    if held_id is not None:
        yield held_row, held_id, pa.Table.from_batches(held)


def iter_table_rows(path: Path, schema: pa.Schema) -> Iterator[dict[str, Any]]:
    """Yield the rows of a Parquet file as dictionaries, a batch in memory at a time.

    Raises:
        DataError: Not there, not Parquet, damaged, or a column is missing or of another type.
    """
    for batch in iter_batches(path, schema, schema.names):
        yield from batch.to_pylist()


def read_columns(path: Path, schema: pa.Schema, names: list[str]) -> pa.Table:
    """Return some columns of a Parquet file, whole.

    Raises:
        DataError: Not there, not Parquet, damaged, or a column is missing or of another type.
    """
    file = open_table(path, schema)
    return _read_groups(path, file, _groups(path, file), names)


def read_rows(path: Path, schema: pa.Schema, start: int, count: int) -> pa.Table:
    """Return ``count`` rows from row ``start`` (counted from 0) on, reading only the row groups that hold them.

    Raises:
        DataError: Not there, not Parquet, damaged, a column is missing or of another type, or there are too few rows.
    """
    file = open_table(path, schema)
    if start + count > file.metadata.num_rows:
        raise DataError(path, None, f"{file.metadata.num_rows} rows", f"at least {start + count}")
    groups: list[tuple[int, int]] = []
    first = before = 0
    for group, said in _groups(path, file):
        after = before + said
        if before < start + count and start < after:
            first = first if groups else before
            groups.append((group, said))
        before = after
    return _read_groups(path, file, groups, schema.names).slice(start - first, count)


def iter_batches(
    path: Path, schema: pa.Schema, names: list[str], size: int = ROWS_PER_BATCH
) -> Iterator[pa.RecordBatch]:
    """Yield some columns of a Parquet file, ``size`` rows at a time; none has rows of two row groups.

    One row group is read after the other, because a page whose header says too many values would shift a column into
    the next one, with no row missing.

    Raises:
        DataError: Not there, not Parquet, damaged, or a column is missing or of another type.
    """
    file = open_table(path, schema)
    for group, said in _groups(path, file):
        rows = 0
        with damage_named(path):
            for batch in file.iter_batches(batch_size=size, columns=names, row_groups=[group]):
                rows += batch.num_rows
                yield batch
        _require_rows(path, rows, said)


def _groups(path: Path, file: pq.ParquetFile) -> list[tuple[int, int]]:
    """Return the number of each row group, and of its rows."""
    rows = [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)]
    _require_rows(path, sum(rows), file.metadata.num_rows)
    return list(enumerate(rows))


def _read_groups(path: Path, file: pq.ParquetFile, groups: list[tuple[int, int]], names: list[str]) -> pa.Table:
    """Return some columns of row groups, read one after the other, for the reason that :func:`iter_batches` gives."""
    found: list[pa.Table] = []
    for group, said in groups:
        with damage_named(path):
            found.append(file.read_row_group(group, columns=names))
        _require_rows(path, found[-1].num_rows, said)
    return pa.concat_tables(found) if found else file.schema_arrow.empty_table().select(names)


@contextmanager
def damage_named(path: Path) -> Iterator[None]:
    """Turn what the reader raises on a damaged file into an error that names the file.

    Raises:
        DataError: Within, data could not be read.
    """
    try:
        yield
    except _DAMAGE as error:
        raise DataError(path, None, f"data that cannot be read ({error})", "an undamaged Parquet file") from None


def _require_rows(path: Path, found: int, said: int) -> None:
    # no checksum covers the headers of pages, which say how many values there are, and the footer
    if found != said:
        raise DataError(path, None, f"{found:,} rows where its footer says {said:,}", "an undamaged Parquet file")


def _runs(ids: pa.Array) -> Iterator[tuple[int, int, str]]:
    encoded = pc.run_end_encode(ids)
    start = 0
    for stop, value in zip(encoded.run_ends.to_pylist(), encoded.values.to_pylist(), strict=True):
        yield start, stop, value
        start = stop


class BlockReader:
    """A reader that hands out the rows of a Parquet file problem by problem, and insists on the order of problems.

    With it candidates, grades and rewards are read side by side without holding all of any of them in memory.
    """

    def __init__(self, path: Path, schema: pa.Schema, columns: list[str] | None = None) -> None:
        self.path = path
        self._blocks = iter_blocks(path, schema, columns)
        self._schema = pa.schema([schema.field(name) for name in columns or schema.names])
        self._next: tuple[int, str, pa.Table] | None = next(self._blocks, None)

    def take(self, problem_id: str) -> tuple[int, pa.Table]:
        """Return (first row number, rows) of a problem, with no rows if the file's next rows are of another one."""
        if self._next is None or self._next[1] != problem_id:
            return 0, self._schema.empty_table()
        row, _, table = self._next
        self._next = next(self._blocks, None)
        return row, table

    def finish(self, what: str) -> None:
        """Insist that every row was taken.

        Raises:
            DataError: Rows are left, because their problem is unknown, out of order or comes twice.
        """
        if self._next is not None:
            row, problem_id, _ = self._next
            raise DataError(
                self.path,
                row,
                f"problem {problem_id!r} out of order, twice or unknown",
                f"the problems of {what}, in their order",
            )


def require_same_ids(path: Path, first_row: int, found: pa.Table, expected: pa.Table, of_what: str) -> None:
    """Insist that a block of rewards or grades has exactly the candidates of the pool's block, in order.

    Raises:
        DataError: Names the first row that differs.
    """
    found_ids, expected_ids = found.column("candidate_id"), expected.column("candidate_id")
    if found_ids.equals(expected_ids):
        return
    problem = expected.column("problem_id")[0].as_py() if expected.num_rows else "?"
    for offset, (one, other) in enumerate(zip(found_ids.to_pylist(), expected_ids.to_pylist(), strict=False)):
        if one != other:
            raise DataError(
                path, first_row + offset, f"candidate {one!r} of problem {problem!r}", f"{other!r}, as in {of_what}"
            )
    raise DataError(
        path,
        first_row or None,
        f"{len(found_ids)} candidates of problem {problem!r}",
        f"its {len(expected_ids)} candidates in {of_what}",
        "Is this file for another pool?",
    )
