"""Results folders for tests and the benchmark: pools, and submissions that are made up but well-formed."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from hashlib import sha256
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from prm_eval.evaluation.pool_arrays import PoolArrays, load_arrays
from prm_eval.pools.pool import Pool
from prm_eval.rewards.files.reading import reward_schema
from prm_eval.rewards.files.step_arrays import refusal_reason
from prm_eval.rewards.recipes.catalogue import named_recipe

RECIPES = {"prm": "token-classification", "orm": "sequence-classification"}  # of no model family, for any score type


def register(results: Path, pool: Pool, pool_id: str, title: str, headline_n: int | None = None) -> Pool:
    """Copy a pool into a results folder and put it into the registry."""
    target = results / "pools" / pool_id
    if target != pool.path:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(pool.path, target, ignore=shutil.ignore_patterns("rewards"))
    entry = {
        "schema": "prm_eval.pool-ref/1",
        "pool_id": pool_id,
        "content_hash": pool.info.content_hash,
        "title": title,
        "path": f"pools/{pool_id}",
    }
    if headline_n is not None:
        entry["headline_n"] = headline_n
    (results / "pools" / f"{pool_id}.json").write_text(json.dumps(entry), encoding="utf-8")
    return Pool(target)


def made_up(
    arrays: PoolArrays, seed: int, *, skill: float = 1.0, stepwise: bool = True, wordy: float = 0.0
) -> list[list[float]]:
    """Return log-odds for every candidate: higher for correct ones by ``skill``, for long ones by ``wordy``."""
    generator = np.random.default_rng(seed)
    correct = arrays.correct.ravel()[arrays.at]
    lengths = np.log(arrays.lengths.ravel()[arrays.at] + 1)
    base = 1.2 * skill * (2 * correct - 1) + generator.normal(0, 1.3, len(correct)) + wordy * (lengths - lengths.mean())
    if not stepwise:
        return [[float(np.float32(each))] for each in base]
    splitter = arrays.info.splitter
    arrays.prepare([splitter])
    counts = arrays.step_counts[splitter]
    noise = generator.normal(0, 0.8, int(counts.sum())) + np.repeat(base + 1.5, counts)
    starts = np.cumsum(counts) - counts
    falls = starts + (generator.random(len(counts)) * counts).astype(np.int64)
    noise[falls[~correct & (counts > 0)]] -= 1.8 * skill
    values = noise.astype(np.float32).astype(np.float64)
    return [values[start : start + count].tolist() for start, count in zip(starts, counts, strict=True)]


def submit(
    results: Path,
    arrays: PoolArrays,
    pool_id: str,
    values: list[list[float]],
    *,
    name: str = "lab/model",
    revision: str = "0" * 40,
    kind: str = "prm",
    score_type: str = "logodds",
    aggregation: str = "prod",
    refusals: dict[int, str] | None = None,
    disclosure: dict | None = None,
    device: str = "a processor",
    seconds: float = 100.0,
    verification: dict | None = None,
    **changes: object,
) -> Path:
    """Write a submission folder in order; ``changes`` replace fields of submission.json."""
    folder = results / "submissions" / name.replace("/", "__") / revision / pool_id
    folder.mkdir(parents=True, exist_ok=True)
    refusals = refusals or {}
    rows = len(values)
    problem_ids, candidate_ids = arrays.ids
    lists = [None if row in refusals else each for row, each in enumerate(values)]
    columns = {
        "problem_id": problem_ids,
        "candidate_id": candidate_ids,
        "step_rewards": lists,
        "n_steps": [0 if each is None else len(each) for each in lists],
        "n_tokens": [200 + row % 100 for row in range(rows)],
        "input_hash": [sha256(f"{name} {row}".encode()).hexdigest() for row in range(rows)],
        "refusal": [refusals.get(row) for row in range(rows)],
    }
    schema = reward_schema(single=score_type == "logodds")
    pq.write_table(pa.table(columns, schema=schema), folder / "rewards.parquet", compression="zstd")
    fields: dict[str, object] = {
        "schema": "prm_eval.rewards/2",
        "name": name,
        "kind": kind,
        "score_type": score_type,
        "aggregation": aggregation,
        "splitter": None,
        "pool_hash": arrays.info.content_hash,
        "model": {"id": name, "dtype": "bfloat16", "recipe": RECIPES[kind]}
        | {"recipe_sha256": named_recipe(RECIPES[kind]).digest}
        | ({"weights": "none: a rule"} if revision.startswith("rule") else {"revision": revision}),
        "run": {
            "seconds": seconds,
            "resumed": 0,
            "candidates": rows,
            "tokens": sum(columns["n_tokens"]),
            "refused": dict(Counter(refusal_reason(each) for each in refusals.values())),
            "device_name": device,
            "versions": {"python": "3.11.7", "torch": "2.9.0"},
        },
        "disclosure": disclosure or complete(),
    }
    (folder / "submission.json").write_text(json.dumps({**fields, **changes}), encoding="utf-8")
    if verification is not None:
        (folder / "verification.json").write_text(json.dumps(verification), encoding="utf-8")
    return folder


def complete(**answers: str) -> dict:
    """Return a complete disclosure; answers default to "no"."""
    trained = {"math_test": "no", "prm800k": "no", "this_pool": "no"}
    return {
        "licence": "Apache-2.0",
        "base_model": "Qwen/Qwen2.5-Math-7B",
        "training_data": ["peiyi9979/Math-Shepherd"],
        "trained_on": {**trained, **answers},
        "contact": "someone@example.org",
    }


disclosure = complete


def demo_results(results: Path) -> Path:
    """Make a results folder of the pool that ships (twice: all slots, and four of them) and five made-up reward
    models."""
    from prm_eval.demo import demo_file
    from prm_eval.grading.pool import grade_pool
    from prm_eval.importers import import_pool

    for pool_id, title, slots, names in (
        ("demo-35x8", "Demonstration, 35 problems \u00d7 8", "max", 5),
        ("demo-35x4", "Demonstration, 35 problems \u00d7 4", "4", 3),
    ):
        folder = results / "pools" / pool_id
        pool = import_pool(demo_file(), folder, policy="hand-written", slots=slots).pool
        grade_pool(pool)
        register(results, pool, pool_id, title)
        arrays = load_arrays(pool)
        for place, (name, skill, kind, how) in enumerate(
            (
                ("lab-a/Careful-PRM-7B", 1.6, "prm", disclosure()),
                ("lab-b/Hasty-PRM-1.5B", 0.5, "prm", disclosure(prm800k="yes")),
                ("lab-a/Outcome-RM", 1.0, "orm", disclosure(math_test="unknown")),
                ("someone/Longwinded", 0.0, "orm", None),
                ("rules/arithmetic", 0.8, "prm", disclosure()),
            )[:names]
        ):
            values = made_up(
                arrays, place, skill=skill, stepwise=kind == "prm", wordy=3.0 if name.endswith("winded") else 0.0
            )
            submit(
                results,
                arrays,
                pool_id,
                values,
                name=name,
                kind=kind,
                revision=f"{place + 1}" * 40,
                disclosure=how,
                refusals={5: "over-length: 9,000 tokens", 17: "no step"} if place == 1 else None,
            )
    return results
