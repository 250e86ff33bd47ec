"""The rows of a submission, read and checked in the limited child: for ``prm-eval check`` and for the board alike.

No other process opens a stranger's ``rewards.parquet``: a file on which the reader aborts, or that unpacks to more
than there is memory, costs the child and not the board. What is in order comes back as plain arrays.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from prm_eval.pools.pool import Pool
from prm_eval.rewards.files.reward_file import REWARDS, RewardFile
from prm_eval.rewards.files.step_arrays import StepArrays
from prm_eval.store.rules import shown
from prm_eval.store.typed import Draft
from prm_eval.submissions.checking.faults import Faults
from prm_eval.submissions.checking.provenance import recipe_of
from prm_eval.submissions.checking.worker import Worker, WorkerDied
from prm_eval.submissions.formats import SubmissionFile
from prm_eval.submissions.records import Submission

Ints = npt.NDArray[np.int64]

ROWS_NEED = ("kind", "score_type", "aggregation", "splitter", "model")
# a file that takes longer is refused; a usual one takes a tenth of this time
FIXED_SECONDS, ROWS_A_SECOND = 60.0, 1_000.0
POOL_SECONDS = 600.0


class RowReader:
    """A reader of the rows of submissions.

    Args:
        worker: The child process that reads; by default one of its own, which is started at the first question.
    """

    def __init__(self, worker: Worker | None = None) -> None:
        self._worker = worker or Worker()

    def content_hash(self, pool: Pool) -> tuple[str | None, str]:
        """Return the content hash of a pool; None and a reason if it is not sound."""
        try:
            reply = self._worker.ask({"pool": str(pool.path.absolute())}, POOL_SECONDS)
        except WorkerDied as error:
            return None, str(error)
        return reply.get("content_hash"), reply.get("error", "")

    def step_set(self, pool: Pool) -> dict[str, Any]:
        """Return what the child says of a step set (:func:`.step_sets.look_at`), or ``{"error": reason}``."""
        try:
            return self._worker.ask({"step_set": str(pool.path.absolute())}, POOL_SECONDS)
        except WorkerDied as error:
            return {"error": str(error)}

    def read(
        self,
        folder: Path,
        pool: Pool,
        about: Draft[SubmissionFile],
        faults: Faults,
        *,
        arrays: bool = False,
        name: str = REWARDS,
    ) -> StepArrays | None:
        """Check the rows of a submission, and add every fault.

        Args:
            folder: The submission's folder.
            pool: Its pool.
            about: Its ``submission.json``, of which the fields :data:`ROWS_NEED` are well formed.
            faults: The collector of faults.
            arrays: Whether the step rewards are wanted.
            name: The file: the submitted rewards, or those of the verification, of which the submission counts nothing.

        Returns:
            The step rewards, if they are wanted and the rows have no fault.
        """
        path = folder / name
        recipe = recipe_of(about["model"])
        how = {name: about[name] for name in ("kind", "aggregation", "score_type")}
        how["hashed"] = recipe is not None and recipe.head.type != "generate"
        where = {"pool": str(pool.path.absolute()), "rewards": str(path.absolute())}
        question = {**where, "splitter": about["splitter"], "about": how, "arrays": arrays}
        try:
            reply = self._worker.ask(question, FIXED_SECONDS + pool.info.n_candidates / ROWS_A_SECOND)
        except WorkerDied as error:
            faults.add("parquet", path, str(error), "a Parquet file that can be read to its end")
            return None
        if "splitter" in reply:
            what = f"splitter = {shown(about['splitter'])}, which fails ({reply['splitter']})"
            faults.add("field", folder / "submission.json", what, "a splitter that can cut this pool")
            return None
        if "error" in reply:
            faults.add("field", folder / "submission.json", f"rows that cannot be checked ({reply['error']})", "others")
            return None
        for kind, row, found, expected in reply["found"]:
            faults.add(kind, path, found, expected, row)
        if reply["found"]:
            return None
        wrong = name == REWARDS and _wrong_totals(folder, reply["totals"], about, faults)
        return None if wrong or not arrays else _step_arrays(reply)

    def close(self) -> None:
        """End the child process."""
        self._worker.close()

    def __enter__(self) -> RowReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _wrong_totals(folder: Path, totals: dict[str, Any], about: Draft[SubmissionFile], faults: Faults) -> bool:
    """Add a fault for every total in ``submission.json`` that is not that of the rows; say whether there is one."""
    wrong = [name for name in totals if about.has("run") and getattr(about["run"], name) != totals[name]]
    for name in wrong:
        what = f"run.{name} = {shown(getattr(about['run'], name))}"
        faults.add("totals", folder / "submission.json", what, f"{totals[name]}, as in rewards.parquet")
    return bool(wrong)


def _step_arrays(reply: dict[str, Any]) -> StepArrays:
    candidates, _, told = reply["arrays"]
    tokens = reply["totals"]["tokens"] or 0
    counts = np.frombuffer(reply["bytes"], dtype=np.int64, count=candidates)
    values = np.frombuffer(reply["bytes"], dtype=np.float64, offset=counts.nbytes)
    return StepArrays(values, counts, reply["totals"]["refused"], tokens, told)


class ReadRewards(RewardFile):
    """The rewards of a submission that were read already, so that the file is not opened again.

    Args:
        rewards: The submission's rewards.
        steps: The step rewards, as :class:`RowReader` returned them.
    """

    def __init__(self, rewards: RewardFile, steps: StepArrays) -> None:
        super().__init__(rewards.path, info=rewards.info)
        self._steps = steps

    def read_whole(self, pool: Pool, ids: tuple[pa.ChunkedArray, pa.ChunkedArray], steps: Ints) -> StepArrays:
        """Return the step rewards.

        Raises:
            DataError: They are for another pool.
        """
        self.require_pool(pool)
        return self._steps


def with_rewards(submission: Submission, steps: StepArrays) -> Submission:
    """Return a submission whose rewards were read already."""
    return replace(submission, rewards=ReadRewards(submission.rewards, steps))
