"""From a results folder to the rows of its boards: what is read, measured (elsewhere) and put in order."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_limits

from prm_eval.errors import PrmEvalError
from prm_eval.evaluation.measured import Floats, Measured, Standing, board_settings
from prm_eval.evaluation.pool_arrays import load_arrays
from prm_eval.evaluation.yardstick import Yardstick
from prm_eval.leaderboard.words import slug
from prm_eval.rewards.files.reward_file import RewardFile
from prm_eval.submissions import RegisteredPool, Submission, Suspicion, registered_pools, suspicions
from prm_eval.submissions.checking.refused import screened
from prm_eval.submissions.readers import read_submission

CHUNK = 40  # submissions a process measures together, sharing the draws of their votes
FEW = 12  # so many are measured here: starting processes takes longer

Map = Callable[[Callable[[Any], Any], Sequence[Any]], Iterator[Any]]


@dataclass(frozen=True)
class Row:
    """One submission on a board."""

    slug: str
    submission: Submission
    measured: Measured
    standing: Standing
    suspicions: tuple[Suspicion, ...]

    @property
    def name(self) -> str:
        """ORGANISATION/MODEL."""
        return f"{self.submission.org}/{self.submission.model}"


@dataclass(frozen=True)
class LeftOut:
    """A folder that is not on the board, and why."""

    path: str
    why: str


@dataclass(frozen=True)
class Board:
    """One pool with all that was submitted to it, best first; ``yardstick`` is None where the pool is not at hand."""

    pool: RegisteredPool
    yardstick: Yardstick | None
    rows: tuple[Row, ...]


class Boards:
    """The boards of a results folder, one after the other, each with a way to map work over its processes.

    Attributes:
        left_out: What has a fault; complete once all boards were read.

    Raises:
        PrmEvalError: The registry, or a registered pool, is faulty.
    """

    def __init__(self, results: Path, jobs: int = 1) -> None:
        self._results, self._jobs = results, jobs
        self._pools = registered_pools(results)
        self.left_out: list[LeftOut] = []
        if not self._pools:
            raise PrmEvalError(f"{results} has no pools: expected {results / 'pools'}/<pool-id>.json")

    def __iter__(self) -> Iterator[tuple[Board, Map]]:
        found: dict[str, list[Submission]] = {name: [] for name in self._pools}
        seen = screened(self._results, self._pools)
        for path, faults in seen.refused.items():
            more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
            self._leave_out(path, f"{faults[0]}{more}")
        for folder, file in seen.taken.items():
            try:
                submission = read_submission(folder, file)
                found[submission.pool_id].append(submission)
            except PrmEvalError as error:
                self._leave_out(folder, error)
        for name, pool in self._pools.items():
            with self._board(pool, found[name]) as board:
                yield board

    def _leave_out(self, folder: Path, why: object) -> None:
        place = ascii(folder.relative_to(self._results).as_posix())[1:-1]  # a stranger's name; it may not even be text
        text = " ".join(str(why).split()).replace(f"{self._results}/", "").replace(f"{place}/", "")
        text = text.removeprefix(f"{place}: ").encode("utf-8", "backslashreplace").decode("utf-8")
        self.left_out.append(LeftOut(place, text[:400]))

    @contextmanager
    def _board(self, pool: RegisteredPool, submissions: list[Submission]) -> Iterator[tuple[Board, Map]]:
        if pool.pool is None:
            for each in submissions:
                self._leave_out(each.folder, f"the pool {pool.pool_id} is not at hand, so that nothing can be computed")
            yield Board(pool, None, ()), _here
            return
        opened = pool.pool.require_sound()
        if opened.info.content_hash != pool.content_hash:
            raise PrmEvalError(
                f"{opened.path} has content hash {opened.info.content_hash}; the registry says {pool.content_hash}"
            )
        arrays = load_arrays(opened)
        splitters = {
            each.rewards.info.splitter or opened.info.splitter
            for each in submissions
            if each.rewards.info.kind == "prm"
        }
        arrays.prepare(splitters)
        yardstick = Yardstick(arrays, board_settings(opened.info.m, pool.headline_n))
        yardstick.baselines  # noqa: B018  (made once, before it goes to other processes)
        # many small products: threads within them, beside processes, would only wait for each other
        with threadpool_limits(1), _processes(yardstick, self._jobs if len(submissions) > FEW else 1) as mapping:
            size = max(1, min(CHUNK, -(-len(submissions) // self._jobs)))
            chunks = [submissions[first : first + size] for first in range(0, len(submissions), size)]
            measured = [one for chunk in mapping(_measure, chunks) for one in chunk]
            good: list[tuple[Submission, Measured]] = []
            for submission, one in zip(submissions, measured, strict=True):
                if isinstance(one, str):
                    self._leave_out(submission.folder, one)
                else:
                    good.append((submission, one))
            yield Board(pool, yardstick, _in_order(yardstick, good)), mapping


def _in_order(yardstick: Yardstick, good: Sequence[tuple[Submission, Measured]]) -> tuple[Row, ...]:
    standings = yardstick.compare([measured for _, measured in good])
    column = yardstick.settings.column
    rows = [
        Row(
            slug(f"{each.org}__{each.model}", each.revision, each.pool_id),
            each,
            measured,
            standing,
            measured.remarks,
        )
        for (each, measured), standing in zip(good, standings, strict=True)
    ]
    return tuple(
        sorted(
            rows,
            key=lambda row: (
                -round(row.measured.bon.values[column], 9),
                row.standing.best,
                row.standing.worst,
                row.slug,
            ),
        )
    )


_yardstick: Yardstick | None = None


def _start(yardstick: Yardstick) -> None:
    global _yardstick
    _yardstick = yardstick


def _start_process(yardstick: Yardstick) -> None:
    threadpool_limits(1)
    _start(yardstick)


def the_yardstick() -> Yardstick:
    """Return the yardstick of the board at work, in whichever process this is."""
    if _yardstick is None:
        raise RuntimeError("no board is at work")
    return _yardstick


def _measure(submissions: Sequence[Submission]) -> list[Measured | str]:
    """Measure some submissions and ask what looks odd in them; errors travel between processes as text.

    An error of a sort that nobody foresaw costs the submission that makes it its place, and no other: one stranger's
    file must not keep the board from being built.
    """
    try:
        return _measure_together(submissions)
    except Exception as error:
        if len(submissions) > 1:
            return [one for each in submissions for one in _measure([each])]
        return [f"rewards that the board fails on ({type(error).__name__}: {error})"]


def _measure_together(submissions: Sequence[Submission]) -> list[Measured | str]:
    yardstick = the_yardstick()
    by_file = {id(each.rewards): each for each in submissions}

    def remark(file: RewardFile, rewards: Floats) -> list[Suspicion]:
        return suspicions(by_file[id(file)], yardstick.arrays.pool, rewards)

    measured = yardstick.measure([each.rewards for each in submissions], remark)
    return [str(each) if isinstance(each, PrmEvalError) else each for each in measured]


def _here(work: Callable[[Any], Any], items: Sequence[Any]) -> Iterator[Any]:
    return map(work, items)


@contextmanager
def _processes(yardstick: Yardstick, jobs: int) -> Iterator[Map]:
    _start(yardstick)
    if jobs < 2:
        yield _here
        return
    context = multiprocessing.get_context("spawn")  # a forked child may inherit locks of Arrow's threads
    with ProcessPoolExecutor(jobs, mp_context=context, initializer=_start_process, initargs=(yardstick,)) as executor:
        yield lambda work, items: executor.map(work, items)
