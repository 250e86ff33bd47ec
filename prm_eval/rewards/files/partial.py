"""The partial file of a scoring run: the finished candidates in the pool's order, so that an interrupted run goes on.

``rewards.partial.jsonl`` is a journal (:mod:`prm_eval.store.journal`): its first line says which model and pool it is
for, then comes a line a candidate. Nothing that was finished is computed again. Files of versions whose lines had no
checksum are continued.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

from prm_eval.errors import DataError, OtherRewards
from prm_eval.records import Candidate, StepRewards
from prm_eval.store.journal import Journal, unseal_or_plain

START_AGAIN = "Remove the file to start again."
Row = tuple[int, tuple[str, str], StepRewards]  # (1-based row, (problem id, candidate id), rewards)


class PartialFile:
    """The finished candidates of a run, opened for appending.

    Args:
        folder: The reward folder.
        key: What must be equal for the lines to be of use: model, options and pool.

    Raises:
        PrmEvalError: Another process is scoring into the folder.
        DataError: A damaged line.
        OtherRewards: The file is of another run.
    """

    def __init__(self, folder: Path, key: dict[str, Any]) -> None:
        self.path = folder / "rewards.partial.jsonl"
        busy = f"another process is scoring into {folder}; wait for it, or give another folder"
        self._journal = Journal(self.path, {"key": key}, busy=busy, reader=unseal_or_plain)
        if self._journal.header.get("key") == key:
            return
        if self._journal.count == 0:  # nothing was finished: the command is corrected, not continued
            self._journal.restart({"key": key})
            return
        self._journal.close()
        raise OtherRewards(
            f"{self.path} is from an interrupted run with another model, other options or another pool. "
            "Finish it with those, or remove the file to start again."
        )

    @property
    def done(self) -> int:
        """How many candidates are finished."""
        return self._journal.count

    def append(self, rows: Iterable[tuple[Candidate, StepRewards]]) -> None:
        """Add candidates; they are on disk when this returns."""
        self._journal.append(_line(candidate, result) for candidate, result in rows)

    def keep(self, count: int) -> None:
        """Cut off what follows the first ``count`` candidates."""
        self._journal.keep(count)

    def rows(self) -> Iterator[Row]:
        """Yield every finished candidate.

        Raises:
            DataError: A damaged line.
        """
        for row, fields in self._journal.records():
            if not isinstance(fields.get("v"), list):
                raise DataError(self.path, row, "a damaged line", "a line of rewards", START_AGAIN)
            rewards = StepRewards(tuple(fields["v"]), fields["r"], fields["t"], fields["h"])
            yield row, (fields["p"], fields["c"]), rewards

    def __enter__(self) -> PartialFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._journal.close()


def _line(candidate: Candidate, result: StepRewards) -> dict[str, Any]:
    return {
        "c": candidate.candidate_id,
        "h": result.input_hash,
        "p": candidate.problem_id,
        "r": result.refusal,
        "t": result.n_tokens,
        "v": list(result.values),
    }
