"""Processes that hold a board's pool: results out of order, or a wait for a dead process, would spoil or stop a
board."""

from __future__ import annotations

import os
import signal
import time

import pytest

from prm_eval.children.workers import workers, worth
from prm_eval.errors import DataError, PrmEvalError
from prm_eval.evaluation.measured import board_settings
from prm_eval.evaluation.pool_arrays import load_arrays
from prm_eval.evaluation.yardstick import Yardstick
from prm_eval.pools.pool import Pool
from tests.leaderboard.leaderboards import demo_results


@pytest.fixture(scope="module")
def yardstick(tmp_path_factory) -> Yardstick:
    results = demo_results(tmp_path_factory.mktemp("workers") / "results")
    return Yardstick(load_arrays(Pool(results / "pools" / "demo-35x4")), board_settings(4)).prepare()


def slow_square(yardstick: Yardstick, number: int) -> tuple[int, int, int]:
    """The first item is the slowest: whoever takes what is ready first has it last."""
    time.sleep(0.5 if number == 0 else 0.0)
    return number**2, yardstick.arrays.info.m, os.getpid()


def prepared(yardstick: Yardstick, number: int) -> bool:
    return bool(yardstick._baselines)


def faulty(yardstick: Yardstick, number: int) -> int:
    if number == 3:
        raise DataError("rewards.parquet", 4, "a word", "a number")
    return number


def unforeseen(yardstick: Yardstick, number: int) -> int:
    return 1 // (number - 3)


def dies(yardstick: Yardstick, number: int) -> int:
    if number == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


@pytest.mark.parametrize("jobs", [1, 2])
def test_results_come_in_order_from_whoever_has_the_pool(yardstick, jobs) -> None:
    with workers(yardstick, jobs) as crew:
        for _ in range(2):  # the same processes serve again
            found = list(crew.map(slow_square, range(7)))
            assert [each[:2] for each in found] == [(number**2, 4) for number in range(7)]
            assert len({pid for *_, pid in found}) == jobs
        assert list(crew.map(slow_square, [])) == []
        assert all(crew.map(prepared, range(4)))  # no process computes the baselines again


@pytest.mark.parametrize(
    ("work", "error", "says"),
    [
        (faulty, PrmEvalError, "rewards.parquet, row 4: found a word; expected a number."),
        (unforeseen, RuntimeError, r"(?s)a worker process failed:.*in unforeseen.*ZeroDivisionError"),
        (dies, PrmEvalError, "ended with status -9 .* expected 0.* try again with --jobs 1"),
    ],
)
def test_an_error_in_a_process_is_said_here(yardstick, work, error, says) -> None:
    """Else a board waits for ever, or an error loses the place where it happened."""
    with pytest.raises(error, match=says), workers(yardstick, 2) as crew:
        list(crew.map(work, range(8)))


def test_two_boards_at_once_keep_their_pools(yardstick, tmp_path) -> None:
    """With the pool in a module, the second board's work was done on whichever was set last."""
    results = demo_results(tmp_path / "results")
    other = Yardstick(load_arrays(Pool(results / "pools" / "demo-35x8")), board_settings(8)).prepare()
    with workers(yardstick, 1) as four, workers(other, 1) as eight:
        pairs = list(zip(four.map(slow_square, [1, 2]), eight.map(slow_square, [1, 2]), strict=True))
    assert [(one[1], two[1]) for one, two in pairs] == [(4, 8), (4, 8)]


def late(shared: int, number: int) -> int:
    """The earlier of two faulty items is the slower one."""
    time.sleep(0.5 if number == 2 else 0.0)
    if number in (2, 3):
        raise DataError("a.jsonl", number, "a word", "a number")
    return shared + number


def items(broken_at: int):
    for number in range(6):
        if number == broken_at:
            raise DataError("items.jsonl", number, "bytes", "text")
        yield number


@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize(
    ("broken_at", "says"), [(9, "a.jsonl, row 2"), (3, "a.jsonl, row 2"), (1, "items.jsonl, row 1")]
)
def test_the_first_error_is_said_whoever_meets_it_first(jobs, broken_at, says) -> None:
    """Else the error of a faulty file would depend on the number of processes; so would what came before it."""
    found = []
    with pytest.raises(DataError, match=says) as caught, workers(10, jobs) as crew:
        for each in crew.map(late, items(broken_at)):
            found.append(each)
    assert found == [10, 11][: min(broken_at, 2)]
    assert caught.value.row == int(says[-1])


def test_few_pieces_start_no_process() -> None:
    """The start of a process takes longer than a small job."""
    assert [worth(4, size, 100) for size in (0, 99, 199, 200, 399, 10_000)] == [1, 1, 1, 2, 3, 4]
