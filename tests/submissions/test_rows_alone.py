"""The check of a whole rewards file, in this process and against a pool written out: every fault with its row and
words.

The other tests go through a child process and look at kinds; here each sentence and each count is held.
"""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from prm_eval.rewards.files.reading import reward_schema
from prm_eval.rewards.files.step_arrays import Form
from prm_eval.submissions.checking import rows as module
from prm_eval.submissions.checking.rows import Expected, check_rows, expected_of, size_limit

FORM = Form("prm", "value", "prod", "line")
# two problems; the second and third candidate of "a" have one text, and so have the first and third of "b"
KEYS = [("a", "0"), ("a", "1"), ("a", "2"), ("b", "0"), ("b", "1"), ("b", "2")]
STEPS = [2, 1, 1, 2, 3, 2]
TWINS = [0, 1, 1, 3, 4, 3]
VALUES = [[0.5, 0.25], [0.75], [0.75], [0.5, 0.0], [0.1, 0.2, 0.3], [0.5, 0.0]]


def expected() -> Expected:
    return Expected(list(KEYS), list(STEPS), list(TWINS)).finish()


def good() -> list[dict]:
    return [
        {"problem_id": problem, "candidate_id": candidate, "step_rewards": list(values), "n_steps": len(values),
         "n_tokens": 10 + at, "input_hash": "0" * 64, "refusal": None}
        for at, ((problem, candidate), values) in enumerate(zip(KEYS, VALUES, strict=True))
    ]  # fmt: skip


def nullable() -> pa.Schema:
    return pa.schema([pa.field(each.name, each.type) for each in reward_schema(single=False)])


def check(folder: Path, rows: list[dict], wanted: Expected | None = None, schema: pa.Schema | None = None, **options):
    path = folder / "rewards.parquet"
    pq.write_table(pa.Table.from_pylist(rows, schema=schema or nullable()), path, **options)
    faults, totals = check_rows(path, wanted or expected(), FORM)
    return [(each.kind, each.row, each.found, each.expected) for each in faults], totals


def refuse(row: dict, reason: str = "over-length: 9") -> None:
    row.update(step_rewards=None, n_steps=0, n_tokens=None, input_hash=None, refusal=reason)


def test_a_good_file_and_its_totals(tmp_path: Path) -> None:
    rows = good()
    refuse(rows[4])
    assert check(tmp_path, rows) == (
        [],
        {"candidates": 6, "tokens": 10 + 11 + 12 + 13 + 15, "refused": {"over-length": 1}},
    )


def test_a_file_that_tells_no_tokens(tmp_path: Path) -> None:
    """None is not 0: a rule reads no tokens, and says nothing."""
    rows = good()
    for row in rows:
        row.update(n_tokens=None, input_hash=None)
    assert check(tmp_path, rows)[1] == {"candidates": 6, "tokens": None, "refused": {}}
    rows[0].update(n_tokens=0)
    assert check(tmp_path, rows)[1]["tokens"] == 0


def test_missing_candidates_are_named_one_by_one(tmp_path: Path) -> None:
    rows = good()
    del rows[4], rows[1]
    faults, totals = check(tmp_path, rows)
    wanted = "rewards, or a refusal with its reason"
    assert faults == [
        ("row-count", None, "4 rows", "6, one for every candidate of the pool"),
        ("missing", None, "no row for candidate '1' of problem 'a'", f"one, as row 2: {wanted}"),
        ("missing", None, "no row for candidate '1' of problem 'b'", f"one, as row 5: {wanted}"),
    ]
    assert totals["candidates"] == 4


def test_strangers_and_doubles(tmp_path: Path) -> None:
    """Rows of no candidate: unknown, twice, null; the right number of steps is then what they have."""
    rows = good()
    rows.insert(1, {**rows[0], "candidate_id": "9", "step_rewards": [0.1] * 7, "n_steps": 7})
    rows.append({**rows[0], "step_rewards": [0.1] * 5, "n_steps": 5})
    rows.append({**rows[0], "problem_id": None})
    rows.append({**rows[0], "candidate_id": None})
    rows.append({**rows[0], "problem_id": "z"})
    faults, totals = check(tmp_path, rows)
    assert faults == [
        ("row-count", None, "11 rows", "6, one for every candidate of the pool"),
        ("unknown-candidate", 2, "candidate '9' of problem 'a'", "a candidate of the pool; next is '1' of 'a'"),
        ("duplicate", 8, "candidate '0' of problem 'a' again", "each once"),
        ("null", 9, "an id that is null", "a problem id and a candidate id"),
        ("null", 10, "an id that is null", "a problem id and a candidate id"),
        ("unknown-candidate", 11, "candidate '0' of problem 'z'", "a candidate of the pool; next is no more rows"),
    ]
    assert totals["candidates"] == 11


def test_an_order_of_its_own(tmp_path: Path) -> None:
    """Two that changed places: what stands too early and what stands too late; what only lost its neighbours does
    not."""
    rows = good()
    rows[1], rows[3] = rows[3], rows[1]
    assert check(tmp_path, rows)[0] == [
        ("order", 2, "candidate '0' of problem 'b'", "it as row 4, as in the pool"),
        ("order", 3, "candidate '2' of problem 'a'", "it as row 3, as in the pool"),
        ("order", 4, "candidate '1' of problem 'a'", "it as row 2, as in the pool"),
    ]


def test_the_last_first(tmp_path: Path) -> None:
    rows = good()
    rows.insert(0, rows.pop())
    assert check(tmp_path, rows)[0] == [
        ("order", 1, "candidate '2' of problem 'b'", "it as row 6, as in the pool"),
        ("order", 2, "candidate '0' of problem 'a'", "it as row 1, as in the pool"),
    ]


def test_breaks_of_order_are_kept_up_to_a_limit(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(module, "MOST_JUMPS", 2)
    assert [each[1] for each in check(tmp_path, good()[::-1])[0]] == [1, 2]


def test_equal_texts_with_other_rewards(tmp_path: Path) -> None:
    """The row that came first is the measure, within a problem; minus 0 is 0; a refusal beside rewards is other
    rewards."""
    rows = good()
    rows[5].update(step_rewards=[0.5, -0.0])
    assert check(tmp_path, rows)[0] == []
    rows[5].update(step_rewards=[0.5, 1e-9])
    rows[2].update(step_rewards=[0.5])
    words = "other rewards than those of the same text"
    wanted = [("twins", 3, words, "those of row 2"), ("twins", 6, words, "those of row 4")]
    assert check(tmp_path, rows)[0] == wanted
    refuse(rows[1])
    refuse(rows[3])
    refuse(rows[5])
    assert check(tmp_path, rows)[0] == wanted[:1]


def test_faulty_rows_are_not_held_against_their_twins(tmp_path: Path) -> None:
    """Who has no usable rewards has a fault already; the next of the same text is the first."""
    rows = good()
    rows[3].update(step_rewards=[float("nan"), 0.0])
    faults, _ = check(tmp_path, rows)
    assert [(kind, row) for kind, row, *_ in faults] == [("finite", 4)]


def test_rows_over_several_batches(tmp_path: Path, monkeypatch) -> None:
    """Numbers of rows, twins and the order go on from batch to batch."""
    monkeypatch.setattr(module, "ROWS_PER_BATCH", 2)
    rows = good()
    rows[2].update(step_rewards=[0.5])
    rows[4].update(n_steps=9)
    rows[5].update(n_tokens=-1)
    faults, totals = check(tmp_path, rows)
    assert [(kind, row) for kind, row, *_ in faults] == [("twins", 3), ("n-steps", 5), ("n-tokens", 6)]
    assert totals == {"candidates": 6, "tokens": 10 + 11 + 12 + 13 + 14 - 1, "refused": {}}


def test_a_file_of_far_too_many_rows_is_not_walked_to_its_end(tmp_path: Path, monkeypatch) -> None:
    """Twice the candidates and a batch are looked at, whatever the footer said."""
    monkeypatch.setattr(module, "ROWS_PER_BATCH", 5)
    rows = good() + [{**good()[0], "candidate_id": "9"}] * 194
    faults, totals = check(tmp_path, rows)
    assert faults[0] == ("row-count", None, "200 rows", "6, one for every candidate of the pool")
    assert totals["candidates"] == 20  # 17 and what is left of a batch


def test_reasons_are_counted_up_to_a_limit(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(module, "MOST_REASONS", 2)
    monkeypatch.setattr(module, "ROWS_PER_BATCH", 1)
    rows = good()
    for at, reason in enumerate(["no step", "over-length: 1", "no step: 2", "other", "over-length: 2", "third"]):
        refuse(rows[at], reason)
    faults, totals = check(tmp_path, rows, Expected(list(KEYS), list(STEPS), [0, 1, 2, 3, 4, 5]).finish())
    assert faults == []
    assert totals["refused"] == {"no step": 2, "over-length": 2} and list(totals["refused"]) == [
        "no step",
        "over-length",
    ]


def test_bombs(tmp_path: Path) -> None:
    """A long text and a long list are one fault each, and the batch is left alone."""
    rows = good()
    rows[1].update(refusal="x" * 1_001)
    faults, totals = check(tmp_path, rows)
    assert (
        faults[:1] == [("bomb", 2, "a refusal of more than 1,000 bytes", "a short text")] and totals["candidates"] == 0
    )
    rows = good()
    rows[2].update(step_rewards=[0.5] * 1_007, n_steps=1_007)
    faults, totals = check(tmp_path, rows)
    assert faults[:1] == [("bomb", 3, "a list that is far too long", "3 at most")] and totals["candidates"] == 0
    rows[2].update(step_rewards=[0.5] * 1_006, n_steps=1_006)  # 1,000 and twice the three that a candidate has
    assert [kind for kind, *_ in check(tmp_path, rows)[0]] == ["step-count"]


def test_columns_are_those_of_the_format(tmp_path: Path) -> None:
    names = "problem_id, candidate_id, step_rewards, n_steps, n_tokens, input_hash, refusal"
    fields = list(nullable())
    faults, totals = check(tmp_path, good(), schema=pa.schema([*fields[:-1], pa.field("gold", pa.string())]))
    listed = ", ".join(f"'{each.name}'" for each in fields[:-1])
    assert (
        faults == [("columns", None, f"7 columns: {listed}, 'gold'", f"{names}, and perhaps reward")] and totals == {}
    )
    assert [each[0] for each in check(tmp_path, good(), schema=pa.schema(fields[:-1]))[0]] == ["columns"]
    many = pa.schema([*fields, *(pa.field(f"x{at}", pa.int8()) for at in range(9))])
    found = check(tmp_path, good(), schema=many)[0][0][2]
    assert found.startswith("16 columns: ") and found.endswith("'x4'")  # the first twelve are shown


def test_columns_are_of_their_types(tmp_path: Path) -> None:
    """Widths are free, kinds are not; each wrong one is named."""
    fields = {each.name: each for each in nullable()}
    narrow = {**fields, "step_rewards": pa.field("step_rewards", pa.large_list(pa.float32())),
              "n_tokens": pa.field("n_tokens", pa.int64()), "reward": pa.field("reward", pa.float32())}  # fmt: skip
    rows = good()
    for row in rows:
        row.update(step_rewards=[0.5] * len(row["step_rewards"]), reward=0.5 ** len(row["step_rewards"]))
    assert check(tmp_path, rows, schema=pa.schema(narrow.values()))[0] == []
    wrong = {**fields, "n_steps": pa.field("n_steps", pa.float64()), "reward": pa.field("reward", pa.int32())}
    for row in rows:
        row.update(reward=1)
    assert check(tmp_path, rows, schema=pa.schema(wrong.values())) == ([
        ("columns", None, "column n_steps of type 'double'", "whole numbers of any width"),
        ("columns", None, "column reward of type 'int32'", "floating-point numbers of any width"),
    ], {})  # fmt: skip


def test_columns_twice(tmp_path: Path) -> None:
    whole = pa.Table.from_pylist(good(), schema=nullable())
    pq.write_table(whole.append_column("n_steps", whole.column("n_steps")), tmp_path / "rewards.parquet")
    faults, totals = check_rows(tmp_path / "rewards.parquet", expected(), FORM)
    assert [each.kind for each in faults] == ["columns"] and faults[0].row is None and totals == {}
    assert faults[0].found.startswith("8 columns: 'problem_id'")


def test_a_file_that_is_none(tmp_path: Path) -> None:
    path = tmp_path / "rewards.parquet"
    path.write_bytes(b"PAR1\xff\nnothing of the kind\nPAR1")
    faults, totals = check_rows(path, expected(), FORM)
    assert totals == {} and [(each.kind, each.row, each.expected) for each in faults] == [
        ("parquet", None, "an undamaged Parquet file")
    ]
    assert faults[0].found.startswith("data that cannot be read (Parquet ") and faults[0].found.endswith(")")
    assert "\n" not in faults[0].found and len(faults[0].found) < 230


def test_a_footer_of_too_many_groups_ends_it(tmp_path: Path) -> None:
    rows = good() * 20
    faults, totals = check(tmp_path, rows, row_group_size=1)
    assert [each[0] for each in faults] == ["row-count", "row-groups"] and totals == {}


@pytest.fixture
def small_pool(tmp_path: Path):
    from prm_eval.importers import import_pool
    from tests.conftest import write_jsonl

    samples = ["one\ntwo", "one", "one\ntwo", "one\n\ntwo\nthree"]
    rows = [
        {"id": name, "problem": "?", "answer": "2", "samples": [{"text": text, "correct": True} for text in samples]}
        for name in ("a", "b")
    ]
    return import_pool(write_jsonl(tmp_path / "plain.jsonl", rows), tmp_path / "pool").pool


def test_what_a_pool_asks_of_rewards(small_pool) -> None:
    """Every candidate in order, its steps by the splitter that is asked for, its first twin within its own problem."""
    from prm_eval.texts.steps import split_steps

    texts = [
        text for _, block in small_pool.blocks(["problem_id", "text"]) for text in block.column("text").to_pylist()
    ]
    for splitter in (None, "line", "blank_line"):
        found = expected_of(small_pool, splitter)
        assert [key[0] for key in found.keys] == ["a"] * 4 + ["b"] * 4
        assert len(set(found.keys)) == 8 and found.index == {key: at for at, key in enumerate(found.keys)}
        assert found.twin == [0, 1, 0, 3, 4, 5, 4, 7]
        assert found.steps == [len(split_steps(text, splitter or small_pool.info.splitter, None)) for text in texts]
    assert size_limit(found) == 1_000_000 + 8 * 1_000 + 16 * sum(found.steps)
