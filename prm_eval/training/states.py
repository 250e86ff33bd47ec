"""States of a training on disk: whole ones are marked, and only a marked one is gone on from."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from prm_eval.store.writing import sync_folder, write_json, write_text

MARK = "whole.json"
STATES = "states"
LOG = "training.jsonl"


def remove(folder: Path) -> None:
    """Remove a folder of ours with all that is in it; one that is not there is removed already."""
    if folder.exists():
        shutil.rmtree(folder)


def folder_of(states: Path, step: int) -> Path:
    """Return the folder of a state, as transformers names it."""
    return states / f"checkpoint-{step}"


def mark_whole(states: Path, step: int, seconds: float = 0.0) -> None:
    """Mark a state as whole, once the disk has all of it, and remove older ones.

    Args:
        states: The folder of the states.
        step: The updates behind it.
        seconds: What they took, over all runs.
    """
    folder = folder_of(states, step)
    sync_folder(folder)
    write_json(folder / MARK, {"step": step, "seconds": seconds})
    for other in states.glob("checkpoint-*"):
        if other != folder:
            remove(other)


def last_whole(states: Path) -> Path | None:
    """Return the newest whole state, None where there is none; what a killed writer left is removed."""
    found: list[tuple[int, Path]] = []
    for folder in states.glob("checkpoint-*"):
        if (folder / MARK).is_file():
            found.append((int(folder.name.rpartition("-")[2]), folder))
        else:
            remove(folder)
    return max(found)[1] if found else None


def step_of(state: Path | None) -> int:
    """Return the updates that a state has behind it."""
    return 0 if state is None else int(state.name.rpartition("-")[2])


def seconds_of(state: Path | None) -> float:
    """Return the seconds that a whole state has behind it, over all runs; 0 where its mark does not say."""
    return 0.0 if state is None else float(json.loads((state / MARK).read_text()).get("seconds", 0.0))


class Log:
    """The metrics of a training as JSON lines; what came after the state that is gone on from is cut off.

    Args:
        path: The file.
        step: The step of that state.
        seconds: What the updates up to it took.
        writes: Whether this process writes it; the others of a run know the same lines, and write none.

    Attributes:
        step: The updates that are done; the loop counts on, whether or not it writes a line.
        seconds: What they took, over all runs.
    """

    def __init__(self, path: Path, step: int, seconds: float = 0.0, *, writes: bool = True) -> None:
        self.path, self._writes = path, writes
        self.step, self.seconds = step, seconds
        self.lines: list[dict[str, Any]] = [each for each in _read(path) if each["step"] <= step]
        if writes:
            write_text(path, "".join(json.dumps(each) + "\n" for each in self.lines))

    def add(self, line: dict[str, Any]) -> None:
        """Add a line."""
        self.lines.append(line)
        if not self._writes:
            return
        with self.path.open("a") as file:
            file.write(json.dumps(line) + "\n")

    def held_out(self, name: str) -> list[tuple[int, float]]:
        """Return a held-out figure by step."""
        values = ((line["step"], line.get("held_out", {}).get(name)) for line in self.lines)
        return [(step, value) for step, value in values if value is not None]


def _read(path: Path) -> list[dict[str, Any]]:
    """Return the lines of a log; a last line that was cut off is left out."""
    if not path.is_file():
        return []
    found = []
    for line in path.read_text().splitlines():
        try:
            found.append(json.loads(line))
        except ValueError:
            break
    return found
