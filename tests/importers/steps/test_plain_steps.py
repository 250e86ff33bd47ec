"""Plain JSON lines: what goes in comes out, whatever the texts, labels and shapes of files are."""

from __future__ import annotations

import gzip
import json
import tempfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prm_eval.errors import PrmEvalError
from prm_eval.importers.steps import import_step_set
from prm_eval.pools.pool import Pool
from prm_eval.stepsets.step_set import is_step_set
from tests.conftest import write_jsonl
from tests.importers.steps.rows import NOWHERE, PLAIN, PRM800K, PROCESSBENCH, altered, found, imported, rewards_of

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
NAME = TEXT.filter(str.strip)


@st.composite
def solutions(draw: st.DrawFn, label: str) -> dict[str, Any]:
    steps = draw(st.lists(TEXT, min_size=1, max_size=5))
    n = len(steps)
    row: dict[str, Any] = {"problem": draw(NAME), "steps": steps}
    if label == "label":
        row["base"] = draw(st.sampled_from([0, 1]))
        first = draw(st.integers(-1, n - 1))
        row["label"] = first if first == -1 else first + row["base"]
    elif label == "ratings":
        row["ratings"] = draw(st.lists(st.sampled_from([-1, 0, 1, None]), min_size=n, max_size=n))
    else:
        row["base"] = draw(st.sampled_from([0, 1]))
        row["wrong_steps"] = [k + row["base"] for k in sorted(draw(st.sets(st.integers(0, n - 1))))]
    for name, values in (("group", NAME), ("generator", NAME), ("final_answer", TEXT), ("problem_id", NAME)):
        if draw(st.booleans()):
            row[name] = draw(values)
    if draw(st.booleans()):
        row["final_answer_correct"] = draw(st.booleans())
    return row


@pytest.mark.parametrize("label", ["label", "ratings", "wrong_steps"])
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_what_goes_in_comes_out(label: str, data: st.DataObject) -> None:
    """If a text, a label or a name changed on the way in, a figure would be of another set than the file's."""
    rows = [
        {"id": f"s{k}", **row} for k, row in enumerate(data.draw(st.lists(solutions(label), min_size=1, max_size=4)))
    ]
    with tempfile.TemporaryDirectory() as folder:
        report = imported(Path(folder), rows)
        assert len(report.step_set.solutions) == len(rows)
        for row, (solution, known) in zip(rows, found(report).values(), strict=True):
            assert (solution.statement, list(solution.steps)) == (row["problem"], row["steps"])
            assert solution.problem_id == row.get("problem_id", " ".join(row["problem"].split()))
            for name in ("group", "generator", "final_answer"):
                assert getattr(solution, name) == row.get(name)
            assert known.final_correct == row.get("final_answer_correct")
            n = len(row["steps"])
            if label == "ratings":
                assert list(known.ratings) == row["ratings"]
            elif label == "wrong_steps":
                assert [k + row["base"] for k in range(n) if known.ratings[k] == -1] == row["wrong_steps"]
            else:
                assert known.first_error == (row["label"] if row["label"] == -1 else row["label"] - row["base"])
                assert known.ratings[: known.first_error if known.first_error >= 0 else n].count(1) in (
                    known.first_error,
                    n,
                )


def test_every_field(tmp_path: Path) -> None:
    """If a field that the format names were passed over, what it says would be lost without a word."""
    row = altered(
        PLAIN,
        group="g",
        generator="m",
        problem_id="p",
        final_answer=6,
        final_answer_correct=False,
        source_label="second",
        label_source="oracle",
        remarks=["x=1"],
        step_scores=[0.1, 0.2, 0.3],
        prm_scores={"m": [0.4, 0.5, 0.6]},
        twin_id="b",
    )
    report = imported(tmp_path, [row, altered(PLAIN, id="b")])
    solution, label = found(report)["a"]
    assert (solution.group, solution.generator, solution.problem_id) == ("g", "m", "p")
    assert (solution.final_answer, solution.remarks, solution.twin_id) == ("6", ("x=1",), "b")
    assert (label.final_correct, label.source_label) == (False, "second")
    info = report.step_set.info
    assert (info.name, info.label_source, info.made_by_a_model) == ("rows", "oracle", False)
    assert rewards_of(report, "step_scores")["a"].values == (0.1, 0.2, 0.3)
    assert rewards_of(report, "m")["b"].refusal == "not in the source"


def test_fields_that_nothing_reads(tmp_path: Path) -> None:
    """If a misspelt field were passed over in silence, a label or a group would be lost by a letter."""
    report = imported(tmp_path, [altered(PLAIN, grupe="x"), altered(PLAIN, id="b", grupe="y")])
    assert [note for note in report.notes if "not read" in note] == ["not read: the field 'grupe'"]


def test_labels_that_nobody_knows(tmp_path: Path) -> None:
    """If an unknown label became "no wrong step", a set would be cleaner than anybody said."""
    report = imported(tmp_path, [altered(PLAIN, label=None), altered(PLAIN, id="b")])
    assert [each.first_error for each in report.step_set.labels] == [None, 1]
    assert report.step_set.info.n_labelled == 1
    assert (report.looks.whole.unknown, report.looks.whole.unrated) == (1, 4)


def test_floats_that_are_whole(tmp_path: Path) -> None:
    """If 1.0 were refused, no table with a missing label could be read: it has floats for all the others."""
    assert imported(tmp_path, [altered(PLAIN, label=1.0)]).step_set.labels[0].first_error == 1


def test_ratings_beside_a_label(tmp_path: Path) -> None:
    """If a label beside ratings were refused though it agrees, rows that say both could not be read."""
    report = imported(tmp_path, [altered(PLAIN, ratings=[1, -1, 0])])
    assert report.step_set.info.labels == "rated"
    assert (report.step_set.labels[0].first_error, report.step_set.labels[0].ratings) == (1, (1, -1, 0))


def test_a_row_without_an_id(tmp_path: Path) -> None:
    """If rows without ids were refused, most hub datasets could not be read; their place names them."""
    report = imported(tmp_path, [altered(PLAIN, id=NOWHERE), altered(PLAIN, id=NOWHERE)])
    assert [each.solution_id for each in report.step_set.solutions] == ["rows/1", "rows/2"]


@pytest.mark.parametrize("shape", ["array", "pretty", "gzip", "parquet"])
def test_one_set_whatever_the_shape(tmp_path: Path, shape: str) -> None:
    """If the shape of a file changed the set, the same benchmark from the hub and from a repository would be two."""
    rows = [altered(PROCESSBENCH, id=f"math-{k}", label=k - 1) for k in range(3)]
    expected = import_step_set(write_jsonl(tmp_path / "x.jsonl", rows), tmp_path / "expected").step_set.info
    file = tmp_path / "rows"
    if shape == "array":
        file.write_text(json.dumps(rows))
    elif shape == "pretty":
        file.write_text("\n".join(json.dumps(row, indent=2) for row in rows))
    elif shape == "gzip":
        file.write_bytes(gzip.compress("".join(json.dumps(row) + "\n" for row in rows).encode()))
    else:
        pq.write_table(pa.Table.from_pylist(rows), file)
    got = import_step_set(file, tmp_path / "set").step_set.info
    assert (got.pool_hash, got.labels_hash) == (expected.pool_hash, expected.labels_hash)


def test_several_objects_in_a_file(tmp_path: Path) -> None:
    """If only the first of several concatenated objects were read, two of three records of PRM800K's example would be
    lost."""
    file = tmp_path / "records.json"
    file.write_text("\n".join(json.dumps(PRM800K, indent=4) for _ in range(3)))
    report = import_step_set(file, tmp_path / "set")
    assert [each.solution_id for each in report.step_set.solutions] == ["records/1", "records/2", "records/3"]


def test_a_hub_dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If hub ids took another way than files, ProcessBench from the hub would be another set than from a file."""
    import datasets

    asked = []
    rows = [altered(PROCESSBENCH, id="gsm8k-0"), altered(PROCESSBENCH, id="gsm8k-1", label=0)]

    def load(*args: object, **options: object) -> object:
        asked.append((*args, options))
        return datasets.Dataset.from_list(rows)

    monkeypatch.setattr(datasets, "load_dataset", load)
    report = import_step_set("hf://Qwen/ProcessBench:default:gsm8k@main", tmp_path / "hub")
    assert asked == [("Qwen/ProcessBench", "default", {"split": "gsm8k", "revision": "main"})]
    local = import_step_set(write_jsonl(tmp_path / "rows.jsonl", rows), tmp_path / "local")
    assert report.step_set.info.labels_hash == local.step_set.info.labels_hash
    assert report.step_set.info.source["revision"] == "main"
    with pytest.raises(PrmEvalError, match="imported alone"):
        import_step_set(["hf://Qwen/ProcessBench:default:gsm8k", str(tmp_path / "rows.jsonl")], tmp_path / "both")


def test_it_is_a_pool_without_labels(tmp_path: Path) -> None:
    """If a label stood in a file that a reward model's run reads, the wall would have a hole."""
    report = imported(tmp_path, [altered(PLAIN, final_answer_correct=False, source_label="WALL", group="GROUP")])
    pool = Pool(report.step_set.path)
    assert is_step_set(pool.path) and pool.verify() == [] and (pool.info.m, pool.info.splitter) == (1, "given")
    for file in ("pool.json", "problems.parquet", "candidates.parquet"):
        text = (pool.path / file).read_bytes()
        assert b"WALL" not in text and b"GROUP" not in text and b"first_error" not in text
    assert pool.problems["a"].gold is None


def test_a_folder_that_is_there(tmp_path: Path) -> None:
    """If a set were written over another one, its rewards would be of texts that are gone."""
    imported(tmp_path, [PLAIN])
    with pytest.raises(PrmEvalError, match="exists and is not empty"):
        imported(tmp_path, [PLAIN])


def test_progress_is_told(tmp_path: Path) -> None:
    """If progress were not told, a long import would look hung."""
    told: list[int] = []
    imported(tmp_path, [PLAIN, altered(PLAIN, id="b")], progress=told.append)
    assert told == [1, 2]
