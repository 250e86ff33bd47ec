"""Pools: nothing dropped, nothing reordered, nothing believed."""

from __future__ import annotations

import json
import shutil

import pyarrow.parquet as pq
import pytest

from prm_eval.errors import DataError, PrmEvalError
from prm_eval.pools.format import policy_name
from prm_eval.pools.pool import Pool
from prm_eval.pools.writer import PoolWriter
from prm_eval.records import Candidate, Problem


def write(folder, rows, **options):
    writer = PoolWriter(folder, **{"problem_set": {"name": "t"}, "policy": {"id": "p"}, **options})
    with writer:
        for problem, candidates in rows:
            writer.add(problem, candidates)
    return writer.pool


ROWS = [
    (
        Problem("x", "s", "1", "Algebra", 3),
        [Candidate("x", 0, "a\nb"), Candidate("x", 2, "ü \U0001f600", ("ü", "e"), 7, "stop")],
    ),
    (Problem("y", "t"), []),
    (Problem("z", "u", "2"), [Candidate("z", 1, "")]),
]


def test_what_is_written_is_read(tmp_path) -> None:
    """Text, given steps, missing slots and problems without any candidate survive; the order is kept."""
    pool = write(tmp_path / "p", ROWS, m=3)
    assert [(problem, candidates) for problem, candidates in pool] == ROWS
    assert (pool.info.m, pool.info.n_candidates, pool.info.n_missing) == (3, 3, 6)
    assert pool.verify() == []


def test_hash_is_over_content_not_bytes(tmp_path) -> None:
    """The same records in another folder have the same hash; any change of content changes it."""
    first = write(tmp_path / "a", ROWS, m=3).info.content_hash
    assert write(tmp_path / "b", ROWS, m=3).info.content_hash == first
    changed = [(ROWS[0][0], [Candidate("x", 0, "a\nB"), ROWS[0][1][1]]), *ROWS[1:]]
    assert write(tmp_path / "c", changed, m=3).info.content_hash != first
    assert write(tmp_path / "d", ROWS, m=4).info.content_hash != first
    assert write(tmp_path / "e", ROWS[::-1], m=3).info.content_hash != first


def test_tampering_is_found(tmp_path) -> None:
    """A text changed behind pool.json's back is found by verify, by hash and by candidate id."""
    pool = write(tmp_path / "p", ROWS, m=3)
    table = pq.read_table(pool.candidates_path)
    texts = table.column("text").to_pylist()
    texts[0] = "other"
    pq.write_table(table.set_column(3, table.schema.field("text"), [texts]), pool.candidates_path)
    faults = "\n".join(Pool(pool.path).verify())
    assert "content hash" in faults
    assert "candidate id" in faults
    with pytest.raises(DataError, match=r"expected the content that pool\.json describes"):
        Pool(pool.path).require_sound()


def test_a_rewritten_file_with_the_same_content_is_sound(tmp_path) -> None:
    """Another Parquet writer changes the bytes, not the content: such a pool is as good as before."""
    pool = write(tmp_path / "p", ROWS, m=3)
    pq.write_table(pq.read_table(pool.candidates_path), pool.candidates_path, compression="gzip")
    assert Pool(pool.path).require_sound().verify() == []


def test_an_interrupted_write_leaves_nothing_half_done(tmp_path) -> None:
    """An exception while writing leaves no folder that looks like a pool."""
    with pytest.raises(RuntimeError), PoolWriter(tmp_path / "p", problem_set={}, policy={}) as writer:
        writer.add(*ROWS[0])
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda info: info.update(schema="other/9"), "schema 'other/9'; expected prm_eval.pool/1"),
        (lambda info: info.update(m="8"), "m = '8'; expected a whole number"),
        (lambda info: info.update(n_problems=0), "a pool that is not empty"),
        (lambda info: info.update(extra=1), "extra = an unknown key; expected one of problem_set, policy, m"),
        (lambda info: info.update(spliter=info.pop("splitter")), "spliter = an unknown key; expected splitter?"),
        (lambda info: info.update(files={"candidates.parquet": 7}), "files.'candidates.parquet' = 7; expected a text"),
        (lambda info: info.pop("content_hash"), "content_hash = nothing; expected a text"),
    ],
)
def test_malformed_pool_json(tmp_path, change, message) -> None:
    """Each fault of pool.json is named, with the file."""
    pool = write(tmp_path / "p", ROWS, m=3)
    file = pool.path / "pool.json"
    info = json.loads(file.read_text())
    change(info)
    file.write_text(json.dumps(info))
    with pytest.raises(DataError, match=r"pool\.json") as caught:
        Pool(pool.path)
    assert message in str(caught.value)


def test_missing_and_foreign_files(tmp_path) -> None:
    """No pool, no Parquet, a missing column: each says what was expected, none is a traceback of a library."""
    with pytest.raises(DataError, match=r"no pool\.json"):
        Pool(tmp_path)
    pool = write(tmp_path / "p", ROWS, m=3)
    write(tmp_path / "q", ROWS, m=3)
    (pool.path / "candidates.parquet").write_bytes(b"not parquet")
    with pytest.raises(DataError, match="not Parquet"):
        list(Pool(pool.path))
    damaged = bytearray((tmp_path / "q" / "candidates.parquet").read_bytes())
    damaged[20] ^= 0xFF
    (tmp_path / "q" / "candidates.parquet").write_bytes(damaged)
    with pytest.raises(DataError, match="cannot be read"):
        Pool(tmp_path / "q").verify()
    shutil.copy(pool.path / "problems.parquet", pool.path / "candidates.parquet")
    with pytest.raises(DataError, match="one column 'candidate_id'"):
        list(Pool(pool.path))


def test_writer_refuses_what_would_lose_or_mix(tmp_path) -> None:
    """Slots out of order or beyond M, a problem twice, an empty pool, a folder in use."""
    for rows, options, message in (
        ([(ROWS[0][0], ROWS[0][1][::-1])], {}, "rising slots"),
        ([ROWS[0]], {"m": 2}, "rising slots below 2"),
        ([ROWS[0], ROWS[0]], {}, "comes twice"),
        ([], {}, "an empty pool"),
    ):
        with pytest.raises(PrmEvalError, match=message):
            write(tmp_path / "p", rows, **options)
    write(tmp_path / "p", ROWS)
    with pytest.raises(PrmEvalError, match="not empty"):
        write(tmp_path / "p", ROWS)


@pytest.mark.parametrize(
    ("policy", "name"),
    [
        ({"id": "Qwen/Qwen2.5-Math-7B", "revision": "0" * 40}, "Qwen/Qwen2.5-Math-7B"),
        ({"name": "miniature-policy"}, "miniature-policy"),
        ({"id": "/home/me/models/mine/"}, "mine"),
        ({"id": "C:\\models\\mine"}, "mine"),
        ({"id": "./out/miniature-policy"}, "miniature-policy"),
        ({"id": None}, "an unnamed policy"),
        ({}, "an unnamed policy"),
    ],
)
def test_what_a_policy_is_called(policy, name) -> None:
    """A table that shows where a checkpoint lies on someone's disk differs between two machines, and tells what it
    should not."""
    assert policy_name(policy) == name


def test_the_same_call_again_keeps_the_pool_that_it_made(tmp_path) -> None:
    """A call that was killed at its very end is finished; another pool in that folder is refused as ever."""
    made = write(tmp_path / "p", ROWS, m=3)
    (made.path / "grades.parquet").touch()
    again = write(tmp_path / "p", ROWS, m=3, again=True)
    assert again.info.content_hash == made.info.content_hash
    assert (again.path / "grades.parquet").is_file()
    for rows, options in ((ROWS, {"policy": {"id": "else"}}), (ROWS, {"splitter": "blank_line"})):
        with pytest.raises(PrmEvalError, match="not empty"):
            write(tmp_path / "p", rows, **{"m": 3, "again": True, **options})
    for rows, m in ((ROWS[:1], 3), (ROWS, 4)):
        with pytest.raises(PrmEvalError, match="another pool of that source"):
            write(tmp_path / "p", rows, m=m, again=True)
    assert [each.name for each in tmp_path.iterdir()] == ["p"]


def test_a_folder_that_another_process_made_meanwhile(tmp_path) -> None:
    """Two imports at once into one folder: the second one says so, and leaves the first one's pool and no litter."""
    writer = PoolWriter(tmp_path / "p", problem_set={"name": "s"}, policy={"id": "x"})
    with pytest.raises(PrmEvalError, match="was made by another process meanwhile"), writer:
        writer.add(*ROWS[0])
        first = write(tmp_path / "p", ROWS)
    assert Pool(tmp_path / "p").info.content_hash == first.info.content_hash
    assert [each.name for each in tmp_path.iterdir()] == ["p"]


def test_numbers_that_the_files_contradict_are_found_without_reading_all(tmp_path) -> None:
    """The files' hashes say nothing of pool.json itself; slots that no candidate fills are in the content hash."""
    pool = write(tmp_path / "p", ROWS, m=3)
    spare = write(tmp_path / "q", ROWS, m=7)
    assert Pool(pool.path).require_sound()
    assert Pool(spare.path).require_sound()
    for changes in ({"m": 4}, {"n_problems": 2}, {"n_candidates": 1}):
        file = pool.path / "pool.json"
        before = file.read_text()
        file.write_text(json.dumps({**json.loads(before), **changes}))
        with pytest.raises(DataError, match=r"pool\.json says"):
            Pool(pool.path).require_sound()
        file.write_text(before)
