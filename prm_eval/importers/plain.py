"""The importer of plain JSONL: one problem a line, with its candidates in ``samples``.

Row fields: a problem in any spelling of :func:`prm_eval.pools.problem_sets.problem_from_row`, ``samples``, optionally
``generator`` or ``policy``. Sample fields: ``text`` (or ``steps``), optionally ``answer``, ``correct`` (published
label), ``score`` (one number), ``step_scores`` (one a step), ``token_scores`` with ``tokens`` (a step ends at a newline
token and is read there; the last step is read at the last score, the end of the text), ``n_tokens``, ``finish_reason``.
A sample that is null is a missing slot.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from prm_eval.errors import DataError
from prm_eval.importers.common import ImportedProblem, RewardColumn, finite, given_or_extracted, published_grades
from prm_eval.pools.problem_sets import problem_from_row
from prm_eval.records import Candidate, GradeRow, StepRewards
from prm_eval.store.jsonl import Row, open_binary, parse_line
from prm_eval.texts.steps import split_steps

NEWLINE_TOKEN = 13  # in the Llama and Mistral vocabularies of the published token scores

ROW_FIELDS = (
    *("statement", "problem", "question", "gold", "ground_truth_answer", "answer", "solution"),
    *("problem_id", "unique_id", "id"),
    *("subject", "type", "level", "samples", "policy", "generator", "verifier", "reward_model"),
)
SAMPLE_FIELDS = (
    *("text", "response", "completion", "steps", "n_tokens", "finish_reason", "answer", "correct"),
    *("score", "step_scores", "token_scores", "tokens"),
)


def recognise(row: dict[str, object]) -> bool:
    """Say whether a first row is of this format."""
    return "samples" in row


class PlainReader:
    """A reader of plain JSONL."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def problems(self, splitter: str) -> Iterator[Callable[[], ImportedProblem]]:
        """Yield a loader for every row."""
        with open_binary(self.path) as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    yield partial(_read_line, self.path, number, line, splitter)

    def splitter(self) -> str | None:
        """Return "given" where every candidate of the file has steps, else None; faults are left to the reading."""
        found = False
        with open_binary(self.path) as lines:
            for number, line in enumerate(lines, 1):
                try:
                    fields = parse_line(self.path, number, line) if line.strip() else {}
                except DataError:
                    continue
                samples = fields.get("samples")
                for sample in samples if isinstance(samples, list) else ():
                    if isinstance(sample, dict):
                        if sample.get("steps") is None:
                            return None
                        found = True
        return "given" if found else None

    def policy(self) -> str | None:
        """Return the names of the generators in the rows, joined by " + "; None where no row names one."""
        names: set[str] = set()
        with open_binary(self.path) as lines:
            for number, line in enumerate(lines, 1):
                try:
                    fields = parse_line(self.path, number, line) if line.strip() else {}
                except DataError:
                    continue  # reported where the row is read
                name = fields.get("policy") or fields.get("generator")
                names |= {str(name)} if name else set()
        return " + ".join(sorted(names)) or None

    def sampling(self) -> dict[str, Any]:
        """Return nothing: the format has no place for it."""
        return {}


def _read_line(path: Path, number: int, line: bytes, splitter: str) -> ImportedProblem:
    return read_problem(Row(path, number, parse_line(path, number, line)), splitter)


def read_problem(row: Row, splitter: str) -> ImportedProblem:
    """Return the problem of one row.

    Raises:
        DataError: The row has a fault.
    """
    problem = problem_from_row(row, default_id=f"{row.path.stem}/{row.number}")
    samples = row.fields.get("samples")
    if not isinstance(samples, list) or not samples:
        raise row.fault(
            f"samples = {type(samples).__name__}{'' if samples else ', empty'}", "a list of at least one sample"
        )
    present: list[tuple[int, dict[str, Any]]] = []
    for slot, sample in enumerate(samples):
        if sample is None:
            continue
        if not isinstance(sample, dict):
            raise row.fault(
                f"samples[{slot}] of type {type(sample).__name__}", "an object, or null for a missing candidate"
            )
        present.append((slot, sample))
    candidates = tuple(_candidate(row, problem.problem_id, slot, sample) for slot, sample in present)
    return ImportedProblem(
        row.path,
        row.number,
        problem,
        candidates,
        _grades(row, present, candidates),
        _rewards(row, present, candidates, splitter),
        _ignored(row, present),
    )


def _ignored(row: Row, present: list[tuple[int, dict[str, Any]]]) -> tuple[str, ...]:
    """Return the names of fields that the importer does not read, so that misspelt ones are noticed."""
    known = set(SAMPLE_FIELDS)
    if all(sample.get("correct") is None for _, sample in present):
        # without labels the answers of candidates are taken from their texts
        known.discard("answer")
    names = {f"samples[].{name}" for _, sample in present for name in sample if name not in known}
    return (*(name for name in row.fields if name not in ROW_FIELDS), *sorted(names))


def _candidate(row: Row, problem_id: str, slot: int, sample: dict[str, Any]) -> Candidate:
    given = sample.get("steps")
    steps: tuple[str, ...] | None = None
    if given is not None:
        if not isinstance(given, list) or not all(isinstance(step, str) for step in given):
            raise row.fault(f"samples[{slot}].steps that is not a list of text", "a list of text")
        steps = tuple(given)
    text = row.text("text", "response", "completion", where=sample, label=f"samples[{slot}].text")
    if text is None and steps is not None:
        text = "\n".join(steps)
    if text is None:
        raise row.fault(f"samples[{slot}] without text (fields: {', '.join(sorted(sample)) or 'none'})", "a field text")
    n_tokens = sample.get("n_tokens")
    if n_tokens is not None and (isinstance(n_tokens, bool) or not isinstance(n_tokens, int) or n_tokens < 0):
        raise row.fault(f"samples[{slot}].n_tokens = {n_tokens!r}", "a whole number")
    reason = row.text("finish_reason", where=sample, label=f"samples[{slot}].finish_reason")
    return Candidate(problem_id, slot, text, steps, n_tokens, reason)


def _grades(
    row: Row, present: list[tuple[int, dict[str, Any]]], candidates: tuple[Candidate, ...]
) -> tuple[GradeRow, ...] | None:
    labels = [sample.get("correct") for _, sample in present]
    if all(label is None for label in labels):
        return None
    for (slot, _), label in zip(present, labels, strict=True):
        if not isinstance(label, bool):
            raise row.fault(f"samples[{slot}].correct = {label!r}", "true or false (in every sample, or in none)")
    answers = [
        given_or_extracted(row.text("answer", where=sample, label=f"samples[{slot}].answer"), candidate.text)
        for (slot, sample), candidate in zip(present, candidates, strict=True)
    ]
    return published_grades(answers, labels, [candidate.slot for candidate in candidates])  # type: ignore[arg-type]


def _rewards(
    row: Row, present: list[tuple[int, dict[str, Any]]], candidates: tuple[Candidate, ...], splitter: str
) -> dict[str, RewardColumn]:
    columns: dict[str, RewardColumn] = {}
    verifier = row.text("verifier", "reward_model")
    readers: tuple[tuple[str, Any, Any], ...] = (
        ("score", _score, "orm"),
        ("step_scores", _step_scores, "prm"),
        ("token_scores", _token_scores, "prm"),
    )
    for name, read, kind in readers:
        if not any(name in sample for _, sample in present):
            continue
        values = tuple(
            read(row, slot, sample, split_steps(candidate.text, splitter, candidate.steps))
            if sample.get(name) is not None
            else None
            for (slot, sample), candidate in zip(present, candidates, strict=True)
        )
        label = f"{verifier} {name}" if verifier else name
        columns[name] = RewardColumn(
            kind, "raw" if kind == "orm" else "value", "last" if kind == "orm" else "prod", values, label
        )
    return columns


def _score(row: Row, slot: int, sample: dict[str, Any], steps: tuple[str, ...]) -> StepRewards:
    return StepRewards((finite(row, sample["score"], f"samples[{slot}].score"),))


def _step_scores(row: Row, slot: int, sample: dict[str, Any], steps: tuple[str, ...]) -> StepRewards:
    scores = _list(row, slot, sample, "step_scores")
    return _one_a_step(row, slot, "step_scores", tuple(scores), steps)


def _token_scores(row: Row, slot: int, sample: dict[str, Any], steps: tuple[str, ...]) -> StepRewards:
    """Return the values at the newline tokens and at the end; the end of an empty line is no end of a step."""
    scores = _list(row, slot, sample, "token_scores")
    tokens = sample.get("tokens")
    if not isinstance(tokens, list) or len(scores) != len(tokens) + 1:
        found = len(tokens) if isinstance(tokens, list) else tokens
        raise row.fault(
            f"samples[{slot}]: {len(scores)} token_scores for {found} tokens", "one score a token and one at the end"
        )
    at_newlines = [score for token, score in zip(tokens, scores, strict=False) if token == NEWLINE_TOKEN]
    lines = str(
        next((sample[name] for name in ("text", "response", "completion") if sample.get(name) is not None), "")
    ).split("\n")
    if len(at_newlines) != len(lines) - 1:
        raise row.fault(
            f"samples[{slot}]: {len(at_newlines)} newline tokens in a text of {len(lines)} lines", f"{len(lines) - 1}"
        )
    ends = [score for line, score in zip(lines, [*at_newlines, scores[-1]], strict=True) if line.strip()]
    return _one_a_step(row, slot, "token_scores", tuple(ends), steps)


def _list(row: Row, slot: int, sample: dict[str, Any], name: str) -> list[float]:
    values = sample[name]
    if not isinstance(values, list) or not values:
        raise row.fault(f"samples[{slot}].{name} of type {type(values).__name__}", "a list of numbers")
    return [finite(row, value, f"samples[{slot}].{name}[{i}]") for i, value in enumerate(values)]


def _one_a_step(row: Row, slot: int, name: str, values: tuple[float, ...], steps: tuple[str, ...]) -> StepRewards:
    if len(values) != len(steps):
        raise row.fault(
            f"samples[{slot}]: {len(values)} {name} for {len(steps)} steps",
            "one a step",
            "Is --splitter the one the rewards were made with?",
        )
    return StepRewards(values)
