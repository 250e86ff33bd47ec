"""Score a pool with a reward model: resumable, each distinct candidate once, progress shown, nothing computed thrown away."""

from __future__ import annotations

import fcntl
import json
import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import IO, Any

from prm_eval.errors import DataError, ModelError, PrmEvalError
from prm_eval.jsonl import canonical_json, parse_line
from prm_eval.pool_format import software_versions
from prm_eval.pools import Pool
from prm_eval.records import Candidate, Problem, RewardInfo, ScoringItem, StepRewards
from prm_eval.rewards.files import RewardFile, RewardWriter, read_reward_info
from prm_eval.rewards.protocol import RewardModel
from prm_eval.steps import split_steps

CHUNK = 16  # candidates handed to the model at once, at first; after each chunk its rewards are on disk
LARGEST_CHUNK = 1_024
START_AGAIN = "Remove the file to start again."
CHUNK_SECONDS = 2.0  # chunks grow until one takes this long: long enough to batch well, short enough to lose little
Progress = Callable[[int, int], None]  # (candidates done, tokens done), called after every chunk
Work = tuple[Candidate, ScoringItem]


def score_pool(pool: Pool, model: RewardModel, folder: Path, progress: Progress | None = None) -> RewardFile:
    """Score every candidate of a pool and write a reward file; a run that was interrupted goes on where it stopped.

    Args:
        pool: The candidates.
        model: The reward model; its weights are loaded only if something is left to score.
        folder: Where ``submission.json`` and ``rewards.parquet`` go. If they are there already, for the same model and pool,
            nothing is computed.
        progress: Called after every chunk.

    Raises:
        ModelError: The model returned something that is not finite or has the wrong length.
        PrmEvalError: The folder holds rewards of another model or pool.
    """
    key = _identity(pool, model)
    if folder.exists() and not folder.is_dir():
        raise PrmEvalError(f"{folder} is a file; rewards need a folder of their own")
    if (folder / "submission.json").is_file():
        return _reuse(folder, key)
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / "rewards.partial.jsonl"
    done = _load_partial(partial, key)
    started = time.monotonic()
    chunk_size = CHUNK
    if done and progress is not None:
        progress(done, 0)
    with partial.open("ab") as log:
        _lock(log, folder)
        if done == 0 and log.tell() == 0:
            log.write(canonical_json({"key": key}))
        work = iter(islice(_work(pool, model), done, None))
        total_tokens = 0
        while chunk := list(islice(work, chunk_size)):
            chunk_started = time.monotonic()
            results = _score_distinct(model, [item for _, item in chunk])
            for (candidate, _), result in zip(chunk, results, strict=True):
                log.write(canonical_json(_line(candidate, result)))
                total_tokens += result.n_tokens or 0
            log.flush()
            os.fsync(log.fileno())
            done += len(chunk)
            if progress is not None:
                progress(done, total_tokens)
            if time.monotonic() - chunk_started < CHUNK_SECONDS:
                chunk_size = min(2 * chunk_size, LARGEST_CHUNK)
        seconds = time.monotonic() - started
    with RewardWriter(folder, single=model.score_type == "logodds") as writer:
        for candidate, (row, identity, result) in zip(_candidates(pool), _read_partial(partial), strict=True):
            if identity != (candidate.problem_id, candidate.candidate_id):
                raise DataError(
                    partial,
                    row,
                    f"rewards of {identity}",
                    f"{candidate.candidate_id} of {candidate.problem_id}",
                    START_AGAIN,
                )
            writer.add(candidate, result)
    writer.describe(
        RewardInfo(
            name=model.name,
            kind=model.kind,
            score_type=model.score_type,
            aggregation=model.aggregation,
            splitter=model.splitter,
            pool_hash=pool.info.content_hash,
            model=key["model"],
            run={"seconds": round(seconds, 3), "versions": software_versions("torch", "transformers")},
        )
    )
    partial.unlink()
    return RewardFile(folder)


def reward_slug(name: str) -> str:
    """Return a file name for a reward model's name (no path separators survive)."""
    return re.sub(r"[^\w.=+-]+", "__", name).strip("._") or "reward-model"


def _identity(pool: Pool, model: RewardModel) -> dict[str, Any]:
    """Return what must be equal for old rewards to be reusable."""
    key = {
        "aggregation": model.aggregation,
        "kind": model.kind,
        "model": model.describe(),
        "name": model.name,
        "pool_hash": pool.info.content_hash,
        "score_type": model.score_type,
        "splitter": model.splitter,
    }
    result: dict[str, Any] = json.loads(canonical_json(key))
    return result


def _reuse(folder: Path, key: dict[str, Any]) -> RewardFile:
    info = read_reward_info(folder)
    for name in ("name", "pool_hash", "kind", "score_type", "splitter", "model"):
        if getattr(info, name) != key[name]:
            raise PrmEvalError(
                f"{folder} holds rewards with {name} = {getattr(info, name)!r}, not {key[name]!r}. Give another folder."
            )
    return RewardFile(folder, aggregation=key["aggregation"])


def _work(pool: Pool, model: RewardModel) -> Iterator[Work]:
    splitter = model.splitter or pool.info.splitter
    for problem, candidates in pool:
        for candidate in candidates:
            yield candidate, scoring_item(problem, candidate, splitter)


def scoring_item(problem: Problem, candidate: Candidate, splitter: str) -> ScoringItem:
    """Return what a reward model may see of a candidate: no gold, no subject, no slot."""
    return ScoringItem(problem.statement, candidate.text, split_steps(candidate.text, splitter, candidate.steps))


def _candidates(pool: Pool) -> Iterator[Candidate]:
    for _, candidates in pool:
        yield from candidates


def _score_distinct(model: RewardModel, items: Sequence[ScoringItem]) -> list[StepRewards]:
    """Score each distinct item once; identical candidates get identical rewards by construction."""
    distinct = list(dict.fromkeys(items))
    scorable = [item for item in distinct if item.steps]
    results = model.score(scorable) if scorable else []
    if len(results) != len(scorable):
        raise ModelError(f"{model.name} returned {len(results)} results for {len(scorable)} candidates")
    by_item = {item: _checked(model, item, result) for item, result in zip(scorable, results, strict=True)}
    no_step = StepRewards((), refusal="no step")
    return [by_item.get(item, no_step) for item in items]


def _checked(model: RewardModel, item: ScoringItem, result: StepRewards) -> StepRewards:
    if result.refusal is not None:
        return StepRewards((), result.refusal, result.n_tokens, result.input_hash)
    expected = len(item.steps) if model.kind == "prm" else 1
    if len(result.values) != expected:
        raise ModelError(f"{model.name} returned {len(result.values)} rewards for a candidate that needs {expected}")
    # files keep log-odds in float32; NaN fails every comparison
    if not all(abs(value) < 3e38 for value in result.values):
        return StepRewards((), "non-finite reward", result.n_tokens, result.input_hash)
    return result


def _line(candidate: Candidate, result: StepRewards) -> dict[str, Any]:
    return {
        "c": candidate.candidate_id,
        "h": result.input_hash,
        "p": candidate.problem_id,
        "r": result.refusal,
        "t": result.n_tokens,
        "v": list(result.values),
    }


def _load_partial(partial: Path, key: dict[str, Any]) -> int:
    """Return how many candidates an interrupted run finished, after cutting off a line it did not finish writing."""
    if not partial.is_file():
        return 0
    lines = whole = 0
    header: dict[str, Any] = {}
    with partial.open("r+b") as log:
        for line in log:
            if not line.endswith(b"\n"):
                break
            if lines == 0:
                header = parse_line(partial, 1, line)
            lines, whole = lines + 1, whole + len(line)
        log.truncate(whole)
    if lines == 0:
        return 0
    if header.get("key") != key:
        raise PrmEvalError(
            f"{partial} is from an interrupted run with another model, other options or another pool. "
            "Finish it with those, or remove the file to start again."
        )
    return lines - 1


def _lock(log: IO[bytes], folder: Path) -> None:
    """Let one process at a time score into a folder; the lock ends with the process, however it ends.

    Raises:
        PrmEvalError: Another one is at it.
    """
    try:
        fcntl.flock(log, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise PrmEvalError(f"another process is scoring into {folder}; wait for it, or give another folder") from None


def _read_partial(partial: Path) -> Iterator[tuple[int, tuple[str, str], StepRewards]]:
    """Yield (row, (problem id, candidate id), rewards) of every line."""
    with partial.open("rb") as log:
        next(log)
        for row, line in enumerate(log, 2):
            fields = json.loads(line)
            if not isinstance(fields, dict) or not isinstance(fields.get("v"), list):
                raise DataError(partial, row, "a damaged line", "a line of rewards", START_AGAIN)
            yield (
                row,
                (fields["p"], fields["c"]),
                StepRewards(tuple(fields["v"]), fields["r"], fields["t"], fields["h"]),
            )
