"""The two commands as users type them: prm-eval, and the real lm_eval, kill -9 and a real HTTP server included."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import pytest

from prm_eval.cli.commands import main
from prm_eval.pools.pool import Pool
from tests.conftest import PLAIN, ROOT, write_jsonl

ENVIRONMENT = {**os.environ, "HF_HUB_OFFLINE": "1"}


def test_import_grade_score_evaluate(plain_file, tmp_path, capsys) -> None:
    """The whole of door 2 on a small file: each step says what is next, --json is one object, --html one page."""
    folder = tmp_path / "p"
    assert main(["pool", "import", str(plain_file), "-o", str(folder)]) == 0
    assert "step_scores" in capsys.readouterr().out
    assert main(["pool", "verify", str(folder)]) == 0
    assert main(["pool", "import", str(plain_file), "-o", str(plain_file)]) == 1
    assert "is a file; a pool is a folder" in capsys.readouterr().err
    assert main(["grade", str(folder), "--compare", "published"]) == 0
    assert "0 of 8 candidates are judged otherwise" in capsys.readouterr().out
    assert (
        main(["score", str(folder), "--reward-model", "arithmetic", "-o", str(folder / "rewards" / "arithmetic")]) == 0
    )
    assert "prm-eval evaluate" in capsys.readouterr().out
    assert main(["evaluate", str(folder), "--json", "--html", str(tmp_path / "page.html"), "--n", "1,2,4"]) == 0
    found = json.loads(capsys.readouterr().out)
    row = next(
        r for r in found["rows"] if r["selector"] == "best_of_n" and r["reward_model"] == "arithmetic" and r["n"] == 4
    )
    assert {"selector", "reward_model", "n", "value", "low", "high", "metric"} <= set(row)
    assert 0 <= row["low"] <= row["value"] <= row["high"] <= 1
    assert {r["reward_model"] for r in found["rows"]} == {None, "arithmetic", "score", "step_scores"}
    page = (tmp_path / "page.html").read_text()
    assert "<svg" in page
    assert "src=" not in page
    assert main(["evaluate", str(folder), "--aggregation", "min,mean"]) == 0
    assert "step_scores[min]" in capsys.readouterr().out


def test_faults_and_usage_have_their_exit_status(tmp_path, capsys) -> None:
    """1 for faults, with one line that says what to do and no traceback; 2 for usage."""
    assert main(["evaluate", str(tmp_path)]) == 1
    error = capsys.readouterr().err
    assert "no pool.json" in error
    assert "Traceback" not in error
    (tmp_path / "file").write_text("x")
    assert main(["pool", "import", str(tmp_path), "-o", str(tmp_path / "o")]) == 1
    assert "found a folder" in capsys.readouterr().err
    for wrong in (["evaluate"], ["nothing"], ["evaluate", "x", "--n", "a"], ["evaluate", "x", "--draws", "0"], []):
        with pytest.raises(SystemExit) as caught:
            main(wrong)
        assert caught.value.code == 2


def test_skip_bad_and_tampering(tmp_path, capsys) -> None:
    """--skip-bad lists what it left out on standard error; verify finds a changed reward file and exits with 1."""
    file = write_jsonl(tmp_path / "f.jsonl", [*PLAIN, {"id": "c", "problem": "p", "samples": []}])
    assert main(["pool", "import", str(file), "-o", str(tmp_path / "no")]) == 1
    assert main(["pool", "import", str(file), "-o", str(tmp_path / "p"), "--skip-bad"]) == 0
    assert "1 problem skipped" in capsys.readouterr().err
    info = json.loads((tmp_path / "p/pool.json").read_text())
    (tmp_path / "p/pool.json").write_text(json.dumps({**info, "content_hash": "0" * 64, "files": {}}))
    for command in (["grade"], ["evaluate"], ["score", "--reward-model", "arithmetic", "-o", str(tmp_path / "r")]):
        assert main([command[0], str(tmp_path / "p"), *command[1:]]) == 1
        assert "pool.json says 000000000" in capsys.readouterr().err
    (tmp_path / "p/pool.json").write_text(json.dumps(info))
    (tmp_path / "p/rewards/score/rewards.parquet").write_bytes(b"x")
    assert main(["pool", "verify", str(tmp_path / "p")]) == 1
    assert "not Parquet" in capsys.readouterr().out


def test_explain(capsys) -> None:
    """Extraction, both trees, the rule; a caret under what cannot be read."""
    assert main(["explain", "\\frac12", "so it is \\boxed{0.5}"]) == 0
    assert "boxed, characters 16 to 19: 0.5" in capsys.readouterr().out
    assert main(["explain", "2", "\\boxed{2\\foo}"]) == 1
    assert " ^^^^" in capsys.readouterr().out


def test_help_names_every_command(capsys) -> None:
    """--help teaches: every command has a line."""
    with pytest.raises(SystemExit):
        main(["--help"])
    text = capsys.readouterr().out
    for name in ("demo", "run", "tasks-path", "grade", "score", "evaluate", "explain", "pool", "plugins"):
        assert re.search(rf"\n    {name}\s", text)


@pytest.mark.slow
def test_demo_runs_the_main_job(tmp_path, monkeypatch, capfd) -> None:
    """`prm-eval demo --handwritten`: the real lm_eval command over the shipped pool, in a process of its own; its
    numbers are those of evaluate."""
    monkeypatch.chdir(tmp_path)
    assert main(["demo", "--handwritten", "-o", "out"]) == 0, capfd.readouterr().err
    results = json.loads(next((tmp_path / "out").glob("lm_eval/*/results_*.json")).read_text())["results"][
        "problems_bon"
    ]
    found = json.loads((tmp_path / "out/evaluation.json").read_text())
    names = {
        ("best_of_n", "arithmetic"): "prm",
        ("best_of_n", "boxed-support"): "orm",
        ("majority", None): "majority",
        ("oracle", None): "oracle",
    }
    for row in found["rows"]:
        if (row["selector"], row["reward_model"]) in names:
            name = names[row["selector"], row["reward_model"]]
            assert results[f"acc@{row['n']},{name}"] == pytest.approx(row["value"], abs=1e-12)
    assert found["pool"]["n_problems"] >= 30
    assert "<svg" in (tmp_path / "out/report.html").read_text()


@pytest.mark.slow
def test_demo_samples_the_policy_that_ships(
    tmp_path, monkeypatch, capfd, machine_described_once, no_tasks_of_lm_eval
) -> None:
    """`prm-eval demo`: lm_eval samples the shipped policy; both doors give one number, and the PRM picks better than a
    vote."""
    commands: list[list[str]] = []

    def here(command: list[str], check: bool) -> subprocess.CompletedProcess[str]:
        """Run what the demonstration runs in a process of its own, which the other demonstration's test does."""
        commands.append(command)
        return subprocess.CompletedProcess(command, main(command[command.index("run") :]))

    monkeypatch.setattr("prm_eval.demo.running.subprocess", SimpleNamespace(run=here))
    monkeypatch.chdir(tmp_path)
    assert main(["demo", "--problems", "35", "--samples", "4", "-o", "out"]) == 0, capfd.readouterr().err
    assert len(commands) == 1
    results = json.loads(next((tmp_path / "out").glob("lm_eval/*/results_*.json")).read_text())["results"]
    found = json.loads((tmp_path / "out/evaluation.json").read_text())
    accuracy = {(row["selector"], row["reward_model"], row["n"]): row["value"] for row in found["rows"]}
    assert results["miniature_bon"]["acc@4,prm"] == pytest.approx(accuracy["best_of_n", "PRM", 4], abs=1e-12)
    assert results["miniature_bon"]["acc@4,orm"] == pytest.approx(accuracy["best_of_n", "ORM", 4], abs=1e-12)
    assert accuracy["best_of_n", "PRM", 4] > accuracy["majority", None, 4] + 0.05
    assert "Where the majority is wrong" in (tmp_path / "out/report.html").read_text()


SLOW_MODEL = '''
import time
from prm_eval.rewards.models.rules import ArithmeticPRM
class Slow(ArithmeticPRM):
    """Scores two candidates, then takes so long that it is killed, unless told otherwise."""
    name = "slow"
    def score(self, items):
        import os, pathlib
        if not pathlib.Path("go_on").exists():
            if pathlib.Path("scored").exists(): time.sleep(600)
        with open("scored", "a") as log: log.write("x" * len(items))
        return super().score(items)
def make(argument=None, **options): return Slow(argument, **options)
import prm_eval.rewards.scoring as scoring
scoring.CHUNK = scoring.LARGEST_CHUNK = 2
'''


@pytest.mark.slow
def test_kill_9_in_the_middle_of_scoring_costs_nothing(
    tmp_path, models, monkeypatch, machine_described_once, no_tasks_of_lm_eval
) -> None:
    """The lm_eval command with an hf model is killed while it scores; replay= finishes, in another process: nothing is
    generated again, and what was scored is not scored again."""
    from lm_eval.__main__ import cli_evaluate

    write_jsonl(tmp_path / "p.jsonl", [{k: v for k, v in row.items() if k != "samples"} for row in PLAIN])
    (tmp_path / "slow_model.py").write_text(SLOW_MODEL)
    environment = {**ENVIRONMENT, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])}
    tail = [
        "--tasks",
        "problems_bon",
        "--include_path",
        str(ROOT / "tasks"),
        "--output_path",
        "out",
        "--metadata",
    ]
    command = [
        *(sys.executable, "-m", "lm_eval", "run", "--model", "hf", "--device", "cpu", "--batch_size", "8"),
        *("--model_args", f"pretrained={models['policy']},dtype=float32", "--gen_kwargs", "max_gen_toks=12"),
        *(*tail, "problems=p.jsonl", "n_samples=8", "prm_model=slow_model:make"),
    ]
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=log, stderr=log)
        try:
            partial = wait_for(
                lambda: next(tmp_path.glob("prm_eval_runs/problems_bon/*/rewards/slow/rewards.partial.jsonl"), None),
                120,
                process,
            )
            wait_for(lambda: partial.read_bytes().count(b"\n") == 3, 60, process)
            process.send_signal(signal.SIGKILL)
        finally:
            process.kill()
            process.wait()
    pool = Pool(partial.parent.parent.parent)
    assert pool.info.n_candidates == 16
    assert not (tmp_path / "out").exists()
    (tmp_path / "go_on").touch()
    before = len((tmp_path / "scored").read_text())
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("CHUNK", "LARGEST_CHUNK"):  # the slow model sets them when it is imported
        monkeypatch.setattr(f"prm_eval.rewards.scoring.{name}", 2)
    replay = f"replay={pool.path.relative_to(tmp_path)}"
    dummy = ["--model", "dummy", "--model_args", "pretrained=policy"]
    monkeypatch.setattr(sys, "argv", ["lm_eval", "run", *dummy, *tail, replay, "prm_model=slow_model:make"])
    cli_evaluate()
    del sys.modules["slow_model"]
    results = json.loads(next(tmp_path.glob("out/policy/results_*.json")).read_text())
    assert "acc@8,prm" in results["results"]["problems_bon"]
    assert before == 2
    assert len((tmp_path / "scored").read_text()) <= 16
    assert Pool(pool.path).info.content_hash == pool.info.content_hash


def wait_for(condition, seconds: float, process: subprocess.Popen):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if found := condition():
            return found
        assert process.poll() is None, "the process ended by itself; see its log"
        time.sleep(0.05)
    raise AssertionError("it did not happen in time")


class Server(ThreadingHTTPServer):
    """A server that speaks as much of the OpenAI protocol as lm_eval's clients use, with vLLM's meaning of a request's
    seed."""

    requests_seen: list[dict]


class Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.requests_seen.append(body)
        generator = random.Random(body["seed"]) if body.get("seed") is not None else random.Random()
        prompts = body["prompt"] if isinstance(body.get("prompt"), list) else [None]
        choices = []
        for index, _ in enumerate(prompts):
            text = f"1+1 = 2\nso \\boxed{{{generator.randrange(3)}}} {generator.random()}"
            choices.append(
                {
                    "index": index,
                    "text": text,
                    "message": {"role": "assistant", "content": text},
                    "finish_reason": "stop",
                }
            )
        reply = json.dumps({"choices": choices}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(reply)))
        self.end_headers()
        self.wfile.write(reply)

    def log_message(self, *arguments: object) -> None:
        """Keep quiet."""


@pytest.fixture
def server():
    served = Server(("127.0.0.1", 0), Handler)
    served.requests_seen = []
    thread = threading.Thread(target=served.serve_forever, daemon=True)
    thread.start()
    yield served
    served.shutdown()
    served.server_close()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("backend", "route"), [("local-chat-completions", "chat/completions"), ("local-completions", "completions")]
)
def test_api_models_and_the_one_seed_trap(
    tmp_path, server, backend, route, monkeypatch, machine_described_once
) -> None:
    """A real HTTP server: with lm_eval's own seed the run is stopped before a request is sent; with seed=None it
    samples."""
    from lm_eval.evaluator import simple_evaluate
    from lm_eval.tasks import TaskManager

    from prm_eval.errors import SamplingError
    from prm_eval.harness import tasks_path

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    write_jsonl(tmp_path / "p.jsonl", [{k: v for k, v in row.items() if k != "samples"} for row in PLAIN])
    manager = TaskManager(
        include_path=str(tasks_path()),
        include_defaults=False,
        metadata={"problems": "p.jsonl", "n_samples": 4, "prm_model": "arithmetic"},
    )
    arguments = {
        "model": "tiny",
        "base_url": f"http://127.0.0.1:{server.server_port}/v1/{route}",
        "tokenizer_backend": None,
        "num_concurrent": 1,
        "max_retries": 1,
    }
    chat = backend == "local-chat-completions"
    call = lambda **more: simple_evaluate(  # noqa: E731
        model=backend,
        model_args=arguments,
        tasks=["problems_bon"],
        task_manager=manager,
        apply_chat_template=chat,
        bootstrap_iters=0,
        **more,
    )
    with pytest.raises(SamplingError, match="--gen_kwargs seed=None"):
        call()
    assert server.requests_seen == []
    found = call(gen_kwargs={"seed": None})
    assert "acc@4,prm" in found["results"]["problems_bon"]
    (path,) = tmp_path.glob("prm_eval_runs/problems_bon/*/pool.json")
    assert all(len({c.text for c in candidates}) == 4 for _, candidates in Pool(path.parent))
    assert all(body.get("seed") is None for body in server.requests_seen)
    # a server that ignores what it is told and answers the same: caught after generation, candidates kept
    monkeypatch.setattr(random, "Random", lambda *seed: _Fixed())
    with pytest.raises(SamplingError, match="are the same text"):
        call(gen_kwargs={"seed": None})
    assert len(list(tmp_path.glob("prm_eval_runs/problems_bon/*/pool.json"))) == 2


class _Fixed:
    def randrange(self, n: int) -> int:
        return 2

    def random(self) -> float:
        return 0.5
