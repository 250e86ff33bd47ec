"""Step sets of a few lines, as arrays and on disk."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from prm_eval.evaluation.stepwise.arrays import SetArrays, load_set
from prm_eval.evaluation.stepwise.scores import StepScores
from prm_eval.records import LabelKind, Solution, StepLabel
from prm_eval.stepsets import StepSet, StepSetWriter
from prm_eval.stepsets.labels import by_first_error, by_ratings


def labelled(path: Path, rows: Sequence[dict[str, Any]], labels: LabelKind = "first_error", **of: Any) -> StepSet:
    """Write a set: each row has ``label`` or ``ratings``, and ``n`` or ``steps``; ids are counted."""
    with StepSetWriter(path, name="small", labels=labels, label_source=of.pop("label_source", "people")) as writer:
        for number, row in enumerate(rows):
            steps = tuple(row.get("steps") or (f"step {k} of {number}" for k in range(row["n"])))
            writer.add(
                Solution(
                    row.get("id", f"s{number}"),
                    row.get("statement", f"problem {row.get('problem', number)}"),
                    steps,
                    str(row.get("problem", number)),
                    row.get("group"),
                    twin_id=row.get("twin"),
                ),
                label_of(row, len(steps)),
            )
    assert writer.step_set is not None
    return writer.step_set


def label_of(row: dict[str, Any], n_steps: int) -> StepLabel:
    if "ratings" in row:
        return by_ratings(row["ratings"], n_steps, final_correct=row.get("final"))
    return by_first_error(row["label"], n_steps, final_correct=row.get("final"))


def arrays(path: Path, rows: Sequence[dict[str, Any]], labels: LabelKind = "first_error") -> SetArrays:
    return load_set(labelled(path, rows, labels))


def scored(values: Sequence[float | None], **of: Any) -> StepScores:
    """Scores that are probabilities, None for a missing one."""
    numbers = np.array([np.nan if each is None else each for each in values], dtype=np.float64)
    fields: dict[str, Any] = {"score_type": "value", "threshold": 0.5} | of
    return StepScores(fields.pop("name", "model"), fields.pop("kind", "prm"), numbers, numbers, **fields)
