"""Queues: the candidates of a pool that are to be labelled, as JSON lines of problem_id, candidate_id and why.

Beside ``queue.jsonl`` lies ``queue.jsonl.about.json``, which says how it was made. A queue is read against its pool: a
candidate id holds a hash of the text, so a queue of other texts is found by file and row.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence, Set
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from prm_eval.errors import DataError, PrmEvalError
from prm_eval.evaluation.jobs import AUTO, meant_grades
from prm_eval.labelling.queue_rules import Ask, Pick, Row, choose, lot_of
from prm_eval.pools.pool import Pool
from prm_eval.progress import Progress, silent
from prm_eval.records import GradeRow, Problem, StepRewards
from prm_eval.rewards.aggregate import aggregate_lists, as_probability
from prm_eval.rewards.files.reading import RewardReader
from prm_eval.rewards.files.reward_file import RewardFile
from prm_eval.stepsets.label_file import ROWS, LabelFile
from prm_eval.store.jsonl import Row as Line
from prm_eval.store.jsonl import read_jsonl
from prm_eval.store.tables import iter_table_rows
from prm_eval.store.writing import replacing, write_json

Key = tuple[str, str]
"""A problem id and a candidate id."""
ABOUT = ".about.json"
FEEDS = {"convincing": 1, "uniform": 0, "uncertain": 1, "disagreement": 2}
"""How many reward models a rule needs at least."""
IDS = pa.schema([pa.field(name, pa.string(), nullable=False) for name in ("problem_id", "candidate_id")])
COLUMNS = ["problem_id", "candidate_id", "slot", "text", "steps"]


@dataclass(frozen=True)
class Queue:
    """A queue that was made.

    Attributes:
        path: Its file.
        picks: Its candidates.
        about: How it was made.
        problems: How many problems they are of.
        wrong: How many have a wrong answer.
        refused: Different texts that no rule could choose, because a reward model refused them.
        repeats: Candidates that were left out because their text is that of another one of their problem.
        labelled: Candidates left out because they, or others of their text, are labelled.
        empty: Candidates left out because they have no text, and so no step.
    """

    path: Path
    picks: tuple[Pick, ...]
    about: dict[str, Any]
    problems: int
    wrong: int
    refused: int
    repeats: int
    labelled: int
    empty: int


def make_queue(
    pool: Pool,
    path: Path,
    ask: Ask,
    *,
    rewards: Sequence[RewardFile] = (),
    grades: str = AUTO,
    seed: int = 0,
    skip: Set[Key] = frozenset(),
    progress: Progress = silent,
) -> Queue:
    """Choose candidates of a pool and write the queue.

    Args:
        pool: The candidates.
        path: The file to write.
        ask: The rule and its numbers.
        rewards: The reward models that the rule reads.
        grades: Whose grades say which answers are wrong, for ``convincing``.
        seed: Of the random order of ``uniform``.
        skip: Candidates that are labelled already.
        progress: Called with the number of problems read.

    Raises:
        PrmEvalError: The rule needs more reward models, or the pool has no grades.
        DataError: Rewards are of another pool, or have a fault.
    """
    least = FEEDS[ask.rule]
    if len(rewards) < least:
        raise PrmEvalError(f"the rule {ask.rule} reads {least} reward folder(s); found {len(rewards)}: --rewards R")
    used = rewards[: 1 if ask.rule != "disagreement" else len(rewards)] if least else ()
    _require_meaning(ask, used)
    source = meant_grades(pool, grades)
    if ask.rule == "convincing":
        pool.require_grades(source)
    reader = _Reading(pool, used, source if ask.rule == "convincing" else None, seed, skip)
    names = list(pool.problems)
    picks = choose(list(reader.rows(progress)), ask)
    about = {
        "ask": asdict(ask),
        "pool": pool.info.content_hash,
        "rewards": [{"name": each.info.name, "folder": str(each.folder), "model": each.info.model} for each in used],
        "grades": source if ask.rule == "convincing" else None,
        "seed": seed if ask.rule == "uniform" else None,
        "skipped": len(skip),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path.with_name(path.name + ABOUT), about)
    with replacing(path) as stream:
        for pick in picks:
            line = {
                "problem_id": names[pick.row.problem],
                "candidate_id": pick.row.candidate_id,
                "why": f"{pick.why}, seed {seed}" if ask.rule == "uniform" else pick.why,
            }
            stream.write(json.dumps(line, ensure_ascii=False).encode() + b"\n")
    of = len({pick.row.problem for pick in picks})
    wrong = sum(pick.row.wrong for pick in picks)
    counts = reader.counts
    passed = (counts[name] for name in ("refused", "repeats", "labelled", "empty"))
    return Queue(path, tuple(picks), about, of, wrong, *passed)


def read_queue(path: Path, pool: Pool) -> dict[Key, str]:
    """Return the candidates of a queue with the reason of each, in the queue's order.

    Raises:
        DataError: A row has no ids, is of no candidate of the pool, or comes twice.
    """
    there = candidate_keys(pool)
    found: dict[Key, str] = {}
    for number, fields in read_jsonl(path):
        row = Line(path, number, fields)
        key = (row.required_text("problem_id"), row.required_text("candidate_id"))
        if key not in there:
            what = f"candidate {key[1]} of {key[0]!r}"
            raise row.fault(what, f"a candidate of {pool.path} (an id has a hash of the text)", "Make the queue again.")
        if key in found:
            raise row.fault(f"candidate {key[1]} of {key[0]!r} again", "each candidate once")
        found[key] = row.text("why") or ""
    if not found:
        raise DataError(path, None, "an empty queue", "at least one candidate")
    return found


def candidate_keys(pool: Pool) -> set[Key]:
    """Return the ids of all candidates of a pool."""
    found: set[Key] = set()
    for problem, table in pool.blocks(["problem_id", "candidate_id"]):
        found |= {(problem.problem_id, each) for each in table.column("candidate_id").to_pylist()}
    return found


def labelled_keys(folders: Sequence[Path], pool: Pool) -> set[Key]:
    """Return the ids of the candidates that folders of labels have, without looking at a label.

    Raises:
        DataError: One of them is of another pool, or has a candidate that the pool has not.
    """
    found: set[Key] = set()
    there = candidate_keys(pool) if folders else set()
    for folder in folders:
        info = LabelFile(folder).info
        if info.pool_hash != pool.info.content_hash:
            what = f"labels of the pool {info.pool_hash[:12]}"
            raise DataError(folder, None, what, f"labels of {pool.path} ({pool.info.short_hash})")
        for number, row in enumerate(iter_table_rows(folder / ROWS, IDS), 1):
            key = (row["problem_id"], row["candidate_id"])
            if key not in there:
                what = f"candidate {key[1]} of {key[0]!r}"
                raise DataError(folder / ROWS, number, what, f"a candidate of {pool.path}")
            found.add(key)
    return found


def _require_meaning(ask: Ask, rewards: Sequence[RewardFile]) -> None:
    """Insist that a rule can read the rewards: chances, and for disagreement those of the same steps by two models."""
    if ask.rule == "uncertain" and rewards[0].info.score_type == "raw":
        raise PrmEvalError(
            f"{rewards[0].info.name} gives raw numbers, of which none is a chance of 1/2; expected probabilities or "
            "log-odds. Say what they are when they are imported (--score-type), or choose by another rule"
        )
    if ask.rule != "disagreement":
        return
    same = Counter(each.folder.resolve() for each in rewards).most_common(1)[0]
    if same[1] > 1:
        raise PrmEvalError(f"--rewards {same[0]} {same[1]} times: a model does not disagree with itself; give another")
    forms = {(each.info.kind, each.info.splitter) for each in rewards}
    if len(forms) > 1:
        said = "; ".join(f"{each.info.name}: {each.info.kind}, steps by {each.info.splitter}" for each in rewards)
        raise PrmEvalError(f"reward models that disagree must judge the same steps; found {said}")
    for each in rewards:
        if each.info.kind != "prm":
            raise PrmEvalError(f"{each.info.name} gives one number a solution; disagreement is about steps: give PRMs")
        if each.info.score_type == "raw":
            raise PrmEvalError(
                f"{each.info.name} gives raw numbers, whose spread means nothing; expected probabilities"
            )


class _Reading:
    """The rows of a pool with what the reward models and the grader said, problem after problem."""

    def __init__(
        self, pool: Pool, rewards: Sequence[RewardFile], grades: str | None, seed: int, skip: Set[Key]
    ) -> None:
        self._pool, self._rewards, self._grades, self._seed, self._skip = pool, rewards, grades, seed, skip
        self.counts: Counter[str] = Counter()

    def rows(self, progress: Progress) -> Iterator[list[Row]]:
        readers = [each.reader(self._pool) for each in self._rewards]
        grades = None if self._grades is None else self._pool.grades(self._grades)
        for number, (problem, table) in enumerate(self._pool.blocks(COLUMNS)):
            graded = None if grades is None else next(grades)[1]
            yield self._of_problem(number, problem, table, readers, graded)
            progress(number + 1)
        for reader in readers:
            reader.finish()

    def _of_problem(
        self,
        number: int,
        problem: Problem,
        table: pa.Table,
        readers: Sequence[RewardReader],
        grades: Sequence[GradeRow] | None,
    ) -> list[Row]:
        fields = table.select(["candidate_id", "slot", "text"]).to_pylist()
        given = [reader.take_each(problem, table) for reader in readers]
        rewards, weights = self._aggregated(given)
        rows: list[tuple[Row, str]] = []
        for at, each in enumerate(fields):
            steps = self._steps([of_model[at] for of_model in given])
            row = Row(
                number,
                each["slot"],
                each["candidate_id"],
                wrong=grades is not None and grades[at].grade == "incorrect",
                reward=rewards[at],
                probability=weights[at],
                steps=steps,
                lot=lot_of(self._seed, problem.problem_id, each["candidate_id"]),
            )
            rows.append((row, each["text"]))
        return self._different(problem, rows)

    def _different(self, problem: Problem, rows: list[tuple[Row, str]]) -> list[Row]:
        """Return one row a text: the first in the pool, or in the random order where no model is read."""
        labelled = {text for row, text in rows if (problem.problem_id, row.candidate_id) in self._skip}
        if not self._rewards:
            rows = sorted(rows, key=lambda each: each[0].lot)
        found: dict[str, Row] = {}
        for row, text in rows:
            if not text.strip():
                self.counts["empty"] += 1
            elif text in labelled:
                self.counts["labelled"] += 1
            elif text in found:
                self.counts["repeats"] += 1
            else:
                found[text] = row
        if self._rewards:
            self.counts["refused"] += sum(row.reward is None for row in found.values())
        return list(found.values())

    def _aggregated(self, given: Sequence[list[StepRewards]]) -> tuple[list[float | None], list[float | None]]:
        if not given:
            nothing: list[float | None] = [None] * self._pool.info.m
            return nothing, nothing
        file = self._rewards[0]
        values = [each.values or None for each in given[0]]
        rewards, weights = aggregate_lists(values, file.aggregation, file.info.score_type)
        kept = [
            None if each is None else (float(r), float(w)) for each, r, w in zip(values, rewards, weights, strict=True)
        ]
        return [each and each[0] for each in kept], [each and each[1] for each in kept]

    def _steps(self, given: Sequence[StepRewards]) -> tuple[tuple[float, ...], ...]:
        if len(given) < 2 or not all(each.values for each in given):
            return ()
        types = [each.info.score_type for each in self._rewards]
        return tuple(
            tuple(as_probability(value, score_type) for value in each.values)
            for each, score_type in zip(given, types, strict=True)
        )
