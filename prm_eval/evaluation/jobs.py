"""The jobs on a stored pool and their rules, for the command line, lm_eval and the miniature alike.

A job is one call: it opens the named files, makes those that are missing, and returns what its caller reports. It
prints nothing; the caller provides the bars of its stages (:class:`prm_eval.progress.Bars`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prm_eval.errors import PrmEvalError
from prm_eval.evaluation.curves import Evaluation, evaluate
from prm_eval.evaluation.golds import GoldCheck, UnreadableGold, check_golds, named, unreadable_golds
from prm_eval.evaluation.notes import reads_golds
from prm_eval.evaluation.opening import opened_rewards
from prm_eval.grading.pool import (
    DEFAULT,
    Disagreement,
    disagreements,
    grade_pool,
    is_graded,
    is_grader,
    own_source,
    source_of,
    verdicts,
)
from prm_eval.pools.pool import Pool
from prm_eval.pools.problem_sets import load_problems
from prm_eval.progress import EVALUATING, GRADING, GRADING_WITH, SCORING, Bars, no_bars
from prm_eval.rewards.files.reward_file import RewardFile
from prm_eval.rewards.files.step_arrays import refusal_reason
from prm_eval.rewards.protocol import RewardModel
from prm_eval.rewards.scoring import OF_THE_MACHINE, RUNNERS, Runner, score_pool
from prm_eval.rewards.taking import take_rewards
from prm_eval.store.rules import harmless

AUTO = "auto"
"""The default source of grades: see :func:`meant_grades`."""


@dataclass(frozen=True)
class Grading:
    """The result of a grading job.

    Attributes:
        path: The grades file.
        counts: Candidates by verdict, sorted by name; None where the grades went to another folder than the pool.
        disagreements: Candidates with another verdict from a second source of grades; None where none was compared.
        unread: The golds that grading cannot read; none where another grader reads them.
        golds: The golds held against a known problem set; None where none was named.
    """

    path: Path
    counts: dict[str, int] | None
    disagreements: tuple[Disagreement, ...] | None
    unread: tuple[UnreadableGold, ...] = ()
    golds: GoldCheck | None = None

    @property
    def gold_lines(self) -> list[str]:
        """The lines that report golds; empty where nothing is to be said."""
        lines = []
        if self.unread:
            lines.append(
                f"{len(self.unread):,} cannot be read, and only the same text equals them: {named(self.unread)}"
            )
        if self.golds is not None:
            found, of = len(self.golds.conflicts), self.golds.found
            same = f" ({self.golds.otherwise:,} more are only written otherwise)" if self.golds.otherwise else ""
            lines.append(
                f"{found:,} of {of:,} contradict {self.golds.name}{same}, which has the statements of {of:,} of "
                f"{self.golds.problems:,} problems"
            )
        return lines


@dataclass(frozen=True)
class Scoring:
    """The result of a scoring job.

    Attributes:
        rewards: The reward file.
        candidates: The number of candidates of the pool.
        refused: Candidates that the reward model refused, by reason, the most frequent first.
    """

    rewards: RewardFile
    candidates: int
    refused: dict[str, int]

    @property
    def work(self) -> dict[str, int] | None:
        """The engine's counts; None where it did not run in this process, or nothing was left to compute."""
        found: dict[str, int] | None = self.rewards.info.run.get("engine")
        return found

    @property
    def nothing_scored(self) -> bool:
        """Whether every candidate was refused."""
        return sum(self.refused.values()) == self.candidates

    @property
    def refusal_lines(self) -> list[str]:
        """The lines that report refusals, one a reason; empty where there are none."""
        lines = [f"{count:,} of {self.candidates:,}: {reason}" for reason, count in self.refused.items()]
        if set(self.refused) & set(OF_THE_MACHINE):
            lines.append(
                f"remove {self.rewards.folder} to score again on another machine, server or with other options"
            )
        return lines


def run_grading(
    folder: str | Path,
    grader: str = DEFAULT,
    *,
    output: Path | None = None,
    compare: str | None = None,
    known: str | None = None,
    jobs: int = 1,
    bars: Bars = no_bars,
) -> Grading:
    """Grade every candidate of a pool, even if it has grades of this grader already.

    Args:
        folder: The folder of the pool.
        grader: A grader's name, with its options.
        output: The folder of the grades file; the pool by default.
        compare: Another source of grades: "published", or a grader, which grades first if it has not yet.
        known: A problem set by name or file, whose golds of the same statements are held against the pool's.
        jobs: The number of processes.
        bars: The bars of the stages.

    Raises:
        PrmEvalError: There is no such pool, grader, source or problem set, or both ``output`` and ``compare`` are
            given.
    """
    if output is not None and compare is not None:
        raise PrmEvalError("grades are compared in the pool: leave out -o, or --compare")
    pool = Pool(folder).require_sound()
    golds = check_golds(pool.problems.values(), load_problems(known)) if known is not None else None
    unread = unreadable_golds(pool.problems.values()) if reads_golds(source_of(grader)) else ()
    with bars(GRADING, pool.info.n_problems, "problem") as progress:
        path = grade_pool(pool, name=grader, folder=output, jobs=jobs, progress=progress)
    if output is not None:
        return Grading(path, None, None, unread, golds)
    source = source_of(grader)
    counts = verdicts(path)
    found = None
    if compare is not None:
        if is_grader(compare):
            grade_unless_graded(pool, compare, jobs=jobs, bars=bars)
        found = tuple(disagreements(pool, source_of(compare), source))
    return Grading(path, counts, found, unread, golds)


def grade_unless_graded(pool: Pool, grader: str = DEFAULT, *, jobs: int = 1, bars: Bars = no_bars) -> bool:
    """Grade a pool unless it has grades of the grader's present version; return whether it was graded now."""
    if is_graded(pool, grader):
        return False
    what = GRADING if grader == DEFAULT else GRADING_WITH.format(grader=grader)
    with bars(what, pool.info.n_problems, "problem") as progress:
        grade_pool(pool, name=grader, jobs=jobs, progress=progress)
    return True


def meant_grades(pool: Pool, grades: str = AUTO) -> str:
    """Return the source of grades to use: "auto" means our own, as a rule.

    It means the published ones where a gold answer is missing and the pool has published grades; and our own with the
    options of the pool's problem set, where its task has some (``pool.json``, ``problem_set.grader``).
    """
    if grades != AUTO:
        return grades
    has_gold = all(problem.gold is not None for problem in pool.problems.values())
    if not has_gold and pool.grades_path("published").is_file():
        return "published"
    return own_source(pool)


def ready_to_evaluate(
    folder: str | Path, grades: str = AUTO, *, jobs: int = 1, bars: Bars = no_bars
) -> tuple[Pool, str]:
    """Return a sound pool with the source of grades to use, after making these grades if they are missing and ours.

    Raises:
        PrmEvalError: There is no such pool, or it has a fault.
    """
    pool = Pool(folder).require_sound()
    source = meant_grades(pool, grades)
    if source == "own":
        grade_unless_graded(pool, jobs=jobs, bars=bars)
    elif source != grades and is_grader(source):  # the pool said so, nobody asked for it by name
        grade_unless_graded(pool, source, jobs=jobs, bars=bars)
    return pool, source


def verify_pool(pool: Pool) -> list[str]:
    """Return every fault of a pool and of the reward folders in it; an empty list for a sound pool."""
    faults = pool.verify()
    for folder in pool.reward_folders():
        try:
            reader = RewardFile(folder).reader(pool)
            for problem, table in pool.blocks():
                reader.take(problem, table)
            reader.finish()
        except PrmEvalError as error:
            faults.append(str(error))
    return faults


def run_evaluation(
    folder: str | Path,
    rewards: Sequence[Path] = (),
    *,
    grades: str = AUTO,
    aggregations: Sequence[str] | None = None,
    score_type: str | None = None,
    jobs: int = 1,
    bars: Bars = no_bars,
    **settings: Any,
) -> Evaluation:
    """Evaluate a pool, and grade it first if it has no grades.

    Args:
        folder: The folder of the pool.
        rewards: Reward folders; those in the pool by default.
        grades: "auto", "own", "published" or a grader's name.
        aggregations: Evaluate process reward models under each of these, instead of the declared one.
        score_type: What the numbers are, where a file says no more than "raw" or "value".
        jobs: The number of processes.
        bars: The bars of the stages.
        settings: The other arguments of :func:`prm_eval.evaluation.curves.evaluate`.

    Raises:
        PrmEvalError: A file has a fault, or a setting is out of its range.
    """
    pool, source, files = prepared(folder, rewards, grades, aggregations, score_type, jobs=jobs, bars=bars)
    with bars(EVALUATING, pool.info.n_problems, "problem") as progress:
        return evaluate(pool, files, grades=source, jobs=jobs, progress=progress, **settings)


def prepared(
    folder: str | Path,
    rewards: Sequence[Path] = (),
    grades: str = AUTO,
    aggregations: Sequence[str] | None = None,
    score_type: str | None = None,
    *,
    jobs: int = 1,
    bars: Bars = no_bars,
) -> tuple[Pool, str, list[RewardFile]]:
    """Return a sound pool, its source of grades, and its reward files; the arguments are those of run_evaluation.

    The pool is graded as :func:`ready_to_evaluate` does.

    Raises:
        PrmEvalError: A file has a fault.
    """
    files = opened_rewards(rewards or Pool(folder).reward_folders(), aggregations, score_type)
    pool, source = ready_to_evaluate(folder, grades, jobs=jobs, bars=bars)
    return pool, source, files


def chosen_runner(
    name: str, reward_model: str, options: Mapping[str, Any], workers: int | None = None
) -> Runner | None:
    """Return the runner of a name; None stands for this process.

    Args:
        name: One of :data:`prm_eval.rewards.scoring.RUNNERS`.
        reward_model: The name by which its workers load the reward model.
        options: The options of the reward model; those that are None are left out.
        workers: The number of workers, for a runner that has some.

    Raises:
        PrmEvalError: There is no such runner, or it has no workers.
    """
    if name not in RUNNERS:
        raise PrmEvalError(f"unknown runner {name!r}; expected one of {', '.join(RUNNERS)}")
    if name == "ray":
        from prm_eval.rewards.ray_runner import RayRunner

        return RayRunner(reward_model, {key: value for key, value in options.items() if value is not None}, workers)
    if workers is not None:
        raise PrmEvalError(f"--workers is for --runner ray; the runner {name} is this process alone")
    return None


def run_scoring(
    pool: Pool,
    model: RewardModel,
    folder: Path,
    *,
    runner: Runner | None = None,
    name: str | None = None,
    source: Path | None = None,
    bars: Bars = no_bars,
) -> Scoring:
    """Score a pool into a folder, continue where an earlier run stopped, and count the refusals.

    Args:
        pool: The candidates.
        model: The reward model.
        folder: The reward folder.
        runner: The runner that walks the pool; this process by default.
        name: The model's name in the files, instead of its own name and id.
        source: A folder with rewards of this model and pool that are taken under that name, so that nothing is scored.
        bars: The bar of the progress.

    Raises:
        PrmEvalError: See :func:`prm_eval.rewards.scoring.score_pool` and :func:`prm_eval.rewards.taking.take_rewards`.
    """
    if source is not None:
        rewards = take_rewards(pool, model, source, folder, name or model.name)
        return Scoring(rewards, pool.info.n_candidates, _refused(rewards))
    with bars(SCORING.format(model=harmless(model.name)), pool.info.n_candidates, "candidate") as progress:
        rewards = score_pool(pool, model, folder, progress=progress, runner=runner, name=name)
    return Scoring(rewards, pool.info.n_candidates, _refused(rewards))


def require_declared_aggregation(rewards: RewardFile, pool: Pool) -> None:
    """Insist that a folder of rewards declares the aggregation that the user asked for.

    A declared aggregation stays, as it was chosen before the numbers were seen.

    Raises:
        PrmEvalError: The folder declares another one.
    """
    if rewards.aggregation != rewards.info.aggregation:
        raise PrmEvalError(
            f"{rewards.folder} declares the aggregation {rewards.info.aggregation}, and that stays; see the other "
            f"with: prm-eval evaluate {pool.path} {rewards.folder} --aggregation {rewards.aggregation}"
        )


def _refused(rewards: RewardFile) -> dict[str, int]:
    """Return the refusals by reason, the most frequent first: as the run counted them, or counted here."""
    said = rewards.info.run.get("refused")
    if isinstance(said, dict) and all(type(count) is int for count in said.values()):
        counts = Counter({str(reason): count for reason, count in said.items()})
    else:
        refusals = (each.refusal for _, _, each in rewards.rows())
        counts = Counter(refusal_reason(refusal) for refusal in refusals if refusal)
    return dict(counts.most_common())
