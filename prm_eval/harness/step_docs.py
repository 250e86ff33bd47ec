"""The labelled solutions of a step task: rows of the hub, of a local file or of a YAML's data files, as lm_eval's docs.

What a row means is the business of :mod:`prm_eval.importers.steps`, as it is for ``prm-eval steps import``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from prm_eval.errors import DataError, PrmEvalError
from prm_eval.importers.sources import open_source
from prm_eval.importers.steps import recognise_steps
from prm_eval.importers.steps.found import REPEATED, Found, LeftOut, StepFormat, Wanted
from prm_eval.store.jsonl import Row


@dataclass(frozen=True)
class Labelled:
    """The labelled solutions of one task.

    Attributes:
        found: The solutions, in order.
        dropped: Records, or labels of steps that are not there, that were left out, by reason.
        source: Where they come from.
    """

    found: tuple[Found, ...]
    dropped: dict[str, int]
    source: dict[str, Any]

    def docs(self) -> list[dict[str, Any]]:
        """Return the rows that lm_eval sees; a pool calls the solution's id ``problem_id``, and so do they."""
        return [
            {
                "problem_id": each.solution.solution_id,
                "problem": each.solution.statement,
                "steps": list(each.solution.steps),
                "group": each.solution.group,
                "generator": each.solution.generator,
                "label": each.label.source_label,
            }
            for each in self.found
        ]


def of_files(name: str, form: StepFormat, subset: str, wanted: Wanted) -> Labelled:
    """Return the solutions of a subset in a local file, a folder or a glob; files of other formats are left out.

    Raises:
        DataError: A row has a fault.
        PrmEvalError: Nothing is there, or nothing of this subset.
    """
    source = recognise_steps(open_source(name), form.name).source
    rows = [place.load() for place in source.places()]
    return labelled(rows, form, subset, wanted, source.description())


def of_dataset(
    rows: Iterable[Mapping[str, Any]],
    form: StepFormat,
    subset: str,
    wanted: Wanted,
    source: Mapping[str, Any],
) -> Labelled:
    """Return the solutions of a dataset that lm_eval loaded.

    Raises:
        DataError: A row has a fault.
        PrmEvalError: There is nothing of this subset.
    """
    path = Path(str(source["dataset"]))
    return labelled((Row(path, k, dict(row)) for k, row in enumerate(rows, 1)), form, subset, wanted, source)


def labelled(rows: Iterable[Row], form: StepFormat, subset: str, wanted: Wanted, source: Mapping[str, Any]) -> Labelled:
    """Return the solutions of rows that are of a subset; those that name none are of it too.

    Raises:
        DataError: A row has a fault, or an id comes again where the format has each once.
        PrmEvalError: There is none.
    """
    dropped: Counter[str] = Counter()
    kept: dict[str, Found] = {}
    groups: dict[str, None] = {}
    for one in _read(rows, form, wanted):
        if isinstance(one, LeftOut):
            dropped[one.reason] += 1
            continue
        solution = one.solution
        if subset and solution.group not in (None, subset):
            groups[str(solution.group)] = None
        elif (first := kept.get(solution.solution_id)) is None:
            kept[solution.solution_id] = replace(
                one, solution=replace(solution, group=solution.group or subset or None)
            )
            dropped.update(one.left)
        elif form.first_of_an_id:
            dropped[REPEATED] += 1
        else:
            found = f"solution id {solution.solution_id!r} again (first in row {first.row})"
            raise DataError(one.path, one.row, found, "unique ids")
    if not kept:
        others = f" of {subset} (there are {', '.join(groups)})" if groups else ""
        raise PrmEvalError(f"{source}: no labelled solution{others}")
    return Labelled(tuple(kept.values()), dict(dropped), dict(source))


def _read(rows: Iterable[Row], form: StepFormat, wanted: Wanted) -> Iterator[Found | LeftOut]:
    for row in rows:
        if not form.recognise(row.fields):
            columns = ", ".join(sorted(map(str, row.fields))[:30])
            raise DataError(
                row.path, row.number, f"a row of another format ({columns})", f"{form.name}: {form.describe}"
            )
        for item in form.items(row, wanted):
            yield item()


def with_known_twins(found: Sequence[Found]) -> list[Found]:
    """Return solutions without the twins that are not among them (under ``--limit``)."""
    ids = {each.solution.solution_id for each in found}
    return [
        each
        if each.solution.twin_id is None or each.solution.twin_id in ids
        else replace(each, solution=replace(each.solution, twin_id=None))
        for each in found
    ]
