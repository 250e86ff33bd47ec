"""The importer of RewardBench 2's scores: ``eval-set-scores/ORG/MODEL.json``.

Shape: one object of lists, one entry a prompt: ``text: [[text]], scores: [[number]], results, id, subset,
num_correct``, with ``model, model_type, chat_template``; newer ones also have ``prompt``. The first ``num_correct``
texts are right (one, where it is not said).

Read: prompts as problems (the part that all texts of a prompt begin with, where ``prompt`` is missing), texts as
candidates, their places as labels, ``scores`` as rewards of ``model``. There are no gold answers: the labels grade the
pool (``--grades published``). Ties are problems of their own (``id``). Not read: ``results``, which we compute.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from prm_eval.importers.building import Given, ScoreField, build, problem_of
from prm_eval.importers.chats import content_of, statement_in
from prm_eval.importers.common import About, Format, ImportedProblem, Wanted, single
from prm_eval.importers.sources import Place, Source
from prm_eval.store.jsonl import Row


def recognise(row: dict[str, Any]) -> bool:
    """Say whether a first row is of this format: an object of lists, or a row of a table of them."""
    return "scores" in row and "subset" in row and ("text" in row or "texts" in row)


class ScoresReader:
    """A reader of scores; the document is one table, held in memory (the whole set has 1,865 prompts)."""

    def __init__(self, source: Source) -> None:
        self._source = source

    def problems(self, wanted: Wanted) -> Iterator[Callable[[], ImportedProblem]]:
        """Yield a loader for every prompt."""
        for place in self._source.places():
            yield from _loaders(place, wanted)

    def about(self) -> About:
        """Return that several models wrote the candidates."""
        return About(policy="several models (RewardBench 2)")


FORMAT = Format("rewardbench2", "RewardBench 2 eval-set-scores MODEL.json", recognise, ScoresReader)


def _loaders(place: Place, wanted: Wanted) -> Iterator[Callable[[], ImportedProblem]]:
    row = place.load()
    table = row.fields
    if not isinstance(table.get("subset"), list):  # a row of a table, as in the hub's Parquet
        yield partial(_problem, row, None, wanted)
        return
    n = len(table["subset"])
    columns = {name: value for name, value in table.items() if isinstance(value, list)}
    for name, values in columns.items():
        if len(values) != n:
            raise row.fault(f"{name} of {len(values)} entries, subset of {n}", "lists of one length")
    model = row.text("model")
    for i in range(n):
        fields = {name: values[i] for name, values in columns.items()}
        yield partial(_problem, Row(row.path, i + 1, fields), model, wanted)


def _problem(row: Row, model: str | None, wanted: Wanted) -> ImportedProblem:
    texts = row.fields.get("text", row.fields.get("texts"))
    scores = row.fields.get("scores")
    if not isinstance(texts, list) or not isinstance(scores, list) or len(texts) != len(scores) or not texts:
        sizes = " and ".join(
            str(len(each)) if isinstance(each, list) else type(each).__name__ for each in (texts, scores)
        )
        raise row.fault(f"text and scores of {sizes} entries", "one score a text, at least one")
    right = row.fields.get("num_correct", 1)
    if isinstance(right, bool) or not isinstance(right, int) or not 0 <= right <= len(texts):
        raise row.fault(f"num_correct = {right!r}", f"a whole number up to {len(texts)}")
    statement, responses = _parts(row, texts)
    name = row.text("id")
    subset = row.text("subset") or "all"
    problem = problem_of(
        row, statement, None, f"{subset}/{row.number}", problem_id=f"{subset}/{name or row.number}", subject=subset
    )
    given = [
        Given(f"text[{i}]", text, answer=str(i), correct=i < right, scores={"scores": single(scores[i])})
        for i, text in enumerate(responses)
    ]
    label = model or row.text("model") or row.path.stem
    return build(row, problem, given, wanted, [ScoreField("scores", "orm", label)])


def _common_start(texts: list[str]) -> str:
    first, last = min(texts), max(texts)
    return first[: next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first))]


def _parts(row: Row, texts: list[Any]) -> tuple[str, list[str]]:
    """Return the prompt, and the responses without it."""
    prompt = statement_in(row.fields.get("prompt")) if row.fields.get("prompt") else None
    if all(isinstance(each, list) for each in texts):  # messages
        contents = [[content_of(message) or "" for message in each if isinstance(message, dict)] for each in texts]
        statement = prompt or statement_in(texts[0]) or ""
        return statement, [row.required_text("text", where={"text": each[-1]}) for each in contents]
    plain = [row.required_text("text", where={"text": each}, label=f"text[{i}]") for i, each in enumerate(texts)]
    begin = _common_start(plain) if len(plain) > 1 else ""
    begin = begin[: begin.rfind("\n") + 1]  # a template ends its header with a line break
    if not begin.strip():
        return prompt or row.required_text("prompt", "id"), plain
    return prompt or statement_in(begin) or begin, [each[len(begin) :] for each in plain]
