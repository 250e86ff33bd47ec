"""The importer of RewardMATH's results: ``MODEL_reward.json``, and of several of them as one pool.

Shape: an array with a row a problem: ``problem, solution_reference: [10 names], score: [10 numbers, or 10 x
[number]]``. The first candidate is right, the nine others are wrong. ``{problem, correct: [bool], rewards: {model: [10
entries]}}``, one row a problem, is read, too.

Read: rewards and labels. **The texts of the candidates are not in these files**: a stand-in names the candidate and its
steps, so that rewards can be compared and nothing else. A model all of whose scores are numbers or lists of one is an
outcome reward model, one with a longer list anywhere a process reward model. One that cuts a candidate in another
number of steps than most is refused there; imported alone it is not. Pairwise verdicts (``chosen_position``) are no
rewards: refused.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Set
from typing import Any

from prm_eval.importers.building import Given, ScoreField, build, problem_of
from prm_eval.importers.common import About, Format, ImportedProblem, Wanted, has_steps, single
from prm_eval.importers.grouped import grouped_problems
from prm_eval.importers.sources import Source
from prm_eval.store.jsonl import Row


def recognise(row: dict[str, Any]) -> bool:
    """Say whether a first row is of this format."""
    stored = isinstance(row.get("rewards"), dict) and isinstance(row.get("correct"), list) and "samples" not in row
    return ("solution_reference" in row and "score" in row) or stored


class RewardsReader:
    """A reader of results, joined on the problem."""

    def __init__(self, source: Source) -> None:
        self._source = source

    def problems(self, wanted: Wanted) -> Iterator[Callable[[], ImportedProblem]]:
        """Yield a loader for every problem, by first appearance."""
        stepwise: set[str] = set()

        def key(row: Row) -> str:
            # in the first reading: a list of one says nothing of its model until every row was seen
            stepwise.update(name for name, each in _models(row).items() if isinstance(each, list) and has_steps(each))
            return row.required_text("problem")

        return grouped_problems(self._source, key, lambda rows, _: _problem(rows, stepwise, wanted))

    def about(self) -> About:
        """Return that the candidates are stand-ins."""
        return About(
            policy="ten solvers (RewardMATH)",
            notes=("the files have no texts: candidates are stand-ins, for published grades and these rewards alone",),
        )


FORMAT = Format("rewardmath", "RewardMATH MODEL_reward.json", recognise, RewardsReader, splitter="given")


def _problem(rows: list[Row], stepwise: Set[str], wanted: Wanted) -> ImportedProblem:
    first = rows[0]
    rewards: dict[str, list[Any]] = {}
    origin: dict[str, Row] = {}
    for row in rows:
        for name, entries in _rewards(row).items():
            if name in rewards:
                raise row.fault(f"rewards of {name} again (first in {origin[name].path})", "each model once")
            rewards[name], origin[name] = entries if name in stepwise else list(map(single, entries)), row
    labels = _labels(first)
    names = first.fields.get("solution_reference") or [f"candidate {i + 1}" for i in range(len(labels))]
    for name, entries in rewards.items():
        if len(entries) != len(labels) or len(names) != len(labels):
            raise first.fault(f"{len(entries)} rewards of {name} for {len(labels)} candidates", "one a candidate")
    problem = problem_of(first, first.required_text("problem"), None, f"{first.path.stem}/{first.number}")
    given = [_given(i, str(names[i]), right, rewards) for i, right in enumerate(labels)]
    fields = [ScoreField(name, "prm" if name in stepwise else "orm", misfits_refused=True) for name in rewards]
    return build(first, problem, given, wanted, fields)


def _rewards(row: Row) -> dict[str, list[Any]]:
    if "chosen_position" in row.fields:
        raise row.fault("pairwise verdicts", "rewards", "Leave out the *_pairwise_reward.json.")
    found = _models(row)
    for name, entries in found.items():
        if not isinstance(entries, list) or not entries:
            raise row.fault(f"rewards of {name} of type {type(entries).__name__}", "one entry a candidate")
    return found


def _models(row: Row) -> dict[str, Any]:
    """Return what a row has for each model, whether it is sound or not."""
    stored = row.fields.get("rewards")
    if isinstance(stored, dict):
        return stored
    return {row.path.name.partition(".")[0].removesuffix("_reward"): row.fields.get("score")}


def _labels(row: Row) -> list[bool]:
    labels = row.fields.get("correct")
    if labels is None:
        n = len(row.fields["score"]) if isinstance(row.fields.get("score"), list) else 0
        return [i == 0 for i in range(n)]
    if not isinstance(labels, list) or not all(isinstance(each, bool) for each in labels):
        raise row.fault(f"correct = {labels!r}", "a list of true and false")
    return labels


def _given(i: int, name: str, right: bool, rewards: dict[str, list[Any]]) -> Given:
    scores = {model: None if entries[i] == [] else entries[i] for model, entries in rewards.items()}
    counts = Counter(len(each) for each in scores.values() if isinstance(each, list) and each)
    n = counts.most_common(1)[0][0] if counts else 1
    steps = tuple(f"[step {k + 1} of {name}: no text in the source]" for k in range(n))
    return Given("", "\n".join(steps), steps, answer=f"[{name}: no answer in the source]", correct=right, scores=scores)
