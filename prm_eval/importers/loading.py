"""The loading of an import's problems: in this process, or, where every row is a problem, in several."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from functools import partial
from operator import attrgetter
from typing import Any, TypeVar

from prm_eval.children.workers import in_blocks, workers, worth
from prm_eval.errors import DataError
from prm_eval.importers.common import ImportedProblem, Reader, RewardColumn, Wanted
from prm_eval.importers.rows import RowReader, fails
from prm_eval.importers.sources import HubFile, Place, Source
from prm_eval.records import Candidate, GradeRow, StepRewards

Record = TypeVar("Record")

Load = Callable[[], ImportedProblem]
"""What gives one problem, or raises its fault."""

# bytes of a file whose loading takes as long as the start of a process
BYTES_A_PROCESS = 4 * 1024 * 1024
# rows that are loaded at a time: one may hold thousands of texts
ROWS_A_BLOCK = 4


@contextmanager
def loading(reader: Reader, source: Source, wanted: Wanted, jobs: int) -> Iterator[Iterable[Load]]:
    """Provide what gives the problems of a source, in its order.

    Args:
        reader: The reader of the source.
        source: The source.
        wanted: What the user asks; it learns which fields of scores there are.
        jobs: The number of processes.
    """
    jobs = worth(jobs, _size(source), BYTES_A_PROCESS) if isinstance(reader, RowReader) else 1
    if jobs == 1 or not isinstance(reader, RowReader):
        yield reader.problems(wanted)
        return
    with workers(_Reading(reader, wanted), jobs) as crew:
        yield _loaded(crew.map(_read, in_blocks(source.places(), ROWS_A_BLOCK)), wanted)


def _size(source: Source) -> int:
    """Return the bytes of the files; 0 for a dataset of the hub, whose rows no other process has."""
    if any(isinstance(file, HubFile) for file in source.files):
        return 0
    return sum(file.path.stat().st_size for file in source.files)


@dataclass(frozen=True)
class _Reading:
    """What a worker needs to read a row."""

    reader: RowReader
    wanted: Wanted


@dataclass(frozen=True)
class _Read:
    """What became of some rows, and the fields of scores that they have."""

    problems: list[_Sent | DataError]
    scores: frozenset[str]


def _read(reading: _Reading, places: Sequence[Place]) -> _Read:
    found: list[_Sent | DataError] = []
    for place in places:
        try:
            found.append(_sent(reading.reader.read(place.load(), reading.wanted)))
        except DataError as error:
            found.append(error)
    return _Read(found, reading.wanted.scores.used)


def _loaded(blocks: Iterable[_Read], wanted: Wanted) -> Iterator[Load]:
    for block in blocks:
        wanted.scores.use(block.scores)
        for each in block.problems:
            yield partial(fails, each) if isinstance(each, DataError) else partial(_received, each)


Columns = tuple[tuple[Any, ...], ...]

_OF_CANDIDATE, _OF_GRADE, _OF_REWARDS = (
    attrgetter(*(each.name for each in fields(kind))) for kind in (Candidate, GradeRow, StepRewards)
)


@dataclass(frozen=True)
class _Sent:
    """A problem on its way between processes: as columns, since the pickling of records takes several times as long.

    Attributes:
        problem: The problem without candidates, grades and rewards.
        candidates: The fields of its candidates.
        grades: Those of its grades; None where it has none.
        rewards: Each column of rewards without its values, the candidates that have some, and the fields of these.
    """

    problem: ImportedProblem
    candidates: Columns
    grades: Columns | None
    rewards: dict[str, tuple[RewardColumn, tuple[bool, ...], Columns]]


def _sent(one: ImportedProblem) -> _Sent:
    rewards = {}
    for name, column in one.rewards.items():
        there = [each for each in column.values if each is not None]
        flags = tuple(each is not None for each in column.values)
        rewards[name] = (replace(column, values=()), flags, _columns(_OF_REWARDS, there))
    return _Sent(
        replace(one, candidates=(), grades=None, rewards={}),
        _columns(_OF_CANDIDATE, one.candidates),
        None if one.grades is None else _columns(_OF_GRADE, one.grades),
        rewards,
    )


def _columns(of: Callable[[Any], Any], records: Sequence[Any]) -> Columns:
    return tuple(zip(*map(of, records), strict=True))


def _received(sent: _Sent) -> ImportedProblem:
    rewards = {}
    for name, (column, flags, columns) in sent.rewards.items():
        there = iter(_records(StepRewards, columns))
        rewards[name] = replace(column, values=tuple(next(there) if flag else None for flag in flags))
    return replace(
        sent.problem,
        candidates=_records(Candidate, sent.candidates),
        grades=None if sent.grades is None else _records(GradeRow, sent.grades),
        rewards=rewards,
    )


def _records(kind: type[Record], columns: Columns) -> tuple[Record, ...]:
    return tuple(map(kind, *columns)) if columns else ()
