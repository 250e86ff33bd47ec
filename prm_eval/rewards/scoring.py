"""The scoring of a pool by a reward model: it can be resumed, and each distinct candidate is computed once.

Models that render ahead (:class:`~prm_eval.rewards.protocol.RendersAhead`, as all models on our engine do) get whole
problems in **blocks** that depend only on the pool. A score depends only on its block, to the last bit on a CPU:
neither interruptions nor the process that computes it, here or under Ray, change it. Within a block, scores are kept in
a journal as they are computed.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import islice, takewhile
from pathlib import Path
from typing import Any, Protocol

from prm_eval.errors import DataError, ModelError, PrmEvalError
from prm_eval.pools.format import software_versions
from prm_eval.pools.pool import Pool
from prm_eval.progress import Progress, silent
from prm_eval.records import LOG_ODDS, Candidate, Problem, ScoringItem, StepRewards
from prm_eval.rewards.engine.engine import NO_ROOM
from prm_eval.rewards.engine.machine import device_name
from prm_eval.rewards.files.cache import ScoreFile, identity_hash
from prm_eval.rewards.files.finished import FILES, SCORES, described, finished, remove_replaced, unreadable
from prm_eval.rewards.files.judgements import JudgementJournal
from prm_eval.rewards.files.partial import START_AGAIN, PartialFile
from prm_eval.rewards.files.reward_file import RewardFile, RewardWriter
from prm_eval.rewards.files.reward_info import RewardInfo
from prm_eval.rewards.inputs.rendered import Rendered
from prm_eval.rewards.models.server_writer import SERVER_REFUSED
from prm_eval.rewards.protocol import RendersAhead, Report, RewardModel, device_of, work_done
from prm_eval.store.jsonl import canonical_json
from prm_eval.store.writing import remove_leftovers
from prm_eval.texts.steps import split_steps, text_to_judge

logger = logging.getLogger(__name__)

RUNNERS = ("local", "ray")
"""The runners that can score a pool: this process, or the actors of a Ray cluster (:mod:`.ray_runner`)."""
# refusals whose cause is the machine, not the candidate
OF_THE_MACHINE = (NO_ROOM, SERVER_REFUSED)
# the least candidates of a block of whole problems: enough for full batches, and few enough for early results
BLOCK = 256
# candidates that a model which does not render ahead gets at once; after each chunk the rewards are on disk
CHUNK = 16
LARGEST_CHUNK = 1_024
# chunks grow until one takes this long: long enough for good batches, short enough to lose little
CHUNK_SECONDS = 2.0
# bytes of a file name made of a model's name, which may be a long path; a file system takes 255 in all
LONGEST_SLUG = 180
Work = tuple[Candidate, ScoringItem]
# candidates in the pool's order, some at a time
Results = Iterator[list[tuple[Candidate, StepRewards]]]


class Runner(Protocol):
    """The part that walks the pool: this process (:func:`score_here`), or many (:mod:`prm_eval.rewards.ray_runner`).

    A runner hands candidates to the reward model. Inside the model, an engine computes outputs from token ids.
    """

    def __call__(self, pool: Pool, model: RewardModel, partial: PartialFile, progress: Progress) -> Results:
        """Yield the rewards of all candidates after the first ``partial.done``, in the pool's order."""
        ...


def score_pool(
    pool: Pool,
    model: RewardModel,
    folder: Path,
    progress: Progress | None = None,
    runner: Runner | None = None,
    name: str | None = None,
) -> RewardFile:
    """Return the reward file of a pool, scored here; an interrupted run continues where it stopped.

    Args:
        pool: The candidates.
        model: The reward model; its weights are loaded only if candidates are left to score.
        folder: The folder of ``submission.json`` and ``rewards.parquet``. If it has them already, for the same model
            and pool, nothing is computed. Rewards of another model or pool are in the way, unless every candidate was
            refused in them.
        progress: The function that is called as candidates are done.
        runner: The part that walks the pool; None is this process.
        name: The model's name in the files, instead of its own name and id (which is a path for a local folder).

    Raises:
        ModelError: The model returned numbers of the wrong count, or the machine or the server refused every
            candidate.
        OtherRewards: The folder holds rewards of another model or pool.
    """
    key = rewards_key(pool, model, name)
    require_a_folder(folder)
    if (there := finished(folder, key)) is not None:
        return there
    folder.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    report = progress or silent
    with PartialFile(folder, key) as partial, JudgementJournal(folder, key, partial.done) as judgements:
        # another process may have finished them while this one waited for its turn
        if (there := finished(folder, key)) is not None:
            partial.remove()
            return there
        remove_leftovers(folder, FILES)
        if described(folder) is not None and (fault := unreadable(folder)) is not None:
            logger.warning("%s: found %s; the rewards are scored again", fault.path, fault.found)
        resumed = partial.done
        if resumed:
            report(resumed, 0)
        for done in (runner or score_here)(pool, model, partial, report):
            # first: a judgement without its rewards is made again, and rewards without their judgement are not
            judgements.append(partial.done, done)
            partial.append(done)
        _require_a_working_machine(partial)
        run = {"seconds": round(time.monotonic() - started, 3), "resumed": resumed}
        remove_replaced(folder)
        # before the rewards: finished rewards have nothing that is still to be written
        judgements.finish()
        _write(pool, model, folder, partial, {"name": key["name"], "model": key["model"]}, run | _work_done(model))
        # both files are on the disk
        (folder / SCORES).unlink(missing_ok=True)
        partial.remove()
    return RewardFile(folder)


def require_a_folder(folder: Path) -> None:
    """Insist that the folder of rewards is one, if it is there.

    Raises:
        PrmEvalError: It is a file.
    """
    if folder.exists() and not folder.is_dir():
        raise PrmEvalError(f"{folder} is a file; rewards need a folder of their own")


def _require_a_working_machine(partial: PartialFile) -> None:
    """Discard a run in which the machine or the server refused every candidate.

    If the refusals were kept, the same command would find them after the machine is mended.

    Raises:
        ModelError: The machine or the server refused every candidate.
    """
    reasons = [result.refusal or "" for _, _, result in islice(partial.rows(), 1)]
    if not reasons or not all((result.refusal or "").startswith(OF_THE_MACHINE) for _, _, result in partial.rows()):
        return
    count = partial.done
    partial.keep(0)
    raise ModelError(
        f"all {count} candidates were refused, the first because: {reasons[0]}. Nothing was kept; "
        "mend the machine or the server, or give other options, and run the command again."
    )


def reward_slug(name: str) -> str:
    """Return a reward model's name as a file name, without path separators; of a long one, its end with a hash."""
    slug = re.sub(r"[^\w.=+-]+", "__", name).strip("._") or "reward-model"
    if len(slug.encode()) <= LONGEST_SLUG:
        return slug
    end = slug.encode()[-LONGEST_SLUG:].decode(errors="ignore").lstrip("._")
    return f"{end}-{hashlib.sha256(slug.encode()).hexdigest()[:8]}"


def _work_done(model: RewardModel) -> dict[str, Any]:
    """Return the hardware, the versions, and the model's counts in this process, if it computed anything here."""
    counted = work_done(model)
    about = {
        "device_name": device_name(device_of(model)),
        "versions": software_versions("numpy", "pyarrow", "tokenizers", "torch", "transformers"),
    }
    return about | ({"engine": counted} if counted else {})


def _write(
    pool: Pool, model: RewardModel, folder: Path, partial: PartialFile, about: dict[str, Any], run: dict[str, Any]
) -> None:
    with RewardWriter(folder, single=model.score_type in LOG_ODDS) as writer:
        for candidate, (row, identity, result) in zip(_candidates(pool), partial.rows(), strict=True):
            if identity != (candidate.problem_id, candidate.candidate_id):
                wanted = f"{candidate.candidate_id} of {candidate.problem_id}"
                raise DataError(partial.path, row, f"rewards of {identity}", wanted, START_AGAIN)
            writer.add(candidate, result)
    # rewards that were lost may have been disclosed already
    before = described(folder)
    writer.describe(
        RewardInfo(
            kind=model.kind,
            score_type=model.score_type,
            aggregation=model.aggregation,
            splitter=model.splitter,
            pool_hash=pool.info.content_hash,
            run=writer.totals() | run,
            disclosure=None if before is None else before.disclosure,
            **about,
        )
    )


def rewards_key(pool: Pool, model: RewardModel, name: str | None) -> dict[str, Any]:
    """Return the values that must be equal for old rewards to be used again."""
    named = {} if name is None else {"id": name}
    key = {
        "aggregation": model.aggregation,
        "kind": model.kind,
        "model": model.describe() | named,
        "name": name or model.name,
        "pool_hash": pool.info.content_hash,
        "score_type": model.score_type,
        "splitter": model.splitter,
    }
    result: dict[str, Any] = json.loads(canonical_json(key))
    return result


def scoring_item(problem: Problem, candidate: Candidate, splitter: str) -> ScoringItem:
    """Return the part of a candidate that a reward model may see: no gold, no subject, no slot."""
    steps = split_steps(candidate.text, splitter, candidate.steps)
    return ScoringItem(problem.statement, text_to_judge(candidate.text, splitter), steps)


def _candidates(pool: Pool) -> Iterator[Candidate]:
    for _, candidates in pool:
        yield from candidates


def score_here(pool: Pool, model: RewardModel, partial: PartialFile, progress: Progress) -> Results:
    """Yield rewards computed in this process: the :class:`Runner` of ``--runner local``."""
    if isinstance(model, RendersAhead):
        return _score_blocks(pool, model, partial, progress)
    return _score_chunks(pool, model, partial.done, progress)


def _score_chunks(pool: Pool, model: RewardModel, done: int, progress: Progress) -> Results:
    work = iter(islice(_work(pool, model), done, None))
    chunk_size, tokens = CHUNK, 0
    while chunk := list(islice(work, chunk_size)):
        started = time.monotonic()
        results = score_distinct(model, [item for _, item in chunk])
        yield [(candidate, result) for (candidate, _), result in zip(chunk, results, strict=True)]
        done, tokens = done + len(chunk), tokens + sum(result.n_tokens or 0 for result in results)
        progress(done, tokens)
        if time.monotonic() - started < CHUNK_SECONDS:
            chunk_size = min(2 * chunk_size, LARGEST_CHUNK)


def _work(pool: Pool, model: RewardModel) -> Iterator[Work]:
    for block in blocks(pool, model, 1):
        yield from block


def blocks(pool: Pool, model: RewardModel, least: int | None = None) -> Iterator[list[Work]]:
    """Yield whole problems in blocks of at least ``least`` candidates (:data:`BLOCK` by default)."""
    splitter = model.splitter or pool.info.splitter
    block: list[Work] = []
    for problem, candidates in pool:
        block += [(candidate, scoring_item(problem, candidate, splitter)) for candidate in candidates]
        if len(block) >= (least or BLOCK):
            yield block
            block = []
    if block:
        yield block


def block_ranges(pool: Pool) -> Iterator[tuple[int, int]]:
    """Yield the (first row, number of rows) in ``candidates.parquet`` of each block of :func:`blocks`."""
    start = size = 0
    for _, table in pool.blocks(["problem_id"]):
        size += table.num_rows
        if size >= BLOCK:
            yield start, size
            start, size = start + size, 0
    if size:
        yield start, size


def complete_blocks(pool: Pool, partial: PartialFile) -> int:
    """Return how many blocks are complete in the partial file, and remove the part of an unfinished block from it.

    The scores of the unfinished block stay in the journal.
    """
    complete = list(takewhile(lambda block: sum(block) <= partial.done, block_ranges(pool)))
    partial.keep(sum(complete[-1]) if complete else 0)
    return len(complete)


class _Tally:
    """A sum of progress that comes in pieces."""

    def __init__(self, done: int, progress: Progress) -> None:
        self.done, self.tokens, self._progress = done, 0, progress

    def __call__(self, candidates: int, tokens: int) -> None:
        self.done, self.tokens = self.done + candidates, self.tokens + tokens
        self._progress(self.done, self.tokens)


def _score_blocks(pool: Pool, model: RendersAhead, partial: PartialFile, progress: Progress) -> Results:
    """Yield the rewards of block after block; a thread renders the next block while this one is computed."""
    todo = islice(blocks(pool, model), complete_blocks(pool, partial), None)
    tally = _Tally(partial.done, progress)
    journal = ScoreFile(partial.path.with_name(SCORES), identity_hash(model.identity()), durable=True)
    with ThreadPoolExecutor(1) as ahead:
        rendering = ahead.submit(_render_next, model, todo)
        while (found := rendering.result()) is not None:
            rendering = ahead.submit(_render_next, model, todo)
            block, rendered = found
            results = score_rendered(model, [item for _, item in block], rendered, journal, tally)
            yield [(candidate, result) for (candidate, _), result in zip(block, results, strict=True)]
            # the caller has written the block to the partial file by now
            journal.clear()


Block = tuple[list[Work], dict[ScoringItem, Rendered]]


def _render_next(model: RendersAhead, todo: Iterator[list[Work]]) -> Block | None:
    block = next(todo, None)
    return None if block is None else (block, render_distinct(model, [item for _, item in block]))


def render_distinct(model: RendersAhead, items: Sequence[ScoringItem]) -> dict[ScoringItem, Rendered]:
    """Return each distinct item that has a step, with its rendering."""
    distinct = [item for item in dict.fromkeys(items) if item.steps]
    return dict(zip(distinct, model.render_all(distinct), strict=True))


def score_rendered(
    model: RendersAhead,
    items: Sequence[ScoringItem],
    rendered: dict[ScoringItem, Rendered],
    journal: ScoreFile | None = None,
    report: Report | None = None,
) -> list[StepRewards]:
    """Return the rewards of a block's items; ``report`` is called with (candidates, tokens) as they are done."""
    scorable = [item for item in items if item in rendered]
    if report is not None:
        report(len(items) - len(scorable), 0)
    results = model.score_rendered([rendered[item] for item in scorable], journal, report)
    return _in_order(model, items, dict(zip(scorable, results, strict=True)))


def score_distinct(model: RewardModel, items: Sequence[ScoringItem]) -> list[StepRewards]:
    """Return the rewards of items, each distinct one scored once: identical candidates get identical rewards."""
    scorable = [item for item in dict.fromkeys(items) if item.steps]
    results = model.score(scorable) if scorable else []
    if len(results) != len(scorable):
        raise ModelError(f"{model.name} returned {len(results)} results for {len(scorable)} candidates")
    return _in_order(model, items, dict(zip(scorable, results, strict=True)))


def _in_order(
    model: RewardModel, items: Sequence[ScoringItem], results: dict[ScoringItem, StepRewards]
) -> list[StepRewards]:
    by_item = {item: _checked(model, item, result) for item, result in results.items()}
    no_step = StepRewards((), refusal="no step")
    return [by_item.get(item, no_step) for item in items]


def _checked(model: RewardModel, item: ScoringItem, result: StepRewards) -> StepRewards:
    if result.refusal is not None:
        return replace(result, values=())
    expected = len(item.steps) if model.kind == "prm" else 1
    if len(result.values) != expected:
        raise ModelError(f"{model.name} returned {len(result.values)} rewards for a candidate that needs {expected}")
    # files keep log-odds in float32; NaN fails every comparison
    if not all(abs(value) < 3e38 for value in result.values):
        return replace(result, values=(), refusal="non-finite reward")
    return result
