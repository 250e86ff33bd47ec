"""Candidates to look at: each with its steps and their rewards, its answer and where that stands, and its verdict.

Nothing here prints; :mod:`prm_eval.evaluation.views` turns views into text and pages.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import pyarrow as pa

from prm_eval.errors import PrmEvalError
from prm_eval.evaluation.curves import named_apart
from prm_eval.evaluation.jobs import AUTO, meant_grades
from prm_eval.evaluation.notes import WIDER_EXTRACTION
from prm_eval.evaluation.one_step import warning_of
from prm_eval.grading.finding.extract import Extraction, extract
from prm_eval.pools.format import GRADES
from prm_eval.pools.pool import Pool
from prm_eval.records import LOG_ODDS, VERDICTS, Judged, Problem, ScoreType, StepRewards
from prm_eval.rewards.aggregate import aggregate, as_probability
from prm_eval.rewards.files.judgements import read_judgements
from prm_eval.rewards.files.reward_file import NamedRewards, RewardFile
from prm_eval.store.tables import BlockReader, require_same_ids
from prm_eval.store.visible import one_line
from prm_eval.texts.names import short_names
from prm_eval.texts.steps import split_steps

Span = tuple[int, int]

# candidates that are shown where no problem is named
MOST = 10


@dataclass(frozen=True)
class GivenRewards:
    """What one reward model gave a candidate.

    Attributes:
        name: The short name of the reward model.
        kind: "prm" or "orm".
        aggregation: How its step rewards become one.
        score_type: How its numbers are to be read.
        steps: The number of every step, as a probability where the file has log-odds; one number for an ORM.
        reward: The aggregated number, in the same way; None where the candidate was refused.
        refusal: Why it was refused.
        judged: What a generative verifier wrote on it; None where nothing is kept.
    """

    name: str
    kind: str
    aggregation: str
    score_type: ScoreType
    steps: tuple[float, ...]
    reward: float | None
    refusal: str | None
    judged: Judged | None


@dataclass(frozen=True)
class Step:
    """A step, the place of the final answer in it, and its reward by each model of the listing.

    ``weakest`` says for which models it is the first of several steps with the smallest reward.
    """

    text: str
    marked: Span | None
    rewards: tuple[float | None, ...]
    weakest: tuple[bool, ...]


@dataclass(frozen=True)
class Listing:
    """A candidate as one splitter cuts it; ``models`` are the indices of the reward models that judge these steps."""

    splitter: str
    steps: tuple[Step, ...]
    models: tuple[int, ...]


@dataclass(frozen=True)
class CandidateView:
    """One candidate, with all that is known of it.

    Attributes:
        slot: Its slot.
        candidate_id: Its id.
        text: Its text.
        n_tokens: Its tokens, where they are known.
        finish_reason: Why it ended, where that is known.
        verdict: Its grade; None without grades.
        answer: Its answer, as the grades have it, or as it is found now where there are no grades.
        rule: The rule that decided on the grade, or that found the answer where there are no grades.
        found: The answer that is found in it now, with its place in the text; None where there is none.
        rewards: What every reward model gave it.
        listings: Its steps, once for every way in which they are cut.
    """

    slot: int
    candidate_id: str
    text: str
    n_tokens: int | None
    finish_reason: str | None
    verdict: str | None
    answer: str | None
    rule: str
    found: Extraction | None
    rewards: tuple[GivenRewards, ...]
    listings: tuple[Listing, ...]


@dataclass(frozen=True)
class ProblemView:
    """A problem and those of its candidates that are shown."""

    problem: Problem
    candidates: tuple[CandidateView, ...]


@dataclass(frozen=True)
class View:
    """Candidates of a pool that somebody wants to look at.

    Attributes:
        pool: The pool.
        source: The grades that are shown; None where there are none.
        models: The short names of the reward models.
        problems: The problems with their candidates.
        left: How many more candidates fit what was asked for, and are not shown.
        warnings: What no reader of the rewards may miss.
    """

    pool: Pool
    source: str | None
    models: tuple[str, ...]
    problems: tuple[ProblemView, ...]
    left: int
    warnings: tuple[str, ...] = ()


def view_candidates(
    folder: str | Path,
    *,
    problem: str | None = None,
    slot: int | None = None,
    verdict: str | None = None,
    rewards: Sequence[str] | None = None,
    grades: str = AUTO,
    most: int | None = None,
) -> View:
    """Return the candidates that fit what is asked for.

    Args:
        folder: The folder of the pool.
        problem: The id of a problem; None looks at all, which needs a verdict.
        slot: One slot of that problem.
        verdict: Only candidates with this grade.
        rewards: Reward folders, or the names of those in the pool; None shows those in the pool.
        grades: The source of grades: "auto", "own", "published" or a grader's name.
        most: How many candidates are shown; None is all of a problem, or else :data:`MOST`.

    Raises:
        PrmEvalError: There is no such problem, slot or verdict, or a file has a fault.
    """
    pool = Pool(folder)
    if problem is None and (verdict is None or slot is not None):
        raise PrmEvalError(f"which problem of {pool.path}? --problem ID, or --verdict alone for some of any problem")
    if verdict is not None and verdict not in VERDICTS:
        raise PrmEvalError(f"no verdict {verdict!r}; expected one of {', '.join(VERDICTS)}")
    if problem is not None and problem not in pool.problems:
        raise PrmEvalError(_no_problem(pool, problem))
    source = _source(pool, grades, needed=verdict is not None)
    named = named_apart(_opened(pool, rewards))
    room = most if most is not None else MOST if problem is None else None
    shown, left = [], 0
    for each, table, rows, places in _fitting(pool, source, problem, slot, verdict):
        kept = places if room is None else places[: max(0, room)]
        room = None if room is None else room - len(kept)
        left += len(places) - len(kept)
        if kept:
            shown.append((each, table, rows, kept))
    if problem is not None and slot is not None and not shown and not left:
        raise PrmEvalError(_no_slot(pool, problem, slot, verdict))
    names = tuple(short_names(each.label for each in named).values())
    said = (warning_of(pool.info, each.file.info, each.file.step_counts(), name)
            for each, name in zip(named, names, strict=True))  # fmt: skip
    warnings = tuple(each for each in said if each is not None)
    return View(pool, source, names, _filled(pool, shown, named, source), left, warnings)


Selected = tuple[Problem, pa.Table, pa.Table | None, list[int]]


def _source(pool: Pool, grades: str, needed: bool) -> str | None:
    """Return the source of grades; None where none is asked for by name and none is there."""
    source = meant_grades(pool, grades)
    if grades == AUTO and not needed and not pool.grades_path(source).is_file():
        return None
    pool.require_grades(source)
    return source


def _opened(pool: Pool, names: Sequence[str] | None) -> list[RewardFile]:
    if names is None:
        return [RewardFile(folder) for folder in pool.reward_folders()]
    return [RewardFile(_reward_folder(pool, name)) for name in names]


def _reward_folder(pool: Pool, name: str) -> Path:
    """Return the folder of rewards by its path, or by its name in the pool."""
    inside = pool.path / "rewards" / name
    for folder in (Path(name), inside):
        if (folder / "submission.json").is_file():
            return folder
    there = ", ".join(each.name for each in pool.reward_folders()) or "none"
    raise PrmEvalError(f"no rewards at {name}, and {pool.path} has no rewards of that name; it has: {there}")


def _no_problem(pool: Pool, problem: str) -> str:
    near = get_close_matches(problem, pool.problems, n=3)
    some = [one_line(each, 100) for each in near or list(pool.problems)[:3]]
    return f"{pool.path} has no problem {problem!r}; {'near to it' if near else 'the first'}: {', '.join(some)}"


def _no_slot(pool: Pool, problem: str, slot: int, verdict: str | None) -> str:
    of = "" if verdict is None else f" that is {verdict}"
    return (
        f"problem {problem!r} of {pool.path} has no candidate in slot {slot}{of}; its slots are 0 to {pool.info.m - 1}"
    )


def _fitting(
    pool: Pool, source: str | None, problem: str | None, slot: int | None, verdict: str | None
) -> Iterator[Selected]:
    """Yield (problem, candidates, grades, rows that fit) of every problem that fits."""
    reader = None if source is None else BlockReader(pool.grades_path(source), GRADES)
    for each, table in pool.blocks():
        grades = None
        if reader is not None:
            first, grades = reader.take(each.problem_id)
            require_same_ids(reader.path, first, grades, table, str(pool.candidates_path))
        if problem is not None and each.problem_id != problem:
            continue
        verdicts = [None] * table.num_rows if grades is None else grades.column("grade").to_pylist()
        pairs = enumerate(zip(table.column("slot").to_pylist(), verdicts, strict=True))
        places = [
            place
            for place, (at, said) in pairs
            if (slot is None or at == slot) and (verdict is None or said == verdict)
        ]
        if places or each.problem_id == problem:
            yield each, table, grades, places


def _filled(
    pool: Pool, shown: list[Selected], named: Sequence[NamedRewards], source: str | None
) -> tuple[ProblemView, ...]:
    """Return the views of the candidates that were selected, with their rewards and judgements."""
    given = [_given(pool, shown, each) for each in named]
    names = list(short_names(each.label for each in named).values())
    widely = source is not None and WIDER_EXTRACTION in source
    views = []
    for problem, table, grades, places in shown:
        rows = table.to_pylist()
        graded = None if grades is None else grades.to_pylist()
        candidates = []
        for place in places:
            key = (problem.problem_id, rows[place]["candidate_id"])
            rewards = [
                _rewards(name, each, of_model[key][0], of_model[key][1])
                for name, each, of_model in zip(names, named, given, strict=True)
            ]
            candidates.append(
                _candidate(pool, rows[place], None if graded is None else graded[place], named, rewards, widely)
            )
        views.append(ProblemView(problem, tuple(candidates)))
    return tuple(views)


Given = dict[tuple[str, str], tuple[StepRewards, Judged | None]]


def _given(pool: Pool, shown: list[Selected], named: NamedRewards) -> Given:
    """Return the rewards and judgements of one model for the candidates that are shown."""
    wanted = {problem.problem_id: (table, places) for problem, table, _, places in shown}
    reader = named.file.reader(pool)
    found: dict[tuple[str, str], StepRewards] = {}
    for problem in pool.problems.values():
        if problem.problem_id not in wanted:
            reader.skip(problem)
            continue
        table, places = wanted[problem.problem_id]
        ids = table.column("candidate_id").to_pylist()
        rewards = reader.take_each(problem, table)
        found |= {(problem.problem_id, ids[place]): rewards[place] for place in places}
    judged = {
        (problem_id, candidate_id): each
        for problem_id, candidate_id, each in read_judgements(named.file.folder)
        if (problem_id, candidate_id) in found
    }
    return {key: (rewards, judged.get(key)) for key, rewards in found.items()}


def _rewards(name: str, named: NamedRewards, found: StepRewards, judged: Judged | None) -> GivenRewards:
    info, aggregation = named.file.info, named.file.aggregation
    logodds = info.score_type in LOG_ODDS
    reward = None
    if found.refusal is None:
        value, weight = aggregate(found.values, aggregation, info.score_type)
        reward = weight if logodds else value
    steps = tuple(as_probability(value, info.score_type) for value in found.values)
    return GivenRewards(name, info.kind, str(aggregation), info.score_type, steps, reward, found.refusal, judged)


def _candidate(
    pool: Pool,
    row: dict[str, Any],
    grade: dict[str, Any] | None,
    named: Sequence[NamedRewards],
    rewards: Sequence[GivenRewards],
    widely: bool,
) -> CandidateView:
    found = extract(row["text"], widely=widely)
    marked = None if found is None else (found.start, found.end)
    # every way of cutting that a PRM has, and the pool's own where there is none
    ways: dict[str, list[int]] = {}
    for index, (each, of_model) in enumerate(zip(named, rewards, strict=True)):
        if each.file.info.kind == "prm" and of_model.refusal is None:
            ways.setdefault(each.file.info.splitter or pool.info.splitter, []).append(index)
    listings = [
        _listing(row, splitter, models, rewards, marked)
        for splitter, models in (ways or {pool.info.splitter: []}).items()
    ]
    return CandidateView(
        row["slot"],
        row["candidate_id"],
        row["text"],
        row["n_tokens"],
        row["finish_reason"],
        None if grade is None else grade["grade"],
        (found.answer if found else None) if grade is None else grade["answer"],
        (found.rule if found else "none") if grade is None else grade["rule"],
        found,
        tuple(rewards),
        tuple(listings),
    )


def _listing(
    row: dict[str, Any], splitter: str, models: list[int], rewards: Sequence[GivenRewards], marked: Span | None
) -> Listing:
    texts = split_steps(row["text"], splitter, row["steps"])
    places = places_of(row["text"], texts)
    worst = [min(range(len(texts)), key=rewards[model].steps.__getitem__) for model in models]
    steps = [
        Step(
            text,
            _within(marked, place, len(text)),
            tuple(rewards[model].steps[number] for model in models),
            tuple(each == number and len(texts) > 1 for each in worst),
        )
        for number, (text, place) in enumerate(zip(texts, places, strict=True))
    ]
    return Listing(splitter, tuple(steps), tuple(models))


def places_of(text: str, steps: Sequence[str]) -> list[int | None]:
    """Return where each step begins in its text; None for a step that is not in it, as its source may have it."""
    places: list[int | None] = []
    at = 0
    for step in steps:
        found = text.find(step, at)
        places.append(found if found >= 0 else None)
        at = found + len(step) if found >= 0 else at
    return places


def _within(marked: Span | None, start: int | None, length: int) -> Span | None:
    """Return the part of a span of the text that lies in the ``length`` characters from ``start``; None for none."""
    if marked is None or start is None:
        return None
    begin, end = max(0, marked[0] - start), min(length, marked[1] - start)
    return (begin, end) if begin < end else None
