"""JSON Schemas of dataclasses: the same definitions that :mod:`prm_eval.store.typed` reads by, for readers in other languages."""

from __future__ import annotations

import re
import types
from collections.abc import Mapping
from dataclasses import is_dataclass
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from prm_eval.store.rules import OPEN_KEY, Number, Size, Text
from prm_eval.store.typed import hints_of, is_open, is_required, json_fields

DIALECT = "https://json-schema.org/draft/2020-12/schema"
NAMES = {str: "string", int: "integer", float: "number", bool: "boolean", type(None): "null"}


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
    if origin in (list, tuple):
        return {"type": "array", "items": _schema(get_args(hint)[0])}
    if origin in (dict, Mapping):
        return {"type": "object", "additionalProperties": _schema(get_args(hint)[1])}
    return {} if hint is Any else {"type": NAMES[hint]}


def _rule_schema(rule: Any, kind: str | None) -> dict[str, Any]:
    if isinstance(rule, Text):
        anchored = {} if rule.pattern is None else {"pattern": f"^(?:{rule.pattern})$"}
        return {"maxLength": rule.most} | anchored
    if isinstance(rule, Number):
        limits = {"minimum": rule.least, "maximum": rule.most, "exclusiveMinimum": rule.above}
        return {key: value for key, value in limits.items() if value is not None}
    if isinstance(rule, Size):
        names = ("minItems", "maxItems") if kind == "array" else ("minProperties", "maxProperties")
        return dict(zip(names, (rule.least, rule.most), strict=True))
    return {}


def _object_schema(kind: Any) -> dict[str, Any]:
    hints, words = hints_of(kind), _attribute_words(kind)
    properties = {
        each.name: _schema(hints[each.name]) | ({"description": words[each.name]} if each.name in words else {})
        for each in json_fields(kind)
    }
    return {
        "description": " ".join((kind.__doc__ or "").strip().split("\n\n")[0].split()),
        "type": "object",
        "properties": properties,
        "required": [each.name for each in json_fields(kind) if is_required(each)],
        "additionalProperties": is_open(kind),
    } | ({"propertyNames": _rule_schema(OPEN_KEY, "string")} if is_open(kind) else {})


def _attribute_words(kind: Any) -> dict[str, str]:
    """Return what the docstring's "Attributes:" says of each field."""
    _, _, section = (kind.__doc__ or "").partition("Attributes:")
    # continuation lines
    joined = re.sub(r"\n {9,}", " ", section)
    return {found[1]: found[2].strip() for found in re.finditer(r"^ {8}(\w+): (.*)$", joined, re.MULTILINE)}
