"""Whole trainings of tiny models: every head, from a command to a checkpoint that others load, and what is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
import transformers

from prm_eval.errors import DataError, ModelError, PrmEvalError
from prm_eval.pools.pool import Pool
from prm_eval.records import ScoringItem
from prm_eval.rewards.models.factory import make_model
from prm_eval.rewards.recipes.reader import read_recipe
from prm_eval.stepsets import StepSet
from prm_eval.training.job import run_training
from prm_eval.training.options import HEADS, TrainOptions
from prm_eval.training.statements import key_of
from prm_eval.training.store import Examples
from tests.conftest import write_jsonl
from tests.training import small

FAST = {"unchecked": True, "rate": 0.01, "batch_tokens": 400, "accumulate": 2, "log_every": 2}


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    folder = tmp_path_factory.mktemp("training")
    small.base(folder / "base")
    small.step_set(folder / "set", 32, kind="rated", final=True)
    return folder


@pytest.fixture(scope="module")
def pool(home) -> Path:
    """A pool of sums with grades of our own."""
    from prm_eval.evaluation.jobs import run_grading
    from prm_eval.importers import import_pool

    rows = [
        {"id": f"p{k}", "problem": f"What is {k} + 2?", "answer": str(k + 2),
         "samples": [{"text": f"We add.\nSo \\boxed{{{k + 2 + wrong}}}{'.!'[wrong]}"} for wrong in (0, 1, 0, 1)]}
        for k in range(12)
    ]  # fmt: skip
    import_pool(write_jsonl(home / "pool.jsonl", rows), home / "pool")
    run_grading(home / "pool")
    return home / "pool"


def plain_logits(out: Path, kind: str, head: str, item: ScoringItem) -> list[float]:
    """The log-odds by transformers alone, one unpadded input, no code of ours but the positions."""
    recipe = read_recipe(out / "recipe.yaml")
    model = make_model(recipe, str(out), {"device": "cpu"})
    rendered = model.render(item)
    loader = {"lm-rows": "CausalLM", "sequence-classification": "SequenceClassification"}.get(
        head, "TokenClassification"
    )
    plain = getattr(transformers, f"AutoModelFor{loader}").from_pretrained(out).eval()
    with torch.no_grad():
        if head == "sequence-classification":
            # it pools the last token: each step's number is that of the input up to it
            found = [plain(torch.tensor([rendered.ids[: at + 1]])).logits[0] for at in rendered.positions]
        else:
            found = list(plain(torch.tensor([rendered.ids])).logits[0][list(rendered.positions)])
    if head == "lm-rows":
        plus, minus = (recipe.head.rows[sign] for sign in "+-")
        return [float(each[plus] - each[minus]) for each in found]
    return [float(each[0] if len(each) == 1 else each[1] - each[0]) for each in found]


@pytest.mark.parametrize("kind", ["prm", "orm"])
@pytest.mark.parametrize("head", HEADS)
def test_a_trained_checkpoint_is_an_ordinary_one(home, tmp_path, kind, head) -> None:
    """Otherwise a checkpoint scores otherwise than it was trained, or loads only with prm_eval."""
    out = tmp_path / "out"
    done = run_training(str(home / "set"), str(home / "base"), out, TrainOptions(kind, head=head, **FAST))
    assert done.record["loaded_again_apart"] < 1e-5
    solution = StepSet(home / "set").solutions[0]
    item = ScoringItem(solution.statement, "\n\n".join(solution.steps), solution.steps)
    ours = make_model(read_recipe(out / "recipe.yaml"), str(out), {"device": "cpu"}).score([item])[0].values
    assert len(ours) == (3 if kind == "prm" else 1)
    assert list(ours) == pytest.approx(plain_logits(out, kind, head, item), abs=1e-5)
    names = {each.name for each in out.iterdir()}
    assert {"README.md", "training.json", "training.jsonl", "training.svg", "recipe.yaml", "config.json"} <= names
    assert ".work" not in names and "training_args.bin" not in names
    first = json.loads((out / "training.jsonl").read_text().splitlines()[0])
    assert {"step", "epoch", "tokens", "seconds"} <= first.keys()
    card = (out / "README.md").read_text()
    assert done.record["data"]["content_hash"] in card and "must not be used for" in card
    assert done.record["examples"]["held_out_problems"] > 0 and "95 % limits over problems" in card


@pytest.mark.parametrize(
    "given",
    [
        {"lora": 4},
        {"checkpointing": True, "packing": "off"},
        {"precision": "bfloat16", "save_dtype": "bfloat16"},
        {"class_weights": "balanced", "neutral": "class", "epochs": 2},
        {"patience": 1, "evaluate_every": 1, "epochs": 4},
    ],
    ids=lambda given: ",".join(given),
)
def test_options_that_change_how_it_is_computed(home, tmp_path, given) -> None:
    """Otherwise an option breaks the run, or what it leaves cannot be loaded by its recipe."""
    done = run_training(
        str(home / "set"), str(home / "base"), tmp_path / "out", TrainOptions("prm", **{**FAST, **given})
    )
    record = done.record
    assert record["loaded_again_apart"] < (0.05 if "save_dtype" in given else 1e-5)
    assert record["work"]["packed"] is ("packing" not in given)
    if "neutral" in given:
        assert record["examples"]["targets"]["neutral"] > 0
        weights, targets = record["examples"]["class_weights"], record["examples"]["targets"]
        assert len({round(weights[name] * targets[name], 6) for name in weights}) == 1


def test_the_best_weights_are_kept_and_it_stops(home, tmp_path, monkeypatch) -> None:
    """Otherwise `--patience` runs on, or leaves the last weights in place of the best."""
    from prm_eval.training.held_out import HeldOut

    values = iter([0.4, 0.9, 0.5, 0.6, 0.99])
    monkeypatch.setattr(HeldOut, "figures", lambda self, read: {"step_auc": next(values)})
    options = TrainOptions("prm", **{**FAST, "batch_tokens": 100}, patience=2, evaluate_every=1, epochs=4)
    done = run_training(str(home / "set"), str(home / "base"), tmp_path / "out", options)
    assert done.record["work"]["updates"] == 4
    shorter = TrainOptions("prm", **{**FAST, "batch_tokens": 100}, evaluate_every=100, epochs=4)
    monkeypatch.undo()
    with pytest.raises(KeyboardInterrupt):
        run_training(str(home / "set"), str(home / "base"), tmp_path / "two", TrainOptions(
            **{**vars(shorter), "save_every": 2}), stop_after=2)  # fmt: skip
    from safetensors.torch import load_file

    best = load_file(tmp_path / "out" / "model.safetensors")
    second = load_file(next((tmp_path / "two" / ".work" / "states").glob("*-2")) / "model.safetensors")
    assert all(torch.equal(best[name], second[name]) for name in best)


def test_held_out_problems_are_on_no_other_side(home, tmp_path) -> None:
    """Otherwise figures are of problems that were trained on."""
    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        options = TrainOptions("prm", held_out=0.3, save_every=1, **FAST)
        run_training(str(home / "set"), str(home / "base"), out, options, stop_after=1)
    examples = Examples(out / ".work" / "examples")
    solutions = StepSet(home / "set").solutions
    trained = {key_of(solutions[at].statement) for at in examples.samples}
    held = {key_of(each.statement) for each in solutions} - trained
    assert trained and held and len(examples) == sum(key_of(each.statement) in trained for each in solutions)
    assert examples.about["left_out"] == {"held out": len(solutions) - len(examples)}


def test_a_held_out_set_of_its_own(home, tmp_path) -> None:
    """Otherwise problems of `--held-out-data` that DATA has too are trained on."""
    small.step_set(tmp_path / "other", 8, kind="rated", final=True)
    options = TrainOptions("prm", held_out_data=str(tmp_path / "other"), **FAST)
    record = run_training(str(home / "set"), str(home / "base"), tmp_path / "out", options).record["examples"]
    with pytest.raises(PrmEvalError, match=r"rows.jsonl: found no such folder; expected a step set"):
        few = TrainOptions("prm", held_out_data=str(write_jsonl(tmp_path / "rows.jsonl", TRL)), **FAST)
        run_training(str(home / "set"), str(home / "base"), tmp_path / "no", few)
    # the first four problems of both sets are the same
    assert (record["held_out_problems"], record["held_out_solutions"], record["left_out"]) == (4, 8, {"held out": 8})


def test_an_orm_of_a_pool(home, pool, tmp_path) -> None:
    """Otherwise grades are joined to other candidates, or best of n is measured on something else."""
    other = tmp_path / "pool2"
    shutil.copytree(pool, other)
    options = TrainOptions("orm", held_out=0.3, epochs=8, pool=str(other), contamination="keep", **FAST)
    record = run_training(str(pool), str(home / "base"), tmp_path / "out", options).record
    examples = record["examples"]
    assert examples["trained_on"] == 4 * examples["problems"]
    assert examples["targets"]["good"] == pytest.approx(examples["targets"]["bad"], rel=0.2)
    assert record["figures"]["this model"]["solution_auc"]["value"] > 0.9
    assert record["figures"]["best_of_n"]["4"] > record["figures"]["best_of_n"]["1"]
    assert record["contamination"]["found"] == {str(other): examples["problems"]}
    assert "worth nothing" in (tmp_path / "out" / "README.md").read_text()


def test_labels_of_a_pool(home, pool, tmp_path) -> None:
    """Otherwise labels of candidates cut otherwise, or of another pool, are trained on."""
    from prm_eval.stepsets.label_file import Labelled, LabelWriter
    from prm_eval.stepsets.labels import by_first_error
    from prm_eval.texts.steps import split_steps

    own = tmp_path / "pool"
    shutil.copytree(pool, own)
    opened = Pool(own)
    with pytest.raises(DataError, match="a pool without labels of steps"):
        run_training(str(own), str(home / "base"), tmp_path / "a", TrainOptions("prm", **FAST))
    with LabelWriter(own / "labels" / "mine", opened, source="oracle", by="me", labels="first_error") as writer:
        for problem, candidates in opened:
            for each in candidates:
                steps = split_steps(each.text, opened.info.splitter, each.steps)
                label = by_first_error(1 if "!" in each.text else -1, len(steps))
                writer.add(Labelled(problem, each, steps, label))
    done = run_training(str(own), str(home / "base"), tmp_path / "b", TrainOptions("prm", **FAST))
    assert done.record["data"]["labelled_by"] == "me" and done.record["examples"]["trained_on"] > 0
    blank = tmp_path / "blank.yaml"
    text = (tmp_path / "b" / "recipe.yaml").read_text()
    blank.write_text(text + 'splitter: "blank_line"\n')
    with pytest.raises(
        DataError, match=r"labels.parquet, row 1: found .* of 'p0' with 2 labelled steps, cut by 'line'; expected 1, as"
    ):
        run_training(str(own), str(home / "base"), tmp_path / "c", TrainOptions("prm", recipe=str(blank), **FAST))
    # given steps of a step set win over the recipe's splitter, which the card counts
    options = TrainOptions("prm", recipe=str(blank).replace("blank", "line"), **FAST)
    Path(options.recipe).write_text(text + 'splitter: "step_k"\n')
    record = run_training(str(home / "set"), str(home / "base"), tmp_path / "d", options).record
    assert record["examples"]["cut_otherwise_by_the_recipe"] == 32
    labels = json.loads((own / "labels" / "mine" / "labels.json").read_text())
    (own / "labels" / "mine" / "labels.json").write_text(json.dumps({**labels, "pool_hash": "0" * 64}))
    with pytest.raises(DataError, match="labels of the pool 000000000000; expected labels of"):
        run_training(str(own), str(home / "base"), tmp_path / "e", TrainOptions("prm", **FAST))


TRL = [
    {"prompt": f"What is {k} + 1?", "completions": ["We add.", f"So {k + 1}."], "labels": [True, k % 2 == 0]}
    for k in range(30)
]
SHEPHERD = [
    {"input": f"What is {k} + 1? Step 1: We add. ки\nStep 2: So {k + 1}. ки",
     "label": f"What is {k} + 1? Step 1: We add. +\nStep 2: So {k + 1}. {'+-'[k % 2]}", "task": "GSM8K"}
    for k in range(30)
]  # fmt: skip
SOFT = [{**row, "labels": [0.75, 0.5 * (k % 2)]} for k, row in enumerate(TRL)]


@pytest.mark.parametrize(
    ("rows", "options"),
    [(TRL, {}), (SHEPHERD, {}), (SOFT, {"soft": True})],
    ids=["trl", "math-shepherd", "shares"],
)
def test_files_of_others(home, tmp_path, rows, options) -> None:
    """Otherwise a file that `prm-eval steps import` reads must be imported by hand before it is trained on."""
    file = write_jsonl(tmp_path / "rows.jsonl", rows)
    done = run_training(str(file), str(home / "base"), tmp_path / "out", TrainOptions("prm", **FAST, **options))
    targets = done.record["examples"]["targets"]
    n = done.record["examples"]["trained_on"]
    expected = 0.25 * n if "soft" in options else 0
    assert targets["bad"] >= expected and targets["bad"] + targets["good"] == 2 * n


def test_prm800k_files(home, data, tmp_path) -> None:
    """Otherwise real phase-1 records cannot be trained on by their file alone."""
    few = tmp_path / "few.jsonl"
    lines = (data / "steps" / "prm800k_phase1_test.jsonl").read_text().splitlines(keepends=True)
    few.write_text("".join(sorted(lines, key=len)[40:43]))
    options = TrainOptions("prm", candidates=True, held_out=0, contradictions="keep", **{**FAST, "batch_tokens": 2_048})
    record = run_training(str(few), str(home / "base"), tmp_path / "out", options).record
    assert record["examples"]["trained_on"] > 50 and record["work"]["shared"] > 0.7
    assert "Nothing was held out" in (tmp_path / "out" / "README.md").read_text()


def test_contamination_is_refused_unless_told(home, tmp_path) -> None:
    """Otherwise a verifier is trained on the problems that it will be measured on, and nobody knows."""
    known = write_jsonl(tmp_path / "known.jsonl", [{"id": "a", "problem": "problem 3: what is 3+4?", "answer": "7"}])
    given = {**FAST, "against": (str(known),)}
    with pytest.raises(
        PrmEvalError, match=r"has 1 of 1\d training problems in common .*known.jsonl \(first .*row 7: 'Pro"
    ):
        run_training(str(home / "set"), str(home / "base"), tmp_path / "a", TrainOptions("prm", **given))
    dropped = TrainOptions("prm", contamination="drop", **given)
    record = run_training(str(home / "set"), str(home / "base"), tmp_path / "b", dropped).record
    assert record["examples"]["left_out"]["a problem of a registered set"] == 2
    assert "were left out" in (tmp_path / "b" / "README.md").read_text()


def test_problems_of_the_miniature_are_registered(home, tmp_path) -> None:
    """Otherwise the one set that can always be had is not looked at, and its board says nothing any more."""
    from prm_eval.pools.problem_sets import load_problems

    statement = load_problems("miniature").problems[5].statement
    rows = [{**row, "prompt": statement if k == 7 else row["prompt"]} for k, row in enumerate(TRL)]
    file = write_jsonl(tmp_path / "rows.jsonl", rows)
    with pytest.raises(PrmEvalError, match=r"in common with .* 1 of miniature \(first .*row 8: "):
        run_training(str(file), str(home / "base"), tmp_path / "out", TrainOptions("prm", held_out=0.0, **FAST))


@pytest.mark.parametrize(
    ("kind", "given", "error", "said"),
    [
        ("orm", {}, DataError, "a pool without grades; expected grades .*prm-eval grade"),
        ("prm", {"labels": "nobodys"}, DataError, "no labels.json"),
    ],
)
def test_bad_pools_are_refused_at_once(home, pool, tmp_path, kind, given, error, said) -> None:
    """Otherwise hours pass before somebody reads that there was nothing to learn from."""
    bare = tmp_path / "bare"
    shutil.copytree(pool, bare, ignore=shutil.ignore_patterns("grades*"))
    with pytest.raises(error, match=said):
        run_training(str(bare), str(home / "base"), tmp_path / "out", TrainOptions(kind, **FAST, **given))


def test_other_bad_input_is_refused_at_once(home, tmp_path) -> None:
    """Otherwise a training of something else than was meant begins."""

    def train(data, base, **options):
        run_training(str(data), str(base), tmp_path / "out", TrainOptions("prm", **{**FAST, **options}))

    small.step_set(tmp_path / "unsaid", 6)
    with pytest.raises(DataError, match="says of no final answer whether it is right"):
        run_training(str(tmp_path / "unsaid"), str(home / "base"), tmp_path / "o", TrainOptions("orm", **FAST))
    with pytest.raises(PrmEvalError, match=r"--soft: .* has labels of the kind rated, not shares"):
        train(home / "set", home / "base", soft=True)
    with pytest.raises(PrmEvalError, match=r"--candidates is about files that are imported"):
        train(home / "set", home / "base", candidates=True)
    with pytest.raises(PrmEvalError, match=r"--format is about files that are imported"):
        train(home / "set", home / "base", form="trl")
    with pytest.raises(PrmEvalError, match=r"--labels mine: .* is no pool"):
        train(tmp_path / "rows.jsonl", home / "base", labels="mine")
    with pytest.raises(ModelError, match=r"nowhere.* cannot be loaded"):
        train(home / "set", tmp_path / "nowhere")
    with pytest.raises(PrmEvalError, match="none of 16 problems was drawn to be held out"):
        train(home / "set", home / "base", held_out=1e-9)
    shutil.rmtree(tmp_path / "out")
    train(home / "set", home / "base")
    with pytest.raises(PrmEvalError, match="holds a finished training"):
        train(home / "set", home / "base")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("mine")
    with pytest.raises(PrmEvalError, match="is not empty and holds no training"):
        run_training(str(home / "set"), str(home / "base"), tmp_path / "mine", TrainOptions("prm", **FAST))
