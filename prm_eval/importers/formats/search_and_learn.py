"""The importer of search-and-learn's completions, from its files or from hub datasets of the same columns.

The files are ``data/MODEL/{best_of_n,beam_search,dvts}_completions.jsonl``; on the hub a branch is a revision.

Shape of a row: the columns of MATH-500 (``problem, solution, answer, subject, level, unique_id``), ``completions:
[text]``, ``scores: [[number]]`` (one a step), ``pred`` (the text of the best), ``completion_tokens: [count]``,
``agg_scores`` (the last step's), and figures (``pred_naive@n`` ...).

Read: texts, step scores, token counts. Not read: predictions and aggregates, which we compute. Steps are the pieces for
which there is a score, cut as its PRMs cut them (blank lines, lines). Searches pad their beams with copies up to n:
said.
"""

from __future__ import annotations

from typing import Any

from prm_eval.importers.building import Given, ScoreField, build, steps_for
from prm_eval.importers.common import Format, ImportedProblem, Wanted, count_or_none, one_each, text_list
from prm_eval.importers.rows import RowReader
from prm_eval.pools.problem_sets import problem_from_row
from prm_eval.store.jsonl import Row


def recognise(row: dict[str, Any]) -> bool:
    """Say whether a first row is of this format."""
    named = "problem" in row or "question" in row or "prompt" in row
    return "completions" in row and named and bool({"scores", "pred", "completion_tokens"} & set(row))


class CompletionsReader(RowReader):
    """A reader of completions."""

    def read(self, row: Row, wanted: Wanted) -> ImportedProblem:
        """Return the problem of a row."""
        return _read(row, wanted)


FORMAT = Format(
    "search_and_learn", "search-and-learn *_completions.jsonl", recognise, CompletionsReader, splitter="given"
)


def _read(row: Row, wanted: Wanted) -> ImportedProblem:
    fields = row.fields if "problem" in row.fields else {**row.fields, "question": row.text("question", "prompt")}
    problem = problem_from_row(Row(row.path, row.number, fields), f"{row.path.stem}/{row.number}")
    texts = text_list(row, row.fields.get("completions"), "completions")
    scores = one_each(row, "scores", len(texts))
    tokens = row.fields.get("completion_tokens")
    counted = tokens if isinstance(tokens, list) and len(tokens) == len(texts) else [None] * len(texts)
    given = [_given(i, text, scores, counted[i]) for i, text in enumerate(texts)]
    fields_of_scores = [ScoreField("scores", "prm", misfits_refused=True)] if scores is not None else []
    return build(row, problem, given, wanted, fields_of_scores)


def _given(i: int, text: str, scores: list[Any] | None, tokens: Any) -> Given:
    own = scores[i] if scores is not None else None
    if own == []:  # their scorer had no step to score
        own = None
    steps = steps_for(text, len(own) if isinstance(own, list) else 0)
    return Given(
        f"completions[{i}]",
        text,
        steps,
        n_tokens=count_or_none(tokens),
        scores={} if scores is None else {"scores": own},
    )
