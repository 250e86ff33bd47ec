"""The importer of PRM800K's solutions with merged copies: a row a problem, its rated solutions in ``samples``.

Shape: ``id, problem, samples: [{steps, step_labels: [-1, 0, 1], answer, copies, complete, truncated_at_1024_tokens,
row}]``. A solution that was labelled alike several times stands once, with ``copies`` as a remark.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from prm_eval.importers.common import count as whole_count
from prm_eval.importers.common import flag
from prm_eval.importers.steps.found import Found, Item, StepFormat, Wanted
from prm_eval.importers.steps.reading import id_of, labelled, ratings_of, statement_of, steps_of
from prm_eval.records import Solution
from prm_eval.stepsets.labels import by_ratings
from prm_eval.store.jsonl import Row


def is_samples(row: dict[str, Any]) -> bool:
    """Say whether a first row is of this format."""
    samples = row.get("samples")
    return isinstance(samples, list) and bool(samples) and isinstance(samples[0], dict) and "step_labels" in samples[0]


def items(row: Row, wanted: Wanted) -> Iterator[Item]:
    """Yield the solutions of a problem."""
    samples = row.fields.get("samples")
    if not isinstance(samples, list):
        raise row.fault(f"samples of type {type(samples).__name__}", "a list of solutions")
    for i, each in enumerate(samples):
        yield partial(_read, row, wanted, i, each)


def _read(row: Row, wanted: Wanted, i: int, given: Any) -> Found:
    if not isinstance(given, dict):
        raise row.fault(f"samples[{i}] of type {type(given).__name__}", "an object")
    sample = Row(row.path, row.number, given)
    problem_id = id_of(row, "id")
    solution_id = f"{problem_id}/{i}"
    steps = steps_of(sample, given.get("steps"), f"samples[{i}].steps", wanted)
    ratings = ratings_of(row, given.get("step_labels"), f"samples[{i}].step_labels")
    copies = whole_count(sample, given.get("copies"), f"samples[{i}].copies")
    cut = flag(sample, given.get("truncated_at_1024_tokens"), f"samples[{i}].truncated_at_1024_tokens")
    remarks = [f"copies={copies}"] * (copies is not None and copies > 1) + ["cut=1024 tokens"] * bool(cut)
    solution = Solution(
        solution_id,
        statement_of(row, "problem"),
        steps,
        problem_id=problem_id,
        final_answer=sample.text("answer"),
        remarks=tuple(remarks),
    )
    label = labelled(row, solution_id, partial(by_ratings, ratings, len(steps)))
    return Found(row.path, row.number, solution, label)


FORMAT = StepFormat(
    "prm800k_samples",
    "problems with rated solutions in samples, copies merged (PRM800K's validation part)",
    is_samples,
    items,
    kind="rated",
    label_source="people",
)
