"""Parquet in bounded memory: rows come out as they went in, a wrong file is a fault with its row, half a file is no
file."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prm_eval.errors import DataError
from prm_eval.store import tables
from prm_eval.store.tables import (
    BlockReader,
    TableWriter,
    compatible,
    in_words,
    iter_blocks,
    iter_table_rows,
    open_table,
    read_columns,
    read_rows,
    require_same_ids,
)

SCHEMA = pa.schema([pa.field("problem_id", pa.string()), pa.field("value", pa.int32())])
IDS = pa.schema([pa.field("problem_id", pa.string()), pa.field("candidate_id", pa.string())])


def write(path: Path, rows: list[tuple[str | None, int]], **options) -> Path:
    table = pa.table({"problem_id": [a for a, _ in rows], "value": [b for _, b in rows]}, schema=SCHEMA)
    pq.write_table(table, path, **options)
    return path


def blocks(path: Path) -> list[tuple[int, str, list[int]]]:
    return [(row, name, table.column("value").to_pylist()) for row, name, table in iter_blocks(path, SCHEMA)]


RUNS = st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 7)), min_size=0, max_size=8)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(runs=RUNS, group=st.integers(1, 9), batch=st.integers(1, 9))
def test_blocks_are_the_runs_of_one_problem(tmp_path_factory, runs, group: int, batch: int) -> None:
    """Whatever the row groups and batches, a problem's rows come together once, with the row of the first."""
    rows = [(name, value) for name, count in runs for value in range(count)]
    path = write(tmp_path_factory.mktemp("t") / "t.parquet", rows, row_group_size=group)
    expected: list[tuple[int, str, list[int]]] = []
    for row, (name, value) in enumerate(rows, 1):
        if expected and expected[-1][1] == name:
            expected[-1][2].append(value)
        else:
            expected.append((row, name, [value]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tables, "ROWS_PER_BATCH", batch)
        assert blocks(path) == expected


@settings(max_examples=40, deadline=None, derandomize=True)
@given(count=st.integers(1, 25), group=st.integers(1, 9), data=st.data())
def test_any_rows_from_any_place(tmp_path_factory, count: int, group: int, data) -> None:
    """A resumed run reads from where it stopped: the rows are those, however the file is divided."""
    path = write(
        tmp_path_factory.mktemp("t") / "t.parquet", [("p", value) for value in range(count)], row_group_size=group
    )
    start = data.draw(st.integers(0, count - 1))
    length = data.draw(st.integers(1, count - start))
    assert read_rows(path, SCHEMA, start, length).column("value").to_pylist() == list(range(start, start + length))
    with pytest.raises(DataError, match=f"found {count} rows; expected at least {count + 1}"):
        read_rows(path, SCHEMA, start, count + 1 - start)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(sizes=st.lists(st.integers(1, 50), max_size=30), rows=st.integers(1, 10), most=st.integers(1, 120))
def test_the_writer_keeps_every_row_in_order(tmp_path_factory, sizes, rows: int, most: int) -> None:
    """Groups are flushed by rows and by bytes: no row is lost at an edge, and an empty file has its columns."""
    path = tmp_path_factory.mktemp("t") / "t.parquet"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tables, "ROWS_PER_GROUP", rows)
        patch.setattr(tables, "BYTES_PER_GROUP", most)
        with TableWriter(path, SCHEMA) as writer:
            for value, size in enumerate(sizes):
                writer.add({"problem_id": "p", "value": value, "more": "not a column"}, size=size)
    table = pq.read_table(path)
    assert table.column("value").to_pylist() == list(range(len(sizes)))
    assert table.schema.names == SCHEMA.names
    assert pq.ParquetFile(path).num_row_groups <= max(1, len(sizes))


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    """The new file appears only when whole: a crash half-way keeps what was there, and no partial file."""
    path = write(tmp_path / "t.parquet", [("old", 1)])
    with pytest.raises(RuntimeError, match="half-way"), TableWriter(path, SCHEMA) as writer:
        writer.add({"problem_id": "new", "value": 2})
        raise RuntimeError("half-way")
    assert blocks(path) == [(1, "old", [1])]
    assert [each.name for each in tmp_path.iterdir()] == ["t.parquet"]


def test_a_row_without_a_column_is_not_written(tmp_path: Path) -> None:
    """A forgotten field is an error of ours, not a null in a file that is kept for years."""
    with pytest.raises(KeyError), TableWriter(tmp_path / "t.parquet", SCHEMA) as writer:
        writer.add({"problem_id": "p"})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "content, message",
    [
        (None, "no such file; expected a Parquet file"),
        (b"", "not Parquet"),
        (b"PAR1", "not Parquet"),
        (b"problem_id,value\na,1\n", "not Parquet"),
        (b"PAR1" + b"\0" * 100 + b"PAR1", "not Parquet"),
    ],
    ids=["nothing", "empty", "magic only", "CSV", "no footer"],
)
def test_what_is_not_parquet(tmp_path: Path, content: bytes | None, message: str) -> None:
    """Each says what was expected, with the file's name."""
    path = tmp_path / "t.parquet"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=r"t\.parquet") as caught:
        open_table(path, SCHEMA)
    assert message in str(caught.value)


def test_a_file_cut_anywhere_is_a_fault(tmp_path: Path) -> None:
    """A download that stopped: wherever it stopped, an error and never fewer rows."""
    path = write(tmp_path / "t.parquet", [("p", value) for value in range(100)])
    content = path.read_bytes()
    for cut in range(0, len(content), 37):
        path.write_bytes(content[:cut])
        with pytest.raises(DataError, match=r"t\.parquet"):
            blocks(path)


def test_damaged_data_is_a_fault_of_the_file(tmp_path: Path) -> None:
    """A flipped byte within the data is found by the reader of blocks and by the reader of rows."""
    path = write(tmp_path / "t.parquet", [("p" * 50 + str(value), value) for value in range(100)], compression="zstd")
    content = bytearray(path.read_bytes())
    content[30:60] = bytes(30)
    path.write_bytes(content)
    for read in (
        lambda: blocks(path),
        lambda: read_rows(path, SCHEMA, 0, 50),
        lambda: read_columns(path, SCHEMA, SCHEMA.names),
        lambda: list(iter_table_rows(path, SCHEMA)),
    ):
        with pytest.raises(DataError, match=r"t\.parquet: .*cannot be read"):
            read()


@pytest.mark.parametrize("in_group, in_all", [(12, 10), (8, 10), (10, 12)])
def test_row_groups_that_do_not_add_up_are_a_fault(tmp_path: Path, monkeypatch, in_group: int, in_all: int) -> None:
    """The footer has no checksum: one bit in the size of a group, and other candidates would be handed out."""
    path = write(tmp_path / "t.parquet", [("p", value) for value in range(10)])
    sound = open_table(path, SCHEMA)
    damaged = SimpleNamespace(
        metadata=SimpleNamespace(num_rows=in_all, row_group=lambda group: SimpleNamespace(num_rows=in_group)),
        num_row_groups=1, read_row_groups=sound.read_row_groups, read=sound.read, iter_batches=sound.iter_batches,
    )  # fmt: skip
    monkeypatch.setattr(tables, "open_table", lambda path, schema: damaged)
    with pytest.raises(DataError, match="rows where its footer says"):
        read_rows(path, SCHEMA, 2, 3)
    if in_all != 10:
        for read in (lambda: read_columns(path, SCHEMA, ["value"]), lambda: blocks(path)):
            with pytest.raises(DataError, match="10 rows where its footer says 12"):
                read()


def test_a_flipped_bit_is_never_read_as_data(tmp_path: Path, monkeypatch) -> None:
    """A disk or a copy that changes one bit of a text or a reward must not change a figure in silence.

    In headers of pages, which have no checksum, bits 1 and 2 make numbers of values one or two more or less. A group
    of 100 rows ends within a byte of bits, whose rest would then be read as values.
    """
    monkeypatch.setattr(tables, "ROWS_PER_GROUP", 100)
    fields = (("problem_id", False), ("rule", True), ("grade", False))
    schema = pa.schema([pa.field(name, pa.string(), nullable=nullable) for name, nullable in fields])
    path = tmp_path / "t.parquet"
    with TableWriter(path, schema) as writer:
        of_row = {
            "problem_id": [f"p{each // 25}" for each in range(250)],
            "rule": [("a", None, "b", "c")[each * each % 4] for each in range(250)],
            "grade": [("correct", "incorrect", "no_answer")[each * each % 3] for each in range(250)],
        }
        writer.add_rows(of_row, 1_000)

    def read() -> list[object]:
        by_problem = [(name, table.to_pylist()) for _, name, table in iter_blocks(path, schema)]
        return [by_problem, read_columns(path, schema, schema.names).to_pylist()]

    sound, before = path.read_bytes(), read()
    assert pq.ParquetFile(path).num_row_groups == 3
    footer = len(sound) - 8 - int.from_bytes(sound[-8:-4], "little")
    found = []
    for place in range(4, footer):
        for bit in {1, 2, place % 8}:
            damaged = bytearray(sound)
            damaged[place] ^= 1 << bit
            path.write_bytes(damaged)
            try:
                found.append(read())
            except DataError:
                found.append(None)
    assert all(each is None or each == before for each in found)
    assert found.count(None) > 0.8 * len(found)


@pytest.mark.parametrize(
    "columns, message",
    [
        ({"problem_id": ["a"]}, "columns problem_id; expected one column 'value'"),
        ({"value": pa.array([1], pa.int32())}, "columns value; expected one column 'problem_id'"),
        ({"problem_id": ["a"], "value": ["1"]}, "column 'value' of type string; expected whole numbers of any width"),
        ({"problem_id": ["a"], "value": [1.0]}, "column 'value' of type double"),
        ({"problem_id": [1], "value": [1]}, "column 'problem_id' of type int64; expected text"),
        ({"problem_id": [b"a"], "value": [1]}, "column 'problem_id' of type binary"),
        ({"problem_id": ["a"], "value": [[1]]}, "column 'value' of type list"),
        ({"problem_id": ["a"], "value": [True]}, "column 'value' of type bool"),
    ],
)
def test_wrong_columns(tmp_path: Path, columns: dict, message: str) -> None:
    """A column that is missing or of another kind is named with what it is and what it must be."""
    pq.write_table(pa.table(columns), tmp_path / "t.parquet")
    with pytest.raises(DataError) as caught:
        open_table(tmp_path / "t.parquet", SCHEMA)
    assert message in str(caught.value)


def test_a_column_twice_is_ambiguous(tmp_path: Path) -> None:
    """Parquet allows two columns of one name; which one would be read is nobody's business to guess."""
    twice = pa.table(
        [pa.array(["a"]), pa.array([1], pa.int32()), pa.array([2], pa.int32())], ["problem_id", "value", "value"]
    )
    pq.write_table(twice, tmp_path / "t.parquet")
    with pytest.raises(DataError, match="one column 'value'"):
        open_table(tmp_path / "t.parquet", SCHEMA)


@pytest.mark.parametrize(
    "found, wanted, fits",
    [
        (pa.int8(), pa.int64(), True),
        (pa.uint32(), pa.int32(), True),
        (pa.float16(), pa.float64(), True),
        (pa.large_string(), pa.string(), True),
        (pa.list_(pa.float32()), pa.list_(pa.float64()), True),
        (pa.large_list(pa.large_string()), pa.list_(pa.string()), True),
        (pa.list_(pa.list_(pa.int8())), pa.list_(pa.list_(pa.int32())), True),
        (pa.bool_(), pa.bool_(), True),
        (pa.int32(), pa.float32(), False),
        (pa.float32(), pa.int32(), False),
        (pa.bool_(), pa.int32(), False),
        (pa.string(), pa.binary(), False),
        (pa.list_(pa.int32()), pa.int32(), False),
        (pa.list_(pa.int32()), pa.list_(pa.float32()), False),
        (pa.null(), pa.string(), False),
        (pa.timestamp("s"), pa.timestamp("s"), True),
        (pa.timestamp("s"), pa.timestamp("ms"), False),
    ],
)
def test_which_types_stand_for_each_other(found: pa.DataType, wanted: pa.DataType, fits: bool) -> None:
    """Other writers choose other widths; another kind of value is another column."""
    assert compatible(found, wanted) is fits


@pytest.mark.parametrize(
    "kind, words",
    [
        (pa.int16(), "whole numbers of any width"),
        (pa.float32(), "floating-point numbers of any width"),
        (pa.bool_(), "true and false"),
        (pa.large_string(), "text (string or large_string)"),
        (pa.list_(pa.float32()), "a list of floating-point numbers of any width"),
        (pa.timestamp("s"), "timestamp[s]"),
    ],
)
def test_types_in_words(kind: pa.DataType, words: str) -> None:
    """What an error tells somebody to write."""
    assert in_words(kind) == words


@pytest.mark.parametrize("place", [0, 1, 5, 6])
def test_a_row_without_a_problem_is_named(tmp_path: Path, monkeypatch, place: int) -> None:
    """The row counted from 1, in any batch."""
    monkeypatch.setattr(tables, "ROWS_PER_BATCH", 4)
    rows: list[tuple[str | None, int]] = [("a", value) for value in range(7)]
    rows[place] = (None, 0)
    with pytest.raises(DataError, match=f"row {place + 1}: found no problem_id"):
        blocks(write(tmp_path / "t.parquet", rows))


# -- files walked side by side


def test_a_walk_takes_every_problem_in_order(tmp_path: Path) -> None:
    """A problem without rows gets an empty table of the right columns, and the walk goes on."""
    reader = BlockReader(write(tmp_path / "t.parquet", [("a", 1), ("a", 2), ("c", 3)]), SCHEMA, ["problem_id", "value"])
    assert [(row, table.num_rows) for row, table in map(reader.take, "abc")] == [(1, 2), (0, 0), (3, 1)]
    reader.finish("the pool")
    row, empty = reader.take("d")
    assert (row, empty.num_rows, empty.schema.names) == (0, 0, ["problem_id", "value"])


@pytest.mark.parametrize(
    "rows, walked, row",
    [
        ([("a", 1), ("b", 2), ("a", 3)], "ab", 3),
        ([("b", 1), ("a", 2)], "ab", 2),
        ([("a", 1), ("x", 2)], "ab", 2),
        ([("a", 1)], "b", 1),
    ],
    ids=["twice", "out of order", "unknown", "not asked for"],
)
def test_rows_that_nobody_took_are_a_fault(tmp_path: Path, rows, walked: str, row: int) -> None:
    """Rows left over are never ignored: they would be rewards of other candidates, or of another pool."""
    reader = BlockReader(write(tmp_path / "t.parquet", rows), SCHEMA)
    for name in walked:
        reader.take(name)
    with pytest.raises(DataError, match=f"row {row}: found problem .* out of order, twice or unknown"):
        reader.finish("the pool")


def ids(*names: str, problem: str = "p") -> pa.Table:
    return pa.table({"problem_id": [problem] * len(names), "candidate_id": list(names)}, schema=IDS)


@pytest.mark.parametrize(
    "found, expected, message",
    [
        (ids("a", "x"), ids("a", "b"), "f, row 11: found candidate 'x' of problem 'p'; expected 'b', as in the pool"),
        (ids("b", "a"), ids("a", "b"), "f, row 10: found candidate 'b' of problem 'p'; expected 'a'"),
        (ids("a"), ids("a", "b"), "f, row 10: found 1 candidates of problem 'p'; expected its 2 candidates"),
        (ids("a", "b", "c"), ids("a", "b"), "found 3 candidates of problem 'p'"),
        (ids("a"), ids(), "found 1 candidates of problem '?'; expected its 0 candidates"),
    ],
)
def test_the_first_candidate_that_differs_is_named(found: pa.Table, expected: pa.Table, message: str) -> None:
    """Rewards of one candidate given to another would be a number without a word."""
    with pytest.raises(DataError) as caught:
        require_same_ids(Path("f"), 10, found, expected, "the pool")
    assert message in str(caught.value)


def test_equal_candidates_pass_however_they_are_chunked() -> None:
    """Tables of several batches are compared by value."""
    chunked = pa.concat_tables([ids("a"), ids("b")])
    require_same_ids(Path("f"), 1, chunked, ids("a", "b"), "the pool")
