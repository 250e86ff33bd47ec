"""How long a large board takes: 300 made-up submissions to a made-up pool of 500 problems x 64 candidates of about 8
steps.

    OMP_NUM_THREADS=1 python benchmarks/leaderboard.py

Prints seconds and the peak memory of all its processes together. The pool has formulas in its texts and the rewards are
random; what a board costs does not depend on what they are.
"""

from __future__ import annotations

import argparse
import platform
import random
import resource
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import pyarrow as pa

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from prm_eval.evaluation.pool_arrays import load_arrays
from prm_eval.leaderboard import build
from prm_eval.pools.format import GRADES, grade_columns
from prm_eval.pools.pool import Pool
from prm_eval.pools.writer import PoolWriter
from prm_eval.records import Candidate, GradeRow, Problem
from prm_eval.store.tables import TableWriter
from tests.leaderboard.leaderboards import disclosure, made_up, register, submit

SUBJECTS = ("Algebra", "Counting", "Geometry", "Number Theory", "Prealgebra", "Precalculus", "Intermediate Algebra")


def make_pool(folder: Path, problems: int, m: int, seed: int) -> Pool:
    """Write a pool of made-up solutions, with grades."""
    source = random.Random(seed)
    grades: list[tuple[Candidate, GradeRow]] = []
    with PoolWriter(
        folder, problem_set={"name": "made-up"}, policy={"id": "nobody/made-up-policy"}, splitter="line", m=m
    ) as writer:
        for number in range(problems):
            problem = Problem(
                f"made-up/{number:04d}",
                f"Let $x = \\frac{{{number}}}{{7}}$ and $y = \\sqrt{{{number + 1}}}$. Find $x^2 + y^2$.",
                str(number),
                SUBJECTS[number % 7],
                1 + number % 5,
            )
            ease = source.betavariate(0.9, 0.7)
            candidates = []
            for slot in range(m):
                right = source.random() < ease
                answer = number if right else number + 1 + min(int(source.expovariate(0.5)), 20)
                steps = source.randint(4, 12)
                lines = [
                    f"Step {k}: we have $\\frac{{{slot}}}{{{k}}} + x_{{{k}}}^{{2}} = {source.randint(1, 999)}$, which "
                    "leads on."
                    for k in range(1, steps)
                ]
                text = "\n".join([*lines, f"So the answer is $\\boxed{{{answer}}}$."])
                candidates.append(Candidate(problem.problem_id, slot, text, None, len(text) // 3, "stop"))
                grade = GradeRow(slot, str(answer), answer - number, "correct" if right else "incorrect", "made_up")
                grades.append((candidates[-1], grade))
            writer.add(problem, candidates)
    assert writer.pool is not None
    with TableWriter(folder / "grades.parquet", GRADES) as table:
        for candidate, row in grades:
            table.add(grade_columns(candidate, row, "made-up"))
    return writer.pool


def make_results(results: Path, submissions: int, problems: int, m: int) -> None:
    """Write a results folder."""
    pool = register(results, make_pool(results / "pools" / "made-up", problems, m, 1), "made-up", "A made-up pool")
    arrays = load_arrays(pool)
    for number in range(submissions):
        kind = "orm" if number % 3 == 2 else "prm"
        values = made_up(arrays, number, skill=0.2 + 1.2 * ((number * 37) % 100) / 100, stepwise=kind == "prm")
        submit(
            results,
            arrays,
            "made-up",
            values,
            name=f"lab-{number % 40}/Reward-{number:03d}",
            kind=kind,
            revision=f"{number:040x}",
            disclosure=disclosure() if number % 4 else None,
        )


class Memory:
    """The peak of the resident memory of this process and its children, sampled."""

    def __init__(self) -> None:
        self.peak = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def _watch(self) -> None:
        import psutil

        here = psutil.Process()
        while not self._stop.wait(0.05):
            total = 0
            for process in (here, *here.children(recursive=True)):
                try:
                    total += process.memory_info().rss
                except psutil.Error:
                    continue
            self.peak = max(self.peak, total / 2**30)

    def __enter__(self) -> Memory:
        self._thread.start()
        return self

    def __exit__(self, *rest: object) -> None:
        self._stop.set()
        self._thread.join()


def cpu_seconds() -> float:
    """Return the CPU time of this process and of the children it has waited for."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--submissions", type=int, default=300)
    parser.add_argument("--problems", type=int, default=500)
    parser.add_argument("--m", type=int, default=64)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--keep", type=Path, help="make the results folder here, and keep it (made only if not there)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        results = options.keep or Path(scratch) / "results"
        started = time.perf_counter()
        if not (results / "submissions").is_dir():
            make_results(results, options.submissions, options.problems, options.m)
        made = time.perf_counter()
        before = cpu_seconds()
        with Memory() as memory:
            built = build(results, Path(scratch) / "board", jobs=options.jobs)
        seconds, cpu = time.perf_counter() - made, cpu_seconds() - before
        index = (built.folder / "index.html").stat().st_size
        pages = [path.stat().st_size for path in built.folder.glob("submissions/*.html")]
    print(
        f"Python {platform.python_version()}, numpy {np.__version__}, pyarrow {pa.__version__}, {options.jobs} "
        "processes"
    )
    print(
        f"{options.submissions} submissions x {options.problems} problems x {options.m} candidates (made in "
        f"{made - started:.0f} s)"
    )
    print(
        f"board built in {seconds:.1f} s ({cpu:.1f} s of CPU in all processes), {memory.peak:.2f} GiB at most, "
        f"{built.files} files"
    )
    print(
        f"index.html {index / 1e6:.2f} MB, pages of submissions {np.mean(pages) / 1e6:.2f} MB on average, "
        f"{max(pages) / 1e6:.2f} at most"
    )


if __name__ == "__main__":
    main()
