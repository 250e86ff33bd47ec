"""The reader of formats with a problem a row, and what several readers need beside it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from prm_eval.errors import DataError
from prm_eval.importers.common import About, ImportedProblem, Wanted
from prm_eval.importers.sources import Place, Source
from prm_eval.store.jsonl import Row

LARGEST_RESULTS = 64 * 1024 * 1024


class RowReader:
    """A reader of a source in which every row is a problem; a format says how one is read.

    Args:
        source: The source.
    """

    def __init__(self, source: Source) -> None:
        self._source = source

    def problems(self, wanted: Wanted) -> Iterator[Callable[[], ImportedProblem]]:
        """Yield a loader for every row."""
        for place in self._source.places():
            yield partial(self._load, place, wanted)

    def _load(self, place: Place, wanted: Wanted) -> ImportedProblem:
        return self.read(place.load(), wanted)

    def read(self, row: Row, wanted: Wanted) -> ImportedProblem:
        """Return the problem of one row.

        Raises:
            DataError: The row has a fault.
        """
        raise NotImplementedError

    def about(self) -> About:
        """Return nothing, for files that name neither policy nor sampling."""
        return About()


def fails(error: DataError) -> ImportedProblem:
    """Raise what is wrong with a problem, where its turn comes.

    Raises:
        DataError: The error.
    """
    raise error


def results_in(folder: Path, date: str | None) -> tuple[Path, dict[str, Any]] | None:
    """Return the ``results_*.json`` of a run: that of its date, or the only one of the folder; None without one.

    Args:
        folder: Where the tool puts the results.
        date: The date in the name of the file that they belong to.

    Raises:
        DataError: The file is torn.
    """
    files = sorted(folder.glob("results_*.json"))
    same = [each for each in files if date and date in each.name]
    chosen = same or (files if len(files) == 1 else [])
    if not chosen or chosen[-1].stat().st_size > LARGEST_RESULTS:
        return None
    try:
        found = json.loads(chosen[-1].read_bytes())
    except (ValueError, RecursionError) as error:
        raise DataError(chosen[-1], None, f"not JSON ({error})", "the results of the run, or no such file") from None
    return (chosen[-1], found) if isinstance(found, dict) else None


def object_or_empty(value: Any) -> dict[str, Any]:
    """Return a value that is an object; an empty one for anything else."""
    return value if isinstance(value, dict) else {}


def of_metadata(row: Row) -> dict[str, Any]:
    """Return subject and level from a row's ``metadata``, as far as they are texts or numbers."""
    metadata = object_or_empty(row.fields.get("metadata"))
    found = {name: metadata.get(name) for name in ("subject", "level")}
    return {name: value for name, value in found.items() if isinstance(value, (str, int))}
