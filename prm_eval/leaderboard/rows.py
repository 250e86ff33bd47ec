"""The entries of boards, read from a results folder, measured and put in order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

from threadpoolctl import threadpool_limits

from prm_eval.children.workers import Workers, workers, worth
from prm_eval.errors import PrmEvalError
from prm_eval.evaluation.measured import Floats, Measured, Standing, board_settings
from prm_eval.evaluation.pool_arrays import load_arrays
from prm_eval.evaluation.yardstick import Yardstick
from prm_eval.leaderboard.steps.rows import StepBoard, first_fault, step_board
from prm_eval.leaderboard.words import slug
from prm_eval.pools.pool import Pool
from prm_eval.rewards.files.reward_file import RewardFile
from prm_eval.rewards.files.step_arrays import StepArrays
from prm_eval.submissions import Fault, RegisteredPool, Submission, Suspicion, registered_pools, suspicions
from prm_eval.submissions.alike import Ordered, copies, ordered
from prm_eval.submissions.checking.check import Checker, Look, read_rows
from prm_eval.submissions.checking.reading import RowReader, with_rewards
from prm_eval.submissions.checking.refused import screened
from prm_eval.submissions.suspicion import of_steps

# submissions a process measures together, sharing the draws of their votes
CHUNK = 40
# whose measuring takes as long as the start of a process
FEW = 8


@dataclass(frozen=True)
class Entry:
    """One submission on a board.

    Attributes:
        slug: The name of its page's file.
        submission: The submission itself.
        measured: The measurements of its rewards by themselves.
        standing: Its standing beside the others.
        suspicions: The suspicions about its rewards.
    """

    slug: str
    submission: Submission
    measured: Measured
    standing: Standing
    suspicions: tuple[Suspicion, ...]

    @property
    def name(self) -> str:
        """The name ORGANISATION/MODEL."""
        return f"{self.submission.org}/{self.submission.model}"


@dataclass(frozen=True)
class LeftOut:
    """A folder that is not on the board, with the reason."""

    path: str
    why: str


@dataclass(frozen=True)
class Board:
    """One pool with all that was submitted to it.

    Attributes:
        pool: The pool as registered.
        yardstick: The pool itself, with its baselines.
        entries: The submissions, best first.
    """

    pool: RegisteredPool
    yardstick: Yardstick
    entries: tuple[Entry, ...]


@dataclass(frozen=True)
class BoardWithoutPool:
    """A registered pool that is not at hand, so that nothing can be computed for it."""

    pool: RegisteredPool


class Boards:
    """The boards of a results folder, one after the other, each with its workers.

    A pool that is not at hand has no board and no workers.

    Attributes:
        left_out: The folders with a fault; complete once all boards are read.

    Raises:
        PrmEvalError: The registry, or a registered pool, is faulty.
    """

    def __init__(self, results: Path, jobs: int = 1) -> None:
        self._results, self._jobs = results, jobs
        self._pools = registered_pools(results)
        self.left_out: list[LeftOut] = []
        if not self._pools:
            raise PrmEvalError(f"{results} has no pools: expected {results / 'pools'}/<pool-id>.json")

    def __iter__(self) -> Iterator[tuple[Board, Workers[Yardstick]] | BoardWithoutPool | StepBoard]:
        checker = Checker(self._results)
        with ExitStack() as stack:
            stack.callback(checker.close)
            readers = [checker.reader, *(stack.enter_context(RowReader()) for _ in range(self._jobs - 1))]
            seen = screened(checker)
            for path, faults in seen.refused.items():
                self._leave_out(path, first_fault(faults))
            found: dict[str, list[Look]] = {name: [] for name in self._pools}
            for look in seen.taken:
                if look.pool is not None:
                    found[look.pool.pool_id].append(look)
            for name, pool in self._pools.items():
                if pool.pool is None:
                    yield BoardWithoutPool(pool)
                    continue
                if pool.step_set is not None:
                    yield step_board(pool, pool.step_set, found[name], checker.reader, self._leave_out)
                    continue
                with self._board(pool, pool.pool, found[name], readers) as board:
                    yield board

    def _leave_out(self, folder: Path, why: object) -> None:
        # a stranger's name; it may not even be text
        place = ascii(folder.relative_to(self._results).as_posix())[1:-1]
        text = " ".join(str(why).split()).replace(f"{self._results}/", "").replace(f"{place}/", "")
        text = text.removeprefix(f"{place}: ").encode("utf-8", "backslashreplace").decode("utf-8")
        self.left_out.append(LeftOut(place, text[:400]))

    @contextmanager
    def _board(
        self, pool: RegisteredPool, at_hand: Pool, looks: Sequence[Look], readers: Sequence[RowReader]
    ) -> Iterator[tuple[Board, Workers[Yardstick]]]:
        opened = at_hand.require_sound()
        if opened.info.content_hash != pool.content_hash:
            raise PrmEvalError(
                f"{opened.path} has content hash {opened.info.content_hash}; the registry says {pool.content_hash}"
            )
        arrays = load_arrays(opened)
        for splitter in sorted({_splitter(look, opened) for look in looks if look.seen.about["kind"] == "prm"}):
            with suppress(PrmEvalError):
                # what cannot cut this pool is a fault of the submissions that name it
                arrays.prepare([splitter])
        yardstick = Yardstick(arrays, board_settings(opened.info.m, pool.headline_n)).prepare()
        jobs = worth(self._jobs, len(looks), FEW)
        # many small products: threads within them, beside processes, would only wait for each other
        with threadpool_limits(1), workers(yardstick, jobs) as crew:
            size = max(1, min(CHUNK, -(-len(looks) // jobs)))
            chunks = [looks[first : first + size] for first in range(0, len(looks), size)]
            reading = _Reading(opened, readers[:jobs])
            measured = [one for chunk in crew.map(_measure, map(reading.read, chunks)) for one in chunk]
            for folder, faults in reading.refused.items():
                self._leave_out(folder, first_fault(faults))
            good: list[tuple[Submission, Measured]] = []
            for submission, one in zip(reading.taken, measured, strict=True):
                if isinstance(one, str):
                    self._leave_out(submission.folder, one)
                else:
                    good.append((submission, one))
            yield Board(pool, yardstick, _in_order(yardstick, good)), crew


class _Reading:
    """The reading of submissions to one pool by limited children, chunk by chunk as the board needs them.

    Attributes:
        taken: The submissions that were read and are in order, without their rewards: all of them take much memory.
        refused: The faults of the others.
    """

    def __init__(self, pool: Pool, readers: Sequence[RowReader]) -> None:
        self._pool = pool
        self._jobs = len(readers)
        self._free: SimpleQueue[RowReader] = SimpleQueue()
        for reader in readers:
            self._free.put(reader)
        self.taken: list[Submission] = []
        self.refused: dict[Path, list[Fault]] = {}

    def read(self, looks: Sequence[Look]) -> list[Submission]:
        """Return those of some submissions that are in order, with their rewards."""
        with ThreadPoolExecutor(self._jobs) as threads:
            found = list(threads.map(self._read, looks))
        good = []
        for look, one in zip(looks, found, strict=True):
            if one is None:
                self.refused[look.folder] = look.refused()
            else:
                submission, steps = one
                self.taken.append(submission)
                good.append(with_rewards(submission, steps))
        return good

    def _read(self, look: Look) -> tuple[Submission, StepArrays] | None:
        reader = self._free.get()
        try:
            return read_rows(look, self._pool, reader)
        finally:
            self._free.put(reader)


def _splitter(look: Look, pool: Pool) -> str:
    return str(look.seen.about["splitter"] or pool.info.splitter)


@dataclass(frozen=True)
class _Seen:
    """What is seen in the rewards of one submission: suspicions, and the order that is compared with others."""

    suspicions: tuple[Suspicion, ...]
    order: Ordered


def _in_order(yardstick: Yardstick, good: Sequence[tuple[Submission, Measured]]) -> tuple[Entry, ...]:
    standings = yardstick.compare([measured for _, measured in good])
    seen: list[_Seen] = [measured.remarks[0] for _, measured in good]
    alike = copies([each.order for each in seen])
    column = yardstick.settings.column
    entries = [
        Entry(
            slug(f"{each.org}__{each.model}", each.revision, each.pool_id),
            each,
            measured,
            standing,
            (*own.suspicions, *others),
        )
        for (each, measured), standing, own, others in zip(good, standings, seen, alike, strict=True)
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
    """Return the measurements of some submissions, with suspicions; an error is text, to go between processes.

    An unforeseen error costs only the submission that causes it its place: one stranger's file must not keep the board
    from being built.
    """
    try:
        return _measure_together(yardstick, submissions)
    except Exception as error:
        if len(submissions) > 1:
            return [one for each in submissions for one in _measure(yardstick, [each])]
        return [f"rewards that the board fails on ({type(error).__name__}: {error})"]


def _measure_together(yardstick: Yardstick, submissions: Sequence[Submission]) -> list[Measured | str]:
    by_file = {id(each.rewards): each for each in submissions}

    def remark(file: RewardFile, rewards: Floats) -> list[_Seen]:
        each = by_file[id(file)]
        doubts = suspicions(each, yardstick.arrays.pool, rewards, yardstick.settings.headline_n)
        doubts += of_steps(each, yardstick.arrays.pool, yardstick.arrays.scored_steps(file, rewards))
        return [_Seen(tuple(doubts), ordered(each, rewards))]

    measured = yardstick.measure([each.rewards for each in submissions], remark)
    return [str(each) if isinstance(each, PrmEvalError) else each for each in measured]
