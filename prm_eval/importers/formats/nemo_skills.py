"""The importer of NeMo-Skills' generations: ``output-rs0.jsonl`` ... ``output-rsK.jsonl``, one file a sample.

Shape of a row: ``problem, expected_answer, generation, predicted_answer, symbolic_correct``, and where they were made
``judgement`` ("... Judgement: Yes"), ``reward_model_score``, ``num_generated_tokens``. Row i of every file is problem
i.

Read: slot k is the file with the k-th number; a file that ends early leaves its slots missing; a row of another problem
than in the first file is a fault; files of several folders, or of several names but for that number, are several runs:
refused. Labels are ``symbolic_correct`` (or ``is_correct``), else the judgement.
``reward_model_score`` becomes rewards. Not read: code execution, error messages.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import partial
from itertools import zip_longest
from pathlib import Path
from typing import Any

from prm_eval.importers.building import Given, ScoreField, build, problem_of
from prm_eval.importers.common import About, Format, ImportedProblem, Wanted, count_or_none, flag
from prm_eval.importers.runs import require_one_run
from prm_eval.importers.sources import Place, Source
from prm_eval.store.jsonl import Row

JUDGEMENT = re.compile(r"judge?ment:\s*(?:\*+\s*)?(yes|no)\b", re.IGNORECASE)
"""The verdict in what a judge wrote."""


def recognise(row: dict[str, Any]) -> bool:
    """Say whether a first row is of this format."""
    return "generation" in row and bool({"expected_answer", "predicted_answer"} & set(row))


class GenerationsReader:
    """A reader of one file a sample."""

    def __init__(self, source: Source) -> None:
        numbered = [file for file in source.files if re.search(r"-rs\d+", file.path.name)]
        self._files = numbered or list(source.files)
        require_one_run(source, _run_of, self._files)
        self._greedy = [file.path.name for file in source.files if numbered and file not in numbered]

    def problems(self, wanted: Wanted) -> Iterator[Callable[[], ImportedProblem]]:
        """Yield a loader for every problem: the rows of one number in all files."""
        for places in zip_longest(*(file.places() for file in self._files)):
            yield partial(_read, places, wanted)

    def about(self) -> About:
        """Return which files were left out: samples at temperature 0 are no samples of the policy."""
        notes = tuple(f"{name} is left out: it is no sample (output-rs*.jsonl are)" for name in self._greedy)
        return About(notes=notes)


FORMAT = Format("nemo_skills", "NeMo-Skills output-rs*.jsonl, one file a sample", recognise, GenerationsReader)


def _run_of(path: Path) -> Path:
    """Return the pattern of the files of a run: its path, with any number behind ``-rs``."""
    return path.with_name(re.sub(r"-rs\d+", "-rs*", path.name.removesuffix(".gz")))


def _read(places: tuple[Place | None, ...], wanted: Wanted) -> ImportedProblem:
    rows = [None if place is None else place.load() for place in places]
    first = next(row for row in rows if row is not None)
    statement = first.required_text("problem", "question")
    gold = first.text("expected_answer")
    problem = problem_of(first, statement, gold, f"row/{first.number}")
    given: list[Given | None] = []
    for row in rows:
        if row is not None and row.required_text("problem", "question") != statement:
            raise row.fault(
                f"another problem than row {first.number} of {first.path.name}",
                "the same problem in the same row of every file",
            )
        given.append(None if row is None else _given(row))
    fields = (
        [ScoreField("reward_model_score", "orm")] if any("reward_model_score" in r.fields for r in rows if r) else []
    )
    return build(first, problem, given, wanted, fields)


def _given(row: Row) -> Given:
    fields = row.fields
    answer = (row.text("predicted_answer") or "") if "predicted_answer" in fields else None
    return Given(
        "",
        row.required_text("generation"),
        answer=answer,
        correct=_label(row),
        n_tokens=count_or_none(fields.get("num_generated_tokens")),
        finish_reason=row.text("finish_reason"),
        scores={"reward_model_score": fields["reward_model_score"]} if "reward_model_score" in fields else {},
        row=row,
    )


def _label(row: Row) -> bool | None:
    for name in ("symbolic_correct", "is_correct"):
        if (value := flag(row, row.fields.get(name), name)) is not None:
            return value
    judgement = row.fields.get("judgement")
    if not isinstance(judgement, str):
        return None
    found = JUDGEMENT.findall(judgement)
    return bool(found) and found[-1].lower() == "yes"  # as the tool reads a judgement without a verdict
