"""Building of an imported problem from what a file gives: labels become grades, scores become reward columns."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from prm_eval.errors import PrmEvalError
from prm_eval.importers.common import (
    ImportedProblem,
    RewardColumn,
    Wanted,
    finite,
    given_or_extracted,
    numbers,
    published_grades,
)
from prm_eval.importers.score_types import (
    STORED,
    UNKNOWN,
    Meaning,
    aggregation_for,
    any_number,
    meaning,
    stored,
)
from prm_eval.pools.problem_sets import problem_from_row
from prm_eval.records import Candidate, GradeRow, Kind, Problem, ScoreType, StepRewards
from prm_eval.rewards.aggregations import Aggregation
from prm_eval.store.jsonl import Row
from prm_eval.texts.steps import SPLITTERS, split_steps


@dataclass(frozen=True)
class Given:
    """A candidate as a file gives it.

    Attributes:
        place: Its place in the row, for errors: ``samples[3]``.
        text: The text.
        steps: The steps, where the file has them.
        answer: The answer that the file says it gives; empty where the file says that it gives none; None where the
            file says nothing, so that ours is found.
        correct: The file's label, None where it has none.
        n_tokens: The number of tokens.
        finish_reason: Why the text ends.
        scores: A number or a list of numbers by field; None where there is none.
        row: The row, where it is not that of the problem.
    """

    place: str
    text: str
    steps: tuple[str, ...] | None = None
    answer: str | None = None
    correct: bool | None = None
    n_tokens: int | None = None
    finish_reason: str | None = None
    scores: dict[str, Any] = field(default_factory=dict)
    row: Row | None = None


@dataclass(frozen=True)
class ScoreField:
    """A field of scores, and what its format says of it.

    Attributes:
        name: The field, or the reward model; what the reward folder is called.
        kind: Whether the scores are of steps; None lets the values tell (a number, or a list).
        model: The name of the reward model.
        default: What the format says that the numbers are.
        strict: Whether probabilities must lie in [0, 1].
        misfits_refused: Whether scores whose number is not that of the steps become a refusal, not a fault. It is for
            tools that cut texts in ways that the file does not say.
        label: The name of the scores within a candidate, for errors.
        aggregation: How the tool itself combines steps, where it says so.
    """

    name: str
    kind: Kind | None = None
    model: str | None = None
    default: Meaning = UNKNOWN
    strict: bool = True
    misfits_refused: bool = False
    label: str = ""
    aggregation: Aggregation | None = None


def build(
    row: Row,
    problem: Problem,
    given: Sequence[Given | None],
    wanted: Wanted,
    fields: Sequence[ScoreField] = (),
    *,
    ignored: tuple[str, ...] = (),
    remarks: Sequence[str] = (),
) -> ImportedProblem:
    """Return the problem, with what was found of its candidates.

    Args:
        row: The row that faults are reported for.
        problem: The problem.
        given: What fills each slot; None for a missing one.
        wanted: What the user asks.
        fields: The fields of scores.
        ignored: Names of fields that nothing reads.
        remarks: What was done with the problem, in words.

    Raises:
        DataError: A label or a score is not what it should be.
    """
    present = [(slot, each) for slot, each in enumerate(given) if each is not None]
    for _, each in present:
        _require_unicode(each.row or row, each)
    candidates = tuple(
        Candidate(problem.problem_id, slot, each.text, each.steps, each.n_tokens, each.finish_reason)
        for slot, each in present
    )
    found = [each for _, each in present]
    said = list(remarks)
    columns = {
        one.name: _column(row, one, found, wanted, said)
        for one in fields
        if any(one.name in each.scores for each in found)
    }
    return ImportedProblem(
        row.path, row.number, problem, candidates, _grades(row, found, candidates), columns, ignored, tuple(said)
    )


def _require_unicode(row: Row, each: Given) -> None:
    """Insist that what goes into the pool's tables is valid Unicode.

    Raises:
        DataError: Half a surrogate pair, which JSON can spell and no file can hold.
    """
    for name, value in (("text", each.text), ("answer", each.answer), ("finish_reason", each.finish_reason)):
        if value is None or (isinstance(value, str) and value.isascii()):
            continue
        row.text(name, where={name: value}, label=f"{each.place}.{name}" if each.place else name)
    for i, step in enumerate(each.steps or ()):
        row.text("step", where={"step": step}, label=f"{each.place}.steps[{i}]" if each.place else f"steps[{i}]")


def problem_of(row: Row, statement: str, gold: Any, default_id: str, **fields: Any) -> Problem:
    """Return the problem of a row whose statement and gold the format finds in its own way.

    Id, subject and level are those of the row, where they are texts or numbers, or those of ``fields``.

    Raises:
        DataError: The statement is empty, or the gold answer is no text.
    """
    names = ("problem_id", "unique_id", "id", "subject", "type", "level")
    plain = {
        name: row.fields[name]
        for name in names
        if isinstance(row.fields.get(name), str) or any_number(row.fields.get(name))
    }
    return problem_from_row(
        Row(row.path, row.number, {**plain, **fields, "statement": statement, "gold": gold}), default_id
    )


def _grades(row: Row, given: Sequence[Given], candidates: Sequence[Candidate]) -> tuple[GradeRow, ...] | None:
    labels = [each.correct for each in given]
    if all(label is None for label in labels):
        return None
    for each, label in zip(given, labels, strict=True):
        if label is None:
            name = f"{each.place}.correct" if each.place else "correct"
            raise (each.row or row).fault(f"{name} = None", "true or false (in every sample, or in none)")
    answers = [given_or_extracted(each.answer, each.text) for each in given]
    slots = [candidate.slot for candidate in candidates]
    return published_grades(answers, [bool(label) for label in labels], slots)


def _column(row: Row, one: ScoreField, given: Sequence[Given], wanted: Wanted, said: list[str]) -> RewardColumn:
    kind = one.kind or _kind(one, given)
    what = meaning(row, one.name, wanted.scores, one.default)
    seen = [each.scores.get(one.name) for each in given]
    every = (value for each in seen for value in (each if isinstance(each, list) else [each]))
    flat = [value for value in every if isinstance(value, (int, float)) and any_number(value)]
    read = partial(_values, row, one, kind, what, wanted, said, flat)
    score_type: ScoreType = STORED[what.declared] if what.declared else ("value" if kind == "prm" else "raw")
    return RewardColumn(
        kind,
        score_type,
        one.aggregation or aggregation_for(kind, what.declared),
        tuple(map(read, given)),
        one.model,
        what,
    )


def _kind(one: ScoreField, given: Sequence[Given]) -> Kind:
    scores = [each.scores.get(one.name) for each in given]
    return "prm" if any(isinstance(each, list) for each in scores) else "orm"


def _values(
    row: Row,
    one: ScoreField,
    kind: Kind,
    what: Meaning,
    wanted: Wanted,
    said: list[str],
    flat: list[float],
    each: Given,
) -> StepRewards | None:
    score = each.scores.get(one.name)
    if score is None:
        return None
    row = each.row or row
    label = f"{each.place}.{one.label or one.name}" if each.place else one.label or one.name
    if kind == "orm":
        found = [finite(row, score, label)]
        return StepRewards(tuple(stored(row, label, found, what, kind, one.strict, flat)))
    found = numbers(row, score, label)
    steps = len(split_steps(each.text, wanted.splitter, each.steps))
    if len(found) != steps:
        if one.misfits_refused:
            said.append(f"step scores of {one.name} whose number is not that of the steps: kept as refusals")
            return StepRewards((), refusal=f"{len(found)} scores for {steps} steps")
        raise row.fault(
            f"{each.place}: {len(found)} {one.label or one.name} for {steps} steps",
            "one a step",
            f"Is --splitter the one the rewards were made with?{_others(each, wanted.splitter, len(found))}",
        )
    return StepRewards(tuple(stored(row, label + "[{}]", found, what, kind, one.strict, flat)))


def _others(each: Given, used: str, wanted: int) -> str:
    """Name the splitters that would give the number of steps that the scores have."""
    fits: list[str] = []
    for name in SPLITTERS:
        try:
            fits += [name] if name != used and len(split_steps(each.text, name, each.steps)) == wanted else []
        except PrmEvalError:
            continue
    return f" That many steps: --splitter {' or '.join(fits)}." if fits else ""


Cut = Callable[[str], list[str]]

# How tools cut the texts that they score; the pieces are kept as steps where one of these gives the right number.
CUTS: tuple[Cut, ...] = (
    lambda text: [piece for piece in text.split("\n\n") if piece.strip()],
    lambda text: text.split("\n\n"),
    lambda text: [piece for piece in text.split("\n") if piece.strip()],
    lambda text: [piece for piece in text.split(" ки") if piece.strip()],
    lambda text: list(split_steps(text, "step_k")),
    lambda text: [text],
)


def steps_for(text: str, n: int) -> tuple[str, ...]:
    """Return the steps of a text for which a tool has n scores: the first of :data:`CUTS` that gives n pieces.

    Where none does, the pieces are those at blank lines.
    """
    for cut in CUTS:
        pieces = cut(text)
        if len(pieces) == n:
            return tuple(piece.strip() for piece in pieces)
    return tuple(piece.strip() for piece in CUTS[0](text)) or (text,)


def single_target(target: Any, remarks: list[str]) -> Any:
    """Return the gold answer of a target, which may be a list of those that are accepted.

    Of several different ones none is gold, which is remarked: any of them taken alone would make right answers wrong.
    """
    if isinstance(target, list):
        several = list(dict.fromkeys(each if isinstance(each, str) else repr(each) for each in target))
        if len(several) > 1:
            remarks.append("several targets, any of which is right: no gold answer")
            return None
        target = target[0] if target else None
    return None if target == "" else target


def label_of(value: Any) -> bool | None:
    """Return a foreign verdict as a label: True, False, 1, 0, "C", "I", "N" (no answer); None for anything else."""
    if isinstance(value, bool):
        return value
    if isinstance(value, (int, float)) and not math.isnan(value):
        return True if value == 1 else False if value == 0 else None
    named = {"C": True, "I": False, "N": False, "correct": True, "incorrect": False}
    return named.get(value) if isinstance(value, str) else None
