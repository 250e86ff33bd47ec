"""The journal of one task of a run.

Kept candidates go into lm_eval's instances, and new ones go into the journal as they come back.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from prm_eval.harness.journal_hook import (
    Recorder,
    continue_with_another_seed,
    hook_of,
    nothing_to_ask,
    unhook,
)
from prm_eval.harness.kept import KeptCandidates, Key, prompt_hash
from prm_eval.harness.policy_identity import policy_identity, unwrapped
from prm_eval.harness.running import current_notes
from prm_eval.pools.pool import Pool
from prm_eval.store.writing import sync_folder

logger = logging.getLogger(__name__)


class TaskJournal:
    """The kept candidates of a task, between the building of its requests and the end of its selection.

    Args:
        task: The name of the task.
        parent: The folder of its pools.
        model: The language model, as lm_eval built it.
        metadata: The metadata of the task.
        arguments: Its generation arguments.
        n: Candidates a problem.
        rank: The rank of this process.
        world_size: The number of ranks.

    Raises:
        PrmEvalError: Another process writes this journal.
        DataError: A journal is damaged in the middle.
    """

    def __init__(
        self,
        task: str,
        parent: Path,
        model: Any,
        metadata: Mapping[str, Any],
        arguments: Mapping[str, Any],
        *,
        n: int,
        rank: int,
        world_size: int,
    ) -> None:
        self.task, self.model, self.n, self.arguments = task, model, n, dict(arguments)
        # under torchrun with a tensor-parallel model every process has rank 0 and gets the same candidates: one writes
        self.writes = world_size > 1 or os.environ.get("LOCAL_RANK", "0") in ("", "0")
        self.where = f"rank {rank}: " if world_size > 1 else ""
        self.kept = KeptCandidates(parent, policy_identity(model, metadata, arguments), rank)
        self.keys: list[Key] = []
        self.from_before: list[int] = []
        self.finished = False

    @property
    def n_kept(self) -> int:
        """The number of kept candidates, those from before and those of this run."""
        return sum(self.from_before) + self.kept.written

    @property
    def seeds(self) -> list[Any]:
        """The seeds that these candidates were sampled with; None among them for one that only the server knows."""
        return list(dict.fromkeys(self.kept.seeds))

    def fill(self, instances: Sequence[Any]) -> None:
        """Put kept candidates into lm_eval's instances, let it generate only the rest, and keep that as it comes."""
        hook = hook_of(self.model)
        if hook is None:
            logger.warning(
                "%s takes no hook: its candidates are kept only when all are there", type(self.model).__name__
            )
        owed: dict[Key, int] = {}
        for instance in instances:
            key = (str(instance.doc["problem_id"]), prompt_hash(instance.args[0]))
            instance.resps = list(self.kept.texts.get(key, ())[: self.n])
            instance.repeats = self.n - len(instance.resps)
            self.keys.append(key)
            self.from_before.append(len(instance.resps))
            owed[key] = owed.get(key, 0) + instance.repeats
        n_kept, to_make = sum(self.from_before), sum(owed.values())
        seed = continue_with_another_seed(self.model, self.kept, instances) if n_kept else None
        if to_make == 0:
            nothing_to_ask(self.model)
        elif self.writes:
            self.kept.open()
            self.kept.note_seed(seed if n_kept else first_seed(self.model, self.arguments))
            if hook is not None:
                hook.watch(self.task, Recorder(self.kept, self.arguments, owed), n_kept, to_make)
        self._say(n_kept, to_make)
        notes = current_notes()
        if notes is not None:
            notes.journals.append(self)

    def _say(self, n_kept: int, to_make: int) -> None:
        logger.info("%s%s candidates kept, %s to make", self.where, f"{n_kept:,}", f"{to_make:,}")
        for line in self.kept.others():
            logger.warning("%s", line)
        if n_kept:
            logger.info("to start again, remove %s.*.jsonl", self.kept.folder / self.kept.name)
        if to_make and self.writes:
            logger.info(
                "candidates are kept as they come in %s: the same command goes on where this one is cut off",
                self.kept.writing_to,
            )
            if (warning := one_batch_warning(self.model)) is not None:
                logger.warning("%s", warning)

    def in_pool(self, pool: Pool) -> None:
        """Record that all candidates are in a pool, and remove the hook, because generation is over."""
        unhook(self.model, self.task)
        try:
            sync_folder(pool.path)
        except OSError as error:
            logger.warning("%s may not outlive a power cut (%s); the journal stays", pool.path, error)
            return
        if self.writes:
            if self.kept.writing_to is None:  # everything was kept before
                self.kept.open()
            self.kept.in_pool(pool, self.keys)

    def finish(self) -> None:
        """Finish the journal, now that the candidates are graded, scored and selected."""
        if self.writes:
            self.kept.finish(self.keys, self.n)
        self.finished = True

    def close(self) -> None:
        """Close the files; the kept candidates stay for the next run."""
        unhook(self.model, self.task)
        self.kept.close()


def first_seed(model: Any, arguments: Mapping[str, Any]) -> int | None:
    """Return the seed that an uninterrupted run samples with; None where it is not known."""
    model = unwrapped(model)
    if "seed" in arguments:
        return arguments["seed"] if isinstance(arguments["seed"], int) else None
    if callable(getattr(getattr(model, "model", None), "named_parameters", None)):
        import torch

        return int(torch.initial_seed())
    given = getattr(model, "model_args", None)
    return given.get("seed") if isinstance(given, dict) else None


def one_batch_warning(model: Any) -> str | None:
    """Return a warning for a model that gets all requests at once, whose replies come back together at the end."""
    model = unwrapped(model)
    engine = type(model).__module__.rpartition(".")[2]
    if engine.startswith(("vllm", "sglang")) and getattr(model, "batch_size", None) == "auto":
        return (
            f"{type(model).__name__} with batch_size=auto gets all requests in one batch, so candidates come back, "
            "and are kept, only at the end: an interruption costs everything. Give --batch_size 1024 (or 16 times what "
            "runs at once) to keep them as they come; it costs a little speed at the end of each batch."
        )
    return None
