"""Best-of-n curves of one pool: our closed form beside random draws, on the same data in the same run.

The draws are what the evaluation of Lightman et al. 2023 does: for every n and every trial, shuffle each problem's
candidates, take the first n, leave out the missing ones, choose the largest reward, look whether it is correct.
Two peers do this:

* ``plain``: lists, ``random.shuffle`` and ``max``, as a straightforward evaluation script has it;
* ``numpy``: the same draws for all problems at once, as fast as we know how to write them.

Peers are always timed in full: nothing here is extrapolated. Example of a short run::

    OMP_NUM_THREADS=1 python benchmarks/curves.py --problems 50 --m 200 --draws 40
"""

from __future__ import annotations

import argparse
import operator
import os
import platform
import random
import time
from collections.abc import Callable

import numpy as np
from tqdm import tqdm

from prm_eval.selection.accuracies import best_of_n_table, subsampling_sd
from prm_eval.selection.subsets import rank_probabilities

PAPER_NS = (10, 25, 50, 75, 100, 200, 300, 400, 500, 750, 1000, 1250, 1500, 1860)
MISSING = 0.02
TIED_PROBLEMS = 0.2  # share of problems whose rewards are rounded to three digits, and so full of ties
REPETITIONS = 20
BLOCK = 64  # problems the numpy peer draws at a time: they stay in the processor's cache


class Timer:
    """Wall and processor seconds of a block; processor seconds do not count what other programs took."""

    def __enter__(self) -> Timer:
        self._start = time.perf_counter(), time.process_time()
        return self

    def __exit__(self, *rest: object) -> None:
        self.wall = time.perf_counter() - self._start[0]
        self.cpu = time.process_time() - self._start[1]


def make_pool(problems: int, m: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return (problems, m) rewards, NaN where a slot is missing, and whether each candidate is correct."""
    rng = np.random.default_rng(seed)
    easiness = rng.beta(0.6, 1.4, size=(problems, 1))  # mean 0.3, with many hopeless and some sure problems
    correct = rng.random((problems, m)) < easiness
    logits = rng.normal(size=(problems, m)) + 0.8 * correct
    rewards = 1 / (1 + np.exp(-logits))
    tied = rng.random(problems) < TIED_PROBLEMS
    rewards[tied] = rewards[tied].round(3)
    missing = rng.random((problems, m)) < MISSING
    rewards[missing] = np.nan
    return rewards, correct & ~missing


def time_exact(rewards: np.ndarray, correct: np.ndarray, ns: tuple[int, ...]) -> tuple[np.ndarray, Timer, Timer]:
    """Return (problems, len(ns)) accuracies, the time of the first call, and the best of several later ones.

    The table of rank probabilities is built anew in each of them.
    """
    timers: list[Timer] = []
    for _ in range(REPETITIONS + 1):
        rank_probabilities.cache_clear()
        with Timer() as timer:
            values = best_of_n_table(rewards, correct, ns)
        timers.append(timer)
    return values, timers[0], min(timers[1:], key=lambda each: each.wall)


def plain_peer(rewards: np.ndarray, correct: np.ndarray, seed: int) -> Callable[[int], float]:
    """Return the function that draws once, from lists of (reward, correct), None where missing."""
    pool = [
        [None if reward != reward else (reward, right) for reward, right in zip(*rows, strict=True)]
        for rows in zip(rewards.tolist(), correct.tolist(), strict=True)
    ]
    shuffle, reward_of = random.Random(seed).shuffle, operator.itemgetter(0)

    def draw(n: int) -> float:
        right = 0
        for candidates in pool:
            shuffle(candidates)
            present = [each for each in candidates[:n] if each is not None]
            if present:
                right += max(present, key=reward_of)[1]  # the first of tied ones, in shuffled order
        return right / len(pool)

    return draw


def numpy_peer(rewards: np.ndarray, correct: np.ndarray, seed: int) -> Callable[[int], float]:
    """Return the function that draws once, for all problems together.

    A candidate is one 64-bit number: a random key above, the place of its reward and its correctness in the low bits.
    The n smallest keys are the first n of a random order: a partition finds them, no shuffle is needed. Equal rewards
    have the same place; of those the smallest key is the first in the random order.
    """
    rng = np.random.Generator(np.random.SFC64(seed))
    codes, bits = _codes(rewards, correct)
    low = np.uint64(2**bits - 1)

    def draw(n: int) -> float:
        return sum(_draw_block(rng, codes[i : i + BLOCK], low, n) for i in range(0, len(codes), BLOCK)) / len(codes)

    return draw


def _codes(rewards: np.ndarray, correct: np.ndarray) -> tuple[np.ndarray, int]:
    """Return 2 * place + correct for every candidate, and its bits; place 0 is the largest reward, missing are last."""
    codes = np.empty(rewards.shape, dtype=np.uint64)
    for row, code, right in zip(rewards, codes, correct, strict=True):
        code[:] = 2 * np.unique(-row, return_inverse=True)[1] + right  # numpy puts NaN last, as one place
    return codes, int(codes.max()).bit_length()


def _draw_block(rng: np.random.Generator, codes: np.ndarray, low: np.uint64, n: int) -> int:
    """Return how many problems of a block are right; missing candidates are marked as not correct."""
    keys = rng.integers(0, 2**64 - 1, codes.shape, dtype=np.uint64, endpoint=True)
    keys &= ~low
    keys |= codes
    if n < keys.shape[1]:
        keys.partition(n - 1, axis=1)
    drawn = keys[:, :n]
    place = (drawn & low) >> np.uint64(1)
    tied = place == place.min(axis=1, keepdims=True)
    first = np.where(tied, drawn, np.uint64(2**64 - 1)).min(axis=1)
    return int((first & np.uint64(1)).sum())


PEERS = {"plain": plain_peer, "numpy": numpy_peer}


def time_draws(
    name: str, rewards: np.ndarray, correct: np.ndarray, ns: tuple[int, ...], draws: int, seed: int
) -> tuple[np.ndarray, Timer]:
    """Return (draws, len(ns)) accuracies of a peer and its time, setting up included."""
    found = np.empty((draws, len(ns)))
    with Timer() as timer, tqdm(total=draws * len(ns), desc=f"{name} draws", mininterval=2.0) as bar:
        draw = PEERS[name](rewards, correct, seed)
        for column, n in enumerate(ns):
            for trial in range(draws):
                found[trial, column] = draw(n)
                bar.update()
    return found, timer


def in_standard_errors(exact: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """Return |exact - mean of draws| in standard errors of that mean; 0 where they agree and nothing varies."""
    difference = np.abs(exact - draws.mean(axis=0))
    error = draws.std(axis=0, ddof=1) / np.sqrt(len(draws))
    return np.where(difference < 1e-12, 0.0, difference / np.maximum(error, 1e-300))


def print_curves(ns: tuple[int, ...], values: np.ndarray, found: dict[str, np.ndarray]) -> None:
    """Print one line per n: exact accuracy and SD, and for every peer its mean, its distance from ours, and its SD."""
    exact, sds = values.mean(axis=0), [subsampling_sd(column) for column in values.T]
    head = "".join(f" | {name + ' mean':>10} {'off by':>8} {'SD':>8}" for name in found)
    print(f"\n{'n':>5} {'exact':>8} {'SD':>8}{head}")
    distances = {name: in_standard_errors(exact, draws) for name, draws in found.items()}
    for i, n in enumerate(ns):
        cells = "".join(
            f" | {draws[:, i].mean():>10.5f} {distances[name][i]:>5.2f} SE {draws[:, i].std(ddof=1):>8.5f}"
            for name, draws in found.items()
        )
        print(f"{n:>5} {exact[i]:>8.5f} {sds[i]:>8.5f}{cells}")
    for name, draws in found.items():
        known = np.array(sds) > 0
        ratio = draws.std(axis=0, ddof=1)[known] / np.array(sds)[known]
        print(
            f"{name}: the exact value is at most {distances[name].max():.2f} standard errors from the mean of "
            f"{len(draws)} draws; SD of draws / our SD: {ratio.min():.3f} to {ratio.max():.3f}"
        )


def print_times(draws: int, cold: Timer, best: Timer, peers: dict[str, Timer]) -> None:
    """Print seconds and ratios; the ratio divides by our best repetition, and beside it by our first call."""
    print(f"\n{'':<32} {'wall s':>12} {'CPU s':>12} {'wall ratio':>11} {'CPU ratio':>11} {'to first call':>14}")
    print(f"{'closed form, first call':<32} {cold.wall:>12.5f} {cold.cpu:>12.5f}")
    print(f"{f'closed form, best of {REPETITIONS}':<32} {best.wall:>12.5f} {best.cpu:>12.5f}")
    for name, timer in peers.items():
        ratios = f"{timer.wall / best.wall:>11,.0f} {timer.cpu / best.cpu:>11,.0f} {timer.wall / cold.wall:>14,.0f}"
        print(f"{f'{name}, {draws} draws per n':<32} {timer.wall:>12.3f} {timer.cpu:>12.3f} {ratios}")
    if draws != 400:
        print(f"Only {draws} draws per n were run, not the paper's 400; nothing is scaled up.")


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--problems", type=int, default=500)
    parser.add_argument("--m", type=int, default=1860, help="slots a problem; values of n above it are left out")
    parser.add_argument("--draws", type=int, default=400, help="draws for every n (at least 2)")
    parser.add_argument("--peer", choices=("plain", "numpy", "both"), default="both")
    parser.add_argument("--seed", type=int, default=20_230_531)
    options = parser.parse_args()
    ns = tuple(n for n in PAPER_NS if n <= options.m)
    if not ns or options.draws < 2 or options.problems < 1:
        parser.error(f"expected --m of at least {PAPER_NS[0]}, --draws of at least 2, --problems of at least 1")

    rewards, correct = make_pool(options.problems, options.m, options.seed)
    threads = os.environ.get("OMP_NUM_THREADS", "not set")
    software = f"Python {platform.python_version()}, numpy {np.__version__}"
    print(f"{software}, {os.cpu_count()} cores, OMP_NUM_THREADS={threads}")
    print(
        f"{options.problems:,} problems x {options.m:,} slots, {np.isnan(rewards).mean():.1%} missing, "
        f"mean accuracy {correct.mean():.3f}, {len(ns)} values of n, seed {options.seed}",
        flush=True,
    )
    values, cold, best = time_exact(rewards, correct, ns)
    found: dict[str, np.ndarray] = {}
    timers: dict[str, Timer] = {}
    for name in ("numpy", "plain") if options.peer == "both" else (options.peer,):
        found[name], timers[name] = time_draws(name, rewards, correct, ns, options.draws, options.seed)
    print_curves(ns, values, found)
    print_times(options.draws, cold, best, timers)


if __name__ == "__main__":
    main()
