"""Scores on disk, found by what was computed: runs resume, and a second pool computes only its new candidates.

A cache is a folder with one append-only text file a model. Each line is sealed like one of a journal
(:mod:`prm_eval.store.journal`); its record has the key ``k`` and the values ``v``. A key is the SHA-256 of the model's
identity (recipe or class, revision, weight hashes, dtype, device, versions), the token ids and the read positions:
nothing else decides a score. A line that is cut off or damaged is ignored, and its score is computed again. Several
processes may write at once; each knows the scores that were there when it began and those that it adds itself.
"""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from prm_eval.errors import PrmEvalError
from prm_eval.rewards.inputs.rendered import Rendered
from prm_eval.store.journal import seal, unseal
from prm_eval.store.jsonl import canonical_json
from prm_eval.store.writing import write_json

logger = logging.getLogger(__name__)

# of one model's file, about four million candidates; further scores are computed but not kept
MAX_BYTES = 1 << 30
FORMAT = "prm_eval.scores/1"

Values = tuple[float, ...]


def identity_hash(identity: Mapping[str, Any]) -> str:
    """Return the hexadecimal SHA-256 of a model's identity, which decides its numbers."""
    return hashlib.sha256(canonical_json(dict(identity))).hexdigest()


def score_key(identity: str, rendered: Rendered) -> str:
    """Return the key of a score: the hexadecimal SHA-256 of the model's identity, the ids and the read positions."""
    digest = hashlib.sha256(bytes.fromhex(identity))
    for numbers in (rendered.ids, rendered.positions):
        digest.update(struct.pack(f"<{len(numbers) + 1}I", len(numbers), *numbers))
    return digest.hexdigest()


class ScoreFile:
    """An append-only file of scores.

    Args:
        path: The path of the file, which is made when the first score is added.
        identity: The hash of the model's identity (:func:`identity_hash`).
        max_bytes: The size beyond which nothing is added.
        durable: Whether every addition waits for the disk, so that not even a power cut loses scores.
    """

    def __init__(self, path: Path, identity: str, *, max_bytes: int = MAX_BYTES, durable: bool = False) -> None:
        self.path, self.identity, self.max_bytes, self.durable = path, identity, max_bytes, durable
        self.damaged = 0
        self.hits = 0
        self._scores: dict[bytes, Values] = self._read() if path.is_file() else {}
        self._full = False

    def __len__(self) -> int:
        return len(self._scores)

    def get(self, rendered: Rendered) -> Values | None:
        """Return the values of a candidate, or None if they are not known."""
        values = self._scores.get(bytes.fromhex(score_key(self.identity, rendered)))
        self.hits += values is not None
        return values

    def add(self, scores: Mapping[Rendered, Values]) -> None:
        """Append scores in one write; a process that is killed at any moment loses at most these.

        Raises:
            PrmEvalError: The file cannot be written.
        """
        lines, new = [], {}
        for rendered, values in scores.items():
            key = score_key(self.identity, rendered)
            if (short := bytes.fromhex(key)) not in self._scores:
                lines.append(seal({"k": key, "v": list(values)}))
                new[short] = tuple(values)
        if not lines or self._full:
            return
        try:
            self._append(b"".join(lines))
        except OSError as error:
            raise PrmEvalError(f"scores cannot be kept in {self.path}: {error.strerror or error}") from error
        self._scores |= new

    def clear(self) -> None:
        """Delete all scores, because they are kept elsewhere now."""
        self._scores = {}
        self.path.unlink(missing_ok=True)

    def _append(self, data: bytes) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a+b") as file:
            # the lock ends with the process, however that ends
            fcntl.flock(file, fcntl.LOCK_EX)
            size = file.seek(0, os.SEEK_END)
            if size + len(data) > self.max_bytes:
                self._full = True
                logger.warning("%s has reached %d bytes: further scores are not kept in it", self.path, self.max_bytes)
                return
            if size:
                file.seek(size - 1)
                # another process was killed while it wrote: its last line ends here
                if file.read(1) != b"\n":
                    data = b"\n" + data
            file.write(data)
            file.flush()
            if self.durable:
                os.fsync(file.fileno())

    def _read(self) -> dict[bytes, Values]:
        scores: dict[bytes, Values] = {}
        with self.path.open("rb") as file:
            for line in file:
                fields = unseal(line)
                if fields is None:
                    self.damaged += 1
                else:
                    scores[bytes.fromhex(fields["k"])] = tuple(fields["v"])
        if self.damaged:
            logger.warning(
                "%s: %d damaged lines are left out; their scores are computed again", self.path, self.damaged
            )
        return scores


def make_folder(folder: str | Path) -> Path:
    """Return the folder of a cache, which is made and checked before anything is computed.

    Raises:
        PrmEvalError: It cannot be made or written.
    """
    place, why = Path(folder), "not writable"
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        why = error.strerror or str(error)
    if not place.is_dir() or not os.access(place, os.W_OK):
        raise PrmEvalError(f"--cache {folder}: {why}; give a folder that can be written")
    return place


def open_cache(folder: str | Path, identity: Mapping[str, Any]) -> ScoreFile:
    """Return the score file of a model in a cache folder; a JSON file beside it says which model that is.

    Raises:
        PrmEvalError: The folder cannot be made or written.
    """
    place, name = make_folder(folder), identity_hash(identity)
    try:
        described = place / f"{name[:16]}.json"
        if not described.exists():
            write_json(described, {"format": FORMAT, "model": dict(identity)})
    except OSError as error:
        raise PrmEvalError(f"--cache {folder}: {error.strerror or error}; give a folder that can be written") from error
    return ScoreFile(place / f"{name[:16]}.scores", name)
