"""The format of a step set on disk: the columns of its own files, and what ``stepset.json`` says.

A step set is a pool of one slot, with the splitter "given": a solution is the only candidate of a problem that has its
id. So it is scored, checked and resumed as a pool is. Beside the pool's files lie ``solutions.parquet`` (of which
problem, which group), ``labels.parquet`` and ``stepset.json``, and no reward model reads any of them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import pyarrow as pa

from prm_eval.errors import DataError
from prm_eval.records import LabelKind, Solution, StepLabel
from prm_eval.store.json_files import build_from, read_own_json
from prm_eval.store.jsonl import canonical_json
from prm_eval.store.rules import Number, Text

SCHEMA_VERSION = "prm_eval.stepset/1"
DESCRIPTION = "stepset.json"
SOLUTIONS_FILE = "solutions.parquet"
LABELS_FILE = "labels.parquet"

SOLUTIONS = pa.schema(
    [
        pa.field("solution_id", pa.string(), nullable=False),
        pa.field("problem_id", pa.string(), nullable=False),
        pa.field("group", pa.string()),
        pa.field("generator", pa.string()),
        pa.field("final_answer", pa.string()),
        pa.field("twin_id", pa.string()),
        pa.field("remarks", pa.list_(pa.string())),
    ]
)
LABELS = pa.schema(
    [
        pa.field("solution_id", pa.string(), nullable=False),
        pa.field("first_error", pa.int32()),
        pa.field("step_ratings", pa.list_(pa.int8())),
        pa.field("step_soft", pa.list_(pa.float64())),
        pa.field("final_correct", pa.bool_()),
        pa.field("source_label", pa.string(), nullable=False),
    ]
)

LabelSource = Literal["people", "rules", "rollouts", "model", "judge", "oracle", "unknown"]
"""Who made labels: people; an author's rule (a sentence exchanged by hand or by program); completions that were graded;
a reward model; a language model that was asked; an oracle that knows."""
LongText = Annotated[str, Text(10_000)]
Count = Annotated[int, Number(0)]


@dataclass(frozen=True)
class StepSetInfo:
    """What ``stepset.json`` says.

    Attributes:
        name: The set's name, as ``processbench``.
        labels: What the labels say.
        label_source: Who made them.
        n_solutions: Of the set.
        n_labelled: Solutions of which at least one thing is known.
        pool_hash: The content hash of the pool: what a reward model reads.
        labels_hash: The hash over the canonical records of solutions and labels.
        source: Files, revision, licence, address, format.
        dropped: How many records of the source were left out, by reason.
        notes: What a reader of the set should know.
        schema: Version of this format.
    """

    name: Annotated[str, Text(200, r"(?s:.*\S.*)", "a name")]
    labels: LabelKind
    label_source: LabelSource
    n_solutions: Count
    n_labelled: Count
    pool_hash: Annotated[str, Text(64, "[0-9a-f]{64}", "64 hexadecimal digits")]
    labels_hash: Annotated[str, Text(64, "[0-9a-f]{64}", "64 hexadecimal digits")]
    source: dict[str, Any] = field(default_factory=dict)
    dropped: dict[str, int] = field(default_factory=dict)
    notes: tuple[LongText, ...] = ()
    schema: str = SCHEMA_VERSION

    @property
    def content_hash(self) -> str:
        """The hash of the whole set, texts and labels."""
        return hashlib.sha256(canonical_json({"labels": self.labels_hash, "pool": self.pool_hash})).hexdigest()

    @property
    def made_by_a_model(self) -> bool:
        """Whether no person, rule or oracle stands behind the labels, which is said wherever they are shown."""
        return self.label_source in ("rollouts", "model", "judge")


def read_step_set_info(path: Path) -> StepSetInfo:
    """Read the ``stepset.json`` of a folder.

    Raises:
        DataError: It is not there, not JSON, of another schema, or a field is missing, unknown or of the wrong type.
    """
    file = path / DESCRIPTION
    if not file.is_file():
        hint = "Make one with: prm-eval steps import FILE -o FOLDER"
        raise DataError(path, None, f"no {DESCRIPTION}", "a step set", hint)
    return build_from(file, StepSetInfo, read_own_json(file, (SCHEMA_VERSION,), "a step set's description"), own=True)


def solution_row(solution: Solution) -> dict[str, Any]:
    """Return a row of ``solutions.parquet``."""
    return {
        "solution_id": solution.solution_id,
        "problem_id": solution.problem_id,
        "group": solution.group,
        "generator": solution.generator,
        "final_answer": solution.final_answer,
        "twin_id": solution.twin_id,
        "remarks": list(solution.remarks),
    }


def label_row(solution_id: str, label: StepLabel) -> dict[str, Any]:
    """Return a row of ``labels.parquet``."""
    return {
        "solution_id": solution_id,
        "first_error": label.first_error,
        "step_ratings": None if label.ratings is None else list(label.ratings),
        "step_soft": None if label.soft is None else list(label.soft),
        "final_correct": label.final_correct,
        "source_label": label.source_label,
    }


def hash_of_rows(rows: Iterable[dict[str, Any]]) -> str:
    """Return the SHA-256 over canonical rows."""
    digest = hashlib.sha256()
    for row in rows:
        digest.update(canonical_json(row))
    return digest.hexdigest()
