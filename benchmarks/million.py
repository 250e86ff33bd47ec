"""A million candidates through the real command: time and peak memory of each step, beside those of a tenth of it.

A step reads and writes one problem at a time, so its memory must follow the largest problem, not the number of
candidates. Every step is its own command. The kernel counts its processor time, workers included, and its peak resident
memory: that of the largest process, if it starts others (``--jobs``). The file is made up (seeded) and goes to a
temporary folder::

    OMP_NUM_THREADS=1 python benchmarks/million.py
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from tqdm import tqdm

SAMPLES = 100  # candidates a problem
MEBI = 1024  # ru_maxrss is in KiB on Linux


@dataclass(frozen=True)
class Usage:
    """What one process took: wall and processor seconds, peak resident memory in MiB."""

    wall: float
    cpu: float
    peak: float


def answer_spellings(value: int) -> tuple[str, ...]:
    """Return spellings of one number that a grader must find equal."""
    return (str(value), f"{value}.0", rf"\frac{{{2 * value}}}{{2}}", f"{value:,}".replace(",", r"{,}"))


def problems(count: int, seed: int) -> Iterator[dict[str, Any]]:
    """Yield plain-JSONL rows: few distinct answers each, about a third right, scores that know a little of it."""
    rng = random.Random(seed)
    for index in range(count):
        a, b = rng.randrange(100, 5_000), rng.randrange(100, 5_000)
        wrong = [a + b + rng.randrange(1, 50) for _ in range(4)]
        easiness = rng.betavariate(0.7, 1.4)
        samples = [_sample(rng, a, b, wrong, easiness) for _ in range(SAMPLES)]
        yield {"problem_id": f"sum/{index}", "problem": f"What is {a} + {b}?", "answer": str(a + b), "samples": samples}


def _sample(rng: random.Random, a: int, b: int, wrong: list[int], easiness: float) -> dict[str, Any]:
    correct = rng.random() < easiness
    value = a + b if correct else rng.choice(wrong)
    spelled = rng.choice(answer_spellings(value))
    text = f"We add {a} and {b}.\nThat makes {value}.\nThe answer is \\boxed{{{spelled}}}."
    return {"text": text, "answer": spelled, "correct": correct, "score": round(rng.gauss(0.8 * correct, 1.0), 4)}


def write_rows(path: Path, count: int, seed: int) -> int:
    """Write the file row by row, and return how many candidates are correct."""
    correct = 0
    with path.open("w", encoding="utf-8") as out:
        for row in tqdm(problems(count, seed), total=count, desc=f"writing {path.name}", mininterval=2.0):
            correct += sum(sample["correct"] for sample in row["samples"])
            out.write(json.dumps(row) + "\n")
    return correct


def measured(command: list[str], output: IO[bytes]) -> Usage:
    """Run a command and return what it took.

    Raises:
        SystemExit: It failed.
    """
    start = time.perf_counter()
    child = os.posix_spawn(command[0], command, os.environ, file_actions=[(os.POSIX_SPAWN_DUP2, output.fileno(), 1)])
    _, status, usage = os.wait4(child, 0)  # this step alone; RUSAGE_CHILDREN would keep the largest peak of all steps
    wall = time.perf_counter() - start
    if os.waitstatus_to_exitcode(status) != 0:
        raise SystemExit(f"{' '.join(command)}: exit status {os.waitstatus_to_exitcode(status)}")
    return Usage(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / MEBI)


def run_steps(folder: Path, count: int, seed: int, jobs: int | None) -> dict[str, Usage]:
    """Make a file of so many problems and take it through import, grade and evaluate."""
    source, pool, result = folder / f"{count}.jsonl", folder / f"pool-{count}", folder / f"{count}.json"
    correct = write_rows(source, count, seed)
    prm_eval = str(Path(sys.executable).with_name("prm-eval"))
    several = ["--jobs", str(jobs)] if jobs else []
    steps = {
        "pool import": [prm_eval, "pool", "import", str(source), "-o", str(pool), *several],
        "grade": [prm_eval, "grade", str(pool), *several],
        "evaluate": [prm_eval, "evaluate", str(pool), "--json", *several],
    }
    found: dict[str, Usage] = {}
    for name, command in steps.items():
        with result.open("wb") as output:
            found[name] = measured(command, output)
        tqdm.write(f"{count * SAMPLES:,} candidates, {name}: {found[name]}", file=sys.stderr)
    check(json.loads(result.read_bytes()), count, correct)
    return found


def check(evaluation: dict[str, Any], count: int, correct: int) -> None:
    """Stop unless all candidates were evaluated, by all selectors, and graded as the file was made.

    Raises:
        SystemExit: Something differs.
    """
    pool, rows = evaluation["pool"], evaluation["rows"]
    selectors = {row["selector"] for row in rows}
    mean = next(row["value"] for row in rows if row["metric"] == "mean@1")
    expected = correct / (count * SAMPLES)
    if pool["n_candidates"] != count * SAMPLES or len(selectors) != 7 or abs(mean - expected) > 1e-9:
        raise SystemExit(f"{pool['n_candidates']} candidates, {sorted(selectors)}, mean@1 {mean}; expected {expected}")


def print_table(found: dict[int, dict[str, Usage]]) -> None:
    """Print a line for every step and size, and how memory grew."""
    sizes = sorted(found)
    head = "".join(f" | {f'{size * SAMPLES:,}':>10}: wall s {'CPU s':>8} {'peak MiB':>9}" for size in sizes)
    print(f"{'step':<12}{head} | memory grew by")
    for step in found[sizes[0]]:
        usages = [found[size][step] for size in sizes]
        cells = "".join(f" | {each.wall:>18.1f} {each.cpu:>8.1f} {each.peak:>9.0f}" for each in usages)
        print(f"{step:<12}{cells} | {usages[-1].peak / usages[0].peak:.2f} times")


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--problems", type=int, default=10_000, help=f"of {SAMPLES} candidates each")
    parser.add_argument("--seed", type=int, default=20_230_531)
    parser.add_argument("--jobs", type=int, help="processes of each step (default: one a processor)")
    parser.add_argument("--folder", type=Path, help="where the temporary folder is made (default: the system's)")
    options = parser.parse_args()
    if options.problems < 10:
        parser.error("expected --problems of at least 10: a tenth of it is run as well")
    found: dict[int, dict[str, Usage]] = {}
    with tempfile.TemporaryDirectory(prefix="prm_eval-million-", dir=options.folder) as name:
        for count in (options.problems // 10, options.problems):
            found[count] = run_steps(Path(name), count, options.seed, options.jobs)
    print(f"Python {platform.python_version()}, {os.cpu_count()} cores, {SAMPLES} candidates a problem")
    print_table(found)


if __name__ == "__main__":
    main()
