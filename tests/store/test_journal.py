"""Journals: what a killed process leaves is what it had written, and nothing else is ever taken for a record."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prm_eval.errors import DataError, PrmEvalError
from prm_eval.store.journal import (
    Journal,
    read_journal,
    remove_unless_open,
    seal,
    unseal,
    unseal_or_plain,
)
from prm_eval.store.writing import sync_folder

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda each: st.lists(each, max_size=3) | st.dictionaries(st.text(), each, max_size=3),
    max_leaves=8,
)
RECORDS = st.dictionaries(st.text(), VALUES, max_size=4)


def make(path, records=(), **options) -> Journal:
    journal = Journal(path, {"what": "a test"}, busy="busy", **options)
    journal.append(records)
    return journal


@given(RECORDS)
def test_a_record_comes_back_as_it_was(record) -> None:
    """Any JSON, half surrogate pairs and line separators too, is one line and reads back the same."""
    line = seal(record)
    assert line.count(b"\n") == 1
    assert unseal(line) == record


@given(RECORDS, st.data())
def test_a_changed_or_cut_line_is_no_record(record, data) -> None:
    """One changed byte, or a line cut off anywhere, is never read as a record."""
    line = seal(record)
    at = data.draw(st.integers(0, len(line) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda b: b != line[at]))
    assert unseal(line[:at] + bytes([byte]) + line[at + 1 :]) is None
    assert unseal(line[:at]) is None


def test_every_cut_leaves_the_whole_lines_before_it(tmp_path) -> None:
    """A file cut at any byte (a kill, a power cut) keeps exactly its whole lines, and can be added to."""
    records = [{"n": k, "t": "x" * k} for k in range(4)]
    make(tmp_path / "whole", records).close()
    data = (tmp_path / "whole").read_bytes()
    ends = [k + 1 for k, byte in enumerate(data) if byte == 10]
    for cut in range(len(data) + 1):
        path = tmp_path / "cut"
        path.write_bytes(data[:cut])
        whole = max(sum(end <= cut for end in ends) - 1, 0)
        assert len([row for row, _ in read_journal(path) if row > 1]) == whole
        with make(path, [{"new": True}]) as journal:
            assert [fields for _, fields in journal.records()] == [*records[:whole], {"new": True}]
            assert (journal.count, journal.header) == (whole + 1, {"what": "a test"})


@pytest.mark.parametrize("damage", [b"0" * 20 + b"\n", b"\x00" * 30 + b"\n", b'12345678 {"n":1}\n', b"\n"])
def test_a_damaged_line_in_the_middle_is_an_error_with_its_place(tmp_path, damage) -> None:
    """It is no interrupted write: someone or something changed the file, and nobody may go on without knowing."""
    make(tmp_path / "j", [{"n": 1}]).close()
    with (tmp_path / "j").open("ab") as file:
        file.write(damage + seal({"n": 2}))
    for read in (lambda path: list(read_journal(path)), make):
        with pytest.raises(DataError, match=r"row 3: found a damaged line with others behind it.*sed -i 3d"):
            read(tmp_path / "j")


def test_a_damaged_last_line_is_dropped(tmp_path) -> None:
    """Zeros where the last block was (a power cut), even with a newline behind them."""
    make(tmp_path / "j", [{"n": 1}]).close()
    with (tmp_path / "j").open("ab") as file:
        file.write(b"\x00" * 100 + b"\n")
    with make(tmp_path / "j") as journal:
        assert [fields for _, fields in journal.records()] == [{"n": 1}]


def test_keep_and_restart(tmp_path) -> None:
    """What is cut off is gone from the file, and what is added afterwards comes behind what stayed."""
    with make(tmp_path / "j", [{"n": k} for k in range(5)]) as journal:
        journal.keep(9)
        journal.keep(2)
        journal.append([{"n": 9}])
        assert [fields["n"] for _, fields in journal.records()] == [0, 1, 9]
        journal.restart({"other": 1})
        assert (journal.count, list(journal.records())) == (0, [])
    assert list(read_journal(tmp_path / "j")) == [(1, {"other": 1})]


def test_a_full_disk_leaves_no_half_line(tmp_path, monkeypatch) -> None:
    """ENOSPC in the middle of a write: the caller hears of it, and the file ends with the last whole record."""
    journal = make(tmp_path / "j", [{"n": 1}])
    real, calls = os.write, []

    def full(number, data):
        calls.append(len(data))
        if len(calls) > 1:
            raise OSError(28, "No space left on device")
        return real(number, bytes(data)[:7])

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match="No space left"):
        journal.append([{"n": 2}])
    monkeypatch.undo()
    assert [fields for _, fields in journal.records()] == [{"n": 1}]
    journal.append([{"n": 3}])
    assert [fields["n"] for _, fields in journal.records()] == [1, 3]


HOLD = """
import fcntl, sys, time
from pathlib import Path
from prm_eval.store.journal import Journal
Journal(Path(sys.argv[1]), {}, busy="", lock=getattr(fcntl, sys.argv[2]))
print("open", flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("kind", ["flock", "lockf"])
def test_two_processes_never_write_one_journal(tmp_path, kind) -> None:
    """A second writer is told; a reader reads; when the first one is killed its lock is gone."""
    path = tmp_path / "j"
    other = subprocess.Popen([sys.executable, "-c", HOLD, str(path), kind], stdout=subprocess.PIPE)
    try:
        assert other.stdout.readline() == b"open\n"
        with pytest.raises(PrmEvalError, match="busy"):
            make(path, lock=getattr(fcntl, kind))
        assert list(read_journal(path)) == [(1, {})]
        if kind == "lockf":
            assert not remove_unless_open(path)
    finally:
        other.kill()
        other.communicate()
    make(path, [{"n": 1}], lock=getattr(fcntl, kind)).close()
    assert remove_unless_open(path)
    assert remove_unless_open(path)  # gone already
    assert not path.exists()


def test_reading_its_own_file_does_not_end_the_lock(tmp_path) -> None:
    """A POSIX lock ends when its process closes any descriptor of the file; records() must not."""
    journal = make(tmp_path / "j", [{"n": 1}], lock=fcntl.lockf)
    assert len(list(journal.records())) == 1
    probe = f"import fcntl,os; fcntl.lockf(os.open({str(tmp_path / 'j')!r}, os.O_RDWR), fcntl.LOCK_EX | fcntl.LOCK_NB)"
    assert subprocess.run([sys.executable, "-c", probe], check=False, stderr=subprocess.DEVNULL).returncode == 1
    journal.close()


def test_lines_of_older_versions_are_read_where_they_may_be() -> None:
    """Partial files of rewards had plain JSON lines; a journal of candidates never had, and takes none."""
    assert unseal_or_plain(b'{"n":1}\n') == {"n": 1}
    assert unseal_or_plain(seal({"n": 1})) == {"n": 1}
    assert unseal(b'{"n":1}\n') is None
    for line in (b'{"n":1}', b'{"n":\n', b"[1]\n", b"{" * 100_000 + b"\n"):
        assert unseal_or_plain(line) is None


def test_a_folder_is_synced_with_what_it_holds(tmp_path, monkeypatch) -> None:
    """Files, the folder, and its name in the folder above: else a power cut can leave the name without the content."""
    folder = tmp_path / "pool"
    (folder / "rewards").mkdir(parents=True)
    for name in ("a", "rewards/b"):
        (folder / name).write_text("x")
    seen: list[str] = []
    monkeypatch.setattr(os, "fsync", lambda number: seen.append(str(Path(f"/proc/self/fd/{number}").readlink())))
    sync_folder(folder)
    assert set(seen) >= {str(folder / "a"), str(folder / "rewards/b"), str(folder), str(tmp_path)}
