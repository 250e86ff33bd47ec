"""A stranger's JSON file: whatever is in it or in its place, reading ends soon, with a value or with a fault."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prm_eval.errors import DataError
from prm_eval.store.safe_json import MAX_BYTES, MAX_DEPTH, read_bytes, read_json


def write(folder: Path, content: bytes | str) -> Path:
    path = folder / "submission.json"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def nested(depth: int, opener: str = "[", closer: str = "]") -> str:
    return '{"a":' + opener * (depth - 1) + closer * (depth - 1) + "}"


REFUSED = [
    ("", "not JSON"),
    ("{", "not JSON"),
    ("{'a': 1}", "not JSON"),
    ('{"a": 1,}', "not JSON"),
    ('{"a": 01}', "not JSON"),
    ('{"a": 1} {"b": 2}', "not JSON"),
    ('// note\n{"a": 1}', "not JSON"),
    (b"\xef\xbb\xbf{}", "not"),
    (b'{"a": "\xff"}', "not UTF-8"),
    ('{"a": "\n"}', "not JSON"),
    ("[]", "a JSON list"),
    ('"text"', "a JSON str"),
    ("null", "a JSON NoneType"),
    ('{"a": NaN}', "the number NaN"),
    ('{"a": Infinity}', "the number Infinity"),
    ('{"a": [-Infinity]}', "the number -Infinity"),
    ('{"a": 1e999}', "the number 1e999, which is too large"),
    ('{"a": -1e999}', "the number -1e999, which is too large"),
    ('{"a": ' + "9" * 21 + "}", "a whole number of 21 digits"),
    ('{"a": 1, "a": 2}', "the key 'a' twice"),
    ('{"x": {"a": 1, "b": 2, "a": 1}}', "the key 'a' twice"),
    ('{"\\u0061": 1, "a": 2}', "the key 'a' twice"),
    (nested(MAX_DEPTH + 1), "nested 13 deep; expected at most 12"),
    (nested(MAX_DEPTH + 1, '{"a":', "}").replace(":}", ":1}"), "nested 13 deep"),
    ("[" * 100_000, "nested 100,000 deep"),
    ('{"a": "' + "x" * MAX_BYTES + '"}', f"expected at most {MAX_BYTES:,}"),
]


@pytest.mark.parametrize(
    "content, message", REFUSED, ids=[f"{at}-{message[:24]}" for at, (_, message) in enumerate(REFUSED)]
)
def test_what_is_not_plain_json_is_refused(tmp_path: Path, content: bytes | str, message: str) -> None:
    """What Python's reader lets pass, other readers take otherwise: NaN, a key twice (which one counts?), huge numbers."""
    with pytest.raises(DataError, match=r"submission\.json") as caught:
        read_json(write(tmp_path, content))
    assert message in str(caught.value)
    assert len(str(caught.value)) < 600 + len(str(tmp_path))
    assert caught.value.found.isascii(), "a stranger's characters would act on the terminal"


ACCEPTED = [
    "{}",
    ' {"a": 1}\n',
    '{"a": {"a": 1}}',
    '{"a": [{"b": 1}, {"b": 2}]}',
    '{"a": 1e308, "b": -0.0, "c": 12345678901234567890}',
    '{"a": "[[[[[[[[[[[[[[[[{{{{"}',
    r'{"a": "\"[[[[[[[[[[[[[[[[", "b": "\\"}',
    r'{"a": "\\\"{{{{{{{{{{{{{{{{{"}',
    '{"ü": "\U0001f600"}',
    nested(MAX_DEPTH),
]


@pytest.mark.parametrize("content", ACCEPTED, ids=range(len(ACCEPTED)))
def test_plain_json_is_read_as_it_is(tmp_path: Path, content: str) -> None:
    """Brackets in texts are no nesting, whatever is escaped before them; the limits themselves are allowed."""
    assert read_json(write(tmp_path, content)) == json.loads(content)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.text(alphabet='{}[]",:\\ a1eN', max_size=40) | st.binary(max_size=40))
def test_any_content_gives_a_value_or_a_fault(tmp_path_factory, content: str | bytes) -> None:
    """No content raises anything but a fault that names the file; what is read is what json reads."""
    path = write(tmp_path_factory.mktemp("any"), content)
    try:
        value = read_json(path)
    except DataError as error:
        assert error.path == str(path)
    else:
        assert value == json.loads(path.read_bytes())


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    """A submission's file that points elsewhere would show what lies there in an error message."""
    (tmp_path / "secret").write_text('{"secret": 1}')
    (tmp_path / "submission.json").symlink_to(tmp_path / "secret")
    with pytest.raises(DataError, match="no file that can be read"):
        read_json(tmp_path / "submission.json")


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    """Opening a named pipe without a writer waits forever; the checker must not."""
    os.mkfifo(tmp_path / "submission.json")
    started = time.monotonic()
    with pytest.raises(DataError, match="not a plain file"):
        read_json(tmp_path / "submission.json")
    assert time.monotonic() - started < 5


@pytest.mark.parametrize(
    "make, message", [(Path.mkdir, "not a plain file|can be read"), (lambda path: None, "can be read")]
)
def test_a_folder_or_nothing(tmp_path: Path, make, message: str) -> None:
    """Neither is a traceback of the operating system."""
    make(tmp_path / "submission.json")
    with pytest.raises(DataError, match=message):
        read_json(tmp_path / "submission.json")


def test_a_large_file_is_not_read_whole(tmp_path: Path) -> None:
    """A sparse file of a terabyte is refused by its first bytes, with its size."""
    path = tmp_path / "submission.json"
    with path.open("wb") as stream:
        stream.truncate(1 << 40)
    with pytest.raises(DataError, match=r"found 1,099,511,627,776 bytes; expected at most 100"):
        read_bytes(path, 100)


@pytest.mark.parametrize("size, fits", [(0, True), (99, True), (100, True), (101, False)])
def test_the_limit_itself_fits(tmp_path: Path, size: int, fits: bool) -> None:
    """At the limit and one byte beyond."""
    path = write(tmp_path, b"x" * size)
    if fits:
        assert read_bytes(path, 100) == b"x" * size
    else:
        with pytest.raises(DataError, match="found 101 bytes"):
            read_bytes(path, 100)
