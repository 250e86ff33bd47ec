"""Content hashes: two pools with one hash are one pool. A field that the hash forgets could be changed behind
everybody's back."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from prm_eval.errors import DataError, PrmEvalError
from prm_eval.pools import format as pool_format
from prm_eval.pools.format import (
    CANDIDATES,
    GRADES,
    PROBLEMS,
    PoolInfo,
    pool_hash,
    read_pool_info,
    software_versions,
)
from prm_eval.pools.pool import Pool, text_lengths
from prm_eval.pools.problem_sets import problems_hash
from prm_eval.pools.writer import PoolWriter
from prm_eval.records import Candidate, GradeRow, Problem
from prm_eval.store.writing import write_json

PROBLEM = Problem("p", "What is 1+1?", "2", "Algebra", 3)
CANDIDATE = Candidate("p", 0, "1+1 = 2", ("1+1", "= 2"), 7, "stop")
# another value for every field, of the kind it has
OTHER = {
    "problem_id": "q",
    "statement": "What is 1+2?",
    "gold": "3",
    "subject": "Geometry",
    "level": 4,
    "slot": 1,
    "text": "1+1 = 3",
    "steps": ("1+1 = 2",),
    "n_tokens": 8,
    "finish_reason": "length",
}


def write(folder: Path, rows, **options) -> Pool:
    writer = PoolWriter(folder, problem_set={"name": "t"}, policy={"id": "p"}, **options)
    with writer:
        for problem, candidates in rows:
            writer.add(problem, candidates)
    assert writer.pool is not None
    return writer.pool


def with_problem(problem: Problem):
    return [(problem, [dataclasses.replace(CANDIDATE, problem_id=problem.problem_id)])]


ALWAYS = ("problem_id", "statement", "slot", "text")


def changes(record: Problem | Candidate) -> list[tuple[str, object]]:
    """Every field with another value, and without one where it may be missing; a candidate's problem is changed with
    its problem."""
    names = [each.name for each in dataclasses.fields(record)]
    names = [name for name in names if not (isinstance(record, Candidate) and name == "problem_id")]
    return [(name, OTHER[name]) for name in names] + [(name, None) for name in names if name not in ALWAYS]


@pytest.mark.parametrize("field, value", changes(PROBLEM))
def test_every_field_of_a_problem_is_hashed(tmp_path: Path, field: str, value: object) -> None:
    """Another gold, level or letter of the statement: another pool. So is a field that is not there."""
    changed = dataclasses.replace(PROBLEM, **{field: value})
    one, other = write(tmp_path / "a", with_problem(PROBLEM)), write(tmp_path / "b", with_problem(changed))
    assert one.info.content_hash != other.info.content_hash
    assert problems_hash([PROBLEM]) != problems_hash([changed])
    assert one.info.problem_set["content_hash"] == problems_hash([PROBLEM])


@pytest.mark.parametrize("field, value", changes(CANDIDATE))
def test_every_field_of_a_candidate_is_hashed(tmp_path: Path, field: str, value: object) -> None:
    """Another slot, text, cut or number of tokens: another pool; given steps are part of what was sampled."""
    changed = dataclasses.replace(CANDIDATE, **{field: value})
    pools = [write(tmp_path / name, [(PROBLEM, [each])], m=2) for name, each in (("a", CANDIDATE), ("b", changed))]
    assert pools[0].info.content_hash != pools[1].info.content_hash


def test_the_records_have_the_fields_of_the_files() -> None:
    """A field that is added to a record must reach its file and its hash, or be lost on the way."""
    assert set(PROBLEM.canonical()) == {each.name for each in dataclasses.fields(Problem)} == set(PROBLEMS.names)
    assert set(CANDIDATE.canonical()) == {each.name for each in dataclasses.fields(Candidate)}
    assert set(CANDIDATES.names) == set(CANDIDATE.canonical()) | {"candidate_id"}
    assert set(OTHER) == set(PROBLEM.canonical()) | set(CANDIDATE.canonical())


PARTS = {"problems": "0" * 64, "m": 8, "splitter": "line", "candidates": "1" * 64}


@pytest.mark.parametrize(
    "part, other", [("problems", "2" * 64), ("m", 9), ("splitter", "given"), ("candidates", "2" * 64)]
)
def test_every_part_of_a_pool_is_hashed(part: str, other) -> None:
    """The same candidates cut otherwise, or of more slots, give other numbers: another hash."""
    assert pool_hash(**PARTS) != pool_hash(**{**PARTS, part: other})


def test_the_schema_is_hashed(monkeypatch) -> None:
    """A pool of another version of the format is another pool, whatever it holds."""
    before = pool_hash(**PARTS)
    monkeypatch.setattr(pool_format, "SCHEMA_VERSION", "prm_eval.pool/2")
    assert pool_hash(**PARTS) != before


def test_the_hash_of_one_pool_is_pinned(tmp_path: Path) -> None:
    """Registered pools and every submission name their pool by this hash: it must come out the same in every
    version."""
    assert pool_hash(**PARTS) == "3aff920e78573dcc4383d98a48248d791f55f746c1994c7f1175de15bd1b1790"
    assert (
        write(tmp_path / "p", [(PROBLEM, [CANDIDATE])]).info.content_hash
        == "0d950467a1b601608ed9513072e3dd781ef169c69e0d0824cb2921da94330683"
    )


@pytest.mark.parametrize(
    "options",
    [{"sampling": {"temperature": 1}}, {"source": {"file": "x"}}],
    ids=["sampling", "source"],
)
def test_what_is_said_about_a_pool_is_not_hashed(tmp_path: Path, options: dict) -> None:
    """The hash is of what was sampled; where it came from may be told better later."""
    rows = [(PROBLEM, [CANDIDATE])]
    assert write(tmp_path / "a", rows, **options).info.content_hash == write(tmp_path / "b", rows).info.content_hash


@pytest.mark.parametrize("slot, text", [(1, "a"), (0, "b"), (0, "a ")])
def test_a_candidate_id_names_slot_and_text(slot: int, text: str) -> None:
    """A reward joined to another text of the same slot is noticed by the id."""
    plain = Candidate("p", 0, "a")
    assert Candidate("p", slot, text).candidate_id != plain.candidate_id
    assert Candidate("q", 0, "a", ("a",), 1, "stop").candidate_id == plain.candidate_id == "0000-ca978112"


# -- what pool.json may say

GOOD = {
    "schema": "prm_eval.pool/1",
    "problem_set": {},
    "policy": {},
    "m": 4,
    "splitter": "line",
    "n_problems": 2,
    "n_candidates": 7,
    "content_hash": "0" * 64,
}


def described(folder: Path, content: object) -> Path:
    text = content if isinstance(content, str) else json.dumps(content)
    (folder / "pool.json").write_text(text)
    return folder


EXPECTED = {
    **dict.fromkeys(("problem_set", "policy"), "an object"),
    **dict.fromkeys(("m", "n_problems", "n_candidates"), "a whole number"),
    **dict.fromkeys(("splitter", "content_hash"), "a text"),
}


@pytest.mark.parametrize(
    "field, value",
    [
        *[(name, value) for name in ("problem_set", "policy") for value in (None, "x", [], 1)],
        *[(name, value) for name in ("m", "n_problems", "n_candidates") for value in (None, "4", 4.0, True, [4])],
        *[(name, value) for name in ("splitter", "content_hash") for value in (None, 1, [], {})],
    ],
)
def test_a_field_of_another_type_is_named(tmp_path: Path, field: str, value: object) -> None:
    """Each field with what it is and what it must be; true is no number."""
    with pytest.raises(DataError, match=f"pool.json: found {field} = ") as caught:
        read_pool_info(described(tmp_path, {**GOOD, field: value}))
    assert caught.value.expected == EXPECTED[field]


@pytest.mark.parametrize(
    "content, message",
    [
        ("{", "not JSON"),
        ("", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[]", "schema 'list'"),
        ("3", "schema 'int'"),
        ({**GOOD, "schema": "prm_eval.pool/2"}, "schema 'prm_eval.pool/2'; expected prm_eval.pool/1"),
        ({**GOOD, "m": 0}, "2 problems of 0 slots; expected a pool that is not empty"),
        ({**GOOD, "n_problems": 0}, "0 problems of 4 slots"),
        ({**GOOD, "n_problems": -1}, "-1 problems"),
        ({**GOOD, "temperature": 1, "answer": 2}, "temperature = an unknown key; expected one of problem_set"),
    ],
)
def test_what_is_no_description(tmp_path: Path, content: object, message: str) -> None:
    """Half a file, another schema, nothing in it, fields of another version."""
    with pytest.raises(DataError, match=r"pool\.json") as caught:
        read_pool_info(described(tmp_path, content))
    assert message in str(caught.value)


def test_a_description_is_read_whole(tmp_path: Path) -> None:
    """What the file leaves out is empty; counts follow from it."""
    info = read_pool_info(described(tmp_path, GOOD))
    assert info == PoolInfo(**GOOD)
    assert (info.n_missing, info.short_hash, info.sampling, info.files) == (1, "0" * 12, {}, {})


# -- verify


def altered(pool: Pool, **columns) -> Pool:
    """The pool with some columns of its candidates replaced, pool.json left as it is."""
    table = pq.read_table(pool.candidates_path)
    for name, values in columns.items():
        at = table.schema.get_field_index(name)
        table = table.set_column(at, table.schema.field(name), pa.array(values, table.schema.field(name).type))
    pq.write_table(table, pool.candidates_path)
    return Pool(pool.path)


ROWS = [(PROBLEM, [Candidate("p", slot, f"text {slot}") for slot in range(3)]), (Problem("q", "s"), [])]


@pytest.mark.parametrize(
    "columns, faults",
    [
        ({"slot": [0, 2, 1]}, ["slot 1 after 2; expected rising slots below 3", "candidate id", "content hash"]),
        ({"slot": [0, 0, 1]}, ["slot 0 after 0", "content hash"]),
        ({"slot": [0, 1, 3]}, ["slot 3 after 1; expected rising slots below 3"]),
        ({"slot": [-1, 1, 2]}, ["slot -1 after -1"]),
        ({"text": ["text 0", "other", "text 2"]}, ["candidate id '0001-", "content hash"]),
        ({"candidate_id": ["a", "b", "c"]}, ["candidate id 'a'; its slot and text give '0000-"]),
        ({"n_tokens": [1, None, None]}, ["content hash"]),
        ({"finish_reason": ["stop", None, None]}, ["content hash"]),
    ],
    ids=lambda value: ",".join(value) if isinstance(value, dict) else "",
)
def test_what_verify_finds(tmp_path: Path, columns: dict, faults: list[str]) -> None:
    """Each change of the file of candidates is found, and said in words that name the problem."""
    found = altered(write(tmp_path / "p", ROWS), **columns).verify()
    for fault in faults:
        assert any(fault in each for each in found), (fault, found)


@pytest.mark.parametrize(
    "field, value, fault",
    [
        ("n_problems", 3, "2 problems; pool.json says 3"),
        ("n_candidates", 4, "3 candidates; pool.json says 4"),
        ("content_hash", "0" * 64, "pool.json says 000"),
        ("problem_set", {"content_hash": "0" * 64}, "problems.parquet has hash"),
        ("splitter", "blank_line", "the pool's content hash is"),
        ("m", 4, "the pool's content hash is"),
    ],
)
def test_what_pool_json_claims_is_recomputed(tmp_path: Path, field: str, value, fault: str) -> None:
    """Every claim of the description that can be recomputed is."""
    pool = write(tmp_path / "p", ROWS)
    write_json(pool.path / "pool.json", {**json.loads((pool.path / "pool.json").read_text()), field: value})
    assert any(fault in each for each in Pool(pool.path).verify())


def test_several_faults_are_counted_in_one_message(tmp_path: Path) -> None:
    """The error shows the first and says how to see the others."""
    pool = altered(write(tmp_path / "p", ROWS), slot=[0, 2, 1])
    with pytest.raises(DataError, match=r"slot 1 after 2.* \(and \d+ more: prm-eval pool verify\)"):
        pool.require_sound()


# -- grades beside the candidates


def published(folder: Path) -> Pool:
    writer = PoolWriter(folder, problem_set={"name": "t"}, policy={"id": "p"})
    with writer:
        for problem, candidates in ROWS:
            writer.add(problem, candidates)
            writer.add_published([GradeRow(each.slot, "2", 0, "correct", "published") for each in candidates])
    assert writer.pool is not None
    return writer.pool


def test_published_grades_come_back_with_their_slots(tmp_path: Path) -> None:
    """Verdicts of the source, problem by problem; a problem without candidates has none."""
    found = list(published(tmp_path / "p").grades("published"))
    assert [(problem.problem_id, [row.slot for row in rows]) for problem, rows in found] == [
        ("p", [0, 1, 2]),
        ("q", []),
    ]
    assert {row.grade for _, rows in found for row in rows} == {"correct"}


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda table: table.slice(0, 2), "2 candidates of problem 'p'"),
        (lambda table: table.take([1, 0, 2]), "row 1: found candidate '0001-"),
        (lambda table: pa.concat_tables([table, table.slice(0, 1)]), "4 candidates of problem 'p'"),
        (
            lambda table: table.set_column(0, GRADES.field(0), pa.array(["p", "p", "x"])),
            "2 candidates of problem 'p'",
        ),
    ],
    ids=["fewer", "out of order", "more", "another problem"],
)
def test_grades_of_other_candidates_are_refused(tmp_path: Path, change, message: str) -> None:
    """A grade that slides to the next candidate would turn right into wrong without a word."""
    pool = published(tmp_path / "p")
    path = pool.grades_path("published")
    pq.write_table(change(pq.read_table(path)), path)
    with pytest.raises(DataError) as caught:
        list(pool.grades("published"))
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "source, name",
    [
        ("own", "grades.parquet"),
        ("published", "grades-published.parquet"),
        ("math-verify", "grades-math-verify.parquet"),
        ("default:rounded_decimals=4", "grades-default_rounded_decimals=4.parquet"),
        ("../../etc/passwd", "grades-.._.._etc_passwd.parquet"),
    ],
)
def test_where_grades_lie(tmp_path: Path, source: str, name: str) -> None:
    """A name of a source never leads out of the pool's folder."""
    path = write(tmp_path / "p", ROWS).grades_path(source)
    assert (path.parent, path.name) == (tmp_path / "p", name)


def test_grades_that_are_not_there_list_those_that_are(tmp_path: Path) -> None:
    """The message says what to do, or what to choose from."""
    with pytest.raises(PrmEvalError, match=r"no grades named 'own'; it has: none yet \(prm-eval grade"):
        write(tmp_path / "p", ROWS).require_grades("own")
    with pytest.raises(PrmEvalError, match="no grades named 'own'; it has: published"):
        published(tmp_path / "q").require_grades("own")


# -- reading in parts


@pytest.mark.parametrize("start, count", [(0, 3), (1, 1), (2, 1), (0, 1)])
def test_candidates_from_any_row(tmp_path: Path, start: int, count: int) -> None:
    """A runner that starts in the middle reads the same records as one that walks the pool."""
    pool = write(tmp_path / "p", [(PROBLEM, [CANDIDATE, Candidate("p", 1, "b"), Candidate("p", 2, "")])])
    every = [each for _, candidates in pool for each in candidates]
    assert pool.candidates(start, count) == every[start : start + count]
    with pytest.raises(DataError, match="found 3 rows; expected at least 4"):
        pool.candidates(3, 1)


def test_lengths_are_in_characters(tmp_path: Path) -> None:
    """Bytes would make texts of other scripts longer: "shortest" would be a choice of language."""
    texts = ["abc", "äöü", "答案是五", "\U0001f600", ""]
    pool = write(tmp_path / "p", [(PROBLEM, [Candidate("p", slot, text) for slot, text in enumerate(texts)])])
    (_, table), *_ = pool.blocks()
    assert text_lengths(table) == [3, 3, 4, 1, 0]


def test_json_is_written_at_once(tmp_path: Path) -> None:
    """Sorted, readable, ended by a newline; what JSON cannot say leaves the old file and no partial one in its
    place."""
    write_json(tmp_path / "x.json", {"b": "ü", "a": [1]})
    assert (tmp_path / "x.json").read_text(encoding="utf-8") == '{\n  "a": [\n    1\n  ],\n  "b": "ü"\n}\n'
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "x.json", {"a": float("nan")})
    assert [each.name for each in tmp_path.iterdir()] == ["x.json"]
    assert json.loads((tmp_path / "x.json").read_text()) == {"a": [1], "b": "ü"}


def test_versions_name_what_is_missing() -> None:
    """A pool made without torch says so."""
    found = software_versions("numpy", "no-such-package")
    assert found["no-such-package"] == "not installed"
    assert set(found) == {"python", "prm_eval", "numpy", "no-such-package"}
