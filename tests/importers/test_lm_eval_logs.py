"""Logs of lm_eval: which rows are one problem, what the results beside them say, and how golds are found."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from prm_eval.errors import DataError
from prm_eval.importers import import_pool
from tests.conftest import write_jsonl

pytestmark = pytest.mark.unmeasured  # what is measured here is measured by quicker tests


def logged(doc_id: int, statement: str, responses: list, *, doc_hash: str | None = None, **fields: object) -> dict:
    row = {"doc_id": doc_id, "doc": {"problem": statement, "answer": "2"}, "target": "2", "resps": responses, **fields}
    return row if doc_hash is None else {**row, "doc_hash": doc_hash}


JOINED = [
    # (rows, candidates of each problem)
    ([logged(0, "p", [["a", "b"]], filter=f) for f in "xy"], [["a", "b"]]),
    ([logged(0, "p", [["a", "b"]], filter=f, doc_hash="h") for f in "xy"], [["a", "b"]]),
    ([logged(0, "p", [["a"]]), logged(0, "q", [["a"]])], [["a"], ["a"]]),
    ([logged(0, "p", [["a"]], doc_hash="h"), logged(0, "q", [["a"]], doc_hash="g")], [["a"], ["a"]]),
    ([logged(0, "p", [["a"]], doc_hash="h"), logged(7, "p", [["b"]], doc_hash="h")], [["a"], ["b"]]),
    ([logged(0, "p", [["a"]], doc_hash="h"), logged(7, "p", [["a"]], doc_hash="h")], [["a"], ["a"]]),
    ([logged(0, "p", [["a"]]), logged(1, "p", [["b"]])], [["a"], ["b"]]),
    ([logged(0, "p", [["a"], ["b"], ["c"]])], [["a", "b", "c"]]),
]


@pytest.mark.parametrize("rows, expected", JOINED, ids=range(len(JOINED)))
def test_which_rows_are_one_problem(tmp_path: Path, rows: list, expected: list) -> None:
    """Filters repeat a problem; subjects with one doc_id, and one document twice, are two problems: none is lost."""
    report = import_pool(write_jsonl(tmp_path / "samples_t.jsonl", rows), tmp_path / "pool")
    assert [[c.text for c in cs] for _, cs in report.pool] == expected
    statements = [p.statement for p, _ in report.pool]
    twice = len(statements) - len(set(statements))
    assert any(note.startswith("the same statement twice") for note in report.notes) == bool(twice)


def test_two_runs_in_one_folder(tmp_path: Path) -> None:
    """Other responses to a document in another file are another run, perhaps of another policy: refused."""
    for k in range(2):
        write_jsonl(tmp_path / f"samples_t_{k}.jsonl", [logged(0, "p", [[str(k)]], doc_hash="h")])
    with pytest.raises(DataError, match="Two runs are two pools"):
        import_pool(tmp_path, tmp_path / "pool")


@pytest.mark.parametrize(
    "doc, target, gold",
    [
        ({"problem": "p", "solution": "no box"}, "2", "2"),
        ({"Problem": "p", "Answer": 204}, "x", "204"),
        ({"Question": "p", "Answer": "204", "ID": "i-1"}, "x", "204"),
        ({"problem": "p", "answer": "so \\[s=\\boxed{1.6} \\mathrm{~cm}\\]"}, "x", "1.6"),
        ({"question": "p", "answer": "sum\n#### 12"}, "x", "12"),
        ({"problem": "p", "answer": float("nan")}, "2", "2"),
        ({"problem": "p", "Answer": "3", "answer": "2"}, "x", "2"),
        ({"question": "p", "choices": ["1", "2"], "answer": 1}, "B", "B"),
    ],
)
def test_where_the_gold_is(tmp_path: Path, doc: dict, target: str, gold: str) -> None:
    """AIME's capitals, solutions in place of answers, NaN of pandas, the task's target where the document has none."""
    rows = [{**logged(0, "p", [["a"]]), "doc": doc, "target": target}]
    pool = import_pool(write_jsonl(tmp_path / "samples_t.jsonl", rows), tmp_path / "pool").pool
    assert [problem.gold for problem in pool.problems.values()] == [gold]


RESULTS = {
    "config": {"model": "hf", "model_args": "pretrained=org/m,revision=abc,dtype=float32", "random_seed": 0},
    "versions": {"t": 2},
    "chat_template": "{{ messages }}",
    "system_instruction": "Be brief.",
    "lm_eval_version": "0.4.13",
}


@pytest.mark.parametrize("arguments", ["text", "object"])
def test_results_beside_the_log(tmp_path: Path, arguments: str) -> None:
    """Pools with and without a chat template are told apart, and the policy is known though the log has it not."""
    results = json.loads(json.dumps(RESULTS))
    if arguments == "object":
        results["config"]["model_args"] = {"pretrained": "org/m", "revision": "abc"}
    (tmp_path / "results_2026-01-02T03-04-05.678.json").write_text(json.dumps(results))
    (tmp_path / "results_2026-01-01T00-00-00.000.json").write_text("{}")
    prompt = {"gen_args_0": {"arg_0": "Q: p", "arg_1": {"temperature": 0.7}}}
    source = write_jsonl(
        tmp_path / "samples_t_2026-01-02T03-04-05.678.jsonl", [logged(0, "p", [["a"]], arguments=prompt)]
    )
    info = import_pool(source, tmp_path / "pool").pool.info
    assert info.policy == {"id": "org/m", "revision": "abc"}
    assert info.sampling == {"temperature": 0.7}
    about = info.source["lm_eval"]
    assert (about["task_version"], about["system"], about["seeds"]) == ({"t": 2}, "Be brief.", {"random_seed": 0})
    assert about["chat_template"]["text"] == "{{ messages }}"
    assert about["first_prompt"]["text"] == "Q: p"
    assert import_pool(source, tmp_path / "named", policy="mine").pool.info.policy["id"] == "mine"


def test_results_that_are_torn_or_of_another_run(tmp_path: Path) -> None:
    """Results of another date are not this log's; those of its date must be whole."""
    source = write_jsonl(tmp_path / "samples_t_2026-01-02T03-04-05.678.jsonl", [logged(0, "p", [["a"]])])
    for date in ("2026-01-01T00-00-00.000", "2026-01-03T00-00-00.000"):
        (tmp_path / f"results_{date}.json").write_text("{}")
    assert import_pool(source, tmp_path / "pool").pool.info.policy["id"] is None
    (tmp_path / "results_2026-01-02T03-04-05.678.json").write_text("{")
    with pytest.raises(DataError, match="not JSON"):
        import_pool(source, tmp_path / "other")


TASK = """task: own_arith
dataset_path: json
dataset_kwargs: {data_files: {test: FOLDER/q.jsonl}}
test_split: test
output_type: generate_until
doc_to_text: "Q: {{question}}"
doc_to_target: "{{answer}}"
repeats: 3
generation_kwargs: {until: ["."], do_sample: true, temperature: 0.7}
filter_list:
  - {name: first, filter: [{function: take_first}]}
  - {name: maj, filter: [{function: majority_vote}, {function: take_first}]}
metric_list: [{metric: exact_match}]
"""


@pytest.mark.slow
def test_a_log_that_lm_eval_wrote(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, machine_described_once: None, no_tasks_of_lm_eval: None
) -> None:
    """A real run (dummy model, three repeats, two filters) and its results, from the folder that it wrote."""
    from lm_eval.__main__ import cli_evaluate

    write_jsonl(tmp_path / "q.jsonl", [{"question": q, "answer": a} for q, a in (("1+1?", "2"), ("2*3?", "6"))])
    (tmp_path / "own.yaml").write_text(TASK.replace("FOLDER", str(tmp_path)))
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    command = (
        f"lm_eval --model dummy --tasks own_arith --include_path {tmp_path} --output_path {tmp_path}/out --log_samples"
    )
    monkeypatch.setattr("sys.argv", command.split())
    cli_evaluate()
    report = import_pool(tmp_path / "out", tmp_path / "pool")
    assert report.format == "lm_eval"
    assert [(p.statement, p.gold, [c.text for c in cs]) for p, cs in report.pool] == [
        ("1+1?", "2", ["lol"] * 3),
        ("2*3?", "6", ["lol"] * 3),
    ]
    assert report.pool.info.policy["id"] == "dummy"
    assert report.pool.info.sampling["temperature"] == 0.7
    assert report.pool.info.source["lm_eval"]["first_prompt"]["text"] == "Q: 1+1?"
