"""What the operating system refuses, and what strangers write. If this were wrong, a full disk would be a traceback of
forty lines, and a pool from the internet could clear the screen or forge what stands on it."""

from __future__ import annotations

import ast
import errno
import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from prm_eval.cli.commands import main
from prm_eval.cli.printing import in_words, say
from prm_eval.store.rules import harmless
from tests.conftest import ROOT

pytestmark = pytest.mark.measured  # what the commands refuse, rooms with a floor decide


def edit(path: Path, **changes: object) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def refused(arguments: list[str], capsys) -> str:
    """Return the one line that a command prints to standard error; its status is 1."""
    capsys.readouterr()
    assert main(arguments) == 1
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1, lines
    assert lines[0].startswith("prm-eval: ")
    return lines[0]


COMMANDS = {
    "import": ["pool", "import", "plain.jsonl", "-o", "PLACE/new"],
    "grade": ["grade", "pool", "-o", "PLACE/new"],
    "score": ["score", "pool", "--reward-model", "arithmetic", "-o", "PLACE/new"],
    "page": ["evaluate", "pool", "--grades", "published", "--resamples", "50", "--html", "PLACE/new.html"],
    "register": ["pool", "register", "pool", "--id", "p", "-o", "PLACE"],
}


@pytest.fixture
def here(pool, tmp_path, monkeypatch, capsys) -> Path:
    monkeypatch.chdir(tmp_path)
    assert main(["grade", "pool"]) == 0
    capsys.readouterr()
    return tmp_path


@pytest.mark.parametrize("name", COMMANDS)
def test_a_long_name_is_a_line(here, capsys, name) -> None:
    """With the name, and what to do."""
    line = refused([each.replace("PLACE", "x" * 300) for each in COMMANDS[name]], capsys)
    assert "File name too long. Give a shorter name." in line
    assert "x" * 300 in line


@pytest.mark.parametrize("code", [errno.EROFS, errno.EACCES, errno.ENOSPC, errno.EDQUOT])
@pytest.mark.parametrize("name", COMMANDS)
def test_a_disk_that_refuses_to_make_a_file_is_a_line(here, capsys, monkeypatch, name, code) -> None:
    """A read-only or a full disk, for the first file of each command; and nothing is left."""
    there = set(here.rglob("*"))
    opened = os.open

    def refuse(path, flags, *arguments, **options):
        # the journal is there before the first file that a command makes
        if flags & os.O_CREAT and flags & os.O_EXCL:
            raise OSError(code, os.strerror(code), str(path))
        return opened(path, flags, *arguments, **options)

    monkeypatch.setattr(os, "open", refuse)
    line = refused(COMMANDS[name], capsys)
    assert os.strerror(code) in line
    assert "PLACE" in line
    # of an import, the unfinished folder is named: the finished one would not be there
    assert ".partial" not in line or name == "import"
    left = {path.name for path in set(here.rglob("*")) - there if path.is_file()}
    assert left <= {"rewards.partial.jsonl"}  # the journal, from which the next run goes on


LIMITED = """
import resource, signal, sys
from prm_eval.cli.commands import main

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), resource.RLIM_INFINITY))
sys.exit(main(sys.argv[2:]))
"""


def test_a_disk_that_is_full_in_the_middle_is_a_line(here) -> None:
    """Where writing itself fails, in the Parquet library or in ours: no traceback, no half file, and with more room the
    same command goes on."""
    rows = [
        {"problem": f"{k}?", "answer": "1", "samples": [{"text": f"{os.urandom(400).hex()} \\boxed{{1}}"}]}
        for k in range(100)
    ]
    (here / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    command = ["pool", "import", "rows.jsonl", "-o", "made"]
    # coverage would have no room for its own file
    environment = {k: v for k, v in os.environ.items() if not k.startswith("COV")} | {"PYTHONPATH": str(ROOT)}
    for limit in (2_000, 40_000, 100_000_000):
        call = [sys.executable, "-c", LIMITED, str(limit), *command]
        done = subprocess.run(call, env=environment, capture_output=True, text=True, check=False)
        if limit < 100_000_000:
            assert done.returncode == 1
            assert len(done.stderr.splitlines()) == 1, done.stderr
            assert "File too large. Free some space and run the same command again" in done.stderr
            assert not (here / "made").exists()
            assert not list(here.glob(".pool*"))
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("arguments", [["pool", "show", "pool"], ["plugins", "--json"]])
def test_output_that_nobody_takes(here, arguments) -> None:
    """A full device is an error in one line; a pipe that is closed early, as by `head`, is none."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    call = [sys.executable, "-m", "prm_eval.cli", *arguments]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(call, env=environment, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1), done.stderr
    assert "prm-eval: standard output: No space left on device" in done.stderr
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(call, env=environment, stdout=write, stderr=subprocess.PIPE, text=True, check=False)
    os.close(write)
    assert (done.returncode, done.stderr) == (0, "")


def test_too_little_memory_is_a_line(here, capsys, monkeypatch) -> None:
    """A MemoryError has no words of its own."""
    monkeypatch.setitem(main.__globals__["ACTIONS"], "pool show", lambda _: bytearray(1 << 62))
    assert "not enough memory" in refused(["pool", "show", "pool"], capsys)


@pytest.mark.parametrize(
    "error, words",
    [
        (OSError(errno.EIO, "Input/output error", "a/b"), "a/b: Input/output error"),
        (OSError("a library's own\n words"), "a library's own words"),
        (ConnectionError(), "ConnectionError"),
        (OSError(errno.ENOSPC, "No space left on device"), "No space left on device. Free some space and run the same"),
        (OSError("x" * 5_000), "x" * 1_000),
    ],
)
def test_errors_in_words(error, words) -> None:
    """Where, what and the next step, in one line of bounded length."""
    found = in_words(error)
    assert found.startswith(words)
    assert "\n" not in found
    assert len(found) <= 1_000


@pytest.mark.parametrize(
    "changes",
    [
        {"m": 10**9},
        {"m": 10**6},
        {"m": 10**30},
        {"m": 2**17 + 1},
        {"n_problems": 10**12},
        {"n_problems": 10**9, "m": 1},
        {"n_candidates": 10**12},
        {"n_candidates": -1},
        {"m": 5},
        {"m": 100_000},
        {"m": 3},
        {"n_problems": 3},
        {"n_candidates": 7},
    ],
)
def test_absurd_and_wrong_numbers_of_a_pool_are_a_line_at_once(here, capsys, changes) -> None:
    """Memory ran out, a minute passed, or 63,999,999,998,464 slots were missing: nobody may compute from what pool.json
    says and its files contradict."""
    edit(here / "pool" / "pool.json", **changes)
    line = refused(["evaluate", "pool", "--grades", "published", "--resamples", "50"], capsys)
    assert "found" in line
    assert "expected" in line


def test_a_pool_with_more_slots_than_candidates_is_one(tmp_path, plain_file, capsys) -> None:
    """Slots that no problem fills are no fault: they count as wrong."""
    assert main(["pool", "import", str(plain_file), "-o", str(tmp_path / "p"), "--slots", "9"]) == 0
    assert main(["evaluate", str(tmp_path / "p"), "--grades", "published", "--resamples", "50"]) == 0


EVIL = "\x1b[2Jname\x07\u202e\u200b\x9b1m\r\udc80"
SPELT = "\\x1b[2Jname\\x07\\u202e\\u200b\\x9b1m\\r\\udc80"


@pytest.mark.parametrize(
    "text, spelt",
    [
        (EVIL, SPELT),
        ("a\tb\nc", "a\tb\nc"),
        ("答案 é \U0001f600 \\x1b", "答案 é \U0001f600 \\x1b"),
        ("", ""),
        ("\x00\x7f\u2028\u2029\ufeff\u3164", "\\x00\\x7f\\u2028\\u2029\\ufeff\\u3164"),
    ],
)
def test_what_a_terminal_would_obey_is_spelt_out(text, spelt, capsys) -> None:
    """Other scripts, line breaks and tabs are shown as they are."""
    assert harmless(text) == spelt
    say(text, "and", 1)
    assert capsys.readouterr().out == f"{spelt} and 1\n"


def test_no_text_of_a_pool_reaches_the_terminal_as_it_is(here, capsys, caplog) -> None:
    """Names, ids, statements, fields, in results and in errors alike."""
    (here / "pool" / "pool.json").write_text(
        json.dumps(
            {
                **json.loads((here / "pool" / "pool.json").read_text()),
                "policy": {"id": EVIL, "name": EVIL},
                "problem_set": {**json.loads((here / "pool" / "pool.json").read_text())["problem_set"], "name": EVIL},
            }
        )
    )
    row = {"id": EVIL[:-1], "problem": EVIL[:-1], "answer": "1", EVIL[:-1]: 1, "samples": [{"text": EVIL[:-1]}]}
    (here / "evil.jsonl").write_text(json.dumps(row) + "\n")
    main(["pool", "show", "pool"])
    main(["evaluate", "pool", "--grades", "published", "--resamples", "50"])
    main(["pool", "import", "evil.jsonl", "-o", "evil"])
    main(["grade", "evil", "--compare", EVIL])
    main(["pool", "show", EVIL])
    main(["explain", "1", EVIL])
    found = capsys.readouterr()
    text = found.out + found.err
    assert "name" in text
    assert not {*text} & set("\x1b\x07\u202e\u200b\x9b\r\udc80")


def test_messages_of_libraries_are_spelt_out_too(capsys) -> None:
    """A warning that names a file or a model goes to the terminal by another way."""
    main(["explain", "1", "1"])
    assert logging.lastResort is not None
    record = logging.LogRecord("x", logging.WARNING, "x", 1, "found %s", (EVIL,), None)
    assert logging.lastResort.format(record) == f"found {SPELT}"


def test_a_terminal_of_another_encoding_is_no_error(here) -> None:
    """LANG=C in a container: a name in another script ended the command with an error of Python's."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "ascii"}
    edit(here / "pool" / "pool.json", policy={"id": "模型"})
    call = [sys.executable, "-m", "prm_eval.cli", "pool", "show", "pool"]
    done = subprocess.run(call, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, "\\u6a21\\u578b" in done.stdout) == (0, True), done.stderr


def test_every_command_prints_by_the_harmless_way() -> None:
    """One module with the plain print is enough for the next stranger."""
    for path in sorted((ROOT / "prm_eval" / "cli").glob("*.py")):
        tree = ast.parse(path.read_text())
        prints = any(isinstance(node, ast.Name) and node.id == "print" for node in ast.walk(tree))
        ours = "from prm_eval.cli.printing import say as print" in path.read_text()
        # these print what is ours: the documents' names, what we tell of an option
        assert not prints or ours or path.name in ("printing.py", "document.py", "types.py"), path
