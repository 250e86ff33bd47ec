"""What a run says: verdicts, what cut answers off, the table at the end, and how it goes on when a server goes away."""

from __future__ import annotations

import gc
import json
import logging
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import pytest

from prm_eval.errors import PrmEvalError
from prm_eval.grading.pool import grade_pool
from prm_eval.harness import running, said
from prm_eval.harness.journal_hook import CandidateHook, Recorder, SeededInstance, continue_with_another_seed
from prm_eval.harness.kept import KeptCandidates, prompt_hash
from prm_eval.harness.repeats import repeated_across, repeats_warning
from prm_eval.harness.running import run_lm_eval, server_went_away
from prm_eval.harness.said import ends_unfinished, say_verdicts
from prm_eval.harness.task_journal import one_batch_warning
from prm_eval.importers import import_pool
from prm_eval.records import Candidate
from tests.conftest import PLAIN, ROOT, write_jsonl
from tests.harness.test_harness import TEXTS, Canned, dumps, here, run, settings  # noqa: F401


@pytest.mark.parametrize(
    ("text", "n_tokens", "reason", "cut"),
    [
        ("so the answer is", None, None, True),
        ("so the answer is 4.", None, None, False),
        ("so $x = 4$", None, None, False),
        ("```\nx\n```", None, None, False),
        ("the sum is \\frac{1}{2}\n", None, None, False),
        ("答案是四。", None, None, False),
        ("", None, None, False),  # said nothing: no length would have helped
        ("long", 20, None, True),
        ("so the answer is", 19, None, False),  # ended by itself, though without a mark
        ("so the answer is", 3, "stop", False),
        ("done.", 3, "length", True),
    ],
)
def test_what_was_cut_off(text, n_tokens, reason, cut) -> None:
    """A finish reason decides, then the number of tokens, then how the text ends: wrong advice costs another run."""
    candidate = Candidate("p", 0, text, n_tokens=n_tokens, finish_reason=reason)
    assert ends_unfinished(candidate, 20, None) is cut


def graded(folder: Path, texts: list[str]):
    rows = [{"id": "a", "problem": "What is 1+1?", "answer": "2", "samples": [{"text": text} for text in texts]}]
    pool = import_pool(write_jsonl(folder / "t.jsonl", rows), folder / "t").pool
    grade_pool(pool)
    return pool


def test_a_run_says_how_many_have_no_answer_and_which_setting_cut_them(tmp_path, caplog) -> None:
    """63 % without an answer used to pass without a word to the one person who can raise max_gen_toks."""
    pool = graded(tmp_path, ["\\boxed{2}", "\\boxed{3}", "First we add", "Then we", "I give up."])
    with caplog.at_level(logging.INFO):
        say_verdicts(pool, "own", {"max_gen_toks": 192}, None)
    said = [record.message for record in caplog.records]
    assert "verdicts on 5 candidates: correct 1, incorrect 1, no_answer 3" in said
    assert (
        "3 of 5 candidates (60 %) have no answer; 2 of these end in the middle of a sentence (cut by max_gen_toks=192)."
        " Was it too small? --gen_kwargs max_gen_toks=384; to take unannounced conclusions as answers: "
        "--metadata grader=default:extraction=conclusion" in said
    )
    caplog.clear()
    wide = "default:extraction=conclusion"
    grade_pool(pool, name=wide)
    with caplog.at_level(logging.WARNING):
        say_verdicts(pool, wide, {}, None)
    assert caplog.records[-1].message.endswith("sentence")  # it has that grader already
    caplog.clear()
    words = SimpleNamespace(tokenizer=SimpleNamespace(encode=lambda text, **_: text.split(), decode=str))
    with caplog.at_level(logging.INFO):
        say_verdicts(pool, "own", {"max_gen_toks": 3, "until": ["\n\n"]}, words)
    assert "2 of these reach the limit (cut by max_gen_toks=3 or until=['\\n\\n'])" in caplog.records[-1].message
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        say_verdicts(graded(tmp_path / "b", ["\\boxed{2}"] * 9 + ["I give up"]), "own", {}, None)
    assert caplog.records == []  # one in ten is not "over 10 %"


@pytest.fixture(autouse=True)
def folders(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()


def test_the_table_is_said_with_its_pool(here, caplog) -> None:  # noqa: F811
    """Best of n on one screen, in place of lm_eval's 84 lines alone; the same numbers."""
    with caplog.at_level(logging.INFO):
        found = run(model=Canned(TEXTS), metadata=settings(here, prm_model="arithmetic"))
    table = next(record.message for record in caplog.records if "accuracy in % at n" in record.message)
    results = found["results"]["problems_bon"]
    (row,) = (line.split() for line in table.splitlines() if line.startswith("majority"))
    assert row[1:4] == [f"{100 * results[f'acc@{n},majority']:.2f}" for n in (1, 2, 4)]
    assert f"prm-eval evaluate {dumps(here)[0].path.relative_to(here)}" in table
    assert len(table.splitlines()) < 30


def test_under_plain_lm_eval_the_table_is_logged_last(here, caplog, capsys, monkeypatch) -> None:  # noqa: F811
    """Only the command line prints: a table on standard output would mix with what a script reads from lm_eval."""
    at_exit: list[tuple] = []
    monkeypatch.setattr(said, "atexit", SimpleNamespace(register=lambda *call: at_exit.append(call)))
    monkeypatch.setattr(sys, "argv", ["/somewhere/bin/lm_eval"])
    with caplog.at_level(logging.INFO):
        run(model=Canned(TEXTS), metadata=settings(here, prm_model="arithmetic"))
        assert not any("accuracy in % at n" in record.message for record in caplog.records)
        ((log, *arguments),) = at_exit
        log(*arguments)
    assert "accuracy in % at n" in caplog.records[-1].getMessage()
    assert "accuracy in % at n" not in capsys.readouterr().out


class Server:
    """A chat server in this process: answers from a counter, and goes away after so many replies."""

    def __init__(self) -> None:
        self.replies = self.leave_after = 0
        self.prompts: list[str] = []
        self.systems: list[str] = []
        self.port = 0
        self.http: ThreadingHTTPServer | None = None

    def start(self, leave_after: int) -> None:
        server, self.leave_after = self, self.replies + leave_after

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if server.replies >= server.leave_after:
                    return  # the connection breaks without an answer
                server.replies += 1
                server.prompts.append(request["messages"][-1]["content"])
                server.systems += [each["content"] for each in request["messages"][:-1] if each["role"] == "system"]
                text = f"{server.replies}\nso \\boxed{{{server.replies % 5}}}"
                body = json.dumps({"choices": [{"index": 0, "message": {"content": text}}]}).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *rest): ...

        self.http = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self.http.handle_error = lambda *rest: None
        self.port = self.http.server_address[1]
        threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def stop(self) -> None:
        self.http.shutdown()
        self.http.server_close()


@pytest.fixture
def server(no_tasks_of_lm_eval):
    made = Server()
    made.start(5)
    # Sessions that a failed run left open complain when they are collected, and what they say is parsed. In the middle
    # of another parse that is CPython's gh-106905, a SystemError: so they end here.
    gc.disable()
    yield made
    made.stop()
    gc.collect()
    gc.enable()


def api_run(folder: Path, server: Server, concurrent: int) -> list[str]:
    problems = write_jsonl(folder / "p.jsonl", [{k: v for k, v in row.items() if k != "samples"} for row in PLAIN])
    url = f"http://127.0.0.1:{server.port}/v1/chat/completions"
    return [
        "--model", "local-chat-completions",
        "--model_args", f"model=m,base_url={url},num_concurrent={concurrent},max_retries=1,tokenizer_backend=None",
        "--apply_chat_template", "--gen_kwargs", "seed=None", "--tasks", "problems_bon",
        "--metadata", f"problems={problems}", "n_samples=8",
    ]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("concurrent", [1, 3])
def test_a_server_that_dies_and_comes_back_costs_nothing(here, server, concurrent, caplog) -> None:  # noqa: F811
    """The run waits, longer each time, asks only for what is missing, and ends; no reply that came is paid for
    twice."""
    waits: list[float] = []

    def back(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) in (2, 3):  # still away at the first try
            server.stop()
            server.start(5 if len(waits) == 2 else 10**6)

    try:
        words = run_lm_eval(api_run(here, server, concurrent), sleep=back)
    except SystemError:  # CPython's gh-106905: two threads (the server is one) parse at once; nothing has run yet
        words = run_lm_eval(api_run(here, server, concurrent), sleep=back)
    # with several requests side by side, replies of the others may be on their way when a run breaks off, twice here
    assert 16 <= server.replies <= 16 + 2 * (concurrent - 1)
    (pool,) = dumps(here)
    kept = {int(each.text.split("\n")[0]) for _, candidates in pool for each in candidates}
    assert len(kept) == 16
    assert kept <= set(range(1, server.replies + 1))
    assert pool.info.source["lm_eval"]["chat_template"]["text"] == "the server's"
    assert waits == [5.0, 10.0, 5.0]  # growing, and short again once something had come
    assert "accuracy in % at n" in words[0]
    assert list(here.glob("prm_eval_runs/problems_bon/journal/*")) == []


@pytest.mark.slow
def test_a_server_that_stays_away_ends_with_the_command_to_go_on_with(here, server) -> None:  # noqa: F811
    """After --retry-minutes without a reply: how many candidates are kept, and what to type."""
    waits: list[float] = []
    arguments = ["--retry-minutes", "0.5", *api_run(here, server, 1)]
    with pytest.raises(
        PrmEvalError, match=r"no candidate came for 0 minutes; 5 candidates are kept. Go on with:"
    ) as caught:
        run_lm_eval(arguments, sleep=waits.append)
    assert "prm-eval run --retry-minutes 0.5 --model local-chat-completions" in str(caught.value)
    assert waits == [5.0, 10.0]
    server.stop()
    server.start(10**6)
    run_lm_eval(arguments, sleep=waits.append)
    assert server.replies == 16


def test_what_counts_as_a_server_that_went_away() -> None:
    """A server's own faults are waited for; a wrong request, a wrong key, and errors of ours are not."""
    import aiohttp
    import requests

    def http(status: int) -> requests.HTTPError:
        return requests.HTTPError(response=SimpleNamespace(status_code=status))

    gone = [requests.ConnectionError(), requests.Timeout(), aiohttp.ServerDisconnectedError(), ConnectionResetError(),
            TimeoutError(), aiohttp.ClientResponseError(None, (), status=503), http(500), http(429)]  # fmt: skip
    ours = [ValueError(), http(400), http(401), http(404), KeyboardInterrupt(), MemoryError(), PrmEvalError("x"),
    OSError(28, "full"),
            aiohttp.ClientResponseError(None, (), status=401)]  # fmt: skip
    assert [server_went_away(each) for each in gone] == [True] * len(gone)
    assert [server_went_away(each) for each in ours] == [False] * len(ours)


def test_no_server_at_all_is_not_waited_for(monkeypatch) -> None:
    """A misspelt address fails at once: nothing ever came from there."""

    def refused(arguments):
        raise ConnectionRefusedError

    monkeypatch.setattr(running, "_lm_eval", refused)
    with pytest.raises(ConnectionRefusedError):
        run_lm_eval(["--model", "x"], sleep=lambda seconds: pytest.fail("waited"))


@pytest.mark.parametrize(
    "flag", [["--retry-minutes", "soon"], ["--retry-minutes=-1"], ["--retry-minutes"], ["--retry-minutes=inf"]]
)
def test_retry_minutes_must_be_minutes(flag) -> None:
    """A wait that is no number must not become none, or for ever."""
    with pytest.raises(PrmEvalError, match="expected a number of minutes"):
        run_lm_eval(flag)


def vllm_model(batch_size: object, seed: int = 1234):
    class VLLM:
        pass

    VLLM.__module__ = "lm_eval.models.vllm_causallms"
    model = VLLM()
    model.batch_size, model.model_args = batch_size, {"seed": seed}
    return model


def test_vllm_with_one_batch_is_warned_of() -> None:
    """batch_size=auto: nothing comes back, and nothing is kept, before the last candidate is made."""
    assert "--batch_size 1024" in one_batch_warning(vllm_model("auto"))
    assert one_batch_warning(vllm_model(1024)) is None
    assert one_batch_warning(SimpleNamespace(batch_size="auto")) is None


def test_vllm_goes_on_with_a_seed_for_each_request(tmp_path) -> None:
    """Its engine starts with the same seed each time and is out of our reach: requests bring seeds, all different."""
    from lm_eval.api.instance import Instance

    kept = KeptCandidates(tmp_path, {"policy": "p"})
    kept.texts = {("a", "k"): ["one"]}
    instances = [Instance("generate_until", {}, (f"prompt {k}", {"temperature": 1.0}), k) for k in range(3)]
    seed = continue_with_another_seed(vllm_model("auto"), kept, instances)
    requests = [instance for instance in instances for _ in range(50)]
    contexts, arguments = zip(*(each.args for each in requests), strict=True)
    assert contexts[0] == "prompt 0"
    assert len({each["seed"] for each in arguments}) == 150
    assert all(each["temperature"] == 1.0 for each in arguments)
    assert isinstance(instances[0], SeededInstance)
    kept.texts["a", "k"].append("two")
    assert continue_with_another_seed(vllm_model("auto"), kept, []) != seed


def test_a_reply_goes_to_the_task_that_asked(tmp_path) -> None:
    """Two tasks of one run ask the same prompt with other settings: each journal gets its own replies."""
    recorders = {}
    for temperature in (0.2, 1.0):
        kept = KeptCandidates(tmp_path / str(temperature), {"t": temperature}).open()
        arguments = {"temperature": temperature, "until": [], "max_gen_toks": 9}
        recorders[temperature] = Recorder(kept, arguments, {("a", prompt_hash("What?")): 2})
    hook = CandidateHook(None)
    for name, recorder in recorders.items():
        hook.watch(str(name), recorder, 0, 2)
    hook.add_partial("generate_until", ("What?", {"temperature": 1.0, "until": ["</s>"], "max_gen_toks": 9}), "hot")
    hook.add_partial("generate_until", ("What?", {"temperature": 0.2, "until": ["</s>"], "max_gen_toks": 9}), "cold")
    hook.add_partial("generate_until", ("Else?", {}), "of another task")
    hook.add_partial("loglikelihood", ("What?", "x"), (0.1, True))
    for recorder in recorders.values():
        recorder.kept.close()
    found = {t: list(KeptCandidates(tmp_path / str(t), {"t": t}).texts.values()) for t in recorders}
    assert found == {0.2: [["cold"]], 1.0: [["hot"]]}


def test_the_progress_line_counts_candidates(tmp_path, caplog) -> None:
    """lm_eval's bar says 1/144 when 48 are done; ours counts what came, and says how long it may take."""
    now = [0.0]
    hook = CandidateHook(None, clock=lambda: now[0])
    key = ("a", prompt_hash("What?"))
    hook.watch("t", Recorder(KeptCandidates(tmp_path, {}).open(), {}, {key: 128}), 64, 128)
    with caplog.at_level(logging.INFO):
        for k in range(32):
            now[0] += 1.0
            hook.add_partial("generate_until", ("What?", {}), str(k))
    assert [record.message for record in caplog.records] == [
        "94 of 192 candidates (64 of them from before); 1.0 a second, about 2 min to go"
    ]


def test_repeats_across_a_restart_are_found() -> None:
    """The net under the seeds: the same stream of texts twice is seen, ordinary duplicates are not."""
    twice = [([f"{p} {k % 8}" for k in range(16)], 8) for p in range(20)]  # the second half is the first again
    found, expected, p = repeated_across(twice)
    assert (found, p) == (160, 0.005)
    assert expected < 100
    assert "the same text" in repeats_warning(
        [([f"{p} {k % 8 if k < 12 else k}" for k in range(40)], 8) for p in range(20)]
    )
    import random

    source = random.Random(1)
    honest = [([str(source.randrange(6)) for _ in range(16)], 8) for _ in range(40)]
    assert repeats_warning(honest) is None
    assert repeats_warning([(["a", "b"], 0), (["a"] * 4, 4)]) is None


@pytest.mark.slow
def test_kill_9_at_random_moments_loses_nothing(tmp_path) -> None:
    """The real thing, a few times: lm_eval run --model hf with the policy that ships, SIGKILL, the same command
    again."""
    pytest.importorskip("torch")
    command = [sys.executable, str(ROOT / "benchmarks" / "kills.py"), "--kills", "3", "--problems", "3", "--samples",
    "8",
               "--batch", "4", "--undisturbed", "1"]  # fmt: skip
    for _ in range(3):  # on a loaded machine the first run may end before it has a text: nothing was tried then
        done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
        if "no text came" not in done.stderr:
            break
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    assert "3 kills" in done.stdout
    assert "lost: 0" in done.stdout
