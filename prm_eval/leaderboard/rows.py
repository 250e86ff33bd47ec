"""From a results folder to the entries of its boards: what is read, measured (elsewhere) and put in order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from threadpoolctl import threadpool_limits

from prm_eval.errors import PrmEvalError
from prm_eval.evaluation.measured import Floats, Measured, Standing, board_settings
from prm_eval.evaluation.pool_arrays import load_arrays
from prm_eval.evaluation.yardstick import Yardstick
from prm_eval.leaderboard.words import slug
from prm_eval.leaderboard.workers import Workers, workers
from prm_eval.pools.pool import Pool
from prm_eval.rewards.files.reward_file import RewardFile
from prm_eval.submissions import RegisteredPool, Submission, Suspicion, registered_pools, suspicions
from prm_eval.submissions.checking.refused import screened
from prm_eval.submissions.readers import read_submission

# submissions a process measures together, sharing the draws of their votes
CHUNK = 40
# so many are measured here: starting processes takes longer
FEW = 12


@dataclass(frozen=True)
class Entry:
    """One submission on a board.

    Attributes:
        slug: The name of its page's file.
        submission: What was submitted.
        measured: What its rewards are worth by themselves.
        standing: What they are worth beside the others.
        suspicions: What looks odd in them.
    """

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
    """One pool with all that was submitted to it.

    Attributes:
        pool: As registered.
        yardstick: The pool itself, with its baselines.
        entries: Best first.
    """

    pool: RegisteredPool
    yardstick: Yardstick
    entries: tuple[Entry, ...]


@dataclass(frozen=True)
class BoardWithoutPool:
    """A registered pool that is not at hand, so that nothing can be computed for it."""

    pool: RegisteredPool


class Boards:
    """The boards of a results folder, one after the other, each with its workers (none where its pool is not at hand).

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

    def __iter__(self) -> Iterator[tuple[Board, Workers] | BoardWithoutPool]:
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
            if pool.pool is None:
                yield self._without_pool(pool, found[name])
                continue
            with self._board(pool, pool.pool, found[name]) as board:
                yield board

    def _leave_out(self, folder: Path, why: object) -> None:
        place = ascii(folder.relative_to(self._results).as_posix())[1:-1]  # a stranger's name; it may not even be text
        text = " ".join(str(why).split()).replace(f"{self._results}/", "").replace(f"{place}/", "")
        text = text.removeprefix(f"{place}: ").encode("utf-8", "backslashreplace").decode("utf-8")
        self.left_out.append(LeftOut(place, text[:400]))

    def _without_pool(self, pool: RegisteredPool, submissions: Sequence[Submission]) -> BoardWithoutPool:
        for each in submissions:
            self._leave_out(each.folder, f"the pool {pool.pool_id} is not at hand, so that nothing can be computed")
        return BoardWithoutPool(pool)

    @contextmanager
    def _board(
        self, pool: RegisteredPool, at_hand: Pool, submissions: Sequence[Submission]
    ) -> Iterator[tuple[Board, Workers]]:
        opened = at_hand.require_sound()
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
        yardstick = Yardstick(arrays, board_settings(opened.info.m, pool.headline_n)).prepare()
        # many small products: threads within them, beside processes, would only wait for each other
        with threadpool_limits(1), workers(yardstick, self._jobs if len(submissions) > FEW else 1) as crew:
            size = max(1, min(CHUNK, -(-len(submissions) // self._jobs)))
            chunks = [submissions[first : first + size] for first in range(0, len(submissions), size)]
            measured = [one for chunk in crew.map(_measure, chunks) for one in chunk]
            good: list[tuple[Submission, Measured]] = []
            for submission, one in zip(submissions, measured, strict=True):
                if isinstance(one, str):
                    self._leave_out(submission.folder, one)
                else:
                    good.append((submission, one))
            yield Board(pool, yardstick, _in_order(yardstick, good)), crew


def _in_order(yardstick: Yardstick, good: Sequence[tuple[Submission, Measured]]) -> tuple[Entry, ...]:
    standings = yardstick.compare([measured for _, measured in good])
    column = yardstick.settings.column
    entries = [
        Entry(
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
            entries,
            key=lambda entry: (
                -round(entry.measured.bon.values[column], 9),
                entry.standing.best,
                entry.standing.worst,
                entry.slug,
            ),
        )
    )


def _measure(yardstick: Yardstick, submissions: Sequence[Submission]) -> list[Measured | str]:
    """Measure some submissions and ask what looks odd in them; errors travel between processes as text.

    An error of a sort that nobody foresaw costs the submission that makes it its place, and no other: one stranger's
    file must not keep the board from being built.
    """
    try:
        return _measure_together(yardstick, submissions)
    except Exception as error:
        if len(submissions) > 1:
            return [one for each in submissions for one in _measure(yardstick, [each])]
        return [f"rewards that the board fails on ({type(error).__name__}: {error})"]


def _measure_together(yardstick: Yardstick, submissions: Sequence[Submission]) -> list[Measured | str]:
    by_file = {id(each.rewards): each for each in submissions}

    def remark(file: RewardFile, rewards: Floats) -> list[Suspicion]:
        return suspicions(by_file[id(file)], yardstick.arrays.pool, rewards)

    measured = yardstick.measure([each.rewards for each in submissions], remark)
    return [str(each) if isinstance(each, PrmEvalError) else each for each in measured]
