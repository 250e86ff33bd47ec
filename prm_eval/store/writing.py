"""The writer of files: a file appears under its name whole and on the disk, or not at all.

A file that is being written is called ``.NAME.PID-HEX.partial``, a folder ``.KIND-PID-HEX.partial``, and its writer
holds a lock on it. A process that is killed leaves such a file; the next writer of the same file removes it. What a
living process writes is left alone: its process id is alive here, or the lock is held, by a process of another machine
or container perhaps.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import re
import shutil
import time
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import IO, Any

# before 0.2 the names of files had no hexadecimal digits
_FILE = re.compile(r"\.(?P<name>.+)\.(?P<pid>\d{1,10})(-[0-9a-f]{8})?\.partial", re.DOTALL)
_FOLDER = re.compile(r"\.(?P<name>.+)-(?P<pid>\d{1,10})-[0-9a-f]{8}\.partial", re.DOTALL)
# bytes of a file's name, and of one that leaves room for the rest of a partial file's name
MOST_BYTES = 255
LONGEST_NAME = 200
# file systems that cannot sync a folder answer so; the folder's files are synced all the same
_NO_SYNC = (errno.EINVAL, errno.ENOTSUP, errno.EBADF)
# seconds by which the clocks of a file system and of the process table may differ
SLACK = 1.0


class NewFile:
    """A file that takes the place of a path when it is kept, and leaves nothing when it is dropped.

    What killed writers of the same file left is removed first.

    Args:
        path: The path.
        sync: Whether :meth:`keep` waits for the disk. Only what can be made again at once needs no waiting.

    Attributes:
        stream: The open file.

    Raises:
        OSError: The file cannot be made.
    """

    def __init__(self, path: Path, *, sync: bool = True) -> None:
        name = _short(path.name)
        remove_leftovers(path.parent, (path.name,))
        self.path, self._sync = path, sync
        # A name that nobody can guess or has already: what lies there, a link perhaps, is never written through.
        self._partial = path.with_name(f".{name}.{os.getpid()}-{os.urandom(4).hex()}.partial")
        try:
            number = os.open(self._partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(path)) from None
        self.stream: IO[bytes] = os.fdopen(number, "wb")
        _lock(self.stream.fileno())

    def keep(self) -> None:
        """Give the file its name, after the disk has its content.

        Raises:
            OSError: The disk refuses; the path has what it had before.
        """
        try:
            self.stream.flush()
            if self._sync:
                os.fsync(self.stream.fileno())
            self._partial.replace(self.path)
        except BaseException as error:
            self.drop(error)
            raise
        self.stream.close()
        if self._sync:
            sync_names(self.path.parent)

    def drop(self, error: BaseException | None = None, last: Callable[[], None] | None = None) -> None:
        """Remove the file; the path has what it had before.

        Args:
            error: The reason. An error of the disk is given the path, which it does not know.
            last: Called before the stream is closed, when all that is still written goes nowhere: the end of a writer
                that holds more than a full disk took.
        """
        if isinstance(error, OSError) and error.errno is not None and error.filename is None:
            error.filename = str(self.path)
        nowhere = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
        os.dup2(nowhere, self.stream.fileno(), inheritable=False)
        os.close(nowhere)
        self._partial.unlink(missing_ok=True)
        try:
            if last is not None:
                last()
        finally:
            self.stream.close()


@contextlib.contextmanager
def replacing(path: Path, *, sync: bool = True) -> Iterator[IO[bytes]]:
    """Open a file that takes the place of a path when the block ends without an error (:class:`NewFile`)."""
    new = NewFile(path, sync=sync)
    try:
        yield new.stream
    except BaseException as error:
        new.drop(error)
        raise
    new.keep()


def write_bytes(path: Path, content: bytes, *, sync: bool = True) -> None:
    """Write a file in one step: a reader sees the old content or the new, and so does everyone after a power cut."""
    with replacing(path, sync=sync) as stream:
        stream.write(content)


def write_text(path: Path, text: str, *, sync: bool = True) -> None:
    """Write UTF-8 text as :func:`write_bytes` does, without changing its line ends."""
    write_bytes(path, text.encode("utf-8"), sync=sync)


def write_named(path: Path, text: str) -> None:
    """Write UTF-8 text to what a user named: a link is followed, and a device or pipe is written into, not replaced."""
    target = path.resolve() if path.is_symlink() else path
    if target.exists() and not target.is_file():
        with target.open("w", encoding="utf-8") as stream:
            stream.write(text)
        return
    write_text(target, text)


def write_json(path: Path, value: Any, *, sync: bool = True) -> None:
    """Write JSON readably, with sorted keys, as :func:`write_bytes` does."""
    text = json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"
    write_text(path, text, sync=sync)


def copy_file(source: Path, path: Path, *, sync: bool = True) -> None:
    """Copy a file as :func:`write_bytes` writes one."""
    with source.open("rb") as original, replacing(path, sync=sync) as stream:
        shutil.copyfileobj(original, stream, 1 << 20)


class NewFolder:
    """A folder that is filled under a name of its own and then takes the place of a path.

    What killed makers of such folders left beside it is removed first.

    Args:
        parent: The folder in which it is made.
        kind: The word that its unfinished name begins with.

    Attributes:
        path: The unfinished folder.

    Raises:
        OSError: The folder cannot be made.
    """

    def __init__(self, parent: Path, kind: str) -> None:
        _remove_leftover_folders(parent, kind)
        self.path = parent / f".{kind}-{os.getpid()}-{os.urandom(4).hex()}.partial"
        self.path.mkdir()
        self._number = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        _lock(self._number)

    def keep(self, final: Path) -> None:
        """Give the folder its name, after the disk has everything in it.

        Args:
            final: The name; an empty folder of that name is replaced.

        Raises:
            OSError: The disk refuses, or there is something of that name; the unfinished folder stays.
        """
        sync_folder(self.path)
        self.path.rename(final)
        sync_names(final.parent)
        self._close()

    def drop(self) -> None:
        """Remove the folder with all that is in it."""
        shutil.rmtree(self.path, ignore_errors=True)
        self._close()

    def __enter__(self) -> Path:
        return self.path

    def __exit__(self, *_: object) -> None:
        self.drop()

    def _close(self) -> None:
        if self._number >= 0:
            os.close(self._number)
            self._number = -1


def remove_leftovers(folder: Path, names: Collection[str]) -> list[Path]:
    """Remove what killed writers of some files left in a folder, and return it; links and folders are never touched.

    Args:
        folder: The folder; it need not be there.
        names: The names of the files.

    Raises:
        OSError: A leftover cannot be removed.
    """
    shortened = {_short(name) for name in names}
    removed = []
    for path, name, pid in _unfinished(folder, _FILE):
        if name in shortened and path.is_file() and not path.is_symlink() and _abandoned(path, pid):
            path.unlink(missing_ok=True)
            removed.append(path)
    return removed


def _remove_leftover_folders(parent: Path, kind: str) -> None:
    for path, name, pid in _unfinished(parent, _FOLDER):
        # in a folder for everybody's temporary files, those of others stay
        ours = path.is_dir() and not path.is_symlink() and path.lstat().st_uid == os.geteuid()
        if name == kind and ours and _abandoned(path, pid):
            # another process that begins just now may be removing it too, and then removes the rest
            with contextlib.suppress(FileNotFoundError):
                shutil.rmtree(path)


def sync_folder(folder: Path) -> None:
    """Wait until the disk has a folder: its files and folders, their names, and its own name in its parent.

    Raises:
        OSError: The disk refuses.
    """
    below = sorted(folder.rglob("*"))
    for path in below:
        if path.is_file():
            _sync(path)
    for each in (*(path for path in below if path.is_dir()), folder, folder.parent):
        sync_names(each)


def sync_names(folder: Path) -> None:
    """Wait until the disk has a folder's list of names, without what they stand for.

    Raises:
        OSError: The disk refuses.
    """
    try:
        _sync(folder)
    except OSError as error:
        if error.errno not in _NO_SYNC:
            raise


def _sync(path: Path) -> None:
    number = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def _short(name: str) -> str:
    """Return a file's name, or a part of a long one with its hash, so that a partial file's name is not too long."""
    data = os.fsencode(name)
    # a name that no file can have keeps its length, so that the error is about that name
    if not LONGEST_NAME < len(data) <= MOST_BYTES:
        return name
    return os.fsdecode(data[: LONGEST_NAME - 20]) + "-" + hashlib.sha256(data).hexdigest()[:16]


def _lock(number: int) -> None:
    # where a file system has no locks, the process id alone says that the writer is alive
    with contextlib.suppress(OSError):
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _unfinished(folder: Path, pattern: re.Pattern[str]) -> list[tuple[Path, str, int]]:
    """Return (path, name, process id) of the unfinished files or folders in a folder."""
    try:
        names = sorted(os.listdir(folder))  # noqa: PTH208 - a folder may have thousands of files, and few are ours
    except (FileNotFoundError, NotADirectoryError):
        return []
    found = ((name, pattern.fullmatch(name)) for name in names if name.endswith(".partial"))
    return [(folder / name, match["name"], int(match["pid"])) for name, match in found if match]


def _abandoned(path: Path, pid: int) -> bool:
    """Say whether the process that made an unfinished file or folder is gone."""
    try:
        number = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except (FileNotFoundError, PermissionError):
        # somebody removes it just now, or it is another user's, whose next run will
        return False
    try:
        if _is_alive(pid, os.fstat(number).st_mtime):
            return False
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno not in (errno.EWOULDBLOCK, errno.EACCES)
    finally:
        os.close(number)
    return True


def _is_alive(pid: int, since: float) -> bool:
    """Say whether a process is there that may have written something at a time (seconds since 1970).

    A process that ended and was not waited for is none; one that began later only has the same number, as the first
    process of a container has each time that it starts.
    """
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        # of another user
        pass
    try:
        state, *fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        up = float(Path("/proc/uptime").read_text().split()[0])
        started = time.time() - up + int(fields[18]) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError):
        # another operating system
        return True
    return state not in "ZX" and started <= since + SLACK
