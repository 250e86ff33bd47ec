"""The importer of verl's rollout and validation dumps: ``STEP.jsonl``, one row a sample.

Shape of a row: ``input`` (the rendered prompt), ``output, gts, score, step``, and what the reward function adds
(``acc``, ``pred``).

Read: rows of one ``input`` are one problem, its statement the last turn of the user in it; ``gts`` is gold; ``acc`` are
labels and ``pred`` answers, where they are; ``score`` becomes rewards. verl's rewards for mathematics are made from
gold: said, since such a reward is no verifier. Files of several training steps are of several policies, and those of
several folders, or two files of one step, are of several runs: refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from prm_eval.importers.building import Given, ScoreField, build, label_of, problem_of, single_target
from prm_eval.importers.chats import statement_in
from prm_eval.importers.common import About, Format, ImportedProblem, Wanted
from prm_eval.importers.grouped import grouped_problems
from prm_eval.importers.runs import APART, require_one_run
from prm_eval.importers.sources import Source
from prm_eval.store.jsonl import Row


def recognise(row: dict[str, Any]) -> bool:
    """Say whether a first row is of this format."""
    return isinstance(row.get("input"), str) and isinstance(row.get("output"), str) and "score" in row and "step" in row


class DumpReader:
    """A reader of dumps."""

    def __init__(self, source: Source) -> None:
        self._source = source
        require_one_run(source)
        self._first: Row | None = None

    def problems(self, wanted: Wanted) -> Iterator[Callable[[], ImportedProblem]]:
        """Yield a loader for every prompt, by first appearance."""
        self._first = None
        return grouped_problems(self._source, self._key, lambda rows, _: _problem(rows, wanted))

    def _key(self, row: Row) -> str:
        self._first = self._first or row
        if row.fields.get("step") != self._first.fields.get("step"):
            raise row.fault(
                f"step {row.fields.get('step')!r} after step {self._first.fields.get('step')!r}",
                "one training step, which is one policy",
                "Import the files apart.",
            )
        if row.path != self._first.path:
            raise row.fault(f"the step of {self._first.path}", "one file a step", APART)
        return row.required_text("input")

    def about(self) -> About:
        """Return the training step."""
        first = next(self._source.rows(), None)
        step = first.fields.get("step") if first is not None else None
        notes = ("score: a reward of verl may have been made from gold; such a reward is no verifier",)
        return About(source={"training_step": step}, notes=notes)


FORMAT = Format("verl_dump", "verl rollout dumps STEP.jsonl (input, output, score, step)", recognise, DumpReader)


def _problem(rows: list[Row], wanted: Wanted) -> ImportedProblem:
    first = rows[0]
    statement = statement_in(first.required_text("input")) or ""
    remarks: list[str] = []
    gold = single_target(ground_truth(first.fields.get("gts")), remarks)
    problem = problem_of(first, statement, gold, f"{first.path.stem}/{first.number}")
    return build(first, problem, [_given(row) for row in rows], wanted, [ScoreField("score", "orm")], remarks=remarks)


def ground_truth(value: Any) -> Any:
    """Return the target of verl's reward function, which may stand in an object."""
    return value.get("ground_truth") if isinstance(value, dict) else value


def _given(row: Row) -> Given:
    answer = (row.text("pred") or "") if "pred" in row.fields else None
    return Given(
        "",
        row.required_text("output"),
        answer=answer,
        correct=label_of(row.fields.get("acc")),
        scores={"score": row.fields.get("score")},
        row=row,
    )
