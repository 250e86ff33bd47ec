"""Every format from a file of its stated shape; docs/pools.md says which files the tools themselves wrote."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from prm_eval.errors import DataError, PrmEvalError
from prm_eval.importers import FORMATS, detect_format, import_pool
from prm_eval.rewards.files.reward_file import RewardFile
from tests.conftest import write_jsonl

HERE = Path(__file__).parent
ONE, TWO = "1+1 = 2\n\nso \\boxed{2}", "\\boxed{3}"
CHAT = "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nWhat is 1+1?<|im_end|>\n<|im_start|>assistant\n"


@dataclass(frozen=True)
class Case:
    """A source of one format: its files by name, and what must come out of it for its first problem."""

    form: str
    files: dict[str, object]
    statement: str = "What is 1+1?"
    gold: str | None = "2"
    texts: tuple[str, ...] = (ONE, TWO)
    labels: tuple[str, ...] | None = ("correct", "incorrect")
    rewards: dict[str, list] = field(default_factory=dict)
    policy: str | None = None


def made(folder: Path, files: dict[str, object]) -> Path:
    """Write the files of a case; lists are JSON lines, unless the name says .parquet or .json."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if name.endswith(".parquet"):
            pq.write_table(pa.Table.from_pylist(content), path)
        elif name.endswith(".json"):
            path.write_text(json.dumps(content, indent=1), encoding="utf-8")
        else:
            write_jsonl(path, content)
    return folder / next(iter(files)) if len(files) == 1 else folder


def strict(**changes: object) -> dict:
    prompt = "system\nBe brief.\nuser\nWhat is 1+1?\nassistant\n"
    about = {"id": "g_0", "question": "What is 1+1?", "ground_truth": "2", "domain": "arithmetic"}
    return {
        "problem_id": "g_0",
        "problem": about,
        "raw_text": prompt + ONE,
        "steps": [{"index": 0, "text": prompt + "1+1 = 2"}, {"index": 1, "text": "so \\boxed{2}"}],
        "extracted_answer": "2",
        "is_correct": True,
        "num_tokens": 9,
        "model_name": "some/model",
        **changes,
    }


def evalscope(index: int, text: str, right: float) -> tuple[dict, dict]:
    asked = [{"role": "user", "content": "What is 1+1?"}]
    choice = {"message": {"role": "assistant", "content": text}, "stop_reason": "stop"}
    output = {"model": "m", "choices": [choice], "usage": {"output_tokens": 7}}
    score = {"value": {"acc": right}, "extracted_prediction": "2" if right else "3", "prediction": text}
    return (
        {"index": index, "model": "m", "model_output": output, "messages": asked, "metadata": {"level": 1}},
        {
            "index": index,
            "target": ["2"],
            "messages": asked,
            "sample_score": {"score": score, "sample_id": index, "group_id": 0, "generation_index": index},
        },
    )


SCOPE = [evalscope(0, ONE, 1.0), evalscope(1, TWO, 0.0)]
NEMO = {"problem": "What is 1+1?", "expected_answer": "2"}
SAMPLE = {"id": "a", "input": "What is 1+1?", "target": "2", "error": None}
INSPECT = {
    "version": 2,
    "status": "success",
    "eval": {"task": "t", "model": "org/m", "model_generate_config": {}},
    "plan": {"config": {"temperature": 0.5}},
    "samples": [
        {
            **SAMPLE,
            "epoch": epoch,
            "output": {"choices": [{"message": {"role": "assistant", "content": text}, "stop_reason": "stop"}]},
            "scores": {"note": {"value": "fine"}, "match": {"value": value, "answer": answer}},
        }
        for epoch, text, value, answer in ((2, TWO, "I", "3"), (1, ONE, "C", "2"))
    ],
}

CASES = {
    "plain": Case(
        "plain",
        {
            "p.jsonl": [
                {
                    "problem": "What is 1+1?",
                    "answer": "2",
                    "samples": [
                        {"text": ONE, "steps": ["a", "b"], "correct": True, "rewards": {"A": [0.5, 1], "B": 3}},
                        {"text": TWO, "steps": ["c"], "correct": False, "rewards": {"A": [0.25], "B": None}},
                    ],
                    "rewards": {"C": [-1.5, 2]},
                }
            ]
        },
        rewards={"A": [(0.5, 1), (0.25,)], "B": [(3,), ()], "C": [(-1.5,), (2,)]},
    ),
    "search_and_learn": Case(
        "search_and_learn",
        {
            "best_of_n_completions.jsonl": [
                {
                    "problem": "What is 1+1?",
                    "solution": "\\boxed{2}",
                    "answer": "2",
                    "subject": "Algebra",
                    "level": 1,
                    "unique_id": "t/1",
                    "completions": [ONE, TWO],
                    "scores": [[0.5, 0.75], [0.25]],
                    "pred": ONE,
                    "completion_tokens": [5, 3],
                    "agg_scores": [0.75, 0.25],
                    "pred_naive@2": "\\boxed{2}",
                }
            ]
        },
        labels=None,
        rewards={"scores": [(0.5, 0.75), (0.25,)]},
    ),
    "qwen_eval": Case(
        "qwen_eval",
        {
            "out.jsonl": [
                {
                    "idx": 0,
                    "question": "What is 1+1?",
                    "gt_cot": "easy",
                    "gt": "2",
                    "answer": "\\text{2}",
                    "code": [ONE, TWO],
                    "pred": ["2", "3"],
                    "report": [None, None],
                    "score": [True, False],
                    "pred_score": [[2.5], [-1]],
                }
            ]
        },
        rewards={"pred_score": [(2.5,), (-1,)]},
    ),
    "nemo_skills": Case(
        "nemo_skills",
        {
            "output-rs10.jsonl": [
                {
                    **NEMO,
                    "generation": TWO,
                    "predicted_answer": "3",
                    "symbolic_correct": False,
                    "reward_model_score": -2,
                }
            ],
            "output-rs2.jsonl": [
                {**NEMO, "generation": ONE, "predicted_answer": "2", "symbolic_correct": True, "reward_model_score": 1}
            ],
        },
        rewards={"reward_model_score": [(1,), (-2,)]},
    ),
    "openr": Case(
        "openr",
        {
            f"question_0/record_{k}.jsonl": [
                {
                    "question": "What is 1+1?",
                    "groundtruth": "2",
                    "result": {"majority_vote": 1},
                    "output": [{"path_idx": 0, "text": text, "value": value, "completion_tokens": 4}],
                }
            ]
            for k, text, value in ((0, ONE, [0.5, 0.75]), (1, TWO, [0.25]))
        }
        | {"config.json": {"LM": "m"}},
        labels=None,
        rewards={"value": [(0.5, 0.75), (0.25,)]},
    ),
    "verl_dump": Case(
        "verl_dump",
        {
            "7.jsonl": [
                {"input": CHAT, "output": text, "gts": "2", "score": score, "step": 7, "acc": acc, "pred": pred}
                for text, score, acc, pred in ((ONE, 1.0, True, "2"), (TWO, -1.0, False, "3"))
            ]
        },
        rewards={"score": [(1,), (-1,)]},
    ),
    "verl_generation": Case(
        "verl_generation",
        {
            "g.parquet": [
                {
                    "data_source": "d",
                    "prompt": [{"role": "user", "content": "What is 1+1?"}],
                    "reward_model": {"style": "rule", "ground_truth": "2"},
                    "extra_info": {"index": 3, "split": "test"},
                    "responses": [ONE, TWO],
                }
            ]
        },
        labels=None,
    ),
    "inspect": Case("inspect", {"log.json": INSPECT}, policy="org/m"),
    "evalscope": Case(
        "evalscope",
        {
            "predictions/m/b_all.jsonl": [prediction for prediction, _ in SCOPE],
            "reviews/m/b_all.jsonl": [review for _, review in SCOPE],
        },
        policy="m",
    ),
    "opencompass": Case(
        "opencompass",
        {
            "d.json": {
                str(k): {
                    "origin_prompt": [{"role": "HUMAN", "prompt": "What is 1+1?"}],
                    "prediction": text,
                    "gold": "2",
                }
                for k, text in enumerate((ONE, TWO))
            }
        },
        labels=None,
    ),
    "lighteval": Case(
        "lighteval",
        {
            "details_t.parquet": [
                {
                    "doc": {"query": "What is 1+1?", "choices": ["2"], "gold_index": [0], "id": "0", "task_name": "t"},
                    "model_response": {"text": [ONE, TWO], "input": "What is 1+1?"},
                    "metric": {"avg@2": 0.5},
                }
            ]
        },
        labels=None,
    ),
    "rewardbench2": Case(
        "rewardbench2",
        {
            "model.json": {
                "text": [["user: What is 1+1?\nassistant:\n" + text for text in (ONE, TWO)]],
                "scores": [[[1.5], [-0.5]]],
                "results": [1],
                "id": ["7"],
                "subset": ["Math"],
                "num_correct": [1],
                "model": "org/rm",
            }
        },
        statement="user: What is 1+1?\nassistant:\n",
        gold=None,
        rewards={"scores": [(1.5,), (-0.5,)]},
        policy="several models (RewardBench 2)",
    ),
    "rewardmath": Case(
        "rewardmath",
        {
            f"{name}_reward.json": [
                {"problem": "What is 1+1?", "solution_reference": ["human", "small"], "score": score}
            ]
            for name, score in (("orm", [1.5, -0.5]), ("prm", [[0.5, 0.75], [0.25]]))
        },
        gold=None,
        texts=(
            "[step 1 of human: no text in the source]\n[step 2 of human: no text in the source]",
            "[step 1 of small: no text in the source]",
        ),
        rewards={"orm": [(1.5,), (-0.5,)], "prm": [(0.5, 0.75), (0.25,)]},
        policy="ten solvers (RewardMATH)",
    ),
    "strictprmbench": Case(
        "strictprmbench",
        {
            "pools/g_0.json": {
                "problem_id": "g_0",
                "n": 2,
                "temperature": 0.8,
                "candidates": [
                    strict(),
                    strict(raw_text=TWO, steps=[{"index": 0, "text": TWO}], extracted_answer="3", is_correct=False),
                ],
            },
            "scores/a.jsonl": [
                {"benchmark": "g", "prm_name": "a", "problem_id": "g_0", "candidate_index": k, "step_scores": scores}
                for k, scores in ((1, [0.25]), (0, [0.5, 0.75]))
            ],
        },
        policy="some/model",
        rewards={"a": [(0.5, 0.75), (0.25,)]},
    ),
    "lm_eval": Case(
        "lm_eval",
        {
            "samples_t.jsonl": [
                {
                    "doc_id": 0,
                    "doc": {"Problem": "What is 1+1?", "Answer": 2, "ID": "x"},
                    "target": "2",
                    "resps": [[ONE, TWO]],
                    "filter": name,
                    "doc_hash": "h",
                }
                for name in ("first", "last")
            ]
        },
        labels=None,
    ),
    "prm800k": Case(
        "prm800k",
        {
            "scored-test-samples.jsonl": [
                {
                    "problem": "What is 1+1?",
                    "unique_id": "t/1",
                    "ground_truth_answer": "2",
                    "answer": answer,
                    "is_correct": answer == "2",
                    "steps": text.split("\n\n"),
                    "rating_probs": [{"-1": 0.5, "0": 0.25, "1": 0.25}] * len(text.split("\n\n")),
                    "orm_score": 0.5,
                    "prm_score": 0.25,
                }
                for answer, text in (("2", ONE), ("3", TWO))
            ]
        },
        texts=(ONE.replace("\n\n", "\n"), TWO),
        rewards={"orm_score": [(0.5,), (0.5,)], "prm_score": [(0.25,), (0.25,)], "rating_probs": [(0, 0), (0,)]},
        policy="prm800k-generator",
    ),
}


def first_rows() -> dict[str, list[dict]]:
    """The first row of every file of every case, as recognition sees it."""
    found: dict[str, list[dict]] = {}
    for name, case in CASES.items():
        for file, content in case.files.items():
            if file != "config.json":
                found.setdefault(name, []).append(content if isinstance(content, dict) else content[0])
    return found


def test_every_format_has_a_case() -> None:
    """A format without a file of its shape here would be recognised by nobody's test."""
    assert set(CASES) == set(FORMATS)


@pytest.mark.parametrize("name", CASES)
def test_no_row_is_of_two_formats(name: str) -> None:
    """Formats are recognised by fields that others lack, so that their order does not matter."""
    for row in first_rows()[name]:
        assert [form for form, each in FORMATS.items() if each.recognise(row)] == [name]


@pytest.mark.parametrize("name", CASES)
def test_a_file_of_its_shape(tmp_path: Path, name: str) -> None:
    """Statement, gold, texts in their slots, labels and rewards of each format come out as they went in."""
    case = CASES[name]
    source = made(tmp_path / "source", case.files)
    assert detect_format(source) == case.form
    report = import_pool(source, tmp_path / "pool")
    assert (report.format, report.recognised) == (case.form, True)
    pool = report.pool
    ((problem, candidates),) = list(pool)
    assert (problem.statement, problem.gold) == (case.statement, case.gold)
    assert tuple(each.text for each in candidates) == case.texts
    assert [each.slot for each in candidates] == list(range(len(case.texts)))
    assert pool.info.policy["id"] == case.policy
    assert pool.grades_path("published").is_file() == (case.labels is not None)
    if case.labels is not None:
        ((_, grades),) = list(pool.grades("published"))
        assert tuple(each.grade for each in grades) == case.labels
    assert {folder.name for folder in pool.reward_folders()} == set(case.rewards)
    for model, expected in case.rewards.items():
        reader = RewardFile(pool.path / "rewards" / model)
        assert [each.values for _, _, each in reader.rows()] == [pytest.approx(values) for values in expected]
        checked = reader.reader(pool)  # as evaluation reads it: one number a step, in the pool's order
        for one, table in pool.blocks():
            checked.take(one, table)
        checked.finish()
    assert pool.verify() == []
    named = import_pool(source, tmp_path / "named", form=case.form)
    assert named.pool.info.content_hash == pool.info.content_hash
    assert not named.recognised


BROKEN = [
    ("search_and_learn", {"scores": [[0.5]]}, "scores of 1 entries for 2 candidates"),
    ("search_and_learn", {"completions": "x"}, "completions of type str; expected a list of texts"),
    ("search_and_learn", {"scores": [[5.0, 6.0], [1]]}, "completions[0].scores[0] = 5.0; expected a probability"),
    ("qwen_eval", {"score": ["True", False]}, "score[0] = 'True'; expected true or false"),
    ("qwen_eval", {"pred": ["2"]}, "pred of 1 entries for 2 candidates"),
    ("qwen_eval", {"code": [ONE, None]}, "code[1] of type NoneType; expected text"),
    ("verl_generation", {"responses": [1, 2]}, "responses[0] of type int"),
    ("verl_generation", {"prompt": [{"role": "system", "content": "x"}]}, "a prompt without a turn of the user"),
    ("lm_eval", {"resps": [["a", "b"], ["c"]]}, "resps of 2 requests (2, 1 responses)"),
    ("rewardmath", {"chosen_position": [0]}, "pairwise verdicts"),
    ("prm800k", {"rating_probs": []}, "0 rating_probs for 2 steps"),
    ("evalscope", {"messages": []}, "no message of the user"),
    ("strictprmbench", {"candidates": [strict(is_correct="yes"), strict()]}, "candidates[0].is_correct = 'yes'"),
    ("strictprmbench", {"candidates": [strict(steps=[]), strict()]}, "candidates[0].steps that are no list of objects"),
    ("opencompass", {"0": {"prediction": "x"}}, "the entry '0' without origin_prompt and prediction"),
    ("opencompass", {"0": {"origin_prompt": [], "prediction": "x"}}, "without a turn of the user"),
    ("rewardbench2", {"scores": [[1.0]]}, "text and scores of 2 and 1 entries"),
    ("rewardbench2", {"num_correct": [5]}, "num_correct = 5; expected a whole number up to 2"),
    ("rewardbench2", {"id": ["7", "8"]}, "id of 2 entries, subset of 1"),
    ("nemo_skills", {"symbolic_correct": "yes"}, "symbolic_correct = 'yes'; expected true or false"),
    ("nemo_skills", {"problem": "another"}, "another problem than row 1 of output-rs2.jsonl"),
    ("openr", {"output": []}, "output = list, empty"),
    ("openr", {"output": [{"value": [1]}]}, "no field text"),
    ("verl_dump", {"gts": [["2", "3"]]}, "of type list; expected text"),
    ("lighteval", {"model_response": {"text": "x"}}, "model_response.text of type str"),
    ("lighteval", {"doc": {"choices": ["2"]}}, "a doc without a query"),
]


@pytest.mark.parametrize("name, changes, message", BROKEN, ids=[f"{name}-{m[:25]}" for name, _, m in BROKEN])
def test_a_fault_names_its_file(tmp_path: Path, name: str, changes: dict, message: str) -> None:
    """A row that is wrong in one field stops the import with file, row, what was found and what was expected."""
    file, content = next(iter(CASES[name].files.items()))
    broken = {**content, **changes} if isinstance(content, dict) else [{**content[0], **changes}, *content[1:]]
    source = made(tmp_path / "source", {**CASES[name].files, file: broken})
    with pytest.raises(DataError) as caught:
        import_pool(source, tmp_path / "pool", form=name)
    assert message in str(caught.value)
    assert Path(file).name in str(caught.value)
    assert not (tmp_path / "pool").exists()


def test_the_archive_that_inspect_ai_wrote(tmp_path: Path) -> None:
    """inspect_ai 0.3 wrote this log (mockllm, two epochs): its samples are packed with zstd."""
    report = import_pool(HERE / "files/inspect_arith.eval", tmp_path / "pool")
    pool = report.pool
    assert [(p.problem_id, p.gold, [c.slot for c in cs]) for p, cs in pool] == [("a", "2", [0, 1]), ("b", "6", [0, 1])]
    assert [[g.grade for g in grades] for _, grades in pool.grades("published")][1] == ["incorrect", "incorrect"]
    assert pool.info.policy["id"] == "mockllm/model"
    assert pool.info.sampling["temperature"] == 0.7
    assert all(c.n_tokens and c.finish_reason == "stop" for _, cs in pool for c in cs)
    assert any("scorer includes" in note for note in report.notes)


def test_an_archive_is_opened_once_whatever_its_samples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each opening reads the list of all samples, so that one for each sample takes time with their square."""
    monkeypatch.setattr("prm_eval.importers.formats.inspect_logs.find_spec", lambda name: None)
    opened: list[object] = []
    real = zipfile.ZipFile

    def counted(*args: object, **options: object) -> zipfile.ZipFile:
        opened.append(args[0])
        return real(*args, **options)  # type: ignore[arg-type]

    counts = []
    for n in (2, 40):
        path = tmp_path / f"log{n}.eval"
        with real(path, "w") as archive:
            archive.writestr("header.json", json.dumps({k: v for k, v in INSPECT.items() if k != "samples"}))
            for k in range(n):
                sample = {**INSPECT["samples"][1], "id": f"s{k}", "input": f"What is 1+{k}?"}
                archive.writestr(f"samples/s{k}_epoch_1.json", json.dumps(sample))
        opened.clear()
        monkeypatch.setattr(zipfile, "ZipFile", counted)
        assert import_pool(path, tmp_path / f"pool{n}").pool.info.n_problems == n
        monkeypatch.setattr(zipfile, "ZipFile", real)
        counts.append(len(opened))
    assert counts[0] == counts[1] <= 3


def test_samples_that_failed_are_missing_slots(tmp_path: Path) -> None:
    """An epoch that ended in an error is no wrong answer of the policy: its slot is missing."""
    failed = {**INSPECT["samples"][0], "epoch": 1, "error": {"message": "x"}, "output": {"choices": []}, "scores": {}}
    log = {**INSPECT, "samples": [failed, INSPECT["samples"][0]]}
    report = import_pool(made(tmp_path, {"log.json": log}), tmp_path / "pool")
    assert [[c.slot for c in cs] for _, cs in report.pool] == [[1]]
    assert any("its slot is missing" in note for note in report.notes)


def test_several_targets_and_other_archives(tmp_path: Path) -> None:
    """One of several golds taken silently would make right answers wrong; a zip of anything else is no log."""
    log = {**INSPECT, "samples": [{**INSPECT["samples"][0], "target": ["2", "two"]}]}
    report = import_pool(made(tmp_path, {"log.json": log}), tmp_path / "several")
    assert [problem.gold for problem in report.pool.problems.values()] == [None]
    assert any(note.startswith("several targets") for note in report.notes)
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr("a.txt", "x")
    with pytest.raises(DataError, match=r"an inspect_ai log: an archive with header\.json"):
        import_pool(tmp_path / "other.zip", tmp_path / "pool")


def test_lighteval_results_are_those_of_the_date(tmp_path: Path) -> None:
    """The policy of a run stands in its results; torn ones, read as none, would leave a pool without its policy."""
    (row,) = CASES["lighteval"].files["details_t.parquet"]
    root = tmp_path / "run"
    details = made(root, {"details/org/m/D2/details_t_D2.parquet": [row]})
    general = {"model_name": "org/m", "generation_parameters": {"temperature": 0.5, "seed": None}}
    made(root, {"results/org/m/results_D1.json": {}, "results/org/m/results_D2.json": {"config_general": general}})
    pool = import_pool(details, tmp_path / "pool").pool
    assert (pool.info.policy["id"], pool.info.sampling) == ("org/m", {"temperature": 0.5})
    (root / "results/org/m/results_D2.json").write_text("{")
    with pytest.raises(DataError, match=r"results_D2\.json: found not JSON"):
        import_pool(details, tmp_path / "torn")


# (format, what its first row has where one gold is expected)
TARGETS = [
    ("inspect", lambda target: {"samples": [{**INSPECT["samples"][1], "target": target}]}),
    ("opencompass", lambda target: {"0": {"origin_prompt": "What is 1+1?", "prediction": ONE, "gold": target}}),
    ("verl_dump", lambda target: {"gts": target}),
    ("verl_generation", lambda target: {"reward_model": {"ground_truth": target}}),
    ("lighteval", lambda target: {"doc": {"query": "?", "choices": target, "gold_index": list(range(len(target)))}}),
]


@pytest.mark.parametrize("target, gold", [(["2"], "2"), (["2", "2"], "2"), (["2", "two"], None), (["0"], "0")])
@pytest.mark.parametrize("form, changes", TARGETS, ids=[form for form, _ in TARGETS])
def test_a_list_of_targets_has_one_rule(
    tmp_path: Path, form: str, changes: Callable[[list[str]], dict], target: list[str], gold: str | None
) -> None:
    """A format that took the first of several would grade right answers as wrong; one rule holds for all."""
    file, content = next(iter(CASES[form].files.items()))
    row = {**(content if isinstance(content, dict) else content[0]), **changes(target)}
    rows = {file: {"0": row["0"]} if form == "opencompass" else row if isinstance(content, dict) else [row]}
    report = import_pool(made(tmp_path / "s", rows), tmp_path / "pool")
    assert [problem.gold for problem in report.pool.problems.values()] == [gold]
    assert any(note.startswith("several targets") for note in report.notes) == (gold is None)


def test_zero_is_a_target(tmp_path: Path) -> None:
    """A number 0 as target is an answer, not a missing one."""
    prediction, review = SCOPE[0]
    for name, target in (("number", 0), ("list", [0])):
        files = {"predictions/m/b.jsonl": [prediction], "reviews/m/b.jsonl": [{**review, "target": target}]}
        pool = import_pool(made(tmp_path / name, files), tmp_path / f"{name}_pool").pool
        assert [problem.gold for problem in pool.problems.values()] == ["0"]


def test_multiple_choice_keeps_its_choices(tmp_path: Path) -> None:
    """A question without its choices cannot be answered, and a reward model would judge half of it."""
    sample = {**INSPECT["samples"][1], "choices": ["1", "2"], "target": "B"}
    pool = import_pool(made(tmp_path, {"log.json": {**INSPECT, "samples": [sample]}}), tmp_path / "pool").pool
    assert next(iter(pool.problems.values())).statement == "What is 1+1?\nA) 1\nB) 2"


def test_files_that_end_early_leave_slots_missing(tmp_path: Path) -> None:
    """A sampling run that was broken off has fewer rows; the greedy output beside it is no sample."""
    rows = [
        {**NEMO, "problem": p, "generation": ONE, "predicted_answer": None, "judgement": "Judgement: No"} for p in "ab"
    ]
    files = {"output-rs0.jsonl": rows, "output-rs1.jsonl": rows[:1], "output.jsonl": rows}
    report = import_pool(made(tmp_path / "s", files), tmp_path / "pool")
    assert [[c.slot for c in cs] for _, cs in report.pool] == [[0, 1], [0]]
    assert [g.grade for _, grades in report.pool.grades("published") for g in grades] == ["no_answer"] * 3
    assert any("output.jsonl is left out" in note for note in report.notes)


def test_step_scores_that_fit_no_cut_are_refusals(tmp_path: Path) -> None:
    """search-and-learn does not say how its PRM cut a text: scores that fit no steps are not spread over others."""
    (row,) = CASES["search_and_learn"].files["best_of_n_completions.jsonl"]
    report = import_pool(made(tmp_path, {"c.jsonl": [{**row, "scores": [[0.5] * 7, [0.25]]}]}), tmp_path / "pool")
    found = [(e.values, e.refusal) for _, _, e in RewardFile(report.pool.path / "rewards" / "scores").rows()]
    assert found == [((), "7 scores for 2 steps"), ((0.25,), None)]
    assert any("kept as refusals (1 problem)" in note for note in report.notes)


def test_copies_of_searches_are_said(tmp_path: Path) -> None:
    """Beams are padded with copies up to n: they are no independent samples."""
    (row,) = CASES["search_and_learn"].files["best_of_n_completions.jsonl"]
    padded = {**row, "completions": [ONE] * 4, "scores": [[0.5, 0.75]] * 4, "completion_tokens": None}
    report = import_pool(made(tmp_path, {"c.jsonl": [padded]}), tmp_path / "pool")
    assert any(note.startswith("3 of 4 candidates are copies") for note in report.notes)


def test_outcome_rewards_in_lists_of_one(tmp_path: Path) -> None:
    """RewardMATH's ORMs write [[3.2], [1.0]]: read as steps, they would be refused as no probabilities."""
    asked = [{"problem": p, "solution_reference": ["human", "small"]} for p in ("p", "q")]
    orm = [{**asked[0], "score": [[3.2], [1.0]]}, {**asked[1], "score": [[-2.5], [7]]}]
    # a PRM whose candidates of one problem have one step each is a PRM there, too
    prm = [{**asked[0], "score": [[0.5], [0.25]]}, {**asked[1], "score": [[0.5, 0.75], [0.25]]}]
    for order in (1, -1):
        files = {"orm_reward.json": orm[::order], "prm_reward.json": prm[::order]}
        pool = import_pool(made(tmp_path / f"s{order}", files), tmp_path / f"pool{order}").pool
        found = {name: RewardFile(pool.path / "rewards" / name) for name in ("orm", "prm")}
        assert [(name, each.info.kind) for name, each in found.items()] == [("orm", "orm"), ("prm", "prm")]
        assert sorted(e.values for _, _, e in found["orm"].rows()) == [(-2.5,), (1.0,), (3.2,), (7.0,)]
        assert sorted(e.values for _, _, e in found["prm"].rows()) == [(0.25,), (0.25,), (0.5,), (0.5, 0.75)]


def test_step_scores_of_which_one_problem_has_only_single_ones(tmp_path: Path) -> None:
    """Qwen's evaluation of a PRM: responses of one step each in one row are no other kind than the rest of the file."""
    (row,) = CASES["qwen_eval"].files["out.jsonl"]
    short = {**row, "idx": 1, "question": "What is 1+2?", "code": ["a", "b"], "pred_score": [[0.5], [0.25]]}
    long = {**row, "code": ["a\nb", "b"], "pred_score": [[0.5, 0.75], [0.25]]}
    pool = import_pool(made(tmp_path, {"out.jsonl": [short, long]}), tmp_path / "pool").pool
    found = RewardFile(pool.path / "rewards/pred_score")
    assert found.info.kind == "prm"
    assert [e.values for _, _, e in found.rows()] == [(0.5,), (0.25,), (0.5, 0.75), (0.25,)]


def test_dumps_of_two_training_steps_are_two_policies(tmp_path: Path) -> None:
    """Slots of one pool must come from one policy."""
    (row, _) = CASES["verl_dump"].files["7.jsonl"]
    files = {"7.jsonl": [row], "8.jsonl": [{**row, "step": 8}]}
    with pytest.raises(DataError, match=r"8\.jsonl, row 1: found step 8 after step 7"):
        import_pool(made(tmp_path / "s", files), tmp_path / "pool")


def test_older_shapes(tmp_path: Path) -> None:
    """lighteval before 0.10, reviews of evalscope alone, OpenCompass as JSON lines, a document for a message list."""
    old = [{"example": "What is 1+1?", "full_prompt": "Q: What is 1+1?", "predictions": [ONE], "gold": ["2"],
            "metrics": {"em": 1}}]  # fmt: skip
    lines = [{"idx": 0, "origin_prompt": "What is 1+1?", "prediction": [ONE], "gold": ["2"]}]
    review = {**SCOPE[0][1], "input": "What is 1+1?", "target": "2"}
    review.pop("messages")
    messages = {"text": [[[{"role": "user", "content": "What is 1+1?"}, {"role": "assistant", "content": ONE}]]],
                "scores": [[1]], "subset": ["Math"], "model": "m"}  # fmt: skip
    for form, files in (
        ("lighteval", {"d.parquet": old}),
        ("opencompass", {"p.jsonl": lines}),
        ("evalscope", {"r.jsonl": [review]}),
        ("rewardbench2", {"m.json": messages}),
    ):
        folder = tmp_path / form
        report = import_pool(made(folder, files), folder / "pool")
        assert report.format == form
        ((problem, candidates),) = list(report.pool)
        assert (problem.statement, [c.text for c in candidates]) == ("What is 1+1?", [ONE])


@pytest.mark.parametrize(
    "row, hint",
    [
        ({"problem": "p", "steps": ["a"], "label": -1}, "labelled steps"),
        ({"prompt": "p", "completions": ["a"], "labels": [True]}, "labelled steps"),
        ({"question": {"problem": "p"}, "label": {"steps": []}}, "PRM800K"),
        ({"problem": "p", "answer": "2"}, "A problem set has no candidates"),
    ],
)
def test_what_is_no_pool_is_told_what_it_is(tmp_path: Path, row: dict, hint: str) -> None:
    """Step labels and problem sets are the files that people try next."""
    with pytest.raises(DataError) as caught:
        import_pool(write_jsonl(tmp_path / "x.jsonl", [row]), tmp_path / "pool")
    assert hint in str(caught.value)


def test_half_a_surrogate_pair_anywhere(tmp_path: Path) -> None:
    """JSON can spell what no file can hold: in a candidate a fault with its row, in a description replaced."""
    half = "\ud800"
    sample = {**INSPECT["samples"][1], "scores": {"m": {"value": "C", "answer": half}}}
    with pytest.raises(DataError, match=r"half a surrogate pair in output\.answer"):
        import_pool(made(tmp_path, {"log.json": {**INSPECT, "samples": [sample]}}), tmp_path / "pool")
    (row,) = CASES["qwen_eval"].files["out.jsonl"]
    pool = import_pool(made(tmp_path, {"out.jsonl": [{**row, "system": half}]}), tmp_path / "qwen").pool
    assert pool.info.source["system"] == "?"
    plain = {"problem": "p", "generator": half, "samples": [{"text": "x", "rewards": {half: 1}}]}
    pool = import_pool(made(tmp_path, {"p.jsonl": [plain]}), tmp_path / "plain").pool
    assert pool.info.policy["id"] == RewardFile(pool.reward_folders()[0]).name == "?"


def test_scores_without_their_pool(tmp_path: Path) -> None:
    """StrictPRMBench's scores have no texts: the folder of its pools is asked for."""
    files = {name: rows for name, rows in CASES["strictprmbench"].files.items() if name.startswith("scores")}
    with pytest.raises(DataError, match="step scores alone; expected the pool files too"):
        import_pool(made(tmp_path, files), tmp_path / "pool")


def test_two_formats_in_one_folder(tmp_path: Path) -> None:
    """Two tools' files in one folder are two pools; a named format takes its own files."""
    files = {**CASES["qwen_eval"].files, **CASES["search_and_learn"].files}
    source = made(tmp_path / "s", files)
    with pytest.raises(PrmEvalError, match=r"is search_and_learn, .* is qwen_eval: import them apart"):
        import_pool(source, tmp_path / "pool")
    report = import_pool(source, tmp_path / "pool", form="qwen_eval")
    assert report.pool.info.n_problems == 1
    assert any("1 file" in note and "left out" in note for note in report.notes)
