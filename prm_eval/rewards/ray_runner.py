"""The runner for many machines or GPUs with Ray Data (``prm-eval score --runner ray``, the extra ``[ray]``).

Ray Data maps the scorer of :mod:`prm_eval.rewards.scoring` over the blocks of the pool's Parquet file, with one actor
for each GPU, or on CPUs if there is no GPU. Ray distributes the blocks, restarts actors that die, and gives their block
to another actor; this module only says what a block is. Blocks come back in the pool's order and go through the same
partial file as in a local run, so each kind of run resumes the other. All workers must see the pool and the model under
the same paths.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from prm_eval.errors import ModelError
from prm_eval.pools.pool import Pool
from prm_eval.progress import Progress
from prm_eval.records import Candidate, StepRewards
from prm_eval.rewards.files.judgements import judged_fields, judged_from
from prm_eval.rewards.files.partial import PartialFile
from prm_eval.rewards.protocol import RendersAhead, RewardModel, device_of, work_done
from prm_eval.rewards.scoring import (
    Results,
    block_ranges,
    complete_blocks,
    render_distinct,
    score_distinct,
    score_rendered,
    scoring_item,
)
from prm_eval.store.jsonl import canonical_json


@dataclass(frozen=True)
class RayRunner:
    """A runner on a Ray cluster: the one that ``RAY_ADDRESS`` names, or one that is started on this machine.

    Args:
        name: The name of the reward model, by which the workers load it.
        options: The options of the reward model.
        workers: The number of actors. None is one for each GPU of the cluster, or, for a model on CPUs, as many as the
            CPUs have room for, each with as many threads as this process has.

    Raises:
        ModelError: Ray is not installed, or a worker's model is not the one of this process.
    """

    name: str
    options: dict[str, Any] = field(default_factory=dict)
    workers: int | None = None

    def __call__(self, pool: Pool, model: RewardModel, partial: PartialFile, progress: Progress) -> Results:
        """Yield the rewards of the candidates that are not done, block by block, in the pool's order."""
        skip = complete_blocks(pool, partial)
        todo = [{"start": start, "count": count} for start, count in block_ranges(pool)][skip:]
        if not todo:
            return
        ray = _import_ray()
        started_here = not ray.is_initialized()
        if started_here:
            # nothing about a run is sent anywhere
            os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
            ray.init(include_dashboard=False, log_to_driver=False, logging_level="warning")
        try:
            done, tokens = partial.done, 0
            candidates = _skipped(pool, done)
            for row in self._dataset(ray, pool, model, todo).iter_rows():
                results = [_result(fields) for fields in json.loads(row["results"])]
                yield [(next(candidates), result) for result in results]
                done, tokens = done + len(results), tokens + row["tokens"]
                progress(done, tokens)
        finally:
            if started_here:
                ray.shutdown()

    def _dataset(self, ray: Any, pool: Pool, model: RewardModel, todo: list[dict[str, int]]) -> Any:
        ray.data.DataContext.get_current().execution_options.preserve_order = True
        ray.data.DataContext.get_current().enable_progress_bars = False
        gpus = 1 if device_of(model).startswith("cuda") else 0
        room = int(ray.cluster_resources().get("GPU" if gpus else "CPU", 1))
        workers = self.workers or max(1, room if gpus else room // (_threads() or 1))
        workers = min(workers, len(todo))
        return ray.data.from_items(todo, override_num_blocks=len(todo)).map(
            Worker,
            fn_constructor_kwargs={
                "path": str(pool.path.resolve()),
                "name": self.name,
                "options": self.options,
                "described": canonical_json(model.describe()),
                "threads": _threads(),
                "folder": str(Path.cwd()),
            },
            concurrency=workers,
            num_gpus=gpus,
            num_cpus=0 if gpus else min(1.0, ray.cluster_resources().get("CPU", 1) / workers),
        )


class Worker:
    """An actor with its own copy of the model, which takes blocks and returns rewards."""

    def __init__(
        self,
        path: str,
        name: str,
        options: dict[str, Any],
        described: bytes,
        threads: int | None,
        folder: str | None = None,
    ) -> None:
        from prm_eval.rewards import load_reward_model

        if folder is not None:
            # the paths of model, recipe and cache may be relative to it
            os.chdir(folder)
        if threads is not None:
            import torch

            # sums are split by threads: the same number of threads gives the same bits
            torch.set_num_threads(threads)
        self.pool, self.model = Pool(path), load_reward_model(name, **options)
        found = canonical_json(self.model.describe())
        if found != described:
            raise ModelError(f"a Ray worker has another model: {found.decode()}; this process has {described.decode()}")

    def __call__(self, block: dict[str, int]) -> dict[str, Any]:
        """Return the rewards of one block."""
        splitter = self.model.splitter or self.pool.info.splitter
        candidates = self.pool.candidates(block["start"], block["count"])
        items = [scoring_item(self.pool.problems[each.problem_id], each, splitter) for each in candidates]
        if isinstance(self.model, RendersAhead):
            before = work_done(self.model).get("tokens", 0)
            results = score_rendered(self.model, items, render_distinct(self.model, items))
            tokens = work_done(self.model).get("tokens", 0) - before
        else:
            results = score_distinct(self.model, items)
            tokens = sum(result.n_tokens or 0 for result in results)
        fields = [
            [list(each.values), each.refusal, each.n_tokens, each.input_hash, judged_fields(each.judged)]
            for each in results
        ]
        return {"results": canonical_json(fields), "tokens": tokens}


def _result(fields: list[Any]) -> StepRewards:
    values, refusal, n_tokens, input_hash, judged = fields
    return StepRewards(tuple(values), refusal, n_tokens, input_hash, judged_from(judged))


def _skipped(pool: Pool, done: int) -> Iterator[Candidate]:
    return islice((candidate for _, candidates in pool for candidate in candidates), done, None)


def _threads() -> int | None:
    """Return the number of threads that torch uses here; None if torch is not installed."""
    try:
        import torch
    except ImportError:
        return None
    return int(torch.get_num_threads())


def _import_ray() -> Any:
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise ModelError(f"--runner ray needs Ray: pip install 'prm_eval[ray]' ({error})") from None
    return ray
