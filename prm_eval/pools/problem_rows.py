"""Rows of problem sets read as problems: statement, gold answer, choices, units, ids, in the spellings of many sets."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from string import ascii_uppercase
from typing import Any

from prm_eval.pools.hub_sets import Columns
from prm_eval.records import Problem
from prm_eval.store.jsonl import Row
from prm_eval.texts.boxed import last_boxed

# the names of our own spelling that a set's columns are read under
_STATEMENT, _GOLD, _NAME, _SUBJECT = "statement", "gold", "problem_id", "subject"
MOST_CHOICES = len(ascii_uppercase)
_LABEL = re.compile(r"\s*[(\[]?([A-Z])[)\].:]\s*")
LONGEST_URL = 300
_CONTEST = re.compile(r"/(\d{4}_[A-Za-z0-9_]+?)_Problems/Problem_(\d+)$")


@dataclass(frozen=True)
class ReadProblem:
    """A problem as read from a row, with longer ids for sets in which its own is not unique."""

    row: int
    problem: Problem
    longer_ids: tuple[str, ...]


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


def read_problem(row: Row, columns: Columns, default_id: str) -> ReadProblem:
    """Read a problem of a problem set: :func:`problem_from_row`, with the set's columns, choices and units.

    The choices go into the statement, each on a line with its letter, and the letter of the right one is gold. A unit
    is said in the statement and, where it is one that can be spelt out, stands behind the gold answer.

    Raises:
        DataError: As :func:`problem_from_row`; or the answer is none of the choices.
    """
    fields = dict(row.fields)
    for name, names in ((_STATEMENT, columns.statement), (_NAME, columns.name), (_SUBJECT, columns.subject)):
        if (value := _first(row, names)) is not None:
            fields[name] = value[0] if name == _SUBJECT and isinstance(value, list) and value else value
    if "query" in columns.statement and (query := row.text("query")) is not None:
        fields[_STATEMENT] = query.partition("Answer Choices:")[0].strip().removeprefix("Q:").strip()
    if (answer := _first(row, columns.answer)) is not None:
        fields[_GOLD] = answer
    if isinstance(fields.get(_GOLD), list) and not _choices(row, columns):
        fields[_GOLD] = _joined(row, fields[_GOLD])
    if isinstance(fields.get(_SUBJECT), str):
        fields[_SUBJECT] = fields[_SUBJECT].removeprefix("college_math.")
    problem = problem_from_row(Row(row.path, row.number, _with_choices(row, columns, fields)), default_id)
    problem = _with_unit(problem, row.text(*columns.unit))
    context = row.text(*columns.context)
    statement = f"{context.strip()}\n\n{problem.statement}" if context and context.strip() else problem.statement
    own = problem.problem_id.strip() or default_id
    gold = None if problem.gold is None else problem.gold.strip()
    problem = replace(problem, problem_id=own, statement=statement, gold=gold)
    return ReadProblem(row.number, problem, _longer_ids(row, columns, own))


def _first(row: Row, names: Sequence[str]) -> Any:
    """Return the value of the first of these columns that the row has."""
    return next((row.fields[name] for name in names if row.fields.get(name) is not None), None)


def _joined(row: Row, parts: list[Any]) -> str | None:
    """Return the parts of one answer as a list in words: OlympiadBench's ``["$2$", "$3$"]`` is ``2, 3``."""
    if not all(isinstance(part, (str, int, float)) for part in parts):
        raise row.fault("an answer that is a list of other things than texts and numbers", "texts")
    texts = [str(part).strip() for part in parts]
    plain = [text[1:-1] if re.fullmatch(r"\$[^$]+\$", text) else text for text in texts]
    return ", ".join(plain) or None


def _choices(row: Row, columns: Columns) -> list[str] | None:
    """Return the texts of the choices without their labels; None for a row that has none."""
    if columns.right and row.fields.get(columns.right) is not None:
        texts = [row.required_text(name).strip() for name in (columns.right, *columns.wrong)]
        seed = row.text(*columns.name) or ""
        return sorted(texts, key=lambda text: hashlib.sha256(f"{seed}\n{text}".encode()).digest())
    found = _first(row, columns.choices)
    if not (isinstance(found, list) and len(found) > 1 and all(isinstance(each, str) for each in found)):
        return None
    if len(found) > MOST_CHOICES:
        raise row.fault(f"{len(found)} choices", f"at most {MOST_CHOICES}")
    labels = [_LABEL.match(each) for each in found]
    if all(label and label.group(1) == letter for label, letter in zip(labels, ascii_uppercase, strict=False)):
        found = [each[label.end() :] for each, label in zip(found, labels, strict=True) if label]
    return [each.strip() for each in found]


def _with_choices(row: Row, columns: Columns, fields: dict[str, Any]) -> dict[str, Any]:
    """Return the fields with the choices in the statement and the letter of the right one as gold."""
    choices = _choices(row, columns)
    if choices is None:
        return fields
    small = _in_small_letters(Row(row.path, row.number, fields))
    statement = small.required_text("statement", "problem", "question").strip()
    listed = "\n".join(f"({letter}) {text}" for letter, text in zip(ascii_uppercase, choices, strict=False))
    answer = row.fields.get(columns.right) if columns.right else None
    if answer is None:
        answer = next((small.fields[name] for name in ("gold", "answer") if small.fields.get(name) is not None), None)
    rest = {name: value for name, value in fields.items() if name.lower() not in ("answer", "ground_truth_answer")}
    return {**rest, _STATEMENT: f"{statement}\n\n{listed}", _GOLD: _letter(row, choices, answer)}


def _letter(row: Row, choices: list[str], answer: Any) -> str | None:
    """Return the letter of the right choice: of its letter, its index from 0, or its text."""
    if isinstance(answer, list) and len(answer) == 1:
        answer = answer[0]
    letters = ascii_uppercase[: len(choices)]
    if answer is None:
        return None
    if isinstance(answer, int) and not isinstance(answer, bool) and 0 <= answer < len(choices):
        return letters[answer]
    text = str(answer).strip()
    bare = text.strip("().").upper()
    if len(bare) == 1 and bare in letters and text not in choices:
        return bare
    if choices.count(text) == 1:
        return letters[choices.index(text)]
    if text.isdigit() and int(text) < len(choices):
        return letters[int(text)]
    raise row.fault(f"the answer {text[:40]!r}", f"a letter from A to {letters[-1]}, its index, or a choice's text")


_POWER_OF_TEN = re.compile(r"(?:\\mathrm\s*\{\s*)?10\s*\^\s*(?:\{\s*(-?\d+)\s*\}|(-?\d+))(?:\s*\})?")
_NAME_OF_UNIT = r"[A-Za-z]+"
_UNIT_TOKEN = re.compile(
    r"\\(?:mathrm|text|rm|operatorname)\s*\{[~\s]*(?P<macro>[A-Za-z]+)(?:\^(?P<raised>\d))?[~\s]*\}"
    r"|(?P<greek>\\mu|\\Omega)(?![A-Za-z])"
    rf"|(?P<bare>{_NAME_OF_UNIT})"
    r"|(?P<power>\^\s*(?:\{\s*-?\d\s*\}|-?\d))"
    r"|(?P<degree>\^?\s*(?:\{\s*\\circ\s*\}|\\circ))"
    r"|(?P<percent>\\?%)"
    r"|(?P<link>/|\\cdot(?![A-Za-z])|[~\s]+)"
)


def _with_unit(problem: Problem, unit: str | None) -> Problem:
    r"""Return a problem whose statement names the unit, and whose gold has it.

    A power of ten in front of the unit (SciBench's ``$10^{-19} \mathrm{~J}$``) goes to the gold answer, so that the
    unit asked for is one that an answer can have behind it.
    """
    text = " ".join((unit or "").replace("$", " ").split())
    if not text or problem.gold is None:
        return problem
    gold, power = problem.gold.strip(), _POWER_OF_TEN.match(text)
    if power:
        gold += rf" \times 10^{{{power.group(1) or power.group(2)}}}"
        text = text[power.end() :].strip()
    said = f"{problem.statement.rstrip()} The unit of the answer is ${text}$." if text else problem.statement
    spelt = _spelt_unit(text) if text else None
    gold = f"{gold} {spelt}" if spelt else gold
    return replace(problem, statement=said, gold=gold)


def _spelt_unit(text: str) -> str | None:
    r"""Return a unit as one text macro, as ``\text{ kJ mol^{-1}}``; None for more than names, powers and slashes."""
    found, at = "", 0
    while at < len(text):
        token = _UNIT_TOKEN.match(text, at)
        if token is None:
            return None
        at = token.end()
        if name := token["macro"] or token["bare"]:
            found += name + (f"^{token['raised']}" if token["raised"] else "")
        elif token["greek"]:
            found += {r"\mu": "u", r"\Omega": "ohm"}[token["greek"]]
        elif token["power"]:
            found += "^{" + "".join(re.findall(r"-?\d", token["power"])) + "}"
        elif token["percent"] or token["degree"]:
            # 5 % and 5 degrees stand alone; J per degree Celsius is no unit that is spelt here
            alone = at == len(text) and not found.strip()
            return (r"\text{ percent}" if token["percent"] else r"^{\circ}") if alone else None
        else:
            found += "/" if token["link"].strip() == "/" else " "
    spelt = re.sub(r" */ *", "/", " ".join(found.replace("u ", "u").split()))
    return rf"\text{{ {spelt}}}" if spelt else None


def _longer_ids(row: Row, columns: Columns, own: str) -> tuple[str, ...]:
    """Return ids that say more: with the source, and for problems of contests with year, contest and number."""
    source = row.text(*columns.source)
    first = f"{source}/{own}" if source else own
    contest = _CONTEST.search((row.text("url") or "")[-LONGEST_URL:])
    name = f"{contest.group(1)}/{contest.group(2)}" if contest else None
    return first, (f"{source}/{name}" if source else name) if name else first
