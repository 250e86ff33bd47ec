"""Sources: what a user names (a file, a folder, a glob, a hub dataset) as rows, each with its file and number.

A file's shape is told by its bytes, never by its ending: JSON lines, a JSON array, pretty-printed JSON objects,
Parquet, any of them but Parquet under gzip, or a zip archive (which only the importer of inspect_ai's logs reads). Rows
come one at a time; a file is never held in memory as a whole.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Literal

from prm_eval.errors import DataError, PrmEvalError
from prm_eval.importers.json_values import read_values
from prm_eval.store.jsonl import (
    GZIP_ERRORS,
    Row,
    canonical_json,
    damaged,
    file_sha256,
    is_packed,
    lines_of,
    open_binary,
    parse_line,
)

Shape = Literal["lines", "values", "parquet", "zip", "empty"]

HUB = "hf://"
ENDINGS = (".jsonl", ".json", ".jsonl.gz", ".json.gz", ".parquet", ".eval")
"""Endings of the files that are looked for in a folder."""

_MAGIC: tuple[tuple[bytes, Shape], ...] = (
    (b"PK\x03\x04", "zip"),
    (b"PAR1", "parquet"),
)
_UNREADABLE = (
    (b"\xff\xfe", "UTF-16 text", "Convert it: iconv -f UTF-16 -t UTF-8 FILE > NEW"),
    (b"\xfe\xff", "UTF-16 text", "Convert it: iconv -f UTF-16 -t UTF-8 FILE > NEW"),
    (b"\x28\xb5\x2f\xfd", "zstd data", "Unpack it: zstd -d FILE"),
    (b"BZh", "bzip2 data", "Unpack it: bunzip2 FILE"),
    (b"\xfd7zXZ\x00", "xz data", "Unpack it: xz -d FILE"),
    (b"version ", "a pointer of Git LFS, not the file", "Fetch it: git lfs pull"),
    (b"<", "a page of HTML or XML", "Download the file itself, not the page that shows it"),
    (b"ARROW1", "an Arrow file", "Write it as Parquet or JSON lines: dataset.to_parquet(FILE)"),
)
_PARQUET_BATCH = 64  # a row may hold thousands of texts


@dataclass(frozen=True)
class Place:
    """A row's place: its file, its 1-based number, and a function that reads it."""

    path: Path
    number: int
    load: Callable[[], Row]


class SourceFile:
    """One file of a source."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @cached_property
    def shape(self) -> Shape:
        """What the file is, by its first bytes.

        Raises:
            DataError: No such file, or bytes that no importer reads.
        """
        try:
            with open_binary(self.path) as stream:
                start = stream.read(8)
        except GZIP_ERRORS as error:
            raise damaged(self.path, error) from None
        for magic, shape in _MAGIC:
            if start.startswith(magic):
                return shape
        for magic, found, hint in _UNREADABLE:
            if start.startswith(magic):
                raise DataError(self.path, None, found, "JSON lines, a JSON array or Parquet, in UTF-8", hint)
        first = next((line for line in lines_of(self.path) if line.strip()), None)
        return "empty" if first is None else self._shape_of_text(first)

    @property
    def packed(self) -> bool:
        """Whether the file is compressed with gzip."""
        return is_packed(self.path)

    def _shape_of_text(self, line: bytes) -> Shape:
        text = line.lstrip(b"\xef\xbb\xbf \t\r\n")
        if text.startswith(b"["):
            return "values"
        try:
            parse_line(self.path, 1, line)
        except DataError:
            # a torn first line, or an object that goes on in the next one
            first = next(iter(self._values()), None)
            return "values" if first is not None and first[1] is not None else "lines"
        return "lines"

    def _values(self) -> Iterator[tuple[int, dict[str, Any] | None]]:
        """Yield (number, value) for every JSON value; None stands for the first one that cannot be read."""
        try:
            yield from read_values(self.path)
        except DataError:
            yield 0, None

    def places(self) -> Iterator[Place]:
        """Yield the place of every row.

        Raises:
            DataError: The file cannot be read as rows.
        """
        if self.shape == "lines":
            for number, line in enumerate(lines_of(self.path), 1):
                if line.strip():
                    yield Place(self.path, number, partial(_parsed, self.path, number, line))
        elif self.shape == "values":
            for number, value in read_values(self.path):
                yield Place(self.path, number, partial(_as_row, self.path, number, value))
        elif self.shape == "parquet":
            yield from self._parquet()
        elif self.shape == "zip":
            raise DataError(
                self.path, None, "a zip archive", "JSON lines, a JSON array or Parquet", "Unpack it: unzip FILE"
            )

    def _parquet(self) -> Iterator[Place]:
        import pyarrow as pa

        from prm_eval.store.tables import parquet_file  # which imports pyarrow

        number = 0
        try:
            with parquet_file(self.path) as file:
                for batch in file.iter_batches(batch_size=_PARQUET_BATCH):
                    for fields in batch.to_pylist():
                        number += 1
                        yield Place(self.path, number, partial(_as_row, self.path, number, fields))
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            first_line = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise DataError(
                self.path, number + 1, f"Parquet that cannot be read ({first_line})", "a sound file"
            ) from None


def _parsed(path: Path, number: int, line: bytes) -> Row:
    return Row(path, number, parse_line(path, number, line, unique=True))


def _as_row(path: Path, number: int, value: Any) -> Row:
    if not isinstance(value, dict):
        raise DataError(path, number, f"a JSON {type(value).__name__}", "a JSON object")
    return Row(path, number, value)


class Source:
    """What the user named, as files in their natural order (``rs2`` before ``rs10``).

    Attributes:
        name: What stands for it in the pool's description.
        files: The files.
        root: The folder that they were looked for in; None where files were named.
    """

    def __init__(self, name: str, files: Sequence[SourceFile], root: Path | None = None) -> None:
        self.name, self.files, self.root = name, tuple(files), root

    @property
    def path(self) -> Path:
        """The path for errors: the file, the folder, or the first file."""
        return self.root or self.files[0].path

    def places(self) -> Iterator[Place]:
        """Yield the places of all rows, file by file."""
        for file in self.files:
            yield from file.places()

    def rows(self) -> Iterator[Row]:
        """Yield all rows that can be read; what is wrong with the others is reported where they are imported."""
        for place in self.places():
            try:
                yield place.load()
            except DataError:
                continue

    def hash(self) -> str:
        """Return the SHA-256 of the file, or of the names and hashes of several files."""
        if len(self.files) == 1:
            return file_sha256(self.files[0].path)
        digest = hashlib.sha256()
        for file in self.files:
            digest.update(canonical_json([self._relative(file.path), file_sha256(file.path)]))
        return digest.hexdigest()

    def hashes(self) -> dict[str, str]:
        """Return the SHA-256 of every file, by its path below the folder that they have in common.

        Two files of one name in two folders have two entries.
        """
        return {self._relative(file.path): file_sha256(file.path) for file in self.files}

    def _relative(self, path: Path) -> str:
        return str(path.relative_to(self.root)) if self.root and path.is_relative_to(self.root) else path.name

    def description(self) -> dict[str, Any]:
        """Return what a pool says of its source."""
        found: dict[str, Any] = {"file": self.name, "sha256": self.hash()}
        if len(self.files) > 1:
            found["files"] = len(self.files)
        return found


class HubFile(SourceFile):
    """The rows of a hub dataset: ``hf://owner/dataset[:config[:split]][@revision]``."""

    def __init__(self, name: str) -> None:
        found = re.fullmatch(r"hf://(?:datasets/)?([^:@]+)(?::([^:@]*))?(?::([^:@]+))?(?:@(.+))?", name)
        if not found:
            raise PrmEvalError(f"{name!r} is no hub dataset; expected hf://owner/dataset[:config[:split]][@revision]")
        self.dataset, config, self.split, self.revision = found.groups()
        self.config = config or None
        super().__init__(Path(self.dataset))

    @property
    def shape(self) -> Shape:
        """As Parquet: rows of named columns."""
        return "parquet"

    @property
    def packed(self) -> bool:
        """Never; rows come from the library ``datasets``."""
        return False

    @cached_property
    def _rows(self) -> Any:
        import datasets

        try:
            found = datasets.load_dataset(self.dataset, self.config, split=self.split, revision=self.revision)
        except Exception as error:
            # datasets raises a dozen types here (connection, missing config, missing split): each means: no rows came
            raise PrmEvalError(
                f"the dataset {self.dataset} cannot be loaded: {error}. Without a network, give a local file."
            ) from error
        if isinstance(found, dict):
            if len(found) > 1:
                splits = ", ".join(found)
                raise PrmEvalError(
                    f"the dataset {self.dataset} has the splits {splits}; name one: "
                    f"{HUB}{self.dataset}:{self.config or ''}:SPLIT"
                )
            (found,) = found.values()
        return found

    def places(self) -> Iterator[Place]:
        """Yield the place of every row."""
        for number, fields in enumerate(self._rows, 1):
            yield Place(self.path, number, partial(_as_row, self.path, number, dict(fields)))

    @property
    def fingerprint(self) -> str:
        """What the library calls this state of the data."""
        return str(getattr(self._rows, "_fingerprint", ""))


class HubSource(Source):
    """A hub dataset as a source."""

    def __init__(self, name: str) -> None:
        self._hub = HubFile(name)
        super().__init__(name, [self._hub])

    def hashes(self) -> dict[str, str]:
        """Return what identifies the rows: the fingerprint of the library, by the name of the data set."""
        return {self.name: self._hub.fingerprint}

    def description(self) -> dict[str, Any]:
        """Return what a pool says of its source."""
        return {"file": self.name, "revision": self._hub.revision, "fingerprint": self._hub.fingerprint}


def open_source(names: str | Path | Sequence[str | Path]) -> Source:
    """Return the source that a user named.

    Args:
        names: One or several of: a file; a folder, whose files with :data:`ENDINGS` are taken, those of its folders
            too; a glob; ``hf://owner/dataset[:config[:split]][@revision]`` (alone).

    Raises:
        PrmEvalError: Nothing is there.
    """
    given = [names] if isinstance(names, (str, Path)) else list(names)
    if not given:
        raise PrmEvalError("no file named")
    if any(str(name).startswith(HUB) for name in given):
        if len(given) > 1:
            raise PrmEvalError("a hub dataset is imported alone, not together with other files")
        return HubSource(str(given[0]))
    files: dict[Path, None] = {}
    for name in given:
        files.update(dict.fromkeys(_found(str(name))))
    root = _root([Path(name) for name in given], list(files))
    first = Path(given[0])
    name = first.name if len(given) == 1 and first.exists() else ", ".join(str(Path(each).name) for each in given)
    return Source(name or str(first), [SourceFile(path) for path in files], root)


def _root(given: list[Path], files: list[Path]) -> Path | None:
    if len(given) == 1 and given[0].is_dir():
        return given[0]
    if len(files) == 1 and not any(path.is_dir() for path in given):
        return None
    return Path(os.path.commonpath([path.parent for path in files]))


def _found(name: str) -> list[Path]:
    path = Path(name)
    if path.is_dir():
        return _in_folder(path)
    if not path.exists() and any(sign in name for sign in "*?["):
        at = next(i for i, part in enumerate(path.parts) if any(sign in part for sign in "*?["))
        matches = Path(*path.parts[:at]).glob("/".join(path.parts[at:]))
        files = sorted((each for each in matches if each.is_file()), key=natural)
        if not files:
            raise DataError(name, None, "no file of this pattern", "at least one")
        return files
    return [path]


def _in_folder(folder: Path) -> list[Path]:
    files = [
        each
        for each in folder.rglob("*")
        if each.name.endswith(ENDINGS) and each.is_file() and not each.name.startswith(".")
    ]
    if not files:
        raise DataError(folder, None, "a folder without a file to import", f"files that end in {', '.join(ENDINGS)}")
    return sorted(files, key=natural)


def natural(path: Path) -> list[tuple[int, int | str]]:
    """Return a key that sorts ``rs2`` before ``rs10``."""
    pieces = re.split(r"(\d+)", str(path))
    return [(0, int(piece)) if piece.isdecimal() else (1, piece) for piece in pieces]
