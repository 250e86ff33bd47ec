"""The importer of OpenCompass' predictions: ``predictions/MODEL/DATASET.json``.

Shape: an object ``{"0": {origin_prompt, prediction, gold?, res_length?}, ...}``, or JSON lines of such objects with
``idx``. ``origin_prompt`` is a text or a list of ``{role, prompt}``; ``prediction`` a text, or a list of texts.

Read: entries of one prompt are one problem, so that the parts of a data set (``DATASET_0.json``, ``DATASET_1.json``)
join and its repeats fill further slots. The statement is the last turn of the user. There are no labels here (they are
in ``results/``). The folders of two models, or of two runs, are refused, and so are two files that are no parts of one
data set and have a prompt in common.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from prm_eval.errors import DataError
from prm_eval.importers.building import Given, build, problem_of, single_target
from prm_eval.importers.chats import statement_in
from prm_eval.importers.common import About, Format, ImportedProblem, Wanted, text_list
from prm_eval.importers.rows import fails
from prm_eval.importers.runs import APART, require_one_run
from prm_eval.importers.sources import Source
from prm_eval.store.jsonl import Row


def recognise(row: dict[str, Any]) -> bool:
    """Say whether a first row is of this format."""
    return _entry(row) or (bool(row) and all(name.isdecimal() and _entry(value) for name, value in row.items()))


def _entry(value: Any) -> bool:
    return isinstance(value, dict) and "origin_prompt" in value and "prediction" in value


class PredictionsReader:
    """A reader of predictions, which are whole JSON documents: texts are read again for each problem's turn."""

    def __init__(self, source: Source) -> None:
        self._source = source
        require_one_run(source)
        self._paths = {file.path for file in source.files}

    def _data_set(self, path: Path) -> Path:
        """Return what the parts of one data set have in common: they are numbered from 0."""
        numbered = re.fullmatch(r"(.+)_\d+", path.stem)
        if numbered and path.with_name(f"{numbered[1]}_0{path.suffix}") in self._paths:
            return path.with_name(numbered[1] + path.suffix)
        return path

    def problems(self, wanted: Wanted) -> Iterator[Callable[[], ImportedProblem]]:
        """Yield a loader for every prompt, by first appearance."""
        groups: dict[bytes, list[Row]] = {}
        for place in self._source.places():
            try:
                entries = _entries(place.load())
            except DataError as error:
                yield partial(fails, error)
                continue
            for row in entries:
                spelt = json.dumps(row.fields.get("origin_prompt"), sort_keys=True).encode()
                known = groups.setdefault(hashlib.sha256(spelt).digest(), [])
                if known and self._data_set(known[0].path) != self._data_set(row.path):
                    raise row.fault(f"a prompt that {known[0].path} has, too", "each prompt in one file", APART)
                known.append(row)
        for rows in groups.values():
            yield partial(_problem, rows, wanted)

    def about(self) -> About:
        """Return nothing: the predictions name neither policy nor sampling."""
        return About()


FORMAT = Format("opencompass", "OpenCompass predictions (origin_prompt, prediction)", recognise, PredictionsReader)


def _entries(row: Row) -> list[Row]:
    if _entry(row.fields):
        return [row]
    found = []
    for name, value in row.fields.items():
        if not _entry(value):
            raise row.fault(f"the entry {name!r} without origin_prompt and prediction", "both")
        number = int(name) + 1 if name.isdecimal() and len(name) < 10 else row.number
        found.append(Row(row.path, number, value))
    return found


def _problem(rows: list[Row], wanted: Wanted) -> ImportedProblem:
    first = rows[0]
    statement = statement_in(first.fields.get("origin_prompt"))
    if statement is None:
        raise first.fault("an origin_prompt without a turn of the user", "a text, or a list of {role, prompt}")
    index = first.text("idx") or str(first.number - 1)
    remarks: list[str] = []
    gold = single_target(first.fields.get("gold"), remarks)
    problem = problem_of(first, statement, gold, f"{first.path.stem}/{index}")
    return build(first, problem, [each for row in rows for each in _given(row)], wanted, remarks=remarks)


def _given(row: Row) -> list[Given]:
    found = row.fields.get("prediction")
    texts = text_list(row, found if isinstance(found, list) else [found], "prediction")
    return [Given(f"prediction[{i}]", text, row=row) for i, text in enumerate(texts)]
