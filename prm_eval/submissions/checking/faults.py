"""The kinds of fault, each in words (``results/README.md`` lists them too), and the collector of faults."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from prm_eval.errors import DataError
from prm_eval.submissions.records import Fault

# faults of a kind that are listed one by one in a file; the rest are counted
MOST_A_KIND = 20

KINDS: dict[str, str] = {
    # the folder
    "path": (
        "The folder is submissions/<org>__<model>/<revision>/<pool-id> of a results folder, "
        "and no part of it is a link."
    ),
    "name": (
        "Names are ASCII letters, digits, dot, hyphen, underscore, and such as Windows can check out; no two of a "
        "level look alike (case, 0 and O, 1 l I, - _ . there or not); none looks like ours or a baseline's."
    ),
    "missing-file": "submission.json and rewards.parquet are there.",
    "extra-file": "Nothing else is there, and nothing lies between the folders.",
    "link": "Every file is a plain file: no link, pipe, device or folder.",
    "size": "No file is larger than what it must hold.",
    "copy": "No two submissions have the same rewards file, byte for byte.",
    # submission.json
    "json": "JSON files are UTF-8 and plain JSON: no key twice, no NaN or Infinity, not nested deeply.",
    "schema": "The schema version is the present one.",
    "field": "Every field is there, of its type, within its limits; no field without meaning (results/schema/).",
    "text": "No text holds control, bidirectional, zero-width, unassigned or other invisible characters.",
    "agreement": "The path agrees with the content: name, model id, revision, pool.",
    "revision": "The revision is a 40-hex commit; for local weights the hash of their hashes, for rules their version.",
    "recipe": (
        "A shipped recipe is used for the kind of model it is for; from outside (--new) with its present content."
    ),
    "rule": (
        "A rule without weights that comes from outside (--new) is an installed one, under its own name and version."
    ),
    "disclosure": "The disclosure is complete: licence, base model, training data, what it was trained on, contact.",
    "totals": "The candidates, tokens and refusals that submission.json counts are those of rewards.parquet.",
    # submission.json, for a step set
    "stepwise": "For a step set: a process reward model with a reward for each of its steps; for a pool: no threshold.",
    "threshold": (
        "Raw numbers, and others outside [0, 1], come to a step set with a threshold: declared, or their recipe's own."
    ),
    "figures": "Every accuracy that the disclosure states is that of a whole number of the step set's solutions.",
    # the pool
    "pool-unknown": "The pool is registered in pools/.",
    "pool-hash": "The rewards are for that pool: its content hash is the registered one.",
    "pool-absent": "The pool is at hand, so that rows can be checked (shipped, or downloaded to its place).",
    "pool-registry": "A registry entry is well formed and called like the pool it names.",
    "pool-content": "A shipped pool has the content that its hash says, and so have the labels of a step set.",
    # rewards.parquet
    "parquet": "rewards.parquet is Parquet that can be read to its end in the time and memory that such a file needs.",
    "columns": "It has the columns of the format, of their types, and no others (reward is optional).",
    "row-groups": "It is not cut into needlessly many row groups.",
    "bomb": "It does not unpack to more than such a file holds.",
    "row-count": "It has a row for every candidate of the pool.",
    "missing": "Every candidate of the pool is there.",
    "duplicate": "No candidate is there twice.",
    "order": "Candidates are in the pool's order.",
    "unknown-candidate": "Every row is of a candidate of the pool (slot and text hash).",
    "null": "Ids and step counts are never null.",
    "refusal": "Every row has rewards or the reason why not, never both; the reason is a line of plain text.",
    "finite": "All rewards are finite, and so is what the declared aggregation makes of them.",
    "n-steps": "n_steps is the number of rewards of the row.",
    "step-count": (
        "A process reward model has one reward a step, as the declared splitter cuts; an outcome reward model one."
    ),
    "aggregate": "Where there is a column reward, it is what the declared aggregation gives.",
    "n-tokens": "n_tokens is not negative, and there where there is an input hash.",
    "input-hash": (
        "input_hash is there where a recipe renders tokens, and is that of these tokens (recomputed with --model)."
    ),
    "twins": "Candidates of a problem with the same text (and steps) have the same rewards.",
    # verification.json
    "verification": "verification.json is well formed, for this rewards file, pool and verified.parquet, and agrees.",
    "verification-own": "A new submission brings no verification.json (--new): maintainers write it.",
}
"""Every kind of fault, and what is true where there is no such fault."""


class Faults:
    """The faults of one submission, as they are collected.

    Args:
        results: The results folder; files are named relative to it.
    """

    def __init__(self, results: Path) -> None:
        self._results = results
        self._found: list[Fault] = []
        self._counts: Counter[tuple[str, str]] = Counter()

    def add(self, kind: str, file: Path, found: str, expected: str, row: int | None = None) -> None:
        """Add a fault; only the first of one kind in one file are listed, and the rest are counted."""
        name = self._name(file)
        self._counts[kind, name] += 1
        if self._counts[kind, name] <= MOST_A_KIND:
            self._found.append(Fault(name, row, found, expected, kind))

    def add_error(self, kind: str, error: DataError) -> None:
        """Add the error that a reader raised, as a fault."""
        self.add(kind, Path(error.path), error.found, error.expected, error.row)

    def kinds(self) -> set[str]:
        """Return the kinds of fault found so far."""
        return {kind for kind, _ in self._counts}

    def listed(self) -> list[Fault]:
        """Return all faults, with a line for those of each kind that are only counted."""
        more = [
            Fault(name, None, f"{count - MOST_A_KIND:,} more faults of this kind", "none", kind)
            for (kind, name), count in self._counts.items()
            if count > MOST_A_KIND
        ]
        return self._found + more

    def _name(self, file: Path) -> str:
        try:
            name = file.relative_to(self._results).as_posix()
        except ValueError:
            name = str(file)
        # a stranger's name must not act on a terminal
        return ascii(name)[1:-1]
