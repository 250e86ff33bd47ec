"""Small labelled solutions of our own in the columns of ProcessBench and PRMBench, and how the step tasks are run."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from lm_eval.evaluator import simple_evaluate
from lm_eval.tasks import TaskManager

from prm_eval.records import StepRewards
from tests.conftest import ROOT, write_jsonl

# not tasks_path(), which an installed package answers
TASKS = ROOT / "tasks"
SUBSETS = ("gsm8k", "math", "olympiadbench", "omnimath")
SIZES = (6, 10, 9, 7)
"""Of the subsets: unequal, so that a size-weighted mean is another one."""


def processbench_rows(subset: str, n: int) -> list[dict[str, object]]:
    """Sums, of which every solution but each third goes wrong somewhere; two solutions share a problem.

    One mistake in four has no sign of equality in it, so that checking sums does not find it.
    """
    rows: list[dict[str, object]] = []
    for k in range(n):
        a, steps = 3 + k // 2, []
        total, wrong = a, -1 if k % 3 == 0 else (k * 7 + len(subset)) % (2 + k % 3)
        for j in range(2 + k % 3):
            said = total + j + (1 if j == wrong else 0)
            unseen = j == wrong and (k + len(subset)) % 4 == 1
            steps.append(
                f"That makes {said}." if unseen else f"Then {total} + {j} = {said}" + ", as one sees" * (k % 4)
            )
            total = said
        rows.append(
            {
                "id": f"{subset}-{k}",
                "generator": "by hand",
                "problem": f"Start at {a} and add what comes ({subset}).",
                "steps": steps,
                "final_answer_correct": wrong == -1,
                "label": wrong,
            }
        )
    return rows


def prmbench_rows() -> list[dict[str, object]]:
    """Two items of each of PRMBench's classes; redundant ones bring a twin, and one names a step that is not there."""
    classes = ["redundency", "circular", "counterfactual", "step_contradiction", "domain_inconsistency", "confidence"]
    rows: list[dict[str, object]] = []
    for k, kind in enumerate([*classes, "missing_condition", "deception", "multi_solutions"] * 2):
        original = [f"{j + 1}. We add {j} to {k}, which is {k + j}." for j in range(3 + k % 3)]
        wrong = [] if kind == "multi_solutions" else [2, *([3] if k % 2 else []), *([99] if k == 4 else [])]
        modified = [f"{step[:-1]}, or not." if j + 1 in wrong else step for j, step in enumerate(original)]
        rows.append(
            {
                "idx": f"p{k}",
                "original_question": f"What is {k}?",
                "modified_question": f"What is {k}, then?",
                "original_process": original,
                "modified_process": modified,
                "error_steps": wrong,
                "classification": kind,
            }
        )
    return rows


def write_processbench(folder: Path) -> str:
    """Write the four subsets, beside a file of another format; return the folder, which ``problems=`` names."""
    (folder / "data").mkdir(exist_ok=True)
    write_jsonl(folder / "data" / "other.jsonl", [{"question": "1+1?", "answer": "2"}])
    for subset, n in zip(SUBSETS, SIZES, strict=True):
        write_jsonl(folder / "data" / f"{subset}.jsonl", processbench_rows(subset, n))
    return str(folder / "data")


def run(task: str, *, model: object = "dummy", metadata: Mapping[str, object], include: Path = TASKS, **options):
    """Run a task through the real lm_eval in this process."""
    manager = TaskManager(include_path=str(include), include_defaults=False, metadata=dict(metadata))
    options.setdefault("model_args", "" if model == "dummy" else None)
    return simple_evaluate(model=model, tasks=[task], task_manager=manager, bootstrap_iters=0, **options)


class ContextHash:
    """A reward model without a model: a number from the hash of all text so far (acceptance values: sha_context)."""

    kind, score_type, aggregation, splitter = "prm", "value", "min", None
    name = "sha_context"

    def __init__(self, argument: str | None = None) -> None: ...

    def describe(self) -> dict[str, object]:
        return {"id": "tests/sha_context", "version": 1, "weights": "none: a rule"}

    def score(self, items):
        found = []
        for item in items:
            texts = ["\n".join([item.statement, *item.steps[: k + 1]]) for k in range(len(item.steps))]
            digests = [hashlib.sha256(text.encode()).hexdigest() for text in texts]
            found.append(StepRewards(tuple(int(each[:13], 16) / 16**13 for each in digests)))
        return found


def steps_of(prompt: str) -> int:
    """Return how many paragraphs a prompt shows."""
    return prompt.count("</paragraph_")


def scripted(prompt: str, vote: int = 0) -> str:
    """Answer as a critic of some skill would: from the text alone, sometimes unreadably."""
    length = len(prompt)
    if length % 7 == 0 or (length + vote) % 5 == 0:
        return "I cannot say."
    if (length + vote) % 3 == 0:
        return "All is well, so \\boxed{-1}."
    return f"At first \\boxed{{7}}? No: \\boxed{{\\text{{{(length + vote // 2) % steps_of(prompt)}}}}}"


class ChatServer:
    """An OpenAI-compatible server in this process, whose answers a function gives; it goes away after so many."""

    def __init__(self, answer: Callable[[str, int], str] = scripted) -> None:
        self.requests: list[dict[str, object]] = []
        self.leave_after: int | None = None
        asked: dict[str, int] = {}
        server, lock = self, threading.Lock()

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with lock:
                    if server.leave_after is not None and len(server.requests) >= server.leave_after:
                        return  # the connection breaks without an answer
                    server.requests.append(request)
                    prompt = request["messages"][-1]["content"]
                    vote = asked[prompt] = asked.get(prompt, -1) + 1
                body = json.dumps({"choices": [{"index": 0, "message": {"content": answer(prompt, vote)}}]}).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *rest): ...

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.handle_error = lambda *rest: None
        threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    @property
    def model_args(self) -> str:
        """What lm_eval is told of this server."""
        url = f"http://127.0.0.1:{self.http.server_address[1]}/v1/chat/completions"
        return f"model=judge,base_url={url},num_concurrent=1,max_retries=1,tokenizer_backend=None"

    def stop(self) -> None:
        """Close the port."""
        self.http.shutdown()
        self.http.server_close()
