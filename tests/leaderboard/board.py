"""A small results folder for tests: one registered pool, one submission in order."""

from __future__ import annotations

import json
from functools import cache
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from prm_eval.grading.pool import grade_pool
from prm_eval.pools.pool import Pool
from prm_eval.rewards import score_pool
from prm_eval.rewards.models.rules import ArithmeticPRM
from prm_eval.submissions import fill_in, register_pool, submission_folder

POOL_ID = "demo-35x8"
ENTRY = "some-org/some.model_1"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
DISCLOSURE: dict[str, Any] = {
    "licence": "Apache-2.0",
    "base_model": "none",
    "training_data": ["none"],
    "trained_on": {"math_test": "no", "prm800k": "no", "this_pool": "unknown"},
    "contact": "someone",
}


class Model(ArithmeticPRM):
    """The arithmetic rule as a model of the hub: with a commit, tokens and rendered inputs."""

    name = "some-model"

    def describe(self) -> dict[str, Any]:
        return {"id": ENTRY, "revision": COMMIT, "dtype": "float32", "device": "cpu"}

    def score(self, items: Any) -> Any:
        from dataclasses import replace

        results = super().score(items)
        return [
            replace(result, n_tokens=len(item.text) or 1, input_hash=sha256(item.text.encode()).hexdigest())
            for item, result in zip(items, results, strict=True)
        ]


def twin_pool(folder: Path) -> Pool:
    """The demonstration's pool, with the first candidate of the first problem in two slots."""
    from prm_eval.demo import demo_file
    from prm_eval.importers import import_pool

    lines = [json.loads(line) for line in demo_file().read_text(encoding="utf-8").splitlines()]
    lines[0]["samples"][7] = lines[0]["samples"][0]
    source = folder.with_suffix(".jsonl")
    source.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return import_pool(source, folder, policy="hand-written").pool


def make_results(results: Path) -> Path:
    """Make a results folder and return the folder of its one submission; it is computed once and then written."""
    for name, content in _made().items():
        path = results / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return next(results.glob("submissions/*/*/*"))


@cache
def _made() -> dict[str, bytes]:
    """Return the content of each file of a results folder."""
    with TemporaryDirectory() as made:
        results = Path(made) / "results"
        pool = twin_pool(Path(made) / "pool")
        grade_pool(pool)
        register_pool(pool, results, POOL_ID)
        add_submission(results, pool, Model(), ENTRY)
        files = [path for path in results.rglob("*") if path.is_file()]
        return {path.relative_to(results).as_posix(): path.read_bytes() for path in files}


def add_submission(results: Path, pool: Pool, model: Any, entry: str) -> Path:
    folder = submission_folder(results, entry, model, pool)
    score_pool(pool, model, folder, name=entry)
    fill_in(folder, DISCLOSURE)
    return folder


def edit_json(path: Path, /, **changes: Any) -> None:
    """Change fields; a dotted name goes into an object, ``...`` removes the field."""
    fields = json.loads(path.read_text())
    for name, value in changes.items():
        *above, last = name.split("__")
        inner = fields
        for each in above:
            inner = inner[each]
        if value is ...:
            inner.pop(last)
        else:
            inner[last] = value
    path.write_text(json.dumps(fields))


def rows_of(folder: Path) -> list[dict[str, Any]]:
    return pq.read_table(folder / "rewards.parquet").to_pylist()


def write_rows(folder: Path, rows: list[dict[str, Any]], schema: pa.Schema | None = None, **options: Any) -> None:
    own = schema or pq.read_schema(folder / "rewards.parquet")
    pq.write_table(pa.Table.from_pylist(rows, schema=own), folder / "rewards.parquet", **options)
