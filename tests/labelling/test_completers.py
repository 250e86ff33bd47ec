"""The three ways to a policy: a server that behaves badly, transformers here, and vLLM as far as it can be acted."""

from __future__ import annotations

import json
import socket
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import pytest

from prm_eval.errors import ModelError
from prm_eval.labelling.completers import Completion, Frame, Request, Sampling, ServerCompleter, load_policy
from tests.conftest import make_tokenizer

HOW = Sampling(rollouts=4, temperature=0.5, top_p=0.9, max_new_tokens=7, stop=("END",))


@pytest.fixture
def server(monkeypatch):
    """A server that answers as the test says: ``server.answer(body)`` returns (status, reply)."""
    monkeypatch.setattr("prm_eval.rewards.models.server_writer.FIRST_WAIT_SECONDS", 0.0)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            made.bodies.append(body)
            status, reply = made.answer(body)
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(reply).encode())

        def log_message(self, *arguments):
            pass

    made = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.bodies = []
    made.url = f"http://127.0.0.1:{made.server_port}/v1"
    threading.Thread(target=made.serve_forever, daemon=True).start()
    yield made
    made.shutdown()
    made.server_close()


def asked(policy, requests, how):
    """What each request got, in order."""
    found = list(policy.complete(requests, how))
    assert [place for place, _ in found] == list(range(len(requests)))
    return [each for _, each in found]


def choices(*texts, reason="stop"):
    return 200, {"choices": [{"text": text, "finish_reason": reason} for text in texts]}


def test_a_server_is_asked_for_all_completions_at_once(server) -> None:
    """K requests would send the beginning K times; the sampling that is recorded must be the one that was asked for."""
    server.answer = lambda body: choices(*(f"{body['prompt']}{k} END x" for k in range(body["n"])), reason="length")
    policy, frame = load_policy("me", base_url=server.url)
    found = asked(policy, [Request("a", 5), Request("b", 6)], HOW)
    assert found == [[Completion(f"{name}{k} ", True) for k in range(4)] for name in "ab"]
    assert sorted(server.bodies, key=lambda body: body["prompt"])[0] == {
        "model": "me", "prompt": "a", "n": 4, "seed": 5, "temperature": 0.5, "top_p": 0.9, "max_tokens": 7,
        "stop": ["END"],
    }  # fmt: skip
    assert frame.prompt("P", "a") == "P\na" and policy.describe() == {"id": "me", "backend": "http"}


def test_a_server_that_gives_one_text_is_asked_again_with_other_seeds(server) -> None:
    """Some ignore n: one text counted four times would make every share 0 or 1."""
    server.answer = lambda body: choices(str(body["seed"]))
    [found] = asked(ServerCompleter(server.url, "me", Frame()), [Request("a", 5)], HOW)
    assert [each.text for each in found] == ["5", "6", "7", "8"]
    assert [body["n"] for body in server.bodies] == [4, 3, 2, 1]


def test_errors_of_a_server(server) -> None:
    """What may pass is tried again; a refused text is a reason; nothing at all stops the run with what is kept."""
    replies = [(500, {}), (429, {}), choices("a", "b", "c", "d")]
    server.answer = lambda body: replies.pop(0)
    policy = ServerCompleter(server.url, "me", Frame(), 1)
    assert len(asked(policy, [Request("a", 5)], HOW)[0]) == 4
    server.answer = lambda body: (400, {"error": "maximum context length is 9 tokens"})
    [refused] = asked(policy, [Request("a", 5)], HOW)
    assert isinstance(refused, str) and "maximum context length is 9" in refused
    for reply in ((200, {"choices": []}), (200, {"choices": [{"message": "x"}]}), (200, []), (404, {}), (500, {})):
        server.answer = lambda body, reply=reply: reply
        with pytest.raises(ModelError):
            asked(policy, [Request("a", 5)], HOW)


def test_a_server_that_dies_takes_nothing_with_it_that_it_had_answered(server) -> None:
    """The completions of a lot can be an hour of a GPU: those that came before it died are kept, and nobody waits for
    the five tries of each request that was never sent."""

    def answer(body):
        return choices("a", "b", "c", "d") if body["prompt"] in "abd" else (404, {})

    server.answer = answer
    found = []
    with pytest.raises(ModelError, match="404"):
        for place, each in ServerCompleter(server.url, "me", Frame(), 1).complete(
            [Request(name, 1) for name in "abxdefgh"], HOW
        ):
            found.append((place, len(each)))
    assert found[:2] == [(0, 4), (1, 4)] and len(server.bodies) < 8


@pytest.mark.parametrize("sent", [b"garbage\r\n\r\n", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab"])
def test_a_server_that_dies_in_the_middle_of_a_reply_is_asked_again(sent, monkeypatch) -> None:
    """It is a server that went away, and no fault of the program: the run says so and goes on with the same command."""
    monkeypatch.setattr("prm_eval.rewards.models.server_writer.FIRST_WAIT_SECONDS", 0.0)
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        for _ in range(5):
            with listening.accept()[0] as connection:
                connection.recv(65_536)
                connection.sendall(sent)

    threading.Thread(target=serve, daemon=True).start()
    with listening, pytest.raises(ModelError, match=r"5 times.*the same command goes on"):
        asked(
            ServerCompleter(f"http://127.0.0.1:{listening.getsockname()[1]}/v1", "me", Frame()), [Request("a", 5)], HOW
        )


def test_a_chat_template_makes_ids_and_the_beginning_is_checked(server, tmp_path) -> None:
    """As text a server would put a second first token before it; a beginning that holds the end of a turn would end the
    answer that it is a beginning of."""
    make_tokenizer(chat=True).save_pretrained(tmp_path / "t")
    server.answer = lambda body: choices("a", "b", "c", "d")
    policy, frame = load_policy("me", base_url=server.url, chat=str(tmp_path / "t"), prompt="Solve: {problem}")
    prompt = frame.prompt("1+1", "so ")
    assert prompt.endswith("so ") and "[user]Solve: 1+1</s>" in prompt
    asked(policy, [Request(prompt, 1)], HOW)
    tokenizer = make_tokenizer(chat=True)
    assert server.bodies[0]["prompt"] == tokenizer(prompt, add_special_tokens=False)["input_ids"]
    with pytest.raises(Exception, match="special token '</s>'"):
        frame.prompt("1+1", "so </s>")


def test_a_policy_in_transformers_is_the_same_in_every_order(models) -> None:
    """Seeds are of the prompt: a beginning alone and among others gives the same texts, and others than its
    neighbours; a completion that fills its room was cut."""
    policy, _ = load_policy(str(models["policy"]), device="cpu")
    how = Sampling(rollouts=3, temperature=1.0, max_new_tokens=6)
    requests = [Request("1+1", 1), Request("2+2", 2)]
    both = asked(policy, requests, how)
    assert [asked(policy, [each], how)[0] for each in requests] == both
    assert both[0] != both[1] and all(len(each) == 3 for each in both)
    assert all(len(one.text) <= 6 for each in both for one in each) and any(one.cut for each in both for one in each)
    about = policy.describe()
    assert about["backend"] == "transformers" and about["weights_sha256"]
    [refused] = asked(policy, [Request("1" * 5_000, 1)], how)
    assert isinstance(refused, str) and refused.startswith("over-length")


def test_vllm_is_asked_for_all_beginnings_at_once(monkeypatch) -> None:
    """It shares and batches by itself, but only what it gets together; its own seeds and penalties would be no record.
    No machine of the tests has vLLM: this acts it."""
    seen = {}

    class Model:
        def __init__(self, **options):
            seen["options"] = options

        def generate(self, prompts, parameters, use_tqdm):
            seen["prompts"], seen["parameters"] = prompts, parameters
            one = SimpleNamespace(text="x END y", finish_reason="length")
            return [SimpleNamespace(outputs=[one] * each["n"]) for each in parameters]

    monkeypatch.setitem(
        sys.modules, "vllm", SimpleNamespace(LLM=Model, SamplingParams=lambda **all: all, __version__="9")
    )
    policy, _ = load_policy("some/model", engine="vllm")
    found = asked(policy, [Request("a", 5), Request("b", 6)], HOW)
    assert found == [[Completion("x ", True)] * 4] * 2 and seen["prompts"] == ["a", "b"]
    assert seen["parameters"][1] == {
        "n": 4, "temperature": 0.5, "top_p": 0.9, "max_tokens": 7, "stop": ["END"], "seed": 6,
    }  # fmt: skip
    assert seen["options"]["trust_remote_code"] is False and seen["options"]["generation_config"] == "vllm"
    assert policy.describe()["vllm"] == "9"


def test_options_that_say_nothing_and_engines_that_are_not_there(monkeypatch) -> None:
    """--device with a server would be believed; without vLLM the way out is named."""
    with pytest.raises(ModelError, match="says nothing to a server"):
        load_policy("me", base_url="http://localhost:1/v1", device="cuda")
    monkeypatch.setitem(sys.modules, "vllm", None)
    with pytest.raises(ModelError, match="--base-url"):
        load_policy("me", engine="vllm")
