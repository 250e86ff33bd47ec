"""The importers of labels for training, most of them made by models: TRL's stepwise rows, Math-Shepherd, MATH-APS.

* TRL: ``prompt, completions: [text], labels: [true or false, or shares]``.
* Math-Shepherd: ``input`` with the tag "ки" behind each step, ``label`` with "+" or "-" in the same places; the problem
  is what stands before "Step 1:". The two texts must be the same but for the tags.
* MATH-APS: ``question, reasoning_steps: [{solution_prefix, mc_value}]``: a tree of beginnings, each with the share of
  completions that ended right. A solution is a beginning that no other goes on from; its steps are what each beginning
  on the way to it adds. Of a beginning that comes again the first share counts.

``label_source`` says in each of them who made the labels, as in our own plain rows; we write it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from prm_eval.importers.common import finite
from prm_eval.importers.steps.found import Found, Item, StepFormat, Wanted
from prm_eval.importers.steps.reading import (
    fault,
    id_of,
    label_source_of,
    labelled,
    place_of,
    prepared,
    squashed,
    statement_of,
    steps_of,
)
from prm_eval.records import LabelKind, Solution, StepLabel
from prm_eval.stepsets.labels import by_ratings, by_soft
from prm_eval.store.jsonl import Row

TAG = "ки"
_FIRST_STEP = re.compile(r"\bStep 1:")
_AGAIN = "repeated_prefix"
_GAP = re.compile(r"\s+")


def is_trl(row: dict[str, Any]) -> bool:
    """Say whether a first row is of TRL's stepwise rows."""
    return {"prompt", "completions", "labels"} <= row.keys()


def trl_items(row: Row, wanted: Wanted) -> Iterator[Item]:
    """Yield the one solution of a row."""
    yield partial(_trl, row, wanted)


def _trl(row: Row, wanted: Wanted) -> Found:
    statement = statement_of(row, "prompt")
    solution_id = id_of(row, "id")
    steps = steps_of(row, row.fields["completions"], "completions", wanted)
    kind, label = _trl_label(row, solution_id, len(steps))
    solution = Solution(solution_id, statement, steps, squashed(statement), row.text("group"))
    return Found(row.path, row.number, solution, label, kind=kind, label_source=label_source_of(row))


def _trl_label(row: Row, solution_id: str, n: int) -> tuple[LabelKind, StepLabel]:
    given = row.fields["labels"]
    if not isinstance(given, list):
        raise row.fault(f"labels of type {type(given).__name__}", "a list of true and false, or of shares")
    if all(each is None or isinstance(each, bool) for each in given):
        ratings = [None if each is None else 1 if each else -1 for each in given]
        return "rated", labelled(row, solution_id, partial(by_ratings, ratings, n))
    if not any(isinstance(each, float) for each in given):
        shown = ", ".join(map(repr, given[:5]))
        hint = "0 may say wrong, neutral, or a share of nothing: write false, or 0.0."
        raise fault(row, solution_id, f"labels {shown}"[:200], "true and false, or shares such as 0.5", hint)
    shares = [None if each is None else finite(row, each, f"labels[{i}]") for i, each in enumerate(given)]
    return "soft", labelled(row, solution_id, partial(by_soft, shares, n))


def is_math_shepherd(row: dict[str, Any]) -> bool:
    """Say whether a first row is of Math-Shepherd."""
    given, label = row.get("input"), row.get("label")
    return isinstance(given, str) and isinstance(label, str) and TAG in given


def math_shepherd_items(row: Row, wanted: Wanted) -> Iterator[Item]:
    """Yield the one solution of a row."""
    yield partial(_math_shepherd, row, wanted)


def _math_shepherd(row: Row, wanted: Wanted) -> Found:
    solution_id = id_of(row, "id")
    text = row.required_text("input")
    opening = _FIRST_STEP.search(text)
    if opening is None:
        raise fault(row, solution_id, 'no "Step 1:" in input', "a problem, and steps behind it")
    statement = text[: opening.start()].strip()
    if not statement:
        raise row.fault("an empty problem statement", "text")
    *pieces, rest = text.split(TAG)
    if not pieces:
        raise fault(row, solution_id, f"no tag {TAG!r} in input", "one behind each step")
    if rest.strip():
        raise fault(row, solution_id, f"text behind the last tag: {rest.strip()[:40]!r}", f"{TAG!r} behind each step")
    ratings = _signs(row, solution_id, row.required_text("label"), pieces)
    steps = [pieces[0][opening.start() :].strip(), *(piece.strip() for piece in pieces[1:])]
    solution = Solution(solution_id, statement, prepared(steps, wanted), squashed(statement), row.text("task"))
    label = labelled(row, solution_id, partial(by_ratings, ratings, len(steps)))
    return Found(row.path, row.number, solution, label, label_source=label_source_of(row))


def _signs(row: Row, solution_id: str, label: str, pieces: Sequence[str]) -> list[int]:
    """Return the signs of a text that is another one with signs in the places of tags."""
    ratings: list[int] = []
    at = 0
    for k, piece in enumerate(pieces):
        if not label.startswith(piece, at):
            raise fault(
                row, solution_id, f"other words in label than in input, before the end of step {k + 1}", "the same"
            )
        at += len(piece)
        sign = label[at : at + 1]
        if sign not in ("+", "-"):
            raise fault(row, solution_id, f"{sign!r} behind step {k + 1} of label", f"+ or -, where input has {TAG!r}")
        ratings.append(1 if sign == "+" else -1)
        at += 1
    if label[at:].strip():
        raise fault(row, solution_id, f"text behind the last sign of label: {label[at:].strip()[:40]!r}", "its end")
    return ratings


def is_math_aps(row: dict[str, Any]) -> bool:
    """Say whether a first row is of MATH-APS."""
    return {"question", "reasoning_steps"} <= row.keys()


def math_aps_items(row: Row, wanted: Wanted) -> Iterator[Item]:
    """Yield the solutions of a question: the beginnings that no other goes on from."""
    statement = statement_of(row, "question")
    shares, again = _shares(row, statement)
    for k, way in enumerate(_ways(shares)):
        yield partial(_math_aps, row, wanted, statement, [shares[each] for each in way], way, k, 0 if k else again)


def _ways(shares: Mapping[str, float]) -> list[list[str]]:
    """Return the ways through a tree of beginnings, from the first one to each that no other goes on from.

    A text goes on from a beginning behind which it has white space: "4 apples" from "4", but "42" not.
    """
    cuts = {each: [each[: gap.start()] for gap in _GAP.finditer(each)] for each in shares}
    ways = {each: [*(cut for cut in cuts[each] if cut in shares), each] for each in shares}
    gone_on = {beginning for way in ways.values() for beginning in way[:-1]}
    return [way for each, way in ways.items() if each not in gone_on]


def _shares(row: Row, statement: str) -> tuple[dict[str, float], int]:
    nodes = row.fields["reasoning_steps"]
    if not isinstance(nodes, list) or not nodes:
        raise row.fault("no reasoning_steps", "a list of solution_prefix and mc_value")
    found: dict[str, float] = {}
    again = 0
    for i, node in enumerate(nodes):
        prefix = node.get("solution_prefix") if isinstance(node, dict) else None
        if not isinstance(prefix, str) or not prefix.startswith(statement):
            raise row.fault(f"reasoning_steps[{i}] without a solution_prefix that opens with the question", "one")
        share = finite(row, node.get("mc_value"), f"reasoning_steps[{i}].mc_value")
        own = prefix[len(statement) :].rstrip()
        if own.strip():
            again += own in found
            found.setdefault(own, share)
    if not found:
        raise row.fault("reasoning_steps without a step behind the question", "at least one")
    return found, again


def _math_aps(
    row: Row, wanted: Wanted, statement: str, shares: Sequence[float], way: Sequence[str], k: int, again: int
) -> Found:
    solution_id = f"{place_of(row)}/{k}"
    steps = [text[len(before) :].strip() for before, text in zip(["", *way], way, strict=False)]
    make = partial(by_soft, shares, len(way))
    solution = Solution(solution_id, statement, prepared(steps, wanted), squashed(statement))
    left = {_AGAIN: again} if again else {}
    label = labelled(row, solution_id, make)
    return Found(row.path, row.number, solution, label, label_source=label_source_of(row), left=left)


TRL = StepFormat("trl", "TRL's stepwise rows: prompt, completions, labels", is_trl, trl_items, kind="rated")
MATH_SHEPHERD = StepFormat(
    "math_shepherd",
    "Math-Shepherd (Wang et al. 2024): input with ки, label with + and -",
    is_math_shepherd,
    math_shepherd_items,
    kind="rated",
    label_source="rollouts",
)
MATH_APS = StepFormat(
    "math_aps",
    "MATH-APS (openr): beginnings with the share of completions that end right",
    is_math_aps,
    math_aps_items,
    kind="soft",
    label_source="rollouts",
)
