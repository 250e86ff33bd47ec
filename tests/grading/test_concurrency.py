"""Ten thousand pairs from many threads and processes at once: the same verdicts, children replaced, nothing leaked."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

import pytest

from prm_eval.grading import decide
from prm_eval.grading.children.symbolic import WORKER
from prm_eval.grading.deciding.equivalence import _cached, _read

pytestmark = pytest.mark.unmeasured  # what is measured here is measured by quicker tests

CASES = Path(__file__).parent / "cases"
SYMBOLIC = [
    ("0", f"\\sin^2({k} x) + \\cos^2({k} x) - 1") for k in range(1, 6)
]  # only sympy can say that these are zero


def pairs() -> list[tuple[str, str]]:
    """Return 10,000 distinct pairs: the rows of our tables, and golds beside the golds of other rows."""
    rows = [
        json.loads(line)
        for name in ("types", "wild", "traps")
        for line in (CASES / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    own = [(row["gold"], row["answer"]) for row in rows]
    golds = list(dict.fromkeys(row["gold"] for row in rows))
    crossed = ((one, other) for step in range(1, len(golds)) for one, other in zip(golds, golds[step:], strict=False))
    return list(dict.fromkeys([*SYMBOLIC, *own, *islice(crossed, 12_000)]))[:10_000]


def forget() -> None:
    _read.cache_clear()
    _cached.cache_clear()


def verdicts(chunk: list[tuple[str, str]]) -> list[bool | None]:
    forget()
    try:
        return [decide(*pair).equal for pair in chunk]
    finally:
        WORKER.close()  # this process's own child


def assert_alike(found: list[bool | None], expected: list[bool | None]) -> None:
    """Assert that no two verdicts contradict each other.

    A question that takes nearly all its processor time may be undecided in one run and decided in another, since other
    work on a core makes its own slower; hardly any of our pairs does.
    """
    assert len(found) == len(expected)
    differ = [(one, other) for one, other in zip(found, expected, strict=True) if one is not other]
    assert [pair for pair in differ if None not in pair] == []
    assert len(differ) <= len(expected) // 1000


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def children() -> int:
    return len((Path("/proc/self/task") / str(os.getpid()) / "children").read_text().split())


@pytest.fixture(scope="module")
def expected() -> list[bool | None]:
    WORKER.close()
    return verdicts(pairs())


def test_the_pairs_reach_the_symbolic_tier(expected) -> None:
    """A test of the worker under load that never starts it would prove nothing."""
    assert len(expected) == 10_000
    assert expected[: len(SYMBOLIC)] == [True] * len(SYMBOLIC)


def test_from_eight_threads_while_the_child_is_killed(expected) -> None:
    """One worker serves all threads; a child that dies is replaced and its pair decided again; no file or child is
    left."""
    WORKER.close()
    files, processes = open_files(), children()
    forget()
    done, killed = threading.Event(), []

    def killer() -> None:
        while not done.is_set():
            child = WORKER._child
            if child is not None and not killed:  # once: a question whose child dies twice is taken for the cause
                killed.append(child.pid)
                os.kill(child.pid, signal.SIGKILL)
            time.sleep(0.001)

    thread = threading.Thread(target=killer)
    thread.start()
    work = [*SYMBOLIC, *pairs()]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda pair: decide(*pair).equal, work, chunksize=50))
    done.set()
    thread.join()
    assert_alike(found, [True] * len(SYMBOLIC) + expected)
    assert killed
    WORKER.close()
    assert (open_files(), children()) == (files, processes)


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_from_four_processes(expected, method) -> None:
    """Each process has a child of its own, however it was started; none of them is left."""
    chunks = [pairs()[i::4] for i in range(4)]
    before = children()
    with multiprocessing.get_context(method).Pool(4) as pool:
        found = pool.map(verdicts, chunks)
    for i in range(4):
        assert_alike(found[i], expected[i::4])
    WORKER.close()
    time.sleep(0.1)
    assert children() <= before + (method == "spawn")  # multiprocessing keeps its resource tracker
