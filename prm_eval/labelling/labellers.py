"""Labels by a strong reward model, by a judge that wrote its judgements, and by anything that knows (an oracle).

* A **model** (Lightman et al. 2023, section 4 and appendix H: PRM_large supervises small ones): a step is wrong if the
  chance that it is right is below the threshold, 0.8 in the paper ("P(negative) above 20 %"). Labels go up to the first
  wrong step: nothing is known of what comes after it. The scores stand in the source label.
* A **judge** names the first wrong step of a solution, several times if asked to; most votes decide, ties go to the
  index that was named first, and judgements that cannot be read do not vote (as ProcessBench's script does).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path

from prm_eval.errors import DataError, PrmEvalError
from prm_eval.evaluation.jobs import AUTO
from prm_eval.labelling.writing import About, Key, Outcome, Said, wanted_candidates, write_labels
from prm_eval.pools.pool import Pool
from prm_eval.pools.writer import PoolWriter
from prm_eval.progress import Progress, silent
from prm_eval.records import Candidate, LabelKind, Problem, StepLabel
from prm_eval.rewards.aggregate import as_probability
from prm_eval.rewards.files.judgements import judgements_path, read_judgements
from prm_eval.rewards.files.reward_file import RewardFile
from prm_eval.stepsets.format import LabelSource
from prm_eval.stepsets.labels import NO_ERROR, by_first_error
from prm_eval.texts.steps import split_steps

THRESHOLD = 0.8
"""A step is wrong if it is right with a chance below this: the paper's 20 % of P(negative)."""
NO_STEP = "no step"
Teller = Callable[[Problem, Candidate], StepLabel]
"""Who knows the label of a candidate."""


def label_by_model(
    pool: Pool,
    rewards: RewardFile,
    folder: Path,
    *,
    threshold: float | None = None,
    wanted: Collection[Key] | None = None,
    scored: Pool | None = None,
    grades: str = AUTO,
    progress: Progress = silent,
) -> Outcome:
    """Label candidates by the step rewards of a process reward model.

    Args:
        pool: The candidates.
        rewards: The rewards.
        folder: The folder to make.
        threshold: A step is wrong if its reward is below it; probabilities for log-odds and percentages. Raw numbers
            need one.
        wanted: The candidates to label, all by default.
        scored: The pool that was scored, where it is a part of ``pool``.
        grades: Whose grades say whether an answer is right.
        progress: Called with the number of candidates done.

    Raises:
        PrmEvalError: The rewards are of an outcome reward model, or the threshold has no meaning for them.
        DataError: The rewards are of another pool, or have a fault.
    """
    _require_steps(rewards)
    info = rewards.info
    limit = limit_of(rewards, threshold)

    def said() -> Iterator[Said]:
        for problem, candidate, values, refusal in _with_rewards(scored or pool, rewards, wanted):
            if refusal is not None:
                yield Said(problem, candidate, None, f"refused: {refusal.partition(':')[0]}")
                continue
            scores = [as_probability(value, info.score_type) for value in values]
            first = next((at for at, score in enumerate(scores) if score < limit), NO_ERROR)
            told = " ".join(f"{score:.4g}" for score in scores)
            yield Said(problem, candidate, by_first_error(first, len(scores), source_label=told))

    settings = {"threshold": limit, "rewards": str(rewards.folder), "model": info.model, "score_type": info.score_type}
    about = About("model", info.name, "first_error", info.splitter or pool.info.splitter, settings)
    return write_labels(pool, folder, about, said(), grades=grades, progress=progress)


def limit_of(rewards: RewardFile, threshold: float | None) -> float:
    """Return below which number a step is wrong: what the user says, or :data:`THRESHOLD`.

    Raises:
        PrmEvalError: Raw numbers without a threshold, or a threshold that no number, or every one, is below.
    """
    info = rewards.info
    if info.score_type == "raw":
        if threshold is None or not math.isfinite(threshold):
            raise PrmEvalError(f"{info.name} gives raw numbers; say below which a step is wrong: --threshold 0")
        return threshold
    if threshold is not None and not 0 < threshold <= 1:
        raise PrmEvalError(
            f"--threshold {threshold:g}: {info.name} gives {info.score_type} numbers, which are read as the chance "
            "that a step is right; expected a number above 0 and up to 1, as 0.8"
        )
    return THRESHOLD if threshold is None else threshold


def label_by_judge(
    pool: Pool,
    rewards: RewardFile,
    folder: Path,
    *,
    wanted: Collection[Key] | None = None,
    scored: Pool | None = None,
    grades: str = AUTO,
    progress: Progress = silent,
) -> Outcome:
    """Label candidates by the judgements of a generative verifier that names the first wrong step.

    The arguments are those of :func:`label_by_model`.

    Raises:
        PrmEvalError: The verifier says only whether a solution is right.
        DataError: There are no judgements, or they are of another pool.
    """
    _require_steps(rewards)
    rewards.require_pool(scored or pool)
    path = judgements_path(rewards.folder)
    if not path.is_file():
        hint = "Score with a generative verifier, or label by step rewards: prm-eval label model"
        raise DataError(rewards.folder, None, f"no {path.name}", "what a judge wrote", hint)
    votes = {
        (problem_id, candidate_id): [int(each.read) for each in judged.votes if each.read is not None]
        for problem_id, candidate_id, judged in read_judgements(rewards.folder)
    }
    splitter = rewards.info.splitter or pool.info.splitter
    unread = f"no judgement that could be read ({path} has what was written)"

    def said() -> Iterator[Said]:
        for problem, candidate in wanted_candidates(scored or pool, wanted):
            given = votes.get((problem.problem_id, candidate.candidate_id), [])
            steps = split_steps(candidate.text, splitter, candidate.steps)
            if not steps or not given:
                yield Said(problem, candidate, None, unread if steps else NO_STEP)
                continue
            if not all(NO_ERROR <= each < len(steps) for each in given):
                found = f"a judgement on step {max(given)} of {len(steps)} of {candidate.candidate_id}"
                raise DataError(path, None, found, "judgements of these steps; score this pool again")
            told = " ".join(map(str, given))
            yield Said(problem, candidate, by_first_error(majority(given), len(steps), source_label=told))

    settings = {"rewards": str(rewards.folder), "model": rewards.info.model}
    about = About("judge", rewards.info.name, "first_error", splitter, settings)
    return write_labels(pool, folder, about, said(), grades=grades, progress=progress)


def label_by(
    pool: Pool,
    folder: Path,
    teller: Teller,
    *,
    source: LabelSource,
    by: str,
    kind: LabelKind,
    splitter: str,
    wanted: Collection[Key] | None = None,
    grades: str = AUTO,
    progress: Progress = silent,
) -> Outcome:
    """Label candidates by whoever knows, as the miniature's oracle; candidates without a step are left out."""

    def said() -> Iterator[Said]:
        for problem, candidate in wanted_candidates(pool, wanted):
            if split_steps(candidate.text, splitter, candidate.steps):
                yield Said(problem, candidate, teller(problem, candidate))
            else:
                yield Said(problem, candidate, None, NO_STEP)

    return write_labels(pool, folder, About(source, by, kind, splitter), said(), grades=grades, progress=progress)


def part_of(pool: Pool, wanted: Collection[Key], folder: Path) -> Pool:
    """Return the pool of some candidates of another one, in their slots, so that a judge is asked of them alone.

    It is made in ``folder``, or is there from an interrupted run.

    Raises:
        PrmEvalError: The folder holds another part.
    """
    source = {"part_of": pool.info.content_hash}
    with PoolWriter(
        folder,
        problem_set={key: value for key, value in pool.info.problem_set.items() if key != "content_hash"},
        policy=pool.info.policy,
        splitter=pool.info.splitter,
        m=pool.info.m,
        sampling=pool.info.sampling,
        source=source,
        again=True,
    ) as writer:
        for problem, candidates in pool:
            kept = [each for each in candidates if (problem.problem_id, each.candidate_id) in wanted]
            if kept:
                writer.add(problem, kept)
    return Pool(folder)


def majority(votes: Sequence[int]) -> int:
    """Return the index with most votes; of several the one that was named first."""
    counts = Counter(votes)
    return max(counts, key=lambda each: (counts[each], -votes.index(each)))


def _require_steps(rewards: RewardFile) -> None:
    if rewards.info.kind != "prm":
        raise PrmEvalError(
            f"{rewards.folder}: {rewards.info.name} gives one number a solution, which names no wrong step; expected a "
            "process reward model, or a judge that names the first wrong step"
        )


def _with_rewards(
    pool: Pool, rewards: RewardFile, wanted: Collection[Key] | None
) -> Iterator[tuple[Problem, Candidate, tuple[float, ...], str | None]]:
    """Yield the wanted candidates of a pool with their step rewards, or the reason of a refusal."""
    reader = rewards.reader(pool)
    blocks = pool.blocks(["problem_id", "candidate_id", "text", "steps"])
    for (problem, candidates), (_, table) in zip(pool, blocks, strict=True):
        for candidate, given in zip(candidates, reader.take_each(problem, table), strict=True):
            if wanted is None or (problem.problem_id, candidate.candidate_id) in wanted:
                yield problem, candidate, given.values, given.refusal
    reader.finish()
