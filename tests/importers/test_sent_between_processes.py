"""Problems that workers of an import send as columns come back as they were."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from prm_eval.importers.common import ImportedProblem, RewardColumn
from prm_eval.importers.loading import _received, _sent
from prm_eval.records import Candidate, GradeRow, Problem, StepRewards

PROBLEM = Problem("p", "What?", "2")
CANDIDATES = (Candidate("p", 0, "a\nb", ("a", "b"), 3, "stop"), Candidate("p", 4, "c"))
GRADES = (GradeRow(0, "2", 0, "correct", "published"), GradeRow(4, None, None, "no_answer", "published"))
SCORED = (StepRewards((0.5, 0.25)), StepRewards((), refusal="3 scores for 1 steps"))


def column(*values: StepRewards | None) -> RewardColumn:
    return RewardColumn("prm", "value", "min", values, "model")


NONE = column(None, None)


@pytest.mark.parametrize(
    "one",
    [
        ImportedProblem(Path("f"), 7, PROBLEM, CANDIDATES, GRADES, {"x": column(*SCORED)}, ("odd",), ("cut",)),
        ImportedProblem(Path("f"), 7, PROBLEM, CANDIDATES, None, {"x": column(None, SCORED[0]), "y": NONE}),
        ImportedProblem(Path("f"), 7, PROBLEM, (), (), {}),
        ImportedProblem(Path("f"), 7, PROBLEM, (), None, {"x": column()}),
    ],
)  # fmt: skip
def test_nothing_is_lost_on_the_way(one) -> None:
    """Else a pool would depend on the number of processes: missing rewards, steps, no grades against none at all."""
    assert _received(pickle.loads(pickle.dumps(_sent(one)))) == one
