"""The importer of PRM800K's ``scored-test-samples.jsonl``: one candidate a line, in any order, with ORM and PRM scores.

Candidates of a problem keep the order of the file. Slots up to 1,860 that the file does not fill stay missing, as the
evaluation of Lightman et al. (2023) pads with nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from prm_eval.importers.common import (
    About,
    Format,
    ImportedProblem,
    RewardColumn,
    Wanted,
    finite,
    given_or_extracted,
    published_grades,
)
from prm_eval.importers.grouped import grouped_problems
from prm_eval.importers.runs import require_one_run
from prm_eval.importers.score_types import by_format
from prm_eval.importers.sources import Source
from prm_eval.pools.problem_sets import problem_from_row
from prm_eval.records import Candidate, StepRewards
from prm_eval.rewards.aggregate import logit
from prm_eval.store.jsonl import Row

SLOTS = 1_860
PROBABILITY, LOG_ODDS = by_format("probability"), by_format("log_odds")


def recognise(row: dict[str, Any]) -> bool:
    """Say whether a first row is of this format."""
    return "rating_probs" in row and "steps" in row


class ScoredSamplesReader:
    """A reader of scored samples."""

    def __init__(self, source: Source) -> None:
        self._source = source
        require_one_run(source)

    def problems(self, wanted: Wanted) -> Iterator[Callable[[], ImportedProblem]]:
        """Yield a loader for every problem, by first appearance, and for every row that names none."""
        return grouped_problems(self._source, lambda row: row.required_text("unique_id", "problem"), _problem)

    def about(self) -> About:
        """Return the paper's generator and its sampling: temperature 1 (section 2.4)."""
        return About(policy="prm800k-generator", sampling={"temperature": 1.0})


FORMAT = Format(
    "prm800k", "PRM800K scored-test-samples.jsonl", recognise, ScoredSamplesReader, splitter="given", slots=SLOTS
)


def _problem(rows: list[Row], name: str) -> ImportedProblem:
    problem = problem_from_row(_without_own_answer(rows[0]), default_id=name)
    candidates: list[Candidate] = []
    answers: list[str | None] = []
    correct: list[bool] = []
    orm: list[StepRewards | None] = []
    product: list[StepRewards | None] = []
    by_step: list[StepRewards | None] = []
    for slot, row in enumerate(rows):
        if row.fields.get("problem") != rows[0].fields.get("problem"):
            raise row.fault(f"another statement for {name!r} than in row {rows[0].number}", "the same problem")
        steps = _steps(row)
        candidates.append(Candidate(problem.problem_id, slot, "\n".join(steps), steps))
        answers.append(given_or_extracted(row.text("answer"), candidates[-1].text))
        correct.append(_flag(row))
        orm.append(_single(row, "orm_score"))
        product.append(_single(row, "prm_score"))
        by_step.append(_rating_logodds(row, len(steps)))
    return ImportedProblem(
        rows[0].path,
        rows[0].number,
        problem,
        tuple(candidates),
        published_grades(answers, correct, [candidate.slot for candidate in candidates]),
        {
            "orm_score": RewardColumn("orm", "value", "last", tuple(orm), "PRM800K ORM", PROBABILITY),
            "prm_score": RewardColumn(
                "orm", "value", "last", tuple(product), "PRM800K PRM (published product)", PROBABILITY
            ),
            "rating_probs": RewardColumn("prm", "logodds", "prod", tuple(by_step), "PRM800K PRM", LOG_ODDS),
        },
    )


def _without_own_answer(row: Row) -> Row:
    """Hide the candidate's ``answer``, which in this format stands beside the problem's ``ground_truth_answer``."""
    return Row(row.path, row.number, {key: value for key, value in row.fields.items() if key != "answer"})


def _steps(row: Row) -> tuple[str, ...]:
    steps = row.fields.get("steps")
    if not isinstance(steps, list) or not steps or not all(isinstance(step, str) for step in steps):
        raise row.fault("steps that are not a list of text", "at least one step")
    return tuple(steps)


def _flag(row: Row) -> bool:
    value = row.fields.get("is_correct")
    if not isinstance(value, bool):
        raise row.fault(f"is_correct = {value!r}", "true or false")
    return value


def _single(row: Row, name: str) -> StepRewards | None:
    value = row.fields.get(name)
    return None if value is None else StepRewards((finite(row, value, name),))


def _rating_logodds(row: Row, n_steps: int) -> StepRewards | None:
    """Return log-odds of "not wrong": a neutral step counts as a positive one (paper, table 4: the better strategy)."""
    probabilities = row.fields.get("rating_probs")
    if probabilities is None:
        return None
    if not isinstance(probabilities, list) or len(probabilities) != n_steps:
        found = len(probabilities) if isinstance(probabilities, list) else type(probabilities).__name__
        raise row.fault(f"{found} rating_probs for {n_steps} steps", "one a step")
    values: list[float] = []
    for i, each in enumerate(probabilities):
        if not isinstance(each, dict):
            raise row.fault(f"rating_probs[{i}] of type {type(each).__name__}", "an object with -1, 0 and 1")
        good = finite(row, each.get("1"), f"rating_probs[{i}]['1']") + finite(
            row, each.get("0", 0.0), f"rating_probs[{i}]['0']"
        )
        bad = finite(row, each.get("-1"), f"rating_probs[{i}]['-1']")
        total = good + bad
        if not (good >= 0 and bad >= 0 and total > 0):
            raise row.fault(f"rating_probs[{i}] = {each}", "probabilities")
        # a probability of exactly 0 or 1 has no finite log-odds: keep it within float32's reach
        values.append(logit(min(max(good / total, 1e-12), 1 - 1e-12)))
    return StepRewards(tuple(values))
