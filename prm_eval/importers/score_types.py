"""Score types: what the numbers of a foreign file are, as declared, and what of them a reward file keeps.

A field's name says nothing of its numbers. They are what the user (``--score-type``) or the row (``score_type``) says;
where both are silent, step scores must be probabilities, since they are multiplied, and a single score is any number.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from prm_eval.errors import PrmEvalError
from prm_eval.records import Kind, ScoreType
from prm_eval.rewards.aggregations import Aggregation
from prm_eval.store.jsonl import Row

Declared = Literal["probability", "log_odds", "logit", "raw", "percent"]
DECLARED: tuple[Declared, ...] = get_args(Declared)

STORED: dict[Declared, ScoreType] = {
    "probability": "value",
    "log_odds": "logodds",
    "logit": "logodds",
    "raw": "raw",
    "percent": "value",
}
"""What is written to a reward file; percentages are divided by 100 first."""

# What reward files call their numbers may be said, too.
_SYNONYMS: dict[str, Declared] = {"value": "probability", "logodds": "log_odds"}


@dataclass(frozen=True)
class Meaning:
    """What the numbers of one field are.

    Attributes:
        declared: What somebody says they are; None where nobody does.
        by: Who says so: "--score-type", "the row", or "the format"; empty where nobody does.
    """

    declared: Declared | None = None
    by: str = ""


UNKNOWN = Meaning()


def by_format(declared: Declared) -> Meaning:
    """Return what a format says of its numbers."""
    return Meaning(declared, "the format")


class Asked:
    """What ``--score-type`` says: one type for all fields, or a type by field."""

    def __init__(self, given: str | Sequence[str] | Mapping[str, str] | None = None) -> None:
        self.default: Declared | None = None
        self.by_field: dict[str, Declared] = {}
        self._used: set[str] = set()
        if isinstance(given, Mapping):
            given = [f"{name}={value}" for name, value in given.items()]
        for each in [given] if isinstance(given, str) else given or []:
            field, equals, name = each.rpartition("=")
            if equals:
                self.by_field[field] = declared_type(name)
            else:
                self.default = declared_type(name)

    def of(self, field: str) -> Declared | None:
        """Return what is said of a field."""
        self._used.add(field)
        return self.by_field.get(field, self.default)

    @property
    def used(self) -> frozenset[str]:
        """The fields that were asked for, which are those of the source."""
        return frozenset(self._used)

    def use(self, fields: Iterable[str]) -> None:
        """Note that the source has these fields."""
        self._used.update(fields)

    def require_used(self) -> None:
        """Insist that the source has every field that something is said of.

        Raises:
            PrmEvalError: A field is not there.
        """
        missing = sorted(set(self.by_field) - self._used)
        if missing:
            there = ", ".join(sorted(self._used)) or "none"
            raise PrmEvalError(f"--score-type says what {missing[0]} is, but the scores are: {there}")


def declared_type(name: str) -> Declared:
    """Return a score type by its name.

    Raises:
        PrmEvalError: No such type.
    """
    found = _SYNONYMS.get(name, name)
    if found not in DECLARED:
        raise PrmEvalError(f"unknown score type {name!r}; expected {', '.join(DECLARED)}, or FIELD=TYPE")
    return found


def meaning(row: Row, field: str, asked: Asked, default: Meaning = UNKNOWN) -> Meaning:
    """Return what the numbers of a field are, from the row's ``score_type``, the user's option, or the format.

    Args:
        row: The row; its ``score_type`` is a type, or types by field.
        field: The field, or the reward model.
        asked: The option.
        default: What the format says.

    Raises:
        DataError: The row's type is unknown, or is not the one that the user says.
    """
    said = row.fields.get("score_type")
    said = said.get(field) if isinstance(said, dict) else said
    wanted = asked.of(field)
    if said is None:
        return default if wanted is None else Meaning(wanted, "--score-type")
    expected = f"{', '.join(DECLARED)}, or an object of them by field"
    try:
        in_row = declared_type(said) if isinstance(said, str) else None
    except PrmEvalError:
        in_row = None
    if in_row is None:
        raise row.fault(f"score_type = {said!r}", expected)
    if wanted is not None and STORED[wanted] != STORED[in_row]:
        raise row.fault(f"score_type = {said!r}", f"{wanted}, as --score-type says", "Leave out the option.")
    return Meaning(in_row, "the row")


def aggregation_for(kind: Kind, declared: Declared | None) -> Aggregation:
    """Return the declared aggregation: the paper's product, or the lowest step where numbers cannot be multiplied."""
    if kind == "orm":
        return "last"
    return "min" if declared == "raw" else "prod"


def fitting(values: Sequence[float]) -> str:
    """Return the options that would fit numbers that are no probabilities."""
    if min(values) >= 0 and max(values) <= 100 and max(values) > 5:
        return "--score-type percent"
    return "--score-type log_odds (their sigmoid is the probability), or --score-type raw (any number)"


def stored(
    row: Row, label: str, values: Sequence[float], what: Meaning, kind: Kind, strict: bool, all_values: Sequence[float]
) -> list[float]:
    """Return numbers as a reward file keeps them.

    Args:
        row: The row, for errors.
        label: The place of the numbers in it, with ``{}`` where the index of a number goes.
        values: The numbers of one candidate.
        what: What they are.
        kind: Whether they are of steps.
        strict: Whether probabilities must lie in [0, 1]; a format whose models leave it says no.
        all_values: The numbers of the problem's candidates, to say which option would fit.

    Raises:
        DataError: A number is not of the type that it should have.
    """
    if what.declared == "percent":
        _within(row, label, values, 100, "a percentage in [0, 100]", f"{what.by} says percent.")
        return [value / 100 for value in values]
    if not strict:
        return list(values)
    if what.declared == "probability":
        _within(row, label, values, 1, "a probability in [0, 1]", f"{what.by} says probability.")
    elif what.declared is None and kind == "prm":
        why = f"Steps are multiplied, so say what the numbers are: {fitting(all_values)}."
        _within(row, label, values, 1, "a probability in [0, 1]", why)
    return list(values)


def _within(row: Row, label: str, values: Sequence[float], top: float, expected: str, why: str) -> None:
    for i, value in enumerate(values):
        if not 0 <= value <= top:
            raise row.fault(f"{label.replace('{}', str(i))} = {value!r}", expected, why)


_SPOKEN: dict[Declared, str] = {
    "probability": "probabilities",
    "log_odds": "log-odds",
    "logit": "log-odds",
    "raw": "raw numbers",
    "percent": "percentages, kept as probabilities",
}


def spoken(declared: Declared | None, by: str, kind: Kind, low: float, high: float) -> str:
    """Return what an import says of the numbers of a field."""
    if declared == "percent" and high <= 0.01:
        return f"read as percentages, since {by} says so, but none is over 1 %: are they probabilities?"
    if declared is not None:
        return f"read as {_SPOKEN[declared]} ({by} says {declared})"
    if kind == "prm":
        return "read as probabilities, since all lie in [0, 1]; --score-type says otherwise"
    if low >= 0 and high <= 1:
        return (
            "all lie in [0, 1], but nothing says that they are probabilities: read as raw numbers, so that a weighted "
            "vote takes their sigmoid. Where they are probabilities: --score-type probability"
        )
    return "read as raw numbers; --score-type says otherwise"


def any_number(value: Any) -> bool:
    """Say whether a value is a number, True and False not among them."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)
