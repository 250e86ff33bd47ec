"""An index of rows that belong together but may stand anywhere; a source is read twice, in bounded memory.

The first reading notes where the rows of each key are (24 bytes a row); the second goes key by key. Files that cannot
be read from a place on (Parquet, gzip, arrays) are copied into a temporary file of JSON lines first.
"""

from __future__ import annotations

import json
import tempfile
from array import array
from collections.abc import Callable, Iterator
from functools import partial
from typing import IO, Any

from prm_eval.errors import DataError
from prm_eval.importers.common import ImportedProblem
from prm_eval.importers.rows import fails
from prm_eval.importers.sources import HubFile, Source, SourceFile
from prm_eval.store.jsonl import Row, bounded_lines, open_binary, parse_line

Key = Callable[[Row], str | None]


def grouped_problems(
    source: Source, key: Key, read: Callable[[list[Row], str], ImportedProblem]
) -> Iterator[Callable[[], ImportedProblem]]:
    """Yield a loader for every problem, by first appearance, and for every row that names none.

    Args:
        source: The rows.
        key: A function from a row to the name of its problem; None leaves the row out.
        read: A function that makes a problem of its rows and its name.
    """
    with RowIndex(source, key) as index:
        for fault in index.faults:
            yield partial(fails, fault)
        for name in index.places:
            yield partial(_read, index, read, name)


def _read(index: RowIndex, read: Callable[[list[Row], str], ImportedProblem], name: str) -> ImportedProblem:
    return read(index.rows(name), name)


class RowIndex:
    """An index of the places of each key's rows in a source.

    Attributes:
        places: For every key, the files, the numbers and the offsets of its rows.
        faults: What is wrong with rows that have no key.
    """

    def __init__(self, source: Source, key: Key) -> None:
        self._files = source.files
        self._copy: IO[bytes] | None = None
        self._open: tuple[int, IO[bytes]] | None = None
        self.places: dict[str, tuple[array[int], array[int], array[int]]] = {}
        self.faults: list[DataError] = []
        for number, file in enumerate(source.files):
            if _by_place(file):
                self._index_lines(number, file, key)
            else:
                self._index_copy(number, file, key)

    def __enter__(self) -> RowIndex:
        return self

    def __exit__(self, *_: object) -> None:
        if self._copy is not None:
            self._copy.close()
        if self._open is not None:
            self._open[1].close()
            self._open = None

    def _index_lines(self, number: int, file: SourceFile, key: Key) -> None:
        offset = 0
        with open_binary(file.path) as lines:
            for row, (line, size) in enumerate(bounded_lines(lines), 1):
                if line.strip():
                    self._note(number, row, offset, partial(_parse, file, row, line), key)
                offset += size

    def _index_copy(self, number: int, file: SourceFile, key: Key) -> None:
        if self._copy is None:
            self._copy = tempfile.TemporaryFile()  # noqa: SIM115  (closed with the index)
        for place in file.places():
            offset = self._copy.seek(0, 2)
            row = self._note(-number - 1, place.number, offset, place.load, key)
            if row is not None:
                self._copy.write(json.dumps(row.fields, default=_plain).encode() + b"\n")

    def _note(self, file: int, number: int, offset: int, load: Callable[[], Row], key: Key) -> Row | None:
        try:
            row = load()
            name = key(row)
        except DataError as error:
            self.faults.append(error)
            return None
        if name is None:
            return None
        for column, value in zip(
            self.places.setdefault(name, (array("q"), array("q"), array("q"))), (file, number, offset), strict=True
        ):
            column.append(value)
        return row

    def rows(self, name: str) -> list[Row]:
        """Return the rows of one key, after reading them a second time."""
        return [self._row(*place) for place in zip(*self.places[name], strict=True)]

    def _row(self, file: int, number: int, offset: int) -> Row:
        path = self._files[file if file >= 0 else -file - 1].path
        stream = self._stream(file)
        stream.seek(offset)
        return Row(path, number, parse_line(path, number, stream.readline()))

    def _stream(self, file: int) -> IO[bytes]:
        if file < 0:
            if self._copy is None:
                raise ValueError("no row was copied")
            return self._copy
        if self._open is None or self._open[0] != file:
            if self._open is not None:
                self._open[1].close()
            self._open = (file, open_binary(self._files[file].path))
        return self._open[1]


def _by_place(file: SourceFile) -> bool:
    return not isinstance(file, HubFile) and file.shape == "lines" and not file.packed


def _parse(file: SourceFile, number: int, line: bytes) -> Row:
    return Row(file.path, number, parse_line(file.path, number, line, unique=True))


def _plain(value: Any) -> Any:
    """Return a value that JSON lacks (a date, a decimal number) as text."""
    return str(value)
