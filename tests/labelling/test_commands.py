"""The commands of labellers: each once, as a reader of docs/label-sources.md would type them, and a real policy behind
a real server that is killed in between."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from prm_eval.cli.commands import main
from prm_eval.cli.types import settled
from prm_eval.pools.writer import PoolWriter
from prm_eval.records import Candidate, Problem
from prm_eval.stepsets.label_file import LabelFile
from tests.conftest import ROOT
from tests.labelling.conftest import write_rewards

pytest.importorskip("torch")


@pytest.fixture(scope="module")
def served():
    from tests.labelling.miniature_server import serve

    server = serve()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server, f"http://127.0.0.1:{server.server_port}/v1"
    server.shutdown()
    server.server_close()


def test_rollouts_of_the_miniatures_policy_are_killed_and_go_on(mini, served, tmp_path, capsys) -> None:
    """The whole way once: a subprocess asks a real server, is killed with kill -9, and the same command asks only for
    the rest; the labels agree with the oracle's far beyond chance."""
    server, url = served
    folder = tmp_path / "rollouts"
    words = ["label", "rollouts", str(mini.path), "--policy", "miniature-policy", "--base-url", url, "--rollouts", "8"]
    words += ["--max-new-tokens", "100", "--parallel", "2", "-o", str(folder)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    child = subprocess.Popen([sys.executable, "-m", "prm_eval.cli", *words], env=environment, cwd=ROOT)
    try:
        deadline = time.monotonic() + 120
        journal = folder / "rollouts.partial.jsonl"
        while not journal.is_file() or journal.read_bytes().count(b"\n") < 9:
            assert child.poll() is None and time.monotonic() < deadline, "no completion came"
            time.sleep(0.02)
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait()
    time.sleep(0.5)  # until the server has done what the dead one asked for
    asked = server.requests
    assert main(words) == 0
    out = capsys.readouterr().out
    (line,) = [each for each in out.splitlines() if each.startswith("asked")]
    total, resumed = (int(word.replace(",", "")) for word in line.split() if word.replace(",", "").isdigit())
    assert 8 <= resumed < total and server.requests - asked == total - resumed
    assert "% saved" in out and "soft, steps by line" in out
    assert main(["label", "oracle", str(mini.path), "-o", str(tmp_path / "oracle")]) == 0
    pool = ["--pool", str(mini.path), "--json"]
    capsys.readouterr()
    assert main(["label", "compare", str(tmp_path / "oracle"), str(folder), *pool]) == 0
    [row] = json.loads(capsys.readouterr().out)["rows"]
    assert row["figures"]["steps agree"]["value"] > 0.8 and row["figures"]["first error agrees"]["value"] > 0.6
    assert row["candidates"] == 48 and row["source"] == "rollouts"


def test_from_a_queue_to_training_data(small, tmp_path, capsys) -> None:
    """Choose, label by a model, compare, convert, filter: what each command writes is what the next one reads, in the
    places that it chooses by itself."""
    rewards = write_rewards(
        small, small.path / "rewards" / "large", lambda each: tuple(0.9 for _ in each.text.split("\n")), name="large"
    )
    queue = tmp_path / "q.jsonl"
    where = ["--rewards", str(rewards.folder), "-o", str(queue)]
    assert main(["label", "queue", str(small.path), "--by", "convincing", "--per-problem", "3", *where]) == 0
    assert "6 candidates of 2 problems" in capsys.readouterr().out
    assert main(["label", "model", str(small.path), str(rewards.folder), "--queue", str(queue)]) == 0
    labels = small.path / "labels" / "large"
    assert LabelFile(labels).info.n_labelled == 6
    assert main(["label", "model", str(small.path), str(rewards.folder), "-o", str(small.path / "labels" / "all")]) == 0
    capsys.readouterr()
    assert main(["label", "compare", str(labels), str(small.path / "labels" / "all")]) == 0
    assert "100.0" in capsys.readouterr().out
    for form in ("math-shepherd", "stepset"):
        assert main(["label", "convert", str(labels), "--to", form, "-o", str(tmp_path / form)]) == 0
    assert main(["label", "filter", str(labels), "-o", str(small.path / "labels" / "orm")]) == 0
    assert main(["label", "queue", str(small.path), "--by", "uniform", "--skip", str(labels)]) == 0
    assert (small.path / "labels" / "uniform.queue.jsonl").is_file()
    out = capsys.readouterr().out
    # labels outside their pool's folder: of which pool?
    assert main(["label", "model", str(small.path), str(rewards.folder), "-o", str(tmp_path / "apart")]) == 0
    assert main(["label", "compare", str(tmp_path / "apart"), str(labels)]) == 1
    assert "--pool POOL" in capsys.readouterr().err
    assert "step set" in out and "right answers with a wrong step, left out" in out


def test_a_judge_is_asked_about_the_queue_alone(small, tmp_path, capsys) -> None:
    """Every judgement costs: 2 of 9 candidates are asked about, once, and labelled by what was written."""
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            bodies.append(body["messages"][0]["content"])
            wrong = "2*3 = 8" in bodies[-1]
            self.send_response(200)
            self.end_headers()
            text = f"I see. \\boxed{{{0 if wrong else -1}}}"
            self.wfile.write(json.dumps({"choices": [{"message": {"content": text}}]}).encode())

        def log_message(self, *arguments):
            pass

    bodies: list[str] = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    queue = tmp_path / "q.jsonl"
    keys = [small.candidates(at, 1)[0] for at in (0, 8)]
    lines = [json.dumps({"problem_id": each.problem_id, "candidate_id": each.candidate_id}) for each in keys]
    queue.write_text("\n".join(lines) + "\n")
    words = [
        "label",
        "judge",
        str(small.path),
        "--reward-model",
        "processbench-judge:some/model",
        "--queue",
        str(queue),
    ]
    try:
        assert main([*words, "--base-url", f"http://127.0.0.1:{server.server_port}/v1", "-o", str(tmp_path / "l")]) == 0
        # labels that are there are found before a judge is asked for nothing
        other = [*words[:-2], "--base-url", f"http://127.0.0.1:{server.server_port}/v1", "-o", str(tmp_path / "l")]
        assert main(other) == 1 and "holds labels already" in capsys.readouterr().err
    finally:
        server.shutdown()
        server.server_close()
    assert len(bodies) == 2
    found = [each.label.first_error for each in LabelFile(tmp_path / "l").labelled(small)]
    assert found == [-1, 0]
    info = LabelFile(tmp_path / "l").info
    assert (info.source, info.by) == ("judge", "some/model")


def test_rounds_train_by_the_command_with_its_options(mini, tmp_path, monkeypatch) -> None:
    """--base and --train go to prm-eval train prm as a reader would type them, and are parsed before anybody labels; a
    training that is finished is not made again; the recipe beside the model is the one it is scored with."""
    from argparse import Namespace

    from prm_eval.cli import commands, parser
    from prm_eval.labelling import round_trainers
    from tests.conftest import tiny_model

    seen, checked = [], []

    class Parser:
        def parse_args(self, words):
            seen.append(words)
            return Namespace(command="train prm", output=words[6], against=[], epochs=2)

    def train(options):
        tiny_model(tmp_path / "r" / "round-1" / "model", "TokenClassification")
        (tmp_path / "r" / "round-1" / "model" / "training.json").write_text("{}")
        return 0

    words = ["label", "rounds", str(mini.path), "--labeller", "oracle", "--by", "uniform", "--rounds", "1"]
    words += ["--base", "some/base", "--train", "--epochs 2", "-o", str(tmp_path / "r")]
    given = settled(parser.build_parser().parse_args(words))
    monkeypatch.setattr(parser, "build_parser", Parser)
    monkeypatch.setattr(round_trainers, "require_trainable", lambda *given: checked.append(given[1:]))
    monkeypatch.setitem(commands.ACTIONS, "train prm", train)
    for _ in range(2):
        assert commands.ACTIONS["label rounds"](given) == 0
    own = tmp_path / "r" / "round-1"
    assert ["train", "prm", str(own / "set"), "--base", "some/base", "-o", str(own / "model"), "--epochs", "2"] in seen
    assert seen[0][2] == "SET" and len(seen) == 3
    # once: a round that is trained shows that it can be
    ((base, options),) = checked
    assert (base, options.kind, options.epochs) == ("some/base", "prm", 2)


def test_what_the_training_would_refuse_is_said_before_anybody_labels(mini, tmp_path, capsys) -> None:
    """A base that is not there, registered sets that nobody has, problems that are measured on: found after a round of
    labels, each is a day of people's work for nothing."""
    from tests.training.small import base

    made = base(tmp_path / "base")
    words = ["label", "rounds", str(mini.path), "--labeller", "people", "--by", "uniform", "-o", str(tmp_path / "r")]
    for more, says in (
        (["--base", str(tmp_path / "none")], "tokenizer"),
        (["--base", str(made)], "registered problem sets cannot be had"),
        (["--base", str(made), "--train", "--unchecked --against"], None),
        (["--base", str(made), "--train", '"'], "No closing quotation"),
        (
            ["--base", str(made), "--train", f"--unchecked --held-out 0 --against {mini.path}"],
            "6 of 6 problems in common",
        ),
        (
            ["--base", str(made), "--train", f"--unchecked --against {mini.path} --contamination keep"],
            "wait for labels",
        ),
        # nothing came of the training yet: other options go on with the same labels
        (["--base", str(made), "--train", "--unchecked --held-out 0 --contamination drop"], "wait for labels"),
    ):
        if says is None:
            with pytest.raises(SystemExit):
                main([*words, *more])
            continue
        assert main([*words, *more]) == 1
        assert says in capsys.readouterr().err
    assert main([*words[:-1], str(tmp_path / "r"), "--per-problem", "2", "--trainer", "json:loads"]) == 1
    assert "another plan" in capsys.readouterr().err


@pytest.mark.parametrize("stated", [None, "unknown", [0.7], True, {"x": 1}])
def test_a_pool_need_not_know_its_temperature(tmp_path, capsys, monkeypatch, stated) -> None:
    """What a pool says of its sampling is what its source said: a word there is the default, and no traceback."""
    monkeypatch.setattr("prm_eval.rewards.models.server_writer.FIRST_WAIT_SECONDS", 0.0)
    with PoolWriter(
        tmp_path / "p",
        problem_set={"name": "s"},
        policy={"name": "x"},
        splitter="line",
        sampling={"temperature": stated},
    ) as writer:
        writer.add(Problem("a", "Two?", "2"), [Candidate("a", 0, "one\n\\boxed{2}")])
    words = ["label", "rollouts", str(tmp_path / "p"), "--policy", "x", "--base-url", "http://127.0.0.1:9/v1"]
    assert main(words) == 1 and "refused" in capsys.readouterr().err
    assert '"temperature":0.7' in (tmp_path / "p/labels/rollouts-8/rollouts.partial.jsonl").read_text()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["judge", "POOL"], "one of the two"),
        (["oracle", "POOL"], "expected miniature/SPLIT/SEED/INDEX"),
        (["rounds", "POOL", "--labeller", "judge", "--by", "uniform", "--base", "m", "-o", "X"], "--reward-model"),
        (["rounds", "POOL", "--labeller", "oracle", "--by", "uniform", "-o", "X"], "who trains"),
        (
            ["rounds", "POOL", "--labeller", "oracle", "--by", "uniform", "-o", "X", "--trainer", "no:thing"],
            "--trainer",
        ),
        (["compare", "X", "X"], "no labels.json"),
    ],
)
def test_what_is_missing_is_said_at_once(small, tmp_path, capsys, words, says) -> None:
    """One line with the next step, before any work, and exit status 1."""
    given = [{"POOL": str(small.path), "X": str(tmp_path / "x")}.get(word, word) for word in words]
    assert main(["label", *given]) == 1
    error = capsys.readouterr().err
    assert says in error and len(error.splitlines()) == 1
