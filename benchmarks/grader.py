"""How fast the grader is, beside math-verify, in one run on one core: pairs a second, latency, import time and memory.

    python benchmarks/grader.py [--data ../shared/data] [--rows 300]

Cold: every pair once, in a fresh process, nothing cached; imports are done before (one pair of another corpus is judged
first) and are reported apart. math-verify is called as its authors do (parse gold, parse answer, verify), in its own
process, on the main thread.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

CORPORA = ("real_answers", "math_rewrites")
PEER_SECONDS = 5  # math-verify's own limit a pair


def rows_of(data: Path, corpus: str, limit: int) -> list[tuple[str, str, bool]]:
    with (data / "grader" / "public_sample.jsonl").open(encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    chosen = [row for row in rows if row["corpus"] == corpus and isinstance(row["pred"], str)]
    return [(row["gold"], row["pred"], row["equal"]) for row in chosen][:limit]


def run_ours(rows: list[tuple[str, str, bool]]) -> list[tuple[float, bool]]:
    from prm_eval.grading import is_equivalent

    is_equivalent("\\sin 1", "\\cos(\\pi/2 - 1)")  # loads mpmath
    return [timed(lambda g=gold, a=answer: is_equivalent(g, a)) for gold, answer, _ in rows]


def run_math_verify(rows: list[tuple[str, str, bool]]) -> list[tuple[float, bool]]:
    from math_verify import parse, verify

    verify(parse("$\\sin 1$"), parse("$\\cos(\\pi/2 - 1)$"))
    return [timed(lambda g=gold, a=answer: verify(parse(f"${g}$"), parse(f"${a}$"))) for gold, answer, _ in rows]


def timed(call) -> tuple[float, bool]:
    started = time.perf_counter()
    verdict = bool(call())
    return time.perf_counter() - started, verdict


def measure(which: str, data: Path, corpus: str, limit: int) -> dict:
    rows = rows_of(data, corpus, limit)
    results = (run_ours if which == "ours" else run_math_verify)(rows)
    seconds = sorted(each for each, _ in results)
    right = sum(verdict == row[2] for (_, verdict), row in zip(results, rows, strict=True))
    return {
        "rows": len(rows),
        "pairs_per_second": len(rows) / sum(seconds),
        "median_ms": 1e3 * statistics.median(seconds),
        "p95_ms": 1e3 * seconds[int(0.95 * len(seconds))],
        "p99_ms": 1e3 * seconds[int(0.99 * len(seconds))],
        "max_ms": 1e3 * seconds[-1],
        "accuracy": right / len(rows),
        "sympy_loaded": "sympy" in sys.modules,
    }


IMPORT = """
import resource, sys, time
started = time.perf_counter()
{what}
seconds = time.perf_counter() - started
print(seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, "sympy" in sys.modules)
"""


def imported(what: str) -> tuple[float, float, bool]:
    """Return the median seconds of five imports, the peak memory in MiB, and whether sympy came along."""
    runs = [
        subprocess.run([sys.executable, "-c", IMPORT.format(what=what)], capture_output=True, text=True, check=True)
        for _ in range(5)
    ]
    rows = [run.stdout.split() for run in runs]
    return statistics.median(float(row[0]) for row in rows), float(rows[-1][1]), rows[-1][2] == "True"


def child(which: str, options: argparse.Namespace, corpus: str) -> dict:
    command = [
        sys.executable,
        __file__,
        "--only",
        which,
        "--corpus",
        corpus,
        "--data",
        str(options.data),
        "--rows",
        str(options.rows),
    ]
    run = subprocess.run(
        command, capture_output=True, text=True, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    return json.loads(run.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("PRM_EVAL_DATA", "../shared/data")))
    parser.add_argument("--rows", type=int, default=300, help="rows of each corpus, at most")
    parser.add_argument("--only", choices=("ours", "math-verify"), help=argparse.SUPPRESS)
    parser.add_argument("--corpus", choices=CORPORA, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.only:
        print(json.dumps(measure(options.only, options.data, options.corpus, options.rows)))
        return
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})  # one core, inherited by the children
    for name, what in (("prm_eval.grading", "import prm_eval.grading"), ("math_verify", "import math_verify")):
        seconds, memory, sympy = imported(what)
        print(f"import {name:<17} {seconds:6.3f} s, {memory:5.1f} MiB, sympy {'loaded' if sympy else 'not loaded'}")
    for corpus in CORPORA:
        ours, theirs = child("ours", options, corpus), child("math-verify", options, corpus)
        for name, each in (("ours", ours), ("math-verify", theirs)):
            print(
                f"{corpus:<14} {name:<12} {each['rows']} pairs  {each['pairs_per_second']:8.1f} pairs/s  median "
                f"{each['median_ms']:.2f}  "
                f"p95 {each['p95_ms']:.2f}  p99 {each['p99_ms']:.2f}  max {each['max_ms']:.2f} ms  accuracy "
                f"{100 * each['accuracy']:.1f} %"
            )
        print(f"{corpus:<14} ratio {ours['pairs_per_second'] / theirs['pairs_per_second']:.1f}")


if __name__ == "__main__":
    main()
