"""How long `prm-eval check` takes, and how much memory: one submission on a pool of 500 problems x 64 candidates.

python benchmarks/check.py [FOLDER]
"""

from __future__ import annotations

import json
import random
import resource
import sys
import tempfile
import time
from pathlib import Path

from prm_eval.grading.pool import grade_pool
from prm_eval.importers import import_pool
from prm_eval.rewards import score_pool
from prm_eval.rewards.models.rules import ArithmeticPRM
from prm_eval.submissions import (
    fill_in,
    find_submissions,
    register_pool,
    registered_pools,
    submission_folder,
    suspicions,
)
from prm_eval.submissions.checking.check import Checker

PROBLEMS, CANDIDATES = 500, 64
DISCLOSURE = {
    "licence": "Apache-2.0",
    "base_model": "none",
    "training_data": ["none"],
    "trained_on": {"math_test": "no", "prm800k": "no", "this_pool": "no"},
    "contact": "benchmark",
}


def _step(chance: random.Random, k: int) -> str:
    sums = f"{chance.randint(1, 99)} + {chance.randint(1, 99)} = {chance.randint(1, 199)}"
    return f"Step {k}: {sums}, so we go on and " + "use " * 20


def make(results: Path) -> Path:
    chance = random.Random(0)
    lines = []
    for number in range(PROBLEMS):
        samples = []
        for _ in range(CANDIDATES):
            steps = [_step(chance, k) for k in range(1, chance.randint(4, 14))]
            samples.append({"text": "\n".join([*steps, f"\\boxed{{{chance.randint(1, 6)}}}"])})
        lines.append(json.dumps({"problem": f"problem {number}", "answer": "3", "samples": samples}))
    source = results.parent / "pool.jsonl"
    source.write_text("\n".join(lines))
    pool = import_pool(source, results.parent / "pool").pool
    grade_pool(pool)
    register_pool(pool, results, "large")
    model = ArithmeticPRM()
    folder = submission_folder(results, "prm_eval/arithmetic", model, pool)
    score_pool(pool, model, folder, name="prm_eval/arithmetic")
    fill_in(folder, DISCLOSURE)
    return folder


def main(parent: Path) -> None:
    folder = make(parent / "results")
    print(f"rewards.parquet {(folder / 'rewards.parquet').stat().st_size:,} bytes, {PROBLEMS * CANDIDATES:,} rows")
    checker = Checker(parent / "results")
    for what in ("first (child started, pool hashed and cut)", "again (the next submission for the pool)"):
        started = time.perf_counter()
        assert checker.submission(folder) == []
        print(f"{what:45} {time.perf_counter() - started:6.2f} s")
    checker.close()
    print(f"memory of the child at most {resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024:,.0f} MB")
    (submission,), pool = find_submissions(parent / "results"), registered_pools(parent / "results")["large"].pool
    for what in ("suspicions, first", "suspicions, again"):
        started = time.perf_counter()
        found = suspicions(submission, pool)
        print(f"{what:45} {time.perf_counter() - started:6.2f} s  {[each.name for each in found]}")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as parent:
            main(Path(parent))
