"""Examples on disk: token ids, target positions and targets in flat files that are mapped, not read.

A training of any size holds its index in memory, some tens of bytes an example, and no text.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

from prm_eval.store.json_files import read_own_json
from prm_eval.store.writing import NewFile, write_json

SCHEMA = "prm_eval.training_examples/1"
DESCRIPTION = "examples.json"
Ints = npt.NDArray[np.int64]
COLUMNS: dict[str, Any] = {
    "ids": np.int32, "positions": np.int32, "targets": np.float32, "n_ids": np.int32, "n_targets": np.int32,
    "problem": np.uint64, "sample": np.int64, "prefix": np.uint64,
}  # fmt: skip
"""The files and their types: ids, positions and targets one after the other; the others one an example, but for
``prefix``, a hash of what stands before each target."""


@dataclass(frozen=True)
class Example:
    """One example: the ids, where the head is read, and the targets there."""

    ids: tuple[int, ...]
    positions: tuple[int, ...]
    targets: tuple[float, ...]
    problem: int
    sample: int
    prefixes: tuple[int, ...]


class ExampleWriter:
    """A writer of examples; the folder is complete only with its description, which is written last."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        (folder / DESCRIPTION).unlink(missing_ok=True)
        self._files = {name: NewFile(folder / f"{name}.bin") for name in COLUMNS}
        self._open = True
        self.n = 0

    def add(self, one: Example) -> None:
        """Add an example."""
        self._put("ids", one.ids)
        self._put("positions", one.positions)
        self._put("targets", one.targets)
        self._put("prefix", one.prefixes)
        self._put("n_ids", (len(one.ids),))
        self._put("n_targets", (len(one.targets),))
        self._put("problem", (one.problem,))
        self._put("sample", (one.sample,))
        self.n += 1

    def _put(self, name: str, values: tuple[Any, ...]) -> None:
        self._files[name].stream.write(np.asarray(values, dtype=COLUMNS[name]).tobytes())

    def close(self, about: dict[str, Any]) -> None:
        """Complete the folder, with what its reader should know."""
        self._open = False
        for file in self._files.values():
            file.keep()
        write_json(self.folder / DESCRIPTION, {"schema": SCHEMA, "n": self.n, "about": about})

    def __enter__(self) -> ExampleWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._open:
            for file in self._files.values():
                file.drop()


def is_complete(folder: Path) -> bool:
    """Say whether a folder holds complete examples."""
    return (folder / DESCRIPTION).is_file()


class Examples:
    """Examples, opened for reading.

    Args:
        folder: The folder of an :class:`ExampleWriter`.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        found = read_own_json(folder / DESCRIPTION, (SCHEMA,), "examples of a training")
        self.about: dict[str, Any] = found["about"]
        self._maps = {name: _mapped(folder / f"{name}.bin", kind) for name, kind in COLUMNS.items()}
        self.lengths: Ints = np.asarray(self._maps["n_ids"], dtype=np.int64)
        self.n_targets: Ints = np.asarray(self._maps["n_targets"], dtype=np.int64)
        self.problems: npt.NDArray[np.uint64] = np.asarray(self._maps["problem"])
        self.samples: Ints = np.asarray(self._maps["sample"])
        self._ids = np.concatenate([[0], np.cumsum(self.lengths)])
        self._places = np.concatenate([[0], np.cumsum(self.n_targets)])

    def __len__(self) -> int:
        return len(self.lengths)

    def ids(self, index: int) -> tuple[int, ...]:
        """Return the token ids of an example."""
        return tuple(self._maps["ids"][self._ids[index] : self._ids[index + 1]].tolist())

    def positions(self, index: int) -> tuple[int, ...]:
        """Return where its targets are."""
        return tuple(self._maps["positions"][self._places[index] : self._places[index + 1]].tolist())

    def targets(self, index: int) -> npt.NDArray[np.float32]:
        """Return its targets."""
        return np.array(self._maps["targets"][self._places[index] : self._places[index + 1]])

    @property
    def all_targets(self) -> npt.NDArray[np.float32]:
        """All targets, one example after the other."""
        found: npt.NDArray[np.float32] = self._maps["targets"]
        return found

    @property
    def prefixes(self) -> npt.NDArray[np.uint64]:
        """A hash of what stands before each target."""
        found: npt.NDArray[np.uint64] = self._maps["prefix"]
        return found

    @property
    def owners(self) -> Ints:
        """The example of each target."""
        return np.repeat(np.arange(len(self)), self.n_targets)


def _mapped(path: Path, kind: Any) -> Any:
    # an empty file cannot be mapped
    return np.memmap(path, dtype=kind, mode="r") if path.stat().st_size else np.empty(0, dtype=kind)
