"""The importer of the search records of openr and compute-optimal-tts: ``question_IDX/record_K.jsonl``.

Shape: one object a file: ``question, groundtruth, result, output: [{path_idx, text, value: [number], extracted_answer,
completion_tokens, ...}]``; ``config.json`` and ``avg_result.json`` lie beside. Several records of a question are
several draws of its search: their outputs fill the slots one after the other.

Read: texts, ``value`` as step scores (``reward_history`` where its number fits the steps and that of ``value`` does
not), token counts. Steps are the pieces for which there is a value (blank lines, or the tag of Math-Shepherd). Not
read: ``result`` and the answers, which we find ourselves. A failed reward model leaves ``[[0.0]]``: kept, as the tool
ranked by it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from prm_eval.importers.building import Given, ScoreField, build, problem_of, steps_for
from prm_eval.importers.common import About, Format, ImportedProblem, Wanted, count_or_none
from prm_eval.importers.grouped import grouped_problems
from prm_eval.importers.runs import require_one_run
from prm_eval.importers.sources import Source
from prm_eval.store.jsonl import Row


def recognise(row: dict[str, Any]) -> bool:
    """Say whether a first row is of this format."""
    return "output" in row and isinstance(row["output"], list) and "question" in row and "groundtruth" in row


class RecordsReader:
    """A reader of search records."""

    def __init__(self, source: Source) -> None:
        self._source = source
        require_one_run(source, _run_of)

    def problems(self, wanted: Wanted) -> Iterator[Callable[[], ImportedProblem]]:
        """Yield a loader for every question, by first appearance."""
        return grouped_problems(
            self._source, lambda row: row.required_text("question"), lambda rows, _: _problem(rows, wanted)
        )

    def about(self) -> About:
        """Return nothing: the records name neither policy nor sampling."""
        return About()


FORMAT = Format(
    "openr", "openr and compute-optimal-tts question_*/record_*.jsonl", recognise, RecordsReader, splitter="given"
)


def _run_of(path: Path) -> Path:
    """Return the folder of a search: that of its questions' folders, or that of records without such folders."""
    return path.parent.parent if _of_question(path) else path.parent


def _of_question(path: Path) -> bool:
    return path.parent.name.startswith("question_")


def _problem(rows: list[Row], wanted: Wanted) -> ImportedProblem:
    first = rows[0]
    default_id = first.path.parent.name if _of_question(first.path) else f"{first.path.stem}/{first.number}"
    problem = problem_of(first, first.required_text("question"), first.fields.get("groundtruth"), default_id)
    given = [each for row in rows for each in _outputs(row)]
    fields = [ScoreField("value", "prm", misfits_refused=True)] if any("value" in each.scores for each in given) else []
    remarks = ["every value is 0: the reward model may have failed"] if _all_zero(given) else []
    return build(first, problem, given, wanted, fields, remarks=remarks)


def _outputs(row: Row) -> list[Given]:
    outputs = row.fields.get("output")
    if not isinstance(outputs, list) or not outputs:
        raise row.fault(f"output = {type(outputs).__name__}{'' if outputs else ', empty'}", "a list of outputs")
    found = []
    for i, output in enumerate(outputs):
        if not isinstance(output, dict):
            raise row.fault(f"output[{i}] of type {type(output).__name__}", "an object")
        text = row.required_text("text", where=output, label=f"output[{i}].text")
        value, steps = _steps(text, output)
        tokens = count_or_none(output.get("completion_tokens"))
        scores = {"value": value} if "value" in output else {}
        found.append(Given(f"output[{i}]", text, steps, n_tokens=tokens, scores=scores, row=row))
    return found


def _steps(text: str, output: dict[str, Any]) -> tuple[Any, tuple[str, ...]]:
    """Return the values of the steps, and the steps, from the first field whose number fits."""
    tried = [_flat(output.get(name)) for name in ("value", "reward_history")]
    for values in tried:
        if isinstance(values, list) and values:
            steps = steps_for(text, len(values))
            if len(steps) == len(values):
                return values, steps
    value = tried[0] or None
    return value, steps_for(text, len(value) if isinstance(value, list) else 0)


def _flat(value: Any) -> Any:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return [value]
    if isinstance(value, list) and len(value) == 1 and isinstance(value[0], list):
        return value[0]
    return value


def _all_zero(given: list[Given]) -> bool:
    values = [each.scores.get("value") for each in given]
    return bool(values) and all(isinstance(each, list) and not any(each) for each in values)
