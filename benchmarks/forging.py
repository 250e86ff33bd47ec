"""How often rewards made from grades plus noise are flagged, and what they gain: a table for every pool.

python benchmarks/forging.py POOL [POOL ...]      pools with grades (own); stored reward files in them are shown as well
"""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

import numpy as np

from prm_eval.evaluation.curves import graded_slots
from prm_eval.pools.pool import Pool
from prm_eval.rewards import RewardFile
from prm_eval.selection.accuracies import best_of_n_table
from prm_eval.submissions.suspicion import _found, blindness, pool_facts

SIGMAS = (0.0, 0.1, 0.3, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 20.0)
TRIALS = 20


def main(paths: list[str]) -> None:
    for path in paths:
        pool = Pool(path)
        facts = pool_facts(str(pool.path), pool.info.content_hash)
        mean, oracle = facts.correct.mean(), facts.correct.any(axis=1).mean()
        mixed = int((facts.correct.any(axis=1) & ~(facts.correct | ~facts.present).all(axis=1)).sum())
        m = pool.info.m
        print(
            f"\n{Path(path).name}: {pool.info.n_problems} problems ({mixed} mixed) x {m}; mean {mean:.3f}, pass@{m} "
            f"{oracle:.3f}"
        )
        for folder in pool.reward_folders():
            rewards = RewardFile(folder)
            table = np.stack([each.rewards[rewards.name].rewards for each in graded_slots(pool, "own", [rewards])])
            flags = ", ".join(each.name for each in _found(table, facts)) or "none"
            print(
                f"  {folder.name:>14}: chi-square {blindness(table, facts.cells) or float('nan'):8.1f}, flags {flags}"
            )
        generator = np.random.default_rng(0)
        for sigma in SIGMAS:
            flagged, names, gain = 0, Counter(), 0.0
            for _ in range(TRIALS):
                table = facts.correct + sigma * generator.standard_normal(facts.correct.shape)
                table[~facts.present] = np.nan
                found = [each.name for each in _found(table, facts)]
                flagged += bool(found)
                names.update(found)
                gain += best_of_n_table(np.where(facts.answered, table, np.nan), facts.correct, [m]).mean() - mean
            listed = ", ".join(f"{name} {count}" for name, count in names.most_common())
            print(
                f"  noise {sigma:>4}: flagged {flagged:>2} of {TRIALS}, bon@{m} {gain / TRIALS:+.3f} over the mean  "
                f"({listed})"
            )


if __name__ == "__main__":
    main(sys.argv[1:])
