"""The verification of a submission: its model scores all candidates, or a random sample, a second time."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from prm_eval.errors import DataError, PrmEvalError
from prm_eval.evaluation.measured import board_settings
from prm_eval.pools.format import software_versions
from prm_eval.pools.pool import Pool
from prm_eval.records import LOG_ODDS, ScoringItem, StepRewards
from prm_eval.rewards.engine.machine import device_name
from prm_eval.rewards.files.reward_file import VERIFIED, RewardFile, RewardWriter
from prm_eval.rewards.protocol import RewardModel, free
from prm_eval.rewards.scoring import score_distinct, scoring_item
from prm_eval.store.json_files import read_typed
from prm_eval.store.jsonl import file_sha256
from prm_eval.store.typed import as_json
from prm_eval.store.writing import write_json
from prm_eval.submissions.compare import Scored, compare, differences, mean_of, spread_of, worst_of
from prm_eval.submissions.formats import VerificationFile
from prm_eval.submissions.gains import Figures, figures_of
from prm_eval.submissions.leeway import sample_needed
from prm_eval.submissions.records import RegisteredPool
from prm_eval.submissions.step_gains import StepFigures, step_figures_of, step_sample
from prm_eval.submissions.trust import (
    MEAN_SHARE,
    MOST_FOLLOWED,
    PINNED,
    detection_of,
    measured_tolerance,
    verified_digest,
)

# candidates scored at a time, at least
CHUNK = 256
# Candidates that are scored once more to measure the noise, and how many at a time: few, for batches unlike CHUNK's.
NOISE_CANDIDATES, NOISE_CHUNK = 256, 37
# fields of a verification that only those of step sets have
OF_STEPS = ("measure", "threshold", "calls_changed")


@dataclass(frozen=True)
class Run:
    """The verifier's run.

    Attributes:
        scored: The candidates that were compared, in the pool's order.
        noise: The largest difference between the runs of some of them.
        spread: The unit of raw numbers; 1 for others.
    """

    scored: Sequence[Scored]
    noise: float
    spread: float


def sample_rows(of: int, sample: int, seed: int) -> npt.NDArray[np.int64]:
    """Return the 0-based rows of a sample without replacement, rising; a seed gives the same rows everywhere.

    Rows are ordered by the SHA-256 of seed and row, which no version of a random number generator changes.
    """
    keys = [hashlib.sha256(f"prm_eval.verify/1:{seed}:{row}".encode()).digest() for row in range(of)]
    chosen = sorted(range(of), key=keys.__getitem__)[: min(sample, of)]
    return np.array(sorted(chosen), dtype=np.int64)


def headline_n(pool: RegisteredPool) -> int:
    """Return the n by which the board of a pool ranks.

    Raises:
        PrmEvalError: The pool is not at hand.
    """
    return board_settings(_at_hand(pool).info.m, pool.headline_n).headline_n


def sample_for(pool: RegisteredPool, folder: Path | None = None) -> int | None:
    """Return how many candidates a spot check of a pool needs to earn its tier, where the runs hardly differ.

    Args:
        pool: The pool.
        folder: The submission; for a step set the number depends on it.

    Returns:
        The number; None where no sample of a step set is enough, and only all solutions are.
    """
    if pool.step_set is not None and folder is not None:
        return step_sample(folder, _at_hand(pool).path)
    return sample_needed(headline_n(pool))


def verify_submission(
    folder: Path,
    pool: RegisteredPool,
    model: RewardModel,
    *,
    sample: int | None,
    seed: int,
    verified_by: str,
    progress: Callable[[int], None] | None = None,
    otherwise: RewardModel | None = None,
) -> VerificationFile:
    """Score candidates again, compare the results, write ``verification.json`` and return it.

    Where all candidates were scored, agree and differ, ``verified.parquet`` has what the model gave: the board takes
    its figures from there.

    Args:
        folder: The folder of a submission without faults.
        pool: Its pool, at hand and graded.
        model: The reward model, as the verifier loaded it.
        sample: The number of candidates; None for all of them.
        seed: The seed of the sample, chosen after the submission was fixed: else its author could know the sample.
        verified_by: The person who verifies.
        progress: Called with the number of candidates done.
        otherwise: The same model, to be run in another precision, where its noise is to be measured so as well.

    Raises:
        PrmEvalError: The model is not the one that the submission names, or more candidates agreed before.
    """
    at_hand = _at_hand(pool)
    rewards = RewardFile(folder)
    require_same_model(rewards, model)
    of = at_hand.info.n_candidates
    sample = None if sample is not None and sample >= of else sample
    rows = np.arange(of) if sample is None else sample_rows(of, sample, seed)
    _require_more_than_before(folder / "verification.json", file_sha256(rewards.path), len(rows))
    run = _run(rewards, at_hand, model, rows, progress, otherwise)
    figures: Figures | StepFigures
    if pool.step_set is None:
        figures = figures_of(rewards, at_hand, headline_n(pool), run.scored, everything=sample is None)
    else:
        figures = step_figures_of(folder, at_hand.path, run.scored, everything=sample is None)
    result = _verification(rewards, model, run, figures, of, None if sample is None else seed, verified_by)
    result = replace(result, verified_sha256=_keep(folder, rewards, model, run, result))
    # what is of step sets only is left out of a pool's: older files, made again, stay byte for byte
    said = {name: value for name, value in as_json(result).items() if value is not None or name not in OF_STEPS}
    write_json(folder / "verification.json", said)
    return result


def _at_hand(pool: RegisteredPool) -> Pool:
    if pool.pool is None:
        raise PrmEvalError(f"the pool {pool.pool_id} is not at hand")
    return pool.pool


def _require_more_than_before(path: Path, rewards_sha256: str, compared: int) -> None:
    """Insist that a verification of the same rewards says more than the one that is there, whatever that one said.

    A smaller one would only lower the tier, and one about as large would draw again until it fits.

    Raises:
        PrmEvalError: There is such a verification.
    """
    try:
        before = read_typed(path, VerificationFile)
    except DataError:
        # there is none, or one that cannot be read and will be overwritten
        return
    if before.rewards_sha256 != rewards_sha256:
        return
    if before.verdict == "agrees" and before.compared > compared:
        raise PrmEvalError(
            f"{path}: {before.compared:,} candidates agreed before; {compared:,} would say less. "
            "Remove that file first to write it again"
        )
    # 95 % is what one draw says: whoever draws until it fits has no 95 %
    if before.scope == "sample" and compared < min(2 * before.compared, before.of):
        raise PrmEvalError(
            f"{path}: a sample of {before.compared:,} was drawn already, and another of less than twice that would be "
            f"a second chance. Take more (--sample {2 * before.compared}), or all (--all). Where that run was made "
            "wrongly, remove the file first"
        )


def _verification(
    rewards: RewardFile,
    model: RewardModel,
    run: Run,
    figures: Figures | StepFigures,
    of: int,
    seed: int | None,
    verified_by: str,
) -> VerificationFile:
    """Return what ``verification.json`` says of a comparison; without a seed, all candidates were compared."""
    about = model.describe()
    compared = list(compare(run.scored, rewards.info.score_type, run.spread))
    tolerance = measured_tolerance(run.noise, about.get("dtype"))
    beyond = [each for each in compared if each.difference > tolerance or each.same_input is False]
    mean = mean_of(compared)
    edited = bool(beyond) or (mean or 0.0) > tolerance / MEAN_SHARE or figures.follows_grade > MOST_FOLLOWED
    return VerificationFile(
        schema="prm_eval.verification/1",
        pool_hash=rewards.info.pool_hash,
        rewards_sha256=file_sha256(rewards.path),
        model=about | {"id": rewards.info.model.get("id", model.name)},
        scope="all" if seed is None else "sample",
        seed=seed,
        compared=len(compared),
        of=of,
        scale="raw" if rewards.info.score_type == "raw" else "probability",
        tolerance=tolerance,
        max_difference=max((each.difference for each in compared if math.isfinite(each.difference)), default=None),
        mean_difference=mean,
        beyond=len(beyond),
        inputs_differ=sum(each.same_input is False for each in compared),
        worst=worst_of(compared),
        detection=detection_of(len(compared), of),
        verdict="differs" if edited else "agrees",
        verified_by=verified_by,
        device_name=device_name(str(getattr(model, "device", "cpu"))),
        versions=software_versions("numpy", "pyarrow", "tokenizers", "torch", "transformers"),
        noise=run.noise,
        headline_n=figures.headline_n if isinstance(figures, Figures) else None,
        leeway=figures.leeway,
        follows_grade=figures.follows_grade,
        gained=figures.gained,
        aggregation=rewards.info.aggregation,
        score_type=rewards.info.score_type,
        splitter=rewards.info.splitter,
        **({} if isinstance(figures, Figures) else {name: getattr(figures, name) for name in OF_STEPS}),
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


# --- the run


def _run(
    rewards: RewardFile,
    pool: Pool,
    model: RewardModel,
    rows: npt.NDArray[np.int64],
    progress: Callable[[int], None] | None,
    otherwise: RewardModel | None,
) -> Run:
    """Score the chosen rows, and some of them once more in other ways."""
    places = np.linspace(0, len(rows) - 1, min(NOISE_CANDIDATES, len(rows))).astype(np.int64)
    measured = set(rows[places].tolist())
    scored: list[Scored] = []
    items: list[ScoringItem] = []
    once: list[StepRewards] = []
    for item, one in _score_again(rewards, pool, model, rows, progress):
        scored.append(one)
        if one.row - 1 in measured:
            items.append(item)
            once.append(one.again)
    kind = rewards.info.score_type
    spread = spread_of([value for one in scored for value in one.again.values]) if kind == "raw" else 1.0
    noise = 0.0
    for each in (model, otherwise):
        if each is not None:
            twice = _in_other_batches(each, items)
            pairs = (differences(a, b, kind, spread) for a, b in zip(once, twice, strict=True))
            noise = max([noise, *(value for found in pairs for value in found if math.isfinite(value))])
            free(each)
    return Run(scored, noise, spread)


def _in_other_batches(model: RewardModel, items: Sequence[ScoringItem]) -> list[StepRewards]:
    """Return the results of items, in their order, scored from the last to the first and a few at a time."""
    found: list[StepRewards] = []
    backwards = items[::-1]
    for first in range(0, len(backwards), NOISE_CHUNK):
        found += score_distinct(model, backwards[first : first + NOISE_CHUNK])
    return found[::-1]


def _score_again(
    rewards: RewardFile,
    pool: Pool,
    model: RewardModel,
    rows: npt.NDArray[np.int64],
    progress: Callable[[int], None] | None,
) -> Iterator[tuple[ScoringItem, Scored]]:
    single = model.score_type in LOG_ODDS
    done = 0
    for chunk in _chunks(_chosen(rewards, pool, rows)):
        results = score_distinct(model, [item for item, _ in chunk])
        for (item, one), again in zip(chunk, results, strict=True):
            yield item, replace(one, again=_as_stored(again) if single else again)
        done += len(chunk)
        if progress is not None:
            progress(done)


def _chunks(chosen: Iterator[tuple[ScoringItem, Scored]]) -> Iterator[list[tuple[ScoringItem, Scored]]]:
    """Yield whole problems, of :data:`CHUNK` candidates or more: equal texts of a problem are scored once."""
    chunk: list[tuple[ScoringItem, Scored]] = []
    for each in chosen:
        if len(chunk) >= CHUNK and chunk[-1][1].problem != each[1].problem:
            yield chunk
            chunk = []
        chunk.append(each)
    if chunk:
        yield chunk


def _as_stored(result: StepRewards) -> StepRewards:
    """Return a result in the precision of reward files, so that the same run is the same to the last bit."""
    return replace(result, values=tuple(np.array(result.values, dtype=np.float32).astype(np.float64).tolist()))


def _chosen(rewards: RewardFile, pool: Pool, rows: npt.NDArray[np.int64]) -> Iterator[tuple[ScoringItem, Scored]]:
    """Yield the model's input of each chosen row, and the row as if the model had given what was submitted."""
    wanted, splitter = set(rows.tolist()), rewards.info.splitter or pool.info.splitter
    submitted = rewards.rows()
    at = 0
    for number, (problem, candidates) in enumerate(pool):
        for candidate in candidates:
            problem_id, candidate_id, row = next(submitted)
            if at in wanted:
                item = scoring_item(problem, candidate, splitter)
                yield item, Scored(at + 1, number, candidate.slot, problem_id, candidate_id, row, row)
            at += 1


def _keep(folder: Path, rewards: RewardFile, model: RewardModel, run: Run, result: VerificationFile) -> str | None:
    """Write ``verified.parquet`` where the board is to use it, and remove it elsewhere; return its SHA-256."""
    # to the last bit, and not by the scale of the comparison: beyond its ends rewards differ that count as equal
    same = all(each.again.values == each.submitted.values for each in run.scored)
    if result.scope != "all" or result.verdict != "agrees" or same:
        (folder / VERIFIED).unlink(missing_ok=True)
        return None
    with RewardWriter(folder, single=model.score_type in LOG_ODDS, name=VERIFIED) as writer:
        for each in run.scored:
            # all but the numbers is what agreed; a refusal keeps its words, which the totals count
            writer.add_row(each.problem_id, each.candidate_id, replace(each.submitted, values=each.again.values))
    return verified_digest(folder)
