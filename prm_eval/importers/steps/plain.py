"""The importer of our plain JSON lines and of ProcessBench, which is such a file.

Shape: a row a solution: ``id, problem, steps: [text]`` and one kind of label:

* ``label``: the 0-based index of the first wrong step, -1 for none (ProcessBench), null for unknown;
* ``ratings``: -1, 0, 1 or null a step; ``label`` may stand beside them and must agree;
* ``wrong_steps``: all wrong steps, with ``base``, 0 or 1, from which they count.

Beside it: ``base`` (of ``label`` too), ``group, generator, problem_id, twin_id, final_answer, final_answer_correct,
source_label, label_source, remarks``; scores as ``prm_scores: {model: [number a step]}`` or ``step_scores: [...]``.
Refused: two kinds of label in one file, labels beyond the end, and what the errors of the other formats say.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from typing import Any

from prm_eval.importers.common import flag, text_list
from prm_eval.importers.steps.found import Found, Item, StepFormat, Wanted
from prm_eval.importers.steps.reading import (
    BASE_0,
    BASE_1,
    every_step,
    fault,
    id_of,
    label_source_of,
    labelled,
    ratings_of,
    squashed,
    statement_of,
    steps_of,
    whole,
    wrong_steps,
)
from prm_eval.importers.steps.scores import step_scores
from prm_eval.records import LabelKind, Solution, StepLabel
from prm_eval.stepsets.labels import NO_ERROR, by_first_error, by_ratings, unlabelled
from prm_eval.store.jsonl import Row

LABELS = ("label", "ratings", "wrong_steps")
READ = frozenset(
    "id solution_id uuid problem question statement steps label ratings wrong_steps base group generator problem_id "
    "twin_id final_answer final_answer_correct source_label label_source remarks prm_scores step_scores "
    "score_type".split()
)
"""The fields of a plain row that are read; of others an import says that they are not."""
_PROCESSBENCH = re.compile(r"(gsm8k|math|olympiadbench|omnimath)-\d+")


def _is_plain(row: dict[str, Any]) -> bool:
    steps = row.get("steps")
    # a list of lists is MR-MATH's, "joined" a copy of MR-GSM8K
    listed = isinstance(steps, list) and not any(isinstance(step, list) for step in steps)
    return (
        listed
        and "joined" not in row
        and bool(row.keys() & set(LABELS))
        and bool(row.keys() & {"problem", "question", "statement"})
    )


def is_processbench(row: dict[str, Any]) -> bool:
    """Say whether a first row is of ProcessBench."""
    named = isinstance(row.get("id"), str) and _PROCESSBENCH.fullmatch(row["id"]) is not None
    return _is_plain(row) and named and "label" in row and "final_answer_correct" in row


def is_plain(row: dict[str, Any]) -> bool:
    """Say whether a first row is of our plain JSON lines."""
    return _is_plain(row) and not is_processbench(row)


def items(row: Row, wanted: Wanted, *, processbench: bool = False) -> Iterator[Item]:
    """Yield the one solution of a row."""
    yield partial(_read, row, wanted, processbench)


def _read(row: Row, wanted: Wanted, processbench: bool) -> Found:
    solution_id = id_of(row, "id", "solution_id", "uuid")
    statement = statement_of(row, "problem", "question", "statement")
    steps = steps_of(row, row.fields.get("steps"), "steps", wanted)
    subset = _PROCESSBENCH.fullmatch(solution_id) if processbench else None
    solution = Solution(
        solution_id,
        statement,
        steps,
        problem_id=row.text("problem_id") or squashed(statement),
        group=row.text("group") or (subset[1] if subset else None),
        generator=row.text("generator"),
        final_answer=row.text("final_answer"),
        twin_id=row.text("twin_id"),
        remarks=tuple(text_list(row, row.fields.get("remarks") or [], "remarks")),
    )
    kind, label = _label(row, solution_id, len(steps))
    ones = (1,) * len(steps)
    scores = step_scores(row, solution_id, row.fields.get("prm_scores"), "prm_scores", ones, wanted)
    if "step_scores" in row.fields:
        named = {"step_scores": row.fields["step_scores"]}
        scores |= step_scores(row, solution_id, named, "row", ones, wanted)
    return Found(
        row.path,
        row.number,
        solution,
        label,
        scores,
        kind,
        label_source_of(row),
        base_said=row.fields.get("base") is not None,
        remarks=tuple(f"not read: the field {name!r}"[:200] for name in row.fields if name not in READ),
    )


def _label(row: Row, solution_id: str, n: int) -> tuple[LabelKind | None, StepLabel]:
    given = [name for name in LABELS if row.fields.get(name) is not None]
    if "wrong_steps" in given and len(given) > 1:
        raise fault(row, solution_id, f"several labels ({', '.join(given)})", "one of them")
    right = flag(row, row.fields.get("final_answer_correct"), "final_answer_correct")
    spelt = row.text("source_label") or ""
    base = row.fields.get("base")
    if base is not None and (isinstance(base, bool) or base not in (0, 1)):
        raise row.fault(f"base = {base!r}"[:200], "0 or 1")
    if not given:
        return None, unlabelled(final_correct=right, source_label=spelt)
    if given == ["wrong_steps"]:
        wrong = _all_wrong(row, solution_id, n, base)
        spelt = spelt or " ".join(map(str, row.fields["wrong_steps"])) or "none"
        return "every_step", every_step(wrong, n, final_correct=right, source_label=spelt)
    first = _first(row, solution_id, n, int(base or 0)) if "label" in given else None
    if "ratings" not in given:
        assert first is not None  # noqa: S101  (one of the two is given)
        return "first_error", by_first_error(first, n, final_correct=right, source_label=spelt)
    ratings = ratings_of(row, row.fields["ratings"], "ratings")
    make = partial(by_ratings, ratings, n, first_error=first, final_correct=right, source_label=spelt)
    return "rated", labelled(row, solution_id, make)


def _first(row: Row, solution_id: str, n: int, base: int) -> int:
    found = whole(row, row.fields["label"], f"solution {solution_id!r}: label")
    index = found if found == NO_ERROR else found - base
    if found != NO_ERROR and not 0 <= index < n:
        hint = BASE_1 if base == 0 and found == n else BASE_0 if base == 1 and found == 0 else ""
        steps = f"{n} step{'' if n == 1 else 's'}"
        raise fault(row, solution_id, f"label {found} of {steps}", f"{base} to {n - 1 + base}, or -1", hint)
    return index


def _all_wrong(row: Row, solution_id: str, n: int, base: Any) -> list[int]:
    value = row.fields["wrong_steps"]
    if base is None and value != []:
        found = f'wrong_steps = {value!r} without "base"'[:200]
        raise fault(row, solution_id, found, '"base": 0 or "base": 1', "Nothing else says from where they count.")
    wrong = wrong_steps(row, solution_id, value, "wrong_steps", int(base or 0))
    if wrong and max(wrong) >= n:
        hint = BASE_1 if base == 0 and max(wrong) == n else ""
        steps = f"{n} step{'' if n == 1 else 's'}"
        last = n - 1 + int(base)
        raise fault(row, solution_id, f"the wrong step {max(wrong) + int(base)} of {steps}", f"at most {last}", hint)
    return wrong


PLAIN = StepFormat(
    "plain", 'rows of {"id", "problem", "steps", "label" or "ratings" or "wrong_steps"}', is_plain, items
)
PROCESSBENCH = StepFormat(
    "processbench",
    "ProcessBench (Zheng et al. 2024), its four subsets",
    is_processbench,
    partial(items, processbench=True),
    label_source="people",
    set_name="processbench",
)
