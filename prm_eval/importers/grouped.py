"""A reader of files in which the rows of one problem may stand anywhere; it reads twice, in bounded memory.

The first reading notes where the rows of each problem are (16 bytes a row); the second goes problem by problem.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import IO

from prm_eval.errors import DataError
from prm_eval.importers.common import ImportedProblem
from prm_eval.store.jsonl import Row, open_binary, parse_line


def grouped_problems(
    path: Path, key: tuple[str, ...], read: Callable[[list[Row], str], ImportedProblem]
) -> Iterator[Callable[[], ImportedProblem]]:
    """Yield a loader for every problem, by first appearance, and for every row that names none.

    Args:
        path: An uncompressed JSON-lines file.
        key: Fields that name a row's problem; the first one that a row has counts.
        read: A function that makes a problem of its rows and its name.
    """
    index = LineIndex(path, lambda row: row.required_text(*key))
    for fault in index.faults:
        yield partial(_raise, fault)
    with open_binary(path) as stream:
        for name in index.places:
            yield lambda name=name: read(index.rows(stream, name), name)  # type: ignore[misc]


def _raise(fault: DataError) -> ImportedProblem:
    raise fault


class LineIndex:
    """An index of the places of each key's lines in a file."""

    def __init__(self, path: Path, key: Callable[[Row], str | None]) -> None:
        if path.suffix == ".gz":
            raise DataError(
                path,
                None,
                "a compressed file",
                "an uncompressed one: this format is read by position",
                "gunzip it first",
            )
        self.path = path
        self.places: dict[str, tuple[array[int], array[int]]] = {}
        self.faults: list[DataError] = []
        offset = 0
        with open_binary(path) as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    try:
                        name = key(Row(path, number, parse_line(path, number, line)))
                    except DataError as error:
                        self.faults.append(error)
                        name = None
                    if name is not None:
                        numbers, offsets = self.places.setdefault(name, (array("q"), array("q")))
                        numbers.append(number)
                        offsets.append(offset)
                offset += len(line)

    def rows(self, stream: IO[bytes], name: str) -> list[Row]:
        """Return the rows of one key, after reading them a second time."""
        rows: list[Row] = []
        for number, offset in zip(*self.places[name], strict=True):
            stream.seek(offset)
            rows.append(Row(self.path, number, parse_line(self.path, number, stream.readline())))
        return rows
