"""A stranger's ``submission.json`` is read once: what was checked is what is shown, though the file may change in
between."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from prm_eval.leaderboard.rows import Boards
from prm_eval.rewards import RewardFile
from prm_eval.submissions import Options, check_submission
from prm_eval.submissions.readers import read_submission
from prm_eval.submissions.records import Submission
from tests.leaderboard.board import Model as Hub
from tests.leaderboard.board import add_submission, edit_json, make_results, twin_pool

_counting: list[Counter[str]] = []


def _hook(event: str, arguments: tuple[object, ...]) -> None:
    if event == "open" and _counting and isinstance(arguments[0], (str, Path)):
        _counting[-1][str(arguments[0])] += 1


sys.addaudithook(_hook)  # sees every way to open a file; it cannot be removed, and counts nothing outside a test


@contextmanager
def opened() -> Iterator[Counter[str]]:
    """Count how often each file is opened."""
    _counting.append(Counter())
    try:
        yield _counting[-1]
    finally:
        _counting.pop()


class Other(Hub):
    """Another model, with rewards that are hardly others."""

    def describe(self):
        return super().describe() | {"id": "some-org/other"}

    def score(self, items):
        return [replace(each, values=tuple(value * 1.000001 for value in each.values)) for each in super().score(items)]


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> Path:
    """A results folder with two submissions in order."""
    folder = tmp_path_factory.mktemp("once")
    make_results(folder / "results")
    other = add_submission(folder / "results", twin_pool(folder / "pool"), Other(), "some-org/other")
    edit_json(other / "submission.json", run__resumed=1)
    return folder / "results"


def times(counted: Counter[str], name: str = "submission.json") -> list[int]:
    return [count for path, count in sorted(counted.items()) if path.endswith(name)]


def test_the_rows_of_a_board_are_made_of_one_reading(results: Path) -> None:
    """Three readings were three chances to show another file than the one that was checked."""
    with opened() as counted:
        ((board, _),) = list(Boards(results))
    assert len(board.entries) == 2
    assert times(counted) == [1, 1]


def test_the_board_sees_another_models_rewards_in_another_dress(results: Path) -> None:
    """``check`` refuses equal bytes alone; a copy with other last digits ranks as its original does."""
    ((board, _),) = list(Boards(results))
    for entry, other in zip(board.entries, reversed(board.entries), strict=True):
        (found,) = [each for each in entry.suspicions if each.name == "alike"]
        assert other.name in found.text


def test_a_submission_and_its_rewards_are_one_reading(results: Path) -> None:
    """The reward file takes what was read; whoever opens one alone reads it from the folder, and sees the same."""
    folder = next(iter(sorted(results.glob("submissions/*/*/*"))))
    with opened() as counted:
        one: Submission = read_submission(folder)
    assert times(counted) == [1]
    alone = RewardFile(folder).info
    ours = one.rewards.info
    assert (ours.name, ours.kind, ours.splitter, ours.pool_hash) == (
        alone.name,
        alone.kind,
        alone.splitter,
        alone.pool_hash,
    )
    assert {key: ours.model[key] for key in alone.model} == alone.model
    assert {key: ours.run[key] for key in alone.run} == alone.run
    with opened() as counted:
        again = read_submission(folder, one.file)
    assert times(counted) == [] and again.rewards.info == ours


def test_a_check_reads_it_once(results: Path) -> None:
    """All faults of one state of the file, not some of each of two."""
    folder = next(iter(sorted(results.glob("submissions/*/*/*"))))
    with opened() as counted:
        assert check_submission(folder, results, Options()) == []
    assert times(counted) == [1]
