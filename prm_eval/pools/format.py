"""The format of a pool on disk: the columns of its files, what ``pool.json`` says, and its content hash."""

from __future__ import annotations

import hashlib
import platform
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pyarrow as pa

from prm_eval.errors import DataError
from prm_eval.records import Candidate, GradeRow
from prm_eval.store.json_files import build_from, read_own_json
from prm_eval.store.jsonl import canonical_json

SCHEMA_VERSION = "prm_eval.pool/1"
# More than anybody samples. An evaluation holds some numbers for each slot, so a pool.json with more is no pool.
MOST_SLOTS = 1 << 17
MOST_IN_ALL = 10**8
# characters of a policy's name in a table
LONGEST_NAME = 300

PROBLEMS = pa.schema(
    [
        pa.field("problem_id", pa.string(), nullable=False),
        pa.field("statement", pa.string(), nullable=False),
        pa.field("gold", pa.string()),
        pa.field("subject", pa.string()),
        pa.field("level", pa.int32()),
    ]
)
CANDIDATES = pa.schema(
    [
        pa.field("problem_id", pa.string(), nullable=False),
        pa.field("candidate_id", pa.string(), nullable=False),
        pa.field("slot", pa.int32(), nullable=False),
        pa.field("text", pa.string(), nullable=False),
        pa.field("steps", pa.list_(pa.string())),
        pa.field("n_tokens", pa.int32()),
        pa.field("finish_reason", pa.string()),
    ]
)
GRADES = pa.schema(
    [
        pa.field("problem_id", pa.string(), nullable=False),
        pa.field("candidate_id", pa.string(), nullable=False),
        pa.field("answer", pa.string()),
        pa.field("answer_class", pa.int32()),
        pa.field("grade", pa.string(), nullable=False),
        pa.field("rule", pa.string(), nullable=False),
        pa.field("grader", pa.string(), nullable=False),
    ]
)


@dataclass(frozen=True)
class PoolInfo:
    """What ``pool.json`` says.

    ``content_hash`` is over canonical records and decides. The hashes in ``files`` are quicker to check: while they
    agree, the content does too.

    Attributes:
        problem_set: Name, revision where it has one, and content hash of the problems.
        policy: Who wrote the candidates: id, revision.
        m: Slots a problem.
        splitter: How candidates are cut into steps.
        n_problems: Of the pool.
        n_candidates: Of the pool; missing slots are not among them.
        content_hash: SHA-256 over the canonical records of problems and candidates.
        sampling: Temperature, top-p, seed and the like, as far as they are known.
        source: The file or run it was made from.
        versions: Of the software that made it.
        files: SHA-256 of the files as first written.
        schema: Version of this format.
    """

    problem_set: dict[str, Any]
    policy: dict[str, Any]
    m: int
    splitter: str
    n_problems: int
    n_candidates: int
    content_hash: str
    sampling: dict[str, Any] = field(default_factory=dict)
    source: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    schema: str = SCHEMA_VERSION

    @property
    def short_hash(self) -> str:
        """The first 12 hexadecimal digits, for names and tables."""
        return self.content_hash[:12]

    @property
    def n_missing(self) -> int:
        """Slots without a candidate; they count as wrong."""
        return self.n_problems * self.m - self.n_candidates


def policy_name(policy: Mapping[str, Any]) -> str:
    """Return the name of a pool's policy for tables: its id or name, or the folder's name of a local checkpoint."""
    name = str(policy.get("id") or policy.get("name") or "")
    name = " ".join(name.split())[:LONGEST_NAME]
    local = name.startswith(("/", "~", ".")) or name[1:3] in (":\\", ":/")
    return (re.split(r"[\\/]", name.rstrip("\\/"))[-1] if local else name) or "an unnamed policy"


def software_versions(*packages: str) -> dict[str, str]:
    """Return the versions of Python and the named packages that are installed."""
    found = {"python": platform.python_version()}
    for name in ("prm_eval", *packages):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def read_pool_info(path: Path) -> PoolInfo:
    """Read the ``pool.json`` of a folder.

    Raises:
        DataError: It is not there, not JSON, of another schema, or a field is missing, unknown or of the wrong type.
    """
    file = path / "pool.json"
    if not file.is_file():
        raise DataError(
            path, None, "no pool.json", "a pool folder", "Make one with: prm-eval pool import FILE -o FOLDER"
        )
    info = build_from(file, PoolInfo, read_own_json(file, (SCHEMA_VERSION,), "a pool description"), own=True)
    if info.m < 1 or info.n_problems < 1:
        raise DataError(file, None, f"{info.n_problems} problems of {info.m} slots", "a pool that is not empty")
    if info.m > MOST_SLOTS or info.n_problems * info.m > MOST_IN_ALL:
        found = f"{info.n_problems:,} problems of {info.m:,} slots"
        raise DataError(file, None, found, f"at most {MOST_SLOTS:,} slots a problem and {MOST_IN_ALL:,} in all")
    if not 0 <= info.n_candidates <= info.n_problems * info.m:
        found, most = f"n_candidates = {info.n_candidates:,}", info.n_problems * info.m
        raise DataError(file, None, found, f"0 to {most:,}, as many as {info.n_problems:,} problems have slots")
    return info


def pool_hash(problems: str, m: int, splitter: str, candidates: str) -> str:
    """Return the content hash of a pool from the hashes of its parts."""
    header = {"candidates": candidates, "m": m, "problems": problems, "schema": SCHEMA_VERSION, "splitter": splitter}
    return hashlib.sha256(canonical_json(header)).hexdigest()


def grade_columns(candidate: Candidate, row: GradeRow, grader: str) -> dict[str, Any]:
    """Return a row of a grades file."""
    return grade_row(candidate.problem_id, candidate.candidate_id, row, grader)


def grade_row(problem_id: str, candidate_id: str, row: GradeRow, grader: str) -> dict[str, Any]:
    """Return a row of a grades file, for a candidate given by its ids: these are hashes, and take time to make."""
    return {
        "problem_id": problem_id,
        "candidate_id": candidate_id,
        "answer": row.answer,
        "answer_class": row.answer_class,
        "grade": row.grade,
        "rule": row.rule,
        "grader": grader,
    }
