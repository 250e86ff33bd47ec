"""The importer of verl's generation output: a Parquet file with the columns of its data set and ``responses: [text]``.

Shape of a row: ``data_source, prompt: [{role, content}], ability, reward_model: {style, ground_truth}, extra_info``, or
any columns of a problem (``problem``, ``answer``), and ``responses``.

Read: the statement is the last turn of the user in ``prompt``, else the row's own; gold is
``reward_model.ground_truth``, else the row's own. There are neither labels nor rewards.
"""

from __future__ import annotations

from typing import Any

from prm_eval.importers.building import Given, build, problem_of, single_target
from prm_eval.importers.chats import statement_in
from prm_eval.importers.common import Format, ImportedProblem, Wanted, text_list
from prm_eval.importers.formats.verl_dump import ground_truth
from prm_eval.importers.rows import RowReader
from prm_eval.pools.problem_sets import problem_from_row
from prm_eval.store.jsonl import Row

_OF_PROBLEMS = {"problem", "question", "statement", "prompt"}


def recognise(row: dict[str, Any]) -> bool:
    """Say whether a first row is of this format."""
    return isinstance(row.get("responses"), list) and bool(_OF_PROBLEMS & set(row)) and "samples" not in row


class GenerationReader(RowReader):
    """A reader of generation output."""

    def read(self, row: Row, wanted: Wanted) -> ImportedProblem:
        """Return the problem of a row."""
        return _read(row, wanted)


FORMAT = Format("verl_generation", "verl generation Parquet (responses)", recognise, GenerationReader)


def _read(row: Row, wanted: Wanted) -> ImportedProblem:
    default_id = f"{row.path.stem}/{row.number}"
    remarks: list[str] = []
    if "prompt" in row.fields and not {"problem", "question", "statement"} & set(row.fields):
        statement = statement_in(row.fields["prompt"])
        if statement is None:
            raise row.fault("a prompt without a turn of the user", "a text, or a list of {role, content}")
        problem = problem_of(row, statement, single_target(_target(row), remarks), default_id)
    else:
        problem = problem_from_row(row, default_id)
        if problem.gold is None and (gold := single_target(_target(row), remarks)) is not None:
            problem = problem_of(row, problem.statement, gold, default_id)
    texts = text_list(row, row.fields.get("responses"), "responses")
    return build(
        row, problem, [Given(f"responses[{i}]", text) for i, text in enumerate(texts)], wanted, remarks=remarks
    )


def _target(row: Row) -> Any:
    model = row.fields.get("reward_model")
    if isinstance(model, dict) and (found := ground_truth(model)) is not None:
        return found
    return next((row.fields[name] for name in ("answer", "gold") if row.fields.get(name) is not None), None)
