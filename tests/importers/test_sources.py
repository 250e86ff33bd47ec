"""What a user may name, and in which shapes bytes come: lines, arrays, pretty objects, Parquet, gzip, the hub."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from prm_eval.errors import DataError, PrmEvalError
from prm_eval.importers import import_pool, json_values
from prm_eval.importers.json_values import read_values
from prm_eval.importers.sources import natural, open_source
from tests.conftest import PLAIN, write_jsonl


def encoded(shape: str) -> bytes:
    rows = PLAIN
    if shape == "lines":
        return "".join(json.dumps(row) + "\n" for row in rows).encode()
    if shape == "array":
        return json.dumps(rows).encode()
    if shape == "pretty array":
        return b"\xef\xbb\xbf" + json.dumps(rows, indent=2).encode()
    if shape == "pretty objects":
        return "\n".join(json.dumps(row, indent=2) for row in rows).encode()
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist([{**row, "level": str(row["level"])} for row in rows]), sink)
    return sink.getvalue().to_pybytes()


@pytest.mark.parametrize("shape", ["lines", "array", "pretty array", "pretty objects", "parquet"])
@pytest.mark.parametrize("packed", [False, True])
def test_one_pool_whatever_the_shape(tmp_path: Path, shape: str, packed: bool) -> None:
    """The same rows are the same pool, by any name; gzip is told by its bytes."""
    if packed and shape == "parquet":
        pytest.skip("Parquet is compressed in itself")
    expected = import_pool(write_jsonl(tmp_path / "x", PLAIN), tmp_path / "expected").pool.info.content_hash
    (tmp_path / "rows.txt").write_bytes(gzip.compress(encoded(shape)) if packed else encoded(shape))
    assert import_pool(tmp_path / "rows.txt", tmp_path / "pool").pool.info.content_hash == expected


@pytest.mark.parametrize(
    "data, message",
    [
        (
            '{"problem": 1}'.encode("utf-16"),
            "found UTF-16 text; expected JSON lines, a JSON array or Parquet, in UTF-8",
        ),
        (b"\x28\xb5\x2f\xfd rest", "found zstd data"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:1", "a pointer of Git LFS, not the file"),
        (b"<!DOCTYPE html>\n<html>", "found a page of HTML"),
        (b"PAR1 rest", "row 1: found Parquet that cannot be read"),
        (gzip.compress(b'{"problem": "p"}' * 99, mtime=0)[:-12], "found gzip data that is damaged"),
        (b"\x1f\x8b", "found gzip data that is damaged"),
        (gzip.compress(b'{"problem": "p"}', mtime=0)[:10], "found gzip data that is damaged"),
        (b"\x1f\x8bno gzip at all", "found gzip data that is damaged"),
        (b"", "an empty file"),
        (b" \n\n", "an empty file"),
        (b"hello", "a line that is not JSON"),
        (b'{"problem": "p",\n', "a line that is not JSON"),
        (b"[1]", "row 1: found a JSON int; expected a JSON object"),
        (b'[{"samples": []}, {]', "row 2: found text that is not JSON"),
        (b'{"answer": 1' + b"0" * 5000 + b"}", "a number of more than 4,300 digits: write it as text"),
        (b'{"problem": "p", "samples": [], "samples": [1]}', "the field 'samples' twice; expected each field once"),
        (b'[{"problem": "p", "samples": [], "samples": [1]}]', "the field 'samples' twice; expected each field once"),
    ],
    ids=range(18),
)
def test_bytes_that_are_no_rows(tmp_path: Path, data: bytes, message: str) -> None:
    """What cannot be read says what it is and what to do, without a traceback."""
    (tmp_path / "s").write_bytes(data)
    with pytest.raises(DataError) as caught:
        import_pool(tmp_path / "s", tmp_path / "pool")
    assert message in str(caught.value)


@pytest.mark.parametrize("chunk", [1, 2, 3, 7, 64])
def test_values_do_not_depend_on_where_reading_stops(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    """A file is read in blocks: a number, a text or a letter of several bytes may be cut by one."""
    monkeypatch.setattr(json_values, "_CHUNK", chunk)
    values = [{"a": 123456, "b": "ü" * 20}, {}, {"c": [1.5e3, None]}, {"d": 'x\\"y'}]
    for text in (
        json.dumps(values),
        json.dumps(values, indent=3, ensure_ascii=False),
        "\n".join(map(json.dumps, values)),
    ):
        (tmp_path / "v").write_text(text + "\n", encoding="utf-8")
        assert list(read_values(tmp_path / "v")) == list(enumerate(values, 1))


@pytest.mark.parametrize("text", ["[{}", "[{} {}]", "[{},", '[{"a": }]', "[{}] x", "[{}]]"])
def test_arrays_that_are_torn(tmp_path: Path, text: str) -> None:
    """An array that was cut off is a fault, not a shorter array."""
    (tmp_path / "v").write_text(text)
    with pytest.raises(DataError):
        list(read_values(tmp_path / "v"))


def test_folders_globs_and_lists(tmp_path: Path) -> None:
    """Folders are searched to the bottom, globs expanded, lists joined; order is natural, and rows keep their file."""
    for n, row in ((10, PLAIN[1]), (9, PLAIN[0])):
        (tmp_path / f"d/{n}").mkdir(parents=True)
        write_jsonl(tmp_path / f"d/{n}/part.jsonl", [row])
    (tmp_path / "d/.hidden.jsonl").write_text("x")
    (tmp_path / "d/notes.txt").write_text("x")
    named = [tmp_path / "d/9/part.jsonl", tmp_path / "d/10/part.jsonl"]
    hashes = {
        tuple(import_pool(each, None, parent=tmp_path / "pools").pool.problems): each
        for each in (tmp_path / "d", str(tmp_path / "d/*/part.jsonl"), named)
    }
    assert list(hashes) == [("a", "b")]
    write_jsonl(tmp_path / "d/11.jsonl", [PLAIN[0]])
    with pytest.raises(DataError, match=r"problem id 'a' again \(first in .*part\.jsonl, row 1\)"):
        import_pool(tmp_path / "d", tmp_path / "pool")


@pytest.mark.parametrize("name, message", [("none.jsonl", "no such file"), ("x*", "no file of this pattern")])
def test_nothing_there(tmp_path: Path, name: str, message: str) -> None:
    """A name that is nothing is told as such, before anything is written."""
    with pytest.raises(DataError, match=message):
        import_pool(tmp_path / name, tmp_path / "pool")


def test_an_empty_folder_and_no_name(tmp_path: Path) -> None:
    """A folder with nothing in it to import, and nothing at all."""
    with pytest.raises(DataError, match="a folder without a file to import"):
        import_pool(tmp_path, tmp_path / "pool")
    with pytest.raises(PrmEvalError, match="no file named"):
        import_pool([], tmp_path / "pool")


def test_a_hub_dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """hf:// rows come through the library datasets, with config, split and revision; a missing split is asked for."""
    import datasets

    asked = []

    def load(*args: object, **options: object) -> object:
        asked.append((*args, options))
        rows = datasets.Dataset.from_list([{**row, "level": str(row["level"])} for row in PLAIN])
        return rows if options["split"] else datasets.DatasetDict({"train": rows, "test": rows})

    monkeypatch.setattr(datasets, "load_dataset", load)
    report = import_pool("hf://own/pool:default:test@branch", tmp_path / "pool")
    assert asked == [("own/pool", "default", {"split": "test", "revision": "branch"})]
    assert list(report.pool.problems) == ["a", "b"]
    assert report.pool.info.source["revision"] == "branch"
    with pytest.raises(PrmEvalError, match=r"has the splits train, test; name one: hf://own/pool::SPLIT"):
        import_pool("hf://own/pool", tmp_path / "other")


@pytest.mark.parametrize("names", ["hf://", "hf://a:b:c:d", ["hf://a/b", "x.jsonl"]])
def test_names_that_are_no_dataset(names: object) -> None:
    """A malformed name is refused before the network is asked."""
    with pytest.raises(PrmEvalError):
        open_source(names)  # type: ignore[arg-type]


def test_natural_order() -> None:
    """rs10 comes after rs9: slots are in the order of sampling."""
    names = [Path(f"output-rs{n}.jsonl") for n in (10, 9, 100, 1)]
    assert [path.stem[9:] for path in sorted(names, key=natural)] == ["1", "9", "10", "100"]
