"""Problem sets: local files, hub datasets and built-in ones, each with a content hash."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prm_eval import plugins
from prm_eval.errors import DataError, PrmEvalError
from prm_eval.records import Problem
from prm_eval.store.jsonl import Row, canonical_json, read_jsonl
from prm_eval.texts.boxed import last_boxed

MATH_SUBJECTS = (
    "algebra",
    "counting_and_probability",
    "geometry",
    "intermediate_algebra",
    "number_theory",
    "prealgebra",
    "precalculus",
)


@dataclass(frozen=True)
class HubSet:
    """The place of a named problem set on the hub."""

    dataset: str
    config: str | None = None
    split: str = "test"


HUB_SETS = {
    "math500": HubSet("HuggingFaceH4/MATH-500"),
    "gsm8k": HubSet("openai/gsm8k", "main"),
    **{f"math/{subject}": HubSet("EleutherAI/hendrycks_math", subject) for subject in MATH_SUBJECTS},
}


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


def problem_from_row(row: Row, default_id: str) -> Problem:
    """Read a problem from a row in any of the usual spellings (MATH, MATH-500, GSM8K, AIME, PRM800K, our own).

    Names of fields are read without regard to case (``Question``), those in small letters first. The gold answer is
    ``answer`` (or ``gold``, ``ground_truth_answer``): what follows ``####`` (GSM8K), or the last boxed expression where
    a whole solution stands there (Minerva MATH). NaN, as pandas writes a missing value, is no answer. Where there is
    only a ``solution``, the gold answer is the last boxed expression of that (MATH).

    Raises:
        DataError: The statement is missing or empty, or a field has the wrong type.
    """
    row = _in_small_letters(row)
    statement = row.required_text("statement", "problem", "question")
    if not statement.strip():
        raise row.fault("an empty problem statement", "text")
    gold = _gold(row)
    if gold is not None and not gold.strip():
        raise row.fault("an empty gold answer", "text")
    return Problem(
        problem_id=row.text("problem_id", "unique_id", "id") or default_id,
        statement=statement,
        gold=gold,
        subject=row.text("subject", "type"),
        level=_level(row),
    )


def _in_small_letters(row: Row) -> Row:
    others = {name.lower(): value for name, value in row.fields.items() if name != name.lower()}
    return Row(row.path, row.number, {**others, **row.fields}) if others else row


def _gold(row: Row) -> str | None:
    golds = {name: row.fields.get(name) for name in ("gold", "ground_truth_answer", "answer")}
    gold = row.text(*golds, where={name: None if value != value else value for name, value in golds.items()})
    if gold is None:
        solution = row.text("solution")
        return last_boxed(solution) if solution else None
    if "####" in gold:
        return gold.rsplit("####", 1)[1].strip()
    boxed = last_boxed(gold) if "\\boxed" in gold or "\\fbox" in gold else None
    return gold if boxed is None else boxed


def _level(row: Row) -> int | None:
    """Read "Level 3", "3" or 3; "Level ?" (as in MATH) is None."""
    value = row.text("level")
    if value is None:
        return None
    found = re.search(r"\d+", value)
    if found is None:
        return None
    if len(found.group()) > 9:  # a pool's table holds 32 bits
        raise row.fault(f"a level of {len(found.group())} digits", "a level of at most 9 digits")
    return int(found.group())


def load_problems(name: str, *, revision: str | None = None) -> ProblemSet:
    """Load a problem set by name.

    Args:
        name: A local ``.jsonl`` file (one problem a line); a name registered under the entry-point group
            ``prm_eval.problem_sets``, alone or as ``name:argument`` (``miniature[:split[:seed[:count]]]``, which needs
            no network); a name of :data:`HUB_SETS`; or a hub dataset as ``owner/dataset[:config[:split]]``.
        revision: Hub revision; None means the newest.

    Raises:
        DataError: A fault in the file, with its row.
        PrmEvalError: No such file or dataset, or the hub cannot be reached.
    """
    path = Path(name)
    if path.suffix in {".jsonl", ".gz", ".json"} or path.exists():
        if path.is_dir():
            raise DataError(path, None, "a folder", "a JSON-lines file of problems")
        return ProblemSet(path.name, tuple(_checked(path, _file_rows(path))))
    head, _, argument = name.partition(":")
    if head in plugins.installed("problem set"):
        made = plugins.load("problem set", head)(argument or None)
        if not isinstance(made, ProblemSet):
            raise PrmEvalError(
                f"the problem set {head!r} made a {type(made).__name__}; expected prm_eval.pools.ProblemSet"
            )
        return ProblemSet(name, made.problems, made.revision)
    hub = HUB_SETS.get(name) or _parse_hub_name(name)
    rows = _hub_rows(hub, revision)
    return ProblemSet(name, tuple(_checked(Path(hub.dataset), rows)), revision)


def _checked(path: Path, problems: Iterable[tuple[int, Problem]]) -> Iterator[Problem]:
    seen: dict[str, int] = {}
    for row, problem in problems:
        if problem.problem_id in seen:
            first = seen[problem.problem_id]
            raise DataError(path, row, f"problem id {problem.problem_id!r} again (first in row {first})", "unique ids")
        seen[problem.problem_id] = row
        yield problem
    if not seen:
        raise DataError(path, None, "no problems", "at least one")


def _file_rows(path: Path) -> Iterator[tuple[int, Problem]]:
    for number, fields in read_jsonl(path):
        yield number, problem_from_row(Row(path, number, fields), default_id=f"{path.stem}/{number}")


def _parse_hub_name(name: str) -> HubSet:
    if not re.fullmatch(r"[\w.-]+/[\w.-]+(:[\w.-]+){0,2}", name):
        raise PrmEvalError(
            f"no problem set {name!r}: no such file, and not one of "
            f"{', '.join((*plugins.installed('problem set'), *HUB_SETS))} or a hub dataset owner/name[:config[:split]]"
        )
    dataset, *rest = name.split(":")
    return HubSet(dataset, *rest)


def _hub_rows(hub: HubSet, revision: str | None) -> Iterator[tuple[int, Problem]]:
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
        default_id = "/".join(part for part in (hub.dataset, hub.config, hub.split, str(number)) if part)
        yield number, problem_from_row(Row(Path(hub.dataset), number, dict(fields)), default_id)
