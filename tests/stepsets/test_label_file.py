"""Labels beside a pool: one folder a source, bound to the pool and its cut; a step set can be made of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from prm_eval.errors import DataError, PrmEvalError
from prm_eval.pools.pool import Pool
from prm_eval.pools.writer import PoolWriter
from prm_eval.records import Candidate, Problem
from prm_eval.stepsets.label_file import LabelFile, Labelled, LabelWriter, label_folders, to_step_set
from prm_eval.stepsets.labels import by_first_error, by_ratings
from prm_eval.stepsets.step_set import StepSet
from tests.evaluation.stepwise.sets import labelled


@pytest.fixture
def pool(tmp_path: Path) -> Pool:
    writer = PoolWriter(tmp_path / "pool", problem_set={"name": "few"}, policy={"id": "p"}, splitter="line")
    with writer:
        for name in ("a", "b"):
            texts = [f"one {name}\ntwo\nthree", f"one {name}\ntwo"]
            candidates = [Candidate(name, slot, text) for slot, text in enumerate(texts)]
            writer.add(Problem(name, f"problem {name}", "3"), candidates)
    assert writer.pool is not None
    return writer.pool


def written(pool: Pool, folder: Path, **of: Any) -> LabelFile:
    fields: dict[str, Any] = {"source": "oracle", "by": "the test", "labels": "every_step"} | of
    with LabelWriter(folder, pool, **fields) as writer:
        for problem, candidates in pool:
            for each in candidates:
                steps = tuple(each.text.split("\n"))
                label = by_ratings([1, *[-1] * (len(steps) - 1)], len(steps), final_correct=each.slot == 0)
                who = Labelled(problem, each, steps, label, "ann", "2026-11-30T00:00:00", 1.5, ("flagged",))
                writer.add(who)
    return LabelFile(folder)


def test_what_was_written_is_read(pool: Pool) -> None:
    """Who, when and what come back beside the candidate that they are of."""
    file = written(pool, pool.path / "labels" / "test")
    assert (file.info.n_labelled, file.info.splitter, file.info.source) == (4, "line", "oracle")
    found = list(file.labelled(pool))
    assert [each.candidate.candidate_id for each in found] == [c.candidate_id for _, own in pool for c in own]
    assert found[0].label.first_error == 1
    assert (found[0].who, found[0].seconds, found[0].remarks) == ("ann", 1.5, ("flagged",))
    assert label_folders(pool) == [pool.path / "labels" / "test"]


def test_rows_that_are_missing_are_missed(pool: Pool) -> None:
    """Half of a table that was copied is sound in itself: training would learn from half the labels without a word."""
    file = written(pool, pool.path / "labels" / "test")
    path = file.folder / "labels.parquet"
    pq.write_table(pq.read_table(path).slice(0, 3), path)
    with pytest.raises(DataError, match=r"found 3 rows; expected 4, as labels\.json says"):
        list(LabelFile(file.folder).labelled(pool))


def test_two_sources_are_not_mixed(pool: Pool) -> None:
    """A second labeller's labels in the same folder would be one source with two opinions."""
    written(pool, pool.path / "labels" / "test")
    with pytest.raises(PrmEvalError, match="holds labels already"):
        written(pool, pool.path / "labels" / "test")
    with pytest.raises(PrmEvalError, match="unknown splitter"):
        LabelWriter(pool.path / "x", pool, source="people", by="x", labels="rated", splitter="nowhere")


def test_a_step_set_of_labels(pool: Pool, tmp_path: Path) -> None:
    """What training reads: solutions of the same problems, steps as they were labelled, the source said."""
    step_set = to_step_set(pool, written(pool, tmp_path / "labels"), tmp_path / "set")
    assert step_set.verify() == []
    assert step_set.info.label_source == "oracle"
    assert [each.problem_id for each in step_set.solutions] == ["a", "a", "b", "b"]
    assert step_set.solutions[0].steps == ("one a", "two", "three")
    assert step_set.labels[0].final_correct is True


def test_a_step_set_that_is_labelled_again_keeps_its_problems(tmp_path: Path) -> None:
    """The problem of a solution is its cluster: lost, ten copies of a problem would be ten problems."""
    first = labelled(tmp_path / "first", [{"n": 2, "label": 1, "problem": "p", "group": "g"} for _ in range(2)])
    folder = tmp_path / "labels"
    with LabelWriter(folder, first.pool, source="model", by="m", labels="first_error") as writer:
        for problem, (candidate,) in first.pool:
            writer.add(Labelled(problem, candidate, candidate.steps or (), by_first_error(0, 2)))
    again = to_step_set(first.pool, LabelFile(folder), tmp_path / "again", name="again")
    assert [each.problem_id for each in again.solutions] == ["p", "p"]
    assert [each.group for each in again.solutions] == ["g", "g"]
    assert again.info.made_by_a_model
    assert isinstance(again, StepSet)


def test_labels_of_another_pool_or_cut(pool: Pool, tmp_path: Path) -> None:
    """Labels joined to other texts, or to other steps of the same text, are labels of nothing."""
    file = written(pool, tmp_path / "labels")
    other = labelled(tmp_path / "other", [{"n": 1, "label": 0}]).pool
    with pytest.raises(DataError, match="labels of the pool"):
        list(file.labelled(other))
    with pytest.raises(PrmEvalError, match=r"ratings for 2 steps"):
        for problem, candidates in pool:
            with LabelWriter(tmp_path / "wrong", pool, source="people", by="x", labels="every_step") as writer:
                writer.add(Labelled(problem, candidates[0], ("x", "y"), by_ratings([1, 1, 1], 3)))
    assert not (tmp_path / "wrong" / "labels.json").exists()
    description = file.folder / "labels.json"
    description.write_text(json.dumps(json.loads(description.read_text()) | {"splitter": "blank_line"}))
    with pytest.raises(DataError, match="row 1"):
        list(LabelFile(file.folder).labelled(pool))


@pytest.mark.parametrize("change", ["order", "twice", "unknown"])
def test_rows_that_are_not_of_the_pool(pool: Pool, tmp_path: Path, change: str) -> None:
    """Out of order, twice, or of nobody: with the number of the row."""
    file = written(pool, tmp_path / "labels")
    path = file.folder / "labels.parquet"
    table = pq.read_table(path)
    if change == "order":
        table = table.take(pa.array([1, 0, 2, 3]))
    elif change == "twice":
        table = pa.concat_tables([table, table.slice(3)])
    else:
        rows = table.to_pylist()
        rows[2]["candidate_id"] = "0000-deadbeef"
        table = pa.Table.from_pylist(rows, schema=table.schema)
    pq.write_table(table, path)
    with pytest.raises(DataError, match="out of order, twice or unknown"):
        list(file.labelled(pool))


@pytest.mark.parametrize(
    "change", [{"schema": "x"}, {"source": "aunt"}, {"labels": "guess"}, {"by": ""}, {"n_labelled": -1}]
)
def test_a_description_that_does_not_hold(pool: Pool, tmp_path: Path, change: dict[str, Any]) -> None:
    """Field by field, with what was expected."""
    file = written(pool, tmp_path / "labels").folder / "labels.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    with pytest.raises(DataError):
        LabelFile(tmp_path / "labels")
    file.unlink()
    with pytest.raises(DataError, match="prm-eval label"):
        LabelFile(tmp_path / "labels")
