"""What generative verifiers wrote, kept beside their rewards: ``judgements.jsonl``, one candidate a line.

It is for people, and decides nothing: rewards are complete without it. While a run goes on it is a journal
(:mod:`prm_eval.store.journal`), which is continued with the run; at the end it becomes plain JSON lines in one step. A
submission has no such file, because strangers' texts do not go on a board: what was written for one is kept in
``RESULTS/judgements`` instead.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any

from prm_eval.errors import DataError
from prm_eval.records import Candidate, Judged, Judgement, StepRewards
from prm_eval.store.journal import Journal
from prm_eval.store.jsonl import read_jsonl
from prm_eval.store.writing import replacing

FILE = "judgements.jsonl"
JOURNAL = "judgements.partial.jsonl"
# characters kept of one judgement; a server may send ten million
MOST_TEXT = 100_000


def judgements_path(folder: Path) -> Path:
    """Return the place of the judgements of a reward folder: in it, or for a submission in ``RESULTS/judgements``."""
    parts = folder.absolute().parts
    if len(parts) > 4 and parts[-4] == "submissions":
        return Path(*parts[:-4], "judgements", *parts[-3:-1], f"{parts[-1]}.jsonl")
    return folder / FILE


class JudgementJournal:
    """The judgements of a scoring run as they come; the file is made when the first one does.

    Args:
        folder: The reward folder.
        key: The model, the options and the pool.
        done: How many candidates are finished, whose rewards an earlier run kept; judgements on others are dropped.

    Raises:
        DataError: A line of an earlier run is damaged.
    """

    def __init__(self, folder: Path, key: dict[str, Any], done: int) -> None:
        self.folder, self._key = folder, key
        self._journal: Journal | None = None
        if not (folder / JOURNAL).is_file():
            return
        journal = self._opened()
        if journal.header.get("key") != key:
            journal.restart({"key": key})
        journal.keep(sum(1 for _, fields in journal.records() if fields["at"] < done))

    def append(self, done: int, rows: Sequence[tuple[Candidate, StepRewards]]) -> None:
        """Add the judgements on the candidates that follow the first ``done``; they are on disk when this returns."""
        lines = [
            {"at": done + place, **_row(candidate, result.judged)}
            for place, (candidate, result) in enumerate(rows)
            if result.judged is not None
        ]
        if lines:
            self._opened().append(lines)

    def finish(self) -> None:
        """Turn the journal into JSON lines at their place; nothing where no judgement was made."""
        if self._journal is None:
            return
        path = judgements_path(self.folder)
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as stream:
            for _, fields in self._journal.records():
                row = {name: value for name, value in fields.items() if name != "at"}
                stream.write(json.dumps(row, sort_keys=True).encode() + b"\n")
        self._journal.close()
        (self.folder / JOURNAL).unlink(missing_ok=True)

    def _opened(self) -> Journal:
        if self._journal is None:
            busy = f"another process is scoring into {self.folder}; wait for it, or give another folder"
            self._journal = Journal(self.folder / JOURNAL, {"key": self._key}, busy=busy)
        return self._journal

    def __enter__(self) -> JudgementJournal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._journal is not None:
            self._journal.close()


def _row(candidate: Candidate, judged: Judged) -> dict[str, Any]:
    votes = [asdict(each) | {"text": each.text[:MOST_TEXT]} for each in judged.votes]
    return {
        "problem_id": candidate.problem_id,
        "candidate_id": candidate.candidate_id,
        "spread": judged.spread,
        "votes": votes,
    }


def judged_fields(judged: Judged | None) -> dict[str, Any] | None:
    """Return judgements as JSON values, for another process."""
    return None if judged is None else asdict(judged)


def judged_from(fields: dict[str, Any] | None) -> Judged | None:
    """Return the judgements of :func:`judged_fields`, or of a line of the file."""
    if fields is None:
        return None
    return Judged(tuple(Judgement(**each) for each in fields["votes"]), fields["spread"])


def read_judgements(folder: Path) -> Iterator[tuple[str, str, Judged]]:
    """Yield the (problem id, candidate id, judgements) of a reward folder; nothing where it has none.

    Raises:
        DataError: A line is not one of this file.
    """
    path = judgements_path(folder)
    if not path.is_file():
        return
    for row, fields in read_jsonl(path):
        judged = _checked(fields)
        if judged is None:
            raise DataError(path, row, "a line without problem_id, candidate_id, spread and votes", "judgements")
        yield fields["problem_id"], fields["candidate_id"], judged


def _checked(fields: dict[str, Any]) -> Judged | None:
    votes, spread = fields.get("votes"), fields.get("spread")
    named = all(isinstance(fields.get(name), str) for name in ("problem_id", "candidate_id"))
    if not named or not isinstance(votes, list) or not (spread is None or isinstance(spread, (int, float))):
        return None
    for each in votes:
        if not isinstance(each, dict) or set(each) != set(Judgement.__dataclass_fields__):
            return None
        read = each["read"]
        if not isinstance(each["text"], str) or not (read is None or isinstance(read, (int, float))):
            return None
    return judged_from(fields)


def judged_lines(folder: Path) -> list[str]:
    """Return in words how the judgements of a reward folder went; empty where it has none."""
    candidates = votes = unread = cut = 0
    spreads: list[float] = []
    for _, _, judged in read_judgements(folder):
        candidates, votes = candidates + 1, votes + len(judged.votes)
        unread += sum(each.read is None for each in judged.votes)
        cut += sum(each.cut for each in judged.votes)
        spreads += [] if judged.spread is None else [judged.spread]
    if not votes:
        return []
    lines = [f"{votes:,} on {candidates:,} candidates, in {judgements_path(folder)}"]
    if unread:
        lines.append(f"nothing could be read of {unread:,} of them; {cut:,} were cut off before their end")
    if spreads:
        lines.append(f"spread over the votes of a candidate: {statistics.fmean(spreads):.3f} on average")
    return lines
