"""One solution of a step set, shown whole: each step with the human mark and what reward models gave it."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from prm_eval.errors import PrmEvalError
from prm_eval.records import LOG_ODDS, ScoreType, Solution, StepLabel, StepRewards
from prm_eval.rewards.files.reward_file import RewardFile
from prm_eval.stepsets.labels import NO_ERROR
from prm_eval.stepsets.step_set import StepSet

FIRST_WRONG = 3
"""How many solutions are shown where none is named."""
BAR = 20
WIDTH = 100
MARKS = {1: "right", 0: "neutral", -1: "WRONG", None: "-"}


@dataclass(frozen=True)
class Scored:
    """What one reward model gave the solutions that are shown.

    Attributes:
        name: The reward model.
        score_type: How its numbers are read.
        threshold: A step with a lower number is called wrong, on the scale that is shown.
        by_solution: Rewards by solution.
    """

    name: str
    score_type: ScoreType
    threshold: float
    by_solution: dict[str, StepRewards]

    def shown(self, value: float) -> float:
        """Return a number as it is shown: log-odds as the probability that they stand for."""
        if self.score_type not in LOG_ODDS:
            return value
        # the two forms are the same number; neither overflows on its side
        return 1 / (1 + math.exp(-value)) if value >= 0 else math.exp(value) / (1 + math.exp(value))

    def bar(self, value: float) -> str:
        """Return a bar for a number from 0 to 1; numbers of no known range have none."""
        if self.score_type == "raw":
            return ""
        full = round(BAR * min(max(value, 0.0), 1.0))
        return "#" * full + "." * (BAR - full)


def explain(
    step_set: StepSet, solution_id: str | None, rewards: Sequence[Path] = (), *, threshold: float | None = None
) -> list[str]:
    """Return one solution in lines, or the first wrong ones where none is named.

    Args:
        step_set: The set.
        solution_id: The solution.
        rewards: Reward folders; none means those in the set.
        threshold: A step with a lower score is called wrong. By default 0.5 for probabilities and log-odds (which are
            shown as probabilities), and 0 for raw numbers.

    Raises:
        PrmEvalError: No such solution, or rewards that are not of this set.
    """
    pairs = list(zip(step_set.solutions, step_set.labels, strict=True))
    if solution_id is not None and _is_rewards(solution_id, step_set):
        rewards = [Path(solution_id), *rewards]
        solution_id = None
    if solution_id is None:
        wrong = [each for each in pairs if each[1].first_error is not None and each[1].first_error != NO_ERROR]
        chosen = (wrong or pairs)[:FIRST_WRONG]
    else:
        chosen = [each for each in pairs if each[0].solution_id == solution_id]
        if not chosen:
            raise PrmEvalError(
                f"no solution {solution_id!r} in {step_set.path}{_near(solution_id, step_set.solutions)}"
            )
    ids = {solution.solution_id for solution, _ in chosen}
    scored = [_scored(step_set, folder, ids, threshold) for folder in rewards or step_set.pool.reward_folders()]
    lines: list[str] = []
    for solution, label in chosen:
        lines += [*([""] if lines else []), *_solution(solution, label, scored)]
    return lines


def _is_rewards(name: str, step_set: StepSet) -> bool:
    """Say whether what stands where a solution may stand is a reward folder."""
    folder = (Path(name) / "submission.json").is_file()
    return folder and all(each.solution_id != name for each in step_set.solutions)


def _near(solution_id: str, solutions: Sequence[Solution]) -> str:
    """Return ids that hold the one that was asked for, or else the first ones of the set."""
    ids = [each.solution_id for each in solutions]
    near = [each for each in ids if solution_id in each][:5]
    return f"; there are {', '.join(near)}" if near else f"; the first ones are {', '.join(ids[:5])}"


def _scored(step_set: StepSet, folder: Path, ids: set[str], threshold: float | None) -> Scored:
    file = RewardFile(folder)
    file.require_pool(step_set.pool)
    kept = {problem: rewards for problem, _, rewards in file.rows() if problem in ids}
    score_type = file.info.score_type
    default = 0.0 if score_type == "raw" else 0.5
    return Scored(file.name, score_type, default if threshold is None else threshold, kept)


def _solution(solution: Solution, label: StepLabel, scored: Sequence[Scored]) -> Iterator[str]:
    yield f"solution   {solution.solution_id}"
    about = (("group", solution.group), ("generator", solution.generator), ("twin", solution.twin_id))
    said = [f"{name} {value}" for name, value in about if value is not None] + list(solution.remarks)
    if said:
        yield f"about      {'; '.join(said)}"
    yield f"label      {_label(label)}"
    for each in scored:
        yield f"verdict    {each.name}: {_verdict(label, each, each.by_solution.get(solution.solution_id))}"
    yield from _wrapped("problem    ", solution.statement)
    ratings = label.ratings or (None,) * len(solution.steps)
    for k, (step, rating) in enumerate(zip(solution.steps, ratings, strict=True)):
        share = "" if label.soft is None or label.soft[k] is None else f" ({label.soft[k]:g} end right)"
        yield ""
        yield from _wrapped(f"step {k:<3} {MARKS[rating]:<7} ", f"{step}{share}")
        for each in scored:
            rewards = each.by_solution.get(solution.solution_id)
            if rewards is not None and k < len(rewards.values):
                yield _score(each, each.shown(rewards.values[k]))


def _score(scored: Scored, value: float) -> str:
    called = "wrong" if value < scored.threshold else "right"
    return f"{'':17}{scored.bar(value)} {value:8.4f}  {called:5}  {scored.name}".rstrip()


def _label(label: StepLabel) -> str:
    first = label.first_error
    where = "nothing known of a first wrong step"
    if first is not None:
        where = "no wrong step" if first == NO_ERROR else f"the first wrong step is {first} (counted from 0)"
    answer = {True: "; the final answer is right", False: "; the final answer is wrong", None: ""}[label.final_correct]
    return f"{where}{answer} (in the source: {label.source_label or 'nothing'})"


def _verdict(label: StepLabel, scored: Scored, rewards: StepRewards | None) -> str:
    if rewards is None or not rewards.values:
        return f"not scored ({rewards.refusal if rewards is not None else 'no row'})"
    called = (k for k, value in enumerate(rewards.values) if scored.shown(value) < scored.threshold)
    found = next(called, NO_ERROR)
    words = "no wrong step" if found == NO_ERROR else f"first wrong step {found}"
    if label.first_error is None:
        return f"{words} at {scored.threshold:g}"
    return f"{words} at {scored.threshold:g}: {_judged(found, label.first_error)}"


def _judged(found: int, true: int) -> str:
    if found == true:
        return "as labelled"
    if found == NO_ERROR:
        return "missed"
    return "false alarm" if true == NO_ERROR else "too early" if found < true else "too late"


def _wrapped(head: str, text: str) -> Iterator[str]:
    """Yield a text of several lines, wrapped, behind its head."""
    indent = " " * len(head)
    first = True
    for line in text.splitlines() or [""]:
        for piece in textwrap.wrap(line, WIDTH - len(head)) or [""]:
            yield f"{head if first else indent}{piece}".rstrip()
            first = False
