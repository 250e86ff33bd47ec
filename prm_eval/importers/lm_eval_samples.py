"""The importer of lm_eval's ``samples_*.jsonl``: one row for each filter and problem, with all responses.

Rows of other filters repeat the same responses.

Problems are joined on ``doc_hash``, never on ``doc_id``, which lm_eval mislabels under ``--samples``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from prm_eval.importers.common import ImportedProblem
from prm_eval.importers.grouped import grouped_problems
from prm_eval.pools.problem_sets import problem_from_row
from prm_eval.records import Candidate
from prm_eval.store.jsonl import Row, read_jsonl


def recognise(row: dict[str, object]) -> bool:
    """Say whether a first row is of this format."""
    return "resps" in row and "doc" in row


class SamplesReader:
    """A reader of sample logs."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def problems(self, splitter: str) -> Iterator[Callable[[], ImportedProblem]]:
        """Yield a loader for every problem, by first appearance, and for every row that names none."""
        return grouped_problems(self.path, ("doc_hash", "doc_id"), _problem)

    def policy(self) -> str | None:
        """Return nothing: the log does not name the model."""
        return None

    def sampling(self) -> dict[str, Any]:
        """Return the generation arguments of the first row."""
        for _, fields in read_jsonl(self.path):
            arguments = fields.get("arguments")
            first = arguments.get("gen_args_0") if isinstance(arguments, dict) else None
            given = first.get("arg_1") if isinstance(first, dict) else None
            return dict(given) if isinstance(given, dict) else {}
        return {}


def _problem(rows: list[Row], name: str) -> ImportedProblem:
    row = rows[0]
    doc = row.fields.get("doc")
    if not isinstance(doc, dict):
        raise row.fault(f"doc of type {type(doc).__name__}", "an object")
    fields = dict(doc)
    if not any(fields.get(key) is not None for key in ("answer", "gold", "ground_truth_answer", "solution")):
        fields["gold"] = row.fields.get("target")
    problem = problem_from_row(Row(row.path, row.number, fields), default_id=name)
    return ImportedProblem(row.path, row.number, problem, tuple(_candidates(row, problem.problem_id)))


def _candidates(row: Row, problem_id: str) -> Iterator[Candidate]:
    responses = row.fields.get("resps")
    if not isinstance(responses, list) or not responses or not isinstance(responses[0], list):
        raise row.fault("resps that are not a list of lists", "the responses of the problem's requests")
    for slot, text in enumerate(responses[0]):
        if not isinstance(text, str):
            raise row.fault(f"resps[0][{slot}] of type {type(text).__name__}", "text")
        row.text("text", where={"text": text}, label=f"resps[0][{slot}]")  # valid Unicode
        yield Candidate(problem_id, slot, text)
