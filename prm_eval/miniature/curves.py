"""Best-of-n curves of candidates in memory, by the closed forms of the evaluation.

Answers are judged by the oracle's rules. Training and studies look at many sets of candidates, while the published
figures go through a pool (:mod:`prm_eval.miniature.figures`). Both call
:func:`prm_eval.evaluation.curves.problem_curves`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from prm_eval.evaluation.curves import GradedSlots, RewardArrays, load_selectors, problem_curves
from prm_eval.evaluation.summary import CurveKey
from prm_eval.miniature.oracle import judge
from prm_eval.miniature.problems import MiniatureProblem
from prm_eval.miniature.reading import final_answer
from prm_eval.rewards.aggregate import aggregate_lists
from prm_eval.rewards.aggregations import Aggregation

Floats = npt.NDArray[np.float64]
StepScores = Mapping[tuple[str, str], Sequence[float]]  # (statement, candidate) -> log-odds, one a step or one
SELECTORS = ("majority", "best_of_n", "weighted_majority", "oracle")


def curves(
    problems: Sequence[MiniatureProblem],
    texts: Sequence[Sequence[str]],
    scores: Mapping[str, StepScores],
    ns: Sequence[int],
    *,
    aggregations: Mapping[str, Aggregation] | None = None,
    selectors: Sequence[str] = SELECTORS,
) -> dict[CurveKey, Floats]:
    """Return the expected accuracy on every problem, (problems, len(ns)), of every selector with every set of scores.

    Args:
        problems: The problems.
        texts: The same number of candidates of each.
        scores: Scores by name; see :func:`prm_eval.miniature.verifiers.score`.
        ns: Subset sizes.
        aggregations: Aggregations of steps, by the same names; product by default.
        selectors: Names of selectors; ``oracle`` is pass@n, and at n = 1 mean@1.
    """
    chosen = load_selectors(selectors)
    found: dict[CurveKey, list[Floats]] = {}
    for problem, group in zip(problems, texts, strict=True):
        statement = problem.problem.statement
        rewards = {
            name: _arrays(each, statement, group, (aggregations or {}).get(name, "prod"))
            for name, each in scores.items()
        }
        slots = GradedSlots(
            problem.problem, *_graded(problem, group), np.array([float(len(t)) for t in group]), rewards
        )
        for key, accuracy in problem_curves(slots, chosen, ns).items():
            found.setdefault(key, []).append(accuracy.values)
    return {key: np.stack(values) for key, values in found.items()}


def right_answers(problems: Sequence[MiniatureProblem], texts: Sequence[Sequence[str]]) -> tuple[Floats, Floats]:
    """Return two numbers for every problem: candidates with the right answer, and those of them with a wrong step."""
    right, false = np.zeros(len(problems)), np.zeros(len(problems))
    for index, (problem, group) in enumerate(zip(problems, texts, strict=True)):
        judged = {text: judge(problem.plan, text) for text in dict.fromkeys(group)}
        right[index] = sum(judged[text].answer_right for text in group)
        false[index] = sum(judged[text].false_positive for text in group)
    return right, false


def _arrays(scores: StepScores, statement: str, group: Sequence[str], aggregation: Aggregation) -> RewardArrays:
    return RewardArrays(*aggregate_lists([scores[statement, text] for text in group], aggregation, "logodds"))


def _graded(problem: MiniatureProblem, group: Sequence[str]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    values = problem.plan.values()
    gold = tuple(values[index] for index in problem.plan.answer)
    classes: dict[object, int] = {}
    numbers, correct = [], []
    for text in group:
        answer = final_answer(text)
        numbers.append(-1 if answer is None else classes.setdefault(answer, len(classes)))
        correct.append(answer == gold)
    return np.array(numbers, dtype=np.int64), np.array(correct, dtype=bool)
