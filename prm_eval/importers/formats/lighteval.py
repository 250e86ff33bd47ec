"""The importer of lighteval's details: ``details/MODEL/DATE/details_TASK_DATE.parquet``, one row a document.

Shape of a row: ``doc{query, choices, gold_index, id, task_name, ...}, model_response{text: [text], ...}, metric{...}``;
in versions before 0.10 ``full_prompt`` or ``example``, ``predictions: [text]``, ``gold: [text]``, ``metrics``.

Read: the responses as slots, ``choices[gold_index]`` (or ``gold``) as gold, the query as statement. Metrics are of the
document (avg@n, pass@k), not of a response: there are labels only where there is one response. ``results_DATE.json``
below ``results/MODEL`` says the policy and the sampling.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from prm_eval.importers.building import Given, build, problem_of, single_target
from prm_eval.importers.chats import statement_in
from prm_eval.importers.common import About, Format, ImportedProblem, Wanted, text_list
from prm_eval.importers.rows import RowReader, object_or_empty, results_in
from prm_eval.importers.runs import require_one_run
from prm_eval.importers.sources import Source
from prm_eval.store.jsonl import Row


def recognise(row: dict[str, Any]) -> bool:
    """Say whether a first row is of this format."""
    new = isinstance(row.get("doc"), dict) and isinstance(row.get("model_response"), dict)
    return new or ("predictions" in row and bool({"full_prompt", "example"} & set(row)))


class DetailsReader(RowReader):
    """A reader of details."""

    def __init__(self, source: Source) -> None:
        super().__init__(source)
        require_one_run(source)  # lighteval makes a folder of each model and date

    def read(self, row: Row, wanted: Wanted) -> ImportedProblem:
        """Return the problem of a row."""
        return _read(row, wanted)

    def about(self) -> About:
        """Return what ``results_*.json`` says, where it lies where lighteval puts it."""
        found = _results(self._source.files[0].path)
        general = object_or_empty(found.get("config_general"))
        config = object_or_empty(general.get("model_config"))
        name = general.get("model_name") or config.get("model_name")
        sampling = object_or_empty(general.get("generation_parameters") or config.get("generation_parameters"))
        known = {key: value for key, value in sampling.items() if value is not None}
        return About(policy=str(name) if name else None, sampling=known)


FORMAT = Format("lighteval", "lighteval details_*.parquet", recognise, DetailsReader)


def _results(path: Path) -> dict[str, Any]:
    """Return the results of the run of a file of details: those of its date; empty where there are none."""
    for folder in path.parents:
        if folder.name == "details":
            model = path.relative_to(folder).parent.parent
            found = results_in(folder.parent / "results" / model, path.parent.name)
            return found[1] if found else {}
    return {}


def _read(row: Row, wanted: Wanted) -> ImportedProblem:
    doc = row.fields.get("doc")
    if not isinstance(doc, dict):
        return _old(row, wanted)
    response = row.fields["model_response"]
    texts = text_list(row, response.get("text"), "model_response.text")
    query = statement_in(doc.get("query"))
    if query is None:
        raise row.fault("a doc without a query", "a text")
    index = doc.get("id")
    default_id = f"{doc.get('task_name') or row.path.stem}/{index if index not in (None, '') else row.number}"
    remarks: list[str] = []
    problem = problem_of(row, query, single_target(_targets(doc), remarks), default_id)
    labels = row.fields.get("metric")
    return build(row, problem, _given(row, "model_response.text", texts, labels), wanted, remarks=remarks)


def _old(row: Row, wanted: Wanted) -> ImportedProblem:
    texts = text_list(row, _as_list(row.fields.get("predictions")), "predictions")
    statement = next(
        (found for name in ("example", "full_prompt") if (found := statement_in(row.fields.get(name)))), None
    )
    if statement is None:
        raise row.fault("no example and no full_prompt", "one of them")
    remarks: list[str] = []
    problem = problem_of(
        row, statement, single_target(row.fields.get("gold"), remarks), f"{row.path.stem}/{row.number}"
    )
    given = _given(row, "predictions", texts, row.fields.get("metrics"))
    return build(row, problem, given, wanted, remarks=remarks)


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value in (None, "") else [value]


def _targets(doc: dict[str, Any]) -> list[Any]:
    """Return the choices that are right, by their numbers."""
    choices, index = doc.get("choices"), doc.get("gold_index")
    right = _as_list(index)
    if not isinstance(choices, list) or not all(isinstance(each, int) and 0 <= each < len(choices) for each in right):
        return []
    return [choices[each] for each in right]


def _given(row: Row, name: str, texts: list[str], metrics: Any) -> list[Given]:
    values = [value for value in metrics.values() if value is not None] if isinstance(metrics, dict) else []
    alone = len(texts) == 1 and len(values) == 1 and values[0] in (0, 1)
    return [Given(f"{name}[{i}]", text, correct=bool(values[0]) if alone else None) for i, text in enumerate(texts)]
