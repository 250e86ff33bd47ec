"""Two models' or two runs' files in one folder: refused in one line, never read together as one pool."""

from __future__ import annotations

from pathlib import Path

import pytest

from prm_eval.errors import DataError
from prm_eval.importers import import_pool
from tests.importers.test_formats import CASES, INSPECT, NEMO, ONE, TWO, evalscope, made

# several files of one problem in one folder are what these formats are made of: records, rewards of further models
MADE_OF_FILES = ("openr", "rewardmath", "prm800k")


def in_folder(folder: str, files: dict[str, object]) -> dict[str, object]:
    return {f"{folder}/{name}": content for name, content in files.items()}


@pytest.mark.parametrize("skip_bad", [False, True])
@pytest.mark.parametrize("form", ["evalscope", "opencompass", "nemo_skills", "openr", "verl_dump", "lm_eval",
                                  "lighteval", "prm800k"])  # fmt: skip
def test_two_folders_are_two_runs(tmp_path: Path, form: str, skip_bad: bool) -> None:
    """Rows that are joined over files would fill one model's slots with another's texts, under its labels."""
    source = made(tmp_path / "s", in_folder("a", CASES[form].files) | in_folder("b", CASES[form].files))
    with pytest.raises(DataError) as caught:
        import_pool(source, tmp_path / "pool", skip_bad=skip_bad)
    line = str(caught.value)
    assert str(tmp_path / "s/a") in line and str(tmp_path / "s/b") in line
    assert "Import them apart: give one of them" in line
    assert "\n" not in line
    assert not (tmp_path / "pool").exists()
    # the next step that the line names works
    assert import_pool(source / "a", tmp_path / "one").pool.info.n_problems == 1


@pytest.mark.parametrize("form", CASES)
def test_no_format_reads_two_folders_together(tmp_path: Path, form: str) -> None:
    """Whatever the format: a second copy of a run in another folder is no further problem, slot or label."""
    source = made(tmp_path / "s", in_folder("a", CASES[form].files) | in_folder("b", CASES[form].files))
    with pytest.raises(DataError) as caught:
        import_pool(source, tmp_path / "pool")
    assert str(tmp_path / "s/a") in str(caught.value) and str(tmp_path / "s/b") in str(caught.value)


@pytest.mark.parametrize("form", [name for name in CASES if name not in MADE_OF_FILES])
def test_no_format_reads_two_files_of_the_same_problems(tmp_path: Path, form: str) -> None:
    """Two models' files that lie side by side: ids made of the files' names hide that their problems are the same."""
    files = CASES[form].files
    renamed = {
        f"{name.rpartition('/')[0]}/{model}_{name.rpartition('/')[2]}".lstrip("/"): content
        for model in ("llama_7", "llama_13")
        for name, content in files.items()
    }
    source = made(tmp_path / "s", renamed)
    with pytest.raises(DataError) as caught:
        import_pool(source, tmp_path / "pool")
    assert "llama_7" in str(caught.value) and "llama_13" in str(caught.value)


def test_evalscope_labels_are_those_of_the_same_path(tmp_path: Path) -> None:
    """Reviews of another model, under the same file name and index, would turn right answers into wrong ones."""
    right = [evalscope(0, ONE, 1.0), evalscope(1, ONE, 1.0)]
    wrong = [evalscope(0, TWO, 0.0), evalscope(1, TWO, 0.0)]
    files = {
        "predictions/a/b_all.jsonl": [prediction for prediction, _ in right],
        "reviews/a/b_all.jsonl": [review for _, review in right],
        "reviews/z/b_all.jsonl": [review for _, review in wrong],
    }
    pool = import_pool(made(tmp_path / "s", files), tmp_path / "pool").pool
    assert [[g.grade for g in grades] for _, grades in pool.grades("published")] == [["correct"] * 2]
    # the folder of the files may lie below one that is called like the other kind
    pool = import_pool(made(tmp_path / "reviews/x", files), tmp_path / "below").pool
    assert [[g.grade for g in grades] for _, grades in pool.grades("published")] == [["correct"] * 2]


def test_evalscope_rows_that_name_two_models(tmp_path: Path) -> None:
    """Predictions of two benchmarks by two models have no problem in common, and still are no pool of one policy."""
    (first, _), (second, _) = evalscope(0, ONE, 1.0), evalscope(0, TWO, 0.0)
    second = {**second, "model": "n", "messages": [{"role": "user", "content": "What is 1+2?"}]}
    with pytest.raises(DataError, match=r"the candidates of two models, m \(.*a\.jsonl\) and n \(.*b\.jsonl\)"):
        import_pool(made(tmp_path / "s", {"a.jsonl": [first], "b.jsonl": [second]}), tmp_path / "pool")


def test_inspect_logs_of_two_models(tmp_path: Path) -> None:
    """Two tasks by two models have no sample in common; their pool would be of a policy that never was."""
    other = {**INSPECT, "eval": {**INSPECT["eval"], "model": "org/n"}}
    other["samples"] = [{**each, "id": "z", "input": "What is 1+2?"} for each in INSPECT["samples"]]
    with pytest.raises(DataError, match=r"the candidates of two models, org/m \(.*\) and org/n \("):
        import_pool(made(tmp_path / "s", {"a.json": INSPECT, "b.json": other}), tmp_path / "pool")
    same = {**other, "eval": INSPECT["eval"]}
    assert import_pool(made(tmp_path / "t", {"a.json": INSPECT, "b.json": same}), tmp_path / "ok").pool.info.m == 2


def test_lm_eval_logs_of_two_models_in_one_folder(tmp_path: Path) -> None:
    """Two tasks by two models, each with its results: the pool would bear the name of the first alone."""
    (row, _) = CASES["lm_eval"].files["samples_t.jsonl"]
    other = {**row, "doc": {"Problem": "What is 1+2?", "Answer": 3}, "doc_hash": "i"}
    first, second = "2025-01-01T00-00-00.5", "2025-01-02T00-00-00.5"
    files = {
        f"samples_t_{first}.jsonl": [row],
        f"samples_u_{second}.jsonl": [other],
        f"results_{first}.json": {"config": {"model": "hf", "model_args": "pretrained=org/m"}},
        f"results_{second}.json": {"config": {"model": "hf", "model_args": "pretrained=org/n"}},
    }
    with pytest.raises(DataError, match=r"the candidates of two models, org/m \(.*\) and org/n \("):
        import_pool(made(tmp_path / "s", files), tmp_path / "pool")


def test_the_same_statement_under_two_ids_is_no_second_run(tmp_path: Path) -> None:
    """The contrast: questions that differ in their choices alone come from two files of one run, and keep their ids."""
    rows = [{"problem": "Which is true?", "id": name, "answer": "A", "samples": [{"text": "A"}]} for name in "xy"]
    report = import_pool(made(tmp_path / "s", {"a.jsonl": rows[:1], "b.jsonl": rows[1:]}), tmp_path / "pool")
    assert list(report.pool.problems) == ["x", "y"]
    assert any(note.startswith("the same statement twice") for note in report.notes)


def test_parts_and_tasks_of_one_run_are_still_joined(tmp_path: Path) -> None:
    """The contrast: OpenCompass' parts of a data set, and samples of several numbers, are one run."""
    entry = {"origin_prompt": "What is 1+1?", "prediction": ONE, "gold": "2"}
    parts = {"p/m/d_0.json": {"0": entry}, "p/m/d_1.json": {"0": {**entry, "prediction": TWO}}}
    pool = import_pool(made(tmp_path / "parts", parts), tmp_path / "pool").pool
    assert [[each.text for each in candidates] for _, candidates in pool] == [[ONE, TWO]]
    sizes = {"p/m/llama_7.json": {"0": entry}, "p/m/llama_13.json": {"0": entry}}
    with pytest.raises(DataError, match=r"a prompt that .*llama_7\.json has, too"):
        import_pool(made(tmp_path / "sizes", sizes), tmp_path / "none")
    rows = [{**NEMO, "generation": ONE, "predicted_answer": "2"}]
    names = {f"{model}-rs{k}.jsonl": rows for model in ("m", "n") for k in (0, 1)}
    with pytest.raises(DataError, match=r"m-rs\*\.jsonl and .*n-rs\*\.jsonl"):
        import_pool(made(tmp_path / "names", names), tmp_path / "none")
    assert import_pool(str(tmp_path / "names/m-rs*.jsonl"), tmp_path / "globbed").pool.info.m == 2
