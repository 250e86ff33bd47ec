"""The importer of StrictPRMBench: candidate pools, one file a problem, with the step scores of PRMs beside them.

Shape of a pool file: ``problem_id, n, temperature, candidates: [{problem{question, ground_truth, domain}, raw_text,
steps: [{index, text}], extracted_answer, is_correct, num_tokens, model_name}]``. Of a row of
``step_scores_cache/*.jsonl``: ``benchmark, prm_name, problem_id, candidate_index, step_scores, is_correct, n_steps``.

Read: steps as they are, without the chat prompt that stands in front of the first one; ``raw_text`` without it as text.
``is_correct`` are labels. Scores are joined on problem and candidate, a reward folder a PRM: name both folders
(``prm-eval pool import POOLS SCORES``). Golds of this source are the last number of the true ones: compare ``--compare
published`` before you trust them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from prm_eval.errors import DataError
from prm_eval.importers.building import Given, ScoreField, build, problem_of
from prm_eval.importers.chats import without_prompt
from prm_eval.importers.common import About, Format, ImportedProblem, Wanted, count_or_none, flag
from prm_eval.importers.grouped import RowIndex, grouped_problems
from prm_eval.importers.runs import APART
from prm_eval.importers.sources import Source
from prm_eval.store.jsonl import Row


def recognise(row: dict[str, Any]) -> bool:
    """Say whether a first row is of this format."""
    return (isinstance(row.get("candidates"), list) and "problem_id" in row) or _of_scores(row)


def _of_scores(row: dict[str, Any]) -> bool:
    return {"prm_name", "problem_id", "candidate_index", "step_scores"} <= set(row)


class PoolReader:
    """A reader of pools and scores."""

    def __init__(self, source: Source) -> None:
        self._source = source

    def problems(self, wanted: Wanted) -> Iterator[Callable[[], ImportedProblem]]:
        """Yield a loader for every problem."""
        with RowIndex(self._source, lambda row: row.text("problem_id") if _of_scores(row.fields) else None) as scores:
            names = self._models()
            if names and not any(not _of_scores(row.fields) for row in self._source.rows()):
                raise DataError(
                    self._source.path, None, "step scores alone", "the pool files too", "Name both folders."
                )

            def read(rows: list[Row], name: str) -> ImportedProblem:
                found = scores.rows(name) if name in scores.places else []
                return _problem(rows, found, names, wanted)

            yield from grouped_problems(
                self._source, lambda row: None if _of_scores(row.fields) else row.required_text("problem_id"), read
            )

    def _models(self) -> list[str]:
        rows = (row for row in self._source.rows() if _of_scores(row.fields))
        return list(dict.fromkeys(str(row.fields["prm_name"]) for row in rows))

    def about(self) -> About:
        """Return the policy and the temperature of the first problem."""
        for row in self._source.rows():
            candidates = row.fields.get("candidates")
            if isinstance(candidates, list) and candidates and isinstance(candidates[0], dict):
                temperature = row.fields.get("temperature")
                name = candidates[0].get("model_name")
                return About(
                    policy=str(name) if name else None,
                    sampling={} if temperature is None else {"temperature": temperature},
                )
        return About()


FORMAT = Format("strictprmbench", "StrictPRMBench pools, with step scores", recognise, PoolReader, splitter="given")


def _problem(rows: list[Row], scores: list[Row], names: list[str], wanted: Wanted) -> ImportedProblem:
    row = rows[0]
    if len(rows) > 1:
        again = f"the problem {row.fields['problem_id']!r} again (first in {row.path})"
        raise rows[1].fault(again, "each problem once", APART)
    candidates = row.fields.get("candidates")
    if not isinstance(candidates, list) or not candidates or not all(isinstance(each, dict) for each in candidates):
        raise row.fault("candidates that are no list of objects", "at least one candidate")
    about = candidates[0].get("problem")
    if not isinstance(about, dict):
        raise row.fault("a candidate without problem", "an object with question and ground_truth")
    statement = row.required_text("question", where=about, label="problem.question")
    problem = problem_of(
        row,
        statement,
        about.get("ground_truth"),
        "",
        problem_id=row.required_text("problem_id"),
        subject=about.get("domain"),
    )
    found = _by_candidate(scores, len(candidates), {name: {} for name in names})
    given = [
        _given(row, i, each, statement, {name: by_slot.get(i) for name, by_slot in found.items()})
        for i, each in enumerate(candidates)
    ]
    return build(row, problem, given, wanted, [ScoreField(name, "prm", name) for name in names])


def _by_candidate(scores: list[Row], n: int, found: dict[str, dict[int, Any]]) -> dict[str, dict[int, Any]]:
    for row in scores:
        index = row.fields["candidate_index"]
        by_slot = found[str(row.fields["prm_name"])]
        if not isinstance(index, int) or not 0 <= index < n or index in by_slot:
            raise row.fault(f"candidate_index = {index!r}", f"each of 0 to {n - 1} at most once a PRM")
        by_slot[index] = row.fields["step_scores"]
    return found


def _given(row: Row, i: int, each: dict[str, Any], statement: str, scores: dict[str, Any]) -> Given:
    place = f"candidates[{i}]"
    steps = each.get("steps")
    if not isinstance(steps, list) or not steps or not all(isinstance(step, dict) for step in steps):
        raise row.fault(f"{place}.steps that are no list of objects", "at least one step")
    texts = [row.required_text("text", where=step, label=f"{place}.steps[{k}].text") for k, step in enumerate(steps)]
    texts[0] = without_prompt(texts[0], statement)
    raw = row.text("raw_text", where=each, label=f"{place}.raw_text")
    return Given(
        place,
        without_prompt(raw, statement) if raw is not None else "\n".join(texts),
        tuple(texts),
        row.text("extracted_answer", where=each, label=f"{place}.extracted_answer") or "",
        flag(row, each.get("is_correct"), f"{place}.is_correct"),
        count_or_none(each.get("num_tokens")),
        scores=scores,
    )
