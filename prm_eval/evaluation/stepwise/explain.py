"""One solution of a step set, shown whole: each step with the human mark and what was said of it.

It reads rewards, settles thresholds and places the first wrong step through the functions of the evaluation.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from prm_eval.errors import PrmEvalError
from prm_eval.evaluation.stepwise.arrays import NO_ERROR, SetArrays, load_set
from prm_eval.evaluation.stepwise.jobs import named_apart
from prm_eval.evaluation.stepwise.locating import predictions
from prm_eval.evaluation.stepwise.measuring import Bench, Settings
from prm_eval.evaluation.stepwise.scores import NOT_SCORED, StepScores, read_scores
from prm_eval.evaluation.stepwise.thresholds import Threshold, parse_ask, settle
from prm_eval.records import Solution, StepLabel
from prm_eval.stepsets.step_set import StepSet

FIRST_WRONG = 3
"""How many solutions are shown where none is named."""
BAR = 20
WIDTH = 100
MARKS = {1: "right", 0: "neutral", -1: "WRONG", None: "-"}


@dataclass(frozen=True)
class Said:
    """What one row says of the set: its scores, its threshold, and where it puts the first wrong step."""

    scores: StepScores
    threshold: Threshold
    strict: bool
    first: tuple[int, ...]

    def calls_wrong(self, value: float) -> bool:
        """Say whether a score calls a step wrong."""
        return value <= self.threshold.value if self.strict else value < self.threshold.value


def explain(
    step_set: StepSet, solution_id: str | None, rewards: Sequence[Path] = (), *, threshold: str = "recipe"
) -> list[str]:
    """Return one solution in lines, or the first wrong ones where none is named.

    Args:
        step_set: The set.
        solution_id: The solution.
        rewards: Reward folders or files of scores, as for an evaluation; those in the set by default.
        threshold: As for an evaluation (:func:`.thresholds.parse_ask`).

    Raises:
        PrmEvalError: No such solution, rewards that are not of this set, or a threshold that cannot be settled.
    """
    ids = [each.solution_id for each in step_set.solutions]
    if solution_id is not None and solution_id not in ids and Path(solution_id).exists():
        rewards = [Path(solution_id), *rewards]
        solution_id = None
    if solution_id is None:
        wrong = [row for row, label in enumerate(step_set.labels) if label.first_error not in (None, NO_ERROR)]
        chosen = (wrong or list(range(len(ids))))[:FIRST_WRONG]
    elif solution_id in ids:
        chosen = [ids.index(solution_id)]
    else:
        raise PrmEvalError(f"no solution {solution_id!r} in {step_set.path}{_near(solution_id, ids)}")
    arrays = load_set(step_set)
    said = _said(step_set, arrays, rewards or step_set.pool.reward_folders(), threshold)
    lines: list[str] = []
    for row in chosen:
        lines += [*([""] if lines else []), *_solution(row, step_set, arrays, said)]
    return lines


def _said(step_set: StepSet, arrays: SetArrays, rewards: Sequence[Path], threshold: str) -> list[Said]:
    ask, bench = parse_ask(threshold), Bench(arrays, Settings(resamples=2))
    found = []
    for scores in named_apart([read_scores(path, step_set, arrays) for path in rewards]):
        at = settle(ask, scores, arrays, bench.choose_by)
        strict = bench.strict(at)
        first = predictions(scores, arrays, at.value, strict=strict)
        found.append(Said(scores, at, strict, tuple(map(int, first))))
    return found


def _near(solution_id: str, ids: Sequence[str]) -> str:
    """Return ids that hold the one that was asked for, or else the first ones of the set."""
    near = [each for each in ids if solution_id in each][:5]
    return f"; there are {', '.join(near)}" if near else f"; the first ones are {', '.join(ids[:5])}"


def _solution(row: int, step_set: StepSet, arrays: SetArrays, said: Sequence[Said]) -> Iterator[str]:
    solution, label = step_set.solutions[row], step_set.labels[row]
    yield f"solution   {solution.solution_id}"
    if about := _about(solution):
        yield f"about      {about}"
    yield f"label      {_label(label)}"
    for each in said:
        yield f"verdict    {each.scores.name}: {_verdict(label, each, each.first[row])}"
    yield from _wrapped("problem    ", solution.statement)
    ratings = label.ratings or (None,) * len(solution.steps)
    start = int(arrays.starts[row])
    for k, (step, rating) in enumerate(zip(solution.steps, ratings, strict=True)):
        share = "" if label.soft is None or label.soft[k] is None else f" ({label.soft[k]:g} end right)"
        yield ""
        yield from _wrapped(f"step {k:<3} {MARKS[rating]:<7} ", f"{step}{share}")
        for each in said:
            value = float(each.scores.values[start + k])
            if np.isfinite(value):
                yield _score(each, value)


def _about(solution: Solution) -> str:
    about = (("group", solution.group), ("generator", solution.generator), ("twin", solution.twin_id))
    return "; ".join([f"{name} {value}" for name, value in about if value is not None] + list(solution.remarks))


def _score(said: Said, value: float) -> str:
    bar = ""
    if said.scores.probabilities:
        full = round(BAR * value)
        bar = "#" * full + "." * (BAR - full)
    called = "wrong" if said.calls_wrong(value) else "right"
    return f"{'':17}{bar} {value:8.4f}  {called:5}  {said.scores.name}".rstrip()


def _label(label: StepLabel) -> str:
    first = label.first_error
    where = "nothing known of a first wrong step"
    if first is not None:
        where = "no wrong step" if first == NO_ERROR else f"the first wrong step is {first} (counted from 0)"
    answer = {True: "; the final answer is right", False: "; the final answer is wrong", None: ""}[label.final_correct]
    return f"{where}{answer} (in the source: {label.source_label or 'nothing'})"


def _verdict(label: StepLabel, said: Said, first: int) -> str:
    if first == NOT_SCORED:
        why = ", ".join(said.scores.refusals) or "a score is missing"
        return f"not scored ({why})"
    words = "no wrong step" if first == NO_ERROR else f"first wrong step {first}"
    at = "" if said.scores.predictions is not None else f" at {said.threshold.value:g}"
    return f"{words}{at}" if label.first_error is None else f"{words}{at}: {_judged(first, label.first_error)}"


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
