"""Re-score a submission with the model itself, on a random sample of the candidates or on all, and write down what came out."""

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

LOGODDS_SHARE = (
    0.02  # near 0 and 1 probabilities hide differences that a product of steps shows; so log-odds count too, for less
)
LOOSE_LOGODDS = (
    30.0  # beyond this a probability is 0 or 1 to double precision, and further differences of log-odds mean nothing
)
NORMAL_QUARTERS = 1.349  # standard deviations between the quartiles of a normal distribution
WORST = 20
CHUNK = 256  # candidates scored at a time


@dataclass(frozen=True)
class Compared:
    """One candidate, as submitted and as scored again.

    Attributes:
        row: 1-based row of ``rewards.parquet``.
        problem_id: Of the candidate.
        candidate_id: Of the candidate.
        difference: The largest of its steps; infinity where one of the two is a refusal, or the numbers of steps
            differ.
        mean: The mean of its steps; None where the largest is infinite or there are none.
        same_input: Whether the rendered input is the same; None where one of the two has none.
    """

    row: int
    problem_id: str
    candidate_id: str
    difference: float
    mean: float | None
    same_input: bool | None


def sample_rows(of: int, sample: int, seed: int) -> npt.NDArray[np.int64]:
    """Return the 0-based rows of a sample without replacement, rising; the same for the same seed everywhere.

    Rows are ordered by the SHA-256 of seed and row, which no version of a random number generator changes.
    """
    keys = [hashlib.sha256(f"prm_eval.verify/1:{seed}:{row}".encode()).digest() for row in range(of)]
    chosen = sorted(range(of), key=keys.__getitem__)[: min(sample, of)]
    return np.array(sorted(chosen), dtype=np.int64)


def _require_more_than_before(path: Path, rewards_sha256: str, compared: int) -> None:
    """Raise where a verification of the same rewards agreed on more candidates: a smaller one would only lower the tier.

    Raises:
        PrmEvalError: There is one.
    """
    try:
        before = read_typed(path, VerificationFile)
    except DataError:
        # there is none, or none that can be read: it is written over
        return
    if before.verdict == "agrees" and before.rewards_sha256 == rewards_sha256 and before.compared > compared:
        raise PrmEvalError(
            f"{path}: {before.compared:,} candidates agreed before; {compared:,} would say less. Remove that file first "
            "to write it again"
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
    """Score candidates again, compare, write ``verification.json`` and return it.

    Args:
        folder: Of a submission without faults.
        pool: Its pool, at hand.
        model: The reward model, loaded by whoever verifies.
        sample: How many candidates; None for all of them.
        seed: Of the sample; chosen after the submission was fixed, or its author could know the sample.
        verified_by: Who verifies.
        progress: Called with the number of candidates done.

    Raises:
        PrmEvalError: The model is fed or read otherwise than the submission says, so that there is nothing to compare;
            or more candidates agreed before.
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
    """Return what ``verification.json`` says of a comparison; without a seed, of all candidates."""
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
    """Insist that a model is what a submission names, as far as both say.

    Raises:
        PrmEvalError: Another kind, splitter, recipe, commit or other weights.
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
    """Return (tolerance, "probability" or "raw"): that of the coarser dtype of submission and verifier."""
    dtypes = (rewards.info.model.get("dtype"), model.describe().get("dtype"))
    return tolerance_between(*dtypes), "raw" if rewards.info.score_type == "raw" else "probability"


def differences(one: StepRewards, other: StepRewards, score_type: ScoreType, spread: float = 1.0) -> list[float]:
    """Return how two results for one candidate differ, step by step, on the scale on which tolerances are stated.

    Infinity where only one of them is a refusal, or the numbers of steps differ; nothing where both are.
    """
    if one.refusal is not None or other.refusal is not None:
        return [] if one.refusal is not None and other.refusal is not None else [math.inf]
    if len(one.values) != len(other.values):
        return [math.inf]
    return [_step_difference(a, b, score_type, spread) for a, b in zip(one.values, other.values, strict=True)]


def _step_difference(a: float, b: float, score_type: ScoreType, spread: float) -> float:
    if score_type != "logodds":
        return abs(a - b) / spread
    a, b = (max(-LOOSE_LOGODDS, min(LOOSE_LOGODDS, each)) for each in (a, b))  # but -12 and -1000 do differ
    return max(abs(sigmoid(a) - sigmoid(b)), LOGODDS_SHARE * abs(a - b))


def spread_of(values: Sequence[float]) -> float:
    """Return the unit in which raw numbers are compared: their standard deviation, or less where a few lie far outside.

    Args:
        values: Of the model run anew. By submitted ones their author would choose the unit.
    """
    if not values:
        return 1.0
    quarters = np.percentile(values, [25, 75])
    units = (float(np.std(values)), float(quarters[1] - quarters[0]) / NORMAL_QUARTERS)
    return min((each for each in units if each > 0 and math.isfinite(each)), default=1.0)


Scored = tuple[int, tuple[str, str], StepRewards, StepRewards]  # row, ids, as submitted, as scored again


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
    """Yield (row, ids, what the model is shown, what was submitted) of the chosen rows."""
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
    """Return the candidates that differ most, as ``verification.json`` lists them."""
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
