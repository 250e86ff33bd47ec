"""The partial file of a scoring run: its finished candidates in the pool's order, so that the run can be continued.

``rewards.partial.jsonl`` is a journal (:mod:`prm_eval.store.journal`): its first line names the model and the pool, and
each further line holds a candidate. Finished candidates are not computed again. Files of older versions, whose lines
have no checksum, are continued too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

from prm_eval.errors import DataError, OtherRewards
from prm_eval.records import Candidate, StepRewards
from prm_eval.rewards.files.differences import difference
from prm_eval.store.journal import Journal, unseal_or_plain

START_AGAIN = "Remove the file to start again."
ROWS = "rewards.partial.jsonl"
"""The name of the file."""
Row = tuple[int, tuple[str, str], StepRewards]  # (1-based row, (problem id, candidate id), rewards)


class PartialFile:
    """The finished candidates of a run, opened for appending.

    Args:
        folder: The reward folder.
        key: The model, the options and the pool, which must be the same for the lines to be of use.

    Raises:
        PrmEvalError: Another process is scoring into the folder.
        DataError: A line is damaged.
        OtherRewards: The file is of another run.
    """

    def __init__(self, folder: Path, key: dict[str, Any]) -> None:
        self.path = folder / ROWS
        busy = f"another process is scoring into {folder}; wait for it, or give another folder"
        self._journal = Journal(self.path, {"key": key}, busy=busy, reader=unseal_or_plain)
        if self._journal.header.get("key") == key:
            return
        # nothing was scored: the user has corrected the command
        if all(rewards.refusal is not None for _, _, rewards in self.rows()):
            self._journal.restart({"key": key})
            return
        self._journal.close()
        found = self._journal.header.get("key")
        differs = difference(found, key) if isinstance(found, dict) else None
        raise OtherRewards(
            f"{self.path} is from an interrupted run with another model, other options or another pool"
            f"{': ' + differs if differs else ''}. Finish it with those, or remove the file to start again."
        )

    @property
    def done(self) -> int:
        """The number of finished candidates."""
        return self._journal.count

    def append(self, rows: Iterable[tuple[Candidate, StepRewards]]) -> None:
        """Add candidates; they are on disk when this returns."""
        self._journal.append(_line(candidate, result) for candidate, result in rows)

    def keep(self, count: int) -> None:
        """Remove all candidates after the first ``count``."""
        self._journal.keep(count)

    def remove(self) -> None:
        """Remove the file, because its candidates are in a reward file that is on the disk."""
        self.path.unlink(missing_ok=True)

    def rows(self) -> Iterator[Row]:
        """Yield every finished candidate.

        Raises:
            DataError: A line is damaged.
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
