"""The partial file of a scoring run: the finished candidates in the pool's order, so that an interrupted run goes on.

``rewards.partial.jsonl`` has a first line that says which model and pool it is for and then a line a candidate. One
process at a time may write it. A line that was not finished is cut off; nothing that was finished is computed again.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from prm_eval.errors import DataError, OtherRewards, PrmEvalError
from prm_eval.records import Candidate, StepRewards
from prm_eval.store.jsonl import canonical_json, parse_line

START_AGAIN = "Remove the file to start again."
Row = tuple[int, tuple[str, str], StepRewards]  # (1-based row, (problem id, candidate id), rewards)


class PartialFile:
    """The finished candidates of a run, opened for appending.

    Args:
        folder: The reward folder.
        key: What must be equal for the lines to be of use: model, options and pool.

    Raises:
        PrmEvalError: Another process is scoring into the folder.
        OtherRewards: The file is of another run.
    """

    def __init__(self, folder: Path, key: dict[str, Any]) -> None:
        self.path = folder / "rewards.partial.jsonl"
        self._log = self.path.open("ab")
        try:
            _lock(self._log, folder)
            self.done = _load(self.path, key)
            if self.path.stat().st_size == 0:
                self._write([{"key": key}])
        except BaseException:
            self._log.close()
            raise

    def append(self, rows: Iterable[tuple[Candidate, StepRewards]]) -> None:
        """Add candidates; they are on disk when this returns."""
        lines = [_line(candidate, result) for candidate, result in rows]
        self._write(lines)
        self.done += len(lines)

    def _write(self, lines: list[dict[str, Any]]) -> None:
        self._log.write(b"".join(map(canonical_json, lines)))
        self._log.flush()
        os.fsync(self._log.fileno())

    def keep(self, count: int) -> None:
        """Cut off what follows the first ``count`` candidates."""
        if count >= self.done:
            return
        with self.path.open("rb") as log:
            size = sum(len(next(log)) for _ in range(count + 1))
        self._log.truncate(size)
        self.done = count

    def rows(self) -> Iterator[Row]:
        """Yield every finished candidate.

        Raises:
            DataError: A damaged line.
        """
        with self.path.open("rb") as log:
            next(log)
            for row, line in enumerate(log, 2):
                fields = json.loads(line)
                if not isinstance(fields, dict) or not isinstance(fields.get("v"), list):
                    raise DataError(self.path, row, "a damaged line", "a line of rewards", START_AGAIN)
                rewards = StepRewards(tuple(fields["v"]), fields["r"], fields["t"], fields["h"])
                yield row, (fields["p"], fields["c"]), rewards

    def __enter__(self) -> PartialFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._log.close()


def _line(candidate: Candidate, result: StepRewards) -> dict[str, Any]:
    return {
        "c": candidate.candidate_id,
        "h": result.input_hash,
        "p": candidate.problem_id,
        "r": result.refusal,
        "t": result.n_tokens,
        "v": list(result.values),
    }


def _load(partial: Path, key: dict[str, Any]) -> int:
    """Return how many candidates an interrupted run finished, after cutting off a line it did not finish writing."""
    lines = whole = 0
    header: dict[str, Any] = {}
    with partial.open("r+b") as log:
        for line in log:
            if not line.endswith(b"\n"):
                break
            if lines == 0:
                header = parse_line(partial, 1, line)
            lines, whole = lines + 1, whole + len(line)
        log.truncate(whole)
    if lines == 0:
        return 0
    if header.get("key") != key and lines == 1:  # nothing was finished: the command is corrected, not continued
        with partial.open("r+b") as log:
            log.truncate(0)
        return 0
    if header.get("key") != key:
        raise OtherRewards(
            f"{partial} is from an interrupted run with another model, other options or another pool. "
            "Finish it with those, or remove the file to start again."
        )
    return lines - 1


def _lock(log: IO[bytes], folder: Path) -> None:
    """Let one process at a time score into a folder; the lock ends with the process, however it ends.

    Raises:
        PrmEvalError: Another one is at it.
    """
    try:
        fcntl.flock(log, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise PrmEvalError(f"another process is scoring into {folder}; wait for it, or give another folder") from None
