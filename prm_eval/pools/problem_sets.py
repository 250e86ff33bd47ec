"""Problem sets: local files, hub datasets and built-in ones, each with a content hash."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from prm_eval import plugins
from prm_eval.errors import DataError, PrmEvalError
from prm_eval.pools.hub_sets import HUB_SETS, HubSet
from prm_eval.pools.problem_rows import ReadProblem, problem_from_row, read_problem
from prm_eval.records import Problem
from prm_eval.store.jsonl import Row, canonical_json, read_jsonl

__all__ = ["HUB_SETS", "HubSet", "ProblemSet", "load_local_copy", "load_problems", "problem_from_row", "problems_hash"]

_FILES = {".jsonl", ".gz", ".json"}
# FILE.jsonl:COLUMN=VALUE, the rows of a file with this value; with stars, as in source=scibench_*
_PART = re.compile(r"(?P<file>.+\.(?:jsonl|json|gz)):(?P<column>[\w. -]+)=(?P<value>.*)", re.DOTALL)

_ANY = HubSet("")  # of a file: the usual columns, all rows


@dataclass(frozen=True)
class ProblemSet:
    """Problems in order, with the name and the revision that they were loaded by."""

    name: str
    problems: tuple[Problem, ...]
    revision: str | None = None

    @property
    def content_hash(self) -> str:
        """SHA-256 over the canonical records in order, hexadecimal."""
        return problems_hash(self.problems)


def problems_hash(problems: Iterable[Problem]) -> str:
    """Return the SHA-256 over the canonical problem records in order, hexadecimal."""
    digest = hashlib.sha256()
    for problem in problems:
        digest.update(canonical_json(problem.canonical()))
    return digest.hexdigest()


def load_problems(name: str, *, revision: str | None = None) -> ProblemSet:
    """Load a problem set by name.

    Args:
        name: One of these.

            * A local ``.jsonl`` file (one problem a line), or the part of it with one value of a column:
              ``FILE.jsonl:source=scibench_*``.
            * A name registered under the entry-point group ``prm_eval.problem_sets``, alone or as ``name:argument``
              (``miniature[:split[:seed[:count]]]``, which needs no network).
            * A name of :data:`HUB_SETS`, alone or with a local file of the same columns: ``aime24:FILE.jsonl``.
            * A hub dataset as ``owner/dataset[:config[:split]]``.
        revision: Hub revision; None means the set's own (:class:`.hub_sets.HubSet`), or else the newest.

    Raises:
        DataError: A fault in the file, with its row.
        PrmEvalError: No such file or dataset, or the hub cannot be reached.
    """
    path = Path(name)
    if path.exists() or (path.suffix in _FILES and name.partition(":")[0] not in HUB_SETS):
        return ProblemSet(path.name, _read_file(path, _ANY))
    head, _, argument = name.partition(":")
    if head in HUB_SETS and argument:
        path = Path(argument)
        return ProblemSet(f"{head}:{path.name}", _read_file(path, HUB_SETS[head]))
    if part := _PART.fullmatch(name):
        path, where = Path(part["file"]), (part["column"], (part["value"],))
        rows = _read_file(path, replace(_ANY, where=where))
        return ProblemSet(f"{path.name}:{part['column']}={part['value']}", rows)
    if head in plugins.installed("problem set"):
        made = plugins.load("problem set", head)(argument or None)
        if not isinstance(made, ProblemSet):
            raise PrmEvalError(
                f"the problem set {head!r} made a {type(made).__name__}; expected prm_eval.pools.ProblemSet"
            )
        return ProblemSet(name, made.problems, made.revision)
    hub = HUB_SETS.get(name) or _parse_hub_name(name)
    commit = revision or hub.revision
    return ProblemSet(name, _named_apart(Path(hub.dataset), hub, _hub_rows(hub, commit)), commit)


def load_local_copy(name: str, folder: Path) -> ProblemSet:
    """Load a set of :data:`HUB_SETS` from the folder's copy of it, which has the same columns.

    The copy is ``NAME.jsonl``, with two underscores for a slash; that of a part, as ``scibench/physics``, may be the
    whole set's.

    Raises:
        DataError: A fault in the file, with its row.
        PrmEvalError: There is no such set, or no such file.
    """
    hub = HUB_SETS.get(name)
    if hub is None:
        raise PrmEvalError(f"no problem set {name!r} to look for in {folder}; known: {', '.join(HUB_SETS)}")
    names = [name.replace("/", "__"), *([name.partition("/")[0]] if hub.where else [])]
    files = [folder / f"{each}.jsonl" for each in names]
    path = next((each for each in files if each.is_file()), None)
    if path is None:
        raise PrmEvalError(f"no copy of {name} in {folder}; expected {' or '.join(each.name for each in files)}")
    return ProblemSet(name, _read_file(path, hub))


def _read_file(path: Path, hub: HubSet) -> tuple[Problem, ...]:
    return _named_apart(path, hub, _file_rows(path, hub))


def _named_apart(path: Path, hub: HubSet, found: Iterable[ReadProblem]) -> tuple[Problem, ...]:
    """Return problems with ids that are unique: their own, or else with their source, or that of their contest.

    Raises:
        DataError: There are no problems, or two have the same id by each of these ways.
    """
    read = list(found)
    if not read:
        raise DataError(
            path, None, "no problems" if hub.where is None else f"no problems with {hub.rows}", "at least one"
        )
    for ids in zip(*(each.longer_ids for each in read), strict=True) if not _unique(read) else ():
        if len(set(ids)) == len(ids):
            return tuple(replace(each.problem, problem_id=longer) for each, longer in zip(read, ids, strict=True))
    seen: dict[str, int] = {}
    for each in read:
        own = each.problem.problem_id
        if own in seen:
            raise DataError(path, each.row, f"problem id {own!r} again (first in row {seen[own]})", "unique ids")
        seen[own] = each.row
    return tuple(each.problem for each in read)


def _unique(read: list[ReadProblem]) -> bool:
    return len({each.problem.problem_id for each in read}) == len(read)


def _file_rows(path: Path, hub: HubSet) -> Iterator[ReadProblem]:
    if path.is_dir():
        raise DataError(path, None, "a folder", "a JSON-lines file of problems")
    for number, fields in read_jsonl(path):
        row = Row(path, number, fields)
        if _belongs(row, hub.where):
            yield read_problem(row, hub.columns, default_id=f"{path.stem}/{number}")


def _belongs(row: Row, where: tuple[str, tuple[str, ...]] | None) -> bool:
    """Say whether a row has one of the values that belong to the set."""
    if where is None:
        return True
    column, values = where
    found = row.required_text(column)
    return any(fnmatchcase(found, value) for value in values)


def _parse_hub_name(name: str) -> HubSet:
    if not re.fullmatch(r"[\w.-]+/[\w.-]+(:[\w.-]+){0,2}", name):
        raise PrmEvalError(
            f"no problem set {name!r}: no such file, and not one of "
            f"{', '.join((*plugins.installed('problem set'), *HUB_SETS))} or a hub dataset owner/name[:config[:split]]"
        )
    dataset, config, split = (*name.split(":"), "", "")[:3]
    return HubSet(dataset, config or None, split or "test")


def _hub_rows(hub: HubSet, revision: str | None) -> Iterator[ReadProblem]:
    import datasets

    try:
        rows: Any = datasets.load_dataset(hub.dataset, hub.config, split=hub.split, revision=revision)
    except Exception as error:
        # datasets raises a dozen types here (connection, missing config, missing split): each means that no rows came
        raise PrmEvalError(
            f"the dataset {hub.dataset} ({hub.config or 'default'}, {hub.split}) cannot be loaded: {error}. "
            "Without a network, give a local file: --metadata problems=FILE.jsonl"
        ) from error
    for number, fields in enumerate(rows, 1):
        row = Row(Path(hub.dataset), number, dict(fields))
        if _belongs(row, hub.where):
            default_id = "/".join(part for part in (hub.dataset, hub.config, hub.split, str(number)) if part)
            yield read_problem(row, hub.columns, default_id)
