"""The importer of Qwen2.5-Math's evaluation output, with or without reward-model scores.

Shape of a row: ``idx, question, gt, gt_cot, level, solution, answer, code: [text], pred: [text], report, score:
[bool]``; with a reward model also ``system, query, response: [text], pred_score: [[number]]`` (one number a response).

Read: the texts of ``code`` (or ``response``), ``pred`` as the source's answers, ``score`` as its labels, ``gt`` as
gold, ``pred_score`` as rewards (of steps where any response of the file has several). Not read: ``report``,
``history``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from prm_eval.importers.building import Given, ScoreField, build, problem_of
from prm_eval.importers.common import About, Format, ImportedProblem, Wanted, has_steps, one_each, single, text_list
from prm_eval.importers.rows import RowReader
from prm_eval.records import Kind
from prm_eval.store.jsonl import Row


def recognise(row: dict[str, Any]) -> bool:
    """Say whether a first row is of this format."""
    return "gt" in row and ("code" in row or "response" in row) and ("question" in row or "problem" in row)


class EvalReader(RowReader):
    """A reader of evaluation output."""

    def problems(self, wanted: Wanted) -> Iterator[Callable[[], ImportedProblem]]:
        """Yield a loader for every row."""
        self._kind: Kind = "prm" if any(has_steps(_scores(row)) for row in self._source.rows()) else "orm"
        return super().problems(wanted)

    def read(self, row: Row, wanted: Wanted) -> ImportedProblem:
        """Return the problem of a row."""
        return _read(row, self._kind, wanted)

    def about(self) -> About:
        """Return the system text, the only thing that the file says of its prompt."""
        first = next(self._source.rows(), None)
        system = first.fields.get("system") if first is not None else None
        return About(source={"system": system} if isinstance(system, str) else {})


FORMAT = Format("qwen_eval", "Qwen2.5-Math evaluation output (code, pred, score)", recognise, EvalReader)


def _read(row: Row, kind: Kind, wanted: Wanted) -> ImportedProblem:
    statement = row.required_text("question", "problem")
    index = row.text("idx") or str(row.number)
    gold = next((row.fields[name] for name in ("gt", "answer") if row.fields.get(name) not in (None, "")), None)
    problem = problem_of(row, statement, gold, f"{row.path.stem}/{index}")
    name = "code" if row.fields.get("code") else "response"
    texts = text_list(row, row.fields.get(name), name)
    answers, labels, scores = (one_each(row, each, len(texts)) for each in ("pred", "score", "pred_score"))
    given = [
        Given(
            f"{name}[{i}]",
            text,
            answer=_answer(row, answers, i),
            correct=_label(row, labels, i),
            scores={} if scores is None else {"pred_score": scores[i] if kind == "prm" else single(scores[i])},
        )
        for i, text in enumerate(texts)
    ]
    fields = [] if scores is None else [ScoreField("pred_score", kind)]
    return build(row, problem, given, wanted, fields)


def _scores(row: Row) -> list[Any]:
    scores = row.fields.get("pred_score")
    return scores if isinstance(scores, list) else []


def _answer(row: Row, answers: list[Any] | None, i: int) -> str | None:
    if answers is None:
        return None
    return row.text("answer", where={"answer": answers[i]}, label=f"pred[{i}]") or ""


def _label(row: Row, labels: list[Any] | None, i: int) -> bool | None:
    if labels is None:
        return None
    if not isinstance(labels[i], bool):
        raise row.fault(f"score[{i}] = {labels[i]!r}", "true or false")
    return bool(labels[i])
