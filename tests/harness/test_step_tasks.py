"""The step tasks through the real lm_eval: both ways to be judged, both doors, what would go wrong without a word."""

from __future__ import annotations

import json
import logging
import math
import subprocess
import sys
from pathlib import Path

import pytest

from prm_eval.cli.commands import main
from prm_eval.errors import DataError, PrmEvalError, SamplingError
from prm_eval.evaluation.stepwise.prmbench import SHORT
from prm_eval.harness.step_options import read_step_options
from prm_eval.importers.steps import import_step_set
from prm_eval.stepsets import StepSet
from tests.conftest import ROOT, write_jsonl
from tests.docs.documents import blocks, commands
from tests.harness.step_files import (
    SIZES,
    SUBSETS,
    TASKS,
    ChatServer,
    prmbench_rows,
    processbench_rows,
    run,
    scripted,
    steps_of,
    write_processbench,
)
from tests.harness.test_harness import Canned


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Run in a folder of its own, with temporary files in another one."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    return tmp_path


@pytest.fixture(scope="session")
def prm(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A tiny random model of Qwen2.5-Math-PRM's architecture."""
    pytest.importorskip("torch")
    from tests.rewards import tiny

    folder = tmp_path_factory.mktemp("step_tasks") / "prm"
    shape = ("Qwen2", 152_064, tiny.qwen_tokenizer(), tiny.mlp(2), "Qwen2ForProcessRewardModel")
    return f"qwen2.5-math-prm:{tiny.save_trunk(folder, *shape)}"


@pytest.fixture
def server():
    made = ChatServer()
    yield made
    made.stop()


def by_command(capsys: pytest.CaptureFixture[str], *words: object) -> dict:
    """What ``prm-eval evaluate ... --json`` prints of its first row."""
    capsys.readouterr()
    assert main(["evaluate", *map(str, words), "--json"]) == 0
    return json.loads(capsys.readouterr().out)["rows"][0]


def assert_same(results: dict, measured: dict, name: str) -> None:
    """Insist that lm_eval's results of a subset are the measures that the other door gives, to the last digit."""
    place = measured["located"]
    assert results[f"f1,{name}"] == place["f1"]["value"]
    assert results[f"f1_stderr,{name}"] == place["f1"]["se_jackknife"]
    assert results[f"error_acc,{name}"] == place["error_acc"]
    assert results[f"correct_acc,{name}"] == place["correct_acc"]
    assert results[f"not_scored,{name}"] == measured["n_not_scored"]
    if name != "critic":
        assert results[f"step_auc,{name}"] == measured["separated"]["auc"]["value"]
        assert results[f"step_auc_stderr,{name}"] == measured["separated"]["auc"]["se_jackknife"]
        assert results[f"ap_bad,{name}"] == measured["separated"]["ap_bad"]
        assert results[f"ece,{name}"] == measured["separated"]["calibration"]["ece"]
        assert results[f"lowest_is_first_error,{name}"] == measured["separated"]["lowest_is_first_error"]
        assert results[f"solution_auc_min,{name}"] == measured["solution_auc"]["min"]["value"]


def test_both_doors_give_a_reward_model_the_same_figures(here, prm, capsys) -> None:
    """Two implementations, or another order of solutions, would give two figures of one model under one name."""
    found = run("processbench", metadata={"problems": write_processbench(here), "prm_model": prm, "step_set": "set"})
    (rewards,) = StepSet("set").pool.reward_folders()
    row = by_command(capsys, "set", rewards)
    for subset, n in zip(SUBSETS, SIZES, strict=True):
        results = found["results"][f"processbench_{subset}"]
        assert_same(results, row["groups"][subset], "prm")
        assert results["sample_len"] == n
        recorded = found["configs"][f"processbench_{subset}"]["metadata"]["prm_eval"]["figures"]
        assert recorded["measured"] == row["groups"][subset]  # with all limits
        assert recorded["averages"] == row["averages"]
    group = found["groups"]["processbench"]
    assert group["f1,prm"] == row["averages"]["mean_f1"]["value"]
    assert group["f1_stderr,prm"] == pytest.approx(row["averages"]["mean_f1"]["se_jackknife"], rel=1e-12)


def test_the_set_of_a_run_is_the_one_that_an_import_makes(here, prm) -> None:
    """Other ids, groups or problems would make rewards of one door useless behind the other."""
    problems = write_processbench(here)
    run("processbench", metadata={"problems": problems, "prm_model": prm, "step_set": "set"})
    files = [here / "data" / f"{subset}.jsonl" for subset in SUBSETS]
    assert import_step_set(files, here / "same").step_set.info.content_hash == StepSet("set").info.content_hash
    write_jsonl(here / "prmbench.jsonl", prmbench_rows())
    run("prmbench", metadata={"problems": "prmbench.jsonl", "prm_model": prm, "step_set": "bench"})
    imported = import_step_set(here / "prmbench.jsonl", here / "other", strip_numbers=True).step_set
    assert imported.info.content_hash == StepSet("bench").info.content_hash
    assert StepSet("bench").verify() == []
    assert StepSet("bench").info.dropped == imported.info.dropped == {"wrong_steps_beyond_the_end": 1}


def test_prmbench_through_both_doors(here, prm, capsys) -> None:
    """PRMScore, its classes and dimensions are those of the measures; strictly above the threshold, as published."""
    write_jsonl(here / "p.jsonl", prmbench_rows())
    found = run("prmbench", metadata={"problems": "p.jsonl", "prm_model": prm, "step_set": "set", "threshold": 0.6})
    results = found["results"]["prmbench"]
    (rewards,) = StepSet("set").pool.reward_folders()
    bench = by_command(capsys, "set", rewards, "--threshold", "0.6")["prmbench"]
    assert results["prm_score,prm"] == bench["prm_score"]["value"]
    assert results["prm_score_stderr,prm"] == bench["prm_score"]["se_jackknife"]
    assert (results["f1,prm"], results["negative_f1,prm"]) == (bench["f1"], bench["negative_f1"])
    for name, short in SHORT.items():
        assert results[f"prm_score:{short},prm"] == bench["classes"][name]["prm_score"]
    for name, value in bench["dimensions"].items():
        assert results[f"prm_score:{name},prm"] == value
    assert results["similarity,prm"] == bench["similarity"]
    assert results["step_acc,prm"] == bench["step_accuracy"]
    assert results["first_error_acc,prm"] == bench["first_error_accuracy"]
    assert results["sample_len"] == 18 + 2  # with the twins of the redundant items


def test_an_orm_is_asked_about_every_beginning(here, models, capsys) -> None:
    """As behind the other door; one number a solution places no mistake."""
    metadata = {
        "problems": write_processbench(here),
        "orm_model": str(models["orm"]),
        "step_set": "set",
        "threshold": 0.1,
    }
    results = run("processbench_math", metadata=metadata)["results"]["processbench_math"]
    assert main(["score", "set", "--reward-model", str(models["orm"]), "-o", "scored"]) == 0
    whole = by_command(capsys, "set", "scored", "--threshold", "0.1")["whole"]
    assert results["f1,orm"] == whole["located"]["f1"]["value"]
    assert results["step_auc,orm"] == whole["separated"]["auc"]["value"]
    assert "ece,orm" not in results  # numbers of any size are no probabilities


def test_the_acceptance_values_through_lm_eval(here, data) -> None:
    """The figures of an independent plain reference on the real public solutions, to 1e-9."""
    expected = json.loads((data / "steps_expected/expected_public.json").read_text())
    metadata = {"prm_model": "tests.harness.step_files:ContextHash", "threshold": 0.5, "resamples": 20}
    wanted = expected["processbench"]["sha_context"]
    files = str(data / "steps/processbench_*.jsonl")
    found = run("processbench", metadata={**metadata, "problems": files})
    for subset in SUBSETS:
        results, place = found["results"][f"processbench_{subset}"], wanted["subsets"][subset]["first_error"]
        assert results["f1,prm"] == pytest.approx(place["f1"]["value"], abs=1e-9)
        assert results["f1_stderr,prm"] == pytest.approx(place["f1"]["se_jackknife"], abs=1e-9)
        assert results["error_acc,prm"] == pytest.approx(place["error_acc"], abs=1e-9)
    assert found["groups"]["processbench"]["f1,prm"] == pytest.approx(0.0385, abs=5e-5)
    assert found["groups"]["processbench"]["f1_stderr,prm"] == pytest.approx(0.0091, abs=5e-5)
    chosen = run("processbench", metadata={**metadata, "problems": files, "threshold": "chosen:gsm8k"})
    assert chosen["groups"]["processbench"]["f1,prm"] == pytest.approx(0.1911, abs=5e-5)
    wanted = expected["prmbench"]["sha_context"]
    files = str(data / "steps/prmbench_prm800k_test.jsonl")
    results = run("prmbench", metadata={**metadata, "problems": files, "strip_numbers": False})["results"]["prmbench"]
    for name in ("f1", "negative_f1"):
        assert results[f"{name},prm"] == pytest.approx(wanted[name], abs=1e-9)
    assert results["first_error_acc,prm"] == pytest.approx(wanted["first_error_accuracy"], abs=1e-9)


def test_both_doors_give_a_critic_the_same_figures(here, server, capsys) -> None:
    """Over a real HTTP server, three votes a solution: what cannot be read is counted, and is a miss behind both
    doors."""
    found = run(
        "processbench",
        model="local-chat-completions",
        model_args=server.model_args,
        apply_chat_template=True,
        gen_kwargs="seed=None",
        metadata={"problems": write_processbench(here), "votes": 3, "step_set": "set"},
        log_samples=True,
    )
    assert len(server.requests) == 3 * sum(SIZES)
    assert {(each["temperature"], each["top_p"]) for each in server.requests} == {(1.0, 0.9)}
    row = by_command(capsys, "set", "set/critics/judge/predictions.jsonl", "--missing", "wrong")
    assert row["kind"] == "critic"
    for subset in SUBSETS:
        assert_same(found["results"][f"processbench_{subset}"], row["groups"][subset], "critic")
    assert found["groups"]["processbench"]["f1,critic"] == row["averages"]["mean_f1"]["value"]
    assert row["whole"]["n_not_scored"] > 0
    samples = found["samples"]["processbench_math"]
    texts = [[scripted(_prompt(each), k) for k in range(3)] for each in samples]
    assert [each["resps"][0] for each in samples] == texts  # raw, with the sample
    kept = [json.loads(line) for line in (here / "set/critics/judge/texts.jsonl").read_text().splitlines()]
    assert [each["texts"] for each in kept[SIZES[0] : SIZES[0] + SIZES[1]]] == texts


def _prompt(sample: dict) -> str:
    """The user's turn of a logged request."""
    (prompt, _), *_ = sample["arguments"]
    return json.loads(prompt[0])[-1]["content"]


def test_what_is_logged_of_a_solution(here) -> None:
    """A figure of all solutions cannot be checked by a reader without what was said of each of them."""
    problems = write_processbench(here)
    answers = ["\\boxed{0}", "\\boxed{-1}", "hm"]
    found = run("processbench_gsm8k", model=Canned(answers), metadata={"problems": problems}, log_samples=True)
    samples = found["samples"]["processbench_gsm8k"]
    labels = [row["label"] for row in processbench_rows("gsm8k", 6)]
    for k, sample in enumerate(samples):
        told = json.loads(sample["filtered_resps"][0])
        said = [0, -1, None][k % 3]
        assert (told["first_error"], told["prediction"]) == (labels[k], said)
        assert told["answers"] == [["0", "-1", None][k % 3]]
        assert sample["f1"] == float(said == labels[k])
        assert sample["error_acc"] == (None if labels[k] == -1 else float(said == labels[k]))
        assert sample["not_scored"] == float(said is None)
        assert sample["target"] == str(labels[k])
    results = found["results"]["processbench_gsm8k"]
    assert results["not_scored,critic"] == 2
    wrong = [k for k, label in enumerate(labels) if label != -1]
    assert results["error_acc,critic"] == sum(samples[k]["f1"] for k in wrong) / len(wrong)
    found = run("processbench_gsm8k", metadata={"problems": problems, "prm_model": "arithmetic"}, log_samples=True)
    told = json.loads(found["samples"]["processbench_gsm8k"][2]["filtered_resps"][0])
    assert len(told["scores"]) == len(processbench_rows("gsm8k", 6)[2]["steps"])


def test_the_mean_of_the_group_is_plain(here) -> None:
    """Trap 4: a size-weighted mean under the same name was printed by one project and taken for the published one."""
    found = run("processbench", metadata={"problems": write_processbench(here), "prm_model": "arithmetic"})
    f1s = [found["results"][f"processbench_{subset}"]["f1,prm"] for subset in SUBSETS]
    weighted = sum(f1 * n for f1, n in zip(f1s, SIZES, strict=True)) / sum(SIZES)
    assert found["groups"]["processbench"]["f1,prm"] == sum(f1s) / 4 != pytest.approx(weighted)
    assert not any(name.startswith(("f1_w", "weighted")) for name in found["groups"]["processbench"])


def test_a_class_that_is_absent_leaves_f1_out_with_the_reason(here, caplog) -> None:
    """Trap 5: nan, -1, 0 or a crash at the very end for a subset without a clean solution; and the mean of the other
    three must not pass for the mean of four."""
    problems = write_processbench(here)
    write_jsonl(here / "data" / "math.jsonl", [row for row in processbench_rows("math", 10) if row["label"] != -1])
    with caplog.at_level(logging.WARNING):
        found = run("processbench", metadata={"problems": problems, "prm_model": "arithmetic"})
    for subset in SUBSETS:
        assert "f1,prm" not in found["results"][f"processbench_{subset}"]
        recorded = found["configs"][f"processbench_{subset}"]["metadata"]["prm_eval"]
        assert recorded["not_defined"]["f1"] == "math: no solution without a wrong step"
    assert "f1,prm" not in found["groups"]["processbench"]
    assert "error_acc,prm" in found["results"]["processbench_math"]
    assert "correct_acc,prm" not in found["results"]["processbench_math"]
    assert "math: no solution without a wrong step" in caplog.text
    json.dumps(found["configs"], allow_nan=False, default=str)


def test_two_accuracies_of_0_are_an_f1_of_0(here) -> None:
    """Trap 5: 0/0 is nan in the published script."""
    metadata = {"problems": write_processbench(here)}
    found = run("processbench_math", model=Canned(["I cannot say."]), metadata=metadata)
    results = found["results"]["processbench_math"]
    assert (results["f1,critic"], results["error_acc,critic"], results["correct_acc,critic"]) == (0.0, 0.0, 0.0)
    assert results["not_scored,critic"] == results["sample_len"] == 10


class Asked(Canned):
    """A model that keeps what it is asked."""

    def __new__(cls, texts):
        model = super().__new__(cls, texts)
        plain, asked = model.generate_until, []

        def generate_until(requests):
            asked.extend(each.args for each in requests)
            return plain(requests)

        model.generate_until, model.was_asked = generate_until, asked
        return model


def test_a_critic_is_asked_what_was_published(here) -> None:
    """Trap 18: in a template that is no raw text the model reads a backspace and "oxed"; and braces of a problem are
    no template."""
    from prm_eval.records import ScoringItem
    from prm_eval.rewards import load_reward_model

    steps = ["We set {{x}} = 1.", "So \\frac{1}{2}, {% if %}."]
    row = {
        "id": "gsm8k-0",
        "problem": "What is {{ 1 + 1 }}?",
        "steps": steps,
        "label": 1,
        "final_answer_correct": False,
    }
    write_jsonl(here / "p.jsonl", [row, {**row, "id": "gsm8k-1", "label": -1}])
    model = Asked(["\\boxed{1}"])
    run("processbench_gsm8k", model=model, metadata={"problems": "p.jsonl"})
    prompt, arguments = model.was_asked[0]
    assert prompt.endswith("in \\boxed{}.")
    assert "\x08" not in prompt
    assert "<paragraph_0>\nWe set {{x}} = 1.\n</paragraph_0>\n\n<paragraph_1>\n" in prompt
    judge = load_reward_model("processbench-judge:m", base_url="http://127.0.0.1:9/v1")
    item = ScoringItem(row["problem"], "\n\n".join(steps), tuple(steps))
    assert prompt == judge.question(item)  # which a test holds to the published template
    assert (arguments["until"], arguments["do_sample"], arguments["max_gen_toks"]) == ([], False, 8192)
    write_jsonl(here / "b.jsonl", prmbench_rows())
    model = Asked(["\\boxed{1}"])
    run("prmbench", model=model, metadata={"problems": "b.jsonl"})
    prompt, _ = model.was_asked[0]
    assert "into \\boxed{}, for example \\boxed{2, 5}" in prompt
    assert "\x08" not in prompt
    assert "<paragraph_0>\nWe add 0 to 0" in prompt  # its own number is gone: "1." beside paragraph_0 would mislead


def test_a_critic_that_names_all_wrong_steps_of_prmbench(here, capsys) -> None:
    """Taken for the first wrong step alone, a perfect list would call every later wrong step right."""
    rows = prmbench_rows()
    write_jsonl(here / "p.jsonl", rows)
    docs = []
    for row in rows:
        n = len(row["modified_process"])
        docs.append([step - 1 for step in row["error_steps"] if step <= n])
        docs += [[]] if row["classification"] == "redundency" else []
    answers = [f"\\boxed{{{', '.join(map(str, wrong)) or -1}}}" for wrong in docs]
    perfect = run("prmbench", model=Canned(answers), metadata={"problems": "p.jsonl", "step_set": "set"})
    results = perfect["results"]["prmbench"]
    assert results["prm_score,critic"] == results["step_acc,critic"] == 1.0
    assert all(results[f"prm_score:{short},critic"] == 1.0 for short in SHORT.values())
    answers[3], answers[4] = "hm", "\\boxed{0}"
    found = run("prmbench", model=Canned(answers), metadata={"problems": "p.jsonl", "step_set": "again"})
    results = found["results"]["prmbench"]
    predictions = next((here / "again/critics").glob("*/predictions.jsonl"))
    bench = by_command(capsys, "again", predictions, "--missing", "wrong")
    assert results["prm_score,critic"] == bench["prmbench"]["prm_score"]["value"] < 1.0
    assert results["not_scored,critic"] == 1
    assert bench["prmbench"]["n_valid"] == bench["prmbench"]["n_items"] - 1


def test_a_threshold_is_a_number_the_models_own_or_chosen_on_the_group(here, prm, capsys) -> None:
    """Trap 2: a threshold tuned on the reported subset, or one that the results do not say."""
    problems = write_processbench(here)
    f1s = {}
    for threshold in (0.2, ">0.2", ">=0.2", "recipe", "chosen:gsm8k", "chosen:math:exact"):
        metadata = {"problems": problems, "prm_model": prm, "step_set": "set", "threshold": threshold}
        found = run("processbench", metadata=metadata)
        (rewards,) = StepSet("set").pool.reward_folders()
        row = by_command(capsys, "set", rewards, "--threshold", threshold)
        recorded = found["configs"]["processbench_omnimath"]["metadata"]["prm_eval"]["figures"]["threshold"]
        assert recorded == row["threshold"]
        f1s[threshold] = found["groups"]["processbench"]["f1,prm"]
        assert f1s[threshold] == row["averages"]["mean_f1"]["value"]
    assert len(set(f1s.values())) > 1
    assert recorded["on"] == "math"


def test_a_threshold_cannot_be_chosen_on_what_is_not_there(here, monkeypatch) -> None:
    """A single task does not know the other subsets: found before a model is asked or loaded, not after."""
    monkeypatch.setattr("prm_eval.harness.step_task.placing_model", lambda *given, **options: pytest.fail("loaded"))
    metadata = {"problems": write_processbench(here), "prm_model": "arithmetic", "threshold": "chosen:gsm8k"}
    with pytest.raises(PrmEvalError, match=r"this run has solutions of math only.*Run the whole group \(--tasks proc"):
        run("processbench_math", metadata=metadata)


def test_solutions_that_are_not_scored_stop_the_run_or_are_misses(here, prm, capsys, caplog) -> None:
    """Trap 9: a refusal that vanishes makes a model that reads half of the set better than one that reads all."""
    rows = processbench_rows("math", 10)
    rows[1]["steps"][0] += " <extra_0>"
    write_jsonl(here / "math.jsonl", rows)
    metadata = {"problems": "math.jsonl", "prm_model": prm}
    with caplog.at_level(logging.ERROR), pytest.raises(PrmEvalError, match=r"math-1.*say missing=wrong") as caught:
        run("processbench_math", metadata=metadata)
    assert "--missing" not in str(caught.value)
    kept = Path(next(each.message for each in caplog.records if "is in" in each.message).rpartition(" ")[2])
    (rewards,) = StepSet(kept).pool.reward_folders()  # nothing is lost
    found = run("processbench_math", metadata={**metadata, "missing": "wrong"})["results"]["processbench_math"]
    assert found["not_scored,prm"] == 1
    assert_same(found, by_command(capsys, kept, rewards, "--missing", "wrong")["whole"], "prm")
    with pytest.raises(PrmEvalError, match="no judgement that could be read"):
        run("processbench_math", model=Canned(["hm"]), metadata={"problems": "math.jsonl", "missing": "refuse"})


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({"prm_model": "boxed-support"}, "is an ORM; give it as orm_model"),
        ({"orm_model": "arithmetic"}, "is a PRM; give it as prm_model"),
        ({"orm_model": "boxed-support", "prm_model": "arithmetic"}, "a step task has one judge"),
        ({"prm_model": "arithmetic", "prm_splitter": "line"}, "prm_splitter=line: the labels of a step set are of its"),
        ({"prm_model": "nobody/no-such-model"}, "cannot be loaded"),
        ({}, "--model dummy says nothing"),
        ({"prm_model": "arithmetic", "votes": 8}, "a generative verifier has prm_votes=8"),
        ({"prm_model": "arithmetic", "threshold": "half"}, "threshold=half: expected recipe, a number"),
        ({"prm_model": "arithmetic", "missing": "drop"}, "expected auto, refuse or wrong"),
        ({"prm_modle": "arithmetic"}, "Did you mean prm_model?"),
        ({"prm_model": "arithmetic", "treshold": 0.5}, "Did you mean threshold?"),
        ({"prm_device": "cpu"}, "prm_device is given without prm_model"),
        ({"votes": 0}, "votes=0"),
        ({"answer_base": 2}, "answer_base=2"),
        ({"problems": "nowhere.jsonl", "prm_model": "arithmetic"}, "nowhere.jsonl"),
    ],
)
def test_options_are_checked_before_anything_is_asked(here, metadata, message) -> None:
    """A misspelt key would be ignored by lm_eval, and another benchmark run than was asked for."""
    with pytest.raises(PrmEvalError) as caught:
        run("processbench_gsm8k", metadata={"problems": write_processbench(here), **metadata})
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"gen_kwargs": {"do_sample": False}}, "give the same answer 4 times"),
        ({"gen_kwargs": {"temperature": 0}}, "give the same answer 4 times"),
        ({"cache_requests": True}, "cache_requests"),
    ],
)
def test_votes_that_would_be_copies_are_refused(here, options, message) -> None:
    """Four times one answer is one vote at four times the price."""
    model = Canned(["\\boxed{1}"])
    with pytest.raises(SamplingError, match=message):
        run("processbench_math", model=model, metadata={"problems": write_processbench(here), "votes": 4}, **options)
    assert type(model).asked == 0


def test_one_seed_for_all_votes_is_refused(here, server) -> None:
    """lm_eval's API models send seed 1234 with every request."""
    with pytest.raises(SamplingError, match="--gen_kwargs seed=None"):
        run(
            "processbench_math",
            model="local-chat-completions",
            model_args=server.model_args,
            apply_chat_template=True,
            metadata={"problems": write_processbench(here), "votes": 2},
        )
    assert server.requests == []


def test_several_ranks_are_refused(here) -> None:
    """Each rank would print the F1 of its own solutions as the F1 of all."""
    from lm_eval.tasks import TaskManager

    metadata = {"problems": write_processbench(here), "prm_model": "arithmetic"}
    manager = TaskManager(include_path=str(TASKS), include_defaults=False, metadata=metadata)
    task = manager.load(["processbench_math"])["tasks"]["processbench_math"]
    with pytest.raises(PrmEvalError, match="runs in one process"):
        task.build_all_requests(rank=0, world_size=2)


def test_a_language_model_beside_a_reward_model_is_asked_nothing(here, server, caplog) -> None:
    """27,200 paid answers that nobody reads; and lm_eval's API models fail on an empty list."""
    with caplog.at_level(logging.WARNING):
        found = run(
            "processbench_math",
            model="local-chat-completions",
            model_args=server.model_args,
            apply_chat_template=True,
            metadata={"problems": write_processbench(here), "prm_model": "arithmetic"},
        )
    assert server.requests == []
    assert "f1,prm" in found["results"]["processbench_math"]
    assert "LocalChatCompletion is asked nothing" in caplog.text


def test_a_kept_set_is_used_again_and_no_other_one(here, monkeypatch) -> None:
    """Scoring 3,400 solutions takes hours: another threshold must not cost them again, nor other solutions mix in."""
    from prm_eval.rewards.models.rules import ArithmeticPRM

    scored: list[int] = []
    score = ArithmeticPRM.score
    monkeypatch.setattr(ArithmeticPRM, "score", lambda self, items: scored.append(len(items)) or score(self, items))
    metadata = {"problems": write_processbench(here), "prm_model": "arithmetic", "step_set": "kept/set"}
    run("processbench", metadata=metadata)
    assert sum(scored) == sum(SIZES)
    run("processbench", metadata={**metadata, "threshold": 0.1})
    assert sum(scored) == sum(SIZES)
    with pytest.raises(PrmEvalError, match=r"has other solutions \(32, .*than this run \(10, "):
        run("processbench_math", metadata=metadata)
    (here / "mine").mkdir()
    (here / "mine" / "notes.txt").write_text("keep me")
    with pytest.raises(PrmEvalError, match="something is there that is no step set"):
        run("processbench_math", metadata={**metadata, "step_set": "mine"})
    assert (here / "mine" / "notes.txt").read_text() == "keep me"
    (here / "empty").mkdir()
    run("processbench_math", metadata={**metadata, "step_set": "empty"})
    assert StepSet("empty").info.n_solutions == 10


def test_a_folder_that_cannot_take_the_set_is_found_before_a_critic_is_asked(here) -> None:
    """After 27,200 answers it would be the wrong time to learn that a folder has other solutions."""
    metadata = {"problems": write_processbench(here), "prm_model": "arithmetic", "step_set": "set"}
    run("processbench_gsm8k", metadata=metadata)
    del metadata["prm_model"]
    model = Canned(["\\boxed{1}"])
    with pytest.raises(PrmEvalError, match="has other solutions"):
        run("processbench", model=model, metadata=metadata)
    write_jsonl(here / "data" / "bench.jsonl", prmbench_rows())
    from lm_eval.evaluator import simple_evaluate
    from lm_eval.tasks import TaskManager

    manager = TaskManager(include_path=str(TASKS), include_defaults=False, metadata={**metadata, "step_set": "new"})
    with pytest.raises(PrmEvalError, match="takes one benchmark; run prmbench and processbench apart"):
        simple_evaluate(model=model, tasks=["processbench_math", "prmbench"], task_manager=manager)
    assert type(model).asked == 0


def test_votes_that_are_all_the_same_are_said(here, caplog) -> None:
    """A cache or a server's seed makes eight votes one, and the results would still say eight."""
    with caplog.at_level(logging.WARNING):
        metadata = {"problems": write_processbench(here), "votes": 2}
        run("processbench_math", model=Canned(["\\boxed{1}"]), metadata=metadata)
    assert "all 2 answers about each solution are the same text" in caplog.text
    caplog.clear()
    run("processbench_math", model=Canned(["\\boxed{1}", "\\boxed{0}", "?"]), metadata=metadata)
    assert "the same text" not in caplog.text


def test_without_a_folder_nothing_stays(here, caplog) -> None:
    """A set of 3,400 solutions for each run would fill the disk of whoever tries thresholds."""
    with caplog.at_level(logging.INFO):
        run("processbench_math", metadata={"problems": write_processbench(here), "prm_model": "arithmetic"})
    assert list((here / "temporary").iterdir()) == []
    assert "--metadata step_set=DIR" in caplog.text


def test_stored_rewards_are_measured_without_a_model(here) -> None:
    """The rewards of a set that was scored elsewhere: of this set, or refused."""
    metadata = {"problems": write_processbench(here), "prm_model": "arithmetic", "step_set": "set"}
    first = run("processbench", metadata=metadata)["groups"]["processbench"]["f1,prm"]
    stored = {**metadata, "prm_model": "stored:set/rewards/arithmetic"}
    assert run("processbench", metadata=stored)["groups"]["processbench"]["f1,prm"] == first
    del stored["step_set"]
    with pytest.raises(DataError, match="rewards for pool"):
        run("processbench_math", metadata=stored)


def test_the_table_is_said_once_with_the_way_to_it(here, caplog) -> None:
    """Four tasks, one evaluation: the same table as behind the other door, with the rules that any model must beat."""
    with caplog.at_level(logging.INFO):
        metadata = {
            "problems": write_processbench(here),
            "prm_model": "arithmetic",
            "step_set": "set",
            "threshold": 0.4,
        }
        found = run("processbench", metadata=metadata)
    (said,) = [record.message for record in caplog.records if "beats the best rule" in record.message]
    (row,) = (line.split() for line in said.splitlines() if line.startswith("arithmetic") and "[" in line)
    assert row[2:6] == [f"{100 * found['results'][f'processbench_{subset}']['f1,prm']:.1f}" for subset in SUBSETS]
    assert "(length)" in said
    assert "prm-eval evaluate set set/rewards/arithmetic --threshold 0.4" in said


def test_an_interrupted_critic_goes_on_where_it_was(here, server) -> None:
    """lm_eval writes at the very end: without a journal a server that dies after 27,000 answers costs all of them."""
    options = {
        "model": "local-chat-completions",
        "model_args": server.model_args,
        "apply_chat_template": True,
        "metadata": {"problems": write_processbench(here), "step_set": "set", "base_url": "kept apart"},
    }
    server.leave_after = 4
    with pytest.raises(Exception, match=r"(?i)connection|remote"):
        run("processbench_math", **options)
    server.leave_after = None
    run("processbench_math", **{**options, "metadata": {**options["metadata"], "threshold": 0.3}})
    assert len(server.requests) == 10  # six more, and another threshold is no other critic
    assert list(here.glob("prm_eval_runs/processbench_math/journal/*")) == []


def test_answers_are_on_disk_before_anything_can_fail(here, server, monkeypatch, caplog) -> None:
    """A fault of ours after 27,200 answers must cost none of them: they are in the set, and the next run has them."""
    options = {"model": "local-chat-completions", "model_args": server.model_args, "apply_chat_template": True}
    metadata = {"problems": write_processbench(here)}
    with monkeypatch.context() as patch, caplog.at_level(logging.ERROR), pytest.raises(ZeroDivisionError):
        patch.setattr("prm_eval.harness.step_run.run_step_evaluation", lambda *given, **options: 1 / 0)
        run("processbench_math", metadata=metadata, **options)
    kept = Path(next(each.message for each in caplog.records if "is in" in each.message).rpartition(" ")[2])
    assert len((kept / "critics/judge/texts.jsonl").read_text().splitlines()) == 10
    run("processbench_math", metadata=metadata, **options)
    assert len(server.requests) == 10


def test_predict_only_asks_and_measures_nothing(here, monkeypatch) -> None:
    """lm_eval runs filters under --predict_only too; a reward model must not be loaded for it."""
    monkeypatch.setattr("prm_eval.harness.step_task.placing_model", lambda *given, **options: pytest.fail("loaded"))
    metadata = {"problems": write_processbench(here)}
    found = run("processbench_math", model=Canned(["\\boxed{1}"]), metadata=metadata, predict_only=True)
    assert found["results"]["processbench_math"]["bypass,none"] == 999
    run("processbench_math", metadata={**metadata, "prm_model": "arithmetic"}, predict_only=True)


def test_limit_and_one_file_of_all_subsets(here) -> None:
    """Only the solutions that were asked about may be in the figures, and no subset may hold those of another."""
    rows = [row for subset, n in zip(SUBSETS, SIZES, strict=True) for row in processbench_rows(subset, n)]
    write_jsonl(here / "all.jsonl", rows)
    metadata = {"problems": "all.jsonl", "prm_model": "arithmetic", "step_set": "set"}
    found = run("processbench", metadata=metadata, limit=5)
    assert [each.group for each in StepSet("set").solutions] == [subset for subset in SUBSETS for _ in range(5)]
    assert found["results"]["processbench_gsm8k"]["sample_len"] == 5
    write_jsonl(here / "math.jsonl", processbench_rows("math", 10))
    with pytest.raises(PrmEvalError, match=r"no labelled solution of gsm8k \(there are math\)"):
        run("processbench_gsm8k", metadata={**metadata, "problems": "math.jsonl"})


def test_the_data_files_of_a_yaml(here) -> None:
    """A task of one's own over a local file in the same columns: five lines, and the same figures as problems=."""
    write_jsonl(here / "data.jsonl", processbench_rows("math", 10))
    template = TASKS / "_processbench_template_yaml"
    (here / "mine").mkdir()
    (here / "mine" / "mine.yaml").write_text(
        f"include: {template}\ntask: mine\ndataset_path: json\ntest_split: math\n"
        f"dataset_kwargs: {{data_files: {{math: {here / 'data.jsonl'}}}, cache_dir: {here / 'cache'}}}\n"
        "metadata: {version: 1.0, suite: processbench, subset: math}\n"
    )
    found = run("mine", include=here / "mine", metadata={"prm_model": "arithmetic"})["results"]["mine"]
    same = run("processbench_math", metadata={"problems": "data.jsonl", "prm_model": "arithmetic"})
    assert found["f1,prm"] == same["results"]["processbench_math"]["f1,prm"]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"label": 9}, "label 9 of 2 steps"),
        ({"steps": []}, "at least one step"),
        ({"id": "gsm8k-0"}, "again (first in row 1)"),
        ({"problem": None}, "problem"),
    ],
)
def test_a_faulty_row_is_named(here, row, message) -> None:
    """A label beyond the end is never a match, and would lower every model alike without a word."""
    good = processbench_rows("gsm8k", 1)[0]
    write_jsonl(here / "p.jsonl", [good, {**good, "id": "gsm8k-1", **row}])
    with pytest.raises(DataError) as caught:
        run("processbench_gsm8k", metadata={"problems": "p.jsonl", "prm_model": "arithmetic"})
    assert message in str(caught.value)
    assert "row 2" in str(caught.value)


def test_without_the_hub_the_way_around_is_said(here) -> None:
    """A traceback of eleven libraries says nothing to somebody behind a firewall."""
    for task in ("processbench_math", "prmbench"):
        with pytest.raises(PrmEvalError, match=r"cannot be loaded.*--metadata problems=FILE.jsonl"):
            run(task, metadata={"prm_model": "arithmetic"})


def test_every_command_of_the_page_is_taken() -> None:
    """A key of --metadata that was renamed would leave readers with a refusal."""
    text = (ROOT / "docs" / "step-tasks.md").read_text(encoding="utf-8")
    words = [each for block in blocks(text, "bash") for each in commands(block.text) if "--metadata" in each]
    assert len(words) >= 3
    for each in words:
        given = each[each.index("--metadata") + 1 :]
        pairs = [one.split("=", 1) for one in given if "=" in one and not one.startswith("--")]
        read_step_options({"suite": "processbench", **dict(pairs)})
    assert len(text.encode()) < 6_000


def command(folder: Path, *words: object) -> tuple[dict, str]:
    """Run lm_eval's own command line; return its results and what it said."""
    arguments = ["run", "--include_path", TASKS, *words, "--output_path", folder / "out", "--log_samples"]
    done = subprocess.run(
        [sys.executable, "-m", "lm_eval", *map(str, arguments)], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    (path,) = (folder / "out").rglob("results_*.json")

    def never(name: str) -> None:
        raise AssertionError(f"{name} is no JSON")

    return json.loads(path.read_text(), parse_constant=never), done.stdout + done.stderr


@pytest.mark.slow
def test_the_command_line_with_a_reward_model(here, prm, capsys) -> None:
    """What a user types: a result file that every reader of JSON takes, with a standard error beside each F1."""
    metadata = [f"problems={write_processbench(here)}", f"prm_model={prm}", "prm_device=cpu", "step_set=set"]
    found, said = command(here, "--model", "dummy", "--tasks", "processbench", "--metadata", *metadata)
    (rewards,) = StepSet(here / "set").pool.reward_folders()
    row = by_command(capsys, here / "set", rewards)
    assert found["groups"]["processbench"]["f1,prm"] == row["averages"]["mean_f1"]["value"]
    for subset in SUBSETS:
        assert_same(found["results"][f"processbench_{subset}"], row["groups"][subset], "prm")
    assert found["configs"]["processbench_math"]["metadata"]["prm_eval"]["reward_model"]["weights_sha256"]
    assert "beats the best rule" in said
    assert math.isfinite(found["groups"]["processbench"]["f1_stderr,prm"])


@pytest.mark.slow
def test_the_command_line_with_a_critic(here, server, capsys) -> None:
    """What a user types for a judge behind a server."""
    found, said = command(
        here, "--model", "local-chat-completions", "--model_args", server.model_args, "--apply_chat_template",
        "--gen_kwargs", "seed=None", "--tasks", "processbench_math",
        "--metadata", f"problems={write_processbench(here)}", "votes=3", "step_set=set",
    )  # fmt: skip
    row = by_command(capsys, here / "set", here / "set/critics/judge/predictions.jsonl", "--missing", "wrong")
    assert_same(found["results"]["processbench_math"], row["whole"], "critic")
    (samples,) = (here / "out").rglob("samples_processbench_math_*.jsonl")
    logged = [json.loads(line) for line in samples.read_text().splitlines()]
    assert all(len(each["resps"][0]) == 3 for each in logged)
    assert all(steps_of(request["messages"][-1]["content"]) for request in server.requests)
    assert "answers cannot be read" in said
