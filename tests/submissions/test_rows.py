"""Rows of a stranger's rewards file, checked in this process (the checker itself does it in a child): each fault, its
kind and its row."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prm_eval.pools.pool import Pool
from prm_eval.pools.writer import PoolWriter
from prm_eval.records import Candidate, Problem
from prm_eval.rewards.files.reward_file import reward_schema
from prm_eval.rewards.files.step_arrays import Form
from prm_eval.submissions.checking.rows import Expected, expected_of, size_limit
from prm_eval.submissions.checking.rows import check_rows as check_form


def check_rows(path: Path, expected: Expected, about: dict[str, Any]) -> tuple[list[tuple[Any, ...]], dict[str, Any]]:
    faults, totals = check_form(path, expected, Form(**about, splitter="line"))
    return [(each.kind, each.row, each.found, each.expected) for each in faults], totals


PRM = {"kind": "prm", "aggregation": "prod", "score_type": "logodds"}
ORM = {"kind": "orm", "aggregation": "last", "score_type": "raw"}
# three candidates of the first problem, of which the last two are one text; one of the second
TEXTS = {"p": ["a\nb", "c", "c"], "q": ["d\ne\nf"]}


@pytest.fixture(scope="module")
def pool(tmp_path_factory) -> Pool:
    writer = PoolWriter(tmp_path_factory.mktemp("rows") / "pool", problem_set={"name": "t"}, policy={"id": "p"})
    with writer:
        for name, texts in TEXTS.items():
            writer.add(Problem(name, "s", "1"), [Candidate(name, slot, text) for slot, text in enumerate(texts)])
    assert writer.pool is not None
    return writer.pool


@pytest.fixture(scope="module")
def expected(pool: Pool) -> Expected:
    return expected_of(pool, None)


def good_rows(expected: Expected, orm: bool = False) -> list[dict[str, Any]]:
    """Rewards that depend on the text alone, with all that a row may hold."""
    return [
        {
            "problem_id": problem,
            "candidate_id": candidate,
            "step_rewards": [0.5] if orm else [0.25 * (step + 1) for step in range(steps)],
            "n_steps": 1 if orm else steps,
            "n_tokens": 10,
            "input_hash": "0" * 64,
            "refusal": None,
        }
        for (problem, candidate), steps in zip(expected.keys, expected.steps, strict=True)
    ]


def written(path: Path, rows: list[dict[str, Any]], extra: dict[str, list[Any]] | None = None) -> Path:
    # a stranger's writer need not declare what may not be null
    schema = pa.schema([field.with_nullable(True) for field in reward_schema(single=False)])
    table = pa.Table.from_pylist(rows, schema=schema)
    for name, values in (extra or {}).items():
        table = table.append_column(name, pa.array(values))
    pq.write_table(table, path)
    return path


def test_a_pool_says_what_it_expects(expected: Expected) -> None:
    """Candidates in order, their steps, and which are the same text cut the same way."""
    assert [problem for problem, _ in expected.keys] == ["p", "p", "p", "q"]
    assert expected.steps == [2, 1, 1, 3]
    assert expected.twin == [0, 1, 1, 3]
    assert [expected.index[key] for key in expected.keys] == [0, 1, 2, 3]


@pytest.mark.parametrize("about, orm", [(PRM, False), (ORM, True)], ids=["prm", "orm"])
def test_good_rows_have_no_fault(tmp_path: Path, expected: Expected, about: dict, orm: bool) -> None:
    """And their totals are the sums of the rows."""
    found, totals = check_rows(
        written(tmp_path / "r.parquet", good_rows(expected, orm)), expected, {**about, "hashed": True}
    )
    assert found == []
    assert totals == {"candidates": 4, "tokens": 40, "refused": {}}


# (what is wrong, row counted from 0, fields of it that change, kind, row that is named, part of what was found)
CHANGES: list[tuple[str, int, dict[str, Any], str, int | None, str]] = [
    ("an id is null", 1, {"candidate_id": None}, "null", 2, "null"),
    ("n_steps is null", 3, {"n_steps": None}, "null", 4, "null"),
    ("another problem", 0, {"problem_id": "x"}, "unknown-candidate", 1, "of problem 'x'"),
    ("another candidate", 2, {"candidate_id": "0002-00000000"}, "unknown-candidate", 3, "'0002-00000000'"),
    ("no rewards", 1, {"step_rewards": [], "n_steps": 0}, "refusal", 2, "no step rewards"),
    ("rewards are null", 1, {"step_rewards": None}, "refusal", 2, "no step rewards"),
    ("both", 0, {"refusal": "over-length", "n_steps": 0}, "refusal", 1, "rewards and the refusal 'over-length'"),
    ("an empty reason", 0, {"refusal": " ", "step_rewards": [], "n_steps": 0}, "refusal", 1, "the reason ' '"),
    ("a reason of two lines", 0, {"refusal": "a\nb", "step_rewards": [], "n_steps": 0}, "refusal", 1, "the reason"),
    ("a hidden character", 0, {"refusal": "a\u202eb", "step_rewards": [], "n_steps": 0}, "refusal", 1, "\\u202e"),
    ("a refusal with steps", 0, {"refusal": "x", "step_rewards": []}, "n-steps", 1, "n_steps 2"),
    ("n_steps is wrong", 0, {"n_steps": 3}, "n-steps", 1, "2 rewards"),
    ("too few rewards", 0, {"step_rewards": [0.5], "n_steps": 1}, "step-count", 1, "1 steps"),
    ("too many rewards", 3, {"step_rewards": [0.5] * 4, "n_steps": 4}, "step-count", 4, "4 steps"),
    ("NaN", 0, {"step_rewards": [0.5, math.nan]}, "finite", 1, "not finite in [0.5, nan]"),
    ("infinity", 3, {"step_rewards": [0.5, -math.inf, 1.0]}, "finite", 4, "not finite in [0.5, -inf, 1]"),
    ("a reward is null", 0, {"step_rewards": [None, 0.5]}, "finite", 1, "not finite in [nan, 0.5]"),
    ("negative tokens", 0, {"n_tokens": -1}, "n-tokens", 1, "n_tokens -1"),
    ("a hash without tokens", 0, {"n_tokens": None}, "n-tokens", 1, "n_tokens None"),
    ("no hash", 0, {"input_hash": None}, "input-hash", 1, "no input_hash"),
    ("a short hash", 0, {"input_hash": "0" * 63}, "input-hash", 1, "input_hash"),
    ("a hash in capitals", 0, {"input_hash": "A" * 64}, "input-hash", 1, "input_hash"),
    ("twins differ", 2, {"step_rewards": [0.75]}, "twins", 3, "other rewards than those of the same text"),
    ("a twin is refused", 2, {"refusal": "x", "step_rewards": [], "n_steps": 0}, "twins", 3, "other rewards"),
]


@pytest.mark.parametrize("why, at, fields, kind, row, words", CHANGES, ids=[case[0] for case in CHANGES])
def test_one_row_at_fault(tmp_path: Path, expected: Expected, why, at, fields, kind, row, words) -> None:
    """One fault of one kind at one row; nothing else is said but that a candidate is missing where its row names
    another."""
    rows = good_rows(expected)
    rows[at] = {**rows[at], **fields}
    found, _ = check_rows(written(tmp_path / "r.parquet", rows), expected, {**PRM, "hashed": True})
    here = [each for each in found if each[0] == kind]
    assert [(each[1]) for each in here] == [row]
    assert words in here[0][2]
    assert {each[0] for each in found} <= {kind, "missing"}


def test_a_refusal_needs_no_hash_and_is_counted_by_its_reason(tmp_path: Path, expected: Expected) -> None:
    """Details behind a colon differ from row to row; the totals count the reasons."""
    rows = good_rows(expected)
    refused = {"step_rewards": [], "n_steps": 0, "input_hash": None, "n_tokens": None}
    rows[0] = {**rows[0], **refused, "refusal": "over-length: 5000 tokens, limit 4096"}
    rows[3] = {**rows[3], **refused, "refusal": "over-length: 6000 tokens, limit 4096"}
    found, totals = check_rows(written(tmp_path / "r.parquet", rows), expected, {**PRM, "hashed": True})
    assert found == []
    assert totals == {"candidates": 4, "tokens": 20, "refused": {"over-length": 2}}


@pytest.mark.parametrize(
    "order, kinds",
    [
        ([0, 1, 2, 3], []),
        ([1, 0, 2, 3], ["order"]),
        ([3, 0, 1, 2], ["order"]),
        ([0, 1, 3], ["row-count", "missing"]),
        ([1, 2, 3], ["row-count", "missing"]),
        ([], ["row-count", *["missing"] * 4]),
        ([0, 1, 2, 3, 3], ["row-count", "duplicate"]),
        ([0, 0, 2, 3], ["duplicate", "missing"]),
    ],
)
def test_rows_in_another_order_or_number(
    tmp_path: Path, expected: Expected, order: list[int], kinds: list[str]
) -> None:
    """Rows that are merely missing are not called out of order; each missing candidate is named."""
    rows = good_rows(expected)
    found, _ = check_rows(written(tmp_path / "r.parquet", [rows[at] for at in order]), expected, PRM)
    assert {each[0] for each in found} == set(kinds)
    assert [each[0] for each in found].count("missing") == kinds.count("missing")


@settings(max_examples=40, deadline=None, derandomize=True)
@given(order=st.lists(st.integers(0, 3), max_size=7))
def test_any_selection_of_rows_is_accounted_for(tmp_path_factory, expected: Expected, order: list[int]) -> None:
    """Every row is in its place, out of it, or there twice; every candidate without a row is missing; none is both."""
    rows = good_rows(expected)
    path = written(tmp_path_factory.mktemp("any") / "r.parquet", [rows[at] for at in order])
    found, _ = check_rows(path, expected, PRM)
    kinds = [each[0] for each in found]
    assert kinds.count("duplicate") == len(order) - len(set(order))
    assert kinds.count("missing") == 4 - len(set(order))
    assert ("row-count" in kinds) is (len(order) != 4)
    first_places = list(dict.fromkeys(order))
    assert ("order" in kinds) is (first_places != sorted(first_places))


@pytest.mark.parametrize(
    "rewards, fault",
    [
        ([None] * 4, None),
        ([0.25, 0.25, 0.25, 0.25], None),
        ([0.25, 0.25, 0.25, 0.5], 4),
        ([0.25, math.nan, 0.25, 0.25], 2),
    ],
)
def test_an_aggregate_that_a_file_brings_along(tmp_path: Path, expected: Expected, rewards, fault: int | None) -> None:
    """A column "reward" is allowed, and must be what the declared aggregation gives; NaN is not."""
    rows = good_rows(expected)
    for row in rows:
        row["step_rewards"] = [0.25] * row["n_steps"]
    extra = {"reward": pa.array(rewards, pa.float64())}
    about = {"kind": "prm", "aggregation": "mean", "score_type": "raw"}
    found, _ = check_rows(written(tmp_path / "r.parquet", rows, extra), expected, about)
    assert [(each[0], each[1]) for each in found] == ([] if fault is None else [("aggregate", fault)])


def test_an_outcome_model_gives_one_number(tmp_path: Path, expected: Expected) -> None:
    """Steps of an ORM's row are not those of the candidate."""
    rows = good_rows(expected)
    found, _ = check_rows(written(tmp_path / "r.parquet", rows), expected, ORM)
    assert [(each[0], each[1], each[3]) for each in found] == [
        ("step-count", 1, "1, one for an ORM"),
        ("step-count", 4, "1, one for an ORM"),
    ]


@pytest.mark.parametrize(
    "change, kind",
    [
        (lambda table: table.drop_columns(["refusal"]), "columns"),
        (lambda table: table.append_column("answer", pa.array(["x"] * 4)), "columns"),
        (lambda table: table.set_column(3, "n_steps", pa.array(["1"] * 4)), "columns"),
        (lambda table: table.append_column("reward", pa.array(["1"] * 4)), "columns"),
        (lambda table: pa.concat_tables([table] * 300), "bomb"),
    ],
    ids=["a column is missing", "one too many", "another type", "rewards as text", "300 times the rows"],
)
def test_a_file_that_is_not_unpacked(tmp_path: Path, expected: Expected, change, kind: str) -> None:
    """What the file says of itself is looked at first: such a file is refused whole, with no totals."""
    path = written(tmp_path / "r.parquet", good_rows(expected))
    pq.write_table(change(pq.read_table(path)), path)
    found, totals = check_rows(path, expected, PRM)
    assert kind in {each[0] for each in found}
    assert totals == {}


def test_lists_and_texts_that_are_far_too_long(tmp_path: Path, expected: Expected) -> None:
    """A small file may unpack to gigabytes: the column is measured before it becomes Python's."""
    for at, fields in ((1, {"step_rewards": [0.0] * 2_000}), (2, {"refusal": "x" * 1_000_000})):
        rows = good_rows(expected)
        rows[at] = {**rows[at], **fields}
        found, _ = check_rows(written(tmp_path / f"{at}.parquet", rows), expected, PRM)
        assert "bomb" in {each[0] for each in found}


@pytest.mark.parametrize(
    "content", [b"", b"PAR1", b"PAR1" + b"\0" * 64 + b"PAR1", b"{}"], ids=["empty", "magic", "hollow", "JSON"]
)
def test_what_is_not_parquet(tmp_path: Path, expected: Expected, content: bytes) -> None:
    """One fault, in words that fit a line."""
    path = tmp_path / "r.parquet"
    path.write_bytes(content)
    ((kind, row, found, _),), totals = check_rows(path, expected, PRM)
    assert (kind, row, totals) == ("parquet", None, {})
    assert found.isascii()
    assert len(found) < 300


def test_a_larger_pool_may_have_a_larger_file(expected: Expected) -> None:
    """The limit grows with candidates and steps, and every honest file is far below it."""
    larger = Expected(expected.keys * 100, expected.steps * 100, list(range(400))).finish()
    assert size_limit(larger) > size_limit(expected) > 10_000
