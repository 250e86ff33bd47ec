"""A real OpenAI-compatible server of the miniature's policy: ``POST /v1/completions`` with prompt, n, seed, ...

``python -m tests.labelling.miniature_server PORT`` serves until it is ended. Requests that wait together are written
together, whatever the lengths of their prompts, and yet every request is a draw of its own seed.
"""

from __future__ import annotations

import json
import queue
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

MODEL = "miniature-policy"
MOST = 512  # texts that are written at once


class Policy:
    """The policy on a thread of its own, which takes what waits."""

    def __init__(self) -> None:
        import torch
        import transformers

        from prm_eval.miniature.vocabulary import Encoder
        from prm_eval.miniature.weights import weights

        torch.set_num_threads(1)
        self.model = transformers.AutoModelForCausalLM.from_pretrained(weights("policy")).eval()
        self.encoder = Encoder()
        self.waiting: queue.Queue = queue.Queue()
        threading.Thread(target=self._work, daemon=True).start()

    def complete(self, body: dict[str, Any]) -> list[dict[str, Any]]:
        done: queue.Queue = queue.Queue()
        self.waiting.put((body, done))
        return done.get()

    def _work(self) -> None:
        while True:
            lot, rows = [self.waiting.get()], 0
            while not self.waiting.empty() and rows < MOST:
                lot.append(self.waiting.get())
                rows += lot[-1][0].get("n", 1)
            for (_, done), choices in zip(lot, self._write([body for body, _ in lot]), strict=True):
                done.put(choices)

    def _write(self, bodies: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
        import torch
        from transformers import DynamicCache

        prompts = [self.encoder.encode(body["prompt"]) for body in bodies for _ in range(body.get("n", 1))]
        uniform = [row for body in bodies for row in self._draws(body)]
        temperature = torch.tensor(
            [[max(body["temperature"], 1e-6)] for body in bodies for _ in range(body.get("n", 1))]
        )
        most = [body["max_tokens"] for body in bodies for _ in range(body.get("n", 1))]
        width = max(map(len, prompts))
        ids = torch.tensor([[self.encoder.pad] * (width - len(each)) + each for each in prompts])
        mask = torch.tensor([[0] * (width - len(each)) + [1] * len(each) for each in prompts])
        cache = DynamicCache(config=self.model.config)
        written: list[list[int]] = [[] for _ in prompts]
        ended = [False] * len(prompts)
        with torch.inference_mode():
            for step in range(min(128, max(most))):
                positions = (mask.cumsum(1) - 1).clamp(min=0)[:, -ids.shape[1] :]
                logits = self.model(
                    input_ids=ids, attention_mask=mask, position_ids=positions, past_key_values=cache, use_cache=True,
                    logits_to_keep=1,
                ).logits[:, -1]  # fmt: skip
                odds = torch.softmax(logits.float() / temperature, dim=-1).cumsum(1)
                draw = torch.tensor([[row[step]] for row in uniform])
                chosen = torch.searchsorted(odds, draw.clamp(max=0.999999)).clamp(max=odds.shape[1] - 1)[:, 0].tolist()
                for row, token in enumerate(chosen):
                    if not ended[row] and len(written[row]) < most[row]:
                        written[row].append(token)
                        ended[row] = token == self.encoder.end
                if all(done or len(written[row]) >= most[row] for row, done in enumerate(ended)):
                    break
                ids = torch.tensor([[token] for token in chosen])
                mask = torch.cat([mask, torch.ones(len(chosen), 1, dtype=mask.dtype)], dim=1)
        found, at = [], 0
        for body in bodies:
            n = body.get("n", 1)
            found.append(
                [
                    {"text": self.encoder.decode(written[row]), "finish_reason": "stop" if ended[row] else "length"}
                    for row in range(at, at + n)
                ]
            )
            at += n
        return found

    @staticmethod
    def _draws(body: dict[str, Any]) -> list[list[float]]:
        import torch

        generator = torch.Generator().manual_seed(body["seed"])
        return torch.rand(body.get("n", 1), 128, generator=generator).tolist()


class Server(ThreadingHTTPServer):
    request_queue_size = 128
    daemon_threads = True
    policy: Policy
    requests = 0


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.requests += 1
        if self.path != "/v1/completions" or body.get("model") != MODEL:
            self.send_response(404)
            self.end_headers()
            return
        reply = {"model": MODEL, "choices": self.server.policy.complete(body)}
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(reply).encode())

    def log_message(self, *arguments: object) -> None:
        pass


def serve(port: int = 0) -> Server:
    server = Server(("127.0.0.1", port), Handler)
    server.policy = Policy()
    return server


if __name__ == "__main__":
    serve(int(sys.argv[1])).serve_forever()
