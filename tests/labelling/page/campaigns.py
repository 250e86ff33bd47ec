"""What the tests of the labelling page share: small pools, campaigns, somebody who marks, a server to kill."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from prm_eval.importers import import_pool
from prm_eval.labelling.page.campaign import Campaign, Person, Rules, add_known, begin, queue_pool
from prm_eval.labelling.page.events import Event
from prm_eval.labelling.page.known import Known
from prm_eval.labelling.page.ledger import Ledger
from prm_eval.pools.pool import Pool
from tests.conftest import ROOT, write_jsonl

HOSTILE = "</li><script>window.hacked=1</script><img src=x onerror='window.hacked=2'> \u202etfel\u2066 \u200b"


def make_pool(folder: Path, problems: int = 5, slots: int = 4, steps: int = 4, hostile: bool = False) -> Pool:
    """A pool of solutions of a few lines; the texts say where they stand, formulas among them."""
    rows: list[object] = [
        {
            "id": f"p{k}",
            "problem": f"Let $x = {k}$. What is $\\frac{{x}}{{2}}$?" + (HOSTILE if hostile else ""),
            "answer": str(k),
            "samples": [
                {
                    "text": "\n".join(
                        [f"Problem {k}, slot {j}, line {i}: $x^{i} = {k}$" for i in range(steps - 1)]
                        + [f"{HOSTILE if hostile else 'So'} \\boxed{{{j}}}"]
                    )
                }
                for j in range(slots)
            ],
        }
        for k in range(problems)
    ]
    return import_pool(write_jsonl(folder.with_suffix(".jsonl"), rows), folder, policy="writer").pool


def known(n: int, name: str = "q") -> list[Known]:
    """Solutions with known labels: wrong at step 1 (of 3) where the number is odd."""
    return [
        Known(
            f"{name}{k}",
            f"Known {name}{k}: what is 1?",
            ("Known one.", "Known two.", "Known three."),
            k % 2 or -1,
            None,
        )
        for k in range(n)
    ]


def make_campaign(pool: Pool, **rules: Any) -> Campaign:
    """A campaign on all candidates."""
    folder = pool.path / "labels" / "people"
    found = begin(folder, pool, Rules(pool.info.splitter, **rules))
    queue_pool(found)
    return found


def with_known(campaign: Campaign, screening: int = 0, quality: int = 0) -> Campaign:
    add_known(campaign, "screening", known(screening, "s"))
    add_known(campaign, "quality_control", known(quality, "q"))
    return campaign


def label(ledger: Ledger, who: str, marks: Sequence[int], verdict: str | None = None, ms: int = 1_000) -> int | None:
    """Label whatever ``who`` is given next: the marks in order, as far as they go; return the item."""
    item = ledger.current(who)
    if item is not None:
        mark_item(ledger, Person(who, "labeller"), item, marks, verdict, ms)
    return item


def mark_item(
    ledger: Ledger, person: Person, item: int, marks: Sequence[int], verdict: str | None = None, ms: int = 1_000
) -> None:
    for step, mark in enumerate(marks[: ledger.markings[person.who, item].n_steps]):
        ledger.add(person, Event(person.who, item, "mark", step, str(mark), ms))
    if verdict is not None:
        ledger.add(person, Event(person.who, item, "verdict", value=verdict))
    ledger.add(person, Event(person.who, item, "submit"))


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    text: str


def ask(
    app: Any,
    method: str,
    path: str,
    *,
    headers: dict[str, str] | None = None,
    body: bytes = b"",
    chunks: Sequence[bytes] | None = None,
    host: str = "127.0.0.1:8765",
) -> Answer:
    """One request to an application, without a server."""
    sent = {"host": host, "content-length": str(len(body)), **(headers or {})}
    if chunks is not None:
        del sent["content-length"]
    parts = list(chunks if chunks is not None else [body])
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "scheme": "http",
        "server": ("127.0.0.1", 8765),
        "client": ("127.0.0.1", 5),
        "headers": [(name.encode(), value.encode()) for name, value in sent.items() if value],
    }
    got: list[Any] = []

    async def receive() -> dict[str, Any]:
        part = parts.pop(0) if parts else b""
        return {"type": "http.request", "body": part, "more_body": bool(parts)}

    async def send(message: dict[str, Any]) -> None:
        got.append(message)

    asyncio.run(app(scope, receive, send))
    start = got[0]
    found = {name.decode(): value.decode() for name, value in start["headers"]}
    return Answer(start["status"], found, b"".join(each.get("body", b"") for each in got[1:]).decode())


STARTED: list[Server] = []
"""Every server, so that none outlives the tests (``conftest.py``)."""


class Server:
    """``prm-eval label serve`` as a process of its own, to be killed.

    Args:
        arguments: Of the command, the pool first.
        port: 0 finds one.
    """

    def __init__(self, *arguments: str, port: int = 0, command: str = "serve") -> None:
        words = [sys.executable, "-m", "prm_eval.cli", "label", command, *arguments, "--port", str(port)]
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
        self.process = subprocess.Popen(
            words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment, cwd=ROOT
        )
        STARTED.append(self)
        self.links: dict[str, str] = {}
        self.said: list[str] = []
        assert self.process.stdout
        for line in self.process.stdout:
            self.said.append(line.rstrip())
            if found := re.match(r"link +(\S+)  (.+), (labeller|adjudicator)$", line.rstrip()):
                self.links[found[2]] = found[1]
            if line.startswith("stop "):
                break
        else:
            raise AssertionError("\n".join(self.said))

    @property
    def port(self) -> int:
        return int(re.search(r":(\d+)", "\n".join(self.said).partition("http://")[2])[1])  # type: ignore[index]

    def kill(self) -> None:
        """Kill -9: nothing of the process is run any more."""
        self.process.send_signal(signal.SIGKILL)
        self._wait()

    def stop(self) -> int:
        """Ctrl-C; return the exit status."""
        self.process.send_signal(signal.SIGINT)
        return self._wait()

    def _wait(self) -> int:
        assert self.process.stdout
        self.said += self.process.stdout.read().splitlines()
        self.process.stdout.close()
        return self.process.wait(20)


def events_of(campaign: Campaign) -> list[Event]:
    return list(campaign.store.events())


def as_json(events: Sequence[dict[str, Any]]) -> bytes:
    return json.dumps({"events": list(events)}).encode()
