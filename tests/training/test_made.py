"""Data that a training makes of files: anew where a file changed, and with the places of the user's own rows."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from prm_eval.errors import DataError, PrmEvalError
from prm_eval.importers.sources import open_source
from prm_eval.store.jsonl import file_sha256
from prm_eval.training import made, preparing
from prm_eval.training.job import run_training
from prm_eval.training.options import TrainOptions
from prm_eval.training.sources import open_data
from tests.conftest import write_jsonl
from tests.training import small

FAST = {"unchecked": True, "rate": 0.01, "batch_tokens": 400, "held_out": 0.0}
ROWS = [
    {"id": f"s{k}", "problem": f"What is {k} + 1?", "steps": ["We add.", f"So {k + 1}."], "label": k % 2 or -1}
    for k in range(12)
]


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> str:
    return str(small.base(tmp_path_factory.mktemp("made") / "base"))


def mended(rows, **changes):
    return [{**row, **changes.get(row["id"], {})} for row in rows]


def test_an_edited_file_is_read_again_after_a_stop(base, tmp_path, monkeypatch) -> None:
    """Otherwise a run that was stopped early trains on the old labels, and its card has the new file's hash."""
    file, out = write_jsonl(tmp_path / "rows.jsonl", ROWS), tmp_path / "out"

    def stop(*_, **__):
        raise KeyboardInterrupt

    for room, name in ((preparing, "known_problems"), (preparing, "contradictions")):
        with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
            # once before the plan is written, once after
            patched.setattr(room, name, stop)
            run_training(str(file), base, out, TrainOptions("prm", **FAST))
    write_jsonl(file, [{**row, "label": 0} if row["label"] == -1 else row for row in ROWS])
    record = run_training(str(file), base, out, TrainOptions("prm", **FAST)).record
    assert record["examples"]["targets"] == {"bad": 12.0, "neutral": 0.0, "good": 6.0}
    assert record["data"]["files"] == {"rows.jsonl": file_sha256(file)}
    assert file_sha256(file) in (out / "README.md").read_text()


def test_a_mended_file_is_not_refused_again(base, tmp_path) -> None:
    """Otherwise who mends what an error named reads the same error, or must remove a folder that holds nothing."""
    same = {"problem": ROWS[3]["problem"], "steps": ROWS[3]["steps"]}
    faulty = write_jsonl(tmp_path / "rows.jsonl", mended(ROWS, s8=same))
    out, options = tmp_path / "out", TrainOptions("prm", **FAST)
    with pytest.raises(DataError, match=r"rows.jsonl, row 4: found solution 's3', .* another label in row 9 \('s8'\)"):
        run_training(str(faulty), base, out, options)
    write_jsonl(faulty, ROWS)
    assert run_training(str(faulty), base, out, options).record["examples"]["trained_on"] == 12
    unsaid = write_jsonl(tmp_path / "orm.jsonl", ROWS)
    with pytest.raises(DataError, match="says of no final answer"):
        run_training(str(unsaid), base, tmp_path / "orm", TrainOptions("orm", **FAST))
    write_jsonl(unsaid, [{**row, "final_answer_correct": row["label"] == -1} for row in ROWS])
    done = run_training(str(unsaid), base, tmp_path / "orm", TrainOptions("orm", **FAST))
    assert done.record["examples"]["trained_on"] == 12


def test_labels_of_a_pool_that_changed(tmp_path) -> None:
    """Otherwise labels that were mended after a stop are not those that are trained on."""
    from prm_eval.importers import import_pool
    from prm_eval.pools.pool import Pool
    from prm_eval.stepsets.label_file import Labelled, LabelWriter
    from prm_eval.stepsets.labels import by_first_error

    rows = [{"id": f"p{k}", "problem": f"What is {k}?", "answer": "1", "samples": [{"text": "A.\nB."}]} for k in (1, 2)]
    pool = Pool(import_pool(write_jsonl(tmp_path / "pool.jsonl", rows), tmp_path / "pool").pool.path)

    def write(first: int) -> None:
        shutil.rmtree(pool.path / "labels", ignore_errors=True)
        with LabelWriter(pool.path / "labels" / "mine", pool, source="people", by="me", labels="first_error") as writer:
            for problem, (candidate,) in pool:
                writer.add(Labelled(problem, candidate, ("A.", "B."), by_first_error(first, 2)))

    options = TrainOptions("prm")
    for first, expected in ((0, [(0.0, None)] * 2), (1, [(1.0, 0.0)] * 2)):
        write(first)
        found = list(open_data(str(pool.path), options, tmp_path / "work").samples(options))
        assert [each.targets for each in found] == expected
        # the row of the label, in the user's own folder
        assert [(each.path, each.row) for each in found] == [
            (pool.path / "labels" / "mine" / "labels.parquet", row) for row in (1, 2)
        ]


def test_the_same_name_in_two_folders(base, tmp_path) -> None:
    """Otherwise one of two files may change without notice, and rows of one are said to be of the other."""
    for name, rows in (("a", ROWS[:6]), ("b", ROWS[6:])):
        (tmp_path / "in" / name).mkdir(parents=True)
        write_jsonl(tmp_path / "in" / name / "x.jsonl", rows)
    hashes = open_source(str(tmp_path / "in")).hashes()
    assert hashes == {f"{name}/x.jsonl": file_sha256(tmp_path / "in" / name / "x.jsonl") for name in "ab"}
    options = TrainOptions("prm", **FAST)
    found = open_data(str(tmp_path / "in"), options, tmp_path / "work")
    assert [(each.path.parent.name, each.row) for each in found.samples(options)] == [
        (name, row) for name in "ab" for row in range(1, 7)
    ]
    same = {"problem": ROWS[3]["problem"], "steps": ROWS[3]["steps"]}
    write_jsonl(tmp_path / "in" / "b" / "x.jsonl", mended(ROWS[6:], s8=same))
    with pytest.raises(DataError, match=r"a/x.jsonl, row 4: .* another label in .*b/x.jsonl, row 3 \('s8'\)"):
        run_training(str(tmp_path / "in"), base, tmp_path / "out", options)


def test_a_file_called_like_a_field_of_the_card(base, tmp_path) -> None:
    """Otherwise the hash of a file called `labels` is overwritten, or its name is."""
    file = write_jsonl(tmp_path / "labels", ROWS)
    record = run_training(str(file), base, tmp_path / "out", TrainOptions("prm", **FAST)).record
    assert record["data"]["files"]["labels"] == file_sha256(file) and record["data"]["labels"] == "first_error"
    assert file_sha256(file) in (tmp_path / "out" / "README.md").read_text()


def test_a_set_without_its_places_is_made_again(tmp_path) -> None:
    """Otherwise a run that was killed between the two is gone on from without the user's rows."""
    file, options = write_jsonl(tmp_path / "rows.jsonl", ROWS), TrainOptions("prm")
    open_data(str(file), options, tmp_path / "work")
    (folder,) = (tmp_path / "work").glob(f"{made.MADE}*")
    (folder / made.PLACES).unlink()
    (folder / "set" / "pool.json").write_text("{}")
    assert open_data(str(file), options, tmp_path / "work").place(4)[:2] == (file, 5)


def test_a_file_that_changes_while_it_is_read(tmp_path, monkeypatch) -> None:
    """Otherwise the hash is of other rows than those that are trained on."""
    file = write_jsonl(tmp_path / "rows.jsonl", ROWS)
    real = made.import_step_set

    def slow(*arguments, **options):
        found = real(*arguments, **options)
        write_jsonl(file, ROWS[:5])
        return found

    monkeypatch.setattr(made, "import_step_set", slow)
    with pytest.raises(PrmEvalError, match=r"rows.jsonl changed while it was read"):
        open_data(str(file), TrainOptions("prm"), tmp_path / "work")


def test_a_held_out_set_that_changed(base, tmp_path) -> None:
    """Otherwise a run goes on with problems that are held out by now, and its figures are of problems it has seen."""
    data, held = small.step_set(tmp_path / "set", 40).path, tmp_path / "held"
    small.step_set(held, 4)
    options = TrainOptions("prm", held_out_data=str(held), save_every=1, **{**FAST, "batch_tokens": 100})
    with pytest.raises(KeyboardInterrupt):
        run_training(str(data), base, tmp_path / "out", options, stop_after=1)
    shutil.rmtree(held)
    small.step_set(held, 8)
    with pytest.raises(PrmEvalError, match="with other problems to hold out or to leave out; expected the same"):
        run_training(str(data), base, tmp_path / "out", options)


@pytest.mark.parametrize("kind", ["prm", "orm"])
@pytest.mark.parametrize("only", ["good", "bad"])
def test_one_class_is_no_data(base, tmp_path, kind, only) -> None:
    """Otherwise a verifier that says the same of everything is trained without a word."""
    label = -1 if only == "good" else 0
    rows = [{**row, "label": label, "final_answer_correct": only == "good"} for row in ROWS]
    file = write_jsonl(tmp_path / "rows.jsonl", rows)
    other = {"good": "bad", "bad": "good"}[only]
    with pytest.raises(DataError, match=rf"rows.jsonl: found no {other} target .*expected .*(steps|solutions).* too"):
        run_training(str(file), base, tmp_path / "out", TrainOptions(kind, **FAST))
    assert not (tmp_path / "out" / ".work" / "examples").exists()


def test_one_class_is_left_when_contradictions_are_dropped(base, tmp_path) -> None:
    """Otherwise the only wrong steps are left out, and the rest is trained on without a word."""
    rows = [{**row, "label": -1} for row in ROWS]
    rows += [{**rows[0], "id": "again", "label": 0}]
    file = write_jsonl(tmp_path / "rows.jsonl", rows)
    with pytest.raises(DataError, match=r"no bad target among those that are trained on \(0 bad, 0 neutral, 23 good\)"):
        run_training(str(file), base, tmp_path / "out", TrainOptions("prm", contradictions="drop", **FAST))


@pytest.mark.parametrize("held_out", [0.0, 0.3])
def test_the_totals_are_the_trainers(base, tmp_path, held_out, monkeypatch) -> None:
    """Otherwise a card says 0 updates of a trained model, or the last line of the log in place of the end."""
    from prm_eval.training.loop import Run

    seen = []
    monkeypatch.setattr(
        Run, "updates", property(lambda self, real=Run.updates.fget: seen.append(real(self)) or seen[-1])
    )
    file = write_jsonl(tmp_path / "rows.jsonl", ROWS)
    options = TrainOptions("prm", **{**FAST, "held_out": held_out, "batch_tokens": 60, "accumulate": 1}, epochs=2)
    done = run_training(str(file), base, tmp_path / "out", options)
    work = done.record["work"]
    assert work["updates"] == seen[0] and seen[0] % options.log_every and work["seconds"] > 0
    lines = [json.loads(line) for line in (tmp_path / "out" / "training.jsonl").read_text().splitlines()]
    assert lines[-1]["step"] == work["updates"] and lines[-1]["tokens"] == work["tokens"]
    assert f"{work['updates']:,} updates, {work['tokens']:,} tokens" in (tmp_path / "out" / "README.md").read_text()
    # every run has its course, also one that is shorter than the interval of its log
    assert any("loss" in line for line in lines) and (tmp_path / "out" / "training.svg").is_file()


def test_the_totals_of_an_interrupted_run(base, tmp_path, monkeypatch) -> None:
    """Otherwise the seconds before an interruption are lost, or the work of updates that were never made is counted."""
    from prm_eval.training import loop, states

    file = write_jsonl(tmp_path / "rows.jsonl", ROWS)
    options = TrainOptions("prm", **{**FAST, "batch_tokens": 60, "accumulate": 1}, save_every=3)
    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        run_training(str(file), base, out, options, stop_after=3)
    state = states.last_whole(out / ".work" / "states")
    (state / states.MARK).write_text(json.dumps({"step": 3, "seconds": 1_000.0}))
    record = run_training(str(file), base, out, options).record
    assert record["work"]["seconds"] >= 1_000 and record["work"]["updates"] > 3
    # a run that stops early has done what it did
    real = loop.train

    def short(run, progress):
        log = real(run, progress)
        log.step = 2
        return log

    monkeypatch.setattr(loop, "train", short)
    less = run_training(str(file), base, tmp_path / "short", options).record["work"]
    assert less["updates"] == 2 and less["tokens"] < record["work"]["tokens"] and less["rows"] < record["work"]["rows"]


def test_what_is_left_out_is_told_before_the_first_update(base, tmp_path, capsys) -> None:
    """Otherwise who trains on half of the data reads so in the card, hours later."""
    from prm_eval.cli.commands import main

    long = {"steps": ["We add. " * 60, "So."]}
    special, bare = {"steps": ["We <|im_end|> add.", "So."]}, {"label": None}
    file = write_jsonl(tmp_path / "rows.jsonl", mended(ROWS, s2=long, s5=long, s7=special, s11=bare))
    command = ["train", "prm", str(file), "--base", base, "-o", str(tmp_path / "out"), "--unchecked", "--device", "cpu"]
    assert main([*command, "--held-out", "0", "--max-tokens", "60"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[:3] == [
        f"left out   2 solutions: over-length (first {file}, row 3 (s2))",
        "left out   1 solution: no label that is trained on",
        f"left out   1 solution: special token '<|im_end|>' in the text (first {file}, row 8 (s7))",
    ]
    assert said[3].startswith("trained    on 8 solutions of 8 problems")
    left = json.loads((tmp_path / "out" / "training.json").read_text())["examples"]["left_out"]
    assert left == {"over-length": 2, "special token '<|im_end|>' in the text": 1, "no label that is trained on": 1}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--fsdp", "nowhere.json"], "nowhere.json: found no such file; expected the configuration of FSDP"),
        (["--deepspeed", "nowhere.json"], "nowhere.json: found no such file; expected the configuration of DeepSpeed"),
        (["--fsdp", "list.json"], "list.json: found a JSON list; expected"),
        (["--deepspeed", "torn.json"], "torn.json: found not JSON"),
        (["--deepspeed", "good.json"], "the package deepspeed is not installed; expected it"),
        (["--lora", "4"], "--lora needs peft: pip install"),
    ],
)
def test_packages_and_files_are_looked_at_first(base, tmp_path, monkeypatch, capsys, given, said) -> None:
    """Otherwise hours of rendering pass before a traceback says that a package or a file is missing."""
    from prm_eval.cli.commands import main
    from prm_eval.training import launching

    monkeypatch.chdir(tmp_path)
    for name, text in (("list", "[]"), ("torn", "{"), ("good", "{}")):
        Path(f"{name}.json").write_text(text)
    real = launching.version

    def version(name: str) -> str:
        if name in ("deepspeed", "peft"):
            raise launching.PackageNotFoundError(name)
        return real(name)

    monkeypatch.setattr(launching, "version", version)
    # DATA is not there either: nothing of it was looked at
    command = ["train", "prm", "no-data", "--base", base, "-o", str(tmp_path / "out"), "--unchecked", *given]
    capsys.readouterr()
    assert main(command) == 1
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1 and said in lines[0]
    assert not (tmp_path / "out").exists()


def test_a_pickled_base_is_refused_with_its_own_flag(base, tmp_path) -> None:
    """Otherwise who trains reads of --recipe, which makes no base of a folder."""
    own = tmp_path / "base"
    shutil.copytree(base, own)
    (own / "model.safetensors").rename(own / "pytorch_model.bin")
    from prm_eval.errors import ModelError

    file = write_jsonl(tmp_path / "rows.jsonl", ROWS)
    with pytest.raises(ModelError, match=r"pickled weights are not loaded.*to train: --base FOLDER"):
        run_training(str(file), str(own), tmp_path / "out", TrainOptions("prm", **FAST))
