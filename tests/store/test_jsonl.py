"""JSON lines of strangers: every fault has its file and row, half a file is never read as a whole one, and no line is
dropped."""

from __future__ import annotations

import gzip
import hashlib
import json
import math
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prm_eval.errors import DataError
from prm_eval.store import jsonl
from prm_eval.store.jsonl import Row, canonical_json, file_sha256, open_binary, parse_line, read_jsonl

MANY = settings(max_examples=100, deadline=None, derandomize=True)
PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**12), 10**12)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
SURROGATE_FREE = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


def write(folder: Path, content: bytes, name: str = "f.jsonl") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


FAULTS = [
    (b'{"a": 1', "not JSON"),
    (b'{"a": 1}}', "not JSON"),
    (b"{'a': 1}", "not JSON"),
    (b"nonsense", "not JSON"),
    (b"\x00", "not JSON"),
    (b"[" * 200_000, "not JSON"),
    (b"[1]", "a JSON list; expected a JSON object"),
    (b"1", "a JSON int"),
    (b'"text"', "a JSON str"),
    (b"null", "a JSON NoneType"),
    (b"true", "a JSON bool"),
    (b'{"a": "\xff"}', "not UTF-8"),
    (b'{"a": "\xc3"}', "not UTF-8"),
    (b'\xff\xfe{\x00}\x00"\x00', "not"),
]


@pytest.mark.parametrize("line, message", FAULTS, ids=[repr(line[:12]) for line, _ in FAULTS])
@pytest.mark.parametrize("ending", [b"", b"\n", b"\n\n"], ids=["torn", "ended", "followed"])
def test_a_faulty_line_names_file_and_row(tmp_path: Path, line: bytes, message: str, ending: bytes) -> None:
    """The third line is at fault, the blank second one counts; the two good rows before it come out first."""
    path = write(tmp_path, b'{"x": 1}\n\n' + line + ending)
    rows = read_jsonl(path)
    assert next(rows) == (1, {"x": 1})
    with pytest.raises(DataError, match=r"f\.jsonl, row 3") as caught:
        next(rows)
    assert message in str(caught.value)
    assert (caught.value.path, caught.value.row) == (str(path), 3)
    assert len(str(caught.value)) < 2_000, "a stranger's line must not fill the terminal"


def test_a_torn_last_line_is_a_fault_and_not_the_end(tmp_path: Path) -> None:
    """A file cut at any byte gives the whole rows before the cut, then an error, or ends where a row ends."""
    whole = b'{"a": 1, "t": "\xc3\xbc"}\n{"a": 2}\n'
    ends = {0: 0, whole.index(b"\n"): 1, whole.index(b"\n") + 1: 1, len(whole) - 1: 2, len(whole): 2}
    for cut in range(len(whole) + 1):
        path = write(tmp_path, whole[:cut])
        if cut in ends:
            assert len(list(read_jsonl(path))) == ends[cut]
        else:
            with pytest.raises(DataError, match=f"row {1 + (cut > whole.index(b'}'))}"):
                list(read_jsonl(path))


def test_blank_lines_count_and_are_no_rows(tmp_path: Path) -> None:
    """An editor shows the row that the error names."""
    path = write(tmp_path, b'\n  \n{"a": 1}\r\n\t\n{"a": 2}')
    assert [(row, value["a"]) for row, value in read_jsonl(path)] == [(3, 1), (5, 2)]


def test_a_line_is_bounded(tmp_path: Path, monkeypatch) -> None:
    """One line of gigabytes is a mistake, and is refused before it is parsed."""
    monkeypatch.setattr(jsonl, "MAX_LINE_BYTES", 20)
    assert parse_line(tmp_path, 1, b'{"a": "12345"}') == {"a": "12345"}
    with pytest.raises(DataError, match="a line of over 20 bytes"):
        parse_line(tmp_path, 1, b"{" + b" " * 19 + b"}")


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_a_line_that_is_too_long_is_never_in_memory(tmp_path: Path, monkeypatch, pack) -> None:
    """Ten megabytes of gzip are ten gigabytes of spaces: only the beginning of such a line is held, and the next line
    is the next row."""
    monkeypatch.setattr(jsonl, "MAX_LINE_BYTES", 20)
    path = write(tmp_path, pack(b'{"a": 1}\n' + b"{" + b" " * 1_000 + b'}\n{"a": 2}\n' + b"x" * 21))
    assert [len(line) for line in jsonl.lines_of(path)] == [9, 21, 9, 21]
    rows = read_jsonl(path)
    assert next(rows) == (1, {"a": 1})
    with pytest.raises(DataError, match="row 2: found a line of over 20 bytes"):
        next(rows)
    with jsonl.open_binary(path) as stream:
        assert [size for _, size in jsonl.bounded_lines(stream)] == [9, 1_003, 9, 21]


@pytest.mark.parametrize("data", [b"\x1f\x8b", gzip.compress(b'{"a": 1}\n' * 99, mtime=0)[:-20], b"\x1f\x8bno gzip"])
def test_damaged_gzip_data_is_said(tmp_path: Path, data: bytes) -> None:
    """A download that was cut off is no fault of the program."""
    with pytest.raises(DataError, match="gzip data that is damaged"):
        list(read_jsonl(write(tmp_path, data)))


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.lists(st.dictionaries(SURROGATE_FREE, PLAIN, max_size=3), max_size=5))
def test_what_is_written_is_read(tmp_path_factory, rows: list[dict]) -> None:
    """Any objects, one a line, plain and compressed: the same rows in the same order."""
    folder = tmp_path_factory.mktemp("rows")
    content = "".join(json.dumps(row) + "\n" for row in rows).encode()
    for path in (write(folder, content), write(folder, gzip.compress(content), "f.jsonl.gz")):
        assert [row for _, row in read_jsonl(path)] == rows


@pytest.mark.parametrize("make, found", [(lambda path: None, "no such file"), (Path.mkdir, "a folder")])
def test_what_is_no_file(tmp_path: Path, make, found: str) -> None:
    """A name that is not there and one that is a folder are told apart."""
    make(tmp_path / "x.jsonl")
    with pytest.raises(DataError, match=f"found {found}; expected a JSON-lines file"):
        open_binary(tmp_path / "x.jsonl")


# -- one spelling for hashes


@MANY
@given(st.dictionaries(SURROGATE_FREE, st.integers() | SURROGATE_FREE, max_size=5))
def test_one_value_has_one_spelling(value: dict) -> None:
    """The order in which fields were set does not reach a content hash; the line reads back as the value."""
    spelt = canonical_json(value)
    assert spelt == canonical_json(dict(reversed(value.items())))
    assert json.loads(spelt) == value
    assert spelt.endswith(b"\n")
    assert b"\n" not in spelt[:-1]


@pytest.mark.parametrize(
    "value, spelling",
    [
        ({"b": 1, "a": [1, 2]}, b'{"a":[1,2],"b":1}\n'),
        ({"é": "ü"}, '{"é":"ü"}\n'.encode()),
        ({"a": None, "b": True}, b'{"a":null,"b":true}\n'),
        ({"a": 0.1}, b'{"a":0.1}\n'),
        ({"a": "\n\u2028"}, '{"a":"\\n\u2028"}\n'.encode()),
    ],
)
def test_the_spelling_is_pinned(value: dict, spelling: bytes) -> None:
    """Content hashes in results/ are over these bytes: another spelling would make every pool another pool."""
    assert canonical_json(value) == spelling


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_no_hash_over_what_json_cannot_say(value: float) -> None:
    """NaN has spellings that other readers refuse: it never enters a hash."""
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical_json({"a": value})


@pytest.mark.parametrize("size", [0, 1, (1 << 20) - 1, 1 << 20, (1 << 20) + 1])
def test_the_hash_of_a_file_is_of_all_its_bytes(tmp_path: Path, size: int) -> None:
    """Files are hashed block by block: the block's edge must not swallow a byte."""
    content = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    assert file_sha256(write(tmp_path, content)) == hashlib.sha256(content).hexdigest()


# -- fields of a row


@pytest.mark.parametrize(
    "value, text",
    [
        ("a", "a"),
        ("", ""),
        (3, "3"),
        (-0.5, "-0.5"),
        (10**20, str(10**20)),
        (1e300, "1e+300"),
        ("\u00fc\U0001f600", "ü😀"),
    ],
)
def test_a_text_or_a_number_is_text(tmp_path: Path, value, text: str) -> None:
    """Answers of some files are numbers; they are spelt out as Python does."""
    row = Row(tmp_path, 1, {"answer": value})
    assert row.text("answer") == row.required_text("answer") == text


@pytest.mark.parametrize("value, kind", [(True, "bool"), ([1], "list"), ({"a": 1}, "dict")])
def test_what_is_no_text(tmp_path: Path, value, kind: str) -> None:
    """True is not the text "True": such a field is a fault, with its type."""
    with pytest.raises(DataError, match=f"row 7: found the gold of type {kind}; expected text"):
        Row(tmp_path / "f", 7, {"answer": value}).text("answer", label="the gold")


def test_half_a_surrogate_pair_is_a_fault(tmp_path: Path) -> None:
    r"""JSON can say "\ud800", UTF-8 cannot: it would fail at writing, hours later, without its row."""
    with pytest.raises(DataError, match="row 2: found half a surrogate pair"):
        Row(tmp_path, 2, json.loads('{"answer": "a\\ud800"}')).text("answer")


def test_the_first_field_that_is_there_counts(tmp_path: Path) -> None:
    """Files name one thing in several ways; null is as good as absent, and an empty text is there."""
    row = Row(tmp_path, 1, {"gold": None, "answer": "", "target": "x"})
    assert row.text("gold", "answer", "target") == ""
    assert row.text("gold", "target") == "x"
    assert row.text("gold", "nothing") is None
    assert row.text("t", where={"t": 5}) == "5"


@pytest.mark.parametrize(
    "fields, message",
    [
        ({"b": 1, "a": 2}, r"no field problem or question \(fields: a, b\); expected one of them"),
        ({}, r"no field problem or question \(fields: nothing\)"),
        ({"problem": None}, "problem = null; expected a text"),
    ],
)
def test_a_required_field_lists_what_is_there(tmp_path: Path, fields: dict, message: str) -> None:
    """A misspelt name is seen at once beside the names that are there."""
    with pytest.raises(DataError, match=message):
        Row(tmp_path, 1, fields).required_text("problem", "question")


def test_a_fault_may_say_what_to_do(tmp_path: Path) -> None:
    """The hint stands at the end of the message."""
    error = Row(tmp_path / "f", 3, {}).fault("x", "y", "Do z.")
    assert str(error) == f"{tmp_path / 'f'}, row 3: found x; expected y. Do z."
