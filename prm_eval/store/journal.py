"""Journals: append-only files for records that must outlive the process that makes them.

A journal consists of lines of ``CRC32 JSON``; the first says what the file is. A process that is killed leaves at most
its last line unfinished, and that line is dropped. A damaged line with others behind it is an error that names its
place. Only one process at a time writes a journal; any process may read it.
"""

from __future__ import annotations

import fcntl
import io
import json
import os
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from prm_eval.errors import DataError, PrmEvalError
from prm_eval.store.jsonl import MAX_LINE_BYTES
from prm_eval.store.writing import sync_names

Fields = dict[str, Any]


def seal(fields: Mapping[str, Any]) -> bytes:
    """Return the line of a record: its CRC32 in hexadecimal, its JSON in ASCII, and a newline.

    Half surrogate pairs survive.
    """
    text = json.dumps(fields, sort_keys=True, separators=(",", ":"), allow_nan=False).encode("ascii") + b"\n"
    return b"%08x %s" % (zlib.crc32(text), text)


def unseal(line: bytes) -> Fields | None:
    """Return the record of a line, or None where it is cut off or its checksum does not agree."""
    checksum, _, text = line.partition(b" ")
    if not text.endswith(b"\n") or checksum != b"%08x" % zlib.crc32(text):
        return None
    fields = json.loads(text)
    return fields if isinstance(fields, dict) else None


def unseal_or_plain(line: bytes) -> Fields | None:
    """Read a line as :func:`unseal` does, or as plain JSON, as older journals of rewards without checksums have it."""
    if not line.startswith(b"{") or not line.endswith(b"\n"):
        return unseal(line)
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return fields if isinstance(fields, dict) else None


Reader = Callable[[bytes], Fields | None]


def read_journal(path: Path, reader: Reader = unseal) -> Iterator[tuple[int, Fields]]:
    """Yield (1-based row, record) of a journal that another process may be writing; row 1 says what the file is.

    Raises:
        DataError: A damaged line with others behind it.
        OSError: The file cannot be read.
    """
    with path.open("rb") as stream:
        for row, fields, _ in _sound(path, stream, reader):
            yield row, fields


class Journal:
    """An append-only journal, opened for writing.

    Args:
        path: The file; it is made, with its first line, if it is not there.
        header: The first line of a new file. If the file is there already, :attr:`header` is what was found in it.
        busy: The message when another process is writing it.
        reader: The function that reads a line.
        lock: ``fcntl.flock``, or ``fcntl.lockf`` where a process may open its own journal a second time, as after an
            interruption in a notebook, which keeps the first one alive.
        sync_seconds: The least number of seconds between two waits for the disk, which guard against power cuts. A
            process that is killed never loses records for which :meth:`append` has returned.

    Attributes:
        header: The first line.
        count: Records behind it.

    Raises:
        PrmEvalError: Another process is writing it.
        DataError: A damaged line with others behind it.
        OSError: The file cannot be made, read or written.
    """

    def __init__(
        self,
        path: Path,
        header: Mapping[str, Any],
        *,
        busy: str,
        reader: Reader = unseal,
        lock: Callable[[int, int], None] = fcntl.flock,
        sync_seconds: float = 0.0,
    ) -> None:
        self.path, self.header, self.count = path, dict(header), 0
        self._reader, self._sync_seconds, self._synced = reader, sync_seconds, 0.0
        self._number = _open_locked(path, busy, lock)
        self._size = 0
        try:
            self._load()
        except BaseException:
            self.close()
            raise

    def append(self, records: Iterable[Mapping[str, Any]]) -> None:
        """Add records; when this returns they outlive the process.

        Raises:
            OSError: The disk refuses; no part of them is left in the file.
        """
        lines = [seal(record) for record in records]
        self._write(b"".join(lines))
        self.count += len(lines)

    def records(self) -> Iterator[tuple[int, Fields]]:
        """Yield (1-based row, record) behind the first line.

        Raises:
            DataError: A damaged line.
        """
        for row, fields, _ in self._scan():
            if row > 1:
                yield row, fields

    def keep(self, count: int) -> None:
        """Remove all records behind the first ``count``."""
        if count >= self.count:
            return
        self._size = next(end for row, _, end in self._scan() if row == count + 1)
        os.ftruncate(self._number, self._size)
        self.count = count

    def restart(self, header: Mapping[str, Any]) -> None:
        """Empty the file and give it another first line."""
        os.ftruncate(self._number, 0)
        self.header, self.count, self._size = dict(header), 0, 0
        self._write(seal(header))

    def sync(self) -> None:
        """Wait until the disk has all records, so that they survive a power cut."""
        os.fsync(self._number)
        self._synced = time.monotonic()

    def close(self) -> None:
        """Close the file, which ends the lock; a second call does nothing."""
        if self._number >= 0:
            os.close(self._number)
            self._number = -1

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _load(self) -> None:
        """Read what is there; cut off a last line that was not finished."""
        header = self.header
        for row, fields, end in self._scan():
            self.header, self.count, self._size = (fields if row == 1 else self.header), row - 1, end
        os.ftruncate(self._number, self._size)
        if self._size == 0:
            self.restart(header)
            sync_names(self.path.parent)

    def _scan(self) -> Iterator[tuple[int, Fields, int]]:
        return _sound(self.path, io.BufferedReader(_Positioned(self._number), 1 << 20), self._reader)

    def _write(self, data: bytes) -> None:
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[os.write(self._number, rest) :]
            if time.monotonic() - self._synced >= self._sync_seconds:
                self.sync()
        except OSError as error:
            os.ftruncate(self._number, self._size)
            error.filename = error.filename or str(self.path)
            raise
        self._size += len(data)


class _Positioned(io.RawIOBase):
    """A view of an open file from its beginning, which does not move its position and, when closed, keeps its lock."""

    def __init__(self, number: int) -> None:
        self._number, self._offset = number, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        count = os.preadv(self._number, [buffer], self._offset)
        self._offset += count
        return count


def _sound(path: Path, stream: io.BufferedReader, reader: Reader) -> Iterator[tuple[int, Fields, int]]:
    """Yield (row, record, offset behind it) of every line but a damaged last one.

    Raises:
        DataError: A damaged line with others behind it.
    """
    row = end = 0
    while line := stream.readline(MAX_LINE_BYTES):
        row += 1
        fields = reader(line)
        if fields is None:
            if stream.peek(1):
                hint = f"Remove that line (sed -i {row}d {path}) to go on without it, or the file to start again."
                raise DataError(path, row, "a damaged line with others behind it", "a checksum and its JSON", hint)
            return
        end += len(line)
        yield row, fields, end


def _open_locked(path: Path, busy: str, lock: Callable[[int, int], None]) -> int:
    """Open a file for appending, alone; the lock ends with the process, however it ends.

    Raises:
        PrmEvalError: Another process has it.
    """
    while True:
        number = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            lock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(number)
            raise PrmEvalError(busy) from None
        # another process may have removed the finished journal of this name between the two lines above
        if path.exists() and os.fstat(number).st_ino == path.stat().st_ino:
            return number
        os.close(number)


def remove_unless_open(path: Path, lock: Callable[[int, int], None] = fcntl.lockf) -> bool:
    """Remove a journal that no process is writing, and say whether it was removed.

    Args:
        path: The journal; it need not be there.
        lock: The lock with which it is written, as for :class:`Journal`.

    Raises:
        OSError: It cannot be removed.
    """
    try:
        number = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return True
    try:
        lock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    else:
        path.unlink(missing_ok=True)
        return True
    finally:
        os.close(number)
