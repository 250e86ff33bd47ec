"""Step sets on disk: scored as pools, labels behind the wall, and every change noticed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from prm_eval.cli.commands import main
from prm_eval.errors import DataError, PrmEvalError
from prm_eval.pools.pool import Pool
from prm_eval.records import Solution
from prm_eval.rewards.scoring import scoring_item
from prm_eval.stepsets import StepSet, StepSetWriter, is_step_set
from prm_eval.stepsets.labels import by_first_error
from tests.evaluation.stepwise.sets import labelled

ROWS: list[dict[str, Any]] = [
    {"n": 3, "label": -1, "problem": "a", "group": "easy"},
    {"n": 2, "label": 1, "problem": "a", "group": "hard"},
    {"n": 4, "label": 0, "problem": "b", "group": "hard", "twin": "s0"},
]


@pytest.fixture
def step_set(tmp_path: Path) -> StepSet:
    return labelled(tmp_path / "set", ROWS)


def test_what_was_written_is_read(step_set: StepSet) -> None:
    """Texts, labels, groups and twins come back as they went in, and the set is a sound pool."""
    assert is_step_set(step_set.path)
    assert step_set.verify() == []
    step_set.require_sound()
    assert [each.solution_id for each in step_set.solutions] == ["s0", "s1", "s2"]
    assert [each.first_error for each in step_set.labels] == [-1, 1, 0]
    assert step_set.solutions[2].twin_id == "s0"
    assert [len(each.steps) for each in step_set.solutions] == [3, 2, 4]
    assert step_set.info.n_labelled == 3
    assert Pool(step_set.path).info.n_candidates == 3


def test_a_reward_model_is_given_no_label(step_set: StepSet) -> None:
    """The wall: neither an item to score nor any file that the scoring of a pool opens holds a label or a group."""
    before = {path.name for path in step_set.path.iterdir()}
    for name in ("labels.parquet", "solutions.parquet", "stepset.json"):
        (step_set.path / name).unlink()
    pool = Pool(step_set.path).require_sound()
    items = [scoring_item(problem, candidate, "given") for problem, own in pool for candidate in own]
    assert [len(each.steps) for each in items] == [3, 2, 4]
    assert main(["score", str(step_set.path), "--reward-model", "arithmetic", "-o", str(step_set.path / "r")]) == 0
    shown = json.dumps([[each.statement, each.text, each.steps] for each in items])
    assert "easy" not in shown
    assert "hard" not in shown
    assert before == {"candidates.parquet", "problems.parquet", "pool.json"} | {
        "labels.parquet",
        "solutions.parquet",
        "stepset.json",
    }


def test_the_rooms_are_apart() -> None:
    """The import contract names the wall: rewards and step sets stand on one line and import each other nowhere."""
    package = Path(__file__).parents[2] / "prm_eval"
    for room, other in (("rewards", "stepsets"), ("stepsets", "rewards"), ("stepsets", "grading")):
        for module in (package / room).rglob("*.py"):
            assert f"prm_eval.{other}" not in module.read_text(encoding="utf-8"), module


def edited(path: Path, column: str, row: int, value: Any) -> None:
    table = pq.read_table(path)
    values = table.column(column).to_pylist()
    values[row] = value
    place = table.schema.get_field_index(column)
    field = table.schema.field(place)
    pq.write_table(table.set_column(place, field, pa.array(values, field.type)), path)


@pytest.mark.parametrize(
    ("file", "column", "row", "value", "said"),
    [
        ("labels.parquet", "first_error", 1, 0, "labels.parquet, row 2"),
        ("labels.parquet", "first_error", 1, 7, "labels.parquet, row 2"),
        ("labels.parquet", "first_error", 0, None, "labels.parquet, row 1"),
        ("labels.parquet", "step_ratings", 0, [1, 1], "labels.parquet, row 1"),
        ("labels.parquet", "step_ratings", 0, [1, 1, 0], "labels.parquet, row 1"),
        ("labels.parquet", "step_ratings", 1, [1, 3], "labels.parquet, row 2"),
        ("labels.parquet", "final_correct", 1, True, "hash"),
        ("labels.parquet", "source_label", 1, "another", "hash"),
        ("labels.parquet", "solution_id", 1, "s9", "labels.parquet, row 2"),
        ("labels.parquet", "step_soft", 0, [1.0, 1.0, 1.0], "labels.parquet, row 1"),
        ("solutions.parquet", "problem_id", 1, "c", "hash"),
        ("solutions.parquet", "group", 0, "hard", "hash"),
        ("solutions.parquet", "twin_id", 2, "s7", "twin"),
        ("solutions.parquet", "solution_id", 0, "s5", "solutions.parquet, row 1"),
        ("candidates.parquet", "steps", 0, ["x", "y", "z"], "content hash"),
        ("candidates.parquet", "text", 0, "other", "candidate id"),
        ("problems.parquet", "statement", 0, "other", "hash"),
    ],
)
def test_every_change_is_found(step_set: StepSet, file: str, column: str, row: int, value: Any, said: str) -> None:
    """A label that somebody changed would move every figure of the set without a word."""
    edited(step_set.path / file, column, row, value)
    faults = StepSet(step_set.path).verify()
    assert any(said in fault for fault in faults), faults
    with pytest.raises(DataError):
        StepSet(step_set.path).require_sound()


def test_a_row_too_few_or_too_many(step_set: StepSet) -> None:
    """A lost last row must not shift or drop a label."""
    path = step_set.path / "labels.parquet"
    whole = pq.read_table(path)
    for table in (whole.slice(0, 2), pa.concat_tables([whole, whole.slice(2)])):
        pq.write_table(table, path)
        assert any("labels" in fault for fault in StepSet(step_set.path).verify())
    pq.write_table(whole, path)
    solutions = step_set.path / "solutions.parquet"
    pq.write_table(pa.concat_tables([pq.read_table(solutions)] * 2), solutions)
    assert any("rows beyond" in fault for fault in StepSet(step_set.path).verify())


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"schema": "prm_eval.stepset/9"}, "schema"),
        ({"labels": "guessed"}, "labels"),
        ({"pool_hash": "0" * 64}, "labels of the pool"),
        ({"n_solutions": -1}, "n_solutions"),
        ({"labels_hash": "no"}, "labels_hash"),
        ({"label_source": "aunt"}, "label_source"),
        ({"name": " "}, "name"),
    ],
)
def test_a_description_that_does_not_hold(step_set: StepSet, change: dict[str, Any], said: str) -> None:
    """The description is read field by field; what it says of another pool is no label of this one."""
    file = step_set.path / "stepset.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    with pytest.raises(DataError, match=said):
        StepSet(step_set.path)


@pytest.mark.parametrize(("field", "value"), [("n_solutions", 4), ("n_labelled", 2), ("labels_hash", "0" * 64)])
def test_counts_and_hashes_that_do_not_hold(step_set: StepSet, field: str, value: Any) -> None:
    """What the description counts is counted again."""
    file = step_set.path / "stepset.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {field: value}))
    assert StepSet(step_set.path).verify()


def test_a_pool_is_no_step_set(tmp_path: Path, step_set: StepSet) -> None:
    """The way out is in the message."""
    (step_set.path / "stepset.json").unlink()
    assert not is_step_set(step_set.path)
    with pytest.raises(DataError, match="steps import"):
        StepSet(step_set.path)


def test_nothing_is_left_of_a_writer_that_fails(tmp_path: Path) -> None:
    """A fault in the last solution leaves no half set under the name."""
    good = Solution("a", "p", ("one",), "p")
    with (
        pytest.raises(PrmEvalError, match="no step"),
        StepSetWriter(tmp_path / "set", name="x", labels="first_error", label_source="people") as writer,
    ):
        writer.add(good, by_first_error(-1, 1))
        writer.add(Solution("b", "p", (), "p"), by_first_error(-1, 1))
    assert list(tmp_path.iterdir()) == []
    with (
        pytest.raises(PrmEvalError, match="empty step set"),
        StepSetWriter(tmp_path / "set", name="x", labels="first_error", label_source="people"),
    ):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_label_that_does_not_fit_is_not_written(tmp_path: Path) -> None:
    """The writer is the last one who can see that a label is of another solution."""
    with (
        pytest.raises(PrmEvalError, match="'a'"),
        StepSetWriter(tmp_path / "set", name="x", labels="first_error", label_source="people") as writer,
    ):
        writer.add(Solution("a", "p", ("one",), "p"), by_first_error(1, 2))


def test_the_same_solutions_give_the_same_hash(tmp_path: Path) -> None:
    """A hash that depended on when or where would name no set."""
    one, two = labelled(tmp_path / "one", ROWS), labelled(tmp_path / "two", ROWS)
    assert one.info.content_hash == two.info.content_hash
    other = [{**ROWS[0], "label": 2}, *ROWS[1:]]
    assert labelled(tmp_path / "three", other).info.content_hash != one.info.content_hash
    assert labelled(tmp_path / "four", other).info.pool_hash == one.info.pool_hash
