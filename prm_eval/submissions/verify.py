"""The verification of a submission: its model scores all candidates, or a random sample, a second time."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from prm_eval.errors import DataError, PrmEvalError
from prm_eval.pools.format import software_versions, write_json
from prm_eval.pools.pool import Pool
from prm_eval.records import ScoreType, ScoringItem, StepRewards
from prm_eval.rewards.aggregate import sigmoid
from prm_eval.rewards.engine.machine import device_name
from prm_eval.rewards.files.reward_file import RewardFile
from prm_eval.rewards.protocol import RewardModel
from prm_eval.rewards.scoring import score_distinct, scoring_item
from prm_eval.store.json_files import read_typed
from prm_eval.store.jsonl import file_sha256
from prm_eval.store.typed import as_json
from prm_eval.submissions.formats import VerificationFile
from prm_eval.submissions.records import RegisteredPool
from prm_eval.submissions.trust import (
    MEAN_SHARE,
    PINNED,
    detection_of,
    tolerance_between,
)

# Near 0 and 1 probabilities hide differences that a product of steps shows: so log-odds count too, with less weight.
LOGODDS_SHARE = 0.02
# beyond this a probability is 0 or 1 to double precision, and further differences of log-odds mean nothing
LOOSE_LOGODDS = 30.0
# standard deviations between the quartiles of a normal distribution
NORMAL_QUARTERS = 1.349
# candidates that are listed as differing most
WORST = 20
# candidates scored at a time
CHUNK = 256


@dataclass(frozen=True)
class Compared:
    """One candidate, as submitted and as scored again.

    Attributes:
        row: 1-based row of ``rewards.parquet``.
        problem_id: The candidate's problem.
        candidate_id: The candidate's id.
        difference: The largest difference of a step; infinity where only one of the two is a refusal, or the numbers of
            steps differ.
        mean: The mean difference over its steps; None where the largest is infinite or there are no steps.
        same_input: Whether the rendered inputs are the same; None where one of the two results has none.
    """

    row: int
    problem_id: str
    candidate_id: str
    difference: float
    mean: float | None
    same_input: bool | None


def sample_rows(of: int, sample: int, seed: int) -> npt.NDArray[np.int64]:
    """Return the 0-based rows of a sample without replacement, rising; a seed gives the same rows everywhere.

    Rows are ordered by the SHA-256 of seed and row, which no version of a random number generator changes.
    """
    keys = [hashlib.sha256(f"prm_eval.verify/1:{seed}:{row}".encode()).digest() for row in range(of)]
    chosen = sorted(range(of), key=keys.__getitem__)[: min(sample, of)]
    return np.array(sorted(chosen), dtype=np.int64)


def _require_more_than_before(path: Path, rewards_sha256: str, compared: int) -> None:
    """Insist that no verification of the same rewards has agreed on more candidates.

    A smaller one would only lower the tier.

    Raises:
        PrmEvalError: There is such a verification.
    """
    try:
        before = read_typed(path, VerificationFile)
    except DataError:
        # there is none, or one that cannot be read and will be overwritten
        return
    if before.verdict == "agrees" and before.rewards_sha256 == rewards_sha256 and before.compared > compared:
        raise PrmEvalError(
            f"{path}: {before.compared:,} candidates agreed before; {compared:,} would say less. "
            "Remove that file first to write it again"
        )


def verify_submission(
    folder: Path,
    pool: RegisteredPool,
    model: RewardModel,
    *,
    sample: int | None,
    seed: int,
    verified_by: str,
    progress: Callable[[int], None] | None = None,
) -> VerificationFile:
    """Score candidates again, compare the results, write ``verification.json`` and return it.

    Args:
        folder: The folder of a submission without faults.
        pool: Its pool, at hand.
        model: The reward model, as the verifier loaded it.
        sample: The number of candidates; None for all of them.
        seed: The seed of the sample, chosen after the submission was fixed: else its author could know the sample.
        verified_by: The person who verifies.
        progress: Called with the number of candidates done.

    Raises:
        PrmEvalError: The model is not the one that the submission names, or more candidates agreed before.
    """
    if pool.pool is None:
        raise PrmEvalError(f"the pool {pool.pool_id} is not at hand")
    rewards = RewardFile(folder)
    require_same_model(rewards, model)
    of = pool.pool.info.n_candidates
    sample = None if sample is not None and sample >= of else sample
    rows = np.arange(of) if sample is None else sample_rows(of, sample, seed)
    _require_more_than_before(folder / "verification.json", file_sha256(rewards.path), len(rows))
    tolerance, scale = tolerance_of(rewards, model)
    scored = list(_score_again(rewards, pool.pool, model, rows, progress))
    spread = spread_of([value for *_, again in scored for value in again.values]) if scale == "raw" else 1.0
    compared = list(_compare(scored, rewards.info.score_type, spread))
    result = _verification(
        rewards,
        model,
        compared,
        pool_hash=pool.content_hash,
        of=of,
        seed=None if sample is None else seed,
        scale=scale,
        tolerance=tolerance,
        verified_by=verified_by,
    )
    write_json(folder / "verification.json", as_json(result))
    return result


def _verification(
    rewards: RewardFile,
    model: RewardModel,
    compared: Sequence[Compared],
    *,
    pool_hash: str,
    of: int,
    seed: int | None,
    scale: Literal["probability", "raw"],
    tolerance: float,
    verified_by: str,
) -> VerificationFile:
    """Return what ``verification.json`` says of a comparison; without a seed, all candidates were compared."""
    beyond = [each for each in compared if each.difference > tolerance or each.same_input is False]
    mean = _mean(compared)
    return VerificationFile(
        schema="prm_eval.verification/1",
        pool_hash=pool_hash,
        rewards_sha256=file_sha256(rewards.path),
        model=model.describe() | {"id": rewards.info.model.get("id", model.name)},
        scope="all" if seed is None else "sample",
        seed=seed,
        compared=len(compared),
        of=of,
        scale=scale,
        tolerance=tolerance,
        max_difference=max((each.difference for each in compared if math.isfinite(each.difference)), default=None),
        mean_difference=mean,
        beyond=len(beyond),
        inputs_differ=sum(each.same_input is False for each in compared),
        worst=_worst(compared),
        detection=detection_of(len(compared), of),
        verdict="differs" if beyond or (mean or 0.0) > tolerance / MEAN_SHARE else "agrees",
        verified_by=verified_by,
        device_name=device_name(str(getattr(model, "device", "cpu"))),
        versions=software_versions("numpy", "pyarrow", "tokenizers", "torch", "transformers"),
    )


def require_same_model(rewards: RewardFile, model: RewardModel) -> None:
    """Insist that a model agrees with a submission in every field that both of them have.

    Raises:
        PrmEvalError: They differ in kind, score type, splitter or one of :data:`PINNED`.
    """
    info, about = rewards.info, model.describe()
    pairs: list[tuple[str, Any, Any]] = [
        ("kind", info.kind, model.kind),
        ("score_type", info.score_type, model.score_type),
        ("splitter", info.splitter, model.splitter),
    ]
    for name in PINNED:
        if info.model.get(name) and about.get(name):
            pairs.append((name, info.model[name], about[name]))
    for name, theirs, ours in pairs:
        if theirs != ours:
            raise PrmEvalError(
                f"the submission has {name} = {theirs!r}, the model given has {ours!r}: not the same model"
            )


def tolerance_of(rewards: RewardFile, model: RewardModel) -> tuple[float, Literal["probability", "raw"]]:
    """Return (tolerance, "probability" or "raw"), by the coarser dtype of submission and verifier."""
    dtypes = (rewards.info.model.get("dtype"), model.describe().get("dtype"))
    return tolerance_between(*dtypes), "raw" if rewards.info.score_type == "raw" else "probability"


def differences(one: StepRewards, other: StepRewards, score_type: ScoreType, spread: float = 1.0) -> list[float]:
    """Return the differences of two results for one candidate, step by step, on the scale of the tolerances.

    The only one is infinity where just one of the results is a refusal, or the numbers of steps differ; there is none
    where both are refusals.
    """
    if one.refusal is not None or other.refusal is not None:
        return [] if one.refusal is not None and other.refusal is not None else [math.inf]
    if len(one.values) != len(other.values):
        return [math.inf]
    return [_step_difference(a, b, score_type, spread) for a, b in zip(one.values, other.values, strict=True)]


def _step_difference(a: float, b: float, score_type: ScoreType, spread: float) -> float:
    if score_type != "logodds":
        return abs(a - b) / spread
    # -12 and -1000 still differ
    a, b = (max(-LOOSE_LOGODDS, min(LOOSE_LOGODDS, each)) for each in (a, b))
    return max(abs(sigmoid(a) - sigmoid(b)), LOGODDS_SHARE * abs(a - b))


def spread_of(values: Sequence[float]) -> float:
    """Return the unit in which raw numbers are compared: their standard deviation, or less if there are outliers.

    Args:
        values: The rewards that the verifier got. With submitted rewards, their author would choose the unit.
    """
    if not values:
        return 1.0
    quarters = np.percentile(values, [25, 75])
    units = (float(np.std(values)), float(quarters[1] - quarters[0]) / NORMAL_QUARTERS)
    return min((each for each in units if each > 0 and math.isfinite(each)), default=1.0)


# row, ids, as submitted, as scored again
Scored = tuple[int, tuple[str, str], StepRewards, StepRewards]


def _score_again(
    rewards: RewardFile,
    pool: Pool,
    model: RewardModel,
    rows: npt.NDArray[np.int64],
    progress: Callable[[int], None] | None,
) -> Iterator[Scored]:
    chosen = iter(_chosen(rewards, pool, rows))
    done = 0
    while chunk := list(islice(chosen, CHUNK)):
        results = score_distinct(model, [item for _, _, item, _ in chunk])
        for (row, identity, _, submitted), again in zip(chunk, results, strict=True):
            yield row, identity, submitted, again
        done += len(chunk)
        if progress is not None:
            progress(done)


def _compare(scored: Sequence[Scored], score_type: ScoreType, spread: float) -> Iterator[Compared]:
    for row, identity, submitted, again in scored:
        hashes = (submitted.input_hash, again.input_hash)
        same = None if None in hashes else hashes[0] == hashes[1]
        found = differences(submitted, again, score_type, spread)
        largest = max(found, default=0.0)
        mean = math.fsum(found) / len(found) if found and math.isfinite(largest) else None
        yield Compared(row, *identity, largest, mean, same)


Chosen = tuple[int, tuple[str, str], ScoringItem, StepRewards]


def _chosen(rewards: RewardFile, pool: Pool, rows: npt.NDArray[np.int64]) -> Iterator[Chosen]:
    """Yield (row, ids, the model's input, the submitted result) of the chosen rows."""
    wanted, splitter = set(rows.tolist()), rewards.info.splitter or pool.info.splitter
    submitted = rewards.rows()
    at = 0
    for problem, candidates in pool:
        for candidate in candidates:
            problem_id, candidate_id, row = next(submitted)
            if at in wanted:
                yield at + 1, (problem_id, candidate_id), scoring_item(problem, candidate, splitter), row
            at += 1


def _mean(compared: Sequence[Compared]) -> float | None:
    """Return the mean over candidates of the mean difference of their steps; None where none has one."""
    means = [each.mean for each in compared if each.mean is not None]
    return math.fsum(means) / len(means) if means else None


def _worst(compared: Sequence[Compared]) -> list[dict[str, Any]]:
    """Return the candidates that differ most, in the form of ``verification.json``."""
    worst = sorted(compared, key=lambda each: (-each.difference, each.row))[:WORST]
    return [
        {
            "row": each.row,
            "problem_id": each.problem_id,
            "candidate_id": each.candidate_id,
            "difference": each.difference if math.isfinite(each.difference) else None,
        }
        for each in worst
        if each.difference > 0
    ]
