"""How long a step evaluation takes at the size of ProcessBench and of PRMBench, with 1,000 resamples.

The labels and scores are random, but of the real numbers of solutions, steps, groups and problems. One reward model is
measured beside all rules, as ``prm-eval evaluate SET REWARDS`` does; reading and writing files is not counted.

    python benchmarks/step_evaluation.py
"""

from __future__ import annotations

import os
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from prm_eval.evaluation.stepwise.arrays import SetArrays
from prm_eval.evaluation.stepwise.jobs import evaluate_steps
from prm_eval.evaluation.stepwise.measuring import Settings
from prm_eval.evaluation.stepwise.prmbench import SHORT
from prm_eval.evaluation.stepwise.scores import StepScores
from prm_eval.evaluation.stepwise.thresholds import Ask
from prm_eval.stepsets.format import StepSetInfo

BARS = {"ProcessBench": 5.0, "PRMBench": 10.0}


def main() -> None:
    for name, arrays in (("ProcessBench", processbench()), ("PRMBench", prmbench())):
        values = np.random.default_rng(1).random(len(arrays.lengths))
        scores = StepScores("model", "prm", values, values, "value", None, 0.5)
        info = StepSetInfo(name, arrays.kind, "people", arrays.n, arrays.n, "0" * 64, "0" * 64)
        started, used = time.perf_counter(), time.process_time()
        found = evaluate_steps(info, arrays, [scores], Ask(), Settings())
        wall, cpu = time.perf_counter() - started, time.process_time() - used
        print(
            f"{name}: {arrays.n:,} solutions, {len(arrays.lengths):,} steps, {found.settings.resamples:,} resamples, "
            f"1 model and {len(found.rules)} rules: {wall:.1f} s ({cpu:.1f} s of CPU; bar {BARS[name]:g} s)"
        )


def processbench() -> SetArrays:
    """400 + 1,000 + 1,000 + 1,000 solutions; about 1.8 a problem in the third subset."""
    sizes = (400, 1000, 1000, 1000)
    group = np.repeat(np.arange(4), sizes)
    generator = np.random.default_rng(0)
    counts = generator.integers(3, 13, len(group))
    first = np.where(generator.random(len(group)) < 0.65, (generator.random(len(group)) * counts).astype(int), -1)
    problem = np.where(group == 2, 10_000 + np.arange(len(group)) // 2, np.arange(len(group)))
    names = ("gsm8k", "math", "olympiadbench", "omnimath")
    return arrays("first_error", counts, first, problem, names, group)


def prmbench() -> SetArrays:
    """6,216 items of nine classes, 83,456 steps."""
    n, steps = 6_216, 83_456
    generator = np.random.default_rng(0)
    counts = np.full(n, steps // n)
    counts[: steps - counts.sum()] += 1
    group = np.arange(n) % 9
    first = np.where(group == 8, -1, (generator.random(n) * counts).astype(int))
    return arrays("every_step", counts, first, np.arange(n) // 9, tuple(SHORT), group)


def arrays(kind, counts, first, problem, names, group) -> SetArrays:
    index = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    at = np.repeat(first, counts)
    after = -2 if kind == "first_error" else 1
    ratings = np.where((at < 0) | (index < at), 1, np.where(index == at, -1, after))
    _, problem = np.unique(problem, return_inverse=True)
    nothing = np.full(len(counts), -1)
    ids = tuple(map(str, range(len(counts))))
    lengths = np.random.default_rng(2).integers(20, 400, len(index))
    final = np.full(len(counts), np.nan)
    return SetArrays("random", kind, ids, counts, lengths, first, ratings, problem, names, group, nothing, final)


if __name__ == "__main__":
    main()
