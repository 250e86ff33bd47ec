"""Dataclasses as the definition of a JSON file: from a JSON value to the typed one, with every way in which it is not.

One definition serves four readers: the type checker, whoever reads the file (:func:`build`), ``prm-eval check``, which
lists faults (:func:`faults`, :func:`draft`), and the files in ``results/schema/`` (:mod:`prm_eval.store.json_schema`).
Understood are dataclasses, text, numbers, true and false, null, ``Literal``, unions, ``list[T]``, ``tuple[T, ...]``,
``dict[str, T]``, ``Mapping[str, T]``, ``Any``, and ``Annotated`` with the rules of :mod:`prm_eval.store.rules`.
"""

from __future__ import annotations

import math
import re
import types
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields, is_dataclass, replace
from difflib import get_close_matches
from functools import lru_cache
from typing import Annotated, Any, Generic, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from prm_eval.errors import PrmEvalError
from prm_eval.store.rules import (
    A_TEXT,
    NAMES,
    OPEN_KEY,
    SHOWN,
    FieldFault,
    Number,
    Size,
    Text,
    Words,
    bad_characters,
    rule_words,
    shown,
    text_faults,
)

__all__ = [
    "Draft",
    "Malformed",
    "as_json",
    "bad_characters",
    "build",
    "computed",
    "draft",
    "faults",
    "hints_of",
    "in_words",
    "is_open",
    "is_required",
    "json_fields",
    "nearest",
    "rest",
    "rest_of",
    "shown",
]

T = TypeVar("T")

MOST_GUESSES = 10  # unknown keys of an object up to which the nearest known one is looked for
_ROLE = "prm_eval.role"  # of a dataclass field that is no key of the JSON object


class Malformed(PrmEvalError):
    """A value that is not of its type; has every fault of it."""

    def __init__(self, faults: Iterable[FieldFault]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(map(str, self.faults)))


@dataclass(frozen=True)
class Draft(Generic[T]):
    """An object as far as it is well formed.

    Attributes:
        faults: All of them.
        fields: The fields that are well formed, by name, as typed values; one left out has its default.
        whole: The typed value; None where there is a fault.
    """

    faults: tuple[FieldFault, ...] = ()
    fields: Mapping[str, Any] = field(default_factory=dict)
    whole: T | None = None

    def has(self, *names: str) -> bool:
        """Say whether these fields are all well formed."""
        return all(name in self.fields for name in names)

    def __getitem__(self, name: str) -> Any:
        return self.fields[name]


def rest() -> Any:
    """Return the dataclass field that keeps what an object has beside the named fields: its type is open."""
    return field(default_factory=dict, metadata={_ROLE: "rest"})


def computed(default: Any) -> Any:
    """Return a dataclass field that stands in no file: whoever reads the file computes it."""
    return field(default=default, metadata={_ROLE: "computed"})


def build(kind: type[T], value: Any, where: str = "", *, own: bool = False) -> T:
    """Return a JSON value as a typed one.

    Args:
        kind: A dataclass, or another type that this module understands.
        value: From a JSON or YAML reader.
        where: Path of the value, for faults.
        own: A file of the user's own: its texts may be of any length and hold any character, where no rule of the type
            says otherwise. A stranger's texts are shown on pages and terminals.

    Raises:
        Malformed: It is not of that type; has every fault.
    """
    reader = _Reader(own)
    built = reader.run(lambda: reader.read(kind, value, where))
    if reader.faults:
        raise Malformed(reader.faults)
    return cast(T, built)


def faults(kind: Any, value: Any, where: str = "", *, own: bool = False) -> tuple[FieldFault, ...]:
    """Return every way in which a JSON value is not of a type; the arguments are those of :func:`build`."""
    reader = _Reader(own)
    reader.run(lambda: reader.read(kind, value, where))
    return tuple(reader.faults)


def draft(kind: type[T], value: Any, *, own: bool = False) -> Draft[T]:
    """Return an object as far as it is of a dataclass, for a reader who goes on with what is well formed."""
    reader = _Reader(own)
    built = reader.run(lambda: reader.named_fields(kind, value, "")) or {}
    return Draft(tuple(reader.faults), built, None if reader.faults else kind(**built))


def as_json(value: Any) -> Any:
    """Return a typed value as JSON values: what :func:`build` makes the same typed value of, defaults spelt out."""
    if is_dataclass(value) and not isinstance(value, type):
        named = {each.name: as_json(getattr(value, each.name)) for each in json_fields(type(value))}
        others = rest_of(type(value))
        return named if others is None else as_json(getattr(value, others)) | named
    if isinstance(value, Mapping):
        return {key: as_json(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [as_json(each) for each in value]
    return value


def nearest(name: str, known: Iterable[str], cutoff: float = 0.6) -> str | None:
    """Return the known name that a misspelt one is nearest to, if any is near.

    Args:
        name: As it was given.
        known: The names there are.
        cutoff: How near, from 0 to 1.
    """
    return next(iter(get_close_matches(name, list(known), n=1, cutoff=cutoff)), None) if len(name) <= SHOWN else None


def in_words(hint: Any) -> str:
    """Return what a type asks for, in words."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        base, *rules = arguments
        said = (rule_words(base, rule) for rule in reversed(rules))
        return next((words for words in said if words), in_words(base))
    if origin in (Union, types.UnionType):
        return " or ".join(map(in_words, arguments))
    if origin is Literal:
        return f"one of {', '.join(map(str, arguments))}"
    if origin in (list, tuple):
        return "a list"
    if origin in (dict, Mapping) or is_dataclass(hint):
        return "an object"
    return "a value" if hint is Any else NAMES[hint]


@lru_cache(maxsize=256)
def hints_of(kind: Any) -> Mapping[str, Any]:
    """Return the types of a dataclass's fields, with their rules."""
    return get_type_hints(kind, include_extras=True)


def json_fields(kind: Any) -> list[Field[Any]]:
    """Return the fields of a dataclass that are keys of its JSON object."""
    return [each for each in fields(kind) if _ROLE not in each.metadata]


def rest_of(kind: Any) -> str | None:
    """Return the name of the field that keeps what no other field names; None where nothing else may be there."""
    return next((each.name for each in fields(kind) if each.metadata.get(_ROLE) == "rest"), None)


def is_open(kind: Any) -> bool:
    """Say whether objects of a type may have fields that it does not name."""
    return rest_of(kind) is not None


def is_required(each: Field[Any]) -> bool:
    """Say whether a field has no default."""
    return each.default is MISSING and each.default_factory is MISSING


class _Reader:
    """One walk over a JSON value, which makes the typed one and collects faults; with a fault the result means nothing."""

    def __init__(self, own: bool) -> None:
        self.own = own
        self.faults: list[FieldFault] = []

    def run(self, walk: Any) -> Any:
        """Walk; values that are nested too deeply for this are a fault like others."""
        try:
            return walk()
        except RecursionError:
            self.add("the value", "lists and objects nested too deeply", "fewer levels")
            return None

    def add(self, where: str, found: str, expected: str) -> None:
        self.faults.append(FieldFault(where, found, expected))

    def read(self, hint: Any, value: Any, where: str) -> Any:
        origin, arguments = get_origin(hint), get_args(hint)
        if origin is Annotated:
            return self._annotated(hint, value, where)
        if origin in (Union, types.UnionType):
            return self._union(arguments, value, where)
        if origin in (list, tuple):
            return self._several(origin, arguments[0], value, where)
        if origin in (dict, Mapping):
            return self._mapping(arguments[1], value, where)
        if is_dataclass(hint):
            before = len(self.faults)
            built = self.named_fields(hint, value, where)
            return cast(Any, hint)(**built) if len(self.faults) == before and built is not None else None
        if origin is Literal:
            if value not in arguments or isinstance(value, bool):
                self.add(where, shown(value), in_words(hint))
        elif hint is Any:
            self._anything(value, where)
        else:
            self._scalar(hint, value, where)
        return value

    def named_fields(self, kind: Any, value: Any, where: str) -> dict[str, Any] | None:
        """Return those fields of an object that are well formed; None where it is no object."""
        if not isinstance(value, dict):
            self.add(where, shown(value), "an object")
            return None
        built = self._beside(kind, value, where)
        prefix = where + "." if where else ""
        for each in json_fields(kind):
            before, hint = len(self.faults), hints_of(kind)[each.name]
            if each.name in value:
                result = self.read(hint, value[each.name], prefix + each.name)
                if len(self.faults) == before:
                    built[each.name] = result
            elif is_required(each):
                self.add(prefix + each.name, "nothing", in_words(hint))
            elif each.default_factory is not MISSING:
                built[each.name] = each.default_factory()
            else:
                built[each.name] = each.default
        return built

    def _beside(self, kind: Any, value: dict[Any, Any], where: str) -> dict[str, Any]:
        """Look at the keys that a type does not name: unknown ones, or what an open type keeps."""
        known, prefix, others = [each.name for each in json_fields(kind)], where + "." if where else "", rest_of(kind)
        unnamed = {name: each for name, each in value.items() if name not in known}
        for name, each in unnamed.items():
            if others is not None:
                self._key(name, OPEN_KEY, where)
                self._anything(each, f"{prefix}{shown(name)}")
                continue
            near = nearest(str(name), known) if len(unnamed) <= MOST_GUESSES else None
            spelt = name if isinstance(name, str) and re.fullmatch(r"\w{1,40}", name, re.ASCII) else shown(name)
            self.add(f"{prefix}{spelt}", "an unknown key", f"{near}?" if near else f"one of {', '.join(known)}")
        return {} if others is None else {others: unnamed}

    def _annotated(self, hint: Any, value: Any, where: str) -> Any:
        base, *rules = get_args(hint)
        before = len(self.faults)
        result = self.read(base, value, where)
        if len(self.faults) > before:
            # of another type: what is expected is that type within its limits
            if self.faults[before].where == where and self.faults[before].kind == "field":
                self.faults[before] = replace(self.faults[before], expected=in_words(hint))
        else:
            for rule in rules:
                self._rule(rule, value, hint, where)
        if len(self.faults) > before and any(isinstance(rule, Words) for rule in rules):
            self.faults[before:] = [FieldFault(where, shown(value), in_words(hint))]
        return result

    def _rule(self, rule: Any, value: Any, hint: Any, where: str) -> None:
        if isinstance(rule, Text):
            # bad characters were told of with the type
            self.faults += [each for each in text_faults(value, rule, where) if each.kind != "text"]
        elif isinstance(rule, Number):
            low = rule.least is not None and value < rule.least
            if low or (rule.most is not None and value > rule.most) or (rule.above is not None and value <= rule.above):
                self.add(where, shown(value), in_words(hint))
        elif isinstance(rule, Size) and not rule.least <= len(value) <= rule.most:
            self.add(where, f"{len(value):,} entries", f"{rule.least} to {rule.most}")

    def _union(self, members: tuple[Any, ...], value: Any, where: str) -> Any:
        if value is None and type(None) in members:
            return None
        tries: list[list[FieldFault]] = []
        for each in members:
            if each is not type(None):
                attempt = _Reader(self.own)
                result = attempt.read(each, value, where)
                if not attempt.faults:
                    return result
                tries.append(attempt.faults)
        fewest = min(tries, key=len)
        self.faults += fewest
        return None

    def _several(self, origin: Any, hint: Any, value: Any, where: str) -> Any:
        if not isinstance(value, list):
            self.add(where, shown(value), "a list")
            return None
        return origin([self.read(hint, each, f"{where}[{at}]") for at, each in enumerate(value)])

    def _mapping(self, hint: Any, value: Any, where: str) -> dict[str, Any] | None:
        if not isinstance(value, dict):
            self.add(where, shown(value), "an object")
            return None
        for key in value:
            self._key(key, None if self.own else Text(200), where)
        return {key: self.read(hint, each, f"{where}.{shown(key)}") for key, each in value.items()}

    def _key(self, key: Any, rule: Text | None, where: str) -> None:
        if not isinstance(key, str):
            self.add(f"a key of {where}", shown(key), A_TEXT)
        elif rule is not None:
            self.faults += text_faults(key, rule, f"a key of {where}")

    def _scalar(self, hint: Any, value: Any, where: str) -> None:
        accepted: Any = (int, float) if hint is float else hint
        if not isinstance(value, accepted) or (isinstance(value, bool) and hint is not bool):
            self.add(where, shown(value), NAMES[hint])
        elif isinstance(value, float) and not math.isfinite(value):
            self.add(where, shown(value), "a finite number")
        elif isinstance(value, str) and not self.own:
            self.faults += text_faults(value, None, where)

    def _anything(self, value: Any, where: str) -> None:
        """A value of no special type is still a stranger's: its texts are bounded and harmless."""
        if isinstance(value, str) and not self.own:
            self.faults += text_faults(value, Text(1_000), where)
        elif isinstance(value, list):
            for at, each in enumerate(value):
                self._anything(each, f"{where}[{at}]")
        elif isinstance(value, dict):
            for key, each in value.items():
                self._key(key, None if self.own else Text(200), where)
                self._anything(each, f"{where}.{shown(key)}")
        elif isinstance(value, float) and not math.isfinite(value):
            self.add(where, shown(value), "a finite number")
