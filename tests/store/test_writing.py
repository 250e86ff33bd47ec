"""The writer of files. If it were wrong, a kill, a full disk or a power cut would leave half a file under a good name,
a leftover that makes a submission invalid, or the file of a living process removed."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from prm_eval.store import writing
from prm_eval.store.writing import (
    NewFile,
    NewFolder,
    copy_file,
    remove_leftovers,
    replacing,
    sync_folder,
    write_bytes,
    write_json,
    write_text,
)


def gone() -> int:
    """Return the id of a process that is there no more."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


@pytest.fixture
def sleeper():
    process = subprocess.Popen(["sleep", "100"])
    yield process
    process.kill()
    process.wait()


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize(
    "write, content",
    [
        (lambda path: write_bytes(path, b"new\r\n\x00"), b"new\r\n\x00"),
        (lambda path: write_text(path, "ü\r\n"), "ü\r\n".encode()),
        (lambda path: write_json(path, {"b": 1, "a": "ü"}), '{\n  "a": "ü",\n  "b": 1\n}\n'.encode()),
        (lambda path: copy_file(path.with_name("old"), path), b"another"),
    ],
    ids=["bytes", "text", "json", "copy"],
)
def test_what_is_written_is_what_is_there(tmp_path, write, content) -> None:
    """Line ends are not translated, and nothing lies beside the file."""
    (tmp_path / "old").write_bytes(b"another")
    (tmp_path / "x").write_bytes(b"before")
    write(tmp_path / "x")
    assert (tmp_path / "x").read_bytes() == content
    assert names(tmp_path) == ["old", "x"]


def test_an_error_leaves_what_was_there(tmp_path) -> None:
    """Half of a new file would be taken for the whole of it; the buffered rest of it would fail a second time."""
    path = tmp_path / "x"
    path.write_bytes(b"before")
    with pytest.raises(RuntimeError, match="half-way"), replacing(path) as stream:
        stream.write(b"half")
        raise RuntimeError("half-way")
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(path, float("nan"))
    assert path.read_bytes() == b"before"
    assert names(tmp_path) == ["x"]


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_disk_that_refuses_is_an_error_with_the_files_name(tmp_path, monkeypatch, call) -> None:
    """ "No space left on device" alone says neither which disk nor which file."""

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    path = tmp_path / "x"
    path.write_bytes(b"before")
    monkeypatch.setattr(os, call, refuse)
    with pytest.raises(OSError, match="No space left") as caught:
        write_text(path, "new")
    assert caught.value.filename == str(path)
    assert path.read_bytes() == b"before"
    assert names(tmp_path) == ["x"]


def test_content_is_on_the_disk_before_its_name_is(tmp_path, monkeypatch) -> None:
    """After a power cut the name would stand for an empty file; a name that is not on the disk stands for nothing."""
    seen: list[str] = []
    sync, replace = os.fsync, os.replace
    here = lambda number: re.sub("-[0-9a-f]{8}", "-HEX", Path(f"/proc/self/fd/{number}").readlink().name)  # noqa: E731
    monkeypatch.setattr(os, "fsync", lambda number: (seen.append(f"sync {here(number)}"), sync(number)))
    monkeypatch.setattr(os, "replace", lambda a, b: (seen.append("rename"), replace(a, b)))
    write_text(tmp_path / "x", "new")
    assert seen == [f"sync .x.{os.getpid()}-HEX.partial", "rename", f"sync {tmp_path.name}"]


def test_a_folder_system_that_cannot_sync_is_no_error_and_a_full_one_is(tmp_path, monkeypatch) -> None:
    """Some network file systems refuse to sync folders; a disk that refuses for another reason must be heard."""
    sync = os.fsync

    def refusing(code: int):
        def refuse(number: int) -> None:
            if Path(f"/proc/self/fd/{number}").is_dir():
                raise OSError(code, os.strerror(code))
            sync(number)

        return refuse

    monkeypatch.setattr(os, "fsync", refusing(errno.EINVAL))
    write_text(tmp_path / "x", "new")
    sync_folder(tmp_path)
    monkeypatch.setattr(os, "fsync", refusing(errno.EIO))
    with pytest.raises(OSError, match="Input/output error"):
        write_text(tmp_path / "x", "newer")


@pytest.mark.parametrize("length", [200, 201, 230, 255])
def test_a_name_that_the_file_system_takes_can_be_written(tmp_path, length) -> None:
    """The unfinished file has a longer name than the file, and must not be what is refused; its leftover is found."""
    path = tmp_path / ("é" * (length // 2) + "x" * (length % 2))
    new = NewFile(path)
    (made,) = names(tmp_path)
    new.drop()
    (tmp_path / made.replace(str(os.getpid()), str(gone()))).touch()
    write_text(path, "new")
    assert names(tmp_path) == [path.name]


def test_a_name_that_is_too_long_is_named(tmp_path) -> None:
    """The error is about the name that the user gave."""
    path = tmp_path / ("x" * 256)
    with pytest.raises(OSError, match="File name too long") as caught:
        write_text(path, "new")
    assert caught.value.filename == str(path)


def test_leftovers_of_the_same_file_go_with_the_next_writer(tmp_path) -> None:
    """A hidden file of a killed process made a submission invalid for good; files of other names are not ours."""
    dead = gone()
    for name in (f".x.{dead}.partial", f".y.{dead}.partial", f".x.{dead}.part", f".x.{dead}a.partial", ".x.partial"):
        (tmp_path / name).touch()
    write_text(tmp_path / "x", "new")
    assert names(tmp_path) == [f".x.{dead}.part", f".x.{dead}a.partial", ".x.partial", f".y.{dead}.partial", "x"]
    assert remove_leftovers(tmp_path, ("y",)) == [tmp_path / f".y.{dead}.partial"]
    assert remove_leftovers(tmp_path / "no such folder", ("y",)) == []


def test_a_living_process_keeps_its_file(tmp_path, sleeper) -> None:
    """Two commands at once: the one that starts later must not take away what the other one is writing."""
    path = tmp_path / f".x.{sleeper.pid}.partial"
    path.touch()
    assert remove_leftovers(tmp_path, ("x",)) == []
    sleeper.kill()
    # it has ended, but nobody waited for it
    os.waitid(os.P_PID, sleeper.pid, os.WEXITED | os.WNOWAIT)
    assert remove_leftovers(tmp_path, ("x",)) == [path]


def test_a_number_that_was_given_again_is_another_process(tmp_path, sleeper) -> None:
    """In a container the first process is 1 each time: what the last one left would stay for ever."""
    path = tmp_path / f".x.{sleeper.pid}.partial"
    path.touch()
    os.utime(path, (1_000_000_000, 1_000_000_000))
    assert remove_leftovers(tmp_path, ("x",)) == [path]


@pytest.mark.parametrize("pid", [0, 2**31, 9_999_999_999])
def test_numbers_that_are_no_process(tmp_path, pid) -> None:
    """A number beyond all processes is an error of the system's call, and 0 is its caller's group."""
    path = tmp_path / f".x.{pid}.partial"
    path.touch()
    os.utime(path, (1_000_000_000, 1_000_000_000))
    assert remove_leftovers(tmp_path, ("x",)) == ([path] if pid else [])


def test_a_lock_says_that_a_writer_on_another_machine_is_alive(tmp_path) -> None:
    """Its process id means nothing here; a shared disk knows its lock."""
    path = tmp_path / f".x.{gone()}.partial"
    with path.open("wb") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        assert remove_leftovers(tmp_path, ("x",)) == []
    assert remove_leftovers(tmp_path, ("x",)) == [path]


def test_a_writer_holds_its_lock(tmp_path) -> None:
    """Else the rule above is about nobody."""
    new = NewFile(tmp_path / "x")
    (made,) = tmp_path.iterdir()
    with made.open("rb") as stream, pytest.raises(BlockingIOError):
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    new.drop()


def test_nothing_that_lies_there_is_written_through(tmp_path, monkeypatch) -> None:
    """In a folder of strangers' files a link of the name that a writer takes would have it write elsewhere."""
    (tmp_path / "precious").write_text("precious")
    monkeypatch.setattr(os, "urandom", lambda count: b"\0" * count)
    (tmp_path / f".x.{os.getpid()}-00000000.partial").symlink_to(tmp_path / "precious")
    with pytest.raises(FileExistsError) as caught:
        write_text(tmp_path / "x", "new")
    assert caught.value.filename == str(tmp_path / "x") and (tmp_path / "precious").read_text() == "precious"


def test_two_writers_of_one_process_do_not_meet(tmp_path) -> None:
    """Two threads that write the same file would mix their bytes; the last to be kept is what stands there."""
    first, second = NewFile(tmp_path / "x"), NewFile(tmp_path / "x")
    first.stream.write(b"first")
    second.stream.write(b"second")
    first.keep()
    assert (tmp_path / "x").read_bytes() == b"first"
    second.keep()
    assert (tmp_path / "x").read_bytes() == b"second" and names(tmp_path) == ["x"]


def test_a_leftover_that_another_process_removes_just_now_is_no_error(tmp_path, monkeypatch) -> None:
    """Two commands that begin at once: the second found the folder half gone, and failed."""
    left = tmp_path / f".pool-{gone()}-00000000.partial"
    (left / "a").mkdir(parents=True)
    remove = shutil.rmtree

    def meanwhile(path, *args, **kwargs):
        remove(path)
        remove(path, *args, **kwargs)

    monkeypatch.setattr(shutil, "rmtree", meanwhile)
    NewFolder(tmp_path, "pool").path.rmdir()
    assert names(tmp_path) == []


def test_links_and_folders_are_never_removed(tmp_path) -> None:
    """A stranger's folder may hold anything under such a name; the checker is who speaks of it."""
    dead = gone()
    (tmp_path / "mine").write_text("precious")
    (tmp_path / f".x.{dead}.partial").symlink_to(tmp_path / "mine")
    (tmp_path / f".y.{dead}.partial").mkdir()
    os.mkfifo(tmp_path / f".z.{dead}.partial")
    assert remove_leftovers(tmp_path, ("x", "y", "z")) == []


def test_a_folder_appears_whole(tmp_path, sleeper) -> None:
    """What a killed one left, which may be gigabytes, goes; that of a living process, links and other kinds stay."""
    dead = gone()
    (tmp_path / f".pool-{dead}-00000000.partial" / "rewards").mkdir(parents=True)
    (tmp_path / f".pool-{dead}-00000000.partial" / "rewards" / "x").touch()
    stay = [f".pool-{sleeper.pid}-00000000.partial", f".other-{dead}-00000000.partial", f".pool-{dead}-1.partial"]
    for name in stay:
        (tmp_path / name).mkdir()
    (tmp_path / "mine").mkdir()
    stay.append(f".pool-{dead}-11111111.partial")
    (tmp_path / stay[-1]).symlink_to(tmp_path / "mine")
    new = NewFolder(tmp_path, "pool")
    (new.path / "file").write_text("x")
    assert set(names(tmp_path)) == {*stay, "mine", new.path.name}
    new.keep(tmp_path / "final")
    new.drop()
    assert set(names(tmp_path)) == {*stay, "mine", "final"}
    assert names(tmp_path / "final") == ["file"]


def test_a_folder_is_not_put_over_another_one(tmp_path) -> None:
    """Two imports into one folder: the second is an error, and the first one's files stay."""
    (tmp_path / "final").mkdir()
    (tmp_path / "final" / "mine").touch()
    with NewFolder(tmp_path, "pool") as path:
        (path / "file").touch()
        new = NewFolder(tmp_path, "pool")
        (new.path / "file").touch()
        with pytest.raises(OSError, match="not empty"):
            new.keep(tmp_path / "final")
        new.drop()
    assert names(tmp_path) == ["final"]
    assert names(tmp_path / "final") == ["mine"]


KILLED = """
import os, signal, sys
from pathlib import Path
from prm_eval.store import writing
write = writing.NewFile(Path(sys.argv[1])).stream.write
write(b"half a file")
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_kill_9_in_the_middle_of_a_write(tmp_path) -> None:
    """The old content stays, and the next writer leaves nothing of the killed one."""
    (tmp_path / "x").write_text("before")
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path / "x")], check=False)
    assert done.returncode == -signal.SIGKILL
    assert (tmp_path / "x").read_text() == "before"
    assert len(names(tmp_path)) == 2
    write_text(tmp_path / "x", "after")
    assert names(tmp_path) == ["x"]


def test_another_operating_system_goes_by_the_process_id(tmp_path, sleeper, monkeypatch) -> None:
    """Without /proc nobody knows when a process began: one that is alive keeps its file."""
    monkeypatch.setattr(writing.Path, "read_text", lambda *_, **__: (_ for _ in ()).throw(FileNotFoundError()))
    path = tmp_path / f".x.{sleeper.pid}.partial"
    path.touch()
    os.utime(path, (1_000_000_000, 1_000_000_000))
    assert remove_leftovers(tmp_path, ("x",)) == []


def test_what_a_user_names_is_written_into(tmp_path: Path) -> None:
    """``--html /dev/full`` became a file in place of the device, and a link lost its target's content."""
    import os
    import threading

    from prm_eval.store.writing import write_named

    target, link = tmp_path / "target.html", tmp_path / "link.html"
    target.write_text("old")
    link.symlink_to(target)
    write_named(link, "new")
    assert link.is_symlink()
    assert target.read_text() == "new"
    pipe, read = tmp_path / "pipe", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: read.append(pipe.read_text()))
    reader.start()
    write_named(pipe, "page")
    reader.join(timeout=20)
    assert read == ["page"]
    assert pipe.is_fifo()
