"""Importers that make pools of other people's files; :mod:`prm_eval.importers.registry` lists the formats.

Every importer keeps one problem in memory at a time. The correctness labels of a file become published grades, and its
rewards become reward files; neither replaces grades and rewards of our own.
"""

from __future__ import annotations

from prm_eval.importers.importing import ImportReport, import_pool
from prm_eval.importers.registry import FORMATS, recognise
from prm_eval.importers.sources import open_source

__all__ = ["FORMATS", "ImportReport", "detect_format", "import_pool"]


def detect_format(path: object) -> str:
    """Return the name of the format of a file, by its first row.

    Raises:
        DataError: No format fits, or the file is empty.
    """
    return recognise(open_source(path)).form.name  # type: ignore[arg-type]
