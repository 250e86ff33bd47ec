"""The importer of evalscope's outputs: ``predictions/MODEL/BENCH_SUBSET.jsonl`` and ``reviews/`` of the same names.

Shape of a prediction: ``index, model, model_output{choices: [{message{content}, stop_reason}], usage}, messages,
metadata``; of a review: ``index, target, messages`` (or, older, ``input``), ``sample_score{score{value{NAME: number},
extracted_prediction, prediction}, group_id, generation_index}``.

Read: predictions are joined to the reviews of the same file name by ``index``. Repeats are further indices: rows of one
``group_id`` are one problem, without reviews those of one prompt. ``target`` is gold, the main score (0 or 1) a label,
``extracted_prediction`` the source's answer. Reviews alone are read, too, as they repeat the texts. The folders of two
models, or of two runs, are refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from prm_eval.importers.building import Given, build, label_of, problem_of, single_target
from prm_eval.importers.chats import content_of, statement_in
from prm_eval.importers.common import About, Format, ImportedProblem, Wanted, count_or_none
from prm_eval.importers.grouped import RowIndex, grouped_problems
from prm_eval.importers.rows import of_metadata
from prm_eval.importers.runs import OneModel, require_one_run
from prm_eval.importers.sources import Source, SourceFile
from prm_eval.store.jsonl import Row


def recognise(row: dict[str, Any]) -> bool:
    """Say whether a first row is of this format."""
    return "index" in row and ("model_output" in row or "sample_score" in row)


class OutputsReader:
    """A reader of predictions with their reviews."""

    def __init__(self, source: Source) -> None:
        predictions = [file for file in source.files if not _is_review(file.path)]
        self._texts = Source(source.name, predictions or source.files, source.root)
        require_one_run(self._texts)
        given = {file.path: file for file in source.files if _is_review(file.path)}
        self._reviews = [
            given.get(path) or SourceFile(path)
            for path in (_review_of(file.path) for file in predictions)
            if path.is_file()
        ]

    def problems(self, wanted: Wanted) -> Iterator[Callable[[], ImportedProblem]]:
        """Yield a loader for every problem, by first appearance."""
        models = OneModel(self._texts)
        for row in self._texts.rows():
            models.require(row.fields.get("model"), row.path)
        with RowIndex(Source("reviews", self._reviews), lambda row: _index_key(row, row.path)) as reviews:

            def review(row: Row) -> Row | None:
                key = _index_key(row, _review_of(row.path))
                return reviews.rows(key)[-1] if key in reviews.places else None

            def name(row: Row) -> str:
                found = review(row) or row
                score = found.fields.get("sample_score")
                group = score.get("group_id") if isinstance(score, dict) else None
                return str(group) if group is not None else _statement(row)

            def read(rows: list[Row], _: str) -> ImportedProblem:
                default_id = f"{rows[0].path.stem}/{name(rows[0])}"
                return _problem(rows, [review(row) for row in rows], default_id, wanted)

            # by the whole path: two files of one name never are one problem
            yield from grouped_problems(self._texts, lambda row: f"{row.path}/{name(row)}", read)

    def about(self) -> About:
        """Return the models that the predictions name."""
        names = {str(row.fields["model"]) for row in self._texts.rows() if row.fields.get("model")}
        notes = (
            () if self._reviews or _are_reviews(self._texts) else ("there are no reviews: no gold answers, no labels",)
        )
        return About(policy=" + ".join(sorted(names)) or None, notes=notes)


FORMAT = Format("evalscope", "evalscope predictions and reviews", recognise, OutputsReader)


def _are_reviews(source: Source) -> bool:
    return any("sample_score" in row.fields for row in source.rows())


def _is_review(path: Path) -> bool:
    """Say whether a file is one of reviews: the nearest folder of the two names decides."""
    return next((part for part in reversed(path.parts) if part in ("predictions", "reviews")), None) == "reviews"


def _review_of(path: Path) -> Path:
    """Return the place of the reviews of a file of predictions: the same path, below ``reviews``."""
    parts = list(path.parts)
    at = max((i for i, part in enumerate(parts) if part == "predictions"), default=None)
    if at is None:
        return path.with_name(path.name + ".no-reviews")
    return Path(*parts[:at], "reviews", *parts[at + 1 :])


def _index_key(row: Row, path: Path) -> str:
    return f"{path}/{row.required_text('index')}"


def _statement(row: Row) -> str:
    for name in ("input", "messages"):
        value = row.fields.get(name)
        found = statement_in(value) if value else None
        if found is not None:
            return found
    raise row.fault("no message of the user", "messages, or an input")


def _problem(rows: list[Row], reviews: list[Row | None], name: str, wanted: Wanted) -> ImportedProblem:
    first = rows[0]
    targets = (each.fields.get("target") for each in [*reviews, first] if each)
    remarks: list[str] = []
    target = single_target(next((each for each in targets if each not in (None, "", [])), None), remarks)
    default_id = name if len(name) <= 100 else f"{first.path.stem}/{first.required_text('index')}"
    problem = problem_of(first, _statement(first), target, default_id, **of_metadata(first))
    given = [_given(row, review or row) for row, review in zip(rows, reviews, strict=True)]
    return build(first, problem, given, wanted, remarks=remarks)


def _given(row: Row, review: Row) -> Given:
    score = review.fields.get("sample_score")
    score = score.get("score") if isinstance(score, dict) else None
    score = score if isinstance(score, dict) else {}
    answer = score.get("extracted_prediction")
    output = row.fields.get("model_output")
    output = output if isinstance(output, dict) else {}
    choices = output.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices and isinstance(choices[0], dict) else {}
    message = choice.get("message")
    text = content_of(message) if isinstance(message, dict) else score.get("prediction")
    usage = output.get("usage") if isinstance(output.get("usage"), dict) else {}
    return Given(
        "",
        row.required_text("text", where={"text": text}, label="model_output"),
        answer=answer if isinstance(answer, str) else None,
        correct=_label(score),
        n_tokens=count_or_none((usage or {}).get("output_tokens")),
        finish_reason=row.text("stop_reason", where=choice, label="stop_reason"),
        row=row,
    )


def _label(score: dict[str, Any]) -> bool | None:
    values = score.get("value")
    if not isinstance(values, dict) or not values:
        return label_of(values)
    main = score.get("main_score_name")
    return label_of(values.get(main, next(iter(values.values()))))
