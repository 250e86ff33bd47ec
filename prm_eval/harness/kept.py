"""Candidates of an unfinished run: the journals of one task, one a rank, from the first reply until all is selected.

``DUMP_DIR/TASK/journal/NAME.rank0.jsonl``, where NAME stands for the policy and the generation arguments: those of
another policy have another name and are never read. What the records of a journal (:mod:`prm_eval.store.journal`) say:

* ``{"p": problem id, "k": hash of the prompt, "t": text}``: a candidate that came back;
* ``{"seed": ...}``: the seed of what follows, where it is known;
* ``{"pool": folder, "of": [[problem id, hash], ...], "m": M}``: the candidates of these problems are in that pool, which
  has them in the order of their slots: a run that goes on makes the same pool, and finds the rewards it has already;
* ``{"finished": [[problem id, hash], ...], "m": M}``: these problems are done with.

When every candidate of every journal of a name is finished, the journals go.
"""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from prm_eval.errors import PrmEvalError
from prm_eval.harness.policy_identity import differences, identity_name
from prm_eval.pools.pool import Pool
from prm_eval.store.journal import Journal, read_journal, remove_unless_open

logger = logging.getLogger(__name__)

FORMAT = "prm_eval.candidates/1"
SYNC_SECONDS = 1.0  # a power cut costs at most so much; a killed process nothing
MEMORY = Path("/dev/shm")  # noqa: S108  (memory, when disks are full)
Key = tuple[str, str]  # (problem id, hash of the rendered prompt)


def prompt_hash(context: Any) -> str:
    """Return what stands for a rendered prompt: text, or the chat messages that lm_eval sends to an API."""
    return hashlib.sha256(str(getattr(context, "prompt", context)).encode("utf-8", "surrogatepass")).hexdigest()[:32]


class KeptCandidates:
    """The candidates that came back for one task and policy, on disk as they come.

    Args:
        parent: The folder of the task's pools.
        identity: Of the policy and the generation arguments (:mod:`prm_eval.harness.policy_identity`).
        rank: Of this process; each rank writes a journal of its own and reads those of all, also of an earlier run with
            another number of ranks.

    Attributes:
        texts: What earlier runs left, by problem and prompt.
        seeds: Seeds that earlier runs used.

    Raises:
        PrmEvalError: Another process is writing this rank's journal.
        DataError: A damaged line in the middle of a journal.
    """

    def __init__(self, parent: Path, identity: Mapping[str, Any], rank: int = 0) -> None:
        self.parent, self.folder = parent, parent / "journal"
        self.identity, self.name, self.rank = dict(identity), identity_name({"format": FORMAT, **identity}), rank
        self.path = self.folder / f"{self.name}.rank{rank}.jsonl"
        self.texts: dict[Key, list[str]] = {}
        self.seeds: list[Any] = []
        self.written = 0
        self._pending: list[dict[str, Any]] = []  # came back, and no disk took them yet
        self._spilled = False
        self._journal: Journal | None = None
        self._remove_finished()
        self._read()

    def open(self) -> KeptCandidates:
        """Begin to write; a disk that refuses is said, and does not stop the run.

        Raises:
            PrmEvalError: Another process is writing this journal.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._journal = self._new(self.path)
        except OSError as error:
            self._spill(error)
        return self

    def add(self, key: Key, text: str) -> None:
        """Keep a candidate; when this returns it outlives the process, unless a warning said otherwise."""
        self._append({"p": key[0], "k": key[1], "t": text})
        self.written += 1

    def note_seed(self, seed: Any) -> None:
        """Record the seed of what follows."""
        self.seeds.append(seed)
        self._append({"seed": seed})

    def in_pool(self, pool: Pool, keys: Iterable[Key]) -> None:
        """Record that the candidates of these problems are in a pool, which the disk has."""
        self._append({"pool": pool.path.name, "of": [list(key) for key in keys], "m": pool.info.m})

    def finish(self, keys: Iterable[Key], m: int) -> None:
        """Record that these problems are done with, close, and remove the journals if nothing in them is left to do."""
        self._append({"finished": [list(key) for key in keys], "m": m})
        self.close()
        self._remove_finished()

    def close(self) -> None:
        """Close the journal; the candidates stay for the next run."""
        if self._journal is not None:
            self._journal.close()

    @property
    def writing_to(self) -> Path | None:
        """The file that takes candidates now; None where only memory does."""
        return self._journal.path if self._journal is not None and not self._pending else None

    def others(self) -> Iterator[str]:
        """Yield, for each other policy or setting with candidates in this folder, how many there are and how it differs."""
        found: dict[str, tuple[int, dict[str, Any]]] = {}
        for path in sorted(self.folder.glob("*.jsonl")):
            name = path.name.partition(".")[0]
            if name == self.name:
                continue
            try:
                rows = [fields for _, fields in read_journal(path)]
            except PrmEvalError as error:  # not this run's affair
                logger.info("a journal of another policy is damaged: %s", error)
                continue
            count = sum("t" in fields for fields in rows)
            if rows and count:
                found[name] = (found.get(name, (0, {}))[0] + count, rows[0].get("identity", {}))
        for name, (count, theirs) in found.items():
            yield (
                f"{count:,} candidates of another policy or other settings ({differences(self.identity, theirs)}) stay "
                f"in {self.folder / name}.*.jsonl and are not used"
            )

    def _files(self) -> list[Path]:
        spilled = [self._journal.path] if self._journal is not None and self._spilled else []
        return sorted(self.folder.glob(f"{self.name}.*.jsonl")) + spilled

    def _read(self) -> None:
        in_pools: dict[str, set[Key]] = {}
        for path in self._files():
            for _, fields in read_journal(path):
                if "t" in fields:
                    self.texts.setdefault((fields["p"], fields["k"]), []).append(fields["t"])
                elif "seed" in fields:
                    self.seeds.append(fields["seed"])
                elif "pool" in fields:
                    in_pools.setdefault(fields["pool"], set()).update((each[0], each[1]) for each in fields["of"])
        for name, keys in in_pools.items():
            self._take_from_pool(self.parent / name, keys)

    def _take_from_pool(self, path: Path, keys: set[Key]) -> None:
        """Take the candidates of a pool in the order of their slots, unless the pool is gone or damaged."""
        try:
            stored = {problem.problem_id: candidates for problem, candidates in Pool(path).require_sound()}
        except (PrmEvalError, OSError) as error:
            logger.info("the journal is used in place of a pool that cannot be read: %s", error)
            return
        for key in keys:
            texts = [candidate.text for candidate in stored.get(key[0], ())]
            if len(texts) >= len(self.texts.get(key, ())):
                self.texts[key] = texts

    def _new(self, path: Path) -> Journal:
        busy = (
            f"another run is writing {path}. Wait for it, or give this one another folder: --metadata dump_dir=FOLDER"
        )
        header = {"format": FORMAT, "identity": self.identity, "rank": self.rank}
        return Journal(path, header, busy=busy, lock=fcntl.lockf, sync_seconds=SYNC_SECONDS)

    def _append(self, record: dict[str, Any]) -> None:
        self._pending.append(record)
        try:
            if self._journal is None:
                self._journal = self._new(self.path)
            self._journal.append(self._pending)
        except OSError as error:
            if not self._spilled:
                self._spill(error)
        else:
            self._pending = []

    def _spill(self, refusal: OSError) -> None:
        """Go on in another place, once; where no place takes it, in memory, trying the disk again with each candidate."""
        self._spilled = True
        self.close()
        for place in (Path(tempfile.gettempdir()), MEMORY):
            try:
                folder = Path(tempfile.mkdtemp(prefix="prm_eval-", dir=place))
                other = self._new(folder / f"{self.name}.rank{self.rank}.more-{os.urandom(4).hex()}.jsonl")
                other.append(self._pending)
            except OSError:
                continue
            logger.critical(
                "%s cannot be written (%s): candidates are kept in %s from here on, and nothing is lost. If this run is "
                "cut off, free some space, then: mv %s %s/ and the same command again",
                self.path, refusal.strerror or refusal, other.path, other.path, self.folder,
            )  # fmt: skip
            self._journal, self._pending = other, []
            return
        self._journal = None
        logger.critical(
            "%s cannot be written (%s), nor can %s and %s: candidates are in memory only, and lost if this process is "
            "killed. Free some space: each new candidate tries the disk again.",
            self.path, refusal.strerror or refusal, tempfile.gettempdir(), MEMORY,
        )  # fmt: skip

    def _remove_finished(self) -> None:
        """Remove the journals of this name if all their candidates are finished."""
        files = self._files()
        try:
            if files and _all_finished(files):
                for path in files:
                    remove_unless_open(path)
                if self.folder.is_dir() and not any(self.folder.iterdir()):
                    self.folder.rmdir()
        except OSError as error:
            logger.warning("the journal of a finished run could not be removed from %s: %s", self.folder, error)


def _all_finished(files: Sequence[Path]) -> bool:
    """Say whether every candidate is of a finished problem, within its M; an empty journal may be of a run that begins."""
    counts: Counter[Key] = Counter()
    finished: dict[Key, int] = {}
    for path in files:
        for _, fields in read_journal(path):
            if "t" in fields:
                counts[fields["p"], fields["k"]] += 1
            for each in fields.get("finished", ()):
                finished[each[0], each[1]] = max(fields["m"], finished.get((each[0], each[1]), 0))
    return bool(finished) and all(count <= finished.get(key, 0) for key, count in counts.items())
