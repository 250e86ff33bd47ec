"""Dataclasses as the definition of a JSON file: what a value must be, every way in which it is not, and its JSON Schema.

One definition serves three readers: the type checker, ``prm-eval check`` and the files in ``results/schema/``.
"""

from __future__ import annotations

import math
import re
import types
import unicodedata
from collections.abc import Iterator
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

DIALECT = "https://json-schema.org/draft/2020-12/schema"
SHOWN = 80  # characters of a stranger's value that a fault repeats
# Bidirectional controls reorder what stands around them; zero-width characters make two names look alike; both are
# "format" characters.
PLAIN_SYMBOLS = "\u00a9\u00ae\u00b0\u2122"  # the makers of processors write some of these
BAD_CATEGORIES = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
# Letters and symbols by category that show nothing: fillers of Hangul, the blank of Braille, what Unicode calls
# default-ignorable.
INVISIBLE = frozenset(
    "\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0"
    + "".join(map(chr, (*range(0x180B, 0x1810), *range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0))))
)


@dataclass(frozen=True)
class Text:
    """What a string must be.

    Attributes:
        most: Characters at most.
        pattern: A regular expression that the whole of it matches.
        words: The pattern, in words.
        symbols: Whether pictures are allowed: in a name they may be made to look like a mark of ours.
    """

    most: int = 300
    pattern: str | None = None
    words: str = ""
    symbols: bool = True


OPEN_KEY = Text(
    40, r"[A-Za-z_][A-Za-z0-9_]*", "a name of letters, digits and underscores"
)  # of a field that no type names


@dataclass(frozen=True)
class Number:
    """What a number must be: finite, and within limits."""

    least: float | None = None
    most: float | None = None


@dataclass(frozen=True)
class Size:
    """How many entries a list or an object has."""

    least: int = 0
    most: int = 100


@dataclass(frozen=True)
class Problem:
    """One way in which a value is not what it must be.

    Attributes:
        where: The path of the field, as ``model.revision``.
        found: What is there.
        expected: What must be there.
        kind: "field", or "text" for characters that no text may hold.
    """

    where: str
    found: str
    expected: str
    kind: str = "field"


def shown(value: Any) -> str:
    """Return a stranger's value for a message: short, and ASCII, so that nothing in it acts on a terminal or a page."""
    text = ascii(value) if not isinstance(value, (dict, list)) else f"{type(value).__name__} of {len(value)} entries"
    return text if len(text) <= SHOWN else text[: SHOWN - 3] + "..."


def bad_characters(text: str) -> list[str]:
    """Return the control, format (bidirectional, zero-width), surrogate, private, unassigned and invisible characters of a text.

    Line break and tab are left to the patterns: a note may have them, a name may not.
    """
    distinct = (each for each in dict.fromkeys(text) if each not in "\n\t")
    return [each for each in distinct if each in INVISIBLE or unicodedata.category(each) in BAD_CATEGORIES]


def problems(value: Any, hint: Any, where: str = "") -> Iterator[Problem]:
    """Yield every way in which a JSON value is not of a type.

    Args:
        value: From a JSON reader.
        hint: A type: a dataclass, a scalar, ``Literal``, a union, ``list[...]``, ``dict[str, ...]``, ``Annotated`` with
            a rule.
        where: Path of the value.
    """
    origin = get_origin(hint)
    if origin is Annotated:
        base, *rules = get_args(hint)
        found = list(problems(value, base, where))
        yield from found
        if not found:
            for rule in rules:
                yield from _rule_problems(value, rule, where)
    elif origin in (Union, types.UnionType):
        yield from _union_problems(value, get_args(hint), where)
    elif origin is Literal:
        if value not in get_args(hint) or isinstance(value, bool):
            yield Problem(where, shown(value), f"one of {', '.join(map(str, get_args(hint)))}")
    elif is_dataclass(hint):
        yield from _object_problems(value, hint, where)
    elif origin is list:
        if not isinstance(value, list):
            yield Problem(where, shown(value), "a list")
            return
        for at, each in enumerate(value):
            yield from problems(each, get_args(hint)[0], f"{where}[{at}]")
    elif origin is dict:
        if not isinstance(value, dict):
            yield Problem(where, shown(value), "an object")
            return
        for key, each in value.items():
            yield from _text_problems(key, Text(200), f"a key of {where}")
            yield from problems(each, get_args(hint)[1], f"{where}.{shown(key)}")
    else:
        yield from _scalar_problems(value, hint, where)


def _union_problems(value: Any, members: tuple[Any, ...], where: str) -> Iterator[Problem]:
    if value is None and type(None) in members:
        return
    tries = [list(problems(value, each, where)) for each in members if each is not type(None)]
    if all(tries):
        yield from min(tries, key=len)


def _scalar_problems(value: Any, hint: Any, where: str) -> Iterator[Problem]:
    if hint is Any:
        yield from _any_problems(value, where)
        return
    names = {str: "text", int: "a whole number", float: "a number", bool: "true or false", type(None): "null"}
    accepted: Any = (int, float) if hint is float else hint
    if not isinstance(value, accepted) or (isinstance(value, bool) and hint is not bool):
        yield Problem(where, shown(value), names[hint])
    elif isinstance(value, float) and not math.isfinite(value):
        yield Problem(where, shown(value), "a finite number")
    elif isinstance(value, str):
        yield from _text_problems(value, None, where)


def _any_problems(value: Any, where: str) -> Iterator[Problem]:
    """A value of no special type is still a stranger's: its texts are bounded and harmless."""
    if isinstance(value, str):
        yield from _text_problems(value, Text(1_000), where)
    elif isinstance(value, list):
        for at, each in enumerate(value):
            yield from _any_problems(each, f"{where}[{at}]")
    elif isinstance(value, dict):
        for key, each in value.items():
            yield from _text_problems(key, Text(200), f"a key of {where}")
            yield from _any_problems(each, f"{where}.{shown(key)}")
    elif isinstance(value, float) and not math.isfinite(value):
        yield Problem(where, shown(value), "a finite number")


def _text_problems(value: str, rule: Text | None, where: str) -> Iterator[Problem]:
    if bad := bad_characters(value):
        codes = ", ".join(f"U+{ord(each):04X}" for each in bad[:5])
        yield Problem(where, f"the characters {codes}", "text without control and invisible characters", "text")
    if rule is None:
        return
    if len(value) > rule.most:
        yield Problem(where, f"{len(value):,} characters", f"at most {rule.most:,}")
    elif not rule.symbols and any(unicodedata.category(each) == "So" and each not in PLAIN_SYMBOLS for each in value):
        yield Problem(where, shown(value), "a line without pictures and marks such as \\u2713")
    elif rule.pattern is not None and re.fullmatch(rule.pattern, value, re.ASCII) is None:
        yield Problem(where, shown(value), rule.words)


def _rule_problems(value: Any, rule: Any, where: str) -> Iterator[Problem]:
    if isinstance(rule, Text):
        yield from (each for each in _text_problems(value, rule, where) if each.kind != "text")  # told of already
    elif isinstance(rule, Number):
        if (rule.least is not None and value < rule.least) or (rule.most is not None and value > rule.most):
            most = "" if rule.most is None else f", at most {rule.most:g}"
            yield Problem(where, shown(value), f"a number of at least {rule.least:g}{most}")
    elif isinstance(rule, Size) and not rule.least <= len(value) <= rule.most:
        yield Problem(where, f"{len(value):,} entries", f"{rule.least} to {rule.most}")


def _object_problems(value: Any, kind: Any, where: str) -> Iterator[Problem]:
    if not isinstance(value, dict):
        yield Problem(where, shown(value), "an object")
        return
    hints = get_type_hints(kind, include_extras=True)
    prefix = where + "." if where else ""
    for each in fields(kind):
        if each.name in value:
            yield from problems(value[each.name], hints[each.name], prefix + each.name)
        elif _required(each):
            yield Problem(prefix + each.name, "nothing", "a value")
    for name in value:
        if name not in hints:
            if is_open(kind):
                yield from _text_problems(name, OPEN_KEY, f"a key of {where}")
                yield from _any_problems(value[name], f"{prefix}{shown(name)}")
            else:
                yield Problem(f"{prefix}{shown(name)}", "a field of no meaning", f"only {', '.join(hints)}")


def is_open(kind: Any) -> bool:
    """Say whether objects of a type may have fields that it does not name."""
    return bool(getattr(kind, "OPEN", False))


def _required(each: Field[Any]) -> bool:
    return each.default is MISSING and each.default_factory is MISSING


def json_schema(kind: Any, title: str) -> dict[str, Any]:
    """Return the JSON Schema of a dataclass."""
    return {"$schema": DIALECT, "title": title, **_schema(kind)}


def _schema(hint: Any) -> dict[str, Any]:
    origin = get_origin(hint)
    if origin is Annotated:
        base, *rules = get_args(hint)
        result = _schema(base)
        for rule in rules:
            result |= _rule_schema(rule, result.get("type"))
        return result
    if origin in (Union, types.UnionType):
        return {"anyOf": [_schema(each) for each in get_args(hint)]}
    if origin is Literal:
        return {"enum": list(get_args(hint))}
    if is_dataclass(hint):
        return _object_schema(hint)
    if origin is list:
        return {"type": "array", "items": _schema(get_args(hint)[0])}
    if origin is dict:
        return {"type": "object", "additionalProperties": _schema(get_args(hint)[1])}
    if hint is Any:
        return {}
    names = {str: "string", int: "integer", float: "number", bool: "boolean", type(None): "null"}
    return {"type": names[hint]}


def _rule_schema(rule: Any, kind: str | None) -> dict[str, Any]:
    if isinstance(rule, Text):
        anchored = {} if rule.pattern is None else {"pattern": f"^(?:{rule.pattern})$"}
        return {"maxLength": rule.most} | anchored
    if isinstance(rule, Number):
        limits = {"minimum": rule.least, "maximum": rule.most}
        return {key: value for key, value in limits.items() if value is not None}
    names = ("minItems", "maxItems") if kind == "array" else ("minProperties", "maxProperties")
    return dict(zip(names, (rule.least, rule.most), strict=True))


def _object_schema(kind: Any) -> dict[str, Any]:
    hints = get_type_hints(kind, include_extras=True)
    words = _attribute_words(kind)
    properties = {
        each.name: _schema(hints[each.name]) | ({"description": words[each.name]} if each.name in words else {})
        for each in fields(kind)
    }
    return {
        "description": " ".join((kind.__doc__ or "").strip().split("\n\n")[0].split()),
        "type": "object",
        "properties": properties,
        "required": [each.name for each in fields(kind) if _required(each)],
        "additionalProperties": is_open(kind),
    } | ({"propertyNames": _rule_schema(OPEN_KEY, "string")} if is_open(kind) else {})


def _attribute_words(kind: Any) -> dict[str, str]:
    """Return what the docstring's "Attributes:" says of each field."""
    _, _, section = (kind.__doc__ or "").partition("Attributes:")
    joined = re.sub(r"\n {9,}", " ", section)  # continuation lines
    return {found[1]: found[2].strip() for found in re.finditer(r"^ {8}(\w+): (.*)$", joined, re.MULTILINE)}
