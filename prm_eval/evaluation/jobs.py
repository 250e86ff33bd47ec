"""The jobs on a stored pool, and their rules, said once: every door (command line, lm_eval, the miniature) calls them.

A job is one call: it opens what is named, makes what is missing, and returns what its door has to say. It prints
nothing; bars for its stages come from the caller (:class:`prm_eval.progress.Bars`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prm_eval.errors import PrmEvalError
from prm_eval.evaluation.curves import Evaluation, evaluate
from prm_eval.grading.pool import DEFAULT, Disagreement, disagreements, grade_pool, is_graded, is_grader, source_of
from prm_eval.pools.pool import Pool
from prm_eval.progress import Bars, no_bars
from prm_eval.rewards.aggregations import AGGREGATIONS, Aggregation
from prm_eval.rewards.files.reward_file import RewardFile
from prm_eval.rewards.files.step_arrays import refusal_reason
from prm_eval.rewards.protocol import RewardModel
from prm_eval.rewards.scoring import OF_THE_MACHINE, RUNNERS, Runner, score_pool

AUTO = "auto"
"""The grades to evaluate by, where the user does not say: see :func:`meant_grades`."""


@dataclass(frozen=True)
class Grading:
    """What a job of grading left.

    Attributes:
        path: The grades file.
        counts: Candidates by verdict, names rising; None where the grades went to another folder than the pool.
        disagreements: Candidates that another source of grades judges otherwise; None where none was to be compared.
    """

    path: Path
    counts: dict[str, int] | None
    disagreements: tuple[Disagreement, ...] | None


@dataclass(frozen=True)
class Scoring:
    """What a job of scoring left.

    Attributes:
        rewards: The reward file.
        candidates: Of the pool.
        refused: Candidates that the reward model refused, by reason, the most frequent first.
    """

    rewards: RewardFile
    candidates: int
    refused: dict[str, int]

    @property
    def work(self) -> dict[str, int] | None:
        """What the engine counted; None where it did not run in this process, or nothing was left to compute."""
        found: dict[str, int] | None = self.rewards.info.run.get("engine")
        return found

    @property
    def nothing_scored(self) -> bool:
        """Whether every candidate was refused."""
        return sum(self.refused.values()) == self.candidates

    @property
    def refusal_lines(self) -> list[str]:
        """What to say of refusals, a line a reason; empty where there are none."""
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
    bars: Bars = no_bars,
) -> Grading:
    """Grade every candidate of a pool, also one that has grades of this grader.

    Args:
        folder: The pool's.
        grader: A grader's name, with its options.
        output: Where the grades file goes; the pool by default.
        compare: Another source of grades: "published", or a grader, which grades first if it has not yet.
        bars: Show the stages.

    Raises:
        PrmEvalError: No such pool, grader or source, or grades elsewhere were to be compared.
    """
    if output is not None and compare is not None:
        raise PrmEvalError("grades are compared in the pool: leave out -o, or --compare")
    pool = Pool(folder).require_sound()
    with bars("grading", pool.info.n_problems, "problem") as progress:
        path = grade_pool(pool, name=grader, folder=output, progress=progress)
    if output is not None:
        return Grading(path, None, None)
    source = source_of(grader)
    counts = Counter(row.grade for _, rows in pool.grades(source) for row in rows)
    found = None
    if compare is not None:
        if is_grader(compare):
            grade_unless_graded(pool, compare, bars=bars)
        found = tuple(disagreements(pool, source_of(compare), source))
    return Grading(path, {str(name): count for name, count in sorted(counts.items())}, found)


def grade_unless_graded(pool: Pool, grader: str = DEFAULT, *, bars: Bars = no_bars) -> bool:
    """Make the grades of a grader, unless the pool has those of its present version; say whether they were made now."""
    if is_graded(pool, grader):
        return False
    what = "grading" if grader == DEFAULT else f"grading with {grader}"
    with bars(what, pool.info.n_problems, "problem") as progress:
        grade_pool(pool, name=grader, progress=progress)
    return True


def meant_grades(pool: Pool, grades: str = AUTO) -> str:
    """Return which grades are meant: "auto" is our own, or the published ones where a gold answer is missing and they are there."""
    if grades != AUTO:
        return grades
    has_gold = all(problem.gold is not None for problem in pool.problems.values())
    return "own" if has_gold or not pool.grades_path("published").is_file() else "published"


def verify_pool(pool: Pool) -> list[str]:
    """Return every fault of a pool and of the reward folders in it; empty for a sound one."""
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


def opened_rewards(folders: Sequence[Path], aggregations: Sequence[str] | None = None) -> list[RewardFile]:
    """Return the reward files of folders under each aggregation that is asked for; under the declared one where none is.

    An outcome reward model has one number a candidate, and so nothing to aggregate: it is opened once.

    Raises:
        PrmEvalError: A folder without rewards, or an aggregation that there is not.
    """
    known: dict[str, Aggregation] = {name: name for name in AGGREGATIONS}
    for name in aggregations or ():
        if name not in known:
            raise PrmEvalError(f"unknown aggregation {name!r}; expected one of {', '.join(known)}")
    opened: list[RewardFile] = []
    for folder in folders:
        declared = RewardFile(folder)
        if not aggregations or declared.info.kind == "orm":
            opened.append(declared)
        else:
            opened += [RewardFile(folder, known[name]) for name in aggregations]
    return opened


def run_evaluation(
    folder: str | Path,
    rewards: Sequence[Path] = (),
    *,
    grades: str = AUTO,
    aggregations: Sequence[str] | None = None,
    bars: Bars = no_bars,
    **settings: Any,
) -> Evaluation:
    """Evaluate a pool, which is graded first unless it is.

    Args:
        folder: The pool's.
        rewards: Reward folders; those in the pool by default.
        grades: "auto", "own", "published" or a grader's name.
        aggregations: Evaluate process reward models under each of these, instead of the declared one.
        bars: Show the stages.
        settings: The others of :func:`prm_eval.evaluation.curves.evaluate`.

    Raises:
        PrmEvalError: A fault in a file, or a setting without meaning.
    """
    pool = Pool(folder).require_sound()
    source = meant_grades(pool, grades)
    files = opened_rewards(rewards or pool.reward_folders(), aggregations)
    if source == "own":
        grade_unless_graded(pool, bars=bars)
    with bars("evaluating", pool.info.n_problems, "problem") as progress:
        return evaluate(pool, files, grades=source, progress=progress, **settings)


def chosen_runner(
    name: str, reward_model: str, options: Mapping[str, Any], workers: int | None = None
) -> Runner | None:
    """Return the runner of a name; None is this process.

    Args:
        name: One of :data:`prm_eval.rewards.scoring.RUNNERS`.
        reward_model: The reward model's name, as its workers are to load it.
        options: Of the reward model; None means not given.
        workers: Of a runner that has some.

    Raises:
        PrmEvalError: No such runner, or it has no workers.
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
    bars: Bars = no_bars,
) -> Scoring:
    """Score a pool into a folder, going on where an earlier run stopped, and count what was refused.

    Args:
        pool: The candidates.
        model: The reward model.
        folder: The reward folder.
        runner: Who walks the pool; this process by default.
        name: What the model is called in the files, instead of its own name and id.
        bars: Show the progress.

    Raises:
        PrmEvalError: As :func:`prm_eval.rewards.scoring.score_pool`.
    """
    with bars(f"scoring with {model.name}", pool.info.n_candidates, "candidate") as progress:
        rewards = score_pool(pool, model, folder, progress=progress, runner=runner, name=name)
    return Scoring(rewards, pool.info.n_candidates, _refused(rewards))


def require_declared_aggregation(rewards: RewardFile, pool: Pool) -> None:
    """Insist that rewards declare the aggregation that was asked for: what a folder declares was chosen before its numbers were seen.

    Raises:
        PrmEvalError: They declare another one.
    """
    if rewards.aggregation != rewards.info.aggregation:
        raise PrmEvalError(
            f"{rewards.folder} declares the aggregation {rewards.info.aggregation}, and that stays; see the other "
            f"with: prm-eval evaluate {pool.path} {rewards.folder} --aggregation {rewards.aggregation}"
        )


def _refused(rewards: RewardFile) -> dict[str, int]:
    """Return the refusals by reason as the run counted them, the most frequent first; counted here in files that do not say."""
    said = rewards.info.run.get("refused")
    if isinstance(said, dict) and all(type(count) is int for count in said.values()):
        counts = Counter({str(reason): count for reason, count in said.items()})
    else:
        refusals = (each.refusal for _, _, each in rewards.rows())
        counts = Counter(refusal_reason(refusal) for refusal in refusals if refusal)
    return dict(counts.most_common())
