"""Runs: a folder may hold the files of two models, or of two runs of one; their candidates are two pools, not one.

Files of several runs have the same names and the same problems. Read together, candidates of one model would fill the
slots of another, and labels would go to the wrong ones. So they are refused, whatever is to be done with bad problems.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from prm_eval.errors import DataError
from prm_eval.importers.sources import Source, SourceFile

APART = "Two runs are two pools: import them apart."


def folder_of(path: Path) -> Path:
    """Return the run of a file where a run is the files of one folder."""
    return path.parent


def require_one_run(
    source: Source, run_of: Callable[[Path], Path] = folder_of, files: Iterable[SourceFile] | None = None
) -> None:
    """Insist that all files are of one run.

    Args:
        source: The source.
        run_of: A function from the path of a file to what its run's files have in common.
        files: The files that candidates come from; None stands for all of the source.

    Raises:
        DataError: There are two runs: names the first two.
    """
    runs = list(dict.fromkeys(run_of(file.path) for file in (source.files if files is None else files)))
    if len(runs) > 1:
        raise DataError(
            source.path,
            None,
            f"the files of two runs or models, {runs[0]} and {runs[1]}",
            "those of one, which is one pool",
            f"Import them apart: give one of them, such as {runs[0]}",
        )


class OneModel:
    """The model that all files must name.

    Args:
        source: The source, for errors.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._first: tuple[str, Path] | None = None

    def require(self, name: object, path: Path) -> None:
        """Insist that a file names the same model as those before it; one that names none says nothing.

        Raises:
            DataError: It names another one.
        """
        if not name:
            return
        if self._first is None:
            self._first = str(name), path
        elif self._first[0] != str(name):
            model, first = self._first
            raise DataError(
                self._source.path,
                None,
                f"the candidates of two models, {model} ({first}) and {name} ({path})",
                "those of one, which is one pool",
                "Import them apart: give the file or the folder of one of them.",
            )
