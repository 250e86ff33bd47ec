"""Limits and p where few problems differ: how often they hold the truth, and how often they leave out 0 for nothing.

    OMP_NUM_THREADS=1 python benchmarks/limits.py [--runs 600]

The pools are made up: a share of P problems differs by a whole point, upwards with a given probability. docs/numbers.md
quotes the figures; all take about two CPU minutes.
"""

from __future__ import annotations

import argparse

import numpy as np

from prm_eval.evaluation.stats import ClusterBootstrap, sign_flip_p

PROBLEMS = (35, 60, 300)
# problems that differ, and how often it is upwards
KINDS = ((4, 0.5), (10, 0.5), (20, 0.5), (10, 0.8))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=600, help="pools of each kind (default: %(default)s)")
    options = parser.parse_args()
    print("problems  differing  upwards | limits hold  limits exclude 0  p <= 0.05  disagree")
    generator = np.random.default_rng(0)
    for problems in PROBLEMS:
        for differing, upwards in KINDS:
            found = np.mean([one(problems, differing, upwards, generator, run) for run in range(options.runs)], axis=0)
            cells = "".join(f"{each:>{width}.3f}" for each, width in zip(found, (13, 18, 11, 10), strict=True))
            print(f"{problems:>8}{differing:>11}{upwards:>9} |{cells}")


def one(
    problems: int, differing: int, upwards: float, generator: np.random.Generator, seed: int
) -> tuple[bool, bool, bool, bool]:
    """Return whether limits hold the truth, whether they exclude 0, whether p does, and whether these two disagree."""
    share = differing / problems
    signs = np.where(generator.random(problems) < upwards, 1.0, -1.0)
    gaps = np.where(generator.random(problems) < share, signs, 0.0)
    truth = share * (2 * upwards - 1)
    bootstrap = ClusterBootstrap(problems, seed=seed, resamples=1_000)
    found = bootstrap.difference(np.maximum(gaps, 0), np.maximum(-gaps, 0))
    by_limits = found.low > 0 or found.high < 0
    by_p = sign_flip_p(gaps, seed=seed, resamples=1_000) <= 0.05
    return found.low <= truth + 1e-12 and truth <= found.high + 1e-12, by_limits, by_p, by_limits != by_p


if __name__ == "__main__":
    main()
